// Package picture turns the display into video for viewers: it looks when something was
// drawn, reads and converts only what was, encodes it once for each monitor and tier, and
// hands the result to every watcher of it. A still screen costs nothing: no polling, no
// frames, but for one late pass that sharpens what was sent coarsely.
//
// It outlives the display: without one it says so and waits for it to come. It is called by
// the daemon, which connects it to package session; it knows nothing of WebRTC.
//
// One goroutine, Run's, does all the work. Lock order: Picture.mu, then nothing;
// Watcher.sinking is held while its sink runs, and never together with Picture.mu.
package picture

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"handrail/agent/internal/codec"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/screen"
	"handrail/signaling"
)

// ErrStopped is returned by Watch and Probe when Run has returned.
var ErrStopped = errors.New("picture has stopped")

// Config says which display to show. The zero value shows $DISPLAY.
type Config struct {
	Screen screen.Config

	// Open opens the display; nil means screen.Open with Screen.
	Open func() (screen.Source, error)

	// Encoder makes encoders; nil means codec.New.
	Encoder func(codec.Config) (codec.Encoder, error)

	// OnState is told when the picture comes or goes, and first of all what it is; calls
	// come one at a time, from Run's goroutine. nil: nobody is told.
	OnState func(State)

	// Linger is how long display and encoders are kept warm when nobody watches any more;
	// 0 means 20 s.
	Linger time.Duration
}

// State is whether there is a picture.
type State struct {
	Picture signaling.PictureState // PictureOK, PictureNoDisplay or PictureFailed
	Message string                 // what is wrong, in words; "" when OK
}

// Timings say where a picture's time went.
type Timings struct {
	Queue   time.Duration // from the display's word that something was drawn, to the capture
	Capture time.Duration // reading pixels
	Convert time.Duration // to YUV
	Encode  time.Duration
}

// Encoded is one picture for one watcher.
type Encoded struct {
	Data          []byte    // VP8; valid until the sink returns
	Key           bool      // readable without the pictures before
	Sharpen       bool      // a late pass over a picture at rest
	Captured      time.Time // just before the pixels were read
	InputSeq      uint32    // what WatchConfig.InputSeq said just before that
	Width, Height int       // pixels
	Quantizer     int       // 0 (best) to 127
	Timings       Timings
}

// WatchConfig says what a watcher wants. Sink is needed.
type WatchConfig struct {
	Monitor uint8  // 0 is the whole desktop
	Tier    string // the viewer's wish, as in signaling.PictureTier; "" means "auto"

	// Sink gets every picture, one call at a time, the first a key picture. It must return
	// at once, copying what it keeps, and must not call Close.
	Sink func(Encoded)

	// Ready is asked before each picture: false while the viewer cannot take another. Then
	// it gets none, others go on, and it goes on with a key picture if it missed one. nil:
	// always ready.
	Ready func() bool

	// InputSeq says the newest input frame of this viewer that was injected. nil: none.
	InputSeq func() uint32
}

// Picture is the display as video. Its methods may be called from any goroutine.
type Picture struct {
	cfg  Config
	log  *slog.Logger
	wake chan struct{} // capacity 1: something below changed

	mu       sync.Mutex
	watchers []*Watcher
	monitors []signaling.Monitor // from SetMonitors; nil: the display's own
	changed  bool                // watchers or monitors
	probes   []chan error
	stopped  bool
}

// New checks the configuration; it starts nothing.
func New(cfg Config, log *slog.Logger) (*Picture, error) {
	if cfg.Linger == 0 {
		cfg.Linger = 20 * time.Second
	}
	if cfg.Encoder == nil {
		cfg.Encoder = codec.New
	}
	if cfg.Open == nil {
		cfg.Open = func() (screen.Source, error) { return screen.Open(cfg.Screen, log) }
	}
	return &Picture{cfg: cfg, log: log, wake: make(chan struct{}, 1)}, nil
}

