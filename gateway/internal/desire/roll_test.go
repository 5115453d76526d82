package desire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// start publishes settings and rolls them out.
func (h *house) start(e *desire.Engine, p policy.Policy, plan rollout.Plan, settings ...policy.Setting) rollout.ID {
	h.t.Helper()
	v := h.publish(p.ID, false, settings...)
	r, err := rollout.New(p.ID, p.Live, v.Number, plan, "opr_test", by().At)
	if err == nil {
		err = e.StartRollout(h.t.Context(), r)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return r.ID
}

func (h *house) rollout(e *desire.Engine, id rollout.ID) rollout.Rollout {
	h.t.Helper()
	r, err := e.Rollout(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// having returns the devices whose lock is after so many seconds.
func (h *house) having(e *desire.Engine, seconds int) (out []mdm.DeviceID) {
	h.t.Helper()
	for _, d := range h.devices {
		for _, s := range h.manifest(e, d).Settings {
			if bytes.Contains(s.Value, fmt.Appendf(nil, `"idle_seconds":%d,`, seconds)) {
				out = append(out, d)
			}
		}
	}
	return out
}

// reached says whether the roll-out's devices that stand so are those.
func (h *house) reached(e *desire.Engine, id rollout.ID, state manifest.State, want ...mdm.DeviceID) {
	h.t.Helper()
	list, err := e.Reached(h.t.Context(), h.rollout(e, id), desire.Viewer{All: true}, state, "", 100)
	if err != nil {
		h.t.Fatal(err)
	}
	var got []mdm.DeviceID
	for _, d := range list {
		got = append(got, d.Device)
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("%s on %v, want %v", state, got, want)
	}
}

// office is one node and a group of forty devices: enough for stages of a few.
func office(t *testing.T, s *store.Store) (*house, *desire.Engine, mdm.GroupID) {
	t.Helper()
	h := newHouse(t, s)
	e, g := h.node(nil), h.group("Office", mdm.RootGroup)
	h.join(g, 40)
	return h, e, g
}

func TestRollout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h, e, g := office(t, s)
		p := h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
		e.Wake()
		h.settled()
		for _, d := range h.devices {
			h.report(e, d, manifest.Applied)
		}
		id := h.start(e, p, quick, screenLock(60))
		if err := e.StartRollout(t.Context(), rollout.Rollout{ID: "rol_2", Policy: p.ID, From: 1, To: 2, Plan: quick, State: rollout.Running}); !errors.Is(err, mdm.ErrConflict) {
			t.Errorf("a second roll-out: %v, want %v", err, mdm.ErrConflict)
		}
		var before []mdm.DeviceID
		for stage := range 3 {
			h.await(fmt.Sprintf("at stage %d", stage), func() bool { return h.rollout(e, id).Stage == stage })
			h.settled()
			have := h.having(e, 60)
			if len(have) <= len(before) || stage < 2 && len(have) == len(h.devices) {
				t.Errorf("stage %d: %d devices have the new version, %d before", stage, len(have), len(before))
			}
			late := have[slices.IndexFunc(have, func(d mdm.DeviceID) bool { return !slices.Contains(before, d) })]
			for _, d := range have {
				if d != late {
					h.report(e, d, manifest.Applied)
				}
			}
			h.await("counted", func() bool { return h.rollout(e, id).Progress.Applied == int64(len(have)-1) })
			if r := h.rollout(e, id); r.Stage != stage || r.Progress.Pending != 1 {
				t.Errorf("it went on with a device that has not reported: %+v", r)
			}
			h.reached(e, id, manifest.Pending, late)
			h.reached(e, id, manifest.Failed)
			h.report(e, late, manifest.Applied)
			before = have
		}
		h.await("done", func() bool { return h.rollout(e, id).State == rollout.Done })
		h.settled()
		now, err := h.policies.Policy(t.Context(), p.ID)
		if err != nil || now.Live != 2 || len(h.having(e, 60)) != 40 {
			t.Errorf("after the roll-out version %d is live, %d devices have it: %v", now.Live, len(h.having(e, 60)), err)
		}
	})
}

