package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
)

// Record is what searches look at of one device.
type Record struct {
	ID      mdm.DeviceID
	Group   mdm.GroupID
	N       int64  // its number in the software index; -1: none yet
	NameKey string // lower case
	Search  string // device.Device.SearchText

	OS, OSVersion, Arch, Agent, Model, Serial, CPU string
	Users, MACs                                    []string
	Labels                                         []mdm.LabelID
	Asset                                          map[string]string

	// Unix microseconds; 0: never.
	EnrolledUS, LastSeenUS, RevokedUS, CopiedUS, ReturnedUS int64

	MemoryBytes, DiskBytes   int64 // 0 unknown
	Encrypted                device.Encryption
	Updates, SecurityUpdates int64 // -1 unknown
}

// index holds the records of every device. mu guards the records; those who read them hold
// it for reading. stale is guarded by its own lock, so that touch never waits. Locks are taken
// in the order reading, mu, staleMu.
type index struct {
	reading sync.Mutex // held while stale records are read anew: who asks meanwhile waits for them

	mu      sync.RWMutex
	records []*Record
	at      map[mdm.DeviceID]int
	loaded  bool
	seen    int64             // newest LastSeenUS
	strings map[string]string // texts that many devices share, once

	staleMu sync.Mutex
	stale   map[mdm.DeviceID]struct{}
	all     bool // everything is stale
}

func (x *index) touch(ids []mdm.DeviceID) {
	x.staleMu.Lock()
	defer x.staleMu.Unlock()
	if len(ids) == 0 {
		x.all = true
		return
	}
	if x.stale == nil {
		x.stale = map[mdm.DeviceID]struct{}{}
	}
	for _, id := range ids {
		x.stale[id] = struct{}{}
	}
}

// takeStale returns what is to be read anew and forgets it.
func (x *index) takeStale() (all bool, ids []mdm.DeviceID) {
	x.staleMu.Lock()
	defer x.staleMu.Unlock()
	all = x.all
	for id := range x.stale {
		ids = append(ids, id)
	}
	x.all, x.stale = false, nil
	return all, ids
}

// manyStale is how many changed devices make reading all the cheaper way.
const manyStale = 20_000

// seenOverlap is how far behind the newest sighting others may still be written: nodes write
// what they saw a while later, by clocks of their own.
const seenOverlap = 2 * time.Minute

// fresh makes the index say what the database says of all that was touched before the call.
func (f *Fleet) fresh(ctx context.Context) error {
	x := &f.index
	x.reading.Lock()
	defer x.reading.Unlock()
	all, ids := x.takeStale()
	x.mu.RLock()
	loaded, since := x.loaded, x.seen
	x.mu.RUnlock()
	if all || !loaded || len(ids) > manyStale {
		records, err := f.cfg.Store.FleetRecords(ctx, nil)
		if err != nil {
			x.touch(nil)
			return fmt.Errorf("records of the fleet: %w", err)
		}
		x.replace(records)
		return nil
	}
	for some := range slices.Chunk(ids, 500) {
		records, err := f.cfg.Store.FleetRecords(ctx, some)
		if err != nil {
			x.touch(ids)
			return fmt.Errorf("records of %d devices: %w", len(some), err)
		}
		x.put(some, records)
	}
	if since == 0 {
		return nil
	}
	return f.freshSeen(ctx, since)
}

// freshSeen follows the batched writing of when devices were last seen, which nobody tells of.
func (f *Fleet) freshSeen(ctx context.Context, since int64) error {
	seen, err := f.cfg.Store.SeenSince(ctx, since+1)
	if err != nil || len(seen) == 0 {
		return err
	}
	if seen, err = f.cfg.Store.SeenSince(ctx, since-seenOverlap.Microseconds()); err != nil {
		return fmt.Errorf("devices seen: %w", err)
	}
	x := &f.index
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, us := range seen {
		if i, ok := x.at[id]; ok {
			r := *x.records[i] // others may hold the record as it was
			r.LastSeenUS = us
			x.records[i] = &r
		}
		x.seen = max(x.seen, us)
	}
	return nil
}

func (x *index) replace(records []Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.records, x.at = make([]*Record, 0, len(records)), make(map[mdm.DeviceID]int, len(records))
	x.strings, x.seen, x.loaded = map[string]string{}, 0, true
	for i := range records {
		r := records[i]
		x.add(&r)
	}
}

