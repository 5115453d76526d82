package inject

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"handrail/agent/internal/x11"
	"handrail/signaling/input"
)

// Event types of XTEST's FakeInput.
const (
	fakeKeyPress      = 2
	fakeKeyRelease    = 3
	fakeButtonPress   = 4
	fakeButtonRelease = 5
	fakeMotion        = 6
)

const fakeSize = 36 // bytes of one FakeInput request

// xButtons maps our buttons to X's.
var xButtons = [input.ButtonCount]byte{
	input.ButtonLeft: 1, input.ButtonRight: 3, input.ButtonMiddle: 2, input.ButtonBack: 8, input.ButtonForward: 9,
}

// xBackend injects by XTEST and reads the keyboard by XKB.
type xBackend struct {
	display string
	log     *slog.Logger

	c         *x11.Conn
	xtest     byte // major opcodes
	xkb       byte
	events    byte // XKB's event number
	gone      chan struct{}
	pumped    chan struct{} // closed when the event goroutine has ended
	buf       [2 * fakeSize]byte
	size      atomic.Uint32 // root window: width<<16 | height
	stale     atomic.Bool   // the keymap changed under us
	unsure    atomic.Bool   // locks or group may have changed
	locks     byte          // locked modifiers
	group     byte          // of the layout's groups, the one in use
	keys      *keymap
	spares    []spare
	isSpare   [256]bool // keycodes of spares; fixed while connected, so that pump may read it
	isDown    [256]bool // keycodes we hold pressed
	lifted    []byte    // modifiers a viewer holds that are up for the sake of a text key
	added     []byte    // modifiers no viewer holds that are down for the sake of a text key
	shaped    byte      // the keycode they are for, 0 for none
	relock    bool      // Caps Lock is off for the sake of a text key
	protocols uint32    // atom WM_PROTOCOLS
	pingAtom  uint32    // atom _NET_WM_PING
	ping      ping
	lentAt    atomic.Int64  // Unix nanoseconds
	ponged    atomic.Uint32 // stamp of the newest answer to a ping
	caughtUp  time.Time     // keys pressed up to here have been read
	changed   bool          // some spare was given a character: close takes it back
}

// open connects and learns the server's keyboard.
func (x *xBackend) open() error {
	c, err := x11.Dial(x.display)
	if err != nil {
		return err
	}
	if err := x.learn(c); err != nil {
		c.Close()
		return err
	}
	x.c, x.gone, x.pumped = c, make(chan struct{}), make(chan struct{})
	x.isDown, x.lifted, x.added, x.shaped, x.relock, x.changed = [256]bool{}, nil, nil, 0, false, false
	x.ping, x.caughtUp = ping{stamp: x.ping.stamp}, time.Time{}
	x.unsure.Store(true)
	go x.pump(c, x.gone, x.pumped)
	return nil
}

func (x *xBackend) learn(c *x11.Conn) error {
	xtest, err := c.Extension("XTEST")
	if err != nil {
		return fmt.Errorf("this X server takes no injected input: %w", err)
	}
	xkb, err := c.Extension("XKEYBOARD")
	if err != nil {
		return fmt.Errorf("this X server describes no keyboard: %w", err)
	}
	x.xtest, x.xkb, x.events = xtest.Major, xkb.Major, xkb.FirstEvent
	if _, err := c.Call(x11.NewRequest(x.xkb, xkbUseExtension).U16(1, 0).Bytes()); err != nil {
		return fmt.Errorf("speak XKB: %w", err)
	}
	const all, some = 1<<xkbEventNewMap | 1<<xkbEventMap, 1 << xkbEventState
	// Of the state only locked modifiers and the group in use, which typing depends on.
	const state = 1<<3 | 1<<4
	sel := x11.NewRequest(x.xkb, xkbSelectEvents).U16(xkbCoreKeyboard, all|some, 0, all, 0xff, 0xff, state, state)
	if err := c.Check(sel.Bytes()); err != nil {
		return fmt.Errorf("watch the keyboard: %w", err)
	}
	if x.protocols, err = c.Atom("WM_PROTOCOLS"); err != nil {
		return err
	}
	if x.pingAtom, err = c.Atom("_NET_WM_PING"); err != nil {
		return err
	}
	if err := c.SelectRoot(x11.StructureNotify); err != nil {
		return err
	}
	w, h, err := c.RootSize()
	if err != nil {
		return err
	}
	x.size.Store(uint32(w)<<16 | uint32(h))
	x.stale.Store(false)
	keys, err := readKeymap(c, x.xkb)
	if err != nil {
		return err
	}
	x.keys, x.spares, x.isSpare = keys, findSpares(keys, c.MinKeycode, c.MaxKeycode), [256]bool{}
	for _, s := range x.spares {
		x.isSpare[s.keycode] = true
	}
	return nil
}