func TestRolloutReturnsByItself(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h, e, g := office(t, s)
		p := h.policy("Lock", true, []policy.Setting{screenLock(300)}, to(g))
		e.Wake()
		h.settled()
		id := h.start(e, p, quick, screenLock(60))
		h.settled()
		if _, err := e.ChangeRollout(t.Context(), id, func(r rollout.Rollout) (rollout.Rollout, error) { return r.Pause(by().At) }); err != nil {
			t.Fatal(err)
		}
		have := h.having(e, 60)
		for _, d := range have {
			h.report(e, d, manifest.Failed)
		}
		h.await("returned", func() bool { return h.rollout(e, id).State == rollout.Returned })
		h.settled()
		if n := len(h.having(e, 60)); n != 0 {
			t.Errorf("%d devices still have the version that failed", n)
		}
		if n := len(h.having(e, 300)); n != 40 {
			t.Errorf("%d devices have the version before, want 40", n)
		}
		if r := h.rollout(e, id); r.Reason == "" || r.Progress.Failed == 0 {
			t.Errorf("it does not say why: %+v", r)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if !slices.Equal(h.notes, []string{"rollout.returned"}) {
			t.Errorf("noted: %v", h.notes)
		}
	})
}

// TestRolloutThatContradicts brings a version that contradicts another policy: nothing of it
// is applied on any device it reaches, which is a failure though no device says so. What the
// version before contradicted already is none.
func TestRolloutThatContradicts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h, e, g := office(t, s)
		script := func(name, body string) policy.Setting {
			return policy.Setting{ID: manifest.ID("script.check/" + name), Value: json.RawMessage(`{"check":"` + body + `"}`)}
		}
		h.policy("Other", true, []policy.Setting{script("old", "true"), script("new", "true")}, to(g))
		p := h.policy("Checks", true, []policy.Setting{script("old", "false")}, to(g))
		e.Wake()
		h.settled()
		id := h.start(e, p, quick, script("old", "false"), script("new", "false"))
		h.await("returned", func() bool { return h.rollout(e, id).State == rollout.Returned })
		r := h.rollout(e, id)
		if r.Stage != 0 || r.Progress.Failed == 0 || r.Progress.Conflict != r.Progress.Failed || !strings.Contains(r.Reason, "contradicts") {
			t.Errorf("it does not say why: %+v", r)
		}
		h.settled()
		p, err := h.policies.Policy(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		id = h.start(e, p, quick, script("old", "exit 1"), screenLock(60))
		h.await("counted", func() bool { return h.rollout(e, id).Progress.Pending > 0 })
		h.settled()
		h.await("over", func() bool {
			for _, d := range h.having(e, 60) {
				h.report(e, d, manifest.Applied)
			}
			return h.rollout(e, id).State != rollout.Running
		})
		if r := h.rollout(e, id); r.State != rollout.Done {
			t.Errorf("a conflict that was there before ends a roll-out: %+v", r)
		}
	})
}

// TestRolloutOfAField rolls out one field of a setting of which another policy gives the
// others: it fails, and no policy is named for that.
func TestRolloutOfAField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h, e, g := office(t, s)
		lock := func(idle, delay int) policy.Setting {
			return policy.Setting{ID: "screen.lock", Value: json.RawMessage(fmt.Sprintf(`{"enabled":true,"idle_seconds":%d,"lock_delay_seconds":%d}`, idle, delay))}
		}
		h.policy("Other", true, []policy.Setting{lock(900, 0)}, to(g))
		p := h.policy("Idle", true, []policy.Setting{lock(300, 60)}, to(g))
		e.Wake()
		h.settled()
		id := h.start(e, p, quick, lock(60, 60))
		h.settled()
		for _, d := range h.having(e, 60) {
			h.report(e, d, manifest.Failed)
		}
		h.await("returned", func() bool { return h.rollout(e, id).State == rollout.Returned })
		if r := h.rollout(e, id); r.Progress.Failed == 0 || r.Progress.Conflict != 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRolloutToNobody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		h := newHouse(t, s)
		e := h.node(nil)
		h.join(mdm.RootGroup, 2)
		p := h.policy("Lock", false, []policy.Setting{screenLock(300)}, policy.Assignment{Include: policy.Scope{Labels: []mdm.LabelID{h.label("Nobody")}}})
		id := h.start(e, p, rollout.Plan{Stages: []rollout.Stage{{Percent: 10, SoakSeconds: 3600}, {Percent: 100, SoakSeconds: 3600}}}, screenLock(60))
		h.await("done", func() bool { return h.rollout(e, id).State == rollout.Done })
	})
}
