// Package ssh enforces how people may sign in over SSH: a file of our own that sshd reads
// before its other configuration, of which the first word on a subject counts.
package ssh

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "ssh.server"

// Files of sshd, and ours.
const (
	configFile = "/etc/ssh/sshd_config"
	dropIn     = "/etc/ssh/sshd_config.d/00-handrail.conf"
	bannerFile = "/etc/ssh/handrail-banner"
)

// value is the setting's value; what is nil stays as the device has it.
type value struct {
	PermitRootLogin      *string   `json:"permit_root_login"` // no, prohibit-password, yes
	Password             *bool     `json:"password_authentication"`
	KeyboardInteractive  *bool     `json:"keyboard_interactive_authentication"`
	Pubkey               *bool     `json:"pubkey_authentication"`
	PermitEmptyPasswords *bool     `json:"permit_empty_passwords"`
	MaxAuthTries         *int      `json:"max_auth_tries"`
	LoginGraceSeconds    *int      `json:"login_grace_seconds"`
	IdleTimeoutSeconds   *int      `json:"idle_timeout_seconds"`
	AllowUsers           *[]string `json:"allow_users"`
	AllowGroups          *[]string `json:"allow_groups"`
	X11Forwarding        *bool     `json:"x11_forwarding"`
	AgentForwarding      *bool     `json:"agent_forwarding"`
	TCPForwarding        *bool     `json:"tcp_forwarding"`
	Port                 *int      `json:"port"`
	BannerText           *string   `json:"banner_text"`
}

// aliveCount is how many questions without an answer close a connection.
const aliveCount = 3

var accountForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,255}$`)

// line is a directive and its arguments.
type line struct {
	word string
	args []string
}

// lines are the directives of a value.
func (v value) lines() ([]line, error) {
	var out []line
	add := func(word string, args ...string) { out = append(out, line{word, args}) }
	flag := func(word string, b *bool) {
		if b != nil {
			add(word, map[bool]string{true: "yes", false: "no"}[*b])
		}
	}
	number := func(word string, n *int) {
		if n != nil {
			add(word, strconv.Itoa(*n))
		}
	}
	if r := v.PermitRootLogin; r != nil {
		if !slices.Contains([]string{"no", "prohibit-password", "yes"}, *r) {
			return nil, fmt.Errorf("permit_root_login %q is none of no, prohibit-password and yes", *r)
		}
		add("PermitRootLogin", *r)
	}
	flag("PasswordAuthentication", v.Password)
	flag("KbdInteractiveAuthentication", v.KeyboardInteractive)
	flag("PubkeyAuthentication", v.Pubkey)
	flag("PermitEmptyPasswords", v.PermitEmptyPasswords)
	number("MaxAuthTries", v.MaxAuthTries)
	number("LoginGraceTime", v.LoginGraceSeconds)
	if v.IdleTimeoutSeconds != nil {
		add("ClientAliveInterval", strconv.Itoa(max(1, *v.IdleTimeoutSeconds/aliveCount)))
		add("ClientAliveCountMax", strconv.Itoa(aliveCount))
	}
	for _, l := range []struct {
		word  string
		names *[]string
	}{{"AllowUsers", v.AllowUsers}, {"AllowGroups", v.AllowGroups}} {
		if l.names == nil {
			continue
		}
		if len(*l.names) == 0 {
			return nil, fmt.Errorf("%s is empty: nobody could sign in", l.word)
		}
		for _, n := range *l.names {
			if !accountForm.MatchString(n) {
				return nil, fmt.Errorf("%q is no name of an account or group", n)
			}
		}
		add(l.word, *l.names...)
	}
	flag("X11Forwarding", v.X11Forwarding)
	flag("AllowAgentForwarding", v.AgentForwarding)
	flag("AllowTcpForwarding", v.TCPForwarding)
	number("Port", v.Port)
	if v.BannerText != nil {
		add("Banner", bannerFile)
	}
	return out, nil
}

// Enforcer enforces ssh.server.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, err := enforce.Decode[value](s)
	if err != nil {
		return enforce.Plan{}, err
	}
	lines, err := v.lines()
	if err != nil {
		return enforce.Plan{}, err
	}
	main, err := sys.ReadFile(configFile, 1<<20)
	if err != nil {
		return enforce.Plan{}, enforce.NotApplicable("the device has no SSH server")
	}
	if !includesDropIns(main) {
		return enforce.Plan{}, enforce.Conflict("%s does not begin with Include /etc/ssh/sshd_config.d/*.conf: what others say there would count before the policy", configFile)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", enforce.Marker(s.ID))
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.word, strings.Join(l.args, " "))
	}
	p := enforce.Plan{Confirm: true, Files: []enforce.File{{Path: dropIn, Content: b.Bytes(), Mode: 0o600}}}
	if v.BannerText != nil {
		p.Files = append([]enforce.File{{Path: bannerFile, Content: []byte(strings.TrimRight(*v.BannerText, "\n") + "\n")}}, p.Files...)
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		got, err := effective(ctx, sys, staged.Path(dropIn))
		if err != nil {
			return fmt.Errorf("sshd does not take the configuration: %w", err)
		}
		return compare(lines, got)
	}
	return p, nil
}

// includesDropIns reports whether the drop-ins are read before anything else is said.
func includesDropIns(main []byte) bool {
	for l := range strings.Lines(string(main)) {
		f := strings.Fields(strings.Replace(l, "=", " ", 1))
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		return strings.EqualFold(f[0], "Include") && slices.ContainsFunc(f[1:], func(p string) bool {
			p = strings.Trim(p, `"`)
			if !path.IsAbs(p) {
				p = path.Join("/etc/ssh", p)
			}
			ok, err := path.Match(p, dropIn)
			return ok && err == nil
		})
	}
	return false
}

