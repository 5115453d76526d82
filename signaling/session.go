package signaling

import "fmt"

// Operator is how a member of support staff is shown to the person at the device.
type Operator struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Role  string `json:"role"` // in words: "Technician"
}

// ConsentMode says who agrees to a session.
type ConsentMode string

// The modes.
const (
	ConsentAsk        ConsentMode = "ask"        // the person at the device
	ConsentUnattended ConsentMode = "unattended" // a policy of the device's group already has
)

// SessionRequest opens a session on the device. It is sent again, unchanged, when a link
// returns: an agent that knows the session answers with its state.
type SessionRequest struct {
	Session        SessionID     `json:"session"`
	Operator       Operator      `json:"operator"`
	Organisation   string        `json:"organisation"`
	Reason         string        `json:"reason"`
	Capabilities   CapabilitySet `json:"capabilities"`
	Consent        ConsentMode   `json:"consent"`
	AnswerWithinMS int64         `json:"answer_within_ms"` // of ConsentAsk; silence is a refusal
	// ConsentWindowMS is how long consent outlives the last connection: a viewer or agent
	// that comes back within it needs no new consent.
	ConsentWindowMS int64 `json:"consent_window_ms"`
}

// Decision is the outcome of asking for consent.
type Decision string

// The decisions. Anything but DecisionGranted is a refusal.
const (
	DecisionGranted     Decision = "granted"
	DecisionDeclined    Decision = "declined"    // the person said no
	DecisionTimeout     Decision = "timeout"     // nobody answered
	DecisionUnavailable Decision = "unavailable" // nobody could be asked: no companion, no graphical session
)

// SessionConsent answers session.request, and later ones when a person raises or takes
// back a capability.
type SessionConsent struct {
	Session  SessionID     `json:"session"`
	Decision Decision      `json:"decision"`
	Granted  CapabilitySet `json:"granted"`
	By       string        `json:"by"` // account name at the device, or "policy"
	Message  string        `json:"message,omitempty"`
}

func (c SessionConsent) validate() error {
	switch c.Decision {
	case DecisionGranted, DecisionDeclined, DecisionTimeout, DecisionUnavailable:
	default:
		return fmt.Errorf("decision %q", trim(string(c.Decision), 32))
	}
	return firstError(c.Session.validate(), checkText("by", c.By, 256), checkText("message", c.Message, MaxText))
}

// ICEServer is a STUN or TURN server with short-lived credentials.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// SessionViewer tells the agent of a viewer that is about to send an offer. The viewer's
// rights are Capabilities and what the session was granted, whichever is less.
type SessionViewer struct {
	Session      SessionID     `json:"session"`
	Peer         PeerID        `json:"peer"`
	Operator     Operator      `json:"operator"`
	Capabilities CapabilitySet `json:"capabilities"`
	ICEServers   []ICEServer   `json:"ice_servers"`
}

// SessionAsk asks the person at the device for more capabilities in a session that lives.
type SessionAsk struct {
	Session      SessionID     `json:"session"`
	Operator     Operator      `json:"operator"`
	Capabilities CapabilitySet `json:"capabilities"` // those wanted in all
}

