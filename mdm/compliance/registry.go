package compliance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// Registry applies the rules of compliance over a Store. It is safe for concurrent use.
type Registry struct {
	store   Store
	shipped []Rule // by id
	check   func(Rule) error
	numbers numbers
}

// New returns a registry over store with the rules that come with the program. check compiles
// a rule's expressions; its error is mdm.ErrInvalid and says what is wrong. nil checks none.
func New(store Store, shipped []Rule, check func(Rule) error) *Registry {
	r := &Registry{store: store, shipped: slices.Clone(shipped), check: check}
	if r.check == nil {
		r.check = func(Rule) error { return nil }
	}
	for i := range r.shipped {
		r.shipped[i].Shipped = true
	}
	slices.SortFunc(r.shipped, byID)
	return r
}

func byID(a, b Rule) int { return strings.Compare(a.ID, b.ID) }

// Sync writes down which rules the program ships, so that a program with others has every
// device checked anew. It reports whether anything was other than before.
func (r *Registry) Sync(ctx context.Context, now time.Time) (changed bool, err error) {
	_, err = r.store.ChangeComplianceRules(ctx, now, func(_ Head, kept []Kept) (RuleChange, error) {
		var c RuleChange
		for _, rule := range r.shipped {
			i := slices.IndexFunc(kept, func(k Kept) bool { return k.Rule.ID == rule.ID })
			d := digest(rule)
			switch {
			case i < 0:
				k := Kept{Rule: choices(rule, rule), Digest: d}
				k.Rule.Revision, k.Rule.ChangedAt = 1, now
				c.Put = append(c.Put, k)
			case !kept[i].Rule.Shipped || kept[i].Digest != d:
				k := kept[i]
				k.Digest, k.Rule.Shipped = d, true
				c.Put = append(c.Put, k)
			}
		}
		for _, k := range kept {
			if _, still := find(r.shipped, k.Rule.ID); k.Rule.Shipped && !still {
				c.Remove = append(c.Remove, k.Rule.ID)
			}
		}
		changed = len(c.Put)+len(c.Remove) > 0
		return c, nil
	})
	if err != nil {
		return false, fmt.Errorf("shipped rules: %w", err)
	}
	return changed, nil
}

func digest(r Rule) string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a rule of ours always encodes
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// choices is what an organisation may choose of a shipped rule, of chosen, and nothing else.
func choices(shipped, chosen Rule) Rule {
	return Rule{
		ID: shipped.ID, Shipped: true, Severity: chosen.Severity, Grace: chosen.Grace, Disabled: chosen.Disabled,
		Revision: chosen.Revision, ChangedAt: chosen.ChangedAt, ChangedBy: chosen.ChangedBy,
	}
}

func find(rules []Rule, id string) (Rule, bool) { return Set{Rules: rules}.Rule(id) }

// Rules returns every rule there is, disabled ones included.
func (r *Registry) Rules(ctx context.Context) (Set, error) {
	head, kept, err := r.store.ComplianceRules(ctx)
	if err != nil {
		return Set{}, fmt.Errorf("compliance rules: %w", err)
	}
	return r.assemble(head, kept), nil
}

func (r *Registry) assemble(head Head, kept []Kept) Set {
	set := Set{Seq: head.Seq, NewDeviceGrace: head.NewDeviceGrace}
	for _, k := range kept {
		rule := k.Rule
		if rule.Shipped {
			full, ok := find(r.shipped, rule.ID)
			if !ok {
				continue // of another version of the program
			}
			full.Severity, full.Grace, full.Disabled = rule.Severity, rule.Grace, rule.Disabled
			full.Seq, full.Revision, full.ChangedAt, full.ChangedBy = rule.Seq, rule.Revision, rule.ChangedAt, rule.ChangedBy
			rule = full
		}
		set.Rules = append(set.Rules, rule)
	}
	slices.SortFunc(set.Rules, byID)
	return set
}

// InForce returns the rules devices are checked by.
func (r *Registry) InForce(ctx context.Context) (Set, error) {
	set, err := r.Rules(ctx)
	set.Rules = slices.DeleteFunc(set.Rules, func(r Rule) bool { return r.Disabled })
	return set, err
}

// Rule returns one rule; mdm.ErrNotFound.
func (r *Registry) Rule(ctx context.Context, id string) (Rule, error) {
	set, err := r.Rules(ctx)
	if err != nil {
		return Rule{}, err
	}
	rule, ok := set.Rule(id)
	if !ok {
		return Rule{}, fmt.Errorf("compliance rule %q: %w", mdm.Clean(id, maxID), mdm.ErrNotFound)
	}
	return rule, nil
}

// errStale says that the caller's copy is not the newest.
func errStale(id string) error { return fmt.Errorf("compliance rule %s: %w", id, mdm.ErrConflict) }

