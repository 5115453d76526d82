package picture_test

import (
	"context"
	"image"
	"log/slog"
	"sync"
	"testing"
	"time"

	"handrail/agent/internal/picture"
	"handrail/agent/internal/screen"
	"handrail/agent/internal/screen/screentest"
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

// wait waits until the eye has seen n pictures, and returns the last.
func (e *eye) wait(t testing.TB, n int) picture.Encoded {
	t.Helper()
	limit := time.NewTimer(15 * time.Second)
	defer limit.Stop()
	for {
		e.mu.Lock()
		if len(e.got) >= n {
			last := e.got[len(e.got)-1]
			e.mu.Unlock()
			return last
		}
		e.mu.Unlock()
		select {
		case <-e.news:
		case <-limit.C:
			t.Fatalf("%d pictures came, wanted %d", e.count(), n)
		}
	}
}

// rest waits until no picture has come for a second.
func (e *eye) rest(t testing.TB) {
	t.Helper()
	limit := time.NewTimer(30 * time.Second)
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
	limit := time.NewTimer(20 * time.Second)
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
