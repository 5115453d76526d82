package simdevice

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

// facts are what a simulated device says about itself, as far as devices differ.
type facts struct {
	host      inventory.Host
	hardware  inventory.Hardware
	disk      inventory.Disk
	free      uint64
	net       inventory.Interface
	who       string
	signedIn  bool
	laptop    bool
	encrypted bool
	careless  [8]bool // what is not as an admin would have it; see the uses
	ports     []uint32

	distribution, role, level int
	own                       []inventory.Software // installed on this one
}

// machine is a model of a computer.
type machine struct {
	vendor, model, cpu, chassis string
	cores                       uint32
}

var (
	machines = []machine{
		{"LENOVO", "20XW00FBGE ThinkPad X1 Carbon Gen 9", "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", "laptop", 4},
		{"Dell Inc.", "Latitude 5420", "11th Gen Intel(R) Core(TM) i5-1145G7 @ 2.60GHz", "laptop", 4},
		{"HP", "HP EliteDesk 800 G6 Small Form Factor PC", "Intel(R) Core(TM) i5-10500 CPU @ 3.10GHz", "desktop", 6},
		{"Framework", "Laptop 13 (AMD Ryzen 7040Series)", "AMD Ryzen 7 7840U w/ Radeon 780M Graphics", "laptop", 8},
		{"Dell Inc.", "OptiPlex 7090", "11th Gen Intel(R) Core(TM) i7-11700 @ 2.50GHz", "desktop", 8},
		{"Supermicro", "SYS-510T-MR", "Intel(R) Xeon(R) E-2336 CPU @ 2.90GHz", "server", 6},
	}
	people = []string{"ana", "bela", "chidi", "dmitri", "eun-ji", "farah", "gustav", "hoa", "imani", "jonas"}
	places = []string{"berlin", "lagos", "osaka", "lima", "oslo", "pune"}
)

// carelessShare is in how many percent of devices each thing is not as it should be.
var carelessShare = [8]int{12, 8, 15, 20, 5, 10, 30, 7}

const gib = 1 << 30

// invent makes up a device; the same chance makes the same device.
func (d *device) invent(i int) facts {
	r := d.rng
	f := facts{role: r.IntN(len(roles)), who: people[r.IntN(len(people))], signedIn: r.IntN(10) < 7}
	f.distribution = []int{0, 0, 0, 0, 0, 0, 1, 1, 1, 2}[r.IntN(10)]
	// Most devices are up to date, some are far behind.
	f.level = levels - 1 - min(r.IntN(3)*r.IntN(5), levels-1)
	m := machines[r.IntN(len(machines)-1)]
	if roles[f.role] == "s" {
		m = machines[len(machines)-1]
	}
	f.laptop = m.chassis == "laptop"
	for n, share := range carelessShare {
		f.careless[n] = r.IntN(100) < share
	}
	f.encrypted = !f.careless[0]
	s := distributions[f.distribution]
	boot := time.Now().Add(-time.Duration(r.IntN(20*24)) * time.Hour).Truncate(time.Minute)
	size := uint64(256<<r.IntN(3)) * 1e9
	f.host = inventory.Host{
		Hostname: fmt.Sprintf("%s-%05d", places[r.IntN(len(places))], i), OS: "linux", OSVersion: s.version, OSID: s.id, OSVersionID: s.versionID, OSCodename: s.codename,
		Kernel: fmt.Sprintf(s.kernel, 30+f.level), Arch: "amd64", BootTimeUS: boot.UnixMicro(), Timezone: "Europe/Berlin",
	}
	memory := uint64(8 << r.IntN(3))
	f.hardware = inventory.Hardware{
		Vendor: m.vendor, Model: m.model, Serial: fmt.Sprintf("SIM%08X", r.Uint32()), Firmware: "N32ET95W (1.71 )", FirmwareDate: "06/14/2025", Chassis: m.chassis, TPM: "2.0",
		CPU: inventory.CPU{Model: m.cpu, Cores: m.cores, Threads: 2 * m.cores, MHz: 4700}, MemoryBytes: memory * gib,
	}
	if i < 2*d.f.cfg.Twins {
		f.hardware.Serial, f.hardware.Vendor, f.hardware.Model = fmt.Sprintf("SIMTWIN%05d", i/2), machines[0].vendor, machines[0].model
	}
	for slot := range 2 {
		f.hardware.MemoryModules = append(f.hardware.MemoryModules, inventory.MemoryModule{
			Slot: fmt.Sprintf("Channel%c-DIMM0", 'A'+slot), SizeBytes: memory * gib / 2, Type: "DDR4", SpeedMTS: 3200, Vendor: "Samsung", Part: "M471A1K43EB1-CWE",
			Serial: fmt.Sprintf("%08X", r.Uint32()),
		})
	}
	wear, hours, bad := uint32(r.IntN(30)), uint64(r.IntN(200))*100, uint64(0)
	f.disk = inventory.Disk{
		Name: "nvme0n1", Model: "SAMSUNG MZVL2512HCJQ-00BL7", Serial: fmt.Sprintf("S64KNX%06d", r.IntN(1e6)), Firmware: "HXA7601Q", Bus: "nvme", SizeBytes: size, Health: "ok",
		WearPercent: &wear, PoweredHours: &hours, BadSectors: &bad,
	}
	if r.IntN(100) == 0 {
		f.disk.Health, f.disk.HealthMessage = "failing", "spare blocks run out"
	}
	f.free = size / 100 * uint64(10+r.IntN(80)) //nolint:gosec // positive
	f.net = inventory.Interface{
		Name: "enp0s31f6", MAC: fmt.Sprintf("a4:bb:6d:%02x:%02x:%02x", r.IntN(256), r.IntN(256), r.IntN(256)),
		Addresses: []string{fmt.Sprintf("10.%d.%d.%d/16", r.IntN(256), r.IntN(256), 1+r.IntN(254))}, Up: true, SpeedMbps: 1000, Driver: "e1000e", MTU: 1500,
	}
	if f.laptop {
		f.net.Name, f.net.SpeedMbps, f.net.Driver = "wlp0s20f3", 866, "iwlwifi"
	}
	f.ports = []uint32{22}
	for _, p := range []uint32{80, 443, 631, 5432, 3000, 8080} {
		if r.IntN(6) == 0 {
			f.ports = append(f.ports, p)
		}
	}
	d.ownSoftware(&f)
	return f
}

