package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"handrail/mdm"
	"handrail/mdm/compliance"
)

func scanKept(row rowScanner) (compliance.Kept, error) {
	var k compliance.Kept
	var id, doc, by string
	var shipped bool
	var seq, revision, changed int64
	if err := row.Scan(&id, &shipped, &k.Digest, &doc, &seq, &revision, &changed, &by); err != nil {
		return k, err
	}
	if err := json.Unmarshal([]byte(doc), &k.Rule); err != nil {
		return k, fmt.Errorf("compliance rule %s: %w", id, err)
	}
	r := &k.Rule
	r.ID, r.Shipped, r.Seq, r.Revision, r.ChangedAt, r.ChangedBy = id, shipped, seq, revision, fromMicros(changed), by
	return k, nil
}

// ComplianceRules returns what is kept of rules; see compliance.RuleStore.
func (s *Store) ComplianceRules(ctx context.Context) (compliance.Head, []compliance.Kept, error) {
	var head compliance.Head
	var kept []compliance.Kept
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		head, err = scanHead(tx.QueryRowContext(ctx, "SELECT seq, new_grace_us FROM compliance_head"))
		if err == nil {
			kept, err = keptRules(ctx, tx)
		}
		return err
	})
	return head, kept, err
}

func scanHead(row rowScanner) (compliance.Head, error) {
	var h compliance.Head
	var grace int64
	err := row.Scan(&h.Seq, &grace)
	h.NewDeviceGrace = time.Duration(grace) * time.Microsecond
	return h, err
}

func keptRules(ctx context.Context, tx *sql.Tx) ([]compliance.Kept, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id, shipped, digest, doc, seq, revision, changed_us, changed_by FROM compliance_rules ORDER BY id")
	return collect(rows, err, scanKept)
}

// ChangeComplianceRules changes rules; see compliance.RuleStore.
func (s *Store) ChangeComplianceRules(ctx context.Context, now time.Time, change func(compliance.Head, []compliance.Kept) (compliance.RuleChange, error)) (compliance.Head, error) {
	var head compliance.Head
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		if head, err = scanHead(tx.QueryRowContext(ctx, "UPDATE compliance_head SET seq = seq RETURNING seq, new_grace_us")); err != nil {
			return err
		}
		kept, err := keptRules(ctx, tx)
		if err != nil {
			return err
		}
		c, err := change(head, kept)
		if err != nil || len(c.Put) == 0 && len(c.Remove) == 0 && c.NewDeviceGrace == nil {
			return err
		}
		head.Seq++
		if c.NewDeviceGrace != nil {
			head.NewDeviceGrace = *c.NewDeviceGrace
		}
		if _, err := tx.ExecContext(ctx, "UPDATE compliance_head SET seq = $1, new_grace_us = $2", head.Seq, head.NewDeviceGrace.Microseconds()); err != nil {
			return err
		}
		for _, id := range c.Remove {
			if _, err := tx.ExecContext(ctx, "DELETE FROM compliance_rules WHERE id = $1", id); err != nil {
				return err
			}
		}
		if err := s.putRules(ctx, tx, head.Seq, c.Put); err != nil {
			return err
		}
		return markAllCompliance(ctx, tx, now)
	})
	return head, err
}

func (s *Store) putRules(ctx context.Context, tx *sql.Tx, seq int64, put []compliance.Kept) error {
	rows := make([][]any, len(put))
	for i, k := range put {
		doc, err := json.Marshal(k.Rule)
		if err != nil {
			return err
		}
		r := k.Rule
		rows[i] = []any{r.ID, r.Shipped, k.Digest, string(doc), seq, r.Revision, micros(r.ChangedAt), r.ChangedBy}
	}
	return s.insertRows(ctx, tx, "INSERT INTO compliance_rules (id, shipped, digest, doc, seq, revision, changed_us, changed_by) VALUES ",
		` ON CONFLICT (id) DO UPDATE SET shipped = excluded.shipped, digest = excluded.digest, doc = excluded.doc, seq = excluded.seq,
			revision = excluded.revision, changed_us = excluded.changed_us, changed_by = excluded.changed_by`, rows)
}

