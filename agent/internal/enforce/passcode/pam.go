package passcode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/overlay"
)

const (
	pamProfiles = "/usr/share/pam-configs"
	pamDir      = "/etc/pam.d"
	pamState    = "/var/lib/pam"
	maxPAM      = 256 << 10 // bytes of one of its files
)

// hasPAMProfiles says why profiles cannot be used on the device.
func hasPAMProfiles(sys *enforce.System) error {
	if !sys.Exists(pamProfiles) || !sys.Exists(pamDir+"/common-auth") {
		return enforce.NotApplicable("the device's PAM is not set up by pam-auth-update (it is neither Debian nor Ubuntu)")
	}
	return nil
}

// debconf is a database of pam-auth-update's answers in a directory of its own, for trees
// that are not the system's.
const debconf = `Config: configdb
Templates: templatedb

Name: configdb
Driver: File
Filename: %[1]s/config.dat

Name: templatedb
Driver: File
Filename: %[1]s/templates.dat
`

// pamAuthUpdate has pam-auth-update make its files of the profiles below root; "" is the
// running system. enable are profiles it must use though somebody switched them off.
func pamAuthUpdate(ctx context.Context, sys *enforce.System, root string, enable ...string) error {
	tool, err := sys.Tool("pam-auth-update", "libpam-runtime")
	if err != nil {
		return err
	}
	args := []string{"--package"}
	env := []string{"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true"}
	if root != "" {
		dir, err := os.MkdirTemp("", "handrail-debconf-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		conf := filepath.Join(dir, "debconf.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, debconf, dir), 0o600); err != nil {
			return err
		}
		env = append(env, "DEBCONF_SYSTEMRC="+conf)
		args = append(args, "--root", root)
	}
	if len(enable) > 0 {
		args = append(append(args, "--enable"), enable...)
	}
	r, err := sys.Run(ctx, enforce.Program{Path: tool, Args: args, Env: env})
	if err == nil && strings.Contains(r.Err, "Local modifications") { // it says so with status 0
		err = errors.New("somebody has edited /etc/pam.d/common-*, and pam-auth-update leaves such files alone: look at them, then run pam-auth-update --force")
	}
	return err
}

// rootOf is pam-auth-update's for a system: "" where it is the running one.
func rootOf(sys *enforce.System) string {
	if sys.Live() {
		return ""
	}
	return sys.Abs("/")
}

// judgeProfiles has pam-auth-update use staged profiles on a copy of the system's, and
// returns a system whose PAM files are that copy. The caller closes it.
func judgeProfiles(ctx context.Context, sys *enforce.System, staged *enforce.Staged, enable ...string) (*overlay.Overlay, *enforce.System, error) {
	o, err := overlay.New(sys, staged, pamDir, pamState, pamProfiles)
	if err != nil {
		return nil, nil, err
	}
	if err := pamAuthUpdate(ctx, sys, o.Path("/"), enable...); err != nil {
		return nil, nil, errors.Join(err, o.Close())
	}
	return o, &enforce.System{Root: o.Path("/"), Path: sys.Path}, nil
}

// stack is the lines of a file of PAM that count, without what an include brings.
func stack(sys *enforce.System, file string) ([]string, error) {
	b, err := sys.ReadFile(path.Join(pamDir, file), maxPAM)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if w := strings.Fields(line); len(w) > 0 {
			out = append(out, strings.Join(w, " "))
		}
	}
	return out, nil
}

// argument finds a module in a stack, and what follows an argument's "=" in its line.
func argument(lines []string, module, name string) (value string, there bool) {
	for _, line := range lines {
		if !strings.Contains(line, " "+module) {
			continue
		}
		there = true
		for _, w := range strings.Fields(line) {
			if v, ok := strings.CutPrefix(w, name+"="); ok {
				return v, true
			}
		}
	}
	return "", there
}

// modulesThere says which module of PAM's common files is missing on the device: a stack with
// such a line lets nobody in.
func modulesThere(sys *enforce.System) error {
	for _, file := range []string{"common-auth", "common-account", "common-password"} {
		lines, err := stack(sys, file)
		if err != nil {
			return err
		}
		for _, line := range lines {
			i := slices.IndexFunc(strings.Fields(line), func(w string) bool { return strings.HasSuffix(w, ".so") })
			if i < 0 {
				continue
			}
			if m := strings.Fields(line)[i]; !hasModule(m) {
				return fmt.Errorf("the module %s, which %s would use, is not on the device", m, file)
			}
		}
	}
	return nil
}

// hasModule reports whether a module of PAM is on this machine, whose programs read it.
func hasModule(name string) bool {
	if path.IsAbs(name) {
		_, err := os.Stat(name)
		return err == nil
	}
	for _, pattern := range []string{"/lib/security", "/lib64/security", "/usr/lib/security", "/usr/lib64/security", "/lib/*/security", "/usr/lib/*/security"} {
		if found, _ := filepath.Glob(filepath.Join(pattern, filepath.Base(name))); len(found) > 0 { // the pattern is well formed
			return true
		}
	}
	return false
}
