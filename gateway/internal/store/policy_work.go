package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/gateway/internal/desire"
	"handrail/mdm"
)

// scope is a set of devices that must be resolved again.
type scope struct {
	kind   desire.WorkKind
	target string
}

const (
	scopeGroup = desire.WorkGroup
	scopeLabel = desire.WorkLabel
)

// lockInputs puts whoever changes or reads what settings follow from in line, until the end
// of the transaction, and returns the revision.
func lockInputs(ctx context.Context, tx *sql.Tx, grow bool) (int64, error) {
	by := "0"
	if grow {
		by = "1"
	}
	var rev int64
	return rev, tx.QueryRowContext(ctx, "UPDATE desire_inputs SET rev = rev + "+by+" WHERE id = 1 RETURNING rev").Scan(&rev)
}

// resolveAgain notes, in the transaction of a change, whose settings may follow from it. It
// comes last in a transaction, as it makes other changes wait.
func resolveAgain(ctx context.Context, tx *sql.Tx, now time.Time, scopes ...scope) error {
	if len(scopes) == 0 {
		return nil
	}
	if _, err := lockInputs(ctx, tx, true); err != nil {
		return err
	}
	for _, s := range scopes {
		if _, err := tx.ExecContext(ctx, `INSERT INTO desire_work (kind, target, rev, cursor, owner, lease_us, created_us) VALUES ($1, $2, 1, '', '', 0, $3)
			ON CONFLICT (kind, target) DO UPDATE SET rev = desire_work.rev + 1, cursor = ''`, s.kind, s.target, micros(now)); err != nil {
			return err
		}
	}
	return nil
}

// resolveDevices notes, in the transaction that moves devices or changes their labels, that
// they must be resolved again. It comes last in a transaction.
func resolveDevices(ctx context.Context, tx *sql.Tx, ids ...mdm.DeviceID) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := lockInputs(ctx, tx, false); err != nil {
		return err
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for len(ids) > 0 {
		batch := ids[:min(len(ids), seenBatch)]
		ids = ids[len(batch):]
		args := make([]any, len(batch))
		var values strings.Builder
		for i, id := range batch {
			if i > 0 {
				values.WriteString(", ")
			}
			values.WriteString("($" + strconv.Itoa(i+1) + ", 1)")
			args[i] = string(id)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO desire_dirty (device_id, rev) VALUES "+values.String()+
			" ON CONFLICT (device_id) DO UPDATE SET rev = desire_dirty.rev + 1", args...); err != nil {
			return err
		}
	}
	return nil
}

// ResolveFleet has every device resolved again; see desire.Store.
func (s *Store) ResolveFleet(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		return resolveAgain(ctx, tx, now, scope{scopeGroup, string(mdm.RootGroup)})
	})
}

// ClaimWork takes the oldest work nobody is at; see desire.Store.
func (s *Store) ClaimWork(ctx context.Context, owner string, now time.Time, lease time.Duration) (desire.Work, error) {
	// No clock that is right makes a lease that ends after far: whoever did is gone, or its clock
	// jumped, and must not hold the work until then.
	far := micros(now.Add(10 * lease))
	var none int
	err := s.reader.QueryRowContext(ctx, "SELECT 1 FROM desire_work WHERE lease_us <= $1 OR lease_us > $3 OR owner = $2 LIMIT 1", micros(now), owner, far).Scan(&none)
	if err != nil {
		return desire.Work{}, classify(err) // mostly nothing: no write then
	}
	var w desire.Work
	err = s.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE desire_work SET owner = $1, lease_us = $2 WHERE (kind, target) =
				(SELECT kind, target FROM desire_work WHERE lease_us <= $3 OR lease_us > $4 OR owner = $1 ORDER BY created_us, kind, target LIMIT 1)
				AND (lease_us <= $3 OR lease_us > $4 OR owner = $1)
			RETURNING kind, target, rev, cursor`, owner, micros(now.Add(lease)), micros(now), far).Scan(&w.Kind, &w.Target, &w.Rev, &w.Cursor)
	})
	return w, err
}

// NextWork returns when work that somebody else has taken may be taken over; see desire.Store.
func (s *Store) NextWork(ctx context.Context) (time.Time, error) {
	var us sql.NullInt64
	err := s.reader.QueryRowContext(ctx, "SELECT min(lease_us) FROM desire_work").Scan(&us)
	return fromMicros(us.Int64), classify(err)
}

// ReleaseWork lets others take the work; see desire.Store.
func (s *Store) ReleaseWork(ctx context.Context, owner string) error {
	_, err := s.exec(ctx, "UPDATE desire_work SET owner = '', lease_us = 0 WHERE owner = $1 OR $1 = ''", owner)
	return err
}

// HasWork reports whether devices are to be resolved; see desire.Store.
func (s *Store) HasWork(ctx context.Context) (bool, error) {
	var n int
	err := s.reader.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM desire_work) + (SELECT count(*) FROM (SELECT 1 FROM desire_dirty LIMIT 1) d)").Scan(&n)
	return n > 0, classify(err)
}
