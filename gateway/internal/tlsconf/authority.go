package tlsconf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// leafLife is within what browsers accept from a private authority (825 days at most).
const leafLife = 90 * 24 * time.Hour

// authority is a certificate authority of this gateway's own. Its key never leaves the
// data directory.
type authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    string
	sha256 string // of the DER, hex
}

// openAuthority reads ca.pem and ca.key in dir, or makes them.
func openAuthority(dir string) (*authority, error) {
	file := filepath.Join(dir, "ca.pem")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(dir, file); err != nil {
			return nil, err
		}
		b, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(b, b) // certificate and key in one file, so that neither is ever without the other
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not an authority made by this gateway", file)
	}
	sum := sha256.Sum256(pair.Leaf.Raw)
	return &authority{
		cert: pair.Leaf, key: key, sha256: hex.EncodeToString(sum[:]),
		pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw})),
	}, nil
}

func makeAuthority(dir, file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Handrail gateway authority", SerialNumber: serial.Text(36)[:8]},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = errors.Join(pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".ca-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// leaf makes a certificate for names, with the authority's own behind it in the chain so
// that an enrolling agent can compare its fingerprint.
func (a *authority) leaf(names []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Handrail gateway"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] {
			continue
		}
		seen[n] = true
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
	return c, leafOf(c)
}
