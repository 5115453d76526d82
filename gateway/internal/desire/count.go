package desire

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// Counts is devices by how something stands on them. Devices is all of them; a device may
// be in several of the others, but Applied is those without any fault.
type Counts struct {
	Devices       int64
	Applied       int64
	Pending       int64
	Failed        int64
	Conflict      int64
	Drifted       int64
	NotApplicable int64
}

func (c *Counts) add(s manifest.State, n int64) {
	switch s {
	case manifest.Applied:
		c.Applied += n
	case manifest.Pending:
		c.Pending += n
	case manifest.Failed:
		c.Failed += n
	case manifest.Conflict:
		c.Conflict += n
	case manifest.Drifted:
		c.Drifted += n
	case manifest.NotApplicable:
		c.NotApplicable += n
	}
}

// counted is what was counted for one viewer. It stands until something changes; while a
// large fleet changes all the time, it is counted again only so often that counting is not
// all the database does.
type counted struct {
	mu       sync.Mutex // held while it is counted: who asks meanwhile waits for that
	change   int64      // of Engine.changes, before it was read
	at       time.Time
	took     time.Duration
	pic      picture
	policies map[policy.ID]Counts
	faults   []FaultCount
}

// Counting that takes longer than slowCount may be as old as countShare times what it took.
const (
	slowCount  = 50 * time.Millisecond
	countShare = 20
	maxViewers = 64 // whose counts are kept
)

// fresh reports whether the counts may be told.
func (c *counted) fresh(change int64, now time.Time) bool {
	if c.policies == nil {
		return false
	}
	return c.change == change || c.took > slowCount && now.Sub(c.at) < countShare*c.took
}

// Stale says that devices, or what they report, changed by another hand than this engine's.
func (e *Engine) Stale() { e.changes.Add(1) }

// count returns what is counted for a viewer.
func (e *Engine) count(ctx context.Context, v Viewer) (*counted, error) {
	key := "all"
	if !v.All {
		key = fmt.Sprint(slices.Sorted(slices.Values(v.Groups)))
	}
	e.mu.Lock()
	one := e.counts[key]
	if one == nil {
		if len(e.counts) >= maxViewers {
			clear(e.counts)
		}
		one = &counted{}
		e.counts[key] = one
	}
	e.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	change, began := e.changes.Load(), time.Now()
	if one.fresh(change, began) {
		return one.copy(), nil
	}
	next := counted{change: change}
	var err error
	if next.pic, err = e.picture(ctx, v); err != nil {
		return nil, err
	}
	if next.policies, err = e.policyCounts(ctx, next.pic, v); err != nil {
		return nil, err
	}
	if next.faults, err = e.cfg.Store.FaultCounts(ctx, v); err != nil {
		return nil, err
	}
	one.change, one.pic, one.policies, one.faults = change, next.pic, next.policies, next.faults
	one.at, one.took = time.Now(), time.Since(began)
	return one.copy(), nil
}

// copy is what was counted, for a reader; nobody changes what it points to.
func (c *counted) copy() *counted {
	return &counted{pic: c.pic, policies: c.policies, faults: c.faults}
}

// picture is how many devices there are of each pair, with what the pair means.
type picture struct {
	pairs []seen
}

type seen struct {
	Pair
	parts    map[policy.ID]*part
	reported map[manifest.ID]manifest.Setting
}

// waitsFor reports whether a setting of a part waits.
func (s *seen) waitsFor(p *part) bool { return slices.ContainsFunc(p.settings, s.waits) }

// waits reports whether a setting has not been reported on with the value it must have.
func (s *seen) waits(one manifest.Setting) bool {
	if isUnsaid(s.Unsaid, one.ID) {
		return true
	}
	if s.Hash == s.Reported {
		return false
	}
	was, ok := s.reported[one.ID]
	return !ok || !bytes.Equal(was.Value, one.Value)
}

func (e *Engine) picture(ctx context.Context, v Viewer) (picture, error) {
	pairs, err := e.cfg.Store.Pairs(ctx, v)
	if err != nil {
		return picture{}, err
	}
	var out picture
	for _, p := range pairs {
		o, err := e.read(ctx, p.Outcome, "")
		if err != nil {
			return picture{}, err
		}
		one := seen{Pair: p, parts: partsOf(o.settings, o.says)}
		if p.Hash != p.Reported {
			if one.reported, err = e.settingsOf(ctx, p.Reported); err != nil {
				return picture{}, err
			}
		}
		out.pairs = append(out.pairs, one)
	}
	return out, nil
}

