package desire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// scopesOf is whom assignments are for, as work: each scope once, the root alone if it is
// among them.
func scopesOf(lists ...[]policy.Assignment) []Work {
	seen := map[Work]bool{}
	for _, list := range lists {
		for _, a := range list {
			for _, g := range a.Include.Groups {
				seen[Work{Kind: WorkGroup, Target: string(g)}] = true
			}
			for _, l := range a.Include.Labels {
				seen[Work{Kind: WorkLabel, Target: string(l)}] = true
			}
		}
	}
	if whole := (Work{Kind: WorkGroup, Target: string(mdm.RootGroup)}); seen[whole] {
		return []Work{whole}
	}
	return slices.Collect(maps.Keys(seen))
}

// eachMember visits every device of the scopes once, with its labels.
func (e *Engine) eachMember(ctx context.Context, in *inputs, scopes []Work, visit func(Member, []mdm.LabelID) error) error {
	var seen map[mdm.DeviceID]bool
	if len(scopes) > 1 {
		seen = map[mdm.DeviceID]bool{}
	}
	for _, w := range scopes {
		for over := false; !over; {
			page, err := e.cfg.Store.ScopeMembers(ctx, w, 4*e.cfg.Page)
			if err != nil {
				return err
			}
			labels, err := e.labelsOf(ctx, in, page.Members)
			if err != nil {
				return err
			}
			for _, m := range page.Members {
				if seen != nil && seen[m.Device] {
					continue
				}
				if seen != nil {
					seen[m.Device] = true
				}
				if err := visit(m, labels[m.Device]); err != nil {
					return err
				}
			}
			w.Cursor, over = page.Next, page.Over
		}
	}
	return nil
}

// SettingView is one setting of a device: what it must be, why, and how it stands.
type SettingView struct {
	policy.Resolved // values with secrets in the clear: mask before they leave
	State           manifest.State
	Kept            *Kept // what was reported of the value it must be; nil while that is pending
	Leaving         bool  // no policy asks for it any more, and the device has not said that it put back what was before
}

// DeviceView is everything of one device's settings.
type DeviceView struct {
	Standing Standing
	Reported bool // on exactly what it must be
	Settings []SettingView
}

// Device returns how the settings of a device come about and stand; mdm.ErrNotFound.
func (e *Engine) Device(ctx context.Context, d mdm.DeviceID) (DeviceView, error) {
	var v DeviceView
	resolved, err := e.Resolved(ctx, d)
	if err != nil {
		return v, err
	}
	v.Standing, err = e.cfg.Store.Standing(ctx, d)
	if err != nil && !errors.Is(err, mdm.ErrNotFound) {
		return v, err
	}
	about, err := e.settingsOf(ctx, v.Standing.Reported)
	if err != nil {
		return v, err
	}
	v.Reported = v.Standing.Reported == v.Standing.Hash
	live := map[manifest.ID]bool{}
	for _, r := range resolved {
		live[r.ID] = true
		one := SettingView{Resolved: r, State: manifest.Pending}
		kept, ok := v.Standing.Statuses[r.ID]
		was, had := about[r.ID]
		switch {
		case r.Conflict != "":
			one.State = manifest.Conflict
		case ok && had && bytes.Equal(was.Value, r.Value):
			one.State, one.Kept = kept.State, &kept
		}
		v.Settings = append(v.Settings, one)
	}
	for _, id := range slices.Sorted(maps.Keys(v.Standing.Statuses)) {
		if !live[id] {
			kept := v.Standing.Statuses[id]
			v.Settings = append(v.Settings, SettingView{Resolved: policy.Resolved{ID: id, Source: kept.Source}, State: kept.State, Kept: &kept, Leaving: true})
		}
	}
	return v, nil
}

// Resolved returns what a device must be as policies are this moment; mdm.ErrNotFound.
func (e *Engine) Resolved(ctx context.Context, d mdm.DeviceID) ([]policy.Resolved, error) {
	in, err := e.latest(ctx)
	if err != nil {
		return nil, err
	}
	list, err := e.cfg.Store.Members(ctx, []mdm.DeviceID{d})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("device %q: %w", mdm.Clean(string(d), 64), mdm.ErrNotFound)
	}
	labels, err := e.labelsOf(ctx, in, list)
	if err != nil {
		return nil, err
	}
	_, target := in.signature(list[0], labels[d])
	return e.cfg.Policies.Catalogue().Resolve(in.reaching(d, target)), nil
}

// Proposal is what a policy might become. A nil part stays as it is.
type Proposal struct {
	Policy      policy.ID        // "" is a policy that does not exist yet
	Settings    []policy.Setting // as they are stored: secrets sealed
	Version     *int64           // instead of Settings: this one live; 0: none
	Assignments *[]policy.Assignment
	Delete      bool
}

