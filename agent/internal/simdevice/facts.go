package simdevice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

// facts are what a simulated device says about itself.
type facts struct {
	host     inventory.Host
	hardware inventory.Hardware
	disk     inventory.Disk
	fs       inventory.Filesystem
	net      inventory.Interface
	monitor  inventory.Monitor
	users    []inventory.User
	agent    inventory.Agent
}

var (
	models = []struct{ vendor, model, cpu string }{
		{"LENOVO", "20XW00FBGE ThinkPad X1 Carbon Gen 9", "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz"},
		{"Dell Inc.", "Latitude 5420", "11th Gen Intel(R) Core(TM) i5-1145G7 @ 2.60GHz"},
		{"HP", "HP EliteDesk 800 G6 Small Form Factor PC", "Intel(R) Core(TM) i5-10500 CPU @ 3.10GHz"},
		{"Framework", "Laptop 13 (AMD Ryzen 7040Series)", "AMD Ryzen 7 7840U w/ Radeon 780M Graphics"},
	}
	systems = []struct{ version, kernel string }{
		{"Debian GNU/Linux 12 (bookworm)", "6.1.0-41-amd64"},
		{"Ubuntu 24.04.3 LTS", "6.8.0-88-generic"},
		{"Fedora Linux 43 (Workstation Edition)", "6.17.7-300.fc43.x86_64"},
	}
	people = []string{"ana", "bela", "chidi", "dmitri", "eun-ji", "farah", "gustav", "hoa", "imani", "jonas"}
	places = []string{"berlin", "lagos", "osaka", "lima", "oslo", "pune"}
)

// invent makes up a device; the same chance makes the same device.
func (d *device) invent(i int) facts {
	r := d.rng
	m, s := models[r.IntN(len(models))], systems[r.IntN(len(systems))]
	who := people[r.IntN(len(people))]
	const gib = 1 << 30
	boot := time.Now().Add(-time.Duration(r.IntN(20*24)) * time.Hour).Truncate(time.Minute)
	size := uint64(256<<r.IntN(3)) * 1e9
	cores := uint32(4 << r.IntN(2)) //nolint:gosec // 4 or 8
	return facts{
		host: inventory.Host{
			Hostname: fmt.Sprintf("%s-%05d", places[r.IntN(len(places))], i), OS: "linux", OSVersion: s.version, Kernel: s.kernel, Arch: "amd64",
			BootTimeUS: boot.UnixMicro(), Timezone: "Europe/Berlin",
		},
		hardware: inventory.Hardware{
			Vendor: m.vendor, Model: m.model, Serial: fmt.Sprintf("SIM%08X", r.Uint32()), Firmware: "N32ET95W (1.71 )",
			CPU: inventory.CPU{Model: m.cpu, Cores: cores, Threads: 2 * cores, MHz: 4700}, MemoryBytes: uint64(8<<r.IntN(3)) * gib,
		},
		disk: inventory.Disk{Name: "nvme0n1", Model: "SAMSUNG MZVL2512HCJQ-00BL7", Serial: fmt.Sprintf("S64KNX%06d", r.IntN(1e6)), SizeBytes: size},
		fs:   inventory.Filesystem{Mount: "/", Device: "/dev/nvme0n1p2", Type: "ext4", SizeBytes: size - 1e9, FreeBytes: size / 100 * uint64(10+r.IntN(80))}, //nolint:gosec // positive
		net: inventory.Interface{
			Name: "wlp0s20f3", MAC: fmt.Sprintf("a4:bb:6d:%02x:%02x:%02x", r.IntN(256), r.IntN(256), r.IntN(256)),
			Addresses: []string{fmt.Sprintf("10.%d.%d.%d/16", r.IntN(256), r.IntN(256), 1+r.IntN(254))}, Up: true, SpeedMbps: 866,
		},
		monitor: inventory.Monitor{Name: "eDP-1", Width: 1920, Height: 1080, Primary: true},
		users:   []inventory.User{{Name: who, Terminal: "tty2", SinceUS: boot.Add(5 * time.Minute).UnixMicro(), Graphical: true}},
		agent:   inventory.Agent{Version: d.f.cfg.Version, Go: runtime.Version(), StartedUS: boot.Add(time.Minute).UnixMicro()},
	}
}

func (f facts) sections() map[string]signaling.Section {
	out := map[string]signaling.Section{}
	for name, v := range map[string]any{
		inventory.SectionHost: f.host, inventory.SectionHardware: f.hardware, inventory.SectionDisks: []inventory.Disk{f.disk},
		inventory.SectionFilesystems: []inventory.Filesystem{f.fs}, inventory.SectionNetwork: []inventory.Interface{f.net},
		inventory.SectionMonitors: []inventory.Monitor{f.monitor}, inventory.SectionUsers: f.users, inventory.SectionAgent: f.agent,
	} {
		data, err := json.Marshal(v)
		if err != nil {
			continue // plain structs always encode
		}
		sum := sha256.Sum256(data)
		out[name] = signaling.Section{Hash: hex.EncodeToString(sum[:]), Data: data}
	}
	return out
}
