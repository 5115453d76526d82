package journal_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/journal"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

// reader is a viewer that acknowledges what it is shown.
type reader struct {
	*tooltest.Viewer
	t       *testing.T
	lines   []signaling.JournalLine // in order
	dropped int64
	begin   bool
}

func read(t *testing.T, cfg journal.Config) *reader {
	return &reader{Viewer: tooltest.Serve(t, journal.New(cfg).Serve, signaling.Diagnostics), t: t}
}

func (r *reader) open(q signaling.JournalOpen) signaling.JournalSource {
	r.t.Helper()
	r.lines, r.begin = nil, false
	r.Say(signaling.TypeJournalOpen, "", q)
	s := tooltest.Await(r.Viewer, "the source", func(s signaling.JournalSource) bool { return s.Query == q.Query })
	r.until("the first page", func(m signaling.JournalLines) bool { return m.Last })
	return s
}

// until takes lines in up to a batch that fits.
func (r *reader) until(what string, fits func(signaling.JournalLines) bool) {
	r.t.Helper()
	for {
		m := tooltest.Await[signaling.JournalLines](r.Viewer, what, nil)
		if r.dropped += m.Dropped; m.Back {
			r.lines = append(slices.Clone(m.Lines), r.lines...)
		} else {
			r.lines = append(r.lines, m.Lines...)
		}
		r.begin = r.begin || m.Begin
		r.Say(signaling.TypeJournalAck, "", signaling.JournalAck{Seq: m.Seq})
		if fits(m) {
			return
		}
	}
}

func (r *reader) texts() []string {
	var out []string
	for _, l := range r.lines {
		out = append(out, l.Text)
	}
	return out
}

func (r *reader) has(text string) func(signaling.JournalLines) bool {
	return func(signaling.JournalLines) bool { return slices.Contains(r.texts(), text) }
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// TestFiles: a device without a journal has its files shown, page by page, filtered, and followed,
// also past their rotation.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "syslog")
	for i := range 2500 {
		appendTo(t, name, fmt.Sprintf("2026-11-24T03:00:00.5+00:00 pc worker[%d]: line %d\n", i+1, i))
	}
	appendTo(t, name, "Nov 24 03:00:01 pc kernel: Out of memory: Killed process 17 (x)\nNov 24 03:00:02 pc cupsd[7]: error: \x1b[31mno\x00 paper \xff\n")
	appendTo(t, filepath.Join(dir, "note.txt"), "not a log\n")
	r := read(t, journal.Config{Dir: dir})
	s := r.open(signaling.JournalOpen{Query: 1, Priority: 7, Count: 100, Follow: true, File: "syslog"})
	if s.Kind != "files" || s.Files[0] != "syslog" || slices.Contains(s.Files, "note.txt") {
		t.Errorf("source %+v", s)
	}
	if len(r.lines) != 100 {
		t.Fatalf("%d lines, want 100", len(r.lines))
	}
	last := r.lines[99]
	if last.Unit != "cupsd" || last.PID != 7 || last.Priority != 3 || last.Text != "error: ␛[31mno\uFFFD paper \uFFFD" || last.TimeMS == 0 {
		t.Errorf("the last line is %+v", last)
	}
	for !r.begin {
		r.Say(signaling.TypeJournalMore, "", signaling.JournalMore{Query: 1, Count: 1000})
		r.until("an older page", func(m signaling.JournalLines) bool { return m.Back && m.Last })
	}
	if len(r.lines) != 2502 || r.lines[0].Text != "line 0" || r.lines[2499].Text != "line 2499" || r.lines[0].TimeMS != 1795489200500 {
		t.Errorf("all pages: %d lines from %+v", len(r.lines), r.lines[0])
	}
	appendTo(t, name, "Nov 24 03:00:03 pc worker[1]: as it hap")
	appendTo(t, name, "pens\n")
	r.until("a followed line", r.has("as it happens"))
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, name, "Nov 24 03:00:04 pc worker[1]: in the next file\n")
	r.until("a line of the next file", r.has("in the next file"))

	r.open(signaling.JournalOpen{Query: 2, Priority: 7, Count: 100, File: "syslog", Text: "NEXT"})
	if !slices.Equal(r.texts(), []string{"in the next file"}) || !r.begin {
		t.Errorf("searched: %q", r.texts())
	}
}

// TestWhatIsNoLog: links out of the directory, other files and names that climb are not read.
func TestWhatIsNoLog(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/shadow", dir+"/evil.log"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, dir+"/good.log", "fine\n")
	for _, file := range []string{"evil.log", "../../etc/passwd", "/etc/passwd", "none.log"} {
		r := read(t, journal.Config{Dir: dir})
		if s := r.open(signaling.JournalOpen{Query: 1, Priority: 7, Count: 10, File: file}); s.Message == "" || len(r.lines) != 0 {
			t.Errorf("%s is read: %+v %q", file, s, r.texts())
		}
	}
}

// TestLongLine: a line of a megabyte is cut, which is said, and stops nothing.
func TestLongLine(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir+"/a.log", "before\n"+strings.Repeat("x", 1<<20)+"\nafter\n")
	r := read(t, journal.Config{Dir: dir})
	r.open(signaling.JournalOpen{Query: 1, Priority: 7, Count: 10, File: "a.log", Follow: true})
	if len(r.lines) != 3 || r.lines[0].Text != "before" || r.lines[2].Text != "after" || int(r.lines[1].Cut)+len(r.lines[1].Text) != 1<<20 {
		t.Fatalf("%d lines; the long one has %d bytes and lacks %d", len(r.lines), len(r.lines[1].Text), r.lines[1].Cut)
	}
	appendTo(t, dir+"/a.log", strings.Repeat("y", 1<<20)+"\n")
	r.until("the next long one", func(signaling.JournalLines) bool { return len(r.lines) == 4 })
	if l := r.lines[3]; int(l.Cut)+len(l.Text) != 1<<20 {
		t.Errorf("it has %d bytes and lacks %d", len(l.Text), l.Cut)
	}
}

