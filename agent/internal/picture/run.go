package picture

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"handrail/agent/internal/codec"
	"handrail/agent/internal/screen"
	"handrail/signaling"
)

// Without a display it is tried again so often, less and less.
const (
	reopenFirst = 100 * time.Millisecond
	reopenMost  = 2 * time.Second
)

// Run makes pictures until ctx ends. A display that is not there, or goes away, is waited
// for; Run only returns the error of ctx.
func (p *Picture) Run(ctx context.Context) error {
	r := &runner{p: p, timer: time.NewTimer(time.Hour)}
	defer r.stop()
	for {
		next := r.step(time.Now())
		r.timer.Stop()
		var alarm <-chan time.Time
		if !next.IsZero() {
			r.timer.Reset(max(0, time.Until(next)))
			alarm = r.timer.C
		}
		var changed <-chan struct{}
		if r.d != nil && r.watched {
			changed = r.d.src.Changed()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
		case <-alarm:
		case <-changed:
			if !r.d.dirty {
				r.d.dirty, r.d.since = true, time.Now()
			}
		}
	}
}

// runner is the state of Run.
type runner struct {
	p       *Picture
	d       *display // nil: no display is open
	timer   *time.Timer
	state   State
	watched bool // somebody watches

	reopenAt   time.Time // not before, when d is nil
	reopenWait time.Duration
	idleAt     time.Time // since when nobody watches; zero: somebody does
	probes     []chan error
	group      sync.WaitGroup
}

func (r *runner) stop() {
	if r.d != nil {
		r.d.close()
	}
	r.timer.Stop()
	p := r.p
	p.mu.Lock()
	p.stopped = true
	probes := append(r.probes, p.probes...)
	p.probes = nil
	p.mu.Unlock()
	for _, done := range probes {
		done <- ErrStopped
	}
}

// step does all there is to do now, and returns when to be called again at the latest;
// zero is when something happens.
func (r *runner) step(now time.Time) time.Time {
	p := r.p
	p.mu.Lock()
	r.probes = append(r.probes, p.probes...)
	p.probes = nil
	r.watched = len(p.watchers) > 0
	p.mu.Unlock()

	if !r.watched && len(r.probes) == 0 {
		return r.idle(now)
	}
	r.idleAt = time.Time{}
	if r.d == nil {
		if len(r.probes) == 0 && now.Before(r.reopenAt) {
			return r.reopenAt
		}
		if err := r.open(); err != nil {
			r.answerProbes(err)
			r.reopenWait = min(max(reopenFirst, 2*r.reopenWait), reopenMost)
			r.reopenAt = now.Add(r.reopenWait)
			return r.reopenAt
		}
	}
	next, err := r.work(now)
	if err == nil {
		r.answerProbes(nil)
		return next
	}
	return r.fault(now, err)
}

// idle lets display and encoders go when nobody has watched for a while.
func (r *runner) idle(now time.Time) time.Time {
	if r.d == nil {
		return time.Time{}
	}
	if r.idleAt.IsZero() {
		r.d.dirty = true // nobody listens to Changed from now on
		r.idleAt = now
		_ = r.assign() // nobody watches: no encoder is opened that could fail
	}
	end := r.idleAt.Add(r.p.cfg.Linger)
	if now.Before(end) {
		return end
	}
	r.shut()
	return time.Time{}
}

func (r *runner) open() error {
	src, err := r.p.cfg.Open()
	if err != nil {
		if errors.Is(err, screen.ErrNoDisplay) {
			r.tell(State{signaling.PictureNoDisplay, err.Error()})
		} else {
			r.tell(State{signaling.PictureFailed, err.Error()})
		}
		return err
	}
	r.reopenWait, r.reopenAt = 0, time.Time{}
	r.d = &display{p: r.p, src: src, dirty: true}
	r.p.mu.Lock()
	r.p.changed = true
	r.p.mu.Unlock()
	return nil
}

func (r *runner) shut() {
	if r.d != nil {
		r.d.close()
		r.d = nil
	}
}

// tell reports a state that is news.
func (r *runner) tell(s State) {
	if s == r.state {
		return
	}
	r.state = s
	if s.Picture == signaling.PictureOK {
		r.p.log.Info("picture is there")
	} else {
		r.p.log.Warn("no picture", "state", string(s.Picture), "reason", s.Message)
	}
	if r.p.cfg.OnState != nil {
		r.p.cfg.OnState(s)
	}
}

func (r *runner) answerProbes(err error) {
	for _, done := range r.probes {
		done <- err
	}
	r.probes = r.probes[:0]
}

// fault handles what work could not do: a new layout, a display gone, an encoder broken.
func (r *runner) fault(now time.Time, err error) time.Time {
	switch {
	case errors.Is(err, screen.ErrLayoutChanged):
		r.p.mu.Lock()
		named := r.p.monitors
		r.p.changed = true
		r.p.mu.Unlock()
		r.d.reshapeAll(named)
		r.d.dirty = true
		return now
	case errors.Is(err, screen.ErrLost):
		r.tell(State{signaling.PictureNoDisplay, err.Error()})
		r.answerProbes(err)
		r.shut()
		r.reopenAt = now.Add(reopenFirst)
	default:
		r.tell(State{signaling.PictureFailed, err.Error()})
		r.answerProbes(err)
		r.shut()
		r.reopenAt = now.Add(encoderRetry)
	}
	return r.reopenAt
}

