package desktop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"handrail/agent/internal/x11"
	"handrail/signaling"
)

func supported(cfg Config) error {
	if cfg.Display == "" && os.Getenv("DISPLAY") == "" {
		return fmt.Errorf("%w: DISPLAY is not set and no display was named", x11.ErrNoDisplay)
	}
	return nil
}

// watcher is what Run keeps. Only its goroutine touches it.
type watcher struct {
	*Desktop

	watched bool
	ids     map[string]uint8    // monitor ids by output name, for good
	last    []signaling.Monitor // as told
	shown   cursorCache
	text    *string // what SetClipboard gave and no program has replaced
	known   string  // the text last told or set, so that it is not told twice

	// The rest lives as long as a connection.
	c         *x11.Conn
	randr     x11.Extension
	xfixes    x11.Extension
	xinput    x11.Extension // Major 0 when the server has no XInput 2.1
	window    uint32        // ours, for selections
	atoms     atoms
	injected  map[uint16]bool // devices whose events are not the person's: XTEST
	reading   *reading        // a selection on its way to us
	inbox     int             // of atoms.inboxes, used last
	writing   []*writing      // selections on their way to others
	ownedAt   uint32          // server time since which the clipboard is ours, 0 when it is not
	wantTime  bool            // a PropertyNotify will tell the server's time, to own the clipboard
	due       deadlines
	lastLocal time.Time
	lastQuery time.Time
}

// deadlines are the moments at which something is to be done; zero is never.
type deadlines struct{ monitors, pointer, reading, writing time.Time }

// next returns the earliest.
func (d *deadlines) next() (t time.Time) {
	for _, c := range [...]time.Time{d.monitors, d.pointer, d.reading, d.writing} {
		if !c.IsZero() && (t.IsZero() || c.Before(t)) {
			t = c
		}
	}
	return t
}

// Run watches until ctx ends, then returns nil. It connects again when the display went
// away.
func (d *Desktop) Run(ctx context.Context) error {
	w := &watcher{Desktop: d, ids: map[string]uint8{}}
	retry, last := firstRetry, ""
	for {
		err := w.connect()
		if err == nil {
			retry, last = firstRetry, ""
			w.tellState(nil)
			err = w.serve(ctx)
			w.c.Close()
			for range w.c.Events() { // until its reader has ended
				continue
			}
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is the way to stop
		}
		if err.Error() != last {
			last = err.Error()
			d.log.WarnContext(ctx, "no desktop to watch", "error", err)
			w.tellState(err)
		}
		if !w.rest(ctx, retry) {
			return nil
		}
		retry = min(2*retry, lastRetry)
	}
}

func (w *watcher) tellState(err error) {
	if w.cfg.State != nil {
		w.cfg.State(err)
	}
}

// rest waits before the next try and keeps wishes in mind. It reports whether ctx goes on.
func (w *watcher) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			return true
		case <-w.wake:
			w.note()
		}
	}
}

// note remembers what is wished for and returns it.
func (w *watcher) note() wish {
	wish := w.takeWish()
	if wish.watch != nil {
		w.watched = *wish.watch
	}
	if wish.text != nil {
		w.text, w.known = wish.text, *wish.text
	}
	return wish
}

// connect makes a connection and asks for events.
func (w *watcher) connect() error {
	c, err := x11.Dial(w.cfg.Display)
	if err != nil {
		return err
	}
	w.c, w.due, w.reading, w.writing, w.ownedAt, w.wantTime = c, deadlines{}, nil, nil, 0, false
	if err := w.prepare(); err != nil {
		c.Close()
		return err
	}
	return nil
}

func (w *watcher) prepare() error {
	var err error
	if w.xfixes, err = w.c.Extension("XFIXES"); err != nil {
		return err
	}
	// XFIXES serves nobody who has not said which version he knows.
	if _, err := w.c.Call(x11.NewRequest(w.xfixes.Major, 0).U32(4, 0).Bytes()); err != nil {
		return fmt.Errorf("speak XFIXES: %w", err)
	}
	if w.window, err = w.c.NewWindow(x11.PropertyChange); err != nil {
		return err
	}
	if err := w.atoms.intern(w.c); err != nil {
		return err
	}
	if err := w.prepareMonitors(); err != nil {
		return err
	}
	if err := w.prepareRaw(); err != nil && !errors.Is(err, x11.ErrMissing) {
		return err
	}
	return w.setWatched(w.watched)
}

