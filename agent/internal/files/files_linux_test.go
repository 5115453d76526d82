package files_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"handrail/agent/internal/files"
	"handrail/signaling"
)

// entriesFlag scales the large folder; 1000000 is what is promised.
var entriesFlag = flag.Int("entries", 60_000, "entries of the large folder") //nolint:gochecknoglobals // a test's flag

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil { //nolint:gosec // a test's file
		t.Fatal(err)
	}
}

// TestNames: whatever a name is made of, it is listed, read, renamed and deleted by its own bytes.
func TestNames(t *testing.T) {
	root := t.TempDir()
	names := []string{
		"plain", "two\nlines", "\x1b[2Jescape", "latin\xfc", "\xff\xfe", `\x0a`, " ", "-rf", "*", "$(id)", "txt.\u202eexe",
		strings.Repeat("ü", 127) + "x", strings.Repeat("\xff", 255),
	}
	for _, n := range names {
		write(t, filepath.Join(root, n), []byte(n))
	}
	v := dial(t, root)
	entries, page := v.list(signaling.FilesList{Path: name("/")})
	if len(entries) != len(names) || !page.Sorted || !page.Writable || page.Bytes == 0 {
		t.Fatalf("%d entries, page %+v", len(entries), page)
	}
	for _, e := range entries {
		n := e.Name.Bytes()
		got, _, done := v.get(signaling.FilesGet{Path: name("/" + n)}, 0)
		if string(got) != n || done.SHA256 != sum([]byte(n)) {
			t.Errorf("%q holds %q", n, got)
		}
		v.say(signaling.TypeFilesMove, signaling.FilesMove{Job: v.id(), From: name("/" + n), To: name("/moved")})
		next[signaling.FilesDone](v)
		v.say(signaling.TypeFilesDelete, signaling.FilesDelete{Job: v.id(), Paths: []signaling.FileName{name("/moved")}})
		next[signaling.FilesDone](v)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if !v.noted("downloaded", `“/two\x0alines”`, "9 bytes", sum([]byte("two\nlines"))) || !v.noted("moved “/plain” to “/moved”") || !v.noted("deleted “/moved”") {
		t.Errorf("the timeline has %q", v.notes)
	}
}

// TestPathsThatAreNone: what climbs, is not absolute, or goes through a link, is refused for every change.
func TestPathsThatAreNone(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret"), []byte("secret"))
	if err := os.Symlink(outside, filepath.Join(root, "out")); err != nil {
		t.Fatal(err)
	}
	v := dial(t, root)
	for _, p := range []string{"/out/secret", "/../secret", "secret", "/out/../out/secret", "/a/../../b"} {
		v.say(signaling.TypeFilesDelete, signaling.FilesDelete{Job: v.id(), Paths: []signaling.FileName{name(p)}})
		next[signaling.FilesFailed](v)
		v.say(signaling.TypeFilesGet, signaling.FilesGet{Job: v.id(), Path: name(p)})
		next[signaling.FilesFailed](v)
		v.say(signaling.TypeFilesGet, signaling.FilesGet{Job: v.id(), Path: name(p), Follow: true})
		next[signaling.FilesFailed](v) // outside of root the link leads nowhere
		v.say(signaling.TypeFilesMove, signaling.FilesMove{Job: v.id(), From: name(p), To: name("/mine")})
		next[signaling.FilesFailed](v)
	}
	for _, n := range []string{"..", ".", "a/b", "/"} {
		answer, _ := v.put(signaling.FilesPut{Folder: name("/"), Name: name(n)}, []byte("x"), 0)
		is(t, answer, signaling.FaultName)
	}
	answer, _ := v.put(signaling.FilesPut{Folder: name("/out"), Name: name("planted")}, []byte("x"), 0)
	is(t, answer, signaling.FaultKind)
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("the file outside: %q, %v", b, err)
	}
}

