package mdmtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
)

// RunGroupStore is the suite of group.Store.
func RunGroupStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	t.Run("tree", func(t *testing.T) { groupTree(t, open(t)) })
	t.Run("delete", func(t *testing.T) { groupDelete(t, open(t)) })
	t.Run("moves at once make no circle", func(t *testing.T) { groupMoves(t, open(t)) })
}

func groupTree(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), group.New(s)
	a := must(r.Create(ctx, mdm.RootGroup, "A", &group.Unattended{Enabled: true, Capabilities: []string{"view"}}, Start))(t)
	b := must(r.Create(ctx, a.ID, "B", nil, Start))(t)
	c := must(r.Create(ctx, b.ID, "C", &group.Unattended{}, Start))(t)
	tree := must(r.Tree(ctx))(t)
	if !slices.Equal(tree.Path(c.ID), []string{"All devices", "A", "B", "C"}) {
		t.Errorf("path = %v", tree.Path(c.ID))
	}
	for id, want := range map[mdm.GroupID]bool{mdm.RootGroup: false, a.ID: true, b.ID: true, c.ID: false, "grp_none": false} {
		if got := tree.Unattended(id).Enabled; got != want {
			t.Errorf("unattended of %s = %v, want %v", id, got, want)
		}
	}
	if !tree.IsWithin(c.ID, a.ID) || tree.IsWithin(a.ID, c.ID) || !tree.IsWithin(a.ID, a.ID) || tree.IsWithin("grp_none", mdm.RootGroup) {
		t.Error("IsWithin is wrong")
	}
	if got := tree.Below(a.ID); !slices.Equal(got, []mdm.GroupID{a.ID, b.ID, c.ID}) {
		t.Errorf("Below = %v", got)
	}
	name, root, empty := "a", mdm.RootGroup, "\x01 "
	for _, tt := range []struct {
		what string
		id   mdm.GroupID
		c    group.Change
		want error
	}{
		{"a parent below itself", a.ID, group.Change{Parent: &c.ID}, mdm.ErrInvalid},
		{"itself as parent", a.ID, group.Change{Parent: &a.ID}, mdm.ErrInvalid},
		{"the root moved", mdm.RootGroup, group.Change{Parent: &a.ID}, mdm.ErrInvalid},
		{"an empty name", b.ID, group.Change{Name: &empty}, mdm.ErrInvalid},
		{"a sibling's name", b.ID, group.Change{Name: &name, Parent: &root}, mdm.ErrAlreadyExists},
		{"no such group", "grp_none", group.Change{}, mdm.ErrNotFound},
	} {
		if _, err := r.Update(ctx, tt.id, tt.c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
	}
	if _, err := r.Create(ctx, mdm.RootGroup, "a", nil, Start); !errors.Is(err, mdm.ErrAlreadyExists) {
		t.Errorf("second A: %v, want ErrAlreadyExists", err)
	}
	if _, err := r.Create(ctx, "grp_none", "x", nil, Start); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("below nothing: %v, want ErrInvalid", err)
	}
	var inherit *group.Unattended
	must(r.Update(ctx, c.ID, group.Change{Unattended: &inherit, Parent: &root}))(t)
	if tree = must(r.Tree(ctx))(t); tree.Unattended(c.ID).Enabled || len(tree.Path(c.ID)) != 2 {
		t.Errorf("C after its move: %v %v", tree.Unattended(c.ID), tree.Path(c.ID))
	}
	deepest := c.ID
	var err error
	for n := 0; err == nil && n < 2*group.MaxDepth; n++ {
		var g group.Group
		g, err = r.Create(ctx, deepest, fmt.Sprint(n), nil, Start)
		deepest = g.ID
	}
	if !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("a tree without bottom: %v, want ErrInvalid", err)
	}
}

func groupDelete(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), group.New(s)
	a := must(r.Create(ctx, mdm.RootGroup, "A", nil, Start))(t)
	b := must(r.Create(ctx, a.ID, "B", nil, Start))(t)
	now := Start.Add(time.Hour)
	token, _, err := enroll.New(s).Create(ctx, enroll.Wanted{Group: b.ID}, Start)
	if err != nil {
		t.Fatal(err)
	}
	id := Join(t, s, 1, b.ID)
	refused := func(what string, id mdm.GroupID) {
		t.Helper()
		if err := r.Delete(ctx, id, now); !errors.Is(err, mdm.ErrConflict) {
			t.Errorf("delete with %s: %v, want ErrConflict", what, err)
		}
	}
	refused("a group below", a.ID)
	refused("a device and a token", b.ID)
	if err := device.New(s).Delete(ctx, id); err != nil {
		t.Fatal(err)
	}
	refused("a usable token", b.ID)
	if err := enroll.New(s).Revoke(ctx, token.ID, now); err != nil {
		t.Fatal(err)
	}
	for _, id := range []mdm.GroupID{b.ID, a.ID} {
		if err := r.Delete(ctx, id, now); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	if err := r.Delete(ctx, a.ID, now); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("second delete: %v, want ErrNotFound", err)
	}
	if err := r.Delete(ctx, mdm.RootGroup, now); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("delete of the root: %v, want ErrInvalid", err)
	}
}

func groupMoves(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), group.New(s)
	a := must(r.Create(ctx, mdm.RootGroup, "A", nil, Start))(t)
	b := must(r.Create(ctx, mdm.RootGroup, "B", nil, Start))(t)
	var wg sync.WaitGroup
	for _, pair := range [][2]mdm.GroupID{{a.ID, b.ID}, {b.ID, a.ID}} {
		wg.Go(func() {
			if _, err := r.Update(ctx, pair[0], group.Change{Parent: &pair[1]}); err != nil && !errors.Is(err, mdm.ErrInvalid) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	tree := must(r.Tree(ctx))(t)
	if got := len(tree.Below(mdm.RootGroup)); got != 3 {
		t.Errorf("%d groups hang on the root, want 3", got)
	}
}
