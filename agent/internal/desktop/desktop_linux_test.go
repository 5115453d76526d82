package desktop_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/png"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/x11"
	"handrail/agent/internal/x11/x11test"
	"handrail/signaling"
)

// seen collects what a Desktop tells.
type seen struct {
	mu        sync.Mutex
	monitors  []signaling.Monitor
	cursors   []desktop.Cursor
	x, y      int
	pointers  int
	clipboard []string
	local     int
	states    []error
}

func (s *seen) config(display string) desktop.Config {
	return desktop.Config{
		Display:    display,
		State:      func(err error) { s.check(func() { s.states = append(s.states, err) }) },
		Monitors:   func(m []signaling.Monitor) { s.check(func() { s.monitors = m }) },
		Cursor:     func(c desktop.Cursor) { s.check(func() { s.cursors = append(s.cursors, c) }) },
		Pointer:    func(x, y int) { s.check(func() { s.x, s.y = x, y; s.pointers++ }) },
		Clipboard:  func(t string) { s.check(func() { s.clipboard = append(s.clipboard, t) }) },
		LocalInput: func() { s.check(func() { s.local++ }) },
	}
}

// wait waits until ok, called with everything locked.
func (s *seen) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	x11test.Eventually(t, what, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok()
	})
}

// check runs f with everything locked.
func (s *seen) check(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *seen) lastText() string {
	if len(s.clipboard) == 0 {
		return ""
	}
	return s.clipboard[len(s.clipboard)-1]
}

func start(t *testing.T, display string) (*desktop.Desktop, *seen) {
	t.Helper()
	s := &seen{}
	d, err := desktop.New(s.config(display), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("Run did not end")
		}
	})
	return d, s
}

func TestNewWithoutDisplay(t *testing.T) {
	t.Setenv("DISPLAY", "")
	_, err := desktop.New(desktop.Config{}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, x11.ErrNoDisplay) || !strings.Contains(err.Error(), "DISPLAY is not set") {
		t.Errorf("New = %v", err)
	}
}

func TestMonitors(t *testing.T) {
	x := x11test.Start(t)
	_, s := start(t, x.Display)
	s.wait(t, "one monitor", func() bool { return len(s.monitors) == 1 && s.monitors[0].Width == 1280 && s.monitors[0].ID == 1 })
	x.Run(t, "xrandr", "--setmonitor", "left", "640/200x720/200+0+0", "screen")
	x.Run(t, "xrandr", "--setmonitor", "right", "640/200x720/200+640+0", "none")
	s.wait(t, "two monitors", func() bool { return len(s.monitors) == 2 })
	ids := map[string]uint8{}
	s.check(func() {
		for _, m := range s.monitors {
			ids[m.Name] = m.ID
			if m.Width != 640 || m.Height != 720 {
				t.Errorf("monitor %+v", m)
			}
		}
	})
	x.Run(t, "xrandr", "--delmonitor", "right")
	s.wait(t, "one monitor again", func() bool { return len(s.monitors) == 1 })
	x.Run(t, "xrandr", "--setmonitor", "right", "640/200x720/200+640+0", "none")
	s.wait(t, "two monitors again", func() bool { return len(s.monitors) == 2 })
	s.check(func() {
		for _, m := range s.monitors {
			if ids[m.Name] != m.ID {
				t.Errorf("%s was %d, came back as %d", m.Name, ids[m.Name], m.ID)
			}
		}
	})
}

func TestResolution(t *testing.T) {
	x := x11test.Start(t)
	_, s := start(t, x.Display)
	s.wait(t, "the monitor", func() bool { return len(s.monitors) == 1 })
	x.Run(t, "xrandr", "--newmode", "small", "31.5", "640", "664", "704", "832", "480", "489", "491", "520")
	x.Run(t, "xrandr", "--addmode", "screen", "small")
	x.Run(t, "xrandr", "--output", "screen", "--mode", "small")
	s.wait(t, "640x480", func() bool { return s.monitors[0].Width == 640 && s.monitors[0].Height == 480 })
}

