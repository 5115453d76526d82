package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/gateway/internal/desire"
	"handrail/mdm"
	"handrail/mdm/group"
)

// queryer is *sql.DB and *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

const memberColumns = `d.id, d.group_id, COALESCE(w.generation, 0), COALESCE(w.outcome, ''), COALESCE(w.hash, ''), COALESCE(w.reported, ''), COALESCE(w.unsaid, '')`

func scanMember(row rowScanner) (desire.Member, error) {
	var m desire.Member
	return m, row.Scan(&m.Device, &m.Group, &m.Generation, &m.Outcome, &m.Hash, &m.Reported, &m.Unsaid)
}

// members returns devices that meet conditions on d, in the order of their ids.
func members(ctx context.Context, q queryer, c conditions, limit int) ([]desire.Member, error) {
	c.add("d.revoked_us = 0")
	rows, err := q.QueryContext(ctx, "SELECT "+memberColumns+" FROM devices d LEFT JOIN desired w ON w.device_id = d.id"+c.where()+
		" ORDER BY d.id LIMIT "+strconv.Itoa(limit), c.args...)
	return collect(rows, err, scanMember)
}

// Members returns some devices; see desire.Store.
func (s *Store) Members(ctx context.Context, ids []mdm.DeviceID) ([]desire.Member, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var c conditions
	in(&c, "d.id", ids)
	return members(ctx, s.reader, c, len(ids))
}

// ScopeMembers returns a page of a scope; see desire.Store.
func (s *Store) ScopeMembers(ctx context.Context, w desire.Work, limit int) (desire.Page, error) {
	return s.scopeMembers(ctx, s.reader, w, limit)
}

func (s *Store) scopeMembers(ctx context.Context, q queryer, w desire.Work, limit int) (desire.Page, error) {
	switch w.Kind {
	case desire.WorkLabel:
		return s.labelMembers(ctx, q, w, limit)
	case desire.WorkGroup:
		return s.groupMembers(ctx, q, w, limit)
	}
	return desire.Page{}, fmt.Errorf("work of kind %q: %w", w.Kind, mdm.ErrInvalid)
}

func (s *Store) labelMembers(ctx context.Context, q queryer, w desire.Work, limit int) (desire.Page, error) {
	ids, err := s.LabelDevices(ctx, mdm.LabelID(w.Target), mdm.DeviceID(w.Cursor), limit)
	if err != nil || len(ids) == 0 {
		return desire.Page{Over: true}, err
	}
	var c conditions
	in(&c, "d.id", ids)
	list, err := members(ctx, q, c, limit)
	return desire.Page{Members: list, Next: string(ids[len(ids)-1]), Over: len(ids) < limit}, err
}

// DeviceLabels returns the labels of devices; see desire.Store.
func (s *Store) DeviceLabels(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID][]mdm.LabelID, error) {
	out := map[mdm.DeviceID][]mdm.LabelID{}
	for len(ids) > 0 {
		batch := ids[:min(len(ids), seenBatch)]
		ids = ids[len(batch):]
		var c conditions
		in(&c, "device_id", batch)
		rows, err := s.reader.QueryContext(ctx, "SELECT device_id, label_id FROM device_labels"+c.where(), c.args...)
		_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var d mdm.DeviceID
			var l mdm.LabelID
			err := row.Scan(&d, &l)
			out[d] = append(out[d], l)
			return struct{}{}, err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// LabelDevices returns devices that carry a label; see desire.Store.
func (s *Store) LabelDevices(ctx context.Context, label mdm.LabelID, after mdm.DeviceID, limit int) ([]mdm.DeviceID, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id FROM device_labels WHERE label_id = $1 AND device_id > $2 ORDER BY device_id LIMIT "+
		strconv.Itoa(limit), label, after)
	return collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
		var d mdm.DeviceID
		return d, row.Scan(&d)
	})
}

