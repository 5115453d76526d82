package gatewaytest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/gateway/internal/browser"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/client"
)

// live brings a session to the state live and returns the browser's peer in it.
func live(t *testing.T, b *gatewaytest.Browser, a *gatewaytest.Agent, one session.Session) signaling.PeerID {
	t.Helper()
	b.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
	j := b.Await(signaling.TypeSessionJoined).Body.(signaling.SessionJoined)
	gatewaytest.Await[signaling.SessionViewer](a)
	a.Send(signaling.TypeSessionConsent, signaling.SessionConsent{Session: one.ID, Decision: signaling.DecisionGranted, Granted: one.Asked, By: "policy"})
	a.Send(signaling.TypeSessionEvent, signaling.SessionEvent{Session: one.ID, Seq: 1, Kind: signaling.EventLive})
	b.AwaitState(signaling.StateLive)
	return j.Peer
}

// online waits until a device is known to be connected, or not, at a gateway.
func online(t *testing.T, g *gatewaytest.Gateway, id mdm.DeviceID, want bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if g.Rooms.Links.IsOnline(id) == want && (g.Rooms.Links.Present(t.Context(), id) == nil) == want {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("device online = %v after a minute, want %v", !want, want)
		}
	}
	return time.Since(began)
}

func TestGatewayRestartKeepsTheSession(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	admin := g.Admin()
	d := g.Enroll("desk-1", g.Group("kiosks", "view", "control"))
	a := g.DialAgent(d)
	b := g.DialBrowser(admin)
	one := request(t, g, d, wanted)
	if one.Consent != signaling.ConsentUnattended || one.Asked != signaling.SetOf(signaling.View, signaling.Control) {
		t.Errorf("a policy of view and control made consent %q, asked %v", one.Consent, one.Asked.List())
	}
	peer := live(t, b, a, one)
	a.SetBriefs(signaling.SessionBrief{Session: one.ID, Granted: one.Asked, Live: true, Seq: 1})

	g.Restart()
	if err := b.AwaitEnd(); err == nil {
		t.Error("the browser's socket outlived the gateway")
	}
	a.AwaitPhase(client.Online)
	if r := gatewaytest.Await[signaling.SessionRequest](a); r.Session != one.ID {
		t.Errorf("resent request = %+v", r)
	}
	b = g.DialBrowser(admin)
	b.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID, Peer: peer})
	j := b.Await(signaling.TypeSessionJoined).Body.(signaling.SessionJoined)
	if j.Peer != peer || j.State != signaling.StateLive {
		t.Errorf("joined again = %+v, want peer %s, live", j, peer)
	}
	relayed(t, b, a, one.ID, peer)
}

func TestPeerOfAnotherOperatorIsNotGivenOut(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	admin := g.Admin()
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	b := g.DialBrowser(admin)
	one := request(t, g, d, wanted)
	peer := live(t, b, a, one)
	other := g.DialBrowser(g.Operator("tess", "technician", mdm.RootGroup))
	other.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID, Peer: peer})
	if j := other.Await(signaling.TypeSessionJoined).Body.(signaling.SessionJoined); j.Peer == peer {
		t.Error("another operator was given the first one's peer")
	}
	// and a message for a peer of another socket is refused
	other.Send(signaling.TypePeerOffer, signaling.PeerOffer{Session: one.ID, Peer: peer, SDP: "v=0"})
	if e := other.Await(signaling.TypeError).Body.(signaling.Error); e.Code != signaling.CodeNotFound {
		t.Errorf("offer as another's peer = %+v", e)
	}
	// help desk sees, and no more
	desk := g.DialBrowser(g.Operator("hal", "helpdesk", mdm.RootGroup))
	desk.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
	if j := desk.Await(signaling.TypeSessionJoined).Body.(signaling.SessionJoined); j.Capabilities != signaling.SetOf(signaling.View) {
		t.Errorf("help desk may %v", j.Capabilities.List())
	}
	// an auditor does not join
	auditor := g.DialBrowser(g.Operator("ann", "auditor", mdm.RootGroup))
	auditor.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
	if e := auditor.Await(signaling.TypeError).Body.(signaling.Error); e.Code != signaling.CodeForbidden {
		t.Errorf("auditor's join = %+v", e)
	}
}

