package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/inventory"
)

// uploadsTogether is how many devices' uploads one transaction takes in: enough that a commit and
// the statements around it cost each little, few enough that nobody waits long.
const uploadsTogether = 64

// SaveSections stores what changed of a device's inventory; see inventory.Store. In the same
// transaction it writes down what is different from before, and that labels, the software index and
// compliance have yet to look at it. Uploads that come at once share a transaction.
func (s *Store) SaveSections(ctx context.Context, device mdm.DeviceID, rows []inventory.Row, full bool, keep []string, at time.Time) error {
	u := &upload{device: device, at: at}
	for _, r := range rows {
		if inventory.IsSoftware(r.Section) {
			u.software = append(u.software, r)
		} else {
			u.rows = append(u.rows, r)
		}
	}
	if full {
		u.full, u.keep = true, map[string]bool{}
		for _, name := range keep {
			u.keep[name] = true
		}
		for _, r := range rows {
			u.keep[r.Section] = true
		}
	}
	return s.uploads.do(ctx, u)
}

// upload is one change of a device's inventory.
type upload struct {
	device   mdm.DeviceID
	at       time.Time
	rows     []inventory.Row // but software
	software []inventory.Row
	full     bool
	keep     map[string]bool // with full: every other section goes

	changed []string // nouns
	history []chapter
}

