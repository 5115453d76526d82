package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/inventory"
)

const deviceColumns = `id, group_id, token_id, fingerprint, public_key, name, hostname, os, os_version, arch, agent_version,
	model, serial, signed_in, enrolled_us, last_seen_us, revoked_us, copied_us, returned_us, cpu, macs, memory_bytes, disk_bytes, encrypted,
	updates, updates_security, asset`

func scanDevice(row rowScanner) (device.Device, error) {
	var d device.Device
	var key, users, macs, asset string
	var enrolled, seen, revoked, copied, returned int64
	h := &d.Hardware
	err := row.Scan(&d.ID, &d.Group, &d.TokenID, &d.Fingerprint, &key, &d.Name, &d.Hostname, &d.OS, &d.OSVersion, &d.Arch,
		&d.AgentVersion, &d.Model, &d.Serial, &users, &enrolled, &seen, &revoked, &copied,
		&returned, &h.CPU, &macs, &h.MemoryBytes, &h.DiskBytes, &h.Encrypted, &h.Updates, &h.UpdatesSecurity, &asset)
	if err != nil {
		return d, err
	}
	if d.PublicKey, err = decodeKey(key); err != nil {
		return d, fmt.Errorf("device %s: %w", d.ID, err)
	}
	if users != "" {
		d.SignedIn = strings.Split(users, ",")
	}
	if macs != "" {
		h.MACs = strings.Split(macs, ",")
	}
	if asset != "" {
		if err := json.Unmarshal([]byte(asset), &d.Asset); err != nil {
			return d, fmt.Errorf("device %s: asset fields: %w", d.ID, err)
		}
	}
	d.ReturnedAt = fromMicros(returned)
	d.EnrolledAt, d.LastSeenAt = fromMicros(enrolled), fromMicros(seen)
	d.RevokedAt, d.CopiedAt = fromMicros(revoked), fromMicros(copied)
	return d, nil
}

func decodeKey(s string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("public key %q is damaged", s)
	}
	return b, nil
}

// Device returns one device; see device.Reader.
func (s *Store) Device(ctx context.Context, id mdm.DeviceID) (device.Device, error) {
	var d device.Device
	err := s.askOftenRow(ctx, func(row rowScanner) (err error) {
		d, err = scanDevice(row)
		return err
	}, "SELECT "+deviceColumns+" FROM devices WHERE id = $1", id)
	return d, classify(err)
}

// conditions collects the parts of a WHERE clause and their arguments.
type conditions struct {
	parts []string
	args  []any
}

// add appends a condition; each ? in it stands for the next argument.
func (c *conditions) add(part string, args ...any) {
	var b strings.Builder
	n := 0
	for _, r := range part {
		if r == '?' {
			c.args = append(c.args, args[n])
			n++
			b.WriteString("$" + strconv.Itoa(len(c.args)))
			continue
		}
		b.WriteRune(r)
	}
	c.parts = append(c.parts, b.String())
}

// in appends "column IN (…)".
func in[T ~string](c *conditions, column string, values []T) {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	c.add(column+" IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")+")", args...)
}

// last names the argument appended last.
func (c *conditions) last() string { return "$" + strconv.Itoa(len(c.args)) }

