package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"handrail/mdm/inventory"
)

// How software is kept is written down in docs/decisions/0007-software-inventory.md.

// held are the buckets of a device by number; 0 is none.
type held [inventory.SoftwareBuckets]int64

func (h held) encode() []byte {
	out := []byte{}
	for n, id := range h {
		if id != 0 {
			out = append(out, byte(n))
			out = binary.AppendUvarint(out, uint64(id)) //nolint:gosec // ids count from 1
		}
	}
	return out
}

func decodeHeld(b []byte) (held, error) {
	var h held
	for len(b) > 0 {
		n := int(b[0])
		id, size := binary.Uvarint(b[1:])
		if n >= len(h) || size <= 0 {
			return h, errors.New("the list of software buckets is damaged")
		}
		h[n] = int64(id) //nolint:gosec // as encode wrote it
		b = b[1+size:]
	}
	return h, nil
}

// encodeIDs writes ids, ascending, as varints of their differences.
func encodeIDs(ids []int64) []byte {
	out := []byte{}
	last := int64(0)
	for _, id := range ids {
		out = binary.AppendUvarint(out, uint64(id-last)) //nolint:gosec // ascending
		last = id
	}
	return out
}

func decodeIDs(b []byte) ([]int64, error) {
	out := []int64{}
	last := int64(0)
	for len(b) > 0 {
		d, size := binary.Uvarint(b)
		if size <= 0 {
			return nil, errors.New("a list of software titles is damaged")
		}
		last += int64(d) //nolint:gosec // as encodeIDs wrote it
		out = append(out, last)
		b = b[size:]
	}
	return out, nil
}

type nameKey struct{ source, name string }

type titleKey struct {
	name                                      int64
	version, arch, package_, publisher, scope string //nolint:revive // package is a word of the language
}

type bucketKey [16]byte

func keyOfBucket(section, hash string) bucketKey {
	var k bucketKey
	b, err := hex.DecodeString(hash[:min(len(hash), 30)])
	if err == nil {
		copy(k[1:], b)
	}
	k[0] = byte(bucketNumber(section)) //nolint:gosec // 0 to 31
	return k
}

func bucketNumber(section string) int {
	for n := range inventory.SoftwareBuckets {
		if inventory.SoftwareSection(n) == section {
			return n
		}
	}
	return 0
}

// titles is what the fleet's software is made of, as far as it was needed: rows that never
// change once they are written.
type titles struct {
	mu      sync.RWMutex
	names   map[nameKey]int64
	ids     map[titleKey]int64
	titles  map[int64]inventory.Software
	buckets map[bucketKey]int64
	content map[int64][]int64 // bucket to titles
	nameOf  map[int64]int64   // title to name
}

// Bounds of what is remembered; past them a map begins anew.
const (
	maxTitlesKnown  = 400_000
	maxBucketsKnown = 200_000
)

func newTitles() *titles {
	t := &titles{}
	t.forget()
	return t
}

func (t *titles) forget() {
	t.forgetTitles()
	t.forgetBuckets()
}

func (t *titles) forgetTitles() {
	t.names, t.ids, t.titles = map[nameKey]int64{}, map[titleKey]int64{}, map[int64]inventory.Software{}
	t.nameOf = map[int64]int64{}
}

func (t *titles) forgetBuckets() {
	t.buckets, t.content = map[bucketKey]int64{}, map[int64][]int64{}
}

// learn remembers what is committed.
func (t *titles) learn(do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ids) > maxTitlesKnown || len(t.titles) > maxTitlesKnown || len(t.nameOf) > maxTitlesKnown {
		t.forgetTitles()
	}
	if len(t.buckets) > maxBucketsKnown || len(t.content) > maxBucketsKnown {
		t.forgetBuckets()
	}
	do()
}

