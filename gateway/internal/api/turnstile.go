package api

import (
	"context"
	"sync"
	"time"
)

// Bounds on taking inventories. A whole fleet may come at once, after an update of the
// agent or the loss of a database: each device is then told when its turn is.
const (
	inventoryReaders  = 4                      // read at a time; one that is larger than usual is among them until it is written
	inventoryUsual    = 1 << 20                // bytes of sections
	inventoryRoom     = 24                     // inside, however slow the gateway is
	inventoryInside   = 96                     // that send, are read or are written: what comes together is written together
	inventoryWithin   = 20 * time.Second       // for a body to come in
	inventoryPace     = 2 * time.Millisecond   // between two, before anything was measured
	inventorySpread   = 4 * time.Millisecond   // between two turns, at most: better some come too early than that nobody does
	inventoryPatience = time.Second            // that those inside take, about
	inventoryLeast    = 500 * time.Millisecond // to wait, at least, for who came without a turn
	inventorySoon     = 100 * time.Millisecond // to a turn that is as good as now
	inventoryUploads  = 2                      // of a device in its turn: what it has, and what is missing of that
)

// turnstile gives each device that asks a moment of its own, about as far away as those before it
// will take, and lets in those that come. Of those who come too early, or never asked, it
// lets a few in and tells the rest when to come back. Turns are never far apart: a pace that was
// measured on a busy machine is too slow. Of those inside fewer still are read at a time, as what is
// read is held in memory.
type turnstile struct {
	readers chan struct{}

	mu      sync.Mutex
	inside  int
	working int           // of those inside: their body has come in
	pace    time.Duration // one leaves every
	next    time.Time     // the first moment that is given to nobody
}

func newTurnstile() *turnstile {
	return &turnstile{readers: make(chan struct{}, inventoryReaders), pace: inventoryPace}
}

// turn takes the next moment that is nobody's, and returns how far away it is.
func (t *turnstile) turn(now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next.Before(now) {
		t.next = now
	}
	if wait = t.next.Sub(now); wait < inventorySoon {
		wait = 0
	}
	t.next = t.next.Add(min(inventoryUploads*t.pace, inventorySpread))
	return wait
}

// enter returns leave, to be called once at the end, or how long to stay away.
func (t *turnstile) enter(now time.Time) (leave func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := min(inventoryInside, inventoryRoom+int(inventoryPatience/max(t.pace, time.Microsecond)))
	if t.inside >= room {
		if floor := now.Add(inventoryLeast); t.next.Before(floor) {
			t.next = floor
		}
		t.next = t.next.Add(min(t.pace, inventorySpread))
		return nil, t.next.Sub(now)
	}
	t.inside++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.inside--
	}, 0
}

// work begins when a body has come in, as a slow line says nothing of the gateway; finish is called once.
func (t *turnstile) work() (finish func()) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.working++
	return func() {
		took := time.Since(began)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.pace += (took/time.Duration(t.working) - t.pace) / 16 // Little's law
		t.working--
	}
}

// read waits for a place among those that are read; done gives it back, and may be called twice.
func (t *turnstile) read(ctx context.Context) (done func(), err error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case t.readers <- struct{}{}:
	}
	return sync.OnceFunc(func() { <-t.readers }), nil
}
