package vitals_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"handrail/agent/internal/vitals"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// viewer is the other end of a tool's channel.
type viewer struct {
	in   chan tool.Message
	out  chan signaling.Envelope
	done chan struct{}
	note chan string
}

func newViewer(t *testing.T) *viewer {
	v := &viewer{in: make(chan tool.Message, 16), out: make(chan signaling.Envelope, 1024), done: make(chan struct{}), note: make(chan string, 16)}
	t.Cleanup(func() {
		select {
		case <-v.done:
		default:
			close(v.done)
		}
	})
	return v
}

func (v *viewer) Recv(ctx context.Context) (tool.Message, error) {
	select {
	case m := <-v.in:
		return m, nil
	case <-v.done:
		return tool.Message{}, tool.ErrClosed
	case <-ctx.Done():
		return tool.Message{}, ctx.Err()
	}
}

func (v *viewer) Send(ctx context.Context, m tool.Message) error {
	e, err := signaling.Decode(m.Data, signaling.FromHelper)
	if err != nil {
		return err
	}
	select {
	case v.out <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *viewer) Note(what string) { v.note <- what }

func (v *viewer) Session() signaling.SessionID { return "ses_1" }

func (v *viewer) Operator() string { return "Ada" }

func (v *viewer) May(signaling.Capability) bool { return true }

func (v *viewer) Require(signaling.Capability) error { return nil }

func (v *viewer) say(text string) { v.in <- tool.Message{Text: true, Data: []byte(text)} }

func (v *viewer) next(t *testing.T) any {
	t.Helper()
	select {
	case e := <-v.out:
		return e.Body
	case <-time.After(time.Minute):
		t.Fatal("nothing comes")
		return nil
	}
}

const watch = `{"v":1,"type":"vitals.watch","body":{"every_ms":1000}}`

// TestOnThisMachine: a processor that is kept busy is seen to be, and what does not move is named
// once.
func TestOnThisMachine(t *testing.T) {
	v := newViewer(t)
	served := make(chan error, 1)
	go func() { served <- vitals.New("/").Serve(t.Context(), v) }()
	var stop atomic.Bool
	defer stop.Store(true)
	for range runtime.NumCPU() {
		go func() {
			for !stop.Load() { // busy is what it is to be
			}
		}()
	}
	v.say(watch)
	parts, ok := v.next(t).(signaling.VitalsParts)
	if !ok || parts.Cores < 1 || parts.MemoryBytes < 1<<26 || len(parts.Volumes) == 0 {
		t.Fatalf("first comes %+v, want what there is", parts)
	}
	busiest := 0
	for range 3 {
		switch f := v.next(t).(type) {
		case signaling.Vitals:
			if len(f.Cores) != parts.Cores || len(f.Volumes) != len(parts.Volumes) || f.MemoryUsed <= 0 || f.MemoryUsed > parts.MemoryBytes {
				t.Errorf("figures %+v do not fit %+v", f, parts)
			}
			for _, n := range f.Cores {
				if n < 0 || n > 1000 {
					t.Errorf("a core is busy for %d thousandths", n)
				}
				busiest = max(busiest, n)
			}
		case signaling.VitalsParts:
			parts = f // an interface came or went: other tests make some
		}
	}
	if busiest < 100 {
		t.Errorf("with every processor kept busy the busiest is so for %d thousandths", busiest)
	}
	v.say(`{"v":1,"type":"vitals.keep","body":{}}`)
	select {
	case line := <-v.note:
		if !strings.HasPrefix(line, "snapshot: processor ") || !strings.Contains(line, " GiB of ") {
			t.Errorf("the record has %q", line)
		}
	case <-time.After(time.Minute):
		t.Error("a snapshot is not in the record")
	}
	close(v.done)
	if err := <-served; err != nil && !strings.Contains(err.Error(), "closed") {
		t.Errorf("a viewer that leaves ends the tool with %v", err)
	}
}

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, text := range map[string]string{
		"too often": `{"v":1,"type":"vitals.watch","body":{"every_ms":1}}`, "another's": `{"v":1,"type":"ping","body":{"t":1}}`, "nonsense": `{`,
	} {
		t.Run(name, func(t *testing.T) {
			v := newViewer(t)
			v.say(text)
			if err := vitals.New("/").Serve(t.Context(), v); err == nil {
				t.Error("taken")
			}
		})
	}
}