// effective has sshd say what it would do with ours as our drop-in; ours is on this
// machine's disk, "" where it has none. The configuration is read from the root, so includes
// are made to point into it.
func effective(ctx context.Context, sys *enforce.System, ours string) (map[string][]string, error) {
	sshd, err := sys.Tool("sshd", "openssh-server")
	if err != nil {
		return nil, err
	}
	main, err := sys.ReadFile(configFile, 1<<20)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "handrail-sshd-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	key, err := hostKey(dir)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for l := range strings.Lines(string(main)) {
		f := strings.Fields(l)
		switch {
		case len(f) > 1 && strings.EqualFold(f[0], "Include"):
			for _, file := range included(sys, f[1:], ours) {
				fmt.Fprintf(&b, "Include %s\n", file)
			}
		case len(f) > 0 && strings.EqualFold(f[0], "HostKey"):
		default:
			b.WriteString(strings.TrimRight(l, "\n") + "\n")
		}
	}
	at := filepath.Join(dir, "sshd_config")
	if err := os.WriteFile(at, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	// sshd refuses to say anything without the directory it locks its helpers in; services
	// have it made when they start.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // as the system makes it
		return nil, err
	}
	r, err := sys.Run(ctx, enforce.Program{Path: sshd, Args: []string{"-T", "-f", at, "-h", key}})
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for l := range strings.Lines(r.Out) {
		word, rest, _ := strings.Cut(strings.TrimSpace(l), " ")
		out[word] = append(out[word], rest)
	}
	return out, nil
}

// included are the files an Include names, in their order, ours in its place.
func included(sys *enforce.System, patterns []string, ours string) []string {
	var out []string
	for _, p := range patterns {
		p = strings.Trim(p, `"`)
		if !path.IsAbs(p) {
			p = path.Join("/etc/ssh", p)
		}
		found, err := filepath.Glob(sys.Abs(p))
		if err != nil {
			continue
		}
		own := sys.Abs(dropIn)
		found = slices.DeleteFunc(found, func(f string) bool { return f == own })
		if ok, _ := path.Match(p, dropIn); ok && ours != "" {
			i, _ := slices.BinarySearch(found, own)
			found = slices.Insert(found, i, ours)
		}
		out = append(out, found...)
	}
	return out
}

// hostKey makes a key for sshd to be content with; it is never used.
func hostKey(dir string) (string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "key")
	return at, os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// compare says where sshd would do something else than the lines say.
func compare(lines []line, got map[string][]string) error {
	for _, l := range lines {
		want := slices.Clone(l.args)
		if l.word == "PermitRootLogin" && want[0] == "prohibit-password" {
			want[0] = "without-password" // what sshd itself calls it
		}
		now := slices.Clone(got[strings.ToLower(l.word)])
		slices.Sort(want)
		slices.Sort(now)
		if !slices.Equal(want, now) {
			return fmt.Errorf("sshd would still have %s %s: another line of its configuration says so", l.word, strings.Join(now, " "))
		}
	}
	return nil
}

// Apply implements enforce.Enforcer.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, _ manifest.Setting) error {
	return reload(ctx, sys)
}

// reload has a running server read its configuration. The unit is ssh on Debian, sshd on
// Fedora; a server that does not run reads it when it starts.
func reload(ctx context.Context, sys *enforce.System) error {
	unit := "sshd.service"
	for _, dir := range []string{"/lib/systemd/system/", "/usr/lib/systemd/system/"} {
		if sys.Exists(dir + "ssh.service") {
			unit = "ssh.service"
		}
	}
	return sys.Systemctl(ctx, "try-reload-or-restart", unit)
}

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, err := enforce.Decode[value](s)
	if err != nil {
		return nil, err
	}
	lines, err := v.lines()
	if err != nil {
		return nil, err
	}
	got, err := effective(ctx, sys, sys.Abs(dropIn))
	if err != nil {
		return nil, err
	}
	seen := map[string]string{}
	for _, l := range lines {
		seen[strings.ToLower(l.word)] = strings.Join(got[strings.ToLower(l.word)], " ")
	}
	return seen, compare(lines, got)
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, _ enforce.Removal) error {
	return reload(ctx, sys)
}
