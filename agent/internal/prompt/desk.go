package prompt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"handrail/agent/internal/state"
	"handrail/signaling"
)

// Defaults of Config.
const (
	DefaultGrace      = 6 * time.Second
	DefaultShowWithin = 15 * time.Second
)

// maxSocketPath is what sun_path holds on every system we know, less its zero.
const maxSocketPath = 103

// Config says where the desk is and who may come. Socket is needed.
type Config struct {
	Socket string      // path; a stale one is replaced
	Mode   os.FileMode // of the socket; 0 means 0600
	// Allow says whether an account may speak here; nil means root and the daemon's own.
	Allow func(uid uint32) bool
	// Grace is how long a question waits for a companion to come, or to come back; 0
	// means DefaultGrace.
	Grace time.Duration
	// ShowWithin is how long a companion may take to put a question on the screen; 0 means
	// DefaultShowWithin.
	ShowWithin time.Duration

	OnCommand  func(Command)       // a person's word; must not block; nil drops it
	OnPresence func(present bool)  // a companion came, or the last one left; must not block
	Status     func() state.Status // for status clients; nil: they get an empty one
}

// Request is a question for the person at the device.
type Request struct {
	Session      signaling.SessionID
	Operator     signaling.Operator
	Organisation string
	Reason       string
	Capabilities signaling.CapabilitySet
	Already      signaling.CapabilitySet // not empty when more is asked for
	Within       time.Duration           // until silence is a refusal
}

// Answer is what came of it. Anything but DecisionGranted is a refusal.
type Answer struct {
	Decision signaling.Decision
	Granted  signaling.CapabilitySet
	By       string // account name
	Message  string // why not, in words
}

// Desk is the daemon's end. Its methods are safe for concurrent use. Lock order: announcing
// before mu.
type Desk struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	clients map[*visitor]bool // companions; status clients are not kept
	asks    map[string]*question
	notices map[string]chan string // by id: takes the name of who has it on the screen
	banners []Banner
	changed chan struct{} // closed and replaced when a companion comes or goes

	announcing sync.Mutex // taken before mu
	announced  bool       // what OnPresence was last told
}

// question is one that is open.
type question struct {
	ask    Ask
	until  time.Time
	shown  chan struct{} // closed when a companion has it on the screen
	answer chan Answer   // takes one
	once   sync.Once
}

// New checks the configuration; it listens to nothing.
func New(cfg Config, log *slog.Logger) (*Desk, error) {
	if cfg.Socket == "" {
		return nil, errors.New("no path for the local socket")
	}
	if len(cfg.Socket) > maxSocketPath {
		return nil, fmt.Errorf("local socket path %q is %d bytes, the system allows %d: choose a shorter one with --socket", cfg.Socket, len(cfg.Socket), maxSocketPath)
	}
	if cfg.Mode == 0 {
		cfg.Mode = 0o600
	}
	if cfg.Allow == nil {
		cfg.Allow = func(uid uint32) bool { return uid == 0 || int64(uid) == int64(os.Geteuid()) }
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.ShowWithin == 0 {
		cfg.ShowWithin = DefaultShowWithin
	}
	return &Desk{cfg: cfg, log: log, clients: map[*visitor]bool{}, asks: map[string]*question{}, notices: map[string]chan string{}, changed: make(chan struct{})}, nil
}

// Run listens until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(d.cfg.Socket), 0o755); err != nil {
		return fmt.Errorf("local socket: %w", err)
	}
	if err := os.Remove(d.cfg.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("local socket: %w", err)
	}
	ln, err := listen(d.cfg.Socket, d.cfg.Mode)
	if err != nil {
		return fmt.Errorf("local socket %s: %w", d.cfg.Socket, err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("local socket: %w", err)
		}
		serving.Go(func() { d.serve(ctx, conn) })
	}
}

// listen makes the socket with its mode from the start: the directory's owner renames it
// into place only once it is closed to others.
func listen(path string, mode os.FileMode) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil { // until then peers are checked all the same
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// Connected reports whether a companion is there.
func (d *Desk) Connected() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.clients) > 0
}

