package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/script"
	"handrail/signaling"
)

// world is the room over a database, with devices that are online when the test says so.
type world struct {
	*dispatch.Dispatch
	t        *testing.T
	commands *command.Registry
	scripts  *script.Registry
	key      secret.Key

	mu     sync.Mutex
	online map[mdm.DeviceID]bool
	nudged []mdm.DeviceID
	news   chan struct{}
}

// keeper is what the room's registries keep things in.
type keeper interface {
	command.Store
	script.Store
}

func newWorld(t *testing.T, s keeper) *world {
	t.Helper()
	w := &world{t: t, commands: command.New(s), scripts: script.New(s), key: secret.New(), online: map[mdm.DeviceID]bool{}, news: make(chan struct{}, 1000)}
	w.Dispatch = dispatch.New(dispatch.Config{
		Commands: w.commands, Scripts: w.scripts, Key: w.key,
		Online: func() map[mdm.DeviceID]bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			out := map[mdm.DeviceID]bool{}
			for id := range w.online {
				out[id] = true
			}
			return out
		},
		IsOnline: func(id mdm.DeviceID) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.online[id] },
		Nudge: func(id mdm.DeviceID) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.nudged = append(w.nudged, id)
			w.news <- struct{}{}
			return nil
		},
		Changed: func(signaling.Topic, ...string) {},
	}, slog.New(slog.DiscardHandler))
	return w
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) nudges() []mdm.DeviceID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.nudged)
}

func order(kind command.Kind, params string) dispatch.Order {
	return dispatch.Order{Kind: kind, Params: []byte(params), By: "op_1", ByName: "Ann", MayType: true}
}

func targets(n int) []command.Target {
	out := make([]command.Target, n)
	for i := range out {
		out[i] = command.Target{Device: mdm.DeviceID(fmt.Sprintf("dev_%05d", i)), Name: "pc", Group: mdm.RootGroup}
	}
	return out
}

