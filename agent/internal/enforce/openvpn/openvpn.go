// Package openvpn gives a device a tunnel of OpenVPN, as a client of the system's own
// service. A profile is read before it is used: what could run a program is refused. OpenVPN
// itself judges the rest, in a network namespace where it can reach nothing.
package openvpn

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key that is enforced here.
const Key = "vpn.openvpn"

// dir is where the system's service looks for clients.
const dir = "/etc/openvpn/client"

// Value is the value of vpn.openvpn.
type Value struct {
	Profile   string `json:"profile"`
	Secrets   string `json:"inline_secrets"` // blocks that belong at the profile's end
	Username  string `json:"username"`
	Password  string `json:"password"`
	Autostart *bool  `json:"autostart"` // nil means true
}

// Observed is what was found, without secrets.
type Observed struct {
	Remotes []string `json:"remotes"`
	Enabled bool     `json:"enabled"` // starts with the device
	Active  bool     `json:"active"`
}

// Enforcer enforces tunnels of OpenVPN.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys is vpn.openvpn.
func (*Enforcer) Keys() []string { return []string{Key} }

// Last says that these settings can cut the network and are applied after the others.
func (*Enforcer) Last() {}

func name(id manifest.ID) string { return "handrail-" + id.Instance() }
func unit(id manifest.ID) string { return "openvpn-client@" + name(id) + ".service" }

func confPath(id manifest.ID) string { return path.Join(dir, name(id)+".conf") }

// render makes the files of a setting.
func render(s manifest.Setting) ([]enforce.File, Value, summary, error) {
	v, err := enforce.Decode[Value](s)
	if err != nil {
		return nil, v, summary{}, err
	}
	kept, sum, err := check(v.Profile + "\n" + v.Secrets)
	if err != nil {
		return nil, v, sum, err
	}
	if (v.Username == "") != (v.Password == "") {
		return nil, v, sum, errors.New("username and password belong together")
	}
	if sum.asksUser && v.Username == "" {
		return nil, v, sum, errors.New("the profile asks for a user name (auth-user-pass): username and password are missing")
	}
	if strings.ContainsAny(v.Username+v.Password, "\r\n\x00") || len(v.Username) > 127 || len(v.Password) > 127 {
		return nil, v, sum, errors.New("username and password are one line of at most 127 bytes each")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n%s\n# Programs of the profile's own never run.\nscript-security 1\n", enforce.Marker(s.ID), strings.TrimRight(kept, "\n"))
	files := []enforce.File{}
	if v.Username != "" {
		auth := name(s.ID) + ".auth" // beside the profile, where the service runs
		fmt.Fprintf(&b, "auth-user-pass %s\nauth-nocache\n", auth)
		files = append(files, enforce.File{Path: path.Join(dir, auth), Content: []byte(v.Username + "\n" + v.Password + "\n"), Mode: 0o600})
	}
	return append(files, enforce.File{Path: confPath(s.ID), Content: []byte(b.String()), Mode: 0o600}), v, sum, nil
}

// Plan writes the profile and, apart from it, what signs in.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	if _, err := sys.Tool("openvpn", "openvpn"); err != nil {
		return enforce.Plan{}, enforce.NotApplicable("OpenVPN is not on the device (package openvpn)")
	}
	files, _, _, err := render(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	return enforce.Plan{
		Files:   files,
		Confirm: true,
		Check: func(ctx context.Context, staged enforce.Staged) error {
			return judge(ctx, sys, staged.Path(dir), name(s.ID))
		},
	}, nil
}

// reached are words OpenVPN says only once it has read the whole profile with its keys and
// goes out to the network.
var reached = []string{"Cannot resolve host address", "link remote: ", "Attempting to establish TCP connection", "Preserving recently used remote address"}

// judge has OpenVPN start with a profile where there is no network.
func judge(ctx context.Context, sys *enforce.System, at, name string) error {
	openvpn, err := sys.Tool("openvpn", "openvpn")
	if err != nil {
		return err
	}
	unshare, err := sys.Tool("unshare", "util-linux")
	if err != nil {
		return err
	}
	r, err := sys.Run(ctx, enforce.Program{
		Path: unshare, Within: 20 * time.Second, Dir: at,
		Args: []string{
			"--net", "--", openvpn, "--cd", at, "--config", name + ".conf",
			"--dev", "null", "--ifconfig-noexec", "--route-noexec", "--script-security", "0", "--verb", "3", "--mute", "0",
			"--connect-retry-max", "1", "--connect-timeout", "1", "--resolv-retry", "0", "--remap-usr1", "SIGTERM",
		},
	})
	said := r.Out + r.Err
	for _, w := range reached {
		if strings.Contains(said, w) {
			return nil
		}
	}
	if r.Code < 0 || said == "" {
		return fmt.Errorf("OpenVPN could not be asked about the profile: %w", err)
	}
	return errors.New("OpenVPN does not accept the profile: " + enforce.Result{Out: complaint(said)}.Words())
}

