package session

import (
	"context"
	"errors"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// errStray says that a message is about a session that is not this device's, or is over.
var errStray = errors.New("not an open session of this device")

// errOver says that a session ended, or should have, while its device was away.
var errOver = errors.New("over meanwhile")

// FromDevice takes a session.* message of an agent. A message about a session that is not
// the device's, or is over, is answered by ending it there.
func (s *Sessions) FromDevice(ctx context.Context, d mdm.DeviceID, e signaling.Envelope) {
	var id signaling.SessionID
	var apply func(*Session) []Entry
	now := time.Now()
	switch b := e.Body.(type) {
	case signaling.SessionConsent:
		id, apply = b.Session, func(one *Session) []Entry { return one.decide(b, now) }
	case signaling.SessionEvent:
		id, apply = b.Session, func(one *Session) []Entry { return one.happened(b, now) }
	default:
		return
	}
	var entries []Entry
	one, err := s.change(ctx, id, func(one *Session) ([]Entry, error) {
		entries = nil
		if one.Device != d {
			return nil, errStray
		}
		if !one.IsOpen() {
			// A last event may come after the end: keep it, change nothing.
			if ev, ok := e.Body.(signaling.SessionEvent); ok {
				past := *one
				return past.happened(ev, now), nil
			}
			return nil, errStray
		}
		entries = apply(one)
		return entries, nil
	})
	switch {
	case errors.Is(err, errStray), errors.Is(err, mdm.ErrNotFound):
		s.log.Info("session_stray", "session", id, "device", d, "type", e.Type)
		s.endOnDevice(ctx, d, id, "the gateway does not know this session as open", "gateway")
		return
	case err != nil:
		s.log.Error("session_message_lost", "session", id, "device", d, "type", e.Type, "error", err)
		return
	}
	for _, entry := range entries {
		s.audit(ctx, one, entry)
	}
	if len(entries) > 0 && !one.IsOpen() {
		s.log.Info("session_over", "session", id, "device", d, "state", one.State, "reason", one.Message)
	}
}

// DeviceBack puts a device's sessions together after its agent has connected: those the
// gateway holds open are sent again, those it does not are ended on the device.
func (s *Sessions) DeviceBack(ctx context.Context, d mdm.DeviceID, briefs []signaling.SessionBrief) error {
	open, err := s.cfg.Store.OpenSessions(ctx, d)
	if err != nil {
		return err
	}
	held := map[signaling.SessionID]signaling.SessionBrief{}
	for _, b := range briefs {
		held[b.Session] = b
	}
	for _, one := range open {
		brief, alive := held[one.ID]
		delete(held, one.ID)
		if err := s.reattach(ctx, one.ID, alive && brief.Live); err != nil {
			return err
		}
	}
	for id := range held {
		s.log.Info("session_stray", "session", id, "device", d, "type", signaling.TypeHello)
		s.endOnDevice(ctx, d, id, "the gateway does not know this session as open", "gateway")
	}
	return nil
}

// reattach sends an open session to the agent that came back, and then tells the browsers,
// whose viewers the agent may have to be told of after it knows the session.
func (s *Sessions) reattach(ctx context.Context, id signaling.SessionID, live bool) error {
	one, err := s.cfg.Store.ChangeSession(ctx, id, func(one *Session) ([]Entry, error) {
		now := time.Now()
		if !one.IsOpen() || one.overdue(now, s.cfg.Grace) != nil {
			return nil, errOver
		}
		one.LostAt = time.Time{}
		if live {
			one.live(now)
		}
		return []Entry{{At: now, Kind: KindDeviceBack}}, nil
	})
	if errors.Is(err, errOver) {
		s.endOnDevice(ctx, one.Device, id, orElse(one.Message, "the session is over"), "gateway")
		return s.expire(ctx, id)
	}
	if err != nil {
		return err
	}
	if err := s.deliver(ctx, one, s.requestOf(ctx, one)); err != nil {
		return err
	}
	s.tell(one, true)
	return nil
}

// tell announces a session as it is stored now.
func (s *Sessions) tell(one Session, reattached bool) {
	s.poke()
	s.cfg.Announce(News{State: one.news(), Reattached: reattached})
	s.cfg.Changed(signaling.TopicSessions, string(one.ID))
}

// DeviceLost notes that no node holds the device's link any more.
func (s *Sessions) DeviceLost(ctx context.Context, d mdm.DeviceID) error {
	open, err := s.cfg.Store.OpenSessions(ctx, d)
	if err != nil {
		return err
	}
	for _, one := range open {
		if err := s.lost(ctx, one.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sessions) lost(ctx context.Context, id signaling.SessionID) error {
	_, err := s.change(ctx, id, func(one *Session) ([]Entry, error) {
		if !one.IsOpen() || !one.LostAt.IsZero() {
			return nil, nil
		}
		one.LostAt = time.Now()
		return []Entry{{At: one.LostAt, Kind: KindDeviceLost}}, nil
	})
	return err
}

// DeviceCut ends every session of a device that was revoked or deleted.
func (s *Sessions) DeviceCut(ctx context.Context, d mdm.DeviceID, why string) error {
	open, err := s.cfg.Store.OpenSessions(ctx, d)
	if err != nil {
		return err
	}
	for _, one := range open {
		var entries []Entry
		one, err := s.change(ctx, one.ID, func(one *Session) ([]Entry, error) {
			if entries = nil; one.IsOpen() {
				now := time.Now()
				one.end(signaling.StateEnded, "gateway", why, now)
				entries = []Entry{{At: now, Kind: KindEnded, Detail: why}}
			}
			return entries, nil
		})
		if err != nil {
			return err
		}
		for _, e := range entries {
			s.audit(ctx, one, e)
		}
	}
	return nil
}

// poke makes Run look at the deadlines again.
func (s *Sessions) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run ends sessions whose time is over, until ctx ends. Every node runs it; a session whose
// node died is ended by another.
func (s *Sessions) Run(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	recheck := time.Now() // sessions of before this start may have lost their device unseen
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.wake:
		}
		next := time.Now().Add(s.cfg.Recheck)
		deep := !time.Now().Before(recheck)
		if deep {
			recheck = next
		}
		due, err := s.sweep(ctx, deep)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("session_sweep_broken", "error", err)
		}
		if !due.IsZero() && due.Before(next) {
			next = due
		}
		if next.After(recheck) {
			next = recheck
		}
		t.Reset(max(time.Until(next), 10*time.Millisecond))
	}
}

