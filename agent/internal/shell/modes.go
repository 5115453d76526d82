package shell

import (
	"bytes"
	"slices"
	"strconv"
)

// modes is how programs left a terminal that matters to what it shows later: the DEC private modes
// they set (xterm's control sequences, CSI ? Pm h and l), as the alternate screen of an editor, the
// mouse, bracketed paste. It reads a stream in pieces that end anywhere.
type modes struct {
	set   []int  // in the order they were set, those that are not on in a new terminal
	unset []int  // those that are on in a new terminal, and off here
	rest  []byte // the beginning of a sequence whose end has not come
}

// onAtFirst are the modes of a new terminal that are on: wraparound and the cursor.
var onAtFirst = []int{7, 25}

// maxSequence bounds a sequence that is looked at: longer ones set no modes.
const maxSequence = 64

// read takes the next piece.
func (m *modes) read(b []byte) {
	if len(m.rest) > 0 {
		b = append(m.rest, b...)
		m.rest = nil
	}
	for {
		i := bytes.IndexByte(b, 0x1b)
		if i < 0 {
			return
		}
		b = b[i:]
		n, whole := m.sequence(b[:min(len(b), maxSequence)])
		if !whole && len(b) < maxSequence {
			m.rest = bytes.Clone(b)
			return
		}
		b = b[n:]
	}
}

// sequence reads one that begins at b[0] and returns how long it is; whole is false where its end
// is not in b.
func (m *modes) sequence(b []byte) (n int, whole bool) {
	if len(b) < 2 {
		return 1, false
	}
	switch b[1] {
	case 'c': // RIS
		m.set, m.unset = nil, nil
		return 2, true
	case '[':
	default:
		return 1, true
	}
	if len(b) < 3 {
		return 1, false
	}
	if b[2] != '?' {
		return 2, true
	}
	for i := 3; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9', c == ';':
			continue
		case c == 'h' || c == 'l':
			m.apply(b[3:i], c == 'h')
			return i + 1, true
		default:
			return i, true
		}
	}
	return 1, false
}

func (m *modes) apply(params []byte, on bool) {
	for p := range bytes.SplitSeq(params, []byte{';'}) {
		n, err := strconv.Atoi(string(p))
		if err != nil || n > 9999 {
			continue
		}
		list, put := &m.set, on
		if slices.Contains(onAtFirst, n) {
			list, put = &m.unset, !on
		}
		*list = slices.DeleteFunc(*list, func(k int) bool { return k == n })
		if put && len(*list) < 64 {
			*list = append(*list, n)
		}
	}
}

// alternate reports whether a program has the whole screen, and paints it itself.
func (m *modes) alternate() bool {
	return slices.ContainsFunc(m.set, func(n int) bool { return n == 47 || n == 1047 || n == 1049 })
}

// restore is what brings a new terminal to these modes.
func (m *modes) restore() []byte {
	var b []byte
	put := func(list []int, c byte) {
		for _, n := range list {
			b = append(b, "\x1b[?"...)
			b = append(strconv.AppendInt(b, int64(n), 10), c)
		}
	}
	put(m.set, 'h')
	put(m.unset, 'l')
	return b
}
