package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/inventory"
)

// SaveSections stores what changed of a device's inventory; see inventory.Store. In the same
// transaction it writes down what is different from before, and that labels and the software
// index have yet to look at it.
func (s *Store) SaveSections(ctx context.Context, device mdm.DeviceID, rows []inventory.Row, full bool, keep []string, at time.Time) error {
	buckets, err := s.internBuckets(ctx, rows)
	if err != nil {
		return err
	}
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
		u := upload{s: s, tx: tx, device: device, at: at}
		for _, r := range rows {
			if inventory.IsSoftware(r.Section) {
				u.software = append(u.software, r.Section)
			} else {
				u.rows = append(u.rows, r)
			}
		}
		if full {
			for _, r := range rows {
				keep = append(keep, r.Section)
			}
			u.full, u.keep = true, keep
		}
		if err := u.saveRows(ctx); err != nil {
			return err
		}
		if err := u.saveSoftware(ctx, buckets); err != nil {
			return err
		}
		if err := u.saveHistory(ctx); err != nil {
			return err
		}
		return u.leaveWork(ctx)
	})
}

// upload is one change of a device's inventory in its transaction.
type upload struct {
	s        *Store
	tx       *sql.Tx
	device   mdm.DeviceID
	at       time.Time
	rows     []inventory.Row // but software
	software []string        // its sections
	full     bool
	keep     []string // with full: every other section goes

	changed []string // nouns
	history []chapter
}

// chapter is a row of the history; without changes: there was nothing before.
type chapter struct {
	section string
	changes []inventory.Change
}

func (u *upload) saveRows(ctx context.Context) error {
	before, err := u.before(ctx)
	if err != nil {
		return err
	}
	ins := inserter{
		tx: u.tx, into: "inventory_sections (device_id, section, hash, data, changed_us)",
		tail: "ON CONFLICT (device_id, section) DO UPDATE SET hash = excluded.hash, data = excluded.data, changed_us = excluded.changed_us",
	}
	for _, r := range u.rows {
		if err := u.note(r.Section, before[r.Section], r.Data); err != nil {
			return err
		}
		delete(before, r.Section)
		if err := ins.add(ctx, u.device, r.Section, r.Hash, string(r.Data), micros(r.ChangedAt)); err != nil {
			return err
		}
	}
	if err := ins.flush(ctx); err != nil || !u.full {
		return err
	}
	for section, data := range before {
		if slices.Contains(u.keep, section) {
			continue
		}
		if err := u.note(section, data, nil); err != nil {
			return err
		}
		if _, err := u.tx.ExecContext(ctx, "DELETE FROM inventory_sections WHERE device_id = $1 AND section = $2", u.device, section); err != nil {
			return err
		}
	}
	return nil
}

// before returns what is kept of the sections that may change, software left out.
func (u *upload) before(ctx context.Context) (map[string][]byte, error) {
	var c conditions
	c.add("device_id = ?", u.device)
	if !u.full {
		if len(u.rows) == 0 {
			return nil, nil
		}
		names := make([]string, len(u.rows))
		for i, r := range u.rows {
			names[i] = r.Section
		}
		in(&c, "section", names)
	}
	rows, err := u.tx.QueryContext(ctx, "SELECT section, data FROM inventory_sections"+c.where(), c.args...)
	before := map[string][]byte{}
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var section, data string
		err := row.Scan(&section, &data)
		before[section] = []byte(data)
		return struct{}{}, err
	})
	return before, err
}

// note writes down how a section changed.
func (u *upload) note(section string, before, after []byte) error {
	u.changed = append(u.changed, section)
	if before == nil {
		u.history = append(u.history, chapter{section: section})
		return nil
	}
	changes, err := inventory.Diff(section, before, after)
	if len(changes) > 0 {
		u.history = append(u.history, chapter{section, changes})
	}
	return err
}

