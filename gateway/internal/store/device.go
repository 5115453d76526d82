package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	d, err := scanDevice(s.reader.QueryRowContext(ctx, "SELECT "+deviceColumns+" FROM devices WHERE id = $1", id))
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

// ChangeDevice changes one device in a transaction; see device.Writer.
func (s *Store) ChangeDevice(ctx context.Context, id mdm.DeviceID, change func(*device.Device) error) (device.Device, error) {
	var d device.Device
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		// The update that changes nothing locks the row, on both databases alike.
		d, err = scanDevice(tx.QueryRowContext(ctx, "UPDATE devices SET id = id WHERE id = $1 RETURNING "+deviceColumns, id))
		if err != nil {
			return err
		}
		group, before := d.Group, d
		if err := change(&d); err != nil {
			return err
		}
		if d.Group != group {
			if err := groupExists(ctx, tx, d.Group); err != nil {
				return err
			}
		}
		if err := putDevice(ctx, tx, d); err != nil {
			return err
		}
		read := changedFacts(before, d)
		if len(read) > 0 {
			if err := leaveWork(ctx, tx, id, read, time.Now()); err != nil {
				return err
			}
		}
		if len(read) > 0 || d.Group != group || d.IsRevoked() != before.IsRevoked() {
			if err := markCompliance(ctx, tx, time.Now(), id); err != nil {
				return err
			}
		}
		if d.Group == group {
			return nil
		}
		return resolveDevices(ctx, tx, id)
	})
	return d, err
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

// putDevice inserts or replaces one device.
func putDevice(ctx context.Context, tx *sql.Tx, d device.Device) error {
	asset := ""
	if len(d.Asset) > 0 {
		b, err := json.Marshal(d.Asset)
		if err != nil {
			return err
		}
		asset = string(b)
	}
	h := d.Hardware
	_, err := tx.ExecContext(ctx, `INSERT INTO devices (id, group_id, token_id, fingerprint, public_key, name, name_key, hostname, os, os_version,
			arch, agent_version, model, serial, signed_in, search, enrolled_us, last_seen_us, revoked_us, copied_us,
			returned_us, cpu, macs, memory_bytes, disk_bytes, encrypted, updates, updates_security, asset)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)
		ON CONFLICT (id) DO UPDATE SET group_id = excluded.group_id, token_id = excluded.token_id, fingerprint = excluded.fingerprint,
			public_key = excluded.public_key, name = excluded.name, name_key = excluded.name_key, hostname = excluded.hostname, os = excluded.os,
			os_version = excluded.os_version, arch = excluded.arch, agent_version = excluded.agent_version, model = excluded.model,
			serial = excluded.serial, signed_in = excluded.signed_in, search = excluded.search, enrolled_us = excluded.enrolled_us,
			last_seen_us = excluded.last_seen_us, revoked_us = excluded.revoked_us, copied_us = excluded.copied_us,
			returned_us = excluded.returned_us, cpu = excluded.cpu, macs = excluded.macs, memory_bytes = excluded.memory_bytes,
			disk_bytes = excluded.disk_bytes, encrypted = excluded.encrypted, updates = excluded.updates,
			updates_security = excluded.updates_security, asset = excluded.asset`,
		d.ID, d.Group, d.TokenID, d.Fingerprint, base64.StdEncoding.EncodeToString(d.PublicKey), d.Name, strings.ToLower(d.Name), d.Hostname,
		d.OS, d.OSVersion, d.Arch, d.AgentVersion, d.Model, d.Serial, strings.Join(d.SignedIn, ","), d.SearchText(),
		micros(d.EnrolledAt), micros(d.LastSeenAt), micros(d.RevokedAt), micros(d.CopiedAt),
		micros(d.ReturnedAt), h.CPU, strings.Join(h.MACs, ","), h.MemoryBytes, h.DiskBytes, int64(h.Encrypted), h.Updates, h.UpdatesSecurity, asset)
	return err
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