// Put makes a rule (revision 0) or changes the one at that revision; mdm.ErrConflict when
// somebody else changed it meanwhile, mdm.ErrAlreadyExists, mdm.ErrInvalid. Of a shipped rule
// only Severity, Grace and Disabled change.
func (r *Registry) Put(ctx context.Context, rule Rule, revision int64, by string, now time.Time) (Rule, error) {
	shipped, isShipped := find(r.shipped, rule.ID)
	if isShipped {
		full := shipped
		full.Severity, full.Grace, full.Disabled = rule.Severity, rule.Grace, rule.Disabled
		rule = full
	}
	rule.Shipped = isShipped
	if err := rule.Check(); err != nil {
		return Rule{}, err
	}
	if err := r.check(rule); err != nil {
		return Rule{}, fmt.Errorf("compliance rule %s: %w", rule.ID, err)
	}
	rule.ChangedAt, rule.ChangedBy = now, by
	head, err := r.store.ChangeComplianceRules(ctx, now, func(_ Head, kept []Kept) (RuleChange, error) {
		i := slices.IndexFunc(kept, func(k Kept) bool { return k.Rule.ID == rule.ID })
		k := Kept{Rule: rule}
		switch {
		case i < 0 && revision != 0:
			return RuleChange{}, errStale(rule.ID)
		case i < 0 && len(kept) >= MaxRules:
			return RuleChange{}, fmt.Errorf("there are %d rules already: %w", len(kept), mdm.ErrInvalid)
		case i >= 0 && revision == 0:
			return RuleChange{}, fmt.Errorf("compliance rule %s: %w", rule.ID, mdm.ErrAlreadyExists)
		case i >= 0 && kept[i].Rule.Revision != revision:
			return RuleChange{}, errStale(rule.ID)
		}
		rule.Revision = revision + 1
		k.Rule = rule
		if isShipped {
			k.Rule, k.Digest = choices(shipped, rule), digest(shipped)
		}
		return RuleChange{Put: []Kept{k}}, nil
	})
	rule.Seq = head.Seq
	return rule, err
}

// Delete removes a rule of the organisation's own; mdm.ErrNotFound, mdm.ErrConflict. A shipped
// rule is disabled, not deleted: mdm.ErrInvalid.
func (r *Registry) Delete(ctx context.Context, id string, revision int64, now time.Time) error {
	_, err := r.store.ChangeComplianceRules(ctx, now, func(_ Head, kept []Kept) (RuleChange, error) {
		i := slices.IndexFunc(kept, func(k Kept) bool { return k.Rule.ID == id })
		switch {
		case i < 0:
			return RuleChange{}, fmt.Errorf("compliance rule %q: %w", mdm.Clean(id, maxID), mdm.ErrNotFound)
		case kept[i].Rule.Shipped:
			return RuleChange{}, fmt.Errorf("rule %s comes with the program: disable it instead: %w", id, mdm.ErrInvalid)
		case kept[i].Rule.Revision != revision:
			return RuleChange{}, errStale(id)
		}
		return RuleChange{Remove: []string{id}}, nil
	})
	return err
}

// SetNewDeviceGrace sets how long a new device may break rules.
func (r *Registry) SetNewDeviceGrace(ctx context.Context, grace time.Duration, now time.Time) error {
	if grace < 0 || grace > MaxGrace {
		return fmt.Errorf("grace is 0 to 365 days: %w", mdm.ErrInvalid)
	}
	_, err := r.store.ChangeComplianceRules(ctx, now, func(h Head, _ []Kept) (RuleChange, error) {
		if h.NewDeviceGrace == grace {
			return RuleChange{}, nil
		}
		return RuleChange{NewDeviceGrace: &grace}, nil
	})
	return err
}

// Waive makes a waiver; mdm.ErrInvalid, mdm.ErrNotFound when there is no such rule.
func (r *Registry) Waive(ctx context.Context, w Waiver, now time.Time) (Waiver, error) {
	if err := w.check(now); err != nil {
		return Waiver{}, err
	}
	if _, err := r.Rule(ctx, w.Rule); err != nil {
		return Waiver{}, err
	}
	w.ID, w.CreatedAt, w.RevokedAt, w.RevokedBy = mdm.NewID("wvr"), now, time.Time{}, ""
	if err := r.store.AddComplianceWaiver(ctx, w); err != nil {
		return Waiver{}, fmt.Errorf("waiver for rule %s: %w", w.Rule, err)
	}
	return w, nil
}

// Waivers returns the waivers a filter selects, newest first.
func (r *Registry) Waivers(ctx context.Context, f WaiverFilter) ([]Waiver, error) {
	list, err := r.store.ComplianceWaivers(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("waivers: %w", err)
	}
	return list, nil
}

