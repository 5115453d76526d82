//go:build unix

package enforce

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOthersPutThingsInTheWay is what another account may do between two looks of ours where
// it may make files, as in /tmp: nothing outside is read, made or changed.
func TestOthersPutThingsInTheWay(t *testing.T) {
	root := t.TempDir()
	at := func(p string) string { return filepath.Join(root, p) }
	for _, d := range []string{"tmp", "etc"} {
		if err := os.Mkdir(at(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(at("tmp"), 0o777|os.ModeSticky), os.WriteFile(at("etc/shadow"), []byte("secret"), 0o600), os.WriteFile(at("tmp/f"), []byte("mine"), 0o644)); err != nil {
		t.Fatal(err)
	}
	sys := &System{Root: root}

	into, err := sys.place("/tmp/new/f") // nothing is there yet
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("etc"), at("tmp/new")); err != nil {
		t.Fatal(err)
	}
	if err := sys.makeParents(into); !errors.Is(err, ErrConflict) {
		t.Errorf("a link where a directory was to be made: %v, want %v", err, ErrConflict)
	}

	info, err := os.Lstat(at("tmp/f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []func(string) error{
		func(p string) error { return os.Symlink(at("etc/shadow"), p) },
		func(p string) error { return syscall.Mkfifo(p, 0o644) },
		func(p string) error { return os.WriteFile(p, []byte("another"), 0o644) },
	} {
		if err := errors.Join(os.Rename(at("tmp/f"), at("tmp/old")), other(at("tmp/f"))); err != nil {
			t.Fatal(err)
		}
		if b, err := readSame(at("tmp/f"), info); err == nil {
			t.Errorf("what was put in a file's place is read: %q", b)
		}
		if err := errors.Join(os.Remove(at("tmp/f")), os.Rename(at("tmp/old"), at("tmp/f"))); err != nil {
			t.Fatal(err)
		}
	}

	if err := dirAttributes(at("tmp/new"), pathState{Kind: kindDir, Mode: 0o777, UID: os.Geteuid(), GID: os.Getegid()}); !errors.Is(err, ErrConflict) {
		t.Errorf("a link in a directory's place: %v, want %v", err, ErrConflict)
	}
	if info, err := os.Stat(at("etc")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("what the link leads to has mode %v (%v)", info.Mode(), err)
	}
	if err := syscall.Mkfifo(at("tmp/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := sys.ReadFile("/tmp/pipe", 10); err == nil {
		t.Errorf("a pipe is read as a file: %q", b)
	}
}