// PolicyStatus counts the devices of a policy, in all and for each of its settings. A setting
// made of several policies counts for each that gave a field of it, and one on which they contradict
// each other for each of those; what is outvoted counts for none.
func (e *Engine) PolicyStatus(ctx context.Context, p policy.ID, v Viewer) (Counts, map[manifest.ID]*Counts, error) {
	var none Counts
	kept, err := e.count(ctx, v)
	if err != nil {
		return none, nil, err
	}
	pic, faults := kept.pic, kept.faults
	type at struct {
		setting                   manifest.ID
		outcome, reported, unsaid string
	}
	by := map[at][]FaultCount{}
	for _, f := range faults {
		key := at{f.Setting, f.Outcome, f.Reported, f.Unsaid}
		by[key] = append(by[key], f)
	}
	settings := map[manifest.ID]*Counts{}
	for i := range pic.pairs {
		pair := &pic.pairs[i]
		mine := pair.parts[p]
		if mine == nil {
			continue
		}
		of := func(id manifest.ID) *Counts {
			if settings[id] == nil {
				settings[id] = &Counts{}
			}
			settings[id].Devices += pair.Devices
			return settings[id]
		}
		for _, id := range mine.conflict {
			of(id).Conflict += pair.Devices
		}
		for _, s := range mine.settings {
			c := of(s.ID)
			if pair.waits(s) {
				c.Pending += pair.Devices
				continue
			}
			left := pair.Devices
			for _, f := range by[at{s.ID, pair.Outcome, pair.Reported, pair.Unsaid}] {
				c.add(f.State, f.Devices)
				left -= f.Devices
			}
			c.Applied += left
		}
	}
	return kept.policies[p], settings, nil
}

// PolicyCounts counts the devices of every policy.
func (e *Engine) PolicyCounts(ctx context.Context, v Viewer) (map[policy.ID]Counts, error) {
	kept, err := e.count(ctx, v)
	if err != nil {
		return nil, err
	}
	return maps.Clone(kept.policies), nil
}

func (e *Engine) policyCounts(ctx context.Context, pic picture, v Viewer) (map[policy.ID]Counts, error) {
	list, err := e.cfg.Store.PolicyCounts(ctx, v)
	if err != nil {
		return nil, err
	}
	type at struct {
		policy                    policy.ID
		outcome, reported, unsaid string
	}
	by := map[at][]PolicyCount{}
	for _, n := range list {
		key := at{n.Policy, n.Outcome, n.Reported, n.Unsaid}
		by[key] = append(by[key], n)
	}
	out := map[policy.ID]Counts{}
	for i := range pic.pairs {
		pair := &pic.pairs[i]
		for id, mine := range pair.parts {
			c := out[id]
			c.Devices += pair.Devices
			faults := by[at{id, pair.Outcome, pair.Reported, pair.Unsaid}]
			if mine.mixed {
				if faults, err = e.cfg.Store.FaultsOn(ctx, v, pair.Pair, mine.ids()); err != nil {
					return nil, err
				}
			}
			waiting, clash := pair.waitsFor(mine), len(mine.conflict) > 0
			well := pair.Devices
			for _, n := range faults {
				switch {
				case n.State == "":
					well -= n.Devices
				case clash && n.State == manifest.Conflict:
				default:
					c.add(n.State, n.Devices)
				}
			}
			if waiting {
				c.Pending += pair.Devices
			}
			if clash {
				c.Conflict += pair.Devices
			}
			if !waiting && !clash {
				c.Applied += well
			}
			out[id] = c
		}
	}
	return out, nil
}

// maxPairs is how many pairs are asked for at once.
const maxPairs = 1000

// DevicesOf returns devices a viewer may see by how a policy, or one setting of it, stands on
// them: those that Counts counts under the state, "" being all.
func (e *Engine) DevicesOf(ctx context.Context, p policy.ID, setting manifest.ID, state manifest.State, v Viewer, after mdm.DeviceID, limit int) ([]mdm.DeviceID, error) {
	kept, err := e.count(ctx, v)
	if err != nil {
		return nil, err
	}
	pic := kept.pic
	// Settings of the policy differ from manifest to manifest, and so does what waits: pairs
	// with the same of both are asked for together.
	type kind struct {
		settings       string
		waiting, clash bool
	}
	groups := map[kind]*DeviceQuery{}
	for i := range pic.pairs {
		pair := &pic.pairs[i]
		mine := pair.parts[p].only(setting)
		if mine == nil {
			continue
		}
		ids := mine.ids()
		key := kind{fmt.Sprint(ids), pair.waitsFor(mine), len(mine.conflict) > 0}
		if groups[key] == nil {
			groups[key] = &DeviceQuery{Viewer: v, Settings: ids, After: after, Limit: limit}
		}
		groups[key].Pairs = append(groups[key].Pairs, pair.Pair)
	}
	var out []mdm.DeviceID
	for key, q := range groups {
		switch {
		case state == "":
		case state == manifest.Pending && key.waiting, state == manifest.Conflict && key.clash:
		case state == manifest.Applied && (key.waiting || key.clash):
			continue
		case state == manifest.Applied:
			q.Any, q.None = Bad, true
		default:
			q.Any = []manifest.State{state}
		}
		for some := range slices.Chunk(q.Pairs, maxPairs) {
			one := *q
			one.Pairs = some
			list, err := e.cfg.Store.DevicesInState(ctx, one)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), limit)], nil
}

// Rollouts returns a page of roll-outs; see rollout.Store.
func (e *Engine) Rollouts(ctx context.Context, f rollout.Filter) ([]rollout.Rollout, string, error) {
	return e.cfg.Store.Rollouts(ctx, f)
}

// Rollout returns one roll-out; mdm.ErrNotFound.
func (e *Engine) Rollout(ctx context.Context, id rollout.ID) (rollout.Rollout, error) {
	return e.cfg.Store.Rollout(ctx, id)
}
