package shell

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of recordings: of one, and how many are kept; the oldest go first.
const (
	mostRecorded   = 16 << 20 // bytes
	mostRecordings = 64
)

const recordingSuffix = ".cast"

// RecordIn returns a Config.Record that writes what terminals show as asciicast v2 (text with its
// timing: what asciinema plays) into files of a directory that only the agent's account can read. What
// is typed is recorded only as far as the terminal shows it, so no password is.
func RecordIn(dir string) func(Recorded) (Recorder, error) {
	return func(r Recorded) (Recorder, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := prune(dir, mostRecordings-1); err != nil {
			return nil, err
		}
		// The time first: that is their order.
		name := fmt.Sprintf("%s-%s-%s%s", r.Started.UTC().Format("20060102T150405"), r.Session, r.Terminal, recordingSuffix)
		f, err := os.OpenFile(filepath.Join(dir, filepath.Base(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		c := &cast{file: f, began: r.Started}
		header := map[string]any{
			"version": 2, "width": r.Cols, "height": r.Rows, "timestamp": r.Started.Unix(),
			"title": fmt.Sprintf("%s as %s", r.Opener, r.User), "env": map[string]string{"TERM": termName},
		}
		if err := c.line(header); err != nil {
			_ = f.Close()
			return nil, err
		}
		return c, nil
	}
}

// prune deletes the oldest recordings until so many are left.
func prune(dir string, keep int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), recordingSuffix) })
	for _, e := range entries[:max(0, len(entries)-keep)] {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// cast writes one recording.
type cast struct {
	mu    sync.Mutex
	file  *os.File
	began time.Time
	rest  []byte // the beginning of a character whose end has not come
	size  int
	full  bool // nothing more is written: it is as large as it may be, or the disk is full
}

func (c *cast) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	n, err := c.file.Write(append(b, '\n'))
	c.size += n
	return err
}

func (c *cast) event(kind, data string) {
	if c.full {
		return
	}
	at := float64(time.Since(c.began).Microseconds()) / 1e6
	if c.size+len(data) > mostRecorded {
		c.full, kind, data = true, "m", "The recording ends here: it is as large as it may be."
	}
	if c.line([]any{at, kind, data}) != nil {
		c.full = true
	}
}

func (c *cast) Output(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b = append(c.rest, b...)
	whole := len(b)
	for i := range min(len(b), utf8.UTFMax-1) {
		if at := len(b) - 1 - i; utf8.RuneStart(b[at]) {
			if !utf8.FullRune(b[at:]) {
				whole = at
			}
			break
		}
	}
	c.rest = slices.Clone(b[whole:])
	if whole > 0 {
		c.event("o", string(b[:whole]))
	}
}

func (c *cast) Resize(cols, rows int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.event("r", fmt.Sprintf("%dx%d", cols, rows))
}

func (c *cast) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rest) > 0 {
		c.event("o", string(c.rest))
	}
	_ = c.file.Close()
}