// TestMachineThatTellsNothing: without figures there are words, and no zeros that look like an idle
// machine.
func TestMachineThatTellsNothing(t *testing.T) {
	v := newViewer(t)
	v.say(watch)
	if err := vitals.New(t.TempDir()).Serve(t.Context(), v); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("Serve = %v", err)
	}
}

// TestParts: a laptop of files.
func TestParts(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/stat":                            "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\nintr 1\n",
		"proc/loadavg":                         "0.50 1.25 2.00 1/200 3000\n",
		"proc/meminfo":                         "MemTotal: 8000000 kB\nMemFree: 1000000 kB\nMemAvailable: 6000000 kB\nSwapTotal: 2000000 kB\nSwapFree: 1500000 kB\n",
		"proc/pressure/cpu":                    "some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/diskstats":                       " 259 0 nvme0n1 10 0 2000 5 20 0 4000 15 0 12 20\n 259 1 nvme0n1p1 1 0 2 3 4 5 6 7 8 9 10\n 7 0 loop0 1 0 2 3 4 5 6 7 8 9 10\n",
		"proc/net/dev":                         "Inter-|   Receive  |  Transmit\n face |bytes    packets\n    lo: 1 2 3 4 5 6 7 8 9 10\n  eth0: 1000 2 0 0 0 0 0 0 5000 6 0 0 0 0 0 0\n",
		"proc/self/mounts":                     "/dev/nvme0n1p1 / ext4 rw 0 0\n/dev/nvme0n1p1 /var/lib/x ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n",
		"sys/block/nvme0n1/size":               "1\n",
		"sys/class/hwmon/hwmon0/name":          "k10temp\n",
		"sys/class/hwmon/hwmon0/temp1_input":   "41500\n",
		"sys/class/hwmon/hwmon0/temp1_label":   "Tctl\n",
		"sys/class/power_supply/BAT0/capacity": "83\n",
		"sys/class/power_supply/BAT0/status":   "Charging\n",
		"sys/class/power_supply/AC/online":     "1\n",
		"sys/class/thermal/thermal_zone0/temp": "30000\n",
		"sys/class/thermal/thermal_zone0/type": "acpitz\n",
		"sys/class/hwmon/hwmon0/temp2_input":   "bad\n",
		"sys/class/hwmon/hwmon1/temp1_input":   "36000\n",
		"sys/class/hwmon/hwmon1/name":          "nvme\n",
		"sys/class/power_supply/BAT1/capacity": "10\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := newViewer(t)
	go func() { _ = vitals.New(root).Serve(t.Context(), v) }()
	v.say(watch)
	parts, _ := v.next(t).(signaling.VitalsParts)
	want := signaling.VitalsParts{
		Cores: 2, MemoryBytes: 8000000 << 10, SwapBytes: 2000000 << 10, Disks: []string{"nvme0n1"}, Networks: []string{"eth0"},
		Sensors: []string{"k10temp Tctl", "nvme temp1"}, Pressure: true, Battery: true,
	}
	if len(parts.Volumes) != 1 || parts.Volumes[0].Mount != "/" || parts.Volumes[0].Bytes == 0 {
		t.Errorf("volumes %+v, want the root once", parts.Volumes)
	}
	parts.Volumes = nil
	if !reflect.DeepEqual(parts, want) {
		t.Errorf("parts\n %+v\nwant\n %+v", parts, want)
	}
	f, _ := v.next(t).(signaling.Vitals)
	if f.MemoryUsed != 2000000<<10 || f.SwapUsed != 500000<<10 || !slices.Equal(f.Load, []float64{0.5, 1.25, 2}) || f.Sensors[0] != 41.5 ||
		f.Battery == nil || *f.Battery != (signaling.VitalBattery{Charge: 83, Charging: true}) || f.Cores[0] != 0 {
		t.Errorf("figures %+v", f)
	}
}
