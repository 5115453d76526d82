package picture

import (
	"fmt"
	"image"
	"time"

	"handrail/agent/internal/codec"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/pixel"
	"handrail/agent/internal/screen"
	"handrail/signaling"
)

const (
	// quietFrames is after how many frames' time without damage a coarse picture is sharpened.
	quietFrames = 15
	// keyInterval is between key pictures that viewers ask for; the first comes at once.
	keyInterval = 500 * time.Millisecond
	// A key typed is often drawn in two goes, the second right after the first was captured:
	// after a rest, that many pictures may come at that distance instead of the rate's.
	burstFrames = 3
	burstGap    = 8 * time.Millisecond
	// notReadyPoll is how often a watcher that was not ready is asked again while there is
	// something for it.
	notReadyPoll = 15 * time.Millisecond
	// encoderRetry is how long to wait after an encoder failed.
	encoderRetry = time.Second
	// maxPending is how many rectangles wait one by one to be read.
	maxPending = 24
)

// display is an open display and what is made of it. It belongs to Run's goroutine.
type display struct {
	p      *Picture
	src    screen.Source
	views  []*view
	dirty  bool      // Changed spoke since the last Take
	since  time.Time // when it did
	damage []image.Rectangle
	due    []*stream // streams to encode in this step
}

// view is the picture of one monitor, or of the whole desktop.
type view struct {
	d       *display
	monitor uint8
	rect    image.Rectangle // in the desktop
	frame   *pixel.I420
	pending []image.Rectangle // in the desktop, damaged and not read yet
	streams []*stream
	into    func(image.Rectangle, screen.Pixels)
	fault   error

	captured time.Time
	timings  Timings
}

// stream is a view encoded for one tier.
type stream struct {
	v        *view
	tier     pace.Tier
	enc      codec.Encoder
	damage   *codec.Blocks
	rate     codec.Rate
	watchers []*Watcher
	ready    []*Watcher // those of watchers that take the picture being made

	wantKey   bool      // somebody lost a picture
	urgentKey bool      // somebody has none yet
	keyAt     time.Time // of the last key picture
	last      time.Time // of the last picture
	credit    float64   // pictures not made since, that may be made up for
	hold      time.Time // no picture before
	quiet     time.Time // when to sharpen; zero: nothing to
	sharpen   bool      // the picture being made is a sharpening one
	key       bool      // the picture being made is to be a key picture
	fault     error
}

func (d *display) close() {
	for _, v := range d.views {
		v.close()
	}
	d.src.Close()
}

func (v *view) close() {
	for _, s := range v.streams {
		s.enc.Close()
		for _, w := range s.watchers {
			w.stream = nil
		}
	}
}

// rectOf finds what a monitor id stands for now.
func (d *display) rectOf(monitor uint8, named []signaling.Monitor) image.Rectangle {
	l := d.src.Layout()
	if monitor == 0 {
		return l.Desktop
	}
	if named != nil {
		for _, m := range named {
			r := image.Rect(int(m.X), int(m.Y), int(m.X)+int(m.Width), int(m.Y)+int(m.Height)).Intersect(l.Desktop)
			if m.ID == monitor && !r.Empty() {
				return r
			}
		}
		return l.Desktop
	}
	if int(monitor) <= len(l.Monitors) {
		return l.Monitors[monitor-1].Rect
	}
	return l.Desktop
}

// viewOf finds or makes the view of a monitor.
func (d *display) viewOf(monitor uint8, named []signaling.Monitor) *view {
	for _, v := range d.views {
		if v.monitor == monitor {
			return v
		}
	}
	v := &view{d: d, monitor: monitor}
	v.into = func(r image.Rectangle, px screen.Pixels) {
		start := time.Now()
		if err := v.frame.FromBGRX(r.Sub(v.rect.Min), px.Pix, px.Stride); err != nil {
			v.fault = err
		}
		v.timings.Convert += time.Since(start)
	}
	v.reshape(d.rectOf(monitor, named))
	d.views = append(d.views, v)
	return v
}

// reshape makes a view look at another rectangle: everything is to be read anew, and
// encoders of another size go.
func (v *view) reshape(r image.Rectangle) {
	same := v.frame != nil && r.Size() == v.rect.Size()
	v.rect = r
	v.pending = append(v.pending[:0], r)
	if same {
		for _, s := range v.streams {
			s.damage.MarkAll()
		}
		return
	}
	v.close()
	v.streams = nil
	v.frame = pixel.NewI420(r.Dx(), r.Dy())
}

// reshapeAll looks at the layout again.
func (d *display) reshapeAll(named []signaling.Monitor) {
	for _, v := range d.views {
		if r := d.rectOf(v.monitor, named); r != v.rect {
			v.reshape(r)
		}
	}
}

// streamOf finds or makes the stream of a tier.
func (d *display) streamOf(v *view, tier pace.Tier) (*stream, error) {
	for _, s := range v.streams {
		if s.tier == tier {
			return s, nil
		}
	}
	cfg := codec.Config{Width: v.rect.Dx(), Height: v.rect.Dy()}
	switch tier {
	case pace.Sharp:
		cfg.Style = codec.Sharp
	case pace.Fast:
		cfg.Style = codec.Fast
	case pace.Full, pace.Lite, pace.Saver:
	}
	enc, err := d.p.cfg.Encoder(cfg)
	if err != nil {
		return nil, fmt.Errorf("encoder for %dx%d: %w", cfg.Width, cfg.Height, err)
	}
	s := &stream{v: v, tier: tier, enc: enc, damage: codec.NewBlocks(cfg.Width, cfg.Height)}
	s.damage.MarkAll()
	v.streams = append(v.streams, s)
	return s, nil
}

