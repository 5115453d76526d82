package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"handrail/signaling"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Problem is a refusal of the gateway (RFC 9457 with a code).
type Problem struct {
	Status int            `json:"status"`
	Code   signaling.Code `json:"code"`
	Title  string         `json:"title"`
	Detail string         `json:"detail"`

	RetryAfterMS int64 `json:"retry_after_ms"` // when it may go through; 0 where waiting does not help
}

func (p *Problem) Error() string {
	words := p.Detail
	if words == "" {
		words = p.Title
	}
	if p.Code == "" {
		return fmt.Sprintf("%s (HTTP %d)", words, p.Status)
	}
	return fmt.Sprintf("%s (%s)", words, p.Code)
}

// exchange sends body as JSON and decodes the answer into answer. Refusals come back as *Problem.
func exchange(ctx context.Context, c *http.Client, method, url string, header http.Header, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return send(ctx, c, method, url, header, b, answer)
}

// send is exchange for a body that is encoded already.
func send(ctx context.Context, c *http.Client, method, url string, header http.Header, b []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return problemOf(resp.StatusCode, got)
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("the answer is not what a gateway says: %w", err)
	}
	return nil
}

func problemOf(status int, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Title == "" && p.Detail == "" {
		p = &Problem{Title: "the address answers, but not as a gateway"}
	}
	p.Status = status
	p.Title, p.Detail = plain(p.Title), plain(p.Detail)
	return p
}

// plain makes words from elsewhere fit for a terminal: one line, no control characters.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}

// tlsFor trusts the gateway's own certificate authority where it has one, the system's
// roots otherwise.
func tlsFor(caPEM string, now func() time.Time) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Time: now, ClientSessionCache: tls.NewLRUClientSessionCache(2)}
	if caPEM == "" {
		return cfg, nil
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM([]byte(caPEM)) {
		return nil, errors.New("the gateway's certificate authority in the enrollment record is not a PEM certificate")
	}
	return cfg, nil
}

// tlsByFingerprint trusts exactly the authority whose certificate's SHA-256 is given, which
// the gateway sends along in its chain: for a device that has nothing else yet.
func tlsByFingerprint(sum string) (*tls.Config, error) {
	want, err := hex.DecodeString(strings.ReplaceAll(strings.ToLower(sum), ":", ""))
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("certificate fingerprint %q: want %d hexadecimal digits", plain(sum), 2*sha256.Size)
	}
	verify := func(cs tls.ConnectionState) error {
		roots, rest := x509.NewCertPool(), x509.NewCertPool()
		found := false
		for _, c := range cs.PeerCertificates {
			if got := sha256.Sum256(c.Raw); bytes.Equal(got[:], want) {
				roots.AddCert(c)
				found = true
			} else {
				rest.AddCert(c)
			}
		}
		if !found {
			return errors.New("the gateway's certificate authority is not the one named at enrollment: the address is wrong, or somebody is in between")
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest, DNSName: cs.ServerName})
		return err
	}
	// The chain is checked by verify, against the one authority we were told.
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: verify}, nil //nolint:gosec // see above
}
