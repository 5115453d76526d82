package turn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	client "github.com/pion/turn/v5"

	"handrail/gateway/internal/tlsconf"
	"handrail/gateway/internal/turn"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func start(t *testing.T, change func(*turn.Config)) (*turn.Relay, *x509.CertPool) {
	t.Helper()
	certs, err := tlsconf.New(tlsconf.Config{Mode: tlsconf.Generated, Listen: "127.0.0.1:0", Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(certs.CAPEM()))
	cfg := turn.Config{
		UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", TLS: "127.0.0.1:0", Certs: certs.TLS(),
		Secret: []byte("0123456789abcdef"), AllowPeers: loopback,
	}
	if change != nil {
		change(&cfg)
	}
	r, err := turn.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r, pool
}

// dial opens a client over one of the relay's URLs: turn udp, turn tcp or turns tcp.
func dial(t *testing.T, r *turn.Relay, pool *x509.CertPool, how, user, password string) *client.Client {
	t.Helper()
	scheme, transport, _ := strings.Cut(how, " ")
	var addr string
	for _, u := range r.ICEServers("ses_1", "peer_1")[0].URLs {
		if rest, ok := strings.CutPrefix(u, scheme+":"); ok && strings.HasSuffix(u, transport) {
			addr, _, _ = strings.Cut(rest, "?")
		}
	}
	var conn net.PacketConn
	var stream net.Conn
	var err error
	switch how {
	case "turn udp":
		conn, err = net.ListenPacket("udp", "127.0.0.1:0")
	case "turn tcp":
		stream, err = net.Dial("tcp", addr)
	default:
		stream, err = tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if stream != nil {
		conn = client.NewSTUNConn(stream)
	}
	c, err := client.NewClient(&client.ClientConfig{
		STUNServerAddr: addr, TURNServerAddr: addr, Conn: conn, Username: user, Password: password,
		Realm: "handrail", LoggerFactory: logging.NewDefaultLoggerFactory(), RTO: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		conn.Close()
	})
	return c
}

func credentials(r *turn.Relay) (string, string) {
	s := r.ICEServers("ses_1", "peer_1")[0]
	return s.Username, s.Credential
}

// echo listens on loopback and sends everything back.
func echo(t *testing.T) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	return c.LocalAddr()
}

func relays(t *testing.T, relay net.PacketConn, to net.Addr) error {
	t.Helper()
	if _, err := relay.WriteTo([]byte("hello"), to); err != nil {
		return err
	}
	_ = relay.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 100)
	n, _, err := relay.ReadFrom(b)
	if err == nil && !bytes.Equal(b[:n], []byte("hello")) {
		return fmt.Errorf("echo is %q", b[:n])
	}
	return err
}

func TestRelayOverEveryTransport(t *testing.T) {
	r, pool := start(t, nil)
	if got := fmt.Sprint(r.ICEServers("ses_1", "peer_1")[0].URLs); strings.Count(got, "127.0.0.1:") != 4 {
		t.Errorf("URLs = %s", got)
	}
	for _, scheme := range []string{"turn udp", "turn tcp", "turns tcp"} {
		user, password := credentials(r)
		relay, err := dial(t, r, pool, scheme, user, password).Allocate()
		if err != nil {
			t.Fatalf("%s: Allocate = %v", scheme, err)
		}
		if err := relays(t, relay, echo(t)); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		relay.Close()
	}
}

func TestCredentialsAreChecked(t *testing.T) {
	r, pool := start(t, nil)
	user, password := credentials(r)
	for name, cred := range map[string][2]string{
		"wrong password": {user, "wrong"},
		"another name":   {strings.Replace(user, "peer_1", "peer_2", 1), password},
		"longer life":    {"9" + user, password},
		"no name":        {"", ""},
	} {
		if relay, err := dial(t, r, pool, "turn udp", cred[0], cred[1]).Allocate(); err == nil {
			relay.Close()
			t.Errorf("%s: a relay was given out", name)
		}
	}
	short, pool := start(t, func(c *turn.Config) { c.CredTTL = time.Nanosecond })
	user, password = credentials(short)
	if relay, err := dial(t, short, pool, "turn udp", user, password).Allocate(); err == nil {
		relay.Close()
		t.Error("expired: a relay was given out")
	}
}

