package enforce

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/mdm/manifest"
)

// fakeGateway is what the engine fetches from and reports to.
type fakeGateway struct {
	t *testing.T

	mu      sync.Mutex
	m       manifest.Manifest
	online  bool
	loseAck bool // reports arrive, their answers do not
	fetches int
	reports []manifest.Report
	states  map[manifest.ID]manifest.Status
}

func (g *fakeGateway) set(settings ...manifest.Setting) string {
	g.t.Helper()
	m := lampManifest(g.t, settings...)
	g.mu.Lock()
	defer g.mu.Unlock()
	m.Generation = g.m.Generation + 1
	g.m = m
	return m.Hash
}

func (g *fakeGateway) Fetch(_ context.Context, hash string) (manifest.Manifest, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.online {
		return manifest.Manifest{}, false, ErrNotNow
	}
	g.fetches++
	return g.m, hash == g.m.Hash, nil
}

func (g *fakeGateway) Report(_ context.Context, r manifest.Report) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.online {
		return ErrNotNow
	}
	g.reports = append(g.reports, r)
	if r.Full {
		clear(g.states)
	}
	for _, s := range r.Statuses {
		g.states[s.ID] = s
	}
	for _, id := range r.Gone {
		delete(g.states, id)
	}
	if g.loseAck {
		return errors.New("connection reset")
	}
	return nil
}

func (g *fakeGateway) say(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

// until waits for the gateway to know something.
func (g *fakeGateway) until(what string, ok func() bool) {
	g.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		g.mu.Lock()
		done := ok()
		g.mu.Unlock()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			g.mu.Lock()
			defer g.mu.Unlock()
			g.t.Fatalf("no %s: %d fetches, reports %+v", what, g.fetches, g.reports)
		}
	}
}