// chapter is a row of the history; without changes: there was nothing before.
type chapter struct {
	section string
	changes []inventory.Change
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

func (s *Store) saveUploads(ctx context.Context, batch []*job[*upload]) {
	for len(batch) > 0 {
		// Those of one device follow each other.
		var now, later []*job[*upload]
		seen := make(map[mdm.DeviceID]bool, len(batch))
		for _, j := range batch {
			if seen[j.what.device] {
				later = append(later, j)
			} else {
				seen[j.what.device] = true
				now = append(now, j)
			}
		}
		s.uploads.each(now, func(some []*job[*upload]) error { return s.saveBatch(ctx, some) })
		batch = later
	}
}

// saveBatch saves uploads of different devices in one transaction.
func (s *Store) saveBatch(ctx context.Context, jobs []*job[*upload]) error {
	var software []inventory.Row
	for _, j := range jobs {
		software = append(software, j.what.software...)
	}
	for {
		found := s.rememberedBuckets(software) // others are looked for under the lock
		if some := s.piece(found.unknown); some != nil {
			if err := s.storePiece(ctx, buckets{unknown: some, since: found.since}); err != nil && !errors.Is(err, errSwept) {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		var b *uploads
		err := s.write(ctx, func(tx *sql.Tx) error {
			b = &uploads{s: s, tx: tx, buckets: found, fresh: s.newSoftware(tx), refused: map[mdm.DeviceID]error{}}
			for _, j := range jobs {
				u := *j.what // begun anew each time it is tried
				b.list = append(b.list, &u)
			}
			return b.save(ctx)
		})
		if errors.Is(err, errSwept) && ctx.Err() == nil {
			continue // sweeps are hours apart
		}
		if err != nil {
			return err
		}
		s.learnBuckets(b.fresh, found.unknown)
		for _, j := range jobs {
			j.err = b.refused[j.what.device]
		}
		return nil
	}
}

// pieceTitles is how many titles that nobody had one transaction stores: one device with a great many
// holds up nobody else for long.
const pieceTitles = 2000

// piece returns the first of the buckets where they have more new titles than one transaction
// stores; nil where they do not.
func (s *Store) piece(unknown []inventory.Row) []inventory.Row {
	all := 0
	for _, r := range unknown {
		all += len(r.Software)
	}
	if all <= pieceTitles {
		return nil
	}
	t, fresh, end := s.titles, 0, 0
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i, r := range unknown {
		for _, e := range r.Software {
			name := t.names[nameKey{string(e.Source), e.Name}]
			if name == 0 || t.ids[titleKey{name, e.Version, e.Arch, e.Package, e.Publisher, e.Scope}] == 0 {
				fresh++
			}
		}
		if fresh <= pieceTitles {
			end = i + 1
		}
	}
	if fresh <= pieceTitles {
		return nil
	}
	return unknown[:max(end, 1)]
}

// storePiece stores some buckets ahead of the uploads they belong to. Should these never be saved, the
// next sweep takes them.
func (s *Store) storePiece(ctx context.Context, some buckets) error {
	var n *newSoftware
	err := s.write(ctx, func(tx *sql.Tx) error {
		n = s.newSoftware(tx)
		return n.store(ctx, some)
	})
	if err == nil {
		s.learnBuckets(n, some.unknown)
	}
	return err
}

// uploads are uploads of different devices in their transaction.
type uploads struct {
	s       *Store
	tx      *sql.Tx
	list    []*upload
	buckets buckets
	fresh   *newSoftware
	refused map[mdm.DeviceID]error
}

func (b *uploads) save(ctx context.Context) error {
	if err := b.lock(ctx); err != nil || len(b.list) == 0 {
		return err
	}
	if err := b.makeSure(ctx); err != nil || len(b.list) == 0 {
		return err
	}
	for _, step := range []func(context.Context) error{b.saveRows, b.saveSoftware, b.saveHistory, b.leaveWork} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *uploads) ids() []mdm.DeviceID {
	ids := make([]mdm.DeviceID, len(b.list))
	for i, u := range b.list {
		ids[i] = u.device
	}
	return ids
}

// refuse leaves uploads out that are not to be saved.
func (b *uploads) refuse(why func(u *upload) error) {
	b.list = slices.DeleteFunc(b.list, func(u *upload) bool {
		err := why(u)
		if err != nil {
			b.refused[u.device] = err
		}
		return err != nil
	})
}

// lock makes two uploads of one device, by two nodes, follow each other. SQLite has one writer
// anyway.
func (b *uploads) lock(ctx context.Context) error {
	slices.SortFunc(b.list, func(a, c *upload) int { return strings.Compare(string(a.device), string(c.device)) })
	var c conditions
	in(&c, "id", b.ids())
	query := "SELECT id FROM devices" + c.where() + " ORDER BY id"
	if b.s.postgres {
		query += " FOR NO KEY UPDATE"
	}
	there := make(map[mdm.DeviceID]bool, len(b.list))
	rows, err := b.tx.QueryContext(ctx, query, c.args...)
	if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id mdm.DeviceID
		err := row.Scan(&id)
		there[id] = true
		return struct{}{}, err
	}); err != nil {
		return err
	}
	b.refuse(func(u *upload) error {
		if there[u.device] {
			return nil
		}
		return mdm.ErrNotFound
	})
	return nil
}

// makeSure stores new buckets, and makes sure that the known ones stay until this is committed:
// what no device has any more is deleted under the same lock.
func (b *uploads) makeSure(ctx context.Context) error {
	switch {
	case len(b.buckets.unknown) > 0:
		if err := b.fresh.store(ctx, b.buckets); err != nil {
			return err
		}
	case len(b.buckets.known) > 0:
		query := "SELECT swept FROM fleet_counters WHERE id = 1"
		if b.s.postgres {
			query += " FOR SHARE"
		}
		if err := b.tx.QueryRowContext(ctx, query).Scan(&b.fresh.swept); err != nil {
			return err
		}
		if b.s.titles.sweptAt(b.fresh.swept) || b.fresh.swept != b.buckets.since {
			return errSwept
		}
	}
	b.refuse(func(u *upload) error {
		for _, r := range u.software {
			if b.bucket(r) == 0 {
				return fmt.Errorf("section %s: %w: %w", r.Section, errSwept, mdm.ErrConflict)
			}
		}
		return nil
	})
	return nil
}

func (b *uploads) bucket(r inventory.Row) int64 {
	name := bucketName(r)
	if id := b.buckets.known[name]; id != 0 {
		return id
	}
	return b.fresh.buckets[name]
}

func (b *uploads) inserter(into, tail string) inserter {
	return inserter{tx: b.tx, bare: !b.s.postgres, into: into, tail: tail}
}

// sectionKey names a section of a device.
type sectionKey struct {
	device  mdm.DeviceID
	section string
}

func (b *uploads) saveRows(ctx context.Context) error {
	before, err := b.before(ctx)
	if err != nil {
		return err
	}
	ins := b.inserter("inventory_sections (device_id, section, hash, data, changed_us)",
		"ON CONFLICT (device_id, section) DO UPDATE SET hash = excluded.hash, data = excluded.data, changed_us = excluded.changed_us")
	for _, u := range b.list {
		for _, r := range u.rows {
			key := sectionKey{u.device, r.Section}
			if err := u.note(r.Section, before[key], r.Data); err != nil {
				return err
			}
			delete(before, key)
			if err := ins.add(ctx, string(u.device), r.Section, r.Hash, string(r.Data), micros(r.ChangedAt)); err != nil {
				return err
			}
		}
	}
	if err := ins.flush(ctx); err != nil || len(before) == 0 {
		return err
	}
	// What is left the devices no longer have.
	for _, u := range b.list {
		for key, data := range before {
			if key.device != u.device {
				continue
			}
			if err := u.note(key.section, data, nil); err != nil {
				return err
			}
			if _, err := b.tx.ExecContext(ctx, "DELETE FROM inventory_sections WHERE device_id = $1 AND section = $2", key.device, key.section); err != nil {
				return err
			}
		}
	}
	return nil
}

// before returns what is kept of the sections that change or go, software left out.
func (b *uploads) before(ctx context.Context) (map[sectionKey][]byte, error) {
	var c conditions
	in(&c, "device_id", b.ids())
	rows, err := b.tx.QueryContext(ctx, "SELECT device_id, section FROM inventory_sections"+c.where(), c.args...)
	have, err := collect(rows, err, func(row rowScanner) (sectionKey, error) {
		var k sectionKey
		return k, row.Scan(&k.device, &k.section)
	})
	if err != nil || len(have) == 0 {
		return nil, err
	}
	touched := map[sectionKey]bool{}
	full := map[mdm.DeviceID]*upload{}
	for _, u := range b.list {
		for _, r := range u.rows {
			touched[sectionKey{u.device, r.Section}] = true
		}
		if u.full {
			full[u.device] = u
		}
	}
	devices, sections := map[mdm.DeviceID]bool{}, map[string]bool{}
	for _, k := range have {
		if u := full[k.device]; u != nil && !u.keep[k.section] {
			touched[k] = true
		}
		if touched[k] {
			devices[k.device], sections[k.section] = true, true
		}
	}
	if len(devices) == 0 {
		return nil, nil
	}
	c = conditions{}
	in(&c, "device_id", sortedKeys(devices))
	in(&c, "section", sortedKeys(sections))
	before := map[sectionKey][]byte{}
	rows, err = b.tx.QueryContext(ctx, "SELECT device_id, section, data FROM inventory_sections"+c.where(), c.args...)
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var k sectionKey
		var data string
		err := row.Scan(&k.device, &k.section, &data)
		if touched[k] {
			before[k] = []byte(data)
		}
		return struct{}{}, err
	})
	return before, err
}

