package policy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"handrail/mdm/manifest"
)

// Compiled is a version ready to be resolved: decoded once, for as many devices as it is
// for. It is immutable and safe for concurrent use. Its values hold secrets in the clear.
type Compiled struct {
	Policy   ID
	Name     string // of the policy, for the words of conflicts
	Number   int64
	settings []compiled
}

// compiled is one setting of a version.
type compiled struct {
	id    manifest.ID
	entry *Entry
	value json.RawMessage // canonical, defaults filled in
	own   map[string]any  // without the defaults of its own fields; not to be changed
	about []string        // values of the entry's exclusive fields
	// Hashes of id and about under the catalogue's seed, so that resolving looks them up
	// without reading them.
	hash      uint64
	aboutHash []uint64
}

// Compile readies settings of a version whose secrets are in the clear (see Open). Settings
// the catalogue does not know, of a newer gateway perhaps, are left out and returned.
func (c *Catalogue) Compile(id ID, name string, number int64, settings []Setting) (*Compiled, []manifest.ID) {
	out := &Compiled{Policy: id, Name: name, Number: number, settings: make([]compiled, 0, len(settings))}
	var unknown []manifest.ID
	for _, s := range settings {
		e, wrong := c.entryOf(s.ID)
		own, bad := decodeObject(s.Value)
		full, _ := decodeObject(s.Value)
		if wrong != "" || bad != "" {
			unknown = append(unknown, s.ID)
			continue
		}
		fill(e.Fields, full)
		fillWithin(e.Fields, own)
		one := compiled{id: s.ID, entry: e, value: encode(full), own: own, hash: maphash.String(c.seed, string(s.ID))}
		for _, name := range e.Exclusive {
			v, _ := full[name].(string)
			one.about, one.aboutHash = append(one.about, v), append(one.aboutHash, maphash.String(c.seed, v))
		}
		out.settings = append(out.settings, one)
	}
	return out, unknown
}

// Input is one policy that reaches the device.
type Input struct {
	*Compiled
	Assignment AssignmentID
	Priority   int
	Via        Via
}

// Claim is what one policy says of a setting.
type Claim struct {
	Policy     ID              `json:"policy"`
	Version    int64           `json:"version"`
	Assignment AssignmentID    `json:"assignment"`
	Priority   int             `json:"priority"`
	Via        Via             `json:"via"`
	Value      json.RawMessage `json:"value"`            // with defaults; secrets in the clear, see Mask
	Won        bool            `json:"won"`              // it gave the value, or a field of it
	Fields     []string        `json:"fields,omitempty"` // those it gave, in settings that are merged field by field
}

// Resolved is one setting of a device and how it came about.
type Resolved struct {
	ID       manifest.ID     `json:"id"`
	Value    json.RawMessage `json:"value"` // nil when in conflict: nothing is applied
	Source   manifest.Source `json:"source"`
	Merge    Merge           `json:"merge"`
	Claims   []Claim         `json:"claims"`             // in order of rank; at least one
	Conflict string          `json:"conflict,omitempty"` // why there is no value
	Tied     bool            `json:"tied,omitempty"`     // equal priority and nearness, unlike values: the lower policy id won

	first *compiled // of the claim that ranks highest
}

// Resolve makes one setting of all that several policies say of it, for every setting there
// is, by id. The result depends on what the inputs are, never on their order: they rank by
// priority, then by nearness to the device (a label before a group, a deeper group before a
// higher), then by policy id. Of a policy that reaches the device by several assignments the
// one that ranks highest counts.
func (c *Catalogue) Resolve(inputs []Input) []Resolved {
	ranked := rank(inputs)
	total := 0
	for _, in := range ranked {
		total += len(in.settings)
	}
	w, _ := c.scratch.Get().(*scratch)
	if w == nil {
		w = &scratch{taken: map[string]manifest.ID{}}
	}
	defer c.scratch.Put(w)
	w.gather(ranked, total)
	claims := make([]Claim, 0, total)
	out := make([]Resolved, 0, len(w.groups))
	for _, g := range w.groups {
		from := len(claims)
		w.said = w.said[:0]
		for at := g.first; at >= 0; at = w.links[at].next {
			in := &ranked[w.links[at].input]
			s := &in.settings[w.links[at].setting]
			w.said = append(w.said, s)
			claims = append(claims, Claim{Policy: in.Policy, Version: in.Number, Assignment: in.Assignment, Priority: in.Priority, Via: in.Via, Value: s.value})
		}
		out = append(out, settle(claims[from:len(claims):len(claims)], w.said, ranked))
	}
	c.exclude(out, w)
	return out
}

// scratch is the working memory of one resolution, used again for the next.
type scratch struct {
	links  []link
	groups []group
	places []int32 // hash table: 1 + place in groups, 0 is free
	hashes []uint64
	said   []*compiled
	taken  map[string]manifest.ID
}

// link is one policy's word on a setting; next is the place of the word that ranks below it,
// -1 at the end.
type link struct{ input, setting, next int32 }

// group is all there is said of one setting.
type group struct {
	id          manifest.ID
	first, last int32
}

