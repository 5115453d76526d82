package openvpn_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/openvpn"
	"handrail/mdm/manifest"
)

type object = map[string]any

const confAt = "/etc/openvpn/client/handrail-hq.conf"

func machine(t *testing.T) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, nil, openvpn.New())
	unit, err := os.ReadFile("/lib/systemd/system/openvpn-client@.service")
	if err != nil {
		t.Fatalf("%v (package openvpn)", err)
	}
	m.Write("/lib/systemd/system/openvpn-client@.service", string(unit))
	m.Write("/etc/openvpn/client/other.conf", "client\n")
	m.Write("/etc/systemd/system/multi-user.target.wants/.keep", "")
	return m
}

func TestTunnelComesAndGoes(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	a := newAuthority(t)
	profile := a.client(t, "vpn.example.com 1194", "auth-user-pass\nverb 0\nkeepalive 10 60\nsetenv UV_ID 7\nsetenv opt tls-version-min 1.2\n")
	st := m.Set("vpn.openvpn/hq", object{"profile": profile, "username": "alice", "password": "pa ss#1"})
	m.Want(st, manifest.Applied, "")
	if strings.Contains(string(st.Observed), "pa ss") || !strings.Contains(string(st.Observed), "vpn.example.com 1194") || !strings.Contains(string(st.Observed), `"enabled":true`) {
		t.Errorf("observed %s", st.Observed)
	}
	for _, p := range []string{confAt, "/etc/openvpn/client/handrail-hq.auth"} {
		if info, err := os.Stat(m.System.Abs(p)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", p, info, err)
		}
	}
	open, secret, _ := strings.Cut(a.client(t, "192.0.2.1 443 tcp", ""), "<key>")
	m.Want(m.Set("vpn.openvpn/hq", object{"profile": open, "inline_secrets": "<key>" + secret, "autostart": false}), manifest.Applied, "")
	if strings.Contains(m.Tree(), "handrail-hq.auth") || strings.Contains(m.Tree(), "->") {
		t.Errorf("left behind:\n%s", m.Tree())
	}
	m.Unset("vpn.openvpn/hq")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestProfilesThatAreRefused(t *testing.T) {
	a := newAuthority(t)
	good := a.client(t, "vpn.example.com 1194", "")
	with := func(lines string) string { return lines + "\n" + good }
	for _, tt := range []struct{ name, profile, words string }{
		{"up", with("up /bin/sh"), "not allowed"},
		{"up with dashes", with("  --up /bin/sh"), "not allowed"},
		{"up in quotes", with(`"up" /bin/sh`), "not allowed"},
		{"up with a backslash", with(`u\p /bin/sh`), "not allowed"},
		{"up as an option", with("setenv opt up /bin/sh"), "not allowed"},
		{"up in a connection", with("<connection>\nremote a\nup /bin/sh\n</connection>"), "not allowed"},
		{"down", with("down /bin/sh"), "not allowed"},
		{"route-up", with("route-up /bin/sh"), "not allowed"},
		{"ipchange", with("ipchange /bin/sh"), "not allowed"},
		{"tls-verify", with("tls-verify /bin/sh"), "not allowed"},
		{"plugin", with("plugin /tmp/x.so"), "not allowed"},
		{"script-security", with("script-security 3"), "not allowed"},
		{"config", with("config /tmp/x"), "not allowed"},
		{"management", with("management 127.0.0.1 7505"), "not allowed"},
		{"log", with("log /etc/passwd"), "not allowed"},
		{"writepid", with("writepid /etc/passwd"), "not allowed"},
		{"chroot", with("chroot /tmp"), "not allowed"},
		{"iproute", with("iproute /tmp/ip"), "not allowed"},
		{"environment", with("setenv LD_PRELOAD /tmp/x.so"), "not allowed"},
		{"proxy's file", with("http-proxy p 8080 /etc/shadow"), "host and a port"},
		{"file of a key", with("key /etc/ssl/private/x.pem"), "has to stand in the profile"},
		{"file of a password", with("auth-user-pass /etc/shadow"), "names a file"},
		{"device", with("dev /dev/sda"), "no plain value"},
		{"block", with("<up>\n/bin/sh\n</up>"), "is not allowed"},
		{"block without end", good + "<tls-auth>\n", "ends before"},
		{"hidden after a comment", with("#" + strings.Repeat("x", 255) + "up /bin/sh"), "longer than"},
		{"hidden in a block", strings.Replace(good, "<ca>\n", "<ca>\n"+strings.Repeat("x", 255)+"</ca>\nup /bin/sh\n<ca>\n", 1), "longer than"},
		{"hidden after a block", strings.Replace(good, "</ca>", "</ca>x\nup /bin/sh\n<ca>\n</ca>", 1), "something follows"},
		{"carriage return", with("verb 3\rup /bin/sh"), "control characters"},
		{"nul", with("verb 3\x00"), "control characters"},
		{"no remote", "client\ndev tun\n", "no remote"},
		{"user without password", with("auth-user-pass"), "username and password are missing"},
		{"too big", strings.Repeat("# padding\n", 30000) + good, "at most"},
		{"wrong pem", strings.Replace(good, "<ca>\n-----BEGIN CERTIFICATE-----\nMII", "<ca>\n-----BEGIN CERTIFICATE-----\nAAA", 1), "does not accept"},
		{"bad value", with("cipher NO-SUCH"), "does not accept"},
		{"bad number", with("remote-cert-tls nobody"), "does not accept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t)
			before := m.Tree()
			st := m.Set("vpn.openvpn/hq", object{"profile": tt.profile})
			m.Want(st, manifest.Failed, tt.words)
			if after := m.Tree(); after != before || strings.Contains(st.Message, "PRIVATE KEY") {
				t.Errorf("written all the same (%q):\n%s", st.Message, after)
			}
		})
	}
}