func TestAgentRestartGetsItsSessionAndViewersAgain(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := g.Enroll("desk-1", g.Group("kiosks", "view"))
	a := g.DialAgent(d)
	b := g.DialBrowser(g.Admin())
	one := request(t, g, d, wanted)
	peer := live(t, b, a, one)
	a.Stop()
	if s := b.AwaitFunc("offline", isOnline(false)).Body.(signaling.SessionState); s.State != signaling.StateLive {
		t.Errorf("state = %+v", s)
	}
	a = g.DialAgent(d) // it knows of no session
	if r := gatewaytest.Await[signaling.SessionRequest](a); r.Session != one.ID {
		t.Errorf("request = %+v", r)
	}
	if v := gatewaytest.Await[signaling.SessionViewer](a); v.Peer != peer {
		t.Errorf("viewer = %+v, want %s", v, peer)
	}
	b.AwaitFunc("online", isOnline(true))
}

func isOnline(want bool) func(signaling.Envelope) bool {
	return func(e signaling.Envelope) bool {
		s, ok := e.Body.(signaling.SessionState)
		return ok && s.Online == want
	}
}

func TestUnknownSessionsAreEndedOnTheAgent(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	g.Admin()
	one, two := g.Enroll("one", ""), g.Enroll("two", "")
	a1 := g.DialAgent(one)
	theirs := request(t, g, one, wanted)
	gatewaytest.Await[signaling.SessionRequest](a1)
	a2 := g.DialAgent(two) // up, so that the reconnect is one
	stray := signaling.NewSessionID()
	a2.SetBriefs(signaling.SessionBrief{Session: stray, Live: true}, signaling.SessionBrief{Session: theirs.ID, Live: true})
	a2.Client.Reconnect()
	ended := map[signaling.SessionID]bool{}
	for len(ended) < 2 {
		ended[gatewaytest.Await[signaling.SessionEnd](a2).Session] = true
	}
	// saying yes for another device changes nothing
	a2.Send(signaling.TypeSessionConsent, signaling.SessionConsent{Session: theirs.ID, Decision: signaling.DecisionGranted, Granted: wanted})
	gatewaytest.Await[signaling.SessionEnd](a2)
	if s, err := g.Rooms.Sessions.Session(t.Context(), theirs.ID); err != nil || s.State != signaling.StateRequested {
		t.Errorf("session = %+v, %v, want requested", s, err)
	}
}

func TestSilenceIsARefusal(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, AnswerWithin: 2 * time.Second})
	b := g.DialBrowser(g.Admin())
	for _, vanish := range []bool{false, true} {
		d := g.Enroll(fmt.Sprint("desk-", vanish), "")
		a := g.DialAgent(d)
		one := request(t, g, d, wanted)
		b.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: one.ID})
		b.Await(signaling.TypeSessionJoined)
		if vanish {
			a.Stop()
		}
		if s := b.AwaitState(signaling.StateExpired); s.Granted != 0 || s.Message == "" {
			t.Errorf("vanish=%v: state = %+v", vanish, s)
		}
		if !vanish {
			gatewaytest.Await[signaling.SessionEnd](a)
		}
	}
	v, err := g.Rooms.Audit.Verify(t.Context())
	if err != nil || !v.OK() {
		t.Errorf("audit = %+v, %v", v, err)
	}
}

func TestConsentWindowClosesWithoutTheDevice(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, ConsentWindow: 2 * time.Second})
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	b := g.DialBrowser(g.Admin())
	one := request(t, g, d, wanted)
	live(t, b, a, one)
	a.Stop()
	b.AwaitState(signaling.StateExpired)
	a = g.StartAgent(d, nil)
	a.SetBriefs(signaling.SessionBrief{Session: one.ID, Live: true})
	a.Client.Reconnect()
	gatewaytest.Await[signaling.SessionEnd](a)
}

func TestRevokingEndsTheSession(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	b := g.DialBrowser(g.Admin())
	live(t, b, a, request(t, g, d, wanted))
	g.Revoke(d.ID)
	if s := b.AwaitState(signaling.StateEnded); s.Message == "" {
		t.Errorf("state = %+v", s)
	}
}

