package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/client"
)

// uploadTimeout bounds one HTTPS request, body and answer.
const uploadTimeout = 60 * time.Second

// ErrOffline says that there is no link to take an access token from.
var ErrOffline = errors.New("not connected to the gateway")

// Store is what the link remembers; *state.Dir is one.
type Store interface {
	SaveEnrollment(e state.Enrollment) error
}

// Config says which device speaks to which gateway. Enrollment, Key and Fingerprint are
// needed.
type Config struct {
	Enrollment  state.Enrollment
	Key         ed25519.PrivateKey
	Fingerprint string
	Version     string
	Store       Store // keeps moved pins and the gateway's clock; nil keeps nothing

	Briefs    func() []signaling.SessionBrief // as in client.Config
	Manifest  func() string                   // as in client.Config
	OnMessage func(signaling.Envelope)        // as in client.Config
	OnState   func(client.State)              // as in client.Config

	Instance   string        // as in client.Config
	MaxBackoff time.Duration // as in client.Config
	Dial       Dial          // of every connection; nil means a net.Dialer
	Packer     *Packer       // of uploads, shared by the links of a process; nil keeps nothing between them
}

// Dial opens a connection, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Link is the device's line. Its methods are safe for concurrent use.
type Link struct {
	cfg    Config
	log    *slog.Logger
	client *client.Client
	http   *http.Client

	mu         sync.Mutex
	enrollment state.Enrollment
	turns      turns
}

// New checks the configuration; it connects to nothing.
func New(cfg Config, log *slog.Logger) (*Link, error) {
	l := &Link{cfg: cfg, log: log, enrollment: cfg.Enrollment}
	tlsConfig, err := tlsFor(cfg.Enrollment.CAPEM, l.now)
	if err != nil {
		return nil, err
	}
	l.http = &http.Client{Timeout: uploadTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig.Clone(), ForceAttemptHTTP2: true, IdleConnTimeout: 5 * time.Second,
		ResponseHeaderTimeout: uploadTimeout, DialContext: cfg.Dial,
	}, CheckRedirect: noRedirect}
	l.client, err = client.New(client.Config{
		URL: cfg.Enrollment.Gateway, Device: cfg.Enrollment.Device, Key: cfg.Key, Pins: cfg.Enrollment.Pins,
		Fingerprint: cfg.Fingerprint, Version: cfg.Version, TLS: tlsConfig, MaxBackoff: cfg.MaxBackoff, Instance: cfg.Instance,
		Briefs: cfg.Briefs, Manifest: cfg.Manifest, OnMessage: l.onMessage, OnState: l.onState, OnPins: l.onPins, Dial: cfg.Dial,
	}, log)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// noRedirect keeps the access token from going anywhere but the gateway.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// now is this device's clock, but never before the newest gateway clock seen: a device
// whose clock fell back still finds the gateway's certificate valid.
func (l *Link) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, seen := time.Now(), time.UnixMicro(l.enrollment.GatewayTimeUS)
	if now.Before(seen) {
		return seen
	}
	return now
}

// Run keeps the link up until ctx ends, or returns the gateway's final refusal.
func (l *Link) Run(ctx context.Context) error {
	defer l.http.CloseIdleConnections()
	return l.client.Run(ctx)
}

// Send queues a message for the gateway; see client.Client.Send.
func (l *Link) Send(e signaling.Envelope) error { return l.client.Send(e) }

// Reconnect lets the connection go and makes a new one.
func (l *Link) Reconnect() { l.client.Reconnect() }

// Retry tries now where the link is down: the network changed.
func (l *Link) Retry() { l.client.Retry() }

// State returns the link as it stands.
func (l *Link) State() client.State { return l.client.State() }

func (l *Link) onMessage(e signaling.Envelope) {
	if l.turns.answered(e) || l.cfg.OnMessage == nil {
		return
	}
	l.cfg.OnMessage(e)
}

func (l *Link) onState(s client.State) {
	if s.Phase != client.Online {
		l.turns.lost()
	}
	if s.Phase == client.Online {
		_ = l.keep(func(e *state.Enrollment) bool { // keep has logged it; the link is up all the same
			changed := e.DeviceName != s.Welcome.DeviceName || e.Organisation != s.Welcome.Organisation ||
				s.Welcome.TimeUS-e.GatewayTimeUS > time.Hour.Microseconds() // once an hour is enough for a clock
			e.DeviceName, e.Organisation = s.Welcome.DeviceName, s.Welcome.Organisation
			e.GatewayTimeUS = max(e.GatewayTimeUS, s.Welcome.TimeUS)
			return changed
		})
	}
	if l.cfg.OnState != nil {
		l.cfg.OnState(s)
	}
}

func (l *Link) onPins(pins []signaling.Key) error {
	return l.keep(func(e *state.Enrollment) bool { e.Pins = pins; return true })
}

// keep changes the enrollment and, where change says so, stores it.
func (l *Link) keep(change func(*state.Enrollment) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !change(&l.enrollment) || l.cfg.Store == nil {
		return nil
	}
	err := l.cfg.Store.SaveEnrollment(l.enrollment)
	if err != nil {
		l.log.Error("enrollment record could not be written", "err", err)
	}
	return err
}

func (l *Link) gateway() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enrollment.Gateway
}
