package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// systemd reads its journal by journalctl, which knows all its formats.
type systemd struct {
	path string
	args []string
}

// fieldsOf are those that are needed of an entry, besides the cursor and times that always come.
const fieldsOf = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER,_COMM,_PID,SYSLOG_PID,_TRANSPORT"

// command begins journalctl with a question's filters.
func (s *systemd) command(ctx context.Context, q signaling.JournalOpen, more ...string) *exec.Cmd {
	args := append(slices.Clone(s.args), "--no-pager", "--quiet", "--all", "--output=json", "--output-fields="+fieldsOf)
	if q.Priority < 7 {
		args = append(args, "--priority="+strconv.FormatInt(q.Priority, 10))
	}
	if q.Unit != "" {
		args = append(args, "--unit="+q.Unit)
	}
	if q.Kernel {
		args = append(args, "--dmesg", "--boot=all")
		if q.Boot != "" {
			args = args[:len(args)-1]
		}
	}
	if q.Boot != "" {
		args = append(args, "--boot="+q.Boot)
	}
	if q.SinceMS > 0 {
		args = append(args, "--since="+moment(q.SinceMS))
	}
	if q.UntilMS > 0 {
		args = append(args, "--until="+moment(q.UntilMS+999))
	}
	return s.program(ctx, append(args, more...)...)
}

// moment is a time as journalctl takes it, "@" and seconds.
func moment(ms int64) string { return "@" + strconv.FormatInt(ms/1000, 10) }

func (s *systemd) program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.path, args...) //nolint:gosec // journalctl, with arguments checked by signaling
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.WaitDelay = time.Second
	return cmd
}

// stream runs a program and tells its lines, until it says false. Of a line over maxEntry it tells
// the beginning.
func stream(cmd *exec.Cmd, tell func([]byte) bool) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stderr = &firstBytes{&said, 4096}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := bufio.NewReaderSize(out, 64<<10)
	stopped := false
	var line []byte
	for !stopped {
		part, err := r.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxEntry-len(line))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > 0 {
			stopped = !tell(line)
		}
		if line = line[:0]; cap(line) > 1<<20 {
			line = nil
		}
		if err != nil {
			break
		}
	}
	if stopped {
		_ = cmd.Process.Kill() // the rest is not wanted
	}
	if err := cmd.Wait(); err != nil && !stopped {
		if words := mdm.Clean(said.String(), 400); words != "" {
			return errors.New(words)
		}
		return err
	}
	return nil
}

// firstBytes keeps the first bytes of a stream and swallows the rest.
type firstBytes struct {
	w    io.Writer
	left int
}

func (c *firstBytes) Write(b []byte) (int, error) {
	n := min(len(b), c.left)
	c.left -= n
	if _, err := c.w.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *systemd) page(ctx context.Context, q signaling.JournalOpen, at string, n int) (list []entry, reached string, begin bool, err error) {
	more := []string{"--reverse"}
	if at != "" {
		more = append(more, "--after-cursor="+at) // in the direction of the reading: before it
	}
	if q.Text == "" {
		more = append(more, "--lines="+strconv.Itoa(n))
	}
	err = stream(s.command(ctx, q, more...), func(b []byte) bool {
		line, cursor, text := parseEntry(b)
		if cursor != "" {
			reached = cursor
		}
		if fits(q, line, text) {
			list = append(list, entry{line, cursor})
		}
		return len(list) < n
	})
	slices.Reverse(list)
	return list, reached, err == nil && len(list) < n, err
}

func (s *systemd) follow(ctx context.Context, q signaling.JournalOpen, at string, tell func(signaling.JournalLine)) error {
	more := []string{"--follow", "--lines=0"}
	if at != "" {
		more = []string{"--follow", "--lines=all", "--after-cursor=" + at}
	}
	err := stream(s.command(ctx, q, more...), func(b []byte) bool {
		if line, _, text := parseEntry(b); fits(q, line, text) {
			tell(line)
		}
		return ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end
	}
	return err
}

// parseEntry reads an entry as journalctl writes it (systemd.journal-fields(7)); text is the whole
// of its message.
func parseEntry(b []byte) (l signaling.JournalLine, cursor, text string) {
	var e map[string]json.RawMessage
	if err := json.Unmarshal(b, &e); err != nil {
		return signaling.JournalLine{Priority: 6, Text: "(An entry that is too long to be shown.)", Cut: int64(len(b))}, "", ""
	}
	message := value(e["MESSAGE"])
	l.Text, l.Cut = clean(message)
	l.Priority = 6
	if n, err := strconv.ParseInt(string(value(e["PRIORITY"])), 10, 64); err == nil && n >= 0 && n <= 7 {
		l.Priority = n
	}
	if n, err := strconv.ParseInt(string(value(e["__REALTIME_TIMESTAMP"])), 10, 64); err == nil {
		l.TimeMS = n / 1000
	}
	for _, key := range []string{"_PID", "SYSLOG_PID"} {
		if n, err := strconv.ParseInt(string(value(e[key])), 10, 31); err == nil && n > 0 {
			l.PID = n
			break
		}
	}
	for _, key := range []string{"UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_COMM", "_TRANSPORT"} {
		if l.Unit = mdm.Clean(string(value(e[key])), 128); l.Unit != "" && l.Unit != "init.scope" {
			break
		}
	}
	return l, string(value(e["__CURSOR"])), string(message)
}

// value is a field: a text, a list of bytes where it is none, or several of these, of which the
// first counts.
func value(raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return nil
	}
	switch raw[0] {
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s) // it was taken apart as JSON before
		return []byte(s)
	case '[':
		var ns []uint16
		if json.Unmarshal(raw, &ns) == nil {
			out := make([]byte, len(ns))
			for i, n := range ns {
				out[i] = byte(n)
			}
			return out
		}
		var several []json.RawMessage
		if json.Unmarshal(raw, &several) == nil && len(several) > 0 && len(several[0]) > 0 && several[0][0] == '"' {
			return value(several[0])
		}
	}
	return nil
}

