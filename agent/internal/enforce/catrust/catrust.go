// Package catrust enforces which certificate authorities of the organisation's own the
// device's programs trust.
package catrust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "ca.trust"

// Where authorities of the machine's own are put, and where all are gathered.
const (
	debianAnchors = "/usr/local/share/ca-certificates"
	debianBundle  = "/etc/ssl/certs/ca-certificates.crt"
	fedoraAnchors = "/etc/pki/ca-trust/source/anchors"
	fedoraBundle  = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
)

type value struct {
	PEM string `json:"pem"`
}

// observed is an authority that was found trusted.
type observed struct {
	Subject string    `json:"subject"`
	Expires time.Time `json:"expires"`
}

// Enforcer enforces ca.trust.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// certificates are those of the value, one PEM block each.
func certificates(s manifest.Setting) ([]*x509.Certificate, error) {
	v, err := enforce.Decode[value](s)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for rest := []byte(v.PEM); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("there is a %s among the certificates", b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the certificate cannot be read: %w", err)
		}
		if !c.IsCA {
			return nil, fmt.Errorf("the certificate of %s is not that of an authority", c.Subject)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no certificate in the value")
	}
	return out, nil
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// isFedora reports whether the device gathers authorities as Fedora does.
func isFedora(sys *enforce.System) bool { return sys.Exists("/etc/pki/ca-trust/source") }

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	list, err := certificates(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	dir := debianAnchors
	switch {
	case isFedora(sys):
		dir = fedoraAnchors
	case !sys.Exists("/etc/ssl/certs") && !sys.Exists("/usr/share/ca-certificates"):
		return enforce.Plan{}, enforce.NotApplicable("the device has no store of trusted authorities: the package ca-certificates is not there")
	}
	var p enforce.Plan
	for i, c := range list {
		p.Files = append(p.Files, enforce.File{Path: dir + "/handrail-" + s.ID.Instance() + "-" + strconv.Itoa(i+1) + ".crt", Content: encode(c)})
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		openssl, err := sys.Tool("openssl", "openssl")
		if err != nil {
			return err
		}
		for i, f := range p.Files {
			if now := time.Now(); now.After(list[i].NotAfter) {
				return fmt.Errorf("the certificate of %s expired on %s", list[i].Subject, list[i].NotAfter.Format(time.DateOnly))
			}
			if _, err := sys.Run(ctx, enforce.Program{Path: openssl, Args: []string{"x509", "-noout", "-in", staged.Path(f.Path)}}); err != nil {
				return fmt.Errorf("openssl does not take the certificate: %w", err)
			}
		}
		_, err = gatherer(sys)
		return err
	}
	return p, nil
}

// gatherer is the program that makes the store of what is in the directories.
func gatherer(sys *enforce.System) (enforce.Program, error) {
	if isFedora(sys) {
		tool, err := sys.Tool("update-ca-trust", "ca-certificates")
		p := enforce.Program{Path: tool, Args: []string{"extract"}, Within: time.Minute}
		if !sys.Live() {
			p.Args = append(p.Args, "-o", sys.Abs("/etc/pki/ca-trust/extracted"))
		}
		return p, err
	}
	tool, err := sys.Tool("update-ca-certificates", "ca-certificates")
	p := enforce.Program{Path: tool, Within: time.Minute}
	if !sys.Live() {
		p.Args = []string{
			"--certsconf", sys.Abs("/etc/ca-certificates.conf"), "--certsdir", sys.Abs("/usr/share/ca-certificates"),
			"--localcertsdir", sys.Abs(debianAnchors), "--etccertsdir", sys.Abs("/etc/ssl/certs"), "--hooksdir", sys.Abs("/etc/ca-certificates/update.d"),
		}
	}
	return p, err
}

// gather makes the store anew.
func gather(ctx context.Context, sys *enforce.System) error {
	p, err := gatherer(sys)
	if err != nil {
		return err
	}
	_, err = sys.Run(ctx, p)
	return err
}

// Apply implements enforce.Enforcer.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, _ manifest.Setting) error {
	return gather(ctx, sys)
}

// Observe implements enforce.Enforcer: openssl must trust each authority by the device's
// own store.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	list, err := certificates(s)
	if err != nil {
		return nil, err
	}
	openssl, err := sys.Tool("openssl", "openssl")
	if err != nil {
		return nil, err
	}
	bundle := debianBundle
	if isFedora(sys) {
		bundle = fedoraBundle
	}
	dir, err := os.MkdirTemp("", "handrail-ca-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var seen []observed
	for _, c := range list {
		at := filepath.Join(dir, "ca.pem")
		if err := os.WriteFile(at, encode(c), 0o600); err != nil {
			return nil, err
		}
		args := []string{"verify", "-no-CAstore", "-no-CApath", "-partial_chain", "-CAfile", sys.Abs(bundle), at}
		if _, err := sys.Run(ctx, enforce.Program{Path: openssl, Args: args}); err != nil {
			return seen, fmt.Errorf("the authority %s is not trusted: %w", c.Subject, err)
		}
		seen = append(seen, observed{c.Subject.String(), c.NotAfter})
	}
	return seen, nil
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, _ enforce.Removal) error {
	if !isFedora(sys) && !sys.Exists("/etc/ssl/certs") {
		return nil
	}
	return gather(ctx, sys)
}