// pump takes the server's events until the connection is over.
func (x *xBackend) pump(c *x11.Conn, gone, pumped chan struct{}) {
	defer close(pumped)
	defer close(gone)
	for ev := range c.Events() {
		switch typ := ev[0] & 0x7f; {
		case typ == 22 && x11.Get32(ev, 8) == c.Root: // ConfigureNotify
			x.size.Store(uint32(x11.Get16(ev, 20))<<16 | uint32(x11.Get16(ev, 22)))
		case typ == 33: // ClientMessage
			if stamp, ok := x.isPong(ev); ok {
				x.ponged.Store(stamp)
			}
		case typ == x.events && ev[1] == xkbEventState:
			x.unsure.Store(true)
		case typ == x.events && ev[1] == xkbEventMap:
			if !x.isOwnChange(ev) {
				x.stale.Store(true)
			}
		case typ == x.events && ev[1] == xkbEventNewMap:
			x.stale.Store(true)
		}
	}
}

// echo is how long after lending a spare its MapNotify may take.
const echo = time.Second

// isOwnChange reports whether a MapNotify says nothing new: it is about symbols of spare
// keycodes alone and comes soon after we lent one (xdotool and others borrow keycodes too),
// or about nothing that we read.
func (x *xBackend) isOwnChange(ev []byte) bool {
	changed := x11.Get16(ev, 10) & (xkbPartTypes | xkbPartSyms | xkbPartModifiers)
	if changed == 0 {
		return true
	}
	if changed != xkbPartSyms || time.Now().UnixNano()-x.lentAt.Load() > int64(echo) {
		return false
	}
	first, n := ev[16], int(ev[17])
	for i := range n {
		if !x.isSpare[first+byte(i)] {
			return false
		}
	}
	return true
}

func (x *xBackend) lost() <-chan struct{} { return x.gone }

// close takes back the characters lent to spare keycodes.
func (x *xBackend) close() error {
	if err := x.c.Err(); err != nil {
		<-x.pumped
		return err
	}
	x.logSend(x.settle())
	if x.changed {
		for i := range x.spares {
			if x.spares[i].lower != 0 {
				x.send(bindRequest(x.spares[i].keycode, 0, 0))
			}
		}
	}
	err := x.c.Sync()
	x.c.Close()
	<-x.pumped
	return err
}

func (x *xBackend) desktop() rect {
	s := x.size.Load()
	return rect{0, 0, int(s >> 16), int(s & 0xffff)}
}

// fake fills one FakeInput request into x.buf at offset at.
func (x *xBackend) fake(at int, typ, detail byte, px, py int) {
	b := x.buf[at : at+fakeSize]
	b[0], b[1], b[2], b[3] = x.xtest, 2, fakeSize/4, 0
	b[4], b[5] = typ, detail
	binary.LittleEndian.PutUint32(b[12:], x.c.Root)
	binary.LittleEndian.PutUint16(b[24:], uint16(px)) //nolint:gosec // two's complement on the wire
	binary.LittleEndian.PutUint16(b[26:], uint16(py)) //nolint:gosec // two's complement on the wire
}

func (x *xBackend) one(typ, detail byte) error {
	x.fake(0, typ, detail, 0, 0)
	return x.c.Send(x.buf[:fakeSize], 1)
}

func (x *xBackend) send(b []byte) { x.logSend(x.c.Send(b, 1)) }

func (x *xBackend) logSend(err error) {
	if err != nil {
		x.log.Debug("send to X", "error", err)
	}
}

func (x *xBackend) move(px, py int) error {
	x.fake(0, fakeMotion, 0, px, py)
	return x.c.Send(x.buf[:fakeSize], 1)
}

func (x *xBackend) button(b uint8, down bool) error {
	if err := x.settle(); err != nil {
		return err
	}
	if down {
		return x.one(fakeButtonPress, xButtons[b])
	}
	return x.one(fakeButtonRelease, xButtons[b])
}

