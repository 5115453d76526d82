package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/label"
	"handrail/mdm/policy"
)

// allEvaluated is behind every device id: the expression has been evaluated on all of them.
const allEvaluated = "~"

const labelColumns = `id, name, description, color, expression, reads, revision, evaluated, evaluated_us, problem, created_by, created_us, changed_us`

func scanLabel(row rowScanner) (label.Label, error) {
	var l label.Label
	var reads, evaluated string
	var at, created, changed int64
	err := row.Scan(&l.ID, &l.Name, &l.Description, &l.Color, &l.Expression, &reads, &l.Revision, &evaluated, &at, &l.Problem,
		&l.CreatedBy, &created, &changed)
	if reads != "" {
		l.Reads = strings.Split(reads, ",")
	}
	l.Evaluated = evaluated == allEvaluated
	l.EvaluatedAt, l.CreatedAt, l.ChangedAt = fromMicros(at), fromMicros(created), fromMicros(changed)
	return l, err
}

// Labels returns every label; see label.Store.
func (s *Store) Labels(ctx context.Context) ([]label.Label, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+labelColumns+" FROM labels ORDER BY name_key")
	return collect(rows, err, scanLabel)
}

// Label returns one label; see label.Store.
func (s *Store) Label(ctx context.Context, id mdm.LabelID) (label.Label, error) {
	l, err := scanLabel(s.reader.QueryRowContext(ctx, "SELECT "+labelColumns+" FROM labels WHERE id = $1", id))
	return l, classify(err)
}

// CreateLabel stores a label; see label.Store.
func (s *Store) CreateLabel(ctx context.Context, l label.Label) error {
	evaluated := ""
	if !l.IsSmart() {
		evaluated = allEvaluated
	}
	_, err := s.exec(ctx, `INSERT INTO labels (id, name, name_key, description, color, expression, reads, revision, evaluated, evaluated_us, problem,
		created_by, created_us, changed_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', $10, $11, $12)`,
		l.ID, l.Name, strings.ToLower(l.Name), l.Description, l.Color, l.Expression, strings.Join(l.Reads, ","), l.Revision, evaluated,
		l.CreatedBy, micros(l.CreatedAt), micros(l.ChangedAt))
	return err
}

