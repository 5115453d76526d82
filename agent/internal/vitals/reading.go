package vitals

import (
	"maps"
	"math"
	"slices"
	"time"

	"handrail/signaling"
)

// reading is what the system's counters say at one moment. Counters only grow; one that is
// smaller than before belongs to another device of the same name.
type reading struct {
	at       time.Time
	cores    []ticks
	load     [3]float64
	memory   gauge
	swap     gauge
	pressure *stalls // nil where the system does not tell
	disks    map[string]disk
	volumes  map[string]gauge
	networks map[string]network
	sensors  map[string]float64 // °C
	battery  *signaling.VitalBattery
}

type ticks struct{ busy, all uint64 }

type gauge struct{ used, all int64 } // bytes

// stalls is time that tasks waited, in microseconds.
type stalls struct{ cpu, memory, io uint64 }

type disk struct {
	read, written uint64 // bytes
	requests      uint64 // that were done
	waited        uint64 // milliseconds, of all of them together
	busy          uint64 // milliseconds with at least one
}

type network struct{ in, out uint64 } // bytes

// between makes of two readings what happened from one to the other.
func between(a, b reading) (signaling.VitalsParts, signaling.Vitals) {
	p := signaling.VitalsParts{
		Cores: len(b.cores), MemoryBytes: b.memory.all, SwapBytes: b.swap.all,
		Disks: names(b.disks), Networks: names(b.networks), Sensors: names(b.sensors), Volumes: []signaling.VitalVolume{},
		Pressure: b.pressure != nil, Battery: b.battery != nil,
	}
	f := signaling.Vitals{
		TimeMS: b.at.UnixMilli(), Load: b.load[:], MemoryUsed: b.memory.used, SwapUsed: b.swap.used, Battery: b.battery,
		Cores: make([]int, len(b.cores)), Disks: make([]signaling.VitalsDisk, len(p.Disks)), Volumes: []int64{},
		Networks: make([]signaling.VitalsNet, len(p.Networks)), Sensors: make([]float64, len(p.Sensors)),
	}
	seconds := b.at.Sub(a.at).Seconds()
	rate := func(now, then uint64) int64 {
		if now < then || seconds <= 0 {
			return 0
		}
		return int64(float64(now-then) / seconds)
	}
	share := func(now, then uint64, unit time.Duration) int {
		if now < then || seconds <= 0 {
			return 0
		}
		return int(min(1000, math.Round(float64(now-then)*unit.Seconds()/seconds*1000)))
	}
	for i, c := range b.cores {
		if i < len(a.cores) && c.all > a.cores[i].all && c.busy >= a.cores[i].busy {
			f.Cores[i] = int(min(1000, (c.busy-a.cores[i].busy)*1000/(c.all-a.cores[i].all))) //nolint:gosec // bounded
		}
	}
	if a.pressure != nil && b.pressure != nil {
		f.Pressure = &signaling.VitalsStall{
			CPU:    share(b.pressure.cpu, a.pressure.cpu, time.Microsecond),
			Memory: share(b.pressure.memory, a.pressure.memory, time.Microsecond),
			IO:     share(b.pressure.io, a.pressure.io, time.Microsecond),
		}
	}
	for i, name := range p.Disks {
		then, ok := a.disks[name]
		now := b.disks[name]
		if !ok {
			continue
		}
		d := signaling.VitalsDisk{
			Read: rate(now.read, then.read), Write: rate(now.written, then.written), Busy: share(now.busy, then.busy, time.Millisecond),
		}
		if n := now.requests - then.requests; now.requests > then.requests && now.waited >= then.waited {
			d.Wait = math.Round(float64(now.waited-then.waited)/float64(n)*10) / 10
		}
		f.Disks[i] = d
	}
	for i, name := range p.Networks {
		if then, ok := a.networks[name]; ok {
			now := b.networks[name]
			f.Networks[i] = signaling.VitalsNet{In: rate(now.in, then.in), Out: rate(now.out, then.out)}
		}
	}
	for i, name := range p.Sensors {
		f.Sensors[i] = b.sensors[name]
	}
	for _, mount := range names(b.volumes) {
		p.Volumes = append(p.Volumes, signaling.VitalVolume{Mount: mount, Bytes: b.volumes[mount].all})
		f.Volumes = append(f.Volumes, b.volumes[mount].used)
	}
	return p, f
}

// names are the parts that are told, in the order in which they are.
func names[T any](m map[string]T) []string {
	all := slices.Sorted(maps.Keys(m))
	return slices.Clone(all[:min(len(all), mostParts)])
}
