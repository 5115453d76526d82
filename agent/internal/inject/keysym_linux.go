package inject

import (
	"sort"
	"unicode"
)

// keysym is an X keysym.
type keysym uint32

// Keysyms with a meaning of their own here.
const (
	keysymNumLock    keysym = 0xff7f
	keysymScrollLock keysym = 0xff14
	keysymCapsLock   keysym = 0xffe5
	keysymShiftLeft  keysym = 0xffe1
	keysymLevel3     keysym = 0xfe03 // ISO_Level3_Shift
	keysymLevel5     keysym = 0xfe11 // ISO_Level5_Shift
	keysymUnicode    keysym = 0x01000000
)

// keysymOf returns the keysym to bind for a character.
func keysymOf(r rune) keysym {
	switch {
	case r >= 0x20 && r <= 0x7e || r >= 0xa0 && r <= 0xff:
		return keysym(r) //nolint:gosec // Latin-1
	case r == '€':
		return 0x20ac // older programs know no other
	}
	return keysymUnicode + keysym(r) //nolint:gosec // a valid character is not negative
}

// char returns the character a keysym types, 0 for none. The keypad's digits count.
func (k keysym) char() rune {
	switch {
	case k >= 0x20 && k <= 0x7e || k >= 0xa0 && k <= 0xff:
		return rune(k)
	case k > keysymUnicode && k <= keysymUnicode+unicode.MaxRune:
		return rune(k - keysymUnicode)
	case k >= 0xffaa && k <= 0xffb9: // KP_Multiply to KP_9
		return rune("*+,-./0123456789"[k-0xffaa])
	case k == 0xffbd: // KP_Equal
		return '='
	}
	i := sort.Search(len(legacyKeysyms), func(i int) bool { return keysym(legacyKeysyms[i].keysym) >= k })
	if i < len(legacyKeysyms) && keysym(legacyKeysyms[i].keysym) == k {
		return legacyKeysyms[i].r
	}
	return 0
}

// isKeypad reports whether the keysym is one of the keypad's, which a text elsewhere on
// the keyboard should not be typed with.
func (k keysym) isKeypad() bool { return k >= 0xff80 && k <= 0xffbd }
