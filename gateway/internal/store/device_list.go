package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

// DeviceList returns how an operator has the list of devices; see fleet.Store.
func (s *Store) DeviceList(ctx context.Context, operator string) (fleet.Layout, error) {
	var l fleet.Layout
	var columns string
	err := s.reader.QueryRowContext(ctx, "SELECT columns, view_id FROM device_lists WHERE operator_id = $1", operator).Scan(&columns, &l.View)
	if errors.Is(err, sql.ErrNoRows) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal([]byte(columns), &l.Columns)
}

// SaveDeviceList remembers it; see fleet.Store.
func (s *Store) SaveDeviceList(ctx context.Context, operator string, l fleet.Layout) error {
	columns, err := json.Marshal(l.Columns)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, `INSERT INTO device_lists (operator_id, columns, view_id) VALUES ($1, $2, $3)
		ON CONFLICT (operator_id) DO UPDATE SET columns = excluded.columns, view_id = excluded.view_id`, operator, string(columns), l.View)
	return err
}

// KeptApart returns which suspicions somebody denied; see fleet.Store.
func (s *Store) KeptApart(ctx context.Context) (map[string]bool, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT id FROM kept_apart")
	out := map[string]bool{}
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id string
		err := row.Scan(&id)
		out[id] = true
		return struct{}{}, err
	})
	return out, err
}

// KeepApart denies a suspicion; see fleet.Store.
func (s *Store) KeepApart(ctx context.Context, id, by string, at time.Time) error {
	_, err := s.exec(ctx, "INSERT INTO kept_apart (id, by_id, at_us) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING", id, by, micros(at))
	return err
}

// SuspectAgain takes that back; see fleet.Store.
func (s *Store) SuspectAgain(ctx context.Context, id string) error {
	return s.execOne(ctx, "DELETE FROM kept_apart WHERE id = $1", id)
}

// FleetStandings returns where devices stand; see fleet.Store.
func (s *Store) FleetStandings(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]fleet.Standing, error) {
	out := make(map[mdm.DeviceID]fleet.Standing, len(ids))
	for some := range slices.Chunk(ids, 500) {
		var c conditions
		in(&c, "d.id", some)
		rows, err := s.reader.QueryContext(ctx, `SELECT d.id, COALESCE(c.overall, ''), COALESCE(w.outcome, ''), CASE WHEN w.hash <> w.reported THEN 1 ELSE 0 END,
			COALESCE((SELECT MAX(CASE f.state WHEN 'failed' THEN 3 WHEN 'conflict' THEN 2 WHEN 'drifted' THEN 1 ELSE 0 END) FROM status_faults f WHERE f.device_id = d.id), 0)
			FROM devices d LEFT JOIN compliance_devices c ON c.device_id = d.id LEFT JOIN desired w ON w.device_id = d.id`+c.where(), c.args...)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id mdm.DeviceID
			var st fleet.Standing
			var waits, fault int
			err := row.Scan(&id, &st.Compliance, &st.Outcome, &waits, &fault)
			st.Settings = []manifest.State{manifest.Applied, manifest.Drifted, manifest.Conflict, manifest.Failed}[min(max(fault, 0), 3)]
			if fault == 0 && waits == 1 {
				st.Settings = manifest.Pending
			}
			out[id] = st
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
