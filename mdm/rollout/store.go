package rollout

import (
	"context"

	"handrail/mdm/policy"
)

// Filter narrows a list of roll-outs.
type Filter struct {
	Policy   policy.ID // "" is all
	UnderWay bool      // only those running or paused
	State    State     // "" is any
	Cursor   string
	Limit    int // 0 means 50
}

// Store keeps roll-outs. A change of whom a roll-out reaches has those devices resolved
// again, and one that is done puts its version in force, in the same transaction.
type Store interface {
	// CreateRollout stores a roll-out of a policy whose live version is its From; mdm.ErrNotFound
	// when there is no such policy, mdm.ErrConflict when the policy has another version in
	// force or a roll-out under way.
	CreateRollout(ctx context.Context, r Rollout) error
	// Rollout returns one; mdm.ErrNotFound.
	Rollout(ctx context.Context, id ID) (Rollout, error)
	// Rollouts returns a page, newest first, and the cursor of the next.
	Rollouts(ctx context.Context, f Filter) ([]Rollout, string, error)
	// ChangeRollout stores what change makes of a roll-out and of the version its policy has
	// in force; nobody else changes either meanwhile. change may run twice. mdm.ErrNotFound,
	// and the errors of change.
	ChangeRollout(ctx context.Context, id ID, change func(r Rollout, live int64) (Rollout, error)) (Rollout, error)
}
