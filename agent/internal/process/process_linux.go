package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// Paces and sizes.
const (
	rowBytes  = 260                    // that a row takes besides its texts, at most
	moveBytes = 130                    // that figures take, at most
	firstLook = 500 * time.Millisecond // after the list: processor time is only known between two looks
	maxActs   = 8                      // under way at a time
)

// Tool is the tool. It is safe for concurrent use.
type Tool struct{ who *owner }

// New returns the tool. Desktop says which user sits at the device, whose processes may be acted on
// without the right to be administrator; it is asked often, and by several goroutines.
func New(desktop func() (uid int, ok bool)) *Tool {
	exe, _ := os.Executable() // without, only the agent itself is known as Handrail's own
	return &Tool{who: &owner{desktop: desktop, self: int64(os.Getpid()), exe: exe}}
}

// owner knows whose a process is.
type owner struct {
	desktop func() (uid int, ok bool)
	self    int64
	exe     string
}

// uid is the user's who sits at the device; -1 is nobody's.
func (o *owner) uid() int64 {
	if uid, ok := o.desktop(); ok && uid >= 0 {
		return int64(uid)
	}
	return -1
}

// kind says what it takes to act on a process.
func (o *owner) kind(pid int64, name string, u ids, uid int64) signaling.ProcessKind {
	switch {
	case pid == o.self || o.isHandrail(pid, name):
		return signaling.ProcessAgent
	case uid == int64(u.real) && u.effective == u.real && u.saved == u.real:
		return signaling.ProcessOwn
	}
	return signaling.ProcessSystem
}

// isHandrail reports whether a program is one of those installed beside the agent. A name alone
// makes nothing Handrail's: anybody may choose it.
func (o *owner) isHandrail(pid int64, name string) bool {
	if o.exe == "" || !strings.HasPrefix(name, "handrail-") {
		return false
	}
	exe, err := os.Readlink("/proc/" + strconv.FormatInt(pid, 10) + "/exe")
	exe = strings.TrimSuffix(exe, " (deleted)") // of an older version that still runs
	return err == nil && filepath.Dir(exe) == filepath.Dir(o.exe) && strings.HasPrefix(filepath.Base(exe), "handrail-")
}

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	list, err := newTable(t.who)
	if err != nil {
		return fmt.Errorf("this device's processes cannot be read: %w", err)
	}
	defer list.close()
	ctx, asked, stop := tool.Asked(ctx, c)
	var acts sync.WaitGroup
	defer acts.Wait()
	defer stop()
	s := &serving{Tool: t, c: c, list: list, slots: make(chan struct{}, maxActs)}
	due := time.NewTimer(time.Hour)
	due.Stop()
	defer due.Stop()
	var every time.Duration
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-asked:
			switch b := e.Body.(type) {
			case signaling.ProcessWatch:
				every = time.Duration(b.EveryMS) * time.Millisecond
				err = s.whole(ctx)
				due.Reset(min(every, firstLook))
			case signaling.ProcessLook:
				err = tool.Tell(ctx, c, signaling.TypeProcessDetails, e.ID, t.details(b))
			case signaling.ProcessAct:
				err = s.start(ctx, &acts, e.ID, b)
			default:
				err = tool.NotFor(e)
			}
		case <-due.C:
			began := time.Now()
			err = s.changes(ctx)
			due.Reset(max(every, 10*time.Since(began))) // never more than a tenth of a core
		}
		if err != nil {
			return err
		}
	}
}

// serving is one viewer's view.
type serving struct {
	*Tool
	c     tool.Conn
	list  *table
	slots chan struct{}
}

// whole tells the list from its beginning.
func (s *serving) whole(ctx context.Context) error {
	clear(s.list.entries)
	s.list.at = time.Time{}
	m := signaling.ProcessRows{First: true, Cores: int64(runtime.NumCPU()), Rows: []signaling.ProcessRow{}}
	room := tool.Room / 4 // the first rows are to be seen soon
	if _, err := s.list.read(func(_ change, e *entry) error {
		var err error
		if w := weight(e.row); w > room {
			m.Total = int64(len(s.list.entries))
			err = tool.Tell(ctx, s.c, signaling.TypeProcessRows, "", m)
			m.First, m.Rows, room = false, m.Rows[:0], tool.Room
		}
		room -= weight(e.row)
		m.Rows = append(m.Rows, e.row)
		return err
	}); err != nil {
		return unreadable(err)
	}
	m.Last, m.Total = true, int64(len(s.list.entries))
	return tool.Tell(ctx, s.c, signaling.TypeProcessRows, "", m)
}

func weight(r signaling.ProcessRow) int { return rowBytes + tool.Weight(r.Name, r.Command, r.User) }

// changes tells what changed since the last time; nothing where nothing did.
func (s *serving) changes(ctx context.Context) error {
	var news []signaling.ProcessRow
	var moves []signaling.ProcessMove
	gone, err := s.list.read(func(kind change, e *entry) error {
		switch kind {
		case same:
		case moved:
			moves = append(moves, signaling.ProcessMove{PID: e.row.PID, Birth: e.row.Birth, Now: e.row.Now})
		case fresh:
			news = append(news, e.row)
		}
		return nil
	})
	if err != nil {
		return unreadable(err)
	}
	total := int64(len(s.list.entries))
	for len(gone)+len(news)+len(moves) > 0 {
		m, room := signaling.ProcessChange{Total: total}, tool.Room
		m.Gone, gone = take(gone, &room, func(int64) int { return 12 })
		m.New, news = take(news, &room, weight)
		m.Moved, moves = take(moves, &room, func(signaling.ProcessMove) int { return moveBytes })
		m.Last = len(gone)+len(news)+len(moves) == 0
		if err := tool.Tell(ctx, s.c, signaling.TypeProcessChange, "", m); err != nil {
			return err
		}
	}
	return nil
}

// take takes from the beginning what there is room for; what it takes is never nil.
func take[T any](list []T, room *int, weight func(T) int) (taken, rest []T) {
	n := 0
	for ; n < len(list); n++ {
		w := weight(list[n])
		if w > *room {
			*room = 0 // what comes after waits too: the order counts
			break
		}
		*room -= w
	}
	if n == 0 {
		return []T{}, list
	}
	return list[:n:n], list[n:]
}

func unreadable(err error) error {
	if errors.Is(err, tool.ErrClosed) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("this device's processes cannot be read: %w", err)
}
