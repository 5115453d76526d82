package desire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"handrail/mdm"
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
