package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/session"
	"handrail/signaling"
	"handrail/signaling/clip"
	"handrail/signaling/input"
)

// settle waits until frames that were on their way when rights changed count as refused.
func settle(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(1100 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
}

// pong makes sure that everything sent on the control channel before it was read.
func (v *viewer) pong(t float64) {
	v.d.t.Helper()
	v.say(signaling.TypePing, signaling.Ping{T: t})
	heard(v, "pong", func(p signaling.Pong) bool { return p.T == t })
}

func everyFrame() []input.Frame {
	held := input.Frame{Type: input.Held, Buttons: 1}
	held.SetHeld([]input.Code{4})
	return []input.Frame{
		{Type: input.KeyDown, Code: 4, Text: []byte("a")},
		{Type: input.KeyUp, Code: 4},
		{Type: input.Button, Button: 0, Down: true, Buttons: 1},
		{Type: input.Wheel, DY: 120},
		{Type: input.Text, Text: []byte("text")},
		held,
		{Type: input.SetLocks, Locks: 1},
		{Type: input.Move, X: 1, Y: 1},
	}
}

func TestUngrantedFramesAreNotExecuted(t *testing.T) {
	var set []string
	d := newDevice(t, func(c *session.Config) {
		c.SetClipboard = func(s string) error { set = append(set, s); return nil }
	})
	ses := d.begin(signaling.SetOf(signaling.View))
	// The gateway is not trusted either: it says this viewer may do everything.
	v := d.announce(ses, "Mallory", all)
	v.connect()
	v.moving(1)
	settle(t)
	for range 3 {
		for _, f := range everyFrame() {
			v.press(f)
		}
		v.press(input.Frame{Type: input.ReleaseAll})
		parts, err := clip.Split(1, "secret")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if err := v.clip.Send(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.say(signaling.TypeControlGive, signaling.ControlGive{Peer: v.id})
	v.pong(1)
	for _, what := range []string{"input key_down", "input move", "clipboard", "control.ask", "control.give"} {
		got := heard(v, "refusal of "+what, func(s signaling.Say) bool { return s.What == what })
		if got.Code != signaling.CodeNotGranted {
			t.Errorf("%s refused with %q", what, got.Code)
		}
	}
	wait(d.gw, "event for the clipboard", func(e signaling.SessionEvent) bool {
		return e.Kind == signaling.EventRefusedFrame && strings.HasPrefix(e.Detail, "clipboard")
	})
	v.until("refusal on the clipboard channel", func() bool {
		for _, b := range v.clips {
			if f, err := clip.Decode(b); err == nil && f.Type == clip.TypeRefused && f.Transfer == 1 {
				return true
			}
		}
		return false
	})
	for _, k := range []string{"input key_down", "clipboard"} {
		n := count(d.gw, func(e signaling.SessionEvent) bool {
			return e.Kind == signaling.EventRefusedFrame && strings.HasPrefix(e.Detail, k+":")
		})
		if n != 1 {
			t.Errorf("%d events for %s, want 1", n, k)
		}
	}
	v.hangUp()
	d.stop()
	for _, l := range d.keys.entries() {
		if !strings.HasSuffix(l, " left") && !strings.HasSuffix(l, " released") {
			t.Errorf("injected: %s", l)
		}
	}
	if len(set) != 0 {
		t.Errorf("clipboard set to %q", set)
	}
}

func TestViewIsAGrantToo(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(signaling.SetOf(signaling.Control))
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id && !s.May.Has(signaling.View) })
	v.say(signaling.TypeMonitorSelect, signaling.MonitorSelect{Monitor: 0})
	heard(v, "refusal", func(s signaling.Say) bool { return s.What == "monitor.select" || s.Code == signaling.CodeNotGranted })
	d.host.Cursor(session.Cursor{Hash: 1, PNG: []byte("x"), Visible: true, Width: 1, Height: 1})
	d.host.ClipboardChanged("secret")
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.packets != 0 || len(v.frames) != 0 || len(v.clips) != 0 {
		t.Errorf("%d packets, %d frames, %d clipboard frames without a grant", v.packets, len(v.frames), len(v.clips))
	}
}

// TestToolsAlone: a session without the screen is live once its viewer is there, and its round trip is
// measured like any other.
func TestToolsAlone(t *testing.T) {
	d := newDevice(t, nil)
	v := d.announce(d.begin(signaling.SetOf(signaling.Diagnostics)), "Ada", all)
	v.connect()
	d.gw.event(signaling.EventLive)
	v.say(signaling.TypePing, signaling.Ping{T: 7})
	heard(v, "pong", func(p signaling.Pong) bool { return p.T == 7 })
	if n := count(d.gw, func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventRefusedFrame }); n != 0 {
		t.Errorf("%d frames were refused", n)
	}
}

