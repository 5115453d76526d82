package inject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"handrail/signaling"
	"handrail/signaling/input"
)

// Errors of Apply. None is the end: the next frame may go well.
var (
	ErrNoDisplay = errors.New("no display to inject into") // wrapped with the reason; comes back by itself
	ErrMonitor   = errors.New("no such monitor")
	ErrBusy      = errors.New("typing is too far behind") // the frame was dropped, what its viewer held released
)

// Config says where to inject. The zero value is the display of the environment.
type Config struct {
	Display  string        // X display; "" is $DISPLAY. Ignored on Windows and macOS
	Silence  time.Duration // after so long without word of a viewer its keys are let go; 0 is 2 s, under 500 ms is refused
	Fallback bool          // Linux built with -tags robotgo: use robotgo when the server has no XKB
}

const (
	defaultSilence = 2 * time.Second
	minSilence     = 500 * time.Millisecond
	maxQueue       = 4096 // frames behind a text that is being typed
	firstRetry     = 250 * time.Millisecond
	lastRetry      = 2 * time.Second
)

// Injector injects the frames of all viewers. Its methods may be called from any
// goroutine; none waits for a program, and none for longer than the X server takes to
// read a request.
type Injector struct {
	silence time.Duration
	log     *slog.Logger
	dev     backend
	wake    chan struct{} // tells Run that a deadline may have come nearer

	mu       sync.Mutex
	down     error // why there is no display; nil while there is one
	owners   map[signaling.PeerID]*owner
	monitors []signaling.Monitor
	grips    map[grip]int           // how many owners hold each
	buttons  [input.ButtonCount]int // how many owners hold each
	queue    []queued               // waits behind a text or a new key mapping
	resume   time.Time              // when the head of the queue may go on
}

// queued is a frame that waits, with its text copied.
type queued struct {
	own   *owner
	frame input.Frame
}

// New checks cfg and starts nothing; Run connects.
func New(cfg Config, log *slog.Logger) (*Injector, error) {
	if cfg.Silence == 0 {
		cfg.Silence = defaultSilence
	}
	if cfg.Silence < minSilence {
		return nil, fmt.Errorf("silence of %v would let keys go on an ordinary network hiccup; at least %v", cfg.Silence, minSilence)
	}
	dev, err := newBackend(cfg, log)
	if err != nil {
		return nil, err
	}
	return newInjector(cfg.Silence, dev, log), nil
}

func newInjector(silence time.Duration, dev backend, log *slog.Logger) *Injector {
	return &Injector{
		silence: silence, log: log, dev: dev, wake: make(chan struct{}, 1), down: errors.New("not connected yet"),
		owners: map[signaling.PeerID]*owner{}, grips: map[grip]int{},
	}
}

// Run connects to the display, connects again when it went away, lets go of what silent
// viewers hold, and types what waits. When ctx ends it releases everything, gives spare
// keycodes back and returns nil.
func (in *Injector) Run(ctx context.Context) error {
	retry := firstRetry
	for {
		err := in.dev.open()
		if err == nil {
			retry = firstRetry
			in.setDown(nil)
			in.serve(ctx)
			in.shut()
			err = in.dev.close()
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is the way to stop
		}
		if in.setDown(err) {
			in.log.WarnContext(ctx, "no display to inject into", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
			retry = min(2*retry, lastRetry)
		}
	}
}

// setDown notes whether there is a display (nil) and reports whether that is news.
func (in *Injector) setDown(err error) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	news := (err == nil) != (in.down == nil) || in.down != nil && err != nil && in.down.Error() != err.Error()
	in.down = err
	return news
}

var errLetGo = errors.New("the connection was let go")

// shut lets go of everything and injects no more. A display that went away has taken
// every pressed key with it, and the releases come to nothing.
func (in *Injector) shut() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, own := range in.owners {
		in.releaseAll(own)
	}
	in.queue = nil
	in.down = errLetGo
}

// serve works until ctx ends or the display is lost.
func (in *Injector) serve(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next, ok := in.work(); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-in.dev.lost():
			return
		case <-in.wake:
		case <-timer.C:
		}
	}
}

// work does what is due and says when the next thing is.
func (in *Injector) work() (next time.Time, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	for len(in.queue) != 0 && !now.Before(in.resume) {
		q := &in.queue[0]
		wait, err := in.do(q.own, &q.frame)
		if err != nil {
			in.log.Debug("queued input frame dropped", "type", q.frame.Type.String(), "error", err)
		}
		if wait > 0 {
			in.resume = now.Add(wait)
			break
		}
		// do may have emptied the queue, when it ran into a lost display.
		if len(in.queue) != 0 {
			in.queue = in.queue[1:]
		}
	}
	if len(in.queue) != 0 {
		next, ok = in.resume, true
	} else {
		in.queue = nil
	}
	for _, own := range in.owners {
		if !own.holds() {
			continue
		}
		due := own.heard.Add(in.silence)
		if !now.Before(due) {
			in.log.Info("viewer fell silent, its keys are let go", "keys", len(own.keys))
			in.releaseAll(own)
			continue
		}
		if !ok || due.Before(next) {
			next, ok = due, true
		}
	}
	return next, ok
}

