package compliance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// numbers keeps what was slow to count. Counting a large fleet is work for the database that
// people who look at a dashboard should not cause again and again; what is quick is counted
// whenever somebody asks.
type numbers struct {
	mu   sync.Mutex
	kept map[string]*counted
	past sync.Mutex // held while a moment is counted: however many are asked for, one is at work
}

// counted is what was counted for one scope and moment.
type counted struct {
	mu     sync.Mutex // held while it is counted: who asks meanwhile waits for that
	seq    int64      // of the rules
	begun  time.Time  // what the numbers are of
	at     time.Time  // when they were there
	took   time.Duration
	counts Counts
}

// Counting more than manyDevices that takes longer than slowCount may be as old as countShare
// times what it took. Of a small fleet the numbers are always those of now.
const (
	manyDevices = 5000
	slowCount   = 50 * time.Millisecond
	countShare  = 20
	maxCounted  = 64 // scopes and moments that are kept
)

func (c *counted) fresh(seq int64) bool {
	return !c.at.IsZero() && c.seq == seq && c.counts.Devices > manyDevices && c.took > slowCount && time.Since(c.at) < countShare*c.took
}

func (n *numbers) entry(key string) *counted {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.kept[key]; ok {
		return e
	}
	if n.kept == nil || len(n.kept) >= maxCounted {
		n.kept = map[string]*counted{}
	}
	e := &counted{}
	n.kept[key] = e
	return e
}

// count returns what is kept, or counts, and the moment the numbers are of.
func (n *numbers) count(s Scope, moment time.Time, seq int64, count func() (Counts, error)) (Counts, time.Time, error) {
	e := n.entry(scopeKey(s) + moment.Format(time.RFC3339Nano))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fresh(seq) {
		return e.counts, e.begun, nil
	}
	begun := time.Now()
	c, err := count()
	if err == nil {
		e.counts, e.seq, e.begun, e.at, e.took = c, seq, begun, time.Now(), time.Since(begun)
	}
	return c, begun, err
}

func scopeKey(s Scope) string {
	if s.All {
		return "all "
	}
	ids := make([]string, len(s.Groups))
	for i, g := range s.Groups {
		ids[i] = string(g)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ") + " "
}

// Summary is the numbers of a scope.
type Summary struct {
	Counts Counts
	Set    Set
	At     time.Time // the moment the numbers are of
}

// Summary returns the numbers of a scope as they are now; of a large fleet, as they were a
// moment ago. What it returns is only to be read.
func (r *Registry) Summary(ctx context.Context, s Scope) (Summary, error) {
	set, err := r.Rules(ctx)
	if err != nil {
		return Summary{}, err
	}
	c, counted, err := r.numbers.count(s, time.Time{}, set.Seq, func() (Counts, error) { return r.store.ComplianceCounts(ctx, s) })
	if err != nil {
		return Summary{}, fmt.Errorf("compliance numbers: %w", err)
	}
	return Summary{Counts: c, Set: set, At: counted}, nil
}

// Waiting returns how many devices of a scope have changed, or are to be looked at again, and are
// not checked yet.
func (r *Registry) Waiting(ctx context.Context, s Scope, now time.Time) (Waiting, error) {
	w, err := r.store.ComplianceWaiting(ctx, s, now)
	if err != nil {
		return Waiting{}, fmt.Errorf("compliance behind: %w", err)
	}
	return w, nil
}

// SummaryAt returns the numbers of a scope as they were at a moment, by its devices of now.
// Rules that are disabled now count, as there may be states of then.
func (r *Registry) SummaryAt(ctx context.Context, s Scope, at time.Time) (Summary, error) {
	set, err := r.Rules(ctx)
	if err != nil {
		return Summary{}, err
	}
	set.Rules = slices.Clone(set.Rules)
	for i := range set.Rules {
		set.Rules[i].Seq, set.Rules[i].Disabled = 0, false
	}
	c, _, err := r.numbers.count(s, at, set.Seq, func() (Counts, error) {
		r.numbers.past.Lock()
		defer r.numbers.past.Unlock()
		if err := ctx.Err(); err != nil { // who asked has gone meanwhile
			return Counts{}, err
		}
		return r.countAt(ctx, s, set.Rules, at)
	})
	if err != nil {
		return Summary{}, fmt.Errorf("compliance numbers of %s: %w", at.Format(time.RFC3339), err)
	}
	return Summary{Counts: c, Set: set, At: at}, nil
}

func (r *Registry) countAt(ctx context.Context, s Scope, rules []Rule, at time.Time) (Counts, error) {
	then, err := r.store.ComplianceCountsAt(ctx, s, at)
	c := Counts{Devices: then.Devices, Overall: then.Overall, Findings: map[string]map[State]int64{}, BySeq: map[int64]int64{}}
	looked := map[string]int64{} // at how many devices, by rule
	for rule, by := range then.Rules {
		c.Findings[rule] = map[State]int64{}
		for state, n := range by {
			looked[rule] += n
			if state != Compliant {
				c.Findings[rule][state] = n
			}
		}
	}
	// Who was not looked at under a rule by then is not known to have met it.
	for _, rule := range rules {
		n := c.Devices - looked[rule.ID]
		if n <= 0 {
			continue
		}
		if c.Findings[rule.ID] == nil {
			c.Findings[rule.ID] = map[State]int64{}
		}
		c.Findings[rule.ID][Unknown] += n
	}
	return c, err
}
