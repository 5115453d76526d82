package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm"
)

// A Change is one difference between two states of a section. Path leads to it: names of fields, and
// of a list's entries what names them (an interface's name, a package's name and source).
// Old or New is absent where there was, or is, nothing.
type Change struct {
	Path []string        `json:"p"`
	Old  json.RawMessage `json:"o,omitempty"`
	New  json.RawMessage `json:"n,omitempty"`
}

// MaxChanges is how many changes of one section a diff names; a section that changed more
// counts as changed as a whole, which is one change with an empty path.
const MaxChanges = 4000

// names are the fields that name an entry of a list, by section; entries of other lists
// are named by the first of nameFields they have.
func names(section string) []string {
	switch section {
	case SectionDisks:
		return []string{"name", "serial"}
	case SectionUsers:
		return []string{"name", "terminal", "host"}
	case SectionListening:
		return []string{"proto", "address", "port", "process"}
	case SectionRoutes:
		return []string{"destination", "gateway", "interface"}
	case SectionUSB:
		return []string{"port", "vendor_id", "product_id"}
	case SectionCertificates:
		return []string{"path", "sha256"}
	case SectionSoftware:
		return []string{"name", "source", "arch", "scope"}
	case SectionSignIns:
		return []string{"name", "terminal", "at_us"}
	}
	return nil
}

func nameFields() []string {
	return []string{"name", "mount", "path", "slot", "interface", "port", "device", "id"}
}

// restless are fields that move without anybody changing anything: they stay out of history.
func restless(section string) []string {
	switch section {
	case SectionFilesystems:
		return []string{"free_bytes"}
	case SectionAgent:
		return []string{"started_us"}
	case SectionUpdates:
		return []string{"package_lists_at_us"}
	case SectionDisks:
		return []string{"powered_hours"}
	}
	return nil
}

// Diff returns what changed of a section between two states, each the JSON that is kept, nil
// for never reported. Entries of lists are told apart by what names them, so order does not
// matter.
func Diff(section string, before, after []byte) ([]Change, error) {
	d := differ{names: names(Noun(section)), skip: restless(Noun(section))}
	a, err := state(before)
	if err != nil {
		return nil, err
	}
	b, err := state(after)
	if err != nil {
		return nil, err
	}
	if a == nil || b == nil {
		if a == nil && b == nil {
			return nil, nil
		}
		return []Change{{Path: []string{}, Old: raw(a), New: raw(b)}}, nil
	}
	d.compare(nil, a, b)
	if len(d.out) > MaxChanges {
		return []Change{{Path: []string{}, Old: before, New: after}}, nil
	}
	return d.out, nil
}

// Undo returns the state before changes, given the one after; nil for never reported.
func Undo(section string, after []byte, changes []Change) ([]byte, error) {
	u, err := undoing(section, after)
	if err == nil {
		err = u.undo(changes)
	}
	if err != nil {
		return nil, err
	}
	return u.bytes()
}

// undoer goes back over changes of a section, which it decodes and encodes once for all of them.
type undoer struct {
	section string
	v       any
	d       differ
}

func undoing(section string, after []byte) (*undoer, error) {
	v, err := state(after)
	return &undoer{section, v, differ{names: names(Noun(section))}}, err
}

func (u *undoer) undo(changes []Change) error {
	// What came goes, the last first; then what went comes back, the first first: so entries
	// of one name get the numbers they had.
	order := make([]Change, 0, len(changes))
	for _, c := range slices.Backward(changes) {
		if c.Old == nil {
			order = append(order, c)
		}
	}
	for _, c := range changes {
		if c.Old != nil {
			order = append(order, c)
		}
	}
	for _, c := range order {
		old, err := state(c.Old)
		if err != nil {
			return err
		}
		if u.v, err = u.d.put(u.v, nil, c.Path, old); err != nil {
			return fmt.Errorf("section %s: %w", u.section, err)
		}
	}
	return nil
}

// bytes is the section as it is kept; nil for never reported.
func (u *undoer) bytes() ([]byte, error) {
	if u.v == nil {
		return nil, nil
	}
	u.v, u.d.lists = swept(u.v), nil
	return json.Marshal(u.v)
}

// state decodes what is kept; numbers stay as they are written.
func state(data []byte) (any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("kept section: %w", err)
	}
	return v, nil
}

func raw(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil // it came from JSON
	}
	return b
}

type differ struct {
	names, skip []string
	out         []Change
	lists       map[string]*entries // that put changed, by path
}

func (d *differ) compare(path []string, a, b any) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			d.fields(path, x, y)
			return
		}
	case []any:
		if y, ok := b.([]any); ok && (isEntries(x) || isEntries(y)) && allEntries(x) && allEntries(y) {
			d.entries(path, x, y)
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		d.add(path, a, b)
	}
}

func (d *differ) add(path []string, a, b any) {
	d.out = append(d.out, Change{Path: slices.Clone(path), Old: raw(a), New: raw(b)})
}

