package desktop

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"handrail/agent/internal/x11"
)

// atoms are the names selections speak in (ICCCM 2).
type atoms struct {
	clipboard, targets, multiple, timestamp, incr, atomPair uint32
	utf8, plainUTF8, plain, text, secret, clock             uint32
	inboxes                                                 [inboxCount]uint32
}

// inboxCount is how many properties of our window take texts in turn. An owner that is
// replaced while it answers may still write its answer, so the next reading uses another
// property.
const inboxCount = 4

const (
	atomAtom    = 4 // predefined
	atomInteger = 19
	atomString  = 31
)

func (a *atoms) intern(c *x11.Conn) error {
	for _, n := range []struct {
		to   *uint32
		name string
	}{
		{&a.clipboard, "CLIPBOARD"},
		{&a.targets, "TARGETS"},
		{&a.multiple, "MULTIPLE"},
		{&a.timestamp, "TIMESTAMP"},
		{&a.incr, "INCR"},
		{&a.atomPair, "ATOM_PAIR"},
		{&a.utf8, "UTF8_STRING"},
		{&a.plainUTF8, "text/plain;charset=utf-8"},
		{&a.plain, "text/plain"},
		{&a.text, "TEXT"},
		{&a.secret, "x-kde-passwordManagerHint"},
		{&a.inboxes[0], "HANDRAIL_CLIPBOARD_0"},
		{&a.inboxes[1], "HANDRAIL_CLIPBOARD_1"},
		{&a.inboxes[2], "HANDRAIL_CLIPBOARD_2"},
		{&a.inboxes[3], "HANDRAIL_CLIPBOARD_3"},
		{&a.clock, "HANDRAIL_CLOCK"},
	} {
		atom, err := c.Atom(n.name)
		if err != nil {
			return err
		}
		*n.to = atom
	}
	return nil
}

// readTimeout is how long an owner may take for its next answer.
const readTimeout = 5 * time.Second

// reading is a clipboard text on its way to us.
type reading struct {
	inbox  uint32 // the property its owner fills
	at     uint32 // server time of the owner's claim; 0 where it was not told
	target uint32 // what we asked for last
	incr   bool   // it comes in pieces
	got    []byte
}

func (w *watcher) selectClipboard(on bool) error {
	mask := uint32(0)
	w.endReading("")
	if on && w.cfg.Clipboard != nil {
		mask = 1 | 2 | 4 // new owner, owner's window gone, owner's connection gone
		if w.text == nil {
			w.known = ""
		}
	}
	return w.c.Send(x11.NewRequest(w.xfixes.Major, xfixesSelectSelection).U32(w.window, w.atoms.clipboard, mask).Bytes(), 1)
}

// readClipboard asks for what is on the clipboard now.
func (w *watcher) readClipboard() error {
	if w.cfg.Clipboard == nil || !w.watched {
		return nil
	}
	b, err := w.c.Call(x11.NewRequest(23, 0).U32(w.atoms.clipboard).Bytes()) // GetSelectionOwner
	if err != nil {
		return fmt.Errorf("owner of the clipboard: %w", err)
	}
	return w.ownerChanged(x11.Get32(b, 8), 0)
}

// ownerChanged begins to read what a program has put on the clipboard. The first
// question is in which forms it is there, and whether it is a secret.
// since is the server's time of the owner's claim, 0 where it is not known.
func (w *watcher) ownerChanged(owner, since uint32) error {
	w.endReading("")
	if owner == 0 || owner == w.window || w.cfg.Clipboard == nil || !w.watched {
		return nil
	}
	w.inbox = (w.inbox + 1) % inboxCount
	w.reading = &reading{inbox: w.atoms.inboxes[w.inbox], at: since}
	return w.convert(w.atoms.targets)
}

// convert asks the owner for the clipboard as target.
func (w *watcher) convert(target uint32) error {
	w.reading.target = target
	w.due.reading = time.Now().Add(readTimeout)
	return w.c.Send(x11.NewRequest(24, 0).U32(w.window, w.atoms.clipboard, target, w.reading.inbox, w.reading.at).Bytes(), 1)
}

// endReading gives up what is being read.
func (w *watcher) endReading(why string) {
	if w.reading != nil && why != "" {
		w.log.Debug("clipboard not read", "reason", why)
	}
	w.reading, w.due.reading = nil, time.Time{}
}