func TestRequestForADeviceThatIsOffline(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	caller := g.Caller(g.Admin())
	dev, err := g.Rooms.Devices.Device(t.Context(), g.Enroll("desk-1", "").ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Rooms.Sessions.Request(t.Context(), caller, dev, "", wanted); !errors.Is(err, session.ErrOffline) {
		t.Errorf("Request = %v, want ErrOffline", err)
	}
}

func TestTwoNodes(t *testing.T) {
	one := gatewaytest.Start(t, gatewaytest.Options{Postgres: true, Cluster: true})
	two := gatewaytest.Start(t, gatewaytest.Options{Peer: one})
	one.Admin()
	d := one.Enroll("desk-1", "")
	a := one.DialAgent(d)
	online(t, two, d.ID, true)
	b := two.DialBrowser(two.SignIn(gatewaytest.AdminEmail, gatewaytest.AdminPassword))
	b.Send(signaling.TypeSubscribe, signaling.Subscribe{Topics: []signaling.Topic{signaling.TopicDevices}})
	s := request(t, two, d, wanted)
	peer := live(t, b, a, s)
	relayed(t, b, a, s.ID, peer)

	// the other node goes away; the agent moves over and the browser stays
	one.Stop()
	a.Stop()
	moved := two.DialAgent(d)
	if r := gatewaytest.Await[signaling.SessionRequest](moved); r.Session != s.ID {
		t.Errorf("request = %+v", r)
	}
	gatewaytest.Await[signaling.SessionViewer](moved)
	relayed(t, b, moved, s.ID, peer)
}

func TestOneIdentityTwice(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	twin := g.StartAgent(d, nil) // another process: another instance
	if s := twin.AwaitPhase(client.Waiting); !strings.Contains(s.Err.Error(), string(signaling.CodeIdentityInUse)) {
		t.Errorf("twin: %v", s.Err)
	}
	twin.Stop()
	copied := d
	copied.Fingerprint = "another machine"
	thief := g.StartAgent(copied, nil)
	if s := thief.AwaitPhase(client.Stopped); !strings.Contains(s.Err.Error(), string(signaling.CodeIdentityCopied)) {
		t.Errorf("copy: %v", s.Err)
	}
	dev, err := g.Rooms.Devices.Device(t.Context(), d.ID)
	if err != nil || dev.CopiedAt.IsZero() {
		t.Errorf("the copy was not noted: %+v, %v", dev, err)
	}
	if g.Rooms.Links.Present(t.Context(), d.ID) != nil {
		t.Error("the true device lost its link")
	}
	g.Revoke(d.ID)
	if s := a.AwaitPhase(client.Stopped); !strings.Contains(s.Err.Error(), string(signaling.CodeRevoked)) {
		t.Errorf("revoked: %v", s.Err)
	}
	online(t, g, d.ID, false)
}

func TestPresence(t *testing.T) {
	const heartbeat = 3 * time.Second
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Heartbeat: heartbeat})
	b := g.DialBrowser(g.Admin())
	b.Send(signaling.TypeSubscribe, signaling.Subscribe{Topics: []signaling.Topic{signaling.TopicDevices}})
	d := g.Enroll("desk-1", "")
	a := g.DialAgent(d)
	online(t, g, d.ID, true)
	if c := b.Await(signaling.TypeChanged).Body.(signaling.Changed); len(c.IDs) != 1 || c.IDs[0] != string(d.ID) {
		t.Errorf("changed = %+v", c)
	}
	a.Stop()
	if took := online(t, g, d.ID, false); took > heartbeat {
		t.Errorf("offline %v after a clean close, want at once, not by a missed heartbeat", took)
	}
	wire := &cut{}
	a = g.StartAgent(d, func(c *client.Config) { c.Dial = wire.dial; c.MinBackoff, c.MaxBackoff = time.Hour, time.Hour })
	a.AwaitPhase(client.Online)
	online(t, g, d.ID, true)
	wire.sever()
	if took := online(t, g, d.ID, false); took > 2*heartbeat+5*time.Second {
		t.Errorf("offline %v after a cut, want within one missed heartbeat of %v", took, heartbeat)
	}
}

func TestHostileAgents(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := g.Enroll("desk-1", "")
	wrong := d
	wrong.Key = g.Enroll("desk-2", "").Key
	if s := g.StartAgent(wrong, nil).AwaitPhase(client.Stopped); !strings.Contains(s.Err.Error(), string(signaling.CodeUnauthorized)) {
		t.Errorf("wrong key: %v", s.Err)
	}
	ghost := d
	ghost.ID = mdm.NewDeviceID()
	if s := g.StartAgent(ghost, nil).AwaitPhase(client.Stopped); !strings.Contains(s.Err.Error(), string(signaling.CodeUnknownDevice)) {
		t.Errorf("unknown device: %v", s.Err)
	}
	stranger := d
	stranger.Pins = []signaling.Key{make([]byte, 32)}
	if s := g.StartAgent(stranger, nil).AwaitPhase(client.Waiting); !errors.Is(s.Err, client.ErrGatewayKey) {
		t.Errorf("another gateway's pin: %v", s.Err)
	}
}

