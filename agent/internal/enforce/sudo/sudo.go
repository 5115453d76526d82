// Package sudo enforces who may do what in another's name: files of our own in
// /etc/sudoers.d, which sudo reads last.
package sudo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// The catalogue's keys.
const (
	RulesKey    = "sudo.rules"
	DefaultsKey = "sudo.defaults"
)

const (
	mainFile = "/etc/sudoers"
	dropIns  = "/etc/sudoers.d/"
)

type rules struct {
	Users      []string `json:"users"`
	Groups     []string `json:"groups"`
	Hosts      []string `json:"hosts"`
	Commands   []string `json:"commands"`
	NoPassword bool     `json:"no_password"`
	RunAs      string   `json:"run_as"`
}

type defaults struct {
	TimeoutMinutes *int    `json:"timeout_minutes"`
	PasswdTries    *int    `json:"passwd_tries"`
	LogFile        *string `json:"log_file"`
	RequireTTY     *bool   `json:"require_tty"`
	UsePTY         *bool   `json:"use_pty"`
}

var (
	accountForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}$`)
	hostForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:/-]{0,254}$`)
	commandForm = regexp.MustCompile(`^!?(ALL|/[^\x00-\x1f\x7f]*)$`)
)

// Enforcer enforces sudo.rules and sudo.defaults.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{RulesKey, DefaultsKey} }

// fileOf is where a setting's rule is. sudo passes over names with a dot in them; what is
// said last counts.
func fileOf(id manifest.ID) string {
	if id.Key() == DefaultsKey {
		return dropIns + "zz-handrail-defaults"
	}
	return dropIns + "zz-handrail-rule-" + strings.ReplaceAll(id.Instance(), ".", "%2e")
}

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	body, err := text(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	main, err := sys.ReadFile(mainFile, 1<<20)
	if err != nil {
		return enforce.Plan{}, enforce.NotApplicable("the device has no sudo")
	}
	if !includes(string(main)) {
		return enforce.Plan{}, enforce.Conflict("%s has no line @includedir %s: sudo would not read the policy", mainFile, strings.TrimSuffix(dropIns, "/"))
	}
	f := fileOf(s.ID)
	return enforce.Plan{
		Confirm: true,
		Files:   []enforce.File{{Path: f, Content: []byte("# " + enforce.Marker(s.ID) + "\n" + body), Mode: 0o440}},
		Check: func(ctx context.Context, staged enforce.Staged) error {
			visudo, err := sys.Tool("visudo", "sudo")
			if err != nil {
				return err
			}
			if _, err := sys.Run(ctx, enforce.Program{Path: visudo, Args: []string{"-c", "-s", "-f", staged.Path(f)}}); err != nil {
				return fmt.Errorf("visudo does not take the rule: %w", err)
			}
			return nil
		},
	}, nil
}

// includes reports whether the main file has the drop-ins read. A # before includedir is
// its older form, not a comment.
func includes(main string) bool {
	for l := range strings.Lines(main) {
		f := strings.Fields(l)
		if len(f) == 2 && (f[0] == "@includedir" || f[0] == "#includedir") && strings.TrimSuffix(strings.Trim(f[1], `"`), "/")+"/" == dropIns {
			return true
		}
	}
	return false
}

// text is a setting in the language of sudoers(5).
func text(s manifest.Setting) (string, error) {
	if s.ID.Key() == DefaultsKey {
		return defaultsText(s)
	}
	v, err := enforce.Decode[rules](s)
	if err != nil {
		return "", err
	}
	var who, commands []string
	for _, u := range v.Users {
		who = append(who, u)
		if !accountForm.MatchString(u) {
			return "", fmt.Errorf("%q is no name of an account", u)
		}
	}
	for _, g := range v.Groups {
		who = append(who, "%"+g)
		if !accountForm.MatchString(g) {
			return "", fmt.Errorf("%q is no name of a group", g)
		}
	}
	runAs := cmp.Or(v.RunAs, "root")
	if !accountForm.MatchString(runAs) {
		return "", fmt.Errorf("%q is no name of an account", runAs)
	}
	for _, h := range v.Hosts {
		if !hostForm.MatchString(h) {
			return "", fmt.Errorf("%q is no name of a host", h)
		}
	}
	for _, c := range v.Commands {
		if !commandForm.MatchString(c) {
			return "", fmt.Errorf("%q is neither an absolute path nor ALL", c)
		}
		commands = append(commands, escape(c))
	}
	if len(who) == 0 || len(commands) == 0 {
		return "", errors.New("a rule needs somebody it is for, and something they may do")
	}
	hosts := cmp.Or(strings.Join(v.Hosts, ", "), "ALL")
	tag := "PASSWD: "
	if v.NoPassword {
		tag = "NOPASSWD: "
	}
	return fmt.Sprintf("%s %s = (%s) %s%s\n", strings.Join(who, ", "), hosts, runAs, tag, strings.Join(commands, ", ")), nil
}

// escape takes the meaning from the signs that have one in sudoers.
func escape(command string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, ":", `\:`, "=", `\=`, "#", `\#`).Replace(command)
}

func defaultsText(s manifest.Setting) (string, error) {
	v, err := enforce.Decode[defaults](s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if v.TimeoutMinutes != nil {
		b.WriteString("Defaults timestamp_timeout=" + strconv.Itoa(*v.TimeoutMinutes) + "\n")
	}
	if v.PasswdTries != nil {
		b.WriteString("Defaults passwd_tries=" + strconv.Itoa(*v.PasswdTries) + "\n")
	}
	if f := v.LogFile; f != nil {
		if !strings.HasPrefix(*f, "/") || strings.ContainsAny(*f, "\"\\\n\r\x00%") {
			return "", fmt.Errorf("log file %q is no plain absolute path", *f)
		}
		b.WriteString("Defaults logfile=\"" + *f + "\"\n")
	}
	for _, d := range []struct {
		word string
		on   *bool
	}{{"requiretty", v.RequireTTY}, {"use_pty", v.UsePTY}} {
		switch {
		case d.on == nil:
		case *d.on:
			b.WriteString("Defaults " + d.word + "\n")
		default:
			b.WriteString("Defaults !" + d.word + "\n")
		}
	}
	return b.String(), nil
}

// Apply implements enforce.Enforcer: sudo reads its files each time it is called.
func (*Enforcer) Apply(context.Context, *enforce.System, manifest.Setting) error { return nil }

// Observe implements enforce.Enforcer. What was written is read back by sudo's own reader;
// on the running system all of sudo's files must be in order too, for it works with none
// otherwise.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	convert, err := sys.Tool("cvtsudoers", "sudo")
	if err != nil {
		return nil, err
	}
	r, err := sys.Run(ctx, enforce.Program{Path: convert, Args: []string{"-c", "", "-f", "json", sys.Abs(fileOf(s.ID))}})
	if err != nil {
		return nil, err
	}
	var read json.RawMessage
	if strings.TrimSpace(r.Out) != "" {
		if err := json.Unmarshal([]byte(r.Out), &read); err != nil {
			return nil, fmt.Errorf("what cvtsudoers says cannot be read: %w", err)
		}
	}
	if sys.Live() {
		visudo, err := sys.Tool("visudo", "sudo")
		if err != nil {
			return nil, err
		}
		if _, err := sys.Run(ctx, enforce.Program{Path: visudo, Args: []string{"-c", "-q"}}); err != nil {
			return nil, fmt.Errorf("sudo's files are not in order: %w", err)
		}
	}
	return read, nil
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(context.Context, *enforce.System, enforce.Removal) error { return nil }
