package netcheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

// Limits of echoes.
const (
	echoWithin = 2 * time.Second
	hopWithin  = time.Second
	maxHops    = 30
	deadHops   = 6 // routers in a row that say nothing, after which nobody will
)

// echoer sends echo requests (RFC 792, RFC 4443) and hears what comes back.
type echoer struct {
	conn net.PacketConn
	to   net.Addr
	six  bool
	raw  bool   // the socket hears everything, and the identifier is ours
	id   uint16 // of our requests
}

// dialEcho opens a socket for echoes: one of the kernel's for anybody where it allows that, else a raw one.
func dialEcho(to netip.Addr) (*echoer, error) {
	e := &echoer{six: to.Is6(), id: uint16(rand.N(1 << 16))} //nolint:gosec // it fits
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	network, local := "ip4:icmp", "0.0.0.0"
	if e.six {
		family, proto, network, local = unix.AF_INET6, unix.IPPROTO_ICMPV6, "ip6:ipv6-icmp", "::"
	}
	conn, err := net.ListenPacket(network, local)
	if err == nil {
		e.conn, e.raw = conn, true
		e.to = &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}
		return e, nil
	}
	fd, serr := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if serr != nil {
		return nil, fmt.Errorf("this device lets the agent send no echoes: %w", err)
	}
	f := os.NewFile(uintptr(fd), "echo")
	defer f.Close()
	if e.conn, err = net.FilePacketConn(f); err != nil {
		return nil, err
	}
	e.to = &net.UDPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	return e, nil
}

func (e *echoer) close() { e.conn.Close() }

// option limits how many routers a request passes.
func (e *echoer) option(hops int) error {
	c, ok := e.conn.(syscall.Conn)
	if !ok {
		return errors.New("the socket takes no limit of routers")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	level, name := unix.IPPROTO_IP, unix.IP_TTL
	if e.six {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, name, hops) }); err != nil {
		return err
	}
	return failed
}

// packet is an echo request.
func (e *echoer) packet(seq uint16) []byte {
	b := make([]byte, 8, 64)
	b[0] = 8
	if e.six {
		b[0] = 128
	}
	binary.BigEndian.PutUint16(b[4:], e.id)
	binary.BigEndian.PutUint16(b[6:], seq)
	b = append(b, "Handrail checks whether this host answers."...)
	if !e.six { // of IPv6 the kernel makes the sum
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum) //nolint:gosec // folded
}

// reply is what came back.
type reply int

const (
	nothing  reply = iota
	answered       // by the host itself
	expired        // a router on the way let it go no further
	refused        // somebody says that it cannot get there
)

// read tells what a packet says of our request.
func (e *echoer) read(b []byte, seq uint16) reply {
	if len(b) < 8 {
		return nothing
	}
	kind := b[0]
	if kind == 0 && !e.six || kind == 129 && e.six {
		if binary.BigEndian.Uint16(b[6:]) == seq && (!e.raw || binary.BigEndian.Uint16(b[4:]) == e.id) {
			return answered
		}
		return nothing
	}
	var what reply
	switch {
	case kind == 11 && !e.six, kind == 3 && e.six:
		what = expired
	case kind == 3 && !e.six, kind == 1 && e.six:
		what = refused
	default:
		return nothing
	}
	inner := b[8:] // the packet that it is about
	head := 40
	if !e.six {
		if len(inner) < 20 {
			return nothing
		}
		head = int(inner[0]&15) * 4
	}
	if len(inner) < head+8 || binary.BigEndian.Uint16(inner[head+4:]) != e.id || binary.BigEndian.Uint16(inner[head+6:]) != seq {
		return nothing
	}
	return what
}

// ask sends one request and waits for what comes of it.
func (e *echoer) ask(ctx context.Context, seq uint16, within time.Duration) (reply, netip.Addr, time.Duration, error) {
	began := time.Now()
	if err := e.conn.SetDeadline(began.Add(within)); err != nil {
		return nothing, netip.Addr{}, 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = e.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := e.conn.WriteTo(e.packet(seq), e.to); err != nil {
		return nothing, netip.Addr{}, 0, err
	}
	b := make([]byte, 1500)
	for {
		n, from, err := e.conn.ReadFrom(b)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = ctx.Err()
			}
			return nothing, netip.Addr{}, time.Since(began), err
		}
		if what := e.read(b[:n], seq); what != nothing {
			return what, addressOf(from), time.Since(began), nil
		}
	}
}

func addressOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.IPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	out, _ := netip.AddrFromSlice(ip)
	return out.Unmap()
}

// lookup finds a host's address, IPv4 first, as most networks do that best.
func lookup(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, plain(err)
	}
	for _, a := range all {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return all[0], nil
}

// ping asks a host whether it is there.
func (t *Tool) ping(ctx context.Context, host string, count int, out say) result {
	to, err := lookup(ctx, host)
	if err != nil {
		return bad("%s has no address: %v. Check its name, and the device's DNS servers.", host, err)
	}
	e, err := dialEcho(to)
	if err != nil {
		return bad("%v.", err)
	}
	defer e.close()
	out(signaling.TonePlain, -1, "%s is %s", host, to)
	got, least, most, sum := 0, time.Hour, time.Duration(0), time.Duration(0)
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	sent := 0
	for i := range count {
		if i > 0 {
			select {
			case <-beat.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		sent++
		what, from, took, err := e.ask(ctx, uint16(i+1), echoWithin) //nolint:gosec // at most 100
		switch {
		case err != nil:
			out(signaling.ToneBad, -1, "%d: %v", i+1, plain(err))
		case what == answered:
			got, least, most, sum = got+1, min(least, took), max(most, took), sum+took
			out(signaling.ToneGood, ms(took), "%d: answer from %s", i+1, from)
		case what == refused:
			out(signaling.ToneBad, ms(took), "%d: %s says that it cannot be reached", i+1, from)
		default:
			out(signaling.ToneBad, -1, "%d: no answer within %s", i+1, echoWithin)
		}
	}
	if got == 0 {
		return bad("%s (%s) did not answer any of %d. Not every host does, so try a connection (TCP) before you call it dead.", host, to, sent)
	}
	words := fmt.Sprintf("%d of %d answered, in %.1f ms at least, %.1f on the average, %.1f at most.", got, sent, ms(least), ms(sum/time.Duration(got)), ms(most))
	return result{got == sent, words}
}

// trace finds the routers on the way to a host.
func (t *Tool) trace(ctx context.Context, host string, out say) result {
	to, err := lookup(ctx, host)
	if err != nil {
		return bad("%s has no address: %v. Check its name, and the device's DNS servers.", host, err)
	}
	e, err := dialEcho(to)
	if err != nil {
		return bad("%v.", err)
	}
	defer e.close()
	if !e.raw {
		return bad("To hear routers, the agent must run as root on this device.")
	}
	out(signaling.TonePlain, -1, "to %s (%s), at most %d routers", host, to, maxHops)
	silent := 0
	for hop := 1; hop <= maxHops && ctx.Err() == nil; hop++ {
		if err := e.option(hop); err != nil {
			return bad("%v.", err)
		}
		what, from, took, err := nothing, netip.Addr{}, time.Duration(0), error(nil)
		for try := 0; try < 2 && what == nothing && err == nil; try++ {
			what, from, took, err = e.ask(ctx, uint16(2*hop+try), hopWithin) //nolint:gosec // at most 61
		}
		switch {
		case err != nil:
			return bad("The way to %s ends here: %v.", host, plain(err))
		case what == answered:
			out(signaling.ToneGood, ms(took), "%d: %s, which is %s", hop, from, host)
			return good("%s is reached in step %d.", host, hop)
		case what == refused:
			out(signaling.ToneBad, ms(took), "%d: %s says that there is no way on", hop, from)
			return bad("%s says that there is no way from there to %s.", from, host)
		case what == expired:
			silent = 0
			out(signaling.TonePlain, ms(took), "%d: %s", hop, from)
		default:
			out(signaling.TonePlain, -1, "%d: says nothing", hop)
			if silent++; silent >= deadHops {
				return bad("From step %d on nobody answers. Either the way ends there, or what is behind it does not answer such questions: try a connection (TCP).", hop-deadHops+1)
			}
		}
	}
	return bad("%s did not answer within %d steps.", host, maxHops)
}
