//go:build cgo

package picture_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handrail/agent/internal/codec/codectest"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/pixel"
	"handrail/agent/internal/screen"
	"handrail/agent/internal/screen/screentest"
	"handrail/agent/internal/x11/x11test"
	"handrail/signaling"
)

// eye is a viewer: it keeps what it was given.
type eye struct {
	mu   sync.Mutex
	got  []picture.Encoded
	news chan struct{}
}

func newEye() *eye { return &eye{news: make(chan struct{}, 1)} }

func (e *eye) sink(p picture.Encoded) {
	p.Data = append([]byte(nil), p.Data...)
	e.mu.Lock()
	e.got = append(e.got, p)
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

func (e *eye) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.got)
}

func (e *eye) all() []picture.Encoded {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]picture.Encoded(nil), e.got...)
}

// wait waits until the eye has seen n pictures, and returns that one.
func (e *eye) wait(t testing.TB, n int) picture.Encoded {
	t.Helper()
	return e.find(t, n-1, func(picture.Encoded) bool { return true })
}

// find waits for the first picture that match takes, of those behind the first n.
func (e *eye) find(t testing.TB, n int, match func(picture.Encoded) bool) picture.Encoded {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		for all := e.all(); n < len(all); n++ {
			if match(all[n]) {
				return all[n]
			}
		}
		select {
		case <-e.news:
		case <-limit.C:
			t.Fatalf("%d pictures came, none of them the one awaited", e.count())
		}
	}
}

// rest waits until no picture has come for a second.
func (e *eye) rest(t testing.TB) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		quiet := time.NewTimer(time.Second)
		select {
		case <-e.news:
			quiet.Stop()
		case <-quiet.C:
			return
		case <-limit.C:
			t.Fatal("pictures keep coming from a still screen")
		}
	}
}

type states chan picture.State

func (s states) wait(t testing.TB, want signaling.PictureState) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case got := <-s:
			if got.Picture == want {
				return
			}
		case <-limit.C:
			t.Fatalf("picture is not %s", want)
		}
	}
}

