package api

import (
	"testing"
	"time"
)

// TestTurnstile lets in as many as will be through within a second, and gives the others turns
// one after the other.
func TestTurnstile(t *testing.T) {
	s := newTurnstile()
	s.pace = 100 * time.Millisecond
	now := time.Now()
	var leaves []func()
	for {
		leave, wait := s.enter(now)
		if wait > 0 {
			if wait < inventoryLeast {
				t.Errorf("the first turned away comes back in %v", wait)
			}
			break
		}
		leaves = append(leaves, leave)
	}
	if want := inventoryRoom + 10; len(leaves) != want {
		t.Errorf("%d were let in, want %d: some in any case, and ten for a second of it", len(leaves), want)
	}
	var last time.Duration
	for range 1000 {
		_, wait := s.enter(now)
		if wait-last < inventorySpread && last > 0 {
			t.Fatalf("turns %v and %v are too close", last, wait)
		}
		last = wait
	}
	if last < 4*time.Second || last > 5*time.Second {
		t.Errorf("the thousandth turn is in %v, want some 4.5 s", last)
	}
	for _, leave := range leaves {
		leave()
	}
	for range 2 * inventoryReaders {
		done, err := s.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done()
		done() // it was small, and is written
	}
	if _, wait := s.enter(now); wait != 0 {
		t.Errorf("an empty room turns away for %v", wait)
	}
}

// TestTurns: who asks while nothing goes on comes at once; a fleet that asks comes one after the
// other, and who asks after that is through is not kept waiting for it.
func TestTurns(t *testing.T) {
	s := newTurnstile()
	s.pace = time.Millisecond
	now := time.Now()
	if wait := s.turn(now); wait != 0 {
		t.Errorf("the first waits for %v", wait)
	}
	var last time.Duration
	for range 10_000 {
		wait := s.turn(now)
		if wait < last {
			t.Fatalf("a turn in %v was given after one in %v", wait, last)
		}
		last = wait
	}
	if want := 10_000 * inventoryUploads * s.pace; last != want {
		t.Errorf("the last of a fleet comes in %v, want %v", last, want)
	}
	if wait := s.turn(now.Add(last + time.Second)); wait != 0 {
		t.Errorf("after the fleet one waits for %v", wait)
	}
	s.pace = time.Hour
	now = now.Add(time.Hour)
	s.turn(now)
	for range 1000 {
		last = s.turn(now)
	}
	if want := 1000 * inventorySpread; last != want {
		t.Errorf("on a slow gateway the thousandth comes in %v, want %v: turns are never far apart", last, want)
	}
}
