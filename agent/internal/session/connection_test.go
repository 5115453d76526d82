package session_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/webrtc/v4"

	"handrail/agent/internal/session"
	"handrail/signaling"
	"handrail/signaling/input"
)

// wire is a virtual network between the device and any number of viewers, which can be cut.
type wire struct {
	router *vnet.Router
	device *vnet.Net
	cut    atomic.Bool
}

func newWire(t *testing.T) *wire {
	t.Helper()
	r, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{router: r}
	r.AddChunkFilter(func(vnet.Chunk) bool { return !w.cut.Load() })
	w.device = w.host(t, "10.0.0.1")
	return w
}

func (w *wire) host(t *testing.T, ip string) *vnet.Net {
	t.Helper()
	n, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{ip}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.router.AddNet(n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *wire) start(t *testing.T) {
	t.Helper()
	if err := w.router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.router.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func on(n *vnet.Net) func(*webrtc.SettingEngine) {
	return func(s *webrtc.SettingEngine) {
		s.SetNet(n)
		s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
		// A browser goes on trying for as long.
		s.SetICETimeouts(2*time.Second, time.Minute, 500*time.Millisecond)
	}
}

func TestNetworkAwayForAWhile(t *testing.T) {
	w := newWire(t)
	n := w.host(t, "10.0.0.2")
	w.start(t)
	d := newDevice(t, func(c *session.Config) { c.Net, c.Loopback, c.ControlGrace = w.device, false, time.Second })
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.dial(on(n))
	v.open()
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.press(input.Frame{Type: input.KeyDown, Code: 4})
	v.moving(5)

	w.cut.Store(true)
	d.gw.event(signaling.EventViewerLost)
	d.keys.until(t, string(v.id)+" released")
	d.gw.event(signaling.EventControlFreed)
	away := time.NewTimer(5 * time.Second)
	<-away.C
	w.cut.Store(false)
	v.moving(1) // how soon is a benchmark: network_return_ms
	d.gw.event(signaling.EventViewerReturned)
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control again", func(s signaling.Status) bool { return s.Control == v.id })
	if n := count(d.gw, func(signaling.SessionConsent) bool { return true }); n != 1 {
		t.Errorf("%d consents, want the one", n)
	}
}

func TestICERestart(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.moving(3)
	v.mu.Lock()
	v.answered = false
	pc := v.pc
	v.mu.Unlock()
	before := pc.CurrentLocalDescription().SDP
	v.offer(pc, &webrtc.OfferOptions{ICERestart: true})
	v.until("second answer", func() bool { return v.answered })
	v.moving(10)
	if after := pc.CurrentLocalDescription().SDP; after == before {
		t.Error("nothing was restarted")
	}
	v.pong(1)
	if n := count(d.gw, func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventViewerJoined }); n != 1 {
		t.Errorf("%d viewers joined, want 1", n)
	}
}

func TestViewerComesBackWithAFreshOffer(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.moving(3)
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.press(input.Frame{Type: input.KeyDown, Code: 4})
	d.keys.until(t, string(v.id)+" key_down 1")
	old := v.pc
	v.connect() // a page reloaded: nothing said goodbye
	v.moving(3)
	d.keys.until(t, string(v.id)+" left")
	d.gw.event(signaling.EventViewerReturned)
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control again", func(s signaling.Status) bool { return s.Control == v.id })
	v.press(input.Frame{Type: input.KeyDown, Code: 5})
	d.keys.until(t, string(v.id)+" key_down 1")
	if err := old.GracefulClose(); err != nil {
		t.Error(err)
	}

	v.hangUp() // a tab closed
	wait(d.gw, "second loss", func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventViewerLost && e.Seq > 5 })
	d.briefs("the session alive", func(b []signaling.SessionBrief) bool { return len(b) == 1 && b[0].Live && b[0].Granted == all })
	v.connect()
	v.moving(3)
}

