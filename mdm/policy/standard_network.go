package policy

import "strings"

func wifiNetwork() *Entry {
	secured := &When{Field: "security", In: []string{"wpa-psk", "wpa3-sae"}}
	enterprise := &When{Field: "security", In: []string{"802.1x"}}
	withPassword := &When{Field: "eap", In: []string{"peap", "ttls"}}
	withCertificate := &When{Field: "eap", In: []string{"tls"}}
	return &Entry{
		Key: "wifi.network", Title: "Wi-Fi network", Category: categoryNetwork, Platforms: []Platform{Linux}, Merge: ByRank, Several: true, Exclusive: []string{"ssid"},
		Description: "A wireless network that devices know and join by themselves. People at the device cannot read its secrets.",
		Mechanism:   "A NetworkManager connection file that only root can read",
		Risk:        Risk{CutsNetwork: true, Words: "A device whose only network this is goes offline when the password or the certificate is wrong. It takes the change back by itself when it cannot reach the gateway afterwards."},
		Fields: []Field{
			{Name: "ssid", Kind: Text, Title: "Name (SSID)", Description: "The network's name exactly as the access points announce it.", Required: true, MinLen: 1, MaxLen: 32},
			{Name: "hidden", Kind: Bool, Title: "Hidden", Description: "The access points do not announce the name, so that devices must ask for it. It hides nothing from an attacker.", Default: false},
			{Name: "security", Kind: Text, Title: "Security", Description: "How the network proves who may use it.", Required: true, Choices: choices(
				"802.1x", "WPA2/WPA3 Enterprise (802.1X)", "wpa3-sae", "WPA3 Personal", "wpa-psk", "WPA2 Personal", "open", "None: everyone can listen")},
			{Name: "psk", Kind: Secret, Title: "Password", Description: "The password everyone on this network shares.", Required: true, When: secured, MinLen: 8, MaxLen: 63},
			{Name: "eap", Kind: Text, Title: "Method (EAP)", Description: "How the device proves itself to the network's sign-in server.", Required: true, When: enterprise, Choices: choices(
				"tls", "TLS: a certificate of the device", "peap", "PEAP: name and password", "ttls", "TTLS: name and password")},
			{Name: "identity", Kind: Text, Title: "Identity", Description: "The name the device signs in with.", Required: true, When: enterprise, MinLen: 1, MaxLen: 256},
			{Name: "anonymous_identity", Kind: Text, Title: "Outer identity", Description: "The name that is sent before the connection is encrypted, as anonymous@example.org.", When: withPassword, MaxLen: 256},
			{Name: "password", Kind: Secret, Title: "Password", Description: "Belongs to the identity.", Required: true, When: withPassword, MinLen: 1, MaxLen: 256},
			{Name: "phase2", Kind: Text, Title: "Inner method", Description: "How the password is told within the encrypted connection.", Default: "mschapv2", When: withPassword, Choices: choices("mschapv2", "MSCHAPv2", "pap", "PAP")},
			{Name: "ca_certificate", Kind: Text, Title: "CA certificate", Description: "What the sign-in server's certificate is checked against, in PEM. Without the check anyone could pretend to be the network and collect passwords.", Required: true, When: enterprise, Multiline: true, MinLen: 1, MaxLen: 64 << 10, Format: FormatCertificate},
			{Name: "server_name", Kind: Text, Title: "Server name", Description: "The certificate of the sign-in server must be for this name or one that ends in it, as radius.example.org.", When: enterprise, Format: FormatHost, MaxLen: 253},
			{Name: "client_certificate", Kind: Text, Title: "Device certificate", Description: "The certificate the device shows, in PEM.", Required: true, When: withCertificate, Multiline: true, MinLen: 1, MaxLen: 64 << 10, Format: FormatCertificate},
			{Name: "private_key", Kind: Secret, Title: "Private key", Description: "Belongs to the device certificate, in PEM, without a password.", Required: true, When: withCertificate, Multiline: true, MinLen: 1, MaxLen: 16 << 10, Format: FormatPrivateKey},
			{Name: "autoconnect", Kind: Bool, Title: "Join by itself", Description: "The device joins the network when it is in reach.", Default: true},
			{Name: "priority", Kind: Integer, Title: "Preference", Description: "Of several networks in reach, that with the highest number is joined.", Default: int64(0), Min: -999, Max: 999},
		},
	}
}

