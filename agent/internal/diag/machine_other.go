//go:build !linux

package diag

import (
	"context"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"

	"handrail/mdm/inventory"
)

// portable reads through gopsutil, which knows the other systems' interfaces.
type portable struct{}

func thisMachine() machine { return portable{} }

func (p portable) readers(context.Context) []reader {
	return []reader{
		{name: inventory.SectionHost, read: func(*notes) any { return p.host() }},
		{name: inventory.SectionHardware, read: func(*notes) any { return p.hardware() }},
		{name: inventory.SectionDisks, read: func(n *notes) any {
			n.miss("disks are not told apart from their partitions on this system")
			return list([]inventory.Disk(nil))
		}},
		{name: inventory.SectionFilesystems, read: func(*notes) any { return p.filesystems() }},
		{name: inventory.SectionNetwork, read: func(*notes) any { return list(p.network()) }},
		{name: inventory.SectionUsers, read: func(*notes) any { return list(p.users()) }},
	}
}

func (portable) host() inventory.Host {
	h := inventory.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Timezone: time.Local.String()}
	if i, err := host.Info(); err == nil {
		h.Hostname, h.OSVersion, h.Kernel = i.Hostname, i.Platform+" "+i.PlatformVersion, i.KernelVersion
		h.BootTimeUS = int64(i.BootTime) * 1e6 //nolint:gosec // seconds since 1970
		if i.VirtualizationRole == "guest" {
			h.Virtualization = i.VirtualizationSystem
		}
	}
	return h
}

func (portable) hardware() inventory.Hardware {
	var h inventory.Hardware
	if list, err := cpu.Info(); err == nil && len(list) > 0 {
		h.CPU.Model, h.CPU.MHz = list[0].ModelName, uint32(list[0].Mhz)
	}
	if n, err := cpu.Counts(false); err == nil {
		h.CPU.Cores = uint32(n) //nolint:gosec // a count of cores
	}
	if n, err := cpu.Counts(true); err == nil {
		h.CPU.Threads = uint32(n) //nolint:gosec // a count of threads
	}
	if m, err := mem.VirtualMemory(); err == nil {
		h.MemoryBytes = m.Total
	}
	return h
}

func (portable) filesystems() []inventory.Filesystem {
	parts, err := disk.Partitions(false)
	if err != nil {
		return nil
	}
	var out []inventory.Filesystem
	for _, p := range parts {
		if u, err := disk.Usage(p.Mountpoint); err == nil && u.Total > 0 {
			out = append(out, inventory.Filesystem{Mount: p.Mountpoint, Device: p.Device, Type: p.Fstype, SizeBytes: u.Total, FreeBytes: u.Free})
		}
	}
	return out
}

func (portable) network() []inventory.Interface {
	list, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []inventory.Interface
	for _, i := range list {
		n := inventory.Interface{Name: i.Name, MAC: i.HardwareAddr, Addresses: []string{}}
		loopback := false
		for _, f := range i.Flags {
			n.Up = n.Up || f == "up"
			loopback = loopback || f == "loopback"
		}
		for _, a := range i.Addrs {
			n.Addresses = append(n.Addresses, a.Addr)
		}
		if !loopback {
			out = append(out, n)
		}
	}
	return out
}

func (portable) users() []inventory.User {
	list, err := host.Users()
	if err != nil {
		return nil
	}
	var out []inventory.User
	for _, u := range list {
		out = append(out, inventory.User{Name: u.User, Terminal: u.Terminal, Host: u.Host, SinceUS: int64(u.Started) * 1e6, Graphical: u.Terminal == "console"})
	}
	return out
}