// TestLinkRace: a folder that turns into a link and back while files are written and deleted in it
// never leads outside.
func TestLinkRace(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "victim"), []byte("stays"))
	folder, link := filepath.Join(root, "d"), filepath.Join(root, "l")
	if err := errors.Join(os.Mkdir(folder, 0o755), os.Symlink(outside, link)); err != nil { //nolint:gosec // a test's folder
		t.Fatal(err)
	}
	var stop atomic.Bool
	var swaps atomic.Int64
	raced := make(chan struct{})
	go func() {
		defer close(raced)
		for !stop.Load() {
			if unix.Renameat2(unix.AT_FDCWD, folder, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}()
	defer func() { stop.Store(true); <-raced }()
	v := dial(t, root)
	for n := 0; n < 300 || swaps.Load() < 300; n++ {
		v.put(signaling.FilesPut{Folder: name("/d"), Name: name(fmt.Sprintf("up%d", n))}, []byte("planted"), 0)
		for _, p := range []string{"/d/victim", "/l/victim"} {
			v.say(signaling.TypeFilesDelete, signaling.FilesDelete{Job: v.id(), Paths: []signaling.FileName{name(p)}})
			v.message()
		}
		mode := uint32(0o777)
		v.say(signaling.TypeFilesSet, signaling.FilesSet{Job: v.id(), Paths: []signaling.FileName{name("/d")}, Mode: &mode, Within: true})
		v.message()
		v.say(signaling.TypeFilesMake, signaling.FilesMake{Job: v.id(), Path: name("/d/sub/sub")})
		v.message()
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 || left[0].Name() != "victim" {
		t.Errorf("outside are %v, %v; want the victim alone", left, err)
	}
	if i, err := os.Stat(filepath.Join(outside, "victim")); err != nil || i.Mode().Perm() != 0o644 {
		t.Errorf("the victim is %v, %v", i, err)
	}
}

// TestLinksAreFollowedToLook: a link to a folder opens it, and the page says where that is.
func TestLinksAreFollowedToLook(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755), os.Symlink("usr/bin", filepath.Join(root, "bin")), //nolint:gosec // a test's folder
		os.Symlink("/bin/tool", filepath.Join(root, "t")), os.Symlink("circle", filepath.Join(root, "circle")),
		os.Symlink("../../../../etc", filepath.Join(root, "up"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "usr/bin/tool"), []byte("tool"))
	v := dial(t, root)
	entries, page := v.list(signaling.FilesList{Path: name("/bin")})
	if page.Path.Bytes() != "/usr/bin" || len(entries) != 1 {
		t.Errorf("/bin is %+v with %v", page.Path, entries)
	}
	got, meta, _ := v.get(signaling.FilesGet{Path: name("/t"), Follow: true}, 0)
	if string(got) != "tool" || meta.Path.Bytes() != "/usr/bin/tool" {
		t.Errorf("/t is %q of %s", got, meta.Path.Bytes())
	}
	for p, fault := range map[string]signaling.FileFault{"/circle": signaling.FaultKind, "/up": signaling.FaultMissing} {
		v.say(signaling.TypeFilesList, signaling.FilesList{Job: v.id(), Path: name(p)})
		is(t, v.message(), fault)
	}
	all, _ := v.list(signaling.FilesList{Path: name("/")})
	for _, e := range all {
		if e.Name.Text == "bin" && (e.Kind != signaling.FileLink || e.Target == nil || e.Target.Text != "usr/bin" || e.TargetKind != signaling.FileFolder) {
			t.Errorf("bin is %+v", e)
		}
	}
}

// TestWhatIsNoFile: devices, sockets and FIFOs are shown, and never opened: to open a FIFO would wait for ever.
func TestWhatIsNoFile(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(root, "socket")}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "sparse"), nil)
	if err := os.Truncate(filepath.Join(root, "sparse"), 8<<20); err != nil {
		t.Fatal(err)
	}
	v := dial(t, root)
	entries, _ := v.list(signaling.FilesList{Path: name("/")})
	kinds := map[string]signaling.FileKind{}
	for _, e := range entries {
		kinds[e.Name.Text] = e.Kind
	}
	if kinds["fifo"] != signaling.FileFIFO || kinds["socket"] != signaling.FileSocket {
		t.Errorf("kinds are %v", kinds)
	}
	for _, n := range []string{"fifo", "socket"} {
		v.say(signaling.TypeFilesGet, signaling.FilesGet{Job: v.id(), Path: name("/" + n)})
		is(t, v.message(), signaling.FaultKind)
		answer, _ := v.put(signaling.FilesPut{Folder: name("/"), Name: name(n), Conflict: signaling.ConflictReplace}, []byte("x"), 0)
		is(t, answer, signaling.FaultKind)
	}
	got, _, done := v.get(signaling.FilesGet{Path: name("/sparse")}, 0)
	if !bytes.Equal(got, make([]byte, 8<<20)) || done.SHA256 != sum(got) {
		t.Errorf("%d bytes of a sparse file came", len(got))
	}
}