// ownSoftware adds what only this device, or few, have.
func (d *device) ownSoftware(f *facts) {
	s := &distributions[f.distribution]
	extras := d.f.wares.byKind["x"]
	for range 2 + d.rng.IntN(7) {
		f.own = append(f.own, extras[d.rng.IntN(len(extras))].at(s, f.level))
	}
	for _, app := range []inventory.Software{
		{Name: "com.spotify.Client", Version: "1.2.63", Source: inventory.SourceFlatpak, Arch: "x86_64"},
		{Name: "org.signal.Signal", Version: "7.71.0", Source: inventory.SourceFlatpak, Arch: "x86_64"},
		{Name: "code", Version: "1.105.1", Source: inventory.SourceSnap},
		{Name: "uBlock Origin", Version: "1.66.4", Source: inventory.SourceBrowser, Package: "uBlock0@raymondhill.net", Publisher: "Raymond Hill", Scope: "Firefox, " + f.who},
		{Name: "requests", Version: "2.32.5", Source: inventory.SourcePip, Scope: f.who},
		{Name: "typescript", Version: "5.9.3", Source: inventory.SourceNpm},
	} {
		if d.rng.IntN(4) == 0 {
			f.own = append(f.own, app)
		}
	}
	slices.SortFunc(f.own, inventory.CompareSoftware)
	f.own = slices.CompactFunc(f.own, func(a, b inventory.Software) bool { return a.Name == b.Name && a.Source == b.Source })
}

// sections returns the named sections; everything for no names.
func (d *device) sections(names ...string) map[string]signaling.Section {
	wanted := func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	out := d.machine(wanted)
	d.f.cores <- struct{}{}
	defer func() { <-d.f.cores }()
	if wanted(inventory.SectionSoftware) {
		d.software(out, -1)
	}
	return out
}

// machine returns the sections that are wanted, software left out.
func (d *device) machine(wanted func(section string) bool) map[string]signaling.Section {
	d.f.cores <- struct{}{}
	defer func() { <-d.f.cores }()
	out := map[string]signaling.Section{}
	for name, value := range d.values() {
		if !wanted(name) {
			continue
		}
		if shape, ok := d.facts.shape(name); ok {
			out[name] = d.f.wares.likeOthers(name, shape, value)
		} else {
			out[name] = sectionOf(value())
		}
	}
	return out
}

// shape is what a section that many devices have alike follows from; false for one that hardly two
// devices share.
func (f *facts) shape(section string) (string, bool) {
	switch section {
	case inventory.SectionHost, inventory.SectionHardware, inventory.SectionDisks, inventory.SectionFilesystems, inventory.SectionNetwork, inventory.SectionUsers,
		inventory.SectionSignIns, inventory.SectionAccounts, inventory.SectionUpdates, inventory.SectionAgent:
		return "", false
	case inventory.SectionListening:
		return fmt.Sprint(f.ports), true
	case inventory.SectionKernel:
		return f.host.Kernel, true
	case inventory.SectionEncryption:
		return fmt.Sprint(f.encrypted), true
	case inventory.SectionMounts:
		return fmt.Sprint(f.encrypted, f.careless[1]), true
	case inventory.SectionBattery:
		return fmt.Sprint(f.laptop, f.level), true
	case inventory.SectionDisplays, inventory.SectionWiFi, inventory.SectionRoutes:
		return fmt.Sprint(f.laptop), true
	case inventory.SectionSysctl:
		return fmt.Sprint(f.careless[1]), true
	case inventory.SectionPAM:
		return fmt.Sprint(f.careless[2]), true
	case inventory.SectionDesktop:
		return fmt.Sprint(f.careless[2], roles[f.role]), true
	case inventory.SectionSSHD:
		return fmt.Sprint(f.careless[3]), true
	case inventory.SectionSudo:
		return fmt.Sprint(f.careless[4]), true
	case inventory.SectionFirewall:
		return fmt.Sprint(f.careless[5]), true
	case inventory.SectionSecurity:
		return fmt.Sprint(f.careless[6]), true
	case inventory.SectionFiles:
		return fmt.Sprint(f.careless[7]), true
	}
	return "", true
}

