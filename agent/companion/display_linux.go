//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xinerama"
	"github.com/jezek/xgb/xproto"
)

// errDisplayGone ends the program; whoever started it starts it again with the display.
var errDisplayGone = errors.New("the display went away")

// monitorsKnown says that the server tells where monitors are; set before anything runs.
var monitorsKnown bool

// xineramaName is what the extension is called on the wire.
const xineramaName = "XINERAMA"

// raiseEvery bounds a quarrel with another window that also wants to be on top.
const raiseEvery = 300 * time.Millisecond

// canShow fails where there is no display to draw on.
func canShow() error {
	xgb.Logger = log.New(io.Discard, "", 0) // it says aloud what its errors say
	if os.Getenv("DISPLAY") == "" {
		return errors.New("DISPLAY is not set: there is no desktop to show windows on")
	}
	c, err := xgb.NewConn()
	if err != nil {
		return fmt.Errorf("the display %s cannot be reached: %w", os.Getenv("DISPLAY"), err)
	}
	defer c.Close()
	// Init fills tables that every connection reads, so it comes before there is another.
	if err := xinerama.Init(c); err != nil {
		monitorsKnown = false
		return nil
	}
	monitorsKnown = true
	return nil
}

// pin keeps one window of ours in the way: at the top middle of the first monitor, above
// all others, without a frame and without taking the keyboard.
type pin struct {
	mu     sync.Mutex
	conn   *xgb.Conn
	window xproto.Window
}

// watchDisplay blocks until the display goes away, which it returns, or ctx ends (nil).
func watchDisplay(ctx context.Context) error {
	c, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.Close)()
	for {
		ev, xerr := c.WaitForEvent()
		if ev == nil && xerr == nil {
			if ctx.Err() != nil {
				return nil
			}
			return errDisplayGone
		}
	}
}

// open pins a window that has not been on the screen yet. Override-redirect keeps it out of
// the window manager's hands, which would give it the keyboard in the middle of somebody's
// word and let others cover it.
func (p *pin) open(id uintptr) error {
	c, err := xgb.NewConn()
	if err != nil {
		return err
	}
	w := xproto.Window(id)
	err = useXinerama(c)
	if err == nil {
		// Checked: the server has taken it before the window is shown.
		err = xproto.ChangeWindowAttributesChecked(c, w, xproto.CwOverrideRedirect|xproto.CwEventMask,
			[]uint32{1, xproto.EventMaskVisibilityChange | xproto.EventMaskStructureNotify}).Check()
	}
	if err != nil {
		c.Close()
		return err
	}
	p.mu.Lock()
	p.conn, p.window = c, w
	p.mu.Unlock()
	p.place()
	go p.stayOnTop(c, w)
	return nil
}

// stayOnTop raises the window whenever another covers it, until the connection ends.
func (p *pin) stayOnTop(c *xgb.Conn, w xproto.Window) {
	var raised time.Time
	for {
		ev, err := c.WaitForEvent()
		if ev == nil && err == nil {
			return
		}
		switch e := ev.(type) {
		case xproto.VisibilityNotifyEvent:
			if e.State == xproto.VisibilityUnobscured {
				continue
			}
			if wait := raiseEvery - time.Since(raised); wait > 0 {
				<-time.After(wait)
			}
			raised = time.Now()
			xproto.ConfigureWindow(c, w, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeAbove})
		case xproto.ConfigureNotifyEvent:
			p.place() // it grew or shrank
		}
	}
}

// place puts the window at the top middle of the first monitor, where it is not already.
func (p *pin) place() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return
	}
	g, err := xproto.GetGeometry(p.conn, xproto.Drawable(p.window)).Reply()
	if err != nil {
		return
	}
	left, top, width := firstMonitor(p.conn)
	x, y := left+(width-int(g.Width))/2, top
	if int(g.X) == x && int(g.Y) == y {
		return
	}
	xproto.ConfigureWindow(p.conn, p.window, xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowStackMode,
		[]uint32{uint32(int32(x)), uint32(int32(y)), xproto.StackModeAbove}) //nolint:gosec // X takes the bits of an int32
}

// useXinerama does for one connection what xinerama.Init does, without its writes to tables
// that other connections read.
func useXinerama(c *xgb.Conn) error {
	if !monitorsKnown {
		return nil
	}
	r, err := xproto.QueryExtension(c, uint16(len(xineramaName)), xineramaName).Reply()
	if err != nil {
		return err
	}
	c.ExtLock.Lock()
	c.Extensions[xineramaName] = r.MajorOpcode
	c.ExtLock.Unlock()
	return nil
}

func firstMonitor(c *xgb.Conn) (left, top, width int) {
	if monitorsKnown {
		if r, err := xinerama.QueryScreens(c).Reply(); err == nil && len(r.ScreenInfo) > 0 {
			s := r.ScreenInfo[0]
			return int(s.XOrg), int(s.YOrg), int(s.Width)
		}
	}
	return 0, 0, int(xproto.Setup(c).DefaultScreen(c).WidthInPixels)
}

// keepAbove asks the window manager to keep a window above others and to bring it forward
// (EWMH 1.5, _NET_WM_STATE and _NET_ACTIVE_WINDOW).
func keepAbove(id uintptr) error {
	c, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer c.Close()
	atom := func(name string) uint32 {
		r, err := xproto.InternAtom(c, false, uint16(len(name)), name).Reply() //nolint:gosec // a short name
		if err != nil {
			return 0
		}
		return uint32(r.Atom)
	}
	root := xproto.Setup(c).DefaultScreen(c).Root
	send := func(kind string, data ...uint32) {
		data = append(data, make([]uint32, 5-len(data))...)
		ev := xproto.ClientMessageEvent{Format: 32, Window: xproto.Window(id), Type: xproto.Atom(atom(kind)), Data: xproto.ClientMessageDataUnionData32New(data)}
		xproto.SendEvent(c, false, root, xproto.EventMaskSubstructureNotify|xproto.EventMaskSubstructureRedirect, string(ev.Bytes()))
	}
	const add, pager = 1, 2
	send("_NET_WM_STATE", add, atom("_NET_WM_STATE_ABOVE"), atom("_NET_WM_STATE_STICKY"), pager)
	send("_NET_ACTIVE_WINDOW", pager)
	_, err = xproto.GetInputFocus(c).Reply() // all of it has arrived
	return err
}

// again starts this program afresh in the same process.
func again() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
