package service_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/agent/internal/service"
)

// programs makes a directory with what is to be installed.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("#!/bin/sh\necho "+n+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files lists what is below a root, directories left out.
func files(t *testing.T, root string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// TestInstallAndUninstall installs twice, as an update does, and leaves nothing behind but the
// device's identity, and that only where it is wanted.
func TestInstallAndUninstall(t *testing.T) {
	root := t.TempDir()
	var asked []string
	c := service.Config{Root: root, From: programs(t, "handrail-agent", "handrail-companion"), Systemctl: func(_ context.Context, args ...string) error {
		asked = append(asked, strings.Join(args, " "))
		return nil
	}}
	for range 2 {
		if err := service.Install(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := files(t, root), "etc/systemd/system/handrail-agent.service usr/local/bin/handrail-agent usr/local/bin/handrail-companion"; got != want {
		t.Errorf("installed %s, want %s", got, want)
	}
	st, err := os.Stat(filepath.Join(root, "usr/local/bin/handrail-agent"))
	if err != nil || st.Mode() != 0o755 {
		t.Errorf("the program has mode %v, %v", st.Mode(), err)
	}
	unit, err := os.ReadFile(filepath.Join(root, "etc/systemd/system/handrail-agent.service"))
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/local/bin/handrail-agent run ") {
		t.Errorf("the unit starts something else: %v\n%s", err, unit)
	}
	if got, want := strings.Join(asked, ", "), strings.Repeat("daemon-reload, enable handrail-agent.service, restart handrail-agent.service, ", 2); got+", " != want {
		t.Errorf("systemd was asked to %s", got)
	}
	key := filepath.Join(root, "var/lib/handrail-agent/identity")
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked = nil
	uninstall(t, c, false, "var/lib/handrail-agent/identity")
	if got := strings.Join(asked, ", "); got != "disable --now handrail-agent.service, daemon-reload" {
		t.Errorf("systemd was asked to %s", got)
	}
	uninstall(t, c, true, "")
}

// uninstall takes the service away, and looks at what is left.
func uninstall(t *testing.T, c service.Config, purge bool, left string) {
	t.Helper()
	if err := service.Uninstall(t.Context(), c, purge); err != nil {
		t.Fatal(err)
	}
	if got := files(t, c.Root); got != left {
		t.Errorf("left behind: %q, want %q", got, left)
	}
}

// TestInstallWithoutSystemd enables the service for the next start.
func TestInstallWithoutSystemd(t *testing.T) {
	root := t.TempDir()
	c := service.Config{Root: root, From: programs(t, "handrail-agent")}
	if err := service.Install(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	to, err := os.Readlink(filepath.Join(root, "etc/systemd/system/multi-user.target.wants/handrail-agent.service"))
	if err != nil || to != "/etc/systemd/system/handrail-agent.service" {
		t.Errorf("enabled as %q, %v", to, err)
	}
	uninstall(t, c, true, "")
}

// TestPackaged leaves a package's agent to the package manager.
func TestPackaged(t *testing.T) {
	root := t.TempDir()
	unit := filepath.Join(root, "usr/lib/systemd/system")
	if err := os.MkdirAll(unit, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unit, "handrail-agent.service"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := service.Config{Root: root, From: programs(t, "handrail-agent")}
	if err := service.Install(t.Context(), c); !errors.Is(err, service.ErrPackaged) {
		t.Errorf("Install: %v", err)
	}
	if err := service.Uninstall(t.Context(), c, true); !errors.Is(err, service.ErrPackaged) {
		t.Errorf("Uninstall: %v", err)
	}
}