// gather groups what the ranked inputs say by setting, in order of the ids.
func (w *scratch) gather(ranked []Input, total int) {
	w.links, w.groups = w.links[:0], w.groups[:0]
	w.places = table(w.places, total)
	for i := range ranked {
		settings := ranked[i].settings
		for k := range settings {
			at := int32(len(w.links)) //nolint:gosec // bounded by MaxSettings of some hundred policies
			w.links = append(w.links, link{input: int32(i), setting: int32(k), next: -1})
			g := w.group(&settings[k], at)
			if last := w.groups[g].last; last != at {
				w.links[last].next = at
				w.groups[g].last = at
			}
		}
	}
	slices.SortFunc(w.groups, func(a, b group) int { return strings.Compare(string(a.id), string(b.id)) })
}

// table returns a hash table for so many entries, empty and at most half full, in the memory
// of an old one where that is large enough.
func table[T any](old []T, entries int) []T {
	size := 16
	for size < 2*entries {
		size *= 2
	}
	if cap(old) < size {
		return make([]T, size)
	}
	old = old[:size]
	clear(old)
	return old
}

// group returns the place of a setting's group; one that is new begins with the link at.
func (w *scratch) group(s *compiled, at int32) int32 {
	mask := uint64(len(w.places) - 1) //nolint:gosec // at least 16
	for slot := s.hash & mask; ; slot = (slot + 1) & mask {
		place := w.places[slot]
		if place == 0 {
			w.groups = append(w.groups, group{id: s.id, first: at, last: at})
			place = int32(len(w.groups)) //nolint:gosec // not more than links
			w.places[slot] = place
			return place - 1
		}
		if w.groups[place-1].id == s.id {
			return place - 1
		}
	}
}

// rank sorts inputs by rank, each policy there once.
func rank(inputs []Input) []Input {
	out := slices.Clone(inputs)
	slices.SortFunc(out, func(a, b Input) int {
		return cmp.Or(b.Priority-a.Priority, b.Via.Depth-a.Via.Depth, strings.Compare(string(a.Policy), string(b.Policy)),
			strings.Compare(string(a.Assignment), string(b.Assignment)), strings.Compare(string(a.Via.Group), string(b.Via.Group)),
			strings.Compare(string(a.Via.Label), string(b.Via.Label)), cmp.Compare(b.Number, a.Number))
	})
	seen := make(map[ID]bool, len(out))
	return slices.DeleteFunc(out, func(in Input) bool {
		again := seen[in.Policy]
		seen[in.Policy] = true
		return again
	})
}

func nameOf(ranked []Input, id ID) string {
	for i := range ranked {
		if ranked[i].Policy == id && ranked[i].Name != "" {
			return ranked[i].Name
		}
	}
	return string(id)
}

// settle applies the merge rule to the claims on one setting, which are by rank.
func settle(claims []Claim, said []*compiled, ranked []Input) Resolved {
	e := said[0].entry
	r := Resolved{ID: said[0].id, Merge: e.Merge, Claims: claims, first: said[0]}
	byFirst := func() {
		claims[0].Won = true
		r.Value, r.Source = said[0].value, manifest.Source{Policy: string(claims[0].Policy), Version: claims[0].Version}
	}
	if len(claims) == 1 {
		byFirst()
		return r
	}
	switch e.Merge {
	case OrError:
		for i := range claims[1:] {
			if !bytes.Equal(said[0].value, said[i+1].value) {
				r.Conflict = fmt.Sprintf("the policies %q and %q disagree, and of this setting none may win by priority", nameOf(ranked, claims[0].Policy), nameOf(ranked, claims[i+1].Policy))
				return r
			}
		}
		byFirst()
	case ByRank:
		r.Tied = claims[0].Priority == claims[1].Priority && claims[0].Via.Depth == claims[1].Via.Depth && !bytes.Equal(said[0].value, said[1].value)
		byFirst()
	default:
		combine(&r, e, said)
	}
	return r
}

// combine merges field by field. It marks the claims that gave something. Strictness of each
// field may make a whole that no policy would be allowed to say; that is a conflict.
func combine(r *Resolved, e *Entry, said []*compiled) {
	claims, value := r.Claims, map[string]any{}
	for i := range e.Fields {
		f := &e.Fields[i]
		var v any
		gave := -1 // the claim a single giver is
		for k := range said {
			n, ok := said[k].own[f.Name]
			if !ok {
				continue
			}
			if gave < 0 {
				v, gave = n, k
				continue
			}
			switch f.Combine {
			case ByPriority:
				r.Tied = r.Tied || claims[k].Priority == claims[gave].Priority && claims[k].Via.Depth == claims[gave].Via.Depth && !same(v, n)
			case Together, InAll:
				joined := f.join(v, n)
				if !same(joined, v) {
					v = joined
					claims[k].Won, claims[k].Fields = true, append(claims[k].Fields, f.Name)
				}
			default:
				if f.stricter(n, v) {
					v, gave = n, k
				}
			}
		}
		if gave >= 0 {
			value[f.Name] = v
			claims[gave].Won, claims[gave].Fields = true, append(claims[gave].Fields, f.Name)
		}
	}
	fill(e.Fields, value)
	if e.check != nil {
		e.check(value, func(path, message string) {
			r.Conflict = "what the policies say together cannot be: " + path + " " + message
		})
	}
	if r.Conflict != "" {
		for k := range claims {
			claims[k].Won, claims[k].Fields = false, nil
		}
		return
	}
	winners, winner := 0, 0
	for k := range claims {
		if claims[k].Won {
			winners, winner = winners+1, k
		}
	}
	if winners == 0 { // all of them are empty: the first stands for it
		claims[0].Won = true
	}
	if winners < 2 {
		r.Source = manifest.Source{Policy: string(claims[winner].Policy), Version: claims[winner].Version}
	}
	r.Value = encode(value)
}

