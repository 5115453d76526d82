package screen_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"handrail/agent/internal/screen"
	"handrail/agent/internal/screen/screentest"
	"handrail/agent/internal/x11/x11test"
)

func open(t *testing.T, cfg screen.Config) screen.Source {
	t.Helper()
	src, err := screen.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// canvas is what a careful reader of a Source knows of the desktop.
type canvas struct {
	size image.Point
	pix  []byte
}

func newCanvas(size image.Point) *canvas { return &canvas{size, make([]byte, size.X*size.Y*4)} }

func (c *canvas) put(r image.Rectangle, px screen.Pixels) {
	for y := range r.Dy() {
		row := c.pix[((r.Min.Y+y)*c.size.X+r.Min.X)*4:][:r.Dx()*4]
		copy(row, px.Pix[y*px.Stride:])
		for i := 3; i < len(row); i += 4 {
			row[i] = 0 // unused, and not the same each time
		}
	}
}

func (c *canvas) update(t *testing.T, src screen.Source) []image.Rectangle {
	t.Helper()
	damage, err := src.Take(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Grab(damage, c.put); err != nil {
		t.Fatal(err)
	}
	return damage
}

func awaitChange(t *testing.T, src screen.Source) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case <-src.Changed():
	case <-limit.C:
		t.Fatal("nothing changed")
	}
}

// takeUntil takes until it fails, and returns the error.
func takeUntil(t *testing.T, src screen.Source) error {
	t.Helper()
	for range 200 {
		awaitChange(t, src)
		if _, err := src.Take(nil); err != nil {
			return err
		}
	}
	t.Fatal("Take never failed")
	return nil
}

func TestDamageIsAllThatChanged(t *testing.T) {
	for _, size := range []image.Point{{1280, 720}, {641, 363}} {
		t.Run(size.String(), func(t *testing.T) {
			x := screentest.Start(t, fmt.Sprintf("%dx%d", size.X, size.Y))
			pen := x.Pen()
			src := open(t, screen.Config{Display: x.Display})
			known := newCanvas(size)
			if d := known.update(t, src); len(d) != 1 || d[0] != src.Layout().Desktop {
				t.Fatalf("first damage is %v, want the desktop", d)
			}
			rng := rand.New(rand.NewPCG(3, uint64(size.X)))
			for round := range 60 {
				drawn := 0
				for range 1 + rng.IntN(30) {
					a := image.Pt(rng.IntN(size.X), rng.IntN(size.Y))
					r := image.Rect(a.X, a.Y, a.X+1+rng.IntN(200), a.Y+1+rng.IntN(90)).Intersect(image.Rectangle{Max: size})
					if rng.IntN(8) == 0 {
						pen.Scroll(image.Rectangle{Max: size}, 1+rng.IntN(50))
						drawn = size.X * size.Y
						continue
					}
					pen.Fill(r, rng.Uint32()&0xffffff)
					drawn += r.Dx() * r.Dy()
				}
				pen.Sync()
				awaitChange(t, src)
				damage := known.update(t, src)
				read := 0
				for i, r := range damage {
					read += r.Dx() * r.Dy()
					for _, o := range damage[i+1:] {
						if r.Overlaps(o) {
							t.Errorf("round %d: %v and %v overlap", round, r, o)
						}
					}
				}
				if read > size.X*size.Y {
					t.Errorf("round %d: %d pixels read of %d", round, read, size.X*size.Y)
				}
				whole := newCanvas(size)
				if err := src.Grab([]image.Rectangle{src.Layout().Desktop}, whole.put); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(known.pix, whole.pix) {
					t.Fatalf("round %d: what was damaged is not all that changed (%v)", round, damage)
				}
			}
		})
	}
}

func TestStillScreenIsSilent(t *testing.T) {
	x := screentest.Start(t, "640x480")
	pen := x.Pen()
	src := open(t, screen.Config{Display: x.Display})
	c := newCanvas(image.Pt(640, 480))
	awaitChange(t, src) // word of the whole desktop, which must not pass for word of what is drawn next
	c.update(t, src)
	pen.Fill(image.Rect(0, 0, 9, 9), 0xffffff)
	pen.Sync()
	awaitChange(t, src)
	c.update(t, src)
	quiet := time.NewTimer(500 * time.Millisecond)
	defer quiet.Stop()
	select {
	case <-src.Changed():
		t.Error("Changed spoke of a still screen")
	case <-quiet.C:
	}
}

