//go:build cgo

package picture_test

// The figures of the picture path. One at a time, quick:
//
//	go test ./agent/internal/picture -run '^$' -bench 'CaptureFull|CaptureSmall|EncodeSmall'
//	go test ./agent/internal/picture -run '^$' -bench Scroll -benchtime 1x    (10 s)
//	go test ./agent/internal/picture -run '^$' -bench Static -benchtime 1x    (10 s)
//
// p50-ms and p95-ms are what a single picture takes.

import (
	"context"
	"image"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"handrail/agent/internal/codec"
	"handrail/agent/internal/codec/codectest"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/pixel"
	"handrail/agent/internal/screen"
	"handrail/agent/internal/screen/screentest"
)

// spread reports the median and the 95th percentile of some times.
func spread(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.95), "p95-ms")
	b.ReportMetric(0, "ns/op")
}

func benchCapture(b *testing.B, r image.Rectangle) {
	x := screentest.Start(b, "1920x1080")
	pen := x.Pen()
	src, err := screen.Open(screen.Config{Display: x.Display}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	frame := pixel.NewI420(1920, 1080)
	noise := make([]byte, r.Dx()*r.Dy()*4)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	var damage []image.Rectangle
	look := func() {
		if damage, err = src.Take(damage[:0]); err == nil {
			for i, r := range damage {
				damage[i] = pixel.Even(r, frame.Bounds())
			}
			err = src.Grab(damage, func(r image.Rectangle, px screen.Pixels) {
				if err := frame.FromBGRX(r, px.Pix, px.Stride); err != nil {
					b.Fatal(err)
				}
			})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	look()
	took := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	for b.Loop() {
		pen.Put(r, noise)
		pen.Sync()
		start := time.Now()
		look()
		took = append(took, time.Since(start))
	}
	spread(b, took)
}

// BenchmarkCaptureFull is capture_full_ms: reading and converting 1920x1080 that changed.
func BenchmarkCaptureFull(b *testing.B) { benchCapture(b, image.Rect(0, 0, 1920, 1080)) }

// BenchmarkCaptureSmall is capture_small_ms: the same of 400x300.
func BenchmarkCaptureSmall(b *testing.B) { benchCapture(b, image.Rect(700, 401, 1100, 701)) }

// BenchmarkEncodeSmall is encode_small_ms: new text in 400x300 of 1920x1080.
func BenchmarkEncodeSmall(b *testing.B) {
	s := codectest.NewScreen(1920, 1080, 1)
	enc, err := codec.New(codec.Config{Width: 1920, Height: 1080})
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	damage := codec.NewBlocks(1920, 1080)
	now := time.Unix(1000, 0)
	if _, err := enc.Encode(s.I420, damage, codec.Request{At: now}); err != nil {
		b.Fatal(err)
	}
	r := image.Rect(700, 400, 1100, 700)
	took := make([]time.Duration, 0, b.N)
	bytes := 0
	for b.Loop() {
		s.Text(r)
		damage.Mark(r)
		now = now.Add(time.Second / 4)
		start := time.Now()
		p, err := enc.Encode(s.I420, damage, codec.Request{At: now})
		took = append(took, time.Since(start))
		if err != nil {
			b.Fatal(err)
		}
		bytes += len(p.Data)
	}
	spread(b, took)
	b.ReportMetric(float64(bytes)/float64(len(took)), "bytes/picture")
}

// BenchmarkEncodeKey is a key picture of a full screen of text.
func BenchmarkEncodeKey(b *testing.B) {
	s := codectest.NewScreen(1920, 1080, 1)
	enc, err := codec.New(codec.Config{Width: 1920, Height: 1080})
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	damage := codec.NewBlocks(1920, 1080)
	now := time.Unix(1000, 0)
	var took []time.Duration
	var last codec.Packet
	for b.Loop() {
		now = now.Add(time.Second)
		start := time.Now()
		if last, err = enc.Encode(s.I420, damage, codec.Request{At: now, Key: true}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	spread(b, took)
	b.ReportMetric(float64(len(last.Data)), "bytes/picture")
	b.ReportMetric(float64(last.Quantizer), "quantizer")
	seen := codectest.NewDecoder(b).Decode(last.Data)
	b.ReportMetric(codectest.PSNR(s.I420, seen), "dB")
}

// cpuSeconds is what a process has used of the processors so far.
func cpuSeconds(t testing.TB, pid int) float64 {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// measure watches for a while and reports what came and what it cost.
func measure(b *testing.B, x *screentest.Server, cfg picture.WatchConfig, length time.Duration) {
	b.Helper()
	p, _ := run(b, x.Display)
	_, e := watch(b, p, cfg)
	e.wait(b, 1)
	e.settle(b)
	for b.Loop() {
		before := e.count()
		self, server := cpuSeconds(b, os.Getpid()), cpuSeconds(b, x.PID())
		start := time.Now()
		<-time.After(length)
		seconds := time.Since(start).Seconds()
		got := e.all()[before:]
		bytes, q := 0, 0
		var enc, capture, convert []time.Duration
		for _, g := range got {
			bytes += len(g.Data)
			q += g.Quantizer
			enc, capture, convert = append(enc, g.Timings.Encode), append(capture, g.Timings.Capture), append(convert, g.Timings.Convert)
		}
		b.ReportMetric(float64(len(got))/seconds, "frames/s")
		b.ReportMetric(float64(bytes)/seconds/1000, "kB/s")
		b.ReportMetric((cpuSeconds(b, os.Getpid())-self)/seconds*100, "agent-cpu-%")
		b.ReportMetric((cpuSeconds(b, x.PID())-server)/seconds*100, "x-cpu-%")
		if n := len(got); n > 0 {
			slices.Sort(enc)
			slices.Sort(capture)
			slices.Sort(convert)
			b.ReportMetric(float64(q)/float64(n), "quantizer")
			b.ReportMetric(float64(enc[n/2].Microseconds())/1000, "encode-ms")
			b.ReportMetric(float64(enc[n*95/100].Microseconds())/1000, "encode-p95-ms")
			b.ReportMetric(float64(capture[n/2].Microseconds())/1000, "capture-ms")
			b.ReportMetric(float64(convert[n/2].Microseconds())/1000, "convert-ms")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// settle lets the first sharpening pass.
func (e *eye) settle(t testing.TB) {
	t.Helper()
	quiet := time.NewTimer(2 * time.Second)
	<-quiet.C
}

// BenchmarkScroll watches a full screen of text scroll at 25 steps a second.
func BenchmarkScroll(b *testing.B) {
	x := screentest.Start(b, "1920x1080")
	app := filepath.Join(b.TempDir(), "xapp")
	if out, err := exec.Command("go", "build", "-o", app, "handrail/e2e/xapp").CombinedOutput(); err != nil {
		b.Fatalf("build xapp: %v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, app, "-mode", "scroll")
	cmd.Env = append(os.Environ(), "DISPLAY="+x.Display)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	measure(b, x, picture.WatchConfig{}, 10*time.Second)
}

// BenchmarkStatic watches a still screen: no frames, no work.
func BenchmarkStatic(b *testing.B) {
	x := screentest.Start(b, "1920x1080")
	pen := x.Pen()
	pen.Fill(image.Rect(100, 100, 900, 600), 0x3366cc)
	pen.Sync()
	measure(b, x, picture.WatchConfig{}, 10*time.Second)
}
