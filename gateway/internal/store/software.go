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
	"strconv"
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
	k[0] = byte(max(inventory.BucketOf(section), 0)) //nolint:gosec // 0 to 31
	return k
}

// titles is what the fleet's software is made of, as far as it was needed: rows that never
// change once they are written.
type titles struct {
	mu      sync.RWMutex
	swept   int64 // fleet_counters.swept when the first was remembered
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

// since returns what to give to learn; taken before the database is asked.
func (t *titles) since() int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.swept
}

// sweptAt forgets everything where rows were deleted since it was remembered.
func (t *titles) sweptAt(swept int64) (forgot bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.swept == swept {
		return false
	}
	t.swept = swept
	t.forget()
	return true
}

// learn remembers what is committed, unless what was read may have been deleted since.
func (t *titles) learn(since int64, do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.swept != since {
		return
	}
	if len(t.ids) > maxTitlesKnown || len(t.titles) > maxTitlesKnown || len(t.nameOf) > maxTitlesKnown {
		t.forgetTitles()
	}
	if len(t.buckets) > maxBucketsKnown || len(t.content) > maxBucketsKnown {
		t.forgetBuckets()
	}
	do()
}

// bucketName is what a bucket is stored under.
func bucketName(r inventory.Row) string { return r.Section + ":" + r.Hash }

// hasSoftware reports whether a row says what is in its bucket.
func hasSoftware(r inventory.Row) bool { return r.Software != nil || len(r.Data) > 0 }

// buckets are buckets as far as they are known.
type buckets struct {
	known   map[string]int64 // ids by name
	unknown []inventory.Row  // one of each
	since   int64            // fleet_counters.swept; with another, known ones may be gone
}

// rememberedBuckets says which buckets are known without asking the database.
func (s *Store) rememberedBuckets(rows []inventory.Row) buckets {
	known := make(map[string]int64, len(rows))
	var unknown []inventory.Row
	s.titles.mu.RLock()
	defer s.titles.mu.RUnlock()
	for _, r := range rows {
		if id := s.titles.buckets[keyOfBucket(r.Section, r.Hash)]; id != 0 {
			known[bucketName(r)] = id
		} else {
			unknown = append(unknown, r)
		}
	}
	return buckets{known, unknown, s.titles.swept}
}

// lookBuckets finds out which buckets are stored.
func (s *Store) lookBuckets(ctx context.Context, rows []inventory.Row) (buckets, error) {
	b := s.rememberedBuckets(rows)
	var err error
	b.unknown, err = s.findBuckets(ctx, s.reader, b.unknown, b.known)
	return b, err
}

// learnBuckets remembers what was committed.
func (s *Store) learnBuckets(n *newSoftware, rows []inventory.Row) {
	s.titles.learn(n.swept, func() {
		for k, id := range n.names {
			s.titles.names[k] = id
		}
		for k, id := range n.ids {
			s.titles.ids[k] = id
		}
		for _, r := range rows {
			if id := n.buckets[bucketName(r)]; id != 0 {
				s.titles.buckets[keyOfBucket(r.Section, r.Hash)] = id
			}
		}
	})
}

// KnownSoftware returns which buckets are stored; see inventory.Store.
func (s *Store) KnownSoftware(ctx context.Context, hashes map[string]string) (map[string]bool, error) {
	rows := make([]inventory.Row, 0, len(hashes))
	for section, hash := range hashes {
		rows = append(rows, inventory.Row{Section: section, Hash: hash})
	}
	found, err := s.lookBuckets(ctx, rows)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(found.known))
	for section, hash := range hashes {
		if found.known[section+":"+hash] != 0 {
			out[section] = true
		}
	}
	return out, nil
}

