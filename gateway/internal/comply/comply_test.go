package comply_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/rule"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/manifest"
	"handrail/mdm/mdmtest"
)

// house is a store with rules and devices, and a clock for engines.
type house struct {
	t       *testing.T
	store   *store.Store
	rules   *compliance.Registry
	compile *rule.Compiler
	mu      sync.Mutex
	clock   time.Time
	devices []mdm.DeviceID
}

func newHouse(t *testing.T, s *store.Store, devices int, rules ...compliance.Rule) *house {
	t.Helper()
	c, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: s, compile: c, clock: mdmtest.Start, rules: compliance.New(s, rules, comply.Check(c))}
	if _, err := h.rules.Sync(t.Context(), h.now()); err != nil {
		t.Fatal(err)
	}
	if err := h.rules.SetNewDeviceGrace(t.Context(), 0, h.now()); err != nil {
		t.Fatal(err)
	}
	for i := range devices {
		d := mdmtest.Join(t, s, i+1, mdm.RootGroup)
		h.devices = append(h.devices, d)
		h.report(d, "time", `{"synchronised":true,"service":"timesyncd"}`)
	}
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

func (h *house) report(d mdm.DeviceID, section, data string) {
	h.t.Helper()
	sum := sha256.Sum256([]byte(data))
	row := inventory.Row{Section: section, Hash: hex.EncodeToString(sum[:]), Data: []byte(data), ChangedAt: h.now()}
	if err := h.store.SaveSections(h.t.Context(), d, []inventory.Row{row}, false, nil, h.now()); err != nil {
		h.t.Fatal(err)
	}
}

// engine is one node's; through wraps its store.
func (h *house) engine(change func(*comply.Config)) *comply.Engine {
	h.t.Helper()
	cfg := comply.Config{Store: h.store, Rules: h.rules, Compiler: h.compile, Tree: group.New(h.store).Tree, Now: h.now, Workers: 2, Batch: 10}
	if change != nil {
		change(&cfg)
	}
	e, err := comply.New(cfg, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// drain runs rounds until nothing is due, and returns how many devices it was.
func (h *house) drain(e *comply.Engine) int {
	h.t.Helper()
	for n := 0; ; {
		k, err := e.Round(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		if k == 0 {
			return n
		}
		n += k
	}
}

func (h *house) state(d mdm.DeviceID, id string) compliance.Entry {
	h.t.Helper()
	all, err := h.store.ComplianceStandings(h.t.Context(), []mdm.DeviceID{d})
	if err != nil {
		h.t.Fatal(err)
	}
	e, _ := all[d].Entry(id)
	return e
}

func synchronised() compliance.Rule {
	return compliance.Rule{ID: "time", Title: "Time", Severity: compliance.Low, Shipped: true, Expression: `inventory.time.synchronised`}
}

// watched notes who is looked at, and can stop an engine in the middle.
type watched struct {
	comply.Store
	mu     *sync.Mutex
	at     map[mdm.DeviceID]int // engines that hold it just now
	twice  *[]mdm.DeviceID
	saved  map[mdm.DeviceID]int
	broken func() error // asked before saving; nil: never
}

func (w watched) ClaimComplianceDue(ctx context.Context, now, lease time.Time, limit int) ([]mdm.DeviceID, error) {
	ids, err := w.Store.ClaimComplianceDue(ctx, now, lease, limit)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if w.at[id]++; w.at[id] > 1 {
			*w.twice = append(*w.twice, id)
		}
	}
	return ids, err
}

func (w watched) SaveCompliance(ctx context.Context, lease time.Time, changes []compliance.Change) (int, error) {
	if w.broken != nil {
		if err := w.broken(); err != nil {
			return 0, err
		}
	}
	// Taken off before it is saved: from then on somebody else may hold it.
	w.mu.Lock()
	for _, c := range changes {
		w.at[c.Standing.Device]--
		w.saved[c.Standing.Device]++
	}
	w.mu.Unlock()
	return w.Store.SaveCompliance(ctx, lease, changes)
}

// TestTwoEnginesShareTheWork: on one database, each device is looked at, none by two at once.
func TestTwoEnginesShareTheWork(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s, 60, synchronised())
		w := watched{Store: s, mu: &sync.Mutex{}, at: map[mdm.DeviceID]int{}, twice: &[]mdm.DeviceID{}, saved: map[mdm.DeviceID]int{}}
		var all sync.WaitGroup
		done := make([]int, 4)
		for i, e := range []*comply.Engine{h.engine(func(c *comply.Config) { c.Store, c.Batch = w, 5 }), h.engine(func(c *comply.Config) { c.Store, c.Batch = w, 5 })} {
			for j := range 2 {
				all.Go(func() {
					for {
						n, err := e.Round(t.Context())
						if err != nil {
							t.Error(err)
						}
						if n == 0 {
							return
						}
						done[2*i+j] += n
					}
				})
			}
		}
		all.Wait()
		if len(*w.twice) > 0 {
			t.Errorf("held by two at once: %v", *w.twice)
		}
		if sum := done[0] + done[1] + done[2] + done[3]; sum != 60 {
			t.Errorf("looked at %v, %d in all, want 60", done, sum)
		}
		for _, d := range h.devices {
			if w.saved[d] != 1 || h.state(d, "time").State != compliance.Compliant {
				t.Errorf("%s: saved %d times, %+v", d, w.saved[d], h.state(d, "time"))
			}
		}
	})
}

