package diag

import (
	"encoding/binary"
	"io/fs"
	"math/bits"
	"net"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"handrail/mdm/inventory"
)

// linux reads /proc, /sys, /etc and /run below root.
type linux struct {
	root       fs.FS
	statfs     func(dir string) (size, free uint64, err error)
	interfaces func() ([]net.Interface, error)
	addresses  func(net.Interface) ([]net.Addr, error)
	hostname   func() (string, error)
}

func thisMachine() machine {
	return &linux{
		root: os.DirFS("/"), statfs: statfs, interfaces: net.Interfaces, hostname: os.Hostname,
		addresses: func(i net.Interface) ([]net.Addr, error) { return i.Addrs() },
	}
}

func statfs(dir string) (size, free uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := uint64(st.Bsize) //nolint:gosec // a block size is positive
	return st.Blocks * block, st.Bavail * block, nil
}

func (l *linux) read(name string) []byte {
	b, err := fs.ReadFile(l.root, name)
	if err != nil {
		return nil
	}
	return b
}

func (l *linux) text(name string) string { return strings.TrimSpace(string(l.read(name))) }

func (l *linux) number(name string) uint64 {
	n, err := strconv.ParseUint(l.text(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (l *linux) exists(name string) bool {
	_, err := fs.Stat(l.root, name)
	return err == nil
}

func (l *linux) host() inventory.Host {
	h := inventory.Host{
		OS: "linux", OSVersion: parseOSRelease(l.read("etc/os-release")), Kernel: l.text("proc/sys/kernel/osrelease"), Arch: runtime.GOARCH,
		BootTimeUS: parseBootTime(l.read("proc/stat")), Timezone: l.timezone(), Virtualization: l.virtualization(),
	}
	if h.OSVersion == "" {
		h.OSVersion = parseOSRelease(l.read("usr/lib/os-release"))
	}
	if name, err := l.hostname(); err == nil {
		h.Hostname = name
	}
	return h
}

func (l *linux) timezone() string {
	if target, err := fs.ReadLink(l.root, "etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(target, "zoneinfo/"); ok {
			return zone
		}
	}
	if zone := l.text("etc/timezone"); zone != "" {
		return zone
	}
	return "UTC"
}

// virtualization names the container or the hypervisor; "" is hardware.
func (l *linux) virtualization() string {
	if kind := l.container(); kind != "" {
		return kind
	}
	_, hypervisor := parseCPU(l.read("proc/cpuinfo"))
	return virtualization(l.text("sys/class/dmi/id/sys_vendor"), l.text("sys/class/dmi/id/product_name"), hypervisor)
}

func (l *linux) container() string {
	switch {
	case l.exists(".dockerenv"):
		return "docker"
	case l.exists("run/.containerenv"):
		return "podman"
	}
	return l.text("run/systemd/container")
}

func (l *linux) hardware() inventory.Hardware {
	const dmi = "sys/class/dmi/id/"
	h := inventory.Hardware{
		Vendor: meaningful(l.text(dmi + "sys_vendor")), Model: meaningful(l.text(dmi + "product_name")),
		Serial: meaningful(l.text(dmi + "product_serial")), MemoryBytes: parseMemTotal(l.read("proc/meminfo")),
		Firmware: strings.TrimSpace(meaningful(l.text(dmi+"bios_vendor")) + " " + meaningful(l.text(dmi+"bios_version"))),
	}
	if h.Model == "" { // boards without DMI
		h.Model = meaningful(string(l.read("proc/device-tree/model")))
	}
	if h.Serial == "" {
		h.Serial = meaningful(string(l.read("proc/device-tree/serial-number")))
	}
	h.CPU, _ = parseCPU(l.read("proc/cpuinfo"))
	if khz := l.number("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); khz > 0 {
		h.CPU.MHz = uint32(khz / 1000) //nolint:gosec // a clock fits
	}
	return h
}

func (l *linux) disks() []inventory.Disk {
	entries, err := fs.ReadDir(l.root, "sys/block")
	if err != nil {
		return nil
	}
	var out []inventory.Disk
	for _, e := range entries {
		dir := path.Join("sys/block", e.Name())
		d := inventory.Disk{
			Name: e.Name(), SizeBytes: l.number(dir+"/size") * 512, // sectors are 512 bytes whatever the disk says
			Model: meaningful(l.text(dir + "/device/model")), Serial: meaningful(l.text(dir + "/device/serial")),
			Rotational: l.text(dir+"/queue/rotational") == "1", Removable: l.text(dir+"/removable") == "1",
		}
		if d.Serial == "" {
			d.Serial = meaningful(vpdSerial(l.read(dir + "/device/vpd_pg80")))
		}
		if d.SizeBytes == 0 || slices.ContainsFunc([]string{"loop", "ram", "zram", "dm-", "md", "nbd"}, func(p string) bool { return strings.HasPrefix(e.Name(), p) }) {
			continue
		}
		out = append(out, d)
	}
	return out
}

// vpdSerial reads the unit serial number page of a SCSI disk (SPC-4, 7.8.18).
func vpdSerial(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	return string(b[4:min(4+n, len(b))])
}

func (l *linux) filesystems() []inventory.Filesystem {
	var out []inventory.Filesystem
	for _, m := range parseMounts(l.read("proc/self/mounts")) {
		size, free, err := l.statfs(m.dir)
		if err != nil || size == 0 {
			continue
		}
		out = append(out, inventory.Filesystem{Mount: m.dir, Device: m.device, Type: m.kind, SizeBytes: size, FreeBytes: free})
	}
	return out
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
		n := inventory.Interface{Name: i.Name, MAC: i.HardwareAddr.String(), Addresses: []string{}, Up: i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0}
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

// users come from logind where it runs, from utmp elsewhere.
func (l *linux) users() []inventory.User {
	entries, err := fs.ReadDir(l.root, "run/systemd/sessions")
	if err != nil {
		return parseUtmp(l.read("run/utmp"), slices.Contains([]string{"arm64", "riscv64", "loong64", "s390x"}, runtime.GOARCH))
	}
	var out []inventory.User
	for _, e := range entries {
		if u, ok := parseLogindSession(l.read("run/systemd/sessions/" + e.Name())); ok {
			out = append(out, u)
		}
	}
	return out
}
