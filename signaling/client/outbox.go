package client

import (
	"slices"
	"sync"
	"time"

	"handrail/signaling"
)

// keepSent is how long a sent message that must not be lost is kept to be sent again: a
// cut is noticed by then.
const keepSent = 40 * time.Second

// waiting is a message and when it was queued.
type waiting struct {
	env  signaling.Envelope
	at   time.Time // queued
	sent time.Time // zero while it waits
}

// outbox holds what waits for the link, and for a while what just left. It is safe for
// concurrent use.
type outbox struct {
	limit int
	ready chan struct{} // has a token when there may be work

	mu    sync.Mutex
	queue []waiting
	past  []waiting // sent and durable, oldest first
	stop  error     // the writer should end the link for this reason
}

// isDurable reports whether a message must reach the gateway even when a link dies under it.
func isDurable(t signaling.Type) bool {
	return t == signaling.TypeSessionEvent || t == signaling.TypeSessionConsent
}

func (o *outbox) add(e signaling.Envelope) error {
	defer o.poke()
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	if len(o.queue) >= o.limit {
		err = ErrQueueFull
		i := slices.IndexFunc(o.queue, func(w waiting) bool { return !isDurable(w.env.Type) })
		o.queue = slices.Delete(o.queue, max(i, 0), max(i, 0)+1)
	}
	o.queue = append(o.queue, waiting{env: e, at: time.Now()})
	return err
}

func (o *outbox) poke() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// interrupt makes the writer end the link.
func (o *outbox) interrupt(err error) {
	o.mu.Lock()
	o.stop = err
	o.mu.Unlock()
	o.poke()
}

// begin prepares for a new link: what left shortly before the old one died goes first.
func (o *outbox) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stop = nil
	again := slices.DeleteFunc(o.past, func(w waiting) bool { return time.Since(w.sent) > keepSent })
	o.queue = append(slices.Clip(again), o.queue...)
	o.past = nil
	o.poke()
}

// take removes the oldest message; ok is false when there is none. The caller gives it to
// sent or to putBack.
func (o *outbox) take() (w waiting, ok bool, stop error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stop != nil || len(o.queue) == 0 {
		return w, false, o.stop
	}
	w = o.queue[0]
	o.queue = o.queue[1:]
	if len(o.queue) == 0 {
		o.queue = nil
	}
	return w, true, nil
}

// dated is the message with the time it waited added to its age, where it carries one.
func (w waiting) dated() signaling.Envelope {
	e := w.env
	if ev, ok := e.Body.(signaling.SessionEvent); ok {
		ev.AgoMS += time.Since(w.at).Milliseconds()
		e.Body = ev
	}
	return e
}

func (o *outbox) putBack(w waiting) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append([]waiting{w}, o.queue...)
}

func (o *outbox) sent(w waiting) {
	if !isDurable(w.env.Type) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	w.sent = time.Now()
	o.past = slices.DeleteFunc(append(o.past, w), func(w waiting) bool { return time.Since(w.sent) > keepSent })
	if extra := len(o.past) - o.limit; extra > 0 {
		o.past = slices.Delete(o.past, 0, extra)
	}
}
