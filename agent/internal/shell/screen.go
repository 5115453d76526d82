package shell

import "bytes"

// What is kept of what a terminal showed, to show it again: some 10,000 full lines. It is cut
// down in steps, so that little is moved.
const (
	keepBytes = 1 << 20
	keepStep  = 256 << 10
)

// maxMarks is how many changes of size are remembered; a page that is dragged about makes many.
const maxMarks = 1024

// size of a terminal in cells.
type size struct{ cols, rows int }

// mark is where the terminal took a size.
type mark struct {
	at uint64
	size
}

// screen is what a terminal has shown, as far as it is kept: the newest bytes, the sizes it had
// meanwhile, and the modes that the bytes before left it in. Bytes are counted from the first
// there ever was. Its owner guards it.
type screen struct {
	kept  []byte
	tail  uint64 // which byte kept[0] is
	marks []mark // in order; the first is at or before the tail
	left  modes  // of everything before the tail
}

func newScreen(s size) *screen { return &screen{marks: []mark{{0, s}}} }

// head is the byte that comes next.
func (s *screen) head() uint64 { return s.tail + uint64(len(s.kept)) }

// append takes what the terminal shows.
func (s *screen) append(b []byte) {
	s.kept = append(s.kept, b...)
	if len(s.kept) >= keepBytes+keepStep {
		s.drop(len(s.kept) - keepBytes)
	}
}

// drop forgets at least n bytes: to the end of a line, where one is near, so that no character or
// escape sequence is cut in two.
func (s *screen) drop(n int) {
	if i := bytes.IndexByte(s.kept[n:min(len(s.kept), n+64<<10)], '\n'); i >= 0 {
		n += i + 1
	}
	s.left.read(s.kept[:n])
	s.kept = s.kept[:copy(s.kept, s.kept[n:])]
	s.tail += uint64(n) //nolint:gosec // positive
	for len(s.marks) > 1 && s.marks[1].at <= s.tail {
		s.marks = s.marks[1:]
	}
}

// resize notes a size from here on.
func (s *screen) resize(to size) {
	last := &s.marks[len(s.marks)-1]
	switch {
	case last.size == to:
		return
	case last.at == s.head():
		last.size = to
		return
	case len(s.marks) == maxMarks: // all there was before shows in a size it did not have, which is better than nothing
		s.marks = append(s.marks[:0], s.marks[1:]...)
	}
	s.marks = append(s.marks, mark{s.head(), to})
}

// size is the newest.
func (s *screen) size() size { return s.marks[len(s.marks)-1].size }

// sizeAt is the size the terminal had when it showed a byte.
func (s *screen) sizeAt(at uint64) size {
	now := s.marks[0].size
	for _, m := range s.marks {
		if m.at <= at {
			now = m.size
		}
	}
	return now
}

// from returns a copy of what is kept from a byte on: at most most of it, and not past a change of
// size. at must not be before the tail.
func (s *screen) from(at uint64, most int) []byte {
	end := min(s.head(), at+uint64(most)) //nolint:gosec // positive
	for _, m := range s.marks {
		if m.at > at && m.at < end {
			end = m.at
		}
	}
	return bytes.Clone(s.kept[at-s.tail : end-s.tail])
}
