package fleet

import (
	"context"
	"sync"
	"time"
)

// longestLag is how long what uploads leave behind may wait while more come in.
const longestLag = 90 * time.Second

// afterwards is how long after the last turn that was given the uploads are taken to be over:
// who came too early is given another, and work on the whole fleet's software holds them all up.
const afterwards = 5 * time.Second

// storm is uploads that come at once, each told when its turn is.
type storm struct {
	mu    sync.Mutex
	since time.Time
	until time.Time
	rush  bool // as Config.Rush was told last
}

// Expect says that a device was told to send its inventory at a moment, as others come first.
// What uploads leave behind, here and in rooms that ask Lag, is then done after them: for all at
// once it costs a fraction of what it does one by one.
func (f *Fleet) Expect(at time.Time) {
	s := &f.storm
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.until.Before(now) {
		s.since = now
	}
	if !s.rush {
		s.rush = true
		f.cfg.Rush(true)
	}
	if over := at.Add(afterwards); over.After(s.until) {
		s.until = over
	}
}

// Lag returns for how long work that can wait is to leave the machine to uploads: 0 for not at
// all, and never for more than a minute and a half from the first that was told to come later.
func (f *Fleet) Lag() time.Duration {
	s := &f.storm
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.until
	if last := s.since.Add(longestLag); last.Before(until) {
		until = last
	}
	return max(time.Until(until), 0)
}

// letPass waits for as long as Lag says; false when ctx ended.
func (f *Fleet) letPass(ctx context.Context) bool {
	for lag := f.Lag(); lag > 0; lag = f.Lag() {
		pause := time.NewTimer(lag)
		select {
		case <-ctx.Done():
			pause.Stop()
			return false
		case <-pause.C:
		}
	}
	f.calm()
	return ctx.Err() == nil
}

func (f *Fleet) calm() {
	s := &f.storm
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rush && s.until.Before(time.Now()) {
		s.rush = false
		f.cfg.Rush(false)
	}
}
