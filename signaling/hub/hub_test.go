package hub_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"handrail/signaling"
	"handrail/signaling/hub"
)

const device = signaling.DeviceID("dev_1")

// world is a hub with one device that may connect.
type world struct {
	hub     *hub.Agents
	url     string
	private ed25519.PrivateKey
	got     chan signaling.Envelope
	gone    chan error
	up      chan *hub.Agent
}

func start(t *testing.T, limits hub.Limits) *world {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	gatewayKey, gatewayPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{private: private, got: make(chan signaling.Envelope, 4096), gone: make(chan error, 16), up: make(chan *hub.Agent, 16)}
	w.hub = hub.NewAgents(hub.AgentConfig{
		Limits: limits,
		Challenge: func(h signaling.Hello, c *signaling.Challenge) error {
			c.GatewayKey = signaling.Key(gatewayKey)
			c.Signature = ed25519.Sign(gatewayPrivate, signaling.GatewayTranscript(h, *c))
			return nil
		},
		Lookup: func(_ context.Context, h signaling.Hello) (signaling.Key, error) {
			switch h.Device {
			case device:
				return signaling.Key(public), nil
			case "dev_broken":
				return nil, errors.New("the database is away")
			}
			return nil, &hub.Refusal{Code: signaling.CodeUnknownDevice, Message: "unknown"}
		},
		Admit: func(context.Context, signaling.Hello, string) (signaling.Welcome, error) {
			return signaling.Welcome{DeviceName: "desk-1"}, nil
		},
		Connected: func(a *hub.Agent, _ signaling.Hello) { w.up <- a },
		Message:   func(_ *hub.Agent, e signaling.Envelope) { w.got <- e },
		Gone:      func(_ *hub.Agent, cause error) { w.gone <- cause },
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.hub.Run(ctx) }()
	server := httptest.NewServer(w.hub)
	t.Cleanup(func() {
		cancel()
		<-done
		server.Close()
	})
	w.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return w
}

func (w *world) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), w.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Cleanup(func() { ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	return ws
}

func send(t *testing.T, ws *websocket.Conn, frame []byte) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, frame); err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, ws *websocket.Conn) T {
	t.Helper()
	_, b, err := ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	e, err := signaling.Decode(b, signaling.FromGateway)
	if err != nil {
		t.Fatal(err)
	}
	body, ok := e.Body.(T)
	if !ok {
		t.Fatalf("got %s %+v, want %T", e.Type, e.Body, body)
	}
	return body
}

func hello(d signaling.DeviceID) signaling.Hello {
	return signaling.Hello{Device: d, Nonce: make([]byte, signaling.NonceSize), Fingerprint: "hw", Instance: "run_1", Version: "1"}
}

// connect does the whole handshake.
func (w *world) connect(t *testing.T) *websocket.Conn {
	t.Helper()
	ws, h := w.dial(t), hello(device)
	send(t, ws, signaling.MustEncode(signaling.Envelope{Type: signaling.TypeHello, Body: h}))
	c := receive[signaling.Challenge](t, ws)
	if !ed25519.Verify(ed25519.PublicKey(c.GatewayKey), signaling.GatewayTranscript(h, c), c.Signature) {
		t.Error("the gateway's signature does not hold")
	}
	proof := signaling.Proof{Signature: ed25519.Sign(w.private, signaling.DeviceTranscript(h, c))}
	send(t, ws, signaling.MustEncode(signaling.Envelope{Type: signaling.TypeProof, Body: proof}))
	if got := receive[signaling.Welcome](t, ws); got.DeviceName != "desk-1" {
		t.Errorf("welcome = %+v", got)
	}
	return ws
}

func TestHandshakeRefuses(t *testing.T) {
	w := start(t, hub.Limits{})
	good := signaling.MustEncode(signaling.Envelope{Type: signaling.TypeHello, Body: hello(device)})
	proof := signaling.MustEncode(signaling.Envelope{Type: signaling.TypeProof, Body: signaling.Proof{Signature: make([]byte, 64)}})
	tests := []struct {
		name   string
		frames [][]byte
		want   signaling.Code
		retry  bool
	}{
		{"nonsense", [][]byte{[]byte("nonsense")}, signaling.CodeMalformed, false},
		{"out of order", [][]byte{proof}, signaling.CodeMalformed, false},
		{"browser's message", [][]byte{[]byte(`{"v":1,"type":"ticket","body":{"ticket":"x"}}`)}, signaling.CodeForbidden, false},
		{"newer version", [][]byte{[]byte(`{"v":9,"type":"hello"}`)}, signaling.CodeVersion, false},
		{"hello twice", [][]byte{good, good}, signaling.CodeMalformed, false},
		{"wrong proof", [][]byte{good, proof}, signaling.CodeUnauthorized, false},
		{"too large", [][]byte{[]byte(`"` + strings.Repeat("x", signaling.MaxMessage) + `"`)}, signaling.CodeTooLarge, false},
		{"unknown device", [][]byte{signaling.MustEncode(signaling.Envelope{Type: signaling.TypeHello, Body: hello("dev_2")})}, signaling.CodeUnknownDevice, false},
		{"our fault", [][]byte{signaling.MustEncode(signaling.Envelope{Type: signaling.TypeHello, Body: hello("dev_broken")})}, signaling.CodeInternal, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws := w.dial(t)
			for i, f := range tt.frames {
				if i > 0 {
					receive[signaling.Challenge](t, ws)
				}
				send(t, ws, f)
			}
			r := receive[signaling.Refused](t, ws)
			if r.Code != tt.want || (r.RetryAfterMS > 0) != tt.retry {
				t.Errorf("refused = %+v, want %s", r, tt.want)
			}
			if _, _, err := ws.ReadMessage(); err == nil {
				t.Error("the socket stays open after a refusal")
			}
		})
	}
	if w.hub.Len() != 0 {
		t.Errorf("%d agents connected", w.hub.Len())
	}
}

