package desktop

import (
	"fmt"
	"slices"
	"time"

	"handrail/agent/internal/x11"
)

// pieceSize is what a text goes in pieces of when it is longer; well below the server's
// limit for one request.
const pieceSize = 64 << 10

// writeTimeout is how long a program may take over one piece.
const writeTimeout = 10 * time.Second

// writing is a text on its way to a program, in pieces.
type writing struct {
	requestor, property, typ uint32
	rest                     []byte
	done                     bool // the empty piece has been sent
	due                      time.Time
}

// own asks for the server's time, with which claim takes the clipboard. An empty text
// gives it up.
func (w *watcher) own() {
	if *w.text == "" {
		if w.ownedAt != 0 {
			w.send(x11.NewRequest(22, 0).U32(0, w.atoms.clipboard, w.ownedAt))
		}
		w.text, w.ownedAt = nil, 0
		return
	}
	w.endReading("")
	w.wantTime = true
	// ChangeProperty, append nothing: its PropertyNotify carries the time.
	w.send(x11.NewRequest(18, 2).U32(w.window, w.atoms.clock, atomInteger).U8(32, 0, 0, 0).U32(0))
}

func (w *watcher) send(r *x11.Request) {
	if err := w.c.Send(r.Bytes(), 1); err != nil {
		w.log.Debug("send to X", "error", err)
	}
}

// claim takes the clipboard for our text.
func (w *watcher) claim(now uint32) error {
	w.wantTime = false
	if w.text == nil {
		return nil
	}
	w.send(x11.NewRequest(22, 0).U32(w.window, w.atoms.clipboard, now)) // SetSelectionOwner
	b, err := w.c.Call(x11.NewRequest(23, 0).U32(w.atoms.clipboard).Bytes())
	if err != nil {
		return fmt.Errorf("own the clipboard: %w", err)
	}
	if x11.Get32(b, 8) == w.window {
		w.ownedAt = now
	}
	return nil
}

// lostClipboard handles SelectionClear: another program has put something there. One from
// before our newest claim says nothing new.
func (w *watcher) lostClipboard(ev []byte) {
	if x11.Get32(ev, 12) != w.atoms.clipboard || w.wantTime || w.ownedAt == 0 {
		return
	}
	w.text, w.ownedAt = nil, 0
}

// selectionRequest answers a program that wants our text.
func (w *watcher) selectionRequest(ev []byte) error {
	at, requestor, selection := x11.Get32(ev, 4), x11.Get32(ev, 12), x11.Get32(ev, 16)
	target, property := x11.Get32(ev, 20), x11.Get32(ev, 24)
	if property == 0 { // clients from before ICCCM 2
		property = target
	}
	ok := selection == w.atoms.clipboard && w.text != nil
	if ok && target == w.atoms.multiple {
		var err error
		if ok, err = w.answerMultiple(requestor, property); err != nil {
			return err
		}
	} else if ok {
		ok = w.answerTarget(requestor, property, target)
	}
	if !ok {
		property = 0
	}
	// SendEvent of a SelectionNotify; its sequence number is for the server to fill in.
	w.send(x11.NewRequest(25, 0).U32(requestor, 0).U8(evSelectionNotify, 0, 0, 0).U32(at, requestor, selection, target, property, 0, 0))
	return nil
}

// answerTarget puts the text, or what a target asks about it, on a requestor's property
// and reports whether it could.
func (w *watcher) answerTarget(requestor, property, target uint32) bool {
	a := &w.atoms
	switch target {
	case a.targets:
		list := []uint32{a.targets, a.timestamp, a.multiple, a.utf8, a.plainUTF8, a.plain, a.text}
		if _, ok := latin1(*w.text); ok {
			list = append(list, atomString)
		}
		w.put(requestor, property, atomAtom, list)
	case a.timestamp:
		w.put(requestor, property, atomInteger, []uint32{w.ownedAt})
	case a.utf8, a.plainUTF8, a.plain:
		w.putText(requestor, property, target, []byte(*w.text))
	case a.text:
		w.putText(requestor, property, a.utf8, []byte(*w.text))
	case atomString:
		b, ok := latin1(*w.text)
		if !ok {
			return false
		}
		w.putText(requestor, property, atomString, b)
	default:
		return false
	}
	return true
}

