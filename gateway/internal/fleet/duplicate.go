package fleet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"handrail/mdm"
)

// Duplicate is several devices that seem to be one machine: enrolled twice, as after its disk or
// mainboard was changed, or an image that carries what should be each machine's own.
type Duplicate struct {
	ID      string // of these devices together, whatever they share
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
// hardware is all the same is recognised when it enrolls and never becomes two. Of those that
// somebody said are several machines it returns none, or only those if kept.
func (f *Fleet) Duplicates(ctx context.Context, q Query, kept bool) ([]Duplicate, error) {
	apart, err := f.cfg.Store.KeptApart(ctx)
	if err != nil {
		return nil, fmt.Errorf("duplicates: %w", err)
	}
	type key struct{ reason, value string }
	by := map[key][]*Record{}
	junk := junkSerials()
	err = f.Each(ctx, q, func(r *Record) {
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
		d.ID = together(d.Devices)
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Duplicate) int {
		return cmp.Or(cmp.Compare(len(b.Devices), len(a.Devices)), cmp.Compare(b.Reason, a.Reason), cmp.Compare(a.Value, b.Value))
	})
	// The same devices for a second reason say nothing new.
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(d Duplicate) bool {
		again := seen[d.ID]
		seen[d.ID] = true
		return again || apart[d.ID] != kept
	})
	return out[:min(len(out), maxDuplicates)], nil
}

// together names a set of devices.
func together(ids []mdm.DeviceID) string {
	h := sha256.New()
	for _, id := range slices.Sorted(slices.Values(ids)) {
		h.Write([]byte(id + "\n"))
	}
	return "dup_" + hex.EncodeToString(h.Sum(nil)[:12])
}

// KeepApart says that devices which seem to be one machine, by Duplicate.ID, are several, until
// another joins them.
func (f *Fleet) KeepApart(ctx context.Context, id, by string) error {
	if err := f.cfg.Store.KeepApart(ctx, id, by, f.cfg.Now()); err != nil {
		return fmt.Errorf("duplicate %q: %w", id, err)
	}
	return nil
}

// SuspectAgain takes KeepApart back; mdm.ErrNotFound.
func (f *Fleet) SuspectAgain(ctx context.Context, id string) error {
	if err := f.cfg.Store.SuspectAgain(ctx, id); err != nil {
		return fmt.Errorf("duplicate %q: %w", id, err)
	}
	return nil
}
