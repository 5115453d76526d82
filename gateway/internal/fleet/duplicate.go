package fleet

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"handrail/mdm"
)

// Duplicate is several devices that seem to be one machine: enrolled twice, as after its disk or
// mainboard was changed, or an image that carries what should be each machine's own.
type Duplicate struct {
	Reason  string // "serial", "mac"
	Value   string
	Devices []mdm.DeviceID // the one seen last first
}

// junkSerials are what makers leave in the place of a serial number.
func junkSerials() []string {
	return []string{
		"", "0", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified", "not applicable", "n/a", "unknown",
		"123456789", "1234567890", "0123456789", "invalid", "oem", "chassis serial number", "empty", "o.e.m.", "serial",
	}
}

// maxDuplicates bounds the answer, most devices first.
const maxDuplicates = 500

// Duplicates finds devices that seem to be one machine among those of a search. A machine whose
// hardware is all the same is recognised when it enrolls and never becomes two.
func (f *Fleet) Duplicates(ctx context.Context, q Query) ([]Duplicate, error) {
	type key struct{ reason, value string }
	by := map[key][]*Record{}
	junk := junkSerials()
	err := f.Each(ctx, q, func(r *Record) {
		serial := strings.ToLower(strings.TrimSpace(r.Serial))
		// The same serial number of another model is another machine.
		if len(serial) > 3 && !slices.Contains(junk, serial) && strings.Trim(serial, string(serial[0])) != "" {
			k := key{"serial", r.Serial + " (" + r.Model + ")"}
			by[k] = append(by[k], r)
		}
		for _, m := range r.MACs {
			k := key{"mac", m}
			by[k] = append(by[k], r)
		}
	})
	if err != nil {
		return nil, err
	}
	var out []Duplicate
	for k, list := range by {
		if len(list) < 2 {
			continue
		}
		slices.SortFunc(list, func(a, b *Record) int {
			return cmp.Or(cmp.Compare(b.LastSeenUS, a.LastSeenUS), cmp.Compare(a.ID, b.ID))
		})
		d := Duplicate{Reason: k.reason, Value: k.value}
		for _, r := range list {
			d.Devices = append(d.Devices, r.ID)
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Duplicate) int {
		return cmp.Or(cmp.Compare(len(b.Devices), len(a.Devices)), cmp.Compare(b.Reason, a.Reason), cmp.Compare(a.Value, b.Value))
	})
	// The same devices for a second reason say nothing new.
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(d Duplicate) bool {
		k := ""
		for _, id := range slices.Sorted(slices.Values(d.Devices)) {
			k += string(id)
		}
		again := seen[k]
		seen[k] = true
		return again
	})
	return out[:min(len(out), maxDuplicates)], nil
}
