package files

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

const (
	// mostSorted is how many names are held to be put in order; what a larger folder has beyond
	// them follows as it comes.
	mostSorted = 50_000
	// pageBytes is how large the entries of a page get before it goes; one more may follow, of 27 kB at worst.
	pageBytes = 24 << 10
	// aheadPages is how many pages go out without being asked for.
	aheadPages = 2
	// pageWithin is how long a page waits for more entries: some file systems are slow.
	pageWithin = 300 * time.Millisecond
)

// pages sends what a folder holds, a page at a time.
type pages struct {
	*job
	page  signaling.FilesPage
	size  int
	ahead int
	since time.Time
}

func (j *job) list(l signaling.FilesList) error {
	at, err := j.tree.follow(l.Path.Bytes())
	if err != nil {
		return err
	}
	d, err := j.tree.open(at)
	if err != nil {
		return err
	}
	defer d.close()
	r, err := d.list()
	if err != nil {
		return err
	}
	defer r.close()
	match := strings.ToLower(l.Match)
	held, more, err := j.hold(r, match)
	if err != nil {
		return err
	}
	p := &pages{job: j, ahead: aheadPages, since: time.Now()}
	p.page = signaling.FilesPage{
		Job: j.id, Path: signaling.NameFile(at), Sorted: !more, Writable: unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil,
	}
	p.page.Bytes, p.page.Free = d.space()
	for _, n := range held {
		if err := p.add(d, n.name); err != nil {
			return err
		}
	}
	held = nil //nolint:ineffassign,wastedassign // let go of before what may be a million more
	for more {
		n, ok, err := r.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if !matches(n.name, match) {
			continue
		}
		if err := p.add(d, n.name); err != nil {
			return err
		}
	}
	p.page.Last = true
	return p.send()
}

// hold reads the names of a folder and puts them in order; more says that it holds others.
func (j *job) hold(r *reading, match string) (held []named, more bool, err error) {
	for len(held) < mostSorted {
		n, ok, err := r.next()
		if err != nil {
			return nil, false, err
		}
		if !ok {
			break
		}
		if err := j.ctx.Err(); err != nil {
			return nil, false, err
		}
		if matches(n.name, match) {
			held = append(held, n)
		}
	}
	slices.SortFunc(held, func(a, b named) int {
		if af, bf := a.kind == unix.DT_DIR, b.kind == unix.DT_DIR; af != bf {
			if af {
				return -1
			}
			return 1
		}
		if c := strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	return held, len(held) == mostSorted, nil
}

func matches(name, match string) bool {
	return match == "" || strings.Contains(strings.ToLower(name), match)
}

// add puts an entry on the page; one that has vanished meanwhile is left out.
func (p *pages) add(d dir, name string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	e, err := p.entry(d, name)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESTALE):
		return nil
	case err != nil: // it is there, and that is all this user may know
		e = signaling.FileEntry{Name: signaling.NameFile(name), Kind: signaling.FileOther}
	}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	p.page.Entries = append(p.page.Entries, e)
	p.size += len(b) + 1
	if p.size < pageBytes && len(p.page.Entries) < signaling.MaxFilePage && time.Since(p.since) < pageWithin {
		return nil
	}
	return p.send()
}

// send sends the page, once the viewer has taken those before.
func (p *pages) send() error {
	for p.ahead == 0 {
		select {
		case m := <-p.in:
			if _, ok := m.(signaling.FilesMore); ok {
				p.ahead++
			}
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	p.ahead--
	if err := p.tell(signaling.TypeFilesPage, p.page); err != nil {
		return err
	}
	p.page.Entries, p.size, p.since = p.page.Entries[:0], 0, time.Now()
	return nil
}
