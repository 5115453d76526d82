package mdmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/mdm/label"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// PolicyStore is what the suites of policies and roll-outs need.
type PolicyStore interface {
	policy.Store
	rollout.Store
	group.Store
	label.Store
}

// RunPolicyStore is the suite of policy.Store and rollout.Store.
func RunPolicyStore(t *testing.T, open func(t *testing.T) PolicyStore) {
	t.Helper()
	t.Run("life of a policy", func(t *testing.T) { policyLife(t, open(t)) })
	t.Run("names and pages", func(t *testing.T) { policyPages(t, open(t)) })
	t.Run("pages of some", func(t *testing.T) { policyPagesOfSome(t, open(t)) })
	t.Run("two admins at once", func(t *testing.T) { policyTwoAdmins(t, open(t)) })
	t.Run("versions", func(t *testing.T) { policyVersions(t, open(t)) })
	t.Run("whom it is for", func(t *testing.T) { policyTargets(t, open(t)) })
	t.Run("roll-outs", func(t *testing.T) { rollouts(t, open(t)) })
}

// plainSealer keeps secrets readable, so that a test can look.
type plainSealer struct{}

// Seal implements policy.Sealer.
func (plainSealer) Seal(label string, plain []byte) string { return label + ":" + string(plain) }

// Open implements policy.Sealer.
func (plainSealer) Open(label, sealed string) ([]byte, error) {
	return []byte(sealed[len(label)+1:]), nil
}

func policyRegistry(s policy.Store) *policy.Registry {
	return policy.New(s, policy.Standard(), plainSealer{})
}

func policyActor(minutes int) policy.Actor {
	return policy.Actor{ID: "opr_a", At: Start.Add(time.Duration(minutes) * time.Minute)}
}

func screenLock(seconds int) []policy.Setting {
	return []policy.Setting{{ID: "screen.lock", Value: json.RawMessage(fmt.Sprintf(`{"enabled":true,"idle_seconds":%d}`, seconds))}}
}