func TestWithoutOpenVPN(t *testing.T) {
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, openvpn.New())
	m.Want(m.Set("vpn.openvpn/hq", object{"profile": "remote a\n"}), manifest.NotApplicable, "OpenVPN is not on the device")
	m = enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "openvpn") }, openvpn.New())
	m.Want(m.Set("vpn.openvpn/hq", object{"profile": "remote a\n"}), manifest.Failed, "install the package util-linux")
}

// TestTwoEnds starts the profile as it was written against a real server in another network
// namespace, and sends through the tunnel.
func TestTwoEnds(t *testing.T) {
	m := machine(t)
	a := newAuthority(t)
	m.Want(m.Set("vpn.openvpn/hq", object{"profile": a.client(t, "192.0.2.1 1194", "auth-user-pass\n"), "username": "alice", "password": "pa ss#1"}), manifest.Applied, "")
	dir := t.TempDir()
	cert, key := a.issue(t, "server", x509.ExtKeyUsageServerAuth)
	for name, text := range map[string]string{
		"ca.pem": a.pem, "cert.pem": cert, "key.pem": key,
		"auth.sh": "#!/bin/sh\n[ \"$(sed -n 1p \"$1\")\" = alice ] && [ \"$(sed -n 2p \"$1\")\" = 'pa ss#1' ]\n",
		"server.conf": "dev tun\nserver 10.9.0.0 255.255.255.0\ntopology subnet\nca ca.pem\ncert cert.pem\nkey key.pem\ndh none\nproto udp\nverb 3\nkeepalive 1 5\n" +
			"script-security 2\nauth-user-pass-verify ./auth.sh via-file\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil { //nolint:gosec // the test's own
			t.Fatal(err)
		}
	}
	// Two namespaces joined by a pair of interfaces; the outer shell's namespace is the server's.
	script := `set -e
ip link set lo up
unshare --net sleep 60 & inner=$!
trap 'kill $inner $client $server 2>/dev/null' EXIT
until [ "$(readlink /proc/$inner/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link add s type veth peer name c netns $inner
ip addr add 192.0.2.1/24 dev s; ip link set s up
at() { nsenter --net=/proc/$inner/ns/net "$@"; }
at ip addr add 192.0.2.2/24 dev c; at ip link set c up
openvpn --cd "$1" --config server.conf & server=$!
at openvpn --cd "$2" --config handrail-hq.conf & client=$!
n=0; until at ping -c 1 -W 1 10.9.0.1; do n=$((n+1)); [ $n -lt 60 ]; sleep 0.25; done
echo THROUGH`
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh", dir, m.System.Abs("/etc/openvpn/client"))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "THROUGH") {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: k, cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// client is a profile as an admin would upload it.
func (a *authority) client(t *testing.T, remote, more string) string {
	t.Helper()
	cert, key := a.issue(t, "client", x509.ExtKeyUsageClientAuth)
	return fmt.Sprintf("client\r\ndev tun\nproto udp\nremote %s\nremote-cert-tls server\nnobind\n%s# a comment\n<ca>\n%s</ca>\n<cert>\n%s</cert>\n<key>\n%s</key>\n", remote, more, a.pem, cert, key)
}
