package hub

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"handrail/signaling"
)

// AgentConfig gives Agents its limits and the functions that know devices. All functions
// are needed; each may be called from many goroutines at once.
type AgentConfig struct {
	Limits Limits

	// Challenge fills the gateway's keys into c and signs for the device of h.
	Challenge func(h signaling.Hello, c *signaling.Challenge) error
	// Lookup returns the public key this device was enrolled with, or why it may not
	// connect, before it has proved anything: it must change nothing.
	Lookup func(ctx context.Context, h signaling.Hello) (signaling.Key, error)
	// Admit is called when the device has proved itself, before it is welcomed. It may
	// still refuse.
	Admit func(ctx context.Context, h signaling.Hello, remote string) (signaling.Welcome, error)
	// Connected is called when the agent has been welcomed and can be found by Get, before
	// any Message.
	Connected func(a *Agent, h signaling.Hello)
	// Message is called for each message, in order, by the connection's own goroutine.
	Message func(a *Agent, e signaling.Envelope)
	// Gone is called once for each Connected.
	Gone func(a *Agent, cause error)
}

// Agents accepts the sockets of agents and keeps those that are connected.
type Agents struct {
	cfg    AgentConfig
	log    *slog.Logger
	limits *Limits

	ctx    context.Context // ends when Run does
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	byDevice map[signaling.DeviceID]*Agent
	pending  map[*Socket]struct{} // in their handshake
	draining bool
}

// Agent is a connected, proven agent.
type Agent struct {
	*Socket
	Device   signaling.DeviceID
	Instance string // random per start of the agent program
	Version  string
	Remote   string // network address, for logs and audit
}

// NewAgents returns a hub that accepts connections until Run ends.
func NewAgents(cfg AgentConfig, log *slog.Logger) *Agents {
	ctx, cancel := context.WithCancel(context.Background())
	l := cfg.Limits.withDefaults()
	return &Agents{
		cfg: cfg, log: log, limits: &l, ctx: ctx, cancel: cancel,
		byDevice: map[signaling.DeviceID]*Agent{}, pending: map[*Socket]struct{}{},
	}
}

// Run blocks until ctx ends, then closes every connection and waits for their callbacks.
func (h *Agents) Run(ctx context.Context) error {
	<-ctx.Done()
	h.cancel()
	h.mu.Lock()
	h.draining = true
	for s := range h.pending {
		s.fail(ErrDraining)
	}
	for _, a := range h.byDevice {
		a.Close(ErrDraining)
	}
	h.mu.Unlock()
	h.wg.Wait()
	return nil
}

// Drain tells every agent to reconnect after the given delay (to which agents add jitter)
// and closes their connections; new ones are refused.
func (h *Agents) Drain(after time.Duration) {
	frame := signaling.MustEncode(signaling.Envelope{Type: signaling.TypeDrain, Body: signaling.Drain{ReconnectAfterMS: after.Milliseconds()}})
	h.mu.Lock()
	h.draining = true
	all := make([]*Agent, 0, len(h.byDevice))
	for _, a := range h.byDevice {
		all = append(all, a)
	}
	h.mu.Unlock()
	for _, a := range all {
		_ = a.SendFrame(frame)
		a.Close(ErrDraining)
	}
}

// Get returns the agent of a device, or nil.
func (h *Agents) Get(d signaling.DeviceID) *Agent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byDevice[d]
}

// Len returns how many agents are connected.
func (h *Agents) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.byDevice)
}

// Devices returns the devices that are connected, in no order.
func (h *Agents) Devices() []signaling.DeviceID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]signaling.DeviceID, 0, len(h.byDevice))
	for d := range h.byDevice {
		out = append(out, d)
	}
	return out
}

// ServeHTTP accepts one agent. It returns as soon as the socket is upgraded, so that the
// request's own memory is given back.
func (h *Agents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote := r.RemoteAddr
	s, err := accept(w, r, signaling.FromAgent, h.limits, noBrowsers)
	if err != nil {
		h.log.Debug("agent_upgrade_refused", "remote", remote, "error", err)
		return
	}
	h.mu.Lock()
	if h.draining {
		h.mu.Unlock()
		refuse(s, &Refusal{Code: signaling.CodeDraining, Message: "this gateway is shutting down", RetryAfter: time.Second})
		return
	}
	h.pending[s] = struct{}{}
	h.wg.Add(1)
	h.mu.Unlock()
	go h.run(s, remote)
}

// noBrowsers refuses pages: an agent sends no Origin.
func noBrowsers(r *http.Request) bool { return r.Header.Get("Origin") == "" }

func (h *Agents) run(s *Socket, remote string) {
	defer h.wg.Done()
	a, hello, err := h.handshake(s, remote)
	if err != nil {
		h.mu.Lock()
		delete(h.pending, s)
		h.mu.Unlock()
		var r *Refusal
		if errors.As(err, &r) {
			h.log.Info("agent_refused", "device", hello.Device, "remote", remote, "code", r.Code, "reason", r.Message)
		} else {
			h.log.Debug("agent_handshake_ended", "device", hello.Device, "remote", remote, "error", err)
		}
		return
	}
	h.cfg.Connected(a, hello)
	hello = signaling.Hello{} //nolint:wastedassign // its nonce and sessions would live as long as the connection
	cause := s.serve(h.ctx, func(e signaling.Envelope) { h.cfg.Message(a, e) })
	h.mu.Lock()
	if h.byDevice[a.Device] == a {
		delete(h.byDevice, a.Device)
	}
	h.mu.Unlock()
	h.cfg.Gone(a, cause)
}

