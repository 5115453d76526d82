package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// Mode says where the gateway's certificate comes from.
type Mode string

// The modes.
const (
	Auto      Mode = "auto"      // Own when a certificate is given, ACME when domains are, Off on loopback or behind a proxy, else Generated
	Off       Mode = "off"       // plain HTTP: on loopback or behind a TLS proxy only
	Own       Mode = "own"       // from files, read again when they change
	ACME      Mode = "acme"      // from an authority that speaks RFC 8555, by the TLS-ALPN challenge on the gateway's port
	Generated Mode = "generated" // under an authority made here, whose certificate enrollment carries
)

// Config says which certificate to serve.
type Config struct {
	Mode        Mode     // "" means Auto
	Listen      string   // where the gateway listens, "host:port"
	BehindProxy bool     // a TLS proxy is in front: plain HTTP is allowed
	CertFile    string   // Own: PEM, the chain leaf first
	KeyFile     string   // Own
	Dir         string   // ACME and Generated keep their files here, made when missing
	Names       []string // Generated: host names and addresses beside those of this machine
	Domains     []string // ACME
	Email       string   // ACME: where the authority writes to; optional
	Directory   string   // ACME: URL of the authority; "" means Let's Encrypt
}

// Certs is the certificate the gateway serves. It is safe for concurrent use.
type Certs struct {
	cfg     Config
	log     *slog.Logger
	current atomic.Pointer[tls.Certificate] // Own and Generated
	ca      *authority                      // Generated
	stamp   time.Time                       // Own: newest modification seen
	magic   *certmagic.Config               // ACME
}

// refresh is between looks at files and expiry dates.
const refresh = time.Minute

// New decides and loads. It never falls back to something weaker than what was asked for.
func New(cfg Config, log *slog.Logger) (*Certs, error) {
	c := &Certs{cfg: cfg, log: log}
	mode, err := decide(cfg)
	if err != nil {
		return nil, err
	}
	c.cfg.Mode = mode
	switch mode {
	case Own:
		return c, c.loadOwn()
	case ACME:
		c.prepareACME()
	case Generated:
		if c.ca, err = openAuthority(filepath.Join(cfg.Dir, "tls")); err != nil {
			return nil, fmt.Errorf("certificate authority of this gateway: %w", err)
		}
		return c, c.issue()
	case Off, Auto:
	}
	return c, nil
}

// decide turns Auto into a mode and refuses what would leave traffic unencrypted.
func decide(cfg Config) (Mode, error) {
	local := isLoopback(cfg.Listen)
	switch {
	case (cfg.CertFile == "") != (cfg.KeyFile == ""):
		return "", errors.New("a certificate needs its key, and a key its certificate: give both files")
	case cfg.Mode == Own && cfg.CertFile == "":
		return "", errors.New("TLS mode own needs the certificate and key files")
	case cfg.Mode == ACME && len(cfg.Domains) == 0:
		return "", errors.New("TLS mode acme needs the domains to ask certificates for")
	case cfg.Mode == Off && !local && !cfg.BehindProxy:
		return "", fmt.Errorf("plain HTTP on %s would leave this machine: use TLS, listen on 127.0.0.1, or say that a TLS proxy is in front (behind-proxy)", cfg.Listen)
	case cfg.Mode == Off || cfg.Mode == Own || cfg.Mode == ACME || cfg.Mode == Generated:
		return cfg.Mode, nil
	case cfg.Mode != "" && cfg.Mode != Auto:
		return "", fmt.Errorf("unknown TLS mode %q: want auto, off, own, acme or generated", cfg.Mode)
	case cfg.CertFile != "":
		return Own, nil
	case len(cfg.Domains) > 0:
		return ACME, nil
	case local || cfg.BehindProxy:
		return Off, nil
	}
	return Generated, nil
}

func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Mode returns how certificates are got; never Auto.
func (c *Certs) Mode() Mode { return c.cfg.Mode }

// TLS returns what to listen with; nil means plain HTTP.
func (c *Certs) TLS() *tls.Config {
	switch c.cfg.Mode {
	case Own, Generated:
		return &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		}
	case ACME:
		t := c.magic.TLSConfig()
		t.MinVersion = tls.VersionTLS12
		t.NextProtos = append([]string{"h2", "http/1.1"}, t.NextProtos...)
		return t
	case Off, Auto:
	}
	return nil
}

