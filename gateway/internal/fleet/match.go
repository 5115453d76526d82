package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/group"
)

type predicate func(*Record) bool

// matcher makes one predicate of a query, the cheap conditions first.
func (f *Fleet) matcher(ctx context.Context, q Query) (predicate, error) {
	var all []predicate
	standing := q.Standing
	for _, t := range q.Terms {
		if t.Field == "state" && t.Value == "revoked" {
			standing = device.Any
		}
	}
	switch standing {
	case device.Welcome:
		all = append(all, func(r *Record) bool { return r.RevokedUS == 0 })
	case device.Revoked:
		all = append(all, func(r *Record) bool { return r.RevokedUS > 0 })
	case device.Any:
	}
	if !q.AllGroups {
		in := make(map[mdm.GroupID]bool, len(q.Groups))
		for _, g := range q.Groups {
			in[g] = true
		}
		all = append(all, func(r *Record) bool { return in[r.Group] })
	}
	var costly []predicate
	for _, t := range q.Terms {
		p, err := f.term(ctx, t)
		if err != nil {
			return nil, err
		}
		if t.Not {
			yes := p
			p = func(r *Record) bool { return !yes(r) }
		}
		if t.Field == "" {
			costly = append(costly, p)
		} else {
			all = append(all, p)
		}
	}
	all = append(all, costly...)
	return func(r *Record) bool {
		for _, p := range all {
			if !p(r) {
				return false
			}
		}
		return true
	}, nil
}

func (f *Fleet) term(ctx context.Context, t device.Term) (predicate, error) {
	if r := f.cfg.Fields[t.Field]; r != nil {
		ids, err := r(ctx, t.Value)
		if err != nil {
			return nil, err
		}
		in := make(map[mdm.DeviceID]bool, len(ids))
		for _, id := range ids {
			in[id] = true
		}
		return func(r *Record) bool { return in[r.ID] }, nil
	}
	if p := textTerm(t); p != nil {
		return p, nil
	}
	switch t.Field {
	case "software":
		return f.softwareTerm(ctx, t)
	case "software_id":
		return f.titleTerm(ctx, t.Value)
	case "label":
		return f.labelTerm(ctx, t.Value)
	case "group":
		return f.groupTerm(ctx, t.Value)
	case "state":
		return f.stateTerm(t.Value), nil
	case "is":
		return markTerm(t.Value), nil
	case "encrypted":
		return func(r *Record) bool { return r.Encrypted.String() == t.Value }, nil
	case "memory":
		return sizeTerm(t, func(r *Record) int64 { return r.MemoryBytes })
	case "disk":
		return sizeTerm(t, func(r *Record) int64 { return r.DiskBytes })
	case "updates":
		return numberTerm(t, func(r *Record) int64 { return r.Updates })
	case "security_updates":
		return numberTerm(t, func(r *Record) int64 { return r.SecurityUpdates })
	case "seen":
		return f.timeTerm(t, func(r *Record) int64 { return r.LastSeenUS })
	case "enrolled":
		return f.timeTerm(t, func(r *Record) int64 { return r.EnrolledUS })
	case "agent":
		if t.Op == device.Is {
			return func(r *Record) bool { return strings.Contains(strings.ToLower(r.Agent), t.Value) }, nil
		}
		return func(r *Record) bool { return holds(t.Op, rule.CompareVersions(r.Agent, t.Value)) }, nil
	}
	return nil, fmt.Errorf("%q cannot be searched for here: %w", mdm.Clean(t.Field, 64), mdm.ErrInvalid)
}

