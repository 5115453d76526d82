package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"

	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/inventory"
)

// FleetRecords returns what searches look at of all devices, or of those named; see fleet.Store.
func (s *Store) FleetRecords(ctx context.Context, ids []mdm.DeviceID) ([]fleet.Record, error) {
	if ids != nil && len(ids) == 0 {
		return nil, nil
	}
	var out []fleet.Record
	err := s.read(ctx, func(tx *sql.Tx) error {
		var c, m conditions
		if ids != nil {
			in(&c, "id", ids)
			in(&m, "device_id", ids)
		}
		rows, err := tx.QueryContext(ctx, `SELECT id, group_id, name_key, search, os, os_version, arch, agent_version, model, serial, signed_in, cpu,
			macs, enrolled_us, last_seen_us, revoked_us, copied_us, returned_us, memory_bytes, disk_bytes, encrypted, updates, updates_security, asset
			FROM devices`+c.where(), c.args...)
		if out, err = collect(rows, err, scanRecord); err != nil {
			return err
		}
		at := make(map[mdm.DeviceID]*fleet.Record, len(out))
		for i := range out {
			at[out[i].ID] = &out[i]
		}
		rows, err = tx.QueryContext(ctx, "SELECT device_id, n FROM device_software"+m.where(), m.args...)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id mdm.DeviceID
			var n int64
			err := row.Scan(&id, &n)
			if r := at[id]; r != nil {
				r.N = n
			}
			return struct{}{}, err
		}); err != nil {
			return err
		}
		rows, err = tx.QueryContext(ctx, "SELECT device_id, label_id FROM device_labels"+m.where(), m.args...)
		_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id mdm.DeviceID
			var l mdm.LabelID
			err := row.Scan(&id, &l)
			if r := at[id]; r != nil {
				r.Labels = append(r.Labels, l)
			}
			return struct{}{}, err
		})
		return err
	})
	return out, err
}

func scanRecord(row rowScanner) (fleet.Record, error) {
	r := fleet.Record{N: -1}
	var users, macs, asset string
	err := row.Scan(&r.ID, &r.Group, &r.NameKey, &r.Search, &r.OS, &r.OSVersion, &r.Arch, &r.Agent, &r.Model, &r.Serial, &users, &r.CPU,
		&macs, &r.EnrolledUS, &r.LastSeenUS, &r.RevokedUS, &r.CopiedUS, &r.ReturnedUS, &r.MemoryBytes, &r.DiskBytes, &r.Encrypted, &r.Updates, &r.SecurityUpdates, &asset)
	if err != nil {
		return r, err
	}
	if users != "" {
		r.Users = strings.Split(users, ",")
	}
	if macs != "" {
		r.MACs = strings.Split(macs, ",")
	}
	if asset == "" {
		return r, nil
	}
	return r, json.Unmarshal([]byte(asset), &r.Asset)
}

// SeenSince returns when devices were last seen that were since a time in Unix microseconds.
func (s *Store) SeenSince(ctx context.Context, us int64) (map[mdm.DeviceID]int64, error) {
	out := map[mdm.DeviceID]int64{}
	rows, err := s.reader.QueryContext(ctx, "SELECT id, last_seen_us FROM devices WHERE last_seen_us >= $1", us)
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id mdm.DeviceID
		var at int64
		err := row.Scan(&id, &at)
		out[id] = at
		return struct{}{}, err
	})
	return out, err
}

// PendingDevices returns devices whose inventory or record changed, the longest waiting first.
func (s *Store) PendingDevices(ctx context.Context, limit int) ([]fleet.Pending, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id, sections, rev, at_us FROM fleet_pending ORDER BY at_us, device_id LIMIT $1", limit)
	return collect(rows, err, func(row rowScanner) (fleet.Pending, error) {
		var p fleet.Pending
		var sections string
		var at int64
		err := row.Scan(&p.Device, &sections, &p.Rev, &at)
		p.Sections, p.At = strings.Split(sections, ","), fromMicros(at)
		return p, err
	})
}

