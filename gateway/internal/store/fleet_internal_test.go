package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/inventory"
)

func TestBucketsOfADevice(t *testing.T) {
	h := held{0: 1, 5: 300, 31: 1 << 40}
	got, err := decodeHeld(h.encode())
	if err != nil || got != h {
		t.Errorf("decoded %v, %v", got, err)
	}
	for _, bad := range [][]byte{{32, 1}, {0}, {0, 0x80}} {
		if _, err := decodeHeld(bad); err == nil {
			t.Errorf("%v decodes", bad)
		}
	}
	ids := []int64{1, 2, 5, 400, 1 << 40}
	back, err := decodeIDs(encodeIDs(ids))
	if err != nil || !slices.Equal(back, ids) {
		t.Errorf("decoded %v, %v", back, err)
	}
}

// TestSoftwareIndexIsExact changes the software of devices at random and compares what the index
// says with what they have.
func TestSoftwareIndexIsExact(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same each time
	fillFleet(t, s, 60)
	rows, err := s.reader.QueryContext(t.Context(), "SELECT id FROM devices ORDER BY id")
	ids, err := collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
		var id mdm.DeviceID
		return id, row.Scan(&id)
	})
	if err != nil {
		t.Fatal(err)
	}
	has := map[mdm.DeviceID][]inventory.Software{}
	reg := inventory.New(s)
	for range 400 {
		id := ids[r.IntN(len(ids))]
		list := []inventory.Software{}
		for p := range 12 {
			for v := range 3 {
				if r.IntN(4) == 0 {
					list = append(list, inventory.Software{Name: fmt.Sprint("p", p), Version: fmt.Sprint(v), Source: "deb"})
				}
			}
		}
		sections := map[string]inventory.Section{}
		for n, b := range inventory.SplitSoftware(list) {
			row := softwareRow(t, n, b)
			sections[row.Section] = inventory.Section{Hash: row.Hash, Data: row.Data}
		}
		if _, err := reg.Apply(t.Context(), id, true, sections, time.Now()); err != nil {
			t.Fatal(err)
		}
		has[id] = list
		if r.IntN(3) == 0 {
			if err := s.IndexSoftware(t.Context(), ids); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, id := range ids[:10] {
		if err := s.DeleteDevice(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		delete(has, id)
	}
	if err := s.IndexSoftware(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	records, err := s.FleetRecords(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]int64{}
	for p := range 12 {
		name := fmt.Sprint("p", p)
		for v := range 3 {
			set, err := s.SoftwareSet(t.Context(), name, func(version string) bool { return version == fmt.Sprint(v) })
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, rec := range records {
				want := slices.ContainsFunc(has[rec.ID], func(e inventory.Software) bool { return e.Name == name && e.Version == fmt.Sprint(v) })
				if want {
					n++
				}
				if set.Has(rec.N) != want {
					t.Errorf("%s %d on %s: %v, want %v", name, v, rec.ID, set.Has(rec.N), want)
				}
			}
			if set.Len() != n {
				t.Errorf("%s %d: %d devices in the index, want %d", name, v, set.Len(), n)
			}
		}
		for _, list := range has {
			if slices.ContainsFunc(list, func(e inventory.Software) bool { return e.Name == name }) {
				byName[name]++
			}
		}
	}
	names, err := s.SoftwareNames(t.Context(), fleet.SoftwareFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if n.Devices != byName[n.Name] {
			t.Errorf("%s on %d devices, want %d", n.Name, n.Devices, byName[n.Name])
		}
	}
}

func FuzzChunk(f *testing.F) {
	f.Add([]byte{0, 1, 0, 255, 63})
	f.Add([]byte{1})
	f.Add([]byte{0, 0, 64})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, d chunk
		if c.decode(b) != nil {
			return
		}
		if err := d.decode(c.encode()); err != nil || c != d {
			t.Errorf("not the same after %x: %v", c.encode(), err)
		}
	})
}