// CAPEM returns the certificate of the gateway's own authority, PEM, or "".
func (c *Certs) CAPEM() string {
	if c.ca == nil {
		return ""
	}
	return c.ca.pem
}

// CASHA256 returns the lower-case hex SHA-256 of the DER of the gateway's own authority,
// or "".
func (c *Certs) CASHA256() string {
	if c.ca == nil {
		return ""
	}
	return c.ca.sha256
}

// Run renews and reloads until ctx ends.
func (c *Certs) Run(ctx context.Context) error {
	if c.cfg.Mode == ACME {
		if err := c.magic.ManageAsync(ctx, c.cfg.Domains); err != nil {
			return fmt.Errorf("certificates for %v: %w", c.cfg.Domains, err)
		}
	}
	t := time.NewTicker(refresh)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := c.renew(); err != nil {
			c.log.Error("certificate_not_renewed", "mode", c.cfg.Mode, "error", err)
		}
	}
}

// renew looks once whether there is something newer to serve.
func (c *Certs) renew() error {
	switch c.cfg.Mode {
	case Own:
		newest, err := c.modified()
		if err != nil || !newest.After(c.stamp) {
			return err
		}
		if err := c.loadOwn(); err != nil {
			return err // the old one is served on
		}
		c.log.Info("certificate_reloaded", "file", c.cfg.CertFile)
	case Generated:
		if leaf := c.current.Load().Leaf; time.Until(leaf.NotAfter) < leafLife/3 {
			return c.issue()
		}
	case ACME, Off, Auto:
	}
	return nil
}

func (c *Certs) modified() (time.Time, error) {
	var newest time.Time
	for _, f := range []string{c.cfg.CertFile, c.cfg.KeyFile} {
		info, err := os.Stat(f)
		if err != nil {
			return newest, err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest, nil
}

func (c *Certs) loadOwn() error {
	newest, err := c.modified()
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.cfg.CertFile, c.cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.cfg.CertFile, c.cfg.KeyFile, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		c.log.Warn("certificate_expired", "file", c.cfg.CertFile, "expired_at", pair.Leaf.NotAfter)
	}
	c.current.Store(&pair)
	c.stamp = newest
	return nil
}

// issue makes a fresh certificate under the gateway's own authority.
func (c *Certs) issue() error {
	names := append([]string{"localhost", "127.0.0.1", "::1"}, c.cfg.Names...)
	if h, err := os.Hostname(); err == nil {
		names = append(names, h)
	}
	if host, _, err := net.SplitHostPort(c.cfg.Listen); err == nil {
		if ip := net.ParseIP(host); ip == nil && host != "" {
			names = append(names, host)
		} else if ip != nil && !ip.IsUnspecified() {
			names = append(names, host)
		} else if all, err := net.InterfaceAddrs(); err == nil {
			for _, a := range all {
				if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
					names = append(names, n.IP.String())
				}
			}
		}
	}
	cert, err := c.ca.leaf(names)
	if err != nil {
		return fmt.Errorf("certificate of this gateway: %w", err)
	}
	c.current.Store(cert)
	c.log.Info("certificate_issued", "names", names, "expires_at", cert.Leaf.NotAfter, "ca_sha256", c.ca.sha256)
	return nil
}

func (c *Certs) prepareACME() {
	storage := &certmagic.FileStorage{Path: filepath.Join(c.cfg.Dir, "acme")}
	var cache *certmagic.Cache
	cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			return certmagic.New(cache, certmagic.Config{Storage: storage}), nil
		},
	})
	c.magic = certmagic.New(cache, certmagic.Config{Storage: storage})
	directory := c.cfg.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	c.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(c.magic, certmagic.ACMEIssuer{
		CA: directory, Email: c.cfg.Email, Agreed: true, DisableHTTPChallenge: true,
	})}
}

// leafOf parses the first certificate of a chain, which the tls package leaves to us for
// those made by hand.
func leafOf(c *tls.Certificate) error {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	c.Leaf = leaf
	return err
}
