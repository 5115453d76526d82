// Package link holds the sockets of the agents on this node and knows which devices are
// connected to any node. It checks who they are against the registry, hands their messages
// to the rooms that understand them, and takes messages for them from the bus. It does not
// know what a session is.
//
// On the bus, subject dev.<device>, the holder of a link takes:
//
//	{…}            an encoded signaling message: passed on to the agent; answered "ok"
//	?              is anybody there: answered "ok"
//	claim <inst>   the device connects elsewhere as this instance: answered "yield" or "alive"
//	cut <json>     a signaling.Revoked: passed on, and the link closed; answered "ok"
package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"handrail/gateway/internal/bus"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/signaling"
	"handrail/signaling/hub"
)

// Identity is the gateway's proof of itself.
type Identity interface {
	Key() signaling.Key
	NextKey() signaling.Key             // nil when none is announced
	NextSignature() signaling.Signature // by Key over signaling.NextKeyTranscript
	Sign(message []byte) signaling.Signature
}

// Devices is the part of the registry this room needs.
type Devices interface {
	Device(ctx context.Context, id mdm.DeviceID) (device.Device, error)
	Seen(ctx context.Context, seen map[mdm.DeviceID]time.Time) error
}

// Config names the limits and the rooms around. The functions are all needed.
type Config struct {
	Limits    hub.Limits
	SeenEvery time.Duration // between writes of when devices were last seen; 0 means 1 min
	PingTwin  time.Duration // how long a link may take to prove it lives when its device connects again; 0 means 3 s

	Bus      *bus.Bus
	Devices  Devices
	Identity Identity
	// MintAccess returns a bearer token for a device's HTTPS routes.
	MintAccess func(d mdm.DeviceID) (token string, ttl time.Duration)
	// Organisation is who the operators work for.
	Organisation func(ctx context.Context) string
	// Copied is told of a proven identity on another machine.
	Copied func(ctx context.Context, d device.Device, fingerprint, remote string)
	// Back is told that a device has connected, with the sessions its agent still runs.
	Back func(ctx context.Context, d mdm.DeviceID, briefs []signaling.SessionBrief) error
	// Greeted is told after Back, with the hash of the newest manifest the agent has.
	Greeted func(ctx context.Context, d mdm.DeviceID, manifest string)
	// Lost is told that no node holds the device's link any more.
	Lost func(ctx context.Context, d mdm.DeviceID) error
	// Cut is told of a device that was sent away for good.
	Cut func(ctx context.Context, d mdm.DeviceID, why string) error
	// FromDevice takes session.* messages.
	FromDevice func(ctx context.Context, d mdm.DeviceID, e signaling.Envelope)
	// InventoryTurn says how long a device has to wait before it uploads inventory.
	InventoryTurn func(d mdm.DeviceID) time.Duration
	// Changed tells the consoles what to fetch again.
	Changed func(topic signaling.Topic, ids ...string)
}

// Links is every agent's socket on this node. Its methods are safe for concurrent use.
type Links struct {
	cfg      Config
	log      *slog.Logger
	agents   *hub.Agents
	presence *presence
	ctx      context.Context // for work on behalf of agents; ends after their sockets
	cancel   context.CancelFunc

	mu   sync.Mutex
	held map[mdm.DeviceID]*held
	seen map[mdm.DeviceID]time.Time // not written yet
}

// held is one link.
type held struct {
	agent  *hub.Agent
	sub    *bus.Subscription
	minted time.Time // when its access token was
}

// New returns the room; it starts nothing.
func New(cfg Config, log *slog.Logger) *Links {
	if cfg.SeenEvery <= 0 {
		cfg.SeenEvery = time.Minute
	}
	if cfg.PingTwin <= 0 {
		cfg.PingTwin = 3 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Links{
		cfg: cfg, log: log, ctx: ctx, cancel: cancel,
		held: map[mdm.DeviceID]*held{}, seen: map[mdm.DeviceID]time.Time{},
	}
	l.presence = newPresence(cfg.Bus, log, func(ids ...string) { cfg.Changed(signaling.TopicDevices, ids...) })
	l.agents = hub.NewAgents(hub.AgentConfig{
		Limits: cfg.Limits, Challenge: l.challenge, Lookup: l.lookup, Admit: l.admit,
		Connected: l.connected, Message: l.message, Gone: l.gone,
	}, log)
	return l
}

// ServeHTTP accepts an agent's socket.
func (l *Links) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.agents.ServeHTTP(w, r) }

