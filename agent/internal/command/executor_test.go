package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	agentcommand "handrail/agent/internal/command"
	"handrail/mdm"
	"handrail/mdm/command"
)

// gate is a gateway of one device: it gives commands and takes results as a real one does,
// and can be away.
type gate struct {
	mu      sync.Mutex
	give    []command.Delivery
	cancel  []command.ID
	results map[command.ID]command.Result
	times   map[command.ID]int // how often a result came
	away    error
	news    chan struct{}
}

func newGate() *gate {
	return &gate{results: map[command.ID]command.Result{}, times: map[command.ID]int{}, news: make(chan struct{}, 1000)}
}

func (g *gate) claim(_ context.Context, c command.Claim) (command.ClaimAnswer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := command.ClaimAnswer{Cancel: g.cancel}
	if g.away != nil {
		return a, g.away
	}
	for _, d := range g.give {
		if _, ok := g.results[d.ID]; !ok && !slices.Contains(c.Have, d.ID) {
			a.Commands = append(a.Commands, d)
		}
	}
	return a, nil
}

func (g *gate) report(_ context.Context, rs command.Results) (command.ResultsAnswer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away != nil {
		return command.ResultsAnswer{}, g.away
	}
	var a command.ResultsAnswer
	for _, r := range rs.Results {
		g.results[r.ID] = r
		g.times[r.ID]++
		a.Taken = append(a.Taken, r.ID)
	}
	g.news <- struct{}{}
	return a, nil
}

func (g *gate) add(kind command.Kind, params any) command.ID {
	b, err := json.Marshal(params)
	if err != nil {
		panic(err)
	}
	id := command.ID(mdm.NewID("cmd"))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.give = append(g.give, command.Delivery{ID: id, Kind: kind, Params: b, Attempt: 1, WithinMS: time.Hour.Milliseconds()})
	return id
}

func (g *gate) stop(id command.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel = append(g.cancel, id)
}

func (g *gate) setAway(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = err
}

func (g *gate) result(id command.ID) (command.Result, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.results[id]
	return r, ok
}

func (g *gate) await(t *testing.T, id command.ID) command.Result {
	t.Helper()
	end := time.After(60 * time.Second)
	for {
		if r, ok := g.result(id); ok {
			return r
		}
		select {
		case <-g.news:
		case <-end:
			t.Fatalf("no result of %s", id)
		}
	}
}

// system is a machine that notes what is done to it.
type system struct {
	mu   sync.Mutex
	boot string
	done []string
}

func (s *system) note(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, what)
	return nil
}

func (s *system) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done)
}

func (s *system) BootID() (string, error)        { return s.boot, nil }
func (s *system) CanPower() error                { return nil }
func (s *system) Restart(context.Context) error  { return s.note("restart") }
func (s *system) Shutdown(context.Context) error { return s.note("shutdown") }
func (s *system) SignOut(_ context.Context, user string) (string, error) {
	return "signed out " + user, s.note("sign out " + user)
}

func (s *system) RestartService(_ context.Context, unit string) (string, error) {
	return unit + " is active", s.note("service " + unit)
}

func (s *system) Journal(_ context.Context, _ time.Duration, _ string, w io.Writer) error {
	_, err := io.WriteString(w, strings.Repeat("a line of the journal\n", 10_000))
	return err
}

// agent is an executor that runs.
type agent struct {
	t    *testing.T
	exec *agentcommand.Executor
	stop func()
}