// textTerm is a condition on text; nil for other fields.
func textTerm(t device.Term) predicate {
	var get func(*Record) string
	switch t.Field {
	case "":
		return func(r *Record) bool { return strings.Contains(r.Search, t.Value) } // lower case as it is
	case "name":
		get = func(r *Record) string { return r.NameKey }
	case "hostname", "mac":
		// Both are part of the text of a search, set off by spaces.
		return func(r *Record) bool { return strings.Contains(r.Search, t.Value) }
	case "model":
		return alike(t, func(r *Record) string { return r.Model })
	case "serial":
		get = func(r *Record) string { return r.Serial }
	case "cpu":
		return alike(t, func(r *Record) string { return r.CPU })
	case "os":
		return alike(t, func(r *Record) string { return r.OS })
	case "version":
		return alike(t, func(r *Record) string { return r.OSVersion })
	case "arch":
		return alike(t, func(r *Record) string { return r.Arch })
	case "id":
		get = func(r *Record) string { return string(r.ID) }
	case "user":
		return func(r *Record) bool {
			return slices.ContainsFunc(r.Users, func(u string) bool { return compareText(t, u) })
		}
	default:
		key, ok := strings.CutPrefix(t.Field, "asset.")
		if !ok {
			return nil
		}
		return func(r *Record) bool { v, ok := r.Asset[key]; return ok && compareText(t, v) }
	}
	return func(r *Record) bool { return compareText(t, get(r)) }
}

// alike is a condition on a text that many devices share: each is looked at once in a search.
func alike(t device.Term, get func(*Record) string) predicate {
	last, said := "", compareText(t, "")
	known := map[string]bool{}
	return func(r *Record) bool {
		text := get(r)
		if text == last {
			return said
		}
		yes, ok := known[text]
		if !ok {
			yes = compareText(t, text)
			known[text] = yes
		}
		last, said = text, yes
		return yes
	}
}

