package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
)

// MoveDevices moves devices; see device.Writer.
func (s *Store) MoveDevices(ctx context.Context, ids []mdm.DeviceID, to mdm.GroupID) ([]mdm.DeviceID, error) {
	var moved []mdm.DeviceID
	if len(ids) == 0 {
		return moved, nil
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := groupExists(ctx, tx, to); err != nil {
			return err
		}
		var c conditions
		c.args = append(c.args, to)
		in(&c, "id", ids)
		c.add("group_id <> ?", to)
		c.add("revoked_us = 0")
		rows, err := tx.QueryContext(ctx, "UPDATE devices SET group_id = $1"+c.where()+" RETURNING id", c.args...)
		if moved, err = collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
			var id mdm.DeviceID
			return id, row.Scan(&id)
		}); err != nil || len(moved) == 0 {
			return err
		}
		work := make(map[mdm.DeviceID][]string, len(moved))
		for _, id := range moved {
			work[id] = []string{"device"}
		}
		if err := s.leaveWorks(ctx, tx, work, time.Now()); err != nil {
			return err
		}
		return resolveDevices(ctx, tx, moved...)
	})
	return moved, err
}

// AssetFields returns the organisation's own fields in their order.
func (s *Store) AssetFields(ctx context.Context) ([]device.AssetField, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT key, name, kind, choices FROM asset_fields ORDER BY position, key")
	return collect(rows, err, func(row rowScanner) (device.AssetField, error) {
		var f device.AssetField
		var choices string
		if err := row.Scan(&f.Key, &f.Name, &f.Kind, &choices); err != nil {
			return f, err
		}
		return f, json.Unmarshal([]byte(choices), &f.Choices)
	})
}

// SaveAssetFields replaces the organisation's own fields. Values of fields that are gone stay
// with the devices and show again when the field comes back.
func (s *Store) SaveAssetFields(ctx context.Context, fields []device.AssetField) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM asset_fields"); err != nil {
			return err
		}
		for i, f := range fields {
			choices, err := json.Marshal(f.Choices)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO asset_fields (key, name, kind, choices, position) VALUES ($1, $2, $3, $4, $5)",
				f.Key, f.Name, string(f.Kind), string(choices), i); err != nil {
				return err
			}
		}
		return nil
	})
}

const viewColumns = "id, owner_id, name, shared, query, sort, columns, created_us"

func scanView(row rowScanner) (fleet.View, error) {
	var v fleet.View
	var columns string
	var created int64
	if err := row.Scan(&v.ID, &v.Owner, &v.Name, &v.Shared, &v.Query, &v.Sort, &columns, &created); err != nil {
		return v, err
	}
	v.CreatedAt = fromMicros(created)
	return v, json.Unmarshal([]byte(columns), &v.Columns)
}

// Views returns an operator's saved searches and those that are shared; see fleet.Store.
func (s *Store) Views(ctx context.Context, owner string) ([]fleet.View, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+viewColumns+" FROM saved_views WHERE owner_id = $1 OR shared ORDER BY lower(name), id LIMIT 1000", owner)
	return collect(rows, err, scanView)
}

// View returns one; see fleet.Store.
func (s *Store) View(ctx context.Context, id string) (fleet.View, error) {
	v, err := scanView(s.reader.QueryRowContext(ctx, "SELECT "+viewColumns+" FROM saved_views WHERE id = $1", id))
	return v, classify(err)
}

// SaveView stores a new search or replaces one; see fleet.Store.
func (s *Store) SaveView(ctx context.Context, v fleet.View) error {
	columns, err := json.Marshal(v.Columns)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, `INSERT INTO saved_views (id, owner_id, name, shared, query, sort, columns, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, shared = excluded.shared, query = excluded.query, sort = excluded.sort, columns = excluded.columns`,
		v.ID, v.Owner, v.Name, v.Shared, v.Query, v.Sort, string(columns), micros(v.CreatedAt))
	return err
}

// DeleteView forgets one; see fleet.Store.
func (s *Store) DeleteView(ctx context.Context, id string) error {
	return s.execOne(ctx, "DELETE FROM saved_views WHERE id = $1", id)
}
