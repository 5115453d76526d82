package inject

import (
	"slices"
	"time"
	"unicode/utf8"

	"handrail/signaling/input"
)

// owner is what one viewer holds, and where its count of frames stands.
type owner struct {
	keys           []heldKey // in order of pressing; at most maxKeys
	buttons        input.Buttons
	heard          time.Time // last frame that spoke of keys or buttons
	edge, moved    uint32    // sequence numbers: newest Button or Wheel, newest Move
	injected       uint32    // newest injected frame
	wheelX, wheelY int       // 1/120 notches not turned yet
}

// heldKey is one key a viewer holds.
type heldKey struct {
	code  input.Code
	grip  grip       // noGrip: nothing is pressed for it
	class input.Mods // the modifier it is, 0 for none
	cause input.Code // the key for whose sake it was pressed, 0 when the viewer pressed it
}

// maxKeys bounds what one viewer may hold; the wire lists no more.
const maxKeys = input.MaxHeld

func (o *owner) holds() bool { return len(o.keys) != 0 || o.buttons != 0 }

// isNewest reports whether a Move with this number is newer than every position already
// known, and notes it.
func (o *owner) isNewest(seq uint32) bool {
	if o.edge != 0 && int32(seq-o.edge) <= 0 || o.moved != 0 && int32(seq-o.moved) <= 0 { //nolint:gosec // serial number arithmetic
		return false
	}
	o.moved = seq
	return true
}

func (o *owner) find(code input.Code) int {
	return slices.IndexFunc(o.keys, func(k heldKey) bool { return k.code == code })
}

// classOf returns which modifier a key is under the given state: the right Alt key is AltGr
// when the browser says so.
func classOf(code input.Code, mods input.Mods) input.Mods {
	switch code {
	case input.CodeShiftLeft, input.CodeShiftRight:
		return input.Shift
	case input.CodeCtrlLeft, input.CodeCtrlRight:
		return input.Ctrl
	case input.CodeAltLeft:
		return input.Alt
	case input.CodeAltRight:
		if mods&input.AltGr != 0 {
			return input.AltGr
		}
		return input.Alt
	case input.CodeMetaLeft, input.CodeMetaRight:
		return input.Meta
	default:
		return 0
	}
}

// keyDown presses a key. A key that is already held is a repeat, which the device makes
// by itself.
func (in *Injector) keyDown(own *owner, f *input.Frame) (time.Duration, error) {
	if f.Code != 0 && own.find(f.Code) >= 0 {
		return 0, nil
	}
	if len(own.keys) >= maxKeys {
		return 0, ErrBusy
	}
	class := classOf(f.Code, f.Mods)
	if err := in.dropModifiers(own, f.Mods|class); err != nil {
		return 0, err
	}
	switch {
	case class == input.AltGr:
		// Typing goes by text, so AltGr itself matters only to a key without one: see wantModifiers.
		own.keys = append(own.keys, heldKey{code: f.Code, class: class})
		return 0, nil
	case class == 0 && len(f.Text) != 0 && f.Mods&(input.Ctrl|input.Alt|input.Meta) == 0:
		return in.textDown(own, f)
	case f.Code == 0:
		return 0, nil // a key nobody can name, and no text
	case class == 0:
		if err := in.wantModifiers(own, f); err != nil {
			return 0, err
		}
	}
	g, err := in.dev.press(f.Code)
	if err != nil {
		return 0, err
	}
	in.hold(own, heldKey{code: f.Code, grip: g, class: class})
	return 0, nil
}

// textDown presses a key by its text. One character stays pressed with its key, so that
// the device repeats it; a longer text, or a key without a name, is typed once.
func (in *Injector) textDown(own *owner, f *input.Frame) (time.Duration, error) {
	if r, n := utf8.DecodeRune(f.Text); n == len(f.Text) && f.Code != 0 && r >= ' ' {
		g, wait, err := in.dev.pressText(f.Code, r)
		if err == nil && wait == 0 {
			in.hold(own, heldKey{code: f.Code, grip: g})
		}
		return wait, err
	}
	n, wait, err := in.dev.typeSome(f.Text)
	f.Text = f.Text[n:]
	if err != nil || len(f.Text) != 0 {
		return wait, err
	}
	if f.Code != 0 {
		own.keys = append(own.keys, heldKey{code: f.Code})
	}
	return 0, nil
}

