package inject

import (
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"handrail/agent/internal/x11"
	"handrail/signaling/input"
)

// spare is a keycode without symbols that is lent to characters the layout lacks.
type spare struct {
	keycode      byte
	lower, upper rune      // what it types without and with Shift; the same for a character without case
	bound, used  time.Time // when it was given these, and last pressed
}

// maxSpares bounds the keycodes we borrow: each mapping change is news for every
// program, and other tools want some too.
const maxSpares = 24

// findSpares picks free keycodes from the high end, where layouts put nothing.
func findSpares(m *keymap, lowest, highest byte) []spare {
	var out []spare
	for kc := int(highest); kc >= int(lowest) && len(out) < maxSpares; kc-- {
		if m.isFree(byte(kc)) {
			out = append(out, spare{keycode: byte(kc)})
		}
	}
	return out
}

// forgetOverwritten drops what spares were given when a new keymap (setxkbmap, a keyboard
// plugged in) no longer has it, or uses the keycode itself.
func (x *xBackend) forgetOverwritten() {
	for i := range x.spares {
		s := &x.spares[i]
		k := &x.keys.keys[s.keycode]
		if s.lower != 0 && (len(k.chars) == 0 || k.chars[0] != s.lower) {
			*s = spare{keycode: s.keycode}
		}
	}
}

// bindRequest is ChangeKeyboardMapping for one keycode.
func bindRequest(kc byte, lower, upper keysym) []byte {
	return x11.NewRequest(100, 1).U8(kc, 2, 0, 0).U32(uint32(lower), uint32(upper)).Bytes()
}

// lend gives r to the spare that has gone unused longest. When all were in use a moment
// ago it returns how long to wait.
func (x *xBackend) lend(r rune, now time.Time) (wait time.Duration, ok bool) {
	var best *spare
	for i := range x.spares {
		s := &x.spares[i]
		if x.isDown[s.keycode] || s.lower == 0 && !x.keys.isFree(s.keycode) {
			continue
		}
		if best == nil || s.used.Before(best.used) {
			best = s
		}
	}
	if best == nil {
		return 0, false
	}
	if best.lower != 0 {
		if wait := x.canReuse(best.used, now); wait > 0 {
			return wait, true
		}
	}
	lower, upper := r, r
	if l, u := unicode.ToLower(r), unicode.ToUpper(r); unicode.ToUpper(l) == u && unicode.ToLower(u) == l {
		lower, upper = l, u
	}
	second := keysym(0)
	if lower != upper {
		second = keysymOf(upper)
	}
	x.lentAt.Store(now.UnixNano())
	x.send(bindRequest(best.keycode, keysymOf(lower), second))
	x.changed = true
	*best = spare{keycode: best.keycode, lower: lower, upper: upper, bound: now, used: now}
	return 0, true
}

// lentTo returns how to type r on a spare that has it, and since when.
func (x *xBackend) lentTo(r rune) (st stroke, since time.Time, ok bool) {
	for i := range x.spares {
		s := &x.spares[i]
		if s.lower == 0 || s.lower != r && s.upper != r {
			continue
		}
		// Servers and programs differ in which characters they let Caps Lock change, and ß has a
		// capital for some of them only.
		st = stroke{keycode: s.keycode, unlock: unicode.IsLetter(r)}
		if s.lower != s.upper {
			st.mask = xShift
			if s.upper == r {
				st.mods = xShift
			}
		}
		return st, s.bound, true
	}
	return stroke{}, time.Time{}, false
}

// reach finds or makes a way to type r. With a wait, ask again after it. ok is false
// when the display cannot type it at all.
func (x *xBackend) reach(r rune, preferred byte) (st stroke, wait time.Duration, ok bool) {
	if st, ok = x.keys.find(r, x.group, x.locked(), preferred); ok && !x.isSpare[st.keycode] {
		return st, 0, true
	}
	now := time.Now()
	if st, since, found := x.lentTo(r); found {
		return st, max(0, settled-now.Sub(since)), true
	}
	wait, ok = x.lend(r, now)
	return stroke{}, max(wait, settled), ok
}

func (x *xBackend) pressText(code input.Code, r rune) (grip, time.Duration, error) {
	if err := x.refresh(); err != nil {
		return noGrip, 0, err
	}
	st, wait, ok := x.reach(r, keycodeOf(code))
	if !ok || wait > 0 {
		return noGrip, wait, nil
	}
	if err := x.shape(st); err != nil {
		return noGrip, 0, err
	}
	return grip(st.keycode), 0, x.key(st.keycode, true)
}