// bootLine is of "journalctl --list-boots", of which the columns' names came with systemd 254.
var bootLine = regexp.MustCompile(`^\s*-?\d+\s+([0-9a-f]{32})\s+\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\W+\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC`)

const maxBoots = 100

// boots lists the device's runs, newest first.
func (s *systemd) boots(ctx context.Context) []signaling.JournalBoot {
	out := []signaling.JournalBoot{}
	_ = stream(s.program(ctx, append(slices.Clone(s.args), "--no-pager", "--quiet", "--utc", "--list-boots")...), func(b []byte) bool {
		if boot, ok := parseBoot(string(b)); ok {
			out = append(out, boot)
		}
		return len(out) < 10*maxBoots
	}) // without it there is no list of them, and everything else
	slices.Reverse(out)
	return out[:min(len(out), maxBoots)]
}

func parseBoot(line string) (signaling.JournalBoot, bool) {
	m := bootLine.FindStringSubmatch(line)
	if m == nil {
		return signaling.JournalBoot{}, false
	}
	first, err1 := time.Parse(time.DateTime, m[2])
	last, err2 := time.Parse(time.DateTime, m[3])
	return signaling.JournalBoot{ID: m[1], FirstMS: first.UnixMilli(), LastMS: last.UnixMilli()}, err1 == nil && err2 == nil
}

const maxUnits = 800

// units lists the services that have lines.
func (s *systemd) units(ctx context.Context) []string {
	out := []string{}
	_ = stream(s.program(ctx, append(slices.Clone(s.args), "--no-pager", "--quiet", "--field=_SYSTEMD_UNIT")...), func(b []byte) bool {
		name := mdm.Clean(strings.TrimSpace(string(b)), 128)
		if strings.HasSuffix(name, ".service") {
			out = append(out, name)
		}
		return len(out) < maxUnits
	})
	slices.Sort(out)
	return out
}

// answer is a source, with what is said of it.
type answer struct {
	src  source
	said signaling.JournalSource
}

// about finds the source that a question is for.
func (t *Tool) about(q signaling.JournalOpen) answer {
	files := t.files()
	a := answer{said: signaling.JournalSource{Kind: "none", Files: files, Boots: []signaling.JournalBoot{}, Units: []string{}}}
	if j := t.systemd(); j != nil && q.File == "" {
		a.src, a.said.Kind = j, "journal"
		return a
	}
	name := q.File
	if name == "" && q.Kernel && slices.Contains(files, kernelFile) {
		name = kernelFile
	}
	if name == "" && len(files) > 0 {
		name = files[0]
	}
	switch {
	case name == kernelFile && slices.Contains(files, kernelFile):
		a.src, a.said.Kind = kernel{}, "files"
	case slices.Contains(files, name):
		a.src, a.said.Kind = &textFile{dir: t.cfg.Dir, name: name}, "files"
	case name != "":
		a.said.Message = "This device has no such log."
	default:
		a.said.Message = "This device keeps no logs: it has neither a journal nor files in " + t.cfg.Dir + "."
	}
	return a
}

// systemd is the journal; nil where there is none.
func (t *Tool) systemd() *systemd {
	path, err := exec.LookPath("journalctl")
	if err != nil || len(t.cfg.Args) == 0 && !hasJournal("/run/log/journal") && !hasJournal("/var/log/journal") {
		return nil
	}
	return &systemd{path: path, args: t.cfg.Args}
}

// hasJournal reports whether a directory holds a machine's journal.
func hasJournal(dir string) bool {
	found, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(found, func(e os.DirEntry) bool {
		return e.IsDir() && len(e.Name()) == 32 && exists(dir+"/"+e.Name()+"/system.journal")
	})
}

// slow looks for what takes long and is not needed to show lines.
func (t *Tool) slow(ctx context.Context, a answer) (signaling.JournalSource, bool) {
	j, ok := a.src.(*systemd)
	if !ok {
		return a.said, false
	}
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { a.said.Boots = j.boots(ctx) })
	both.Go(func() { a.said.Units = j.units(ctx) })
	both.Wait()
	return a.said, true
}
