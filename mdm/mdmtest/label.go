package mdmtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/label"
)

// RunLabelStore is the suite of label.Store.
func RunLabelStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	t.Run("static", func(t *testing.T) { labelStatic(t, open(t)) })
	t.Run("smart", func(t *testing.T) { labelSmart(t, open(t)) })
}

func labelStatic(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), label.New(s)
	a, b := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, mdm.RootGroup)
	l := must(r.Create(ctx, label.Label{Name: "  Front\u202e desk ", Description: "x", CreatedBy: "op_1"}, Start))(t)
	if l.Name != "Front desk" || l.Color != "gray" || l.IsSmart() {
		t.Errorf("label = %+v", l)
	}
	if got := must(r.Label(ctx, l.ID))(t); got.Name != l.Name || !got.Evaluated || !got.CreatedAt.Equal(Start) || got.CreatedBy != "op_1" {
		t.Errorf("stored label = %+v", got)
	}
	if _, err := r.Create(ctx, label.Label{Name: "FRONT DESK"}, Start); !errors.Is(err, mdm.ErrAlreadyExists) {
		t.Errorf("a name twice: %v", err)
	}
	for _, bad := range []label.Label{{Name: "\x00"}, {Name: "a", Color: "#fff"}, {Name: `a"b`}} {
		if _, err := r.Create(ctx, bad, Start); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", bad, err)
		}
	}
	if got := must(r.Give(ctx, l.ID, []mdm.DeviceID{a, "dev_none", a}, "op_1", Start))(t); !slices.Equal(got, []mdm.DeviceID{a}) {
		t.Errorf("given to %v", got)
	}
	if got := must(r.Give(ctx, l.ID, []mdm.DeviceID{a, b}, "op_2", Start.Add(time.Hour)))(t); !slices.Equal(got, []mdm.DeviceID{b}) {
		t.Errorf("given again to %v", got)
	}
	of := must(r.Of(ctx, []mdm.DeviceID{a, b}))(t)
	if len(of[a]) != 1 || of[a][0].GivenBy != "op_1" || !of[a][0].Since.Equal(Start) || of[b][0].GivenBy != "op_2" {
		t.Errorf("carried: %+v", of)
	}
	if got := must(r.Take(ctx, l.ID, []mdm.DeviceID{b, "dev_none"}))(t); !slices.Equal(got, []mdm.DeviceID{b}) {
		t.Errorf("taken from %v", got)
	}
	name, expression := "Desk", "true"
	if _, err := r.Update(ctx, l.ID, label.Change{Expression: &expression}, Start); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("a static label became smart: %v", err)
	}
	l = must(r.Update(ctx, l.ID, label.Change{Name: &name, Revision: 1}, Start.Add(time.Hour)))(t)
	if l.Name != "Desk" || l.Revision != 2 {
		t.Errorf("changed label = %+v", l)
	}
	if _, err := r.Update(ctx, l.ID, label.Change{Name: &name, Revision: 1}, Start); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("a change of what was changed meanwhile: %v", err)
	}
	if err := device.New(s).Delete(ctx, a); err != nil {
		t.Fatal(err)
	}
	if of := must(r.Of(ctx, []mdm.DeviceID{a, b}))(t); len(of) != 0 {
		t.Errorf("labels outlive their device: %+v", of)
	}
	if err := r.Delete(ctx, l.ID); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"label": failureOf(r.Label(ctx, l.ID)), "delete": r.Delete(ctx, l.ID), "give": failureOf(r.Give(ctx, l.ID, nil, "", Start))} {
		if !errors.Is(err, mdm.ErrNotFound) {
			t.Errorf("%s of nothing: %v, want ErrNotFound", what, err)
		}
	}
}

func failureOf[T any](_ T, err error) error { return err }

func labelSmart(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), label.New(s)
	a, b := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, mdm.RootGroup)
	l := must(r.Create(ctx, label.Label{Name: "Smart", Expression: "x", Reads: []string{"hardware", "now"}}, Start))(t)
	if got := must(r.Label(ctx, l.ID))(t); got.Evaluated || !slices.Equal(got.Reads, l.Reads) {
		t.Errorf("a new smart label = %+v", got)
	}
	if _, err := r.Give(ctx, l.ID, []mdm.DeviceID{a}, "op", Start); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("given by hand: %v", err)
	}
	why := []label.Value{{Path: "hardware.memory_bytes", Value: "1"}}
	judge := func(l label.Label, sweep label.Sweep, v ...label.Verdict) []mdm.DeviceID {
		t.Helper()
		return must(r.Judge(ctx, l, v, sweep, Start))(t)
	}
	if got := judge(l, label.Done, label.Verdict{Device: a, Carries: true, Why: why}, label.Verdict{Device: b}, label.Verdict{Device: "dev_none", Carries: true}); !slices.Contains(got, a) || slices.Contains(got, b) {
		t.Errorf("came or went: %v", got)
	}
	if got := must(r.Label(ctx, l.ID))(t); !got.Evaluated || !got.EvaluatedAt.Equal(Start) {
		t.Errorf("after all were evaluated: %+v", got)
	}
	if of := must(r.Of(ctx, []mdm.DeviceID{a, b}))(t); len(of[a]) != 1 || !slices.Equal(of[a][0].Why, why) || of[a][0].GivenBy != "" || len(of[b]) != 0 {
		t.Errorf("carried: %+v", of)
	}
	if got := judge(l, label.Single, label.Verdict{Device: a, Carries: true, Why: why}); len(got) != 0 {
		t.Errorf("the same again: %v", got)
	}
	expression := "y"
	changed := must(r.Update(ctx, l.ID, label.Change{Expression: &expression, Reads: []string{"disks"}}, Start))(t)
	if got := must(r.Label(ctx, l.ID))(t); got.Evaluated || !slices.Equal(got.Reads, []string{"disks"}) {
		t.Errorf("after a change: %+v", got)
	}
	if got := judge(l, label.Done, label.Verdict{Device: b, Carries: true}); len(got) != 0 {
		t.Errorf("verdicts of the expression before count: %v", got)
	}
	if got := judge(changed, label.Single, label.Verdict{Device: a}, label.Verdict{Device: b, Carries: true}); len(got) != 2 {
		t.Errorf("came or went: %v", got)
	}
}
