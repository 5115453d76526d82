package inventory_test

import (
	"slices"
	"strings"
	"testing"

	"handrail/mdm/inventory"
)

func TestStrangePaths(t *testing.T) {
	for _, tt := range []struct {
		path string
		at   int
		name string // among those that can be there
	}{
		{"encryption", -1, ""},
		{"encryptions", 0, "encryption"},
		{"volume.x", 0, "encryption"},
		{"hardware.cpu", -1, ""},
		{"hardware.cpus.cores", 1, "cpu"},
		{"disks.0.anything", -1, ""},
		{"sysctl.kernel.anything", -1, ""},
		{"files./etc/shadow.mode", -1, ""},
		{"software_00", 0, "software"},
		{"time.synchronised", -1, ""},
		{"time.synchronized", 1, "synchronised"},
	} {
		at, names := inventory.Strange(strings.Split(tt.path, "."))
		if at != tt.at || tt.at >= 0 && !slices.Contains(names, tt.name) {
			t.Errorf("%s: step %d of %v, want %d with %q", tt.path, at, names, tt.at, tt.name)
		}
	}
	for _, name := range inventory.Names() {
		if at, _ := inventory.Strange([]string{name}); at >= 0 {
			t.Errorf("section %s is strange", name)
		}
	}
}
