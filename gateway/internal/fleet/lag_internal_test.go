package fleet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestLag leaves the machine to devices for as long as they were told to come, and not for ever.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []bool
		f := &Fleet{cfg: Config{Rush: func(on bool) { told = append(told, on) }}}
		if f.Lag() != 0 {
			t.Error("work waits for nothing")
		}
		f.Expect(time.Now().Add(time.Minute))
		f.Expect(time.Now().Add(time.Second))
		if lag := f.Lag(); lag != time.Minute+afterwards {
			t.Errorf("work waits for %v, the last comes in a minute", lag)
		}
		f.Expect(time.Now().Add(time.Hour))
		if lag := f.Lag(); lag != longestLag {
			t.Errorf("work waits for %v, at most %v", lag, longestLag)
		}
		began := time.Now()
		if !f.letPass(t.Context()) {
			t.Error("told to stop")
		}
		if waited := time.Since(began); waited != longestLag {
			t.Errorf("work waited for %v", waited)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if !slices.Equal(told, []bool{true, false}) {
			t.Errorf("told of a rush: %v", told)
		}
		f.Expect(time.Now())
		<-time.After(2 * afterwards)
		synctest.Wait()
		if !slices.Equal(told, []bool{true, false, true, false}) {
			t.Errorf("told of another rush: %v", told)
		}
	})
}
