package netcheck

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/socket"
	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Bounds of what is told.
const (
	maxInterfaces = 100
	maxRoutes     = 100
	maxSockets    = 3000
	maxServers    = 8
)

// state tells how the device is connected.
func (t *Tool) state() signaling.NetState {
	s := signaling.NetState{Interfaces: []signaling.NetInterface{}, Routes: routes(), DNS: []string{}, Search: []string{}}
	all, err := net.Interfaces()
	if err != nil {
		s.Message = "The interfaces cannot be read: " + err.Error()
	}
	for _, i := range all[:min(len(all), maxInterfaces)] {
		s.Interfaces = append(s.Interfaces, interfaceOf(i))
	}
	servers, search := t.servers()
	for _, a := range servers {
		s.DNS = append(s.DNS, a.String())
	}
	for _, domain := range search[:min(len(search), maxServers)] {
		s.Search = append(s.Search, mdm.Clean(domain, 200))
	}
	if gw := gateway(s.Routes); gw.IsValid() {
		s.Gateway = gw.String()
	}
	s.Service, _ = t.cfg.Server()
	return s
}

func interfaceOf(i net.Interface) signaling.NetInterface {
	dir := "/sys/class/net/" + i.Name + "/"
	out := signaling.NetInterface{
		Name: mdm.Clean(i.Name, 32), Hardware: i.HardwareAddr.String(), Addresses: []string{}, Up: i.Flags&net.FlagUp != 0, Link: number(dir+"carrier") == 1,
		Speed: max(number(dir+"speed"), 0), MTU: int64(i.MTU), In: number(dir + "statistics/rx_bytes"), Out: number(dir + "statistics/tx_bytes"),
		Errors:  number(dir+"statistics/rx_errors") + number(dir+"statistics/tx_errors"),
		Dropped: number(dir+"statistics/rx_dropped") + number(dir+"statistics/tx_dropped"),
	}
	addresses, err := i.Addrs()
	if err != nil {
		return out
	}
	for _, a := range addresses[:min(len(addresses), 20)] {
		out.Addresses = append(out.Addresses, a.String())
	}
	return out
}

func number(file string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// routes reads the kernel's tables of IPv4 and IPv6.
func routes() []signaling.NetRoute {
	out := []signaling.NetRoute{}
	if b, err := os.ReadFile("/proc/net/route"); err == nil {
		out = parseRoutes4(out, string(b))
	}
	if b, err := os.ReadFile("/proc/net/ipv6_route"); err == nil {
		out = parseRoutes6(out, string(b))
	}
	return out
}

// parseRoutes4 reads "Iface Destination Gateway Flags RefCnt Use Metric Mask …", in hexadecimal
// of the machine's order of bytes.
func parseRoutes4(out []signaling.NetRoute, text string) []signaling.NetRoute {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || len(out) >= maxRoutes {
			continue
		}
		to, ok1 := native4(f[1])
		via, ok2 := native4(f[2])
		mask, ok3 := native4(f[7])
		if !ok1 || !ok2 || !ok3 {
			continue
		}
		m := mask.As4()
		ones, _ := net.IPMask(m[:]).Size()
		metric, _ := strconv.ParseInt(f[6], 10, 64)
		r := signaling.NetRoute{To: netip.PrefixFrom(to, ones).String(), Device: mdm.Clean(f[0], 32), Metric: metric}
		if to.IsUnspecified() && ones == 0 {
			r.To = "default"
		}
		if !via.IsUnspecified() {
			r.Via = via.String()
		}
		out = append(out, r)
	}
	return out
}

func native4(s string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 8 {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), true
}

// parseRoutes6 reads "destination length source length via metric …"; of what the kernel keeps for
// itself only the routes that lead somewhere are taken.
func parseRoutes6(out []signaling.NetRoute, text string) []signaling.NetRoute {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[9] == "lo" || len(out) >= maxRoutes {
			continue
		}
		to, err1 := hex.DecodeString(f[0])
		via, err2 := hex.DecodeString(f[4])
		length, err3 := strconv.ParseUint(f[1], 16, 8)
		if err1 != nil || err2 != nil || err3 != nil || len(to) != 16 || len(via) != 16 {
			continue
		}
		a, b := netip.AddrFrom16([16]byte(to)), netip.AddrFrom16([16]byte(via))
		metric, _ := strconv.ParseInt(f[5], 16, 64)
		r := signaling.NetRoute{To: netip.PrefixFrom(a, int(length)).String(), Device: mdm.Clean(f[9], 32), Metric: metric}
		if a.IsUnspecified() && length == 0 {
			r.To = "default"
		}
		if !b.IsUnspecified() {
			r.Via = b.String()
		}
		out = append(out, r)
	}
	return out
}

