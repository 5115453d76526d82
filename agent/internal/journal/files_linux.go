package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// best are the files that hold the most, where they are.
var best = []string{"syslog", "messages", "system.log"}

const (
	maxFiles = 100
	chunk    = 64 << 10
)

// files lists the log files, best first; the kernel's buffer is one of them.
func (t *Tool) files() []string {
	out := []string{}
	add := func(dir string) {
		found, err := os.ReadDir(t.cfg.Dir + "/" + dir)
		if err != nil {
			return
		}
		for _, e := range found {
			name := dir + e.Name()
			isLog := strings.HasSuffix(name, ".log") || slices.Contains([]string{"syslog", "messages", "secure", "maillog", "cron", "dmesg"}, name)
			if e.Type().IsRegular() && isLog && mdm.Clean(name, 200) == name && len(out) < maxFiles {
				out = append(out, name)
			}
		}
	}
	add("")
	if found, err := os.ReadDir(t.cfg.Dir); err == nil {
		for _, e := range found {
			if e.IsDir() && e.Name() != "journal" && e.Name() != "private" {
				add(e.Name() + "/")
			}
		}
	}
	for i := len(best) - 1; i >= 0; i-- {
		if at := slices.Index(out, best[i]); at > 0 {
			out = slices.Insert(slices.Delete(out, at, at+1), 0, best[i])
		}
	}
	if exists(kernelDevice) {
		at := 0
		if len(out) > 0 && slices.Contains(best, out[0]) {
			at = 1
		}
		out = slices.Insert(out, at, kernelFile)
	}
	return out
}

// textFile is a file of lines. It is found below its directory at each opening, and links out of
// it are not followed: who may write there may not choose what is read.
type textFile struct{ dir, name string }

func (f *textFile) open() (*os.File, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := root.OpenFile(f.name, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, errors.Join(err, errors.New(f.name+" is not a plain file"))
	}
	return file, nil
}

// page implements source: a place is an offset, before which the file is read backwards.
func (f *textFile) page(ctx context.Context, q signaling.JournalOpen, at string, n int) (list []entry, reached string, begin bool, err error) {
	file, err := f.open()
	if err != nil {
		return nil, "", false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, "", false, err
	}
	end := info.Size()
	if before, err := strconv.ParseInt(at, 10, 64); err == nil {
		end = min(end, before)
	}
	year := info.ModTime()
	var rest []byte // the beginning of a line whose end is in the chunk before
	over := int64(0)
	for pos := end; pos > 0 && len(list) < n; {
		if ctx.Err() != nil {
			slices.Reverse(list)
			return list, reached, false, ctx.Err()
		}
		size := min(pos, chunk)
		pos -= size
		b := make([]byte, size, size+int64(len(rest)))
		if _, err := file.ReadAt(b, pos); err != nil && !errors.Is(err, io.EOF) {
			return nil, "", false, err
		}
		b = append(b, rest...)
		for len(list) < n {
			i := bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n')
			if i < 0 && pos > 0 {
				break
			}
			line := b[i+1:]
			begins := pos + int64(i+1)
			if l, ok := parsed(q, line, over, year); ok {
				list = append(list, entry{l, strconv.FormatInt(begins+int64(len(line))+over, 10)})
			}
			b, over = b[:max(i+1, 0)], 0
			reached = strconv.FormatInt(begins, 10)
			if i < 0 {
				b = nil
				break
			}
		}
		if len(b) > maxEntry { // of an endless line the beginning is kept, whose end comes first here
			over += int64(len(b) - chunk)
			b = b[:chunk]
		}
		rest = b
	}
	if reached == "" {
		reached = strconv.FormatInt(end, 10)
	}
	slices.Reverse(list)
	return list, reached, reached == "0", nil
}

// parsed reads a line if it is what the viewer asked for; over is what it lacks of it.
func parsed(q signaling.JournalOpen, b []byte, over int64, year time.Time) (signaling.JournalLine, bool) {
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 {
		return signaling.JournalLine{}, false
	}
	l := parseLine(b, year)
	l.Cut += over
	unit := strings.TrimSuffix(q.Unit, ".service")
	return l, fits(q, l, string(b)) && (unit == "" || strings.EqualFold(l.Unit, unit)) && (!q.Kernel || l.Unit == "kernel")
}

// The forms in which programs write when it was, and who.
var (
	syslogLine = regexp.MustCompile(`^(?:<\d+>)?(\w{3} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)) \S+ ([^\s:\[]{1,64})(?:\[(\d{1,9})\])?: ?`)
	datedLine  = regexp.MustCompile(`^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)`)
	grave      = regexp.MustCompile(`(?i)\b(?:emerg|alert|crit(?:ical)?|panic|fatal)\b`)
	wrong      = regexp.MustCompile(`(?i)\b(?:err(?:or)?s?|fail(?:ed|ure|s)?|denied|segfault|oom)\b`)
	odd        = regexp.MustCompile(`(?i)\b(?:warn(?:ing)?s?|timed out|timeout|refused|unable|cannot)\b`)
)

// parseLine reads a line of a log file. Most do not say how grave they are: their words have to.
// Year is when the file was written last, as most do not say that either.
func parseLine(b []byte, year time.Time) signaling.JournalLine {
	text := b[:min(len(b), maxText)]
	l := signaling.JournalLine{Priority: 6}
	if m := syslogLine.FindSubmatch(text); m != nil {
		l.TimeMS = when(string(m[1]), year)
		l.Unit = mdm.Clean(string(m[2]), 64)
		l.PID, _ = strconv.ParseInt(string(m[3]), 10, 31)
		b = b[len(m[0]):]
	} else if m := datedLine.FindSubmatch(text); m != nil {
		if at, err := time.ParseInLocation(time.DateTime, strings.Replace(string(m[1]), "T", " ", 1), time.Local); err == nil {
			l.TimeMS = at.UnixMilli()
		}
	}
	text = text[:min(len(text), 512)]
	switch {
	case grave.Match(text):
		l.Priority = 2
	case wrong.Match(text):
		l.Priority = 3
	case odd.Match(text):
		l.Priority = 4
	}
	l.Text, l.Cut = clean(b)
	return l
}

func when(s string, year time.Time) int64 {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700"} {
		if at, err := time.Parse(form, s); err == nil {
			return at.UnixMilli()
		}
	}
	at, err := time.ParseInLocation("Jan _2 15:04:05", s, time.Local)
	if err != nil {
		return 0
	}
	at = at.AddDate(year.Year(), 0, 0)
	if at.After(year.Add(48 * time.Hour)) { // of last year, in a file of this January
		at = at.AddDate(-1, 0, 0)
	}
	return at.UnixMilli()
}

// from reads what was added to a file since the offset, in lines; it returns where it got to. An
// unfinished line waits for its end.
func from(file *os.File, offset int64, tell func([]byte, int64)) (int64, error) {
	buf := make([]byte, chunk)
	var line []byte
	over, at := int64(0), offset
	for {
		n, err := file.ReadAt(buf, at)
		b := buf[:n]
		at += int64(n)
		for len(b) > 0 {
			i := bytes.IndexByte(b, '\n')
			part := b[:i+1]
			if i < 0 {
				part = b
			}
			keep := min(len(part), maxEntry-len(line))
			line = append(line, part[:keep]...)
			over += int64(len(part) - keep)
			b = b[len(part):]
			if i >= 0 {
				tell(line, over)
				offset = at - int64(len(b))
				line, over = line[:0], 0
			}
		}
		if err != nil || n == 0 {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return offset, err
		}
	}
}
