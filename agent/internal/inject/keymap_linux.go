package inject

import (
	"errors"
	"fmt"

	"handrail/agent/internal/x11"
)

// Real modifiers of X.
const (
	xShift   = 1 << 0
	xLock    = 1 << 1
	xControl = 1 << 2
	xMod1    = 1 << 3 // Alt, by custom
	xMod3    = 1 << 5 // level 5, by custom
	xMod4    = 1 << 6 // Super, by custom
	xMod5    = 1 << 7 // level 3 (AltGr), by custom
)

// keymap is the server's keyboard as XKB describes it.
type keymap struct {
	types  []keyType
	keys   [256]keySyms
	modmap [256]byte // real modifiers of each keycode
}

// keyType says which modifiers choose which level of a key.
type keyType struct {
	mask    byte // real modifiers that matter
	entries []levelEntry
}

type levelEntry struct{ mods, level byte }

// level returns the level that the modifiers choose: the first if no entry says otherwise.
func (t *keyType) level(mods byte) byte {
	mods &= t.mask
	for _, e := range t.entries {
		if e.mods == mods {
			return e.level
		}
	}
	return 0
}

// keySyms are the symbols of one key: groups rows of width levels.
type keySyms struct {
	types  [4]byte // type of each group
	groups byte    // 0 for a key without symbols
	wrap   byte    // what a group beyond the last becomes: XkbClampIntoRange, XkbRedirectIntoRange, else wrap
	width  byte
	syms   []keysym
	chars  []rune // what syms type
}

// group returns which of the key's groups is meant by the keyboard's.
func (k *keySyms) group(g byte) byte {
	switch {
	case g < k.groups:
		return g
	case k.wrap&0xc0 == 0x40: // clamp
		return k.groups - 1
	case k.wrap&0xc0 == 0x80: // redirect
		if to := k.wrap >> 4 & 3; to < k.groups {
			return to
		}
		return 0
	}
	return g % k.groups
}

// Requests of XKB (XKBproto.h).
const (
	xkbUseExtension  = 0
	xkbSelectEvents  = 1
	xkbGetState      = 4
	xkbLatchLock     = 5
	xkbGetMap        = 8
	xkbCoreKeyboard  = 0x100
	xkbEventNewMap   = 0 // NewKeyboardNotify
	xkbEventMap      = 1 // MapNotify
	xkbEventState    = 2 // StateNotify
	xkbPartTypes     = 1
	xkbPartSyms      = 2
	xkbPartModifiers = 4
)

// readKeymap asks the server for its keyboard.
func readKeymap(c *x11.Conn, xkb byte) (*keymap, error) {
	r := x11.NewRequest(xkb, xkbGetMap).U16(xkbCoreKeyboard, xkbPartTypes|xkbPartSyms|xkbPartModifiers, 0)
	b, err := c.Call(r.U8(make([]byte, 18)...).Bytes())
	if err != nil {
		return nil, fmt.Errorf("read the keyboard map: %w", err)
	}
	return parseKeymap(b)
}

var errKeymap = errors.New("the server's keyboard map is malformed")

// parseKeymap reads the reply of GetMap (The X Keyboard Extension: Protocol, 16.3.1).
func parseKeymap(b []byte) (*keymap, error) {
	if len(b) < 40 {
		return nil, errKeymap
	}
	m := &keymap{types: make([]keyType, 0, b[15])}
	nTypes, firstKey, nKeys, nModmap := int(b[15]), int(b[17]), int(b[20]), int(b[31])
	p := b[40:]
	var ok bool
	for range nTypes {
		var t keyType
		if t, p, ok = parseType(p); !ok {
			return nil, errKeymap
		}
		m.types = append(m.types, t)
	}
	for i := range nKeys {
		if firstKey+i > 255 {
			return nil, errKeymap
		}
		if p, ok = m.keys[firstKey+i].parse(p); !ok {
			return nil, errKeymap
		}
	}
	if len(p) < 2*nModmap {
		return nil, errKeymap
	}
	for i := range nModmap {
		m.modmap[p[2*i]] = p[2*i+1]
	}
	return m, nil
}