// typeSome types until a character needs a mapping. Before that it lends spares to all
// the characters ahead that need one, so that programs hear of them together.
func (x *xBackend) typeSome(text []byte) (n int, wait time.Duration, err error) {
	if err := x.refresh(); err != nil {
		return 0, 0, err
	}
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if r == '\n' || r == '\t' {
			code := input.CodeEnter
			if r == '\t' {
				code = input.CodeTab
			}
			err = x.tap(stroke{keycode: keycodeOf(code), mask: xShift | xMod5})
		} else if st, wait, ok := x.reach(r, 0); wait > 0 {
			// Only once r has its own: otherwise those behind it would take what it waits for.
			if _, _, has := x.lentTo(r); has {
				x.lendAhead(text[n+size:])
			}
			return n, wait, x.settle()
		} else if ok {
			err = x.tap(st)
		}
		if err != nil {
			return n, 0, err
		}
		n += size
	}
	return n, 0, x.settle()
}

// lendAhead lends spares to the characters of text until one must wait.
func (x *xBackend) lendAhead(text []byte) {
	for len(text) != 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		if r < ' ' {
			continue
		}
		if _, ok := x.keys.find(r, x.group, x.locked(), 0); ok {
			continue
		}
		if _, _, ok := x.lentTo(r); ok {
			continue
		}
		if wait, ok := x.lend(r, time.Now()); !ok || wait > 0 {
			return
		}
	}
}

// tap presses and releases a stroke; the modifiers stay as they are for the next.
func (x *xBackend) tap(st stroke) error {
	if err := x.shape(st); err != nil {
		return err
	}
	was := x.isDown[st.keycode]
	if err := x.key(st.keycode, true); err != nil {
		return err
	}
	if was {
		return nil // a viewer holds this very key and releases it
	}
	return x.key(st.keycode, false)
}

// shape makes the modifiers what a stroke needs: those among its mask, and those that would
// make a shortcut of it.
func (x *xBackend) shape(st stroke) error {
	matter := st.mask&^xLock | xControl | xMod1 | xMod4
	var lift, add []byte
	have := byte(0)
	for kc, down := range x.isDown {
		mods := x.keys.modmap[kc]
		if !down || mods == 0 || slices.Contains(x.added, byte(kc)) {
			continue
		}
		if mods&matter&^st.mods != 0 {
			lift = append(lift, byte(kc))
		} else {
			have |= mods
		}
	}
	for _, m := range [...]struct {
		mod  byte
		want keysym
	}{{xShift, keysymShiftLeft}, {xMod5, keysymLevel3}, {xMod3, keysymLevel5}} {
		if st.mods&m.mod&^have == 0 {
			continue
		}
		if kc := x.keys.modifierKey(m.mod, m.want); kc != 0 {
			add = append(add, kc)
		}
	}
	if unlock := st.unlock && x.locked()&xLock != 0; unlock != x.relock {
		if err := x.liftLock(unlock); err != nil {
			return err
		}
	}
	for i := range x.spares {
		if x.spares[i].keycode == st.keycode {
			x.spares[i].used = time.Now()
		}
	}
	err := x.reshape(lift, add)
	x.shaped = st.keycode
	return err
}

// settle makes the modifiers what viewers hold.
func (x *xBackend) settle() error {
	x.shaped = 0
	if x.relock {
		if err := x.liftLock(false); err != nil {
			return err
		}
	}
	if len(x.lifted) == 0 && len(x.added) == 0 {
		return nil
	}
	return x.reshape(nil, nil)
}

// liftLock turns Caps Lock off for a stroke, or on again.
func (x *xBackend) liftLock(off bool) error {
	x.relock = off
	if off {
		return x.lock(xLock, 0)
	}
	x.locks |= xLock
	return x.lock(xLock, xLock)
}

// reshape lifts and adds modifiers, and undoes those of before that are not named again.
func (x *xBackend) reshape(lift, add []byte) error {
	for _, kc := range x.added {
		if !slices.Contains(add, kc) {
			if err := x.key(kc, false); err != nil {
				return err
			}
		}
	}
	for _, kc := range x.lifted {
		if !slices.Contains(lift, kc) {
			if err := x.one(fakeKeyPress, kc); err != nil {
				return err
			}
		}
	}
	for _, kc := range lift {
		if !slices.Contains(x.lifted, kc) {
			if err := x.one(fakeKeyRelease, kc); err != nil {
				return err
			}
		}
	}
	for _, kc := range add {
		if !slices.Contains(x.added, kc) {
			if err := x.key(kc, true); err != nil {
				return err
			}
		}
	}
	x.lifted, x.added = lift, add
	return nil
}

// unlift forgets a lifted modifier that its viewer lets go of; it is up already.
func (x *xBackend) unlift(kc byte) bool {
	i := slices.Index(x.lifted, kc)
	if i < 0 {
		return false
	}
	x.lifted = slices.Delete(x.lifted, i, i+1)
	return true
}