// gateway is the router that everything else goes by; the zero value where there is none.
func gateway(list []signaling.NetRoute) netip.Addr {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b signaling.NetRoute) int { return cmp.Compare(a.Metric, b.Metric) })
	var six netip.Addr
	for _, r := range list {
		via, err := netip.ParseAddr(r.Via)
		switch {
		case r.To != "default" || err != nil:
		case via.Is4():
			return via
		case !six.IsValid():
			six = via.WithZone(r.Device)
		}
	}
	return six
}

// servers returns the DNS servers of the device, and the domains that names are looked for in. Where
// names go through systemd-resolved, its servers are what counts.
func (t *Tool) servers() ([]netip.Addr, []string) {
	file := t.cfg.Resolv
	if file == "" {
		file = "/etc/resolv.conf"
	}
	servers, search := resolvers(file)
	if t.cfg.Resolv == "" && len(servers) == 1 && servers[0].String() == "127.0.0.53" {
		if behind, domains := resolvers("/run/systemd/resolve/resolv.conf"); len(behind) > 0 {
			return behind, domains
		}
	}
	return servers, search
}

// resolvers reads a resolv.conf(5).
func resolvers(file string) (servers []netip.Addr, search []string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, nil
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && len(servers) < maxServers {
				servers = append(servers, a)
			}
		case "search", "domain":
			search = f[1:]
		}
	}
	return servers, search
}

// owner is who has a socket.
type owner struct {
	pid  int64
	name string
}

// owners finds the processes that have sockets. It looks at all of them, which takes some
// milliseconds for a hundred.
func owners(ctx context.Context) map[uint64]owner {
	out := map[uint64]owner{}
	found, err := os.ReadDir("/proc")
	if err != nil {
		return out
	}
	for _, e := range found {
		pid, err := strconv.ParseInt(e.Name(), 10, 31)
		if err != nil || ctx.Err() != nil {
			continue
		}
		dir := "/proc/" + e.Name()
		open, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue
		}
		name := ""
		for _, fd := range open {
			link, err := os.Readlink(dir + "/fd/" + fd.Name())
			inode, ok := socket.InodeOf(link)
			if err != nil || !ok {
				continue
			}
			if name == "" {
				b, _ := os.ReadFile(dir + "/comm") // it may have ended
				name = mdm.Clean(string(b), 64)
			}
			if _, seen := out[inode]; !seen {
				out[inode] = owner{pid, name}
			}
		}
	}
	return out
}

func users() map[uint32]string {
	out := map[uint32]string{}
	b, _ := os.ReadFile("/etc/passwd") // without, numbers are told
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(line, ":"); len(f) > 2 {
			if n, err := strconv.ParseUint(f[2], 10, 32); err == nil {
				out[uint32(n)] = mdm.Clean(f[0], 64)
			}
		}
	}
	return out
}

// tellSockets tells every socket and who has it, those that listen first.
func tellSockets(ctx context.Context, c tool.Conn, re string) error {
	all := socket.Read("/proc/self/net")
	total := len(all)
	has, who := owners(ctx), users()
	slices.SortStableFunc(all, func(a, b socket.Socket) int {
		rank := func(s socket.Socket) int { return slices.Index([]string{"LISTEN", "", "ESTABLISHED"}, s.State) & 3 }
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Local.Port(), b.Local.Port()))
	})
	m := signaling.NetSockets{First: true, Total: int64(total), Sockets: []signaling.NetSocket{}}
	room := tool.Room / 4
	for _, s := range all[:min(len(all), maxSockets)] {
		o := has[s.Inode]
		user := who[s.UID]
		if user == "" {
			user = fmt.Sprint(s.UID)
		}
		n := signaling.NetSocket{Proto: s.Proto, Local: socket.Words(s.Local), Remote: socket.Words(s.Remote), State: s.State, User: user, PID: o.pid, Process: o.name}
		w := 110 + tool.Weight(n.Proto, n.Local, n.Remote, n.State, n.User, n.Process)
		if w > room {
			if err := tool.Tell(ctx, c, signaling.TypeNetSockets, re, m); err != nil {
				return err
			}
			m.First, m.Sockets, room = false, m.Sockets[:0], tool.Room
		}
		room -= w
		m.Sockets = append(m.Sockets, n)
	}
	m.Last = true
	return tool.Tell(ctx, c, signaling.TypeNetSockets, re, m)
}