// TestEngineDiesInTheMiddle: what it had taken is taken over once its lease is over.
func TestEngineDiesInTheMiddle(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s, 35, synchronised())
		killed := errors.New("killed")
		saves := 0
		w := watched{
			Store: s, mu: &sync.Mutex{}, at: map[mdm.DeviceID]int{}, twice: &[]mdm.DeviceID{}, saved: map[mdm.DeviceID]int{},
			broken: func() error {
				if saves++; saves > 1 {
					return killed
				}
				return nil
			},
		}
		dying := h.engine(func(c *comply.Config) { c.Store = w })
		if n, err := dying.Round(t.Context()); err != nil || n != 10 {
			t.Fatalf("first round: %d, %v", n, err)
		}
		if _, err := dying.Round(t.Context()); !errors.Is(err, killed) {
			t.Fatalf("second round: %v", err)
		}
		other := h.engine(nil)
		if n := h.drain(other); n != 15 {
			t.Errorf("the other engine found %d to do, want the 15 nobody had taken", n)
		}
		h.pass(time.Minute - time.Second)
		if n := h.drain(other); n != 0 {
			t.Errorf("within the lease: %d", n)
		}
		h.pass(2 * time.Second)
		if n := h.drain(other); n != 10 {
			t.Errorf("after the lease: %d, want 10", n)
		}
		for _, d := range h.devices {
			if got := h.state(d, "time").State; got != compliance.Compliant {
				t.Errorf("%s is %q", d, got)
			}
		}
		if next, err := s.NextComplianceDue(t.Context()); err != nil || !next.IsZero() {
			t.Errorf("still due: %v, %v", next, err)
		}
	})
}

// TestLateEngine: one that was stopped for longer than its lease overwrites nothing.
func TestLateEngine(t *testing.T) {
	h := newHouse(t, storetest.Open(t), 1, synchronised())
	d := h.devices[0]
	w := watched{
		Store: h.store, mu: &sync.Mutex{}, at: map[mdm.DeviceID]int{}, twice: &[]mdm.DeviceID{}, saved: map[mdm.DeviceID]int{},
		broken: func() error { // in the meantime another looks at the device, which has changed
			h.pass(time.Hour)
			h.report(d, "time", `{"synchronised":false,"service":""}`)
			if n := h.drain(h.engine(nil)); n != 1 {
				return fmt.Errorf("the other engine: %d", n)
			}
			return nil
		},
	}
	if _, err := h.engine(func(c *comply.Config) { c.Store = w }).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.state(d, "time").State; got != compliance.NonCompliant {
		t.Errorf("state = %q, want that of the newer facts", got)
	}
}

// desire asks something of every device, as the room for policies does: only then they report.
func (h *house) desire() {
	h.t.Helper()
	page, err := h.store.ResolveDirty(h.t.Context(), 100, h.now(), func(_ context.Context, _ int64, members []desire.Member) ([]desire.Outcome, error) {
		for i := range members {
			members[i].Outcome, members[i].Hash = "outcome", "hash"
		}
		return []desire.Outcome{{Key: "outcome", Hash: "hash", Sealed: "sealed"}}, nil
	})
	if err != nil || page.Changed != len(h.devices) {
		h.t.Fatalf("resolved %d of %d devices: %v", page.Changed, len(h.devices), err)
	}
}

