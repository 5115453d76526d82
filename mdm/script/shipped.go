package script

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// Shipped is a script that comes with the program. It is not in the store, has one version,
// and does not change; a copy may.
type Shipped struct {
	ID                ID
	Name, Description string
	At                time.Time
	Draft             Draft
}

// shippedOne is one with its version made.
type shippedOne struct {
	script  Script
	version Version
}

// Ship adds the scripts that come with the program; mdm.ErrInvalid where one is not as scripts
// must be. It is called once, before the registry is used.
func (r *Registry) Ship(list []Shipped) error {
	for _, s := range list {
		if !mdm.IsID("scr", string(s.ID)) {
			return fmt.Errorf("shipped script %s: not the id of a script: %w", s.ID, mdm.ErrInvalid)
		}
		d := s.Draft
		d.ByName = "Handrail"
		v, err := d.version(s.ID, 1, s.At)
		if err != nil {
			return fmt.Errorf("shipped script %s: %w", s.ID, err)
		}
		r.shipped = append(r.shipped, shippedOne{
			script:  Script{ID: s.ID, Name: s.Name, Description: s.Description, Newest: 1, CreatedAt: s.At, ChangedAt: s.At, Shipped: true},
			version: v,
		})
	}
	return nil
}

func (r *Registry) shippedBy(id ID) (shippedOne, bool) {
	i := slices.IndexFunc(r.shipped, func(s shippedOne) bool { return s.script.ID == id })
	if i < 0 {
		return shippedOne{}, false
	}
	return r.shipped[i], true
}

// mayChange refuses to change what comes with the program.
func (r *Registry) mayChange(id ID) error {
	if s, ok := r.shippedBy(id); ok {
		return fmt.Errorf("the script %q comes with the program: make a copy and change that: %w", s.script.Name, mdm.ErrInvalid)
	}
	return nil
}

// withShipped puts shipped scripts among others, by name.
func (r *Registry) withShipped(list []Script) []Script {
	for _, s := range r.shipped {
		list = append(list, s.script)
	}
	slices.SortFunc(list, func(a, b Script) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(string(a.ID), string(b.ID)))
	})
	return list
}