// Effect is what a proposal would do.
type Effect struct {
	policy.Effect
	Sample []mdm.DeviceID // some devices whose settings would change, by id
}

// maxSample is how many devices an Effect names.
const maxSample = 100

// WhatIf tells what a proposal would do to the devices a viewer may see, or to some of them,
// by resolving every one of them as it would be resolved.
func (e *Engine) WhatIf(ctx context.Context, p Proposal, v Viewer, only ...mdm.DeviceID) (Effect, error) {
	var out Effect
	before, err := e.latest(ctx)
	if err != nil {
		return out, err
	}
	after, scopes, err := e.proposed(ctx, before, p)
	if err != nil {
		return out, err
	}
	visible := map[mdm.GroupID]bool{}
	for _, g := range v.Groups {
		visible[g] = true
	}
	w := policy.WhatIf{Catalogue: e.cfg.Policies.Catalogue()}
	type pair struct{ before, after string }
	type both struct {
		before, after []policy.Resolved
		devices       int
		sample        []mdm.DeviceID
	}
	pairs := map[pair]*both{}
	visit := func(m Member, labels []mdm.LabelID) error {
		if !v.All && !visible[m.Group] {
			return nil
		}
		sigB, target := before.signature(m, labels)
		sigA, targetA := after.signature(m, labels)
		one := pairs[pair{sigB, sigA}]
		if one == nil {
			c := e.cfg.Policies.Catalogue()
			one = &both{before: c.Resolve(before.reaching(m.Device, target)), after: c.Resolve(after.reaching(m.Device, targetA))}
			pairs[pair{sigB, sigA}] = one
		}
		if one.devices++; len(one.sample) < maxSample {
			one.sample = append(one.sample, m.Device)
		}
		return nil
	}
	if len(only) > 0 {
		err = e.eachOf(ctx, after, only, visit)
	} else {
		err = e.eachMember(ctx, after, scopes, visit)
	}
	if err != nil {
		return out, err
	}
	for _, one := range pairs {
		if len(w.Add(one.devices, one.before, one.after)) > 0 {
			out.Sample = append(out.Sample, one.sample...)
		}
	}
	slices.Sort(out.Sample)
	out.Effect, out.Sample = w.Effect(), out.Sample[:min(len(out.Sample), maxSample)]
	return out, nil
}

// eachOf visits some devices.
func (e *Engine) eachOf(ctx context.Context, in *inputs, ids []mdm.DeviceID, visit func(Member, []mdm.LabelID) error) error {
	list, err := e.cfg.Store.Members(ctx, ids)
	if err != nil {
		return err
	}
	labels, err := e.labelsOf(ctx, in, list)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := visit(m, labels[m.Device]); err != nil {
			return err
		}
	}
	return nil
}

// proposed returns the inputs as they would be, and whom the change may concern. Both inputs
// end up with the same labels, so that devices of one signature are alike in both.
func (e *Engine) proposed(ctx context.Context, before *inputs, p Proposal) (*inputs, []Work, error) {
	after := &inputs{rev: before.rev, tree: before.tree, labels: maps.Clone(before.labels), known: map[string]*outcome{}}
	for _, r := range before.rollouts {
		if r.Policy != p.Policy {
			after.rollouts = append(after.rollouts, r)
		}
	}
	for _, one := range before.policies {
		if one.ID != p.Policy {
			after.policies = append(after.policies, one)
		}
	}
	var old policy.Policy
	if p.Policy != "" {
		var err error
		if old, err = e.cfg.Store.Policy(ctx, p.Policy); err != nil {
			return nil, nil, fmt.Errorf("policy %q: %w", mdm.Clean(string(p.Policy), 64), err)
		}
	}
	one := entry{Policy: old}
	one.Live = old.Live
	if p.Assignments != nil {
		one.Assignments = *p.Assignments
	}
	if p.Version != nil {
		one.Live = *p.Version
	}
	if !p.Delete {
		draft := p.Settings != nil
		if draft {
			one.Live = 0
		}
		if err := e.compileAll(ctx, &one); err != nil {
			return nil, nil, err
		}
		if draft {
			one.Live = old.Newest + 1
			c, err := e.cfg.Policies.Compile(policy.Version{Policy: one.ID, Number: one.Live, Settings: p.Settings}, one.Name)
			if err != nil {
				return nil, nil, err
			}
			one.versions[one.Live] = c
		}
		after.add(one)
	}
	return after, scopesOf(old.Assignments, one.Assignments), nil
}
