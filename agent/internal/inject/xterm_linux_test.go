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
	"handrail/signaling/input"
)

// start runs an Injector on a display until the test ends. It lets no keys go because a busy
// machine was silent for a while.
func start(tb testing.TB, display string) *Injector {
	tb.Helper()
	return startWith(tb, Config{Display: display, Silence: time.Hour})
}

func startWith(tb testing.TB, cfg Config) *Injector {
	tb.Helper()
	in, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	run(tb, in)
	return in
}

func run(tb testing.TB, in *Injector) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("Run = %v", err)
			}
		case <-time.After(time.Minute):
			tb.Error("Run did not end")
		}
	})
	x11test.Eventually(tb, "the injector connects", func() bool {
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

func newTerminal(tb testing.TB, s *x11test.Server, in *Injector) *terminal {
	tb.Helper()
	dir := tb.TempDir()
	tm := &terminal{file: filepath.Join(dir, "typed"), in: in}
	ready := filepath.Join(dir, "ready")
	s.Go(tb, "xterm", "-u8", "-geometry", "100x40+0+0", "-e", "sh", "-c",
		"stty -echo -icanon min 1 time 0; : >"+ready+"; exec cat >>"+tm.file)
	x11test.Eventually(tb, "xterm runs cat (Debian package xterm)", func() bool {
		_, err := os.Stat(tm.file)
		return err == nil
	})
	tm.apply(tb, input.Frame{Type: input.Move, X: 10000, Y: 10000})
	typed := func() string {
		b, _ := os.ReadFile(tm.file)
		return string(b)
	}
	x11test.Eventually(tb, "xterm takes keys", func() bool {
		tm.tap(tb, 0x04, 0, "x")
		return typed() != ""
	})
	tm.tap(tb, 0x04, 0, "y")
	x11test.Eventually(tb, "xterm has taken them", func() bool { return strings.HasSuffix(typed(), "y") })
	if err := os.Truncate(tm.file, 0); err != nil {
		tb.Fatal(err)
	}
	return tm
}

func (tm *terminal) apply(tb testing.TB, f input.Frame) {
	tb.Helper()
	tm.seq++
	f.Seq = tm.seq
	if err := tm.in.Apply(me, f); err != nil {
		tb.Fatalf("Apply(%v) = %v", f.Type, err)
	}
}

func (tm *terminal) tap(tb testing.TB, code input.Code, mods input.Mods, text string) {
	tb.Helper()
	tm.apply(tb, input.Frame{Type: input.KeyDown, Code: code, Mods: mods, Text: []byte(text)})
	tm.apply(tb, input.Frame{Type: input.KeyUp, Code: code, Mods: mods})
}

// wants waits until exactly want has been typed.
func (tm *terminal) wants(tb testing.TB, want string) {
	tb.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	got := ""
	for time.Now().Before(deadline) {
		b, err := os.ReadFile(tm.file)
		if err != nil {
			tb.Fatal(err)
		}
		if got = string(b); got == want || len(got) >= len(want) && !strings.HasPrefix(want, got) {
			break
		}
		<-tick.C
	}
	if got != want {
		tb.Fatalf("typed %q, want %q", got, want)
	}
	if err := os.Truncate(tm.file, 0); err != nil {
		tb.Fatal(err)
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