// Len returns how many agents are connected to this node.
func (l *Links) Len() int { return l.agents.Len() }

// Drain tells every agent to connect elsewhere, or again after the delay.
func (l *Links) Drain(after time.Duration) { l.agents.Drain(after) }

// Run keeps presence, last-seen times and access tokens until ctx ends, then closes every
// link.
func (l *Links) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.agents.Run(ctx) })
	wg.Go(func() { l.presence.run(ctx) })
	t := time.NewTicker(l.cfg.SeenEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.renew()
			l.flushSeen(l.ctx)
			continue
		case <-ctx.Done():
		}
		break
	}
	wg.Wait()
	last, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	l.flushSeen(last)
	l.cancel()
	return nil
}

// flushSeen writes when devices were last seen: those connected, now.
func (l *Links) flushSeen(ctx context.Context) {
	now := time.Now()
	l.mu.Lock()
	seen := l.seen
	l.seen = map[mdm.DeviceID]time.Time{}
	for id := range l.held {
		seen[id] = now
	}
	l.mu.Unlock()
	if err := l.cfg.Devices.Seen(ctx, seen); err != nil {
		l.log.Warn("last_seen_unwritten", "devices", len(seen), "error", err)
		l.mu.Lock()
		for id, at := range seen {
			if l.seen[id].Before(at) {
				l.seen[id] = at
			}
		}
		l.mu.Unlock()
	}
}

// renew sends a fresh access token to agents whose token is past half its life.
func (l *Links) renew() {
	type due struct {
		id mdm.DeviceID
		h  *held
	}
	var all []due
	l.mu.Lock()
	for id, h := range l.held {
		if _, ttl := l.cfg.MintAccess(id); time.Since(h.minted) > ttl/2 {
			h.minted = time.Now()
			all = append(all, due{id, h})
		}
	}
	l.mu.Unlock()
	for _, d := range all {
		dev, err := l.cfg.Devices.Device(l.ctx, d.id)
		if err != nil {
			l.log.Warn("access_token_unrenewed", "device", d.id, "error", err)
			continue
		}
		_ = d.h.agent.Send(signaling.Envelope{Type: signaling.TypeWelcome, Body: l.welcome(l.ctx, dev)})
	}
}

func (l *Links) welcome(ctx context.Context, d device.Device) signaling.Welcome {
	token, ttl := l.cfg.MintAccess(d.ID)
	heartbeat := l.cfg.Limits.Heartbeat
	if heartbeat <= 0 {
		heartbeat = 15 * time.Second // hub's default
	}
	return signaling.Welcome{
		HeartbeatMS: heartbeat.Milliseconds(), TimeUS: time.Now().UnixMicro(), AccessToken: token, AccessTTLMS: ttl.Milliseconds(),
		Organisation: l.cfg.Organisation(ctx), DeviceName: d.Name,
	}
}

func (l *Links) challenge(h signaling.Hello, c *signaling.Challenge) error {
	id := l.cfg.Identity
	c.GatewayKey, c.NextKey, c.NextSignature = id.Key(), id.NextKey(), id.NextSignature()
	c.Signature = id.Sign(signaling.GatewayTranscript(h, *c))
	return nil
}

func (l *Links) lookup(ctx context.Context, h signaling.Hello) (signaling.Key, error) {
	d, err := l.cfg.Devices.Device(ctx, mdm.DeviceID(h.Device))
	switch {
	case errors.Is(err, mdm.ErrNotFound):
		return nil, &hub.Refusal{Code: signaling.CodeUnknownDevice, Message: "this gateway does not know the device: enroll it again"}
	case err != nil:
		return nil, err
	case d.IsRevoked():
		return nil, &hub.Refusal{Code: signaling.CodeRevoked, Message: "an administrator revoked this device"}
	}
	return signaling.Key(d.PublicKey), nil
}

