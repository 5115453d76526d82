package link_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/link"
	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/client"
)

// authority is a certificate authority as a gateway makes its own.
type authority struct {
	der []byte
	key *ecdsa.PrivateKey
	crt *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{der, key, crt}
}

// issue makes a server certificate for 127.0.0.1, valid from the given time for a day.
func (a authority) issue(t *testing.T, from time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: from.Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.crt, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.der}, PrivateKey: key}
}

func (a authority) sum() string { s := sha256.Sum256(a.der); return hex.EncodeToString(s[:]) }

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der}))
}

// gateway answers enrollments over TLS.
func gateway(t *testing.T, cert tls.Certificate, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

func enrolling(t *testing.T, gatewayURL, sum string) link.Enrollment {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return link.Enrollment{Gateway: gatewayURL, Token: "het_x", CASHA256: sum, Key: key, Fingerprint: "f", Hostname: "h", Version: "1"}
}

func taking(w http.ResponseWriter, r *http.Request) {
	var req signaling.EnrollRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil || !ed25519.Verify(ed25519.PublicKey(req.PublicKey), signaling.EnrollTranscript(req), req.Signature) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	json.NewEncoder(w).Encode(signaling.EnrollAnswer{DeviceID: "dev_a", GatewayKey: make(signaling.Key, 32)})
}

func TestEnrollTrustsTheNamedAuthorityOnly(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	url := gateway(t, own.issue(t, time.Now().Add(-time.Hour)), taking)
	if a, err := link.Enroll(t.Context(), enrolling(t, url, own.sum())); err != nil || a.DeviceID != "dev_a" {
		t.Errorf("Enroll with the authority's sum = %+v, %v", a, err)
	}
	if _, err := link.Enroll(t.Context(), enrolling(t, url, strings.ToUpper(own.sum()))); err != nil {
		t.Errorf("Enroll with the sum in capitals: %v", err)
	}
	_, err := link.Enroll(t.Context(), enrolling(t, url, other.sum()))
	if err == nil || !strings.Contains(link.Explain(err), "somebody is in between") {
		t.Errorf("Enroll with another authority's sum = %v, want a refusal", err)
	}
	_, err = link.Enroll(t.Context(), enrolling(t, url, ""))
	if err == nil || !strings.Contains(link.Explain(err), "--ca-sha256") {
		t.Errorf("Enroll without a sum = %v, want what to do", link.Explain(err))
	}
	// The right authority in the chain does not make another's certificate good.
	forged := other.issue(t, time.Now().Add(-time.Hour))
	forged.Certificate[1] = own.der
	if _, err := link.Enroll(t.Context(), enrolling(t, gateway(t, forged, taking), own.sum())); err == nil {
		t.Error("a certificate of another authority was taken")
	}
}

func TestHostileAnswers(t *testing.T) {
	own := newAuthority(t)
	cert := own.issue(t, time.Now().Add(-time.Hour))
	for _, tc := range []struct{ name, body, want string }{
		{"not JSON", "<html>", "not what a gateway says"},
		{"no device", "{}", "device id"},
		{"path as device", `{"device_id":"dev_../../x","gateway_key":""}`, "device id"},
		{"no key", `{"device_id":"dev_a"}`, "identity key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := gateway(t, cert, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tc.body) })
			if _, err := link.Enroll(t.Context(), enrolling(t, url, own.sum())); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Enroll = %v, want %q", err, tc.want)
			}
		})
	}
	url := gateway(t, cert, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"title":"no\u001b[31m","detail":"`+strings.Repeat("x", 9000)+`","code":"busy"}`)
	})
	_, err := link.Enroll(t.Context(), enrolling(t, url, own.sum()))
	var p *link.Problem
	if !errors.As(err, &p) || p.Status != http.StatusForbidden || strings.ContainsRune(p.Title, 0x1b) || len(p.Detail) > 500 {
		t.Errorf("Enroll = %v, want a problem fit for a terminal", err)
	}
}

// TestClockThatFellBack: a device whose clock is before the gateway's certificate, but which
// has seen a later gateway clock, gets through TLS.
func TestClockThatFellBack(t *testing.T) {
	own := newAuthority(t)
	began := time.Now().Add(30 * time.Minute) // valid only later: this machine's clock is behind
	reached := make(chan struct{}, 10)
	url := gateway(t, own.issue(t, began), func(w http.ResponseWriter, _ *http.Request) {
		reached <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	run := func(seen time.Time) client.State {
		t.Helper()
		states := make(chan client.State, 64)
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		l, err := link.New(link.Config{
			Enrollment:  state.Enrollment{Gateway: url, Device: "dev_a", Pins: []signaling.Key{make(signaling.Key, 32)}, CAPEM: own.pem(), GatewayTimeUS: seen.UnixMicro()},
			Key:         key,
			Fingerprint: "f", Version: "1", OnState: func(s client.State) { states <- s },
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		for s := range states {
			if s.Phase == client.Waiting {
				return s
			}
		}
		panic("unreachable")
	}
	s := run(time.Time{})
	if words := link.Explain(s.Err); !strings.Contains(words, "clock is wrong") {
		t.Errorf("with a clock before the certificate: %q, want the clock blamed", words)
	}
	if len(reached) != 0 {
		t.Error("a certificate that is not valid yet was taken")
	}
	s = run(began.Add(time.Minute))
	if len(reached) == 0 {
		t.Errorf("with a later gateway clock seen: %v, want TLS to succeed", s.Err)
	}
}
