package desire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
	"handrail/mdm/label"
	"handrail/mdm/manifest"
	"handrail/mdm/mdmtest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// house is a store with devices, and nodes that resolve them.
type house struct {
	t        *testing.T
	store    *store.Store
	key      secret.Key
	policies *policy.Registry
	groups   *group.Registry
	devices  []mdm.DeviceID

	mu     sync.Mutex
	nudges map[mdm.DeviceID][]string // hashes
	online map[mdm.DeviceID]bool
	notes  []string
}

func newHouse(t *testing.T, s *store.Store) *house {
	t.Helper()
	key := secret.New()
	return &house{
		t: t, store: s, key: key, policies: policy.New(s, policy.Standard(), key), groups: group.New(s),
		nudges: map[mdm.DeviceID][]string{}, online: map[mdm.DeviceID]bool{},
	}
}

func (h *house) group(name string, below mdm.GroupID) mdm.GroupID {
	h.t.Helper()
	g, err := h.groups.Create(h.t.Context(), below, name, nil, mdmtest.Start)
	if err != nil {
		h.t.Fatal(err)
	}
	return g.ID
}

// join enrolls n devices into a group, online.
func (h *house) join(g mdm.GroupID, n int) []mdm.DeviceID {
	h.t.Helper()
	r := enroll.New(h.store)
	_, token, err := r.Create(h.t.Context(), enroll.Wanted{Group: g, Uses: int64(n)}, mdmtest.Start)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []mdm.DeviceID
	for range n {
		e, _, err := r.Redeem(h.t.Context(), token, mdmtest.Machine(len(h.devices)), mdmtest.Start)
		if err != nil {
			h.t.Fatal(err)
		}
		h.devices = append(h.devices, e.Device)
		out = append(out, e.Device)
		h.mu.Lock()
		h.online[e.Device] = true
		h.mu.Unlock()
	}
	return out
}

func (h *house) config() desire.Config {
	return desire.Config{
		Store: h.store, Policies: h.policies, Sealer: h.key, Key: h.key.Derive("desire"),
		Online: func() map[mdm.DeviceID]bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			out := map[mdm.DeviceID]bool{}
			for d := range h.online {
				out[d] = true
			}
			return out
		},
		Nudge: func(d mdm.DeviceID, _ int64, hash string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.nudges[d] = append(h.nudges[d], hash)
		},
		Note: func(_ context.Context, action string, _ policy.ID, _ map[string]string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.notes = append(h.notes, action)
		},
		Page: 7, Lease: 300 * time.Millisecond, Again: 100 * time.Millisecond, Settle: 20 * time.Millisecond,
	}
}

func (h *house) node(change func(*desire.Config)) *desire.Engine {
	h.t.Helper()
	cfg := h.config()
	if change != nil {
		change(&cfg)
	}
	e, err := desire.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx)
	}()
	h.t.Cleanup(func() {
		stop()
		<-done
	})
	return e
}

func by() policy.Actor {
	return policy.Actor{ID: "opr_test", At: time.Now().UTC().Truncate(time.Microsecond)}
}

func screenLock(seconds int) policy.Setting {
	return policy.Setting{ID: "screen.lock", Value: json.RawMessage(fmt.Sprintf(`{"enabled":true,"idle_seconds":%d}`, seconds))}
}

func banner(text string) policy.Setting {
	return policy.Setting{ID: "file.content/motd", Value: json.RawMessage(fmt.Sprintf(`{"path":"/etc/motd","content":%q}`, text))}
}