func (l *Links) admit(ctx context.Context, h signaling.Hello, remote string) (signaling.Welcome, error) {
	d, err := l.cfg.Devices.Device(ctx, mdm.DeviceID(h.Device))
	if err != nil {
		return signaling.Welcome{}, err
	}
	if d.IsRevoked() {
		return signaling.Welcome{}, &hub.Refusal{Code: signaling.CodeRevoked, Message: "an administrator revoked this device"}
	}
	if h.Fingerprint != d.Fingerprint {
		l.cfg.Copied(ctx, d, h.Fingerprint, remote)
		return signaling.Welcome{}, &hub.Refusal{
			Code:    signaling.CodeIdentityCopied,
			Message: "this identity belongs to another machine: remove the copied state and enroll this machine",
		}
	}
	twin, cancel := context.WithTimeout(ctx, l.cfg.PingTwin+time.Second)
	defer cancel()
	answer, err := l.cfg.Bus.Request(twin, subject(d.ID), []byte("claim "+h.Instance))
	switch {
	case errors.Is(err, bus.ErrNobody), errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
	case err != nil:
		return signaling.Welcome{}, err
	case string(answer) == "alive":
		return signaling.Welcome{}, &hub.Refusal{
			Code:       signaling.CodeIdentityInUse,
			Message:    "this identity is connected from elsewhere and alive there: is the agent started twice?",
			RetryAfter: 30 * time.Second,
		}
	}
	return l.welcome(ctx, d), nil
}

func subject(d mdm.DeviceID) string { return "dev." + string(d) }

func (l *Links) connected(a *hub.Agent, h signaling.Hello) {
	id := mdm.DeviceID(a.Device)
	one := &held{agent: a, minted: time.Now()}
	sub, err := l.cfg.Bus.Subscribe(subject(id), func(m bus.Message) { l.forDevice(one, m) })
	if err != nil {
		l.log.Error("link_not_on_bus", "device", id, "error", err)
		a.Close(hub.ErrDraining)
		return
	}
	one.sub = sub
	l.mu.Lock()
	old := l.held[id]
	l.held[id] = one
	delete(l.seen, id)
	l.mu.Unlock()
	if old != nil {
		old.sub.Close()
	}
	l.presence.set(id, true)
	l.log.Info("device_online", "device", id, "remote", a.Remote, "version", a.Version)
	if err := l.cfg.Back(l.ctx, id, h.Sessions); err != nil {
		// The agent's sessions live on; its next connection puts them together again.
		l.log.Error("sessions_not_reattached", "device", id, "error", err)
		a.Close(hub.ErrDraining)
	}
	l.cfg.Greeted(l.ctx, id, h.Manifest)
}

func (l *Links) gone(a *hub.Agent, cause error) {
	id := mdm.DeviceID(a.Device)
	l.mu.Lock()
	one := l.held[id]
	if one == nil || one.agent != a {
		l.mu.Unlock()
		return // replaced by a newer link on this node
	}
	delete(l.held, id)
	l.seen[id] = time.Now()
	l.mu.Unlock()
	one.sub.Close()
	l.presence.set(id, false)
	l.log.Info("device_offline", "device", id, "cause", cause)
	if !errors.Is(l.Present(l.ctx, id), session.ErrOffline) {
		return // another node holds it
	}
	if err := l.cfg.Lost(l.ctx, id); err != nil {
		l.log.Warn("sessions_not_marked_lost", "device", id, "error", err)
	}
	// It may have come back while Lost was written.
	if l.Present(l.ctx, id) == nil {
		if err := l.cfg.Back(l.ctx, id, nil); err != nil {
			l.log.Warn("sessions_not_reattached", "device", id, "error", err)
		}
	}
}

// message takes what an agent says.
func (l *Links) message(a *hub.Agent, e signaling.Envelope) {
	id := mdm.DeviceID(a.Device)
	var peer signaling.PeerID
	switch b := e.Body.(type) {
	case signaling.SessionConsent, signaling.SessionEvent:
		l.cfg.FromDevice(l.ctx, id, e)
		return
	case signaling.InventoryAsk:
		after := l.cfg.InventoryTurn(id)
		_ = a.Send(signaling.Envelope{Type: signaling.TypeInventoryTurn, Re: e.ID, Body: signaling.InventoryTurn{AfterMS: after.Milliseconds()}})
		return
	case signaling.PeerAnswer:
		peer = b.Peer
	case signaling.PeerCandidate:
		peer = b.Peer
	case signaling.PeerClose:
		peer = b.Peer
	default:
		a.Refuse(e, signaling.CodeForbidden, string(e.Type)+" has no place after the handshake")
		return
	}
	frame, err := signaling.Encode(signaling.Envelope{Type: e.Type, Body: e.Body})
	if err != nil {
		a.Refuse(e, signaling.CodeOf(err), err.Error())
		return
	}
	// The browser's node checks that the viewer's session is this device's.
	if err := l.cfg.Bus.Publish("peer."+string(peer), fmt.Appendf(nil, "%s\n%s", id, frame)); err != nil {
		l.log.Warn("peer_message_lost", "device", id, "peer", peer, "type", e.Type, "error", err)
	}
}

