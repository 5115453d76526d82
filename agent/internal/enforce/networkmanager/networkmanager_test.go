package networkmanager_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/networkmanager"
	"handrail/mdm/manifest"
)

type object = map[string]any

const (
	wifiAt   = "/etc/NetworkManager/system-connections/handrail-wifi-office.nmconnection"
	tunnelAt = "/etc/NetworkManager/system-connections/handrail-wireguard-hq.nmconnection"
)

// machine is a device that has NetworkManager, and one profile of its own.
func machine(t *testing.T) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, nil, networkmanager.New())
	m.Write("/etc/NetworkManager/NetworkManager.conf", "[main]\n")
	m.WriteMode("/etc/NetworkManager/system-connections/Home.nmconnection", "[connection]\nid=Home\n", 0o600)
	return m
}

func TestWifiComesAndGoes(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	const psk = `s3cret #;\ pass`
	st := m.Set("wifi.network/office", object{"ssid": "Head; Office ", "security": "wpa-psk", "psk": psk, "hidden": true, "priority": 7, "autoconnect": true})
	m.Want(st, manifest.Applied, "")
	if strings.Contains(string(st.Observed), "s3cret") || !strings.Contains(string(st.Observed), `"ssid":"Head; Office"`) {
		t.Errorf("observed %s", st.Observed)
	}
	info, err := os.Stat(m.System.Abs(wifiAt))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("profile: %v, %v, want mode 0600", info, err)
	}
	// The judge reads the very key and name.
	cmd := exec.Command("nmcli", "--offline", "connection", "modify", "connection.id", "x")
	cmd.Stdin = strings.NewReader(m.Read(wifiAt))
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "\npsk=s3cret #;\\\\ pass\n") || !strings.Contains(string(out), `ssid=Head\\; Office `) {
		t.Errorf("nmcli reads %s (%v)", out, err)
	}
	m.Want(m.Set("wifi.network/office", object{"ssid": "Office", "security": "wpa3-sae", "psk": "x"}), manifest.Applied, "")
	m.Unset("wifi.network/office")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestDriftIsMended(t *testing.T) {
	m := machine(t)
	m.Set("wifi.network/office", object{"ssid": "Office", "security": "open"})
	was := m.Read(wifiAt)
	m.WriteMode(wifiAt, strings.Replace(was, "\n[wifi]", "\n[wifi]\nhidden=true", 1), 0o600)
	st := m.Enforce()["wifi.network/office"]
	m.Want(st, manifest.Applied, "")
	if m.Read(wifiAt) != was || st.Mended != 1 {
		t.Errorf("mended %d times, profile\n%s", st.Mended, m.Read(wifiAt))
	}
}

func TestNetworkNamesOfAnyBytes(t *testing.T) {
	m := machine(t)
	for _, ssid := range []string{"a\nb\n[connection]\nid=evil", "1;2;3;", "12", " x ", "#hash", "a=b", "\x00\x01", "Ünïcode ☃", "\\s\\n", strings.Repeat("z", 32), "[wifi]"} {
		st := m.Set("wifi.network/office", object{"ssid": ssid, "security": "open"})
		m.Want(st, manifest.Applied, "")
		if n := strings.Count(m.Read(wifiAt), "\n["); n != 4 {
			t.Errorf("%q makes %d groups:\n%s", ssid, n, m.Read(wifiAt))
		}
	}
}

