package mdm

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text that came from outside fit to store and show: valid UTF-8, no control
// characters, no bidirectional overrides (they make a name read as another), white space
// folded to single spaces, at most limit bytes, cut between characters. Markup is left
// alone: whoever shows it escapes it.
func Clean(s string, limit int) string {
	if isClean(s, limit) {
		return s
	}
	if len(s) > 8*limit {
		s = s[:8*limit] // no work for what is cut anyway; the rest is mostly white space at best
	}
	var b strings.Builder
	space := false
	for _, r := range s { // invalid bytes arrive as U+FFFD
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if unicode.IsControl(r) || isInvisible(r) {
			continue
		}
		n := utf8.RuneLen(r)
		if space {
			n++
		}
		if b.Len()+n > limit {
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isClean reports whether Clean would leave s as it is, for the ASCII that nearly all of what devices
// report is; false where that is not plain to see.
func isClean(s string, limit int) bool {
	if len(s) > limit || s == "" {
		return s == ""
	}
	space := true // at the beginning, or after another
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' && space, c < ' ', c > '~':
			return false
		default:
			space = c == ' '
		}
	}
	return !space
}

// isInvisible: marks that change how the text around them is read without being seen. The
// joiners U+200C and U+200D stay, whole scripts need them.
func isInvisible(r rune) bool {
	switch {
	case r == 0x200b, r == 0x200e, r == 0x200f, r == 0xfeff, r == 0x061c,
		r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r >= 0xfff9 && r <= 0xfffb,
		r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}
