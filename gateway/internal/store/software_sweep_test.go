package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/mdm/mdmtest"
)

// softwareOf is a list of software as one bucket, with the section's name.
func softwareOf(t *testing.T, n int, versions []int) (string, inventory.Section) {
	t.Helper()
	name := ""
	for i := 0; name == ""; i++ {
		if candidate := fmt.Sprintf("tool-%d-%d", n, i); inventory.SoftwareBucket(candidate) == n {
			name = candidate
		}
	}
	list := []inventory.Software{}
	for _, v := range versions {
		list = append(list, inventory.Software{Name: name, Version: fmt.Sprint(v), Source: inventory.SourceDeb})
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return inventory.SoftwareSection(n), mdmtest.Section(string(data))
}

// TestSoftwareIsSwept deletes what no device has any more, while devices change what they have, and
// takes from none what it has.
func TestSoftwareIsSwept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		const devices, rounds = 4, 25
		ctx := t.Context()
		ids := make([]mdm.DeviceID, devices)
		last := make([]map[string]string, devices) // what each reported: section to data
		for i := range ids {
			ids[i] = mdmtest.Join(t, s, i, mdm.RootGroup)
		}
		var uploads sync.WaitGroup
		for i, id := range ids {
			uploads.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // the same each time
				reg := inventory.New(s)
				for range rounds {
					sections := map[string]inventory.Section{}
					said := map[string]string{}
					for n := range 3 {
						// Few kinds, so that what one device drops another takes up.
						name, section := softwareOf(t, n, []int{r.IntN(4)})
						sections[name], said[name] = section, string(section.Data)
					}
					out, err := reg.Apply(ctx, id, true, sections, mdmtest.Start)
					if err != nil || len(out.Refused) > 0 {
						t.Errorf("upload: %v, refused %v", err, out.Refused)
						return
					}
					last[i] = said
				}
			})
		}
		stop, swept := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(swept)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.IndexSoftware(ctx, ids); err != nil {
					t.Error(err)
				}
				if _, err := s.SweepSoftware(ctx); err != nil {
					t.Error(err)
				}
			}
		}()
		uploads.Wait()
		close(stop)
		<-swept
		for range 2 { // what the index still held goes the second time
			if err := s.IndexSoftware(ctx, ids); err != nil {
				t.Fatal(err)
			}
			if _, err := s.SweepSoftware(ctx); err != nil {
				t.Fatal(err)
			}
		}
		kinds := map[string]bool{}
		for i, id := range ids {
			rows, err := s.Sections(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				if string(row.Data) != last[i][row.Section] {
					t.Errorf("device %d has %s in %s, reported %s", i, row.Data, row.Section, last[i][row.Section])
				}
				kinds[row.Section+string(row.Data)] = true
			}
			if len(rows) != 3 {
				t.Errorf("device %d has %d sections", i, len(rows))
			}
		}
		if n := store.CountRows(t, s, "software_buckets"); n != len(kinds) {
			t.Errorf("%d buckets are left, devices have %d", n, len(kinds))
		}
		if n := store.CountRows(t, s, "software_titles"); n != len(kinds) {
			t.Errorf("%d titles are left, devices have %d", n, len(kinds))
		}
		// Without any software nothing is left, names included.
		for _, id := range ids {
			if _, err := inventory.New(s).Apply(ctx, id, true, map[string]inventory.Section{"host": mdmtest.Section(`{"hostname":"a"}`)}, mdmtest.Start); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.IndexSoftware(ctx, ids); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SweepSoftware(ctx); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"software_buckets", "software_titles", "software_names", "title_devices"} {
			if n := store.CountRows(t, s, table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if n, err := s.SweepSoftware(ctx); n != 0 || err != nil {
			t.Errorf("a second sweep: %d, %v", n, err)
		}
	})
}
