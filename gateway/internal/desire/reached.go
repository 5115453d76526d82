package desire

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// Reached is a device that a roll-out has reached. State is how it stands under the version
// rolled out: manifest.Applied, Pending or Failed, or Conflict, which counts among the failed.
type Reached struct {
	Device mdm.DeviceID
	State  manifest.State
}

// Progress returns how far a roll-out is on the devices a viewer may see: as last counted for
// who sees all, else counted now.
func (e *Engine) Progress(ctx context.Context, r rollout.Rollout, v Viewer) (rollout.Progress, error) {
	if v.All {
		return r.Progress, nil
	}
	return e.progress(ctx, r, v)
}

// progress counts the devices of a roll-out.
func (e *Engine) progress(ctx context.Context, r rollout.Rollout, v Viewer) (rollout.Progress, error) {
	var n rollout.Progress
	err := e.eachOfRollout(ctx, r, v, func(_ mdm.DeviceID, state manifest.State) {
		n.Total++
		if state == "" {
			return
		}
		n.Devices++
		switch state {
		case manifest.Conflict:
			n.Failed++
			n.Conflict++
		case manifest.Failed:
			n.Failed++
		case manifest.Pending:
			n.Pending++
		default:
			n.Applied++
		}
	})
	return n, err
}

// Reached returns the devices that a roll-out has reached, by id: those after a device, at most
// so many, which a viewer may see and which stand so. A state of Failed has those in conflict
// with it; none has all. It walks every device the policy is for.
func (e *Engine) Reached(ctx context.Context, r rollout.Rollout, v Viewer, state manifest.State, after mdm.DeviceID, limit int) ([]Reached, error) {
	var out []Reached
	err := e.eachOfRollout(ctx, r, v, func(d mdm.DeviceID, s manifest.State) {
		isMeant := s == state || state == "" && s != "" || state == manifest.Failed && s == manifest.Conflict
		if isMeant && d > after {
			out = append(out, Reached{Device: d, State: s})
		}
	})
	slices.SortFunc(out, func(a, b Reached) int { return cmp.Compare(a.Device, b.Device) })
	return out[:min(limit, len(out))], err
}

// eachOfRollout visits the devices that the policy of a roll-out is for and a viewer may see, in
// no order, with how each stands under the version rolled out: "" where that has not reached it.
func (e *Engine) eachOfRollout(ctx context.Context, r rollout.Rollout, v Viewer, visit func(mdm.DeviceID, manifest.State)) error {
	in, err := e.latest(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(in.policies, func(p entry) bool { return p.ID == r.Policy })
	if i < 0 {
		return nil // assigned to nobody
	}
	of := &in.policies[i]
	failures, err := e.failures(ctx, r)
	if err != nil {
		return err
	}
	reaches := e.reachOf(in, r)
	visible := map[mdm.GroupID]bool{}
	for _, g := range v.Groups {
		visible[g] = true
	}
	return e.eachMember(ctx, in, scopesOf(of.Assignments), func(m Member, labels []mdm.LabelID) error {
		if !v.All && !visible[m.Group] {
			return nil
		}
		sig, target := in.signature(m, labels)
		isFor := slices.ContainsFunc(of.Assignments, func(a policy.Assignment) bool {
			_, ok := a.Reaches(target)
			return ok && a.Version == 0
		})
		if !isFor {
			return nil
		}
		if !r.Reaches(m.Device) {
			visit(m.Device, "")
			return nil
		}
		at := reaches(sig, m.Device, target)
		failed := slices.ContainsFunc(failures[m.Device], func(f Failure) bool { return at.gives[f.Setting] && !f.At.Before(r.CreatedAt) })
		unsaid := slices.ContainsFunc(strings.Fields(m.Unsaid), func(id string) bool { return at.gives[manifest.ID(id)] })
		switch {
		case at.clashes: // which is certain before the device says anything
			visit(m.Device, manifest.Conflict)
		case m.Hash != m.Reported:
			visit(m.Device, manifest.Pending)
		case failed:
			visit(m.Device, manifest.Failed)
		case unsaid:
			visit(m.Device, manifest.Pending)
		default:
			visit(m.Device, manifest.Applied)
		}
		return nil
	})
}

// failures are the devices on which settings of the new version failed.
func (e *Engine) failures(ctx context.Context, r rollout.Rollout) (map[mdm.DeviceID][]Failure, error) {
	v, err := e.cfg.Store.PolicyVersion(ctx, r.Policy, r.To)
	if err != nil {
		return nil, fmt.Errorf("version %d of policy %s: %w", r.To, r.Policy, err)
	}
	ids := make([]manifest.ID, len(v.Settings))
	for i := range v.Settings {
		ids[i] = v.Settings[i].ID
	}
	return e.cfg.Store.Failures(ctx, ids)
}

// reach is what a policy that is rolled out does to a device that its new version has reached.
type reach struct {
	gives   map[manifest.ID]bool // settings whose value, or a field of it, comes from the policy
	clashes bool                 // the new version contradicts other policies where the one before did not
}

// reachOf returns a function that tells what a roll-out does to devices, which it works out once
// for all that are alike.
func (e *Engine) reachOf(in *inputs, r rollout.Rollout) func(sig string, d mdm.DeviceID, t policy.Target) *reach {
	returned := r
	returned.State = rollout.Returned
	was := *in
	was.policies = slices.Clone(in.policies)
	for i := range was.policies {
		if was.policies[i].ID == r.Policy {
			was.policies[i].rollout = &returned
		}
	}
	known := map[string]*reach{}
	of := func(in *inputs, d mdm.DeviceID, t policy.Target) *part {
		resolved := e.cfg.Policies.Catalogue().Resolve(in.reaching(d, t))
		if p := partsOf(policy.Manifest(resolved), saysOf(resolved))[r.Policy]; p != nil {
			return p
		}
		return &part{}
	}
	return func(sig string, d mdm.DeviceID, t policy.Target) *reach {
		if known[sig] == nil {
			now, before := of(in, d, t), of(&was, d, t)
			one := &reach{gives: make(map[manifest.ID]bool, len(now.settings))}
			for _, s := range now.settings {
				one.gives[s.ID] = true
			}
			one.clashes = slices.ContainsFunc(now.conflict, func(id manifest.ID) bool { return !slices.Contains(before.conflict, id) })
			known[sig] = one
		}
		return known[sig]
	}
}
