package journal

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"handrail/signaling"
)

// FuzzParse: whoever may write to a log chooses what is in it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"MESSAGE":[104,105,255],"PRIORITY":"3","_PID":"7","__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795489830108186","UNIT":["a","b"]}`))
	f.Add([]byte("<6>Nov 24 03:00:00 pc cupsd[7]: \x1b]0;x\x07"))
	f.Add([]byte(`6,1,2,-;a\x0ab`))
	f.Add([]byte(" -1 2a55840f49d34ef496fbf6ca5fc1bb3b Mon 2026-11-23 10:00:00 UTC—Tue 2026-11-24 03:00:00 UTC"))
	f.Fuzz(func(t *testing.T, b []byte) {
		one, _, _ := parseEntry(b)
		two := parseLine(b, time.Unix(0, 0))
		_, three, _ := parseRecord(string(b))
		for _, l := range []string{one.Text, two.Text, three.Text} {
			if !utf8.ValidString(l) || len(l) > 3*maxText {
				t.Errorf("%q", l)
			}
		}
		_, _ = parseBoot(string(b))
	})
}

func TestParseBoot(t *testing.T) {
	b, ok := parseBoot(" -1 2a55840f49d34ef496fbf6ca5fc1bb3b Mon 2026-11-23 10:00:00 UTC—Tue 2026-11-24 03:00:00 UTC\n")
	if !ok || b.FirstMS != 1795428000000 || b.LastMS != 1795489200000 {
		t.Errorf("parseBoot = %+v, %t", b, ok)
	}
}

// TestKernel: the buffer of the machine's own kernel.
func TestKernel(t *testing.T) {
	lines, err := Kernel()
	if os.IsPermission(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Priority < 0 || l.Priority > 7 || l.TimeMS > time.Now().Add(time.Minute).UnixMilli() {
			t.Errorf("line %+v", l)
		}
	}
}

// TestFeed: what finds no room is counted, and the newest are kept.
func TestFeed(t *testing.T) {
	var f feed
	for i := range 3 * maxPending {
		f.add(signaling.JournalLine{PID: int64(i), Text: "text"})
	}
	told, dropped := 0, int64(0)
	for next := int64(2 * maxPending); ; {
		lines, n := f.take()
		if dropped += n; len(lines) == 0 {
			break
		}
		for _, l := range lines {
			if l.PID != next {
				t.Fatalf("line %d comes where %d should", l.PID, next)
			}
			next++
		}
		told += len(lines)
	}
	if told != maxPending || dropped != 2*maxPending {
		t.Errorf("%d told and %d dropped", told, dropped)
	}
	big := signaling.JournalLine{Text: strings.Repeat("<", maxText)}
	for range 2 * maxWaiting / maxText {
		f.add(big)
	}
	if len(f.lines) > maxWaiting/maxText {
		t.Errorf("%d bytes wait", f.bytes)
	}
	if lines, _ := f.take(); len(lines) != 1 {
		t.Errorf("%d lines of six times their length in one message", len(lines))
	}
}