// settingReported writes down what a device reports of a setting, as the room for policies does.
func (h *house) settingReported(d mdm.DeviceID, id manifest.ID, state manifest.State) {
	h.t.Helper()
	ctx := h.t.Context()
	err := h.store.MergeReports(ctx, []mdm.DeviceID{d}, func(_ context.Context, s *desire.Standing) (bool, error) {
		s.Statuses = map[manifest.ID]desire.Kept{id: {State: state}}
		s.ReportedAt = h.now()
		return true, nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestSettingsChange: a rule over a setting's state follows it, and is made good for where
// whoever took the report died before saying so.
func TestSettingsChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s, 2, synchronised(), compliance.Rule{
			ID: "firewall", Title: "Firewall", Severity: compliance.High, Shipped: true, Expression: `settings["firewall.rules"] == "applied"`,
		})
		h.desire()
		e := h.engine(nil)
		h.drain(e)
		d := h.devices[0]
		if got := h.state(d, "firewall"); got.State != compliance.Unknown {
			t.Errorf("nothing reported: %+v", got)
		}
		for _, tt := range []struct {
			says manifest.State
			want compliance.State
		}{{manifest.Applied, compliance.Compliant}, {manifest.Drifted, compliance.NonCompliant}} {
			h.pass(time.Second)
			h.settingReported(d, "firewall.rules", tt.says)
			if err := e.SettingsChanged(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if n := h.drain(e); n != 1 {
				t.Errorf("%s: looked at %d devices, want 1", tt.says, n)
			}
			if got := h.state(d, "firewall"); got.State != tt.want {
				t.Errorf("%s: %+v, want %s", tt.says, got, tt.want)
			}
		}
		h.pass(time.Second)
		h.settingReported(d, "firewall.rules", manifest.Applied)
		ctx, stop := context.WithCancel(t.Context())
		again := make(chan struct{}, 8)
		fresh := h.engine(func(c *comply.Config) { c.Changed = func(...string) { again <- struct{}{} } })
		var running sync.WaitGroup
		running.Go(func() { _ = fresh.Run(ctx) })
		select {
		case <-again:
		case <-time.After(time.Minute):
			t.Error("the engine that started later never saw the report")
		}
		stop()
		running.Wait()
		if got := h.state(d, "firewall"); got.State != compliance.Compliant {
			t.Errorf("after the start: %+v", got)
		}
	})
}

// TestClockJumps: years forward and back leave no device unlooked at, and no interval that
// ends before it begins.
func TestClockJumps(t *testing.T) {
	h := newHouse(t, storetest.Open(t), 3, compliance.Rule{
		ID: "time", Title: "Time", Severity: compliance.Low, Shipped: true, Expression: `inventory.time.synchronised`, Grace: 72 * time.Hour,
	})
	e := h.engine(nil)
	h.drain(e)
	h.pass(time.Hour)
	for _, d := range h.devices {
		h.report(d, "time", `{"synchronised":false,"service":""}`)
	}
	h.drain(e)
	d := h.devices[0]
	if got := h.state(d, "time"); got.State != compliance.InGrace {
		t.Fatalf("broken an hour: %+v", got)
	}
	h.pass(3 * 365 * 24 * time.Hour)
	h.drain(e)
	if got := h.state(d, "time"); got.State != compliance.NonCompliant {
		t.Errorf("years later: %+v", got)
	}
	h.report(h.devices[1], "time", `{"synchronised":true,"service":"ntpd"}`) // put on the list by the wrong clock
	h.pass(-3 * 365 * 24 * time.Hour)
	if n := h.drain(e); n != 3 {
		t.Errorf("after the clock went back: looked at %d, want 3", n)
	}
	if got := h.state(h.devices[1], "time"); got.State != compliance.Compliant {
		t.Errorf("what was reported meanwhile: %+v", got)
	}
	h.pass(time.Hour)
	h.report(d, "time", `{"synchronised":true,"service":"ntpd"}`)
	h.drain(e)
	if got := h.state(d, "time"); got.State != compliance.Compliant {
		t.Errorf("mended: %+v", got)
	}
	list, err := h.store.ComplianceHistory(t.Context(), d, "time", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if !i.Until.IsZero() && i.Until.Before(i.Since) {
			t.Errorf("interval ends before it begins: %+v", i)
		}
	}
	// A node with the right clock that was not there when it happened.
	h.pass(365 * 24 * time.Hour)
	h.report(d, "time", `{"synchronised":false,"service":""}`)
	h.drain(e)
	h.pass(-365 * 24 * time.Hour)
	if err := h.store.MarkComplianceMissed(t.Context(), h.now(), false); err != nil {
		t.Fatal(err)
	}
	if n := h.drain(h.engine(nil)); n != 2 {
		t.Errorf("checked in the future: looked at %d again, want 2: the one mended and the one whose grace was over", n)
	}
}

