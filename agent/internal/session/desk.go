package session

import (
	"fmt"
	"slices"
	"time"

	"handrail/signaling"
	"handrail/signaling/clip"
	"handrail/signaling/input"
)

// Cursor times and bounds.
const (
	cursorRest   = 200 * time.Millisecond // after its own input a viewer draws the pointer itself
	localHold    = 500 * time.Millisecond // the person at the device keeps the pointer for this long
	maxCursors   = 256                    // shapes remembered as sent to a viewer
	maxMonitors  = 64
	wholeDesktop = 0
)

// Cursor is the shape of the device's pointer.
type Cursor struct {
	Hash          uint64 // of the shape; the same shape has the same hash
	HotX, HotY    uint16 // pixels from its upper left corner
	Width, Height uint16 // pixels
	PNG           []byte // must not change any more
	Visible       bool
}

// desk is what is known of the device's desktop. Run only.
type desk struct {
	monitors []signaling.Monitor
	picture  signaling.Picture // state and message
	cursor   Cursor
	at       point
	settled  *time.Timer // tells a viewer that moved the pointer itself where it came to rest
}

type point struct{ x, y int }

// Monitors tells of the device's outputs, now or changed. The slice is copied.
func (h *Host) Monitors(list []signaling.Monitor) {
	list = slices.Clone(list)
	if len(list) > maxMonitors {
		list = list[:maxMonitors]
	}
	h.post(func() {
		h.desk.monitors = list
		h.eachViewer(func(s *support, v *viewer) {
			if !h.hasMonitor(v.monitor) {
				v.monitor = wholeDesktop
				s.applyRights(v)
			}
			s.tellMonitors(v)
		})
	})
}

func (h *Host) hasMonitor(id uint8) bool {
	return id == wholeDesktop || slices.ContainsFunc(h.desk.monitors, func(m signaling.Monitor) bool { return m.ID == id })
}

// PictureState tells that there is, or is no, picture of the desktop; message says why, for
// people.
func (h *Host) PictureState(state signaling.PictureState, message string) {
	h.post(func() {
		was := h.desk.picture.State
		h.desk.picture = signaling.Picture{State: state, Message: shorten(message, 512)}
		for _, s := range h.sessions {
			if !s.consented || s.over {
				continue
			}
			if state != signaling.PictureOK && was == signaling.PictureOK {
				s.event(signaling.EventDisplayLost, "", message)
			}
			if state == signaling.PictureOK && was != signaling.PictureOK {
				s.event(signaling.EventDisplayBack, "", message)
			}
		}
		h.eachViewer(func(s *support, v *viewer) { v.peer.sendPicture(h.pictureFor(s, v)) })
	})
}

// Cursor tells of the pointer's shape.
func (h *Host) Cursor(c Cursor) {
	h.post(func() {
		h.desk.cursor = c
		h.eachViewer(func(s *support, v *viewer) { s.tellCursor(v) })
	})
}

// PointerAt tells where the pointer is, in the desktop's pixels. It may be called at any
// rate.
func (h *Host) PointerAt(x, y int) {
	if h.moved.Swap(&point{x, y}) != nil {
		return // one is on its way to Run, which takes the newest
	}
	h.post(func() {
		if at := h.moved.Swap(nil); at != nil {
			h.desk.at = *at
		}
		h.tellPointers()
	})
}

// tellPointers tells viewers where the pointer is. One that has just moved it knows better,
// and is told when it has come to rest.
func (h *Host) tellPointers() {
	waiting := false
	h.eachViewer(func(s *support, v *viewer) {
		if !v.peer.gate.idleSince(cursorRest) {
			waiting = true
			return
		}
		s.tellPointer(v)
	})
	if waiting {
		if h.desk.settled != nil {
			h.desk.settled.Stop()
		}
		h.desk.settled = h.after(cursorRest+10*time.Millisecond, h.tellPointers)
	}
}