// run starts a Picture of a display and stops it when the test ends.
func run(t testing.TB, display string) (*picture.Picture, states) {
	t.Helper()
	st := make(states, 100)
	p, err := picture.New(picture.Config{
		Screen:  screen.Config{Display: display},
		OnState: func(s picture.State) { st <- s },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p, st
}

func watch(t testing.TB, p *picture.Picture, cfg picture.WatchConfig) (*picture.Watcher, *eye) {
	t.Helper()
	e := newEye()
	cfg.Sink = e.sink
	w, err := p.Watch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w, e
}

func TestFirstPictureThenOnlyChanges(t *testing.T) {
	x := screentest.Start(t, "1280x720")
	pen := x.Pen()
	p, _ := run(t, x.Display)
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, e := watch(t, p, picture.WatchConfig{})
	first := e.wait(t, 1)
	if !first.Key || first.Width != 1280 || first.Height != 720 {
		t.Fatalf("first picture: key %v, %dx%d", first.Key, first.Width, first.Height)
	}
	e.rest(t)
	n := e.count()
	pen.Fill(image.Rect(100, 100, 300, 200), 0xff0000)
	pen.Sync()
	if got := e.wait(t, n+1); got.Key {
		t.Error("a change made a key picture")
	}
	e.rest(t)
	n = e.count()
	e.rest(t)
	if got := e.count(); got != n {
		t.Errorf("%d pictures of a still screen", got-n)
	}
}

// shown decodes everything an eye was given and returns the last picture.
func shown(t *testing.T, e *eye) *pixel.I420 {
	t.Helper()
	dec := codectest.NewDecoder(t)
	var last *pixel.I420
	for _, p := range e.all() {
		if last = dec.Decode(p.Data); last.Width != p.Width || last.Height != p.Height {
			t.Fatalf("picture is %dx%d, said to be %dx%d", last.Width, last.Height, p.Width, p.Height)
		}
	}
	return last
}

// truth is what the display shows in r.
func truth(t *testing.T, display string, r image.Rectangle) *pixel.I420 {
	t.Helper()
	src, err := screen.Open(screen.Config{Display: display}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	want := pixel.NewI420(r.Dx(), r.Dy())
	if err := src.Grab([]image.Rectangle{r}, func(_ image.Rectangle, px screen.Pixels) {
		if err := want.FromBGRX(want.Bounds(), px.Pix, px.Stride); err != nil {
			t.Fatal(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return want
}

func alike(t *testing.T, what string, got, want *pixel.I420) {
	t.Helper()
	if y, c := codectest.PSNR(want, got), codectest.ChromaPSNR(want, got); y < 36 || c < 34 {
		t.Errorf("%s: luma %.1f dB, chroma %.1f dB off the screen", what, y, c)
	}
}

func TestWhatIsSeenIsWhatIsThere(t *testing.T) {
	for _, size := range []image.Point{{1280, 720}, {733, 457}} {
		t.Run(size.String(), func(t *testing.T) {
			x := screentest.Start(t, fmt.Sprintf("%dx%d", size.X, size.Y))
			pen := x.Pen()
			p, _ := run(t, x.Display)
			_, e := watch(t, p, picture.WatchConfig{})
			e.wait(t, 1)
			rng := rand.New(rand.NewPCG(1, uint64(size.X)))
			for range 40 {
				n := e.count()
				if rng.IntN(3) == 0 {
					pen.Scroll(image.Rectangle{Max: size}, 1+rng.IntN(60))
				}
				for range 5 {
					a := image.Pt(rng.IntN(size.X), rng.IntN(size.Y))
					pen.Fill(image.Rectangle{a, a.Add(image.Pt(1+rng.IntN(90), 1+rng.IntN(40)))}, rng.Uint32()&0xffffff)
				}
				pen.Sync()
				e.wait(t, n+1)
			}
			e.rest(t)
			alike(t, "at rest", shown(t, e), truth(t, x.Display, image.Rectangle{Max: size}))
		})
	}
}

func TestMonitorIsEachWatchersOwn(t *testing.T) {
	x := screentest.Start(t, "1280x720")
	pen := x.Pen()
	p, _ := run(t, x.Display)
	left, right := image.Rect(0, 0, 639, 720), image.Rect(639, 0, 1280, 720)
	p.SetMonitors([]signaling.Monitor{
		{ID: 4, Name: "left", Width: 639, Height: 720},
		{ID: 9, Name: "right", X: 639, Width: 641, Height: 720},
	})
	_, whole := watch(t, p, picture.WatchConfig{})
	w, one := watch(t, p, picture.WatchConfig{Monitor: 4})
	_, lost := watch(t, p, picture.WatchConfig{Monitor: 77}) // not there: the whole desktop
	pen.Fill(image.Rect(600, 100, 700, 300), 0xff8800)
	pen.Sync()
	for e, want := range map[*eye]image.Rectangle{whole: image.Rect(0, 0, 1280, 720), one: left, lost: image.Rect(0, 0, 1280, 720)} {
		e.wait(t, 1)
		e.rest(t)
		if got := shown(t, e); got.Bounds().Size() != want.Size() {
			t.Fatalf("seen %v, want %v", got.Bounds(), want)
		}
		alike(t, want.String(), shown(t, e), truth(t, x.Display, want))
	}
	n := one.count()
	w.SelectMonitor(9)
	if first := one.find(t, n, func(p picture.Encoded) bool { return p.Width == 641 }); !first.Key {
		t.Error("the first picture after a switch is no key picture")
	}
	one.rest(t)
	alike(t, "right monitor", shown(t, one), truth(t, x.Display, right))
}

func TestServerRestartAndResize(t *testing.T) {
	x := screentest.Start(t, "1024x768", x11test.OwnDisplay())
	x.Pen()
	p, st := run(t, x.Display)
	_, e := watch(t, p, picture.WatchConfig{})
	e.wait(t, 1)
	st.wait(t, signaling.PictureOK)
	for range 2 {
		x.Kill()
		st.wait(t, signaling.PictureNoDisplay)
		n := e.count()
		if err := p.Probe(t.Context()); !errors.Is(err, screen.ErrNoDisplay) {
			t.Errorf("Probe without a display: %v", err)
		}
		x.StartAgain(t)
		st.wait(t, signaling.PictureOK)
		if got := e.wait(t, n+1); !got.Key {
			t.Error("the first picture of a new server is no key picture")
		}
	}
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("Probe: %v", err)
	}
	e.rest(t)
	n := e.count()
	x.Resize(801, 603)
	if got := e.find(t, n, func(p picture.Encoded) bool { return p.Width != 1024 }); !got.Key || got.Width != 801 || got.Height != 603 {
		t.Errorf("after a resize: key %v, %dx%d", got.Key, got.Width, got.Height)
	}
}

func TestNoDisplayAtFirst(t *testing.T) {
	x := screentest.Start(t, "640x480", x11test.OwnDisplay())
	x.Kill()
	p, st := run(t, x.Display)
	_, e := watch(t, p, picture.WatchConfig{})
	st.wait(t, signaling.PictureNoDisplay)
	x.StartAgain(t)
	if got := e.wait(t, 1); !got.Key {
		t.Error("the first picture is no key picture")
	}
}

func TestSlowViewerSlowsNobody(t *testing.T) {
	x := screentest.Start(t, "640x480")
	pen := x.Pen()
	p, _ := run(t, x.Display)
	var ready atomic.Bool
	ready.Store(true)
	slow, slowEye := watch(t, p, picture.WatchConfig{Ready: ready.Load})
	var seq atomic.Uint32
	_, quick := watch(t, p, picture.WatchConfig{InputSeq: seq.Load})
	slowEye.wait(t, 1)
	quick.wait(t, 1)
	quick.rest(t)
	ready.Store(false)
	before := slowEye.count()
	for i := range 10 {
		n := quick.count()
		seq.Store(uint32(100 + i))
		pen.Fill(image.Rect(i*20, 0, i*20+10, 100), 0xffff00)
		pen.Sync()
		quick.find(t, n, func(p picture.Encoded) bool { return p.InputSeq == uint32(100+i) })
	}
	if n := slowEye.count(); n != before {
		t.Errorf("%d pictures for a viewer that was not ready", n-before)
	}
	ready.Store(true)
	slow.Wake()
	if got := slowEye.wait(t, before+1); !got.Key {
		t.Error("a viewer that missed pictures goes on without a key picture")
	}
	slowEye.rest(t)
	alike(t, "slow viewer", shown(t, slowEye), truth(t, x.Display, image.Rect(0, 0, 640, 480)))
	// Alone and not ready: nothing is encoded, and it comes when ready again.
	slow.SetTier("sharp")
	slowEye.rest(t)
	ready.Store(false)
	before = slowEye.count()
	pen.Fill(image.Rect(0, 200, 640, 300), 0x00ffff)
	pen.Sync()
	quick.rest(t)
	ready.Store(true)
	if got := slowEye.wait(t, before+1); got.Key {
		t.Error("a key picture for a viewer that missed none")
	}
	slowEye.rest(t)
	alike(t, "slow viewer alone", shown(t, slowEye), truth(t, x.Display, image.Rect(0, 0, 640, 480)))
}

func TestKeyframesOnDemandAreLimited(t *testing.T) {
	x := screentest.Start(t, "640x480")
	x.Pen()
	p, _ := run(t, x.Display)
	w, e := watch(t, p, picture.WatchConfig{})
	e.wait(t, 1)
	e.rest(t)
	n := e.count()
	for range 20 {
		w.RequestKeyframe()
	}
	if got := e.wait(t, n+1); !got.Key {
		t.Error("no key picture on demand")
	}
	e.rest(t)
	keys := 0
	for _, g := range e.all()[n:] {
		if g.Key {
			keys++
		}
	}
	if keys > 2 {
		t.Errorf("%d key pictures for requests at once", keys)
	}
}

func TestTierIsItsOwnStream(t *testing.T) {
	x := screentest.Start(t, "640x480")
	pen := x.Pen()
	p, _ := run(t, x.Display)
	a, ea := watch(t, p, picture.WatchConfig{})
	b, eb := watch(t, p, picture.WatchConfig{Tier: "saver"})
	ea.wait(t, 1)
	eb.wait(t, 1)
	if ta, tb := a.Target(), b.Target(); ta.Tier == tb.Tier || tb.FPS > 10 {
		t.Errorf("targets %+v and %+v", ta, tb)
	}
	n, m := ea.count(), eb.count()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ea.count()-n < 60; i++ {
		<-tick.C
		pen.Fill(image.Rect(i%600, 10, i%600+20, 60), uint32(i)*0x010503)
		pen.Sync()
	}
	took, saver := time.Since(began).Seconds(), eb.count()-m
	if took < 1.6 || float64(saver) > 10*took+10 {
		t.Errorf("in %.1f s 60 pictures at 30 a second, %d at 10", took, saver)
	}
	ea.rest(t)
	eb.rest(t)
	want := truth(t, x.Display, image.Rect(0, 0, 640, 480))
	alike(t, "full", shown(t, ea), want)
	alike(t, "saver", shown(t, eb), want)
}

func TestNothingAfterClose(t *testing.T) {
	x := screentest.Start(t, "640x480")
	pen := x.Pen()
	p, _ := run(t, x.Display)
	for range 5 {
		var closed atomic.Bool
		first := make(chan struct{})
		var once sync.Once
		w, err := p.Watch(picture.WatchConfig{Sink: func(picture.Encoded) {
			if closed.Load() {
				t.Error("a picture after Close")
			}
			once.Do(func() { close(first) })
		}})
		if err != nil {
			t.Fatal(err)
		}
		<-first
		pen.Fill(image.Rect(0, 0, 100, 100), 0x123456)
		pen.Sync()
		w.Close()
		closed.Store(true)
	}
}

func TestAfterRun(t *testing.T) {
	p, err := picture.New(picture.Config{Screen: screen.Config{Display: ":nope"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	if err := p.Probe(t.Context()); !errors.Is(err, picture.ErrStopped) {
		t.Errorf("Probe = %v, want ErrStopped", err)
	}
	if _, err := p.Watch(picture.WatchConfig{Sink: func(picture.Encoded) {}}); !errors.Is(err, picture.ErrStopped) {
		t.Errorf("Watch = %v, want ErrStopped", err)
	}
}
