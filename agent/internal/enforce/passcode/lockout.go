package passcode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Lockout is the value of passcode.lockout.
type Lockout struct {
	Attempts      int  `json:"attempts"`
	UnlockSeconds *int `json:"unlock_seconds"` // 0: only an admin unlocks
	WindowSeconds *int `json:"window_seconds"`
	IncludeRoot   bool `json:"include_root"`
}

const (
	faillockConf    = securityDir + "/handrail-faillock.conf"
	lockoutProfile  = "handrail-lockout"       // asks before the password
	countingProfile = "handrail-lockout-count" // counts after a wrong one
)

// Two profiles: pam-auth-update orders modules by their profiles' priority, and one of
// pam_faillock's lines belongs before all that ask for a password, one after them.
const (
	lockoutText = "Name: Handrail: lock accounts after wrong passwords\nDefault: yes\nPriority: 1100\n" +
		"Auth-Type: Primary\nAuth:\n\trequisite\tpam_faillock.so preauth conf=" + faillockConf + "\n" +
		"Account-Type: Additional\nAccount:\n\trequired\tpam_faillock.so conf=" + faillockConf + "\n"
	countingText = "Name: Handrail: count wrong passwords\nDefault: yes\nPriority: 0\n" +
		"Auth-Type: Primary\nAuth:\n\t[default=die]\tpam_faillock.so authfail conf=" + faillockConf + "\n"
)

func (l Lockout) conf(id manifest.ID) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ndeny = %d\n", enforce.Marker(id), l.Attempts)
	if l.UnlockSeconds != nil {
		fmt.Fprintf(&b, "unlock_time = %d\n", *l.UnlockSeconds)
	}
	if l.WindowSeconds != nil {
		fmt.Fprintf(&b, "fail_interval = %d\n", *l.WindowSeconds)
	}
	if l.IncludeRoot {
		b.WriteString("even_deny_root\n")
	}
	return []byte(b.String())
}

func (l Lockout) plan(_ context.Context, sys *enforce.System, id manifest.ID) (enforce.Plan, error) {
	if err := hasPAMProfiles(sys); err != nil {
		return enforce.Plan{}, err
	}
	const most = 604800 // a week, in seconds
	switch {
	case l.Attempts < 1 || l.Attempts > 1000:
		return enforce.Plan{}, fmt.Errorf("attempts is %d, must be 1 to 1000", l.Attempts)
	case l.UnlockSeconds != nil && (*l.UnlockSeconds < 0 || *l.UnlockSeconds > most), l.WindowSeconds != nil && (*l.WindowSeconds < 1 || *l.WindowSeconds > most):
		return enforce.Plan{}, fmt.Errorf("unlock_seconds and window_seconds must be within 0 and %d", most)
	case !hasModule("pam_faillock.so"):
		return enforce.Plan{}, errors.New("pam_faillock is not on the device: bring the package libpam-modules up to date (1.4.0 or later)")
	}
	lines, err := stack(sys, "common-auth")
	if err != nil {
		return enforce.Plan{}, err
	}
	for _, line := range lines {
		if strings.Contains(line, "pam_faillock.so") && !strings.Contains(line, faillockConf) {
			return enforce.Plan{}, enforce.Conflict("pam_faillock is in common-auth already, set up by somebody else (%s)", line)
		}
	}
	p := enforce.Plan{Confirm: true, Files: []enforce.File{
		{Path: faillockConf, Content: l.conf(id)},
		{Path: pamProfiles + "/" + lockoutProfile, Content: []byte(lockoutText)},
		{Path: pamProfiles + "/" + countingProfile, Content: []byte(countingText)},
	}}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		if _, err := sys.Tool("faillock", "libpam-modules-bin"); err != nil {
			return err
		}
		pam, copied, err := judgeProfiles(ctx, sys, &staged, lockoutProfile, countingProfile)
		if err != nil {
			return err
		}
		defer pam.Close()
		return errors.Join(locks(copied), modulesThere(copied))
	}
	return p, nil
}

// locks says whether PAM's stacks ask pam_faillock in the right places.
func locks(sys *enforce.System) error {
	auth, err := stack(sys, "common-auth")
	if err != nil {
		return err
	}
	account, err := stack(sys, "common-account")
	if err != nil {
		return err
	}
	find := func(lines []string, words ...string) int {
		return slices.IndexFunc(lines, func(line string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
		})
	}
	before, asks, after, deny := find(auth, "pam_faillock.so preauth", faillockConf), find(auth, "pam_unix.so"), find(auth, "pam_faillock.so authfail", faillockConf), find(auth, "pam_deny.so")
	switch {
	case before < 0 || after < 0 || find(account, "pam_faillock.so", faillockConf) < 0:
		return errors.New("PAM's common files do not ask pam_faillock")
	case asks < 0 || asks < before || after < asks || deny < after:
		return errors.New("PAM's common files ask pam_faillock in the wrong order")
	}
	return nil
}

func (l Lockout) apply(ctx context.Context, sys *enforce.System) error {
	return pamAuthUpdate(ctx, sys, rootOf(sys), lockoutProfile, countingProfile)
}

func (l Lockout) remove(ctx context.Context, sys *enforce.System, _ enforce.Removal) error {
	if hasPAMProfiles(sys) != nil {
		return nil
	}
	return pamAuthUpdate(ctx, sys, rootOf(sys))
}

// Locked is what pam_faillock is told, and that PAM asks it.
type Locked struct {
	Attempts      int  `json:"attempts"`
	UnlockSeconds int  `json:"unlock_seconds"`
	WindowSeconds int  `json:"window_seconds"`
	IncludeRoot   bool `json:"include_root"`
	Asked         bool `json:"asked"` // PAM's common files have its lines, in order
}

func (l Lockout) observe(_ context.Context, sys *enforce.System) (any, error) {
	seen := Locked{Attempts: 3, UnlockSeconds: 600, WindowSeconds: 900} // the module's own, where the file is silent
	b, err := sys.ReadFile(faillockConf, maxPAM)
	if err != nil {
		return seen, err
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.Atoi(strings.TrimSpace(value)) // not every line has a number
		switch strings.TrimSpace(key) {
		case "deny":
			seen.Attempts = n
		case "unlock_time":
			seen.UnlockSeconds = n
		case "fail_interval":
			seen.WindowSeconds = n
		case "even_deny_root":
			seen.IncludeRoot = true
		}
	}
	if err := locks(sys); err != nil {
		return seen, err
	}
	seen.Asked = true
	if seen.Attempts != l.Attempts || seen.IncludeRoot != l.IncludeRoot ||
		(l.UnlockSeconds != nil && seen.UnlockSeconds != *l.UnlockSeconds) || (l.WindowSeconds != nil && seen.WindowSeconds != *l.WindowSeconds) {
		return seen, fmt.Errorf("%s is not as it was written", faillockConf)
	}
	return seen, nil
}
