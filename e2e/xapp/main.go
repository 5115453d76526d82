// Command xapp is a program on the remote desktop that tests and benchmarks can reason
// about: it shows a colour that changes with every key and click, or text that scrolls at a
// fixed rate, and it writes the time of every change into the picture itself.
//
// The stamp is a row of 34 blocks of 16x16 pixels in the window's top left corner: white,
// black, then 32 bits, most significant first (white is 1): the low 32 bits of Unix milliseconds at the moment of drawing.
// It survives lossy coding, and a browser on the same machine reads it against its own clock.
// What it does is also said on standard output, a JSON line an event.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// stampBlock is the side of one block of the stamp in pixels: a VP8 macroblock, aligned to
// its grid, so that no other picture content bleeds into it.
const stampBlock = 16

func main() {
	mode := flag.String("mode", "flash", "flash: a colour per key or click; scroll: a screen of text moving up")
	x := flag.Int("x", 0, "left edge in pixels")
	y := flag.Int("y", 0, "top edge in pixels")
	w := flag.Int("w", 1920, "width in pixels")
	h := flag.Int("h", 1080, "height in pixels")
	rate := flag.Float64("rate", 25, "scroll steps a second")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	a, err := open(*x, *y, *w, *h)
	if err == nil {
		switch *mode {
		case "flash":
			err = a.flash(ctx)
		case "scroll":
			err = a.scroll(ctx, time.Duration(float64(time.Second) / *rate))
		default:
			err = fmt.Errorf("mode %q: want flash or scroll", *mode)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "xapp:", err)
		os.Exit(1)
	}
}

// app is one window on the display named by DISPLAY.
type app struct {
	conn          *xgb.Conn
	win           xproto.Window
	ink           xproto.Gcontext // colour set before each use
	text          xproto.Gcontext // black on white, font "fixed"
	width, height uint16
}

func open(x, y, w, h int) (*app, error) {
	conn, err := xgb.NewConn()
	if err != nil {
		return nil, err
	}
	screen := xproto.Setup(conn).DefaultScreen(conn)
	a := &app{conn: conn, width: uint16(w), height: uint16(h)}
	if a.win, err = xproto.NewWindowId(conn); err != nil {
		return nil, err
	}
	// Override-redirect: no window manager moves, decorates or focuses it.
	err = xproto.CreateWindowChecked(conn, screen.RootDepth, a.win, screen.Root, int16(x), int16(y), a.width, a.height, 0,
		xproto.WindowClassInputOutput, screen.RootVisual, xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask,
		[]uint32{0xffffff, 1, xproto.EventMaskKeyPress | xproto.EventMaskKeyRelease | xproto.EventMaskButtonPress |
			xproto.EventMaskButtonRelease | xproto.EventMaskExposure}).Check()
	if err != nil {
		return nil, err
	}
	font, err := xproto.NewFontId(conn)
	if err != nil {
		return nil, err
	}
	if err := xproto.OpenFontChecked(conn, font, 5, "fixed").Check(); err != nil {
		return nil, err
	}
	for _, gc := range []*xproto.Gcontext{&a.ink, &a.text} {
		if *gc, err = xproto.NewGcontextId(conn); err != nil {
			return nil, err
		}
		xproto.CreateGC(conn, *gc, xproto.Drawable(a.win), xproto.GcForeground|xproto.GcBackground|xproto.GcFont|xproto.GcGraphicsExposures,
			[]uint32{0x101010, 0xffffff, uint32(font), 0})
	}
	if err := xproto.MapWindowChecked(conn, a.win).Check(); err != nil {
		return nil, err
	}
	a.say("ready", 0)
	return a, nil
}

// say prints one event as JSON: what happened, its detail, and when in Unix milliseconds.
func (a *app) say(event string, detail int) {
	b, err := json.Marshal(map[string]any{"event": event, "detail": detail, "at_ms": time.Now().UnixMilli()})
	if err == nil {
		fmt.Fprintln(os.Stdout, string(b))
	}
}

func (a *app) fill(colour uint32, x, y int16, w, h uint16) {
	xproto.ChangeGC(a.conn, a.ink, xproto.GcForeground, []uint32{colour})
	xproto.PolyFillRectangle(a.conn, xproto.Drawable(a.win), a.ink, []xproto.Rectangle{{X: x, Y: y, Width: w, Height: h}})
}

