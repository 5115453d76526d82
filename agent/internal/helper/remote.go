package helper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/seat"
	"handrail/signaling"
	"handrail/signaling/input"
)

// RemoteConfig says whose helper is to run, and how. Both are needed.
type RemoteConfig struct {
	// Seat says which desktop there is now.
	Seat *seat.Seat
	// Start starts a helper in a desktop and returns the connection to it. Closing that ends the
	// helper and waits for its end.
	Start func(ctx context.Context, d seat.Desktop) (io.ReadWriteCloser, error)
}

// Remote is a Screen in a helper process. It follows the seat: when another person's desktop comes
// to the front, that person's helper takes over, and the pictures go on.
type Remote struct {
	cfg  RemoteConfig
	told Told
	log  *slog.Logger

	mu       sync.Mutex
	out      *out // to the helper; nil while there is none
	watches  map[uint32]*watched
	last     uint32 // number of the newest picture
	watching bool
	down     error // why input does not arrive
}

// NewRemote starts nothing; Run does.
func NewRemote(cfg RemoteConfig, told Told, log *slog.Logger) *Remote {
	return &Remote{cfg: cfg, told: told, log: log, watches: map[uint32]*watched{}, down: errNoHelper}
}

// errNoHelper is what input is answered with while no helper runs.
var errNoHelper = errors.New("the program that shows and controls this desktop is starting")

// Pauses before a helper that ended is started again: at once when it ran well.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	ranWell    = 10 * time.Second
)

// Run keeps a helper running in whatever desktop there is, until ctx ends.
func (r *Remote) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		d, changed := r.cfg.Seat.Now()
		if d == nil {
			r.lost(errors.New(r.cfg.Seat.Why()))
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		began := time.Now()
		err := r.one(ctx, *d, changed)
		if ctx.Err() != nil {
			break
		}
		r.lost(errNoHelper)
		if time.Since(began) > ranWell || isClosed(changed) {
			pause = firstPause
		}
		r.log.Warn("desktop helper ended", "err", err, "restart_in", pause)
		select {
		case <-time.After(pause):
		case <-changed:
		case <-ctx.Done():
		}
		pause = min(2*pause, lastPause)
	}
	r.lost(errNoHelper)
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// one runs one helper to its end, or until the desktop is another.
func (r *Remote) one(ctx context.Context, d seat.Desktop, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := r.cfg.Start(ctx, d)
	if err != nil {
		return err
	}
	o := newOut()
	g, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { conn.Close() })
	r.take(o)
	g.Go(func() error { return o.run(ctx, conn) })
	g.Go(func() error { return o.watch(ctx) })
	g.Go(func() error { return r.read(conn, o) })
	g.Go(func() error {
		select {
		case <-changed:
			return errSwitched
		case <-ctx.Done():
			return nil
		}
	})
	err = g.Wait()
	conn.Close()
	return err
}

// errSwitched ends a helper whose desktop is not the one in front any more.
var errSwitched = errors.New("another desktop came to the front")

// take makes o the way to the helper, and asks it for all that is wanted.
func (r *Remote) take(o *out) {
	r.mu.Lock()
	r.out, r.down = o, nil
	if r.watching {
		o.bytes(kindWatching, 0, []byte{1})
	}
	ids := slices.Sorted(maps.Keys(r.watches))
	list := make([]*watched, len(ids))
	for i, id := range ids {
		list[i] = r.watches[id]
	}
	r.mu.Unlock()
	for _, w := range list {
		w.ask(o)
	}
}

// lost tells everybody that there is nothing to see, and why.
func (r *Remote) lost(why error) {
	r.mu.Lock()
	news := r.out != nil || r.down == nil || r.down.Error() != why.Error()
	r.out, r.down = nil, why
	r.mu.Unlock()
	if news {
		r.told.Picture(picture.State{Picture: signaling.PictureNoDisplay, Message: why.Error()})
		r.told.Desktop(why.Error())
	}
}

// read takes what the helper says.
func (r *Remote) read(conn io.Reader, o *out) error {
	in := bufio.NewReader(conn)
	var buf []byte
	for {
		k, id, body, err := readFrame(in, &buf)
		if err != nil {
			return err
		}
		if err := r.hear(o, k, id, body); err != nil {
			return err
		}
	}
}

// hear takes one frame of the helper.
func (r *Remote) hear(o *out, k kind, id uint32, body []byte) error {
	switch k {
	case kindPicture:
		e, err := decodePicture(body, time.Now())
		if err != nil {
			return err
		}
		r.mu.Lock()
		w := r.watches[id]
		r.mu.Unlock()
		if w != nil {
			w.give(e, o)
		}
	case kindState:
		p, err := decodeBody[signaling.Picture](body)
		if err != nil {
			return err
		}
		r.told.Picture(picture.State{Picture: p.State, Message: p.Message})
	case kindDesktop:
		words, err := decodeWords(body)
		if err != nil {
			return err
		}
		r.told.Desktop(words)
	case kindMonitors:
		m, err := decodeBody[signaling.Monitors](body)
		if err != nil {
			return err
		}
		r.told.Monitors(m.Monitors)
	default:
		return r.hearSmall(k, body)
	}
	return nil
}

