package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"handrail/signaling"
	"handrail/signaling/client"

	"github.com/gorilla/websocket"
)

// gate is a gateway of one page, over pipes, so that a test owns its clock.
type gate struct {
	t         *testing.T
	device    ed25519.PublicKey
	key, next ed25519.PrivateKey
	refuse    *signaling.Refused
	heartbeat time.Duration // of the welcome; nobody pings unless the test does
	skew      time.Duration

	mu     sync.Mutex
	down   bool
	dials  atomic.Int32
	hellos chan signaling.Hello
	links  chan *websocket.Conn // past the handshake
	serve  chan net.Conn
}

func newGate(t *testing.T, device ed25519.PrivateKey) *gate {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	g := &gate{
		t: t, device: device.Public().(ed25519.PublicKey), key: key, heartbeat: 15 * time.Second,
		hellos: make(chan signaling.Hello, 100), links: make(chan *websocket.Conn, 100), serve: make(chan net.Conn),
	}
	srv := &http.Server{Handler: http.HandlerFunc(g.handle), ReadHeaderTimeout: time.Minute}
	go srv.Serve(g)
	t.Cleanup(func() { srv.Close() })
	return g
}

func (g *gate) Accept() (net.Conn, error) {
	c, ok := <-g.serve
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (g *gate) Close() error   { close(g.serve); return nil }
func (g *gate) Addr() net.Addr { return &net.TCPAddr{} }

func (g *gate) setDown(down bool) { g.mu.Lock(); g.down = down; g.mu.Unlock() }

// Dial is Config.Dial.
func (g *gate) Dial(context.Context, string, string) (net.Conn, error) {
	g.dials.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	g.serve <- b
	return a, nil
}

func (g *gate) handle(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	hello := recv[signaling.Hello](conn)
	g.hellos <- hello
	if g.refuse != nil {
		send(conn, signaling.TypeRefused, *g.refuse)
		conn.Close()
		return
	}
	ch := signaling.Challenge{Nonce: make([]byte, signaling.NonceSize), GatewayKey: signaling.Key(g.key.Public().(ed25519.PublicKey))}
	if g.next != nil {
		ch.NextKey = signaling.Key(g.next.Public().(ed25519.PublicKey))
		ch.NextSignature = ed25519.Sign(g.key, signaling.NextKeyTranscript(ch.GatewayKey, ch.NextKey))
	}
	ch.Signature = ed25519.Sign(g.key, signaling.GatewayTranscript(hello, ch))
	send(conn, signaling.TypeChallenge, ch)
	proof := recv[signaling.Proof](conn)
	if !ed25519.Verify(g.device, signaling.DeviceTranscript(hello, ch), proof.Signature) {
		conn.Close()
		return
	}
	send(conn, signaling.TypeWelcome, signaling.Welcome{
		HeartbeatMS: g.heartbeat.Milliseconds(), TimeUS: time.Now().Add(g.skew).UnixMicro(), AccessToken: "hat1.x", DeviceName: "d",
	})
	g.links <- conn
}

func send(conn *websocket.Conn, t signaling.Type, body any) {
	conn.WriteMessage(websocket.TextMessage, signaling.MustEncode(signaling.Envelope{Type: t, Body: body}))
}

func recv[T any](conn *websocket.Conn) T {
	var zero T
	_, b, err := conn.ReadMessage()
	if err != nil {
		return zero
	}
	e, err := signaling.Decode(b, signaling.FromAgent)
	if err != nil {
		return zero
	}
	v, _ := e.Body.(T)
	return v
}

// drink reads and drops what arrives, so that pings are answered and closes seen.
func drink(conn *websocket.Conn) <-chan error {
	done := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				done <- err
				return
			}
		}
	}()
	return done
}

type rig struct {
	*gate
	key ed25519.PrivateKey
	cfg client.Config
	c   *client.Client
	err chan error
	end context.CancelFunc
}

// newRig makes a device and its gateway; the test may change cfg before start.
func newRig(t *testing.T) *rig {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	g := newGate(t, key)
	return &rig{gate: g, key: key, cfg: client.Config{
		URL: "http://127.0.0.1:1", Device: "dev_a", Key: key, Pins: []signaling.Key{signaling.Key(g.key.Public().(ed25519.PublicKey))},
		Fingerprint: "f", Version: "test", Dial: g.Dial,
	}}
}