// policy makes a published policy for some scopes.
func (h *house) policy(name string, live bool, settings []policy.Setting, assignments ...policy.Assignment) policy.Policy {
	h.t.Helper()
	p, err := h.policies.Create(h.t.Context(), name, "", settings, by())
	if err == nil {
		p, err = h.policies.Assign(h.t.Context(), p.ID, 0, assignments, by())
	}
	if err == nil {
		p, _, err = h.policies.Publish(h.t.Context(), p.ID, 0, "", live, by())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) publish(id policy.ID, live bool, settings ...policy.Setting) policy.Version {
	h.t.Helper()
	_, err := h.policies.SaveDraft(h.t.Context(), id, 0, settings, by())
	var v policy.Version
	if err == nil {
		_, v, err = h.policies.Publish(h.t.Context(), id, 0, "", live, by())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func to(groups ...mdm.GroupID) policy.Assignment {
	return policy.Assignment{Include: policy.Scope{Groups: groups}, Priority: 10}
}

// await asks until ok, and fails the test after a minute.
func (h *house) await(what string, ok func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			h.t.Fatalf("not %s after a minute", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// settled waits until nothing is left to resolve.
func (h *house) settled() {
	h.t.Helper()
	h.await("resolved", func() bool {
		busy, err := h.store.HasWork(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		return !busy
	})
}

func (h *house) manifest(e *desire.Engine, d mdm.DeviceID) manifest.Manifest {
	h.t.Helper()
	m, err := e.Manifest(h.t.Context(), d)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// report says that everything a device must be is in a state.
func (h *house) report(e *desire.Engine, d mdm.DeviceID, state manifest.State) {
	h.t.Helper()
	m := h.manifest(e, d)
	r := manifest.Report{Generation: m.Generation, Hash: m.Hash}
	for _, s := range m.Settings {
		r.Statuses = append(r.Statuses, manifest.Status{ID: s.ID, State: state, Source: s.Source})
	}
	if err := e.Report(h.t.Context(), d, r); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) nudged(d mdm.DeviceID) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.nudges[d])
}

// TestWorkIsTakenOver lets a node die after it has stored what devices must be and before
// it has told any of them: the other node tells them all.
func TestWorkIsTakenOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h := newHouse(t, s)
		g := h.group("Office", mdm.RootGroup)
		h.join(g, 30)
		cfg := h.config()
		ctx, kill := context.WithCancel(context.Background())
		defer kill()
		hangs := make(chan struct{})
		var once sync.Once
		cfg.Nudge = func(mdm.DeviceID, int64, string) {
			once.Do(func() { close(hangs) })
			<-ctx.Done()
		}
		dying, err := desire.New(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = dying.Run(ctx)
		}()
		<-hangs
		other := h.node(nil)
		h.await("every device nudged by the other node", func() bool {
			for _, d := range h.devices {
				if len(h.nudged(d)) == 0 {
					return false
				}
			}
			return true
		})
		kill()
		<-done
		h.settled()
		for _, d := range h.devices {
			m := h.manifest(other, d)
			if m.Generation != 1 || len(m.Settings) != 1 || h.nudged(d)[0] != m.Hash {
				t.Errorf("%s: %+v, nudged with %v", d, m, h.nudged(d))
			}
		}
	})
}

// TestWorkOfAClockThatJumped is held by a node whose clock was a day ahead, and which is gone.
func TestWorkOfAClockThatJumped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h := newHouse(t, s)
		g := h.group("Office", mdm.RootGroup)
		h.join(g, 3)
		h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
		for {
			if _, err := s.ClaimWork(t.Context(), "node_gone", time.Now().Add(24*time.Hour), 15*time.Second); errors.Is(err, mdm.ErrNotFound) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if next, err := s.NextWork(t.Context()); err != nil || time.Until(next) > time.Hour {
				break // all of it is held
			}
		}
		e := h.node(nil)
		h.settled()
		for _, d := range h.devices {
			if m := h.manifest(e, d); len(m.Settings) != 1 {
				t.Errorf("%s: %+v", d, m)
			}
		}
	})
}

