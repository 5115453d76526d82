//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"handrail/agent/internal/diag"
	"handrail/mdm/inventory"
)

// TestWorkstationIsWhole: the tree is one an inventory can be taken of, root's throughout, and
// the next start leaves what was changed since.
func TestWorkstationIsWhole(t *testing.T) {
	root := t.TempDir()
	if err := makeWorkstation(root); err != nil {
		t.Fatal(err)
	}
	c, err := diag.NewTreeCollector(root, "test")
	if err != nil {
		t.Fatal(err)
	}
	all := c.Collect(t.Context(), nil)
	section := func(name string, into any) {
		t.Helper()
		if err := json.Unmarshal(all[name].Data, into); err != nil {
			t.Fatalf("section %s: %v (%s)", name, err, all[name].Data)
		}
	}
	var host inventory.Host
	section(inventory.SectionHost, &host)
	if host.Hostname != "demo-desktop" || host.OSID != "debian" {
		t.Errorf("host = %+v", host)
	}
	var e inventory.Encryption
	section(inventory.SectionEncryption, &e)
	if len(e.Volumes) != 2 || !e.Volumes[0].Encrypted || len(e.Swap) != 1 || !e.Swap[0].Encrypted {
		t.Errorf("encryption = %+v", e)
	}
	var files map[string]inventory.FileFact
	section(inventory.SectionFiles, &files)
	for path, f := range files {
		if f.UID != 0 {
			t.Errorf("%s belongs to %d", path, f.UID)
		}
	}
	if files["/etc/shadow"].Mode != "0640" || files["/tmp"].Mode != "1777" {
		t.Errorf("files = %+v", files)
	}
	var software []inventory.Software
	for name, s := range all {
		var some []inventory.Software
		if inventory.IsSoftware(name) && json.Unmarshal(s.Data, &some) == nil {
			software = append(software, some...)
		}
	}
	if len(software) < 1000 {
		t.Errorf("%d packages", len(software))
	}
	banner := filepath.Join(root, "etc/motd")
	if err := os.WriteFile(banner, []byte("changed\n"), 0o644); err != nil { //nolint:gosec // as it was
		t.Fatal(err)
	}
	if err := makeWorkstation(root); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(banner); err != nil || string(b) != "changed\n" {
		t.Errorf("after the next start the file says %q %v", b, err)
	}
}
