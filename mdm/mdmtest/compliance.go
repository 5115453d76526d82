package mdmtest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/group"
)

// ComplianceStore is what RunComplianceStore needs.
type ComplianceStore interface {
	Store
	compliance.Store
}

// RunComplianceStore is the suite of compliance.Store.
func RunComplianceStore(t *testing.T, open func(t *testing.T) ComplianceStore) {
	t.Helper()
	t.Run("remedies", func(t *testing.T) { complianceRemedies(t, open(t)) })
	t.Run("rules", func(t *testing.T) { complianceRules(t, open(t)) })
	t.Run("due", func(t *testing.T) { complianceDue(t, open(t)) })
	t.Run("intervals", func(t *testing.T) { complianceIntervals(t, open(t)) })
	t.Run("counts and lists", func(t *testing.T) { complianceLists(t, open(t)) })
	t.Run("waivers", func(t *testing.T) { complianceWaivers(t, open(t)) })
}

func shippedRules() []compliance.Rule {
	return []compliance.Rule{
		{ID: "b-rule", Title: "B", Severity: compliance.High, Expression: "true", Mappings: []compliance.Mapping{}},
		{ID: "a-rule", Title: "A", Severity: compliance.Low, Expression: "true", Mappings: []compliance.Mapping{}},
	}
}

func complianceRules(t *testing.T, s ComplianceStore) {
	t.Helper()
	ctx, r := t.Context(), compliance.New(s, shippedRules(), nil)
	if !must(r.Sync(ctx, Start))(t) || must(r.Sync(ctx, Start))(t) {
		t.Error("the first Sync changes, the second does not")
	}
	set := must(r.Rules(ctx))(t)
	if len(set.Rules) != 2 || set.Rules[0].ID != "a-rule" || !set.Rules[0].Shipped || set.Rules[0].Seq != set.Seq {
		t.Fatalf("rules = %+v", set)
	}
	own := compliance.Rule{ID: "own", Title: "Own", Severity: compliance.Medium, Expression: "device.os == 'linux'", Grace: time.Hour}
	one := must(r.Put(ctx, own, 0, "op_1", Start))(t)
	if one.Revision != 1 || one.Seq != set.Seq+1 {
		t.Errorf("put = %+v", one)
	}
	for _, tt := range []struct {
		what     string
		change   func(*compliance.Rule)
		revision int64
		want     error
	}{
		{"made twice", func(*compliance.Rule) {}, 0, mdm.ErrAlreadyExists},
		{"an old revision", func(*compliance.Rule) {}, 7, mdm.ErrConflict},
		{"changed before it is there", func(r *compliance.Rule) { r.ID = "other" }, 1, mdm.ErrConflict},
		{"no slug", func(r *compliance.Rule) { r.ID = "No Slug" }, 0, mdm.ErrInvalid},
		{"no title", func(r *compliance.Rule) { r.Title = "\x00" }, 1, mdm.ErrInvalid},
		{"no severity", func(r *compliance.Rule) { r.Severity = "fatal" }, 1, mdm.ErrInvalid},
		{"two fixes", func(r *compliance.Rule) { r.Fix = &compliance.Fix{Setting: "a", Script: "b"} }, 1, mdm.ErrInvalid},
		{"a fix of broken text", func(r *compliance.Rule) { r.Fix = &compliance.Fix{Setting: "a", Value: []byte("\"\xff\"")} }, 1, mdm.ErrInvalid},
	} {
		rule := own
		tt.change(&rule)
		if _, err := r.Put(ctx, rule, tt.revision, "op_1", Start); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
	}
	// Of a shipped rule only three things are the organisation's.
	changed := must(r.Put(ctx, compliance.Rule{ID: "b-rule", Title: "x", Expression: "false", Severity: compliance.Critical, Disabled: true}, 1, "op_1", Start))(t)
	if changed.Title != "B" || changed.Expression != "true" || changed.Severity != compliance.Critical {
		t.Errorf("a shipped rule became %+v", changed)
	}
	if set = must(r.InForce(ctx))(t); len(set.Rules) != 2 || set.Rules[1].ID != "own" {
		t.Errorf("in force = %+v", set.Rules)
	}
	if err := r.Delete(ctx, "a-rule", 0, Start); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("delete a shipped rule: %v", err)
	}
	if err := r.Delete(ctx, "own", 1, Start); err != nil {
		t.Error(err)
	}
	if _, err := r.Rule(ctx, "own"); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("deleted rule: %v", err)
	}
	if err := r.SetNewDeviceGrace(ctx, 48*time.Hour, Start); err != nil || must(r.Rules(ctx))(t).NewDeviceGrace != 48*time.Hour {
		t.Errorf("grace of new devices: %v", err)
	}
	// A program that ships one rule less and another otherwise.
	less := shippedRules()[:1]
	less[0].Expression = "false"
	r = compliance.New(s, less, nil)
	if !must(r.Sync(ctx, Start))(t) {
		t.Error("Sync of another set changed nothing")
	}
	set = must(r.Rules(ctx))(t)
	if len(set.Rules) != 1 || set.Rules[0].Expression != "false" || set.Rules[0].Severity != compliance.Critical {
		t.Errorf("rules = %+v", set.Rules)
	}
}

