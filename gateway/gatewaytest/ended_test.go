package gatewaytest_test

import (
	"testing"

	"handrail/gateway/gatewaytest"
	"handrail/signaling"
)

// The agent closes its viewers before it reports why: the reason must reach them all the same.
func TestStopAtTheDeviceReachesTheBrowser(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	b := g.DialBrowser(g.Admin())
	one := request(t, g, d, wanted)
	peer := live(t, b, a, one)
	a.Send(signaling.TypePeerClose, signaling.PeerClose{Session: one.ID, Peer: peer, Code: signaling.CodeEnded, Message: "The person at the device ended the session."})
	b.Await(signaling.TypePeerClose)
	a.Send(signaling.TypeSessionEvent, signaling.SessionEvent{Session: one.ID, Seq: 2, Kind: signaling.EventStopped})
	if s := b.AwaitState(signaling.StateEnded); s.EndedBy != "person at the device" || s.Message == "" {
		t.Errorf("state = %+v, want that the person at the device stopped it", s)
	}
}

func TestJoiningASessionThatIsOverTellsWhy(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	first, late := g.DialBrowser(g.Admin()), g.DialBrowser(g.Admin())
	one := request(t, g, d, wanted)
	first.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
	first.Await(signaling.TypeSessionJoined)
	const why = "The device takes part in 16 sessions."
	a.Send(signaling.TypeSessionConsent, signaling.SessionConsent{Session: one.ID, Decision: signaling.DecisionUnavailable, Message: why})
	first.AwaitState(signaling.StateDeclined)
	late.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
	if s := late.AwaitState(signaling.StateDeclined); s.Message != why || s.EndedBy != "" {
		t.Errorf("state = %+v, want %q by nobody", s, why)
	}
	if e := late.Await(signaling.TypeError).Body.(signaling.Error); e.Code != signaling.CodeEnded {
		t.Errorf("error = %+v, want %s", e, signaling.CodeEnded)
	}
	// Who may not see the device learns nothing of its sessions.
	b := g.DialBrowser(g.Operator("hal", "helpdesk", g.Group("elsewhere")))
	b.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
	if e := b.AwaitFunc("an answer", func(e signaling.Envelope) bool {
		return e.Type == signaling.TypeError || e.Type == signaling.TypeSessionState
	}); e.Type != signaling.TypeError {
		t.Errorf("a stranger was told %+v", e)
	}
}