func TestRestartOfAConnectionThatIsGone(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	d.handle(signaling.PeerOffer{Session: ses, Peer: v.id, SDP: "v=0", ICERestart: true})
	v.until("refusal", func() bool { return len(v.closed) == 1 && v.closed[0].Code == signaling.CodeNotFound })
	v.connect()
	v.moving(1)
}

func TestGatewayAwayChangesNothingBetweenPeers(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.moving(1)
	d.gw.event(signaling.EventLive)
	d.host.Link(false)
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.press(input.Frame{Type: input.KeyDown, Code: 4})
	d.keys.until(t, string(v.id)+" key_down 1")
	v.moving(10)
	isTaken := func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventControlTaken }
	if n := count(d.gw, isTaken); n != 0 {
		t.Errorf("%d events sent without a link", n)
	}
	d.host.Link(true)
	wait(d.gw, "event kept", isTaken)
	if n := count(d.gw, func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventLive }); n != 2 {
		t.Errorf("the event that may have been lost was sent %d times, want 2", n)
	}
	d.gw.mu.Lock()
	seen := map[int64]signaling.EventKind{}
	for _, e := range d.gw.got {
		if m, ok := e.Body.(signaling.SessionEvent); ok {
			if k, again := seen[m.Seq]; again && k != m.Kind {
				t.Errorf("number %d is %s and %s", m.Seq, k, m.Kind)
			}
			seen[m.Seq] = m.Kind
		}
	}
	d.gw.mu.Unlock()
	for i := range int64(len(seen)) {
		if seen[i+1] == "" {
			t.Errorf("event %d is missing of %v", i+1, seen)
		}
	}
	d.gw.mu.Lock()
	d.gw.got = nil
	d.gw.mu.Unlock()
	d.handle(signaling.SessionRequest{Session: ses, Consent: signaling.ConsentUnattended, Capabilities: all})
	again := wait(d.gw, "consent for the gateway that came back", func(signaling.SessionConsent) bool { return true })
	if again.Session != ses || again.Granted != all {
		t.Errorf("consent = %+v", again)
	}
}

func TestAgentRestarted(t *testing.T) {
	var mu sync.Mutex
	var saved []session.Saved
	keep := func(c *session.Config) {
		c.Save = func(s []session.Saved) { mu.Lock(); defer mu.Unlock(); saved = s }
	}
	d := newDevice(t, func(c *session.Config) {
		keep(c)
		c.Ask = func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionGranted, Granted: all, By: "user"}
		}
	})
	ses := signaling.NewSessionID()
	req := signaling.SessionRequest{Session: ses, Capabilities: all, Consent: signaling.ConsentAsk}
	d.handle(req)
	wait(d.gw, "consent", func(c signaling.SessionConsent) bool {
		return c.Decision == signaling.DecisionGranted && c.By == "user"
	})
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.moving(3)
	d.gw.event(signaling.EventLive)
	d.gw.event(signaling.EventViewerJoined)
	d.stop()

	mu.Lock()
	was := saved
	mu.Unlock()
	e := newDevice(t, func(c *session.Config) {
		keep(c)
		c.Restore = was
		c.Ask = func(context.Context, session.Request) session.Answer {
			t.Error("asked again")
			return session.Answer{Decision: signaling.DecisionDeclined}
		}
	})
	e.briefs("the session restored", func(b []signaling.SessionBrief) bool {
		return len(b) == 1 && b[0].Session == ses && b[0].Granted == all && b[0].Live
	})
	e.handle(req)
	wait(e.gw, "consent again", func(c signaling.SessionConsent) bool { return c.By == "user" })
	v.d = e
	e.gw.mu.Lock()
	e.gw.viewers[v.id] = v
	e.gw.mu.Unlock()
	v.connect()
	v.moving(3)
	ret := wait(e.gw, "event after restart", func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventViewerJoined && e.Seq > 2 })
	if ret.Peer != v.id {
		t.Errorf("event = %+v", ret)
	}
}

