package policy

import (
	"crypto/x509"
	"encoding/pem"
)

func caTrust() *Entry {
	return &Entry{
		Key: "ca.trust", Title: "Trusted CA", Category: categorySecurity, Platforms: []Platform{Linux}, Merge: ByRank, Several: true,
		Description: "A certificate authority of yours that all programs of the device trust, for servers within your network.",
		Mechanism:   "A file in /usr/local/share/ca-certificates and update-ca-certificates (Fedora: update-ca-trust)",
		Risk:        Risk{Words: "Whoever holds the authority's key can pretend to be any web site towards these devices."},
		Fields: []Field{
			{Name: "pem", Kind: Text, Title: "Certificate", Description: "The authority's certificate in PEM, with those above it if there are any.", Required: true, Multiline: true, MinLen: 1, MaxLen: 64 << 10, Format: FormatCertificate},
		},
		check: func(v map[string]any, say func(path, message string)) {
			text, _ := v["pem"].(string)
			for rest := []byte(text); ; {
				var b *pem.Block
				if b, rest = pem.Decode(rest); b == nil {
					return
				}
				if c, err := x509.ParseCertificate(b.Bytes); err == nil && !c.IsCA {
					say("pem", "the certificate of "+c.Subject.String()+" is not that of an authority")
				}
			}
		},
	}
}

func osUpdate() *Entry {
	return &Entry{
		Key: "os.update", Title: "System updates", Category: categorySoftware, Platforms: []Platform{Linux}, Merge: ByRank,
		Description: "Whether and when the device updates its system by itself.",
		Mechanism:   "unattended-upgrades and the timers of apt, by a file in /etc/apt/apt.conf.d; on systems without apt there is nothing to apply",
		Risk:        Risk{Words: "A restart at a fixed time ends what people have open."},
		Fields: []Field{
			{Name: "enabled", Kind: Bool, Title: "Update by itself", Description: "Updates are fetched and installed without anybody asking.", Default: true},
			{Name: "origins", Kind: Text, Title: "Which", Description: "Only what mends security holes, or every update of the distribution.", Default: "security", Choices: choices("security", "Security updates", "all", "All updates")},
			{Name: "schedule", Kind: Text, Title: "How often", Description: "When the device looks for updates.", Default: "daily", Choices: choices("daily", "Every day", "weekly", "Every week", "monthly", "Every month")},
			{Name: "download_only", Kind: Bool, Title: "Only fetch", Description: "Updates are fetched but installed by people.", Default: false},
			{Name: "remove_unused", Kind: Bool, Title: "Remove what nothing needs", Description: "Packages and kernels that only older ones needed are removed.", Default: true},
			texts("blocklist", "Never these", "Packages that are not updated by themselves, * for any letters.", FormatPackage),
			{Name: "reboot", Kind: Text, Title: "Restart", Description: "Some updates only work after a restart.", Default: "never", Choices: choices("never", "People do", "when_idle", "When nobody is signed in", "at", "At a fixed time")},
			{Name: "reboot_time", Kind: Text, Title: "Restart at", Description: "Of the device's own clock, as 03:30.", Required: true, When: &When{Field: "reboot", In: []string{"at"}}, MinLen: 5, MaxLen: 5, Format: FormatTime},
		},
	}
}

func browserPolicy() *Entry {
	joined := func(name, title, description string) Field {
		f := texts(name, title, description, "")
		f.Items.MaxLen, f.MaxItems, f.Combine = 512, 1000, Together
		return f
	}
	return &Entry{
		Key: "browser.policy", Title: "Browser", Category: categorySoftware, Platforms: []Platform{Linux, Windows, MacOS}, Merge: Union, Several: true,
		Instances:   []string{"firefox", "chrome", "chromium", "edge"},
		Description: "Policies of a web browser. The common ones are fields here; everything else a browser knows may be given by its own name.",
		Mechanism:   "The browser's own policy file, as /etc/firefox/policies/policies.json or /etc/chromium/policies/managed",
		Fields: []Field{
			joined("url_block", "Blocked sites", "Addresses that do not open, in the browser's own pattern, as *://*.example.com/* for Firefox and example.com for the others. * blocks all that is not allowed."),
			joined("url_allow", "Allowed sites", "Exceptions from the blocked ones."),
			{Name: "homepage", Kind: Text, Title: "Home page", Description: "People cannot change it.", Format: FormatURL, MaxLen: 2048},
			joined("extensions_forced", "Installed extensions", "Installed and not to be removed. Chrome, Chromium and Edge: the extension's id, or id;update address. Firefox: id;address of the .xpi."),
			joined("extensions_blocked", "Blocked extensions", "Ids of extensions that cannot be installed; * is all that are not installed by policy."),
			permit("password_manager", "Password manager", "The browser offers to keep passwords."),
			permit("private_mode", "Private windows", "People may open windows that leave no history."),
			{Name: "managed", Kind: JSON, Title: "Further policies", Description: "The browser's own policies by their own names, as {\"DisableTelemetry\": true}. The fields above go before these."},
		},
	}
}

func mailAccount() *Entry {
	security := Field{Name: "security", Kind: Text, Title: "Encryption", Description: "How the connection is protected.", Default: "tls", Choices: choices("tls", "TLS from the start", "starttls", "STARTTLS", "none", "None: passwords can be read on the way")}
	host := Field{Name: "host", Kind: Text, Title: "Server", Description: "Its host name.", Required: true, MinLen: 1, Format: FormatHost}
	port := Field{Name: "port", Kind: Integer, Title: "Port", Description: "If it is not the usual one.", Min: 1, Max: 65535}
	user := Field{Name: "username", Kind: Text, Title: "Name", Description: "What to sign in with; the address if it is left out.", MaxLen: 256}
	how := Field{Name: "authentication", Kind: Text, Title: "Sign-in", Description: "How people prove who they are. They are asked for the password once, it is not part of the policy.", Default: "password", Choices: choices("password", "Password", "encrypted", "Encrypted password", "oauth2", "OAuth2", "kerberos", "Kerberos")}
	protocol := Field{Name: "protocol", Kind: Text, Title: "Protocol", Description: "How mail is fetched.", Default: "imap", Choices: choices("imap", "IMAP", "pop3", "POP3")}
	return &Entry{
		Key: "mail.account", Title: "E-mail account", Category: categorySoftware, Platforms: []Platform{Linux}, Merge: ByRank, Several: true, Exclusive: []string{"address"},
		Description: "A mail account that Thunderbird has set up when a person first opens it.",
		Mechanism:   "Preferences in Thunderbird's policies (/etc/thunderbird/policies), for everybody on the device",
		Fields: []Field{
			{Name: "name", Kind: Text, Title: "Name", Description: "The sender's name that others see.", Required: true, MinLen: 1, MaxLen: 128},
			{Name: "address", Kind: Text, Title: "Address", Description: "The e-mail address.", Required: true, MinLen: 3, MaxLen: 254, Format: FormatEmail},
			{Name: "incoming", Kind: Object, Title: "Incoming mail", Description: "The server that mail is fetched from.", Required: true, Fields: []Field{protocol, host, port, security, user, how}},
			{Name: "outgoing", Kind: Object, Title: "Outgoing mail", Description: "The server that mail is handed to.", Required: true, Fields: []Field{host, port, security, user, how}},
		},
	}
}
