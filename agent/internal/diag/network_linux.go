package diag

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"math/bits"
	"net"
	"net/netip"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

func (l *linux) networkReaders() []reader {
	return []reader{
		{name: inventory.SectionNetwork, read: func(*notes) any { return list(l.network()) }},
		{name: inventory.SectionWiFi, read: func(n *notes) any { return list(l.wifi(n)) }},
		{name: inventory.SectionRoutes, read: func(*notes) any { return list(l.routes()) }},
		{name: inventory.SectionDNS, read: func(*notes) any { return l.dns() }},
		{name: inventory.SectionListening, read: func(n *notes) any { return list(l.listening(n)) }},
		{name: inventory.SectionUsers, read: func(*notes) any { return list(l.users()) }},
		{name: inventory.SectionSignIns, read: func(n *notes) any { return l.signIns(n) }, stamp: l.stampDirs("var/log/wtmp", "var/log/btmp")},
	}
}

func (l *linux) network() []inventory.Interface {
	all, err := l.interfaces()
	if err != nil {
		return nil
	}
	var out []inventory.Interface
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		n := inventory.Interface{
			Name: i.Name, MAC: i.HardwareAddr.String(), Addresses: []string{}, Up: i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0,
			Driver: l.base("sys/class/net/" + i.Name + "/device/driver"), MTU: uint32(max(i.MTU, 0)), //nolint:gosec // a kernel's size of a packet
		}
		if addrs, err := l.addresses(i); err == nil {
			for _, a := range addrs {
				n.Addresses = append(n.Addresses, a.String())
			}
			slices.Sort(n.Addresses)
		}
		speed := l.number("sys/class/net/" + i.Name + "/speed")
		if bits.Len64(speed) < 31 { // 4294967295 and -1 both mean unknown
			n.SpeedMbps = int64(speed)
		}
		out = append(out, n)
	}
	return out
}

func (l *linux) wifi(n *notes) []inventory.WiFi {
	var out []inventory.WiFi
	for _, name := range l.dir("sys/class/net") {
		if l.exists("sys/class/net/"+name+"/wireless") || l.exists("sys/class/net/"+name+"/phy80211") {
			out = append(out, inventory.WiFi{Interface: name})
		}
	}
	if len(out) == 0 {
		return nil
	}
	b, err := l.ask("nmcli", "--terse", "--fields", "IN-USE,DEVICE,SSID,BSSID,FREQ,SECURITY", "device", "wifi", "list", "--rescan", "no")
	if err == nil {
		parseNmcliWifi(out, b)
		return out
	}
	for i := range out {
		b, err := l.ask("iw", "dev", out[i].Interface, "link")
		if err != nil {
			n.miss("wireless network: " + reason(err))
			return out
		}
		parseIwLink(&out[i], b)
	}
	return out
}

// parseNmcliWifi fills in what nmcli --terse says of the networks in use. Colons within a
// value are escaped by a backslash.
func parseNmcliWifi(cards []inventory.WiFi, b []byte) {
	for line := range strings.Lines(string(b)) {
		f := splitTerse(strings.TrimRight(line, "\n"))
		if len(f) != 6 || f[0] != "*" {
			continue
		}
		for i := range cards {
			if cards[i].Interface == f[1] {
				mhz, _, _ := strings.Cut(f[4], " ")
				n, _ := strconv.ParseUint(mhz, 10, 32) // 0 is unknown
				cards[i].SSID, cards[i].BSSID, cards[i].FrequencyMHz, cards[i].Security = f[2], strings.ToLower(f[3]), uint32(n), f[5]
			}
		}
	}
}

func splitTerse(line string) []string {
	var out []string
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case line[i] == ':':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(line[i])
		}
	}
	return append(out, b.String())
}

// parseIwLink reads `iw dev X link`.
func parseIwLink(w *inventory.WiFi, b []byte) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "Connected to "); ok {
			w.BSSID, _, _ = strings.Cut(rest, " ")
		} else if rest, ok := strings.CutPrefix(line, "SSID: "); ok {
			w.SSID = rest
		} else if rest, ok := strings.CutPrefix(line, "freq: "); ok {
			f, _ := strconv.ParseFloat(rest, 64) // 0 is unknown
			w.FrequencyMHz = uint32(max(f, 0))
		}
	}
}

