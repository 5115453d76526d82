package mdmtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/inventory"
)

// Section is a section as an honest agent sends it.
func Section(data string) inventory.Section {
	sum := sha256.Sum256([]byte(data))
	return inventory.Section{Hash: hex.EncodeToString(sum[:]), Data: []byte(data)}
}

// RunInventoryStore is the suite of inventory.Store.
func RunInventoryStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	s := open(t)
	ctx, r := t.Context(), inventory.New(s)
	id := Join(t, s, 1, mdm.RootGroup)
	apply := func(at time.Duration, full bool, sections map[string]inventory.Section) inventory.Outcome {
		t.Helper()
		return must(r.Apply(ctx, id, full, sections, Start.Add(at)))(t)
	}
	host := Section(`{"hostname":"pc\u0000\u001b[2J","os_version":"Debian 12","later_field":1}`)
	users := Section(`[{"name":"ann"},{"name":"ann","terminal":":0"},{"name":"bob"}]`)
	out := apply(0, true, map[string]inventory.Section{"host": host, "users": users, "of_tomorrow": Section(`[1]`)})
	if len(out.Refused) != 0 || len(out.Have) != 3 || out.Facts.Hostname != "pc[2J" || !slices.Equal(out.Facts.SignedIn, []string{"ann", "bob"}) {
		t.Errorf("first upload: %+v", out)
	}
	rep := must(r.Report(ctx, id))(t)
	if rep.Host.Hostname != "pc[2J" || len(rep.Users) != 3 || rep.Hardware != nil || !rep.ChangedAt["users"].Equal(Start) {
		t.Errorf("report = %+v", rep)
	}

	bad := Section(`{"hostname":5}`)
	out = apply(time.Hour, false, map[string]inventory.Section{
		"host": bad, "users": users, "agent": {Hash: "00", Data: []byte(`{}`)}, "Bad Name": Section(`1`), "disks": Section(`[]`),
	})
	if got := slices.Sorted(maps.Keys(out.Refused)); !slices.Equal(got, []string{"Bad Name", "agent", "host"}) {
		t.Errorf("refused %v", out.Refused)
	}
	if !slices.Equal(out.Changed, []string{"disks"}) || out.Have["host"] != host.Hash {
		t.Errorf("changed %v, have %v", out.Changed, out.Have)
	}
	rep = must(r.Report(ctx, id))(t)
	if !rep.ChangedAt["users"].Equal(Start) || !rep.ChangedAt["disks"].Equal(Start.Add(time.Hour)) || rep.Host == nil {
		t.Errorf("after a partial upload: %+v", rep)
	}

	out = apply(2*time.Hour, true, map[string]inventory.Section{"users": users, "host": bad})
	if got := slices.Sorted(maps.Keys(out.Have)); !slices.Equal(got, []string{"host", "users"}) {
		t.Errorf("full upload leaves %v; what was refused should stay as it was", got)
	}
	if rep = must(r.Report(ctx, id))(t); rep.Disks != nil || rep.Host == nil {
		t.Errorf("after a full upload: %+v", rep)
	}
	if _, err := r.Apply(ctx, "dev_none", false, map[string]inventory.Section{"users": users}, Start); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("upload of nobody: %v, want ErrNotFound", err)
	}
	if err := device.New(s).Delete(ctx, id); err != nil {
		t.Fatal(err)
	}
	if rows := must(s.Sections(ctx, id))(t); len(rows) != 0 {
		t.Errorf("%d sections outlive their device", len(rows))
	}
}
