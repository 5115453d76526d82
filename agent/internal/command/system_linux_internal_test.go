package command

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSessions(t *testing.T) {
	list := "      2 1000 ann  seat0 tty2 active no -\n     c1  116 gdm  seat0 tty1 active no -\n\n"
	if got := sessionIDs(list); !slices.Equal(got, []string{"2", "c1"}) {
		t.Errorf("sessions = %v", got)
	}
	for about, want := range map[string]string{
		"Name=ann Type=x11 Class=user": "ann", "Name=bob Type=wayland Class=user": "bob",
		"Name=gdm Type=x11 Class=greeter": "", "Name=ann Type=tty Class=user": "", "": "",
	} {
		name, desktop := desktopOf(about)
		if desktop != (want != "") || desktop && name != want {
			t.Errorf("desktopOf(%q) = %q, %v", about, name, desktop)
		}
	}
}

// TestWithoutSystemd: where there is no systemd every command that needs it says so. On a
// machine that has one nothing is tried: it would be restarted.
func TestWithoutSystemd(t *testing.T) {
	if isSystemd() == nil {
		t.Log("systemd runs here")
		return
	}
	s := NewSystem()
	_, signOut := s.SignOut(t.Context(), "")
	_, service := s.RestartService(t.Context(), "cups")
	for name, err := range map[string]error{
		"power": s.CanPower(), "restart": s.Restart(t.Context()), "shutdown": s.Shutdown(t.Context()), "sign out": signOut, "service": service,
		"journal": s.Journal(t.Context(), 1, "", io.Discard),
	} {
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "systemd") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if id, err := s.BootID(); err != nil || len(id) != 36 {
		t.Errorf("boot id %q, %v", id, err)
	}
}

func TestParseStat(t *testing.T) {
	for in, want := range map[string]int{
		"12 (sh) S 1 12 10 0 -1": 10, "12 (a) b) (c) R 1 12 11 0": 11, "12 (x": -1, "": -1, "1 (x) S 1": -1,
	} {
		_, session, ok := parseStat([]byte(in))
		if ok != (want >= 0) || ok && session != want {
			t.Errorf("parseStat(%q) = %d, %v", in, session, ok)
		}
	}
}

// bundleOf makes a bundle of files below root and returns what is in it.
func bundleOf(t *testing.T, root string, limit int64, patterns ...string) (map[string]string, int64) {
	t.Helper()
	b, err := newBundle(t.TempDir(), limit)
	if err != nil {
		t.Fatal(err)
	}
	defer b.file.Close()
	if err := addFiles(b, root, patterns); err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	size, err := b.file.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(b.file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, size
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}

func TestBundle(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "shadow")
	write := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, "secret")
	write(filepath.Join(root, "syslog"), "a line\n")
	write(filepath.Join(root, "apt/history.log"), "installed\n")
	write(filepath.Join(root, "apt/other"), "not asked for\n")
	if err := errors.Join(os.Symlink(outside, filepath.Join(root, "messages")), os.Symlink("syslog", filepath.Join(root, "kern.log")), os.Symlink(filepath.Dir(outside), filepath.Join(root, "unattended-upgrades"))); err != nil {
		t.Fatal(err)
	}
	files, _ := bundleOf(t, root, 1<<20)
	if files["files/syslog"] != "a line\n" || files["files/apt/history.log"] != "installed\n" || files["files/kern.log"] != "a line\n" {
		t.Errorf("bundle = %v", files)
	}
	for name, text := range files {
		if strings.Contains(text, "secret") || strings.Contains(name, "other") {
			t.Errorf("%s is in the bundle", name)
		}
	}
	// Random bytes do not compress: the limit holds all the same, and the newest end is kept.
	noise := make([]byte, 3<<20)
	f, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(f, noise); err != nil {
		t.Fatal(err)
	}
	f.Close()
	write(filepath.Join(root, "syslog"), string(noise)+"the end")
	files, size := bundleOf(t, root, 1<<20)
	if size > 1<<20 || !strings.HasSuffix(files["files/syslog"], "the end") || !strings.Contains(files["contents.txt"], "syslog: the last") {
		t.Errorf("a bundle of %d bytes: %s", size, files["contents.txt"])
	}
	if files, _ := bundleOf(t, filepath.Join(root, "none"), 1<<20); !strings.Contains(files["contents.txt"], "files: none") {
		t.Errorf("no directory: %v", files)
	}
}

func TestKept(t *testing.T) {
	for _, step := range []int{1, 3, 7, 100, 5000} {
		k := newKept(20)
		var all strings.Builder
		for i := range 1000 {
			all.WriteByte(byte('a' + i%26))
		}
		text := all.String()
		for rest := text; rest != ""; {
			n := min(step, len(rest))
			_, _ = k.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		got, total := k.text()
		want := text[:10] + "\n… 980 bytes left out …\n" + text[990:]
		if got != want || total != 1000 {
			t.Errorf("written %d at a time: %q, %d, want %q", step, got, total, want)
		}
	}
	k := newKept(20)
	_, _ = k.Write([]byte("short"))
	if got, _ := k.text(); got != "short" {
		t.Errorf("%q", got)
	}
}