// take asks the display what was drawn, and tells every view and stream.
func (d *display) take() error {
	d.dirty = false
	var err error
	if d.damage, err = d.src.Take(d.damage[:0]); err != nil {
		return err
	}
	for _, v := range d.views {
		for _, r := range d.damage {
			r = pixel.Even(r, v.rect)
			if r.Empty() {
				continue
			}
			v.await(r)
			at := r.Sub(v.rect.Min)
			for _, s := range v.streams {
				s.damage.Mark(at)
				s.quiet = time.Time{}
			}
		}
	}
	return nil
}

// await adds a rectangle to those to be read.
func (v *view) await(r image.Rectangle) {
	for _, p := range v.pending {
		if r.In(p) {
			return
		}
	}
	if len(v.pending) < maxPending {
		v.pending = append(v.pending, r)
		return
	}
	for _, p := range v.pending {
		r = r.Union(p)
	}
	v.pending = append(v.pending[:0], r)
}

// read brings a view's frame up to date.
func (d *display) read(v *view) error {
	start := time.Now()
	v.captured, v.timings, v.fault = start, Timings{}, nil
	if !d.since.IsZero() {
		v.timings.Queue = start.Sub(d.since)
	}
	if len(v.pending) == 0 {
		return nil
	}
	if err := d.src.Grab(v.pending, v.into); err != nil {
		return err
	}
	if v.fault != nil {
		return v.fault
	}
	v.pending = v.pending[:0]
	v.timings.Capture = time.Since(start) - v.timings.Convert
	return nil
}

// interval is the time between two pictures of a stream.
func (s *stream) interval() time.Duration { return time.Second / time.Duration(max(1, s.rate.FPS)) }

// next says when a stream may make its next picture.
func (s *stream) next() time.Time {
	// A tenth early: timers and damage come with jitter, and a missed slot costs a frame.
	t := s.last.Add(max(burstGap, time.Duration((1-s.credit)*float64(s.interval())*9/10)))
	if s.hold.After(t) {
		t = s.hold
	}
	return t
}

// choose decides whether the stream makes a picture now, and if not, when to look again
// (zero: when something happens). dirty tells that there is damage nobody took yet.
func (s *stream) choose(now time.Time, dirty bool) (act bool, again time.Time) {
	s.key, s.sharpen = false, false
	again = s.muster(now)
	if len(s.ready) == 0 {
		return false, again
	}
	if s.urgentKey {
		s.key = true
		return true, again
	}
	if s.wantKey {
		t := s.keyAt.Add(keyInterval)
		if !now.Before(t) {
			s.key = true
			return true, again
		}
		again = sooner(again, t)
	}
	at := s.next()
	switch {
	case dirty || s.damage.Count() > 0:
	case s.quiet.IsZero():
		return false, again
	default:
		s.sharpen = true
		if s.quiet.After(at) {
			at = s.quiet
		}
	}
	if now.Before(at) {
		return false, sooner(again, at)
	}
	return true, again
}

// sooner is the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// muster finds the watchers that take a picture now, and those among them that need a key
// picture; it returns when to ask the others again.
func (s *stream) muster(now time.Time) (again time.Time) {
	s.ready = s.ready[:0]
	for _, w := range s.watchers {
		if w.cfg.Ready != nil && !w.cfg.Ready() {
			if w.missed || !w.joined || s.damage.Count() > 0 || s.v.d.dirty {
				again = now.Add(notReadyPoll)
			}
			continue
		}
		s.ready = append(s.ready, w)
		s.urgentKey = s.urgentKey || !w.joined
		s.wantKey = s.wantKey || w.missed
	}
	return again
}

// encode makes the picture chosen and hands it out. It may run beside other streams'.
func (s *stream) encode(now time.Time) {
	start := time.Now()
	pkt, err := s.enc.Encode(s.v.frame, s.damage, codec.Request{At: s.v.captured, Key: s.key, Sharpen: s.sharpen})
	if err != nil {
		s.fault = err
		return
	}
	s.credit = min(burstFrames, s.credit+float64(now.Sub(s.last))/float64(s.interval())) - 1
	s.last, s.hold, s.quiet = now, now.Add(pkt.Hold), time.Time{}
	if pkt.Blurred {
		s.quiet = now.Add(s.interval())
		if !s.sharpen {
			s.quiet = now.Add(quietFrames * s.interval())
		}
	}
	if pkt.Key {
		s.keyAt, s.wantKey, s.urgentKey = now, false, false
	}
	if len(pkt.Data) == 0 {
		return
	}
	e := Encoded{
		Data: pkt.Data, Key: pkt.Key, Sharpen: s.sharpen, Captured: s.v.captured,
		Width: s.v.frame.Width, Height: s.v.frame.Height, Quantizer: pkt.Quantizer, Timings: s.v.timings,
	}
	e.Timings.Encode = time.Since(start)
	for _, w := range s.watchers {
		missed := w.missed || !w.joined
		w.missed = true
		for _, r := range s.ready {
			if r == w && (pkt.Key || !missed) {
				w.joined, w.missed = true, false
				e.InputSeq = w.seq
				w.give(e)
			}
		}
	}
}