func (r *Remote) hearSmall(k kind, body []byte) error {
	switch k {
	case kindCursor:
		c, err := decodeCursor(body)
		if err != nil {
			return err
		}
		r.told.Cursor(c)
	case kindPointer:
		x, y, err := decodePoint(body)
		if err != nil {
			return err
		}
		r.told.Pointer(x, y)
	case kindText:
		text, err := decodeText(body)
		if err != nil {
			return err
		}
		r.told.Clipboard(text)
	case kindLocal:
		r.told.LocalInput()
	case kindInjection:
		words, err := decodeWords(body)
		if err != nil {
			return err
		}
		r.mu.Lock()
		if r.down = nil; words != "" {
			r.down = errors.New(words)
		}
		r.mu.Unlock()
	default:
		return errFrame
	}
	return nil
}

// Watch starts a picture. While there is no helper it begins with the next.
func (r *Remote) Watch(c picture.WatchConfig) (Watcher, error) {
	if c.Sink == nil {
		return nil, errors.New("a watcher needs a sink")
	}
	w := &watched{r: r, cfg: c, monitor: c.Monitor, tier: c.Tier}
	r.mu.Lock()
	r.last++
	w.id = r.last
	r.watches[w.id] = w
	o := r.out
	r.mu.Unlock()
	if o != nil {
		w.ask(o)
	}
	return w, nil
}

// Apply has a frame injected.
func (r *Remote) Apply(viewer signaling.PeerID, f input.Frame) error {
	body, err := appendInput(nil, viewer, f)
	if err != nil {
		return err
	}
	return r.say(kindInput, body)
}

// say sends what is about input, and returns why the last such thing came to nothing.
func (r *Remote) say(k kind, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out != nil {
		r.out.bytes(k, 0, body)
	}
	return r.down
}

// ReleaseAll has what a viewer holds let go of. A helper that ended has let go of everything.
func (r *Remote) ReleaseAll(viewer signaling.PeerID) { _ = r.say(kindRelease, []byte(viewer)) }

// Leave has a viewer forgotten.
func (r *Remote) Leave(viewer signaling.PeerID) { _ = r.say(kindLeave, []byte(viewer)) }

// SetClipboard puts a text on the clipboard.
func (r *Remote) SetClipboard(text string) error {
	if len(text) > desktop.MaxClipboard {
		return desktop.ErrTooLarge
	}
	return r.say(kindSetText, []byte(text))
}

// Watching says whether anybody may see the desktop.
func (r *Remote) Watching(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watching = on
	b := byte(0)
	if on {
		b = 1
	}
	if r.out != nil {
		r.out.bytes(kindWatching, 0, []byte{b})
	}
}

// watched is one viewer's picture, over however many helpers.
type watched struct {
	r   *Remote
	id  uint32
	cfg picture.WatchConfig

	giving sync.Mutex // held while the sink is called

	mu      sync.Mutex
	monitor uint8
	tier    string
	network *pace.Network // nil: nothing known
	asked   *out          // the helper that was asked for it
	owed    *out          // the helper that waits to hear that the next picture can be taken
	closed  bool
}

// ask asks a helper for the picture, once.
func (w *watched) ask(o *out) {
	w.mu.Lock()
	if w.closed || w.asked == o {
		w.mu.Unlock()
		return
	}
	w.asked, w.owed = o, o
	body, _ := json.Marshal(watchBody{Monitor: w.monitor, Tier: w.tier}) // cannot fail
	o.bytes(kindWatch, w.id, body)
	w.tellNetwork()
	w.mu.Unlock()
	w.Wake()
}

// tellNetwork is called with mu held.
func (w *watched) tellNetwork() {
	if w.network == nil || w.asked == nil {
		return
	}
	if body, err := json.Marshal(w.network); err == nil {
		w.asked.bytes(kindNetwork, w.id, body)
	}
}

// give hands a picture on. It is the reader of o that calls it.
func (w *watched) give(e picture.Encoded, o *out) {
	w.giving.Lock()
	w.mu.Lock()
	fits := !w.closed && w.asked == o && w.owed == nil // one is asked for at a time
	if fits {
		w.owed = o
	}
	w.mu.Unlock()
	if fits {
		w.cfg.Sink(e)
	}
	w.giving.Unlock()
	w.Wake()
}

// Wake tells the helper when the next picture can be taken.
func (w *watched) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owed != nil && !w.closed && (w.cfg.Ready == nil || w.cfg.Ready()) {
		w.owed.bytes(kindReady, w.id, nil)
		w.owed = nil
	}
}

func (w *watched) tell(k kind, body []byte) {
	if w.asked != nil && !w.closed {
		w.asked.bytes(k, w.id, body)
	}
}

// SelectMonitor shows another monitor.
func (w *watched) SelectMonitor(monitor uint8) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.monitor = monitor
	w.tell(kindSelect, []byte{monitor})
}

// SetTier wishes for a quality.
func (w *watched) SetTier(tier string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tier = tier
	w.tell(kindTier, []byte(tier))
}

// SetNetwork says what is known of the way to the viewer.
func (w *watched) SetNetwork(n pace.Network) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.network = &n
	w.tellNetwork()
}

// RequestKeyframe wishes for a key picture.
func (w *watched) RequestKeyframe() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(kindKeyframe, nil)
}

// Close ends the picture; the sink is not called again.
func (w *watched) Close() {
	w.mu.Lock()
	w.tell(kindUnwatch, nil)
	w.closed = true
	w.mu.Unlock()
	w.r.mu.Lock()
	delete(w.r.watches, w.id)
	w.r.mu.Unlock()
	w.giving.Lock() // waits for a call that has begun
	defer w.giving.Unlock()
}