// findBuckets fills found with the buckets that the database knows and returns one row of each
// of the others.
func (s *Store) findBuckets(ctx context.Context, q querier, rows []inventory.Row, found map[string]int64) ([]inventory.Row, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	named := make(map[string]inventory.Row, len(rows))
	for _, r := range rows {
		if name := bucketName(r); !hasSoftware(named[name]) {
			named[name] = r
		}
	}
	names, since := sortedKeys(named), s.titles.since()
	var known []string
	for some := range slices.Chunk(names, 500) {
		var c conditions
		in(&c, "hash", some)
		res, err := q.QueryContext(ctx, "SELECT id, hash FROM software_buckets"+c.where(), c.args...)
		if _, err = collect(res, err, func(row rowScanner) (struct{}, error) {
			var id int64
			var name string
			err := row.Scan(&id, &name)
			found[name] = id
			known = append(known, name)
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	if len(known) > 0 && q == querier(s.reader) { // what a transaction reads may not be committed
		s.titles.learn(since, func() {
			for _, name := range known {
				r := named[name]
				s.titles.buckets[keyOfBucket(r.Section, r.Hash)] = found[name]
			}
		})
	}
	out := make([]inventory.Row, 0, len(names)-len(known))
	for _, name := range names {
		if found[name] == 0 {
			out = append(out, named[name])
		}
	}
	return out, nil
}

// errSwept says that what was remembered may have been deleted: it is looked up again.
var errSwept = errors.New("software was deleted meanwhile")

// newSoftware stores software no device had so far, under the lock of the counters.
type newSoftware struct {
	s       *Store
	tx      *sql.Tx
	names   map[nameKey]int64 // of what was not remembered
	ids     map[titleKey]int64
	buckets map[string]int64

	knownNames map[nameKey]int64 // remembered, guarded by s.titles.mu
	knownIDs   map[titleKey]int64

	nextTitle, nextName, nextBucket, swept int64
}

func (s *Store) newSoftware(tx *sql.Tx) *newSoftware {
	return &newSoftware{
		s: s, tx: tx, names: map[nameKey]int64{}, ids: map[titleKey]int64{}, buckets: map[string]int64{},
	}
}

// store makes sure of the unknown ones and leaves their ids in n.buckets. errSwept where the known
// ones may be gone.
func (n *newSoftware) store(ctx context.Context, look buckets) error {
	rows := look.unknown
	err := n.tx.QueryRowContext(ctx, "UPDATE fleet_counters SET id = id WHERE id = 1 RETURNING next_title, next_name, next_bucket, swept").
		Scan(&n.nextTitle, &n.nextName, &n.nextBucket, &n.swept)
	if err != nil {
		return err
	}
	if n.s.titles.sweptAt(n.swept) || n.swept != look.since {
		return errSwept
	}
	n.s.titles.mu.RLock()
	n.knownNames, n.knownIDs = n.s.titles.names, n.s.titles.ids // forgetting makes others in their place
	n.s.titles.mu.RUnlock()
	// Another may have stored them while this one waited for the lock.
	if rows, err = n.s.findBuckets(ctx, n.tx, rows, n.buckets); err != nil {
		return err
	}
	// Without data it was known a moment ago, and deleted since: its device says it again.
	rows = slices.DeleteFunc(rows, func(r inventory.Row) bool { return !hasSoftware(r) })
	if len(rows) == 0 {
		return nil
	}
	lists := make([][]inventory.Software, len(rows))
	var all []inventory.Software
	for i, r := range rows {
		lists[i] = r.Software
		if lists[i] == nil {
			if err := json.Unmarshal(r.Data, &lists[i]); err != nil {
				return fmt.Errorf("section %s: %w", r.Section, err)
			}
		}
		all = append(all, lists[i]...)
	}
	if err := n.internNames(ctx, all); err != nil {
		return err
	}
	if err := n.internTitles(ctx, all); err != nil {
		return err
	}
	ins := inserter{tx: n.tx, bare: !n.s.postgres, into: "software_buckets (id, hash, titles)"}
	for i, r := range rows {
		ids := make([]int64, len(lists[i]))
		for j, e := range lists[i] {
			ids[j] = n.titleID(n.key(e))
		}
		slices.Sort(ids)
		n.buckets[bucketName(r)] = n.nextBucket
		if err := ins.add(ctx, n.nextBucket, bucketName(r), encodeIDs(slices.Compact(ids))); err != nil {
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

// nameID returns the id of a name, 0 for none so far.
func (n *newSoftware) nameID(k nameKey) int64 {
	if id := n.names[k]; id != 0 {
		return id
	}
	n.s.titles.mu.RLock()
	defer n.s.titles.mu.RUnlock()
	return n.knownNames[k]
}

// titleID returns the id of a title, 0 for none so far.
func (n *newSoftware) titleID(k titleKey) int64 {
	if id := n.ids[k]; id != 0 {
		return id
	}
	n.s.titles.mu.RLock()
	defer n.s.titles.mu.RUnlock()
	return n.knownIDs[k]
}

func (n *newSoftware) key(e inventory.Software) titleKey {
	return titleKey{n.nameID(nameKey{string(e.Source), e.Name}), e.Version, e.Arch, e.Package, e.Publisher, e.Scope}
}

func (n *newSoftware) internNames(ctx context.Context, all []inventory.Software) error {
	var missing []string
	for _, e := range all {
		if n.nameID(nameKey{string(e.Source), e.Name}) == 0 {
			missing = append(missing, e.Name)
		}
	}
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
	ins := inserter{tx: n.tx, bare: !n.s.postgres, into: "software_names (id, source, name, name_key, devices)"}
	for _, e := range all {
		k := nameKey{string(e.Source), e.Name}
		if n.nameID(k) != 0 {
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
	for _, e := range all {
		if k := n.key(e); n.titleID(k) == 0 {
			missing = append(missing, k.name)
		}
	}
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
	ins := inserter{tx: n.tx, bare: !n.s.postgres, into: "software_titles (id, name_id, version, arch, package, publisher, scope, devices)"}
	for _, e := range all {
		k := n.key(e)
		if n.titleID(k) != 0 {
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
		b.WriteString(strconv.FormatInt(id, 10))
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
	bare bool      // SQLite: "$1" is a name there, looked up in a list each time it is bound
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
			if i.bare {
				b.WriteByte('?')
				continue
			}
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
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
	since := s.titles.since()
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
	s.titles.learn(since, func() {
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
	since := s.titles.since()
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
	s.titles.learn(since, func() {
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
