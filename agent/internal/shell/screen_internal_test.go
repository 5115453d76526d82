package shell

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestScreenForgets(t *testing.T) {
	s := newScreen(size{80, 24})
	line := []byte(strings.Repeat("x", 99) + "\n")
	s.append([]byte("\x1b[?1049h\x1b[?25l"))
	for n := range 30_000 {
		if n == 5000 || n == 25_000 {
			s.resize(size{n, 24})
		}
		s.append(line)
	}
	if len(s.kept) > keepBytes+keepStep || len(s.kept) < keepBytes-100 || s.head() != 3_000_014 {
		t.Errorf("%d bytes are kept of %d", len(s.kept), s.head())
	}
	if !bytes.HasPrefix(s.kept, line) || !s.left.alternate() || string(s.left.restore()) != "\x1b[?1049h\x1b[?25l" {
		t.Errorf("begins with %q, behind %q", s.kept[:20], s.left.restore())
	}
	if s.sizeAt(s.tail).cols != 5000 || s.sizeAt(s.head()).cols != 25_000 {
		t.Errorf("sizes %+v", s.marks)
	}
	if b := s.from(s.marks[1].at-10, 100); len(b) != 10 {
		t.Errorf("a piece goes %d bytes past a change of size", len(b)-10)
	}
}

func TestModes(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want string
	}{
		"nothing":            {"plain \x1b[31mred\x1b[0m", ""},
		"editor":             {"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h", "\x1b[?1049h\x1b[?1h\x1b[?2004h"},
		"left again":         {"\x1b[?1049h\x1b[?1049l", ""},
		"several at once":    {"\x1b[?1002;1006h\x1b[?7;25l", "\x1b[?1002h\x1b[?1006h\x1b[?7l\x1b[?25l"},
		"cursor back":        {"\x1b[?25l\x1b[?25h", ""},
		"reset":              {"\x1b[?1049h\x1bc", ""},
		"not a mode":         {"\x1b[?6n\x1b[?99999999999h\x1b[?h", ""},
		"escape in escape":   {"\x1b[?10\x1b[?1000h", "\x1b[?1000h"},
		"too long to matter": {"\x1b[?" + strings.Repeat("1;", 100) + "1h\x1b[?1004h", "\x1b[?1004h"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 1000} {
				var m modes
				for piece := range slices.Chunk([]byte(tt.in), step) {
					m.read(piece)
				}
				if got := string(m.restore()); got != tt.want {
					t.Errorf("in pieces of %d: %q, want %q", step, got, tt.want)
				}
			}
		})
	}
}

// FuzzModes: whatever a program writes, however it is cut, is read in bounded memory.
func FuzzModes(f *testing.F) {
	f.Add([]byte("\x1b[?1049h\x1b[?1;2;3l"), 3)
	f.Add([]byte("\x1b\x1b[?[?25h\x1bc"), 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		var m modes
		for piece := range slices.Chunk(b, max(1, step)) {
			m.read(piece)
			if len(m.rest) >= maxSequence || len(m.set)+len(m.unset) > 128 {
				t.Fatalf("%d bytes and %d modes are kept", len(m.rest), len(m.set)+len(m.unset))
			}
		}
	})
}