// poke makes Run look at the deadlines again.
func (in *Injector) poke() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// SetMonitors tells where the monitors are. Frames name them by ID; 0 is the whole
// desktop and always there. ms is copied.
func (in *Injector) SetMonitors(ms []signaling.Monitor) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.monitors = append(in.monitors[:0], ms...)
}

// LastSeq returns the sequence number of the newest frame of peer that was injected, 0
// for none.
func (in *Injector) LastSeq(peer signaling.PeerID) uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	if own := in.owners[peer]; own != nil {
		return own.injected
	}
	return 0
}

// Holds reports whether peer holds any key or button.
func (in *Injector) Holds(peer signaling.PeerID) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	own := in.owners[peer]
	return own != nil && own.holds()
}

// ReleaseAll lets go of everything peer holds and drops what it still had to type: on
// loss of control, pause, or a closed channel.
func (in *Injector) ReleaseAll(peer signaling.PeerID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if own := in.owners[peer]; own != nil {
		in.releaseAll(own)
	}
}

// Leave is ReleaseAll, and forgets peer: its next frame may begin a new count. Call it
// when a peer's connection is over, and before the first frame of a new one.
func (in *Injector) Leave(peer signaling.PeerID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if own := in.owners[peer]; own != nil {
		in.releaseAll(own)
		delete(in.owners, peer)
	}
}

// Apply injects one frame of peer at once, or, behind a text that is still being typed,
// in its turn. A Move that a newer Move, Button or Wheel has overtaken is dropped without
// an error. It does not allocate on moves. f.Text is copied when it has to wait.
func (in *Injector) Apply(peer signaling.PeerID, f input.Frame) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.down != nil {
		return fmt.Errorf("%w: %w", ErrNoDisplay, in.down)
	}
	own := in.owners[peer]
	if own == nil {
		own = &owner{}
		in.owners[peer] = own
	}
	switch f.Type {
	case input.Move:
		if !own.isNewest(f.Seq) {
			return nil
		}
	case input.Held:
		own.heard = time.Now()
		in.keepOnly(own, &f)
		return nil
	case input.ReleaseAll:
		in.releaseAll(own)
		return nil
	default:
		own.heard = time.Now()
	}
	if f.Type.IsEdge() {
		own.edge = f.Seq
	}
	if len(in.queue) != 0 {
		return in.enqueue(own, f)
	}
	wait, err := in.do(own, &f)
	if wait > 0 {
		in.resume = time.Now().Add(wait)
		return in.enqueue(own, f)
	}
	if own.holds() && f.Type != input.Move {
		in.poke()
	}
	return err
}

// enqueue puts f behind what waits. Moves replace the move before them, never an edge.
func (in *Injector) enqueue(own *owner, f input.Frame) error {
	if n := len(in.queue); n != 0 && f.Type == input.Move {
		if last := &in.queue[n-1]; last.own == own && last.frame.Type == input.Move {
			last.frame = f
			return nil
		}
	}
	if len(in.queue) >= maxQueue {
		in.releaseAll(own)
		return ErrBusy
	}
	f.Text = append([]byte(nil), f.Text...)
	in.queue = append(in.queue, queued{own, f})
	in.poke()
	return nil
}

// do injects f now. When it returns a wait, f is not done yet: call again after it, with
// nothing of the same keyboard in between. f.Text is cut to what is left.
func (in *Injector) do(own *owner, f *input.Frame) (wait time.Duration, err error) {
	switch f.Type {
	case input.Move:
		err = in.place(f)
	case input.Button:
		err = in.button(own, f)
	case input.Wheel:
		err = in.wheel(own, f)
	case input.KeyDown:
		wait, err = in.keyDown(own, f)
	case input.KeyUp:
		err = in.keyUp(own, f)
	case input.Text:
		var n int
		n, wait, err = in.dev.typeSome(f.Text)
		f.Text = f.Text[n:]
		if len(f.Text) == 0 {
			wait = 0
		}
	case input.SetLocks:
		err = in.dev.setLocks(f.Locks)
	default: // Held and ReleaseAll are done by Apply
	}
	if err == nil && wait == 0 && int32(f.Seq-own.injected) > 0 { //nolint:gosec // serial number arithmetic
		own.injected = f.Seq
	}
	return wait, err
}
