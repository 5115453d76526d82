package enforce_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
)

func TestWatchPaths(t *testing.T) {
	sys := &enforce.System{Root: t.TempDir()}
	if err := os.Mkdir(sys.Abs("/etc"), 0o755); err != nil { //nolint:gosec // as on a system
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() {
		ended <- enforce.WatchPaths(ctx, sys, func() { told <- struct{}{} }, "/etc/a/b/file", "/etc/other")
	}()
	write := func(p string) {
		if err := os.MkdirAll(filepath.Dir(sys.Abs(p)), 0o755); err != nil { //nolint:gosec // as on a system
			t.Fatal(err)
		}
		if err := os.WriteFile(sys.Abs(p), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for seen := false; !seen; { // until it watches and was told
		write("/etc/other")
		select {
		case <-told:
			seen = true
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(2 * time.Second): // longer than it waits for quiet
		}
	}
	write("/etc/a/b/file") // in directories that were not there
	<-told
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
