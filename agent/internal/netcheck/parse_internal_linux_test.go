package netcheck

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"handrail/signaling"
)

func TestRoutes(t *testing.T) {
	got := parseRoutes4(nil, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\neth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n")
	want := []signaling.NetRoute{{To: "default", Via: "192.168.2.1", Device: "eth0", Metric: 100}, {To: "192.168.2.0/24", Device: "eth0", Metric: 100}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("routes %+v", got)
	}
	if gw := gateway(got); gw.String() != "192.168.2.1" {
		t.Errorf("gateway %s", gw)
	}
	six := parseRoutes6(nil, "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n")
	if len(six) != 1 || six[0].To != "default" || six[0].Via != "fe80::1" || gateway(six).Zone() != "eth0" {
		t.Errorf("routes %+v", six)
	}
}

// TestJudge: each way in which a certificate can be bad has its own words.
func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(name string, from, to time.Time) *x509.Certificate {
		tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{name}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	day := 24 * time.Hour
	for want, c := range map[string]*x509.Certificate{
		"holds, for 89 days":     made("a.example", now.Add(-day), now.Add(90*day-time.Hour)),
		"only for 3 days":        made("a.example", now.Add(-day), now.Add(4*day-time.Hour)),
		"expired 2 days ago":     made("a.example", now.Add(-9*day), now.Add(-2*day)),
		"is not valid before":    made("a.example", now.Add(day), now.Add(9*day)),
		"is of another host":     made("b.example", now.Add(-day), now.Add(90*day)),
		"nobody this device tru": made("a.example", now.Add(-2*day), now.Add(90*day)),
	} {
		roots := x509.NewCertPool()
		if !strings.HasPrefix(want, "nobody") {
			roots.AddCert(c)
		}
		r := judge("a.example", []*x509.Certificate{c}, roots, now, func(signaling.NetTone, float64, string, ...any) {})
		if !strings.Contains(r.message, want) || r.ok != strings.Contains(want, " for ") {
			t.Errorf("%q: %+v", want, r)
		}
	}
}

// FuzzEcho: what comes to a raw socket is anybody's.
func FuzzEcho(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 7, 0, 1}, false)
	f.Add(append([]byte{11, 0, 0, 0, 0, 0, 0, 0, 0x4f}, make([]byte, 40)...), false)
	f.Add(append([]byte{3, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 48)...), true)
	f.Fuzz(func(_ *testing.T, b []byte, six bool) {
		e := &echoer{six: six, raw: true, id: 7}
		_ = e.read(b, 1)
		_ = parseRoutes4(nil, string(b))
		_ = parseRoutes6(nil, string(b))
		_ = isHost(string(b))
	})
}