func (l *linux) routes() []inventory.Route {
	out := append(parseRoutes4(l.read("proc/net/route")), parseRoutes6(l.read("proc/net/ipv6_route"))...)
	slices.SortStableFunc(out, func(a, b inventory.Route) int { return strings.Compare(a.Destination, b.Destination) })
	return out
}

// parseRoutes4 reads /proc/net/route: addresses are in the machine's byte order.
func parseRoutes4(b []byte) []inventory.Route {
	var out []inventory.Route
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		dst, ok1 := nativeIPv4(f[1])
		gw, ok2 := nativeIPv4(f[2])
		mask, ok3 := nativeIPv4(f[7])
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if !ok1 || !ok2 || !ok3 || err != nil || flags&1 == 0 { // the first line is a heading; down
			continue
		}
		m4 := mask.As4()
		metric, _ := strconv.ParseUint(f[6], 10, 32)
		r := inventory.Route{Interface: f[0], Metric: uint32(metric), Destination: netip.PrefixFrom(dst, bits.OnesCount32(binary.BigEndian.Uint32(m4[:]))).String()}
		if !gw.IsUnspecified() {
			r.Gateway = gw.String()
		}
		out = append(out, r)
	}
	return out
}

func nativeIPv4(s string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 8 {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), true
}

// parseRoutes6 reads /proc/net/ipv6_route without what the kernel adds for itself.
func parseRoutes6(b []byte) []inventory.Route {
	const up, reject = 1, 0x200
	var out []inventory.Route
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[9] == "lo" {
			continue
		}
		dst, err1 := hex.DecodeString(f[0])
		gw, err2 := hex.DecodeString(f[4])
		length, err3 := strconv.ParseUint(f[1], 16, 8)
		metric, err4 := strconv.ParseUint(f[5], 16, 32)
		flags, err5 := strconv.ParseUint(f[8], 16, 32)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil || len(dst) != 16 || len(gw) != 16 || length > 128 {
			continue
		}
		addr := netip.AddrFrom16([16]byte(dst))
		if flags&up == 0 || flags&reject != 0 || addr.IsMulticast() || addr.IsLinkLocalUnicast() || length == 128 {
			continue
		}
		r := inventory.Route{Destination: netip.PrefixFrom(addr, int(length)).String(), Interface: f[9], Metric: uint32(metric)}
		if g := netip.AddrFrom16([16]byte(gw)); !g.IsUnspecified() {
			r.Gateway = g.String()
		}
		out = append(out, r)
	}
	return out
}

func (l *linux) dns() inventory.DNS {
	d := inventory.DNS{}
	target, _ := fs.ReadLink(l.root, "etc/resolv.conf") // a plain file has none
	head := l.text("etc/resolv.conf")
	d.Servers, d.Search = parseResolvConf([]byte(head))
	switch {
	case strings.Contains(target, "systemd/resolve") || slices.Contains(d.Servers, "127.0.0.53"):
		d.Manager = "systemd-resolved"
		if b := l.read("run/systemd/resolve/resolv.conf"); b != nil { // who it asks in turn
			d.Servers, d.Search = parseResolvConf(b)
		}
	case strings.Contains(target, "NetworkManager") || strings.Contains(head, "Generated by NetworkManager"):
		d.Manager = "NetworkManager"
	case strings.Contains(target, "resolvconf"):
		d.Manager = "resolvconf"
	}
	return d
}

// parseResolvConf reads resolv.conf(5).
func parseResolvConf(b []byte) (servers, search []string) {
	servers, search = []string{}, []string{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			servers = append(servers, f[1])
		case "search", "domain":
			search = append([]string{}, f[1:]...)
		}
	}
	return servers, search
}

// socket is a line of /proc/net/{tcp,udp}[6].
type socket struct {
	addr  netip.AddrPort
	inode string
	uid   int64
}

// parseSockets returns the sockets that wait for others: TCP that listens, UDP that is
// connected to nobody.
func parseSockets(b []byte, udp bool) []socket {
	const listen, unconnected = "0A", "07"
	var out []socket
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || !udp && f[3] != listen || udp && f[3] != unconnected {
			continue
		}
		host, port, ok := strings.Cut(f[1], ":")
		p, err := strconv.ParseUint(port, 16, 16)
		addr, good := nativeAddr(host)
		if !ok || err != nil || !good {
			continue
		}
		uid, _ := strconv.ParseInt(f[7], 10, 64)
		out = append(out, socket{addr: netip.AddrPortFrom(addr, uint16(p)), inode: f[9], uid: uid})
	}
	return out
}

