package desire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// advanceAll moves roll-outs on. Every node does; the store lets one change of a roll-out
// happen at a time, and a roll-out that has moved stays where it is for the second.
func (e *Engine) advanceAll(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		next, err := e.advanceDue(ctx)
		settle := max(e.cfg.Settle, 5*time.Since(began)) // counting a large fleet is not all it does
		if err != nil && ctx.Err() == nil {
			e.log.Warn("rollouts_not_advanced", "error", err)
		}
		wait := e.cfg.Again
		if !next.IsZero() {
			wait = min(wait, max(time.Until(next), settle))
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-e.recount:
			pause(ctx, settle)
		case <-t.C:
		}
		t.Stop()
	}
}

// advanceDue looks at every roll-out under way, and returns when waiting alone may move one.
func (e *Engine) advanceDue(ctx context.Context) (time.Time, error) {
	list, _, err := e.cfg.Store.Rollouts(ctx, rollout.Filter{UnderWay: true, Limit: policy.MaxPolicies})
	if err != nil {
		return time.Time{}, err
	}
	var next time.Time
	for _, r := range list {
		after, err := e.Advance(ctx, r)
		if err != nil && !errors.Is(err, mdm.ErrNotFound) {
			return time.Now().Add(e.cfg.Settle), fmt.Errorf("roll-out %s: %w", r.ID, err)
		}
		if at := after.Next(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, nil
}

// Advance counts the devices of a roll-out and moves it on if it is time.
func (e *Engine) Advance(ctx context.Context, r rollout.Rollout) (rollout.Rollout, error) {
	busy, err := e.cfg.Store.HasWork(ctx)
	if err != nil || busy {
		return r, err // devices are still being told what they must be
	}
	progress, err := e.progress(ctx, r, Viewer{All: true})
	if err != nil {
		return r, err
	}
	p, err := e.cfg.Store.Policy(ctx, r.Policy)
	if err != nil {
		return r, err
	}
	if a := r.Advance(progress, p.Live, now()); a.State == r.State && a.Stage == r.Stage && a.Progress == r.Progress {
		return r, nil // nothing to write
	}
	var before rollout.Rollout
	after, err := e.cfg.Store.ChangeRollout(ctx, r.ID, func(is rollout.Rollout, live int64) (rollout.Rollout, error) {
		before = is
		if is.Stage != r.Stage || is.State != r.State || !is.StageAt.Equal(r.StageAt) {
			return is, nil // somebody was faster; what was counted is of another stage
		}
		return is.Advance(progress, live, now()), nil
	})
	if err != nil {
		return r, err
	}
	e.moved(ctx, before, after)
	return after, nil
}

// moved tells of a roll-out that changed.
func (e *Engine) moved(ctx context.Context, before, after rollout.Rollout) {
	e.cfg.Rolled(string(after.ID))
	if before.State == after.State && before.Stage == after.Stage {
		return
	}
	e.Wake()
	e.log.Info("rollout_moved", "rollout", string(after.ID), "state", string(after.State), "stage", after.Stage, "reason", after.Reason)
	if before.State != after.State {
		e.cfg.Note(ctx, "rollout."+string(after.State), after.Policy, map[string]string{
			"rollout": string(after.ID), "from": fmt.Sprint(after.From), "to": fmt.Sprint(after.To), "reason": after.Reason,
		})
	}
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
	in, err := e.latest(ctx)
	if err != nil {
		return n, err
	}
	var of *entry
	for i := range in.policies {
		if in.policies[i].ID == r.Policy {
			of = &in.policies[i]
		}
	}
	if of == nil {
		return n, nil // assigned to nobody
	}
	failures, err := e.failures(ctx, r)
	if err != nil {
		return n, err
	}
	reaches := e.reachOf(in, r)
	visible := map[mdm.GroupID]bool{}
	for _, g := range v.Groups {
		visible[g] = true
	}
	err = e.eachMember(ctx, in, scopesOf(of.Assignments), func(m Member, labels []mdm.LabelID) error {
		if !v.All && !visible[m.Group] {
			return nil
		}
		sig, target := in.signature(m, labels)
		reached := false
		for _, a := range of.Assignments {
			if _, ok := a.Reaches(target); ok && a.Version == 0 {
				reached = true
			}
		}
		if !reached {
			return nil
		}
		n.Total++
		if !r.Reaches(m.Device) {
			return nil
		}
		n.Devices++
		at := reaches(sig, m.Device, target)
		failed := slices.ContainsFunc(failures[m.Device], func(f Failure) bool { return at.gives[f.Setting] && !f.At.Before(r.CreatedAt) })
		switch {
		case at.clashes: // which is certain before the device says anything
			n.Failed++
			n.Conflict++
		case m.Hash != m.Reported:
			n.Pending++
		case failed:
			n.Failed++
		case slices.ContainsFunc(strings.Fields(m.Unsaid), func(id string) bool { return at.gives[manifest.ID(id)] }):
			n.Pending++
		default:
			n.Applied++
		}
		return nil
	})
	return n, err
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

// ChangeRollout lets somebody pause, resume, skip or stop a roll-out.
func (e *Engine) ChangeRollout(ctx context.Context, id rollout.ID, change func(rollout.Rollout) (rollout.Rollout, error)) (rollout.Rollout, error) {
	var before rollout.Rollout
	after, err := e.cfg.Store.ChangeRollout(ctx, id, func(r rollout.Rollout, _ int64) (rollout.Rollout, error) {
		before = r
		return change(r)
	})
	if err != nil {
		return after, fmt.Errorf("roll-out %s: %w", mdm.Clean(string(id), 64), err)
	}
	e.cfg.Rolled(string(after.ID))
	if before.Stage != after.Stage || before.State != after.State {
		e.Wake()
	}
	return after, nil
}

// StartRollout begins a roll-out; see rollout.Store.
func (e *Engine) StartRollout(ctx context.Context, r rollout.Rollout) error {
	if err := e.cfg.Store.CreateRollout(ctx, r); err != nil {
		return fmt.Errorf("roll-out of policy %s: %w", r.Policy, err)
	}
	e.cfg.Rolled(string(r.ID))
	e.Wake()
	return nil
}
