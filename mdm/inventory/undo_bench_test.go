package inventory_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"handrail/mdm/inventory"
)

// packages is a list of software, of which every fifth is of a version.
func packages(n int, version string) []byte {
	list := make([]inventory.Software, n)
	for i := range list {
		list[i] = inventory.Software{Name: fmt.Sprintf("package-%05d", i), Version: "1.0", Source: "deb", Arch: "amd64"}
		if i%5 == 0 {
			list[i].Version = version
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return b
}

// BenchmarkUndo goes back over an upgrade of 500 of 2,500 packages.
func BenchmarkUndo(b *testing.B) {
	before, after := packages(2500, "1.0"), packages(2500, "2.0")
	changes, err := inventory.Diff(inventory.SectionSoftware, before, after)
	if err != nil || len(changes) != 500 {
		b.Fatal(len(changes), err)
	}
	for b.Loop() {
		if _, err := inventory.Undo(inventory.SectionSoftware, after, changes); err != nil {
			b.Fatal(err)
		}
	}
}
