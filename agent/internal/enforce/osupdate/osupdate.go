// Package osupdate enforces whether and when a device updates its system by itself:
// through unattended-upgrades and apt's own timers.
package osupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "os.update"

// dropIn is read after the files of packages and people: what is said last counts.
const dropIn = "/etc/apt/apt.conf.d/99zz-handrail-updates"

type value struct {
	Enabled      bool     `json:"enabled"`
	Origins      string   `json:"origins"`  // security, all
	Schedule     string   `json:"schedule"` // daily, weekly, monthly
	DownloadOnly bool     `json:"download_only"`
	RemoveUnused bool     `json:"remove_unused"`
	Blocklist    []string `json:"blocklist"` // names of packages, * for any letters
	Reboot       string   `json:"reboot"`    // never, when_idle, at
	RebootTime   string   `json:"reboot_time"`
}

var (
	packageForm = regexp.MustCompile(`^[a-z0-9*][a-z0-9.+*-]*$`)
	timeForm    = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	days        = map[string]string{"daily": "1", "weekly": "7", "monthly": "30"}
)

// option is a line of apt's configuration; one whose name ends in :: adds to a list.
type option struct{ name, value string }

// Enforcer enforces os.update.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

func decode(s manifest.Setting) (value, error) {
	v, err := enforce.Decode[value](s)
	v.Origins, v.Schedule, v.Reboot = cmp.Or(v.Origins, "security"), cmp.Or(v.Schedule, "daily"), cmp.Or(v.Reboot, "never")
	switch {
	case err != nil:
	case v.Origins != "security" && v.Origins != "all":
		err = fmt.Errorf("origins %q is neither security nor all", v.Origins)
	case days[v.Schedule] == "":
		err = fmt.Errorf("schedule %q is none of daily, weekly and monthly", v.Schedule)
	case v.Reboot == "at" && !timeForm.MatchString(v.RebootTime):
		err = fmt.Errorf("%q is no time of day like 03:30", v.RebootTime)
	case !slices.Contains([]string{"never", "when_idle", "at"}, v.Reboot):
		err = fmt.Errorf("reboot %q is none of never, when_idle and at", v.Reboot)
	}
	for _, p := range v.Blocklist {
		if err == nil && !packageForm.MatchString(p) {
			err = fmt.Errorf("%q is no name of a package", p)
		}
	}
	return v, err
}

// lists are cleared before they are filled: apt joins what several files say.
var lists = []string{"Unattended-Upgrade::Allowed-Origins", "Unattended-Upgrade::Origins-Pattern", "Unattended-Upgrade::Package-Blacklist"}

// options are a value in apt's words.
func (v value) options(ubuntu bool) []option {
	yes := func(b bool) string { return map[bool]string{true: "true", false: "false"}[b] }
	every := "0"
	upgrade := "0"
	if v.Enabled {
		every = days[v.Schedule]
		if !v.DownloadOnly {
			upgrade = every
		}
	}
	out := []option{
		{"APT::Periodic::Enable", map[bool]string{true: "1", false: "0"}[v.Enabled]},
		{"APT::Periodic::Update-Package-Lists", every},
		{"APT::Periodic::Download-Upgradeable-Packages", every},
		{"APT::Periodic::Unattended-Upgrade", upgrade},
		{"Unattended-Upgrade::Remove-Unused-Dependencies", yes(v.RemoveUnused)},
		{"Unattended-Upgrade::Remove-Unused-Kernel-Packages", yes(v.RemoveUnused)},
		{"Unattended-Upgrade::Remove-New-Unused-Dependencies", yes(v.RemoveUnused)},
		{"Unattended-Upgrade::Automatic-Reboot", yes(v.Reboot != "never")},
		{"Unattended-Upgrade::Automatic-Reboot-WithUsers", yes(v.Reboot == "at")},
	}
	if v.Reboot == "at" {
		out = append(out, option{"Unattended-Upgrade::Automatic-Reboot-Time", v.RebootTime})
	}
	for _, o := range origins(v.Origins, ubuntu) {
		out = append(out, option{"Unattended-Upgrade::Origins-Pattern::", o})
	}
	for _, p := range v.Blocklist { // regular expressions to unattended-upgrades, matched from the start
		out = append(out, option{"Unattended-Upgrade::Package-Blacklist::", strings.NewReplacer(".", "[.]", "+", "[+]", "*", ".*").Replace(p) + "$"})
	}
	return out
}

// origins are the archives updates may come from; unattended-upgrades puts in the release's
// name.
func origins(which string, ubuntu bool) []string {
	if ubuntu {
		out := []string{"origin=${distro_id},archive=${distro_codename}-security", "origin=${distro_id}ESMApps,archive=${distro_codename}-apps-security", "origin=${distro_id}ESM,archive=${distro_codename}-infra-security"}
		if which == "all" {
			out = append(out, "origin=${distro_id},archive=${distro_codename}", "origin=${distro_id},archive=${distro_codename}-updates")
		}
		return out
	}
	out := []string{"origin=Debian,codename=${distro_codename},label=Debian-Security", "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"}
	if which == "all" {
		out = append(out, "origin=Debian,codename=${distro_codename},label=Debian", "origin=Debian,codename=${distro_codename}-updates")
	}
	return out
}

