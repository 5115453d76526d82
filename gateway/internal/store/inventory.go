package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/inventory"
)

func leaveWork(ctx context.Context, tx *sql.Tx, device mdm.DeviceID, sections []string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO fleet_pending (device_id, sections, rev, at_us) VALUES ($1, $2, 1, $3)
		ON CONFLICT (device_id) DO UPDATE SET rev = fleet_pending.rev + 1,
		sections = CASE WHEN length(fleet_pending.sections) > 2000 THEN '*' ELSE fleet_pending.sections || ',' || excluded.sections END`,
		device, strings.Join(sections, ","), micros(at))
	return err
}

// Sections returns a device's inventory; see inventory.Store.
func (s *Store) Sections(ctx context.Context, device mdm.DeviceID) ([]inventory.Row, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT section, hash, data, changed_us FROM inventory_sections WHERE device_id = $1 ORDER BY section", device)
	list, err := collect(rows, err, scanSection)
	if err != nil {
		return nil, err
	}
	software, err := s.softwareSections(ctx, device)
	if err != nil {
		return nil, err
	}
	list = append(list, software...)
	slices.SortFunc(list, func(a, b inventory.Row) int { return strings.Compare(a.Section, b.Section) })
	return list, nil
}

func scanSection(row rowScanner) (inventory.Row, error) {
	var r inventory.Row
	var data string
	var changed int64
	err := row.Scan(&r.Section, &r.Hash, &data, &changed)
	r.Data, r.ChangedAt = []byte(data), fromMicros(changed)
	return r, err
}

// softwareSections rebuilds the sections of software.
func (s *Store) softwareSections(ctx context.Context, device mdm.DeviceID) ([]inventory.Row, error) {
	h, at, err := s.heldBy(ctx, device)
	if err != nil {
		return nil, err
	}
	var out []inventory.Row
	for n, id := range h {
		if id == 0 {
			continue
		}
		data, err := s.listBucket(ctx, s.reader, id)
		if err != nil {
			return nil, err
		}
		out = append(out, inventory.Row{Section: inventory.SoftwareSection(n), Data: data, ChangedAt: at})
	}
	return out, nil
}

func (s *Store) heldBy(ctx context.Context, device mdm.DeviceID) (held, time.Time, error) {
	var b []byte
	var at int64
	err := s.askOftenRow(ctx, func(row rowScanner) error { return row.Scan(&b, &at) },
		"SELECT b.buckets, b.changed_us FROM device_software b JOIN devices d ON d.id = b.device_id WHERE b.device_id = $1", device)
	if errors.Is(err, sql.ErrNoRows) {
		return held{}, time.Time{}, nil
	}
	if err != nil {
		return held{}, time.Time{}, classify(err)
	}
	h, err := decodeHeld(b)
	return h, fromMicros(at), err
}

// SectionHashes returns which sections of a device are kept; see inventory.Store.
func (s *Store) SectionHashes(ctx context.Context, device mdm.DeviceID) (map[string]string, error) {
	rows, err := s.askOften(ctx, "SELECT section, hash FROM inventory_sections WHERE device_id = $1", device)
	have := map[string]string{}
	if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var section, hash string
		err := row.Scan(&section, &hash)
		have[section] = hash
		return struct{}{}, err
	}); err != nil {
		return nil, err
	}
	h, _, err := s.heldBy(ctx, device)
	if err != nil || h == (held{}) {
		return have, err
	}
	ids := slices.DeleteFunc(slices.Clone(h[:]), func(id int64) bool { return id == 0 })
	rows, err = s.reader.QueryContext(ctx, "SELECT hash FROM software_buckets WHERE id IN ("+numbers(ids)+")")
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var both string
		err := row.Scan(&both)
		section, hash, _ := strings.Cut(both, ":")
		have[section] = hash
		return struct{}{}, err
	})
	return have, err
}
