// Package session owns support sessions: the aggregate an operator asks for, the person at
// the device agrees to, and whose connections come and go. It keeps its state machine and
// its timeline, decides when silence has become a refusal, and puts a session together again
// after an agent, a browser or a gateway was away. It does not carry pictures, does not
// speak to sockets (it is given functions that deliver), and does not decide who may ask:
// package api does. What an operator's role may hold at most it does cut.
//
// The states:
//
//	requested -> consented -> live -> ended
//	    |            |          |
//	    |            +----------+--> expired (nobody connected for the consent window)
//	    |            +----------+--> failed  (no picture)
//	    +--> declined | expired (silence) | ended (withdrawn)
//
// Any node may change any session: every change is one transaction over the stored row, and
// what is announced is what was stored.
package session

import (
	"context"
	"errors"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/signaling"
)

// Errors callers decide on, beside those of package mdm.
var (
	ErrOffline    = errors.New("the device is not connected")
	ErrEnded      = errors.New("the session is over")
	ErrTooMany    = errors.New("this device is in as many sessions as it may be: end one that nobody needs on the device's page, then connect again")
	ErrNotAllowed = errors.New("not allowed for this operator's role")
)

// Session is one support session.
type Session struct {
	ID           signaling.SessionID
	Device       mdm.DeviceID
	DeviceName   string      // when asked; the device may be renamed or deleted since
	Group        mdm.GroupID // group of the device when asked
	Operator     auth.OperatorID
	OperatorName string
	Shown        signaling.Operator // who the person at the device was told is asking
	Reason       string
	Asked        signaling.CapabilitySet
	Granted      signaling.CapabilitySet
	Consent      signaling.ConsentMode
	State        signaling.State
	RequestedAt  time.Time
	ConsentedAt  time.Time // zero: not (yet), as the times below
	LiveAt       time.Time
	EndedAt      time.Time
	Deadline     time.Time     // while requested: when silence becomes a refusal
	Window       time.Duration // how long consent outlives the last connection
	LostAt       time.Time     // since when the device is away; zero while it is connected
	EndedBy      string
	Message      string // why it ended, in words
}

// IsOpen reports whether the session can still change.
func (s Session) IsOpen() bool { return !s.State.IsFinal() }

// Entry is one line of a session's timeline.
type Entry struct {
	Seq      int64 // from 1, in order of arrival
	AgentSeq int64 // the agent's own number, stored once each; 0: not from the agent
	At       time.Time
	Kind     string // an EventKind, or one of the kinds below
	Actor    string // in words; "" is the gateway
	Peer     signaling.PeerID
	Detail   string
}

// Kinds of entries that are not an agent's events.
const (
	KindRequested    = "requested"
	KindConsented    = "consented"
	KindDeclined     = "declined"
	KindTimedOut     = "timed_out"
	KindAsked        = "asked"         // for more capabilities
	KindGranted      = "granted"       // capabilities raised or taken back
	KindNotGranted   = "not_granted"   // more capabilities refused
	KindEnded        = "ended"         //
	KindDeviceLost   = "device_lost"   // its link went away
	KindDeviceBack   = "device_back"   //
	KindWindowClosed = "window_closed" // the consent window, with the device away
)

// Filter selects sessions, newest first. The zero value selects none: name groups or all.
type Filter struct {
	Device    mdm.DeviceID
	Operator  auth.OperatorID
	States    []signaling.State
	Groups    []mdm.GroupID
	AllGroups bool
	After     string // cursor of the page before
	Limit     int    // 0 means 50; at most 500
}

// Counts are for the overview.
type Counts struct {
	Live    int64 // consented or live
	Waiting int64 // requested
}

// Peer binds a viewer to the operator it was made for, so that nobody else can come back as it.
type Peer struct {
	ID       signaling.PeerID
	Session  signaling.SessionID
	Operator auth.OperatorID
	Name     string
	MadeAt   time.Time
}

// Store keeps sessions. Unknown ids are mdm.ErrNotFound.
type Store interface {
	// CreateSession stores a new session and its first entry, unless the device has limit
	// open ones already: then ErrTooMany.
	CreateSession(ctx context.Context, s Session, first Entry, limit int) error
	// ChangeSession runs change on the stored session in a transaction, and stores it and
	// the entries returned; nobody else changes it meanwhile. An entry whose AgentSeq is
	// there already is dropped. With an error of change nothing is stored and that error
	// is returned. change may run twice.
	ChangeSession(ctx context.Context, id signaling.SessionID, change func(*Session) ([]Entry, error)) (Session, error)
	Reader
	PeerStore
}

// Reader finds sessions.
type Reader interface {
	SupportSession(ctx context.Context, id signaling.SessionID) (Session, error)
	SupportSessions(ctx context.Context, f Filter) (page []Session, next string, err error)
	// OpenSessions returns the sessions of a device that are not final; of all devices for "".
	OpenSessions(ctx context.Context, d mdm.DeviceID) ([]Session, error)
	// SessionEntries returns the timeline in order of time. Where an entry has a peer and no
	// actor, the peer's name is filled in.
	SessionEntries(ctx context.Context, id signaling.SessionID) ([]Entry, error)
	CountSessions(ctx context.Context, groups []mdm.GroupID, all bool) (Counts, error)
}

// PeerStore keeps viewers.
type PeerStore interface {
	AddSessionPeer(ctx context.Context, p Peer) error
	SessionPeer(ctx context.Context, id signaling.PeerID) (Peer, error)
}