// TestCutAndResume: a transfer that is cut goes on where it was, each byte once, and the sum is of the whole.
func TestCutAndResume(t *testing.T) {
	root := t.TempDir()
	all := content(5<<20 + 123)
	req := signaling.FilesPut{Folder: name("/"), Name: name("up"), ModifiedMS: 1_700_000_000_000}
	first := dial(t, root)
	if answer, _ := first.put(req, all, 2<<20); answer != nil {
		t.Fatalf("answer %#v", answer)
	}
	first.cancel()
	if err := first.end(); err == nil {
		t.Error("a channel that is cut ends without an error")
	}
	if _, err := os.Stat(filepath.Join(root, "up")); err == nil {
		t.Fatal("half a file has its name already")
	}
	v := dial(t, root)
	answer, began := v.put(req, all, 0)
	done, ok := answer.(signaling.FilesDone)
	if !ok || began < 2<<20 || done.SHA256 != sum(all) || done.Entry == nil || done.Entry.ModifiedMS != req.ModifiedMS {
		t.Fatalf("resumed at %d: %+v", began, answer)
	}
	if b, err := os.ReadFile(filepath.Join(root, "up")); err != nil || !bytes.Equal(b, all) {
		t.Errorf("%d bytes arrived, %v", len(b), err)
	}
	if left, _ := os.ReadDir(root); len(left) != 1 {
		t.Errorf("left are %v", left)
	}
	if !v.noted("uploaded “/up”", sum(all), "resumed at") {
		t.Errorf("the timeline has %q", v.notes)
	}

	half, meta, _ := v.get(signaling.FilesGet{Path: name("/up")}, 3<<20)
	w := dial(t, root)
	rest, _, end := w.get(signaling.FilesGet{Path: name("/up"), Offset: int64(len(half)), Version: meta.Version}, 0)
	if !bytes.Equal(append(half, rest...), all) || end.SHA256 != sum(all) {
		t.Errorf("%d and %d bytes came", len(half), len(rest))
	}
	write(t, filepath.Join(root, "up"), []byte("another"))
	w.say(signaling.TypeFilesGet, signaling.FilesGet{Job: w.id(), Path: name("/up"), Offset: 3, Version: meta.Version})
	is(t, w.message(), signaling.FaultChanged)
}

// TestConflicts: what is there is not lost without a word.
func TestConflicts(t *testing.T) {
	root := t.TempDir()
	at := filepath.Join(root, "notes.txt")
	write(t, at, []byte("first"))
	if err := os.Chmod(at, 0o640); err != nil {
		t.Fatal(err)
	}
	v := dial(t, root)
	req := signaling.FilesPut{Folder: name("/"), Name: name("notes.txt")}
	answer, _ := v.put(req, []byte("second"), 0)
	if f := is(t, answer, signaling.FaultExists); f.Entry == nil || f.Entry.Size != 5 {
		t.Errorf("what is there is not told: %+v", f)
	}
	req.Conflict = signaling.ConflictKeep
	for _, want := range []string{"notes (2).txt", "notes (3).txt"} {
		answer, _ = v.put(req, []byte("second"), 0)
		if d, ok := answer.(signaling.FilesDone); !ok || d.Entry.Name.Text != want {
			t.Errorf("answer %+v, want %s", answer, want)
		}
	}
	req.Conflict = signaling.ConflictReplace
	answer, _ = v.put(req, []byte("third"), 0)
	if d, ok := answer.(signaling.FilesDone); !ok || d.Entry.Mode != 0o640 {
		t.Errorf("answer %+v, want the mode of the old one", answer)
	}
	_, meta, _ := v.get(signaling.FilesGet{Path: name("/notes.txt")}, 0)
	req.Version = meta.Version
	if answer, _ = v.put(req, []byte("edited"), 0); answer.(signaling.FilesDone).Entry.Mode != 0o640 { //nolint:forcetypeassert // fails the test
		t.Errorf("answer %+v", answer)
	}
	answer, _ = v.put(req, []byte("edited again, without looking"), 0)
	is(t, answer, signaling.FaultChanged)
	if b, _ := os.ReadFile(at); string(b) != "edited" {
		t.Errorf("the file holds %q", b)
	}
	if !v.noted("edited “/notes.txt”", "before 5 bytes") {
		t.Errorf("the timeline has %q", v.notes)
	}
}