// groupMembers goes through the groups below the target by id, and through the devices of
// each by id: every page is a piece of an index. The whole fleet is read by device.
func (s *Store) groupMembers(ctx context.Context, q queryer, w desire.Work, limit int) (desire.Page, error) {
	if w.Target == string(mdm.RootGroup) {
		var c conditions
		c.add("d.id > ?", w.Cursor)
		list, err := members(ctx, q, c, limit)
		if err != nil || len(list) < limit {
			return desire.Page{Members: list, Over: true}, err
		}
		return desire.Page{Members: list, Next: string(list[limit-1].Device)}, nil
	}
	rows, err := q.QueryContext(ctx, "SELECT "+groupColumns+" FROM groups")
	all, err := collect(rows, err, scanGroup)
	if err != nil {
		return desire.Page{}, err
	}
	below := group.NewTree(all).Below(mdm.GroupID(w.Target))
	slices.Sort(below)
	in, after, _ := strings.Cut(w.Cursor, " ")
	p := desire.Page{Over: true}
	for _, g := range below {
		if string(g) < in {
			continue
		}
		if string(g) > in {
			after = ""
		}
		var c conditions
		c.add("d.group_id = ?", g)
		c.add("d.id > ?", after)
		list, err := members(ctx, q, c, limit-len(p.Members))
		if err != nil {
			return desire.Page{}, err
		}
		if p.Members = append(p.Members, list...); len(p.Members) == limit {
			p.Next, p.Over = string(g)+" "+string(p.Members[limit-1].Device), false
			return p, nil
		}
	}
	return p, nil
}

// ResolvePage resolves the next devices of work; see desire.Store.
func (s *Store) ResolvePage(ctx context.Context, owner string, w desire.Work, limit int, now time.Time, lease time.Duration,
	resolve desire.Resolve,
) (desire.Page, error) {
	var p desire.Page
	err := s.write(ctx, func(tx *sql.Tx) error {
		rev, err := lockInputs(ctx, tx, false)
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "UPDATE desire_work SET cursor = $1, lease_us = $2 WHERE kind = $3 AND target = $4 AND rev = $5 AND owner = $6",
			w.Cursor, micros(now.Add(lease)), w.Kind, w.Target, w.Rev, owner)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return mdm.ErrConflict
		}
		if p, err = s.scopeMembers(ctx, tx, w, limit); err != nil {
			return err
		}
		return s.resolvePage(ctx, tx, rev, now, &p, resolve)
	})
	return p, err
}

// resolvePage resolves and writes what changed.
func (s *Store) resolvePage(ctx context.Context, tx *sql.Tx, rev int64, now time.Time, p *desire.Page, resolve desire.Resolve) error {
	before := slices.Clone(p.Members)
	outcomes, err := resolve(ctx, rev, p.Members)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if _, err := tx.ExecContext(ctx, `INSERT INTO manifests (outcome, hash, body, created_us) VALUES ($1, $2, $3, $4)
			ON CONFLICT (outcome) DO NOTHING`, o.Key, o.Hash, o.Sealed, micros(now)); err != nil {
			return err
		}
	}
	var changed []desire.Member
	for i := range p.Members {
		m := &p.Members[i]
		if m.Outcome == before[i].Outcome {
			continue
		}
		if m.Hash != before[i].Hash {
			m.Generation++
		}
		changed = append(changed, *m)
	}
	p.Changed = len(changed)
	return s.putDesired(ctx, tx, changed, now)
}