func (x *index) put(ids []mdm.DeviceID, records []Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	found := make(map[mdm.DeviceID]bool, len(records))
	for i := range records {
		r := records[i]
		found[r.ID] = true
		x.add(&r)
	}
	for _, id := range ids {
		i, ok := x.at[id]
		if found[id] || !ok {
			continue
		}
		last := len(x.records) - 1
		x.records[i] = x.records[last]
		x.at[x.records[i].ID] = i
		x.records[last] = nil
		x.records = x.records[:last]
		delete(x.at, id)
	}
}

// maxShared bounds the table of shared texts.
const maxShared = 200_000

func (x *index) add(r *Record) {
	if len(x.strings) > maxShared {
		x.strings = map[string]string{}
	}
	for _, s := range []*string{&r.OS, &r.OSVersion, &r.Arch, &r.Agent, &r.Model, &r.CPU, (*string)(&r.Group)} {
		*s = x.shared(*s)
	}
	for i, l := range r.Labels {
		r.Labels[i] = mdm.LabelID(x.shared(string(l)))
	}
	x.seen = max(x.seen, r.LastSeenUS)
	if i, ok := x.at[r.ID]; ok {
		x.records[i] = r
		return
	}
	x.at[r.ID] = len(x.records)
	x.records = append(x.records, r)
}

func (x *index) shared(s string) string {
	if t, ok := x.strings[s]; ok {
		return t
	}
	x.strings[s] = s
	return s
}

// Query is a search and what may be found by it.
type Query struct {
	Terms     []device.Term
	Groups    []mdm.GroupID // only devices of these; see AllGroups
	AllGroups bool
	IDs       []mdm.DeviceID  // when not nil, only these
	Standing  device.Standing // the term state:revoked takes its place
	Order     device.Order
	After     string // Found.Next of the page before
	Limit     int    // 0 means 50; -1 every device, without order
}

// Found is one page of a search.
type Found struct {
	IDs   []mdm.DeviceID
	Total int    // all that match
	Next  string // "" on the last page
}

// Find runs a search. It sees everything that was written before on this node, and on others as
// soon as they told. mdm.ErrInvalid for terms and cursors that cannot be.
func (f *Fleet) Find(ctx context.Context, q Query) (Found, error) {
	if !q.AllGroups && len(q.Groups) == 0 || q.IDs != nil && len(q.IDs) == 0 {
		return Found{IDs: []mdm.DeviceID{}}, nil
	}
	pick, err := newPicker(q)
	if err != nil {
		return Found{}, err
	}
	if err := f.fresh(ctx); err != nil {
		return Found{}, err
	}
	match, err := f.matcher(ctx, q)
	if err != nil {
		return Found{}, err
	}
	x := &f.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	if q.IDs != nil {
		for _, id := range q.IDs {
			if i, ok := x.at[id]; ok && match(x.records[i]) {
				pick.take(x.records[i])
			}
		}
		return pick.page(), nil
	}
	for _, r := range x.records {
		if match(r) {
			pick.take(r)
		}
	}
	return pick.page(), nil
}

// Count counts what a search finds.
func (f *Fleet) Count(ctx context.Context, q Query) (int, error) {
	q.Limit = 1
	found, err := f.Find(ctx, q)
	return found.Total, err
}

// Facets counts matching devices by label, group and more: what a console shows beside a list.
type Facets struct {
	Labels    map[mdm.LabelID]int
	Groups    map[mdm.GroupID]int
	Systems   map[string]int // by version
	Models    map[string]int
	Encrypted map[device.Encryption]int
}

// Facets counts what a search finds by what devices have in common.
func (f *Fleet) Facets(ctx context.Context, q Query) (Facets, error) {
	out := Facets{map[mdm.LabelID]int{}, map[mdm.GroupID]int{}, map[string]int{}, map[string]int{}, map[device.Encryption]int{}}
	err := f.Each(ctx, q, func(r *Record) {
		for _, l := range r.Labels {
			out.Labels[l]++
		}
		out.Groups[r.Group]++
		out.Systems[r.OSVersion]++
		out.Models[r.Model]++
		out.Encrypted[r.Encrypted]++
	})
	return out, err
}

