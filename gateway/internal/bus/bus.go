// Package bus carries messages between the rooms of a gateway and between the nodes of a
// fleet. It is the only package that speaks NATS: a server embedded in this process by
// default, joined to those of other nodes by configuration, or an external NATS.
//
// Subjects, "<…>" being an id:
//
//	dev.<device>    requests and messages to the node that holds the device's link
//	peer.<peer>     messages to the browser socket that owns the viewer
//	ses.<session>   changes of a session's state, to the browsers in it
//	changed         what the consoles should fetch again
//	presence.*      which node holds which devices
//
// Delivery is at most once, in order for each subject from one sender. Nobody is asked to
// wait: a request to a subject that no node listens on fails at once with ErrNobody, which
// is how a device is known to be offline.
package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"handrail/signaling"
)

// ErrNobody says that no node listens on a subject.
var ErrNobody = errors.New("nobody listens")

// ErrClosed says that the bus is shutting down.
var ErrClosed = errors.New("bus is closed")

// Config has a useful zero value: one node, nothing listening on the network.
type Config struct {
	URL     string      // of an external NATS; "" means the embedded server. Outside loopback it must be tls://
	TLS     *tls.Config // of an external NATS; nil means the system's certificate authorities
	Cluster Cluster     // of the embedded server
}

// Cluster joins the embedded servers of several nodes.
type Cluster struct {
	Listen string      // "host:port" for other nodes; port 0 picks one, see Bus.ClusterAddr; "" means one node alone
	Peers  []string    // "host:port" of other nodes; one that is up is enough
	TLS    *tls.Config // needed: must both present and verify a certificate
	Secret string      // needed: the same on every node
}

// Message is one delivery. Reply answers a request, and does nothing for a publish.
type Message struct {
	Subject string
	Data    []byte
	reply   func([]byte) error
}

// Reply answers a request.
func (m Message) Reply(data []byte) error {
	if m.reply == nil {
		return nil
	}
	return m.reply(data)
}

// shards is how many goroutines deliver. A subject always goes to the same one, so that
// its messages stay in order.
const shards = 4

// backlog is how many deliveries may wait in a shard; beyond it messages are dropped.
const backlog = 16 << 10

// Bus is a node's place on the bus. Its methods are safe for concurrent use, from New on.
type Bus struct {
	log    *slog.Logger
	server *server.Server // nil with an external NATS
	conn   *nats.Conn
	shards [shards]chan *nats.Msg
	seed   maphash.Seed

	mu       sync.RWMutex
	handlers map[*nats.Subscription]func(Message)
}

// New starts the embedded server, or connects to the external one. Messages are delivered
// only while Run runs. The caller ends it with Run's context, or Close if Run never ran.
func New(cfg Config, log *slog.Logger) (*Bus, error) {
	b := &Bus{log: log, seed: maphash.MakeSeed(), handlers: map[*nats.Subscription]func(Message){}}
	for i := range b.shards {
		b.shards[i] = make(chan *nats.Msg, backlog)
	}
	opts := []nats.Option{
		nats.Name("handrail-gateway"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.CustomInboxPrefix("_INBOX"),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("bus_trouble", "subject", subject, "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("bus_disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("bus_reconnected") }),
	}
	to := cfg.URL
	var err error
	if cfg.URL != "" {
		err = checkURL(cfg.URL)
		if cfg.TLS != nil {
			opts = append(opts, nats.Secure(cfg.TLS))
		}
		opts = append(opts, nats.Timeout(5*time.Second))
	} else {
		var inside nats.Option
		b.server, inside, err = embed(cfg.Cluster, log)
		opts = append(opts, inside)
	}
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	if b.conn, err = nats.Connect(to, opts...); err != nil {
		b.stopServer()
		return nil, fmt.Errorf("bus: connect: %w", err)
	}
	return b, nil
}

// checkURL refuses to speak in the clear with another machine.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the NATS URL cannot be read")
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || u.Scheme == "tls" {
		return nil
	}
	return fmt.Errorf("NATS at %s is not on this machine: its URL must be tls://", host)
}

// embed starts a server in this process. The option connects a client to it without a network.
func embed(c Cluster, log *slog.Logger) (*server.Server, nats.Option, error) {
	user, password := "gateway", signaling.NewID("bus")
	o := &server.Options{
		ServerName: signaling.NewID("node"),
		NoSigs:     true, NoLog: true, DontListen: true,
		MaxPayload: signaling.MaxMessage + 4<<10,
		MaxPending: 64 << 20,
		Username:   user, Password: password,
	}
	if c.Listen != "" {
		host, port, err := splitHostPort(c.Listen)
		if err != nil {
			return nil, nil, fmt.Errorf("cluster address %q: %w", c.Listen, err)
		}
		if c.TLS == nil || c.Secret == "" {
			return nil, nil, errors.New("a cluster needs TLS and a secret")
		}
		// DontListen would keep the routes from ever starting, so clients get a port of
		// loopback, which the random password above keeps shut.
		o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
		if port == 0 {
			port = server.RANDOM_PORT
		}
		o.Cluster = server.ClusterOpts{
			Name: "handrail", Host: host, Port: port, Username: "node", Password: c.Secret,
			TLSConfig: c.TLS, TLSTimeout: 5, AuthTimeout: 5, PoolSize: 1, ConnectRetries: 1 << 30,
		}
		for _, p := range c.Peers {
			if _, _, err := splitHostPort(p); err != nil {
				return nil, nil, fmt.Errorf("cluster peer %q: %w", p, err)
			}
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: p, User: url.UserPassword("node", c.Secret)})
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, nil, err
	}
	s.SetLogger(natsLog{log}, false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, nil, fmt.Errorf("embedded server did not start; is the cluster address %q free?", c.Listen)
	}
	return s, func(o *nats.Options) error {
		o.InProcessServer, o.User, o.Password = s, user, password
		return nil
	}, nil
}

