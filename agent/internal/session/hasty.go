package session

import (
	"fmt"
	"net"

	"github.com/pion/transport/v5"
)

// hasty is the real network with an end to waiting: a relay behind a firewall that drops TCP
// without a word would hold a connection's end, and the process's, for the two minutes the
// system tries.
type hasty struct{ transport.Net }

// DialTCP implements transport.Net.
func (h hasty) DialTCP(network string, laddr, raddr *net.TCPAddr) (transport.TCPConn, error) {
	d := net.Dialer{Timeout: stunGatherTimeout}
	if laddr != nil {
		d.LocalAddr = laddr
	}
	conn, err := d.Dial(network, raddr.String())
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: no TCP connection", network)
	}
	return tcp, nil
}
