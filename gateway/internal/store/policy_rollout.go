package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"handrail/mdm"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// rolloutBody is what of a roll-out nobody searches for.
type rolloutBody struct {
	Plan     rollout.Plan     `json:"plan"`
	Stage    int              `json:"stage"`
	StageUS  int64            `json:"stage_us"`
	Progress rollout.Progress `json:"progress"`
	Reason   string           `json:"reason,omitempty"`
	By       string           `json:"by"`
}

const rolloutColumns = "id, policy_id, from_version, to_version, state, body, created_us, updated_us"

func scanRollout(row rowScanner) (rollout.Rollout, error) {
	var r rollout.Rollout
	var text string
	var created, updated int64
	if err := row.Scan(&r.ID, &r.Policy, &r.From, &r.To, &r.State, &text, &created, &updated); err != nil {
		return r, err
	}
	var b rolloutBody
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return r, fmt.Errorf("roll-out %s: %w", r.ID, err)
	}
	r.Plan, r.Stage, r.StageAt, r.Progress, r.Reason, r.By = b.Plan, b.Stage, fromMicros(b.StageUS), b.Progress, b.Reason, b.By
	r.CreatedAt, r.UpdatedAt = fromMicros(created), fromMicros(updated)
	return r, nil
}

func putRollout(ctx context.Context, tx *sql.Tx, r rollout.Rollout) error {
	b, err := json.Marshal(rolloutBody{r.Plan, r.Stage, micros(r.StageAt), r.Progress, r.Reason, r.By})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO rollouts ("+rolloutColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body, updated_us = excluded.updated_us`,
		r.ID, r.Policy, r.From, r.To, r.State, string(b), micros(r.CreatedAt), micros(r.UpdatedAt))
	return err
}

// CreateRollout begins a roll-out; see rollout.Store.
func (s *Store) CreateRollout(ctx context.Context, r rollout.Rollout) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		p, err := scanPolicy(tx.QueryRowContext(ctx, "UPDATE policies SET id = id WHERE id = $1 RETURNING "+policyColumns, r.Policy))
		if err != nil {
			return err
		}
		var busy int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM rollouts WHERE policy_id = $1 AND state IN ('running', 'paused')", r.Policy).Scan(&busy); err != nil {
			return err
		}
		if p.Live != r.From || r.To == r.From || busy > 0 {
			return mdm.ErrConflict
		}
		if r.To < 1 || r.To > p.Newest {
			return fmt.Errorf("the policy has no version %d: %w", r.To, mdm.ErrInvalid)
		}
		if err := putRollout(ctx, tx, r); err != nil {
			return err
		}
		return resolveAgain(ctx, tx, r.CreatedAt, rolloutScopes(p)...)
	})
}

// rolloutScopes is whom a roll-out of the policy concerns.
func rolloutScopes(p policy.Policy) []scope {
	p.Live = 1
	return policyScopes(policy.Policy{}, p)
}

// Rollout returns one; see rollout.Store.
func (s *Store) Rollout(ctx context.Context, id rollout.ID) (rollout.Rollout, error) {
	r, err := scanRollout(s.reader.QueryRowContext(ctx, "SELECT "+rolloutColumns+" FROM rollouts WHERE id = $1", id))
	return r, classify(err)
}

// Rollouts returns a page, newest first; see rollout.Store.
func (s *Store) Rollouts(ctx context.Context, f rollout.Filter) ([]rollout.Rollout, string, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	var c conditions
	if f.Policy != "" {
		c.add("policy_id = ?", f.Policy)
	}
	if f.UnderWay {
		c.add("state IN ('running', 'paused')")
	}
	if f.State != "" {
		c.add("state = ?", string(f.State))
	}
	if f.Cursor != "" {
		keys, err := mdm.DecodeCursor(f.Cursor, 2)
		if err != nil {
			return nil, "", err
		}
		us, err := strconv.ParseInt(keys[0], 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
		c.add("(created_us, id) < (?, ?)", us, keys[1])
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+rolloutColumns+" FROM rollouts"+c.where()+" ORDER BY created_us DESC, id DESC LIMIT "+strconv.Itoa(f.Limit+1), c.args...)
	list, err := collect(rows, err, scanRollout)
	if err != nil || len(list) <= f.Limit {
		return list, "", err
	}
	list = list[:f.Limit]
	last := list[f.Limit-1]
	return list, mdm.EncodeCursor(strconv.FormatInt(micros(last.CreatedAt), 10), string(last.ID)), nil
}

// ChangeRollout changes a roll-out, whom it reaches, and in the end its policy; see
// rollout.Store.
func (s *Store) ChangeRollout(ctx context.Context, id rollout.ID, change func(r rollout.Rollout, live int64) (rollout.Rollout, error)) (rollout.Rollout, error) {
	var after rollout.Rollout
	err := s.write(ctx, func(tx *sql.Tx) error {
		var of policy.ID
		if err := tx.QueryRowContext(ctx, "SELECT policy_id FROM rollouts WHERE id = $1", id).Scan(&of); err != nil {
			return err
		}
		// The policy first, as everywhere.
		p, err := scanPolicy(tx.QueryRowContext(ctx, "UPDATE policies SET id = id WHERE id = $1 RETURNING "+policyColumns, of))
		if err != nil {
			return err
		}
		before, err := scanRollout(tx.QueryRowContext(ctx, "UPDATE rollouts SET id = id WHERE id = $1 RETURNING "+rolloutColumns, id))
		if err != nil {
			return err
		}
		if after, err = change(before, p.Live); err != nil {
			return err
		}
		if err := putRollout(ctx, tx, after); err != nil {
			return err
		}
		if before.State == after.State && before.Stage == after.Stage {
			return nil
		}
		if after.State == rollout.Done && before.State != rollout.Done {
			p.Live = after.To
			p.Revision++
			p.UpdatedAt = time.UnixMicro(micros(after.UpdatedAt)).UTC()
			if err := putPolicy(ctx, tx, p, true); err != nil {
				return err
			}
		}
		return resolveAgain(ctx, tx, after.UpdatedAt, rolloutScopes(p)...)
	})
	return after, err
}
