package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"handrail/signaling"
)

// Host runs every support session of this device. Its methods are safe for concurrent use
// and do not wait for what they set off.
type Host struct {
	cfg    Config
	log    *slog.Logger
	engine *engine

	events chan func()
	done   chan struct{} // closed when Run has ended
	briefs atomic.Pointer[[]signaling.SessionBrief]
	wg     sync.WaitGroup // every goroutine Run owns
	local  atomic.Int64   // until then the person at the device has the pointer; Unix nanoseconds
	moved  atomic.Pointer[point]

	watched    atomic.Bool // a viewer may see the desktop
	watchedNew chan struct{}
	unsaved    atomic.Pointer[[]Saved]
	saveNew    chan struct{}

	// The rest belongs to Run.
	ctx      context.Context //nolint:containedctx // of Run, for the goroutines it owns
	sessions map[signaling.SessionID]*support
	linked   bool
	present  bool // somebody at the device sees banners
	desk     desk
	dirty    bool // Save is due
}

// New checks the configuration and starts nothing but the making of a key.
func New(cfg Config, log *slog.Logger) (*Host, error) {
	if cfg.Send == nil {
		return nil, errors.New("session: Config.Send is required")
	}
	h := &Host{
		cfg: cfg.withDefaults(), log: log,
		events: make(chan func(), 1024), done: make(chan struct{}), watchedNew: make(chan struct{}, 1), saveNew: make(chan struct{}, 1),
		sessions: map[signaling.SessionID]*support{}, present: true,
	}
	h.desk.picture.State = signaling.PictureOK
	eng, err := newEngine(cfg.Loopback, cfg.Net, log)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	h.engine = eng
	for _, s := range cfg.Restore {
		h.restore(s)
	}
	h.publish()
	return h, nil
}

// Run owns all sessions until ctx ends. It then closes every connection, without ending
// the sessions: a restarted agent goes on with what Save was given.
func (h *Host) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	h.ctx = inner
	if h.cfg.Watching != nil {
		h.spawn(h.tellWatching)
	}
	if h.cfg.Save != nil {
		h.spawn(h.save)
	}
	for _, s := range h.sessions {
		s.resume()
	}
	for ctx.Err() == nil {
		select {
		case f := <-h.events:
			f()
			h.publish()
		case <-ctx.Done():
		}
	}
	for _, s := range h.sessions {
		s.close()
	}
	h.dirty = true
	h.publish()
	cancel()
	close(h.done)
	h.wg.Wait()
	return nil
}

// post has f run by Run, in order. It is false when Run has ended.
func (h *Host) post(f func()) bool {
	select {
	case h.events <- f:
		return true
	case <-h.done:
		return false
	}
}

// after has f run by Run once d has passed, unless the returned timer is stopped.
func (h *Host) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { h.post(f) })
}

// spawn runs f on a goroutine that Run waits for.
func (h *Host) spawn(f func()) {
	h.wg.Go(f)
}

// publish makes what other goroutines and the next process see.
func (h *Host) publish() {
	briefs := []signaling.SessionBrief{}
	for _, s := range h.sessions {
		if s.isOpen() {
			briefs = append(briefs, signaling.SessionBrief{Session: s.req.Session, Granted: s.granted, Live: s.live, Seq: s.log.sent})
		}
	}
	slices.SortFunc(briefs, func(a, b signaling.SessionBrief) int {
		return strings.Compare(string(a.Session), string(b.Session))
	})
	h.briefs.Store(&briefs)
	if h.dirty && h.cfg.Save != nil {
		list := h.saved()
		h.unsaved.Store(&list)
		signal(h.saveNew)
	}
	h.dirty = false
	watched := false
	h.eachViewer(func(s *support, v *viewer) { watched = watched || s.may(v).Has(signaling.View) })
	if h.watched.Swap(watched) != watched {
		signal(h.watchedNew)
	}
}

// save writes the newest state, away from Run: a disk takes its time, and a viewer waits.
func (h *Host) save() {
	flush := func() {
		if list := h.unsaved.Swap(nil); list != nil {
			h.cfg.Save(*list)
		}
	}
	for {
		select {
		case <-h.saveNew:
			flush()
		case <-h.ctx.Done():
			flush()
			return
		}
	}
}

// tellWatching passes on whether anybody may see the desktop, the newest only.
func (h *Host) tellWatching() {
	said := false
	for {
		select {
		case <-h.watchedNew:
		case <-h.ctx.Done():
			if said {
				h.cfg.Watching(false)
			}
			return
		}
		if now := h.watched.Load(); now != said {
			said = now
			h.cfg.Watching(now)
		}
	}
}

