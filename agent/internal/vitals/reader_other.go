//go:build !linux

package vitals

import (
	"math"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	psdisk "github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// reader asks the system through gopsutil, which knows Windows and macOS.
type reader struct{}

func newReader(string) *reader { return &reader{} }

func (r *reader) read() (reading, error) {
	now := reading{at: time.Now(), disks: map[string]disk{}, volumes: map[string]gauge{}, networks: map[string]network{}}
	cores, err := cpu.Times(true)
	if err != nil {
		return now, err
	}
	for _, c := range cores {
		idle := c.Idle + c.Iowait
		all := idle + c.User + c.System + c.Nice + c.Irq + c.Softirq + c.Steal
		now.cores = append(now.cores, ticks{busy: milli(all - idle), all: milli(all)})
	}
	// What follows is left empty where the system does not tell.
	if l, err := load.Avg(); err == nil {
		now.load = [3]float64{l.Load1, l.Load5, l.Load15}
	}
	if m, err := mem.VirtualMemory(); err == nil {
		now.memory = gauge{used: bytesOf(m.Total - m.Available), all: bytesOf(m.Total)}
	}
	if m, err := mem.SwapMemory(); err == nil {
		now.swap = gauge{used: bytesOf(m.Used), all: bytesOf(m.Total)}
	}
	if all, err := psdisk.IOCounters(); err == nil {
		for name, d := range all {
			now.disks[name] = disk{
				read: d.ReadBytes, written: d.WriteBytes, requests: d.ReadCount + d.WriteCount, waited: d.ReadTime + d.WriteTime, busy: d.IoTime,
			}
		}
	}
	if all, err := psdisk.Partitions(false); err == nil {
		for _, p := range all {
			if u, err := psdisk.Usage(p.Mountpoint); err == nil && u.Total > 0 {
				now.volumes[p.Mountpoint] = gauge{used: bytesOf(u.Used), all: bytesOf(u.Total)}
			}
		}
	}
	if all, err := net.IOCounters(true); err == nil {
		for _, n := range all {
			now.networks[n.Name] = network{in: n.BytesRecv, out: n.BytesSent}
		}
	}
	return now, nil
}

func milli(seconds float64) uint64 { return uint64(math.Max(seconds, 0) * 1000) }

func bytesOf(n uint64) int64 { return int64(min(n, math.MaxInt64)) } //nolint:gosec // bounded
