package desktop_test

import (
	"log/slog"
	"testing"
	"time"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/x11"
	"handrail/agent/internal/x11/x11test"
)

// program is a client of its own with a window, that speaks selections by hand.
type program struct {
	c      *x11.Conn
	window uint32
}

func newProgram(t *testing.T, x *x11test.Server) *program {
	t.Helper()
	p := &program{c: dial(t, x.Display)}
	var err error
	if p.window, err = p.c.NewWindow(x11.PropertyChange); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *program) atom(t *testing.T, name string) uint32 {
	t.Helper()
	a, err := p.c.Atom(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// event waits for an event of the given type.
func (p *program) event(t *testing.T, typ byte) []byte {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case ev := <-p.c.Events():
			if ev[0]&0x7f == typ {
				return ev
			}
		case <-timeout:
			t.Fatalf("no event %d", typ)
		}
	}
}

func (p *program) check(t *testing.T, r *x11.Request) {
	t.Helper()
	if err := p.c.Check(r.Bytes()); err != nil {
		t.Fatal(err)
	}
}

const (
	selectionRequest = 30
	selectionNotify  = 31
)

// TestSecretsStay checks that what a password manager marks as secret is not read.
func TestSecretsStay(t *testing.T) {
	x := x11test.Start(t)
	d, s := start(t, x.Display)
	d.Watch(true)
	s.wait(t, "watching", func() bool { return s.pointers > 0 })
	p := newProgram(t, x)
	p.check(t, x11.NewRequest(22, 0).U32(p.window, p.atom(t, "CLIPBOARD"), 0)) // SetSelectionOwner
	ev := p.event(t, selectionRequest)
	at, requestor, selection, target, property := x11.Get32(ev, 4), x11.Get32(ev, 12), x11.Get32(ev, 16), x11.Get32(ev, 20), x11.Get32(ev, 24)
	if target != p.atom(t, "TARGETS") {
		t.Fatalf("asked for atom %d first", target)
	}
	p.check(t, x11.NewRequest(18, 0).U32(requestor, property, 4).U8(32, 0, 0, 0).U32(2, p.atom(t, "UTF8_STRING"), p.atom(t, "x-kde-passwordManagerHint")))
	p.check(t, x11.NewRequest(25, 0).U32(requestor, 0).U8(selectionNotify, 0, 0, 0).U32(at, requestor, selection, target, property, 0, 0))
	copyText(t, x, "no secret")
	s.wait(t, "the next text", func() bool { return s.lastText() == "no secret" })
	s.check(func() {
		if len(s.clipboard) != 1 {
			t.Errorf("told %q", s.clipboard)
		}
	})
	for len(p.c.Events()) != 0 {
		if ev := <-p.c.Events(); ev[0]&0x7f == selectionRequest {
			t.Error("the secret was asked for")
		}
	}
}

// TestMultiple asks for several forms of our text at once (ICCCM 2.6.2).
func TestMultiple(t *testing.T) {
	x := x11test.Start(t)
	d, _ := start(t, x.Display)
	if err := d.SetClipboard("世界"); err != nil {
		t.Fatal(err)
	}
	x11test.Eventually(t, "the text arrives", func() bool { return paste(t, x) == "世界" })
	p := newProgram(t, x)
	box, one, two, three := p.atom(t, "BOX"), p.atom(t, "ONE"), p.atom(t, "TWO"), p.atom(t, "THREE")
	pairs := []uint32{p.atom(t, "UTF8_STRING"), one, 31, two, p.atom(t, "TIMESTAMP"), three} // 31 is STRING, too narrow for this text
	p.check(t, x11.NewRequest(18, 0).U32(p.window, box, p.atom(t, "ATOM_PAIR")).U8(32, 0, 0, 0).U32(6).U32(pairs...))
	p.check(t, x11.NewRequest(24, 0).U32(p.window, p.atom(t, "CLIPBOARD"), p.atom(t, "MULTIPLE"), box, 0))
	if ev := p.event(t, selectionNotify); x11.Get32(ev, 20) != box {
		t.Fatalf("MULTIPLE was refused")
	}
	get := func(property uint32) []byte {
		b, err := p.c.Call(x11.NewRequest(20, 0).U32(p.window, property, 0, 0, 100).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return b[32 : 32+int(x11.Get32(b, 16))*int(b[1])/8]
	}
	if got := string(get(one)); got != "世界" {
		t.Errorf("UTF8_STRING is %q", got)
	}
	if got := get(two); len(got) != 0 {
		t.Errorf("STRING is %q", got)
	}
	if got := get(three); len(got) != 4 || x11.Get32(got, 0) == 0 {
		t.Errorf("TIMESTAMP is %x", got)
	}
	if got := get(box); len(got) != 24 || x11.Get32(got, 4) != one || x11.Get32(got, 12) != 0 || x11.Get32(got, 20) != three {
		t.Errorf("answered pairs %x", got)
	}
}

// TestRequestorGoesAway asks for a long text, takes one piece and disappears: others are
// served as before.
func TestRequestorGoesAway(t *testing.T) {
	x := x11test.Start(t)
	d, _ := start(t, x.Display)
	long := string(make([]byte, 300<<10))
	if err := d.SetClipboard(long); err != nil {
		t.Fatal(err)
	}
	p := newProgram(t, x)
	x11test.Eventually(t, "the clipboard is owned", func() bool {
		return clipboardOwner(t, p.c) != 0
	})
	box := p.atom(t, "BOX")
	p.check(t, x11.NewRequest(24, 0).U32(p.window, p.atom(t, "CLIPBOARD"), p.atom(t, "UTF8_STRING"), box, 0))
	p.event(t, selectionNotify)
	p.check(t, x11.NewRequest(19, 0).U32(p.window, box)) // take the announcement
	p.c.Close()
	x11test.Eventually(t, "another program gets it all", func() bool { return paste(t, x) == long })
}

// TestNobodyRuns checks that callers never wait for Run.
func TestNobodyRuns(t *testing.T) {
	d, err := desktop.New(desktop.Config{Display: ":1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		d.Watch(true)
		if err := d.SetClipboard("x"); err != nil {
			t.Fatal(err)
		}
	}
}