func parseType(p []byte) (t keyType, rest []byte, ok bool) {
	if len(p) < 8 {
		return t, nil, false
	}
	t.mask = p[0]
	n, preserve := int(p[5]), p[6] != 0
	size := 8 + 8*n
	if preserve {
		size += 4 * n
	}
	if len(p) < size {
		return t, nil, false
	}
	for i := range n {
		e := p[8+8*i:]
		if e[0] != 0 { // active: its virtual modifiers are bound
			t.entries = append(t.entries, levelEntry{mods: e[1], level: e[2]})
		}
	}
	return t, p[size:], true
}

func (k *keySyms) parse(p []byte) (rest []byte, ok bool) {
	if len(p) < 8 {
		return nil, false
	}
	copy(k.types[:], p)
	k.groups, k.wrap, k.width = min(p[4]&0xf, 4), p[4], p[5]
	n := int(x11.Get16(p, 6))
	if len(p) < 8+4*n || n < int(k.groups)*int(k.width) {
		return nil, false
	}
	for i := range n {
		s := keysym(x11.Get32(p, 8+4*i))
		k.syms, k.chars = append(k.syms, s), append(k.chars, s.char())
	}
	return p[8+4*n:], true
}

// isFree reports whether a keycode has no symbol and no modifier, so that it may be lent a
// character.
func (m *keymap) isFree(keycode byte) bool {
	for _, s := range m.keys[keycode].syms {
		if s != 0 {
			return false
		}
	}
	return m.modmap[keycode] == 0
}

// modifierKey returns a keycode that sets the real modifier mod, one with the wanted
// symbol if there is any; 0 for none.
func (m *keymap) modifierKey(mod byte, want keysym) byte {
	found := byte(0)
	for kc := range 256 {
		k := &m.keys[kc]
		if m.modmap[kc]&mod == 0 || len(k.syms) == 0 {
			continue
		}
		if k.syms[0] == want {
			return byte(kc)
		}
		if found == 0 {
			found = byte(kc)
		}
	}
	return found
}

// lockMask returns the real modifiers that a lock key sets, 0 when the keyboard has none.
func (m *keymap) lockMask(want keysym) (mask byte) {
	for kc := range 256 {
		for _, s := range m.keys[kc].syms {
			if s == want {
				mask |= m.modmap[kc]
			}
		}
	}
	return mask
}

// stroke is how to type a character: a key, the modifiers among mask that must be exactly
// those in mods, and whether Caps Lock must be off.
type stroke struct {
	keycode, mods, mask byte
	unlock              bool
}

// find returns how to type r in the given group with the given locks, best on the
// preferred key, then with as few modifiers as may be.
func (m *keymap) find(r rune, group, locked, preferred byte) (best stroke, ok bool) {
	cost := 0
	for kc := range 256 {
		k := &m.keys[kc]
		if k.groups == 0 {
			continue
		}
		g := k.group(group)
		if int(k.types[g]) >= len(m.types) {
			continue
		}
		t := &m.types[k.types[g]]
		for level := range k.width {
			i := int(g)*int(k.width) + int(level)
			if k.chars[i] != r || k.syms[i].isKeypad() && byte(kc) != preferred {
				continue
			}
			mods, steps, found := t.reach(level, locked)
			if byte(kc) != preferred {
				steps += 8
			}
			if found && (!ok || steps < cost) {
				best, cost, ok = stroke{keycode: byte(kc), mods: mods, mask: t.mask &^ (xLock | locked)}, steps, true
			}
		}
	}
	return best, ok
}

// reach returns the fewest modifiers to hold for a level, with the given ones locked.
func (t *keyType) reach(level, locked byte) (mods byte, steps int, ok bool) {
	for _, try := range [...]byte{0, xShift, xMod5, xShift | xMod5, xMod3, xShift | xMod3, xMod5 | xMod3, xShift | xMod5 | xMod3} {
		if try&^t.mask != 0 || try&locked != 0 || t.level(try|locked) != level {
			continue
		}
		n := 0
		for b := try; b != 0; b &= b - 1 {
			n++
		}
		if !ok || n < steps {
			mods, steps, ok = try, n, true
		}
	}
	return mods, steps, ok
}
