package session

import (
	"context"
	"sync"
	"time"

	"handrail/signaling"
)

// warmFor is how long a picture is kept running for a viewer that is about to connect.
const warmFor = 10 * time.Second

// warmth is a picture begun before there is a viewer: the display is opened, the encoder
// made and the first key picture encoded while the connection is still being made. The
// first viewer takes it over; nobody else ever sees it. Lock order: warmth.mu before
// track.mu.
type warmth struct {
	cancel context.CancelFunc

	mu      sync.Mutex
	watcher Watcher
	held    *Encoded // the first key picture, our own copy
	sink    func(Encoded)
	ready   func() bool
	over    bool // taken or closed
}

// warm begins such a picture, unless there is one or there is to be none.
func (s *support) warm() {
	h := s.host
	if h.cfg.Watch == nil || s.warmth != nil || !s.granted.Has(signaling.View) || s.isPaused() {
		return
	}
	ctx, cancel := context.WithTimeout(h.ctx, warmFor)
	w := &warmth{cancel: cancel}
	s.warmth = w
	h.spawn(func() {
		defer h.post(func() {
			if s.warmth == w {
				s.warmth = nil
			}
		})
		defer cancel()
		watcher, err := h.cfg.Watch(Watch{Tier: tierAuto, Sink: w.take, Ready: w.isReady})
		if err != nil {
			h.log.Warn("no picture to show yet", "error", err)
			return
		}
		w.open(watcher)
		<-ctx.Done()
		if w.end() {
			watcher.Close()
		}
	})
}

// stopWarm ends a picture nobody has taken.
func (s *support) stopWarm() {
	if s.warmth != nil {
		s.warmth.cancel()
	}
}

func (w *warmth) open(x Watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watcher = x
}

// end reports whether the watcher is still ours to close.
func (w *warmth) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ours := !w.over
	w.over, w.held = true, nil
	return ours
}

// take is the picture's sink.
func (w *warmth) take(e Encoded) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.sink != nil:
		w.sink(e)
	case w.held == nil && e.Key && !w.over:
		own := make([]byte, len(e.Data))
		copy(own, e.Data)
		e.Data = own
		w.held = &e
	}
}

// isReady lets one picture be made before there is a viewer; what changes on the screen
// meanwhile comes as one difference to it.
func (w *warmth) isReady() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ready != nil {
		return w.ready()
	}
	return w.held == nil
}

// adopt hands the picture to a viewer's sink, with what has been made of it. It is false when
// there is none to take.
func (w *warmth) adopt(sink func(Encoded), ready func() bool) (Watcher, bool) {
	w.mu.Lock()
	if w.over || w.watcher == nil {
		w.mu.Unlock()
		return nil, false
	}
	w.over = true
	w.sink, w.ready = sink, ready
	if w.held != nil {
		sink(*w.held)
		w.held = nil
	}
	x := w.watcher
	w.mu.Unlock()
	w.cancel()
	return x, true
}
