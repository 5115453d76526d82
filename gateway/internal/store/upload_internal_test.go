package store

import (
	"fmt"
	"testing"

	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/mdm/mdmtest"
)

// TestManyNewTitles takes more software that nobody had than one transaction stores, in pieces and
// whole.
func TestManyNewTitles(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := mdmtest.Join(t, s, 1, mdm.RootGroup)
	var list []inventory.Software
	for i := range 3*pieceTitles + 10 {
		list = append(list, inventory.Software{Name: fmt.Sprint("tool-", i), Version: "1", Source: inventory.SourceDeb})
	}
	sections := map[string]inventory.Section{}
	for n, part := range inventory.SplitSoftware(list) {
		r := softwareRow(t, n, part)
		sections[r.Section] = inventory.Section{Hash: r.Hash, Data: r.Data}
	}
	before := s.Writes()
	out, err := inventory.New(s).Apply(t.Context(), id, true, sections, mdmtest.Start)
	if err != nil || len(out.Refused) > 0 {
		t.Fatal(out.Refused, err)
	}
	if n := s.Writes() - before; n < 4 {
		t.Errorf("%d new titles were stored in %d transactions", len(list), n)
	}
	rep, err := inventory.New(s).Report(t.Context(), id)
	if err != nil || len(rep.Software) != len(list) {
		t.Errorf("%d are there, want %d: %v", len(rep.Software), len(list), err)
	}
}