func TestResize(t *testing.T) {
	x := screentest.Start(t, "1280x720")
	src := open(t, screen.Config{Display: x.Display})
	newCanvas(image.Pt(1280, 720)).update(t, src)
	x.Resize(800, 600)
	if err := takeUntil(t, src); !errors.Is(err, screen.ErrLayoutChanged) {
		t.Fatalf("Take after a resize: %v, want ErrLayoutChanged", err)
	}
	if got := src.Layout().Desktop; got != image.Rect(0, 0, 800, 600) {
		t.Fatalf("desktop is %v after the resize", got)
	}
	c := newCanvas(image.Pt(800, 600))
	if d := c.update(t, src); len(d) != 1 || d[0] != image.Rect(0, 0, 800, 600) {
		t.Errorf("damage after a resize is %v", d)
	}
}

func TestMonitors(t *testing.T) {
	x := screentest.Start(t, "1280x720")
	src := open(t, screen.Config{Display: x.Display})
	newCanvas(image.Pt(1280, 720)).update(t, src)
	x.Xrandr("--setmonitor", "*left", "639/160x720/180+0+0", "screen")
	x.Xrandr("--setmonitor", "right", "641/160x720/180+639+0", "none")
	for len(src.Layout().Monitors) != 2 {
		if err := takeUntil(t, src); !errors.Is(err, screen.ErrLayoutChanged) {
			t.Fatal(err)
		}
	}
	want := []screen.Monitor{
		{Name: "left", Rect: image.Rect(0, 0, 639, 720), Primary: true},
		{Name: "right", Rect: image.Rect(639, 0, 1280, 720)},
	}
	if got := src.Layout().Monitors; got[0] != want[0] || got[1] != want[1] {
		t.Errorf("monitors are %v, want %v", got, want)
	}
}

func TestServerGone(t *testing.T) {
	// Of its own, or a server of another package's test may come up where this one was.
	x := screentest.Start(t, "640x480", x11test.OwnDisplay())
	src := open(t, screen.Config{Display: x.Display})
	newCanvas(image.Pt(640, 480)).update(t, src)
	x.Kill()
	if err := takeUntil(t, src); !errors.Is(err, screen.ErrLost) {
		t.Errorf("Take without a server: %v, want ErrLost", err)
	}
	if err := src.Grab([]image.Rectangle{{Max: image.Pt(10, 10)}}, func(image.Rectangle, screen.Pixels) {}); !errors.Is(err, screen.ErrLost) {
		t.Errorf("Grab without a server: %v, want ErrLost", err)
	}
	if _, err := screen.Open(screen.Config{Display: x.Display}, slog.New(slog.DiscardHandler)); !errors.Is(err, screen.ErrNoDisplay) {
		t.Errorf("Open without a server: %v, want ErrNoDisplay", err)
	}
}

func TestBadDisplayNames(t *testing.T) {
	for _, name := range []string{"nonsense", ":", ":x", "host:99999999", ":99.1.2.3"} {
		if _, err := screen.Open(screen.Config{Display: name}, slog.New(slog.DiscardHandler)); !errors.Is(err, screen.ErrNoDisplay) {
			t.Errorf("Open(%q) = %v, want ErrNoDisplay", name, err)
		}
	}
}

func TestPortableSeesTheSame(t *testing.T) {
	x := screentest.Start(t, "641x363")
	pen := x.Pen()
	for i := range 40 {
		pen.Fill(image.Rect(i*13, i*7, i*13+50, i*7+30), uint32(i)*0x060301)
	}
	pen.Sync()
	t.Setenv("DISPLAY", x.Display)
	fast, slow := open(t, screen.Config{}), open(t, screen.Config{Portable: true, Poll: 20 * time.Millisecond})
	size := image.Pt(641, 363)
	a, b := newCanvas(size), newCanvas(size)
	a.update(t, fast)
	b.update(t, slow)
	if !bytes.Equal(a.pix, b.pix) {
		t.Fatal("portable and fast capture differ")
	}
	pen.Fill(image.Rect(100, 100, 110, 101), 0xff00ff)
	pen.Sync()
	awaitChange(t, slow)
	awaitChange(t, fast)
	a.update(t, fast)
	if d := b.update(t, slow); len(d) != 1 || d[0].Dy() > 32 {
		t.Errorf("portable damage is %v", d)
	}
	if !bytes.Equal(a.pix, b.pix) {
		t.Error("portable and fast capture differ after a change")
	}
}