func TestBadNetworksAreNotWritten(t *testing.T) {
	cert, key := pair(t)
	_, other := pair(t)
	for _, tt := range []struct {
		name  string
		value object
		words string
	}{
		{"no name", object{"ssid": "", "security": "open"}, "1 to 32"},
		{"long name", object{"ssid": strings.Repeat("é", 17), "security": "open"}, "1 to 32"},
		{"short psk", object{"ssid": "a", "security": "wpa-psk", "psk": "short"}, "8 to 63"},
		{"psk with line end", object{"ssid": "a", "security": "wpa-psk", "psk": "longenough\n[x]"}, "printable"},
		{"unknown security", object{"ssid": "a", "security": "wep"}, "not known"},
		{"unknown field", object{"ssid": "a", "security": "open", "colour": "red"}, "older than the gateway"},
		{"identity with line end", object{"ssid": "a", "security": "802.1x", "eap": "peap", "identity": "a\nb", "password": "x"}, "control"},
		{"unknown eap", object{"ssid": "a", "security": "802.1x", "eap": "leap", "identity": "a", "password": "x"}, "not known"},
		{"inner method", object{"ssid": "a", "security": "802.1x", "eap": "peap", "identity": "a", "password": "hunter22", "phase2": "bogus"}, "phase2-auth"},
		{"wrong pem", object{"ssid": "a", "security": "802.1x", "eap": "peap", "identity": "a", "password": "x", "ca_certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "ca_certificate: certificate 1"},
		{"a key as authority", object{"ssid": "a", "security": "802.1x", "eap": "peap", "identity": "a", "password": "x", "ca_certificate": key}, "private key, not a certificate"},
		{"key of another", object{"ssid": "a", "security": "802.1x", "eap": "tls", "identity": "a", "client_certificate": cert, "private_key": other}, "does not belong"},
		{"no key", object{"ssid": "a", "security": "802.1x", "eap": "tls", "identity": "a", "client_certificate": cert, "private_key": "x"}, "no key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t)
			before := m.Tree()
			st := m.Set("wifi.network/office", tt.value)
			m.Want(st, manifest.Failed, tt.words)
			if after := m.Tree(); after != before {
				t.Errorf("written all the same:\n%s", after)
			}
			if strings.Contains(st.Message, "hunter22") || strings.Contains(st.Message, "longenough") {
				t.Errorf("a secret is in %q", st.Message)
			}
		})
	}
}

func TestEnterprise(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	ca, _ := pair(t)
	st := m.Set("wifi.network/office", object{"ssid": "Corp", "security": "802.1x", "eap": "ttls", "phase2": "pap", "identity": "alice@example.com", "anonymous_identity": "anon", "password": " lead;trail ", "ca_certificate": ca, "server_name": "radius.example.com"})
	m.Want(st, manifest.Applied, "")
	if strings.Contains(string(st.Observed), "trail") || !strings.Contains(string(st.Observed), `"eap":"ttls"`) {
		t.Errorf("observed %s", st.Observed)
	}
	if m.Read("/etc/NetworkManager/handrail-certificates/office-ca.pem") != ca {
		t.Error("the authority is not beside the profile")
	}
	st = m.Set("wifi.network/office", object{"ssid": "Corp", "security": "802.1x", "eap": "peap", "identity": "alice", "password": "x"})
	m.Want(st, manifest.Applied, "")
	if m.Read("/etc/NetworkManager/handrail-certificates/office-ca.pem") != "" || !strings.Contains(m.Read(wifiAt), "system-ca-certs=true") {
		t.Errorf("without an authority of its own:\n%s", m.Tree())
	}
	cert, key := pair(t)
	m.Want(m.Set("wifi.network/office", object{"ssid": "Corp", "security": "802.1x", "eap": "tls", "identity": "host", "client_certificate": cert, "private_key": key}), manifest.Applied, "")
	info, err := os.Stat(m.System.Abs("/etc/NetworkManager/handrail-certificates/office-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	m.Unset("wifi.network/office")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func wgTool(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("wg", args...) // package wireguard-tools
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("wg %v: %v (package wireguard-tools)", args, err)
	}
	return strings.TrimSpace(string(out))
}

func TestTunnelWithItsOwnKey(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	peer := wgTool(t, wgTool(t, "", "genkey"), "pubkey")
	value := object{
		"addresses": []string{"10.8.0.2/24", "fd00::2/64"}, "dns": []string{"10.8.0.1"},
		"peers": []object{{"public_key": peer, "preshared_key": wgTool(t, "", "genpsk"), "endpoint": "vpn.example.com:51820", "allowed_ips": []string{"10.0.0.1/8", "::/0", "192.0.2.1"}, "keepalive_seconds": 25}},
	}
	st := m.Set("vpn.wireguard/hq", value)
	m.Want(st, manifest.Applied, "")
	private := line(m.Read(tunnelAt), "private-key=")
	if public := wgTool(t, private, "pubkey"); public == "" || !strings.Contains(string(st.Observed), `"public_key":"`+public+`"`) || strings.Contains(string(st.Observed), private) {
		t.Errorf("observed %s, want the public key %s and not the private one", st.Observed, public)
	}
	// The key stays when all else changes, over a restart of the agent too.
	m.Restart()
	value["dns"] = []string{"10.8.0.9"}
	m.Want(m.Set("vpn.wireguard/hq", value), manifest.Applied, "")
	if again := line(m.Read(tunnelAt), "private-key="); again != private {
		t.Error("the device made itself another key")
	}
	m.Unset("vpn.wireguard/hq")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func line(text, prefix string) string {
	for l := range strings.SplitSeq(text, "\n") {
		if v, ok := strings.CutPrefix(l, prefix); ok {
			return v
		}
	}
	return ""
}

func TestBadTunnelsAreNotWritten(t *testing.T) {
	key := wgTool(t, "", "genkey")
	peer := func(change object) object {
		p := object{"public_key": wgTool(t, key, "pubkey"), "endpoint": "vpn.example.com:51820", "allowed_ips": []string{"10.0.0.0/8"}}
		for k, v := range change {
			p[k] = v
		}
		return p
	}
	many := make([]string, 5000)
	for i := range many {
		many[i] = "10.0.0.0/8"
	}
	for _, tt := range []struct {
		name  string
		value object
		words string
	}{
		{"key", object{"private_key": "abc", "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(nil)}}, "private_key is not a key"},
		{"no peers", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{}}, "1 to 256 peers"},
		{"peer's key", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(object{"public_key": "x]\n[ipv4"})}}, "public_key is not"},
		{"endpoint", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(object{"endpoint": "no-port"})}}, "endpoint"},
		{"endpoint's line", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(object{"endpoint": "a:1\nx=y"})}}, "endpoint"},
		{"allowed", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(object{"allowed_ips": []string{"10.0.0.0/33"}})}}, "allowed_ips[0]"},
		{"list without end", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(object{"allowed_ips": many})}}, "4096"},
		{"address", object{"private_key": key, "addresses": []string{"10.0.0.1;10.0.0.2/8"}, "peers": []object{peer(nil)}}, "addresses[0]"},
		{"dns of no family", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "dns": []string{"fd00::1"}, "peers": []object{peer(nil)}}, "dns[0]"},
		{"peer twice", object{"private_key": key, "addresses": []string{"10.0.0.1/8"}, "peers": []object{peer(nil), peer(nil)}}, "twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t)
			before := m.Tree()
			st := m.Set("vpn.wireguard/hq", tt.value)
			m.Want(st, manifest.Failed, tt.words)
			if after := m.Tree(); after != before || strings.Contains(st.Message, key) {
				t.Errorf("written all the same, or its key told (%q):\n%s", st.Message, after)
			}
		})
	}
}

func TestWithoutNetworkManager(t *testing.T) {
	value := object{"ssid": "a", "security": "open"}
	m := enforcetest.New(t, nil, networkmanager.New())
	m.Want(m.Set("wifi.network/office", value), manifest.NotApplicable, "NetworkManager is not on the device")
	m = enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "NetworkManager") }, networkmanager.New())
	m.Write("/etc/NetworkManager/NetworkManager.conf", "")
	m.Want(m.Set("wifi.network/office", value), manifest.Failed, "install the package network-manager")
	if m.Read(wifiAt) != "" {
		t.Error("applied blind")
	}
}

// pair makes a certificate and its key, in PEM.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}