// latin1 returns text as ISO 8859-1, which target STRING means.
func latin1(text string) ([]byte, bool) {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return nil, false
		}
		b = append(b, byte(r))
	}
	return b, true
}

// answerMultiple answers several targets at once: the property lists pairs of target and
// property, and those we refuse become 0.
func (w *watcher) answerMultiple(requestor, property uint32) (bool, error) {
	const most = 64 // numbers
	b, err := w.c.Call(x11.NewRequest(20, 0).U32(requestor, property, w.atoms.atomPair, 0, most).Bytes())
	if err != nil {
		return false, fmt.Errorf("read a request for the clipboard: %w", err)
	}
	n := int(x11.Get32(b, 16)) * int(b[1]) / 32
	if len(b) < 32+4*n || n == 0 {
		return false, nil
	}
	var pairs []uint32
	for i := range n / 2 {
		target, to := x11.Get32(b, 32+8*i), x11.Get32(b, 36+8*i)
		if target == w.atoms.multiple || !w.answerTarget(requestor, to, target) {
			to = 0
		}
		pairs = append(pairs, target, to)
	}
	w.put(requestor, property, w.atoms.atomPair, pairs)
	return true, nil
}

// put replaces a property by 4-byte numbers.
func (w *watcher) put(window, property, typ uint32, vs []uint32) {
	w.send(x11.NewRequest(18, 0).U32(window, property, typ).U8(32, 0, 0, 0).U32(uint32(len(vs))).U32(vs...)) //nolint:gosec // a few
}

func (w *watcher) putBytes(window, property, typ uint32, b []byte) {
	w.send(x11.NewRequest(18, 0).U32(window, property, typ).U8(8, 0, 0, 0).U32(uint32(len(b))).U8(b...)) //nolint:gosec // at most pieceSize
}

// putText puts a text on a property, or begins to send it in pieces (INCR, ICCCM 2.7.2).
func (w *watcher) putText(requestor, property, typ uint32, b []byte) {
	if len(b) <= pieceSize {
		w.putBytes(requestor, property, typ, b)
		return
	}
	w.writing = slices.DeleteFunc(w.writing, func(o *writing) bool { return o.requestor == requestor && o.property == property })
	w.writing = append(w.writing, &writing{requestor: requestor, property: property, typ: typ, rest: b, due: time.Now().Add(writeTimeout)})
	w.due.writing = w.writing[0].due
	// Hear when the requestor takes a piece, or goes away.
	w.send(x11.NewRequest(2, 0).U32(requestor, 1<<11, x11.PropertyChange|x11.StructureNotify))
	w.put(requestor, property, w.atoms.incr, []uint32{uint32(len(b))}) //nolint:gosec // at most MaxClipboard
}

// nextPiece sends the next piece to a requestor that has deleted the one before.
func (w *watcher) nextPiece(requestor, property uint32) {
	i := slices.IndexFunc(w.writing, func(o *writing) bool { return o.requestor == requestor && o.property == property })
	if i < 0 {
		return
	}
	o := w.writing[i]
	if o.done {
		w.writing = slices.Delete(w.writing, i, i+1)
		w.forget(requestor)
		return
	}
	n := min(len(o.rest), pieceSize)
	w.putBytes(requestor, property, o.typ, o.rest[:n])
	o.rest, o.done, o.due = o.rest[n:], n == 0, time.Now().Add(writeTimeout)
}

// forget stops hearing of a requestor that has nothing more to come.
func (w *watcher) forget(requestor uint32) {
	if !slices.ContainsFunc(w.writing, func(o *writing) bool { return o.requestor == requestor }) {
		w.send(x11.NewRequest(2, 0).U32(requestor, 1<<11, 0))
	}
}

// requestorGone drops what was on its way to a window that was destroyed.
func (w *watcher) requestorGone(window uint32) {
	w.writing = slices.DeleteFunc(w.writing, func(o *writing) bool { return o.requestor == window })
}

// endWriting drops transfers that nobody takes.
func (w *watcher) endWriting(now time.Time) {
	w.writing = slices.DeleteFunc(w.writing, func(o *writing) bool { return !now.Before(o.due) })
	for _, o := range w.writing {
		if w.due.writing.IsZero() || o.due.Before(w.due.writing) {
			w.due.writing = o.due
		}
	}
}
