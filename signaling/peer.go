package signaling

import (
	"errors"
	"fmt"
)

// PeerOffer is a viewer's SDP offer; the viewer always offers. ICERestart marks an offer
// that only replaces the transport of a connection that lives.
type PeerOffer struct {
	Session    SessionID `json:"session"`
	Peer       PeerID    `json:"peer"`
	SDP        string    `json:"sdp"`
	ICERestart bool      `json:"ice_restart,omitempty"`
}

func (o PeerOffer) validate() error {
	return firstError(o.Session.validate(), o.Peer.validate(), checkSDP(o.SDP))
}

// PeerAnswer is the agent's SDP answer to the latest offer of that peer.
type PeerAnswer struct {
	Session SessionID `json:"session"`
	Peer    PeerID    `json:"peer"`
	SDP     string    `json:"sdp"`
}

func (a PeerAnswer) validate() error {
	return firstError(a.Session.validate(), a.Peer.validate(), checkSDP(a.SDP))
}

// PeerCandidate is one trickled ICE candidate, as RTCIceCandidateInit. An empty Candidate
// ends the list.
type PeerCandidate struct {
	Session       SessionID `json:"session"`
	Peer          PeerID    `json:"peer"`
	Candidate     string    `json:"candidate"`
	SDPMid        string    `json:"sdp_mid"`
	SDPMLineIndex uint16    `json:"sdp_m_line_index"`
	UsernameFrag  string    `json:"username_fragment,omitempty"`
}

func (c PeerCandidate) validate() error {
	return firstError(c.Session.validate(), c.Peer.validate(), checkText("candidate", c.Candidate, 1024),
		checkText("sdp_mid", c.SDPMid, 64), checkText("username_fragment", c.UsernameFrag, 256))
}

// PeerClose takes one viewer out of a session; the session stays.
type PeerClose struct {
	Session SessionID `json:"session"`
	Peer    PeerID    `json:"peer"`
	Code    Code      `json:"code,omitempty"`
	Message string    `json:"message,omitempty"`
}

func (c PeerClose) validate() error {
	return firstError(c.Session.validate(), c.Peer.validate(), checkText("message", c.Message, MaxText))
}

// checkSDP bounds an SDP. What it says is for the WebRTC stack to judge.
func checkSDP(s string) error {
	if s == "" {
		return errors.New("empty sdp")
	}
	if len(s) > MaxSDP {
		return fmt.Errorf("sdp is %d bytes, at most %d", len(s), MaxSDP)
	}
	return nil
}
