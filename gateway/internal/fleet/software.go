package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
)

// SoftwareName is software that devices have in whatever version.
type SoftwareName struct {
	ID      int64
	Source  string // deb, flatpak, …
	Name    string
	Devices int64 // that have any version

	Versions int64 // that any device has
}

// SoftwareTitle is one version of it.
type SoftwareTitle struct {
	ID, Name                        int64
	Version, Arch, Publisher, Scope string
	Devices                         int64
}

// SoftwareFilter selects software by name.
type SoftwareFilter struct {
	Query  string // words; every one must occur in the name
	Source string
	ByUse  bool // what most devices have first; else by name
	Limit  int

	// Where the page before ended; AfterID 0 is the first page.
	AfterKey     string
	AfterDevices int64
	AfterID      int64
}

// Software returns a page of software on the devices of groups, with how many of those have it,
// and the cursor of the next page. Counts of all groups are kept; of some they are made of the
// index.
func (f *Fleet) Software(ctx context.Context, filter SoftwareFilter, after string, visible Set, all bool) ([]SoftwareName, string, error) {
	filter.Limit = min(max(filter.Limit, 1), 500)
	if after != "" {
		keys, err := mdm.DecodeCursor(after, 2)
		if err != nil {
			return nil, "", err
		}
		filter.AfterKey = keys[0]
		var err1, err2 error
		filter.AfterID, err1 = strconv.ParseInt(keys[1], 10, 64)
		if filter.ByUse {
			filter.AfterDevices, err2 = strconv.ParseInt(keys[0], 10, 64)
		}
		if err1 != nil || err2 != nil || filter.AfterID <= 0 {
			return nil, "", fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
	}
	want := filter.Limit
	filter.Limit++
	out := []SoftwareName{}
	for {
		page, err := f.cfg.Store.SoftwareNames(ctx, filter)
		if err != nil {
			return nil, "", fmt.Errorf("software: %w", err)
		}
		for i, n := range page {
			if len(out) == want {
				return out, next(filter, page[max(i-1, 0)], i == 0), nil
			}
			key := n
			if !all {
				if n.Devices, err = f.countVisible(ctx, n.ID, visible); err != nil {
					return nil, "", err
				}
			}
			filter.AfterKey, filter.AfterDevices, filter.AfterID = strings.ToLower(key.Name), key.Devices, key.ID
			if n.Devices > 0 {
				out = append(out, n)
			}
		}
		if len(page) < filter.Limit {
			return out, "", nil
		}
	}
}

// next is the cursor behind the last name that was looked at.
func next(filter SoftwareFilter, last SoftwareName, whole bool) string {
	key, devices, id := strings.ToLower(last.Name), last.Devices, last.ID
	if whole {
		key, devices, id = filter.AfterKey, filter.AfterDevices, filter.AfterID
	}
	if filter.ByUse {
		key = strconv.FormatInt(devices, 10)
	}
	return mdm.EncodeCursor(key, strconv.FormatInt(id, 10))
}

func (f *Fleet) countVisible(ctx context.Context, name int64, visible Set) (int64, error) {
	titles, err := f.cfg.Store.SoftwareTitles(ctx, []int64{name})
	if err != nil {
		return 0, fmt.Errorf("software: %w", err)
	}
	ids := make([]int64, len(titles))
	for i, t := range titles {
		ids[i] = t.ID
	}
	set, err := f.cfg.Store.TitleSet(ctx, ids)
	if err != nil {
		return 0, fmt.Errorf("software: %w", err)
	}
	return int64(set.CountIn(visible)), nil
}

// SoftwareVersions returns one software by id and its versions, the newest first, with how many
// devices of those visible have each; mdm.ErrNotFound where none has any.
func (f *Fleet) SoftwareVersions(ctx context.Context, id int64, visible Set, all bool) (SoftwareName, []SoftwareTitle, error) {
	name, err := f.cfg.Store.SoftwareName(ctx, id)
	if err != nil {
		return name, nil, fmt.Errorf("software %d: %w", id, err)
	}
	titles, err := f.cfg.Store.SoftwareTitles(ctx, []int64{id})
	if err != nil {
		return name, nil, fmt.Errorf("software %d: %w", id, err)
	}
	if !all {
		if name.Devices, err = f.countVisible(ctx, id, visible); err != nil {
			return name, nil, err
		}
		for i := range titles {
			set, err := f.cfg.Store.TitleSet(ctx, []int64{titles[i].ID})
			if err != nil {
				return name, nil, fmt.Errorf("software %d: %w", id, err)
			}
			titles[i].Devices = int64(set.CountIn(visible))
		}
		titles = slices.DeleteFunc(titles, func(t SoftwareTitle) bool { return t.Devices == 0 })
	}
	if name.Devices == 0 {
		return name, nil, fmt.Errorf("software %d: %w", id, mdm.ErrNotFound)
	}
	slices.SortFunc(titles, func(a, b SoftwareTitle) int {
		return cmp.Or(rule.CompareVersions(b.Version, a.Version), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.ID, b.ID))
	})
	return name, titles, nil
}
