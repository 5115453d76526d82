package turn

import (
	"net"
	"net/netip"
	"sync"

	"github.com/pion/turn/v5"
)

// own knows the relay's addresses and the ports open on them. Two clients that both reach
// nothing but the relay meet there: one's relay sends to the other's, at an address that is
// this machine's, and often private. It is safe for concurrent use.
type own struct {
	mu    sync.RWMutex
	ips   map[netip.Addr]bool
	ports map[netip.AddrPort]bool
}

// serve adds an address relays are given out at.
func (o *own) serve(ip netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ips == nil {
		o.ips, o.ports = map[netip.Addr]bool{}, map[netip.AddrPort]bool{}
	}
	o.ips[ip.Unmap()] = true
}

// is reports whether relays are given out at an address.
func (o *own) is(ip netip.Addr) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.ips[ip.Unmap()]
}

// relays reports whether a client is relayed at an address and port.
func (o *own) relays(at netip.AddrPort) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.ports[at]
}

func (o *own) open(at netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ports[at] = true
}

func (o *own) shut(at netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.ports, at)
}

// fenced makes relays whose sockets reach no service of this machine but other relays.
type fenced struct {
	turn.RelayAddressGenerator
	relay *Relay
}

// AllocatePacketConn implements turn.RelayAddressGenerator.
func (f *fenced) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	conn, addr, err := f.RelayAddressGenerator.AllocatePacketConn(c)
	if err != nil {
		return nil, nil, err
	}
	at := unmapped(addr)
	f.relay.own.open(at)
	return &fence{PacketConn: conn, relay: f.relay, at: at}, addr, nil
}

// fence is the socket of one relay.
type fence struct {
	net.PacketConn
	relay *Relay
	at    netip.AddrPort
	once  sync.Once
}

// WriteTo drops what goes to a service of this machine, as a network would: nobody is told.
// A public address is no exception: a firewall before it does not see the relay's packets.
func (f *fence) WriteTo(b []byte, to net.Addr) (int, error) {
	if at := unmapped(to); f.relay.own.is(at.Addr()) && !f.relay.own.relays(at) && !f.relay.isAllowed(at.Addr()) {
		return len(b), nil
	}
	return f.PacketConn.WriteTo(b, to)
}

// Close implements net.PacketConn.
func (f *fence) Close() error {
	f.once.Do(func() { f.relay.own.shut(f.at) })
	return f.PacketConn.Close()
}

// unmapped is a UDP address with IPv4 as IPv4; the zero value for any other.
func unmapped(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
