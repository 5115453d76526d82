package diag

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"handrail/mdm/inventory"
)

// TestTree: a tree's facts are its own, as they would be at its next start, and links in it do
// not lead out.
func TestTree(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"etc/hostname":                       "elsewhere\n",
		"proc/sys/kernel/kptr_restrict":      "0\n",
		"proc/sys/kernel/randomize_va_space": "2\n",
		"usr/lib/sysctl.d/50-default.conf":   "kernel.randomize_va_space = 1\n",
		"etc/sysctl.d/50-default.conf":       "-kernel.kptr_restrict=2\nkernel.nothing = 1\n",
		"etc/apt/apt.conf.d/20auto":          "APT::Periodic::Unattended-Upgrade \"1\";\n",
		"usr/bin/apt-get":                    "",
		"usr/bin/apt-config":                 "",
		"usr/bin/unattended-upgrade":         "",
		"var/lib/dpkg/status":                "",
	} {
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil { //nolint:gosec // as on a system
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	c, err := NewTreeCollector(root, "test")
	if err != nil {
		t.Fatal(err)
	}
	all := c.Collect(t.Context(), nil)
	var host inventory.Host
	var sysctl map[string]string
	var updates inventory.Updates
	var accounts inventory.Accounts
	for name, into := range map[string]any{
		inventory.SectionHost: &host, inventory.SectionSysctl: &sysctl, inventory.SectionUpdates: &updates, inventory.SectionAccounts: &accounts,
	} {
		if err := json.Unmarshal(all[name].Data, into); err != nil {
			t.Fatalf("section %s: %v", name, err)
		}
	}
	if host.Hostname != "elsewhere" {
		t.Errorf("its name is %q", host.Hostname)
	}
	if len(sysctl) != 2 || sysctl["kernel.kptr_restrict"] != "2" || sysctl["kernel.randomize_va_space"] != "2" {
		t.Errorf("after its start the kernel would have %v", sysctl)
	}
	if !updates.Unattended.Enabled || updates.Unattended.EveryDays != 1 {
		t.Errorf("updates = %+v", updates.Unattended)
	}
	if len(accounts.Users) != 0 {
		t.Errorf("the accounts of this machine: %+v", accounts.Users)
	}
	if _, err := NewTreeCollector(filepath.Join(root, "none"), "test"); err == nil {
		t.Error("a tree that is not there has an inventory")
	}
}