// Revoke ends a waiver; mdm.ErrNotFound.
func (r *Registry) Revoke(ctx context.Context, id, by string, now time.Time) (Waiver, error) {
	w, err := r.store.RevokeComplianceWaiver(ctx, id, by, now)
	if err != nil {
		return Waiver{}, fmt.Errorf("waiver %q: %w", mdm.Clean(id, maxID), err)
	}
	return w, nil
}

// Standing returns where one device stands; the zero Standing of a device never checked.
func (r *Registry) Standing(ctx context.Context, id mdm.DeviceID) (Standing, error) {
	m, err := r.store.ComplianceStandings(ctx, []mdm.DeviceID{id})
	if err != nil {
		return Standing{}, fmt.Errorf("compliance of %s: %w", id, err)
	}
	s := m[id]
	s.Device = id
	return s, nil
}

// Trend returns the numbers of the last days, the present one's as they are now.
func (r *Registry) Trend(ctx context.Context, s Scope, days int, now time.Time) ([]Day, error) {
	list, err := r.store.ComplianceDays(ctx, s, midnight(now).AddDate(0, 0, 1-days))
	if err != nil {
		return nil, fmt.Errorf("compliance by day: %w", err)
	}
	return list, nil
}

// NoteDay writes down how devices stand as the numbers of the day of now.
func (r *Registry) NoteDay(ctx context.Context, now time.Time) error {
	return r.store.SaveComplianceDay(ctx, midnight(now))
}

func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// MaxPage is how many devices a page may have.
const MaxPage = 500

// Devices returns a page of the devices in a state, and whether there are more.
func (r *Registry) Devices(ctx context.Context, q DeviceQuery) (page []Found, more bool, err error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, MaxPage) + 1
	if q.Rule != "" {
		rule, err := r.Rule(ctx, q.Rule)
		if err != nil {
			return nil, false, err
		}
		q.Seq = rule.Seq
	}
	list, err := r.store.ComplianceDevices(ctx, q)
	if err != nil {
		return nil, false, fmt.Errorf("devices by compliance: %w", err)
	}
	if len(list) == q.Limit {
		return list[:q.Limit-1], true, nil
	}
	return list, false, nil
}

// Standings returns where devices stand.
func (r *Registry) Standings(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]Standing, error) {
	return r.store.ComplianceStandings(ctx, ids)
}

// At returns a device's states at a moment. A device that was not checked by then has none.
func (r *Registry) At(ctx context.Context, device mdm.DeviceID, at time.Time) ([]Interval, error) {
	list, err := r.store.ComplianceAt(ctx, []mdm.DeviceID{device}, at)
	if err != nil {
		return nil, fmt.Errorf("compliance of %s at %s: %w", device, at.Format(time.RFC3339), err)
	}
	slices.SortFunc(list, func(a, b Interval) int { return strings.Compare(a.Rule, b.Rule) })
	return list, nil
}

// History returns intervals of a device, newest first.
func (r *Registry) History(ctx context.Context, device mdm.DeviceID, rule string, limit int) ([]Interval, error) {
	list, err := r.store.ComplianceHistory(ctx, device, rule, min(max(limit, 1), 1000))
	if err != nil {
		return nil, fmt.Errorf("compliance of %s: %w", device, err)
	}
	return list, nil
}

// Snapshot is one device of a walk with its states at the walk's moment, by rule.
type Snapshot struct {
	Named
	Overall   State
	Intervals []Interval
}

// walkPage is how many devices Walk reads at once.
const walkPage = 500

// Walk calls visit with every welcome device of a scope and its states at a moment, in order
// of device id, until visit fails. Devices enrolled later are left out.
func (r *Registry) Walk(ctx context.Context, s Scope, at time.Time, visit func(Snapshot) error) error {
	after := mdm.DeviceID("")
	for {
		page, err := r.store.ComplianceWalk(ctx, s, after, walkPage)
		if err != nil || len(page) == 0 {
			return err
		}
		ids := make([]mdm.DeviceID, len(page))
		for i, d := range page {
			ids[i] = d.Device
		}
		list, err := r.store.ComplianceAt(ctx, ids, at)
		if err != nil {
			return err
		}
		by := make(map[mdm.DeviceID][]Interval, len(page))
		for _, i := range list {
			by[i.Device] = append(by[i.Device], i)
		}
		for _, d := range page {
			if d.EnrolledAt.After(at) {
				continue
			}
			snap := Snapshot{Named: d, Intervals: by[d.Device], Overall: Unknown}
			if byRule := func(a, b Interval) int { return strings.Compare(a.Rule, b.Rule) }; !slices.IsSortedFunc(snap.Intervals, byRule) {
				slices.SortFunc(snap.Intervals, byRule)
			}
			if len(snap.Intervals) > 0 {
				snap.Overall = overall(snap.Intervals)
			}
			if err := visit(snap); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Device
	}
}

func overall(list []Interval) State {
	worst := Compliant
	for _, i := range list {
		worst = Worse(worst, i.State)
	}
	return worst
}