// TestSumThatDiffers: what is not what was sent never gets the name.
func TestSumThatDiffers(t *testing.T) {
	root := t.TempDir()
	v := dial(t, root)
	p := signaling.FilesPut{Job: v.id(), Folder: name("/"), Name: name("x"), Size: 0, Conflict: signaling.ConflictAsk}
	v.say(signaling.TypeFilesPut, p)
	next[signaling.FilesReady](v)
	v.say(signaling.TypeFilesEnd, signaling.FilesEnd{Job: p.Job, SHA256: sum([]byte("other"))})
	is(t, v.message(), signaling.FaultSum)
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// TestCancel: a cancelled upload leaves nothing, one that is paused what has come.
func TestCancel(t *testing.T) {
	root := t.TempDir()
	all := content(8 << 20)
	v := dial(t, root)
	for _, keep := range []bool{true, false} {
		if answer, _ := v.put(signaling.FilesPut{Folder: name("/"), Name: name("x"), Fresh: true}, all, 512<<10); answer != nil {
			t.Fatalf("answer %#v", answer)
		}
		v.say(signaling.TypeFilesCancel, signaling.FilesCancel{Job: v.job, Keep: keep})
		f := next[signaling.FilesFailed](v)
		left, err := os.ReadDir(root)
		if err != nil || f.Fault != signaling.FaultCancelled || (len(left) == 1) != keep || (f.Kept >= 512<<10) != keep {
			t.Errorf("keep %v: %+v, left are %v, %v", keep, f, left, err)
		}
	}
}

// TestLargeFolder: a folder of many entries comes a page at a time, only as fast as the viewer takes
// it, can be cancelled, searched and deleted.
func TestLargeFolder(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "many"), 0o755); err != nil { //nolint:gosec // a test's folder
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "one"), nil)
	for n := range *entriesFlag {
		if n%60_000 == 59_999 { // a file system bounds how many names one file may have
			if err := os.Remove(filepath.Join(root, "one")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(root, "one"), nil)
		}
		if err := os.Link(filepath.Join(root, "one"), filepath.Join(root, "many", fmt.Sprintf("entry-%07d", n))); err != nil {
			t.Fatal(err)
		}
	}
	v := dial(t, root)
	l := signaling.FilesList{Job: v.id(), Path: name("/many")}
	v.say(signaling.TypeFilesList, l)
	first, second := next[signaling.FilesPage](v), next[signaling.FilesPage](v)
	if first.Last || second.Last || len(first.Entries) == 0 {
		t.Fatalf("pages of %d and %d entries", len(first.Entries), len(second.Entries))
	}
	v.say(signaling.TypeFilesCancel, signaling.FilesCancel{Job: l.Job})
	is(t, v.message(), signaling.FaultCancelled) // and no third page before it
	all, page := v.list(signaling.FilesList{Path: name("/many")})
	if len(all) != *entriesFlag || page.Sorted != (*entriesFlag < 50_000) {
		t.Errorf("%d entries, sorted %v", len(all), page.Sorted)
	}
	found, _ := v.list(signaling.FilesList{Path: name("/many"), Match: "Y-0000123"})
	if len(found) != 1 || found[0].Name.Text != "entry-0000123" {
		t.Errorf("found %v", found)
	}
	v.say(signaling.TypeFilesDelete, signaling.FilesDelete{Job: v.id(), Paths: []signaling.FileName{name("/many")}})
	if d := next[signaling.FilesDone](v); d.Count != int64(*entriesFlag)+1 {
		t.Errorf("deleted %d", d.Count)
	}
}

// TestVanished: what goes while it is being looked at is no fault of the list, and is said of a get.
func TestVanished(t *testing.T) {
	root := t.TempDir()
	v := dial(t, root)
	v.say(signaling.TypeFilesGet, signaling.FilesGet{Job: v.id(), Path: name("/gone")})
	is(t, v.message(), signaling.FaultMissing)
	all := content(4 << 20)
	write(t, filepath.Join(root, "shrinks"), all)
	g := signaling.FilesGet{Job: v.id(), Path: name("/shrinks")}
	v.say(signaling.TypeFilesGet, g)
	next[signaling.FilesMeta](v)
	if err := os.Truncate(filepath.Join(root, "shrinks"), 100); err != nil {
		t.Fatal(err)
	}
	v.say(signaling.TypeFilesAck, signaling.FilesAck{Job: g.Job, Offset: 0})
	for at := int64(0); ; {
		m := v.message()
		if f, ok := m.(signaling.FilesFailed); ok {
			is(t, f, signaling.FaultChanged)
			break
		}
		at += 56 << 10
		v.say(signaling.TypeFilesAck, signaling.FilesAck{Job: g.Job, Offset: at})
	}
}

