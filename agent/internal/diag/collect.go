package diag

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"slices"
	"sync"
	"time"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

// freeStep is by how much of a file system's size its free space must have moved to be
// reported anew.
const freeStep = 0.02

// bootSlack is how far a computed boot time may wander with the clock's corrections.
const bootSlack = 10 * time.Second

// machine reads what one operating system says. An empty value means unknown.
type machine interface {
	host() inventory.Host
	hardware() inventory.Hardware
	disks() []inventory.Disk
	filesystems() []inventory.Filesystem
	network() []inventory.Interface
	users() []inventory.User
}

// Collector takes inventories. Its methods are safe for concurrent use.
type Collector struct {
	machine machine
	agent   inventory.Agent

	mu       sync.Mutex
	monitors []inventory.Monitor
	free     map[string]uint64 // as last reported, by mount
	bootUS   int64             // as last reported
	mhz      uint32            // as first read: where there is no nominal figure it moves all the time
}

// NewCollector returns a collector of this machine for an agent of the given version.
func NewCollector(version string) *Collector {
	return newCollector(thisMachine(), version)
}

func newCollector(m machine, version string) *Collector {
	return &Collector{
		machine: m, free: map[string]uint64{},
		agent: inventory.Agent{Version: version, Go: runtime.Version(), StartedUS: time.Now().UnixMicro()},
	}
}

// SetMonitors says what monitors the desktop has; it reports whether that is news.
func (c *Collector) SetMonitors(ms []signaling.Monitor) bool {
	next := make([]inventory.Monitor, 0, len(ms))
	for _, m := range ms {
		next = append(next, inventory.Monitor{Name: m.Name, Width: uint32(m.Width), Height: uint32(m.Height), X: m.X, Y: m.Y, Primary: m.Primary})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	news := !slices.Equal(next, c.monitors)
	c.monitors = next
	return news
}

// Collect returns every section. It takes some milliseconds of reading.
func (c *Collector) Collect(ctx context.Context) map[string]signaling.Section {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]signaling.Section{}
	add := func(name string, read func() any) {
		if ctx.Err() != nil {
			return
		}
		if s, err := sectionOf(read()); err == nil {
			out[name] = s
		}
	}
	add(inventory.SectionHost, func() any { return c.steadyHost(c.machine.host()) })
	add(inventory.SectionHardware, func() any { return c.steadyHardware(c.machine.hardware()) })
	add(inventory.SectionDisks, func() any { return list(c.machine.disks()) })
	add(inventory.SectionFilesystems, func() any { return list(c.steadyFree(c.machine.filesystems())) })
	add(inventory.SectionNetwork, func() any { return list(c.machine.network()) })
	add(inventory.SectionMonitors, func() any { return list(c.monitors) })
	add(inventory.SectionUsers, func() any { return list(c.machine.users()) })
	add(inventory.SectionAgent, func() any { return c.agent })
	return out
}

// list keeps an empty list from becoming null on the wire.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func sectionOf(v any) (signaling.Section, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return signaling.Section{}, err
	}
	sum := sha256.Sum256(data)
	return signaling.Section{Hash: hex.EncodeToString(sum[:]), Data: data}, nil
}

func (c *Collector) steadyHost(h inventory.Host) inventory.Host {
	if d := h.BootTimeUS - c.bootUS; d > bootSlack.Microseconds() || d < -bootSlack.Microseconds() {
		c.bootUS = h.BootTimeUS
	}
	h.BootTimeUS = c.bootUS
	return h
}

func (c *Collector) steadyHardware(h inventory.Hardware) inventory.Hardware {
	if c.mhz == 0 {
		c.mhz = h.CPU.MHz
	}
	h.CPU.MHz = c.mhz
	return h
}

// steadyFree rounds free space and holds what was last said until it moved by freeStep.
func (c *Collector) steadyFree(fs []inventory.Filesystem) []inventory.Filesystem {
	seen := map[string]uint64{}
	for i := range fs {
		f := &fs[i]
		step := max(uint64(float64(f.SizeBytes)*freeStep), 1)
		last, known := c.free[f.Mount]
		if !known || f.FreeBytes > last+step || f.FreeBytes+step < last {
			last = f.FreeBytes / step * step
		}
		f.FreeBytes = last
		seen[f.Mount] = last
	}
	c.free = seen
	return fs
}
