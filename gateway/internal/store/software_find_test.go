package store_test

import (
	"encoding/json"
	"testing"

	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/mdm/mdmtest"
)

// TestSoftwareByPattern finds software by what * stands for, whatever the letters.
func TestSoftwareByPattern(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		names := []string{"openssl", "openssl-dev", "libopenssl", "OpenVPN", "äpfel", "100%", "a_b", "axb"}
		var ids []mdm.DeviceID
		for i, name := range names { // each on a device of its own
			id := mdmtest.Join(t, s, i, mdm.RootGroup)
			data, err := json.Marshal([]inventory.Software{{Name: name, Version: "1", Source: inventory.SourceDeb}})
			if err != nil {
				t.Fatal(err)
			}
			section := map[string]inventory.Section{inventory.SoftwareSection(inventory.SoftwareBucket(name)): mdmtest.Section(string(data))}
			if out, err := inventory.New(s).Apply(t.Context(), id, false, section, mdmtest.Start); err != nil || len(out.Refused) > 0 {
				t.Fatal(out.Refused, err)
			}
			ids = append(ids, id)
		}
		if err := s.IndexSoftware(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		for pattern, want := range map[string]int{
			"openssl": 1, "openssl*": 2, "*openssl": 2, "*openssl*": 3, "open*": 3, "OPEN*": 3, "o*n": 1, "ä*": 1, "1*%": 1, "a_*": 1, "*": len(names), "z*": 0, "": 0,
		} {
			set, err := s.SoftwareSet(t.Context(), pattern, func(string) bool { return true })
			if err != nil || set.Len() != want {
				t.Errorf("%q is on %d devices, %v; want %d", pattern, set.Len(), err, want)
			}
		}
	})
}
