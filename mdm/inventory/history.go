package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"handrail/mdm"
)

// Chapter is how one section of a device changed at one time.
type Chapter struct {
	At      time.Time
	Section string // software as one
	First   bool   // it was reported for the first time, or again; Changes is empty
	Changes []Change
}

// maxChapters bounds how much history one question goes through.
const maxChapters = 20_000

// Timeline returns up to limit chapters, newest first, before a time (zero: now), of one
// section or all ("").
func (r *Registry) Timeline(ctx context.Context, device mdm.DeviceID, section string, before time.Time, limit int) ([]Chapter, error) {
	list, err := r.store.History(ctx, device, section, time.Time{}, before, min(max(limit, 1), 500))
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", device, err)
	}
	return list, nil
}

// At returns the sections as they were at a time, by name, software as one. Fields that move by
// themselves, as free space does, are as they are now.
func (r *Registry) At(ctx context.Context, device mdm.DeviceID, at time.Time) (map[string][]byte, error) {
	now, err := r.now(ctx, device)
	if err != nil {
		return nil, err
	}
	return r.back(ctx, device, now, at, time.Time{})
}

// Between returns how the sections differ between two times, by name; sections without
// difference are left out.
func (r *Registry) Between(ctx context.Context, device mdm.DeviceID, from, to time.Time) ([]Chapter, error) {
	now, err := r.now(ctx, device)
	if err != nil {
		return nil, err
	}
	later, err := r.back(ctx, device, now, to, time.Time{})
	if err != nil {
		return nil, err
	}
	earlier, err := r.back(ctx, device, later, from, to.Add(time.Microsecond))
	if err != nil {
		return nil, err
	}
	out := []Chapter{}
	sections := maps.Clone(later)
	maps.Copy(sections, earlier)
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if bytes.Equal(earlier[name], later[name]) {
			continue // most, and among them the long ones
		}
		changes, err := Diff(name, earlier[name], later[name])
		if err != nil {
			return nil, fmt.Errorf("history of %s: section %s: %w", device, name, err)
		}
		if earlier[name] == nil && later[name] != nil {
			out = append(out, Chapter{At: to, Section: name, First: true, Changes: []Change{}})
		} else if len(changes) > 0 {
			out = append(out, Chapter{At: to, Section: name, Changes: changes})
		}
	}
	return out, nil
}

// now returns the sections as they are, software as one.
func (r *Registry) now(ctx context.Context, device mdm.DeviceID) (map[string][]byte, error) {
	rows, err := r.store.Sections(ctx, device)
	if err != nil {
		return nil, fmt.Errorf("inventory of %s: %w", device, err)
	}
	out := map[string][]byte{}
	var software []json.RawMessage
	for _, row := range rows {
		if !IsSoftware(row.Section) {
			out[row.Section] = row.Data
			continue
		}
		var part []json.RawMessage
		if err := json.Unmarshal(row.Data, &part); err != nil {
			return nil, fmt.Errorf("inventory of %s: section %s: %w", device, row.Section, err)
		}
		software = append(software, part...)
	}
	if software == nil {
		return out, nil
	}
	out[SectionSoftware], err = json.Marshal(software)
	return out, err
}

// back returns sections as they were at a time, given as they were just before until (zero: now).
func (r *Registry) back(ctx context.Context, device mdm.DeviceID, later map[string][]byte, at, until time.Time) (map[string][]byte, error) {
	chapters, err := r.store.History(ctx, device, "", at, until, maxChapters)
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", device, err)
	}
	out := maps.Clone(later)
	going := map[string]*undoer{}
	for _, ch := range chapters {
		if ch.First {
			delete(out, ch.Section)
			delete(going, ch.Section)
			continue
		}
		u := going[ch.Section]
		if u == nil {
			u, err = undoing(ch.Section, out[ch.Section])
			going[ch.Section] = u
		}
		if err == nil {
			err = u.undo(ch.Changes)
		}
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", device, err)
		}
	}
	for name, u := range going {
		before, err := u.bytes()
		if err != nil {
			return nil, fmt.Errorf("history of %s: section %s: %w", device, name, err)
		}
		if before == nil {
			delete(out, name)
		} else {
			out[name] = before
		}
	}
	return out, nil
}