// stamp draws the present moment.
func (a *app) stamp() {
	ms := uint32(time.Now().UnixMilli())
	var white, black []xproto.Rectangle
	for i := range 34 {
		r := xproto.Rectangle{X: int16(i * stampBlock), Width: stampBlock, Height: stampBlock}
		if i == 0 || i > 1 && ms>>(33-i)&1 == 1 {
			white = append(white, r)
		} else {
			black = append(black, r)
		}
	}
	xproto.ChangeGC(a.conn, a.ink, xproto.GcForeground, []uint32{0xffffff})
	xproto.PolyFillRectangle(a.conn, xproto.Drawable(a.win), a.ink, white)
	xproto.ChangeGC(a.conn, a.ink, xproto.GcForeground, []uint32{0})
	xproto.PolyFillRectangle(a.conn, xproto.Drawable(a.win), a.ink, black)
}

// flash paints the window in the next of a few strong colours at every key or button press.
func (a *app) flash(ctx context.Context) error {
	colours := []uint32{0xd01010, 0x10a010, 0x1030d0, 0xc0b000}
	next := 0
	paint := func() {
		a.fill(colours[next%len(colours)], 0, 0, a.width, a.height)
		a.stamp()
		next++
	}
	events := make(chan xgb.Event)
	go func() {
		defer close(events)
		for {
			ev, err := a.conn.WaitForEvent()
			if ev == nil && err == nil {
				return
			}
			if ev != nil {
				events <- ev
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			a.conn.Close()
			return nil
		case ev, ok := <-events:
			if !ok {
				return fmt.Errorf("the X server went away")
			}
			switch e := ev.(type) {
			case xproto.ExposeEvent:
				if e.Count == 0 {
					paint()
				}
			case xproto.KeyPressEvent:
				paint()
				a.say("key_down", int(e.Detail))
			case xproto.KeyReleaseEvent:
				a.say("key_up", int(e.Detail))
			case xproto.ButtonPressEvent:
				// No window manager gives keys to an override-redirect window: a click takes them,
				// and keeps them from programs that come up later.
				xproto.GrabKeyboard(a.conn, false, a.win, xproto.TimeCurrentTime, xproto.GrabModeAsync, xproto.GrabModeAsync)
				paint()
				a.say("button_down", int(e.Detail))
			case xproto.ButtonReleaseEvent:
				a.say("button_up", int(e.Detail))
			}
		}
	}
}

// lineHeight of the text in pixels: a line is one macroblock high, as in most terminals within a pixel or two.
const lineHeight = 16

// scroll moves the whole window up by a line each step and writes a new one below, as a
// terminal does, until ctx ends. It begins with a screen full of text.
func (a *app) scroll(ctx context.Context, step time.Duration) error {
	n := 0
	for range int(a.height)/lineHeight + 1 {
		a.line(n)
		n++
	}
	t := time.NewTicker(step)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			a.conn.Close()
			return nil
		case <-t.C:
		}
		a.line(n)
		a.stamp()
		n++
	}
}

// line moves the text up by a line and writes line n at the bottom.
func (a *app) line(n int) {
	d := xproto.Drawable(a.win)
	xproto.CopyArea(a.conn, d, d, a.text, 0, lineHeight+stampBlock, 0, stampBlock, a.width, a.height-stampBlock-lineHeight)
	y := int16(a.height - lineHeight)
	a.fill(0xffffff, 0, y, a.width, lineHeight)
	line := randomLine(n, int(a.width)/6)
	for at := 0; at < len(line); at += 250 { // ImageText8 takes at most 255 characters
		part := line[at:min(at+250, len(line))]
		xproto.ImageText8(a.conn, byte(len(part)), d, a.text, int16(at*6), y+12, part)
	}
}

// randomLine returns a numbered line of words, n characters wide, like a busy log.
func randomLine(number, n int) string {
	line := fmt.Sprintf("%07d ", number)
	for len(line) < n {
		word := make([]byte, 2+rand.IntN(9))
		for i := range word {
			word[i] = byte('a' + rand.IntN(26))
		}
		line += string(word) + " "
	}
	return line[:n]
}