// setCursor gives the root window a cursor of the cursor font, on a connection that stays.
func setCursor(t *testing.T, c *x11.Conn, glyph uint16) {
	t.Helper()
	font, cursor := c.NewID(), c.NewID()
	open := x11.NewRequest(45, 0).U32(font).U16(6, 0).Text("cursor")
	create := x11.NewRequest(94, 0).U32(cursor, font, font).U16(glyph, glyph+1, 0, 0, 0, 0xffff, 0xffff, 0xffff)
	use := x11.NewRequest(2, 0).U32(c.Root, 1<<14, cursor)
	for _, r := range []*x11.Request{open, create, use} {
		if err := c.Check(r.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCursor(t *testing.T) {
	x := x11test.Start(t)
	c := dial(t, x.Display)
	d, s := start(t, x.Display)
	s.wait(t, "monitors", func() bool { return s.monitors != nil })
	const watch, leftPtr = 150, 68
	setCursor(t, c, watch)
	s.check(func() {
		if len(s.cursors) != 0 {
			t.Error("a cursor was told while nobody watched")
		}
	})
	d.Watch(true)
	s.wait(t, "a cursor", func() bool { return len(s.cursors) == 1 })
	setCursor(t, c, leftPtr)
	s.wait(t, "another cursor", func() bool { return len(s.cursors) == 2 })
	setCursor(t, c, watch)
	s.wait(t, "the first again", func() bool { return len(s.cursors) == 3 })
	// The server does not show the shape of a cursor whose maker has gone.
	x.Run(t, "xsetroot", "-cursor_name", "left_ptr")
	s.wait(t, "an arrow instead", func() bool { return len(s.cursors) == 4 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cursors[0].Hash != s.cursors[2].Hash || s.cursors[0].Hash == s.cursors[1].Hash {
		t.Errorf("hashes %x %x %x", s.cursors[0].Hash, s.cursors[1].Hash, s.cursors[2].Hash)
	}
	for _, c := range s.cursors {
		img, err := png.Decode(bytes.NewReader(c.PNG))
		if err != nil {
			t.Fatal(err)
		}
		if !c.Visible || img.Bounds().Dx() != int(c.Width) || img.Bounds().Dy() != int(c.Height) || c.HotX >= c.Width || c.HotY >= c.Height {
			t.Errorf("cursor %dx%d hot %d,%d, picture %v", c.Width, c.Height, c.HotX, c.HotY, img.Bounds())
		}
	}
}

func TestPointer(t *testing.T) {
	x := x11test.Start(t)
	d, s := start(t, x.Display)
	d.Watch(true)
	s.wait(t, "a position", func() bool { return s.pointers > 0 })
	for _, p := range [][2]int{{10, 20}, {1279, 719}, {0, 0}} {
		c := dial(t, x.Display)
		fake(t, c, 6, 0, p[0], p[1], 0)
		s.wait(t, "the position", func() bool { return s.x == p[0] && s.y == p[1] })
	}
	s.check(func() {
		if s.local != 0 {
			t.Errorf("injected moves counted as local input %d times", s.local)
		}
	})
	d.Watch(false)
}

func dial(t *testing.T, display string) *x11.Conn {
	t.Helper()
	c, err := x11.Dial(display)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fake sends XTEST's FakeInput; with a device, on that device of XInput 1.
func fake(t *testing.T, c *x11.Conn, typ, detail byte, px, py int, device byte) {
	t.Helper()
	xtest, err := c.Extension("XTEST")
	if err != nil {
		t.Fatal(err)
	}
	r := x11.NewRequest(xtest.Major, 2).U8(typ, detail, 0, 0).U32(0, c.Root, 0, 0)
	r.U16(uint16(px), uint16(py)).U8(0, 0, 0, 0, 0, 0, 0, device)
	if err := c.Check(r.Bytes()); err != nil {
		t.Fatal(err)
	}
}

func TestLocalInput(t *testing.T) {
	x := x11test.Start(t)
	d, s := start(t, x.Display)
	d.Watch(true)
	s.wait(t, "a position", func() bool { return s.pointers > 0 })
	c := dial(t, x.Display)
	xi, err := c.Extension("XInputExtension")
	if err != nil {
		t.Fatal(err)
	}
	fake(t, c, 2, 38, 0, 0, 0)
	fake(t, c, 3, 38, 0, 0, 0)
	fake(t, c, 6, 0, 55, 66, 0)
	s.wait(t, "word of a move behind them", func() bool { return s.x == 55 && s.y == 66 })
	s.check(func() {
		if s.local != 0 {
			t.Errorf("injected keys counted as local input %d times", s.local)
		}
	})
	keyboard := slaveKeyboard(t, c, xi.Major)
	fake(t, c, xi.FirstEvent+1, 38, 0, 0, keyboard)
	s.wait(t, "local input", func() bool { return s.local > 0 }) // more than once where the key repeats meanwhile
	fake(t, c, xi.FirstEvent+2, 38, 0, 0, keyboard)
}

// slaveKeyboard finds the id of the keyboard a person would type on.
func slaveKeyboard(t *testing.T, c *x11.Conn, major byte) byte {
	t.Helper()
	b, err := c.Call(x11.NewRequest(major, 48).U16(0, 0).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Xvfb virtual keyboard", "Xvfb keyboard", "Virtual core keyboard"} {
		if i := bytes.Index(b, []byte(name)); i >= 12 && binary.LittleEndian.Uint16(b[i-10:]) == 4 {
			return b[i-12]
		}
	}
	t.Fatalf("Xvfb has no keyboard of its own: %q", b)
	return 0
}

func TestClipboardFromPrograms(t *testing.T) {
	x := x11test.Start(t)
	d, s := start(t, x.Display)
	copyText(t, x, "before")
	d.Watch(true)
	s.wait(t, "what was there", func() bool { return s.lastText() == "before" })
	copyText(t, x, "Grüße, 世界 🙂\nzwei")
	s.wait(t, "unicode", func() bool { return s.lastText() == "Grüße, 世界 🙂\nzwei" })
	long := strings.Repeat("0123456789abcde\n", desktop.MaxClipboard/16)
	copyText(t, x, long)
	s.wait(t, "1 MiB", func() bool { return s.lastText() == long })
	copyText(t, x, long+"x")
	copyText(t, x, "after")
	s.wait(t, "the text after one that was too long", func() bool { return s.lastText() == "after" })
	d.Watch(false)
	copyText(t, x, "unwatched")
	d.Watch(true)
	s.wait(t, "what was copied meanwhile", func() bool { return s.lastText() == "unwatched" })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clipboard) != 5 {
		t.Errorf("told %d texts, want 5", len(s.clipboard))
	}
}

// TestClipboardOwnersInQuickSuccession: a program that is replaced while it sends its long
// text in pieces does not spoil the text of the next one.
func TestClipboardOwnersInQuickSuccession(t *testing.T) {
	x := x11test.Start(t)
	d, s := start(t, x.Display)
	d.Watch(true)
	long := strings.Repeat("0123456789abcde\n", desktop.MaxClipboard/16)
	for i := range 20 {
		copyText(t, x, long+"x")
		text := fmt.Sprint("after ", i)
		copyText(t, x, text)
		s.wait(t, text, func() bool { return s.lastText() == text })
	}
}

// copyText puts a text on the clipboard with xclip (Debian package xclip), and waits until
// it is there: xclip goes to the background before its claim has reached the server.
func copyText(t *testing.T, x *x11test.Server, text string) {
	t.Helper()
	c := dial(t, x.Display)
	defer c.Close()
	before := clipboardOwner(t, c)
	cmd := x.Command("xclip", "-selection", "clipboard", "-in")
	cmd.Stdin = strings.NewReader(text)
	if err := cmd.Run(); err != nil {
		t.Fatalf("xclip (Debian package xclip): %v", err)
	}
	x11test.Eventually(t, "xclip owns the clipboard", func() bool { now := clipboardOwner(t, c); return now != 0 && now != before })
}

// clipboardOwner is the window of the program whose text is on the clipboard, 0 for none.
func clipboardOwner(t *testing.T, c *x11.Conn) uint32 {
	t.Helper()
	atom, err := c.Atom("CLIPBOARD")
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Call(x11.NewRequest(23, 0).U32(atom).Bytes()) // GetSelectionOwner
	if err != nil {
		t.Fatal(err)
	}
	return x11.Get32(b, 8)
}

func paste(t *testing.T, x *x11test.Server, args ...string) string {
	t.Helper()
	out, err := x.Command("xclip", append([]string{"-selection", "clipboard", "-out"}, args...)...).Output()
	if err != nil {
		return "error: " + err.Error()
	}
	return string(out)
}

func TestClipboardToPrograms(t *testing.T) {
	x := x11test.Start(t)
	d, s := start(t, x.Display)
	d.Watch(true)
	for _, text := range []string{"plain", "Grüße, 世界 🙂", strings.Repeat("ä234567890\n", desktop.MaxClipboard/12)} {
		if err := d.SetClipboard(text); err != nil {
			t.Fatal(err)
		}
		x11test.Eventually(t, "the text arrives", func() bool { return paste(t, x) == text })
	}
	if err := d.SetClipboard("Grüße"); err != nil {
		t.Fatal(err)
	}
	x11test.Eventually(t, "the text arrives as Latin-1", func() bool { return paste(t, x, "-target", "STRING") == "Gr\xfc\xdfe" })
	if got := paste(t, x, "-target", "TARGETS"); !strings.Contains(got, "UTF8_STRING") || !strings.Contains(got, "text/plain;charset=utf-8") {
		t.Errorf("targets %q", got)
	}
	copyText(t, x, "somebody else's")
	s.wait(t, "the other text", func() bool { return s.lastText() == "somebody else's" })
	if got := paste(t, x); got != "somebody else's" {
		t.Errorf("clipboard %q", got)
	}
	s.check(func() {
		if len(s.clipboard) != 1 {
			t.Errorf("our own texts were told: %d", len(s.clipboard))
		}
	})
	if err := d.SetClipboard(strings.Repeat("x", desktop.MaxClipboard+1)); !errors.Is(err, desktop.ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	if err := d.SetClipboard("\xff"); !errors.Is(err, desktop.ErrText) {
		t.Errorf("not UTF-8: %v", err)
	}
}

func TestWakes(t *testing.T) {
	x := x11test.Start(t, "+extension", "DPMS")
	d, s := start(t, x.Display)
	s.wait(t, "monitors", func() bool { return s.monitors != nil })
	x.Run(t, "xset", "s", "activate")
	isActive := func() bool { return strings.Contains(saver(t, x), "active") }
	x11test.Eventually(t, "the screen blanks", isActive)
	d.Watch(true)
	x11test.Eventually(t, "the screen wakes", func() bool { return !isActive() })
}

// saver asks MIT-SCREEN-SAVER for the state: 0 off, 1 on, 3 disabled.
func saver(t *testing.T, x *x11test.Server) string {
	t.Helper()
	c := dial(t, x.Display)
	ext, err := c.Extension("MIT-SCREEN-SAVER")
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Call(x11.NewRequest(ext.Major, 1).U32(c.Root).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if b[1] == 1 {
		return "active"
	}
	return "off"
}

func TestSurvivesRestart(t *testing.T) {
	x := x11test.Start(t, x11test.OwnDisplay())
	d, s := start(t, x.Display)
	d.Watch(true)
	s.wait(t, "monitors and a cursor", func() bool { return s.monitors != nil && s.pointers > 0 })
	if err := d.SetClipboard("kept"); err != nil {
		t.Fatal(err)
	}
	x11test.Eventually(t, "the text arrives", func() bool { return paste(t, x) == "kept" })
	x.Kill()
	// The loss, and then, in other words, that nobody answers.
	s.wait(t, "word of the loss", func() bool { return s.states[len(s.states)-1] != nil })
	x.StartAgain(t)
	s.wait(t, "word of the return", func() bool { return s.states[len(s.states)-1] == nil })
	x11test.Eventually(t, "the text is there again", func() bool { return paste(t, x) == "kept" })
	fake(t, dial(t, x.Display), 6, 0, 33, 44, 0)
	s.wait(t, "positions again", func() bool { return s.x == 33 && s.y == 44 })
}