func TestLocalAllowList(t *testing.T) {
	d := newDevice(t, func(c *session.Config) { c.Allowed = signaling.SetOf(signaling.View) })
	d.begin(all)
	c := wait(d.gw, "consent", func(signaling.SessionConsent) bool { return true })
	if c.Granted != signaling.SetOf(signaling.View) {
		t.Errorf("granted %v", c.Granted.List())
	}
	ses := d.begin(signaling.SetOf(signaling.Terminal))
	c = wait(d.gw, "consent", func(c signaling.SessionConsent) bool { return c.Session == ses })
	if c.Decision != signaling.DecisionDeclined || c.Granted != 0 {
		t.Errorf("consent to what is not allowed = %+v", c)
	}
}

func TestControlPassesFromHandToHand(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	a, b := d.announce(ses, "Ada", all), d.announce(ses, "Ben", all)
	watchOnly := d.announce(ses, "Eve", signaling.SetOf(signaling.View))
	a.connect()
	b.connect()
	watchOnly.connect()
	settle(t)

	a.press(input.Frame{Type: input.KeyDown, Code: 4})
	heard(a, "refusal", func(s signaling.Say) bool { return s.Code == signaling.CodeNotInControl })
	a.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	for _, v := range []*viewer{a, b, watchOnly} {
		v.status("control with Ada", func(s signaling.Status) bool { return s.Control == a.id && len(s.Viewers) == 3 })
	}
	a.press(input.Frame{Type: input.KeyDown, Code: 4})
	d.keys.until(t, string(a.id)+" key_down 2")

	b.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	asked := heard(a, "question", func(signaling.ControlAsked) bool { return true })
	if asked.Peer != b.id || asked.Name != "Ben" {
		t.Errorf("asked by %+v", asked)
	}
	b.say(signaling.TypeControlGive, signaling.ControlGive{Peer: b.id}) // not his to give
	heard(b, "refusal", func(s signaling.Say) bool { return s.Code == signaling.CodeNotInControl })
	a.say(signaling.TypeControlGive, signaling.ControlGive{Peer: watchOnly.id})
	heard(a, "refusal", func(s signaling.Say) bool { return s.Code == signaling.CodeNotFound })
	a.say(signaling.TypeControlGive, signaling.ControlGive{Peer: b.id})
	b.status("control with Ben", func(s signaling.Status) bool { return s.Control == b.id })
	d.keys.until(t, string(a.id)+" released")
	b.press(input.Frame{Type: input.KeyDown, Code: 4})
	d.keys.until(t, string(b.id)+" key_down 1")

	a.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	heard(b, "question", func(c signaling.ControlAsked) bool { return c.Peer == a.id })
	b.say(signaling.TypeControlDrop, signaling.ControlDrop{})
	a.status("control with Ada, who asked first", func(s signaling.Status) bool { return s.Control == a.id })
	d.keys.until(t, string(b.id)+" released")

	a.hangUp()
	b.status("control free", func(s signaling.Status) bool { return s.Control == "" && len(s.Viewers) == 2 })
	d.keys.until(t, string(a.id)+" left")
}

func TestControlEndsWithTheGrant(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.press(input.Frame{Type: input.KeyDown, Code: 4})
	d.keys.until(t, string(v.id)+" key_down 1")
	d.host.Drop(ses, signaling.Control, "user")
	v.status("no control", func(s signaling.Status) bool { return s.Control == "" && !s.May.Has(signaling.Control) })
	d.keys.until(t, string(v.id)+" released")
	v.press(input.Frame{Type: input.KeyDown, Code: 5})
	v.pong(1)
	for _, l := range d.keys.entries() {
		if strings.HasSuffix(l, "key_down 2") {
			t.Error("a key was pressed without the grant")
		}
	}
	c := wait(d.gw, "consent", func(c signaling.SessionConsent) bool { return !c.Granted.Has(signaling.Control) })
	if c.By != "user" || c.Granted != all&^signaling.SetOf(signaling.Control) {
		t.Errorf("consent = %+v", c)
	}
}

