package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/signaling"
)

// Event is what the audit log is told of a change of a session that a device or time made;
// what operators do is recorded where they ask for it.
type Event struct {
	Session Session
	Action  string // "session.consented", "session.declined", …
	Actor   string // in words; "" is the gateway itself
	Detail  string
}

// Config has a useful zero value for the durations; the functions are all needed.
type Config struct {
	AnswerWithin time.Duration // for a person to agree; 0 means 60 s
	Window       time.Duration // how long consent outlives the last connection; 0 means 15 min
	Grace        time.Duration // past AnswerWithin for an answer to travel; 0 means 2 s
	Recheck      time.Duration // between looks at sessions whose device may be gone; 0 means 15 s
	PerDevice    int           // open sessions; 0 means 8

	Store Store
	// Unattended returns the policy in force for a group of devices.
	Unattended func(ctx context.Context, g mdm.GroupID) (enabled bool, caps signaling.CapabilitySet, err error)
	// Device returns an enrolled device.
	Device func(ctx context.Context, id mdm.DeviceID) (device.Device, error)
	// Deliver hands a message to the node that holds the device's link; ErrOffline when none does.
	Deliver func(ctx context.Context, d mdm.DeviceID, e signaling.Envelope) error
	// Present returns nil when some node holds the device's link, otherwise ErrOffline.
	Present func(ctx context.Context, d mdm.DeviceID) error
	// Announce tells the browsers in a session, on every node.
	Announce func(n News)
	// Changed tells the consoles what to fetch again.
	Changed func(topic signaling.Topic, ids ...string)
	// Organisation is who the operators work for.
	Organisation func(ctx context.Context) string
	// ICEServers makes short-lived credentials for one peer of a session.
	ICEServers func(s signaling.SessionID, p signaling.PeerID) []signaling.ICEServer
	// Audit records what a device or time did to a session.
	Audit func(ctx context.Context, e Event)
}

// News is what browsers in a session are told. Reattached: the device's link is a new one,
// whose agent may have to be told of the viewers again.
type News struct {
	State      signaling.SessionState `json:"state"`
	Reattached bool                   `json:"reattached,omitempty"`
}

// Sessions is every support session. Its methods are safe for concurrent use.
type Sessions struct {
	cfg  Config
	log  *slog.Logger
	wake chan struct{} // there is a new deadline
}

// New checks the configuration; Run starts the clock.
func New(cfg Config, log *slog.Logger) *Sessions {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&cfg.AnswerWithin, time.Minute)
	set(&cfg.Window, 15*time.Minute)
	set(&cfg.Grace, 2*time.Second)
	set(&cfg.Recheck, 15*time.Second)
	if cfg.PerDevice <= 0 {
		cfg.PerDevice = 8
	}
	return &Sessions{cfg: cfg, log: log, wake: make(chan struct{}, 1)}
}

