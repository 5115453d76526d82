package auth

import (
	"sync"
	"time"
)

// limiter slows down repeated failures by key: the first few are free, then each doubles
// the wait, up to a limit. It lives in memory: a restart forgives, and each node counts for
// itself.
type limiter struct {
	now  func() time.Time
	free int           // failures before the first wait
	most time.Duration // longest wait

	mu   sync.Mutex
	keys map[string]*failures
}

type failures struct {
	count int
	until time.Time // no attempt before
	last  time.Time
}

// maxKeys bounds the memory a flood of addresses can take; about 10 MB.
const maxKeys = 50_000

// forgetAfter: failures this old no longer count.
const forgetAfter = 30 * time.Minute

func newLimiter(now func() time.Time, free int, most time.Duration) *limiter {
	return &limiter{now: now, free: free, most: most, keys: map[string]*failures{}}
}

// begin counts an attempt as failed, until succeed or forgive says otherwise. It returns 0,
// or how long to wait; a refused attempt is not counted.
func (l *limiter) begin(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	f := l.keys[key]
	if f == nil || now.Sub(f.last) > forgetAfter {
		if len(l.keys) >= maxKeys {
			l.prune(now)
		}
		f = &failures{}
		l.keys[key] = f
	}
	if wait := f.until.Sub(now); wait > 0 {
		return wait
	}
	f.count++
	f.last = now
	if over := f.count - l.free; over >= 0 {
		f.until = now.Add(min(time.Second<<min(over, 20), l.most))
	}
	return 0
}

// wait returns how long attempts of the key are refused; 0: they are not. It counts nothing.
func (l *limiter) wait(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.keys[key]; f != nil {
		return max(f.until.Sub(l.now()), 0)
	}
	return 0
}

// succeed forgets a key's failures.
func (l *limiter) succeed(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
}

// forgive takes back one attempt, keeping older failures.
func (l *limiter) forgive(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.keys[key]
	if f == nil {
		return
	}
	f.count--
	if f.count < l.free {
		f.until = time.Time{}
	}
	if f.count <= 0 {
		delete(l.keys, key)
	}
}

// prune drops what no longer counts, and everything when that is not enough.
func (l *limiter) prune(now time.Time) {
	for k, f := range l.keys {
		if now.Sub(f.last) > forgetAfter {
			delete(l.keys, k)
		}
	}
	if len(l.keys) >= maxKeys {
		clear(l.keys)
	}
}
