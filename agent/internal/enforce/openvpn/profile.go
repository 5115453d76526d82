package openvpn

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxProfile = 256 << 10 // bytes
	// maxLine is what OpenVPN reads as one line (OPTION_LINE_SIZE is 256): what is longer goes on
	// as a line of its own, which no check of ours would have seen.
	maxLine = 250
)

// plain are the directives a profile may have. All else is refused, and with it whatever runs
// a program, loads a plug-in, reads or writes a file, opens a port for management or changes
// the identity of the process.
var plain = words(`
	allow-compression allow-recursive-routing auth auth-nocache auth-retry bind block-ipv6
	block-outside-dns cipher client comp-lzo compress connect-retry connect-retry-max
	connect-timeout data-ciphers data-ciphers-fallback dev dev-type dhcp-option disable-dco dns
	ecdh-curve explicit-exit-notify fast-io float fragment hand-window
	ifconfig ifconfig-ipv6 ifconfig-nowarn ignore-unknown-option inactive keepalive key-direction
	keysize link-mtu local lport mssfix mtu-disc mtu-test multihome mute mute-replay-warnings
	ncp-ciphers ncp-disable no-iv no-replay nobind ns-cert-type passtos peer-fingerprint
	persist-key persist-tun ping ping-exit ping-restart ping-timer-rem port prng proto
	proto-force pull pull-filter push-peer-info rcvbuf redirect-gateway redirect-private
	register-dns remote remote-cert-eku remote-cert-ku remote-cert-tls remote-random
	remote-random-hostname reneg-bytes reneg-pkts reneg-sec replay-window resolv-retry
	route route-delay route-gateway route-ipv6 route-ipv6-gateway route-method route-metric
	route-nopull rport server-poll-timeout session-timeout single-session sndbuf socket-flags
	static-challenge tcp-queue-limit tls-cert-profile tls-cipher tls-ciphersuites tls-client tls-exit
	tls-groups tls-timeout tls-version-max tls-version-min topology tran-window tun-mtu
	tun-mtu-extra tun-mtu-max txqueuelen verb verify-hash verify-x509-name
	x509-username-field http-proxy socks-proxy http-proxy-timeout http-proxy-retry
	max-packet-size tun-ipv6 auth-token auth-token-user`)

// inline are the directives that name a file, and may only stand with its content in the
// profile.
var inline = words(`ca cert crl-verify extra-certs key pkcs12 secret tls-auth tls-crypt tls-crypt-v2`)

// variables are what setenv may set: nothing that a program we do not run would see.
var variables = words(`CLIENT_CERT FORWARD_COMPATIBLE FRIENDLY_NAME USERNAME PROFILE_NAME`)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// summary is what a profile says of itself that is no secret.
type summary struct {
	remotes  []string
	asksUser bool // it has auth-user-pass
	hasCA    bool
}

// check reads a profile as OpenVPN does and returns it without what we write ourselves. It
// refuses all that is not known to be harmless.
func check(text string) (string, summary, error) {
	var s summary
	if len(text) > maxProfile {
		return "", s, fmt.Errorf("profile has %d bytes, at most %d", len(text), maxProfile)
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	if strings.ContainsFunc(text, func(r rune) bool { return (r < ' ' && r != '\n' && r != '\t') || r == 0x7f || r == '\ufffd' }) {
		return "", s, errors.New("profile holds control characters")
	}
	var kept strings.Builder
	closing := "" // of the block we are in
	for i, line := range strings.Split(text, "\n") {
		if len(line) > maxLine {
			return "", s, fmt.Errorf("line %d of the profile is longer than %d bytes, which OpenVPN would read as two", i+1, maxLine)
		}
		trimmed := strings.TrimSpace(line)
		keep := true
		switch {
		case closing != "":
			if strings.HasPrefix(trimmed, closing) {
				if trimmed != closing {
					return "", s, fmt.Errorf("line %d of the profile: something follows %s", i+1, closing)
				}
				closing = ""
			}
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed == "<connection>" || trimmed == "</connection>":
		case trimmed[0] == '<':
			name := strings.TrimSuffix(trimmed[1:], ">")
			if !strings.HasSuffix(trimmed, ">") || (!inline[name] && name != "peer-fingerprint" && name != "verify-hash") {
				return "", s, fmt.Errorf("line %d of the profile: a block %.40q is not allowed", i+1, trimmed)
			}
			s.hasCA = s.hasCA || name == "ca" || name == "pkcs12" || name == "peer-fingerprint"
			closing = "</" + name + ">"
		default:
			var err error
			if keep, err = s.directive(strings.Fields(trimmed)); err != nil {
				return "", s, fmt.Errorf("line %d of the profile: %w", i+1, err)
			}
		}
		if keep {
			kept.WriteString(line + "\n")
		}
	}
	if closing != "" {
		return "", s, fmt.Errorf("the profile ends before %s", closing)
	}
	if len(s.remotes) == 0 {
		return "", s, errors.New("the profile names no remote")
	}
	return kept.String(), s, nil
}

// directive judges one line; keep is false for what we write ourselves.
func (s *summary) directive(w []string) (keep bool, err error) {
	name := strings.TrimPrefix(w[0], "--")
	args := w[1:]
	for i, a := range args { // comments end a line
		if a[0] == '#' || a[0] == ';' {
			args = args[:i]
			break
		}
	}
	switch {
	case name == "remote":
		if len(args) == 0 {
			return false, errors.New("remote without a host")
		}
		s.remotes = append(s.remotes, strings.Join(args, " "))
	case name == "auth-user-pass":
		if len(args) > 0 {
			return false, errors.New("auth-user-pass names a file: give username and password beside the profile instead")
		}
		s.asksUser = true
		return false, nil
	case name == "setenv" || name == "setenv-safe":
		if len(args) >= 2 && args[0] == "opt" && name == "setenv" {
			return s.directive(args[1:])
		}
		if len(args) == 0 || (!variables[args[0]] && !strings.HasPrefix(args[0], "UV_")) {
			return false, fmt.Errorf("%s of this variable is not allowed", name)
		}
	case (name == "http-proxy" || name == "socks-proxy") && len(args) > 2:
		return false, fmt.Errorf("%s may only name a host and a port", name)
	case name == "local" || name == "dev" || name == "dev-type":
		if len(args) != 1 || strings.ContainsAny(args[0], "/\"'\\") {
			return false, fmt.Errorf("%s has no plain value", name)
		}
	case inline[name]:
		if len(args) == 0 || args[0] != "[inline]" {
			return false, fmt.Errorf("%s names a file: its content has to stand in the profile, between <%s> and </%s>", name, name, name)
		}
	case plain[name]:
	default:
		return false, fmt.Errorf("%.40q is not allowed in a profile (nothing that runs programs, or names files, is)", w[0])
	}
	return true, nil
}
