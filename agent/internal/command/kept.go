package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"handrail/mdm/command"
)

// kept holds the beginning and the end of what is written to it, in a bounded place: a
// program that writes without end costs nothing but its own time.
type kept struct {
	mu    sync.Mutex
	limit int
	head  []byte
	tail  []byte // a ring once it is full
	next  int    // where the ring's oldest byte is
	total int64
}

func newKept(limit int) *kept { return &kept{limit: limit} }

// Write implements io.Writer; it never fails.
func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(p)
	k.total += int64(n)
	half := k.limit / 2
	if room := half - len(k.head); room > 0 {
		part := p[:min(room, len(p))]
		k.head, p = append(k.head, part...), p[len(part):]
	}
	if len(p) >= half {
		k.tail, k.next, p = append(k.tail[:0], p[len(p)-half:]...), 0, nil
	}
	if room := half - len(k.tail); room > 0 && len(p) > 0 {
		part := p[:min(room, len(p))]
		k.tail, p = append(k.tail, part...), p[len(part):]
	}
	for len(p) > 0 {
		c := copy(k.tail[k.next:], p)
		p, k.next = p[c:], (k.next+c)%half
	}
	return n, nil
}

// text returns what was kept, fit to show, and how many bytes there were.
func (k *kept) text() (string, int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	tail := string(k.tail[k.next:]) + string(k.tail[:k.next])
	if left := k.total - int64(len(k.head)) - int64(len(tail)); left > 0 {
		// The cut may go through a character.
		for i := 0; i < utf8.UTFMax && tail != "" && !utf8.RuneStart(tail[0]); i++ {
			tail = tail[1:]
		}
		head := strings.TrimRight(string(k.head), "\n")
		return command.CleanOutput(head, k.limit) + fmt.Sprintf("\n… %d bytes left out …\n", left) + command.CleanOutput(tail, k.limit), k.total
	}
	return command.CleanOutput(string(k.head)+tail, command.MaxOutput), k.total
}

// ReadFrom takes all there is of r, a large piece at a time.
func (k *kept) ReadFrom(r io.Reader) (int64, error) {
	buf := make([]byte, 64<<10)
	var n int64
	for {
		c, err := r.Read(buf)
		n += int64(c)
		_, _ = k.Write(buf[:c])
		if err != nil {
			return n, err
		}
	}
}
