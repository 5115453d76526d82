package diag

import (
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"handrail/mdm/inventory"
)

func statfs(dir string) (size, free uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := uint64(st.Bsize) //nolint:gosec // a block size is positive
	return st.Blocks * block, st.Bavail * block, nil
}

func (l *linux) host() inventory.Host {
	h := inventory.Host{
		OS: "linux", Kernel: l.text("proc/sys/kernel/osrelease"), Arch: runtime.GOARCH,
		BootTimeUS: parseBootTime(l.read("proc/stat")), Timezone: l.timezone(), Virtualization: l.virtualization(),
	}
	release := l.read("etc/os-release")
	if len(release) == 0 {
		release = l.read("usr/lib/os-release")
	}
	r := parseOSRelease(release)
	h.OSVersion, h.OSID, h.OSVersionID, h.OSCodename = r["PRETTY_NAME"], r["ID"], r["VERSION_ID"], r["VERSION_CODENAME"]
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

func (l *linux) hardware(n *notes) inventory.Hardware {
	const dmi = "sys/class/dmi/id/"
	h := inventory.Hardware{
		Vendor: meaningful(l.text(dmi + "sys_vendor")), Model: meaningful(l.text(dmi + "product_name")),
		Serial: meaningful(l.text(dmi + "product_serial")), MemoryBytes: parseMemTotal(l.read("proc/meminfo")),
		SKU: meaningful(l.text(dmi + "product_sku")), Chassis: chassis(l.number(dmi + "chassis_type")), FirmwareDate: meaningful(l.text(dmi + "bios_date")),
		Board:    strings.TrimSpace(meaningful(l.text(dmi+"board_vendor")) + " " + meaningful(l.text(dmi+"board_name"))),
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
	h.MemoryModules = l.memoryModules(n)
	switch l.text("sys/class/tpm/tpm0/tpm_version_major") {
	case "1":
		h.TPM = "1.2"
	case "2":
		h.TPM = "2.0"
	}
	return h
}

// memoryModules reads SMBIOS as the kernel passes it on, which only root may.
func (l *linux) memoryModules(n *notes) []inventory.MemoryModule {
	const dir = "sys/firmware/dmi/entries"
	out := []inventory.MemoryModule{}
	for _, e := range l.dir(dir) {
		if !strings.HasPrefix(e, "17-") {
			continue
		}
		b, err := fs.ReadFile(l.root, path.Join(dir, e, "raw"))
		if err != nil {
			n.miss("memory modules: " + reason(err))
			return out
		}
		if m, ok := parseMemoryModule(b); ok {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b inventory.MemoryModule) int { return strings.Compare(a.Slot, b.Slot) })
	return out
}