// LocalInput tells that the person at the device moved the mouse or pressed a key: remote
// pointer moves are dropped for a moment.
func (h *Host) LocalInput() { h.local.Store(time.Now().Add(localHold).UnixNano()) }

// ClipboardChanged tells of a new text on the device's clipboard; viewers with the grant
// get it.
func (h *Host) ClipboardChanged(text string) {
	h.post(func() {
		h.eachViewer(func(s *support, v *viewer) {
			if s.may(v).Has(signaling.Clipboard) && v.clipboard != text {
				s.sendClipboard(v, text)
			}
		})
	})
}

// eachViewer visits every viewer that has a connection.
func (h *Host) eachViewer(f func(*support, *viewer)) {
	for _, s := range h.sessions {
		for _, v := range s.viewers {
			if v.peer != nil {
				f(s, v)
			}
		}
	}
}

// sendClipboard sends a text. One the viewer has not taken yet is enough of a queue: the
// text is then left out, and the next change brings a newer one.
func (s *support) sendClipboard(v *viewer, text string) {
	c := v.peer.clipboard.Load()
	if c == nil {
		return
	}
	v.transfer++
	frames, err := clip.Split(v.transfer, text)
	if err != nil {
		v.say(signaling.CodeTooLarge, fmt.Sprintf("What was copied on the device is too much for the clipboard: %s.", sizeText(len(text))), "clipboard")
		return
	}
	if c.dc.BufferedAmount() > clip.MaxTotal {
		return
	}
	for _, f := range frames {
		if !v.peer.sendOn(c, f) {
			return
		}
	}
	v.clipboard = text
	s.event(signaling.EventClipboardRead, v.info.Peer, sizeText(len(text)))
}

func sizeText(n int) string { return fmt.Sprintf("%d bytes", n) }

// pictureFor returns what a viewer is to know of its picture.
func (h *Host) pictureFor(s *support, v *viewer) signaling.Picture {
	switch {
	case s.isPaused():
		return signaling.Picture{State: signaling.PicturePaused}
	case h.desk.picture.State != signaling.PictureOK:
		return h.desk.picture
	}
	return signaling.Picture{State: signaling.PictureOK, Codec: "vp8", Width: uint16(v.width), Height: uint16(v.height)} //nolint:gosec // an encoder's picture is under 16384 wide
}

// sendPicture tells the viewer about its picture, if that is news. Run only.
func (p *peer) sendPicture(x signaling.Picture) {
	if p.shown == x {
		return
	}
	if c := p.control.Load(); c != nil && c.isOpen() {
		p.shown = x
		p.sendText(signaling.TypePicture, x)
	}
}

// greet tells a viewer whose control channel has opened all it needs.
func (s *support) greet(v *viewer) {
	v.peer.shown = signaling.Picture{}
	s.tell(v)
	s.tellMonitors(v)
	s.tellCursor(v)
}

func (s *support) greetPointer(v *viewer) { s.tellPointer(v) }

// channelClosed takes control from a viewer whose control channel is gone.
func (s *support) channelClosed(v *viewer) {
	if s.control == v.info.Peer {
		s.freeControl("viewer closed its connection")
		s.changed()
	}
}

func (s *support) tellMonitors(v *viewer) {
	if !s.granted.And(v.info.Capabilities).Has(signaling.View) {
		return
	}
	list := s.host.desk.monitors
	if list == nil {
		list = []signaling.Monitor{}
	}
	v.peer.sendText(signaling.TypeMonitors, signaling.Monitors{Monitors: list, Selected: v.monitor})
}