func TestBrowserSocketRules(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	admin := g.Admin()
	ticket := func() string {
		s, err := g.Rooms.Auth.NewTicket(t.Context(), g.Caller(admin))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	cookie := g.Cookie(admin)
	if _, err := g.DialBrowserWith(cookie, "https://evil.example", ticket()); err == nil || !strings.HasPrefix(err.Error(), "403") {
		t.Errorf("another origin: %v", err)
	}
	if _, err := g.DialBrowserWith("wrong", g.URL, ticket()); err == nil || !strings.HasPrefix(err.Error(), "401") {
		t.Errorf("no sign-in: %v", err)
	}
	good := ticket()
	for name, tk := range map[string]string{"wrong": "nonsense", "used": good} {
		if name == "used" {
			b, err := g.DialBrowserWith(cookie, g.URL, good)
			if err != nil {
				t.Fatal(err)
			}
			b.Await(signaling.TypeReady)
		}
		b, err := g.DialBrowserWith(cookie, g.URL, tk)
		if err != nil {
			t.Fatal(err)
		}
		if r := b.Await(signaling.TypeRefused).Body.(signaling.Refused); r.Code != signaling.CodeUnauthorized {
			t.Errorf("%s ticket: %+v", name, r)
		}
		b.AwaitEnd()
	}
	// Every message there is, from a signed-in browser in no session.
	b := g.DialBrowser(admin)
	for i, s := range signaling.Types() {
		if i%16 == 15 {
			b = g.DialBrowser(admin) // so many refusals on one socket would end it
		}
		want := map[signaling.Rule]signaling.Code{
			signaling.RuleNone: signaling.CodeForbidden, signaling.RuleTicket: signaling.CodeForbidden,
			signaling.RuleSession: signaling.CodeNotFound, signaling.RuleJoin: signaling.CodeNotFound,
		}[s.Rule]
		if want == "" {
			continue // signed_in
		}
		body := `{"session":"ses_1","peer":"peer_1","sdp":"v=0"}`
		b.SendRaw([]byte(fmt.Sprintf(`{"v":1,"type":%q,"id":%q,"body":%s}`, s.Type, s.Type, body)))
		e := b.Await(signaling.TypeError)
		if got := e.Body.(signaling.Error).Code; got != want || e.Re != string(s.Type) {
			t.Errorf("%s: code %s for %s, want %s", s.Type, got, e.Re, want)
		}
	}
	b = g.DialBrowser(admin)
	for name, frame := range map[string]string{"malformed": "{", "unknown_type": `{"v":1,"type":"x"}`, "too_large": `{"v":1,"type":"` + strings.Repeat("x", signaling.MaxMessage) + `"}`} {
		b.SendRaw([]byte(frame))
		if e := b.Await(signaling.TypeError).Body.(signaling.Error); string(e.Code) != name {
			t.Errorf("%s: %+v", name, e)
		}
	}
	// Signing out closes the socket.
	if err := g.Rooms.Auth.SignOut(t.Context(), g.Caller(admin)); err != nil {
		t.Fatal(err)
	}
	if err := browser.TellChanged(g.Rooms.Bus, signaling.TopicOperators); err != nil {
		t.Fatal(err)
	}
	b.AwaitEnd()
}

func TestDrainTellsEverybody(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	b := g.DialBrowser(g.Admin())
	a := g.DialAgent(g.Enroll("desk-1", ""))
	resp, err := http.Get(g.URL + "/readyz") //nolint:noctx // a test of its own server
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("readyz = %v, %v", resp, err)
	}
	resp.Body.Close()
	g.Stop()
	b.Await(signaling.TypeDrain)
	if s := a.AwaitPhase(client.Waiting); s.NextTry.IsZero() {
		t.Errorf("a drained agent does not try again: %+v", s)
	}
}

// cut is a network that can go away without a word.
type cut struct {
	once sync.Once
	gone chan struct{}
}

type cutConn struct {
	net.Conn
	gone chan struct{}
}

func (c *cut) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.once.Do(func() { c.gone = make(chan struct{}) })
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return &cutConn{conn, c.gone}, err
}

func (c *cut) sever() { close(c.gone) }

// Write loses what is written after the cut.
func (c *cutConn) Write(b []byte) (int, error) {
	select {
	case <-c.gone:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

// Close keeps the other end waiting after the cut.
func (c *cutConn) Close() error {
	select {
	case <-c.gone:
		return nil
	default:
		return c.Conn.Close()
	}
}
