package shell_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/signaling"
	wire "handrail/signaling/shell"
)

// TestFloodWaits: a page that shows nothing more is sent a window of output and no more, and a key
// gets past the rest.
func TestFloodWaits(t *testing.T) {
	p := visit(t, newShell(t))
	p.opens()
	p.mu.Lock()
	p.frozen = true
	before := p.out
	p.mu.Unlock()
	p.types("yes flood\r")
	p.until("a window of output", func() bool { return p.out-before >= wire.Window-wire.MaxBytes })
	p.types("\x03")
	p.types("echo answered-$((1+1))\r")
	p.mu.Lock()
	if sent := p.out - before; sent > wire.Window {
		t.Errorf("%d bytes were sent to a page that shows nothing, at most %d", sent, wire.Window)
	}
	p.frozen = false
	p.cond.Broadcast()
	p.mu.Unlock()
	p.shows("answered-2")
}

// TestLateViewer: who comes after more was shown than is kept sees the end of it, from the beginning
// of a line, and the screen of a program that has all of it is painted anew.
func TestLateViewer(t *testing.T) {
	s := newShell(t)
	p := visit(t, s)
	id := p.opens()
	p.types("seq 1 400000; echo all-$((1+1))\r")
	p.shows("all-2")
	late := visit(t, s)
	late.attaches(id)
	late.shows("all-2")
	late.mu.Lock()
	first, _, _ := strings.Cut(late.text, "\r")
	if late.out > 2<<20 || first == "1" || strings.Trim(first, "0123456789") != "" {
		t.Errorf("a late viewer is sent %d bytes from %q on", late.out, first)
	}
	late.mu.Unlock()
	if r := told[signaling.TerminalReplay](late, "replay"); !r.Cut {
		t.Error("it is not told that older lines are gone")
	}
}

// TestVim: a real editor in a real terminal, left in the middle and found again.
func TestVim(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notes")
	s := newShell(t)
	p := visit(t, s)
	id := p.opens()
	p.types("vim -u NONE -N " + file + "\r")
	p.shows("\x1b[?1049h")
	p.types("ihalf a line")
	p.shows("line")
	p.leave()
	back := visit(t, s)
	back.attaches(id)
	back.shows("\x1b[?1049h")
	back.types(", and the rest\x1b:wq\r")
	back.shows("\x1b[?1049l")
	back.shows("ready> ")
	if b, err := os.ReadFile(file); err != nil || string(b) != "half a line, and the rest\n" {
		t.Errorf("vim wrote %q, %v", b, err)
	}
}

// TestTooMany: a session has so many terminals and no more, and says so.
func TestTooMany(t *testing.T) {
	s := newShell(t)
	open := func() *page {
		p := visit(t, s)
		p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Root: os.Geteuid() == 0, Cols: 80, Rows: 24})
		return p
	}
	for range signaling.MaxTerminals {
		told[signaling.TerminalOpened](open(), "open terminal")
	}
	if err := open().ends(); err == nil || !strings.Contains(err.Error(), "Close one first") {
		t.Errorf("one more: %v", err)
	}
}

// TestNonsense: what no page sends ends the channel, and the terminal goes on.
func TestNonsense(t *testing.T) {
	s := newShell(t)
	p := visit(t, s)
	id := p.opens()
	for name, send := range map[string]func(*page){
		"output from a viewer":     func(p *page) { p.put(message(t, wire.Frame{Kind: wire.Output, Bytes: []byte("x")})) },
		"more shown than was sent": func(p *page) { p.put(message(t, wire.Frame{Kind: wire.Shown, Shown: 1 << 40})) },
		"another terminal":         func(p *page) { p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Cols: 80, Rows: 24}) },
		"another tool's message":   func(p *page) { p.say(signaling.TypeVitalsWatch, signaling.VitalsWatch{EveryMS: 1000}) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := visit(t, s)
			bad.attaches(id)
			send(bad)
			if err := bad.ends(); err == nil {
				t.Error("the channel ends without a word")
			}
		})
	}
	p.types("echo fine-$((1+1))\r")
	p.shows("fine-2")
}
