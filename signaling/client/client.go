package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"handrail/signaling"

	"github.com/gorilla/websocket"
)

// Defaults of Config.
const (
	DefaultDialTimeout = 10 * time.Second
	DefaultMinBackoff  = time.Second
	// DefaultMaxBackoff lets every device return within 15 s of a gateway's restart.
	DefaultMaxBackoff = 12 * time.Second
	DefaultQueue      = 256
)

// While a session lives a link is watched and retried more closely than at rest.
const (
	busyBackoff     = 500 * time.Millisecond // the longest pause between tries
	busyDialTimeout = 2 * time.Second        // a dial begun while packets were dropped must not outlive the outage by much
	busyPing        = time.Second
	busySilence     = 4 * time.Second
)

// Config says who connects to whom. Device, Key, Pins and URL are needed; the zero value of
// the rest is useful.
type Config struct {
	URL         string             // http(s)://host[:port] of the gateway
	Device      signaling.DeviceID // as enrolled
	Key         ed25519.PrivateKey // the device's own
	Pins        []signaling.Key    // gateway keys from enrollment: current, then next where there is one
	Fingerprint string             // of the hardware, as enrolled
	Instance    string             // "" means random; constant for the life of the process
	Version     string             // of the agent program
	TLS         *tls.Config        // nil: the system's roots
	DialTimeout time.Duration      // for dial and handshake together; 0 means DefaultDialTimeout
	MinBackoff  time.Duration      // first pause is random between 0 and this; 0 means DefaultMinBackoff
	MaxBackoff  time.Duration      // pauses double up to this; 0 means DefaultMaxBackoff
	Queue       int                // messages kept while offline; 0 means DefaultQueue

	// Briefs names the sessions that live; nil means none ever. It is called before each
	// connect, and while it names any the link is watched and retried closely.
	Briefs func() []signaling.SessionBrief
	// Manifest is the hash of the newest manifest the device has; nil or "" means none.
	Manifest func() string
	// OnMessage gets every message after the handshake, in order, from one goroutine; it
	// must not block. nil drops them.
	OnMessage func(signaling.Envelope)
	// OnState is told of every change, from one goroutine; it must not block. nil is allowed.
	OnState func(State)
	// OnPins keeps pins that moved on (current, then next). An error is logged, and the
	// moved pins are used until the process ends.
	OnPins func([]signaling.Key) error
	// Dial opens the transport; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Phase is where a link stands.
type Phase string

// The phases.
const (
	Connecting Phase = "connecting"
	Online     Phase = "online"
	Waiting    Phase = "waiting" // for the next try
	Stopped    Phase = "stopped" // the gateway refused for good
)

// State is a link at one moment.
type State struct {
	Phase   Phase
	Since   time.Time         // of this phase
	Err     error             // why the last try or the last link ended; nil while online
	NextTry time.Time         // while waiting
	Welcome signaling.Welcome // the newest; zero before the first
	Skew    time.Duration     // gateway's clock minus ours at the newest welcome
}

// Errors of Run and of State.Err.
var (
	// ErrGatewayKey says that whoever answered is not the gateway this device enrolled with.
	ErrGatewayKey = errors.New("the gateway's identity is not the one pinned at enrollment")
	// ErrSilent says that the link was given up because nothing was heard.
	ErrSilent = errors.New("the gateway went silent")
	// ErrDrained says that the gateway asked its devices to move on.
	ErrDrained = errors.New("the gateway is shutting down")
	// ErrQueueFull says that a message was dropped, offline for too long or the link too slow.
	ErrQueueFull = errors.New("too many messages wait for the link")

	errAsked = errors.New("reconnect asked for")
)

// RefusedError is the gateway's refusal, or its word that the device is revoked.
type RefusedError struct{ signaling.Refused }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the gateway refused this device: %s (%s)", e.Message, e.Code)
}

// IsFinal reports whether the device should not come back by itself.
func (e *RefusedError) IsFinal() bool { return e.RetryAfterMS <= 0 }

// Client is one device's link. Its methods are safe for concurrent use.
type Client struct {
	cfg    Config
	log    *slog.Logger
	target string // ws(s)://host/agent/socket
	dialer websocket.Dialer
	kick   chan struct{} // asks for a try now

	mu    sync.Mutex
	state State
	pins  []signaling.Key
	out   outbox
	conn  *websocket.Conn // while online
}

// writeBuffers are shared by every link of the process: a link at rest holds none.
var writeBuffers sync.Pool