// TestCountsAreKept asks for the numbers of a policy again and again: the database is asked
// only when something changed.
func TestCountsAreKept(t *testing.T) {
	s := storetest.Open(t)
	h := newHouse(t, s)
	g := h.group("Office", mdm.RootGroup)
	h.join(g, 3)
	counting := &countingStore{Store: s}
	e := h.node(func(c *desire.Config) { c.Store = counting })
	p := h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
	e.Wake()
	h.settled()
	ask := func(v desire.Viewer) desire.Counts {
		t.Helper()
		n, err := e.PolicyCounts(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		return n[p.ID]
	}
	h.await("three devices wait", func() bool { return ask(desire.Viewer{All: true}) == desire.Counts{Devices: 3, Pending: 3} })
	north := desire.Viewer{Groups: []mdm.GroupID{g}}
	if n := ask(north); n.Devices != 3 {
		t.Errorf("who may see the group counts %+v", n)
	}
	if n := ask(desire.Viewer{Groups: []mdm.GroupID{mdm.RootGroup}}); n.Devices != 0 {
		t.Errorf("who may not see the group counts %+v", n)
	}
	asked := counting.pairs.Load()
	for range 20 {
		ask(desire.Viewer{All: true})
		ask(north)
		if _, _, err := e.PolicyStatus(t.Context(), p.ID, north); err != nil {
			t.Fatal(err)
		}
	}
	if n := counting.pairs.Load() - asked; n != 0 {
		t.Errorf("counted %d times though nothing changed", n)
	}
	m := h.manifest(e, h.devices[0])
	if err := e.Report(t.Context(), h.devices[0], manifest.Report{Generation: m.Generation, Hash: m.Hash, Full: true, Statuses: []manifest.Status{
		{ID: "screen.lock", State: manifest.Applied},
	}}); err != nil {
		t.Fatal(err)
	}
	if n := ask(north); n != (desire.Counts{Devices: 3, Pending: 2, Applied: 1}) {
		t.Errorf("after a report: %+v", n)
	}
}

// TestNothingIsLeftOfWhatWasNeverReported removes a policy while a device applies it: of two
// settings it has reported one, and then that this one is gone.
func TestNothingIsLeftOfWhatWasNeverReported(t *testing.T) {
	s := storetest.Open(t)
	h := newHouse(t, s)
	g := h.group("Office", mdm.RootGroup)
	d := h.join(g, 1)[0]
	e := h.node(nil)
	p := h.policy("Two", true, []policy.Setting{screenLock(300), {ID: "motd.banner", Value: json.RawMessage(`{"text":"hello"}`)}}, to(g))
	e.Wake()
	h.await("two settings", func() bool { return len(h.manifest(e, d).Settings) == 2 })
	report := func(r manifest.Report) {
		t.Helper()
		m := h.manifest(e, d)
		r.Generation, r.Hash = m.Generation, m.Hash
		if err := e.Report(t.Context(), d, r); err != nil {
			t.Fatal(err)
		}
	}
	report(manifest.Report{Statuses: []manifest.Status{{ID: "motd.banner", State: manifest.Applied}}})
	if _, err := h.policies.Activate(t.Context(), p.ID, 0, 0, by()); err != nil {
		t.Fatal(err)
	}
	e.Wake()
	h.await("no settings", func() bool { return len(h.manifest(e, d).Settings) == 0 })
	report(manifest.Report{Gone: []manifest.ID{"motd.banner"}})
	v, err := e.Device(t.Context(), d)
	if err != nil || len(v.Settings) > 0 || !v.Reported {
		t.Errorf("after the removal the device has %+v, %v", v, err)
	}
}

// countingStore counts how often devices are counted.
type countingStore struct {
	*store.Store
	pairs atomic.Int64
}

// Pairs implements desire.Store.
func (c *countingStore) Pairs(ctx context.Context, v desire.Viewer) ([]desire.Pair, error) {
	c.pairs.Add(1)
	return c.Store.Pairs(ctx, v)
}

// TestDatabaseGoesAway takes the database away in the middle of everything.
func TestDatabaseGoesAway(t *testing.T) {
	if !storetest.HasPostgres() {
		t.Log("no PostgreSQL given: `make test` runs this")
		return
	}
	s := storetest.OpenInterruptible(t)
	h := newHouse(t, s.Store)
	g := h.group("Office", mdm.RootGroup)
	h.join(g, 30)
	e := h.node(nil)
	p := h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
	e.Wake()
	h.settled()
	h.publish(p.ID, true, screenLock(400))
	s.Interrupt()
	e.Wake()
	m := manifest.Report{Generation: 1}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := e.Report(ctx, h.devices[0], m); err == nil {
		t.Error("a report was taken while the database was away")
	}
	s.Restore()
	h.await("resolved after the database is back", func() bool {
		busy, err := s.HasWork(t.Context())
		return err == nil && !busy
	})
	for _, d := range h.devices {
		if m := h.manifest(e, d); m.Generation != 2 {
			t.Errorf("%s is at generation %d, want 2", d, m.Generation)
		}
		h.report(e, d, manifest.Applied)
	}
}

// TestOnlyWhatChangesIsWritten edits a policy of one group among several, with labels,
// exclusions and groups within groups.
func TestOnlyWhatChangesIsWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h := newHouse(t, s)
		e := h.node(nil)
		office, lab := h.group("Office", mdm.RootGroup), h.group("Lab", mdm.RootGroup)
		desk := h.group("Desks", office)
		inOffice, inLab, inDesk := h.join(office, 9), h.join(lab, 9), h.join(desk, 9)
		all := h.policy("Base", true, []policy.Setting{banner("hello")}, to(mdm.RootGroup))
		locks := h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(office))
		e.Wake()
		h.settled()
		generations := func() map[mdm.DeviceID]int64 {
			out := map[mdm.DeviceID]int64{}
			for _, d := range h.devices {
				out[d] = h.manifest(e, d).Generation
			}
			return out
		}
		check := func(what string, before map[mdm.DeviceID]int64, changed ...[]mdm.DeviceID) {
			t.Helper()
			e.Wake()
			h.settled()
			want := slices.Concat(changed...)
			for d, g := range generations() {
				if (g != before[d]) != slices.Contains(want, d) {
					t.Errorf("%s: %s went from generation %d to %d", what, d, before[d], g)
				}
			}
		}
		if m := h.manifest(e, inDesk[0]); len(m.Settings) != 2 {
			t.Errorf("a device of a group below has %+v: policies of groups above are inherited", m.Settings)
		}
		before := generations()
		h.publish(locks.ID, true, screenLock(60))
		check("another lock", before, inOffice, inDesk)
		before = generations()
		h.publish(all.ID, true, banner("hello"))
		check("a version that changes nothing", before)

		before = generations()
		if _, err := h.policies.Assign(t.Context(), locks.ID, 0, []policy.Assignment{{
			Include: policy.Scope{Groups: []mdm.GroupID{office}}, Exclude: policy.Scope{Groups: []mdm.GroupID{desk}},
		}}, by()); err != nil {
			t.Fatal(err)
		}
		check("desks excluded", before, inDesk)

		before = generations()
		h.move(inLab[0], office)
		check("a device moves", before, inLab[:1])
		before = generations()
		if _, err := h.groups.Update(t.Context(), lab, group.Change{Parent: &office}); err != nil {
			t.Fatal(err)
		}
		check("a group moves", before, inLab[1:])

		l := h.label("Kiosk", inDesk[0])
		before = generations()
		if _, err := h.policies.Assign(t.Context(), locks.ID, 0, []policy.Assignment{{Include: policy.Scope{Labels: []mdm.LabelID{l}}}}, by()); err != nil {
			t.Fatal(err)
		}
		check("for a label only", before, inOffice, inLab, inDesk[:1])
		before = generations()
		h.give(l, inDesk[1])
		check("one more with the label", before, inDesk[1:2])
		before = generations()
		if err := h.policies.Delete(t.Context(), locks.ID, 0, by().At); err != nil {
			t.Fatal(err)
		}
		check("the policy is deleted", before, inDesk[:2])
	})
}