// work brings watchers to their streams, looks at the display if somebody is due, and
// encodes for all who are.
func (r *runner) work(now time.Time) (next time.Time, err error) {
	d := r.d
	if err := r.assign(); err != nil {
		return next, err
	}
	if len(r.probes) > 0 {
		if err := r.probe(); err != nil {
			return next, err
		}
	}
	d.due = d.due[:0]
	for _, v := range d.views {
		for _, s := range v.streams {
			act, again := s.choose(now, d.dirty)
			next = sooner(next, again)
			if act {
				d.due = append(d.due, s)
			}
		}
	}
	if len(d.due) == 0 {
		return next, nil
	}
	r.noteInput()
	if d.dirty {
		if err := d.take(); err != nil {
			return next, err
		}
	}
	if err := r.encode(now); err != nil {
		return next, err
	}
	d.since = time.Time{}
	r.tell(State{Picture: signaling.PictureOK})
	for _, s := range d.due { // what comes after: a hold, the next slot, the sharpening
		_, again := s.choose(now, d.dirty)
		next = sooner(next, again)
	}
	return next, nil
}

// noteInput remembers what each watcher's viewer had done before the pixels are read.
func (r *runner) noteInput() {
	for _, s := range r.d.due {
		for _, w := range s.ready {
			if w.cfg.InputSeq != nil {
				w.seq = w.cfg.InputSeq()
			}
		}
	}
}

// encode reads the views of the streams that are due, and encodes these, side by side if
// there are several.
func (r *runner) encode(now time.Time) error {
	d := r.d
	n := 0
	for _, v := range d.views {
		var inView bool
		for _, s := range d.due {
			inView = inView || s.v == v
		}
		if !inView {
			continue
		}
		if err := d.read(v); err != nil {
			return err
		}
	}
	for _, s := range d.due {
		// What was dirty may have been elsewhere on the desktop.
		if s.key || s.sharpen && s.damage.Count() == 0 || s.damage.Count() > 0 {
			s.sharpen = s.sharpen && s.damage.Count() == 0 && !s.key
			d.due[n] = s
			n++
		}
	}
	d.due = d.due[:n]
	if n == 1 {
		d.due[0].encode(now)
	} else {
		for _, s := range d.due {
			r.group.Go(func() { s.encode(now) })
		}
		r.group.Wait()
	}
	for _, s := range d.due {
		if s.fault != nil {
			return fmt.Errorf("encode %s picture of monitor %d: %w", s.tier, s.v.monitor, s.fault)
		}
	}
	return nil
}

// probe reads the whole desktop, and leaves it warm for the first viewer.
func (r *runner) probe() error {
	d := r.d
	v := d.viewOf(0, nil)
	if d.dirty {
		if err := d.take(); err != nil {
			return err
		}
	}
	if err := d.read(v); err != nil {
		return err
	}
	if len(v.streams) == 0 {
		if _, err := d.streamOf(v, 0); err != nil {
			return err
		}
	}
	r.tell(State{Picture: signaling.PictureOK})
	return nil
}

// assign brings every watcher to the stream of its monitor and tier, and sets the
// streams' rates.
func (r *runner) assign() error {
	p, d := r.p, r.d
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.changed {
		return nil
	}
	p.changed = false
	d.reshapeAll(p.monitors)
	for _, v := range d.views {
		for _, s := range v.streams {
			s.watchers = s.watchers[:0]
			s.rate = codec.Rate{}
		}
	}
	for _, w := range p.watchers {
		s, err := d.streamOf(d.viewOf(w.monitor, p.monitors), w.target.Tier)
		if err != nil {
			return err
		}
		if w.stream != s {
			w.stream, w.joined, w.missed = s, false, false
		}
		s.wantKey = s.wantKey || w.needKey
		w.needKey = false
		s.watchers = append(s.watchers, w)
		// The tier is for those who can pay for it; within it the slowest sets the bits,
		// the fastest the frames.
		if s.rate.Bps == 0 || w.target.Bps < s.rate.Bps {
			s.rate.Bps = w.target.Bps
		}
		s.rate.FPS = max(s.rate.FPS, w.target.FPS)
	}
	d.drop()
	for _, v := range d.views {
		for _, s := range v.streams {
			if len(s.watchers) > 0 {
				s.enc.SetRate(s.rate)
			}
		}
	}
	return nil
}

// drop lets views and streams go that nobody watches while others are watched; with
// nobody at all everything stays warm.
func (d *display) drop() {
	watched := 0
	for _, v := range d.views {
		for _, s := range v.streams {
			watched += len(s.watchers)
		}
	}
	if watched == 0 {
		return
	}
	views := d.views[:0]
	for _, v := range d.views {
		streams := v.streams[:0]
		for _, s := range v.streams {
			if len(s.watchers) > 0 {
				streams = append(streams, s)
			} else {
				s.enc.Close()
			}
		}
		clear(v.streams[len(streams):])
		if v.streams = streams; len(streams) > 0 {
			views = append(views, v)
		}
	}
	clear(d.views[len(views):])
	d.views = views
}
