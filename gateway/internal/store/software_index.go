package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/inventory"
)

// A chunk of the index is a set of chunkSize devices: few as a list, many as a bit each.
const (
	chunkSize  = 1 << 14
	chunkList  = 0 // then 2 bytes a device, little endian, ascending
	chunkBits  = 1 // then chunkSize bits
	chunkBytes = chunkSize / 8
	listMost   = chunkBytes / 2
)

var errChunk = errors.New("a part of the software index is damaged")

// chunk is a decoded chunk.
type chunk [chunkSize / 64]uint64

func (c *chunk) decode(b []byte) error {
	*c = chunk{}
	if len(b) == 0 {
		return nil
	}
	switch {
	case b[0] == chunkList && len(b)%2 == 1:
		for i := 1; i < len(b); i += 2 {
			n := binary.LittleEndian.Uint16(b[i:])
			if n >= chunkSize {
				return errChunk
			}
			c[n>>6] |= 1 << (n & 63)
		}
	case b[0] == chunkBits && len(b) == 1+chunkBytes:
		for i := range c {
			c[i] = binary.LittleEndian.Uint64(b[1+8*i:])
		}
	default:
		return errChunk
	}
	return nil
}

// encode returns the shorter form; nil for the empty set.
func (c *chunk) encode() []byte {
	n := fleet.Set(c[:]).Len()
	switch {
	case n == 0:
		return nil
	case n <= listMost:
		out := make([]byte, 1, 1+2*n)
		for i, w := range c {
			for ; w != 0; w &= w - 1 {
				out = binary.LittleEndian.AppendUint16(out, uint16(64*i+bits.TrailingZeros64(w))) //nolint:gosec // below chunkSize
			}
		}
		return out
	}
	out := make([]byte, 1, 1+chunkBytes)
	out[0] = chunkBits
	for _, w := range c {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// Bounds of what one transaction does to the index: SQLite has one writer, and whoever else
// writes waits for as long as it takes, which is about a tenth of a second.
const (
	indexRows  = 3000    // of title_devices; a bucket or two more, that is at most twice maxBucket
	indexFlips = 400_000 // devices that come to a title or leave it
	indexAhead = 256     // steps of which the content is read at once
)

// IndexSoftware brings the index up to date for devices, in as many transactions as that takes;
// see fleet.Store. What is done is written down bucket by bucket with the index itself, so that
// whoever is killed on the way, or fails, is followed by one that does the rest.
func (s *Store) IndexSoftware(ctx context.Context, ids []mdm.DeviceID) error {
	left := slices.Compact(slices.Sorted(slices.Values(ids)))
	for len(left) > 0 {
		var err error
		if left, err = s.indexSome(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// indexSome does what fits into one transaction, and returns the devices that are not done with.
func (s *Store) indexSome(ctx context.Context, ids []mdm.DeviceID) ([]mdm.DeviceID, error) {
	var left []mdm.DeviceID
	err := s.write(ctx, func(tx *sql.Tx) error {
		x := softwareIndex{s: s, tx: tx, flips: map[place]*flip{}, titles: map[int64]int64{}, names: map[int64]int64{}}
		// A row of its own, so that uploads with new software do not wait for the index.
		if _, err := tx.ExecContext(ctx, `INSERT INTO fleet_counters (id, next_title, next_name, next_bucket, next_n)
			SELECT 2, 0, 0, 0, next_n FROM fleet_counters WHERE id = 1 ON CONFLICT (id) DO NOTHING`); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "UPDATE fleet_counters SET id = id WHERE id = 2 RETURNING next_n").Scan(&x.next); err != nil {
			return err
		}
		first := x.next
		entries, err := x.entries(ctx, ids)
		if err != nil {
			return err
		}
		if err := x.gather(ctx, entries); err != nil {
			return err
		}
		if left, err = x.note(ctx, entries); err != nil {
			return err
		}
		if err := x.apply(ctx); err != nil {
			return err
		}
		if x.next == first {
			return nil
		}
		_, err = tx.ExecContext(ctx, "UPDATE fleet_counters SET next_n = $1 WHERE id = 2", x.next)
		return err
	})
	return left, err
}

// place is a chunk of a title.
type place struct{ title, chunk int64 }

// flip is what comes and goes in a chunk.
type flip struct{ on, off []uint16 }

type softwareIndex struct {
	s      *Store
	tx     *sql.Tx
	next   int64 // the next free n
	flips  map[place]*flip
	bits   int             // in flips
	titles map[int64]int64 // title to how many devices more
	names  map[int64]int64
}

// full reports whether a transaction has enough to do.
func (x *softwareIndex) full() bool { return len(x.flips) >= indexRows || x.bits >= indexFlips }

// indexEntry is a row of device_software.
type indexEntry struct {
	device          mdm.DeviceID
	n               int64
	wanted, indexed held
	now             held // what the index has of it when the transaction ends
	gone            bool
}

// entries reads the rows of devices; a device without software has none.
func (x *softwareIndex) entries(ctx context.Context, ids []mdm.DeviceID) ([]indexEntry, error) {
	var out []indexEntry
	for some := range slices.Chunk(ids, 500) {
		var c conditions
		in(&c, "b.device_id", some)
		rows, err := x.tx.QueryContext(ctx, `SELECT b.device_id, b.n, b.buckets, b.indexed, CASE WHEN d.id IS NULL OR d.revoked_us > 0 THEN 1 ELSE 0 END,
			CASE WHEN d.id IS NULL THEN 1 ELSE 0 END FROM device_software b LEFT JOIN devices d ON d.id = b.device_id`+c.where(), c.args...)
		list, err := collect(rows, err, scanIndexEntry)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// step is one bucket of one device.
type step struct {
	entry  *indexEntry
	bucket int
}

// gather collects flips until there is enough to do. It goes bucket by bucket through all devices,
// since what devices have in common is in the same buckets: a row of title_devices is then
// written once for all of them, not once for the few that a transaction would take whole.
func (x *softwareIndex) gather(ctx context.Context, entries []indexEntry) error {
	var steps []step
	for b := range inventory.SoftwareBuckets {
		for i := range entries {
			if e := &entries[i]; e.wanted[b] != e.now[b] {
				steps = append(steps, step{e, b})
			}
		}
	}
	for some := range slices.Chunk(steps, indexAhead) {
		content, err := x.content(ctx, some)
		if err != nil {
			return err
		}
		for _, st := range some {
			if x.full() {
				return nil
			}
			e, b := st.entry, st.bucket
			if e.n < 0 {
				e.n = x.next
				x.next++
			}
			x.compare(e.n, content.titles[e.now[b]], content.titles[e.wanted[b]], content.name)
			e.now[b] = e.wanted[b]
		}
	}
	return nil
}

// note writes what the index will hold of each device, and returns those it will not hold whole.
func (x *softwareIndex) note(ctx context.Context, entries []indexEntry) ([]mdm.DeviceID, error) {
	var left []mdm.DeviceID
	for _, e := range entries {
		whole := e.now == e.wanted
		if !whole {
			left = append(left, e.device)
		}
		var err error
		if e.gone && whole {
			_, err = x.tx.ExecContext(ctx, "DELETE FROM device_software WHERE device_id = $1", e.device)
		} else if e.now != e.indexed {
			_, err = x.tx.ExecContext(ctx, "UPDATE device_software SET n = $2, indexed = $3 WHERE device_id = $1", e.device, e.n, e.now.encode())
		}
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}

func scanIndexEntry(row rowScanner) (indexEntry, error) {
	var e indexEntry
	var wanted, indexed []byte
	var away, gone int
	err := row.Scan(&e.device, &e.n, &wanted, &indexed, &away, &gone)
	if err != nil {
		return e, err
	}
	if e.wanted, err = decodeHeld(wanted); err != nil {
		return e, fmt.Errorf("device %s: %w", e.device, err)
	}
	if e.indexed, err = decodeHeld(indexed); err != nil {
		return e, fmt.Errorf("device %s: %w", e.device, err)
	}
	e.now = e.indexed
	e.gone = gone == 1
	if away == 1 {
		e.wanted = held{}
	}
	return e, nil
}

// bucketContent is what is in buckets, and which name each title has.
type bucketContent struct {
	titles map[int64][]int64
	name   map[int64]int64
}

func (x *softwareIndex) content(ctx context.Context, steps []step) (bucketContent, error) {
	buckets := make([]int64, 0, 2*len(steps))
	for _, st := range steps {
		buckets = append(buckets, st.entry.wanted[st.bucket], st.entry.now[st.bucket])
	}
	slices.Sort(buckets)
	titles, err := x.s.bucketTitles(ctx, x.tx, slices.Compact(buckets))
	if err != nil {
		return bucketContent{}, err
	}
	var ids []int64
	for _, t := range titles {
		ids = append(ids, t...)
	}
	slices.Sort(ids)
	name, err := x.s.namesOf(ctx, x.tx, slices.Compact(ids))
	return bucketContent{titles, name}, err
}

// compare collects what changes when a device has one bucket's titles for another's.
func (x *softwareIndex) compare(n int64, before, after []int64, name map[int64]int64) {
	chunk, bit := n/chunkSize, uint16(n%chunkSize) //nolint:gosec // n is not negative where buckets differ
	had, has := map[int64]bool{}, map[int64]bool{}
	for _, t := range before {
		had[name[t]] = true
		if _, both := slices.BinarySearch(after, t); !both {
			x.titles[t]--
			x.bits++
			f := x.flip(place{t, chunk})
			f.off = append(f.off, bit)
		}
	}
	for _, t := range after {
		has[name[t]] = true
		if _, both := slices.BinarySearch(before, t); !both {
			x.titles[t]++
			x.bits++
			f := x.flip(place{t, chunk})
			f.on = append(f.on, bit)
		}
	}
	for id := range had {
		if !has[id] {
			x.names[id]--
		}
	}
	for id := range has {
		if !had[id] {
			x.names[id]++
		}
	}
}

func (x *softwareIndex) flip(p place) *flip {
	f := x.flips[p]
	if f == nil {
		f = &flip{}
		x.flips[p] = f
	}
	return f
}

// apply writes the flips, and the counts that follow.
func (x *softwareIndex) apply(ctx context.Context) error {
	byChunk := map[int64][]int64{}
	for p := range x.flips {
		byChunk[p.chunk] = append(byChunk[p.chunk], p.title)
	}
	ins := inserter{tx: x.tx, bare: !x.s.postgres, into: "title_devices (title_id, chunk, bits)", tail: "ON CONFLICT (title_id, chunk) DO UPDATE SET bits = excluded.bits"}
	for _, n := range slices.Sorted(maps.Keys(byChunk)) {
		titles := byChunk[n]
		slices.Sort(titles)
		for some := range slices.Chunk(titles, 1000) {
			if err := x.applyChunk(ctx, n, some, &ins); err != nil {
				return err
			}
		}
	}
	if err := ins.flush(ctx); err != nil {
		return err
	}
	if err := x.count(ctx, "software_titles", x.titles); err != nil {
		return err
	}
	return x.count(ctx, "software_names", x.names)
}

func (x *softwareIndex) applyChunk(ctx context.Context, n int64, titles []int64, ins *inserter) error {
	rows, err := x.tx.QueryContext(ctx, "SELECT title_id, bits FROM title_devices WHERE chunk = $1 AND title_id IN ("+numbers(titles)+")", n)
	have := make(map[int64][]byte, len(titles))
	if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id int64
		var b []byte
		err := row.Scan(&id, &b)
		have[id] = b
		return struct{}{}, err
	}); err != nil {
		return err
	}
	var empty []int64
	for _, t := range titles {
		var c chunk
		if err := c.decode(have[t]); err != nil {
			return fmt.Errorf("title %d: %w", t, err)
		}
		f := x.flips[place{t, n}]
		for _, bit := range f.on {
			c[bit>>6] |= 1 << (bit & 63)
		}
		for _, bit := range f.off {
			c[bit>>6] &^= 1 << (bit & 63)
		}
		b := c.encode()
		if b == nil {
			empty = append(empty, t)
			continue
		}
		if err := ins.add(ctx, t, n, b); err != nil {
			return err
		}
	}
	if len(empty) == 0 {
		return nil
	}
	_, err = x.tx.ExecContext(ctx, "DELETE FROM title_devices WHERE chunk = $1 AND title_id IN ("+numbers(empty)+")", n)
	return err
}

// count adds to the devices columns of a table.
func (x *softwareIndex) count(ctx context.Context, table string, by map[int64]int64) error {
	maps.DeleteFunc(by, func(_, d int64) bool { return d == 0 })
	if !x.s.postgres { // a statement costs no way to a server here, and the join below no index
		add, err := x.tx.PrepareContext(ctx, "UPDATE "+table+" SET devices = devices + $2 WHERE id = $1")
		if err != nil {
			return err
		}
		defer add.Close()
		for _, id := range slices.Sorted(maps.Keys(by)) {
			if _, err := add.ExecContext(ctx, id, by[id]); err != nil {
				return err
			}
		}
		return nil
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(by)), 500) {
		var b strings.Builder
		for i, id := range some {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "(%d, %d)", id, by[id])
		}
		if _, err := x.tx.ExecContext(ctx, "WITH more (id, d) AS (VALUES "+b.String()+") UPDATE "+table+" SET devices = devices + more.d FROM more WHERE "+table+".id = more.id"); err != nil {
			return err
		}
	}
	return nil
}

// namesOf returns which name each title has.
func (s *Store) namesOf(ctx context.Context, q querier, ids []int64) (map[int64]int64, error) {
	out := make(map[int64]int64, len(ids))
	var missing []int64
	s.titles.mu.RLock()
	for _, id := range ids {
		if n := s.titles.nameOf[id]; n != 0 {
			out[id] = n
		} else {
			missing = append(missing, id)
		}
	}
	since := s.titles.swept
	s.titles.mu.RUnlock()
	for some := range slices.Chunk(missing, 1000) {
		rows, err := q.QueryContext(ctx, "SELECT id, name_id FROM software_titles WHERE id IN ("+numbers(some)+")")
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id, name int64
			err := row.Scan(&id, &name)
			out[id] = name
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	s.titles.learn(since, func() {
		for _, id := range missing {
			s.titles.nameOf[id] = out[id]
		}
	})
	return out, nil
}

// maxTitlesAsked bounds the versions one search looks through.
const maxTitlesAsked = 5000

// SoftwareSet finds devices by software; see fleet.Store.
func (s *Store) SoftwareSet(ctx context.Context, name string, wanted func(version string) bool) (fleet.Set, error) {
	var c conditions
	if before, _, many := strings.Cut(strings.ToLower(name), "*"); many {
		if !s.postgres && before != "" { // by bytes, so that the index serves; PostgreSQL's order may be another
			c.add("n.name_key >= ? AND n.name_key < ?", before, before+string(utf8.MaxRune))
		}
		c.add(`n.name_key LIKE ? ESCAPE '\'`, strings.ReplaceAll(likeEscaper.Replace(strings.ToLower(name)), "*", "%"))
	} else {
		c.add("n.name_key = ?", strings.ToLower(name))
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT t.id, t.version FROM software_names n JOIN software_titles t ON t.name_id = n.id"+c.where()+
		" AND t.devices > 0 LIMIT 20000", c.args...)
	var ids []int64
	if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id int64
		var version string
		err := row.Scan(&id, &version)
		if wanted(version) {
			ids = append(ids, id)
		}
		return struct{}{}, err
	}); err != nil {
		return nil, err
	}
	if len(ids) > maxTitlesAsked {
		return nil, fmt.Errorf("%q is %d kinds of software, at most %d: %w", mdm.Clean(name, 64), len(ids), maxTitlesAsked, mdm.ErrInvalid)
	}
	return s.titleSet(ctx, ids)
}

// titleSet returns the devices that have any of the titles.
func (s *Store) titleSet(ctx context.Context, ids []int64) (fleet.Set, error) {
	out := fleet.Set{}
	for some := range slices.Chunk(ids, 500) {
		rows, err := s.reader.QueryContext(ctx, "SELECT chunk, bits FROM title_devices WHERE title_id IN ("+numbers(some)+")")
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var n int64
			var b []byte
			var c chunk
			if err := row.Scan(&n, &b); err != nil {
				return struct{}{}, err
			}
			if err := c.decode(b); err != nil {
				return struct{}{}, err
			}
			words := int(n) * len(c)
			for len(out) < words+len(c) {
				out = append(out, 0)
			}
			for i, w := range c {
				out[words+i] |= w
			}
			return struct{}{}, nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// versionCount counts the versions that any device has of a row of software_names.
const versionCount = "(SELECT COUNT(DISTINCT t.version) FROM software_titles t WHERE t.name_id = software_names.id AND t.devices > 0)"

// SoftwareNames returns a page of software by name; see fleet.Store.
func (s *Store) SoftwareNames(ctx context.Context, f fleet.SoftwareFilter) ([]fleet.SoftwareName, error) {
	var c conditions
	c.add("devices > 0")
	if f.Source != "" {
		c.add("source = ?", f.Source)
	}
	for _, w := range strings.Fields(strings.ToLower(mdm.Clean(f.Query, device.MaxQuery))) {
		c.contains("name_key", w)
	}
	order := "name_key, id"
	if f.ByUse {
		order = "devices DESC, id DESC"
	}
	if f.AfterID != 0 {
		if f.ByUse {
			c.add("(devices, id) < (?, ?)", f.AfterDevices, f.AfterID)
		} else {
			c.add("(name_key, id) > (?, ?)", f.AfterKey, f.AfterID)
		}
	}
	c.args = append(c.args, f.Limit)
	rows, err := s.reader.QueryContext(ctx, "SELECT id, source, name, devices, "+versionCount+" FROM software_names"+c.where()+" ORDER BY "+order+" LIMIT "+c.last(), c.args...)
	return collect(rows, err, func(row rowScanner) (fleet.SoftwareName, error) {
		var n fleet.SoftwareName
		return n, row.Scan(&n.ID, &n.Source, &n.Name, &n.Devices, &n.Versions)
	})
}

// SoftwareName returns one; see fleet.Store.
func (s *Store) SoftwareName(ctx context.Context, id int64) (fleet.SoftwareName, error) {
	var n fleet.SoftwareName
	err := s.reader.QueryRowContext(ctx, "SELECT id, source, name, devices, "+versionCount+" FROM software_names WHERE id = $1", id).Scan(&n.ID, &n.Source, &n.Name, &n.Devices, &n.Versions)
	return n, classify(err)
}

// SoftwareTitles returns the versions of software that devices have; see fleet.Store.
func (s *Store) SoftwareTitles(ctx context.Context, names []int64) ([]fleet.SoftwareTitle, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT id, name_id, version, arch, publisher, scope, devices FROM software_titles WHERE name_id IN ("+
		numbers(names)+") AND devices > 0 ORDER BY id LIMIT 20000")
	return collect(rows, err, func(row rowScanner) (fleet.SoftwareTitle, error) {
		var t fleet.SoftwareTitle
		return t, row.Scan(&t.ID, &t.Name, &t.Version, &t.Arch, &t.Publisher, &t.Scope, &t.Devices)
	})
}

// TitleSet returns the devices that have any of the titles; see fleet.Store.
func (s *Store) TitleSet(ctx context.Context, ids []int64) (fleet.Set, error) {
	return s.titleSet(ctx, ids)
}