// scroll clicks the wheel's buttons, 4 up, 5 down, 6 left, 7 right.
func (x *xBackend) scroll(dx, dy int) error {
	if err := x.settle(); err != nil {
		return err
	}
	if err := x.clicks(dy, 4, 5); err != nil {
		return err
	}
	return x.clicks(dx, 6, 7)
}

func (x *xBackend) clicks(n int, back, forth byte) error {
	b := forth
	if n < 0 {
		n, b = -n, back
	}
	for range n {
		x.fake(0, fakeButtonPress, b, 0, 0)
		x.fake(fakeSize, fakeButtonRelease, b, 0, 0)
		if err := x.c.Send(x.buf[:], 2); err != nil {
			return err
		}
	}
	return nil
}

func (x *xBackend) press(code input.Code) (grip, error) {
	kc := keycodeOf(code)
	if kc < x.c.MinKeycode || kc > x.c.MaxKeycode {
		return noGrip, nil
	}
	if err := x.settle(); err != nil {
		return noGrip, err
	}
	if isLockKey(code) || code.IsModifier() {
		x.unsure.Store(true)
	}
	return grip(kc), x.key(kc, true)
}

func isLockKey(c input.Code) bool {
	return c == input.CodeCapsLock || c == input.CodeNumLock || c == input.CodeScrollLock
}

// key presses or releases a keycode. One that is down already is released first, so that
// two keys of a viewer which type the same character both do.
func (x *xBackend) key(kc byte, down bool) error {
	if !down {
		x.isDown[kc] = false
		return x.one(fakeKeyRelease, kc)
	}
	if x.isDown[kc] && x.keys.modmap[kc] == 0 {
		if err := x.one(fakeKeyRelease, kc); err != nil {
			return err
		}
	}
	x.isDown[kc] = true
	return x.one(fakeKeyPress, kc)
}

func (x *xBackend) release(g grip) error {
	kc := byte(g)
	if x.keys.modmap[kc] != 0 {
		x.unsure.Store(true)
		if x.unlift(kc) {
			x.isDown[kc] = false
			return nil
		}
	}
	if err := x.key(kc, false); err != nil {
		return err
	}
	if x.shaped == kc {
		return x.settle()
	}
	return nil
}

func (x *xBackend) setLocks(l input.Locks) error {
	if err := x.refresh(); err != nil {
		return err
	}
	var affect, on byte
	for _, k := range [...]struct {
		lock input.Locks
		sym  keysym
	}{{input.LockCaps, keysymCapsLock}, {input.LockNum, keysymNumLock}, {input.LockScroll, keysymScrollLock}} {
		mask := x.keys.lockMask(k.sym)
		affect |= mask
		if l&k.lock != 0 {
			on |= mask
		}
	}
	if err := x.settle(); err != nil {
		return err
	}
	return x.lock(affect, on)
}

// refresh makes sure that the keymap and the state are the server's.
func (x *xBackend) refresh() error {
	if x.stale.Swap(false) {
		keys, err := readKeymap(x.c, x.xkb)
		if err != nil {
			return err
		}
		x.keys = keys
		x.forgetOverwritten()
		x.unsure.Store(true)
	}
	if x.unsure.Swap(false) {
		b, err := x.c.Call(x11.NewRequest(x.xkb, xkbGetState).U16(xkbCoreKeyboard, 0).Bytes())
		if err != nil {
			return fmt.Errorf("read the keyboard's state: %w", err)
		}
		x.locks, x.group = b[11], b[12]
	}
	return nil
}

// locked returns the modifiers that are locked, but for our own lifting.
func (x *xBackend) locked() byte {
	if x.relock {
		return x.locks | xLock
	}
	return x.locks
}

// lock sets and clears locked modifiers.
func (x *xBackend) lock(affect, on byte) error {
	x.unsure.Store(true)
	// Device, locks affected and set; group and latches untouched.
	return x.c.Send(x11.NewRequest(x.xkb, xkbLatchLock).U16(xkbCoreKeyboard).U8(affect, on, 0, 0, 0, 0, 0, 0, 0, 0).Bytes(), 1)
}

// settled is how long after a new mapping the first key is pressed. Programs are told
// of the mapping before the key, but some ask the server for it in their idle time.
const settled = 10 * time.Millisecond
