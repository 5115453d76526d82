// Package screentest starts X servers for tests and benchmarks and draws on them. It is
// imported by tests only.
package screentest

import (
	"fmt"
	"image"
	"strconv"
	"testing"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"

	"handrail/agent/internal/x11/x11test"
)

// Server is an X server of the test's own.
type Server struct {
	*x11test.Server
	t testing.TB
}

// Start starts an Xvfb of a size such as "1920x1080", with further arguments, and stops
// it when the test ends.
func Start(t testing.TB, size string, args ...string) *Server {
	t.Helper()
	return &Server{x11test.StartSize(t, size, args...), t}
}

// Xrandr runs xrandr with arguments.
func (s *Server) Xrandr(args ...string) {
	s.t.Helper()
	s.Run(s.t, "xrandr", args...)
}

// Resize changes the desktop's size, to at most what the server started with.
func (s *Server) Resize(w, h int) {
	s.t.Helper()
	mode := fmt.Sprintf("%dx%d-test", w, h)
	args := []string{"--newmode", mode, "30"}
	for _, side := range []int{w, h} {
		for i := range 4 {
			args = append(args, strconv.Itoa(side+8*i))
		}
	}
	s.Xrandr(args...)
	s.Xrandr("--addmode", "screen", mode)
	s.Xrandr("--output", "screen", "--mode", mode)
}

// Pen draws on a server, on a window that covers the whole desktop.
type Pen struct {
	t    testing.TB
	c    *xgb.Conn
	win  xproto.Window
	gc   xproto.Gcontext
	Size image.Point
}

// Pen connects to the server and opens its window.
func (s *Server) Pen() *Pen {
	s.t.Helper()
	c, err := xgb.NewConnDisplay(s.Display)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	scr := xproto.Setup(c).DefaultScreen(c)
	geo, err := xproto.GetGeometry(c, xproto.Drawable(scr.Root)).Reply()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &Pen{t: s.t, c: c, Size: image.Pt(int(geo.Width), int(geo.Height))}
	if p.win, err = xproto.NewWindowId(c); err != nil {
		s.t.Fatal(err)
	}
	xproto.CreateWindow(c, scr.RootDepth, p.win, scr.Root, 0, 0, geo.Width, geo.Height, 0,
		xproto.WindowClassInputOutput, scr.RootVisual, xproto.CwBackPixel|xproto.CwOverrideRedirect, []uint32{0x203040, 1})
	xproto.MapWindow(c, p.win)
	if p.gc, err = xproto.NewGcontextId(c); err != nil {
		s.t.Fatal(err)
	}
	xproto.CreateGC(c, p.gc, xproto.Drawable(p.win), xproto.GcGraphicsExposures, []uint32{0})
	p.Sync()
	return p
}

// Fill paints a rectangle in a colour 0xRRGGBB.
func (p *Pen) Fill(r image.Rectangle, rgb uint32) {
	xproto.ChangeGC(p.c, p.gc, xproto.GcForeground, []uint32{rgb})
	xproto.PolyFillRectangle(p.c, xproto.Drawable(p.win), p.gc, []xproto.Rectangle{{
		X: int16(r.Min.X), Y: int16(r.Min.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy()),
	}})
}

// Put paints pixels of 4 bytes each (blue, green, red, unused) into a rectangle.
func (p *Pen) Put(r image.Rectangle, bgrx []byte) {
	const most = 200_000 // a request is at most 256 KiB
	rows := max(1, most/(4*r.Dx()))
	for y := 0; y < r.Dy(); y += rows {
		n := min(rows, r.Dy()-y)
		xproto.PutImage(p.c, xproto.ImageFormatZPixmap, xproto.Drawable(p.win), p.gc, uint16(r.Dx()), uint16(n),
			int16(r.Min.X), int16(r.Min.Y+y), 0, 24, bgrx[y*r.Dx()*4:(y+n)*r.Dx()*4])
	}
}

// Scroll moves the rectangle's contents up by dy pixels; the rows left behind keep theirs.
func (p *Pen) Scroll(r image.Rectangle, dy int) {
	xproto.CopyArea(p.c, xproto.Drawable(p.win), xproto.Drawable(p.win), p.gc, int16(r.Min.X), int16(r.Min.Y+dy),
		int16(r.Min.X), int16(r.Min.Y), uint16(r.Dx()), uint16(r.Dy()-dy))
}

// Sync waits until all of it is on the screen.
func (p *Pen) Sync() {
	p.t.Helper()
	if _, err := xproto.GetInputFocus(p.c).Reply(); err != nil {
		p.t.Fatal(err)
	}
}
