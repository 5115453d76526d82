package gatewaytest_test

import (
	"testing"

	"handrail/gateway/gatewaytest"
	"handrail/gateway/internal/session"
	"handrail/signaling"
)

var wanted = signaling.SetOf(signaling.View, signaling.Control, signaling.Clipboard)

// request asks for a session on a device as the administrator.
func request(t *testing.T, g *gatewaytest.Gateway, d gatewaytest.Device, caps signaling.CapabilitySet) session.Session {
	t.Helper()
	dev, err := g.Rooms.Devices.Device(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	one, err := g.Rooms.Sessions.Request(t.Context(), g.Caller(g.Admin()), dev, "printer is on fire", caps)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// relayed plays one viewer's offer, answer and candidates through the gateway.
func relayed(t *testing.T, b *gatewaytest.Browser, a *gatewaytest.Agent, id signaling.SessionID, peer signaling.PeerID) {
	t.Helper()
	b.Send(signaling.TypePeerOffer, signaling.PeerOffer{Session: id, Peer: peer, SDP: "v=0 offer"})
	if o := gatewaytest.Await[signaling.PeerOffer](a); o.SDP != "v=0 offer" || o.Peer != peer {
		t.Errorf("the agent got offer %+v", o)
	}
	a.Send(signaling.TypePeerAnswer, signaling.PeerAnswer{Session: id, Peer: peer, SDP: "v=0 answer"})
	if e := b.Await(signaling.TypePeerAnswer).Body.(signaling.PeerAnswer); e.SDP != "v=0 answer" {
		t.Errorf("the browser got answer %+v", e)
	}
	for range 20 {
		b.Send(signaling.TypePeerCandidate, signaling.PeerCandidate{Session: id, Peer: peer, Candidate: "candidate:b"})
		a.Send(signaling.TypePeerCandidate, signaling.PeerCandidate{Session: id, Peer: peer, Candidate: "candidate:a"})
	}
	for range 20 {
		gatewaytest.Await[signaling.PeerCandidate](a)
		b.Await(signaling.TypePeerCandidate)
	}
}

func TestSessionFromRequestToEnd(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	admin := g.Admin()
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	b := g.DialBrowser(admin)
	one := request(t, g, d, wanted)
	b.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})

	r := gatewaytest.Await[signaling.SessionRequest](a)
	if r.Session != one.ID || r.Operator.Name != "Ada Admin" || r.Organisation != "Example Ltd" || r.Consent != signaling.ConsentAsk || r.Reason != "printer is on fire" {
		t.Errorf("request = %+v", r)
	}
	v := gatewaytest.Await[signaling.SessionViewer](a)
	j := b.Await(signaling.TypeSessionJoined).Body.(signaling.SessionJoined)
	if j.Peer != v.Peer || j.State != signaling.StateRequested || len(j.ICEServers) != 1 || j.ICEServers[0].Credential == "" {
		t.Errorf("joined = %+v, viewer = %+v", j, v)
	}
	a.Send(signaling.TypeSessionConsent, signaling.SessionConsent{
		Session: one.ID, Decision: signaling.DecisionGranted, Granted: signaling.SetOf(signaling.View, signaling.Control, signaling.Files), By: "mia",
	})
	// files were not asked for, so they are not granted
	if s := b.AwaitState(signaling.StateConsented); s.Granted != signaling.SetOf(signaling.View, signaling.Control) {
		t.Errorf("granted = %v", s.Granted.List())
	}
	relayed(t, b, a, one.ID, j.Peer)
	a.Send(signaling.TypeSessionEvent, signaling.SessionEvent{Session: one.ID, Seq: 1, Kind: signaling.EventLive})
	b.AwaitState(signaling.StateLive)
	a.Send(signaling.TypeSessionEvent, signaling.SessionEvent{Session: one.ID, Seq: 1, Kind: signaling.EventLive}) // twice: stored once
	if err := g.Rooms.Sessions.End(t.Context(), g.Caller(admin), one.ID, "done"); err != nil {
		t.Fatal(err)
	}
	if e := gatewaytest.Await[signaling.SessionEnd](a); e.Session != one.ID || e.By != "Ada Admin" {
		t.Errorf("end = %+v", e)
	}
	if s := b.AwaitState(signaling.StateEnded); s.EndedBy != "Ada Admin" || s.Message != "done" {
		t.Errorf("state = %+v", s)
	}
	line, err := g.Rooms.Sessions.Timeline(t.Context(), one.ID)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range line {
		kinds = append(kinds, e.Kind)
	}
	want := []string{"requested", "consented", "live", "ended"}
	if len(kinds) != len(want) {
		t.Errorf("timeline = %v, want %v", kinds, want)
	}
}