// TestArchive: folders come as one ZIP archive; what is no file is left out.
func TestArchive(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/b"), 0o755); err != nil { //nolint:gosec // a test's folder
		t.Fatal(err)
	}
	big := content(1 << 20)
	write(t, filepath.Join(root, "a/b/big"), big)
	write(t, filepath.Join(root, "a/latin\xfc"), []byte("x"))
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(root, "a/link")), unix.Mkfifo(filepath.Join(root, "a/fifo"), 0o644)); err != nil {
		t.Fatal(err)
	}
	v := dial(t, root)
	got, meta, done := v.get(signaling.FilesGet{Path: name("/"), Names: []signaling.FileName{name("a")}}, 0)
	if meta.Size != -1 || done.SHA256 != sum(got) {
		t.Errorf("meta %+v, done %+v", meta, done)
	}
	z, err := zip.NewReader(bytes.NewReader(got), int64(len(got)))
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, f := range z.File {
		held[f.Name] = true
	}
	if len(held) != 4 || !held["a/b/big"] || !held["a/latin\xfc"] {
		t.Errorf("the archive holds %v", held)
	}
	r, err := z.Open("a/b/big")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, big) {
		t.Errorf("%d bytes in the archive, %v", len(b), err)
	}
}

// TestFullDisk: a disk that has no room says so, with what is left, before or in the middle of a transfer.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root may mount the small disk of this test")
		return
	}
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=12m"); err != nil {
		t.Logf("this machine does not let root mount (%v), so there is no small disk to fill", err)
		return
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	v := dial(t, root)
	answer, _ := v.put(signaling.FilesPut{Folder: name("/"), Name: name("large")}, content(16<<20), 0)
	if f := is(t, answer, signaling.FaultFull); f.Free == 0 || !strings.Contains(f.Message, "free") {
		t.Errorf("answer %+v", f)
	}
	all := content(8 << 20)
	req := signaling.FilesPut{Folder: name("/"), Name: name("fits")}
	if answer, _ = v.put(req, all, 512<<10); answer != nil {
		t.Fatalf("answer %#v", answer)
	}
	v.cancel()
	_ = v.end()
	write(t, filepath.Join(root, "filler"), make([]byte, 9<<20))
	v = dial(t, root)
	answer, _ = v.put(req, all, 0)
	if f := is(t, answer, signaling.FaultFull); f.Kept < 512<<10 {
		t.Errorf("kept %d", f.Kept)
	}
	if err := os.Remove(filepath.Join(root, "filler")); err != nil {
		t.Fatal(err)
	}
	answer, began := v.put(req, all, 0)
	if d, ok := answer.(signaling.FilesDone); !ok || began < 512<<10 || d.SHA256 != sum(all) {
		t.Errorf("after making room: resumed at %d, %+v", began, answer)
	}
}