// handshake runs hello, challenge, proof, welcome. On error the socket has been told and
// closed.
func (h *Agents) handshake(s *Socket, remote string) (*Agent, signaling.Hello, error) {
	ctx, cancel := context.WithTimeout(h.ctx, h.limits.Handshake)
	defer cancel()
	_ = s.ws.SetReadDeadline(time.Now().Add(h.limits.Handshake))
	hello, err := h.prove(ctx, s)
	if err != nil {
		return nil, hello, h.refuse(s, hello, err)
	}
	welcome, err := h.cfg.Admit(ctx, hello, remote)
	if err != nil {
		return nil, hello, h.refuse(s, hello, err)
	}
	welcome.HeartbeatMS = h.limits.Heartbeat.Milliseconds()
	_ = s.ws.SetReadDeadline(time.Time{})
	a := &Agent{Socket: s, Device: hello.Device, Instance: hello.Instance, Version: hello.Version, Remote: remote}
	h.mu.Lock()
	if h.draining {
		h.mu.Unlock()
		return nil, hello, h.refuse(s, hello, &Refusal{Code: signaling.CodeDraining, Message: "this gateway is shutting down", RetryAfter: time.Second})
	}
	old := h.byDevice[a.Device]
	h.byDevice[a.Device] = a
	delete(h.pending, s)
	err = s.Send(signaling.Envelope{Type: signaling.TypeWelcome, Body: welcome}) // the first frame after the proof
	h.mu.Unlock()
	if old != nil {
		old.Close(ErrReplaced)
	}
	if err != nil {
		h.log.Warn("agent_welcome_unsent", "device", hello.Device, "error", err)
	}
	s.heartbeat()
	return a, hello, nil
}

// prove returns the hello of an agent that holds the private key of the device it names.
func (h *Agents) prove(ctx context.Context, s *Socket) (signaling.Hello, error) {
	hello, err := expect[signaling.Hello](s)
	if err != nil {
		return hello, err
	}
	key, err := h.cfg.Lookup(ctx, hello)
	if err != nil {
		return hello, err
	}
	c := signaling.Challenge{Nonce: make([]byte, signaling.NonceSize)}
	rand.Read(c.Nonce)
	if err := h.cfg.Challenge(hello, &c); err != nil {
		return hello, err
	}
	if err := s.Send(signaling.Envelope{Type: signaling.TypeChallenge, Body: c}); err != nil {
		return hello, err
	}
	proof, err := expect[signaling.Proof](s)
	if err != nil {
		return hello, err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(key), signaling.DeviceTranscript(hello, c), proof.Signature) {
		return hello, &Refusal{Code: signaling.CodeUnauthorized, Message: "the device's key does not match the one it enrolled with: enroll this device again"}
	}
	return hello, nil
}

// expect reads one message of the one type that may come now.
func expect[T any](s *Socket) (T, error) {
	var none T
	e, err := s.next()
	var re *readError
	if errors.As(err, &re) {
		return none, err
	}
	if err != nil {
		return none, &Refusal{Code: signaling.CodeOf(err), Message: clip(err.Error())}
	}
	b, ok := e.Body.(T)
	if !ok {
		return none, &Refusal{Code: signaling.CodeMalformed, Message: "unexpected " + string(e.Type) + " in the handshake"}
	}
	return b, nil
}

// refuse tells the agent, ends its socket and returns the error as a Refusal where it is one.
func (h *Agents) refuse(s *Socket, hello signaling.Hello, err error) error {
	var r *Refusal
	var re *readError
	switch {
	case errors.As(err, &re), errors.Is(err, ErrClosed):
		s.fail(err)
		return err
	case !errors.As(err, &r):
		id := signaling.NewID("err")
		h.log.Error("agent_handshake_broken", "error_id", id, "device", hello.Device, "error", err)
		r = &Refusal{Code: signaling.CodeInternal, Message: "the gateway could not answer; its log has " + id, RetryAfter: 5 * time.Second}
	}
	refuse(s, r)
	return r
}

// refuse sends the refusal and ends the socket once the other end has read it, or after a
// second.
func refuse(s *Socket, r *Refusal) {
	_ = s.Send(signaling.Envelope{Type: signaling.TypeRefused, Body: signaling.Refused{
		Code: r.Code, Message: clip(r.Message), RetryAfterMS: r.RetryAfter.Milliseconds(),
	}})
	s.Close(ErrClosed)
	_ = s.ws.SetReadDeadline(time.Now().Add(time.Second))
	for { // the other end's close frame, or nothing
		if _, _, err := s.ws.NextReader(); err != nil {
			break
		}
	}
	s.fail(ErrClosed)
}
