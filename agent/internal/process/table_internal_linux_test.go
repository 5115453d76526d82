package process

import (
	"os"
	"testing"
)

// FuzzParseStat: a process may have any name, and so write into what the kernel says of it.
func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("7 (a) R 1 (b)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 3 0 99 4096 12 0"))
	f.Add([]byte("7 ("))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseStat(b); ok && len(s.state) != 1 {
			t.Errorf("state %q", s.state)
		}
	})
}

func TestParseStat(t *testing.T) {
	s, ok := parseStat([]byte("7 (a) R 1 (b)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 3 0 99 4096 12 0"))
	if !ok || string(s.name) != "a) R 1 (b)" || s.state != "S" || s.parent != 1 || s.ticks != 11 || s.nice != -5 || s.threads != 3 || s.birth != 99 || s.pages != 12 {
		t.Errorf("parseStat = %+v, %t", s, ok)
	}
}
