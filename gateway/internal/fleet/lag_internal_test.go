package fleet

import (
	"slices"
	"testing"
	"time"
)

// TestLag leaves the machine to uploads for as long as they were told to come, and not for ever.
func TestLag(t *testing.T) {
	var told []bool
	f := &Fleet{cfg: Config{Rush: func(on bool) { told = append(told, on) }}}
	if f.Lag() != 0 {
		t.Error("work waits for nothing")
	}
	f.Expect(time.Now().Add(time.Minute))
	f.Expect(time.Now().Add(time.Second))
	if lag := f.Lag(); lag <= afterwards+time.Second || lag > time.Minute+afterwards {
		t.Errorf("work waits for %v, the last comes in a minute", lag)
	}
	f.Expect(time.Now().Add(time.Hour))
	if lag := f.Lag(); lag > longestLag {
		t.Errorf("work waits for %v, at most %v", lag, longestLag)
	}
	f.storm.since = time.Now().Add(-longestLag)
	if lag := f.Lag(); lag != 0 {
		t.Errorf("after %v work still waits for %v", longestLag, lag)
	}
	f.storm.until = time.Now().Add(-time.Second)
	if !f.letPass(t.Context()) {
		t.Error("told to stop")
	}
	if !slices.Equal(told, []bool{true, false}) {
		t.Errorf("told of a rush: %v", told)
	}
}
