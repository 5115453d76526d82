package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/signaling"
)

// Viewer is one operator's browser in a session.
type Viewer struct {
	Session Session
	Peer    signaling.PeerID
	Joined  signaling.SessionJoined // for the browser
	Notice  signaling.SessionViewer // for the agent
}

// Join makes a viewer, or brings one back under the peer id it had; an id that was not made
// for this operator and session gets a fresh one. Errors: mdm.ErrNotFound, ErrEnded,
// ErrNotAllowed.
func (s *Sessions) Join(ctx context.Context, by auth.Caller, j signaling.SessionJoin) (Viewer, error) {
	one, err := s.Session(ctx, j.Session)
	if err != nil {
		return Viewer{}, err
	}
	group, deviceName := one.Group, one.DeviceName
	if d, err := s.cfg.Device(ctx, one.Device); err == nil {
		group, deviceName = d.Group, d.Name
	} else if !errors.Is(err, mdm.ErrNotFound) {
		return Viewer{}, err
	}
	if !by.May(auth.SessionView, group) {
		return Viewer{}, fmt.Errorf("join session %s: %w", one.ID, ErrNotAllowed)
	}
	if !one.IsOpen() {
		return Viewer{}, fmt.Errorf("join session %s: %w", one.ID, ErrEnded)
	}
	peer, err := s.peer(ctx, by, one.ID, j.Peer)
	if err != nil {
		return Viewer{}, err
	}
	caps := by.Capabilities(group)
	return Viewer{
		Session: one, Peer: peer,
		Joined: signaling.SessionJoined{
			Session: one.ID, Peer: peer, Capabilities: caps, ICEServers: s.cfg.ICEServers(one.ID, peer),
			State: one.State, DeviceName: deviceName,
		},
		Notice: signaling.SessionViewer{
			Session: one.ID, Peer: peer, Capabilities: caps, ICEServers: s.cfg.ICEServers(one.ID, peer),
			Operator: signaling.Operator{Name: by.Operator.Name, Email: by.Operator.Email, Role: by.RoleName(group)},
		},
	}, nil
}

func (s *Sessions) peer(ctx context.Context, by auth.Caller, id signaling.SessionID, wanted signaling.PeerID) (signaling.PeerID, error) {
	if wanted != "" {
		p, err := s.cfg.Store.SessionPeer(ctx, wanted)
		switch {
		case err == nil && p.Session == id && p.Operator == by.Operator.ID:
			return p.ID, nil
		case err != nil && !errors.Is(err, mdm.ErrNotFound):
			return "", err
		}
	}
	p := Peer{ID: signaling.NewPeerID(), Session: id, Operator: by.Operator.ID, Name: by.Operator.Name, MadeAt: time.Now()}
	if err := s.cfg.Store.AddSessionPeer(ctx, p); err != nil {
		return "", fmt.Errorf("add viewer to %s: %w", id, err)
	}
	return p.ID, nil
}

// News returns the state of a session as its browsers are told it.
func (s *Sessions) News(ctx context.Context, id signaling.SessionID) (signaling.SessionState, error) {
	one, err := s.Session(ctx, id)
	return one.news(), err
}

// ICEServers makes fresh credentials for a viewer.
func (s *Sessions) ICEServers(id signaling.SessionID, p signaling.PeerID) []signaling.ICEServer {
	return s.cfg.ICEServers(id, p)
}