// Briefs returns the sessions alive, for the link's hello.
func (h *Host) Briefs() []signaling.SessionBrief { return slices.Clone(*h.briefs.Load()) }

// Handle takes a session.* or peer.* message from the gateway, decoded. Others are ignored.
func (h *Host) Handle(e signaling.Envelope) {
	h.post(func() { h.handle(e) })
}

func (h *Host) handle(e signaling.Envelope) {
	switch m := e.Body.(type) {
	case signaling.SessionRequest:
		h.request(m)
	case signaling.SessionViewer:
		h.with(m.Session, m.Peer, func(s *support) { s.announce(m) })
	case signaling.SessionAsk:
		h.with(m.Session, "", func(s *support) { s.askMore(m) })
	case signaling.SessionEnd:
		h.with(m.Session, "", func(s *support) { s.end(m) })
	case signaling.PeerOffer:
		h.with(m.Session, m.Peer, func(s *support) { s.offer(m) })
	case signaling.PeerCandidate:
		h.with(m.Session, "", func(s *support) { s.candidate(m) })
	case signaling.PeerClose:
		h.with(m.Session, "", func(s *support) { s.leave(m) })
	default:
		h.log.Debug("message is not a session's", "type", e.Type)
	}
}

// with runs f on a session that lives; otherwise the peer named, if any, is told.
func (h *Host) with(id signaling.SessionID, peer signaling.PeerID, f func(*support)) {
	s := h.sessions[id]
	if s != nil && s.isOpen() {
		f(s)
		return
	}
	code, text := signaling.CodeNotFound, "The device does not know this session."
	if s != nil {
		code, text = signaling.CodeEnded, "The session is over."
	}
	if peer != "" {
		h.closePeer(id, peer, code, text)
	}
}

func (h *Host) closePeer(s signaling.SessionID, p signaling.PeerID, code signaling.Code, text string) {
	h.send(signaling.TypePeerClose, signaling.PeerClose{Session: s, Peer: p, Code: code, Message: text})
}

// send hands a message to the link; what concerns a connection in the making is worthless
// later, so it is not kept while the link is down.
func (h *Host) send(t signaling.Type, body any) {
	if err := h.cfg.Send(signaling.Envelope{Type: t, Body: body}); err != nil {
		h.log.Debug("message not sent", "type", t, "error", err)
	}
}

// Link says whether the gateway can be reached. Events are kept until it first can, and those
// that may have been lost with the old link are sent again.
func (h *Host) Link(up bool) {
	h.post(func() {
		h.linked = up
		for _, s := range h.sessions {
			if up {
				s.resend()
			} else {
				s.log.linkDown()
			}
		}
	})
}

// Presence says whether anybody at the device can see banners. With Config.NeedBanner,
// sessions a person agreed to are paused while nobody can.
func (h *Host) Presence(present bool) {
	h.post(func() {
		if h.present == present {
			return
		}
		h.present = present
		for _, s := range h.sessions {
			if s.isOpen() {
				s.changed()
			}
		}
	})
}

// Pause stops picture and input of a session at once; Resume lets them go on. by is the
// account at the device.
func (h *Host) Pause(id signaling.SessionID, by string) {
	h.post(func() { h.with(id, "", func(s *support) { s.pause(true, by) }) })
}

// Resume undoes Pause.
func (h *Host) Resume(id signaling.SessionID, by string) {
	h.post(func() { h.with(id, "", func(s *support) { s.pause(false, by) }) })
}

// Stop ends a session by the will of the person at the device.
func (h *Host) Stop(id signaling.SessionID, by string) {
	h.post(func() { h.with(id, "", func(s *support) { s.stop(by) }) })
}

// SetGranted changes what a session may do: raised or taken back by the person at the
// device. What was never asked for, or is not allowed here, stays out.
func (h *Host) SetGranted(id signaling.SessionID, granted signaling.CapabilitySet, by string) {
	h.post(func() { h.with(id, "", func(s *support) { s.setGranted(granted, by) }) })
}

// Drop takes one capability back.
func (h *Host) Drop(id signaling.SessionID, c signaling.Capability, by string) {
	h.post(func() {
		h.with(id, "", func(s *support) { s.setGranted(s.granted&^signaling.SetOf(c), by) })
	})
}