func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// contains matches a column of lower-case text that holds the word.
func (c *conditions) contains(column, word string) {
	c.add(column+` LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(word)+"%")
}

// Devices returns a page of devices; see device.Reader.
func (s *Store) Devices(ctx context.Context, f device.Filter) (device.Page, error) {
	var c conditions
	if !f.AllGroups {
		in(&c, "group_id", f.Groups)
	}
	if f.IDs != nil {
		in(&c, "id", f.IDs)
	}
	switch f.Standing {
	case device.Welcome:
		c.add("revoked_us = 0")
	case device.Revoked:
		c.add("revoked_us > 0")
	case device.Any:
	}
	if f.Copied {
		c.add("copied_us > 0")
	}
	if f.OS != "" {
		c.add("os = ?", f.OS)
	}
	for _, w := range f.Words() {
		c.contains("search", w)
	}
	order := "name_key, id"
	if f.Order == device.ByLastSeen {
		order = "last_seen_us DESC, id DESC"
	}
	if f.After != "" {
		us, key, id, err := f.ParseCursor(f.After)
		if err != nil {
			return device.Page{}, err
		}
		if f.Order == device.ByLastSeen {
			c.add("(last_seen_us, id) < (?, ?)", us, id)
		} else {
			c.add("(name_key, id) > (?, ?)", key, id)
		}
	}
	// One more than asked for tells whether there is a next page.
	query := "SELECT " + deviceColumns + " FROM devices" + c.where() + " ORDER BY " + order + " LIMIT " + strconv.Itoa(f.Limit+1)
	rows, err := s.reader.QueryContext(ctx, query, c.args...)
	list, err := collect(rows, err, scanDevice)
	if err != nil || len(list) <= f.Limit {
		return device.Page{Devices: list}, err
	}
	return device.Page{Devices: list[:f.Limit], Next: f.CursorAfter(list[f.Limit-1])}, nil
}

// CountDevices counts welcome devices; see device.Reader.
func (s *Store) CountDevices(ctx context.Context, groups []mdm.GroupID, all bool) (int64, error) {
	var c conditions
	c.add("revoked_us = 0")
	if !all {
		in(&c, "group_id", groups)
	}
	var n int64
	err := s.reader.QueryRowContext(ctx, "SELECT count(*) FROM devices"+c.where(), c.args...).Scan(&n)
	return n, classify(err)
}

// CountDevicesByGroup counts welcome devices; see device.Reader.
func (s *Store) CountDevicesByGroup(ctx context.Context) (map[mdm.GroupID]int64, error) {
	out := map[mdm.GroupID]int64{}
	rows, err := s.reader.QueryContext(ctx, "SELECT group_id, count(*) FROM devices WHERE revoked_us = 0 GROUP BY group_id")
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var g mdm.GroupID
		var n int64
		err := row.Scan(&g, &n)
		out[g] = n
		return struct{}{}, err
	})
	return out, err
}

// deviceChange is a change of one device.
type deviceChange struct {
	id     mdm.DeviceID
	change func(*device.Device) error
	result device.Device
}

// ChangeDevice changes one device in a transaction, which changes of others at the same time
// share; see device.Writer.
func (s *Store) ChangeDevice(ctx context.Context, id mdm.DeviceID, change func(*device.Device) error) (device.Device, error) {
	c := &deviceChange{id: id, change: change}
	if err := s.changes.do(ctx, c); err != nil {
		return device.Device{}, err
	}
	return c.result, nil
}

func (s *Store) changeDevices(ctx context.Context, batch []*job[*deviceChange]) {
	s.changes.each(batch, func(some []*job[*deviceChange]) error {
		return s.write(ctx, func(tx *sql.Tx) error { return s.changeTogether(ctx, tx, some) })
	})
}

func (s *Store) changeTogether(ctx context.Context, tx *sql.Tx, batch []*job[*deviceChange]) error {
	ids := make([]mdm.DeviceID, len(batch))
	for i, j := range batch {
		ids[i] = j.what.id
	}
	devices, err := s.lockDevices(ctx, tx, ids)
	if err != nil {
		return err
	}
	before := maps.Clone(devices)
	for _, j := range batch {
		d, ok := devices[j.what.id]
		if !ok {
			j.err = mdm.ErrNotFound
			continue
		}
		d.Asset, d.SignedIn, d.Hardware.MACs = maps.Clone(d.Asset), slices.Clone(d.SignedIn), slices.Clone(d.Hardware.MACs)
		if j.err = j.what.change(&d); j.err == nil && d.Group != devices[d.ID].Group {
			j.err = groupExists(ctx, tx, d.Group)
		}
		if j.err == nil {
			devices[d.ID], j.what.result = d, d
		}
	}
	return s.putChanged(ctx, tx, before, devices)
}

// lockDevices reads devices that nobody else changes meanwhile.
func (s *Store) lockDevices(ctx context.Context, tx *sql.Tx, ids []mdm.DeviceID) (map[mdm.DeviceID]device.Device, error) {
	var c conditions
	in(&c, "id", ids)
	query := "SELECT " + deviceColumns + " FROM devices" + c.where() + " ORDER BY id"
	if s.postgres {
		query += " FOR UPDATE" // SQLite has one writer
	}
	rows, err := tx.QueryContext(ctx, query, c.args...)
	list, err := collect(rows, err, scanDevice)
	out := make(map[mdm.DeviceID]device.Device, len(list))
	for _, d := range list {
		out[d.ID] = d
	}
	return out, err
}

// putChanged writes what changed of devices, and has those look at them who read it.
func (s *Store) putChanged(ctx context.Context, tx *sql.Tx, before, after map[mdm.DeviceID]device.Device) error {
	ins := inserter{tx: tx, bare: !s.postgres, into: putColumns, tail: putConflict}
	now := time.Now()
	work := map[mdm.DeviceID][]string{}
	var check, moved []mdm.DeviceID
	for _, id := range sortedKeys(after) {
		was, is := before[id], after[id]
		if reflect.DeepEqual(was, is) {
			continue
		}
		row, err := deviceRow(is)
		if err == nil {
			err = ins.add(ctx, row...)
		}
		if err != nil {
			return err
		}
		if read := changedFacts(was, is); len(read) > 0 {
			work[id] = read
		} else if was.Group != is.Group || was.IsRevoked() != is.IsRevoked() {
			check = append(check, id)
		}
		if was.Group != is.Group {
			moved = append(moved, id)
		}
	}
	if err := ins.flush(ctx); err != nil {
		return err
	}
	if err := s.leaveWorks(ctx, tx, work, now); err != nil {
		return err
	}
	if err := markCompliance(ctx, tx, now, check...); err != nil || len(moved) == 0 {
		return err
	}
	return resolveDevices(ctx, tx, moved...)
}

// changedFacts names what smart labels and the software index read of a record that changed.
func changedFacts(a, b device.Device) []string {
	var out []string
	if a.IsRevoked() != b.IsRevoked() {
		out = append(out, inventory.SectionSoftware)
	}
	if len(out) > 0 || a.Name != b.Name || a.Hostname != b.Hostname || a.OS != b.OS || a.OSVersion != b.OSVersion || a.Arch != b.Arch ||
		a.Model != b.Model || a.Serial != b.Serial || a.Group != b.Group {
		out = append(out, "device")
	}
	return out
}

func groupExists(ctx context.Context, tx *sql.Tx, id mdm.GroupID) error {
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM groups WHERE id = $1", id).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("no group %q: %w", mdm.Clean(string(id), 64), mdm.ErrInvalid)
	}
	return nil
}

const (
	putColumns = `devices (id, group_id, token_id, fingerprint, public_key, name, name_key, hostname, os, os_version,
			arch, agent_version, model, serial, signed_in, search, enrolled_us, last_seen_us, revoked_us, copied_us,
			returned_us, cpu, macs, memory_bytes, disk_bytes, encrypted, updates, updates_security, asset)`
	putConflict = `ON CONFLICT (id) DO UPDATE SET group_id = excluded.group_id, token_id = excluded.token_id, fingerprint = excluded.fingerprint,
			public_key = excluded.public_key, name = excluded.name, name_key = excluded.name_key, hostname = excluded.hostname, os = excluded.os,
			os_version = excluded.os_version, arch = excluded.arch, agent_version = excluded.agent_version, model = excluded.model,
			serial = excluded.serial, signed_in = excluded.signed_in, search = excluded.search, enrolled_us = excluded.enrolled_us,
			last_seen_us = excluded.last_seen_us, revoked_us = excluded.revoked_us, copied_us = excluded.copied_us,
			returned_us = excluded.returned_us, cpu = excluded.cpu, macs = excluded.macs, memory_bytes = excluded.memory_bytes,
			disk_bytes = excluded.disk_bytes, encrypted = excluded.encrypted, updates = excluded.updates,
			updates_security = excluded.updates_security, asset = excluded.asset`
)

// putDevice inserts or replaces one device.
func putDevice(ctx context.Context, tx *sql.Tx, d device.Device) error {
	row, err := deviceRow(d)
	if err != nil {
		return err
	}
	ins := inserter{tx: tx, into: putColumns, tail: putConflict}
	return errors.Join(ins.add(ctx, row...), ins.flush(ctx))
}

// deviceRow is a device as putColumns has it.
func deviceRow(d device.Device) ([]any, error) {
	asset := ""
	if len(d.Asset) > 0 {
		b, err := json.Marshal(d.Asset)
		if err != nil {
			return nil, err
		}
		asset = string(b)
	}
	h := d.Hardware
	return []any{
		string(d.ID), string(d.Group), d.TokenID, d.Fingerprint, base64.StdEncoding.EncodeToString(d.PublicKey), d.Name, strings.ToLower(d.Name), d.Hostname,
		d.OS, d.OSVersion, d.Arch, d.AgentVersion, d.Model, d.Serial, strings.Join(d.SignedIn, ","), d.SearchText(),
		micros(d.EnrolledAt), micros(d.LastSeenAt), micros(d.RevokedAt), micros(d.CopiedAt),
		micros(d.ReturnedAt), h.CPU, strings.Join(h.MACs, ","), h.MemoryBytes, h.DiskBytes, int64(h.Encrypted), h.Updates, h.UpdatesSecurity, asset,
	}, nil
}

// DeleteDevice forgets a device; see device.Writer.
func (s *Store) DeleteDevice(ctx context.Context, id mdm.DeviceID) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		// Its software leaves the index afterwards.
		if err := leaveWork(ctx, tx, id, []string{inventory.SectionSoftware}, time.Now()); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM devices WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return mdm.ErrNotFound
	})
}

// seenBatch is how many devices one statement dates: two parameters each, well under the
// limits of both databases.
const seenBatch = 500

// SeenDevices dates many devices; see device.Writer.
func (s *Store) SeenDevices(ctx context.Context, seen map[mdm.DeviceID]time.Time) error {
	ids := sortedKeys(seen) // every writer locks rows in the same order: no deadlocks
	return s.write(ctx, func(tx *sql.Tx) error {
		for len(ids) > 0 {
			batch := ids[:min(len(ids), seenBatch)]
			ids = ids[len(batch):]
			var values strings.Builder
			args := make([]any, 0, 2*len(batch))
			for i, id := range batch {
				if i > 0 {
					values.WriteString(", ")
				}
				fmt.Fprintf(&values, "(CAST($%d AS TEXT), CAST($%d AS BIGINT))", len(args)+1, len(args)+2)
				args = append(args, string(id), micros(seen[id]))
			}
			_, err := tx.ExecContext(ctx, `WITH seen (id, us) AS (VALUES `+values.String()+`)
				UPDATE devices SET last_seen_us = seen.us FROM seen WHERE devices.id = seen.id AND devices.last_seen_us < seen.us`, args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