// values is how each section but software is made.
func (d *device) values() map[string]func() any {
	f := &d.facts
	return map[string]func() any{
		inventory.SectionHost:     func() any { return f.host },
		inventory.SectionHardware: func() any { return f.hardware },
		inventory.SectionDisks:    func() any { return []inventory.Disk{f.disk} },
		inventory.SectionFilesystems: func() any {
			return []inventory.Filesystem{{Mount: "/", Device: f.rootDevice(), Type: "ext4", SizeBytes: f.disk.SizeBytes - 1e9, FreeBytes: f.free}}
		},
		inventory.SectionEncryption: func() any { return f.encryption() },
		inventory.SectionMounts:     func() any { return f.mounts() },
		inventory.SectionBattery:    func() any { return f.battery() },
		inventory.SectionGPUs: func() any {
			return []inventory.GPU{{Vendor: "Intel Corporation", Model: "TigerLake-LP GT2 [Iris Xe Graphics]", Driver: "i915", Slot: "0000:00:02.0"}}
		},
		inventory.SectionDisplays: func() any { return f.displays() },
		inventory.SectionUSB:      func() any { return usbDevices },
		inventory.SectionPCI:      func() any { return pciDevices },
		inventory.SectionNetwork:  func() any { return []inventory.Interface{f.net} },
		inventory.SectionWiFi:     func() any { return f.wifi() },
		inventory.SectionRoutes: func() any {
			return []inventory.Route{{Destination: "0.0.0.0/0", Gateway: "10.0.0.1", Interface: f.net.Name, Metric: 100}}
		},
		inventory.SectionDNS: func() any {
			return inventory.DNS{Servers: []string{"10.0.0.1"}, Search: []string{"corp.example"}, Manager: "systemd-resolved"}
		},
		inventory.SectionListening: func() any { return f.listening() },
		inventory.SectionMonitors:  func() any { return []inventory.Monitor{{Name: "eDP-1", Width: 1920, Height: 1080, Primary: true}} },
		inventory.SectionUsers:     func() any { return f.users() },
		inventory.SectionSignIns: func() any {
			return inventory.SignIns{Recent: []inventory.SignIn{{Name: f.who, Terminal: "tty2", AtUS: f.host.BootTimeUS + 300e6}}, Failed: []inventory.SignIn{}}
		},
		inventory.SectionAccounts:     func() any { return f.accounts() },
		inventory.SectionServices:     func() any { return f.services() },
		inventory.SectionUpdates:      func() any { return d.updates() },
		inventory.SectionCertificates: func() any { return []inventory.Certificate{} },
		inventory.SectionKernel: func() any {
			return inventory.Kernel{Release: f.host.Kernel, Build: "#1 SMP PREEMPT_DYNAMIC", CommandLine: "quiet splash", Modules: kernelModules}
		},
		inventory.SectionSecurity: func() any { return f.security() },
		inventory.SectionSSHD:     func() any { return f.sshd() },
		inventory.SectionSudo:     func() any { return f.sudo() },
		inventory.SectionPAM:      func() any { return f.pam() },
		inventory.SectionFiles:    func() any { return f.files() },
		inventory.SectionFirewall: func() any { return f.firewall() },
		inventory.SectionSysctl:   func() any { return f.sysctl() },
		inventory.SectionTime:     func() any { on := true; return inventory.Clock{Synchronised: &on, Service: "systemd-timesyncd"} },
		inventory.SectionJournal:  func() any { return inventory.Journal{Storage: "auto", Kept: true} },
		inventory.SectionDesktop:  func() any { return f.desktop() },
		inventory.SectionBoot: func() any {
			no, yes := false, true
			return inventory.Boot{EFI: true, GRUBPassword: &no, SingleUserPassword: &yes}
		},
		inventory.SectionAgent: func() any {
			return inventory.Agent{Version: d.f.cfg.Version, Go: runtime.Version(), Root: true, StartedUS: f.host.BootTimeUS + 60e6}
		},
		inventory.SectionUnread: func() any { return map[string]string{} },
	}
}

func (f *facts) rootDevice() string {
	if f.encrypted {
		return "/dev/mapper/vg-root"
	}
	return "/dev/nvme0n1p2"
}

func (f *facts) users() []inventory.User {
	if !f.signedIn {
		return []inventory.User{}
	}
	return []inventory.User{{Name: f.who, Terminal: "tty2", SinceUS: f.host.BootTimeUS + 300e6, Graphical: true}}
}
