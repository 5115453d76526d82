// Package browser holds the sockets of operators' browsers on this node: it tells them what
// changed, lets them into sessions, and carries offers, answers and candidates between them
// and the node of the device. What an operator may do is checked at the join, and again
// while the socket lives; what a viewer may do is the agent's to enforce.
//
// Lock order: visitor.mu alone; the bus and the rooms are never called with it held.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/bus"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/hub"
)

// Auth is the part of sign-in this room needs.
type Auth interface {
	Caller(ctx context.Context, cookie string) (auth.Caller, error)
	RedeemTicket(ctx context.Context, cookie, ticket string) (auth.Caller, error)
}

// Config names the limits and the rooms around. The functions are all needed.
type Config struct {
	Limits  hub.Limits
	Recheck time.Duration // between looks whether an operator is still signed in and may still see; 0 means 30 s

	Bus      *bus.Bus
	Auth     Auth
	Sessions *session.Sessions
	// Origin reports whether a page of this request's Origin may speak to the gateway.
	Origin func(r *http.Request) bool
	// Deliver hands a message to a device's agent; session.ErrOffline when it is away.
	Deliver func(ctx context.Context, d mdm.DeviceID, e signaling.Envelope) error
	// Post is Deliver without waiting.
	Post func(d mdm.DeviceID, e signaling.Envelope) error
}

// maxPeers is how many sessions one browser may be in at once.
const maxPeers = 16

// Subjects of the bus.
const (
	subjectChanged = "changed"
	subjectPeer    = "peer."
	subjectSession = "ses."
)

// visitor is what this room knows of one socket's operator.
type visitor struct {
	cookie string
	caller atomic.Pointer[auth.Caller]

	mu     sync.Mutex
	gone   bool
	topics map[signaling.Topic]bool
	peers  map[signaling.PeerID]*peer
}

// peer is one viewer of this socket.
type peer struct {
	id      signaling.PeerID
	session signaling.SessionID
	device  mdm.DeviceID
	group   mdm.GroupID
	subs    [2]*bus.Subscription // of the peer, of its session
}

func (p *peer) leave() {
	for _, s := range p.subs {
		if s != nil {
			s.Close()
		}
	}
}

type socket = hub.Browser[*visitor]

// Browsers is every browser's socket on this node.
type Browsers struct {
	cfg    Config
	log    *slog.Logger
	hub    *hub.Browsers[*visitor]
	ctx    context.Context // for work on behalf of browsers; ends after their sockets
	cancel context.CancelFunc

	changes chan signaling.Changed
	again   chan struct{} // recheck now

	mu   sync.Mutex
	open map[*socket]struct{}
}

// New returns the room; it starts nothing.
func New(cfg Config, log *slog.Logger) *Browsers {
	if cfg.Recheck <= 0 {
		cfg.Recheck = 30 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &Browsers{
		cfg: cfg, log: log, ctx: ctx, cancel: cancel, open: map[*socket]struct{}{},
		changes: make(chan signaling.Changed, 4096), again: make(chan struct{}, 1),
	}
	b.hub = hub.NewBrowsers(hub.BrowserConfig[*visitor]{
		Limits: cfg.Limits, Origin: cfg.Origin, SignedIn: b.signedIn, Redeem: b.redeem,
		Connected: b.connected, Message: b.message, Gone: b.gone,
	}, log)
	return b
}

// ServeHTTP accepts a browser's socket.
func (b *Browsers) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.hub.ServeHTTP(w, r) }

// Len returns how many browsers are connected to this node.
func (b *Browsers) Len() int { return b.hub.Len() }

// Drain tells every browser to connect again after the delay.
func (b *Browsers) Drain(after time.Duration) { b.hub.Drain(after) }

// Announce tells the browsers in a session, on every node, what became of it.
func Announce(on *bus.Bus, n session.News) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return on.Publish(subjectSession+string(n.State.Session), data)
}