// internBuckets returns the ids of the buckets among rows by section, storing those that no
// device had so far. It commits by itself: buckets are shared and never change.
func (s *Store) internBuckets(ctx context.Context, rows []inventory.Row) (map[string]int64, error) {
	out := map[string]int64{}
	var unknown []inventory.Row
	s.titles.mu.RLock()
	for _, r := range rows {
		if !inventory.IsSoftware(r.Section) {
			continue
		}
		if id := s.titles.buckets[keyOfBucket(r.Section, r.Hash)]; id != 0 {
			out[r.Section] = id
		} else {
			unknown = append(unknown, r)
		}
	}
	s.titles.mu.RUnlock()
	unknown, err := s.findBuckets(ctx, s.reader, unknown, out)
	if err != nil || len(unknown) == 0 {
		return out, err
	}
	var n *newSoftware
	err = s.write(ctx, func(tx *sql.Tx) error {
		n = &newSoftware{s: s, tx: tx, names: map[nameKey]int64{}, ids: map[titleKey]int64{}}
		return n.store(ctx, unknown, out)
	})
	if err != nil {
		return nil, err
	}
	s.titles.learn(func() {
		for k, id := range n.names {
			s.titles.names[k] = id
		}
		for k, id := range n.ids {
			s.titles.ids[k] = id
		}
		for _, r := range unknown {
			s.titles.buckets[keyOfBucket(r.Section, r.Hash)] = out[r.Section]
		}
	})
	return out, nil
}

// KnownSoftware returns which buckets are stored; see inventory.Store.
func (s *Store) KnownSoftware(ctx context.Context, hashes map[string]string) (map[string]bool, error) {
	found := map[string]int64{}
	var unknown []inventory.Row
	s.titles.mu.RLock()
	for section, hash := range hashes {
		if id := s.titles.buckets[keyOfBucket(section, hash)]; id != 0 {
			found[section] = id
		} else {
			unknown = append(unknown, inventory.Row{Section: section, Hash: hash})
		}
	}
	s.titles.mu.RUnlock()
	if _, err := s.findBuckets(ctx, s.reader, unknown, found); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(found))
	for section := range found {
		out[section] = true
	}
	return out, nil
}

// findBuckets fills found with the buckets that the database knows and returns the others.
func (s *Store) findBuckets(ctx context.Context, q querier, rows []inventory.Row, found map[string]int64) ([]inventory.Row, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	sections := map[string]inventory.Row{}
	hashes := make([]string, len(rows))
	for i, r := range rows {
		hashes[i] = r.Section + ":" + r.Hash
		sections[hashes[i]] = r
	}
	var c conditions
	in(&c, "hash", hashes)
	res, err := q.QueryContext(ctx, "SELECT id, hash FROM software_buckets"+c.where(), c.args...)
	known := map[string]int64{}
	_, err = collect(res, err, func(row rowScanner) (struct{}, error) {
		var id int64
		var hash string
		err := row.Scan(&id, &hash)
		known[hash] = id
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	s.titles.learn(func() {
		for hash, id := range known {
			r := sections[hash]
			found[r.Section] = id
			s.titles.buckets[keyOfBucket(r.Section, r.Hash)] = id
		}
	})
	return slices.DeleteFunc(slices.Clone(rows), func(r inventory.Row) bool { return found[r.Section] != 0 }), nil
}

// newSoftware stores software no device had so far, under the lock of the counters.
type newSoftware struct {
	s     *Store
	tx    *sql.Tx
	names map[nameKey]int64
	ids   map[titleKey]int64

	nextTitle, nextName, nextBucket int64
}

func (n *newSoftware) store(ctx context.Context, rows []inventory.Row, out map[string]int64) error {
	err := n.tx.QueryRowContext(ctx, "UPDATE fleet_counters SET id = id WHERE id = 1 RETURNING next_title, next_name, next_bucket").
		Scan(&n.nextTitle, &n.nextName, &n.nextBucket)
	if err != nil {
		return err
	}
	// Another may have stored them while this one waited for the lock.
	if rows, err = n.s.findBuckets(ctx, n.tx, rows, out); err != nil {
		return err
	}
	lists := make([][]inventory.Software, len(rows))
	var all []inventory.Software
	for i, r := range rows {
		if err := json.Unmarshal(r.Data, &lists[i]); err != nil {
			return fmt.Errorf("section %s: %w", r.Section, err)
		}
		all = append(all, lists[i]...)
	}
	if err := n.internNames(ctx, all); err != nil {
		return err
	}
	if err := n.internTitles(ctx, all); err != nil {
		return err
	}
	ins := inserter{tx: n.tx, into: "software_buckets (id, hash, titles)"}
	for i, r := range rows {
		ids := make([]int64, len(lists[i]))
		for j, e := range lists[i] {
			ids[j] = n.ids[n.key(e)]
		}
		slices.Sort(ids)
		out[r.Section] = n.nextBucket
		if err := ins.add(ctx, n.nextBucket, r.Section+":"+r.Hash, encodeIDs(slices.Compact(ids))); err != nil {
			return err
		}
		n.nextBucket++
	}
	if err := ins.flush(ctx); err != nil {
		return err
	}
	_, err = n.tx.ExecContext(ctx, "UPDATE fleet_counters SET next_title = $1, next_name = $2, next_bucket = $3 WHERE id = 1",
		n.nextTitle, n.nextName, n.nextBucket)
	return err
}

func (n *newSoftware) key(e inventory.Software) titleKey {
	return titleKey{n.names[nameKey{string(e.Source), e.Name}], e.Version, e.Arch, e.Package, e.Publisher, e.Scope}
}

func (n *newSoftware) internNames(ctx context.Context, all []inventory.Software) error {
	var missing []string
	n.s.titles.mu.RLock()
	for _, e := range all {
		k := nameKey{string(e.Source), e.Name}
		if id := n.s.titles.names[k]; id != 0 {
			n.names[k] = id
		} else {
			missing = append(missing, e.Name)
		}
	}
	n.s.titles.mu.RUnlock()
	slices.Sort(missing)
	for some := range slices.Chunk(slices.Compact(missing), 500) {
		var c conditions
		in(&c, "name", some)
		rows, err := n.tx.QueryContext(ctx, "SELECT id, source, name FROM software_names"+c.where(), c.args...)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id int64
			var k nameKey
			err := row.Scan(&id, &k.source, &k.name)
			n.names[k] = id
			return struct{}{}, err
		}); err != nil {
			return err
		}
	}
	ins := inserter{tx: n.tx, into: "software_names (id, source, name, name_key, devices)"}
	for _, e := range all {
		k := nameKey{string(e.Source), e.Name}
		if n.names[k] != 0 {
			continue
		}
		n.names[k] = n.nextName
		if err := ins.add(ctx, n.nextName, k.source, k.name, strings.ToLower(k.name), 0); err != nil {
			return err
		}
		n.nextName++
	}
	return ins.flush(ctx)
}

