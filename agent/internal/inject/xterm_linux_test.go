package inject

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/x11/x11test"
	"handrail/signaling"
	"handrail/signaling/input"
)

const me = signaling.PeerID("peer_me")

// start runs an Injector on a display until the test ends.
func start(t testing.TB, display string) *Injector {
	t.Helper()
	in, err := New(Config{Display: display}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	run(t, in)
	return in
}

func run(t testing.TB, in *Injector) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end")
		}
	})
	x11test.Eventually(t, "the injector connects", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		return in.down == nil
	})
}

// terminal is an xterm that writes what is typed into it to a file.
type terminal struct {
	file string
	in   *Injector
	seq  uint32
}

func newTerminal(t testing.TB, s *x11test.Server, in *Injector) *terminal {
	t.Helper()
	dir := t.TempDir()
	tm := &terminal{file: filepath.Join(dir, "typed"), in: in}
	ready := filepath.Join(dir, "ready")
	s.Go(t, "xterm", "-u8", "-geometry", "100x40+0+0", "-e", "sh", "-c",
		"stty -echo -icanon min 1 time 0; : >"+ready+"; exec cat >>"+tm.file)
	x11test.Eventually(t, "xterm runs cat (Debian package xterm)", func() bool {
		_, err := os.Stat(tm.file)
		return err == nil
	})
	tm.apply(t, input.Frame{Type: input.Move, X: 10000, Y: 10000})
	typed := func() string {
		b, _ := os.ReadFile(tm.file)
		return string(b)
	}
	x11test.Eventually(t, "xterm takes keys", func() bool {
		tm.tap(t, 0x04, 0, "x")
		return typed() != ""
	})
	tm.tap(t, 0x04, 0, "y")
	x11test.Eventually(t, "xterm has taken them", func() bool { return strings.HasSuffix(typed(), "y") })
	if err := os.Truncate(tm.file, 0); err != nil {
		t.Fatal(err)
	}
	return tm
}

func (tm *terminal) apply(t testing.TB, f input.Frame) {
	t.Helper()
	tm.seq++
	f.Seq = tm.seq
	if err := tm.in.Apply(me, f); err != nil {
		t.Fatalf("Apply(%v) = %v", f.Type, err)
	}
}

func (tm *terminal) tap(t testing.TB, code input.Code, mods input.Mods, text string) {
	t.Helper()
	tm.apply(t, input.Frame{Type: input.KeyDown, Code: code, Mods: mods, Text: []byte(text)})
	tm.apply(t, input.Frame{Type: input.KeyUp, Code: code, Mods: mods})
}

// wants waits until exactly want has been typed.
func (tm *terminal) wants(t testing.TB, want string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	got := ""
	for time.Now().Before(deadline) {
		b, err := os.ReadFile(tm.file)
		if err != nil {
			t.Fatal(err)
		}
		if got = string(b); got == want || len(got) >= len(want) && !strings.HasPrefix(want, got) {
			break
		}
		<-tick.C
	}
	if got != want {
		t.Fatalf("typed %q, want %q", got, want)
	}
	if err := os.Truncate(tm.file, 0); err != nil {
		t.Fatal(err)
	}
}

const everything = "Grüße, 世界 €, ñ, ß, 🙂"

func TestTypesText(t *testing.T) {
	s := x11test.Start(t)
	in := start(t, s.Display)
	tm := newTerminal(t, s, in)
	tm.apply(t, input.Frame{Type: input.Text, Text: []byte(everything)})
	tm.wants(t, everything)
}

func TestTypesKeys(t *testing.T) {
	s := x11test.Start(t)
	for _, layout := range []string{"us", "de", "fr", "us,ru"} {
		t.Run(layout, func(t *testing.T) {
			s.Run(t, "setxkbmap", "-layout", layout)
			in := start(t, s.Display)
			tm := newTerminal(t, s, in)
			want := ""
			for range 3 {
				for _, r := range everything + "aAzZyY/?@#{}[]~|\\<>|µ²éÉжЖ" {
					tm.tap(t, 0x04, 0, string(r))
					want += string(r)
				}
			}
			tm.wants(t, want)
		})
	}
}