// Request asks for a session, with the screen or, without View, for tools alone. caps is cut to what
// the operator's role may hold, and where a policy lets sessions in unasked, to what it lets in. Errors: ErrOffline, ErrTooMany,
// ErrNotAllowed when the role leaves nothing to ask for, mdm.ErrInvalid.
func (s *Sessions) Request(ctx context.Context, by auth.Caller, d device.Device, reason string, caps signaling.CapabilitySet) (Session, error) {
	if d.IsRevoked() {
		return Session{}, fmt.Errorf("device %s is revoked: %w", d.ID, ErrOffline)
	}
	caps = usable(caps.And(by.Capabilities(d.Group)))
	if caps == 0 {
		return Session{}, fmt.Errorf("session on %s with nothing to do in it: %w", d.ID, ErrNotAllowed)
	}
	if err := s.cfg.Present(ctx, d.ID); err != nil {
		return Session{}, fmt.Errorf("session on %s: %w", d.ID, err)
	}
	consent := signaling.ConsentAsk
	enabled, allowed, err := s.cfg.Unattended(ctx, d.Group)
	if err != nil {
		return Session{}, fmt.Errorf("policy of %s: %w", d.ID, err)
	}
	// A policy that lets nothing of it in unasked leaves the person at the device to be asked.
	if left := usable(caps.And(allowed)); enabled && left != 0 && left.Has(signaling.View) == caps.Has(signaling.View) {
		consent, caps = signaling.ConsentUnattended, left
	}
	now := time.Now()
	one := Session{
		ID: signaling.NewSessionID(), Device: d.ID, DeviceName: d.Name, Group: d.Group,
		Operator: by.Operator.ID, OperatorName: by.Operator.Name,
		Shown:  signaling.Operator{Name: by.Operator.Name, Email: by.Operator.Email, Role: by.RoleName(d.Group)},
		Reason: mdm.Clean(reason, 1024), Asked: caps, Consent: consent, State: signaling.StateRequested,
		RequestedAt: now, Deadline: now.Add(s.cfg.AnswerWithin), Window: s.cfg.Window,
	}
	first := Entry{At: now, Kind: KindRequested, Actor: one.OperatorName, Detail: names(caps)}
	if err := s.cfg.Store.CreateSession(ctx, one, first, s.cfg.PerDevice); err != nil {
		return Session{}, fmt.Errorf("create session on %s: %w", d.ID, err)
	}
	s.poke()
	s.cfg.Changed(signaling.TopicSessions, string(one.ID))
	// A device that vanished just now gets the request when it returns, until the deadline.
	if err := s.deliver(ctx, one, s.requestOf(ctx, one)); err != nil && !errors.Is(err, ErrOffline) {
		return Session{}, err
	}
	return one, nil
}

// usable leaves out of what is asked for what is of no use by itself: without the screen nobody can
// aim, and a session needs at least one thing to do. It returns the empty set when nothing is left.
func usable(caps signaling.CapabilitySet) signaling.CapabilitySet {
	if caps.Has(signaling.View) {
		return caps
	}
	tools := signaling.SetOf(signaling.Files, signaling.Terminal, signaling.Diagnostics, signaling.Power)
	if caps.And(tools) == 0 {
		return 0
	}
	return caps &^ signaling.SetOf(signaling.Control, signaling.Clipboard)
}

func (s *Sessions) requestOf(ctx context.Context, one Session) signaling.Envelope {
	return signaling.Envelope{Type: signaling.TypeSessionRequest, Body: one.request(s.cfg.Organisation(ctx), time.Now())}
}

func (s *Sessions) deliver(ctx context.Context, one Session, e signaling.Envelope) error {
	if err := s.cfg.Deliver(ctx, one.Device, e); err != nil {
		return fmt.Errorf("%s of %s to %s: %w", e.Type, one.ID, one.Device, err)
	}
	return nil
}

// Session returns one session; mdm.ErrNotFound.
func (s *Sessions) Session(ctx context.Context, id signaling.SessionID) (Session, error) {
	one, err := s.cfg.Store.SupportSession(ctx, id)
	if err != nil {
		return Session{}, fmt.Errorf("session %q: %w", mdm.Clean(string(id), 64), err)
	}
	return one, nil
}

// Sessions returns a page of sessions, newest first, and the cursor of the next page.
func (s *Sessions) Sessions(ctx context.Context, f Filter) (page []Session, next string, err error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, 500)
	if !f.AllGroups && len(f.Groups) == 0 {
		return []Session{}, "", nil
	}
	return s.cfg.Store.SupportSessions(ctx, f)
}

// Timeline returns what happened in a session, in order of time.
func (s *Sessions) Timeline(ctx context.Context, id signaling.SessionID) ([]Entry, error) {
	return s.cfg.Store.SessionEntries(ctx, id)
}

// Counts counts the open sessions on devices of the groups, or of all.
func (s *Sessions) Counts(ctx context.Context, groups []mdm.GroupID, all bool) (Counts, error) {
	if !all && len(groups) == 0 {
		return Counts{}, nil
	}
	return s.cfg.Store.CountSessions(ctx, groups, all)
}