// tellCursor shows the viewer the cursor, with its shape when it has not seen it.
func (s *support) tellCursor(v *viewer) {
	c := s.host.desk.cursor
	ch := v.peer.control.Load()
	if ch == nil || !ch.isOpen() || !s.may(v).Has(signaling.View) || c.PNG == nil && c.Visible {
		return
	}
	p := v.peer
	if c.Visible && !p.shapes[c.Hash] {
		if len(p.shapes) >= maxCursors {
			clear(p.shapes)
		}
		p.shapes[c.Hash] = true
		p.sendAgent(ch, &input.AgentFrame{
			Type: input.CursorShape, Seq: p.seq.Add(1), Hash: c.Hash, HotX: c.HotX, HotY: c.HotY, Width: c.Width, Height: c.Height, PNG: c.PNG,
		})
	}
	p.sendAgent(ch, &input.AgentFrame{Type: input.CursorUse, Seq: p.seq.Add(1), Hash: c.Hash, Visible: c.Visible})
}

// tellPointer tells the viewer where the pointer is, within the monitor it looks at where
// possible.
func (s *support) tellPointer(v *viewer) {
	if !s.may(v).Has(signaling.View) {
		return
	}
	id, x, y, ok := s.host.place(v.monitor)
	if !ok {
		return
	}
	v.peer.sendAgent(v.peer.pointer.Load(), &input.AgentFrame{Type: input.CursorAt, Seq: v.peer.seq.Add(1), Monitor: id, X: x, Y: y})
}

// place returns the pointer's position within the monitor a viewer looks at, or, when it is
// elsewhere, within the one it is on.
func (h *Host) place(looksAt uint8) (id uint8, x, y uint16, ok bool) {
	at := h.desk.at
	if looksAt != wholeDesktop {
		for _, m := range h.desk.monitors {
			inside := at.x >= int(m.X) && at.y >= int(m.Y) && at.x < int(m.X)+int(m.Width) && at.y < int(m.Y)+int(m.Height)
			if inside && m.ID == looksAt {
				return m.ID, across(at.x-int(m.X), int(m.Width)), across(at.y-int(m.Y), int(m.Height)), true
			}
			if inside {
				id, x, y, ok = m.ID, across(at.x-int(m.X), int(m.Width)), across(at.y-int(m.Y), int(m.Height)), true
			}
		}
		return id, x, y, ok
	}
	left, top, right, bottom := h.extent()
	if right <= left || bottom <= top {
		return 0, 0, 0, false
	}
	return wholeDesktop, across(at.x-left, right-left), across(at.y-top, bottom-top), true
}

// extent returns the smallest rectangle around all monitors.
func (h *Host) extent() (left, top, right, bottom int) {
	for i, m := range h.desk.monitors {
		l, t, r, b := int(m.X), int(m.Y), int(m.X)+int(m.Width), int(m.Y)+int(m.Height)
		if i == 0 {
			left, top, right, bottom = l, t, r, b
			continue
		}
		left, top, right, bottom = min(left, l), min(top, t), max(right, r), max(bottom, b)
	}
	return left, top, right, bottom
}

// across maps pixel v of n to 0..65535, the first to 0 and the last to 65535.
func across(v, n int) uint16 {
	if n < 2 {
		return 0
	}
	return uint16((min(max(v, 0), n-1)*65535 + (n-1)/2) / (n - 1)) //nolint:gosec // bounded
}

// heard acts on a message of a viewer that passed the gate.
func (s *support) heard(v *viewer, e signaling.Envelope) {
	switch m := e.Body.(type) {
	case signaling.ControlAsk:
		s.askControl(v)
	case signaling.ControlGive:
		s.giveControl(v, m.Peer)
	case signaling.ControlDrop:
		s.dropControl(v)
	case signaling.MonitorSelect:
		if !s.host.hasMonitor(m.Monitor) {
			v.say(signaling.CodeNotFound, "The device has no such monitor any more.", string(e.Type))
		} else {
			v.monitor = m.Monitor
			s.applyRights(v)
		}
		s.tellMonitors(v)
		s.tellPointer(v)
	case signaling.PictureTier:
		v.tier = m.Tier
		s.applyRights(v)
	default: // Pong needs nothing
	}
}

// goLive notes that a picture has reached a viewer for the first time.
func (s *support) goLive() {
	s.stopWarm()
	if s.live {
		return
	}
	s.live = true
	s.event(signaling.EventLive, "", "")
}
