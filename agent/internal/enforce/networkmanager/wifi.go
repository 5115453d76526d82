package networkmanager

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Wifi is the value of wifi.network.
type Wifi struct {
	SSID              string `json:"ssid"` // 1 to 32 bytes
	Hidden            bool   `json:"hidden"`
	Security          string `json:"security"` // open, wpa-psk, wpa3-sae, 802.1x
	PSK               string `json:"psk"`
	EAP               string `json:"eap"` // peap, ttls, tls
	Identity          string `json:"identity"`
	AnonymousIdentity string `json:"anonymous_identity"`
	Password          string `json:"password"`
	CACertificate     string `json:"ca_certificate"` // PEM; "" means the system's authorities
	ServerName        string `json:"server_name"`    // the server's certificate is for it, or for one that ends in it
	ClientCertificate string `json:"client_certificate"`
	PrivateKey        string `json:"private_key"`
	Phase2            string `json:"phase2"` // mschapv2, pap
	Autoconnect       *bool  `json:"autoconnect"`
	Priority          int    `json:"priority"`
	Proxy             string `json:"proxy"` // URL of an automatic configuration
}

func (w Wifi) profile(id manifest.ID) (profile, error) {
	var p profile
	if n := len(w.SSID); n < 1 || n > 32 {
		return p, fmt.Errorf("ssid has %d bytes, must have 1 to 32", n)
	}
	k := &keyfile{}
	p.file = k
	k.set("connection", "id", displayName(w.SSID, id))
	k.set("connection", "uuid", uuidOf(id))
	k.set("connection", "type", "wifi")
	if w.Autoconnect != nil && !*w.Autoconnect {
		k.set("connection", "autoconnect", "false")
	}
	if w.Priority != 0 {
		if w.Priority < -999 || w.Priority > 999 {
			return p, errors.New("priority must be -999 to 999")
		}
		k.set("connection", "autoconnect-priority", strconv.Itoa(w.Priority))
	}
	k.set("wifi", "mode", "infrastructure")
	k.set("wifi", "ssid", encodeSSID([]byte(w.SSID)))
	if w.Hidden {
		k.set("wifi", "hidden", "true")
	}
	var err error
	switch w.Security {
	case "open":
	case "wpa-psk":
		if err = checkPSK(w.PSK); err == nil {
			k.set("wifi-security", "key-mgmt", "wpa-psk")
			k.set("wifi-security", "psk", w.PSK)
		}
	case "wpa3-sae":
		if n := len(w.PSK); n < 1 || n > 128 || hasControl(w.PSK) {
			err = errors.New("psk must be 1 to 128 bytes without control characters")
		}
		k.set("wifi-security", "key-mgmt", "sae")
		k.set("wifi-security", "psk", w.PSK)
	case "802.1x":
		p.beside, err = w.enterprise(k, id)
	default:
		err = fmt.Errorf("security %q is not known", w.Security)
	}
	if err != nil {
		return p, err
	}
	k.set("ipv4", "method", "auto")
	k.set("ipv6", "method", "auto")
	if w.Proxy != "" {
		k.set("proxy", "method", "1")
		k.set("proxy", "pac-url", w.Proxy)
	}
	return p, nil
}

// enterprise adds what 802.1X needs and returns the certificates' files.
func (w Wifi) enterprise(k *keyfile, id manifest.ID) ([]enforce.File, error) {
	for _, v := range []string{w.Identity, w.AnonymousIdentity, w.Password, w.ServerName} {
		if len(v) > 512 || hasControl(v) {
			return nil, errors.New("identity, anonymous_identity, password and server_name are at most 512 bytes without control characters")
		}
	}
	k.set("wifi-security", "key-mgmt", "wpa-eap")
	k.set("802-1x", "eap", w.EAP+";")
	k.set("802-1x", "identity", w.Identity)
	if w.AnonymousIdentity != "" {
		k.set("802-1x", "anonymous-identity", w.AnonymousIdentity)
	}
	var files []enforce.File
	if w.CACertificate != "" {
		if _, err := certificates(w.CACertificate); err != nil {
			return nil, fmt.Errorf("ca_certificate: %w", err)
		}
		f := enforce.File{Path: certPath(id, "ca"), Content: []byte(w.CACertificate), Mode: 0o600}
		files = append(files, f)
		k.set("802-1x", "ca-cert", f.Path)
	} else {
		k.set("802-1x", "system-ca-certs", "true") // never any server at all
	}
	if w.ServerName != "" {
		k.set("802-1x", "domain-suffix-match", w.ServerName)
	}
	switch w.EAP {
	case "peap", "ttls":
		phase2 := w.Phase2
		if phase2 == "" {
			phase2 = "mschapv2"
		}
		if w.Identity == "" || w.Password == "" {
			return nil, fmt.Errorf("%s needs identity and password", w.EAP)
		}
		k.set("802-1x", "phase2-auth", phase2)
		k.set("802-1x", "password", w.Password)
	case "tls":
		if err := checkPair(w.ClientCertificate, w.PrivateKey); err != nil {
			return nil, err
		}
		cert := enforce.File{Path: certPath(id, "client"), Content: []byte(w.ClientCertificate), Mode: 0o600}
		key := enforce.File{Path: certPath(id, "key"), Content: []byte(w.PrivateKey), Mode: 0o600}
		files = append(files, cert, key)
		k.set("802-1x", "client-cert", cert.Path)
		k.set("802-1x", "private-key", key.Path)
		k.set("802-1x", "private-key-password-flags", "4") // it has none
	default:
		return nil, fmt.Errorf("eap %q is not known", w.EAP)
	}
	return files, nil
}

func certPath(id manifest.ID, what string) string {
	return path.Join(certs, id.Instance()+"-"+what+".pem")
}

// checkPSK follows IEEE 802.11: 8 to 63 printable ASCII characters, or the key itself in 64
// hex digits.
func checkPSK(psk string) error {
	if len(psk) == 64 {
		if _, err := hex.DecodeString(psk); err == nil {
			return nil
		}
	}
	if len(psk) < 8 || len(psk) > 63 || strings.ContainsFunc(psk, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("psk must be 8 to 63 printable ASCII characters, or 64 hex digits")
	}
	return nil
}

// certificates reads PEM that holds certificates and nothing else.
func certificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %s, not a certificate", strings.ToLower(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return out, nil
}

// checkPair says what is wrong with a client's certificate and the key that must belong to
// it. The words never hold the key.
func checkPair(certificate, key string) error {
	certs, err := certificates(certificate)
	if err != nil {
		return fmt.Errorf("client_certificate: %w", err)
	}
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return errors.New("private_key holds no key in PEM form")
	}
	parsed, err := parseKey(block.Bytes)
	if err != nil {
		return errors.New("private_key cannot be read: it must be a PKCS #8, PKCS #1 or EC key without a passphrase")
	}
	public, ok := parsed.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(certs[0].PublicKey) {
		return errors.New("private_key does not belong to client_certificate")
	}
	return nil
}

func parseKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	return x509.ParseECPrivateKey(der)
}

// displayName is what the person sees in the list of networks.
func displayName(text string, id manifest.ID) string {
	if text == "" || strings.ToValidUTF8(text, "") != text || hasControl(text) || strings.TrimSpace(text) != text {
		return id.Instance()
	}
	return text
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
