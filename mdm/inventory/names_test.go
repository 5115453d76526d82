package inventory_test

import (
	"slices"
	"testing"

	"handrail/mdm/inventory"
)

func TestNames(t *testing.T) {
	names := inventory.Names()
	for _, want := range []string{inventory.SectionSSHD, inventory.SectionSoftware, inventory.SectionFiles} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	if slices.Contains(names, inventory.SoftwareSection(3)) || !slices.IsSorted(names) {
		t.Errorf("names = %v", names)
	}
}