func complianceDue(t *testing.T, s ComplianceStore) {
	t.Helper()
	ctx := t.Context()
	a, b := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, mdm.RootGroup)
	if err := s.MarkComplianceDue(ctx, Start); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkComplianceDue(ctx, Start.Add(time.Second), b, "dev_none"); err != nil {
		t.Fatal(err)
	}
	now, lease := Start.Add(time.Minute), Start.Add(2*time.Minute)
	for _, tt := range []struct {
		scope compliance.Scope
		now   time.Time
		want  compliance.Waiting
	}{
		{compliance.Scope{All: true}, now, compliance.Waiting{Devices: 2, Since: Start}},
		{compliance.Scope{All: true}, Start, compliance.Waiting{Devices: 1, Since: Start}},
		{compliance.Scope{All: true}, Start.Add(-time.Second), compliance.Waiting{}},
		{compliance.Scope{Groups: []mdm.GroupID{mdm.RootGroup}}, now, compliance.Waiting{Devices: 2, Since: Start}},
		{compliance.Scope{Groups: []mdm.GroupID{"grp_none"}}, now, compliance.Waiting{}},
		{compliance.Scope{}, now, compliance.Waiting{}},
	} {
		if got := must(s.ComplianceWaiting(ctx, tt.scope, tt.now))(t); got.Devices != tt.want.Devices || !got.Since.Equal(tt.want.Since) {
			t.Errorf("waiting in %+v at %v = %+v, want %+v", tt.scope, tt.now, got, tt.want)
		}
	}
	if got := must(s.ClaimComplianceDue(ctx, now, lease, 1))(t); !slices.Equal(got, []mdm.DeviceID{b}) {
		t.Errorf("first claim = %v, want the one marked last, %v", got, b)
	}
	if got := must(s.NextComplianceDue(ctx))(t); !got.Equal(Start) {
		t.Errorf("next due = %v", got)
	}
	if got := must(s.ClaimComplianceLate(ctx, Start.Add(-time.Second), lease, 10))(t); len(got) != 0 {
		t.Errorf("late before anything was due: %v", got)
	}
	if err := s.MarkComplianceDue(ctx, Start.Add(time.Second), b); err != nil {
		t.Fatal(err)
	}
	if got := must(s.ClaimComplianceLate(ctx, now, lease, 1))(t); !slices.Equal(got, []mdm.DeviceID{a}) {
		t.Errorf("first late = %v, want the one that waits longest, %v", got, a)
	}
	if got := must(s.ClaimComplianceLate(ctx, now, lease, 10))(t); !slices.Equal(got, []mdm.DeviceID{b}) {
		t.Errorf("second late = %v, want %v", got, b)
	}
	if err := s.MarkComplianceDue(ctx, Start, a); err != nil {
		t.Fatal(err)
	}
	if got := must(s.ClaimComplianceDue(ctx, now, lease, 10))(t); !slices.Equal(got, []mdm.DeviceID{a}) {
		t.Errorf("second claim = %v, want %v", got, a)
	}
	if got := must(s.ClaimComplianceDue(ctx, now, lease, 10))(t); len(got) != 0 {
		t.Errorf("third claim = %v, want none", got)
	}
	if err := s.MarkComplianceDue(ctx, now, b); err != nil { // while it is being checked
		t.Fatal(err)
	}
	changes := []compliance.Change{
		compliance.Advance(compliance.Standing{Device: a}, nil, compliance.Circumstances{Now: now}),
		compliance.Advance(compliance.Standing{Device: b}, nil, compliance.Circumstances{Now: now}),
		compliance.Advance(compliance.Standing{Device: "dev_gone"}, nil, compliance.Circumstances{Now: now}),
	}
	if n := must(s.SaveCompliance(ctx, lease, changes))(t); n != 2 {
		t.Errorf("stored %d, want 2", n)
	}
	if n := must(s.SaveCompliance(ctx, lease, changes))(t); n != 0 {
		t.Errorf("stored %d made from an old standing, want 0", n)
	}
	// After the lease: only the one that was marked meanwhile.
	if got := must(s.ClaimComplianceDue(ctx, lease.Add(time.Hour), lease.Add(2*time.Hour), 10))(t); !slices.Equal(got, []mdm.DeviceID{b}) {
		t.Errorf("claim after the lease = %v, want %v", got, b)
	}
}

