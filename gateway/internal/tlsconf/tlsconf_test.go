package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func TestDecide(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want Mode
		fail bool
	}{
		{"loopback", Config{Listen: "127.0.0.1:8080"}, Off, false},
		{"loopback by name", Config{Listen: "localhost:8080"}, Off, false},
		{"IPv6 loopback", Config{Listen: "[::1]:8080"}, Off, false},
		{"everywhere", Config{Listen: "0.0.0.0:443"}, Generated, false},
		{"everywhere, no host", Config{Listen: ":443"}, Generated, false},
		{"LAN", Config{Listen: "192.168.1.2:443"}, Generated, false},
		{"everywhere, behind a proxy", Config{Listen: ":8080", BehindProxy: true}, Off, false},
		{"own", Config{Listen: ":443", CertFile: "c", KeyFile: "k"}, Own, false},
		{"ACME", Config{Listen: ":443", Domains: []string{"gw.example.test"}}, ACME, false},
		{"TLS on loopback", Config{Listen: "127.0.0.1:8443", Mode: Generated}, Generated, false},
		{"plain on the LAN", Config{Listen: "192.168.1.2:80", Mode: Off}, "", true},
		{"plain everywhere", Config{Listen: ":80", Mode: Off}, "", true},
		{"certificate without key", Config{Listen: ":443", CertFile: "c"}, "", true},
		{"key without certificate", Config{Listen: "127.0.0.1:80", KeyFile: "k"}, "", true},
		{"own without files", Config{Listen: ":443", Mode: Own}, "", true},
		{"ACME without domains", Config{Listen: ":443", Mode: ACME}, "", true},
		{"nonsense", Config{Listen: "127.0.0.1:1", Mode: "plain"}, "", true},
	}
	for _, tt := range tests {
		got, err := decide(tt.cfg)
		if got != tt.want || (err != nil) != tt.fail {
			t.Errorf("%s: decide = %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// shake does a handshake with c and returns the chain the client saw.
func shake(t *testing.T, c *Certs, client *tls.Config) ([]*x509.Certificate, error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	d := &tls.Dialer{Config: client}
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}

func TestGeneratedAuthorityLastsAndIsInTheChain(t *testing.T) {
	dir := t.TempDir()
	open := func() *Certs {
		c, err := New(Config{Mode: Generated, Listen: "0.0.0.0:443", Dir: dir, Names: []string{"gw.example.test"}}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := open(), open()
	if one.CAPEM() == "" || one.CAPEM() != two.CAPEM() || len(one.CASHA256()) != 64 {
		t.Error("the authority did not last")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(one.CAPEM()))
	for _, name := range []string{"gw.example.test", "localhost", "127.0.0.1"} {
		chain, err := shake(t, two, &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil || len(chain) != 2 || !chain[1].IsCA {
			t.Errorf("%s: chain of %d, %v", name, len(chain), err)
		}
	}
	if _, err := shake(t, two, &tls.Config{RootCAs: pool, ServerName: "elsewhere.test"}); err == nil {
		t.Error("a name that is not ours was accepted")
	}
	info, err := os.Stat(filepath.Join(dir, "tls", "ca.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's file: %v, %v", info.Mode(), err)
	}
}

func TestOwnCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	write := func(when time.Time) string {
		a, err := openAuthority(filepath.Join(dir, when.Format("150405")))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, when.Format("150405"), "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{certFile, keyFile} {
			if err := os.WriteFile(f, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(f, when, when); err != nil {
				t.Fatal(err)
			}
		}
		return a.cert.SerialNumber.String()
	}
	now := time.Now().Add(-time.Hour)
	first := write(now)
	c, err := New(Config{Listen: ":443", CertFile: certFile, KeyFile: keyFile}, quiet)
	if err != nil || c.current.Load().Leaf.SerialNumber.String() != first {
		t.Fatalf("New = %v", err)
	}
	second := write(now.Add(time.Minute))
	if err := c.renew(); err != nil || c.current.Load().Leaf.SerialNumber.String() != second {
		t.Errorf("renew = %v; the new certificate is not served", err)
	}
	// a broken file does not take the good one away
	if err := os.WriteFile(certFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.renew(); err == nil || c.current.Load().Leaf.SerialNumber.String() != second {
		t.Errorf("renew of a broken file = %v", err)
	}
	if _, err := New(Config{Listen: ":443", CertFile: certFile, KeyFile: keyFile}, quiet); err == nil {
		t.Error("a broken certificate was accepted at start")
	}
}

func TestClusterSpeaksOnlyWithItsOwn(t *testing.T) {
	dial := func(server, client string) error {
		s, err := Cluster([]byte(server))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Cluster([]byte(client))
		if err != nil {
			t.Fatal(err)
		}
		l, err := tls.Listen("tcp", "127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		errs := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				err = conn.(*tls.Conn).Handshake()
				conn.Close()
			}
			errs <- err
		}()
		conn, err := tls.Dial("tcp", l.Addr().String(), c)
		if err != nil {
			return err
		}
		defer conn.Close()
		return <-errs
	}
	if err := dial("one secret of a fleet, 32 bytes..", "one secret of a fleet, 32 bytes.."); err != nil {
		t.Errorf("nodes of a fleet: %v", err)
	}
	if err := dial("one secret of a fleet, 32 bytes..", "another secret, also of 32 bytes."); err == nil {
		t.Error("a node of another fleet was accepted")
	}
}