// TestUnreadableSection: a section that is kept by its hash only, or is no JSON, holds nobody up.
func TestUnreadableSection(t *testing.T) {
	h := newHouse(t, storetest.Open(t), 2, synchronised(), compliance.Rule{
		ID: "odd", Title: "Odd", Severity: compliance.Low, Shipped: true, Expression: `inventory.firewall.active`,
	})
	row := inventory.Row{Section: "firewall", Hash: "0", Data: nil, ChangedAt: h.now()}
	if err := h.store.SaveSections(t.Context(), h.devices[0], []inventory.Row{row}, false, nil, h.now()); err != nil {
		t.Fatal(err)
	}
	h.report(h.devices[1], "firewall", `{"active":`)
	h.drain(h.engine(nil))
	for _, d := range h.devices {
		if got := h.state(d, "odd"); got.State != compliance.Unknown || got.Reason == "" {
			t.Errorf("odd = %+v", got)
		}
		if got := h.state(d, "time"); got.State != compliance.Compliant {
			t.Errorf("time = %+v", got)
		}
	}
}

// TestCostlyRule: one that fails at the limit everywhere is not tried on every device, and says
// why on all; once it is mended, all are looked at.
func TestCostlyRule(t *testing.T) {
	endless := "true"
	for _, v := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		endless = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].all(" + v + ", " + endless + ")"
	}
	h := newHouse(t, storetest.Open(t), 80, synchronised())
	own := compliance.Rule{ID: "own", Title: "Own", Severity: compliance.Low, Expression: "device.id != '' && " + endless}
	if _, err := h.rules.Put(t.Context(), own, 0, "op", h.now()); err != nil {
		t.Fatal(err)
	}
	e := h.engine(nil)
	h.drain(e)
	for _, d := range h.devices {
		if got := h.state(d, "own"); got.State != compliance.Failed || !strings.HasPrefix(got.Reason, "the expression takes too") {
			t.Fatalf("own = %+v", got)
		}
		if got := h.state(d, "time"); got.State != compliance.Compliant {
			t.Fatalf("time = %+v", got)
		}
	}
	own.Expression = "device.id != ''"
	if _, err := h.rules.Put(t.Context(), own, 1, "op", h.now()); err != nil {
		t.Fatal(err)
	}
	h.pass(time.Second)
	h.drain(e)
	for _, d := range h.devices {
		if got := h.state(d, "own"); got.State != compliance.Compliant {
			t.Fatalf("mended: %+v", got)
		}
	}
}

// TestLongWaitEnds has something more urgent to do without end: a device that has waited for
// longer than it may is checked all the same, and one that has not is not.
func TestLongWaitEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s, 30, synchronised())
		if behind, err := h.engine(nil).Behind(t.Context()); err != nil || behind != 0 {
			t.Errorf("behind by %s, %v", behind, err)
		}
		h.pass(4 * time.Minute)
		fresh := h.devices[7]
		h.report(fresh, "time", `{"synchronised":false,"service":"timesyncd"}`)
		e := h.engine(func(c *comply.Config) {
			c.Lag = func() time.Duration { return time.Hour }
		})
		if behind, err := e.Behind(t.Context()); err != nil || behind != 4*time.Minute {
			t.Errorf("behind by %s, %v", behind, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = e.Run(ctx)
		}()
		deadline := time.Now().Add(time.Minute)
		for _, d := range h.devices {
			for d != fresh && h.state(d, "time").State == "" {
				if time.Now().After(deadline) {
					t.Fatalf("%s is not checked after a minute", d)
				}
				<-time.After(5 * time.Millisecond)
			}
		}
		stop()
		<-done
		if got := h.state(fresh, "time").State; got != "" {
			t.Errorf("the one that changed just now is %q, though there is more urgent work", got)
		}
	})
}

// TestLongWaitIsTakenAlong has more to check than is ever done, the newest first: who waits for
// long is among the next all the same.
func TestLongWaitIsTakenAlong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s, 30, synchronised())
		e := h.engine(nil)
		h.pass(4 * time.Minute)
		for _, d := range h.devices[1:] {
			h.report(d, "time", `{"synchronised":false,"service":"timesyncd"}`)
		}
		if n, err := e.Round(t.Context()); err != nil || n != 10 {
			t.Errorf("%d were checked, %v", n, err)
		}
		if got := h.state(h.devices[0], "time").State; got == "" {
			t.Error("the one that waited longest was not among them")
		}
	})
}