// TellChanged tells the consoles, on every node, what to fetch again.
func TellChanged(on *bus.Bus, topic signaling.Topic, ids ...string) error {
	data, err := json.Marshal(signaling.Changed{Topic: topic, IDs: ids})
	if err != nil {
		return err
	}
	return on.Publish(subjectChanged, data)
}

// FollowChanges calls do with what TellChanged is told on any node, until ctx ends.
func FollowChanges(ctx context.Context, on *bus.Bus, do func(topic signaling.Topic, ids []string)) error {
	sub, err := on.Subscribe(subjectChanged, func(m bus.Message) {
		var c signaling.Changed
		if json.Unmarshal(m.Data, &c) == nil {
			do(c.Topic, c.IDs)
		}
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	sub.Close()
	return nil
}

// Run tells changes and rechecks operators until ctx ends, then closes every socket.
func (b *Browsers) Run(ctx context.Context) error {
	sub, err := b.cfg.Bus.Subscribe(subjectChanged, func(m bus.Message) {
		var c signaling.Changed
		if json.Unmarshal(m.Data, &c) != nil {
			return
		}
		if c.Topic == signaling.TopicOperators || c.Topic == signaling.TopicGroups {
			select {
			case b.again <- struct{}{}:
			default:
			}
		}
		select {
		case b.changes <- c:
		default: // a storm; what is queued already makes them fetch
		}
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.hub.Run(ctx) })
	wg.Go(func() { b.tellAll(ctx) })
	t := time.NewTicker(b.cfg.Recheck)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			b.recheck()
			continue
		case <-b.again:
			b.recheck()
			continue
		case <-ctx.Done():
		}
		break
	}
	wg.Wait()
	b.cancel()
	return nil
}

func (b *Browsers) signedIn(r *http.Request) (*visitor, error) {
	c, err := r.Cookie(auth.CookieName)
	if err != nil {
		return nil, auth.ErrNotSignedIn
	}
	caller, err := b.cfg.Auth.Caller(r.Context(), c.Value)
	if err != nil {
		return nil, err
	}
	v := &visitor{cookie: c.Value, topics: map[signaling.Topic]bool{}, peers: map[signaling.PeerID]*peer{}}
	v.caller.Store(&caller)
	return v, nil
}

func (b *Browsers) redeem(ctx context.Context, v *visitor, ticket string) error {
	caller, err := b.cfg.Auth.RedeemTicket(ctx, v.cookie, ticket)
	switch {
	case errors.Is(err, auth.ErrTicket), errors.Is(err, auth.ErrNotSignedIn):
		return &hub.Refusal{Code: signaling.CodeUnauthorized, Message: err.Error()}
	case err != nil:
		return err
	}
	v.caller.Store(&caller)
	return nil
}

func (b *Browsers) connected(s *socket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[s] = struct{}{}
}

func (b *Browsers) gone(s *socket, cause error) {
	b.mu.Lock()
	delete(b.open, s)
	b.mu.Unlock()
	v := s.Operator
	v.mu.Lock()
	v.gone = true
	peers := v.peers
	v.peers = map[signaling.PeerID]*peer{}
	v.mu.Unlock()
	for _, p := range peers {
		p.leave() // the viewer's picture goes on without us, and may come back
	}
	b.log.Debug("browser_gone", "operator", v.caller.Load().Operator.ID, "cause", cause)
}

func (b *Browsers) all() []*socket {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*socket, 0, len(b.open))
	for s := range b.open {
		out = append(out, s)
	}
	return out
}