// nativeAddr reads an address as the kernel prints it: words of 32 bits in the machine's
// byte order.
func nativeAddr(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap(), true
}

func (l *linux) listening(n *notes) []inventory.Listener {
	passing := uint64(32768)
	if f := strings.Fields(l.text("proc/sys/net/ipv4/ip_local_port_range")); len(f) == 2 {
		if p, err := strconv.ParseUint(f[0], 10, 16); err == nil {
			passing = p
		}
	}
	owners, whole := l.socketOwners()
	if !whole {
		n.miss("programs of other users' ports: only root may see them")
	}
	names := l.userNames()
	var out []inventory.Listener
	for _, t := range []struct {
		proto, file string
	}{{"tcp", "tcp"}, {"tcp", "tcp6"}, {"udp", "udp"}, {"udp", "udp6"}} {
		for _, s := range parseSockets(l.read("proc/net/"+t.file), t.proto == "udp") {
			if t.proto == "udp" && uint64(s.addr.Port()) >= passing {
				continue // gone before anybody reads of it
			}
			out = append(out, inventory.Listener{
				Proto: t.proto, Address: s.addr.Addr().String(), Port: uint32(s.addr.Port()), Process: owners[s.inode], User: names[s.uid],
			})
		}
	}
	slices.SortFunc(out, func(a, b inventory.Listener) int {
		return bytes.Compare([]byte(a.Proto+a.Address+":"+strconv.Itoa(int(a.Port))+a.Process), []byte(b.Proto+b.Address+":"+strconv.Itoa(int(b.Port))+b.Process))
	})
	return slices.Compact(out)
}

// socketOwners maps sockets' inodes to names of programs; whole is false where some
// programs could not be looked into.
func (l *linux) socketOwners() (owners map[string]string, whole bool) {
	owners, whole = map[string]string{}, true
	for _, pid := range l.dir("proc") {
		if pid[0] < '0' || pid[0] > '9' {
			continue
		}
		fds, err := fs.ReadDir(l.root, "proc/"+pid+"/fd")
		if err != nil {
			if l.exists("proc/" + pid) {
				whole = false
			}
			continue
		}
		name := ""
		for _, fd := range fds {
			target, err := fs.ReadLink(l.root, path.Join("proc", pid, "fd", fd.Name()))
			if err != nil {
				continue
			}
			if inode, ok := strings.CutPrefix(target, "socket:["); ok {
				if name == "" {
					name = l.text("proc/" + pid + "/comm")
				}
				owners[strings.TrimSuffix(inode, "]")] = name
			}
		}
	}
	return owners, whole
}

// users come from logind where it runs, from utmp elsewhere.
func (l *linux) users() []inventory.User {
	entries, err := fs.ReadDir(l.root, "run/systemd/sessions")
	if err != nil {
		return parseUtmp(l.read("run/utmp"), wideUtmp)
	}
	var out []inventory.User
	for _, e := range entries {
		if u, ok := parseLogindSession(l.read("run/systemd/sessions/" + e.Name())); ok {
			out = append(out, u)
		}
	}
	return out
}

// wideUtmp: on these architectures times in utmp are 64 bits wide.
var wideUtmp = slices.Contains([]string{"arm64", "riscv64", "loong64", "s390x"}, runtime.GOARCH)

// signIns reads the newest records of wtmp(5) and btmp.
func (l *linux) signIns(n *notes) inventory.SignIns {
	s := inventory.SignIns{Recent: newestSignIns(l.read("var/log/wtmp"), utmpUserProcess), Failed: []inventory.SignIn{}}
	b, err := l.readErr("var/log/btmp")
	if err != nil && l.exists("var/log/btmp") {
		n.miss("failed sign-ins: " + reason(err))
	}
	s.Failed = newestSignIns(b, utmpUserProcess, utmpLoginProcess)
	return s
}

// newestSignIns returns up to 50 records, newest first.
func newestSignIns(b []byte, kinds ...uint16) []inventory.SignIn {
	const most = 50
	all := parseUtmpOf(b, wideUtmp, kinds...)
	slices.Reverse(all)
	out := []inventory.SignIn{}
	for _, u := range all[:min(len(all), most)] {
		out = append(out, inventory.SignIn{Name: u.Name, Terminal: u.Terminal, Host: u.Host, AtUS: u.SinceUS})
	}
	return out
}