func TestHandshakeTakesItsTimeOnly(t *testing.T) {
	w := start(t, hub.Limits{Handshake: 50 * time.Millisecond})
	ws := w.dial(t)
	if _, _, err := ws.ReadMessage(); err == nil {
		t.Error("a socket that says nothing stays open")
	}
}

func TestPagesMayNotBeAgents(t *testing.T) {
	w := start(t, hub.Limits{})
	_, resp, err := websocket.DefaultDialer.DialContext(t.Context(), w.url, http.Header{"Origin": {"https://evil.example"}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("dial with an Origin = %v", err)
	}
}

func TestRefusedMessagesAreAnsweredThenCutOff(t *testing.T) {
	w := start(t, hub.Limits{MaxFaults: 3})
	ws := w.connect(t)
	for _, tt := range []struct {
		frame string
		want  signaling.Code
	}{
		{`{"v":1,"type":"wipe","id":"1"}`, signaling.CodeUnknownType},
		{`{"v":1,"type":"welcome","id":"2"}`, signaling.CodeForbidden},
		{`"` + strings.Repeat("x", signaling.MaxMessage) + `"`, signaling.CodeTooLarge},
	} {
		send(t, ws, []byte(tt.frame))
		if e := receive[signaling.Error](t, ws); e.Code != tt.want {
			t.Errorf("%.40s: %+v, want %s", tt.frame, e, tt.want)
		}
	}
	if cause := <-w.gone; !errors.Is(cause, hub.ErrFaults) {
		t.Errorf("gone = %v, want ErrFaults", cause)
	}
}

func TestSlowConsumerIsCutOff(t *testing.T) {
	w := start(t, hub.Limits{QueueBytes: 256 << 10, Write: time.Minute})
	w.connect(t) // and never read again
	a := <-w.up
	frame := signaling.MustEncode(signaling.Envelope{Type: signaling.TypeSessionEnd, Body: signaling.SessionEnd{Session: "ses_1", Reason: strings.Repeat("x", 32<<10)}})
	began := time.Now()
	var err error
	for range 10_000 { // far more than socket buffers hold
		if err = a.SendFrame(frame); err != nil {
			break
		}
	}
	if !errors.Is(err, hub.ErrSlow) {
		t.Errorf("SendFrame = %v, want ErrSlow", err)
	}
	if cause := <-w.gone; !errors.Is(cause, hub.ErrSlow) {
		t.Errorf("gone = %v, want ErrSlow", cause)
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("senders were held up for %v", d)
	}
}

func TestSilenceEndsTheLink(t *testing.T) {
	w := start(t, hub.Limits{Heartbeat: 50 * time.Millisecond})
	w.connect(t) // nobody reads, so no ping is answered
	select {
	case cause := <-w.gone:
		if !errors.Is(cause, hub.ErrSilent) {
			t.Errorf("gone = %v, want ErrSilent", cause)
		}
	case <-time.After(time.Minute):
		t.Error("a silent agent stays connected")
	}
}

func TestNewerConnectionReplaces(t *testing.T) {
	w := start(t, hub.Limits{})
	w.connect(t)
	first := <-w.up
	w.connect(t)
	second := <-w.up
	if cause := <-w.gone; !errors.Is(cause, hub.ErrReplaced) {
		t.Errorf("gone = %v, want ErrReplaced", cause)
	}
	if got := w.hub.Get(device); got != second || got == first || w.hub.Len() != 1 {
		t.Errorf("Get = %p, want the second link %p", got, second)
	}
}

func TestMessagesStayInOrder(t *testing.T) {
	w := start(t, hub.Limits{})
	ws := w.connect(t)
	a := <-w.up
	const n = 500
	for i := range int64(n) {
		send(t, ws, signaling.MustEncode(signaling.Envelope{Type: signaling.TypeSessionEvent, Body: signaling.SessionEvent{Session: "ses_1", Seq: i + 1, Kind: "x"}}))
		if err := a.Send(signaling.Envelope{Type: signaling.TypeDrain, Body: signaling.Drain{ReconnectAfterMS: i}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(n) {
		if e := (<-w.got).Body.(signaling.SessionEvent); e.Seq != i+1 {
			t.Fatalf("message %d has seq %d", i+1, e.Seq)
		}
		if d := receive[signaling.Drain](t, ws); d.ReconnectAfterMS != i {
			t.Fatalf("message %d is %+v", i, d)
		}
	}
}

func TestAlive(t *testing.T) {
	w := start(t, hub.Limits{})
	ws := w.connect(t)
	a := <-w.up
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if a.Alive(ctx) {
		t.Error("an agent that answers nothing is alive")
	}
	go func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}()
	if !a.Alive(t.Context()) {
		t.Error("an agent that answers is not alive")
	}
}