const waiverColumns = "id, rule_id, device_id, group_id, owner, reason, created_us, created_by, expires_us, revoked_us, revoked_by"

func scanWaiver(row rowScanner) (compliance.Waiver, error) {
	var w compliance.Waiver
	var device, group sql.NullString
	var created, expires, revoked int64
	err := row.Scan(&w.ID, &w.Rule, &device, &group, &w.Owner, &w.Reason, &created, &w.CreatedBy, &expires, &revoked, &w.RevokedBy)
	w.Device, w.Group = mdm.DeviceID(device.String), mdm.GroupID(group.String)
	w.CreatedAt, w.ExpiresAt, w.RevokedAt = fromMicros(created), fromMicros(expires), fromMicros(revoked)
	return w, err
}

func nullable(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// AddComplianceWaiver stores a waiver; see compliance.WaiverStore.
func (s *Store) AddComplianceWaiver(ctx context.Context, w compliance.Waiver) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO compliance_waivers ("+waiverColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			w.ID, w.Rule, nullable(string(w.Device)), nullable(string(w.Group)), w.Owner, w.Reason, micros(w.CreatedAt), w.CreatedBy,
			micros(w.ExpiresAt), micros(w.RevokedAt), w.RevokedBy); err != nil {
			return err
		}
		return markWaived(ctx, tx, w, w.CreatedAt)
	})
}

// markWaived makes the devices of a waiver due: one, or those of a group and below it.
func markWaived(ctx context.Context, tx *sql.Tx, w compliance.Waiver, at time.Time) error {
	if w.Device != "" {
		return markCompliance(ctx, tx, at, w.Device)
	}
	_, err := tx.ExecContext(ctx, `WITH RECURSIVE below (id) AS (SELECT id FROM groups WHERE id = $3
			UNION SELECT groups.id FROM groups JOIN below ON groups.parent_id = below.id)
		`+markColumns+" WHERE group_id IN (SELECT id FROM below)"+markConflict, micros(at), compliance.Unknown, w.Group)
	return err
}

// RevokeComplianceWaiver ends a waiver; see compliance.WaiverStore.
func (s *Store) RevokeComplianceWaiver(ctx context.Context, id, by string, at time.Time) (compliance.Waiver, error) {
	var w compliance.Waiver
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		w, err = scanWaiver(tx.QueryRowContext(ctx, "UPDATE compliance_waivers SET revoked_us = $1, revoked_by = $2 WHERE id = $3 AND revoked_us = 0 RETURNING "+waiverColumns,
			micros(at), by, id))
		if errors.Is(err, sql.ErrNoRows) {
			w, err = scanWaiver(tx.QueryRowContext(ctx, "SELECT "+waiverColumns+" FROM compliance_waivers WHERE id = $1", id))
			return err
		}
		if err != nil {
			return err
		}
		return markWaived(ctx, tx, w, at)
	})
	return w, err
}

// ComplianceWaivers returns waivers; see compliance.WaiverStore.
func (s *Store) ComplianceWaivers(ctx context.Context, f compliance.WaiverFilter) ([]compliance.Waiver, error) {
	var c conditions
	if f.ID != "" {
		c.add("id = ?", f.ID)
	}
	if f.Rule != "" {
		c.add("rule_id = ?", f.Rule)
	}
	if f.Device != "" {
		c.add("device_id = ?", f.Device)
	}
	if !f.HoldingAt.IsZero() {
		at := micros(f.HoldingAt)
		c.add("expires_us > ? AND (revoked_us = 0 OR revoked_us > ?)", at, at)
	}
	query := "SELECT " + waiverColumns + " FROM compliance_waivers" + c.where() + " ORDER BY created_us DESC, id DESC"
	if f.Limit > 0 {
		query += " LIMIT " + strconv.Itoa(f.Limit)
	}
	rows, err := s.reader.QueryContext(ctx, query, c.args...)
	return collect(rows, err, scanWaiver)
}
