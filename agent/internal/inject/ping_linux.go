package inject

import (
	"time"

	"handrail/agent/internal/x11"
)

// A program translates a key when it gets round to it, with the keyboard map of that
// moment. So before a spare keycode is lent to another character we ask the program in
// front whether it has read all its keys: by _NET_WM_PING (EWMH), which toolkits answer in
// the order of their events. Those that do not speak it (xterm) are given time.
const (
	pingPatience = 2 * time.Second        // for a program that hangs; then typing goes on
	pingPoll     = 5 * time.Millisecond   // between looks for the answer
	lag          = 500 * time.Millisecond // for programs that answer no ping
)

// ping is a question under way.
type ping struct {
	sent  time.Time // zero when there is none
	stamp uint32
}

// canReuse reports whether what a spare typed at the given time has been read. If not it
// says when to ask again.
func (x *xBackend) canReuse(used, now time.Time) (wait time.Duration) {
	if !used.After(x.caughtUp) {
		return 0
	}
	if !x.ping.sent.IsZero() {
		if x.ponged.Load() != x.ping.stamp && now.Sub(x.ping.sent) < pingPatience {
			return pingPoll
		}
		x.caughtUp, x.ping.sent = x.ping.sent, time.Time{}
		x.logSend(x.c.SelectRoot(x11.StructureNotify))
		return x.canReuse(used, now)
	}
	if x.sendPing(now) {
		return pingPoll
	}
	return max(0, lag-now.Sub(used))
}

// sendPing asks the program in front and reports whether it can be asked.
func (x *xBackend) sendPing(now time.Time) bool {
	target := x.pingable()
	if target == 0 {
		return false
	}
	x.ping = ping{sent: now, stamp: x.ping.stamp + 1}
	const clientMessage, substructure = 33, 1 << 19
	x.logSend(x.c.SelectRoot(x11.StructureNotify | substructure)) // where the answer goes
	x.send(x11.NewRequest(25, 0).U32(target, 0).U8(clientMessage, 32, 0, 0).
		U32(target, x.protocols, x.pingAtom, x.ping.stamp, target, 0, 0).Bytes())
	return true
}

// isPong reports whether an event is the answer to a ping, and which.
func (x *xBackend) isPong(ev []byte) (stamp uint32, ok bool) {
	return x11.Get32(ev, 16), x11.Get32(ev, 8) == x.protocols && x11.Get32(ev, 12) == x.pingAtom
}

// pingable returns the window that keys go to, or the next around it that answers pings;
// 0 for none.
func (x *xBackend) pingable() uint32 {
	b, err := x.c.Call(x11.NewRequest(43, 0).Bytes()) // GetInputFocus
	if err != nil {
		return 0
	}
	w := x11.Get32(b, 8)
	if w <= 1 || w == x.c.Root { // keys go to the window under the pointer
		return x.pingableBelow()
	}
	for range 16 { // deeper than any toolkit nests
		if w == 0 || w == x.c.Root {
			break
		}
		if x.answersPing(w) {
			return w
		}
		b, err := x.c.Call(x11.NewRequest(15, 0).U32(w).Bytes()) // QueryTree
		if err != nil {
			break
		}
		w = x11.Get32(b, 12)
	}
	return 0
}

// pingableBelow looks from the root window down to the window under the pointer.
func (x *xBackend) pingableBelow() uint32 {
	w := x.c.Root
	for range 16 {
		b, err := x.c.Call(x11.NewRequest(38, 0).U32(w).Bytes()) // QueryPointer
		if err != nil {
			break
		}
		if w = x11.Get32(b, 12); w == 0 {
			break
		}
		if x.answersPing(w) {
			return w
		}
	}
	return 0
}

// answersPing reports whether a window's WM_PROTOCOLS say so.
func (x *xBackend) answersPing(w uint32) bool {
	const typeAtom, most = 4, 32
	b, err := x.c.Call(x11.NewRequest(20, 0).U32(w, x.protocols, typeAtom, 0, most).Bytes())
	if err != nil || b[1] != 32 {
		return false
	}
	for i := range min(int(x11.Get32(b, 16)), (len(b)-32)/4) {
		if x11.Get32(b, 32+4*i) == x.pingAtom {
			return true
		}
	}
	return false
}