// TestWhatIfIsWhatHappens compares what is foretold with what comes, over a chain of changes.
func TestWhatIfIsWhatHappens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h := newHouse(t, s)
		e := h.node(nil)
		office, lab := h.group("Office", mdm.RootGroup), h.group("Lab", mdm.RootGroup)
		desk := h.group("Desks", office)
		h.join(office, 5)
		h.join(lab, 4)
		inDesk := h.join(desk, 3)
		l := h.label("Kiosk", inDesk[0], h.devices[0])
		h.policy("Strict", true, []policy.Setting{screenLock(60)}, policy.Assignment{Include: policy.Scope{Labels: []mdm.LabelID{l}}, Priority: 5})
		p := h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(office))
		other := h.policy("Files", true, []policy.Setting{banner("one")}, to(lab))
		pick := func(a ...policy.Assignment) *[]policy.Assignment { return &a }
		one := int64(1)
		for _, step := range []struct {
			what     string
			proposal desire.Proposal
			do       func() error
		}{
			{"a looser lock", desire.Proposal{Policy: p.ID, Settings: []policy.Setting{screenLock(900)}}, func() error {
				h.publish(p.ID, true, screenLock(900))
				return nil
			}},
			{"for the lab too, not for kiosks", desire.Proposal{Policy: p.ID, Assignments: pick(
				policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{office, lab}}, Exclude: policy.Scope{Labels: []mdm.LabelID{l}}},
			)}, func() error {
				_, err := h.policies.Assign(t.Context(), p.ID, 0, []policy.Assignment{
					{Include: policy.Scope{Groups: []mdm.GroupID{office, lab}}, Exclude: policy.Scope{Labels: []mdm.LabelID{l}}},
				}, by())
				return err
			}},
			{"back to version 1", desire.Proposal{Policy: p.ID, Version: &one}, func() error {
				_, err := h.policies.Activate(t.Context(), p.ID, 0, 1, by())
				return err
			}},
			{"another file", desire.Proposal{Policy: other.ID, Settings: []policy.Setting{banner("two"), screenLock(30)}}, func() error {
				h.publish(other.ID, true, banner("two"), screenLock(30))
				return nil
			}},
			{"no lock at all", desire.Proposal{Policy: p.ID, Delete: true}, func() error {
				return h.policies.Delete(t.Context(), p.ID, 0, by().At)
			}},
		} {
			e.Wake()
			h.settled()
			before := map[mdm.DeviceID]string{}
			for _, d := range h.devices {
				before[d] = h.manifest(e, d).Hash
			}
			told, err := e.WhatIf(t.Context(), step.proposal, desire.Viewer{All: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			e.Wake()
			h.settled()
			var changed []mdm.DeviceID
			for _, d := range h.devices {
				if h.manifest(e, d).Hash != before[d] {
					changed = append(changed, d)
				}
			}
			slices.Sort(changed)
			if told.Changed != len(changed) || !slices.Equal(told.Sample, changed) {
				t.Errorf("%s: %d devices were foretold %v, %d changed %v", step.what, told.Changed, told.Sample, len(changed), changed)
			}
			if len(changed) == 0 {
				t.Errorf("%s changes nothing: no test", step.what)
			}
		}
	})
}