func start(t *testing.T, g *gate, dir string, change func(*agentcommand.Config)) *agent {
	t.Helper()
	cfg := agentcommand.Config{
		Dir: dir, Scratch: t.TempDir(), Claim: g.claim, Report: g.report, System: &system{boot: "one"},
		RetryMin: 5 * time.Millisecond, RetryMax: 20 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	e, err := agentcommand.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	a := &agent{t: t, exec: e}
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(a.stop)
	e.Online()
	return a
}

func journalDir(t *testing.T) string { t.Helper(); return filepath.Join(t.TempDir(), "journal") }

func TestOrderAndResults(t *testing.T) {
	g, sys := newGate(), &system{boot: "one"}
	var notices []string
	a := start(t, g, journalDir(t), func(c *agentcommand.Config) {
		c.System = sys
		c.Refresh = func(context.Context) error { return nil }
		c.Notify = func(_ context.Context, n command.Notice, begin func() error) (string, error) {
			notices = append(notices, n.Text)
			return "ann", begin()
		}
	})
	ids := []command.ID{
		g.add(command.RestartService, map[string]string{"unit": "cups"}),
		g.add(command.SignOut, map[string]string{"user": "ann"}),
		g.add(command.Shutdown, nil),
	}
	message := g.add(command.Message, map[string]string{"text": "lunch"})
	refresh := g.add(command.RefreshInventory, nil)
	strange := g.add("levitate", nil)
	broken := g.add(command.RestartService, map[string]any{"unit": 5})
	rotate := g.add(command.RotateKey, nil)
	a.exec.Nudge()
	for _, id := range append(ids, message, refresh) {
		if r := g.await(t, id); r.State != command.Succeeded || r.StartedUS == 0 || r.EndedUS < r.StartedUS {
			t.Errorf("%+v", r)
		}
	}
	if r := g.await(t, message); r.Message != "shown to ann" || !slices.Equal(notices, []string{"lunch"}) {
		t.Errorf("message: %+v, %v", r, notices)
	}
	for id, want := range map[command.ID]command.Reason{strange: command.ReasonMalformed, broken: command.ReasonMalformed, rotate: command.ReasonUnsupported} {
		if r := g.await(t, id); r.State != command.Failed || r.Reason != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	if got := sys.noted(); !slices.Equal(got, []string{"service cups", "sign out ann", "shutdown"}) {
		t.Errorf("done: %v", got)
	}
}

// TestTwiceIsOnce: a command that comes again, before, while and after it is carried out, and
// after a restart of the agent, is carried out once.
func TestTwiceIsOnce(t *testing.T) {
	dir, file := journalDir(t), filepath.Join(t.TempDir(), "lines")
	g := newGate()
	a := start(t, g, dir, nil)
	id := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo once >> " + file})
	for range 5 {
		a.exec.Nudge()
	}
	g.await(t, id)
	// The gateway forgets, as with a backup put back: the device is asked again.
	g.mu.Lock()
	delete(g.results, id)
	g.mu.Unlock()
	a.exec.Nudge()
	if r := g.await(t, id); r.Reason != command.ReasonInterrupted {
		t.Errorf("asked again after it was over: %+v", r)
	}
	a.stop()
	g.mu.Lock()
	delete(g.results, id)
	g.mu.Unlock()
	a = start(t, g, dir, nil)
	a.exec.Nudge()
	g.await(t, id)
	if b, err := os.ReadFile(file); err != nil || string(b) != "once\n" {
		t.Errorf("carried out: %q, %v", b, err)
	}
}

// TestGatewayAway: results wait until the gateway is there, and are sent without being asked.
func TestGatewayAway(t *testing.T) {
	g := newGate()
	a := start(t, g, journalDir(t), nil)
	id := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "sleep 0.2; echo done"})
	a.exec.Nudge()
	for len(g.give) > 0 { // until it is taken on
		c, _ := g.claim(t.Context(), command.Claim{})
		if len(c.Commands) == 1 {
			break
		}
	}
	g.setAway(errors.New("database away"))
	time.AfterFunc(500*time.Millisecond, func() { g.setAway(nil) })
	if r := g.await(t, id); r.State != command.Succeeded || r.Output != "done\n" {
		t.Errorf("%+v", r)
	}
}

