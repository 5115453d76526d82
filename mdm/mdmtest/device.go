package mdmtest

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/group"
)

// RunDeviceStore is the suite of device.Store.
func RunDeviceStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	t.Run("change and find", func(t *testing.T) { deviceChange(t, open(t)) })
	t.Run("search and filter", func(t *testing.T) { deviceSearch(t, open(t)) })
	t.Run("paging", func(t *testing.T) { devicePaging(t, open(t)) })
	t.Run("last seen", func(t *testing.T) { deviceSeen(t, open(t)) })
}

func deviceChange(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), device.New(s)
	id := Join(t, s, 1, mdm.RootGroup)
	d := must(r.Device(ctx, id))(t)
	if d.Name != "host-001" || !d.PublicKey.Equal(Machine(1).PublicKey) || !d.EnrolledAt.Equal(Start) || !d.LastSeenAt.IsZero() {
		t.Errorf("enrolled device = %+v", d)
	}
	d = must(r.Learn(ctx, id, device.Facts{
		Hostname: "new-host", Model: "ThinkPad\x00\x1b[31m", OSVersion: "Debian 12", SignedIn: []string{"ann,bob", "", "eve"},
	}))(t)
	if d.Name != "new-host" || d.Model != "ThinkPad[31m" || !slices.Equal(d.SignedIn, []string{"ann bob", "eve"}) {
		t.Errorf("learned device = %+v", d)
	}
	name := "  Front   desk \u202e "
	d = must(r.Update(ctx, id, device.Change{Name: &name}))(t)
	if d.Name != "Front desk" {
		t.Errorf("name = %q", d.Name)
	}
	if d = must(r.Learn(ctx, id, device.Facts{Hostname: "third", KeepSignedIn: true}))(t); d.Name != "Front desk" || len(d.SignedIn) != 2 {
		t.Errorf("a name given by an operator followed the hostname: %+v", d)
	}
	if got := must(r.Device(ctx, id))(t); got.Name != d.Name || got.Hostname != "third" || !slices.Equal(got.SignedIn, d.SignedIn) {
		t.Errorf("stored device = %+v, want %+v", got, d)
	}
	empty, nowhere := " \x00 ", mdm.GroupID("grp_nowhere")
	for what, c := range map[string]device.Change{"an empty name": {Name: &empty}, "an unknown group": {Group: &nowhere}} {
		if _, err := r.Update(ctx, id, c); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("update to %s: %v, want ErrInvalid", what, err)
		}
	}
	if _, err := r.Update(ctx, "dev_none", device.Change{}); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("update of nothing: %v, want ErrNotFound", err)
	}
	at := Start.Add(time.Hour)
	must(r.Revoke(ctx, id, at))(t)
	if d = must(r.Revoke(ctx, id, at.Add(time.Hour)))(t); !d.RevokedAt.Equal(at) {
		t.Errorf("revoked at %v, want the first time %v", d.RevokedAt, at)
	}
	if err := r.Delete(ctx, id); err != nil {
		t.Error(err)
	}
	if err := r.Delete(ctx, id); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("second delete: %v, want ErrNotFound", err)
	}
	if _, err := r.Device(ctx, id); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("deleted device: %v, want ErrNotFound", err)
	}
}

