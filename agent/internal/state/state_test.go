package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/agent/internal/state"
	"handrail/signaling"
)

func open(t *testing.T) *state.Dir {
	t.Helper()
	d, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestIdentityIsMadeOnceAndKeptSecret(t *testing.T) {
	d := open(t)
	a, err := d.Identity()
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Identity()
	if err != nil || !a.Equal(b) {
		t.Fatalf("second Identity = other key, %v", err)
	}
	info, err := os.Stat(d.Path(state.IdentityFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file is %v, %v, want mode 0600", info.Mode(), err)
	}
	if info, _ := os.Stat(d.Path()); info.Mode().Perm() != 0o700 {
		t.Errorf("directory is %v, want mode 0700", info.Mode())
	}
}

func TestBrokenKeyIsNotReplaced(t *testing.T) {
	d := open(t)
	if err := os.WriteFile(d.Path(state.IdentityFile), []byte("gone"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Identity(); err == nil {
		t.Error("a broken key file gave a key")
	}
}

func TestOpenDirectoryOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("Open of a 0755 directory = %v, want what to do about it", err)
	}
}

func TestEnrollmentRoundTrip(t *testing.T) {
	d := open(t)
	if _, err := d.Enrollment(); !errors.Is(err, state.ErrNotEnrolled) {
		t.Fatalf("Enrollment of a new directory = %v, want ErrNotEnrolled", err)
	}
	want := state.Enrollment{Gateway: "https://g", Device: "dev_a", Pins: []signaling.Key{{1, 2}}}
	if err := d.SaveEnrollment(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.Enrollment()
	if err != nil || got.Device != want.Device || string(got.Pins[0]) != string(want.Pins[0]) {
		t.Errorf("Enrollment = %+v, %v", got, err)
	}
	if err := os.WriteFile(d.Path(state.EnrollmentFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Enrollment(); err == nil || errors.Is(err, state.ErrNotEnrolled) {
		t.Errorf("Enrollment of a torn file = %v, want an error that names it", err)
	}
}

func TestFailedWriteKeepsTheOld(t *testing.T) {
	d := open(t)
	if err := d.WriteJSON("x.json", 1); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteJSON("x.json", func() {}); err == nil {
		t.Fatal("a function was written as JSON")
	}
	var v int
	if err := d.ReadJSON("x.json", &v); err != nil || v != 1 {
		t.Errorf("after a failed write: %d, %v, want 1", v, err)
	}
}

func TestLockIsForOne(t *testing.T) {
	d := open(t)
	release, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); !errors.Is(err, state.ErrInUse) {
		t.Errorf("second Lock = %v, want ErrInUse", err)
	}
	release()
	again, err := d.Lock()
	if err != nil {
		t.Fatalf("Lock after release = %v", err)
	}
	again()
}