// SessionEnd ends a session from the operators' side or by policy.
type SessionEnd struct {
	Session SessionID `json:"session"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
}

// EventKind names what happened on the device in a session; the words of the timeline.
type EventKind string

// The events an agent reports.
const (
	EventLive           EventKind = "live"            // first picture is on its way; sent once
	EventPaused         EventKind = "paused"          // by the person at the device
	EventResumed        EventKind = "resumed"         //
	EventStopped        EventKind = "stopped"         // by the person at the device: the session is over
	EventExpired        EventKind = "expired"         // consent window closed with nobody connected
	EventFailed         EventKind = "failed"          // could not show the screen; detail says why
	EventViewerJoined   EventKind = "viewer_joined"   // a viewer's connection came up; detail: direct or relay
	EventViewerLost     EventKind = "viewer_lost"     // its network went away; it may come back
	EventViewerReturned EventKind = "viewer_returned" //
	EventViewerLeft     EventKind = "viewer_left"     //
	EventControlTaken   EventKind = "control_taken"   // detail: by whom
	EventControlFreed   EventKind = "control_freed"   //
	EventClipboardSent  EventKind = "clipboard_sent"  // operator to device; detail: size only
	EventClipboardRead  EventKind = "clipboard_read"  // device to operator; detail: size only
	EventToolOpened     EventKind = "tool_opened"     // detail: which
	EventToolClosed     EventKind = "tool_closed"     // detail: which
	EventToolUsed       EventKind = "tool_used"       // something was done with it; detail: which, what and with what result
	EventRefusedFrame   EventKind = "refused_frame"   // a viewer sent what it may not; first of its kind only
	EventDisplayLost    EventKind = "display_lost"    // X server or session gone
	EventDisplayBack    EventKind = "display_back"    //
)

// SessionEvent is one entry of the device's part of a session's timeline. Seq counts from 1
// per session without gaps, so that an event sent twice is stored once.
type SessionEvent struct {
	Session SessionID `json:"session"`
	Seq     int64     `json:"seq"`
	Kind    EventKind `json:"kind"`
	Peer    PeerID    `json:"peer,omitempty"`
	AgoMS   int64     `json:"ago_ms"` // age when sent: the gateway's clock dates it, not the device's
	Detail  string    `json:"detail,omitempty"`
}

func (e SessionEvent) validate() error {
	if e.Seq < 1 || e.AgoMS < 0 {
		return fmt.Errorf("seq %d, ago %d ms", e.Seq, e.AgoMS)
	}
	if e.Kind == "" {
		return fmt.Errorf("no kind")
	}
	if e.Peer != "" {
		if err := e.Peer.validate(); err != nil {
			return err
		}
	}
	return firstError(e.Session.validate(), checkText("kind", string(e.Kind), 32), checkText("detail", e.Detail, MaxText))
}

// Ticket is a browser's first message: what POST /api/socket-ticket gave it, once.
type Ticket struct {
	Ticket string `json:"ticket"`
}

func (t Ticket) validate() error { return checkText("ticket", t.Ticket, 128) }

// Ready says that a browser's ticket was good.
type Ready struct {
	HeartbeatMS int64 `json:"heartbeat_ms"`
}

// Subscribe replaces the topics this browser is told changes of.
type Subscribe struct {
	Topics []Topic `json:"topics"`
}

func (s Subscribe) validate() error {
	if len(s.Topics) > 16 {
		return fmt.Errorf("%d topics, at most 16", len(s.Topics))
	}
	for _, t := range s.Topics {
		if err := checkText("topic", string(t), 64); err != nil {
			return err
		}
	}
	return nil
}

// Topic is a kind of thing that changes.
type Topic string

// The topics.
const (
	TopicDevices   Topic = "devices"
	TopicSessions  Topic = "sessions"
	TopicOperators Topic = "operators"
	TopicGroups    Topic = "groups"
	TopicTokens    Topic = "tokens"
	TopicAudit     Topic = "audit"

	TopicPolicies   Topic = "policies"
	TopicCommands   Topic = "commands" // ids are of bulks
	TopicCompliance Topic = "compliance"
	TopicLabels     Topic = "labels"
)

// Changed says that the things named are worth fetching again. It carries no data: what
// an operator may see is decided by the fetch.
type Changed struct {
	Topic Topic    `json:"topic"`
	IDs   []string `json:"ids"` // empty: anything of the topic
}

// SessionJoin asks for a peer in a session. Peer is set when a viewer comes back, so that
// it keeps its identity (and control, if nobody else took it).
type SessionJoin struct {
	Session SessionID `json:"session"`
	Peer    PeerID    `json:"peer,omitempty"`
}

func (j SessionJoin) validate() error {
	if j.Peer != "" {
		if err := j.Peer.validate(); err != nil {
			return err
		}
	}
	return j.Session.validate()
}

// SessionJoined answers session.join. The viewer may send its offer once State is
// consented or live; until then it waits for session.state.
type SessionJoined struct {
	Session      SessionID     `json:"session"`
	Peer         PeerID        `json:"peer"`
	Capabilities CapabilitySet `json:"capabilities"` // this operator's part of what the session may hold
	ICEServers   []ICEServer   `json:"ice_servers"`
	State        State         `json:"state"`
	DeviceName   string        `json:"device_name"`
}

// State is where a session stands.
type State string

// The states: requested -> consented -> live -> ended; or declined, expired, failed.
const (
	StateRequested State = "requested"
	StateConsented State = "consented"
	StateLive      State = "live"
	StateEnded     State = "ended"
	StateDeclined  State = "declined"
	StateExpired   State = "expired"
	StateFailed    State = "failed"
)

// IsFinal reports whether a session in this state can never change again.
func (s State) IsFinal() bool {
	return s == StateEnded || s == StateDeclined || s == StateExpired || s == StateFailed
}

// SessionState tells the browsers in a session what became of it.
type SessionState struct {
	Session  SessionID     `json:"session"`
	State    State         `json:"state"`
	Granted  CapabilitySet `json:"granted"`
	Online   bool          `json:"online"`                // the device is connected to a gateway
	Message  string        `json:"message,omitempty"`     // why, in words, where it ended
	EndedBy  string        `json:"ended_by,omitempty"`    // empty where nobody did: silence, nobody to ask, time
	Deadline int64         `json:"deadline_us,omitempty"` // while requested: when silence becomes a refusal
}