// check takes a device through verdicts of one rule and saves the outcome.
func check(t *testing.T, s ComplianceStore, d mdm.DeviceID, set compliance.Set, now time.Time, verdicts ...compliance.Verdict) compliance.Change {
	t.Helper()
	ws := must(s.ComplianceWaivers(t.Context(), compliance.WaiverFilter{HoldingAt: now}))(t)
	ws = slices.DeleteFunc(ws, func(w compliance.Waiver) bool { return !w.Covers(d, []mdm.GroupID{mdm.RootGroup}) })
	before := must(s.ComplianceStandings(t.Context(), []mdm.DeviceID{d}))(t)[d]
	before.Device = d
	c := compliance.Advance(before, verdicts, compliance.Circumstances{Set: set, Now: now, Waivers: ws})
	if n := must(s.SaveCompliance(t.Context(), now, []compliance.Change{c}))(t); n != 1 {
		t.Fatalf("stored %d", n)
	}
	return c
}

func complianceIntervals(t *testing.T, s ComplianceStore) {
	t.Helper()
	ctx, d := t.Context(), Join(t, s, 1, mdm.RootGroup)
	r := compliance.New(s, nil, nil)
	set := compliance.Set{Seq: 3, Rules: []compliance.Rule{{ID: "a", Grace: 24 * time.Hour}, {ID: "b"}}}
	day := func(n int) time.Time { return Start.AddDate(0, 0, n) }
	ev := json.RawMessage(`{"x":"ü"}`)
	check(t, s, d, set, day(0), compliance.Verdict{Rule: "a", State: compliance.Compliant}, compliance.Verdict{Rule: "b", State: compliance.Unknown, Reason: "not reported"})
	check(t, s, d, set, day(1), compliance.Verdict{Rule: "a", State: compliance.NonCompliant, Evidence: ev}, compliance.Verdict{Rule: "b", State: compliance.Compliant})
	check(t, s, d, set, day(2), compliance.Verdict{Rule: "a", State: compliance.NonCompliant}, compliance.Verdict{Rule: "b", State: compliance.Compliant})
	check(t, s, d, set, day(4), compliance.Verdict{Rule: "a", State: compliance.Compliant}, compliance.Verdict{Rule: "b", State: compliance.Compliant})
	for _, tt := range []struct {
		at   time.Time
		a, b compliance.State
	}{
		{day(0), compliance.Compliant, compliance.Unknown},
		{day(1).Add(-1000), compliance.Compliant, compliance.Unknown},
		{day(1), compliance.InGrace, compliance.Compliant},
		{day(3), compliance.NonCompliant, compliance.Compliant},
		{day(4), compliance.Compliant, compliance.Compliant},
		{day(400), compliance.Compliant, compliance.Compliant},
	} {
		list := must(r.At(ctx, d, tt.at))(t)
		if len(list) != 2 || list[0].State != tt.a || list[1].State != tt.b {
			t.Errorf("at %v: %+v, want %s and %s", tt.at, list, tt.a, tt.b)
		}
		countedAt(t, s, tt.at, 1, map[string]compliance.State{"a": tt.a, "b": tt.b})
	}
	if list := must(r.At(ctx, d, day(-1)))(t); len(list) != 0 {
		t.Errorf("before it was ever checked: %+v", list)
	}
	h := must(r.History(ctx, d, "a", 10))(t)
	if len(h) != 4 || h[0].State != compliance.Compliant || !h[0].Until.IsZero() || h[1].State != compliance.NonCompliant || string(h[2].Evidence) != string(ev) {
		t.Errorf("history = %+v", h)
	}
	for i := 1; i < len(h); i++ {
		if !h[i].Until.Equal(h[i-1].Since) {
			t.Errorf("a gap between %+v and %+v", h[i], h[i-1])
		}
	}
	// A rule that is no more ends its interval.
	check(t, s, d, set, day(5), compliance.Verdict{Rule: "b", State: compliance.Compliant})
	if list := must(r.At(ctx, d, day(5)))(t); len(list) != 1 {
		t.Errorf("after the rule went: %+v", list)
	}
	n := 0
	err := r.Walk(ctx, compliance.Scope{All: true}, day(3), func(s compliance.Snapshot) error {
		n++
		if s.Device != d || s.Overall != compliance.NonCompliant || len(s.Intervals) != 2 {
			t.Errorf("snapshot = %+v", s)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("walk saw %d: %v", n, err)
	}
	// One that is never checked and one that is elsewhere.
	Join(t, s, 2, mdm.RootGroup)
	elsewhere := must(group.New(s).Create(ctx, mdm.RootGroup, "Elsewhere", nil, Start))(t)
	Join(t, s, 3, elsewhere.ID)
	countedAt(t, s, day(3), 2, map[string]compliance.State{"a": compliance.NonCompliant, "b": compliance.Compliant})
	if n := must(s.ComplianceCountsAt(ctx, compliance.Scope{}, day(3)))(t); n.Devices != 0 || len(n.Rules)+len(n.Overall) != 0 {
		t.Errorf("who sees nothing is told %+v", n)
	}
	if n := must(s.ComplianceCountsAt(ctx, compliance.Scope{All: true}, day(-1)))(t); n.Devices != 0 {
		t.Errorf("before anything was enrolled: %+v", n)
	}
	if err := s.DeleteDevice(ctx, d); err != nil {
		t.Errorf("delete the device: %v", err)
	}
}

// countedAt sees that the root group has so many devices at a moment, of which one was checked.
func countedAt(t *testing.T, s ComplianceStore, at time.Time, devices int64, states map[string]compliance.State) {
	t.Helper()
	n := must(s.ComplianceCountsAt(t.Context(), compliance.Scope{Groups: []mdm.GroupID{mdm.RootGroup}}, at))(t)
	worst, overall := compliance.Compliant, map[compliance.State]int64{}
	for rule, state := range states {
		worst = compliance.Worse(worst, state)
		if by := n.Rules[rule]; by[state] != 1 || len(by) != 1 {
			t.Errorf("at %v: %s is counted as %v, want one %s", at, rule, by, state)
		}
	}
	overall[worst]++
	if devices > 1 {
		overall[compliance.Unknown] += devices - 1
	}
	if n.Devices != devices || !maps.Equal(n.Overall, overall) || len(n.Rules) != len(states) {
		t.Errorf("at %v: %+v, want %d devices, overall %v", at, n, devices, overall)
	}
}

func complianceLists(t *testing.T, s ComplianceStore) {
	t.Helper()
	ctx, r := t.Context(), compliance.New(s, []compliance.Rule{{ID: "a", Title: "A", Severity: compliance.High, Expression: "true"}}, nil)
	must(r.Sync(ctx, Start))(t)
	sub := must(group.New(s).Create(ctx, mdm.RootGroup, "Sub", nil, Start))(t)
	var ids []mdm.DeviceID
	for i := range 6 {
		g := mdm.RootGroup
		if i >= 3 {
			g = sub.ID
		}
		ids = append(ids, Join(t, s, i, g))
	}
	set := must(r.InForce(ctx))(t)
	states := []compliance.State{compliance.Compliant, compliance.NonCompliant, compliance.NotApplicable, compliance.NonCompliant, compliance.Compliant}
	for i, st := range states { // the last is never checked
		check(t, s, ids[i], set, Start, compliance.Verdict{Rule: "a", State: st})
	}
	all, part := compliance.Scope{All: true}, compliance.Scope{Groups: []mdm.GroupID{sub.ID}}
	expect := func(sc compliance.Scope, want map[compliance.State]int64) {
		t.Helper()
		sum := must(r.Summary(ctx, sc))(t)
		got := sum.Counts.Rule(sum.Set.Rules[0])
		for _, st := range compliance.States() {
			if got[st] != want[st] {
				t.Errorf("%s = %d, want %d", st, got[st], want[st])
			}
			page, more, err := r.Devices(ctx, compliance.DeviceQuery{Scope: sc, Rule: "a", State: st})
			if err != nil || more || int64(len(page)) != want[st] {
				t.Errorf("list of %s = %d more %v %v, want %d", st, len(page), more, err, want[st])
			}
		}
	}
	expect(all, map[compliance.State]int64{compliance.Compliant: 2, compliance.NonCompliant: 2, compliance.NotApplicable: 1, compliance.Unknown: 1})
	expect(part, map[compliance.State]int64{compliance.Compliant: 1, compliance.NonCompliant: 1, compliance.Unknown: 1})
	expect(compliance.Scope{}, nil)
	sum := must(r.Summary(ctx, all))(t).Counts
	if sum.Devices != 6 || sum.Overall[compliance.NonCompliant] != 2 || sum.Overall[compliance.Compliant] != 3 || sum.Overall[compliance.Unknown] != 1 {
		t.Errorf("overall = %+v", sum)
	}
	for st, want := range map[compliance.State]int{compliance.NonCompliant: 2, compliance.Compliant: 3, compliance.Unknown: 1} {
		if page, _, err := r.Devices(ctx, compliance.DeviceQuery{Scope: all, State: st}); err != nil || len(page) != want {
			t.Errorf("overall %s lists %d %v, want %d", st, len(page), err, want)
		}
	}
	page, more, err := r.Devices(ctx, compliance.DeviceQuery{Scope: all, Rule: "a", State: compliance.NonCompliant, Limit: 1})
	if err != nil || !more || len(page) != 1 {
		t.Fatalf("first page: %d more %v %v", len(page), more, err)
	}
	if page, more, err = r.Devices(ctx, compliance.DeviceQuery{Scope: all, Rule: "a", State: compliance.NonCompliant, Limit: 1, After: page[0].Device}); err != nil || more || len(page) != 1 {
		t.Errorf("second page: %d more %v %v", len(page), more, err)
	}
	for range 2 { // the second writes over the first
		if err := r.NoteDay(ctx, Start); err != nil {
			t.Fatal(err)
		}
	}
	days := must(r.Trend(ctx, part, 30, Start))(t)
	if len(days) != 1 || days[0].Overall[compliance.NonCompliant] != 1 || days[0].Overall[compliance.Compliant] != 1 || days[0].Overall[compliance.Unknown] != 1 {
		t.Errorf("trend = %+v", days)
	}
	// A rule that changed counts nobody as compliant before they are checked anew.
	must(r.Put(ctx, compliance.Rule{ID: "a", Severity: compliance.Low}, 1, "op", Start))(t)
	expect(all, map[compliance.State]int64{compliance.NonCompliant: 2, compliance.NotApplicable: 1, compliance.Unknown: 3})
}

func complianceWaivers(t *testing.T, s ComplianceStore) {
	t.Helper()
	ctx, r := t.Context(), compliance.New(s, []compliance.Rule{{ID: "a", Title: "A", Severity: compliance.High, Expression: "true"}}, nil)
	must(r.Sync(ctx, Start))(t)
	d := Join(t, s, 1, mdm.RootGroup)
	set := must(r.InForce(ctx))(t)
	set.NewDeviceGrace = 0
	bad := compliance.Verdict{Rule: "a", State: compliance.NonCompliant}
	good := compliance.Waiver{Rule: "a", Device: d, Owner: "Ana", Reason: "old printer", ExpiresAt: Start.Add(48 * time.Hour)}
	for _, tt := range []struct {
		what   string
		change func(*compliance.Waiver)
		want   error
	}{
		{"no owner", func(w *compliance.Waiver) { w.Owner = " " }, mdm.ErrInvalid},
		{"no reason", func(w *compliance.Waiver) { w.Reason = "" }, mdm.ErrInvalid},
		{"over already", func(w *compliance.Waiver) { w.ExpiresAt = Start }, mdm.ErrInvalid},
		{"for ever", func(w *compliance.Waiver) { w.ExpiresAt = Start.AddDate(10, 0, 0) }, mdm.ErrInvalid},
		{"for both", func(w *compliance.Waiver) { w.Group = mdm.RootGroup }, mdm.ErrInvalid},
		{"no such rule", func(w *compliance.Waiver) { w.Rule = "z" }, mdm.ErrNotFound},
		{"no such device", func(w *compliance.Waiver) { w.Device = "dev_none" }, mdm.ErrConflict},
	} {
		w := good
		tt.change(&w)
		if _, err := r.Waive(ctx, w, Start); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
	}
	w := must(r.Waive(ctx, good, Start))(t)
	if next := must(s.NextComplianceDue(ctx))(t); !next.Equal(Start) {
		t.Errorf("due after the waiver: %v", next)
	}
	c := check(t, s, d, set, Start, bad)
	if e := c.Standing.Entries[0]; e.State != compliance.Waived || e.Waiver != w.ID || !c.Standing.DueAt.Equal(w.ExpiresAt) {
		t.Errorf("waived = %+v due %v", e, c.Standing.DueAt)
	}
	if c = check(t, s, d, set, w.ExpiresAt, bad); c.Standing.Entries[0].State != compliance.NonCompliant {
		t.Errorf("after the waiver: %+v", c.Standing.Entries[0])
	}
	g := good
	g.Device, g.Group, g.ExpiresAt = "", mdm.RootGroup, Start.Add(240*time.Hour)
	w = must(r.Waive(ctx, g, Start.Add(time.Hour)))(t)
	if c = check(t, s, d, set, w.CreatedAt.Add(49*time.Hour), bad); c.Standing.Entries[0].State != compliance.Waived {
		t.Errorf("under a waiver of the group: %+v", c.Standing.Entries[0])
	}
	first := must(r.Revoke(ctx, w.ID, "op_1", Start.Add(60*time.Hour)))(t)
	if again := must(r.Revoke(ctx, w.ID, "op_2", Start.Add(61*time.Hour)))(t); again.RevokedBy != first.RevokedBy {
		t.Errorf("revoked twice: %+v", again)
	}
	if _, err := r.Revoke(ctx, "wvr_none", "op", Start); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("revoke none: %v", err)
	}
	if list := must(r.Waivers(ctx, compliance.WaiverFilter{Rule: "a"}))(t); len(list) != 2 || list[0].ID != w.ID {
		t.Errorf("waivers = %+v", list)
	}
}

func complianceRemedies(t *testing.T, s ComplianceStore) {
	t.Helper()
	a, b := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, mdm.RootGroup)
	first := []compliance.Remedy{
		{Device: a, Rule: "r", At: Start, By: "Ana", Bulk: "blk_1"},
		{Device: b, Rule: "r", At: Start, By: "Ana", Bulk: "blk_1"},
		{Device: a, Rule: "other", At: Start, By: "Ana", Policy: "pol_1", Setting: "ssh.server"},
	}
	if err := s.PutComplianceRemedies(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	later := compliance.Remedy{Device: a, Rule: "r", At: Start.Add(time.Hour), By: "Bo", Bulk: "blk_2"}
	if err := s.PutComplianceRemedies(t.Context(), []compliance.Remedy{later}); err != nil {
		t.Fatal(err)
	}
	if got := must(s.ComplianceRemedies(t.Context(), []mdm.DeviceID{a}, ""))(t); !slices.Equal(got, []compliance.Remedy{first[2], later}) {
		t.Errorf("remedies of one device = %+v", got)
	}
	if got := must(s.ComplianceRemedies(t.Context(), []mdm.DeviceID{a, b, "dev_none"}, "r"))(t); len(got) != 2 {
		t.Errorf("remedies of a rule = %+v", got)
	}
	if err := s.PutComplianceRemedies(t.Context(), nil); err != nil {
		t.Errorf("none: %v", err)
	}
	if err := s.PutComplianceRemedies(t.Context(), []compliance.Remedy{{Device: "dev_none", Rule: "r", At: Start}}); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("no such device: %v", err)
	}
}