func TestRestartIsOverWhenTheDeviceIsBack(t *testing.T) {
	dir, g := journalDir(t), newGate()
	sys := &system{boot: "one"}
	a := start(t, g, dir, func(c *agentcommand.Config) { c.System = sys })
	id, after := g.add(command.Restart, nil), g.add(command.RestartService, map[string]string{"unit": "cups"})
	a.exec.Nudge()
	for len(sys.noted()) == 0 {
		<-time.After(5 * time.Millisecond)
	}
	a.stop() // as the system going down does
	if r, ok := g.result(id); ok {
		t.Errorf("a restart is over before the device is back: %+v", r)
	}
	a = start(t, g, dir, func(c *agentcommand.Config) { c.System = sys }) // the agent alone was restarted
	a.stop()
	if r, ok := g.result(id); ok {
		t.Errorf("a restart is over although the system did not: %+v", r)
	}
	sys.boot = "two"
	start(t, g, dir, func(c *agentcommand.Config) { c.System = sys })
	if r := g.await(t, id); r.State != command.Succeeded || r.Message != "restarted" {
		t.Errorf("%+v", r)
	}
	if r := g.await(t, after); r.State != command.Succeeded {
		t.Errorf("what came after it: %+v", r)
	}
	if got := sys.noted(); !slices.Equal(got, []string{"restart", "service cups"}) {
		t.Errorf("done: %v", got)
	}
}

func TestCancel(t *testing.T) {
	g := newGate()
	a := start(t, g, journalDir(t), nil)
	begun := filepath.Join(t.TempDir(), "begun")
	long := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo begun; touch " + begun + "; sleep 1000 & sleep 1000"})
	next := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo never"})
	a.exec.Nudge()
	g.stop(next)
	for _, err := os.Stat(begun); err != nil; _, err = os.Stat(begun) {
		<-time.After(5 * time.Millisecond)
	}
	g.stop(long)
	began := time.Now()
	a.exec.Nudge()
	if r := g.await(t, long); r.State != command.Cancelled || r.Output != "begun\n" {
		t.Errorf("%+v", r)
	}
	if r := g.await(t, next); r.State != command.Cancelled || r.StartedUS != 0 {
		t.Errorf("%+v", r)
	}
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %v to stop a script", d)
	}
}

func TestExpiredIsNotBegun(t *testing.T) {
	g := newGate()
	a := start(t, g, journalDir(t), func(c *agentcommand.Config) {
		c.Notify = func(ctx context.Context, _ command.Notice, _ func() error) (string, error) {
			<-ctx.Done() // nobody comes
			return "", ctx.Err()
		}
	})
	late := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo late"})
	message := g.add(command.Message, map[string]string{"text": "hello"})
	g.give[0].WithinMS, g.give[1].WithinMS = 0, 200
	a.exec.Nudge()
	for _, id := range []command.ID{late, message} {
		if r := g.await(t, id); r.State != command.Expired {
			t.Errorf("%+v", r)
		}
	}
}

// TestDamagedJournal: a record that cannot be read stands for a command that is not done again.
func TestDamagedJournal(t *testing.T) {
	dir, g := journalDir(t), newGate()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	id := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo again"})
	if err := os.WriteFile(filepath.Join(dir, string(id)+".json"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, g, dir, nil)
	a.exec.Nudge()
	if r := g.await(t, id); r.Reason != command.ReasonInterrupted || r.Output != "" {
		t.Errorf("%+v", r)
	}
}

// TestJournalOnFullDisk: what cannot be written down is not done.
func TestJournalOnFullDisk(t *testing.T) {
	dir, g, file := journalDir(t), newGate(), filepath.Join(t.TempDir(), "done")
	a := start(t, g, dir, nil)
	g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "touch " + file})
	if err := os.RemoveAll(dir); err != nil { // no file can be made in it any more
		t.Fatal(err)
	}
	a.exec.Nudge()
	<-time.After(200 * time.Millisecond)
	if _, err := os.Stat(file); err == nil {
		t.Error("a command was carried out that is not in the journal")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	g.await(t, g.give[0].ID) // space again: it is
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestJournalForgets(t *testing.T) {
	dir, g := journalDir(t), newGate()
	a := start(t, g, dir, func(c *agentcommand.Config) { c.Refresh = func(context.Context) error { return nil } })
	for i := range 520 {
		id := g.add(command.RefreshInventory, nil)
		if i%50 == 49 {
			a.exec.Nudge()
			g.await(t, id)
		}
	}
	a.exec.Nudge()
	g.await(t, g.give[519].ID)
	a.stop()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 500 {
		t.Errorf("%d records are kept (%v)", len(files), err)
	}
	if len(files) < 490 {
		t.Errorf("only %d records are kept", len(files))
	}
}