func TestStaleMovesAreVoid(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.seq = 10
	v.press(input.Frame{Type: input.Button, Down: true, Buttons: 1})
	d.keys.until(t, string(v.id)+" button 11")
	v.seq = 5
	v.press(input.Frame{Type: input.Move})
	v.seq = 11
	v.press(input.Frame{Type: input.Move})
	d.keys.until(t, string(v.id)+" move 12")
	for _, l := range d.keys.entries() {
		if strings.HasSuffix(l, "move 6") {
			t.Error("a move from before the click was injected")
		}
	}
	// The person at the device keeps the pointer for half a second: a test that took longer
	// tells nothing and is tried again.
	for range 20 {
		began := time.Now()
		d.host.LocalInput()
		move := v.press(input.Frame{Type: input.Move})
		key := v.press(input.Frame{Type: input.KeyDown, Code: 4})
		d.keys.until(t, fmt.Sprintf("%s key_down %d", v.id, key))
		wasMoved := slices.Contains(d.keys.entries(), fmt.Sprintf("%s move %d", v.id, move))
		if time.Since(began) < 400*time.Millisecond {
			if wasMoved {
				t.Error("a remote move went against the person at the device")
			}
			return
		}
	}
	t.Error("no key arrives within 400 ms")
}

func TestPause(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.moving(5)
	d.host.Pause(ses, "user")
	v.status("pause", func(s signaling.Status) bool { return s.Paused && s.May == 0 && s.Granted == all })
	heard(v, "picture paused", func(p signaling.Picture) bool { return p.State == signaling.PicturePaused })
	d.gw.event(signaling.EventPaused)
	packets := v.still()
	v.press(input.Frame{Type: input.KeyDown, Code: 9})
	settle(t)
	v.pong(3)
	v.mu.Lock()
	if v.packets != packets {
		t.Errorf("%d packets while paused", v.packets-packets)
	}
	v.mu.Unlock()
	if n := d.pic.watchers(); n != 0 {
		t.Errorf("%d watchers while paused", n)
	}
	for _, l := range d.keys.entries() {
		if strings.Contains(l, "key_down") {
			t.Errorf("injected while paused: %s", l)
		}
	}
	v.press(input.Frame{Type: input.KeyDown, Code: 9})
	heard(v, "refusal", func(s signaling.Say) bool { return s.Code == signaling.CodePaused })
	d.host.Resume(ses, "user")
	v.status("the same one in control", func(s signaling.Status) bool { return !s.Paused && s.May == all && s.Control == v.id })
	v.moving(5)
	d.gw.event(signaling.EventResumed)
	v.press(input.Frame{Type: input.KeyDown, Code: 9})
	v.until("a key after the pause", func() bool {
		return slices.ContainsFunc(d.keys.entries(), func(l string) bool { return strings.Contains(l, "key_down") })
	})
	if n := count(d.gw, func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventRefusedFrame }); n != 0 {
		t.Errorf("%d refusals noted for a pause", n)
	}
}

func TestStop(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.moving(2)
	d.host.Stop(ses, "user")
	d.gw.event(signaling.EventStopped)
	v.until("goodbye", func() bool { return len(v.closed) > 0 && v.closed[0].Code == signaling.CodeEnded })
	d.briefs("none after stop", isNone)
	d.handle(signaling.PeerOffer{Session: ses, Peer: v.id, SDP: "v=0"})
	v.until("refusal", func() bool { return len(v.closed) > 1 && v.closed[1].Code == signaling.CodeEnded })
}

