// Package group is the tree of device groups. Where a device stands in it decides who may
// act on it and by which policy; both are inherited from the groups above.
package group

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// Limits of the tree.
const (
	MaxName  = 80 // bytes
	MaxDepth = 12 // groups from the root down, the root included
	MaxAll   = 5000
)

// Unattended is a group's policy for sessions nobody at the device is asked about.
type Unattended struct {
	Enabled      bool     `json:"enabled"`
	Capabilities []string `json:"capabilities"` // names of signaling.Capability; more is never granted unasked
}

// Group is one node of the tree.
type Group struct {
	ID         mdm.GroupID
	Parent     mdm.GroupID // "" for the root only
	Name       string
	Unattended *Unattended // nil inherits the parent's; the root's nil is "disabled"
	Revision   int64       // 1 when new; each change adds one
	CreatedAt  time.Time
}

// Store keeps the groups.
type Store interface {
	// Groups returns every group, in no particular order.
	Groups(ctx context.Context) ([]Group, error)
	// ChangeGroups runs change over the tree as it is, and stores the group it returns: new
	// when its id is not in the tree. No other change of the tree happens meanwhile.
	// change may run twice.
	ChangeGroups(ctx context.Context, change func(Tree) (Group, error)) (Group, error)
	// DeleteGroup removes a group; mdm.ErrNotFound, or mdm.ErrConflict while devices,
	// groups, grants or usable enrollment tokens hang on it.
	DeleteGroup(ctx context.Context, id mdm.GroupID, now time.Time) error
}

// Registry applies the rules of the tree over a Store. It is safe for concurrent use.
type Registry struct{ store Store }

// New returns a registry over store.
func New(store Store) *Registry { return &Registry{store: store} }

// Tree returns the tree of this moment.
func (r *Registry) Tree(ctx context.Context) (Tree, error) {
	groups, err := r.store.Groups(ctx)
	if err != nil {
		return Tree{}, fmt.Errorf("groups: %w", err)
	}
	return NewTree(groups), nil
}

// Create adds a group below parent. Errors: mdm.ErrInvalid (name, depth, no such parent),
// mdm.ErrAlreadyExists (a sibling has the name).
func (r *Registry) Create(ctx context.Context, parent mdm.GroupID, name string, u *Unattended, now time.Time) (Group, error) {
	g := Group{ID: mdm.NewGroupID(), Parent: parent, Name: mdm.Clean(name, MaxName), Unattended: u, Revision: 1, CreatedAt: now}
	g, err := r.store.ChangeGroups(ctx, func(t Tree) (Group, error) {
		if t.Len() >= MaxAll {
			return g, fmt.Errorf("at most %d groups: %w", MaxAll, mdm.ErrInvalid)
		}
		return g, t.check(g)
	})
	if err != nil {
		return Group{}, fmt.Errorf("create group: %w", err)
	}
	return g, nil
}

// Change is what may change; nil leaves a field.
type Change struct {
	Name       *string
	Parent     *mdm.GroupID
	Unattended **Unattended // pointer to nil: inherit again
	Revision   int64        // what the caller saw; 0 takes any
}

// Update changes a group. Errors: mdm.ErrNotFound, mdm.ErrInvalid (name, depth, a group
// below itself, the root moved), mdm.ErrAlreadyExists, mdm.ErrConflict (another revision).
func (r *Registry) Update(ctx context.Context, id mdm.GroupID, c Change) (Group, error) {
	g, err := r.store.ChangeGroups(ctx, func(t Tree) (Group, error) {
		g, ok := t.Group(id)
		if !ok {
			return g, mdm.ErrNotFound
		}
		if c.Revision != 0 && c.Revision != g.Revision {
			return g, fmt.Errorf("somebody else changed it meanwhile: %w", mdm.ErrConflict)
		}
		if c.Name != nil {
			g.Name = mdm.Clean(*c.Name, MaxName)
		}
		if c.Parent != nil {
			g.Parent = *c.Parent
		}
		if c.Unattended != nil {
			g.Unattended = *c.Unattended
		}
		g.Revision++
		return g, t.check(g)
	})
	if err != nil {
		return Group{}, fmt.Errorf("change group %q: %w", mdm.Clean(string(id), 64), err)
	}
	return g, nil
}

// Delete removes an empty group; the root stays (mdm.ErrInvalid).
func (r *Registry) Delete(ctx context.Context, id mdm.GroupID, now time.Time) error {
	if id == mdm.RootGroup {
		return fmt.Errorf("the root group cannot be deleted: %w", mdm.ErrInvalid)
	}
	if err := r.store.DeleteGroup(ctx, id, now); err != nil {
		return fmt.Errorf("delete group %q: %w", mdm.Clean(string(id), 64), err)
	}
	return nil
}

