package store_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/mdm/mdmtest"
)

var manyTitles = flag.Int("titles", 7000, "software of the device that the index takes in parts")

// manySoftware is all buckets of so many titles.
func manySoftware(t *testing.T, prefix string, n int) map[string]inventory.Section {
	t.Helper()
	list := make([]inventory.Software, n)
	for i := range list {
		list[i] = inventory.Software{Name: fmt.Sprintf("%s-%d", prefix, i), Version: "1.0", Source: inventory.SourceDeb}
	}
	out := map[string]inventory.Section{}
	for i, b := range inventory.SplitSoftware(list) {
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		out[inventory.SoftwareSection(i)] = mdmtest.Section(string(data))
	}
	return out
}

// TestIndexInParts kills a gateway while it takes the software of a device with very much of it
// into the index: what is there by then is right, and the next gateway does the rest.
func TestIndexInParts(t *testing.T) {
	eachOld(t, func(t *testing.T, cfg store.Config) {
		t.Helper()
		ctx := t.Context()
		var s *store.Store
		restart := func() {
			t.Helper()
			if s != nil {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			if s, err = store.Open(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
		}
		restart()
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		big, small := mdmtest.Join(t, s, 0, mdm.RootGroup), mdmtest.Join(t, s, 1, mdm.RootGroup)
		ids := []mdm.DeviceID{big, small}
		slices.Sort(ids)
		install := func(id mdm.DeviceID, sections map[string]inventory.Section) {
			t.Helper()
			out, err := inventory.New(s).Apply(ctx, id, true, sections, mdmtest.Start)
			if err != nil || len(out.Refused) > 0 {
				t.Fatalf("upload: %v, refused %v", err, out.Refused)
			}
		}
		// right sees that the index is in agreement with itself and says how many titles are in it.
		right := func() int {
			t.Helper()
			n := store.Sum(t, s, "devices", "software_titles")
			if names := store.Sum(t, s, "devices", "software_names"); names != n {
				t.Errorf("%d names for %d titles of one name each", names, n)
			}
			if rows := store.CountRows(t, s, "title_devices"); rows > n || n > 2*rows {
				t.Errorf("%d rows for %d titles of two devices", rows, n)
			}
			return n
		}
		parts := func(from, to int) {
			t.Helper()
			longest := time.Duration(0)
			for left := ids; len(left) > 0; {
				begun := time.Now()
				left = store.IndexSome(t, s, left...)
				longest = max(longest, time.Since(begun))
				n := right()
				if len(left) > 0 && from != to && (n == from || n == to) {
					t.Errorf("the first part of the index's work came to %d titles of %d", n, to)
				}
				if len(left) > 0 {
					break // killed
				}
			}
			restart()
			if err := s.IndexSoftware(ctx, ids); err != nil {
				t.Fatal(err)
			}
			if n := right(); n != to {
				t.Errorf("the index has %d titles, want %d", n, to)
			}
			t.Logf("of %d titles a part held the writer for %v", *manyTitles, longest)
		}
		install(big, manySoftware(t, "a", *manyTitles))
		install(small, manySoftware(t, "a", 50))
		parts(0, *manyTitles+50)
		install(big, manySoftware(t, "b", *manyTitles))
		parts(*manyTitles+50, *manyTitles+50)
		// Its software goes with the device.
		if err := s.DeleteDevice(ctx, big); err != nil {
			t.Fatal(err)
		}
		parts(*manyTitles+50, 50)
		if n := store.CountRows(t, s, "device_software"); n != 1 {
			t.Errorf("the index remembers %d devices, want 1", n)
		}
	})
}

// TestIndexInCommon takes devices into the index that have much in common: what they share is
// written once for all of them, not again for each few.
func TestIndexInCommon(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		ctx := t.Context()
		sections := manySoftware(t, "a", 4000)
		var ids []mdm.DeviceID
		for i := range 40 {
			id := mdmtest.Join(t, s, i, mdm.RootGroup)
			out, err := inventory.New(s).Apply(ctx, id, true, sections, mdmtest.Start)
			if err != nil || len(out.Refused) > 0 {
				t.Fatalf("upload: %v, refused %v", err, out.Refused)
			}
			ids = append(ids, id)
		}
		before := s.Writes()
		if err := s.IndexSoftware(ctx, ids); err != nil {
			t.Fatal(err)
		}
		if n := s.Writes() - before; n > 2 {
			t.Errorf("%d devices with the same 4,000 titles took %d transactions, want 2", len(ids), n)
		}
		if n := store.Sum(t, s, "devices", "software_titles"); n != 40*4000 {
			t.Errorf("the index has %d, want 40 times 4,000", n)
		}
	})
}
