// Package gatewaytest runs a whole gateway in the test's own process: real sockets on ports
// the system picks, a real database in the test's directory, and short cuts to what a test
// needs first: an administrator, a token, a browser. Only tests and benchmarks import it.
package gatewaytest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/config"
	"handrail/gateway/internal/server"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
)

// Options say what kind of gateway. The zero value is one node on SQLite.
type Options struct {
	// Postgres uses a fresh PostgreSQL database (HANDRAIL_TEST_POSTGRES) instead of SQLite.
	Postgres bool
	// Peer makes this another node of that gateway: its database, its secret key, and its
	// cluster, which it must have been started with (see Cluster).
	Peer *Gateway
	// Cluster opens the port other nodes join at.
	Cluster bool
	// Heartbeat between pings; 0 means 15 s.
	Heartbeat time.Duration
	// AnswerWithin and ConsentWindow of sessions; 0 means 60 s and 15 min.
	AnswerWithin, ConsentWindow time.Duration
	// NoRelay turns STUN and TURN off.
	NoRelay bool
	// Log gets the gateway's log; nil means the test's output when it fails.
	Log *slog.Logger
	// Change may alter the configuration last.
	Change func(*config.Gateway)
}

// Gateway is a running gateway.
type Gateway struct {
	// URL is where browsers reach it: http://localhost:port.
	URL string
	// Dir is its data directory.
	Dir string
	// Rooms are its insides.
	Rooms server.Rooms

	cfg  config.Gateway
	log  *slog.Logger
	t    testing.TB
	mu   sync.Mutex
	stop context.CancelFunc
	done chan error
	srv  *server.Server
}

// Start starts a gateway that stops when the test ends.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Gateway{
		Place:  config.Place{Data: dir},
		Listen: "127.0.0.1:0", TLS: "auto", TurnListen: "127.0.0.1:0", TurnTLSListen: config.Off,
		Heartbeat: or(o.Heartbeat, 15*time.Second), AnswerWithin: or(o.AnswerWithin, time.Minute),
		ConsentWindow: or(o.ConsentWindow, 15*time.Minute), DrainTime: 5 * time.Second,
	}
	if o.NoRelay {
		cfg.TurnListen = config.Off
	}
	if o.Postgres {
		cfg.Database = storetest.Postgres(t)
	}
	if o.Cluster || o.Peer != nil {
		cfg.ClusterListen = "127.0.0.1:0"
	}
	if p := o.Peer; p != nil {
		cfg.Database, cfg.SecretKeyFile = p.cfg.Database, p.cfg.SecretFile()
		if cfg.Database == "" {
			t.Fatal("gatewaytest: two nodes need PostgreSQL")
		}
		cfg.ClusterPeers = []string{p.Rooms.Bus.ClusterAddr()}
	}
	if o.Change != nil {
		o.Change(&cfg)
	}
	g := &Gateway{Dir: dir, cfg: cfg, log: o.Log, t: t}
	if g.log == nil {
		g.log = slog.New(slog.NewTextHandler(newTail(t), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	g.start()
	t.Cleanup(g.Stop)
	return g
}

func or(d, other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return d
}

func (g *Gateway) start() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	srv, err := server.Open(ctx, g.cfg, "test", g.log)
	if err != nil {
		cancel()
		g.t.Fatalf("start the gateway: %v", err)
	}
	g.srv, g.stop, g.done = srv, cancel, make(chan error, 1)
	g.URL, g.Rooms = srv.URL(), srv.Rooms
	g.cfg.Listen = srv.Addr().String() // the same port after a restart
	go func() { g.done <- srv.Run(ctx) }()
}

// Stop drains and stops the gateway, as SIGTERM does. Stopping twice does nothing.
func (g *Gateway) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stop == nil {
		return
	}
	g.stop()
	if err := <-g.done; err != nil {
		g.t.Errorf("the gateway ended: %v", err)
	}
	g.stop = nil
}

// Restart stops the gateway if it runs and starts it again on the same port and data.
func (g *Gateway) Restart() {
	g.t.Helper()
	g.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.start()
}

// The administrator that Admin makes.
const (
	AdminEmail    = "admin@example.test"
	AdminPassword = "correct horse battery staple"
)

// Group makes a group below the root with an unattended policy of the given capabilities;
// with none, people are asked.
func (g *Gateway) Group(name string, unattended ...string) mdm.GroupID {
	g.t.Helper()
	policy := &group.Unattended{Enabled: len(unattended) > 0, Capabilities: unattended}
	made, err := g.Rooms.Groups.Create(g.t.Context(), mdm.RootGroup, name, policy, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	return made.ID
}

// Token makes an enrollment token for a group; "" is the root group, whose devices ask.
func (g *Gateway) Token(in mdm.GroupID, uses int64, ttl time.Duration) string {
	g.t.Helper()
	if in == "" {
		in = mdm.RootGroup
	}
	_, text, err := g.Rooms.Enroll.Create(g.t.Context(), enroll.Wanted{Group: in, Uses: uses, TTL: ttl, By: "test"}, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	return text
}

// Revoke cuts a device off, as an administrator does.
func (g *Gateway) Revoke(id mdm.DeviceID) {
	g.t.Helper()
	if _, err := g.Rooms.Devices.Revoke(g.t.Context(), id, time.Now()); err != nil {
		g.t.Fatal(err)
	}
	if err := g.Rooms.Links.Cut(g.t.Context(), id, "revoked", "revoked by the test"); err != nil {
		g.t.Fatal(err)
	}
}

// Client returns an HTTP client that keeps cookies and sends the gateway's own Origin.
func (g *Gateway) Client() *http.Client {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: originTransport{g}, Timeout: 2 * time.Minute}
}

type originTransport struct{ g *Gateway }

// RoundTrip implements http.RoundTripper.
func (o originTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Header.Get("Origin") == "" {
		r.Header.Set("Origin", o.g.URL)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// setCookie gives a client the cookie of a sign-in.
func (g *Gateway) setCookie(c *http.Client, name, value string) {
	g.t.Helper()
	u, err := url.Parse(g.URL)
	if err != nil {
		g.t.Fatal(err)
	}
	c.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// FreePort returns a TCP port nobody listened on a moment ago, for what must be known
// before it starts.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newTail keeps the gateway's log and shows it when the test has failed.
func newTail(t testing.TB) io.Writer {
	f, err := os.Create(filepath.Join(t.TempDir(), "gateway.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if b, err := os.ReadFile(f.Name()); err == nil {
				const most = 20 << 10
				t.Logf("the gateway's log:\n%s", b[max(0, len(b)-most):])
			}
		}
		f.Close()
	})
	return f
}