func (s *Store) putDesired(ctx context.Context, tx *sql.Tx, changed []desire.Member, now time.Time) error {
	rows := make(rowsOf, len(changed))
	for i, m := range changed {
		rows[i] = []any{string(m.Device), m.Generation, m.Outcome, m.Hash, micros(now), "", 0, 0}
	}
	return rows.each(!s.postgres, nil, func(values string, args []any) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO desired (device_id, generation, outcome, hash, changed_us, reported, reported_generation, reported_us)
			VALUES `+values+` ON CONFLICT (device_id) DO UPDATE SET generation = excluded.generation, outcome = excluded.outcome,
				changed_us = CASE WHEN desired.hash = excluded.hash THEN desired.changed_us ELSE excluded.changed_us END, hash = excluded.hash`,
			args...)
		return err
	})
}

// FinishWork forgets work that is done; see desire.Store.
func (s *Store) FinishWork(ctx context.Context, w desire.Work) error {
	_, err := s.exec(ctx, "DELETE FROM desire_work WHERE kind = $1 AND target = $2 AND rev = $3", w.Kind, w.Target, w.Rev)
	return err
}

// ResolveDirty resolves single devices; see desire.Store.
func (s *Store) ResolveDirty(ctx context.Context, limit int, now time.Time, resolve desire.Resolve) (desire.Page, error) {
	var one int
	err := s.reader.QueryRowContext(ctx, "SELECT 1 FROM desire_dirty LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return desire.Page{Over: true}, nil
	}
	if err != nil {
		return desire.Page{}, classify(err)
	}
	var p desire.Page
	err = s.write(ctx, func(tx *sql.Tx) error {
		p = desire.Page{}
		rev, err := lockInputs(ctx, tx, false)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+memberColumns+`, q.rev FROM desire_dirty q JOIN devices d ON d.id = q.device_id
			LEFT JOIN desired w ON w.device_id = d.id ORDER BY q.device_id LIMIT `+strconv.Itoa(limit))
		p.Members, err = collect(rows, err, func(row rowScanner) (desire.Member, error) {
			var m desire.Member
			var mark int64
			err := row.Scan(&m.Device, &m.Group, &m.Generation, &m.Outcome, &m.Hash, &m.Reported, &m.Unsaid, &mark)
			m.SetRev(mark)
			return m, err
		})
		if err != nil {
			return err
		}
		p.Over = len(p.Members) == 0
		return s.resolvePage(ctx, tx, rev, now, &p, resolve)
	})
	return p, err
}

// FinishDirty forgets single devices; see desire.Store.
func (s *Store) FinishDirty(ctx context.Context, p desire.Page) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		list := p.Members
		for len(list) > 0 {
			batch := list[:min(len(list), seenBatch)]
			list = list[len(batch):]
			var values strings.Builder
			args := make([]any, 0, 2*len(batch))
			for i, m := range batch {
				if i > 0 {
					values.WriteString(", ")
				}
				fmt.Fprintf(&values, "(CAST($%d AS TEXT), CAST($%d AS BIGINT))", len(args)+1, len(args)+2)
				args = append(args, string(m.Device), m.Rev())
			}
			if _, err := tx.ExecContext(ctx, "WITH done (id, rev) AS (VALUES "+values.String()+`) DELETE FROM desire_dirty
				WHERE EXISTS (SELECT 1 FROM done WHERE done.id = desire_dirty.device_id AND done.rev = desire_dirty.rev)`, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// InputsRev returns the revision of the inputs; see desire.Store.
func (s *Store) InputsRev(ctx context.Context) (int64, error) {
	var rev int64
	return rev, classify(s.reader.QueryRowContext(ctx, "SELECT rev FROM desire_inputs WHERE id = 1").Scan(&rev))
}

// Unreported returns devices that owe a report; see desire.Store.
func (s *Store) Unreported(ctx context.Context, after mdm.DeviceID, before time.Time, limit int) ([]desire.Member, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+memberColumns+` FROM desired w JOIN devices d ON d.id = w.device_id
		WHERE w.hash <> w.reported AND w.device_id > $1 AND w.changed_us < $2 AND d.revoked_us = 0 ORDER BY w.device_id LIMIT `+strconv.Itoa(limit),
		after, micros(before))
	return collect(rows, err, scanMember)
}

// Outcome returns what is kept under a key; see desire.Store.
func (s *Store) Outcome(ctx context.Context, key string) (desire.Outcome, error) {
	o := desire.Outcome{Key: key}
	return o, classify(s.reader.QueryRowContext(ctx, "SELECT hash, body FROM manifests WHERE outcome = $1", key).Scan(&o.Hash, &o.Sealed))
}

// OutcomeOf returns an outcome of a manifest; see desire.Store.
func (s *Store) OutcomeOf(ctx context.Context, hash string) (desire.Outcome, error) {
	o := desire.Outcome{Hash: hash}
	return o, classify(s.reader.QueryRowContext(ctx, "SELECT outcome, body FROM manifests WHERE hash = $1 ORDER BY outcome LIMIT 1", hash).Scan(&o.Key, &o.Sealed))
}

// ForgetOutcomes removes what no device needs; see desire.Store.
func (s *Store) ForgetOutcomes(ctx context.Context, before time.Time) (int64, error) {
	const unused = ` FROM manifests WHERE created_us < $1 AND outcome NOT IN (SELECT outcome FROM desired)
		AND hash NOT IN (SELECT reported FROM desired)`
	var n int64
	if err := s.reader.QueryRowContext(ctx, "SELECT count(*)"+unused, micros(before)).Scan(&n); err != nil || n == 0 {
		return 0, classify(err)
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		// Nodes that remember what is kept must learn that it no longer is.
		if _, err := lockInputs(ctx, tx, true); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE"+unused, micros(before))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