// containsLower reports whether text, in lower case, holds a word that is.
func containsLower(text, word string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return strings.Contains(strings.ToLower(text), word)
		}
	}
	for i := 0; i+len(word) <= len(text); i++ {
		n := 0
		for n < len(word) && lower(text[i+n]) == word[n] {
			n++
		}
		if n == len(word) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

func compareText(t device.Term, text string) bool {
	if t.Op == device.Is {
		return containsLower(text, t.Value)
	}
	text = strings.ToLower(text)
	if a, err := strconv.ParseFloat(text, 64); err == nil {
		if b, err := strconv.ParseFloat(t.Value, 64); err == nil {
			return holds(t.Op, int(min(max(a-b, -1), 1)*1e6))
		}
	}
	return holds(t.Op, strings.Compare(text, t.Value)) // dates are written so that this orders them
}

func holds(op device.Op, c int) bool {
	switch op {
	case device.Less:
		return c < 0
	case device.AtMost:
		return c <= 0
	case device.More:
		return c > 0
	case device.AtLeast:
		return c >= 0
	case device.Is, device.Equal:
	}
	return c == 0
}

func (f *Fleet) softwareTerm(ctx context.Context, t device.Term) (predicate, error) {
	wanted := func(string) bool { return true }
	if t.Value != "" {
		wanted = func(version string) bool {
			// An epoch that was not asked for does not decide: 3.0.15 means 1:3.0.15, too.
			if !strings.Contains(t.Value, ":") {
				if _, rest, ok := strings.Cut(version, ":"); ok {
					version = rest
				}
			}
			// = 3.0.15 means any revision of it.
			if t.Op == device.Equal || t.Op == device.Is {
				return version == t.Value || strings.HasPrefix(version, t.Value+"-") || rule.CompareVersions(version, t.Value) == 0
			}
			return holds(t.Op, rule.CompareVersions(version, t.Value))
		}
	}
	set, err := f.cfg.Store.SoftwareSet(ctx, t.Name, wanted)
	if err != nil {
		return nil, err
	}
	return func(r *Record) bool { return set.Has(r.N) }, nil
}

// titleTerm finds devices by software of the index: "12" in any version, "12/34" in that one.
func (f *Fleet) titleTerm(ctx context.Context, value string) (predicate, error) {
	name, version, one := strings.Cut(value, "/")
	id, err := strconv.ParseInt(name, 10, 64)
	title, err2 := strconv.ParseInt(version, 10, 64)
	if err != nil || one && err2 != nil {
		return nil, fmt.Errorf("%q is no id of software: %w", mdm.Clean(value, 64), mdm.ErrInvalid)
	}
	titles, err := f.cfg.Store.SoftwareTitles(ctx, []int64{id})
	if err != nil {
		return nil, fmt.Errorf("software %d: %w", id, err)
	}
	var ids []int64
	for _, t := range titles {
		if !one || t.ID == title {
			ids = append(ids, t.ID)
		}
	}
	set, err := f.cfg.Store.TitleSet(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("software %d: %w", id, err)
	}
	return func(r *Record) bool { return set.Has(r.N) }, nil
}

func (f *Fleet) labelTerm(ctx context.Context, value string) (predicate, error) {
	labels, err := f.cfg.Labels.Labels(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range labels {
		if string(l.ID) == value || strings.EqualFold(l.Name, value) {
			return func(r *Record) bool { return slices.Contains(r.Labels, l.ID) }, nil
		}
	}
	return nil, fmt.Errorf("there is no label %q: %w", mdm.Clean(value, 64), mdm.ErrInvalid)
}

func (f *Fleet) groupTerm(ctx context.Context, value string) (predicate, error) {
	tree, err := f.cfg.Groups(ctx)
	if err != nil {
		return nil, err
	}
	in := map[mdm.GroupID]bool{}
	for _, g := range tree.All() {
		if string(g.ID) == value || strings.EqualFold(g.Name, value) || strings.EqualFold(strings.Join(tree.Path(g.ID), "/"), value) {
			for _, id := range tree.Below(g.ID) {
				in[id] = true
			}
		}
	}
	if len(in) == 0 {
		return nil, fmt.Errorf("there is no group %q: %w", mdm.Clean(value, group.MaxName), mdm.ErrInvalid)
	}
	return func(r *Record) bool { return in[r.Group] }, nil
}

func (f *Fleet) stateTerm(value string) predicate {
	if value == "revoked" {
		return func(r *Record) bool { return r.RevokedUS > 0 }
	}
	online, want := f.cfg.Online(), value == "online"
	return func(r *Record) bool { return r.RevokedUS == 0 && online[r.ID] == want }
}

func markTerm(value string) predicate {
	switch value {
	case "copied":
		return func(r *Record) bool { return r.CopiedUS > 0 }
	case "returned":
		return func(r *Record) bool { return r.ReturnedUS > 0 }
	}
	return func(r *Record) bool { return r.LastSeenUS == 0 }
}

// sizeTerm compares sizes; a size that is not known is found by none. Memory of 8 GB shows
// as a little less, as firmware keeps some, and disks are sold by thousands: equal is near.
func sizeTerm(t device.Term, get func(*Record) int64) (predicate, error) {
	want, err := device.ParseSize(t.Value)
	if err != nil {
		return nil, err
	}
	if t.Op == device.Is || t.Op == device.Equal {
		least, most := want-want/8, want+want/16
		return func(r *Record) bool { v := get(r); return v > 0 && v >= least && v <= most }, nil
	}
	// So that memory<16GB leaves out what is sold as 16 GB, and >=16GB takes it in.
	near := want - want/8
	return func(r *Record) bool {
		v := get(r)
		if v <= 0 {
			return false
		}
		if v >= near && v <= want+want/16 {
			v = want
		}
		return holds(t.Op, compare(v, want))
	}, nil
}

func numberTerm(t device.Term, get func(*Record) int64) (predicate, error) {
	want, err := strconv.ParseInt(t.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no number: %w", mdm.Clean(t.Value, 32), mdm.ErrInvalid)
	}
	return func(r *Record) bool { v := get(r); return v >= 0 && holds(t.Op, compare(v, want)) }, nil
}

// timeTerm compares when something was. Of ages more is longer ago, of dates later. Never is longer
// ago than any age, and on no date.
func (f *Fleet) timeTerm(t device.Term, get func(*Record) int64) (predicate, error) {
	age, date, err := device.ParseWhen(t.Value)
	if err != nil {
		return nil, err
	}
	if date.IsZero() {
		edge := f.cfg.Now().Add(-age).UnixMicro()
		op := t.Op
		if op == device.Is || op == device.Equal {
			op = device.AtMost // seen:7d: in the last seven days
		}
		return func(r *Record) bool { return holds(op, compare(edge, get(r))) }, nil
	}
	from, to := date.UnixMicro(), date.Add(24*time.Hour).UnixMicro()
	return func(r *Record) bool {
		at := get(r)
		c := 0
		if at < from {
			c = -1
		} else if at >= to {
			c = 1
		}
		return at > 0 && holds(t.Op, c)
	}, nil
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