// New checks the configuration; it dials nothing. The gateway must be https, or http on
// a loopback address: a device never speaks unencrypted to another machine.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	target, err := SocketURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := signaling.CheckID("dev", string(cfg.Device)); err != nil {
		return nil, fmt.Errorf("device %q: %w", cfg.Device, err)
	}
	if len(cfg.Key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("device key is %d bytes, want %d", len(cfg.Key), ed25519.PrivateKeySize)
	}
	if len(cfg.Pins) == 0 {
		return nil, errors.New("no gateway key is pinned")
	}
	for _, p := range cfg.Pins {
		if len(p) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("pinned gateway key is %d bytes, want %d", len(p), ed25519.PublicKeySize)
		}
	}
	cfg.DialTimeout = cmpOr(cfg.DialTimeout, DefaultDialTimeout)
	cfg.MinBackoff = cmpOr(cfg.MinBackoff, DefaultMinBackoff)
	cfg.MaxBackoff = cmpOr(cfg.MaxBackoff, DefaultMaxBackoff)
	cfg.Queue = cmpOr(cfg.Queue, DefaultQueue)
	if cfg.Instance == "" {
		cfg.Instance = signaling.NewID("run")
	}
	c := &Client{
		cfg: cfg, log: log, target: target, kick: make(chan struct{}, 1), pins: slices.Clone(cfg.Pins),
		out: outbox{limit: cfg.Queue, ready: make(chan struct{}, 1)},
		dialer: websocket.Dialer{
			NetDialContext: cfg.Dial, TLSClientConfig: cfg.TLS, Proxy: http.ProxyFromEnvironment,
			ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, WriteBufferPool: &writeBuffers,
		},
	}
	return c, nil
}

func cmpOr[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// SocketURL returns the address of the agents' socket at a gateway, or why that gateway
// may not be spoken to.
func SocketURL(gateway string) (string, error) {
	u, err := url.Parse(gateway)
	if err != nil {
		return "", fmt.Errorf("gateway address %q: %w", gateway, err)
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("gateway address %q: want https://host or https://host:port", gateway)
	}
	switch u.Scheme {
	case "https":
		u.Scheme = "wss"
	case "http":
		if !isLoopback(u.Hostname()) {
			return "", fmt.Errorf("gateway address %q: http is for this machine only (127.0.0.1, localhost); use https", gateway)
		}
		u.Scheme = "ws"
	default:
		return "", fmt.Errorf("gateway address %q: want https://", gateway)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + signaling.PathAgentSocket
	return u.String(), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Run keeps the link up until ctx ends (nil), or until the gateway refuses the device for
// good (*RefusedError). What waits to be sent is given a second when ctx ends.
func (c *Client) Run(ctx context.Context) error {
	for tries := 0; ; {
		up := time.Now()
		err := c.connect(ctx, func() { tries = 0 })
		if ctx.Err() != nil {
			return nil
		}
		var refused *RefusedError
		if errors.As(err, &refused) && refused.IsFinal() {
			c.set(func(s *State) { s.Phase, s.Err, s.NextTry = Stopped, err, time.Time{} })
			return err
		}
		pause := c.pause(err, tries)
		tries++
		c.log.Info("gateway link is down", "err", err, "retry_in", pause.Round(time.Millisecond), "after", time.Since(up).Round(time.Millisecond))
		c.set(func(s *State) { s.Phase, s.Err, s.NextTry = Waiting, err, time.Now().Add(pause) })
		if !c.wait(ctx, pause) {
			return nil
		}
	}
}

// pause picks how long to stay away: full jitter, so that a gateway's devices do not
// return in step.
func (c *Client) pause(err error, tries int) time.Duration {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		least := time.Duration(refused.RetryAfterMS) * time.Millisecond
		return least + rand.N(least/2+time.Millisecond)
	case errors.Is(err, ErrDrained), errors.Is(err, errAsked):
		return 0
	case errors.Is(err, ErrGatewayKey):
		return c.cfg.MaxBackoff/2 + rand.N(c.cfg.MaxBackoff) // somebody else answers there: no hurry
	}
	limit := min(c.cfg.MinBackoff<<min(tries, 16), c.cfg.MaxBackoff)
	if c.isBusy() {
		limit = min(limit, busyBackoff)
	}
	return rand.N(limit + 1)
}

func (c *Client) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-c.kick:
	case <-t.C:
	}
	return true
}

func (c *Client) isBusy() bool { return c.cfg.Briefs != nil && len(c.cfg.Briefs()) > 0 }

// Retry tries now instead of at the end of the pause, as when the network came back. It
// does nothing to a link that is up.
func (c *Client) Retry() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Reconnect drops the link, if it is up, and connects again at once: the way to a fresh
// access token.
func (c *Client) Reconnect() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		c.out.interrupt(errAsked)
		return
	}
	c.Retry()
}

// Probe has a link that is up say something. A packet filter that was set up meanwhile, with
// connections it has not seen yet, then knows this one and lets answers in.
func (c *Client) Probe() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) // the reader notices a link that is dead
	}
}

// State returns the link as it stands.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *Client) set(change func(*State)) {
	c.mu.Lock()
	was := c.state.Phase
	change(&c.state)
	if c.state.Phase != was {
		c.state.Since = time.Now()
	}
	s := c.state
	c.mu.Unlock()
	if c.cfg.OnState != nil {
		c.cfg.OnState(s)
	}
}

// Send queues a message; it never blocks. Messages survive a link's death while they wait;
// what a session must not lose (its events, its consent) is also sent again when it left
// shortly before the link died, since the gateway drops what it has already seen. It fails
// when the message cannot be encoded, or with ErrQueueFull when one had to be dropped.
func (c *Client) Send(e signaling.Envelope) error {
	if _, err := signaling.Encode(e); err != nil {
		return err
	}
	return c.out.add(e)
}