// forDevice takes what the bus has for a device. It does not block.
func (l *Links) forDevice(one *held, m bus.Message) {
	text := string(m.Data[:min(len(m.Data), 16)])
	switch {
	case strings.HasPrefix(text, "{"):
		if err := one.agent.SendFrame(m.Data); err == nil {
			_ = m.Reply([]byte("ok"))
		} else {
			_ = m.Reply([]byte("gone"))
		}
	case text == "?":
		_ = m.Reply([]byte("ok"))
	case strings.HasPrefix(text, "claim "):
		go l.claimed(one, string(m.Data[len("claim "):]), m)
	case strings.HasPrefix(text, "cut "):
		var r signaling.Revoked
		if err := json.Unmarshal(m.Data[len("cut "):], &r); err == nil {
			_ = one.agent.Send(signaling.Envelope{Type: signaling.TypeRevoked, Body: r})
			one.agent.Close(hub.ErrClosed)
		}
		_ = m.Reply([]byte("ok"))
	}
}

// claimed answers another link of the same device: the same process coming back takes over
// at once, another one only if nobody answers here.
func (l *Links) claimed(one *held, instance string, m bus.Message) {
	if instance != one.agent.Instance {
		ctx, cancel := context.WithTimeout(l.ctx, l.cfg.PingTwin)
		defer cancel()
		if one.agent.Alive(ctx) {
			_ = m.Reply([]byte("alive"))
			return
		}
	}
	one.agent.Close(hub.ErrReplaced)
	_ = m.Reply([]byte("yield"))
}

// ask sends to the node that holds a device's link.
func (l *Links) ask(ctx context.Context, d mdm.DeviceID, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answer, err := l.cfg.Bus.Request(ctx, subject(d), data)
	switch {
	case errors.Is(err, bus.ErrNobody):
		return fmt.Errorf("%s: %w", d, session.ErrOffline)
	case err != nil:
		return err
	case string(answer) != "ok":
		return fmt.Errorf("%s: link is closing: %w", d, session.ErrOffline)
	}
	return nil
}

// Deliver hands a message to the agent of a device, on whatever node it is;
// session.ErrOffline when it is on none.
func (l *Links) Deliver(ctx context.Context, d mdm.DeviceID, e signaling.Envelope) error {
	frame, err := signaling.Encode(e)
	if err != nil {
		return err
	}
	return l.ask(ctx, d, frame)
}

// Post is Deliver without knowing whether anybody was there. It does not block.
func (l *Links) Post(d mdm.DeviceID, e signaling.Envelope) error {
	frame, err := signaling.Encode(e)
	if err != nil {
		return err
	}
	return l.cfg.Bus.Publish(subject(d), frame)
}

// Present returns nil when a node holds the device's link, session.ErrOffline when none does.
func (l *Links) Present(ctx context.Context, d mdm.DeviceID) error {
	return l.ask(ctx, d, []byte("?"))
}

// Cut sends the device away for good, on whatever node it is, and ends its sessions; being
// offline is no error.
func (l *Links) Cut(ctx context.Context, d mdm.DeviceID, code signaling.Code, message string) error {
	b, err := json.Marshal(signaling.Revoked{Message: message})
	if err != nil {
		return err
	}
	l.log.Info("device_cut", "device", d, "code", code)
	if err := l.ask(ctx, d, append([]byte("cut "), b...)); err != nil && !errors.Is(err, session.ErrOffline) {
		return err
	}
	return l.cfg.Cut(ctx, d, message)
}

// Online returns the devices connected to any node; the caller may keep the map.
func (l *Links) Online() map[mdm.DeviceID]bool { return l.presence.online() }

// IsOnline reports whether a device is connected to any node.
func (l *Links) IsOnline(d mdm.DeviceID) bool { return l.presence.isOnline(d) }