// serve handles events until ctx ends or the connection is over.
func (w *watcher) serve(ctx context.Context) error {
	if err := w.tellMonitors(); err != nil {
		return err
	}
	if w.text != nil {
		w.own()
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next := w.due.next(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
			err = w.grant(w.note())
		case <-timer.C:
			err = w.elapsed(time.Now())
		case ev, ok := <-w.c.Events():
			if !ok {
				return w.c.Err()
			}
			err = w.event(ev)
		}
		if err != nil && w.c.Err() != nil {
			return w.c.Err()
		}
		if err != nil {
			w.log.DebugContext(ctx, "X request", "error", err)
		}
	}
}

func (w *watcher) grant(wish wish) error {
	if wish.text != nil {
		w.own()
	}
	if wish.watch != nil {
		return w.setWatched(*wish.watch)
	}
	return nil
}

// setWatched asks for the events that matter only while somebody watches, or no longer.
func (w *watcher) setWatched(on bool) error {
	if err := w.selectCursor(on); err != nil {
		return err
	}
	if err := w.selectClipboard(on); err != nil {
		return err
	}
	if err := w.selectRaw(on); err != nil {
		return err
	}
	w.due.pointer = time.Time{}
	if err := w.keepAwake(on); err != nil || !on {
		return err
	}
	if err := w.tellCursor(0); err != nil {
		return err
	}
	if err := w.tellPointer(); err != nil {
		return err
	}
	return w.readClipboard()
}

// elapsed does what is due.
func (w *watcher) elapsed(now time.Time) error {
	var errs [2]error
	if isDue(&w.due.monitors, now) {
		errs[0] = w.tellMonitors()
	}
	if isDue(&w.due.pointer, now) {
		errs[1] = w.tellPointer()
	}
	if isDue(&w.due.reading, now) {
		w.endReading("the owner of the clipboard does not answer")
	}
	if isDue(&w.due.writing, now) {
		w.endWriting(now)
	}
	return errors.Join(errs[:]...)
}

// isDue reports whether t has come, and clears it.
func isDue(t *time.Time, now time.Time) bool {
	if t.IsZero() || now.Before(*t) {
		return false
	}
	*t = time.Time{}
	return true
}

// Core events.
const (
	evConfigureNotify  = 22
	evDestroyNotify    = 17
	evPropertyNotify   = 28
	evSelectionClear   = 29
	evSelectionRequest = 30
	evSelectionNotify  = 31
	evGeneric          = 35
)

func (w *watcher) event(ev []byte) error {
	typ := ev[0] & 0x7f
	switch typ {
	case evConfigureNotify:
		w.screenChanged()
	case evDestroyNotify:
		w.requestorGone(x11.Get32(ev, 8))
	case evPropertyNotify:
		return w.property(ev)
	case evSelectionClear:
		w.lostClipboard(ev)
	case evSelectionRequest:
		return w.selectionRequest(ev)
	case evSelectionNotify:
		return w.selectionNotify(ev)
	case evGeneric:
		if w.xinput.Major != 0 && ev[1] == w.xinput.Major {
			return w.raw(ev)
		}
	case w.randr.FirstEvent, w.randr.FirstEvent + 1:
		if w.randr.Major != 0 {
			w.screenChanged()
		}
	case w.xfixes.FirstEvent: // SelectionNotify: owner at 8, selection at 12, claimed at 20
		return w.ownerChanged(x11.Get32(ev, 8), x11.Get32(ev, 20))
	case w.xfixes.FirstEvent + 1: // CursorNotify
		return w.tellCursor(x11.Get32(ev, 8))
	}
	return nil
}