func (n *newSoftware) internTitles(ctx context.Context, all []inventory.Software) error {
	var missing []int64
	n.s.titles.mu.RLock()
	for _, e := range all {
		k := n.key(e)
		if id := n.s.titles.ids[k]; id != 0 {
			n.ids[k] = id
		} else {
			missing = append(missing, k.name)
		}
	}
	n.s.titles.mu.RUnlock()
	slices.Sort(missing)
	for some := range slices.Chunk(slices.Compact(missing), 500) {
		rows, err := n.tx.QueryContext(ctx, "SELECT id, name_id, version, arch, package, publisher, scope FROM software_titles WHERE name_id IN ("+numbers(some)+")")
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id int64
			var k titleKey
			err := row.Scan(&id, &k.name, &k.version, &k.arch, &k.package_, &k.publisher, &k.scope)
			n.ids[k] = id
			return struct{}{}, err
		}); err != nil {
			return err
		}
	}
	ins := inserter{tx: n.tx, into: "software_titles (id, name_id, version, arch, package, publisher, scope, devices)"}
	for _, e := range all {
		k := n.key(e)
		if n.ids[k] != 0 {
			continue
		}
		n.ids[k] = n.nextTitle
		if err := ins.add(ctx, n.nextTitle, k.name, k.version, k.arch, k.package_, k.publisher, k.scope, 0); err != nil {
			return err
		}
		n.nextTitle++
	}
	return ins.flush(ctx)
}

// numbers writes ids of our own as a list for IN.
func numbers(ids []int64) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, id)
	}
	return b.String()
}

// inserter inserts rows many at a time: all of a kind, and none twice.
type inserter struct {
	tx   *sql.Tx
	into string // table (columns)
	tail string // ON CONFLICT …
	args []any
	rows int
	wide int
	full *sql.Stmt // for insertBatch rows
}