// Ask asks the person at the device and blocks until there is an answer, r.Within is over
// or ctx ends. It waits a little for a companion that is not there (yet).
func (d *Desk) Ask(ctx context.Context, r Request) Answer {
	ctx, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	q := &question{
		ask: Ask{
			ID: signaling.NewID("ask"), Session: r.Session, Operator: r.Operator, Organisation: r.Organisation, Reason: r.Reason,
			Capabilities: r.Capabilities, Already: r.Already, OfMS: r.Within.Milliseconds(),
		},
		until: time.Now().Add(r.Within), shown: make(chan struct{}), answer: make(chan Answer, 1),
	}
	d.open(q)
	defer d.close(q)
	if a, ok := d.waitShown(ctx, q); !ok {
		return a
	}
	for {
		d.mu.Lock()
		changed, present := d.changed, len(d.clients) > 0
		d.mu.Unlock()
		var gone <-chan time.Time
		if !present {
			gone = time.After(d.cfg.Grace)
		}
		select {
		case a := <-q.answer:
			return a
		case <-ctx.Done():
			return overdue(ctx)
		case <-gone:
			return Answer{Decision: signaling.DecisionUnavailable, Message: "The window that asks went away before anybody answered."}
		case <-changed:
		}
	}
}

// overdue tells silence from a question that was taken back.
func overdue(ctx context.Context) Answer {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Answer{Decision: signaling.DecisionTimeout, Message: "Nobody at the device answered."}
	}
	return Answer{Decision: signaling.DecisionUnavailable, Message: "The question was taken back."}
}

// waitShown waits until a companion has the question on the screen; ok is false, with the
// answer, when there will be none.
func (d *Desk) waitShown(ctx context.Context, q *question) (a Answer, ok bool) {
	coming := time.NewTimer(d.cfg.Grace)
	defer coming.Stop()
	showing := time.NewTimer(d.cfg.Grace + d.cfg.ShowWithin)
	defer showing.Stop()
	for {
		select {
		case <-q.shown:
			return a, true
		case a = <-q.answer:
			return a, false
		case <-ctx.Done():
			return overdue(ctx), false
		case <-coming.C:
			if !d.Connected() {
				return Answer{Decision: signaling.DecisionUnavailable, Message: "Nobody is signed in at a screen of the device, or its Handrail window does not run."}, false
			}
		case <-showing.C:
			return Answer{Decision: signaling.DecisionUnavailable, Message: "The device could not put the question on its screen."}, false
		}
	}
}

func (d *Desk) open(q *question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks[q.ask.ID] = q
	d.tell(Message{Type: TypeAsk, Ask: q.left()})
}

// left is the question with the time that is left for it now.
func (q *question) left() *Ask {
	a := q.ask
	a.WithinMS = max(time.Until(q.until).Milliseconds(), 0)
	return &a
}

func (d *Desk) close(q *question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.asks, q.ask.ID)
	d.tell(Message{Type: TypeWithdraw, ID: q.ask.ID})
}

// Show keeps the person informed of a session; a second call for it replaces the first.
func (d *Desk) Show(b Banner) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.banners, func(o Banner) bool { return o.Session == b.Session })
	if i < 0 {
		d.banners = append(d.banners, b)
	} else {
		d.banners[i] = b
	}
	d.tell(d.allBanners())
}

// Hide says that a session is over.
func (d *Desk) Hide(id signaling.SessionID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.banners = slices.DeleteFunc(d.banners, func(b Banner) bool { return b.Session == id })
	d.tell(d.allBanners())
}

// Sessions returns how many sessions the person is being shown.
func (d *Desk) Sessions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.banners)
}

// allBanners is the message with every session; d.mu is held.
func (d *Desk) allBanners() Message {
	return Message{Type: TypeBanners, Banners: slices.Clone(d.banners[:min(len(d.banners), maxBanners)])}
}

// tell sends to every companion; one that does not read is cut off, not waited for. d.mu is held.
func (d *Desk) tell(m Message) {
	for v := range d.clients {
		v.send(m)
	}
}

// announce tells the daemon whether somebody can be asked, when that changed.
func (d *Desk) announce() {
	if d.cfg.OnPresence == nil {
		return
	}
	d.announcing.Lock() // so that the newest word is the last one said
	defer d.announcing.Unlock()
	present := d.Connected()
	if present != d.announced {
		d.announced = present
		d.cfg.OnPresence(present)
	}
}
