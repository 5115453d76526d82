package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"handrail/gateway/internal/audit"
)

const auditColumns = `seq, at_us, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, group_id, address, detail, prev_hash, hash`

func scanEntry(row rowScanner) (audit.Entry, error) {
	var e audit.Entry
	var at int64
	var detail string
	err := row.Scan(&e.Seq, &at, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Target.Kind, &e.Target.ID, &e.Target.Name,
		&e.Group, &e.Address, &detail, &e.Prev, &e.Hash)
	if err != nil {
		return e, err
	}
	e.At = fromMicros(at)
	if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
		e.Detail = map[string]string{"damaged": detail} // Verify will tell
	}
	return e, nil
}

// AppendAudit appends an entry; see audit.Store.
func (s *Store) AppendAudit(ctx context.Context, next func(seq int64, hash string) (audit.Entry, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var seq int64
		var hash string
		// Updating the head first puts writers in line on PostgreSQL; SQLite has one anyway.
		if err := tx.QueryRowContext(ctx, "UPDATE audit_head SET id = id WHERE id = 1 RETURNING seq, hash").Scan(&seq, &hash); err != nil {
			return err
		}
		e, err := next(seq, hash)
		if err != nil {
			return err
		}
		detail, err := json.Marshal(e.Detail)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO audit_entries ("+auditColumns+`, search)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			e.Seq, micros(e.At), e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Action, e.Target.Kind, e.Target.ID, e.Target.Name,
			e.Group, e.Address, string(detail), e.Prev, e.Hash, e.SearchText()); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1", e.Seq, e.Hash)
		return err
	})
}

// AuditEntries returns entries, newest first; see audit.Store.
func (s *Store) AuditEntries(ctx context.Context, f audit.Filter) ([]audit.Entry, error) {
	var c conditions
	if !f.AllGroups {
		in(&c, "group_id", f.Groups)
	}
	if f.Actor != "" {
		c.add("actor_id = ?", f.Actor)
	}
	if prefix, ok := strings.CutSuffix(f.Action, "."); ok {
		c.add("action >= ? AND action < ?", prefix+".", prefix+"/") // '/' follows '.'
	} else if f.Action != "" {
		c.add("action = ?", f.Action)
	}
	for _, w := range f.Words() {
		c.contains("search", w)
	}
	if f.Before > 0 {
		c.add("seq < ?", f.Before)
	}
	c.args = append(c.args, f.Limit)
	rows, err := s.reader.QueryContext(ctx, "SELECT "+auditColumns+" FROM audit_entries"+c.where()+" ORDER BY seq DESC LIMIT "+c.last(), c.args...)
	return collect(rows, err, scanEntry)
}

// WalkAudit visits every entry; see audit.Store.
func (s *Store) WalkAudit(ctx context.Context, visit func(audit.Entry) error) (seq int64, hash string, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT seq, hash FROM audit_head WHERE id = 1").Scan(&seq, &hash); err != nil {
			return fmt.Errorf("head of the audit log: %w", err)
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+auditColumns+" FROM audit_entries ORDER BY seq")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEntry(rows)
			if err != nil {
				return err
			}
			if err := visit(e); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return seq, hash, err
}
