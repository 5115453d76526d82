package store

import (
	"context"
	"database/sql"

	"handrail/mdm"
	"handrail/mdm/inventory"
)

// SaveSections stores what changed of a device's inventory; see inventory.Store.
func (s *Store) SaveSections(ctx context.Context, device mdm.DeviceID, rows []inventory.Row, full bool, keep []string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		// Locks the device: two uploads of one device follow each other.
		res, err := tx.ExecContext(ctx, "UPDATE devices SET id = id WHERE id = $1", device)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return mdm.ErrNotFound
		}
		if full {
			var c conditions
			c.add("device_id = ?", device)
			for _, r := range rows {
				keep = append(keep, r.Section)
			}
			if len(keep) > 0 {
				in(&c, "section NOT", keep)
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM inventory_sections"+c.where(), c.args...); err != nil {
				return err
			}
		}
		for _, r := range rows {
			if _, err := tx.ExecContext(ctx, `INSERT INTO inventory_sections (device_id, section, hash, data, changed_us) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (device_id, section) DO UPDATE SET hash = excluded.hash, data = excluded.data, changed_us = excluded.changed_us`,
				device, r.Section, r.Hash, string(r.Data), micros(r.ChangedAt)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sections returns a device's inventory; see inventory.Store.
func (s *Store) Sections(ctx context.Context, device mdm.DeviceID) ([]inventory.Row, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT section, hash, data, changed_us FROM inventory_sections WHERE device_id = $1 ORDER BY section", device)
	return collect(rows, err, func(row rowScanner) (inventory.Row, error) {
		var r inventory.Row
		var data string
		var changed int64
		err := row.Scan(&r.Section, &r.Hash, &data, &changed)
		r.Data, r.ChangedAt = []byte(data), fromMicros(changed)
		return r, err
	})
}

// SectionHashes returns which sections of a device are kept; see inventory.Store.
func (s *Store) SectionHashes(ctx context.Context, device mdm.DeviceID) (map[string]string, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT section, hash FROM inventory_sections WHERE device_id = $1", device)
	list, err := collect(rows, err, func(row rowScanner) ([2]string, error) {
		var r [2]string
		return r, row.Scan(&r[0], &r[1])
	})
	have := make(map[string]string, len(list))
	for _, r := range list {
		have[r[0]] = r[1]
	}
	return have, err
}
