package catrust_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/catrust"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(catrust.Key + "/office")

// issue makes a certificate, of an authority or a server, signed by the parent or itself.
func issue(t *testing.T, name string, ca bool, parent *x509.Certificate, key *ecdsa.PrivateKey, end time.Time) (string, *x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end,
		IsCA: ca, BasicConstraintsValid: true, DNSNames: []string{"intranet.example"},
	}
	if ca {
		c.KeyUsage = x509.KeyUsageCertSign
	}
	if parent == nil {
		parent, key = c, own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, own.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), c, own
}

func machine(t *testing.T, change func(*enforce.Config)) (*enforcetest.Machine, string) {
	t.Helper()
	m := enforcetest.New(t, change, catrust.New())
	public, _, _ := issue(t, "a public authority", true, nil, nil, time.Now().Add(time.Hour))
	m.Write("/usr/share/ca-certificates/mozilla/public.crt", public)
	m.Write("/etc/ca-certificates.conf", "mozilla/public.crt\n")
	m.Write("/etc/ca-certificates/update.d/.keep", "")
	m.Write("/usr/local/share/ca-certificates/.keep", "")
	m.Write("/etc/ssl/certs/.keep", "")
	return m, public
}

func verifies(t *testing.T, m *enforcetest.Machine, cert string) bool {
	t.Helper()
	at := filepath.Join(t.TempDir(), "c.pem")
	if err := os.WriteFile(at, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), "openssl", "verify", "-no-CAstore", "-no-CAfile", "-CApath", m.System.Abs("/etc/ssl/certs"), at).Run() == nil
}

func TestTrust(t *testing.T) {
	m, public := machine(t, nil)
	root, ca, key := issue(t, "office root", true, nil, nil, time.Now().Add(time.Hour))
	middle, sub, subKey := issue(t, "office sub", true, ca, key, time.Now().Add(time.Hour))
	server, _, _ := issue(t, "server", false, ca, key, time.Now().Add(time.Hour))
	deep, _, _ := issue(t, "deep server", false, sub, subKey, time.Now().Add(time.Hour))
	if verifies(t, m, server) {
		t.Fatal("trusted already")
	}
	m.Want(m.Set(id, object{"pem": root + middle}), manifest.Applied, "")
	for name, c := range map[string]string{"server": server, "deep server": deep, "public": public} {
		if !verifies(t, m, c) {
			t.Errorf("%s is not trusted", name)
		}
	}
	m.Want(m.Set(id, object{"pem": root}), manifest.Applied, "")
	if err := os.WriteFile(m.System.Abs("/etc/ssl/certs/ca-certificates.crt"), []byte(public), 0o600); err != nil { // drift
		t.Fatal(err)
	}
	if st := m.Enforce()[id]; st.State != manifest.Applied || st.Mended != 1 {
		t.Errorf("after drift: %+v", st)
	}
	m.Unset(id)
	if verifies(t, m, server) || !verifies(t, m, public) {
		t.Error("after removal the office is trusted, or the public is not")
	}
	if b, _ := os.ReadFile(m.System.Abs("/etc/ssl/certs/ca-certificates.crt")); !bytes.Equal(bytes.TrimSpace(b), []byte(strings.TrimSpace(public))) {
		t.Errorf("the bundle after removal:\n%s", b)
	}
}

func TestWhatCannotBe(t *testing.T) {
	server, _, _ := issue(t, "server", false, nil, nil, time.Now().Add(time.Hour))
	old, _, _ := issue(t, "old", true, nil, nil, time.Now().Add(-time.Hour))
	for _, tt := range []struct{ name, pem, words string }{
		{"nothing", "hello", "no certificate"},
		{"a server's", server, "not that of an authority"},
		{"expired", old, "expired on"},
		{"a key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "PRIVATE KEY among"},
		{"rubbish", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := machine(t, nil)
			before := m.Tree()
			m.Want(m.Set(id, object{"pem": tt.pem}), manifest.Failed, tt.words)
			if after := m.Tree(); after != before {
				t.Errorf("left:\n%s", after)
			}
		})
	}
	good, _, _ := issue(t, "good", true, nil, nil, time.Now().Add(time.Hour))
	m, _ := machine(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "openssl") })
	m.Want(m.Set(id, object{"pem": good}), manifest.Failed, "install the package ca-certificates")
	bare := enforcetest.New(t, nil, catrust.New())
	bare.Want(bare.Set(id, object{"pem": good}), manifest.NotApplicable, "no store")
}