func TestPrivatePeersAreRefused(t *testing.T) {
	r, pool := start(t, func(c *turn.Config) { c.AllowPeers = nil })
	user, password := credentials(r)
	c := dial(t, r, pool, "turn udp", user, password)
	relay, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	for _, peer := range []string{
		"127.0.0.2", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1",
	} {
		if err := c.CreatePermission(&net.UDPAddr{IP: net.ParseIP(peer), Port: 9}); err == nil {
			t.Errorf("a relay to %s was permitted", peer)
		}
	}
	if err := c.CreatePermission(&net.UDPAddr{IP: net.ParseIP("203.0.113.7"), Port: 9}); err != nil {
		t.Errorf("a relay to a public address: %v", err)
	}
}

// TestOwnAddress has two clients that reach nothing but the relay, on a private address: each
// reaches the other's relay there, and nothing else of this machine.
func TestOwnAddress(t *testing.T) {
	r, pool := start(t, func(c *turn.Config) { c.AllowPeers = nil })
	var ends [2]net.PacketConn
	for i := range ends {
		user, password := credentials(r)
		end, err := dial(t, r, pool, "turn udp", user, password).Allocate()
		if err != nil {
			t.Fatal(err)
		}
		defer end.Close()
		ends[i] = end
	}
	service, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	for i, end := range ends {
		if _, err := end.WriteTo([]byte("let me in"), service.LocalAddr()); err != nil {
			t.Fatalf("end %d: %v", i, err)
		}
		// The first word only opens the way: the other end has not permitted this one yet.
		if _, err := end.WriteTo([]byte("hello"), ends[1-i].LocalAddr()); err != nil {
			t.Fatalf("end %d: %v", i, err)
		}
	}
	b := make([]byte, 100)
	_ = ends[0].SetReadDeadline(time.Now().Add(time.Minute))
	n, from, err := ends[0].ReadFrom(b)
	if err != nil || string(b[:n]) != "hello" || from.String() != ends[1].LocalAddr().String() {
		t.Errorf("the other end's word: %q from %v, %v", b[:n], from, err)
	}
	_ = service.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, _, err := service.ReadFrom(b); err == nil {
		t.Errorf("a service of this machine was reached: %q", b[:n])
	}
	gone := ends[1].LocalAddr()
	ends[1].Close()
	for deadline := time.Now().Add(time.Minute); r.Allocations() > 1; {
		if time.Now().After(deadline) {
			t.Fatal("the relay was kept")
		}
		runtime.Gosched()
	}
	// The socket closes a moment after the relay is counted out.
	taken, err := net.ListenPacket("udp", gone.String())
	for deadline := time.Now().Add(time.Minute); err != nil; taken, err = net.ListenPacket("udp", gone.String()) {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	defer taken.Close()
	if _, err := ends[0].WriteTo([]byte("hello again"), gone); err != nil {
		t.Fatal(err)
	}
	_ = taken.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, _, err := taken.ReadFrom(b); err == nil {
		t.Errorf("who came to a relay's place was reached: %q", b[:n])
	}
}

func TestQuota(t *testing.T) {
	r, pool := start(t, func(c *turn.Config) { c.Quota = 1 })
	user, password := credentials(r)
	for i := range 3 {
		relay, err := dial(t, r, pool, "turn udp", user, password).Allocate()
		if err == nil {
			t.Cleanup(func() { relay.Close() })
		}
		if (err == nil) != (i < 2) { // one for each end of the viewer's connection
			t.Errorf("allocation %d: %v", i+1, err)
		}
	}
}

func TestMistakesAreRefused(t *testing.T) {
	for name, cfg := range map[string]turn.Config{
		"no listener":       {Secret: make([]byte, 32)},
		"short secret":      {UDP: "127.0.0.1:0", Secret: []byte("x")},
		"TLS without certs": {TLS: "127.0.0.1:0", Secret: make([]byte, 32)},
		"no public address": {UDP: "0.0.0.0:0", Public: "0.0.0.0", Secret: make([]byte, 32)},
		"ports":             {UDP: "127.0.0.1:0", MinPort: 2000, MaxPort: 1000, Secret: make([]byte, 32)},
	} {
		if r, err := turn.New(cfg, slog.New(slog.DiscardHandler)); err == nil {
			r.Close()
			t.Errorf("%s was accepted", name)
		}
	}
}