func splitHostPort(s string) (string, int, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q", port)
	}
	return host, int(n), nil
}

// Run delivers messages until ctx ends, then closes the bus.
func (b *Bus) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range b.shards {
		wg.Go(func() {
			for {
				select {
				case m := <-c:
					b.deliver(m)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	b.Close()
	return nil
}

// Close leaves the bus at once.
func (b *Bus) Close() {
	b.conn.Close()
	b.stopServer()
}

func (b *Bus) stopServer() {
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

func (b *Bus) deliver(m *nats.Msg) {
	b.mu.RLock()
	fn := b.handlers[m.Sub]
	b.mu.RUnlock()
	if fn == nil {
		return // unsubscribed meanwhile
	}
	msg := Message{Subject: m.Subject, Data: m.Data}
	if m.Reply != "" {
		msg.reply = func(data []byte) error { return b.conn.Publish(m.Reply, data) }
	}
	fn(msg)
}

// Subscription is one interest in a subject.
type Subscription struct {
	bus *Bus
	sub *nats.Subscription
}

// Subscribe calls fn for every message on subject ("*" stands for one word), one at a time
// and in order. fn must not block: it shares its goroutine with other subscriptions. It
// costs no goroutine of its own, so there may be one for each device.
func (b *Bus) Subscribe(subject string, fn func(Message)) (*Subscription, error) {
	c := b.shards[maphash.String(b.seed, subject)%shards]
	b.mu.Lock() // held until the handler is there, so that no delivery comes before it
	defer b.mu.Unlock()
	sub, err := b.conn.ChanSubscribe(subject, c)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, translate(err))
	}
	b.handlers[sub] = fn
	return &Subscription{bus: b, sub: sub}, nil
}

// Close ends the subscription. A call of its function may still be under way.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	delete(s.bus.handlers, s.sub)
	s.bus.mu.Unlock()
	_ = s.sub.Unsubscribe()
}

// Publish sends data to whoever listens, on any node; nobody is no error.
func (b *Bus) Publish(subject string, data []byte) error {
	if err := b.conn.Publish(subject, data); err != nil {
		return fmt.Errorf("publish to %s: %w", subject, translate(err))
	}
	return nil
}

// Request sends data and waits for one answer. ErrNobody comes at once when no node
// listens; an answer that does not come before ctx ends is ctx's error.
func (b *Bus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
	}
	m, err := b.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", subject, translate(err))
	}
	return m.Data, nil
}

// Flush returns when the server has everything published and every subscription made
// before it.
func (b *Bus) Flush(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
	}
	return translate(b.conn.FlushWithContext(ctx))
}

// Healthy reports whether this node is on the bus, for /readyz.
func (b *Bus) Healthy() error {
	if !b.conn.IsConnected() {
		return errors.New("not connected to the bus")
	}
	return nil
}

// Nodes returns how many other nodes the embedded server has routes to.
func (b *Bus) Nodes() int {
	if b.server == nil {
		return 0
	}
	return b.server.NumRoutes()
}

// ClusterAddr returns where the embedded server listens for other nodes; "" when alone.
func (b *Bus) ClusterAddr() string {
	if b.server == nil || b.server.ClusterAddr() == nil {
		return ""
	}
	return b.server.ClusterAddr().String()
}

func translate(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNobody
	case errors.Is(err, nats.ErrConnectionClosed):
		return ErrClosed
	}
	return err
}

// natsLog gives the embedded server's words to our logger.
type natsLog struct{ log *slog.Logger }

func (l natsLog) Noticef(format string, v ...any) {
	l.log.Debug("nats", "text", fmt.Sprintf(format, v...))
}

func (l natsLog) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.HasPrefix(text, "Plaintext passwords detected") {
		return // the password is random and lives as long as this process
	}
	l.log.Warn("nats", "text", text)
}

func (l natsLog) Fatalf(format string, v ...any) {
	l.log.Error("nats", "text", fmt.Sprintf(format, v...))
}

func (l natsLog) Errorf(format string, v ...any) {
	l.log.Error("nats", "text", fmt.Sprintf(format, v...))
}
func (l natsLog) Debugf(string, ...any) {}
func (l natsLog) Tracef(string, ...any) {}