func (u *upload) saveSoftware(ctx context.Context, buckets map[string]int64) error {
	if len(u.software) == 0 && !u.full {
		return nil
	}
	var old []byte
	err := u.tx.QueryRowContext(ctx, "SELECT buckets FROM device_software WHERE device_id = $1", u.device).Scan(&old)
	first := errors.Is(err, sql.ErrNoRows)
	if err != nil && !first {
		return err
	}
	before, err := decodeHeld(old)
	if err != nil {
		return err
	}
	after := before
	for n := range after {
		if section := inventory.SoftwareSection(n); u.full && !slices.Contains(u.keep, section) {
			after[n] = 0
		} else if id := buckets[section]; id != 0 {
			after[n] = id
		}
	}
	if after == before {
		return nil
	}
	u.changed = append(u.changed, inventory.SectionSoftware)
	if err := u.noteSoftware(ctx, before, after); err != nil {
		return err
	}
	_, err = u.tx.ExecContext(ctx, `INSERT INTO device_software (device_id, n, buckets, indexed, changed_us) VALUES ($1, -1, $2, $3, $4)
		ON CONFLICT (device_id) DO UPDATE SET buckets = excluded.buckets, changed_us = excluded.changed_us`, u.device, after.encode(), []byte{}, micros(u.at))
	return err
}

func (u *upload) noteSoftware(ctx context.Context, before, after held) error {
	if before == (held{}) {
		u.history = append(u.history, chapter{section: inventory.SectionSoftware})
		return nil
	}
	var changes []inventory.Change
	for n := range after {
		if before[n] == after[n] || before[n] == 0 { // the latter was never said: a first inventory comes in parts
			continue
		}
		was, err := u.s.listBucket(ctx, u.tx, before[n])
		if err != nil {
			return err
		}
		is, err := u.s.listBucket(ctx, u.tx, after[n])
		if err != nil {
			return err
		}
		// A bucket that is not there and one that is empty are the same here.
		some, err := inventory.Diff(inventory.SectionSoftware, orNone(was), orNone(is))
		if err != nil {
			return err
		}
		changes = append(changes, some...)
	}
	if len(changes) > 0 {
		u.history = append(u.history, chapter{inventory.SectionSoftware, changes})
	}
	return nil
}

func orNone(list []byte) []byte {
	if list == nil {
		return []byte("[]")
	}
	return list
}

func (u *upload) saveHistory(ctx context.Context) error {
	ins := inserter{
		tx: u.tx, into: "inventory_history (device_id, at_us, section, diff, changes)",
		// Twice in a microsecond only where the clock stands; the older diff leads further back.
		tail: "ON CONFLICT (device_id, at_us, section) DO NOTHING",
	}
	total := 0
	for _, ch := range u.history {
		diff := ""
		if len(ch.changes) > 0 {
			b, err := json.Marshal(ch.changes)
			if err != nil {
				return err
			}
			diff = string(b)
		}
		total += len(ch.changes)
		if err := ins.add(ctx, u.device, micros(u.at), ch.section, diff, len(ch.changes)); err != nil {
			return err
		}
	}
	if err := ins.flush(ctx); err != nil {
		return err
	}
	return u.trimHistory(ctx, total)
}

// leaveWork has labels, the software index and compliance look at the device.
func (u *upload) leaveWork(ctx context.Context) error {
	if len(u.changed) == 0 {
		return nil
	}
	if err := leaveWork(ctx, u.tx, u.device, u.changed, u.at); err != nil {
		return err
	}
	return markCompliance(ctx, u.tx, u.at, u.device)
}

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
	err := s.reader.QueryRowContext(ctx, "SELECT b.buckets, b.changed_us FROM device_software b JOIN devices d ON d.id = b.device_id WHERE b.device_id = $1", device).Scan(&b, &at)
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
	rows, err := s.reader.QueryContext(ctx, "SELECT section, hash FROM inventory_sections WHERE device_id = $1", device)
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
