package mdmtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	t.Run("sections", func(t *testing.T) { inventorySections(t, open(t)) })
	t.Run("software", func(t *testing.T) { inventorySoftware(t, open(t)) })
	t.Run("history", func(t *testing.T) { inventoryHistory(t, open(t)) })
}

func inventorySections(t *testing.T, s Store) {
	t.Helper()
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

// software is a list as sections.
func software(t *testing.T, list ...inventory.Software) map[string]inventory.Section {
	t.Helper()
	out := map[string]inventory.Section{}
	for n, b := range inventory.SplitSoftware(list) {
		data := must(json.Marshal(b))(t)
		out[inventory.SoftwareSection(n)] = Section(string(data))
	}
	return out
}

func inventorySoftware(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), inventory.New(s)
	a, b := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, mdm.RootGroup)
	list := []inventory.Software{
		{Name: "bash", Version: "5.2", Source: "deb", Arch: "amd64"},
		{Name: "openssl", Version: "3.0.14", Source: "deb", Arch: "amd64", Package: "openssl-src"},
		{Name: "openssl", Version: "3.0.14", Source: "pip", Scope: "ann"},
		{Name: "\U0001F427 viewer", Version: "1", Source: "flatpak", Publisher: "Flathub"},
	}
	slices.SortFunc(list, inventory.CompareSoftware)
	sections := software(t, list...)
	for _, id := range []mdm.DeviceID{a, b} {
		out := must(r.Apply(ctx, id, true, sections, Start))(t)
		if !slices.Equal(out.Changed, []string{"software"}) || len(out.Have) != inventory.SoftwareBuckets || len(out.Refused) != 0 {
			t.Fatalf("upload: %v %v", out.Changed, out.Refused)
		}
		if rep := must(r.Report(ctx, id))(t); !slices.Equal(rep.Software, list) || !rep.ChangedAt["software"].Equal(Start) {
			t.Errorf("software = %+v", rep.Software)
		}
	}
	if out := must(r.Apply(ctx, a, true, sections, Start.Add(time.Hour)))(t); len(out.Changed) != 0 {
		t.Errorf("the same again: %v", out.Changed)
	}
	section := inventory.SoftwareSection(inventory.SoftwareBucket("bash"))
	newer := Section(`[{"name":"bash","version":"5.3","source":"deb"},{"name":"openssl","version":"of another bucket","source":"deb"}]`)
	out := must(r.Apply(ctx, a, false, map[string]inventory.Section{section: newer}, Start.Add(2*time.Hour)))(t)
	if out.Have[section] != newer.Hash || len(out.Have) != inventory.SoftwareBuckets {
		t.Errorf("after an update: %v", out.Have)
	}
	if rep := must(r.Report(ctx, a))(t); len(rep.Software) != 4 || rep.Software[0].Version != "5.3" {
		t.Errorf("after an update: %+v", rep.Software)
	}
	if rep := must(r.Report(ctx, b))(t); !slices.Equal(rep.Software, list) {
		t.Errorf("the other device has %+v", rep.Software)
	}
	must(r.Apply(ctx, a, true, map[string]inventory.Section{"host": Section(`{}`)}, Start.Add(3*time.Hour)))(t)
	if rep := must(r.Report(ctx, a))(t); rep.Software != nil {
		t.Errorf("after software is reported no more: %+v", rep.Software)
	}
	bad := map[string]inventory.Section{section: {Hash: sections[section].Hash, Data: []byte(`[]`)}}
	if out := must(r.Apply(ctx, b, false, bad, Start))(t); len(out.Refused) != 0 || len(out.Changed) != 0 {
		t.Errorf("a hash that is known already: %+v", out)
	}
	if out := must(r.Apply(ctx, a, false, bad, Start))(t); out.Refused[section] == "" {
		t.Errorf("another's hash with data of its own was taken: %+v", out)
	}
}

func inventoryHistory(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), inventory.New(s)
	id := Join(t, s, 1, mdm.RootGroup)
	send := func(at time.Duration, full bool, sections map[string]inventory.Section) {
		t.Helper()
		must(r.Apply(ctx, id, full, sections, Start.Add(at)))(t)
	}
	send(0, true, map[string]inventory.Section{"host": Section(`{"hostname":"a"}`), "disks": Section(`[{"name":"sda","size_bytes":1}]`)})
	send(time.Hour, false, map[string]inventory.Section{"host": Section(`{"hostname":"b"}`)})
	send(2*time.Hour, true, map[string]inventory.Section{"host": Section(`{"hostname":"b"}`)})
	send(3*time.Hour, false, map[string]inventory.Section{"disks": Section(`[{"name":"sdb","size_bytes":2}]`)})
	line := must(r.Timeline(ctx, id, "", time.Time{}, 50))(t)
	var got []string
	for _, ch := range line {
		got = append(got, fmt.Sprint(ch.Section, ch.At.Sub(Start).Hours(), ch.First, len(ch.Changes)))
	}
	if want := []string{"disks3 true 0", "disks2 false 1", "host1 false 1", "disks0 true 0", "host0 true 0"}; !slices.Equal(got, want) {
		t.Errorf("timeline %q, want %q", got, want)
	}
	for at, want := range map[time.Duration]string{
		-time.Hour: "map[]", 30 * time.Minute: "a sda", 90 * time.Minute: "b sda", 150 * time.Minute: "b", 200 * time.Minute: "b sdb",
	} {
		then := must(r.At(ctx, id, Start.Add(at)))(t)
		for _, word := range strings.Fields(want) {
			if !strings.Contains(string(then["host"])+string(then["disks"]), `"`+word+`"`) && want != "map[]" {
				t.Errorf("at %v: %s, want %s", at, then, want)
			}
		}
		if n := len(strings.Fields(want)); want != "map[]" && len(then) != n || want == "map[]" && len(then) != 0 {
			t.Errorf("at %v: %d sections, want %s", at, len(then), want)
		}
	}
	between := must(r.Between(ctx, id, Start.Add(30*time.Minute), Start.Add(200*time.Minute)))(t)
	if len(between) != 2 || between[0].Section != "disks" || len(between[0].Changes) != 2 || between[1].Section != "host" || len(between[1].Changes) != 1 {
		t.Errorf("between: %+v", between)
	}
	if one := must(r.Timeline(ctx, id, "host", Start.Add(time.Hour), 1))(t); len(one) != 1 || !one[0].First {
		t.Errorf("timeline of the host before: %+v", one)
	}
}
