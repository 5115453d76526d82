package compliance

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// State is the state of a device under a rule.
type State string

// The states.
const (
	Unknown       State = "unknown"        // a fact the rule reads was not reported, or it was never checked
	NotApplicable State = "not_applicable" // the rule makes no sense here
	Compliant     State = "compliant"
	InGrace       State = "in_grace" // broken, but not for long
	NonCompliant  State = "non_compliant"
	Waived        State = "waived" // broken, and somebody answers for it
	Failed        State = "error"  // the rule cannot be evaluated
)

// States lists every state, the one that needs attention most first.
func States() []State {
	return []State{NonCompliant, Failed, InGrace, Unknown, Waived, Compliant, NotApplicable}
}

// Broken reports whether the device is not as the rule wants it, excused or not.
func (s State) Broken() bool { return s == InGrace || s == NonCompliant || s == Waived }

// Verdict is what evaluating a rule on a device came to, before grace and waivers.
type Verdict struct {
	Rule     string
	State    State           // Unknown, NotApplicable, Compliant, NonCompliant or Failed
	Reason   string          // of Unknown and Failed, in words
	Evidence json.RawMessage // what was observed; nil where there is nothing to show
}

// Entry is the present state of one rule on a device.
type Entry struct {
	Rule        string
	State       State
	Since       time.Time
	BrokenSince time.Time // since when it is broken, whatever the state is called; zero: it is not
	GraceUntil  time.Time // of InGrace
	Waiver      string    // of Waived: its id
	Reason      string
	Evidence    json.RawMessage // at the last change
}

// Interval is a state that held from Since to Until; a zero Until is still true.
type Interval struct {
	Device   mdm.DeviceID
	Rule     string
	State    State
	Since    time.Time
	Until    time.Time
	Waiver   string
	Reason   string
	Evidence json.RawMessage
}

// Standing is where a device stands under all rules.
type Standing struct {
	Device    mdm.DeviceID
	Revision  int64     // counts the changes of Entries; 0: never checked
	Seq       int64     // of the rule set it was last checked under
	CheckedAt time.Time // zero: never
	DueAt     time.Time // when to look again without being told of a change; zero: only then
	Entries   []Entry   // by rule
}

// Entry returns the entry of one rule.
func (s Standing) Entry(rule string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(s.Entries, rule, func(e Entry, id string) int { return strings.Compare(e.Rule, id) })
	if !ok {
		return Entry{}, false
	}
	return s.Entries[i], true
}

// Overall is the device's state over all rules: the first of non-compliant, error, in grace
// and unknown that any rule has; else compliant. Never checked is unknown.
func (s Standing) Overall() State {
	worst := Compliant
	if s.Revision == 0 {
		return Unknown
	}
	for _, e := range s.Entries {
		worst = Worse(worst, e.State)
	}
	return worst
}

// Worse returns what one more rule in a state makes of the overall state over those before it.
func Worse(overall, s State) State {
	if badness(s) > badness(overall) {
		return s
	}
	return overall
}

// badness puts the states that show in an overall one in order.
func badness(s State) int {
	switch s {
	case NonCompliant:
		return 4
	case Failed:
		return 3
	case InGrace:
		return 2
	case Unknown:
		return 1
	default:
		return 0 // compliant, or as good as that
	}
}

// Circumstances are what, beside the verdicts, decides a device's states.
type Circumstances struct {
	Set        Set
	EnrolledAt time.Time
	Waivers    []Waiver // those that cover the device, of whatever rule and age
	Now        time.Time
}

// Change is what Advance came to.
type Change struct {
	From     int64 // the revision it was made from
	Standing Standing
	Closed   []Interval // intervals that ended, for the record
	Opened   []Entry    // entries whose state is new
	Gone     []string   // rules that are not among the entries any more
}

// Changed reports whether any state is other than before.
func (c Change) Changed() bool { return len(c.Opened) > 0 || len(c.Gone) > 0 }

// Advance takes verdicts of every rule in force to a device's standing. It changes nothing
// of its arguments. A clock that went back shortens no interval: an interval ends no
// earlier than it began.
func Advance(before Standing, verdicts []Verdict, c Circumstances) Change {
	out := Change{From: before.Revision, Standing: Standing{Device: before.Device, Revision: before.Revision, Seq: c.Set.Seq, CheckedAt: c.Now}}
	out.Standing.Entries = make([]Entry, 0, len(verdicts))
	at := func(old Entry) time.Time { return later(old.Since, c.Now) }
	for _, v := range verdicts {
		old, had := before.Entry(v.Rule)
		e := c.entry(v, old)
		if had && old.State == e.State && old.Waiver == e.Waiver {
			e.Since, e.Evidence, e.Reason = old.Since, old.Evidence, old.Reason
		} else {
			if had {
				if e.Evidence == nil && e.State.Broken() && old.State.Broken() {
					e.Evidence = old.Evidence // the same fault by another name
				}
				e.Since = at(old)
				if old.Since.Before(e.Since) {
					out.Closed = append(out.Closed, closed(before.Device, old, e.Since))
				}
			}
			out.Opened = append(out.Opened, e)
		}
		out.Standing.DueAt = sooner(out.Standing.DueAt, c.dueOf(e))
		out.Standing.Entries = append(out.Standing.Entries, e)
	}
	slices.SortFunc(out.Standing.Entries, func(a, b Entry) int { return strings.Compare(a.Rule, b.Rule) })
	for _, old := range before.Entries {
		if _, still := out.Standing.Entry(old.Rule); !still {
			out.Gone = append(out.Gone, old.Rule)
			if until := at(old); old.Since.Before(until) {
				out.Closed = append(out.Closed, closed(before.Device, old, until))
			}
		}
	}
	if out.Changed() || before.Revision == 0 {
		out.Standing.Revision++
	}
	return out
}

func closed(d mdm.DeviceID, e Entry, until time.Time) Interval {
	return Interval{Device: d, Rule: e.Rule, State: e.State, Since: e.Since, Until: until, Waiver: e.Waiver, Reason: e.Reason, Evidence: e.Evidence}
}

// entry applies waivers and grace to a verdict.
func (c Circumstances) entry(v Verdict, old Entry) Entry {
	e := Entry{Rule: v.Rule, State: v.State, Since: c.Now, Reason: v.Reason, Evidence: v.Evidence}
	if v.State != NonCompliant {
		return e
	}
	e.BrokenSince = c.Now
	if !old.BrokenSince.IsZero() && old.BrokenSince.Before(c.Now) {
		e.BrokenSince = old.BrokenSince
	}
	for _, w := range c.Waivers {
		if w.Rule == v.Rule && w.Holds(c.Now) {
			e.State, e.Waiver = Waived, w.ID
			return e
		}
	}
	r, _ := c.Set.Rule(v.Rule)
	until := later(e.BrokenSince.Add(r.Grace), c.EnrolledAt.Add(c.Set.NewDeviceGrace))
	if c.Now.Before(until) {
		e.State, e.GraceUntil = InGrace, until
	}
	return e
}

// dueOf is when an entry changes by the clock alone; zero for never.
func (c Circumstances) dueOf(e Entry) time.Time {
	if e.State == InGrace {
		return e.GraceUntil
	}
	if e.State == Waived {
		for _, w := range c.Waivers {
			if w.ID == e.Waiver {
				return w.ExpiresAt
			}
		}
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sooner is the earlier of two times of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