func (b *uploads) saveSoftware(ctx context.Context) error {
	var c conditions
	in(&c, "device_id", b.ids())
	have := map[mdm.DeviceID]held{}
	rows, err := b.tx.QueryContext(ctx, "SELECT device_id, buckets FROM device_software"+c.where(), c.args...)
	if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id mdm.DeviceID
		var old []byte
		if err := row.Scan(&id, &old); err != nil {
			return struct{}{}, err
		}
		var err error
		have[id], err = decodeHeld(old)
		return struct{}{}, err
	}); err != nil {
		return err
	}
	ins := b.inserter("device_software (device_id, n, buckets, indexed, changed_us)",
		"ON CONFLICT (device_id) DO UPDATE SET buckets = excluded.buckets, changed_us = excluded.changed_us")
	for _, u := range b.list {
		if len(u.software) == 0 && !u.full {
			continue
		}
		before := have[u.device]
		after := b.after(u, before)
		if after == before {
			continue
		}
		u.changed = append(u.changed, inventory.SectionSoftware)
		if err := b.noteSoftware(ctx, u, before, after); err != nil {
			return err
		}
		if err := ins.add(ctx, string(u.device), -1, after.encode(), []byte{}, micros(u.at)); err != nil {
			return err
		}
	}
	return ins.flush(ctx)
}