// hold notes that own holds k, which the back end has pressed: a second owner of the
// same key presses nothing new.
func (in *Injector) hold(own *owner, k heldKey) {
	own.keys = append(own.keys, k)
	if k.grip != noGrip {
		in.grips[k.grip]++
	}
}

// letGo releases key i of own.
func (in *Injector) letGo(own *owner, i int) error {
	k := own.keys[i]
	own.keys = slices.Delete(own.keys, i, i+1)
	if k.grip == noGrip {
		return nil
	}
	if in.grips[k.grip]--; in.grips[k.grip] > 0 {
		return nil
	}
	delete(in.grips, k.grip)
	return in.dev.release(k.grip)
}

// keyUp releases a key and the modifiers that were pressed for its sake.
func (in *Injector) keyUp(own *owner, f *input.Frame) error {
	var first error
	for i := len(own.keys) - 1; i >= 0; i-- {
		if k := own.keys[i]; k.code == f.Code || k.cause == f.Code && k.cause != 0 {
			if err := in.letGo(own, i); err != nil && first == nil {
				first = err
			}
		}
	}
	if err := in.dropModifiers(own, f.Mods); err != nil && first == nil {
		first = err
	}
	return first
}

// dropModifiers releases the modifiers that the browser says are not held: their KeyUp
// was swallowed by the operator's own desktop.
func (in *Injector) dropModifiers(own *owner, mods input.Mods) error {
	var first error
	for i := len(own.keys) - 1; i >= 0; i-- {
		if k := own.keys[i]; k.class != 0 && mods&k.class == 0 {
			if err := in.letGo(own, i); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// wantModifiers presses the modifiers that the browser says are held with this key and
// that own does not hold: an on-screen keyboard sends no key of theirs.
func (in *Injector) wantModifiers(own *owner, f *input.Frame) error {
	for _, m := range [...]struct {
		class input.Mods
		code  input.Code
	}{
		{input.Ctrl, input.CodeCtrlLeft},
		{input.Alt, input.CodeAltLeft},
		{input.Shift, input.CodeShiftLeft},
		{input.Meta, input.CodeMetaLeft},
		{input.AltGr, input.CodeAltRight},
	} {
		if f.Mods&m.class == 0 {
			continue
		}
		i := slices.IndexFunc(own.keys, func(k heldKey) bool { return k.class == m.class })
		if i >= 0 && own.keys[i].grip != noGrip || len(own.keys) >= maxKeys {
			continue
		}
		g, err := in.dev.press(m.code)
		if err != nil {
			return err
		}
		if i >= 0 {
			own.keys[i].grip = g
			in.grips[g]++
			continue
		}
		in.hold(own, heldKey{code: m.code, grip: g, class: m.class, cause: f.Code})
	}
	return nil
}

// keepOnly releases what a Held frame does not list.
func (in *Injector) keepOnly(own *owner, f *input.Frame) {
	for i := len(own.keys) - 1; i >= 0; i-- {
		code := own.keys[i].code
		if own.keys[i].cause != 0 {
			code = own.keys[i].cause
		}
		if !lists(f, code) {
			in.logDropped(in.letGo(own, i))
		}
	}
	in.logDropped(in.releaseButtons(own, own.buttons&^f.Buttons))
}

func lists(f *input.Frame, code input.Code) bool {
	for i := range f.HeldCount() {
		if f.HeldCode(i) == code {
			return true
		}
	}
	return false
}

// releaseAll lets go of everything own holds, newest first, and forgets what it waits for.
func (in *Injector) releaseAll(own *owner) {
	in.queue = slices.DeleteFunc(in.queue, func(q queued) bool { return q.own == own })
	for i := len(own.keys) - 1; i >= 0; i-- {
		in.logDropped(in.letGo(own, i))
	}
	in.logDropped(in.releaseButtons(own, own.buttons))
	own.wheelX, own.wheelY = 0, 0
}

// logDropped notes an error of a release: the display is gone, and with it what was held.
func (in *Injector) logDropped(err error) {
	if err != nil {
		in.log.Debug("release", "error", err)
	}
}
