// Package socket reads the kernel's lists of sockets (proc_net(5)). It is for whoever shows
// them; it opens none.
package socket

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Socket is one socket.
type Socket struct {
	Proto  string         // tcp, tcp6, udp, udp6
	Local  netip.AddrPort // IPv4 in IPv6 is unmapped
	Remote netip.AddrPort // zero port where it is not connected
	State  string         // of TCP, as LISTEN; "" for UDP
	UID    uint32         // of who made it
	Inode  uint64         // by which /proc/*/fd names it; 0 where nobody has it any more
}

// maxList bounds one list, in bytes: some 200,000 sockets.
const maxList = 32 << 20

// states are the kernel's numbers of TCP's states (include/net/tcp_states.h).
var states = [...]string{"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"}

// Read returns the sockets of the lists in dir, as /proc/net or /proc/17/net. A list that is
// not there, as IPv6's may not be, is empty.
func Read(dir string) []Socket {
	var out []Socket
	for _, proto := range []string{"tcp", "tcp6", "udp", "udp6"} {
		f, err := os.Open(filepath.Join(dir, proto))
		if err != nil {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, maxList))
		f.Close()
		if err == nil {
			out = Parse(out, proto, b)
		}
	}
	return out
}

// Parse appends the sockets of one list. Lines it does not understand are passed over.
func Parse(out []Socket, proto string, b []byte) []Socket {
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 10 || !strings.HasSuffix(f[0], ":") {
			continue
		}
		s := Socket{Proto: proto}
		var ok bool
		if s.Local, ok = address(f[1]); !ok {
			continue
		}
		if s.Remote, ok = address(f[2]); !ok {
			continue
		}
		if n, err := strconv.ParseUint(f[3], 16, 8); err == nil && int(n) < len(states) && strings.HasPrefix(proto, "tcp") {
			s.State = states[n]
		}
		if n, err := strconv.ParseUint(f[7], 10, 32); err == nil {
			s.UID = uint32(n)
		}
		s.Inode, _ = strconv.ParseUint(f[9], 10, 64)
		out = append(out, s)
	}
	return out
}

// address reads "0100007F:1F90": words of four bytes as the machine keeps them, and a port.
func address(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// InodeOf returns the inode in what /proc/*/fd says of a socket, "socket:[123]".
func InodeOf(link string) (uint64, bool) {
	rest, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64)
	return n, err == nil
}

// Words is an address for people: "*:80" for any, "" for none.
func Words(a netip.AddrPort) string {
	switch {
	case !a.IsValid() || a.Addr().IsUnspecified() && a.Port() == 0:
		return ""
	case a.Addr().IsUnspecified():
		return "*:" + strconv.Itoa(int(a.Port()))
	}
	return a.String()
}
