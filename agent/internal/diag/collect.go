package diag

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
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

// reader is how one section is read. Read returns the section's value, nil where this
// device has no such thing, and says by whole what it could not read. Stamp is cheap text
// that differs when the section may: with the same stamp the section is not read again; nil reads
// it always. software is read as a list and cut into buckets.
type reader struct {
	name  string
	read  func(*notes) any
	stamp func() string
}

// notes collects why a section is not whole.
type notes struct{ why string }

// miss says what could not be read; the first one counts.
func (n *notes) miss(why string) {
	if n.why == "" {
		n.why = why
	}
}

// machine reads what one operating system says. An empty value means unknown.
type machine interface {
	// readers returns how each section of this system is read; ctx bounds the programs that
	// are run for it.
	readers(ctx context.Context) []reader
}

// known is what was read of a section last time.
type known struct {
	stamp  string
	hashes map[string]string // by section on the wire: one, or all buckets of software
	why    string            // as notes
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
	known    map[string]known  // by reader
}

// NewCollector returns a collector of this machine for an agent of the given version.
func NewCollector(version string) *Collector {
	return newCollector(thisMachine(), version)
}

func newCollector(m machine, version string) *Collector {
	return &Collector{
		machine: m, free: map[string]uint64{}, known: map[string]known{},
		agent: inventory.Agent{Version: version, Go: runtime.Version(), Root: os.Geteuid() == 0, StartedUS: time.Now().UnixMicro()},
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

// Collect returns every section. One whose hash is what have says of it comes without its
// data; what nothing points to having changed is not even read. A first look takes some
// seconds where system programs are asked, a later one milliseconds.
func (c *Collector) Collect(ctx context.Context, have map[string]string) map[string]signaling.Section {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]signaling.Section{}
	unread := map[string]string{}
	readers := append(c.machine.readers(ctx),
		reader{name: inventory.SectionMonitors, read: func(*notes) any { return list(c.monitors) }},
		reader{name: inventory.SectionAgent, read: func(*notes) any { return c.agent }})
	read := 0
	for _, r := range readers {
		if ctx.Err() != nil {
			return nil
		}
		read += c.take(r, have, out)
		if why := c.known[r.name].why; why != "" {
			unread[r.name] = why
		}
	}
	c.take(reader{name: inventory.SectionUnread, read: func(*notes) any { return unread }}, have, out)
	if read > releaseAt {
		debug.FreeOSMemory() // rare, and an agent at rest should look like one
	}
	return out
}

// releaseAt is how many bytes of sections a look must have made for memory to be handed
// back at once.
const releaseAt = 256 << 10

// take reads one section, or finds that it need not be, and returns the bytes it made.
func (c *Collector) take(r reader, have map[string]string, out map[string]signaling.Section) int {
	stamp := ""
	if r.stamp != nil {
		stamp = r.stamp()
		if k, ok := c.known[r.name]; ok && k.stamp == stamp && isHeld(k.hashes, have) {
			for name, hash := range k.hashes {
				out[name] = signaling.Section{Hash: hash}
			}
			return 0
		}
	}
	var n notes
	k := known{stamp: stamp, hashes: map[string]string{}}
	made := 0
	for name, v := range c.parts(r.name, r.read(&n)) {
		s, err := sectionOf(v)
		if err != nil {
			continue // plain structs always encode
		}
		made += len(s.Data)
		k.hashes[name] = s.Hash
		if have[name] == s.Hash {
			s.Data = nil
		}
		out[name] = s
	}
	k.why = n.why
	c.known[r.name] = k
	return made
}

// isHeld reports whether have says the same of every section.
func isHeld(hashes, have map[string]string) bool {
	for name, hash := range hashes {
		if have[name] != hash {
			return false
		}
	}
	return true
}

// parts names what goes on the wire of one reader's value, and holds still what only
// trembles.
func (c *Collector) parts(name string, v any) map[string]any {
	switch v := v.(type) {
	case nil:
		return nil
	case inventory.Host:
		return map[string]any{name: c.steadyHost(v)}
	case inventory.Hardware:
		return map[string]any{name: c.steadyHardware(v)}
	case []inventory.Filesystem:
		return map[string]any{name: list(c.steadyFree(v))}
	case []inventory.Software:
		parts := map[string]any{}
		for n, bucket := range inventory.SplitSoftware(v) {
			parts[inventory.SoftwareSection(n)] = bucket
		}
		return parts
	}
	return map[string]any{name: v}
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