func isUbuntu(sys *enforce.System) bool {
	b, err := sys.ReadFile("/etc/os-release", 1<<20)
	return err == nil && regexp.MustCompile(`(?m)^ID(_LIKE)?="?(ubuntu|.*\bubuntu\b)`).Match(b)
}

// upgrader is the program that installs updates, on a tree that is another system's.
const upgrader = "/usr/bin/unattended-upgrade"

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, err := decode(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	if !sys.Exists("/etc/apt") {
		return enforce.Plan{}, enforce.NotApplicable("the device does not install its software with apt")
	}
	options := v.options(isUbuntu(sys))
	var b strings.Builder
	b.WriteString("// " + enforce.Marker(s.ID) + "\n")
	for _, l := range lists {
		b.WriteString("#clear " + l + ";\n")
	}
	for _, o := range options {
		fmt.Fprintf(&b, "%s \"%s\";\n", o.name, o.value) // apt knows no escapes: nothing that needs one gets here
	}
	p := enforce.Plan{Files: []enforce.File{{Path: dropIn, Content: []byte(b.String())}}}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		if v.Enabled && !v.DownloadOnly && (sys.Live() || !sys.Exists(upgrader)) {
			if _, err := sys.Tool("unattended-upgrade", "unattended-upgrades"); err != nil {
				return err
			}
		}
		got, err := dump(ctx, sys, "", staged.Path(dropIn))
		if err != nil {
			return fmt.Errorf("apt does not take the configuration: %w", err)
		}
		return compare(options, got)
	}
	return p, nil
}

// dump has apt say its whole configuration: of the root's files, or of one file only.
func dump(ctx context.Context, sys *enforce.System, root, file string) (map[string][]string, error) {
	tool, err := sys.Tool("apt-config", "apt")
	if err != nil {
		return nil, err
	}
	p := enforce.Program{Path: tool, Args: []string{"dump", "--format", "%F=%v%n"}}
	if root != "" || file != "" {
		dir, err := os.MkdirTemp("", "handrail-apt-*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		first := filepath.Join(dir, "apt.conf")
		text := fmt.Sprintf("Dir \"%s\";\n", root)
		if file != "" {
			text = fmt.Sprintf("Dir::Etc::main \"%s\";\nDir::Etc::parts \"%s\";\n", file, filepath.Join(dir, "none"))
		}
		if err := os.WriteFile(first, []byte(text), 0o600); err != nil {
			return nil, err
		}
		p.Env = []string{"APT_CONFIG=" + first}
	}
	r, err := sys.Run(ctx, p)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for l := range strings.Lines(r.Out) {
		name, v, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "=")
		out[name] = append(out[name], v)
	}
	return out, nil
}

// compare says where apt would do something else than the options say.
func compare(options []option, got map[string][]string) error {
	want := map[string][]string{}
	for _, o := range options {
		want[o.name] = append(want[o.name], o.value)
	}
	for name, values := range want {
		if now := got[name]; !slices.Equal(now, values) {
			return fmt.Errorf("apt has %s %q, and must have %q: a later file of /etc/apt says so", name, strings.Join(now, " "), strings.Join(values, " "))
		}
	}
	return nil
}

// Apply implements enforce.Enforcer: apt's timers read the configuration when they run.
func (*Enforcer) Apply(context.Context, *enforce.System, manifest.Setting) error { return nil }

// observed is what apt says.
type observed struct {
	Update    string   `json:"update_every_days"`
	Upgrade   string   `json:"upgrade_every_days"`
	Origins   []string `json:"origins"`
	Blocklist []string `json:"blocklist,omitempty"`
	Reboot    string   `json:"reboot"`
}

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, err := decode(s)
	if err != nil {
		return nil, err
	}
	root := ""
	if !sys.Live() {
		root = sys.Root
	}
	got, err := dump(ctx, sys, root, "")
	if err != nil {
		return nil, err
	}
	last := func(name string) string {
		if l := got[name]; len(l) > 0 {
			return l[len(l)-1]
		}
		return ""
	}
	o := observed{
		Update: last("APT::Periodic::Update-Package-Lists"), Upgrade: last("APT::Periodic::Unattended-Upgrade"),
		Origins: got["Unattended-Upgrade::Origins-Pattern::"], Blocklist: got["Unattended-Upgrade::Package-Blacklist::"], Reboot: last("Unattended-Upgrade::Automatic-Reboot"),
	}
	err = compare(v.options(isUbuntu(sys)), got)
	if v.Enabled && sys.Live() { // nothing runs where somebody switched the timers off
		for _, unit := range []string{"apt-daily.timer", "apt-daily-upgrade.timer"} {
			if sys.Systemctl(ctx, "is-enabled", unit) != nil {
				err = errors.Join(err, fmt.Errorf("%s is switched off: enable it, or have a policy do so (service.state)", unit))
			}
		}
	}
	return o, err
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(context.Context, *enforce.System, enforce.Removal) error { return nil }