func deviceSearch(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), device.New(s)
	sales := must(group.New(s).Create(ctx, mdm.RootGroup, "Sales", nil, Start))(t).ID
	a, b, c := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, sales), Join(t, s, 3, sales)
	must(r.Learn(ctx, b, device.Facts{Model: "Latitude 100%_Pro", Serial: "SN\\42", SignedIn: []string{"Ærø"}}))(t)
	must(r.Revoke(ctx, c, Start))(t)
	must(r.MarkCopied(ctx, b, Start))(t)
	for _, tt := range []struct {
		name string
		f    device.Filter
		want []mdm.DeviceID
	}{
		{"all", device.Filter{AllGroups: true}, []mdm.DeviceID{a, b}},
		{"no group", device.Filter{}, nil},
		{"a group", device.Filter{Groups: []mdm.GroupID{sales}}, []mdm.DeviceID{b}},
		{"revoked", device.Filter{AllGroups: true, Standing: device.Revoked}, []mdm.DeviceID{c}},
		{"any", device.Filter{AllGroups: true, Standing: device.Any}, []mdm.DeviceID{a, b, c}},
		{"copied", device.Filter{AllGroups: true, Copied: true}, []mdm.DeviceID{b}},
		{"by id", device.Filter{AllGroups: true, IDs: []mdm.DeviceID{b, "dev_none"}}, []mdm.DeviceID{b}},
		{"by no id", device.Filter{AllGroups: true, IDs: []mdm.DeviceID{}}, nil},
		{"other system", device.Filter{AllGroups: true, OS: "windows"}, nil},
		{"two words, any case", device.Filter{AllGroups: true, Query: "LATI host-002"}, []mdm.DeviceID{b}},
		{"letters beyond ASCII", device.Filter{AllGroups: true, Query: "ærØ"}, []mdm.DeviceID{b}},
		{"a word that is not there", device.Filter{AllGroups: true, Query: "host optiplex"}, nil},
		{"percent is a letter", device.Filter{AllGroups: true, Query: "100%"}, []mdm.DeviceID{b}},
		{"percent is no wildcard", device.Filter{AllGroups: true, Query: "l%e"}, nil},
		{"underscore is no wildcard", device.Filter{AllGroups: true, Query: "host_001"}, nil},
		{"backslash is a letter", device.Filter{AllGroups: true, Query: `sn\42`}, []mdm.DeviceID{b}},
		{"a quote is a letter", device.Filter{AllGroups: true, Query: `' OR '1'='1`}, nil},
	} {
		page, err := r.Devices(ctx, tt.f)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := ids(page); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if n := must(r.Count(ctx, nil, true))(t); n != 2 {
		t.Errorf("count = %d, want 2", n)
	}
	if n := must(r.Count(ctx, []mdm.GroupID{sales}, false))(t); n != 1 {
		t.Errorf("count of sales = %d, want 1", n)
	}
	if n := must(r.CountByGroup(ctx))(t); !maps.Equal(n, map[mdm.GroupID]int64{mdm.RootGroup: 1, sales: 1}) {
		t.Errorf("by group: %v, want one in each", n)
	}
}

func ids(p device.Page) []mdm.DeviceID {
	var out []mdm.DeviceID
	for _, d := range p.Devices {
		out = append(out, d.ID)
	}
	return out
}

func devicePaging(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), device.New(s)
	seen := map[mdm.DeviceID]time.Time{}
	var want []mdm.DeviceID
	for n := range 7 {
		id := Join(t, s, n, mdm.RootGroup)
		want = append(want, id)
		seen[id] = Start.Add(time.Duration(n/2) * time.Hour) // some at the same time
	}
	same := "twin"
	for _, id := range want[5:] { // two of one name
		must(r.Update(ctx, id, device.Change{Name: &same}))(t)
	}
	if err := r.Seen(ctx, seen); err != nil {
		t.Fatal(err)
	}
	for _, order := range []device.Order{device.ByName, device.ByLastSeen} {
		var got []mdm.DeviceID
		f := device.Filter{AllGroups: true, Order: order, Limit: 2}
		for range 10 {
			p := must(r.Devices(ctx, f))(t)
			got = append(got, ids(p)...)
			if f.After = p.Next; p.Next == "" {
				break
			}
		}
		if all := ids(must(r.Devices(ctx, device.Filter{AllGroups: true, Order: order}))(t)); !slices.Equal(got, all) {
			t.Errorf("order %d: pages %v, all at once %v", order, got, all)
		}
		slices.Sort(got)
		all := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, all) {
			t.Errorf("order %d: %d of %d devices", order, len(got), len(all))
		}
	}
	for _, after := range []string{"x", "!", mdm.EncodeCursor("a"), mdm.EncodeCursor("not a time", "b")} {
		if _, err := r.Devices(ctx, device.Filter{AllGroups: true, Order: device.ByLastSeen, After: after}); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("cursor %q: %v, want ErrInvalid", after, err)
		}
	}
}

func deviceSeen(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), device.New(s)
	id, other := Join(t, s, 1, mdm.RootGroup), Join(t, s, 2, mdm.RootGroup)
	for _, at := range []time.Duration{time.Hour, time.Minute} { // the second is late
		if err := r.Seen(ctx, map[mdm.DeviceID]time.Time{id: Start.Add(at), "dev_gone": Start}); err != nil {
			t.Fatal(err)
		}
	}
	if d := must(r.Device(ctx, id))(t); !d.LastSeenAt.Equal(Start.Add(time.Hour)) {
		t.Errorf("last seen %v, want %v", d.LastSeenAt, Start.Add(time.Hour))
	}
	if d := must(r.Device(ctx, other))(t); !d.LastSeenAt.IsZero() {
		t.Errorf("a device not named was seen at %v", d.LastSeenAt)
	}
	many := map[mdm.DeviceID]time.Time{id: Start.Add(2 * time.Hour)}
	for range 1200 {
		many[mdm.NewDeviceID()] = Start
	}
	if err := r.Seen(ctx, many); err != nil {
		t.Fatal(err)
	}
	if d := must(r.Device(ctx, id))(t); !d.LastSeenAt.Equal(Start.Add(2 * time.Hour)) {
		t.Errorf("last seen %v after a large batch", d.LastSeenAt)
	}
}