// TestSlowViewer: who acknowledges nothing is sent no more than the window, and is told afterwards how
// many lines it missed: told and dropped are all there were.
func TestSlowViewer(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, dir+"/a.log", "first\n")
	r := read(t, journal.Config{Dir: dir})
	r.open(signaling.JournalOpen{Query: 1, Priority: 7, Count: 10, File: "a.log", Follow: true})
	const many = 15_000
	text := strings.Builder{}
	for i := range many {
		fmt.Fprintf(&text, "line %d of very many that come at once %s\n", i, strings.Repeat(".", 80))
	}
	appendTo(t, dir+"/a.log", text.String()+"the end\n")
	for range signaling.JournalWindow {
		m := tooltest.Await[signaling.JournalLines](r.Viewer, "batches", nil)
		r.lines, r.dropped = append(r.lines, m.Lines...), r.dropped+m.Dropped
		if m.Seq == signaling.JournalWindow+1 {
			r.Say(signaling.TypeJournalAck, "", signaling.JournalAck{Seq: m.Seq})
		}
	}
	r.until("the end", r.has("the end"))
	if got := int64(len(r.lines)) + r.dropped; got != many+2 {
		t.Errorf("%d lines and %d dropped are %d of %d", len(r.lines), r.dropped, got, many+2)
	}
}

// journald starts a journal of its own, with systemd's real daemon, and returns how journalctl
// finds it and where entries go.
func journald(t *testing.T) (journal.Config, *net.UnixConn) {
	t.Helper()
	name := fmt.Sprintf("hrtest%d", os.Getpid())
	run, id := "/run/systemd/journal."+name, ""
	if b, err := os.ReadFile("/etc/machine-id"); err == nil {
		id = strings.TrimSpace(string(b))
	}
	t.Cleanup(func() {
		for _, dir := range []string{run, "/var/log/journal/" + id + "." + name, "/run/log/journal/" + id + "." + name} {
			_ = os.RemoveAll(dir)
		}
	})
	cmd := exec.Command("/lib/systemd/systemd-journald", name)
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for limit := time.Now().Add(time.Minute); ; {
		c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: run + "/socket", Net: "unixgram"})
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return journal.Config{Dir: t.TempDir(), Args: []string{"--namespace=" + name}}, c
		}
		if time.Now().After(limit) || !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "refused") {
			t.Fatal(err)
		}
	}
}

// TestJournal: entries of systemd's journal, filtered by how grave they are, paged and followed.
func TestJournal(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can start a journal")
		return
	}
	cfg, to := journald(t)
	write := func(priority int, unit, text string) {
		t.Helper()
		if _, err := fmt.Fprintf(to, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\n", text, priority, unit); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 250 {
		write(6, "worker", fmt.Sprintf("line %d", i))
	}
	write(3, "cupsd", "no paper")
	r := read(t, cfg)
	// What was written is in the journal some time later.
	s := r.open(signaling.JournalOpen{Query: 1, Priority: 7, Count: 100, Follow: true})
	if s.Kind != "journal" {
		t.Fatalf("source %+v", s)
	}
	r.until1("no paper")
	for !r.begin {
		r.Say(signaling.TypeJournalMore, "", signaling.JournalMore{Query: 1, Count: 100})
		r.until("an older page", func(m signaling.JournalLines) bool { return m.Back && m.Last })
	}
	first := slices.Index(r.texts(), "line 0")
	if first < 0 || first+250 >= len(r.lines) {
		t.Fatalf("the pages together are %d lines: %q", len(r.lines), r.texts())
	}
	for i := range 250 {
		if l := r.lines[first+i]; l.Text != fmt.Sprintf("line %d", i) || l.Unit != "worker" || l.PID != int64(os.Getpid()) {
			t.Fatalf("line %d is %+v", i, l)
		}
	}
	write(4, "worker", "as it happens")
	r.until1("as it happens")
	r.open(signaling.JournalOpen{Query: 2, Priority: 3, Count: 100})
	if texts := r.texts(); !slices.Contains(texts, "no paper") || slices.Contains(texts, "line 0") {
		t.Errorf("errors only: %q", texts)
	}
	r.open(signaling.JournalOpen{Query: 3, Priority: 7, Count: 2, Text: "LINE 24"})
	if !slices.Equal(r.texts(), []string{"line 248", "line 249"}) {
		t.Errorf("searched: %q", r.texts())
	}
	r.Say(signaling.TypeJournalMore, "", signaling.JournalMore{Query: 3, Count: 100})
	r.until("what is older", func(m signaling.JournalLines) bool { return m.Back && m.Last })
	if len(r.lines) != 11 || r.lines[0].Text != "line 24" || !r.begin {
		t.Errorf("searched further: %q", r.texts())
	}
}

// until1 waits for a line, which may have come before.
func (r *reader) until1(text string) {
	r.t.Helper()
	if !slices.Contains(r.texts(), text) {
		r.until(text, r.has(text))
	}
}