// complaint is the lines of OpenVPN's that say what is wrong.
func complaint(said string) string {
	var out []string
	for _, line := range strings.Split(said, "\n") {
		l := strings.ToLower(line)
		if strings.Contains(l, "error") || strings.Contains(l, "cannot") || strings.Contains(l, "fail") || strings.Contains(l, "must") {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return said
	}
	return strings.Join(out, "\n")
}

func autostart(v Value) bool { return v.Autostart == nil || *v.Autostart }

// Apply has the system start the tunnel now and with the device, or leave it to people.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	_, v, _, err := render(s)
	if err != nil {
		return err
	}
	word := "disable"
	if autostart(v) {
		word = "enable"
	}
	if err := systemctl(ctx, sys, word, unit(s.ID)); err != nil {
		return err
	}
	if !sys.Live() {
		return nil
	}
	if autostart(v) {
		return systemctl(ctx, sys, "restart", unit(s.ID))
	}
	return systemctl(ctx, sys, "try-restart", unit(s.ID))
}

// Observe has OpenVPN read the profile as it is, and systemd say whether it starts.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	files, v, sum, err := render(s)
	if err != nil {
		return nil, err
	}
	seen := Observed{Remotes: sum.remotes}
	for _, f := range files {
		b, err := sys.ReadFile(f.Path, 2*maxProfile)
		if err != nil {
			return nil, fmt.Errorf("the profile cannot be read: %w", err)
		}
		if string(b) != string(f.Content) {
			return nil, fmt.Errorf("%s is not as it was written", f.Path)
		}
	}
	if err := judge(ctx, sys, sys.Abs(dir), name(s.ID)); err != nil {
		return nil, err
	}
	seen.Enabled = asks(ctx, sys, "is-enabled", unit(s.ID)) == "enabled"
	if sys.Live() {
		seen.Active = asks(ctx, sys, "is-active", unit(s.ID)) == "active"
	}
	switch {
	case seen.Enabled != autostart(v):
		return seen, fmt.Errorf("%s: starting with the device is %t, must be %t", unit(s.ID), seen.Enabled, autostart(v))
	case sys.Live() && autostart(v) && !seen.Active:
		return seen, fmt.Errorf("%s does not run: see journalctl -u %s", unit(s.ID), unit(s.ID))
	}
	return seen, nil
}

// Remove stops the tunnel. Where a profile of the same name was there before, it is left to
// people to start it.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	if _, err := sys.Tool("systemctl", "systemd"); err != nil {
		return nil //nolint:nilerr // then nothing was started
	}
	state := asks(ctx, sys, "is-enabled", unit(r.Setting.ID))
	if state != "enabled" && state != "disabled" {
		return nil // the unit is not on the device any more
	}
	if err := systemctl(ctx, sys, "disable", unit(r.Setting.ID)); err != nil {
		return err
	}
	if sys.Live() {
		return systemctl(ctx, sys, "stop", unit(r.Setting.ID))
	}
	return nil
}

func systemctl(ctx context.Context, sys *enforce.System, args ...string) error {
	p, err := sys.Tool("systemctl", "systemd")
	if err != nil {
		return err
	}
	_, err = sys.Run(ctx, enforce.Program{Path: p, Args: rooted(sys, args)})
	return err
}

// asks returns systemctl's one word.
func asks(ctx context.Context, sys *enforce.System, args ...string) string {
	p, err := sys.Tool("systemctl", "systemd")
	if err != nil {
		return ""
	}
	r, _ := sys.Run(ctx, enforce.Program{Path: p, Args: rooted(sys, args)}) // its status is part of the answer
	return strings.TrimSpace(r.Out)
}

func rooted(sys *enforce.System, args []string) []string {
	if sys.Live() {
		return args
	}
	return append([]string{"--root=" + sys.Abs("/")}, args...)
}