func policyLife(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r := t.Context(), policyRegistry(s)
	p := must(r.Create(ctx, "Lock", "Locks the screen", screenLock(300), policyActor(0)))(t)
	got := must(r.Policy(ctx, p.ID))(t)
	if got.Name != "Lock" || got.Description != "Locks the screen" || got.Revision != 1 || got.Draft == nil || len(got.Draft.Settings) != 1 ||
		got.Draft.By != "opr_a" || !got.Draft.At.Equal(Start) || !got.CreatedAt.Equal(Start) || got.CreatedBy != "opr_a" {
		t.Errorf("policy = %+v, draft %+v", got, got.Draft)
	}
	desk := must(label.New(s).Create(ctx, label.Label{Name: "Desk"}, Start))(t)
	want := policy.Assignment{
		ID: "asg_1", Include: policy.Scope{Groups: []mdm.GroupID{mdm.RootGroup}}, Exclude: policy.Scope{Labels: []mdm.LabelID{desk.ID}}, Priority: 7,
	}
	must(r.Assign(ctx, p.ID, 1, []policy.Assignment{want}, policyActor(1)))(t)
	p, v, err := r.Publish(ctx, p.ID, 2, "first", true, policyActor(2))
	if err != nil || v.Number != 1 || p.Live != 1 || p.Newest != 1 || p.Draft != nil || p.Revision != 3 {
		t.Errorf("published: %+v, %+v, %v", p, v, err)
	}
	if got = must(r.Policy(ctx, p.ID))(t); len(got.Assignments) != 1 || got.Assignments[0].Priority != 7 ||
		!slices.Equal(got.Assignments[0].Exclude.Labels, want.Exclude.Labels) || !got.UpdatedAt.Equal(policyActor(2).At) {
		t.Errorf("after assignment and publication: %+v", got)
	}
	if _, err := r.DiscardDraft(ctx, p.ID, 2, policyActor(3)); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("an old revision: %v, want %v", err, mdm.ErrConflict)
	}
	if err := r.Delete(ctx, p.ID, 2, Start); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("delete at an old revision: %v, want %v", err, mdm.ErrConflict)
	}
	if err := r.Delete(ctx, p.ID, 3, Start); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"policy":  second(r.Policy(ctx, p.ID)),
		"version": second(r.Version(ctx, p.ID, 1)),
		"change":  second(r.Activate(ctx, p.ID, 0, 0, policyActor(4))),
		"delete":  r.Delete(ctx, p.ID, 0, Start),
	} {
		if !errors.Is(err, mdm.ErrNotFound) {
			t.Errorf("%s of a deleted policy: %v, want %v", what, err, mdm.ErrNotFound)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func policyPages(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r := t.Context(), policyRegistry(s)
	for _, name := range []string{"delta", "Alpha", "charlie", "bravo_1", "bravo%2"} {
		must(r.Create(ctx, name, "", screenLock(60), policyActor(0)))(t)
	}
	if _, err := r.Create(ctx, "ALPHA", "", nil, policyActor(0)); !errors.Is(err, mdm.ErrAlreadyExists) {
		t.Errorf("a name that is taken: %v, want %v", err, mdm.ErrAlreadyExists)
	}
	var names []string
	cursor := ""
	for {
		page, next, err := r.Policies(ctx, policy.Filter{Limit: 2, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			names = append(names, p.Name)
			if p.Draft == nil || p.Draft.Settings != nil {
				t.Errorf("%s in a list has the draft %+v, want one without settings", p.Name, p.Draft)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if want := []string{"Alpha", "bravo%2", "bravo_1", "charlie", "delta"}; !slices.Equal(names, want) {
		t.Errorf("by name: %v, want %v", names, want)
	}
	found, _, err := r.Policies(ctx, policy.Filter{Query: "O%2"})
	if err != nil || len(found) != 1 {
		t.Errorf("search: %+v, %v", found, err)
	}
	if _, _, err := r.Policies(ctx, policy.Filter{Cursor: "x"}); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("a broken cursor: %v, want %v", err, mdm.ErrInvalid)
	}
	all := must(s.AllPolicies(ctx))(t)
	if len(all) != 5 || !slices.IsSortedFunc(all, func(a, b policy.Policy) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) }) {
		t.Errorf("all: %d, by id?", len(all))
	}
}

// policyPagesOfSome walks over lists of which many policies are no part: pages stay full, and no
// policy comes twice or never.
func policyPagesOfSome(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r := t.Context(), policyRegistry(s)
	groups := group.New(s)
	north := must(groups.Create(ctx, mdm.RootGroup, "North", nil, Start))(t)
	south := must(groups.Create(ctx, north.ID, "South", nil, Start))(t)
	in := func(ids ...mdm.GroupID) policy.Scope { return policy.Scope{Groups: ids} }
	var want []string
	for i := range 24 {
		name := fmt.Sprintf("policy %02d", i)
		p := must(r.Create(ctx, name, "", screenLock(60), policyActor(0)))(t)
		list := []policy.Assignment{{ID: "asg_1", Include: in(south.ID)}}
		switch i % 6 {
		case 0:
			list = append(list, policy.Assignment{ID: "asg_2", Include: in(mdm.RootGroup, north.ID)})
			want = append(want, name)
		case 1: // it names the group, as one it is not for
			list[0].Include, list[0].Exclude = in(mdm.RootGroup), in(north.ID)
		case 2:
			continue // for nobody
		}
		must(r.Assign(ctx, p.ID, 0, list, policyActor(1)))(t)
	}
	walk := func(f policy.Filter) []string {
		t.Helper()
		var names []string
		for {
			page, next, err := r.Policies(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				names = append(names, p.Name)
			}
			if f.Cursor = next; next == "" {
				return names
			}
			if len(page) != f.Limit {
				t.Errorf("a page of %d, want %d: %v", len(page), f.Limit, names)
			}
		}
	}
	for limit := 1; limit <= 5; limit++ {
		if got := walk(policy.Filter{Group: north.ID, Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("of North, %d a page: %v, want %v", limit, got, want)
		}
		odd := func(p policy.Policy) bool { return strings.HasSuffix(p.Name, "2") }
		if got := walk(policy.Filter{Group: north.ID, Seen: odd, Limit: limit}); !slices.Equal(got, []string{"policy 12"}) {
			t.Errorf("of North and seen, %d a page: %v", limit, got)
		}
		if got := walk(policy.Filter{Query: "Y 1", Group: north.ID, Limit: limit}); !slices.Equal(got, []string{"policy 12", "policy 18"}) {
			t.Errorf("of North and by name, %d a page: %v", limit, got)
		}
		if got := walk(policy.Filter{Group: "grp_none", Limit: limit}); len(got) != 0 {
			t.Errorf("of no group: %v", got)
		}
		if got := walk(policy.Filter{Group: "%", Limit: limit}); len(got) != 0 {
			t.Errorf("of a group that is a pattern: %v", got)
		}
	}
}

func policyTwoAdmins(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r := t.Context(), policyRegistry(s)
	p := must(r.Create(ctx, "Lock", "", nil, policyActor(0)))(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			_, err := r.SaveDraft(ctx, p.ID, 1, screenLock(60+i), policyActor(i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, mdm.ErrConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := must(r.Policy(ctx, p.ID))(t); won != 1 || got.Revision != 2 {
		t.Errorf("%d of 8 edits of one revision went through, now at %d; want 1 and 2", won, got.Revision)
	}
}

// policyTargets names groups and labels that are not there, and removes those that are named.
func policyTargets(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r, groups, labels := t.Context(), policyRegistry(s), group.New(s), label.New(s)
	p := must(r.Create(ctx, "Lock", "", nil, policyActor(0)))(t)
	g := must(groups.Create(ctx, mdm.RootGroup, "Office", nil, Start))(t)
	in, out := must(labels.Create(ctx, label.Label{Name: "In"}, Start))(t), must(labels.Create(ctx, label.Label{Name: "Out"}, Start))(t)
	to := func(include, exclude policy.Scope) error {
		_, err := r.Assign(ctx, p.ID, 0, []policy.Assignment{{Include: include, Exclude: exclude}}, policyActor(1))
		return err
	}
	here := policy.Scope{Groups: []mdm.GroupID{g.ID}, Labels: []mdm.LabelID{in.ID}}
	for id, err := range map[string]error{
		"grp_none": to(policy.Scope{Groups: []mdm.GroupID{g.ID, "grp_none"}}, policy.Scope{}),
		"lbl_none": to(policy.Scope{Labels: []mdm.LabelID{in.ID, "lbl_none"}}, policy.Scope{}),
		"grp_away": to(here, policy.Scope{Groups: []mdm.GroupID{"grp_away"}}),
		"lbl_away": to(here, policy.Scope{Labels: []mdm.LabelID{"lbl_away"}}),
	} {
		if !errors.Is(err, mdm.ErrInvalid) || !strings.Contains(err.Error(), id) || strings.Contains(err.Error(), string(in.ID)) {
			t.Errorf("%s: %v, want ErrInvalid that names it alone", id, err)
		}
	}
	if got := must(r.Policy(ctx, p.ID))(t); len(got.Assignments) > 0 {
		t.Errorf("refused assignments were kept: %+v", got.Assignments)
	}
	if err := to(here, policy.Scope{Labels: []mdm.LabelID{out.ID}}); err != nil {
		t.Fatal(err)
	}
	remove := map[string]func() error{
		"the group":          func() error { return groups.Delete(ctx, g.ID, Start) },
		"the label":          func() error { return labels.Delete(ctx, in.ID) },
		"the excluded label": func() error { return labels.Delete(ctx, out.ID) },
	}
	for what, do := range remove {
		var used *mdm.InUseError
		if err := do(); !errors.As(err, &used) || !errors.Is(err, mdm.ErrConflict) || !slices.Equal(used.By, []string{`policy "Lock"`}) {
			t.Errorf("removing %s: %v, want an InUseError that names the policy", what, err)
		}
	}
	if err := to(policy.Scope{Groups: []mdm.GroupID{mdm.RootGroup}}, policy.Scope{}); err != nil {
		t.Fatal(err)
	}
	for what, do := range remove {
		if err := do(); err != nil {
			t.Errorf("removing %s that nothing names: %v", what, err)
		}
	}
}

func policyVersions(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r := t.Context(), policyRegistry(s)
	p := must(r.Create(ctx, "Lock", "", nil, policyActor(0)))(t)
	for i := range 5 {
		must(r.SaveDraft(ctx, p.ID, 0, screenLock(60+i), policyActor(i)))(t)
		if _, _, err := r.Publish(ctx, p.ID, 0, fmt.Sprint("note ", i), true, policyActor(i)); err != nil {
			t.Fatal(err)
		}
	}
	page := must(r.Versions(ctx, p.ID, 5, 2))(t)
	if len(page) != 2 || page[0].Number != 4 || page[1].Number != 3 || page[0].Settings != nil || page[0].Note != "note 3" || page[0].Author != "opr_a" {
		t.Errorf("versions below 5: %+v", page)
	}
	v := must(r.Version(ctx, p.ID, 2))(t)
	if len(v.Settings) != 1 || v.Settings[0].ID != "screen.lock" || !v.At.Equal(policyActor(1).At) {
		t.Errorf("version 2: %+v", v)
	}
	back := must(r.Activate(ctx, p.ID, 0, 2, policyActor(9)))(t)
	if back.Live != 2 || back.Newest != 5 {
		t.Errorf("rolled back: %+v", back)
	}
	wifi := []policy.Setting{{ID: "wifi.network/office", Value: json.RawMessage(`{"ssid":"Office","security":"wpa-psk","psk":"correct horse"}`)}}
	p = must(r.SaveDraft(ctx, p.ID, 0, wifi, policyActor(10)))(t)
	stored := must(s.Policy(ctx, p.ID))(t)
	if text := string(stored.Draft.Settings[0].Value); !json.Valid([]byte(text)) || !containsSealed(text) {
		t.Errorf("a secret is stored as %s", text)
	}
}

func containsSealed(text string) bool {
	var v struct {
		PSK struct {
			Sealed string `json:"sealed"`
		} `json:"psk"`
	}
	return json.Unmarshal([]byte(text), &v) == nil && v.PSK.Sealed != ""
}

func rollouts(t *testing.T, s PolicyStore) {
	t.Helper()
	ctx, r := t.Context(), policyRegistry(s)
	p := must(r.Create(ctx, "Lock", "", screenLock(60), policyActor(0)))(t)
	if _, _, err := r.Publish(ctx, p.ID, 0, "", false, policyActor(0)); err != nil {
		t.Fatal(err)
	}
	plan := rollout.Plan{Stages: []rollout.Stage{{Percent: 10, SoakSeconds: 5}, {Percent: 100}}, MaxFailedPercent: 3}
	one := must(rollout.New(p.ID, 0, 1, plan, "opr_a", Start))(t)
	for what, bad := range map[string]func(*rollout.Rollout){
		"another version in force": func(r *rollout.Rollout) { r.From = 1 },
		"no such policy":           func(r *rollout.Rollout) { r.Policy = "pol_none" },
		"no such version":          func(r *rollout.Rollout) { r.To = 9 },
	} {
		b := one
		bad(&b)
		if err := s.CreateRollout(ctx, b); !errors.Is(err, mdm.ErrConflict) && !errors.Is(err, mdm.ErrNotFound) && !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%s: %v, want a refusal", what, err)
		}
	}
	if err := s.CreateRollout(ctx, one); err != nil {
		t.Fatal(err)
	}
	twin := must(rollout.New(p.ID, 0, 1, plan, "opr_a", Start))(t)
	if err := s.CreateRollout(ctx, twin); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("a second roll-out under way: %v, want %v", err, mdm.ErrConflict)
	}
	got := must(s.Rollout(ctx, one.ID))(t)
	if got.Policy != p.ID || got.To != 1 || len(got.Plan.Stages) != 2 || got.Plan.MaxFailedPercent != 3 || !got.StageAt.Equal(Start) || got.State != rollout.Running {
		t.Errorf("roll-out = %+v", got)
	}
	failure := errors.New("no")
	if _, err := s.ChangeRollout(ctx, one.ID, func(r rollout.Rollout, _ int64) (rollout.Rollout, error) { return r, failure }); !errors.Is(err, failure) {
		t.Errorf("the error of a change: %v", err)
	}
	for range 2 {
		must(s.ChangeRollout(ctx, one.ID, func(r rollout.Rollout, live int64) (rollout.Rollout, error) {
			if live != 0 {
				t.Errorf("live = %d before the end", live)
			}
			return r.Skip(Start.Add(time.Minute))
		}))(t)
	}
	now := must(r.Policy(ctx, p.ID))(t)
	if got = must(s.Rollout(ctx, one.ID))(t); got.State != rollout.Done || now.Live != 1 || now.Revision <= p.Revision {
		t.Errorf("done: %+v; policy %+v", got, now)
	}
	if list, _, err := s.Rollouts(ctx, rollout.Filter{UnderWay: true}); err != nil || len(list) != 0 {
		t.Errorf("under way: %+v, %v", list, err)
	}
	stoppedRollouts(t, s, r, p.ID, plan)
}

// stoppedRollouts begins and stops three more, which leave what is in force alone.
func stoppedRollouts(t *testing.T, s PolicyStore, r *policy.Registry, id policy.ID, plan rollout.Plan) {
	t.Helper()
	ctx := t.Context()
	for i := range 3 {
		must(r.SaveDraft(ctx, id, 0, screenLock(90+i), policyActor(20+i)))(t)
		now, _, err := r.Publish(ctx, id, 0, "", false, policyActor(20+i))
		if err != nil {
			t.Fatal(err)
		}
		next := must(rollout.New(id, now.Live, now.Newest, plan, "opr_a", policyActor(20+i).At))(t)
		if err := s.CreateRollout(ctx, next); err != nil {
			t.Fatal(err)
		}
		must(s.ChangeRollout(ctx, next.ID, func(r rollout.Rollout, _ int64) (rollout.Rollout, error) { return r.Stop("enough", Start) }))(t)
	}
	var seen []int64
	cursor := ""
	for {
		page, next, err := s.Rollouts(ctx, rollout.Filter{Policy: id, Limit: 3, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page {
			seen = append(seen, one.To)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(seen, []int64{4, 3, 2, 1}) {
		t.Errorf("newest first: %v", seen)
	}
	for state, want := range map[rollout.State][]int64{
		rollout.Returned: {4, 3, 2}, rollout.Done: {1}, rollout.Running: nil, rollout.Paused: nil,
	} {
		var got []int64
		for cursor := "more"; cursor != ""; {
			if cursor == "more" {
				cursor = ""
			}
			page, next, err := s.Rollouts(ctx, rollout.Filter{State: state, Limit: 2, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range page {
				got = append(got, one.To)
			}
			cursor = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: versions %v, want %v", state, got, want)
		}
	}
	if now := must(r.Policy(ctx, id))(t); now.Live != 1 {
		t.Errorf("a stopped roll-out left version %d in force", now.Live)
	}
	if _, err := s.Rollout(ctx, "rol_none"); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("no such roll-out: %v", err)
	}
}