func (h *house) move(d mdm.DeviceID, g mdm.GroupID) {
	h.t.Helper()
	if _, err := h.registry().Update(h.t.Context(), d, device.Change{Group: &g}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) registry() *device.Registry { return device.New(h.store) }

func (h *house) label(name string, ds ...mdm.DeviceID) mdm.LabelID {
	h.t.Helper()
	l, err := label.New(h.store).Create(h.t.Context(), label.Label{Name: name}, mdmtest.Start)
	if err != nil {
		h.t.Fatal(err)
	}
	h.give(l.ID, ds...)
	return l.ID
}

func (h *house) give(l mdm.LabelID, ds ...mdm.DeviceID) {
	h.t.Helper()
	if _, err := h.store.GiveLabel(h.t.Context(), l, ds, "opr_test", mdmtest.Start); err != nil {
		h.t.Fatal(err)
	}
}

var quick = rollout.Plan{MaxFailedPercent: 10, ReportedPercent: 100, Stages: []rollout.Stage{{Percent: 25}, {Percent: 60}, {Percent: 100}}}

// TestReportTheDatabaseDoesNotTake stores reports together, one of which PostgreSQL refuses:
// the others are stored all the same.
func TestReportTheDatabaseDoesNotTake(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h := newHouse(t, s)
		g := h.group("Office", mdm.RootGroup)
		h.join(g, 20)
		e := h.node(nil)
		h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
		e.Wake()
		h.settled()
		var wg sync.WaitGroup
		for i, d := range h.devices {
			m := h.manifest(e, d)
			r := manifest.Report{Generation: m.Generation, Hash: m.Hash}
			for _, one := range m.Settings {
				st := manifest.Status{ID: one.ID, State: manifest.Applied, Source: one.Source}
				if i == 0 {
					st.Observed = json.RawMessage("\"\xff\"")
				}
				r.Statuses = append(r.Statuses, st)
			}
			wg.Go(func() {
				if err := e.Report(t.Context(), d, r); err != nil && i > 0 {
					t.Errorf("%s: %v", d, err)
				}
			})
		}
		wg.Wait()
	})
}
