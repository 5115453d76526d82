package policy

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Format is what a text must look like beyond its length.
type Format string

// The formats.
const (
	FormatHost        Format = "host"        // a host name or an IP address
	FormatAddress     Format = "address"     // an IP address
	FormatInterface   Format = "interface"   // an IP address with the length of its network: 10.0.0.2/24
	FormatNetwork     Format = "network"     // a network or an address: 10.0.0.0/8, 192.0.2.7, ::/0
	FormatEndpoint    Format = "endpoint"    // host:port
	FormatURL         Format = "url"         // with http or https
	FormatEmail       Format = "email"       //
	FormatPath        Format = "path"        // absolute, clean
	FormatAccount     Format = "account"     // a user's or group's name
	FormatUnit        Format = "unit"        // a systemd unit
	FormatMode        Format = "mode"        // 0644
	FormatTime        Format = "time"        // 23:30
	FormatPorts       Format = "ports"       // 22 or 8000-8010
	FormatDevice      Format = "device"      // a network interface's name
	FormatPackage     Format = "package"     // a package's name, * for any letters
	FormatSysctl      Format = "sysctl"      // net.ipv4.ip_forward
	FormatCertificate Format = "certificate" // one or more certificates in PEM
	FormatPrivateKey  Format = "private_key" // in PEM
	FormatWireGuard   Format = "wireguard"   // 32 bytes in base64
	FormatCommand     Format = "command"     // of sudo: absolute, with its arguments, or ALL
)

// formatWords says what a text of a format is, after "must be".
var formatWords = map[Format]string{
	FormatHost:        "a host name or an IP address, as gateway.example.org",
	FormatAddress:     "an IP address, as 192.0.2.7 or 2001:db8::7",
	FormatInterface:   "an IP address with the length of its network, as 10.0.0.2/24",
	FormatNetwork:     "a network or an IP address, as 10.0.0.0/8 or 192.0.2.7",
	FormatEndpoint:    "a host and a port, as vpn.example.org:51820",
	FormatURL:         "a URL that begins with https:// or http://",
	FormatEmail:       "an e-mail address, as ada@example.org",
	FormatPath:        "an absolute path without . or .., as /etc/motd",
	FormatAccount:     "the name of an account: a-z, 0-9, _ - . and no digit first",
	FormatUnit:        "the name of a systemd unit, as ssh.service",
	FormatMode:        "file permissions in octal, as 0644",
	FormatTime:        "a time of day, as 03:30",
	FormatPorts:       "a port or a range of ports, as 443 or 8000-8010",
	FormatDevice:      "the name of a network interface, as eth0",
	FormatPackage:     "the name of a package, as openssl or linux-*",
	FormatSysctl:      "a name of the kernel's settings, as net.ipv4.ip_forward",
	FormatCertificate: "one or more certificates in PEM (-----BEGIN CERTIFICATE-----)",
	FormatPrivateKey:  "a private key in PEM (-----BEGIN … PRIVATE KEY-----)",
	FormatWireGuard:   "a WireGuard key: 32 bytes in base64, 44 characters that end in =",
	FormatCommand:     "ALL, or a program's absolute path with its arguments, as /usr/bin/apt-get update",
}

// formatPatterns are the formats that a regular expression says whole; for the rest it is
// what a schema can say and wrong looks closer.
var formatPatterns = map[Format]*regexp.Regexp{
	FormatHost:        regexp.MustCompile(`^[A-Za-z0-9_:%]([A-Za-z0-9._:%-]{0,252})$`),
	FormatEndpoint:    regexp.MustCompile(`^\S+:[0-9]{1,5}$`),
	FormatURL:         regexp.MustCompile(`^https?://[^\s]+$`),
	FormatEmail:       regexp.MustCompile(`^[^\s@<>",;]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}$`),
	FormatPath:        regexp.MustCompile(`^/.+$`),
	FormatAccount:     regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,62}\$?$`),
	FormatUnit:        regexp.MustCompile(`^[A-Za-z0-9:_.@\\-]{1,200}\.(service|socket|timer|path|target|mount|automount)$`),
	FormatMode:        regexp.MustCompile(`^0?[0-7]{3}$`),
	FormatTime:        regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`),
	FormatPorts:       regexp.MustCompile(`^[0-9]{1,5}(-[0-9]{1,5})?$`),
	FormatDevice:      regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,15}$`),
	FormatPackage:     regexp.MustCompile(`^[a-z0-9*][a-z0-9+.*_-]{0,127}$`),
	FormatSysctl:      regexp.MustCompile(`^[a-z0-9_-]+([./][A-Za-z0-9_@-]+)+$`),
	FormatCertificate: regexp.MustCompile(`-----BEGIN CERTIFICATE-----`),
	FormatPrivateKey:  regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`),
	FormatWireGuard:   regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`),
	FormatCommand:     regexp.MustCompile(`^(ALL|!?/[^\n\\,:=]+)$`),
}

// wrong says why s is not of the format; "" when it is.
func (f Format) wrong(s string) string {
	if re := formatPatterns[f]; re != nil && !re.MatchString(s) || !f.holds(s) {
		return "must be " + formatWords[f]
	}
	return ""
}

func (f Format) holds(s string) bool {
	switch f {
	case FormatAddress:
		_, err := netip.ParseAddr(s)
		return err == nil
	case FormatInterface:
		_, err := netip.ParsePrefix(s)
		return err == nil
	case FormatNetwork:
		if _, err := netip.ParsePrefix(s); err == nil {
			return true
		}
		_, err := netip.ParseAddr(s)
		return err == nil
	case FormatHost:
		return isHost(s)
	case FormatEndpoint:
		at := strings.LastIndexByte(s, ':')
		port, err := strconv.Atoi(s[at+1:])
		return err == nil && port > 0 && port < 65536 && isHost(strings.TrimSuffix(strings.TrimPrefix(s[:at], "["), "]"))
	case FormatURL:
		u, err := url.Parse(s)
		return err == nil && u.Host != "" && u.User == nil
	case FormatPath:
		return path.Clean(s) == s && s != "/"
	case FormatPorts:
		return isPorts(s)
	case FormatCertificate:
		return isPEM(s, func(b *pem.Block) bool {
			_, err := x509.ParseCertificate(b.Bytes)
			return b.Type == "CERTIFICATE" && err == nil
		})
	case FormatPrivateKey:
		return isPEM(s, func(b *pem.Block) bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") })
	case FormatWireGuard:
		b, err := base64.StdEncoding.DecodeString(s)
		return err == nil && len(b) == 32
	}
	return true
}

func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if len(s) > 253 || strings.ContainsAny(s, ":%") {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

func isPorts(s string) bool {
	low, high, several := strings.Cut(s, "-")
	from, err := strconv.Atoi(low)
	if err != nil || from < 1 || from > 65535 {
		return false
	}
	if !several {
		return true
	}
	to, err := strconv.Atoi(high)
	return err == nil && to >= from && to <= 65535
}

// isPEM reports whether s is nothing but PEM blocks that are each well, at least one.
func isPEM(s string, well func(*pem.Block) bool) bool {
	rest, n := []byte(s), 0
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return n > 0 && !strings.Contains(string(rest), "-----BEGIN")
		}
		if n++; !well(b) {
			return false
		}
	}
}