// Tree is the groups of one moment. It is immutable and safe for concurrent use.
type Tree struct {
	groups   map[mdm.GroupID]Group
	children map[mdm.GroupID][]mdm.GroupID // by name
}

// NewTree arranges groups.
func NewTree(groups []Group) Tree {
	t := Tree{groups: make(map[mdm.GroupID]Group, len(groups)), children: map[mdm.GroupID][]mdm.GroupID{}}
	for _, g := range groups {
		t.groups[g.ID] = g
		t.children[g.Parent] = append(t.children[g.Parent], g.ID)
	}
	for _, ids := range t.children {
		slices.SortFunc(ids, func(a, b mdm.GroupID) int {
			return strings.Compare(strings.ToLower(t.groups[a].Name), strings.ToLower(t.groups[b].Name))
		})
	}
	return t
}

// Len returns how many groups there are.
func (t Tree) Len() int { return len(t.groups) }

// Group returns one group.
func (t Tree) Group(id mdm.GroupID) (Group, bool) {
	g, ok := t.groups[id]
	return g, ok
}

// All returns every group, parents before their children, siblings by name.
func (t Tree) All() []Group {
	var out []Group
	t.walk("", func(g Group) { out = append(out, g) })
	return out
}

// Below returns the ids of root and every group under it; empty when there is no such group.
func (t Tree) Below(root mdm.GroupID) []mdm.GroupID {
	g, ok := t.groups[root]
	if !ok {
		return nil
	}
	out := []mdm.GroupID{g.ID}
	t.walk(root, func(g Group) { out = append(out, g.ID) })
	return out
}

func (t Tree) walk(parent mdm.GroupID, visit func(Group)) {
	for _, id := range t.children[parent] {
		visit(t.groups[id])
		t.walk(id, visit)
	}
}

// IsWithin reports whether id is root or below it. An unknown id is within nothing.
func (t Tree) IsWithin(id, root mdm.GroupID) bool {
	for range len(t.groups) {
		g, ok := t.groups[id]
		if !ok {
			return false
		}
		if id == root {
			return true
		}
		id = g.Parent
	}
	return false
}

// Path returns the names from the root down to id.
func (t Tree) Path(id mdm.GroupID) []string {
	var out []string
	for range len(t.groups) {
		g, ok := t.groups[id]
		if !ok {
			break
		}
		out = append(out, g.Name)
		id = g.Parent
	}
	slices.Reverse(out)
	return out
}

// Unattended returns the policy in force for a group: its own, or the nearest above it.
// With none at all, or no such group, it is disabled.
func (t Tree) Unattended(id mdm.GroupID) Unattended {
	for range len(t.groups) {
		g, ok := t.groups[id]
		if !ok {
			break
		}
		if g.Unattended != nil {
			return *g.Unattended
		}
		id = g.Parent
	}
	return Unattended{Capabilities: []string{}}
}

// check says whether the tree may hold g in place of its own version of it.
func (t Tree) check(g Group) error {
	if g.Name == "" {
		return fmt.Errorf("a group needs a name: %w", mdm.ErrInvalid)
	}
	if g.Unattended != nil && len(g.Unattended.Capabilities) > 32 {
		return fmt.Errorf("%d capabilities: %w", len(g.Unattended.Capabilities), mdm.ErrInvalid)
	}
	if g.ID == mdm.RootGroup {
		if g.Parent != "" {
			return fmt.Errorf("the root group cannot be moved: %w", mdm.ErrInvalid)
		}
		return nil
	}
	if _, ok := t.groups[g.Parent]; !ok {
		return fmt.Errorf("no group %q to be below: %w", mdm.Clean(string(g.Parent), 64), mdm.ErrInvalid)
	}
	if t.IsWithin(g.Parent, g.ID) {
		return fmt.Errorf("a group cannot be below itself: %w", mdm.ErrInvalid)
	}
	if len(t.Path(g.Parent))+t.height(g.ID) > MaxDepth {
		return fmt.Errorf("the tree is at most %d groups deep: %w", MaxDepth, mdm.ErrInvalid)
	}
	for _, id := range t.children[g.Parent] {
		if id != g.ID && strings.EqualFold(t.groups[id].Name, g.Name) {
			return fmt.Errorf("group %q: %w", g.Name, mdm.ErrAlreadyExists)
		}
	}
	return nil
}

// height is the number of levels from id down; 1 for a group without children or a new one.
func (t Tree) height(id mdm.GroupID) int {
	h := 0
	for _, c := range t.children[id] {
		h = max(h, t.height(c))
	}
	return h + 1
}
