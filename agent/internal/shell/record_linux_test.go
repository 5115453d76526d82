package shell_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/agent/internal/shell"
	"handrail/signaling"
)

// TestRecording: what a terminal of a recorded session showed can be played again, with its sizes,
// and nothing that was typed unseen is in it.
func TestRecording(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 80 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("2020%04d-old.cast", n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newShell(t, func(c *shell.Config) { c.Record = shell.RecordIn(dir) })
	p := visit(t, s)
	p.opens()
	p.types("stty -echo; echo as''king; read -r x; stty echo\r")
	p.shows("asking")
	p.types("secret-word\r")
	p.types("printf 'gr\\303\\274n %s\\n' $((1+1)); exit\r")
	p.say(signaling.TypeTerminalResize, signaling.TerminalResize{Cols: 90, Rows: 30})
	told[signaling.TerminalExited](p, "exit")
	if o := told[signaling.TerminalOpened](p, "open terminal"); !o.Terminal.Recorded {
		t.Error("the page is not told that it is recorded")
	}
	p.until("note", func() bool {
		return strings.Contains(strings.Join(p.notes, ";"), "status") || strings.Contains(strings.Join(p.notes, ";"), "exited")
	})

	unrecorded := visit(t, s, func(p *page) { p.may = signaling.SetOf(signaling.Terminal, signaling.Root) })
	unrecorded.opens()
	files, err := filepath.Glob(filepath.Join(dir, "*.cast"))
	if err != nil || len(files) != 64 {
		t.Fatalf("%d recordings, %v; want 64, the newest", len(files), err)
	}
	f, err := os.Open(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", i.Mode(), err)
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var header struct{ Version, Width, Height int }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &header) != nil || header.Version != 2 || header.Width != 80 || header.Height != 24 {
		t.Errorf("header %s", lines.Text())
	}
	var shown strings.Builder
	last := 0.0
	for lines.Scan() {
		var at float64
		var kind, data string
		if err := json.Unmarshal(lines.Bytes(), &[]any{&at, &kind, &data}); err != nil || at < last {
			t.Fatalf("event %s: %v", lines.Text(), err)
		}
		last = at
		if kind == "o" {
			shown.WriteString(data)
		}
	}
	if text := shown.String(); !strings.Contains(text, "grün 2") || strings.Contains(text, "secret-word") {
		t.Errorf("recorded %q", text)
	}
}