// Each calls do for every device a search finds, in no order; do must not keep the record, nor
// search.
func (f *Fleet) Each(ctx context.Context, q Query, do func(*Record)) error {
	if !q.AllGroups && len(q.Groups) == 0 {
		return nil
	}
	if err := f.fresh(ctx); err != nil {
		return err
	}
	match, err := f.matcher(ctx, q)
	if err != nil {
		return err
	}
	f.index.mu.RLock()
	defer f.index.mu.RUnlock()
	for _, r := range f.index.records {
		if match(r) {
			do(r)
		}
	}
	return nil
}

// Visible returns the numbers of the devices of groups in the software index; nil means all.
func (f *Fleet) Visible(ctx context.Context, groups []mdm.GroupID, all bool) (Set, error) {
	if all {
		return nil, nil
	}
	set := Set{}
	err := f.Each(ctx, Query{Groups: groups}, func(r *Record) { set = set.With(r.N) })
	return set, err
}

// picker keeps the first devices behind the cursor, in order, and counts all.
type picker struct {
	q     Query
	key   string // of the cursor, by name
	us    int64  // of the cursor, by last seen
	id    mdm.DeviceID
	any   bool // there is no cursor
	total int
	heap  []*Record // the last in order first
}

func newPicker(q Query) (*picker, error) {
	if q.Limit == 0 {
		q.Limit = 50
	}
	p := &picker{q: q, any: q.After == ""}
	if p.any {
		return p, nil
	}
	us, key, id, err := device.Filter{Order: q.Order}.ParseCursor(q.After)
	p.us, p.key, p.id = us, key, id
	return p, err
}

// before reports whether a stands before b in the order.
func (p *picker) before(a, b *Record) bool {
	if p.q.Order == device.ByLastSeen {
		if a.LastSeenUS != b.LastSeenUS {
			return a.LastSeenUS > b.LastSeenUS
		}
		return a.ID > b.ID
	}
	if c := strings.Compare(a.NameKey, b.NameKey); c != 0 {
		return c < 0
	}
	return a.ID < b.ID
}

func (p *picker) take(r *Record) {
	p.total++
	if p.q.Limit < 0 {
		p.heap = append(p.heap, r)
		return
	}
	if !p.any && !p.before(&Record{ID: p.id, NameKey: p.key, LastSeenUS: p.us}, r) {
		return
	}
	if len(p.heap) <= p.q.Limit { // one more than the page tells whether there is another
		p.heap = append(p.heap, r)
		p.up(len(p.heap) - 1)
		return
	}
	if p.before(r, p.heap[0]) {
		p.heap[0] = r
		p.down()
	}
}

func (p *picker) up(i int) {
	for i > 0 {
		above := (i - 1) / 2
		if !p.before(p.heap[above], p.heap[i]) {
			return
		}
		p.heap[above], p.heap[i] = p.heap[i], p.heap[above]
		i = above
	}
}

func (p *picker) down() {
	for i := 0; ; {
		last, l, r := i, 2*i+1, 2*i+2
		if l < len(p.heap) && p.before(p.heap[last], p.heap[l]) {
			last = l
		}
		if r < len(p.heap) && p.before(p.heap[last], p.heap[r]) {
			last = r
		}
		if last == i {
			return
		}
		p.heap[i], p.heap[last] = p.heap[last], p.heap[i]
		i = last
	}
}

func (p *picker) page() Found {
	if p.q.Limit >= 0 {
		slices.SortFunc(p.heap, func(a, b *Record) int {
			if p.before(a, b) {
				return -1
			}
			return 1
		})
	}
	out := Found{Total: p.total, IDs: make([]mdm.DeviceID, 0, len(p.heap))}
	for i, r := range p.heap {
		if p.q.Limit >= 0 && i == p.q.Limit {
			last := p.heap[i-1]
			d := device.Device{ID: last.ID, Name: last.NameKey}
			if last.LastSeenUS > 0 {
				d.LastSeenAt = time.UnixMicro(last.LastSeenUS)
			}
			out.Next = device.Filter{Order: p.q.Order}.CursorAfter(d)
			break
		}
		out.IDs = append(out.IDs, r.ID)
	}
	return out
}