// End ends a session for an operator. ErrEnded when it is over already. A device that is
// away learns of it when it returns.
func (s *Sessions) End(ctx context.Context, by auth.Caller, id signaling.SessionID, reason string) error {
	reason = mdm.Clean(reason, 512)
	one, err := s.change(ctx, id, func(one *Session) ([]Entry, error) {
		if !one.IsOpen() {
			return nil, ErrEnded
		}
		now := time.Now()
		one.end(signaling.StateEnded, by.Operator.Name, reason, now)
		return []Entry{{At: now, Kind: KindEnded, Actor: by.Operator.Name, Detail: reason}}, nil
	})
	if err != nil {
		return fmt.Errorf("end session %s: %w", id, err)
	}
	s.endOnDevice(ctx, one.Device, one.ID, orElse(reason, "ended by the operator"), by.Operator.Name)
	return nil
}

// Ask asks the person at the device for more capabilities, cut to the operator's role.
// Errors: ErrOffline, ErrEnded, ErrNotAllowed.
func (s *Sessions) Ask(ctx context.Context, by auth.Caller, id signaling.SessionID, caps signaling.CapabilitySet) error {
	one, err := s.change(ctx, id, func(one *Session) ([]Entry, error) {
		more := caps.And(by.Capabilities(one.Group))
		switch {
		case !one.IsOpen():
			return nil, ErrEnded
		case more == 0:
			return nil, ErrNotAllowed
		case one.State == signaling.StateRequested:
			return nil, fmt.Errorf("the first question is not answered yet: %w", mdm.ErrConflict)
		}
		one.Asked |= more
		return []Entry{{At: time.Now(), Kind: KindAsked, Actor: by.Operator.Name, Detail: names(more)}}, nil
	})
	if err != nil {
		return fmt.Errorf("ask for more in session %s: %w", id, err)
	}
	return s.deliver(ctx, one, signaling.Envelope{Type: signaling.TypeSessionAsk, Body: signaling.SessionAsk{
		Session:  one.ID,
		Operator: signaling.Operator{Name: by.Operator.Name, Email: by.Operator.Email, Role: by.RoleName(one.Group)},
		// what is held stays held whatever the answer
		Capabilities: one.Granted | caps.And(one.Asked),
	}})
}

// change runs fn on the stored session and tells everybody when something came of it.
func (s *Sessions) change(ctx context.Context, id signaling.SessionID, fn func(*Session) ([]Entry, error)) (Session, error) {
	var entries []Entry
	one, err := s.cfg.Store.ChangeSession(ctx, id, func(one *Session) (_ []Entry, err error) {
		entries, err = fn(one)
		return entries, err
	})
	if err != nil || len(entries) == 0 {
		return one, err
	}
	s.tell(one, false)
	return one, nil
}

// endOnDevice tells the agent that a session is over; one that is away is told on its return.
func (s *Sessions) endOnDevice(ctx context.Context, d mdm.DeviceID, id signaling.SessionID, reason, by string) {
	err := s.cfg.Deliver(ctx, d, signaling.Envelope{Type: signaling.TypeSessionEnd, Body: signaling.SessionEnd{Session: id, Reason: reason, By: by}})
	if err != nil && !errors.Is(err, ErrOffline) {
		s.log.Warn("session_end_undelivered", "session", id, "device", d, "error", err)
	}
}

func (s *Sessions) audit(ctx context.Context, one Session, e Entry) {
	switch e.Kind {
	case KindConsented, KindDeclined, KindTimedOut, KindGranted, KindNotGranted, KindEnded, KindWindowClosed,
		string(signaling.EventLive), string(signaling.EventStopped), string(signaling.EventExpired),
		string(signaling.EventFailed), string(signaling.EventRefusedFrame):
	default:
		return
	}
	s.cfg.Audit(ctx, Event{Session: one, Action: "session." + e.Kind, Actor: e.Actor, Detail: e.Detail})
}