// recheck closes the sockets of operators who are no longer signed in, and takes viewers
// away from those who may no longer look.
func (b *Browsers) recheck() {
	for _, s := range b.all() {
		v := s.Operator
		caller, err := b.cfg.Auth.Caller(b.ctx, v.cookie)
		if errors.Is(err, auth.ErrNotSignedIn) {
			_ = s.Send(signaling.Envelope{Type: signaling.TypeError, Body: signaling.Error{Code: signaling.CodeUnauthorized, Message: "signed out"}})
			b.dropAll(s, func(*peer) bool { return true }, "the operator signed out")
			s.Close(hub.ErrClosed)
			continue
		}
		if err != nil {
			b.log.Warn("browser_unchecked", "operator", v.caller.Load().Operator.ID, "error", err)
			continue
		}
		v.caller.Store(&caller)
		b.dropAll(s, func(p *peer) bool { return !caller.May(auth.SessionView, p.group) }, "the operator may no longer see this device")
	}
}

// dropAll takes the viewers of a socket that match out of their sessions, at both ends.
func (b *Browsers) dropAll(s *socket, match func(*peer) bool, why string) {
	v := s.Operator
	v.mu.Lock()
	var out []*peer
	for id, p := range v.peers {
		if match(p) {
			out = append(out, p)
			delete(v.peers, id)
		}
	}
	v.mu.Unlock()
	for _, p := range out {
		p.leave()
		e := signaling.Envelope{Type: signaling.TypePeerClose, Body: signaling.PeerClose{Session: p.session, Peer: p.id, Code: signaling.CodeForbidden, Message: why}}
		_ = s.Send(e)
		if err := b.cfg.Post(p.device, e); err != nil {
			b.log.Error("viewer_not_closed", "peer", p.id, "device", p.device, "error", err)
		}
	}
}