func (w *world) send(o dispatch.Order, ts []command.Target) command.Made {
	w.t.Helper()
	made, err := w.Send(w.t.Context(), o, ts)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func TestSecretsStayInside(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	s, _, err := w.scripts.Create(t.Context(), "join", "", script.Draft{
		Interpreter: "sh", Body: "true", Parameters: []script.Parameter{{Name: "password", Type: script.Secret, Required: true}, {Name: "domain", Type: script.String}},
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	params := fmt.Sprintf(`{"script_id":%q,"parameters":{"password":"hunter2","domain":"example"}}`, s.ID)
	made := w.send(order(command.RunScript, params), targets(1))
	b, err := w.commands.Bulk(t.Context(), made.Bulk.ID)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b.Params)+b.Payload, "hunter2") || !strings.Contains(string(b.Params), `"password":{"secret":true}`) || !strings.Contains(string(b.Params), "example") {
		t.Errorf("people see %s; the database holds %s", b.Params, b.Payload)
	}
	a, err := w.Claim(t.Context(), "dev_00000", command.Claim{})
	if err != nil || len(a.Commands) != 1 || !strings.Contains(string(a.Commands[0].Params), "hunter2") {
		t.Errorf("the device gets %+v, %v", a, err)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	s, _, err := w.scripts.Create(t.Context(), "one", "", script.Draft{Interpreter: "sh", Body: "true", Parameters: []script.Parameter{{Name: "n", Type: script.Int}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	old, _, err := w.scripts.Create(t.Context(), "old", "", script.Draft{Interpreter: "sh", Body: "true"}, time.Now())
	if err == nil {
		_, err = w.scripts.Update(t.Context(), old.ID, script.Change{Archived: &yes}, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kind   command.Kind
		params string
	}{
		{"wipe", `{}`},
		{command.Restart, `{"delay_seconds":-1}`},
		{command.Restart, `{"delay":1}`},
		{command.Restart, `{"delay_seconds":"soon"}`},
		{command.Restart, `[]`},
		{command.Message, `{}`},
		{command.RestartService, `{"unit":"a b"}`},
		{command.RestartService, `{"unit":"-x"}`},
		{command.SignOut, `{"user":"--all"}`},
		{command.CollectLogs, `{"files":["/etc/shadow"]}`},
		{command.CollectLogs, `{"files":["/var/log/../../etc/shadow"]}`},
		{command.RunScript, `{}`},
		{command.RunScript, `{"script_id":"scr_none"}`},
		{command.RunScript, fmt.Sprintf(`{"script_id":%q,"version":9}`, s.ID)},
		{command.RunScript, fmt.Sprintf(`{"script_id":%q}`, old.ID)},
		{command.RunScript, fmt.Sprintf(`{"script_id":%q,"body":"id"}`, s.ID)},
		{command.RunScript, fmt.Sprintf(`{"script_id":%q,"parameters":{"n":"many"}}`, s.ID)},
		{command.RunScript, fmt.Sprintf(`{"script_id":%q,"parameters":{"m":1}}`, s.ID)},
		{command.RunScript, fmt.Sprintf(`{"script_id":%q,"timeout_seconds":999999}`, s.ID)},
		{command.RunScript, `{"interpreter":"perl","body":"1"}`},
		{command.RunScript, `{"interpreter":"sh","body":"a\u0000b"}`},
		{command.RunScript, `{"interpreter":"sh","body":"x","run_as":"-c"}`},
		{command.RunScript, `{"interpreter":"sh","body":"` + strings.Repeat("x", command.MaxBody+1) + `"}`},
		{command.RunScript, `{"interpreter":"sh","body":"x","parameters":{"LD_PRELOAD":"x"}}`},
	} {
		if _, err := w.Send(t.Context(), order(tt.kind, tt.params), targets(1)); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%s %.80s: %v, want %v", tt.kind, tt.params, err, mdm.ErrInvalid)
		}
	}
	o := order(command.RunScript, `{"interpreter":"sh","body":"id"}`)
	o.MayType = false
	if _, err := w.Send(t.Context(), o, targets(1)); !errors.Is(err, dispatch.ErrNotInLibrary) {
		t.Errorf("a typed script by who may not: %v", err)
	}
	if next, err := w.commands.NextWake(t.Context()); err != nil || !next.IsZero() {
		t.Errorf("something was left behind: %v, %v", next, err)
	}
}

func TestNobodySpeaksInAnothersName(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	w.send(order(command.Message, `{"text":"hello","from":"The Boss"}`), targets(1))
	a, err := w.Claim(t.Context(), "dev_00000", command.Claim{})
	if err != nil || len(a.Commands) != 1 {
		t.Fatal(a, err)
	}
	var n command.Notice
	if err := json.Unmarshal(a.Commands[0].Params, &n); err != nil || n.From != "Ann" {
		t.Errorf("%+v, %v", n, err)
	}
}

// TestTimers: what may begin later is nudged for when its time comes, and what is over its
// time ends, without anybody asking.
func TestTimers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		w := newWorld(t, s)
		w.run()
		w.online["dev_00000"] = true
		o := order(command.RefreshInventory, `{}`)
		o.NotBefore = time.Now().Add(400 * time.Millisecond)
		began := time.Now()
		w.send(o, targets(2))
		select {
		case <-w.news:
		case <-time.After(time.Minute):
			t.Fatal("never nudged")
		}
		if n := w.nudges(); !slices.Equal(n, []mdm.DeviceID{"dev_00000"}) || time.Since(began) < 400*time.Millisecond {
			t.Errorf("nudged %v after %v", n, time.Since(began))
		}
		if a, err := w.Claim(t.Context(), "dev_00000", command.Claim{}); err != nil || len(a.Commands) != 1 {
			t.Errorf("claim: %+v, %v", a, err)
		}
		// The other one comes later.
		w.Back(t.Context(), "dev_00001")
		if n := w.nudges(); !slices.Contains(n, "dev_00001") {
			t.Error("who came back was not told")
		}
	})
}

// TestDatabaseAway: an order either is there afterwards or is not; what was there goes on.
func TestDatabaseAway(t *testing.T) {
	if !storetest.HasPostgres() {
		t.Log("without HANDRAIL_TEST_POSTGRES there is no database to take away")
		return
	}
	s := storetest.OpenInterruptible(t)
	w := newWorld(t, s)
	w.run()
	first := w.send(order(command.RefreshInventory, `{}`), targets(1))
	s.Interrupt()
	if _, err := w.Send(t.Context(), order(command.RefreshInventory, `{}`), targets(1)); !errors.Is(err, mdm.ErrUnavailable) {
		t.Errorf("order: %v, want %v", err, mdm.ErrUnavailable)
	}
	if _, err := w.Claim(t.Context(), "dev_00000", command.Claim{}); !errors.Is(err, mdm.ErrUnavailable) {
		t.Errorf("claim: %v, want %v", err, mdm.ErrUnavailable)
	}
	w.Back(t.Context(), "dev_00000") // it is nudged all the same: its claims find out
	if n := w.nudges(); !slices.Contains(n, "dev_00000") {
		t.Error("a device that comes back while the database is away is not told to ask")
	}
	s.Restore()
	var a command.ClaimAnswer
	var err error
	for range 100 {
		if a, err = w.Claim(t.Context(), "dev_00000", command.Claim{}); err == nil {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if err != nil || len(a.Commands) != 1 {
		t.Fatalf("claim after it came back: %+v, %v", a, err)
	}
	rs := command.Results{Results: []command.Result{{ID: a.Commands[0].ID, State: command.Succeeded}}}
	if _, err := w.Finish(t.Context(), "dev_00000", rs); err != nil {
		t.Fatal(err)
	}
	c, err := w.commands.Counts(t.Context(), first.Bulk.ID, command.Scope{All: true})
	if err != nil || c[command.Succeeded] != 1 || c.Total() != 1 {
		t.Errorf("counts = %v, %v", c, err)
	}
}

// TestManyDevices: an order for 10,000 devices is one transaction, and its board is read
// without looking at them.
func TestManyDevices(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		const n = 10_000
		w := newWorld(t, s)
		began := time.Now()
		made := w.send(order(command.RunScript, `{"interpreter":"sh","body":"true"}`), targets(n))
		ordered := time.Since(began)
		began = time.Now()
		c, err := w.commands.Counts(t.Context(), made.Bulk.ID, command.Scope{All: true})
		if err != nil || c[command.Queued] != n || made.Bulk.Devices != n {
			t.Errorf("counts = %v, %v", c, err)
		}
		t.Logf("%d devices ordered in %v, board in %v", n, ordered.Round(time.Millisecond), time.Since(began).Round(10*time.Microsecond))
		began = time.Now()
		cancelled, _, err := w.Cancel(t.Context(), command.Selection{Bulk: made.Bulk.ID, Scope: command.Scope{All: true}}, made.Bulk.ID, "Ann")
		if err != nil || cancelled != n {
			t.Errorf("cancelled %d, %v", cancelled, err)
		}
		t.Logf("cancelled in %v", time.Since(began).Round(time.Millisecond))
	})
}