// sweep ends what is overdue and returns when the next session may be. A deep sweep also
// asks after the devices.
func (s *Sessions) sweep(ctx context.Context, deep bool) (time.Time, error) {
	open, err := s.cfg.Store.OpenSessions(ctx, "")
	if err != nil {
		return time.Time{}, err
	}
	var next time.Time
	for _, one := range open {
		if deep && one.LostAt.IsZero() && errors.Is(s.cfg.Present(ctx, one.Device), ErrOffline) {
			if err := s.lost(ctx, one.ID); err != nil {
				return time.Time{}, err
			}
			one.LostAt = time.Now()
		}
		due := one.due(s.cfg.Grace)
		if due.IsZero() {
			continue
		}
		if time.Now().Before(due) {
			if next.IsZero() || due.Before(next) {
				next = due
			}
			continue
		}
		if err := s.expire(ctx, one.ID); err != nil {
			return time.Time{}, err
		}
	}
	return next, nil
}

func (s *Sessions) expire(ctx context.Context, id signaling.SessionID) error {
	var entries []Entry
	one, err := s.change(ctx, id, func(one *Session) ([]Entry, error) {
		entries = nil
		if one.IsOpen() {
			entries = one.overdue(time.Now(), s.cfg.Grace)
		}
		return entries, nil
	})
	if err != nil || len(entries) == 0 {
		return err
	}
	for _, e := range entries {
		s.audit(ctx, one, e)
	}
	s.log.Info("session_over", "session", id, "device", one.Device, "state", one.State, "reason", one.Message)
	s.endOnDevice(ctx, one.Device, one.ID, one.Message, "gateway")
	return nil
}
