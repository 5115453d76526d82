package comply

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/group"
)

// maxCached bounds what is kept of decoded sections, in bytes of their JSON. Devices of a
// fleet are much alike: most sections of most devices are among few.
const maxCached = 24 << 20

// recent keeps values by a key: two generations, of which the older goes when the younger is
// full. The zero value keeps nothing; set most.
type recent[K comparable, T any] struct {
	most       int // of the sizes in one generation
	mu         sync.Mutex
	young, old map[K]T
	size       int
}

func (r *recent[K, T]) get(key K) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.young[key]
	if !ok {
		if v, ok = r.old[key]; ok {
			r.young[key] = v
		}
	}
	return v, ok
}

func (r *recent[K, T]) put(key K, v T, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || r.size+size > r.most {
		r.old, r.young, r.size = r.young, map[K]T{}, 0
	}
	r.young[key] = v
	r.size += size
}

// sectionKey names what a section may hold.
type sectionKey struct{ name, hash string }

// maxSeen is how many sections are remembered by their hash alone.
const maxSeen = 40_000

// subject is a device with its facts ready.
type subject struct {
	compliance.Subject
	inventory map[string]any
	prepared  *rule.Prepared
	groups    []mdm.GroupID // from the root to its own
}

// subjects loads devices with all a rulebook reads.
func (e *Engine) subjects(ctx context.Context, b *rulebook, tree group.Tree, ids []mdm.DeviceID) ([]subject, error) {
	st := e.cfg.Store
	list, err := st.ComplianceSubjects(ctx, ids, b.sections)
	if err != nil {
		return nil, fmt.Errorf("subjects: %w", err)
	}
	inventories, err := e.inventories(ctx, list)
	if err != nil {
		return nil, err
	}
	var labels map[mdm.DeviceID][]string
	if b.labels {
		if labels, err = st.DeviceLabelNames(ctx, ids); err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
	}
	var settings map[mdm.DeviceID]map[string]string
	if b.settings {
		if settings, err = st.SettingStates(ctx, ids); err != nil {
			return nil, err
		}
	}
	var software map[mdm.DeviceID]map[string][]string
	if len(b.packages) > 0 {
		if software, err = st.SoftwareVersions(ctx, ids, b.packages); err != nil {
			return nil, fmt.Errorf("software: %w", err)
		}
	}
	now := e.cfg.Now()
	out := make([]subject, len(list))
	for i, d := range list {
		s := subject{Subject: d, inventory: inventories[i], groups: lineage(tree, d.Group)}
		f := rule.Facts{
			Device: rule.Device{
				ID: string(d.Device), Name: d.Name, Hostname: d.Hostname, OS: d.OS, OSVersion: d.OSVersion, Arch: d.Arch,
				Model: d.Model, Serial: d.Serial, Group: string(d.Group), EnrolledAt: d.EnrolledAt, LastSeenAt: d.LastSeenAt,
			},
			Inventory: s.inventory, Now: now,
		}
		for _, g := range s.groups {
			f.Device.Groups = append(f.Device.Groups, string(g))
		}
		if b.labels {
			f.Labels = append([]string{}, labels[d.Device]...)
		}
		if b.settings {
			f.Settings = settings[d.Device]
			if f.Settings == nil {
				f.Settings = map[string]string{}
			}
		}
		if installed, ok := software[d.Device]; ok {
			f.Software = func(name string) []string { return installed[name] }
		}
		s.prepared = rule.Prepare(f)
		out[i] = s
	}
	return out, nil
}

// inventories decodes the sections of devices, reading only those it does not know by hash.
func (e *Engine) inventories(ctx context.Context, list []compliance.Subject) ([]map[string]any, error) {
	out := make([]map[string]any, len(list))
	var missing []compliance.SectionKey
	asked := map[sectionKey]bool{}
	for i, d := range list {
		out[i] = make(map[string]any, len(d.Sections))
		for name, hash := range d.Sections {
			key := sectionKey{name, hash}
			if v, ok := e.cache.get(key); ok {
				out[i][name] = v
			} else if !asked[key] {
				asked[key] = true
				missing = append(missing, compliance.SectionKey{Device: d.Device, Section: name})
			}
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	data, err := e.cfg.Store.ComplianceSections(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("sections: %w", err)
	}
	fresh := make(map[sectionKey]any, len(data))
	for _, d := range list {
		for name, hash := range d.Sections {
			key := sectionKey{name, hash}
			raw, ok := data[compliance.SectionKey{Device: d.Device, Section: name}]
			if !ok {
				continue
			}
			v, err := rule.DecodeSection(raw)
			if err != nil {
				continue // kept by its hash only: no section this gateway knows
			}
			if _, again := e.seen.get(key); again {
				e.cache.put(key, v, len(raw))
			} else {
				e.seen.put(key, struct{}{}, 1)
			}
			fresh[key] = v
		}
	}
	for i, d := range list {
		for name, hash := range d.Sections {
			if _, have := out[i][name]; have {
				continue
			}
			// A section that changed between the two reads is left out, and so unknown, for the
			// moment: the change has marked the device due again.
			if v, ok := fresh[sectionKey{name, hash}]; ok {
				out[i][name] = v
			}
		}
	}
	return out, nil
}

// lineage is a group's ancestors from the root, and itself.
func lineage(t group.Tree, id mdm.GroupID) []mdm.GroupID {
	var out []mdm.GroupID
	for range maxDepth {
		g, ok := t.Group(id)
		if !ok {
			break
		}
		out = append(out, id)
		if g.Parent == "" {
			break
		}
		id = g.Parent
	}
	slices.Reverse(out)
	return out
}

// maxDepth is deeper than any tree may be; see package group.
const maxDepth = 64