// PendingDone forgets pending devices that did not change again meanwhile.
func (s *Store) PendingDone(ctx context.Context, done []fleet.Pending) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for some := range slices.Chunk(done, 200) {
			var b strings.Builder
			var c conditions
			for i, p := range some {
				if i > 0 {
					b.WriteString(" OR ")
				}
				b.WriteString("device_id = ? AND rev = ?")
				c.args = append(c.args, p.Device, p.Rev)
			}
			args := c.args
			c.args = nil
			c.add("("+b.String()+")", args...)
			if _, err := tx.ExecContext(ctx, "DELETE FROM fleet_pending"+c.where(), c.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// DevicesAfter returns welcome devices by id, those behind after, at most limit.
func (s *Store) DevicesAfter(ctx context.Context, after mdm.DeviceID, limit int) ([]device.Device, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+deviceColumns+" FROM devices WHERE id > $1 AND revoked_us = 0 ORDER BY id LIMIT $2", after, limit)
	return collect(rows, err, scanDevice)
}

// DevicesByID returns those of the devices that are welcome; at most 1000.
func (s *Store) DevicesByID(ctx context.Context, ids []mdm.DeviceID) ([]device.Device, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var c conditions
	in(&c, "id", ids)
	c.add("revoked_us = 0")
	rows, err := s.reader.QueryContext(ctx, "SELECT "+deviceColumns+" FROM devices"+c.where()+" ORDER BY id", c.args...)
	return collect(rows, err, scanDevice)
}

// SectionsOf returns sections of devices, software left out; names nil is all. At most 1000
// devices.
func (s *Store) SectionsOf(ctx context.Context, ids []mdm.DeviceID, names []string) (map[mdm.DeviceID][]inventory.Row, error) {
	out := make(map[mdm.DeviceID][]inventory.Row, len(ids))
	if len(ids) == 0 || names != nil && len(names) == 0 {
		return out, nil
	}
	var c conditions
	in(&c, "device_id", ids)
	if names != nil {
		in(&c, "section", names)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT section, hash, data, changed_us, device_id FROM inventory_sections"+c.where(), c.args...)
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id mdm.DeviceID
		r, err := scanSection(scanMore{row, []any{&id}})
		out[id] = append(out[id], r)
		return struct{}{}, err
	})
	return out, err
}

// DeviceLabelNames returns the names of the labels that devices carry, by name; devices without
// are left out. At most 1000 devices.
func (s *Store) DeviceLabelNames(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID][]string, error) {
	out := map[mdm.DeviceID][]string{}
	if len(ids) == 0 {
		return out, nil
	}
	var c conditions
	in(&c, "device_id", ids)
	rows, err := s.reader.QueryContext(ctx, "SELECT m.device_id, l.name FROM device_labels m JOIN labels l ON l.id = m.label_id"+c.where()+" ORDER BY l.name_key", c.args...)
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id mdm.DeviceID
		var name string
		err := row.Scan(&id, &name)
		out[id] = append(out[id], name)
		return struct{}{}, err
	})
	return out, err
}

// SoftwareVersions returns the versions of the named packages (nil: of all) that are installed on
// devices, whatever their source. A device that never reported software is left out; one that has
// none of them has an empty map. It reads only the buckets those names are in.
func (s *Store) SoftwareVersions(ctx context.Context, ids []mdm.DeviceID, names []string) (map[mdm.DeviceID]map[string][]string, error) {
	out := make(map[mdm.DeviceID]map[string][]string, len(ids))
	holds := make(map[mdm.DeviceID]held, len(ids))
	var numbers []int
	for _, n := range names {
		numbers = append(numbers, inventory.SoftwareBucket(n))
	}
	for n := range inventory.SoftwareBuckets {
		if names == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	var buckets []int64
	for some := range slices.Chunk(ids, 500) {
		var c conditions
		in(&c, "device_id", some)
		rows, err := s.reader.QueryContext(ctx, "SELECT device_id, buckets FROM device_software"+c.where(), c.args...)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id mdm.DeviceID
			var b []byte
			if err := row.Scan(&id, &b); err != nil {
				return struct{}{}, err
			}
			h, err := decodeHeld(b)
			holds[id] = h
			for _, n := range numbers {
				buckets = append(buckets, h[n])
			}
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	slices.Sort(buckets)
	found, err := s.versionsIn(ctx, slices.Compact(buckets), names)
	if err != nil {
		return nil, err
	}
	for id, h := range holds {
		has := map[string][]string{}
		for _, n := range numbers {
			for name, versions := range found[h[n]] {
				has[name] = versions
			}
		}
		out[id] = has
	}
	return out, nil
}

// versionsIn returns what buckets hold of the named packages: bucket to name to versions.
func (s *Store) versionsIn(ctx context.Context, buckets []int64, names []string) (map[int64]map[string][]string, error) {
	content, err := s.bucketTitles(ctx, s.reader, buckets)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, t := range content {
		ids = append(ids, t...)
	}
	slices.Sort(ids)
	titles, err := s.titlesOf(ctx, s.reader, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	out := map[int64]map[string][]string{}
	for bucket, ids := range content {
		for _, id := range ids {
			t := titles[id]
			if names != nil && !slices.Contains(names, t.Name) {
				continue
			}
			if out[bucket] == nil {
				out[bucket] = map[string][]string{}
			}
			if !slices.Contains(out[bucket][t.Name], t.Version) {
				out[bucket][t.Name] = append(out[bucket][t.Name], t.Version)
			}
		}
	}
	return out, nil
}

// SettingFaults returns the devices on which a setting is in a state that is a fault, or in any
// ("").
func (s *Store) SettingFaults(ctx context.Context, setting, state string) ([]mdm.DeviceID, error) {
	var c conditions
	c.add("setting_id = ?", setting)
	if state != "" {
		c.add("state = ?", state)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id FROM status_faults"+c.where(), c.args...)
	return collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
		var id mdm.DeviceID
		return id, row.Scan(&id)
	})
}
