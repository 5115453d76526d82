package compliance_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"handrail/mdm/compliance"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func verdict(s compliance.State) []compliance.Verdict {
	return []compliance.Verdict{{Rule: "a", State: s}}
}

func TestAdvanceGrace(t *testing.T) {
	set := compliance.Set{Rules: []compliance.Rule{{ID: "a", Grace: 24 * time.Hour}}, NewDeviceGrace: 48 * time.Hour}
	at := func(st compliance.Standing, s compliance.State, hours int) compliance.Change {
		return compliance.Advance(st, verdict(s), compliance.Circumstances{Set: set, EnrolledAt: start, Now: start.Add(time.Duration(hours) * time.Hour)})
	}
	c := at(compliance.Standing{}, compliance.NonCompliant, 1)
	if e := c.Standing.Entries[0]; e.State != compliance.InGrace || !c.Standing.DueAt.Equal(start.Add(48*time.Hour)) {
		t.Errorf("new device: %+v due %v", e, c.Standing.DueAt)
	}
	c = at(c.Standing, compliance.NonCompliant, 47)
	if c.Changed() || c.Standing.Entries[0].State != compliance.InGrace {
		t.Errorf("still new: %+v", c)
	}
	c = at(c.Standing, compliance.NonCompliant, 48)
	if e := c.Standing.Entries[0]; e.State != compliance.NonCompliant || !e.BrokenSince.Equal(start.Add(time.Hour)) || len(c.Closed) != 1 {
		t.Errorf("no more: %+v", c)
	}
	c = at(c.Standing, compliance.Compliant, 60)
	c = at(c.Standing, compliance.NonCompliant, 100)
	if e := c.Standing.Entries[0]; e.State != compliance.InGrace || !e.GraceUntil.Equal(start.Add(124*time.Hour)) {
		t.Errorf("broken anew: %+v", e)
	}
}

// TestAdvanceKeepsOneLine: whatever happens, and however the clock jumps, a rule's intervals
// follow each other without gap or overlap.
func TestAdvanceKeepsOneLine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	states := []compliance.State{compliance.Unknown, compliance.NotApplicable, compliance.Compliant, compliance.NonCompliant, compliance.Failed}
	set := compliance.Set{Rules: []compliance.Rule{{ID: "a", Grace: 5 * time.Hour}}}
	w := compliance.Waiver{ID: "wvr_1", Rule: "a", CreatedAt: start.Add(30 * time.Hour), ExpiresAt: start.Add(60 * time.Hour)}
	now := start
	var st compliance.Standing
	var line []compliance.Interval
	for range 500 {
		now = now.Add(time.Duration(rnd.IntN(6)-1) * time.Hour)
		c := compliance.Advance(st, verdict(states[rnd.IntN(len(states))]), compliance.Circumstances{Set: set, Now: now, Waivers: []compliance.Waiver{w}})
		line = append(line, c.Closed...)
		st = c.Standing
	}
	for i, one := range line {
		if !one.Since.Before(one.Until) {
			t.Fatalf("interval %d is %v to %v", i, one.Since, one.Until)
		}
		if i > 0 && !line[i-1].Until.Equal(one.Since) {
			t.Fatalf("interval %d begins %v, the one before ends %v", i, one.Since, line[i-1].Until)
		}
	}
	if len(line) < 100 || !line[len(line)-1].Until.Equal(st.Entries[0].Since) {
		t.Errorf("%d intervals, the open one since %v", len(line), st.Entries[0].Since)
	}
}

func TestOverall(t *testing.T) {
	for _, tt := range []struct {
		states []compliance.State
		want   compliance.State
	}{
		{nil, compliance.Compliant},
		{[]compliance.State{compliance.Compliant, compliance.NotApplicable}, compliance.Compliant},
		{[]compliance.State{compliance.Compliant, compliance.Waived}, compliance.Compliant},
		{[]compliance.State{compliance.Compliant, compliance.Unknown}, compliance.Unknown},
		{[]compliance.State{compliance.Unknown, compliance.InGrace}, compliance.InGrace},
		{[]compliance.State{compliance.Failed, compliance.NonCompliant, compliance.InGrace}, compliance.NonCompliant},
	} {
		st := compliance.Standing{Revision: 1}
		for _, s := range tt.states {
			st.Entries = append(st.Entries, compliance.Entry{State: s})
		}
		if got := st.Overall(); got != tt.want {
			t.Errorf("overall of %v = %s, want %s", tt.states, got, tt.want)
		}
	}
	if got := (compliance.Standing{}).Overall(); got != compliance.Unknown {
		t.Errorf("never checked = %s", got)
	}
}