// Watch starts a watcher. It does not wait for a display: the first picture comes when
// there is one. It returns ErrStopped after Run has returned.
func (p *Picture) Watch(cfg WatchConfig) (*Watcher, error) {
	if cfg.Sink == nil {
		return nil, errors.New("a watcher needs a sink")
	}
	w := &Watcher{p: p, cfg: cfg, monitor: cfg.Monitor, pacer: pace.New(), needKey: true}
	w.pacer.Prefer(cfg.Tier)
	w.target = w.pacer.Target()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil, ErrStopped
	}
	p.watchers = append(p.watchers, w)
	p.touch()
	return w, nil
}

// SetMonitors names the monitors by the ids that SelectMonitor takes. Until it is called
// they are numbered from 1 in the display's own order.
func (p *Picture) SetMonitors(m []signaling.Monitor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.monitors = append([]signaling.Monitor{}, m...)
	p.touch()
}

// Probe opens the display if need be and reads one whole picture, so that a session may
// count as live. It returns what is wrong: screen.ErrNoDisplay among others, ErrStopped, or
// the error of ctx. Run must be running.
func (p *Picture) Probe(ctx context.Context) error {
	done := make(chan error, 1)
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return ErrStopped
	}
	p.probes = append(p.probes, done)
	p.touch()
	p.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// touch makes Run look at the watchers again; p.mu is held.
func (p *Picture) touch() {
	p.changed = true
	p.nudge()
}

func (p *Picture) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Watcher is one viewer's picture. Its methods may be called from any goroutine.
type Watcher struct {
	p   *Picture
	cfg WatchConfig

	// Guarded by Picture.mu.
	monitor uint8
	pacer   *pace.Pacer
	target  pace.Target
	needKey bool // the viewer asked, or sees something new
	closed  bool

	// Run's own.
	stream *stream
	joined bool // it has had a key picture of stream
	missed bool // it was not ready for a picture since its last key picture
	seq    uint32

	sinking sync.Mutex // held while the sink runs
	gone    bool       // guarded by sinking: Close has returned
}

// SelectMonitor shows another monitor, 0 for the whole desktop, from a key picture on. A
// monitor that is not there shows as the whole desktop until it is.
func (w *Watcher) SelectMonitor(monitor uint8) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.monitor != monitor {
		w.monitor = monitor
		w.p.touch()
	}
}

// SetTier sets the viewer's wish, as in signaling.PictureTier.
func (w *Watcher) SetTier(wish string) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.pacer.Prefer(wish)
	w.aim(w.pacer.Target())
}

// SetNetwork tells what is known of the way to the viewer.
func (w *Watcher) SetNetwork(n pace.Network) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.aim(w.pacer.Observe(time.Now(), n))
}

// SetTarget sets what the viewer gets, for callers that pace it themselves.
func (w *Watcher) SetTarget(t pace.Target) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.aim(t)
}

// Target is what the viewer gets now.
func (w *Watcher) Target() pace.Target {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.target
}

func (w *Watcher) aim(t pace.Target) {
	if t != w.target {
		w.target = t
		w.p.touch()
	}
}

// RequestKeyframe asks for a key picture, because the viewer lost one. Requests that come
// faster than two a second are answered by one.
func (w *Watcher) RequestKeyframe() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.needKey = true
	w.p.touch()
}

// Wake tells that Ready may be true again; without it Picture asks again within 15 ms.
func (w *Watcher) Wake() { w.p.nudge() }

// Close ends the watcher. The sink is not called again once it has returned.
func (w *Watcher) Close() {
	p := w.p
	p.mu.Lock()
	for i, o := range p.watchers {
		if o == w {
			p.watchers = append(p.watchers[:i:i], p.watchers[i+1:]...)
			break
		}
	}
	w.closed = true
	p.touch()
	p.mu.Unlock()
	w.sinking.Lock()
	w.gone = true
	w.sinking.Unlock()
}

// give hands a picture to the sink, unless the watcher was closed.
func (w *Watcher) give(e Encoded) {
	w.sinking.Lock()
	defer w.sinking.Unlock()
	if !w.gone {
		w.cfg.Sink(e)
	}
}