// TestAsThePerson: an agent that is root serves with the person's rights, in a process of theirs, and
// with its own only where the viewer may act as administrator.
func TestAsThePerson(t *testing.T) {
	if os.Geteuid() != 0 {
		v := connect(t, files.Config{Root: t.TempDir()}, signaling.Files, signaling.Root)
		v.say(signaling.TypeFilesOpen, signaling.FilesOpen{Admin: true})
		if err := v.end(); err == nil {
			t.Error("an agent that is not root opens files as administrator")
		}
		return
	}
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // the person goes through it
		t.Fatal(err)
	}
	const nobody = 65534
	program := filepath.Join(root, "agent")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(program, self, 0o755), os.Chmod(root, 0o755), //nolint:gosec // the person runs it
		os.Mkdir(filepath.Join(root, "mine"), 0o700), os.Chown(filepath.Join(root, "mine"), nobody, nobody), os.Mkdir(filepath.Join(root, "roots"), 0o700)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "roots/secret"), []byte("secret"))
	cfg := files.Config{Root: root, Program: program, Desktop: func() (int, bool) { return nobody, true }}
	v := connect(t, cfg, signaling.Files)
	v.say(signaling.TypeFilesOpen, signaling.FilesOpen{})
	if h := next[signaling.FilesHello](v); h.User != "nobody" || h.Admin {
		t.Errorf("files are shown as %+v", h)
	}
	for _, p := range []string{"/roots", "/roots/secret"} {
		v.say(signaling.TypeFilesList, signaling.FilesList{Job: v.id(), Path: name(p)})
		is(t, v.message(), signaling.FaultDenied)
	}
	answer, _ := v.put(signaling.FilesPut{Folder: name("/"), Name: name("x")}, []byte("x"), 0)
	is(t, answer, signaling.FaultDenied)
	all := content(1 << 20)
	if answer, _ = v.put(signaling.FilesPut{Folder: name("/mine"), Name: name("x")}, all, 0); answer.(signaling.FilesDone).Entry.Owner != "nobody" { //nolint:forcetypeassert // fails the test
		t.Errorf("answer %+v", answer)
	}
	if got, _, _ := v.get(signaling.FilesGet{Path: name("/mine/x")}, 0); !bytes.Equal(got, all) {
		t.Errorf("%d bytes came", len(got))
	}
	if !v.noted("uploaded “/mine/x”", sum(all)) {
		t.Errorf("the timeline has %q", v.notes)
	}
	v.cancel()
	_ = v.end()

	for why, open := range map[string]struct {
		desktop func() (int, bool)
		admin   bool
	}{
		"nobody is signed in":     {func() (int, bool) { return 0, false }, false},
		"root is signed in":       {func() (int, bool) { return 0, true }, false},
		"not allowed to be admin": {cfg.Desktop, true},
	} {
		w := connect(t, files.Config{Root: root, Program: program, Desktop: open.desktop}, signaling.Files)
		w.say(signaling.TypeFilesOpen, signaling.FilesOpen{Admin: open.admin})
		if err := w.end(); err == nil {
			t.Errorf("%s, and files are shown", why)
		}
	}
}

// TestPermissions: permissions are set, within folders too, and never through a link.
func TestPermissions(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	target := filepath.Join(outside, "target")
	write(t, target, nil)
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "a/b"), 0o755), os.Symlink(target, filepath.Join(root, "a/link"))); err != nil { //nolint:gosec // a test's folder
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "a/b/f"), nil)
	v := dial(t, root)
	mode := uint32(0o750)
	v.say(signaling.TypeFilesSet, signaling.FilesSet{Job: v.id(), Paths: []signaling.FileName{name("/a")}, Mode: &mode, Within: true})
	next[signaling.FilesDone](v)
	for path, want := range map[string]os.FileMode{"a": 0o750, "a/b": 0o750, "a/b/f": 0o750} {
		if i, err := os.Stat(filepath.Join(root, path)); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s is %v, %v", path, i, err)
		}
	}
	if i, err := os.Stat(target); err != nil || i.Mode().Perm() != 0o644 {
		t.Errorf("the target of the link is %v, %v", i, err)
	}
	v.say(signaling.TypeFilesSet, signaling.FilesSet{Job: v.id(), Paths: []signaling.FileName{name("/a")}, Owner: "no such account"})
	is(t, v.message(), signaling.FaultName)
	if !v.noted("set permissions 0750 of “/a”") {
		t.Errorf("the timeline has %q", v.notes)
	}
}

// TestNonsense: what is no message ends the channel with a reason.
func TestNonsense(t *testing.T) {
	for why, send := range map[string]func(*viewer){
		"files that are not open": func(v *viewer) { v.say(signaling.TypeFilesList, signaling.FilesList{Path: name("/")}) },
		"a message of vitals": func(v *viewer) {
			v.say(signaling.TypeFilesOpen, signaling.FilesOpen{Admin: os.Geteuid() == 0})
			next[signaling.FilesHello](v)
			v.say(signaling.TypeVitalsWatch, signaling.VitalsWatch{EveryMS: 1000})
		},
	} {
		v := connect(t, files.Config{Root: t.TempDir()}, signaling.Files, signaling.Root)
		send(v)
		if err := v.end(); err == nil {
			t.Errorf("%s: no error", why)
		}
	}
}