// selectionNotify is the owner's answer to convert. Answers of an owner that was replaced
// meanwhile name another property, or, where it refused, another time.
func (w *watcher) selectionNotify(ev []byte) error {
	if w.reading == nil || x11.Get32(ev, 8) != w.window || x11.Get32(ev, 16) != w.reading.target {
		return nil
	}
	at, property := x11.Get32(ev, 4), x11.Get32(ev, 20)
	refused := property == 0
	if refused && at != w.reading.at || !refused && property != w.reading.inbox {
		return nil
	}
	if w.reading.target == w.atoms.targets {
		return w.chooseTarget(refused)
	}
	if refused {
		w.endReading("its owner refused")
		return nil
	}
	typ, b, err := w.takeInbox()
	if err != nil || w.reading == nil {
		return err
	}
	if typ == w.atoms.incr {
		w.reading.incr = true
		w.due.reading = time.Now().Add(readTimeout)
		return nil
	}
	w.reading.got = b
	w.finishReading()
	return nil
}

// chooseTarget reads the owner's list of forms and asks for the best text.
func (w *watcher) chooseTarget(refused bool) error {
	if refused { // an old program; UTF8_STRING is what all of them know
		return w.convert(w.atoms.utf8)
	}
	_, b, err := w.takeInbox()
	if err != nil || w.reading == nil {
		return err
	}
	var offered []uint32
	for i := 0; i+4 <= len(b); i += 4 {
		offered = append(offered, x11.Get32(b, i))
	}
	if slices.Contains(offered, w.atoms.secret) {
		w.endReading("a password manager put it there")
		return nil
	}
	for _, t := range [...]uint32{w.atoms.utf8, w.atoms.plainUTF8, atomString} {
		if slices.Contains(offered, t) {
			return w.convert(t)
		}
	}
	w.endReading("it is not text")
	return nil
}

// takeInbox reads and deletes the property an owner has filled. A longer one than we take
// ends the reading.
func (w *watcher) takeInbox() (typ uint32, b []byte, err error) {
	const atMost = MaxClipboard/4 + 1
	r, err := w.c.Call(x11.NewRequest(20, 1).U32(w.window, w.reading.inbox, 0, 0, atMost).Bytes()) // GetProperty, delete
	if err != nil {
		return 0, nil, fmt.Errorf("read the clipboard: %w", err)
	}
	if x11.Get32(r, 12) != 0 { // bytes left
		inbox := w.reading.inbox
		w.endReading("it is over 1 MiB")
		return 0, nil, w.clear(inbox)
	}
	n := int(x11.Get32(r, 16)) * int(r[1]) / 8
	if len(r) < 32+n {
		return 0, nil, fmt.Errorf("read the clipboard: short reply")
	}
	return x11.Get32(r, 8), r[32 : 32+n], nil
}

// property handles PropertyNotify: a piece for us, a requestor that has taken one of ours,
// or the server's time.
func (w *watcher) property(ev []byte) error {
	window, atom, gone := x11.Get32(ev, 4), x11.Get32(ev, 8), ev[16] == 1
	switch {
	case window != w.window:
		if gone {
			w.nextPiece(window, atom)
		}
	case atom == w.atoms.clock && !gone && w.wantTime:
		return w.claim(x11.Get32(ev, 12))
	case !gone && w.reading != nil && atom == w.reading.inbox:
		if w.reading.incr {
			return w.piece()
		}
	case !gone && slices.Contains(w.atoms.inboxes[:], atom):
		return w.clear(atom)
	}
	return nil
}

// clear deletes what was written to inbox for a reading that has ended. An owner that sends
// in pieces goes on to its last one then, instead of waiting for us for ever.
func (w *watcher) clear(inbox uint32) error {
	return w.c.Send(x11.NewRequest(19, 0).U32(w.window, inbox).Bytes(), 1) // DeleteProperty
}

// piece takes one piece of an incremental transfer; an empty one is the end.
func (w *watcher) piece() error {
	_, b, err := w.takeInbox()
	if err != nil || w.reading == nil {
		return err
	}
	if len(b) == 0 {
		w.finishReading()
		return nil
	}
	if len(w.reading.got)+len(b) > MaxClipboard {
		w.endReading("it is over 1 MiB")
		return nil
	}
	w.reading.got = append(w.reading.got, b...)
	w.due.reading = time.Now().Add(readTimeout)
	return nil
}

// finishReading tells the text that has come.
func (w *watcher) finishReading() {
	b, latin := w.reading.got, w.reading.target == atomString
	w.endReading("")
	text := strings.TrimRight(string(b), "\x00") // some programs count the terminator
	if latin {
		runes := make([]rune, len(text))
		for i := range len(text) {
			runes[i] = rune(text[i])
		}
		text = string(runes)
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	if text == "" || text == w.known || len(text) > MaxClipboard {
		return
	}
	w.known = text
	w.cfg.Clipboard(text)
}
