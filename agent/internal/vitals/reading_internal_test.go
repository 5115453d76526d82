package vitals

import (
	"testing"
	"time"

	"handrail/signaling"
)

// TestBetween: what happened is told a second, and a counter that began anew tells nothing.
func TestBetween(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	a := reading{
		at: at, cores: []ticks{{busy: 100, all: 1000}}, pressure: &stalls{cpu: 0},
		disks:    map[string]disk{"sda": {read: 1000, written: 0, requests: 10, waited: 100, busy: 50}, "sdb": {read: 1 << 40, requests: 99}},
		networks: map[string]network{"eth0": {in: 100, out: 1 << 40}},
	}
	b := reading{
		at: at.Add(2 * time.Second), cores: []ticks{{busy: 150, all: 1200}, {busy: 9, all: 9}}, pressure: &stalls{cpu: 500_000},
		disks:    map[string]disk{"sda": {read: 5000, written: 2048, requests: 14, waited: 130, busy: 1050}, "sdb": {read: 5, requests: 1}, "sdc": {read: 7}},
		networks: map[string]network{"eth0": {in: 300, out: 5}},
	}
	p, f := between(a, b)
	if p.Cores != 2 || f.Cores[0] != 250 || f.Cores[1] != 0 {
		t.Errorf("cores %v", f.Cores)
	}
	if want := (signaling.VitalsDisk{Read: 2000, Write: 1024, Busy: 500, Wait: 7.5}); f.Disks[0] != want {
		t.Errorf("sda %+v, want %+v", f.Disks[0], want)
	}
	if f.Disks[1] != (signaling.VitalsDisk{}) || f.Disks[2] != (signaling.VitalsDisk{}) {
		t.Errorf("disks that were changed or are new: %+v", f.Disks[1:])
	}
	if want := (signaling.VitalsNet{In: 100}); f.Networks[0] != want {
		t.Errorf("eth0 %+v, want %+v", f.Networks[0], want)
	}
	if f.Pressure == nil || f.Pressure.CPU != 250 {
		t.Errorf("pressure %+v", f.Pressure)
	}
	if _, f := between(b, b); f.Disks[0].Read != 0 || f.Pressure.CPU != 0 {
		t.Errorf("in no time: %+v", f)
	}
}

func BenchmarkReading(b *testing.B) {
	r := newReader("/")
	for b.Loop() {
		if _, err := r.read(); err != nil {
			b.Fatal(err)
		}
	}
}
