package rollout_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/rollout"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func plan(failed int) rollout.Plan {
	return rollout.Plan{MaxFailedPercent: failed, Stages: []rollout.Stage{{Percent: 10, SoakSeconds: 60}, {Percent: 50, SoakSeconds: 60}, {Percent: 100}}}
}

func begin(t *testing.T, p rollout.Plan) rollout.Rollout {
	t.Helper()
	r, err := rollout.New("pol_a", 3, 4, p, "op_a", start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRingsAreStableAndEven(t *testing.T) {
	if got := rollout.Ring("dev_00000"); got != 3885 {
		t.Fatalf("the ring of dev_00000 is %d: a device must never change its ring", got)
	}
	r := begin(t, plan(0))
	in := 0
	for i := range 20000 {
		d := mdm.DeviceID(fmt.Sprintf("dev_%05d", i))
		if r.Reaches(d) {
			in++
		}
	}
	if in < 1800 || in > 2200 {
		t.Errorf("10 percent of 20000 devices are %d", in)
	}
	wider, err := r.Skip(start)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if d := mdm.DeviceID(fmt.Sprintf("dev_%05d", i)); r.Reaches(d) && !wider.Reaches(d) {
			t.Errorf("%s loses the version with the second stage", d)
		}
	}
}

func TestStagesSoakAndEnd(t *testing.T) {
	r := begin(t, plan(0))
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		seconds int
		p       rollout.Progress
		stage   int
		state   rollout.State
	}{
		{30, rollout.Progress{Total: 100, Devices: 10, Applied: 10}, 0, rollout.Running},                // soaks
		{61, rollout.Progress{Total: 100, Devices: 10, Applied: 4, Pending: 6}, 0, rollout.Running},     // most have not reported
		{70, rollout.Progress{Total: 100, Devices: 10, Applied: 5, Pending: 5}, 1, rollout.Running},     // half is enough
		{80, rollout.Progress{Total: 100, Devices: 50, Applied: 50}, 1, rollout.Running},                // soaks again
		{131, rollout.Progress{Total: 100, Devices: 50, Applied: 50}, 2, rollout.Running},               // the last
		{132, rollout.Progress{Total: 100, Devices: 100, Applied: 20, Pending: 80}, 2, rollout.Running}, // no soak, but reports
		{140, rollout.Progress{Total: 100, Devices: 100, Applied: 90, Pending: 10}, 2, rollout.Done},
		{150, rollout.Progress{Total: 100, Devices: 100, Failed: 100}, 2, rollout.Done}, // for good
	} {
		r = r.Advance(tt.p, 3, at(tt.seconds))
		if r.Stage != tt.stage || r.State != tt.state {
			t.Errorf("after %d s: stage %d, %s; want %d, %s", tt.seconds, r.Stage, r.State, tt.stage, tt.state)
		}
	}
	if !r.Reaches("dev_any") {
		t.Error("a done roll-out does not reach everyone")
	}
}

func TestBudgetReturns(t *testing.T) {
	for _, tt := range []struct {
		budget int
		p      rollout.Progress
		want   rollout.State
	}{
		{0, rollout.Progress{Total: 100, Devices: 10, Failed: 1}, rollout.Returned},
		{10, rollout.Progress{Total: 100, Devices: 10, Failed: 1}, rollout.Running},
		{10, rollout.Progress{Total: 100, Devices: 10, Failed: 2}, rollout.Returned},
		{100, rollout.Progress{Total: 100, Devices: 10, Failed: 10}, rollout.Running},
	} {
		r := begin(t, plan(tt.budget)).Advance(tt.p, 3, start.Add(time.Second))
		if r.State != tt.want {
			t.Errorf("budget %d, %+v: %s, want %s", tt.budget, tt.p, r.State, tt.want)
		}
		if r.State == rollout.Returned && (r.Reaches("dev_any") || !strings.Contains(r.Reason, "failed")) {
			t.Errorf("returned, yet reaches devices, or does not say why: %q", r.Reason)
		}
	}
	paused, err := begin(t, plan(0)).Pause(start)
	if err != nil {
		t.Fatal(err)
	}
	if r := paused.Advance(rollout.Progress{Total: 9, Devices: 9, Applied: 9}, 3, start.Add(time.Hour)); r.State != rollout.Paused || r.Stage != 0 {
		t.Errorf("a paused roll-out goes on: %+v", r)
	}
	if r := paused.Advance(rollout.Progress{Total: 9, Devices: 9, Failed: 9}, 3, start.Add(time.Hour)); r.State != rollout.Returned {
		t.Error("a paused roll-out does not return")
	}
	if r := begin(t, plan(0)).Advance(rollout.Progress{}, 7, start); r.State != rollout.Returned {
		t.Error("a roll-out goes on though another version was put in force")
	}
}

func TestNobodyToWaitFor(t *testing.T) {
	r := begin(t, plan(0))
	for range 3 {
		r = r.Advance(rollout.Progress{}, 3, start)
	}
	if r.State != rollout.Done {
		t.Errorf("a roll-out to nobody is %s", r.State)
	}
}

func TestPlansAndVerbs(t *testing.T) {
	for _, p := range []rollout.Plan{
		{},
		{Stages: []rollout.Stage{{Percent: 50}}},
		{Stages: []rollout.Stage{{Percent: 50}, {Percent: 50}, {Percent: 100}}},
		{Stages: []rollout.Stage{{Percent: 100, SoakSeconds: -1}}},
		{Stages: []rollout.Stage{{Percent: 100}}, MaxFailedPercent: 101},
		{Stages: make([]rollout.Stage, rollout.MaxStages+1)},
	} {
		if _, err := rollout.New("pol_a", 0, 1, p, "", start); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%+v: %v, want %v", p, err, mdm.ErrInvalid)
		}
	}
	r := begin(t, plan(0))
	if _, err := r.Resume(start); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("resume of a running one: %v", err)
	}
	stopped, err := r.Stop("no", start)
	if err != nil || stopped.State != rollout.Returned || stopped.Reason != "no" {
		t.Errorf("stop: %+v, %v", stopped, err)
	}
	for what, do := range map[string]func() (rollout.Rollout, error){
		"pause": func() (rollout.Rollout, error) { return stopped.Pause(start) },
		"stop":  func() (rollout.Rollout, error) { return stopped.Stop("", start) },
		"skip":  func() (rollout.Rollout, error) { return stopped.Skip(start) },
	} {
		if _, err := do(); !errors.Is(err, mdm.ErrConflict) {
			t.Errorf("%s of one that is over: %v", what, err)
		}
	}
}
