package api

import (
	"testing"
	"time"
)

// TestTurnstile lets in as many as will be through within a second, and gives the others turns
// one after the other.
func TestTurnstile(t *testing.T) {
	s := newTurnstile(2)
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
	if len(leaves) != 12 {
		t.Errorf("%d were let in, want 2 at work and 10 for a second of it", len(leaves))
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
	done, err := s.work(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done()
	if _, wait := s.enter(now); wait != 0 {
		t.Errorf("an empty room turns away for %v", wait)
	}
}