func TestConsentWindowEnds(t *testing.T) {
	d := newDevice(t, nil)
	var v *viewer
	for window := 700 * time.Millisecond; ; window *= 4 {
		ses := signaling.NewSessionID()
		d.handle(signaling.SessionRequest{Session: ses, Capabilities: all, Consent: signaling.ConsentUnattended, ConsentWindowMS: window.Milliseconds()})
		v = d.announce(ses, "Ada", all)
		v.dial(nil)
		// A busy machine may take longer than the window to connect: then with a longer one.
		v.until("open channels, or the window's end", func() bool { return v.isOpen() || len(v.closed) > 0 })
		if v.hasClosed() && window < patience {
			continue
		}
		longer := time.NewTimer(window * 3 / 2) // than the window: somebody is connected
		defer longer.Stop()
		<-longer.C
		break
	}
	v.moving(1)
	v.hangUp()
	wait(d.gw, "event expired", func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventExpired && e.Session == v.ses })
	d.briefs("none after the window", isNone)
	v.dial(nil)
	v.until("refusal", func() bool { return len(v.closed) > 0 && v.closed[len(v.closed)-1].Code == signaling.CodeEnded })
}

func TestSlowViewerHoldsNobodyUp(t *testing.T) {
	w := newWire(t)
	fast := w.host(t, "10.0.0.2")
	slow := w.host(t, "10.0.0.3")
	var dropped atomic.Int64
	w.router.AddChunkFilter(func(c vnet.Chunk) bool {
		// Three of four large packets to one viewer are lost.
		if strings.HasPrefix(c.DestinationAddr().String(), "10.0.0.3:") && len(c.UserData()) > 600 && dropped.Add(1)%4 != 0 {
			return false
		}
		return true
	})
	w.start(t)
	d := newDevice(t, func(c *session.Config) { c.Net, c.Loopback = w.device, false })
	d.pic.size = 20_000
	ses := d.begin(all)
	a, b := d.announce(ses, "Ada", all), d.announce(ses, "Ben", all)
	a.dial(on(fast))
	a.open()
	b.dial(on(slow))
	b.open()
	a.moving(100)
	b.pong(1)
}

func TestHostileOffers(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	head := "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
	video := "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\n"
	for name, sdp := range map[string]string{
		"garbage":         "garbage",
		"nothing inside":  head,
		"no credentials":  head + video,
		"many pictures":   head + strings.Repeat(video, 500),
		"sound":           head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
		"control":         "v=0\x00\x01",
		"long line":       head + "a=" + strings.Repeat("x", 60_000) + "\r\n" + video,
		"huge attributes": head + video + strings.Repeat("a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n", 1000),
	} {
		v := d.announce(ses, "Mallory", all)
		d.handle(signaling.PeerOffer{Session: ses, Peer: v.id, SDP: sdp})
		v.until("refusal of "+name, func() bool { return len(v.closed) == 1 && v.closed[0].Code == signaling.CodeMalformed })
		// The place is kept: the page may have been unlucky once.
		if name == "garbage" {
			v.connect()
			v.moving(1)
		}
		d.handle(signaling.PeerClose{Session: ses, Peer: v.id})
	}
}

func TestCandidatesBeforeTheOffer(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	for range 1000 {
		d.handle(signaling.PeerCandidate{Session: ses, Peer: v.id, Candidate: "candidate:1 1 udp 1 127.0.0.1 9 typ host", SDPMid: "0"})
		d.handle(signaling.PeerCandidate{Session: ses, Peer: v.id, Candidate: "garbage", SDPMid: "0"})
	}
	v.connect()
	v.moving(1)
}