// deliver runs an engine for a gateway; stop ends it.
func deliver(t *testing.T, dir string, g *fakeGateway, l Enforcer) (e *Engine, stop func()) {
	t.Helper()
	for _, d := range []string{"root/run", "root/etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Config{
		Dir: filepath.Join(dir, "state"), System: System{Root: filepath.Join(dir, "root")}, Enforcers: []Enforcer{l},
		Fetch: g.Fetch, Report: g.Report,
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run = %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return e, stop
}

func newGateway(t *testing.T) *fakeGateway {
	t.Helper()
	return &fakeGateway{t: t, online: true, states: map[manifest.ID]manifest.Status{}}
}

func TestDelivery(t *testing.T) {
	dir, g := t.TempDir(), newGateway(t)
	e, stop := deliver(t, dir, g, &lamp{})
	e.Nudge(0, g.set(lampSetting(t, "red", "/etc/lamp")))
	g.until("first state", func() bool { return g.states["lamp"].State == manifest.Applied })
	if r := g.reports[0]; !r.Full || r.Hash != e.Hash() || r.Generation != 1 {
		t.Errorf("first report %+v", r)
	}

	// Twenty edits while offline are one fetch, and one report.
	g.say(func() { g.online = false })
	var last string
	for range 20 {
		last = g.set(lampSetting(t, "blue", "/etc/lamp"), manifest.Setting{ID: "lantern", Value: []byte("1")})
		e.Nudge(0, last)
	}
	g.say(func() { g.online, g.fetches, g.reports = true, 0, nil })
	e.Online()
	g.until("news after offline edits", func() bool { return string(g.states["lamp"].Observed) == `"blue"` })
	g.say(func() {
		if g.fetches != 1 || len(g.reports) != 1 || g.reports[0].Full {
			t.Errorf("%d fetches and reports %+v, want one each", g.fetches, g.reports)
		}
		if s := g.states["lantern"]; s.State != manifest.NotApplicable {
			t.Errorf("a setting nobody knows is %+v", s)
		}
	})

	// At rest nothing is sent, not after a restart either.
	stop()
	e, stop = deliver(t, dir, g, &lamp{})
	if e.Hash() != last {
		t.Errorf("after a restart the hash is %s, want %s", e.Hash(), last)
	}
	e.Online()
	time.AfterFunc(300*time.Millisecond, func() { g.say(func() { g.loseAck = true }) })
	g.until("the pause", func() bool { return g.loseAck })
	g.say(func() {
		if g.fetches != 1 || len(g.reports) != 1 {
			t.Errorf("at rest: %d fetches, %d reports", g.fetches, len(g.reports))
		}
	})

	// A nudge of what it has is a question.
	g.say(func() { g.loseAck = false })
	e.Nudge(30, last)
	g.until("the answer", func() bool { return len(g.reports) > 1 && g.reports[1].Full && g.reports[1].Generation == 30 })

	// An answer that is lost is no state that is lost.
	g.say(func() { g.loseAck, g.m.Generation = true, 40 })
	e.Nudge(0, g.set(lampSetting(t, "white", "/etc/lamp")))
	g.until("the report without an answer", func() bool { return string(g.states["lamp"].Observed) == `"white"` })
	g.say(func() { g.loseAck, g.reports = false, nil })
	e.Online()
	g.until("the report again", func() bool { return len(g.reports) > 0 })
	g.say(func() {
		if r := g.reports[0]; len(r.Statuses) != 1 || !slices.Equal(r.Gone, []manifest.ID{"lantern"}) {
			t.Errorf("sent again: %+v", r)
		}
	})

	// A gateway that went back to a backup is told everything.
	g.say(func() { g.m.Generation = 0; g.reports = nil })
	e.Nudge(0, g.set(lampSetting(t, "grey", "/etc/lamp")))
	g.until("a full report", func() bool {
		return slices.ContainsFunc(g.reports, func(r manifest.Report) bool { return r.Full })
	})
	e.Nudge(0, g.set())
	g.until("removal", func() bool { return len(g.states) == 0 })
	stop()
	if now := lampRoot(t, dir); strings.Contains(now, "/etc/lamp") {
		t.Errorf("after removal:\n%s", now)
	}
}

func TestDriftIsMendedAtOnce(t *testing.T) {
	dir, g := t.TempDir(), newGateway(t)
	e, _ := deliver(t, dir, g, &lamp{})
	e.Nudge(0, g.set(lampSetting(t, "red", "/etc/lamp", "/etc/deep/down/lamp")))
	g.until("first state", func() bool { return g.states["lamp"].State == manifest.Applied })
	at := filepath.Join(dir, "root/etc/lamp")
	for i, harm := range []func() error{
		func() error { return os.WriteFile(at, []byte("green"), 0o600) },
		func() error { return os.Remove(at) },
		func() error { return os.Chmod(at, 0o666) },
		func() error { return os.Rename(at, at+"~") },
		func() error { return os.RemoveAll(filepath.Join(dir, "root/etc/deep")) },
	} {
		began := time.Now()
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		g.until("mending", func() bool { return g.states["lamp"].Mended == int64(i+1) })
		if s := g.states["lamp"]; s.State != manifest.Applied {
			t.Errorf("after harm %d: %+v", i, s)
		}
		t.Logf("harm %d mended and reported in %s", i, time.Since(began).Round(time.Millisecond))
	}
	if b, err := os.ReadFile(filepath.Join(dir, "root/etc/deep/down/lamp")); string(b) != "red" {
		t.Errorf("deep lamp = %q, %v", b, err)
	}
}

// TestAFightIsGivenUp has somebody change a file back each time.
func TestAFightIsGivenUp(t *testing.T) {
	dir, g := t.TempDir(), newGateway(t)
	e, _ := deliver(t, dir, g, &lamp{})
	e.Nudge(0, g.set(lampSetting(t, "red", "/etc/lamp")))
	g.until("first state", func() bool { return g.states["lamp"].State == manifest.Applied })
	at := filepath.Join(dir, "root/etc/lamp")
	g.until("an end", func() bool {
		if b, _ := os.ReadFile(at); string(b) == "red" {
			_ = os.WriteFile(at, []byte("green"), 0o600)
		}
		return g.states["lamp"].State == manifest.Drifted
	})
	g.say(func() {
		if s := g.states["lamp"]; !strings.Contains(s.Message, "keeps changing it") || s.Mended != mendsAllowed {
			t.Errorf("%+v", s)
		}
	})
}

// slow is a lamp whose Apply waits.
type slow struct {
	lamp
	begun, goOn chan struct{}
}

func (s *slow) Apply(ctx context.Context, sys *System, st manifest.Setting) error {
	s.begun <- struct{}{}
	<-s.goOn
	return s.lamp.Apply(ctx, sys, st)
}

func TestRemovedWhileApplied(t *testing.T) {
	dir, g := t.TempDir(), newGateway(t)
	s := &slow{begun: make(chan struct{}, 10), goOn: make(chan struct{})}
	e, _ := deliver(t, dir, g, s)
	begin := lampRoot(t, dir)
	e.Nudge(0, g.set(lampSetting(t, "red", "/etc/lamp", "/etc/made/lamp")))
	<-s.begun
	e.Nudge(0, g.set())
	close(s.goOn)
	g.until("the end", func() bool {
		return len(g.reports) > 0 && g.reports[len(g.reports)-1].Generation == 2 && len(g.states) == 0
	})
	if err := os.Remove(filepath.Join(dir, "root/run/lamp")); err != nil { // empty, as Remove leaves it
		t.Fatal(err)
	}
	if now := lampRoot(t, dir); now != begin {
		t.Errorf("left:\n%s\nwant\n%s", now, begin)
	}
}

// TestDiskFull applies to a device, and keeps the journal, where there is no room.
func TestDiskFull(t *testing.T) {
	if os.Getenv("HANDRAIL_TEST_NAMESPACE") == "" {
		cmd := exec.CommandContext(t.Context(), "unshare", "--mount", os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		cmd.Env = append(os.Environ(), "HANDRAIL_TEST_NAMESPACE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, small := range []string{"root", "state"} {
		t.Run(small, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, small), 0o755); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=128k,mode=0755", "none", filepath.Join(dir, small)).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", filepath.Join(dir, small)).Run() })
			e := lampEngine(t, dir, &lamp{})
			if err := os.WriteFile(filepath.Join(dir, "root/etc/lamp"), []byte("as it was"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Enforce(t.Context(), lampManifest(t, lampSetting(t, "red", "/etc/lamp", "/etc/b"))); err != nil {
				t.Fatal(err)
			}
			before := lampRoot(t, dir)
			fill, err := os.Create(filepath.Join(dir, small, "fill"))
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = fill.Write(make([]byte, 1024))
			}
			fill.Close()
			big := lampSetting(t, strings.Repeat("blue ", 2000), "/etc/lamp", "/etc/c/d")
			list, err := e.Enforce(t.Context(), lampManifest(t, big))
			if err == nil && (list[0].State != manifest.Failed || !strings.Contains(list[0].Message, "no space left")) || err != nil && !IsDiskFull(err) {
				t.Errorf("on a full disk: %+v, %v", list, err)
			}
			if err := os.Remove(fill.Name()); err != nil {
				t.Fatal(err)
			}
			if now := lampRoot(t, dir); now != before {
				t.Errorf("half done:\n%.500s\nwant\n%s", now, before)
			}
			if list, err = e.Enforce(t.Context(), lampManifest(t, big)); err != nil || list[0].State != manifest.Applied {
				t.Errorf("with room again: %+v, %v", list, err)
			}
			if _, err = e.Enforce(t.Context(), lampManifest(t)); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, "root/etc/lamp")); string(b) != "as it was" {
				t.Errorf("after removal the lamp is %q", b)
			}
		})
	}
}

// TestMomentsKnowNoClock shows that a trial's end does not depend on the time of day.
func TestMomentsKnowNoClock(t *testing.T) {
	m := after(time.Minute)
	if left := m.left(); left < 50*time.Second || left > time.Minute {
		t.Errorf("a minute from now is %s away", left)
	}
	m.Boot = "another start of the machine"
	if m.left() != 0 {
		t.Error("a trial outlived a restart of the machine")
	}
	var none *moment
	if none.left() != 0 || after(-time.Second).left() != 0 {
		t.Error("time is left where there is none")
	}
}