func wireGuard() *Entry {
	return &Entry{
		Key: "vpn.wireguard", Title: "VPN: WireGuard", Category: categoryNetwork, Platforms: []Platform{Linux}, Merge: ByRank, Several: true,
		Description: "An encrypted connection to your network by WireGuard.",
		Mechanism:   "A NetworkManager connection file that only root can read",
		Risk:        Risk{CutsNetwork: true, Words: "Allowed networks that hold the gateway's own address, as 0.0.0.0/0, send its traffic through the VPN too. The device takes the change back by itself when it cannot reach the gateway afterwards."},
		Fields: []Field{
			{Name: "private_key", Kind: Secret, Title: "Private key", Description: "This end's key. Without one every device makes its own and reports the public key, which is better: a key in a policy is shared by all its devices.", MaxLen: 44, Format: FormatWireGuard},
			{Name: "addresses", Kind: List, Title: "Addresses", Description: "This device's addresses within the VPN.", Required: true, MinItems: 1, MaxItems: 16, Items: &Field{Kind: Text, MinLen: 1, Format: FormatInterface}},
			texts("dns", "DNS servers", "Servers that answer names while the VPN is up.", FormatAddress),
			{
				Name: "peers", Kind: List, Title: "Peers", Description: "The other ends.", Required: true, MinItems: 1, MaxItems: 64,
				Items: &Field{Kind: Object, Title: "Peer", Fields: []Field{
					{Name: "public_key", Kind: Text, Title: "Public key", Description: "The other end's key.", Required: true, MinLen: 44, MaxLen: 44, Format: FormatWireGuard},
					{Name: "preshared_key", Kind: Secret, Title: "Shared key", Description: "A second lock that holds even if public keys are broken one day.", MaxLen: 44, Format: FormatWireGuard},
					{Name: "endpoint", Kind: Text, Title: "Endpoint", Description: "Where the other end listens, as vpn.example.org:51820. Without one this end waits to be called.", Format: FormatEndpoint},
					{Name: "allowed_ips", Kind: List, Title: "Allowed networks", Description: "Which addresses are reached through this peer. 0.0.0.0/0 and ::/0 are everything.", Required: true, MinItems: 1, Items: &Field{Kind: Text, MinLen: 1, Format: FormatNetwork}},
					{Name: "keepalive_seconds", Kind: Integer, Title: "Keep alive", Description: "Send something this often, so that routers between keep the way open. 25 suits most; 0 sends nothing.", Default: int64(0), Min: 0, Max: 65535, Unit: "seconds"},
				}},
			},
			{Name: "autoconnect", Kind: Bool, Title: "Connect by itself", Description: "The VPN is up whenever there is a network.", Default: true},
		},
	}
}

// openVPNForbidden are the words of a profile that run programs as root, or name files that
// are not there.
var openVPNForbidden = []string{
	"script-security", "up", "down", "route-up", "route-pre-down", "ipchange", "tls-verify", "auth-user-pass-verify",
	"client-connect", "client-disconnect", "learn-address", "plugin", "management", "iproute", "daemon", "log", "log-append", "writepid", "chroot", "cd", "config",
}

func openVPN() *Entry {
	return &Entry{
		Key: "vpn.openvpn", Title: "VPN: OpenVPN", Category: categoryNetwork, Platforms: []Platform{Linux}, Merge: ByRank, Several: true,
		Description: "An encrypted connection to your network by OpenVPN.",
		Mechanism:   "A file in /etc/openvpn/client that only root can read, and the service openvpn-client@ of its name",
		Risk:        Risk{CutsNetwork: true, Words: "A profile with redirect-gateway sends all traffic through the VPN, the gateway's too. The device takes the change back by itself when it cannot reach the gateway afterwards."},
		Fields: []Field{
			{Name: "profile", Kind: Text, Title: "Profile", Description: "The client's configuration as OpenVPN reads it, with its certificates inline. Directives that run programs are refused, private keys belong into the field below.", Required: true, Multiline: true, MinLen: 1, MaxLen: 64 << 10},
			{Name: "inline_secrets", Kind: Secret, Title: "Private keys", Description: "The profile's inline blocks that are secret, as <key>…</key> and <tls-crypt>…</tls-crypt>. They are put at the profile's end.", Multiline: true, MaxLen: 32 << 10},
			{Name: "username", Kind: Text, Title: "Name", Description: "For servers that ask for a name and a password.", MaxLen: 256},
			{Name: "password", Kind: Secret, Title: "Password", Description: "Belongs to the name.", MaxLen: 256},
			{Name: "autostart", Kind: Bool, Title: "Connect by itself", Description: "The VPN is up from the start of the device on.", Default: true},
		},
		check: checkOpenVPN,
	}
}