func TestUnknownAndEarly(t *testing.T) {
	d := newDevice(t, func(c *session.Config) {
		c.Ask = func(ctx context.Context, _ session.Request) session.Answer {
			<-ctx.Done()
			return session.Answer{Decision: signaling.DecisionTimeout}
		}
	})
	ghost := signaling.NewPeerID()
	d.handle(signaling.PeerOffer{Session: signaling.NewSessionID(), Peer: ghost, SDP: "v=0"})
	closed := wait(d.gw, "refusal", func(c signaling.PeerClose) bool { return c.Peer == ghost })
	if closed.Code != signaling.CodeNotFound {
		t.Errorf("offer for an unknown session refused with %q", closed.Code)
	}
	ses := signaling.NewSessionID()
	d.handle(signaling.SessionRequest{Session: ses, Capabilities: all, Consent: signaling.ConsentAsk, AnswerWithinMS: 60_000})
	v := d.announce(ses, "Ada", all)
	v.dial(nil)
	v.until("refusal before consent", func() bool { return len(v.closed) == 1 && v.closed[0].Code == signaling.CodeNotConsented })

	granted := d.begin(all)
	for range 16 {
		d.announce(granted, "One of many", all)
	}
	late := d.announce(granted, "One too many", all)
	late.until("refusal", func() bool { return len(late.closed) == 1 && late.closed[0].Code == signaling.CodeBusy })
}

func TestNoOfferComes(t *testing.T) {
	d := newDevice(t, func(c *session.Config) { c.OfferWithin = 300 * time.Millisecond })
	idle := d.announce(d.begin(all), "Idle", all)
	idle.until("end of patience", func() bool { return len(idle.closed) == 1 && idle.closed[0].Code == signaling.CodeNotFound })
}

func TestNewRefusesNothingToSendWith(t *testing.T) {
	if _, err := session.New(session.Config{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("New without Send succeeds")
	}
}

func TestFlood(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	w := d.announce(ses, "Ada", all)
	w.connect()
	// Many times what a second allows, so that a machine that takes its time over it still sees a flood.
	for name, flood := range map[string]struct {
		channel func(*viewer) *webrtc.DataChannel
		n, size int
	}{
		"large messages": {func(v *viewer) *webrtc.DataChannel { return v.control }, 600, 50_000},
		"many messages":  {func(v *viewer) *webrtc.DataChannel { return v.clip }, 20_000, 10},
	} {
		v := d.announce(ses, "Mallory", all)
		v.connect()
		b := make([]byte, flood.size)
		for range flood.n {
			if flood.channel(v).Send(b) != nil {
				break // closed already
			}
		}
		v.until("end of the flood of "+name, func() bool { return len(v.closed) == 1 && v.closed[0].Code == signaling.CodeRateLimited })
		w.moving(5)
	}
	w.pong(1)
}

func TestNoConnectionComesAbout(t *testing.T) {
	d := newDevice(t, func(c *session.Config) { c.OfferWithin = 500 * time.Millisecond })
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	w := newWire(t) // nobody else is on it
	n := w.host(t, "10.0.0.2")
	w.start(t)
	v.dial(on(n))
	v.until("end of patience", func() bool { return len(v.closed) > 0 })
	if n := count(d.gw, func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventViewerJoined }); n != 0 {
		t.Errorf("%d viewers joined", n)
	}
	d.briefs("the session alive", func(b []signaling.SessionBrief) bool { return len(b) == 1 })
}

func TestWhatDoesNotFitTheWire(t *testing.T) {
	d := newDevice(t, func(c *session.Config) {
		c.Ask = func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionGranted, Granted: all, By: strings.Repeat("\x1b\xff", 500), Message: strings.Repeat("x", 10_000)}
		}
	})
	ses := signaling.NewSessionID()
	d.handle(signaling.SessionRequest{Session: ses, Capabilities: all, Consent: signaling.ConsentAsk})
	// The gateway of the tests refuses what the real one would.
	wait(d.gw, "consent", func(c signaling.SessionConsent) bool { return c.Decision == signaling.DecisionGranted })
	v := d.announce(ses, strings.Repeat("ü", 128), all)
	v.connect()
	v.moving(1)
	d.gw.event(signaling.EventViewerJoined)
	d.host.Pause(ses, "\x1b[2J")
	d.gw.event(signaling.EventPaused)
}