func (r *rig) start(t *testing.T) {
	t.Helper()
	c, err := client.New(r.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	r.c, r.end, r.err = c, end, make(chan error, 1)
	done := make(chan struct{})
	go func() { defer close(done); r.err <- c.Run(ctx) }()
	t.Cleanup(func() { end(); <-done })
}

func TestComesUpAndSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		got := make(chan signaling.Envelope, 1)
		r.cfg.OnMessage = func(e signaling.Envelope) { got <- e }
		r.skew = 3 * time.Hour
		r.start(t)
		conn := <-r.links
		synctest.Wait()
		if s := r.c.State(); s.Phase != client.Online || s.Welcome.DeviceName != "d" || s.Skew < 2*time.Hour {
			t.Fatalf("state = %+v, want online, three hours behind the gateway", s)
		}
		send(conn, signaling.TypeNudge, signaling.Nudge{What: signaling.NudgeInventory})
		if e := <-got; e.Type != signaling.TypeNudge {
			t.Fatalf("got %s, want nudge", e.Type)
		}
		closed := drink(conn)
		r.end()
		if err := <-closed; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("the gateway saw %v, want a normal close", err)
		}
		if err := <-r.err; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func TestStrangersAreNotSpokenTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, other, _ := ed25519.GenerateKey(rand.Reader)
		r.gate.key = other // not what the device pinned
		r.start(t)
		<-r.hellos
		synctest.Wait()
		if s := r.c.State(); !errors.Is(s.Err, client.ErrGatewayKey) || s.Phase != client.Waiting {
			t.Fatalf("state = %+v, want ErrGatewayKey", s)
		}
		if len(r.links) != 0 {
			t.Error("a stranger got a proof")
		}
	})
}

func TestPinsMoveOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, next, _ := ed25519.GenerateKey(rand.Reader)
		pins := make(chan []signaling.Key, 4)
		r.cfg.OnPins = func(p []signaling.Key) error { pins <- p; return nil }
		r.next = next
		r.start(t)
		conn := <-r.links
		if p := <-pins; len(p) != 2 {
			t.Fatalf("%d pins after the successor was named, want 2", len(p))
		}
		r.gate.key, r.next = next, nil // the successor takes over
		conn.Close()
		<-r.links
		if p := <-pins; len(p) != 1 || string(p[0]) != string(next.Public().(ed25519.PublicKey)) {
			t.Fatalf("pins = %x, want the successor alone", p)
		}
	})
}

func TestForgedSuccessorIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, next, _ := ed25519.GenerateKey(rand.Reader)
		r.next = next
		r.start(t)
		<-r.links // pins are now the real key and next
		_, r.gate.key, _ = ed25519.GenerateKey(rand.Reader)
		r.c.Reconnect()
		<-r.hellos
		<-r.hellos
		synctest.Wait()
		if s := r.c.State(); !errors.Is(s.Err, client.ErrGatewayKey) {
			t.Fatalf("err = %v, want ErrGatewayKey", s.Err)
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name  string
		r     signaling.Refused
		final bool
	}{
		{"revoked", signaling.Refused{Code: signaling.CodeRevoked, Message: "revoked"}, true},
		{"in use", signaling.Refused{Code: signaling.CodeIdentityInUse, Message: "twin", RetryAfterMS: 30_000}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.refuse = &tc.r
				r.start(t)
				<-r.hellos
				synctest.Wait()
				s := r.c.State()
				if (s.Phase == client.Stopped) != tc.final {
					t.Fatalf("state = %+v, want final %v", s, tc.final)
				}
				if tc.final {
					var refused *client.RefusedError
					if err := <-r.err; !errors.As(err, &refused) || refused.Code != tc.r.Code {
						t.Fatalf("Run = %v", err)
					}
					return
				}
				if wait := time.Until(s.NextTry); wait < 30*time.Second || wait > 46*time.Second {
					t.Errorf("next try in %v, want 30 to 45 s", wait)
				}
			})
		})
	}
}

func TestRevokedWhileOnlineStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(t)
		conn := <-r.links
		send(conn, signaling.TypeRevoked, signaling.Revoked{Message: "by an admin"})
		var refused *client.RefusedError
		if err := <-r.err; !errors.As(err, &refused) || refused.Code != signaling.CodeRevoked {
			t.Fatalf("Run = %v, want revoked", err)
		}
	})
}

func TestSilenceIsDeath(t *testing.T) {
	for _, tc := range []struct {
		name   string
		briefs []signaling.SessionBrief
		within time.Duration
	}{
		{"at rest", nil, 31 * time.Second},
		{"in a session", []signaling.SessionBrief{{Session: "ses_a"}}, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.cfg.Briefs = func() []signaling.SessionBrief { return tc.briefs }
				r.start(t)
				<-r.links // nobody reads it, so nothing is answered
				start := time.Now()
				<-r.links
				if took := time.Since(start); took > tc.within+time.Second {
					t.Errorf("back after %v, want within %v", took, tc.within)
				}
			})
		})
	}
}

func TestPingsKeepALinkAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(t)
		conn := <-r.links
		gone := drink(conn)
		for range 20 {
			time.Sleep(15 * time.Second) //nolint:forbidigo // the bubble's fake clock
			if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-gone:
			t.Fatalf("link ended: %v", err)
		default:
		}
	})
}

func TestOutageIsSurvived(t *testing.T) {
	for _, tc := range []struct {
		name   string
		briefs []signaling.SessionBrief
		within time.Duration
	}{
		{"at rest", nil, client.DefaultMaxBackoff},
		{"in a session", []signaling.SessionBrief{{Session: "ses_a"}}, 500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.cfg.Briefs = func() []signaling.SessionBrief { return tc.briefs }
				r.start(t)
				conn := <-r.links
				r.setDown(true)
				conn.Close()
				time.Sleep(2 * time.Minute) //nolint:forbidigo // the bubble's fake clock
				if err := r.c.Send(signaling.Envelope{Type: signaling.TypeSessionEvent, Body: signaling.SessionEvent{Session: "ses_a", Seq: 1, Kind: signaling.EventPaused}}); err != nil {
					t.Fatal(err)
				}
				r.setDown(false)
				back := time.Now()
				conn = <-r.links
				if took := time.Since(back); took > tc.within {
					t.Errorf("back after %v, want within %v", took, tc.within)
				}
				ev := recv[signaling.SessionEvent](conn)
				if ev.Seq != 1 || ev.AgoMS > tc.within.Milliseconds() {
					t.Errorf("event = %+v, want the one sent while offline, with its age", ev)
				}
			})
		})
	}
}

func TestEventsLostWithTheLinkAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(t)
		conn := <-r.links
		for seq := range 3 {
			r.c.Send(signaling.Envelope{Type: signaling.TypeSessionEvent, Body: signaling.SessionEvent{Session: "ses_a", Seq: int64(seq + 1), Kind: signaling.EventPaused}})
		}
		recv[signaling.SessionEvent](conn)
		conn.Close() // two were never read
		conn = <-r.links
		for want := range int64(3) {
			if ev := recv[signaling.SessionEvent](conn); ev.Seq != want+1 {
				t.Fatalf("event %d, want %d", ev.Seq, want+1)
			}
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	r := newRig(t)
	r.setDown(true)
	r.cfg.Queue = 4
	r.start(t)
	event := signaling.Envelope{Type: signaling.TypeSessionEvent, Body: signaling.SessionEvent{Session: "ses_a", Seq: 1, Kind: signaling.EventPaused}}
	peer := signaling.Envelope{Type: signaling.TypePeerClose, Body: signaling.PeerClose{Session: "ses_a", Peer: "peer_a"}}
	var full int
	for range 10 {
		for _, e := range []signaling.Envelope{event, peer} {
			if err := r.c.Send(e); errors.Is(err, client.ErrQueueFull) {
				full++
			}
		}
	}
	if full != 16 {
		t.Errorf("%d of 20 messages reported a full queue of 4, want 16", full)
	}
	if err := r.c.Send(signaling.Envelope{Type: signaling.TypePeerAnswer, Body: signaling.Hello{}}); err == nil {
		t.Error("a message whose body is of another type was queued")
	}
}

func TestDrainMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(t)
		conn := <-r.links
		drink(conn)
		send(conn, signaling.TypeDrain, signaling.Drain{ReconnectAfterMS: 1000})
		start := time.Now()
		<-r.links
		if took := time.Since(start); took < time.Second || took > 2200*time.Millisecond {
			t.Errorf("moved after %v, want 1 to 2.1 s", took)
		}
	})
}

func TestWelcomeRefreshesTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(t)
		conn := <-r.links
		send(conn, signaling.TypeWelcome, signaling.Welcome{HeartbeatMS: 15000, AccessToken: "hat1.fresh"})
		synctest.Wait()
		if got := r.c.State().Welcome.AccessToken; got != "hat1.fresh" {
			t.Errorf("token = %q, want the fresh one", got)
		}
	})
}

func TestSocketURL(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"https://h.example", "wss://h.example/agent/socket"},
		{"https://h.example:8443/sub/", "wss://h.example:8443/sub/agent/socket"},
		{"http://127.0.0.1:8080", "ws://127.0.0.1:8080/agent/socket"},
		{"http://[::1]:8080", "ws://[::1]:8080/agent/socket"},
		{"http://h.example", ""},
		{"http://localhost.evil.example", ""},
		{"ftp://h.example", ""},
		{"h.example", ""},
		{"https://u:p@h.example", ""},
		{"", ""},
	} {
		got, err := client.SocketURL(tc.in)
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("SocketURL(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
}
