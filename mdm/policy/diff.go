package policy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"handrail/mdm/manifest"
)

// ChangeKind is what became of a setting.
type ChangeKind string

// The kinds of changes.
const (
	Added      ChangeKind = "added"
	Removed    ChangeKind = "removed"
	Changed    ChangeKind = "changed"
	Conflicted ChangeKind = "conflicted" // policies now forbid each other; nothing is applied any more
)

// Change is how one setting differs between two versions, or on a device before and after.
// Values are masked.
type Change struct {
	ID       manifest.ID     `json:"id"`
	Kind     ChangeKind      `json:"kind"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	Fields   []FieldChange   `json:"fields,omitempty"` // of Changed, by path
	Conflict string          `json:"conflict,omitempty"`
}

// FieldChange is how one field differs. A nil value is an absent one.
type FieldChange struct {
	Path   string          `json:"path"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Secret bool            `json:"secret,omitempty"` // it is another secret; neither is shown
}

// DiffSettings compares two versions' settings, both as they are stored.
func (c *Catalogue) DiffSettings(before, after []Setting) []Change {
	var out []Change
	pair(before, after, func(s Setting) manifest.ID { return s.ID }, func(b, a *Setting) {
		switch {
		case b == nil:
			out = append(out, Change{ID: a.ID, Kind: Added, After: c.Mask(a.ID, a.Value)})
		case a == nil:
			out = append(out, Change{ID: b.ID, Kind: Removed, Before: c.Mask(b.ID, b.Value)})
		case !bytes.Equal(b.Value, a.Value):
			out = append(out, c.changed(a.ID, b.Value, a.Value))
		}
	})
	return out
}

// DiffResolved compares what a device must be before and after: only what reaches the device
// counts, not who said it.
func (c *Catalogue) DiffResolved(before, after []Resolved) []Change {
	var out []Change
	pair(before, after, func(r Resolved) manifest.ID { return r.ID }, func(b, a *Resolved) {
		was, is := b != nil && b.Conflict == "", a != nil && a.Conflict == ""
		switch {
		case a != nil && a.Conflict != "" && (b == nil || b.Conflict == ""):
			change := Change{ID: a.ID, Kind: Conflicted, Conflict: a.Conflict}
			if was {
				change.Before = c.Mask(b.ID, b.Value)
			}
			out = append(out, change)
		case !was && is:
			out = append(out, Change{ID: a.ID, Kind: Added, After: c.Mask(a.ID, a.Value)})
		case was && !is:
			out = append(out, Change{ID: b.ID, Kind: Removed, Before: c.Mask(b.ID, b.Value)})
		case was && is && !bytes.Equal(b.Value, a.Value):
			out = append(out, c.changed(a.ID, b.Value, a.Value))
		}
	})
	return out
}

// pair walks two lists that are sorted by id, calling visit with nil for what one lacks.
func pair[T any](before, after []T, id func(T) manifest.ID, visit func(b, a *T)) {
	for i, k := 0, 0; i < len(before) || k < len(after); {
		var order int
		switch {
		case i == len(before):
			order = 1
		case k == len(after):
			order = -1
		default:
			order = strings.Compare(string(id(before[i])), string(id(after[k])))
		}
		switch {
		case order < 0:
			visit(&before[i], nil)
			i++
		case order > 0:
			visit(nil, &after[k])
			k++
		default:
			visit(&before[i], &after[k])
			i++
			k++
		}
	}
}

func (c *Catalogue) changed(id manifest.ID, before, after json.RawMessage) Change {
	out := Change{ID: id, Kind: Changed, Before: c.Mask(id, before), After: c.Mask(id, after)}
	b, _ := decodeObject(before)
	a, _ := decodeObject(after)
	if e, ok := c.byKey[id.Key()]; ok {
		out.Fields = diffFields("", e.Fields, b, a)
	}
	return out
}

// diffFields lists the fields that differ, going into objects; a list is told whole, its
// secrets masked.
func diffFields(path string, fields []Field, before, after map[string]any) []FieldChange {
	var out []FieldChange
	for i := range fields {
		f := &fields[i]
		b, was := before[f.Name]
		a, is := after[f.Name]
		if was == is && (!was || same(b, a)) {
			continue
		}
		at := join(path, f.Name)
		switch f.Kind {
		case Secret:
			out = append(out, FieldChange{Path: at, Secret: true})
			continue
		case Object:
			bm, _ := b.(map[string]any)
			am, _ := a.(map[string]any)
			out = append(out, diffFields(at, f.Fields, bm, am)...)
			continue
		}
		change := FieldChange{Path: at}
		if was {
			change.Before = maskedField(f, b)
		}
		if is {
			change.After = maskedField(f, a)
		}
		out = append(out, change)
	}
	return out
}

func maskedField(f *Field, v any) json.RawMessage {
	masked, err := inSecret("", f, v, func(_ string, v any) (any, error) { return marker(v), nil })
	if err != nil {
		return json.RawMessage("null")
	}
	return encode(masked)
}

// Effect is what a change of policies would do to a set of devices.
type Effect struct {
	Devices   int             `json:"devices"`   // that were looked at
	Changed   int             `json:"changed"`   // whose settings would change
	Conflicts int             `json:"conflicts"` // with a setting that would newly be in conflict
	Settings  []SettingEffect `json:"settings"`  // by id; the commonest change of each first
	Cut       bool            `json:"cut"`       // there are more kinds of changes than are told
}

// SettingEffect is one way in which a setting would change, and on how many devices.
type SettingEffect struct {
	Change
	Devices int `json:"devices"`
}

// maxEffects bounds the kinds of changes that are told of a what-if.
const maxEffects = 1000

// WhatIf gathers an Effect. The zero value with a Catalogue is ready.
type WhatIf struct {
	Catalogue *Catalogue

	effect Effect
	index  map[string]int
}

// Add counts n devices whose settings would go from before to after, and returns how they
// would change.
func (w *WhatIf) Add(n int, before, after []Resolved) []Change {
	changes := w.Catalogue.DiffResolved(before, after)
	w.effect.Devices += n
	if len(changes) == 0 {
		return nil
	}
	w.effect.Changed += n
	conflict := false
	if w.index == nil {
		w.index = map[string]int{}
	}
	for _, ch := range changes {
		conflict = conflict || ch.Kind == Conflicted
		key := fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%s", ch.ID, ch.Kind, ch.Before, ch.After, ch.Conflict)
		at, ok := w.index[key]
		if !ok {
			if len(w.effect.Settings) >= maxEffects {
				w.effect.Cut = true
				continue
			}
			at = len(w.effect.Settings)
			w.index[key] = at
			w.effect.Settings = append(w.effect.Settings, SettingEffect{Change: ch})
		}
		w.effect.Settings[at].Devices += n
	}
	if conflict {
		w.effect.Conflicts += n
	}
	return changes
}

// Effect returns what was gathered so far.
func (w *WhatIf) Effect() Effect {
	out := w.effect
	out.Settings = slices.Clone(out.Settings)
	slices.SortStableFunc(out.Settings, func(a, b SettingEffect) int {
		return cmp.Or(strings.Compare(string(a.ID), string(b.ID)), b.Devices-a.Devices, strings.Compare(string(a.Kind), string(b.Kind)), bytes.Compare(a.After, b.After))
	})
	return out
}