// after is which buckets a device has with an upload.
func (b *uploads) after(u *upload, before held) held {
	after := before
	if u.full {
		for n, id := range after {
			if id != 0 && !u.keep[inventory.SoftwareSection(n)] {
				after[n] = 0
			}
		}
	}
	for _, r := range u.software {
		after[inventory.BucketOf(r.Section)] = b.bucket(r)
	}
	return after
}

func (b *uploads) noteSoftware(ctx context.Context, u *upload, before, after held) error {
	if before == (held{}) {
		u.history = append(u.history, chapter{section: inventory.SectionSoftware})
		return nil
	}
	var changes []inventory.Change
	for n := range after {
		if before[n] == after[n] || before[n] == 0 { // the latter was never said: a first inventory comes in parts
			continue
		}
		was, err := b.s.listBucket(ctx, b.tx, before[n])
		if err != nil {
			return err
		}
		is, err := b.s.listBucket(ctx, b.tx, after[n])
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

// manySections stands in the history for the sections that an upload was the first to name; they
// are listed in the place of changes.
const manySections = "*"

func (b *uploads) saveHistory(ctx context.Context) error {
	// Twice in a microsecond only where the clock stands; the older diff leads further back.
	ins := b.inserter("inventory_history (device_id, at_us, section, diff, changes)", "ON CONFLICT (device_id, at_us, section) DO NOTHING")
	totals := make([]int, len(b.list))
	for i, u := range b.list {
		var first []string
		for _, ch := range u.history {
			if len(ch.changes) == 0 {
				first = append(first, ch.section)
				continue
			}
			totals[i] += len(ch.changes)
			diff, err := json.Marshal(ch.changes)
			if err == nil {
				err = ins.add(ctx, string(u.device), micros(u.at), ch.section, string(diff), len(ch.changes))
			}
			if err != nil {
				return err
			}
		}
		if len(first) == 0 {
			continue
		}
		section, list := first[0], ""
		if len(first) > 1 {
			text, err := json.Marshal(first)
			if err != nil {
				return err
			}
			section, list = manySections, string(text)
		}
		if err := ins.add(ctx, string(u.device), micros(u.at), section, list, 0); err != nil {
			return err
		}
	}
	if err := ins.flush(ctx); err != nil {
		return err
	}
	for i, u := range b.list {
		if err := trimHistory(ctx, b.tx, u.device, u.at, totals[i]); err != nil {
			return err
		}
	}
	return nil
}

// leaveWork has labels, the software index and compliance look at the devices.
func (b *uploads) leaveWork(ctx context.Context) error {
	work := map[mdm.DeviceID][]string{}
	var at time.Time
	for _, u := range b.list {
		if len(u.changed) > 0 {
			work[u.device] = u.changed
		}
		if u.at.After(at) {
			at = u.at
		}
	}
	return b.s.leaveWorks(ctx, b.tx, work, at)
}

// leaveWorks has labels, the software index and compliance look at devices of which the named
// sections changed.
func (s *Store) leaveWorks(ctx context.Context, tx *sql.Tx, work map[mdm.DeviceID][]string, at time.Time) error {
	if len(work) == 0 {
		return nil
	}
	ids := sortedKeys(work)
	ins := inserter{
		tx: tx, bare: !s.postgres, into: "fleet_pending (device_id, sections, rev, at_us)",
		tail: `ON CONFLICT (device_id) DO UPDATE SET rev = fleet_pending.rev + 1,
		sections = CASE WHEN length(fleet_pending.sections) > 2000 THEN '*' ELSE fleet_pending.sections || ',' || excluded.sections END`,
	}
	for _, id := range ids {
		if err := ins.add(ctx, string(id), strings.Join(work[id], ","), 1, micros(at)); err != nil {
			return err
		}
	}
	if err := ins.flush(ctx); err != nil {
		return err
	}
	return markCompliance(ctx, tx, at, ids...)
}
