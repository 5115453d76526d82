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

// storm is devices that come at once: with uploads, each told when its turn is, or to fetch what changed.
type storm struct {
	mu    sync.Mutex
	since time.Time
	until time.Time
	rush  bool        // as Config.Rush was told last
	calm  *time.Timer // runs while rush is set
}

// Expect says that many devices come until a moment: each was told when to send its inventory, or all
// to fetch a policy's change. What they leave behind, here and in rooms that ask Lag, is then done
// after them: for all at once it costs a fraction of what it does one by one.
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
	if s.calm == nil {
		s.calm = time.AfterFunc(time.Until(s.until), f.calm)
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
	return ctx.Err() == nil
}

// calm tells that the rush is over, or looks again when it is.
func (f *Fleet) calm() {
	s := &f.storm
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := time.Until(s.until); left > 0 {
		s.calm.Reset(left)
		return
	}
	s.calm, s.rush = nil, false
	f.cfg.Rush(false)
}
