package diag

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// heard starts a watch and returns a channel of what it says.
func heard(t *testing.T, watch func(context.Context, func()) error) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said, done := make(chan struct{}, 100), make(chan error, 1)
	go func() {
		done <- watch(ctx, func() {
			select {
			case said <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return said
}

// TestWatchFiles replaces files as package managers and editors do.
func TestWatchFiles(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg", "etc/sudoers.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	said := heard(t, func(ctx context.Context, changed func()) error { return watchFiles(ctx, root, changed) })
	for what, change := range map[string]func() error{
		"a package": func() error {
			if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status-new"), nil, 0o644); err != nil {
				return err
			}
			return os.Rename(filepath.Join(root, "var/lib/dpkg/status-new"), filepath.Join(root, "var/lib/dpkg/status"))
		},
		"a rule": func() error { return os.WriteFile(filepath.Join(root, "etc/sudoers.d/ops"), nil, 0o440) },
	} {
		if !until(t, said, change) {
			t.Errorf("nothing was said of %s", what)
		}
	}
}

// until makes a change again and again until something is said: the watch may not have begun.
func until(t *testing.T, said <-chan struct{}, change func() error) bool {
	t.Helper()
	for range 600 {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-said:
			return true
		case <-time.After(100 * time.Millisecond):
		}
	}
	return false
}

// TestWatchesAreQuiet: at rest nothing wakes the agent.
func TestWatchesAreQuiet(t *testing.T) {
	table := func() string {
		b, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := table()
	mounts := heard(t, watchMounts)
	files := heard(t, func(ctx context.Context, changed func()) error { return watchFiles(ctx, t.TempDir(), changed) })
	select {
	case <-mounts:
		if table() == before { // others may mount something on this machine meanwhile
			t.Error("the table of mounts is said to have changed")
		}
	case <-files:
		t.Error("a file is said to have changed")
	case <-time.After(300 * time.Millisecond):
	}
}