// insertBatch keeps a statement's parameters well under the limits of both databases.
const insertBatch = 200

func (i *inserter) add(ctx context.Context, values ...any) error {
	i.args = append(i.args, values...)
	i.wide = len(values)
	if i.rows++; i.rows == insertBatch {
		return i.flush(ctx)
	}
	return nil
}

// flush inserts what is left; the statement for whole batches lives as long as the transaction.
func (i *inserter) flush(ctx context.Context) (err error) {
	defer func() { i.args, i.rows = i.args[:0], 0 }()
	switch {
	case i.rows == 0:
		return nil
	case i.rows < insertBatch:
		_, err = i.tx.ExecContext(ctx, i.statement(), i.args...)
		return err
	case i.full == nil:
		if i.full, err = i.tx.PrepareContext(ctx, i.statement()); err != nil {
			return err
		}
	}
	_, err = i.full.ExecContext(ctx, i.args...)
	return err
}

func (i *inserter) statement() string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + i.into + " VALUES ")
	n := 0
	for r := range i.rows {
		if r > 0 {
			b.WriteByte(',')
		}
		for c := range i.wide {
			n++
			b.WriteByte("(,"[min(c, 1)])
			fmt.Fprintf(&b, "$%d", n)
		}
		b.WriteByte(')')
	}
	b.WriteString(" " + i.tail)
	return b.String()
}

// bucketTitles returns the titles of buckets.
func (s *Store) bucketTitles(ctx context.Context, q querier, ids []int64) (map[int64][]int64, error) {
	out := make(map[int64][]int64, len(ids))
	var missing []int64
	s.titles.mu.RLock()
	for _, id := range ids {
		if t, ok := s.titles.content[id]; ok {
			out[id] = t
		} else if id != 0 {
			missing = append(missing, id)
		}
	}
	s.titles.mu.RUnlock()
	slices.Sort(missing)
	for some := range slices.Chunk(slices.Compact(missing), 1000) {
		rows, err := q.QueryContext(ctx, "SELECT id, titles FROM software_buckets WHERE id IN ("+numbers(some)+")")
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id int64
			var b []byte
			if err := row.Scan(&id, &b); err != nil {
				return struct{}{}, err
			}
			var err error
			out[id], err = decodeIDs(b)
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	s.titles.learn(func() {
		for _, id := range missing {
			if t, ok := out[id]; ok {
				s.titles.content[id] = t
			}
		}
	})
	return out, nil
}

// titlesOf returns titles by id.
func (s *Store) titlesOf(ctx context.Context, q querier, ids []int64) (map[int64]inventory.Software, error) {
	out := make(map[int64]inventory.Software, len(ids))
	var missing []int64
	s.titles.mu.RLock()
	for _, id := range ids {
		if t, ok := s.titles.titles[id]; ok {
			out[id] = t
		} else {
			missing = append(missing, id)
		}
	}
	s.titles.mu.RUnlock()
	slices.Sort(missing)
	for some := range slices.Chunk(slices.Compact(missing), 1000) {
		rows, err := q.QueryContext(ctx, `SELECT t.id, n.name, t.version, n.source, t.arch, t.package, t.publisher, t.scope
			FROM software_titles t JOIN software_names n ON n.id = t.name_id WHERE t.id IN (`+numbers(some)+")")
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id int64
			var e inventory.Software
			err := row.Scan(&id, &e.Name, &e.Version, &e.Source, &e.Arch, &e.Package, &e.Publisher, &e.Scope)
			out[id] = e
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	s.titles.learn(func() {
		for _, id := range missing {
			if t, ok := out[id]; ok {
				s.titles.titles[id] = t
			}
		}
	})
	return out, nil
}

// listBucket returns a bucket as its section's JSON; nil for bucket 0.
func (s *Store) listBucket(ctx context.Context, q querier, id int64) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	content, err := s.bucketTitles(ctx, q, []int64{id})
	if err != nil {
		return nil, err
	}
	by, err := s.titlesOf(ctx, q, content[id])
	if err != nil {
		return nil, err
	}
	list := make([]inventory.Software, 0, len(by))
	for _, e := range by {
		list = append(list, e)
	}
	slices.SortFunc(list, inventory.CompareSoftware)
	return json.Marshal(list)
}