// tellAll gathers changes for a moment, so that a thousand devices coming back are not a
// thousand messages for each console.
func (b *Browsers) tellAll(ctx context.Context) {
	const moment = 40 * time.Millisecond
	const mostIDs = 100
	for {
		gathered := map[signaling.Topic]map[string]bool{}
		add := func(c signaling.Changed) {
			ids, ok := gathered[c.Topic]
			if !ok {
				ids = map[string]bool{}
				gathered[c.Topic] = ids
			}
			if ids != nil && len(c.IDs) == 0 || len(ids)+len(c.IDs) > mostIDs {
				gathered[c.Topic] = nil // anything
				return
			}
			for _, id := range c.IDs {
				if ids != nil {
					ids[id] = true
				}
			}
		}
		select {
		case c := <-b.changes:
			add(c)
		case <-ctx.Done():
			return
		}
		t := time.NewTimer(moment)
		for wait := true; wait; {
			select {
			case c := <-b.changes:
				add(c)
			case <-t.C:
				wait = false
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
		for topic, ids := range gathered {
			b.tell(topic, ids)
		}
	}
}

// tell says that things changed: which, only to operators whose roles reach all devices. To the
// others a name may be that of a thing out of their sight.
func (b *Browsers) tell(topic signaling.Topic, ids map[string]bool) {
	c := signaling.Changed{Topic: topic, IDs: []string{}}
	vague, err := signaling.Encode(signaling.Envelope{Type: signaling.TypeChanged, Body: c})
	if err != nil {
		b.log.Warn("change_untold", "topic", topic, "error", err)
		return
	}
	for id := range ids {
		c.IDs = append(c.IDs, id)
	}
	exact, err := signaling.Encode(signaling.Envelope{Type: signaling.TypeChanged, Body: c})
	if err != nil {
		b.log.Warn("change_untold", "topic", topic, "error", err)
		return
	}
	for _, s := range b.all() {
		v := s.Operator
		v.mu.Lock()
		wants := v.topics[topic]
		v.mu.Unlock()
		if !wants {
			continue
		}
		frame := vague
		if _, all := v.caller.Load().Groups(auth.DeviceView); all {
			frame = exact
		}
		_ = s.SendFrame(frame)
	}
}

// message takes what a browser says; the hub has refused what no browser may.
func (b *Browsers) message(s *socket, e signaling.Envelope) {
	switch m := e.Body.(type) {
	case signaling.Subscribe:
		v := s.Operator
		v.mu.Lock()
		clear(v.topics)
		for _, t := range m.Topics {
			v.topics[t] = true
		}
		v.mu.Unlock()
	case signaling.SessionJoin:
		b.join(s, e, m)
	case signaling.PeerOffer:
		b.relay(s, e, m.Session, m.Peer)
	case signaling.PeerCandidate:
		b.relay(s, e, m.Session, m.Peer)
	case signaling.PeerClose:
		b.relay(s, e, m.Session, m.Peer)
	default:
		s.Refuse(e, signaling.CodeForbidden, string(e.Type)+" has no place here")
	}
}

// relay passes a viewer's message to its device. The viewer must be this very socket's.
func (b *Browsers) relay(s *socket, e signaling.Envelope, id signaling.SessionID, peerID signaling.PeerID) {
	v := s.Operator
	v.mu.Lock()
	p := v.peers[peerID]
	if p != nil && p.session == id && e.Type == signaling.TypePeerClose {
		delete(v.peers, peerID)
	}
	v.mu.Unlock()
	if p == nil || p.session != id {
		s.Refuse(e, signaling.CodeNotFound, "this socket has no such viewer in that session: join first")
		return
	}
	out := signaling.Envelope{Type: e.Type, Body: e.Body}
	var err error
	switch e.Type {
	case signaling.TypePeerOffer:
		err = b.cfg.Deliver(b.ctx, p.device, out)
	case signaling.TypePeerClose:
		p.leave()
		err = b.cfg.Post(p.device, out)
	default:
		err = b.cfg.Post(p.device, out)
	}
	if err != nil {
		b.refuse(s, e, err)
	}
}

// refuse answers a message with what went wrong.
func (b *Browsers) refuse(s *socket, e signaling.Envelope, err error) {
	switch {
	case errors.Is(err, session.ErrOffline):
		s.Refuse(e, signaling.CodeOffline, "the device is not connected")
	case errors.Is(err, session.ErrEnded):
		s.Refuse(e, signaling.CodeEnded, "the session is over")
	case errors.Is(err, mdm.ErrNotFound):
		s.Refuse(e, signaling.CodeNotFound, "there is no such session")
	case errors.Is(err, session.ErrNotAllowed):
		s.Refuse(e, signaling.CodeForbidden, "not allowed for this operator's role")
	default:
		id := signaling.NewID("err")
		b.log.Error("browser_message_broken", "error_id", id, "type", e.Type, "operator", s.Operator.caller.Load().Operator.ID, "error", err)
		s.Refuse(e, signaling.CodeInternal, "the gateway could not do that; its log has "+id)
	}
}

// taken is said on a peer's subject when another socket takes the viewer over.
var taken = []byte("taken")

func (b *Browsers) join(s *socket, e signaling.Envelope, m signaling.SessionJoin) {
	v := s.Operator
	caller := *v.caller.Load()
	view, err := b.cfg.Sessions.Join(b.ctx, caller, m)
	if err != nil {
		if errors.Is(err, session.ErrEnded) {
			b.tellOver(s, m.Session)
		}
		b.refuse(s, e, err)
		return
	}
	p := &peer{id: view.Peer, session: view.Session.ID, device: view.Session.Device, group: view.Session.Group}
	if err := b.attach(s, p, view.Notice); err != nil {
		b.refuse(s, e, err)
		return
	}
	// The state may have changed between reading it and listening for changes of it.
	news, err := b.cfg.Sessions.News(b.ctx, p.session)
	if err != nil {
		b.refuse(s, e, err)
		return
	}
	view.Joined.State = news.State
	if err := b.cfg.Deliver(b.ctx, p.device, signaling.Envelope{Type: signaling.TypeSessionViewer, Body: view.Notice}); err != nil && !errors.Is(err, session.ErrOffline) {
		b.refuse(s, e, err)
		return
	}
	_ = s.Send(signaling.Envelope{Type: signaling.TypeSessionJoined, Re: e.ID, Body: view.Joined})
	_ = s.Send(signaling.Envelope{Type: signaling.TypeSessionState, Body: news})
}

// tellOver says how a session ended to somebody who may see it and came too late to join.
func (b *Browsers) tellOver(s *socket, id signaling.SessionID) {
	news, err := b.cfg.Sessions.News(b.ctx, id)
	if err != nil {
		b.log.Warn("session_end_untold", "session", id, "error", err)
		return
	}
	_ = s.Send(signaling.Envelope{Type: signaling.TypeSessionState, Body: news})
}

// attach makes the viewer this socket's, taking it from another socket that had it.
func (b *Browsers) attach(s *socket, p *peer, notice signaling.SessionViewer) error {
	v := s.Operator
	v.mu.Lock()
	before, n := v.peers[p.id], len(v.peers)
	v.mu.Unlock()
	if before == nil && n >= maxPeers {
		return errTooManyPeers
	}
	if before != nil {
		before.leave()
	}
	if err := b.cfg.Bus.Publish(subjectPeer+string(p.id), taken); err != nil {
		return err
	}
	var err error
	p.subs[0], err = b.cfg.Bus.Subscribe(subjectPeer+string(p.id), func(m bus.Message) { b.fromDevice(s, p, m.Data) })
	if err != nil {
		return err
	}
	p.subs[1], err = b.cfg.Bus.Subscribe(subjectSession+string(p.session), func(m bus.Message) { b.news(s, p, notice, m.Data) })
	if err != nil {
		p.leave()
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		p.leave()
		return errGone
	}
	v.peers[p.id] = p
	return nil
}

var (
	errTooManyPeers = fmt.Errorf("this browser is in too many sessions: %w", session.ErrNotAllowed)
	errGone         = errors.New("the socket closed meanwhile")
)

// drop forgets a viewer, if it still is this one.
func (b *Browsers) drop(s *socket, p *peer) {
	v := s.Operator
	v.mu.Lock()
	if v.peers[p.id] == p {
		delete(v.peers, p.id)
	}
	v.mu.Unlock()
	p.leave()
}

// fromDevice passes an agent's message to its viewer. The sender's device is put first by
// its node; another device's agent has nothing to say here.
func (b *Browsers) fromDevice(s *socket, p *peer, data []byte) {
	if bytes.Equal(data, taken) {
		b.drop(s, p)
		return
	}
	from, frame, ok := bytes.Cut(data, []byte("\n"))
	if !ok || mdm.DeviceID(from) != p.device {
		b.log.Warn("peer_message_stray", "peer", p.id, "device", string(from))
		return
	}
	_ = s.SendFrame(frame)
	e, err := signaling.Decode(frame, signaling.FromAgent)
	if err != nil {
		return
	}
	// How a session ended comes after its viewers were closed; news lets the viewer go then.
	if c, ok := e.Body.(signaling.PeerClose); ok && c.Code != signaling.CodeEnded {
		b.drop(s, p)
	}
}

// news tells the viewer what became of its session, and a fresh link's agent of the viewer.
func (b *Browsers) news(s *socket, p *peer, notice signaling.SessionViewer, data []byte) {
	var n session.News
	if json.Unmarshal(data, &n) != nil {
		return
	}
	if n.Reattached {
		notice.ICEServers = b.cfg.Sessions.ICEServers(p.session, p.id)
		if err := b.cfg.Post(p.device, signaling.Envelope{Type: signaling.TypeSessionViewer, Body: notice}); err != nil {
			b.log.Warn("viewer_not_announced", "peer", p.id, "device", p.device, "error", err)
		}
	}
	_ = s.Send(signaling.Envelope{Type: signaling.TypeSessionState, Body: n.State})
	if n.State.State.IsFinal() {
		b.drop(s, p)
	}
}