func TestClipboard(t *testing.T) {
	got := make(chan string, 4)
	d := newDevice(t, func(c *session.Config) { c.SetClipboard = func(s string) error { got <- s; return nil } })
	ses := d.begin(all)
	v, w := d.announce(ses, "Ada", all), d.announce(ses, "Ben", all&^signaling.SetOf(signaling.Clipboard))
	v.connect()
	w.connect()
	text := strings.Repeat("größer ", 40_000)
	parts, err := clip.Split(1, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if err := v.clip.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case s := <-got:
		if s != text {
			t.Errorf("clipboard is %d bytes, want %d", len(s), len(text))
		}
	case <-time.After(patience):
		t.Fatal("the clipboard was not set")
	}
	e := d.gw.event(signaling.EventClipboardSent)
	if strings.Contains(e.Detail, "größer") {
		t.Error("the timeline holds what was copied")
	}
	d.host.ClipboardChanged(text) // the device's own echo
	d.host.ClipboardChanged("from the device")
	var r clip.Receiver
	read := 0
	v.until("text", func() bool {
		for ; read < len(v.clips); read++ {
			f, err := clip.Decode(v.clips[read])
			if err != nil {
				t.Fatal(err)
			}
			s, done, err := r.Receive(f)
			if err != nil {
				t.Fatal(err)
			}
			if done {
				if s != "from the device" {
					t.Errorf("received %d bytes, want the device's text", len(s))
				}
				return true
			}
		}
		return false
	})
	d.gw.event(signaling.EventClipboardRead)
	w.pong(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.clips) != 0 {
		t.Error("a viewer without the grant got the clipboard")
	}
}

func TestDesktopIsForwarded(t *testing.T) {
	watching := make(chan bool, 8)
	d := newDevice(t, func(c *session.Config) { c.Watching = func(on bool) { watching <- on } })
	two := []signaling.Monitor{
		{ID: 1, Name: "left", X: -100, Width: 100, Height: 50},
		{ID: 2, Name: "right", X: 0, Width: 301, Height: 50, Primary: true},
	}
	d.host.Monitors(two)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	if on := <-watching; !on {
		t.Error("nobody is said to watch")
	}
	heard(v, "monitors", func(m signaling.Monitors) bool { return len(m.Monitors) == 2 && m.Selected == 0 })
	v.say(signaling.TypeMonitorSelect, signaling.MonitorSelect{Monitor: 2})
	heard(v, "monitor chosen", func(m signaling.Monitors) bool { return m.Selected == 2 })
	v.say(signaling.TypeMonitorSelect, signaling.MonitorSelect{Monitor: 9})
	heard(v, "refusal", func(s signaling.Say) bool { return s.Code == signaling.CodeNotFound })

	frame := func(what string, match func(input.AgentFrame) bool) {
		t.Helper()
		v.until(what, func() bool {
			for _, f := range v.frames {
				if match(f) {
					return true
				}
			}
			return false
		})
	}
	d.host.PointerAt(300, 0)
	frame("pointer on the right", func(f input.AgentFrame) bool {
		return f.Type == input.CursorAt && f.Monitor == 2 && f.X == 65535 && f.Y == 0
	})
	d.host.PointerAt(-100, 49)
	frame("pointer on the left", func(f input.AgentFrame) bool {
		return f.Type == input.CursorAt && f.Monitor == 1 && f.X == 0 && f.Y == 65535
	})
	arrow := session.Cursor{Hash: 7, HotX: 1, HotY: 2, Width: 3, Height: 4, PNG: []byte("png"), Visible: true}
	d.host.Cursor(arrow)
	frame("cursor", func(f input.AgentFrame) bool {
		return f.Type == input.CursorShape && f.Hash == 7 && string(f.PNG) == "png" && f.HotY == 2
	})
	d.host.Cursor(session.Cursor{Hash: 7})
	frame("hidden cursor", func(f input.AgentFrame) bool { return f.Type == input.CursorUse && !f.Visible })
	d.host.Cursor(arrow)
	frame("cursor again", func(f input.AgentFrame) bool { return f.Type == input.CursorUse && f.Visible && f.Hash == 7 })
	v.mu.Lock()
	shapes := 0
	for _, f := range v.frames {
		if f.Type == input.CursorShape {
			shapes++
		}
	}
	v.mu.Unlock()
	if shapes != 1 {
		t.Errorf("a shape was sent %d times", shapes)
	}

	d.host.Monitors(two[:1])
	heard(v, "unplugged monitor", func(m signaling.Monitors) bool { return len(m.Monitors) == 1 && m.Selected == 0 })
	d.host.PictureState(signaling.PictureNoDisplay, "X server went away")
	heard(v, "no display", func(p signaling.Picture) bool { return p.State == signaling.PictureNoDisplay && p.Message != "" })
	d.gw.event(signaling.EventDisplayLost)
	d.host.PictureState(signaling.PictureOK, "")
	d.gw.event(signaling.EventDisplayBack)
	d.handle(signaling.SessionEnd{Session: ses, Reason: "done", By: "Ada"})
	if on := <-watching; on {
		t.Error("somebody is said to watch after the end")
	}
}