// ChangeLabel changes a label; see label.Store.
func (s *Store) ChangeLabel(ctx context.Context, id mdm.LabelID, change func(*label.Label) error) (label.Label, error) {
	var l label.Label
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		if l, err = lockLabel(ctx, tx, id); err != nil {
			return err
		}
		if err := change(&l); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE labels SET name = $2, name_key = $3, description = $4, color = $5, expression = $6, reads = $7, revision = $8,
			changed_us = $9, problem = $10, evaluated = CASE WHEN expression = $6 THEN evaluated ELSE '' END WHERE id = $1`,
			id, l.Name, strings.ToLower(l.Name), l.Description, l.Color, l.Expression, strings.Join(l.Reads, ","), l.Revision, micros(l.ChangedAt), l.Problem)
		return err
	})
	return l, err
}

// lockLabel reads a label that nobody else changes until the transaction ends.
func lockLabel(ctx context.Context, tx *sql.Tx, id mdm.LabelID) (label.Label, error) {
	return scanLabel(tx.QueryRowContext(ctx, "UPDATE labels SET id = id WHERE id = $1 RETURNING "+labelColumns, id))
}

// DeleteLabel removes a label; see label.Store.
func (s *Store) DeleteLabel(ctx context.Context, id mdm.LabelID) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT device_id FROM device_labels WHERE label_id = $1", id)
		had, err := collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
			var d mdm.DeviceID
			return d, row.Scan(&d)
		})
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM labels WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return mdm.ErrNotFound
		}
		if err := refuseUsed(ctx, tx, func(s policy.Scope) bool { return slices.Contains(s.Labels, id) }, string(id)); err != nil {
			return err
		}
		return relabeled(ctx, tx, had)
	})
}

// LabelsOf returns what devices carry; see label.Store.
func (s *Store) LabelsOf(ctx context.Context, devices []mdm.DeviceID) ([]label.Membership, error) {
	if len(devices) == 0 {
		return []label.Membership{}, nil
	}
	var c conditions
	in(&c, "device_id", devices)
	rows, err := s.reader.QueryContext(ctx, `SELECT m.label_id, m.device_id, m.since_us, m.given_by, m.why FROM device_labels m
		JOIN labels l ON l.id = m.label_id`+c.where()+" ORDER BY l.name_key", c.args...)
	return collect(rows, err, scanMembership)
}

func scanMembership(row rowScanner) (label.Membership, error) {
	var m label.Membership
	var since int64
	var why string
	if err := row.Scan(&m.Label, &m.Device, &since, &m.GivenBy, &why); err != nil {
		return m, err
	}
	m.Since = fromMicros(since)
	if why == "" {
		return m, nil
	}
	return m, json.Unmarshal([]byte(why), &m.Why)
}

// GiveLabel gives a label; see label.Store.
func (s *Store) GiveLabel(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID, by string, at time.Time) ([]mdm.DeviceID, error) {
	return s.changeMembers(ctx, devices, func(tx *sql.Tx, c conditions) (*sql.Rows, error) {
		args := append(c.args, id, micros(at), by)
		n := len(c.args)
		return tx.QueryContext(ctx, fmt.Sprintf(`INSERT INTO device_labels (label_id, device_id, since_us, given_by, why)
			SELECT CAST($%d AS TEXT), id, CAST($%d AS BIGINT), CAST($%d AS TEXT), '' FROM devices%s ORDER BY id
			ON CONFLICT (label_id, device_id) DO NOTHING RETURNING device_id`, n+1, n+2, n+3, c.where()), args...)
	}, "id")
}

// TakeLabel takes a label; see label.Store.
func (s *Store) TakeLabel(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID) ([]mdm.DeviceID, error) {
	return s.changeMembers(ctx, devices, func(tx *sql.Tx, c conditions) (*sql.Rows, error) {
		c.add("label_id = ?", id)
		return tx.QueryContext(ctx, "DELETE FROM device_labels"+c.where()+" RETURNING device_id", c.args...)
	}, "device_id")
}

func (s *Store) changeMembers(ctx context.Context, devices []mdm.DeviceID, do func(*sql.Tx, conditions) (*sql.Rows, error), column string) ([]mdm.DeviceID, error) {
	var changed []mdm.DeviceID
	if len(devices) == 0 {
		return changed, nil
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		var c conditions
		in(&c, column, devices)
		rows, err := do(tx, c)
		changed, err = collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
			var id mdm.DeviceID
			return id, row.Scan(&id)
		})
		if err != nil {
			return err
		}
		return relabeled(ctx, tx, changed)
	})
	return changed, err
}

// JudgeLabel stores what an expression came to; see label.Store.
func (s *Store) JudgeLabel(ctx context.Context, id mdm.LabelID, revision int64, verdicts []label.Verdict, sweep label.Sweep, at time.Time) ([]mdm.DeviceID, error) {
	var changed []mdm.DeviceID
	err := s.write(ctx, func(tx *sql.Tx) error {
		changed = nil
		l, err := lockLabel(ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) || err == nil && l.Revision != revision {
			return nil // deleted or changed meanwhile: these verdicts are of something else
		}
		if err != nil {
			return err
		}
		if changed, err = judge(ctx, tx, id, verdicts, at); err != nil {
			return err
		}
		switch {
		case sweep == label.Done:
			_, err = tx.ExecContext(ctx, "UPDATE labels SET evaluated = $2, evaluated_us = $3 WHERE id = $1", id, allEvaluated, micros(at))
		case sweep == label.Underway && len(verdicts) > 0:
			_, err = tx.ExecContext(ctx, "UPDATE labels SET evaluated = $2 WHERE id = $1", id, verdicts[len(verdicts)-1].Device)
		}
		if err != nil {
			return err
		}
		return relabeled(ctx, tx, changed)
	})
	return changed, err
}

func judge(ctx context.Context, tx *sql.Tx, id mdm.LabelID, verdicts []label.Verdict, at time.Time) ([]mdm.DeviceID, error) {
	if len(verdicts) == 0 {
		return nil, nil
	}
	ids := make([]mdm.DeviceID, len(verdicts))
	for i, v := range verdicts {
		ids[i] = v.Device
	}
	var c conditions
	in(&c, "device_id", ids)
	c.add("label_id = ?", id)
	rows, err := tx.QueryContext(ctx, "SELECT device_id, why FROM device_labels"+c.where(), c.args...)
	have := map[mdm.DeviceID]string{}
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var d mdm.DeviceID
		var why string
		err := row.Scan(&d, &why)
		have[d] = why
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	var changed []mdm.DeviceID
	for _, v := range verdicts {
		before, carries := have[v.Device]
		if !v.Carries {
			if carries {
				changed = append(changed, v.Device)
				if _, err := tx.ExecContext(ctx, "DELETE FROM device_labels WHERE label_id = $1 AND device_id = $2", id, v.Device); err != nil {
					return nil, err
				}
			}
			continue
		}
		why, err := json.Marshal(v.Why)
		if err != nil {
			return nil, err
		}
		if carries && before == string(why) {
			continue
		}
		// From devices, so that one that was deleted meanwhile is no error.
		res, err := tx.ExecContext(ctx, `INSERT INTO device_labels (label_id, device_id, since_us, given_by, why)
			SELECT CAST($1 AS TEXT), id, CAST($3 AS BIGINT), '', CAST($4 AS TEXT) FROM devices WHERE id = $2
			ON CONFLICT (label_id, device_id) DO UPDATE SET why = excluded.why`, id, v.Device, micros(at), string(why))
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil {
			return nil, err
		} else if n > 0 && !carries {
			changed = append(changed, v.Device)
		}
	}
	return changed, nil
}

// LabelProblem remembers why an expression could not be evaluated on a device; "" for none.
func (s *Store) LabelProblem(ctx context.Context, id mdm.LabelID, problem string) error {
	_, err := s.exec(ctx, "UPDATE labels SET problem = $2 WHERE id = $1 AND problem <> $2", id, problem)
	return err
}

// LabelsToSweep returns the smart labels whose expression has not been evaluated on every
// device since it changed, and the device after which each goes on.
func (s *Store) LabelsToSweep(ctx context.Context) (labels []label.Label, after map[mdm.LabelID]mdm.DeviceID, err error) {
	after = map[mdm.LabelID]mdm.DeviceID{}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+labelColumns+", evaluated FROM labels WHERE evaluated <> $1 ORDER BY id", allEvaluated)
	labels, err = collect(rows, err, func(row rowScanner) (label.Label, error) {
		var at mdm.DeviceID
		l, err := scanLabel(scanMore{row, []any{&at}})
		after[l.ID] = at
		return l, err
	})
	return labels, after, err
}

// SweepAgain has the expressions evaluated on every device once more, the memberships
// staying as they are until then.
func (s *Store) SweepAgain(ctx context.Context, id mdm.LabelID) error {
	_, err := s.exec(ctx, "UPDATE labels SET evaluated = '' WHERE id = $1 AND evaluated = $2 AND expression <> ''", id, allEvaluated)
	return err
}

// scanMore scans a row that has more columns than the noun's own scan function reads.
type scanMore struct {
	row  rowScanner
	more []any
}

func (s scanMore) Scan(dest ...any) error { return s.row.Scan(append(dest, s.more...)...) }

// relabeled has what follows from labels looked at again; it comes last in a transaction.
func relabeled(ctx context.Context, tx *sql.Tx, devices []mdm.DeviceID) error {
	if len(devices) == 0 {
		return nil
	}
	if err := markCompliance(ctx, tx, time.Now(), devices...); err != nil {
		return err
	}
	return resolveDevices(ctx, tx, devices...)
}
