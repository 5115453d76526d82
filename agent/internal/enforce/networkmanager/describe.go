package networkmanager

import (
	"strings"

	"handrail/mdm"
)

// Observed is what a profile is, for people to read. It holds no secret.
type Observed struct {
	Name        string   `json:"name"`
	SSID        string   `json:"ssid,omitempty"`
	Security    string   `json:"security,omitempty"`
	EAP         string   `json:"eap,omitempty"`
	Identity    string   `json:"identity,omitempty"`
	Interface   string   `json:"interface,omitempty"`
	PublicKey   string   `json:"public_key,omitempty"` // of this device, for the other end to know it by
	Peers       []string `json:"peers,omitempty"`      // public keys
	Autoconnect bool     `json:"autoconnect"`
	Active      bool     `json:"active"`
}

// describe says what a profile is that NetworkManager has read.
func describe(key string, k *keyfile) Observed {
	var o Observed
	o.Name, _ = k.get("connection", "id")
	auto, _ := k.get("connection", "autoconnect")
	o.Autoconnect = auto != "false"
	if key == KeyWireGuard {
		o.Interface, _ = k.get("connection", "interface-name")
		private, _ := k.get("wireguard", "private-key")
		o.PublicKey = publicKey(private)
		for _, g := range k.groups {
			if peer, ok := strings.CutPrefix(g.name, "wireguard-peer."); ok {
				o.Peers = append(o.Peers, peer)
			}
		}
		return o
	}
	ssid, _ := k.get("wifi", "ssid")
	o.SSID = mdm.Clean(string(decodeSSID(ssid)), 64)
	o.Security, _ = k.get("wifi-security", "key-mgmt")
	if o.Security == "" {
		o.Security = "open"
	}
	o.EAP, _ = k.get("802-1x", "eap")
	o.EAP = strings.TrimSuffix(o.EAP, ";")
	o.Identity, _ = k.get("802-1x", "identity")
	return o
}