func (d *differ) fields(path []string, a, b map[string]any) {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if slices.Contains(d.skip, k) {
			continue
		}
		x, inA := a[k]
		y, inB := b[k]
		if inA && inB {
			d.compare(append(path, k), x, y)
			continue
		}
		d.add(append(path, k), x, y)
	}
}

func (d *differ) entries(path []string, a, b []any) {
	before, order := d.byName(a)
	after, more := d.byName(b)
	for _, k := range more {
		if _, ok := before[k]; !ok {
			order = append(order, k)
		}
	}
	for _, k := range order {
		x, inA := before[k]
		y, inB := after[k]
		if inA && inB {
			d.compare(append(path, k), x, y)
			continue
		}
		d.add(append(path, k), x, y)
	}
}

func isEntries(l []any) bool {
	if len(l) == 0 {
		return false
	}
	_, ok := l[0].(map[string]any)
	return ok
}

func allEntries(l []any) bool {
	return !slices.ContainsFunc(l, func(e any) bool { _, ok := e.(map[string]any); return !ok })
}

// byName names the entries of a list; a name that comes again gets a number.
func (d *differ) byName(l []any) (map[string]any, []string) {
	out := make(map[string]any, len(l))
	order := make([]string, 0, len(l))
	for _, e := range l {
		name := d.name(e)
		key := name
		for n := 2; ; n++ {
			if _, taken := out[key]; !taken {
				break
			}
			key = name + " #" + strconv.Itoa(n)
		}
		out[key] = e
		order = append(order, key)
	}
	return out, order
}

func (d *differ) name(entry any) string {
	m, ok := entry.(map[string]any)
	if !ok {
		return ""
	}
	var parts []string
	for _, f := range d.names {
		if v, ok := m[f]; ok {
			if s := fmt.Sprint(v); s != "" {
				parts = append(parts, s)
			}
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, " ")
	}
	for _, f := range nameFields() {
		if s, ok := m[f].(string); ok && s != "" {
			return s
		}
	}
	return mdm.Clean(string(raw(entry)), 120)
}

// entries are a list with the places of its entries by name: to name them all anew for every
// one that changes took seconds where hundreds of packages did. What is removed is marked.
type entries struct {
	list     []any
	at       map[string]int
	numbered bool // a name is there several times, so what one is called depends on the others
}

// removed is in the place of an entry that is gone.
type removed struct{}

// swept is a value without the marks of what is gone.
func swept(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			x[k] = swept(e)
		}
	case []any:
		x = slices.DeleteFunc(x, func(e any) bool { return e == any(removed{}) })
		for i, e := range x {
			x[i] = swept(e)
		}
		return x
	}
	return v
}

// entriesOf returns a list at a path with its names, which are kept while it is the same list.
func (d *differ) entriesOf(at []string, l []any) *entries {
	key := strings.Join(at, "\x00")
	if e := d.lists[key]; e != nil && len(e.list) == len(l) && (len(l) == 0 || &e.list[0] == &l[0]) {
		return e
	}
	e := &entries{list: l, at: make(map[string]int, len(l))}
	for i, one := range l {
		if one != any(removed{}) {
			e.note(d.name(one), i)
		}
	}
	if d.lists == nil {
		d.lists = map[string]*entries{}
	}
	d.lists[key] = e
	return e
}

// note names the entry at a place; a name that comes again gets a number.
func (e *entries) note(name string, i int) {
	key := name
	for n := 2; ; n++ {
		if _, taken := e.at[key]; !taken {
			break
		}
		key, e.numbered = name+" #"+strconv.Itoa(n), true
	}
	e.at[key] = i
}

// put sets what is at path, below at, nil removes it, and returns the whole.
func (d *differ) put(v any, at, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch x := v.(type) {
	case map[string]any:
		below, err := d.put(x[path[0]], append(at, path[0]), path[1:], value)
		if err != nil {
			return nil, err
		}
		if below == nil && len(path) == 1 {
			delete(x, path[0])
		} else {
			x[path[0]] = below
		}
		return x, nil
	case []any:
		return d.putEntry(x, at, path, value)
	case nil:
		if len(path) == 1 {
			return map[string]any{path[0]: value}, nil
		}
	}
	return nil, fmt.Errorf("nothing at %q to change back", path[0])
}

func (d *differ) putEntry(x []any, at, path []string, value any) (any, error) {
	e := d.entriesOf(at, x)
	i, there := e.at[path[0]]
	if !there {
		if len(path) > 1 || value == nil {
			return nil, fmt.Errorf("no entry %q to change back", path[0])
		}
		x = append(x, value)
		e.list = x
		e.note(d.name(value), len(x)-1)
		return x, nil
	}
	below, err := d.put(x[i], append(at, path[0]), path[1:], value)
	if err != nil {
		return nil, err
	}
	if below != nil || len(path) > 1 {
		x[i] = below
		return x, nil
	}
	x[i] = removed{}
	delete(e.at, path[0])
	if e.numbered {
		delete(d.lists, strings.Join(at, "\x00"))
	}
	return x, nil
}
