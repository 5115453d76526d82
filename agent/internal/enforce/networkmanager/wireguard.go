package networkmanager

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// WireGuard is the value of vpn.wireguard.
type WireGuard struct {
	PrivateKey  string   `json:"private_key"` // "" means one made on the device, which never leaves it
	Addresses   []string `json:"addresses"`   // with prefix lengths
	DNS         []string `json:"dns"`
	Peers       []Peer   `json:"peers"`
	Autoconnect *bool    `json:"autoconnect"`
}

// Peer is the other end of a tunnel.
type Peer struct {
	PublicKey        string   `json:"public_key"`
	PresharedKey     string   `json:"preshared_key"`
	Endpoint         string   `json:"endpoint"` // host:port
	AllowedIPs       []string `json:"allowed_ips"`
	KeepaliveSeconds int      `json:"keepalive_seconds"` // 0 means off
}

const (
	maxPeers     = 256
	maxAddresses = 64
)

func (w WireGuard) profile(id manifest.ID) (profile, error) {
	var p profile
	k := &keyfile{}
	p.file = k
	if _, err := wgKey(w.PrivateKey); err != nil {
		return p, fmt.Errorf("private_key %w", err)
	}
	if len(w.Peers) == 0 || len(w.Peers) > maxPeers || len(w.Addresses) == 0 || len(w.Addresses) > maxAddresses || len(w.DNS) > maxAddresses {
		return p, fmt.Errorf("a tunnel needs 1 to %d peers and 1 to %d addresses, and has at most %d DNS servers", maxPeers, maxAddresses, maxAddresses)
	}
	k.set("connection", "id", id.Instance())
	k.set("connection", "uuid", uuidOf(id))
	k.set("connection", "type", "wireguard")
	k.set("connection", "interface-name", interfaceOf(id))
	if w.Autoconnect != nil && !*w.Autoconnect {
		k.set("connection", "autoconnect", "false")
	}
	k.set("wireguard", "private-key", w.PrivateKey)
	for i, peer := range w.Peers {
		if err := peer.add(k); err != nil {
			return p, fmt.Errorf("peers[%d].%w", i, err)
		}
	}
	return p, w.addresses(k)
}

func (p Peer) add(k *keyfile) error {
	if _, err := wgKey(p.PublicKey); err != nil {
		return fmt.Errorf("public_key %w", err)
	}
	name := "wireguard-peer." + p.PublicKey
	if _, there := k.get(name, "allowed-ips"); there {
		return errors.New("public_key is there twice")
	}
	if p.Endpoint != "" {
		if strings.ContainsAny(p.Endpoint, " \t\r\n;\\") {
			return errors.New("endpoint is not host:port")
		}
		k.set(name, "endpoint", p.Endpoint)
	}
	if p.PresharedKey != "" {
		if _, err := wgKey(p.PresharedKey); err != nil {
			return fmt.Errorf("preshared_key %w", err)
		}
		k.set(name, "preshared-key", p.PresharedKey)
		k.set(name, "preshared-key-flags", "0")
	}
	if p.KeepaliveSeconds != 0 {
		if p.KeepaliveSeconds < 0 || p.KeepaliveSeconds > 65535 {
			return errors.New("keepalive_seconds must be 0 to 65535")
		}
		k.set(name, "persistent-keepalive", strconv.Itoa(p.KeepaliveSeconds))
	}
	if len(p.AllowedIPs) == 0 || len(p.AllowedIPs) > 4096 {
		return errors.New("allowed_ips needs 1 to 4096 entries")
	}
	var list strings.Builder
	for i, a := range p.AllowedIPs {
		prefix, err := prefixOf(a)
		if err != nil {
			return fmt.Errorf("allowed_ips[%d] is not an address with a prefix length", i)
		}
		list.WriteString(prefix.Masked().String() + ";")
	}
	k.set(name, "allowed-ips", list.String())
	return nil
}

func (w WireGuard) addresses(k *keyfile) error {
	n := map[string]int{}
	dns := map[string]string{}
	for i, a := range w.Addresses {
		prefix, err := prefixOf(a)
		if err != nil {
			return fmt.Errorf("addresses[%d] is not an address with a prefix length", i)
		}
		family := familyOf(prefix.Addr())
		n[family]++
		k.set(family, "address"+strconv.Itoa(n[family]), prefix.String())
	}
	for i, d := range w.DNS {
		a, err := netip.ParseAddr(d)
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("dns[%d] is not an address", i)
		}
		if n[familyOf(a)] == 0 {
			return fmt.Errorf("dns[%d] is of a family the tunnel has no address of", i)
		}
		dns[familyOf(a)] += a.String() + ";"
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		if dns[family] != "" {
			k.set(family, "dns", dns[family])
		}
		if n[family] > 0 {
			k.set(family, "method", "manual")
		} else {
			k.set(family, "method", "disabled")
		}
	}
	return nil
}

func familyOf(a netip.Addr) string {
	if a.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// prefixOf reads an address with a prefix length, or without: one address.
func prefixOf(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("not an address")
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func wgKey(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 32 || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("is not a key of WireGuard (32 bytes in base64)")
	}
	return b, nil
}

// publicKey derives what peers know a private key by; "" for none.
func publicKey(private string) string {
	b, err := wgKey(private)
	if err != nil {
		return ""
	}
	k, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(k.PublicKey().Bytes())
}

// ownKey returns the key this device made for a tunnel: the one in its profile, else a new
// one.
func (e *Enforcer) ownKey(sys *enforce.System, id manifest.ID) (string, error) {
	if k := e.keys[id]; k != "" {
		return k, nil
	}
	if b, err := sys.ReadFile(profilePath(id), maxProfile); err == nil {
		if file, err := parse(string(b)); err == nil {
			if k, _ := file.get("wireguard", "private-key"); publicKey(k) != "" {
				e.keys[id] = k
				return k, nil
			}
		}
	}
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	raw := k.Bytes()
	raw[0] &= 248 // as wg genkey writes it; X25519 clamps anyway
	raw[31] = raw[31]&127 | 64
	e.keys[id] = base64.StdEncoding.EncodeToString(raw)
	return e.keys[id], nil
}

// interfaceOf names a tunnel's interface; the kernel takes 15 bytes.
func interfaceOf(id manifest.ID) string {
	if name := id.Instance(); len(name) <= 12 {
		return "wg-" + name
	}
	h := sha256.Sum256([]byte(id))
	return "wg-" + hex.EncodeToString(h[:6])
}