// stricter reports whether a is stricter than b.
func (f *Field) stricter(a, b any) bool {
	switch f.Combine {
	case Highest, Lowest:
		x, y := number(a), number(b)
		return f.Combine == Highest && x > y || f.Combine == Lowest && x < y
	case AnyTrue:
		return a == true && b != true
	case AnyFalse:
		return a == false && b != false
	case Strictest:
		place := func(v any) int {
			return slices.IndexFunc(f.Choices, func(c Choice) bool { return c.Value == v })
		}
		return place(a) < place(b)
	}
	return false
}

func number(v any) int64 {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64() // validated when it was stored
		return n
	case int64:
		return v
	}
	return 0
}

// join is the entries of both lists, or those both have, in the order of the first.
func (f *Field) join(a, b any) any {
	one, _ := a.([]any)
	two, _ := b.([]any)
	out := make([]any, 0, len(one)+len(two))
	for _, v := range one {
		if f.Combine == Together || slices.ContainsFunc(two, func(w any) bool { return same(v, w) }) {
			out = append(out, v)
		}
	}
	if f.Combine == Together {
		for _, v := range two {
			if !slices.ContainsFunc(one, func(w any) bool { return same(v, w) }) {
				out = append(out, v)
			}
		}
	}
	return out
}

// same compares decoded values.
func same(a, b any) bool {
	switch a := a.(type) {
	case string, bool, json.Number, nil, int64:
		return a == b
	}
	return bytes.Equal(encode(a), encode(b))
}

// exclude finds settings of unlike names that are about the same thing: that of the lower
// rank is in conflict.
func (c *Catalogue) exclude(out []Resolved, w *scratch) {
	for from := 0; from < len(out); {
		key := out[from].ID.Key()
		to := from + 1
		for to < len(out) && out[to].ID.Key() == key {
			to++
		}
		if e := c.byKey[key]; to-from > 1 && len(e.Exclusive) > 0 {
			excludeAmong(e, out[from:to], w)
		}
		from = to
	}
}

// meet reports whether two settings may be about the same k-th thing. It goes by hashes.
func (w *scratch) meet(out []Resolved, k int) bool {
	w.hashes = table(w.hashes, len(out))
	mask := uint64(len(w.hashes) - 1) //nolint:gosec // at least 16
	for i := range out {
		if out[i].first.about[k] == "" {
			continue
		}
		h := out[i].first.aboutHash[k] | 1 // 0 is free
		slot := (h >> 1) & mask
		for w.hashes[slot] != 0 {
			if w.hashes[slot] == h {
				return true
			}
			slot = (slot + 1) & mask
		}
		w.hashes[slot] = h
	}
	return false
}

func excludeAmong(e *Entry, out []Resolved, w *scratch) {
	meet := false
	for k := range e.Exclusive {
		meet = meet || w.meet(out, k)
	}
	if !meet { // as it nearly always is
		return
	}
	order := make([]*Resolved, len(out))
	for i := range out {
		order[i] = &out[i]
	}
	slices.SortFunc(order, func(a, b *Resolved) int {
		x, y := &a.Claims[0], &b.Claims[0]
		return cmp.Or(y.Priority-x.Priority, y.Via.Depth-x.Via.Depth, strings.Compare(string(x.Policy), string(y.Policy)), strings.Compare(string(a.ID), string(b.ID)))
	})
	for k, field := range e.Exclusive {
		clear(w.taken)
		for _, r := range order {
			v := r.first.about[k]
			if r.Conflict != "" || v == "" {
				continue
			}
			other, ok := w.taken[v]
			if !ok {
				w.taken[v] = r.ID
				continue
			}
			r.Value, r.Source = nil, manifest.Source{}
			r.Conflict = fmt.Sprintf("%s says the same %s and ranks higher", other, field)
			for i := range r.Claims {
				r.Claims[i].Won = false
			}
		}
	}
}

// Manifest returns the settings of a device that go to it: all that are not in conflict.
func Manifest(resolved []Resolved) []manifest.Setting {
	out := make([]manifest.Setting, 0, len(resolved))
	for _, r := range resolved {
		if r.Conflict == "" {
			out = append(out, manifest.Setting{ID: r.ID, Value: r.Value, Source: r.Source})
		}
	}
	return out
}