func checkOpenVPN(v map[string]any, say func(path, message string)) {
	profile, _ := v["profile"].(string)
	remote, block := false, ""
	for line := range strings.Lines(profile) {
		line = strings.TrimSpace(line)
		if block != "" {
			if line == "</"+block+">" {
				block = ""
			}
			continue
		}
		if name, ok := strings.CutPrefix(line, "<"); ok {
			block = strings.TrimSuffix(name, ">")
			switch block {
			case "key", "tls-auth", "tls-crypt", "tls-crypt-v2", "secret", "pkcs12", "auth-user-pass":
				say("profile", "the block <"+block+"> is secret: move it to inline_secrets")
			}
			continue
		}
		words := strings.Fields(line)
		if len(words) == 0 || strings.ContainsAny(words[0][:1], "#;") {
			continue
		}
		word := strings.Trim(strings.TrimPrefix(words[0], "--"), `"'`)
		remote = remote || word == "remote"
		for _, f := range openVPNForbidden {
			if word == f {
				say("profile", "the directive "+f+" may not be there: it runs programs or moves files on the device")
			}
		}
	}
	if block != "" {
		say("profile", "the block <"+block+"> is not closed")
	}
	if !remote {
		say("profile", "there is no line that begins with remote and says which server to connect to")
	}
	if _, name := v["username"]; name {
		if _, password := v["password"]; !password {
			say("password", "this is needed when there is a username")
		}
	}
}

func firewallPolicy() *Entry {
	direction := choices("deny", "Refuse", "allow", "Let through")
	return &Entry{
		Key: "firewall.policy", Title: "Firewall", Category: categoryNetwork, Platforms: []Platform{Linux}, Merge: Union,
		Description: "What may come in and go out over the network. Rules of several policies are joined, those of the policy with the highest priority first; the first rule that fits decides. Answers to what the device itself asked for always come in.",
		Mechanism:   "firewalld or ufw where one of them is in charge, else a table of its own in nftables",
		Risk:        Risk{CutsNetwork: true, Words: "Refusing what goes out can cut the device off. It takes the change back by itself when it cannot reach the gateway afterwards."},
		Fields: []Field{
			flag("enabled", "Firewall on", "The firewall runs.").with(true),
			{Name: "default_incoming", Kind: Text, Title: "Other incoming connections", Description: "What happens to connections to the device that no rule is about.", Default: "deny", Choices: direction, Combine: Strictest},
			{Name: "default_outgoing", Kind: Text, Title: "Other outgoing connections", Description: "What happens to connections from the device that no rule is about.", Default: "allow", Choices: direction, Combine: Strictest},
			{
				Name: "rules", Kind: List, Title: "Rules", Description: "In order: the first that fits decides.", MaxItems: 200, Combine: Together,
				Items: &Field{Kind: Object, Title: "Rule", Fields: []Field{
					{Name: "name", Kind: Text, Title: "Name", Description: "What the rule is for, in a few words.", Required: true, MinLen: 1, MaxLen: 64},
					{Name: "action", Kind: Text, Title: "Action", Description: "What happens to a connection the rule fits.", Required: true, Choices: direction},
					{Name: "direction", Kind: Text, Title: "Direction", Description: "Whether the rule is about connections to the device or from it.", Default: "in", Choices: choices("in", "Incoming", "out", "Outgoing")},
					{Name: "protocol", Kind: Text, Title: "Protocol", Description: "Which kind of traffic the rule is about.", Default: "any", Choices: choices("any", "Any", "tcp", "TCP", "udp", "UDP", "icmp", "ICMP, as ping")},
					texts("ports", "Ports", "The ports on the side that is called, as 443 or 8000-8010. None is all.", FormatPorts),
					texts("sources", "Addresses", "The other side's networks or addresses. None is all.", FormatNetwork),
					{Name: "interface", Kind: Text, Title: "Interface", Description: "Only over this network interface.", Format: FormatDevice, MaxLen: 15},
				}},
			},
			flag("log_dropped", "Log what is refused", "Refused connections are written to the system's log, a few a minute at most.").with(false),
		},
		check: func(v map[string]any, say func(path, message string)) {
			rules, _ := v["rules"].([]any)
			for i, r := range rules {
				rule, _ := r.(map[string]any)
				if ports, _ := rule["ports"].([]any); len(ports) > 0 && rule["protocol"] != "tcp" && rule["protocol"] != "udp" {
					say("rules["+itoa(i)+"].ports", "ports need the protocol tcp or udp")
				}
			}
		},
	}
}
