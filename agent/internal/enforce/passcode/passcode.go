// Package passcode makes new passwords as good as a policy says, locks accounts after wrong
// ones, and lets passwords end: by files of our own for libpwquality and pam_faillock, by
// profiles of pam-auth-update (files it makes are never edited), and by login.defs and
// chage. pwscore, pam-auth-update, chage and useradd judge and read back.
package passcode

import (
	"context"
	"fmt"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Keys of the catalogue that are enforced here.
const (
	KeyQuality = "passcode.quality"
	KeyLockout = "passcode.lockout"
	KeyAgeing  = "passcode.ageing"
)

// Enforcer enforces what passwords must be.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys are passcode.quality, passcode.lockout and passcode.ageing.
func (*Enforcer) Keys() []string { return []string{KeyQuality, KeyLockout, KeyAgeing} }

// Watch notices changes of the files of PAM, libpwquality and the tools for accounts that are
// not ours alone.
func (*Enforcer) Watch(ctx context.Context, sys *enforce.System, changed func()) error {
	return enforce.WatchPaths(ctx, sys, changed, pamDir+"/common-auth", pamDir+"/common-account", pamDir+"/common-password", securityDir+"/pwquality.conf", loginDefs, useradd)
}

// rule is one of the three settings.
type rule interface {
	plan(ctx context.Context, sys *enforce.System, id manifest.ID) (enforce.Plan, error)
	apply(ctx context.Context, sys *enforce.System) error
	observe(ctx context.Context, sys *enforce.System) (any, error)
	remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error
}

func ruleOf(s manifest.Setting) (rule, error) {
	switch s.ID.Key() {
	case KeyQuality:
		return enforce.Decode[Quality](s)
	case KeyLockout:
		return enforce.Decode[Lockout](s)
	case KeyAgeing:
		return enforce.Decode[Ageing](s)
	}
	return nil, fmt.Errorf("%s is not a setting of passwords", s.ID)
}

// Plan says what must be so for s.
func (*Enforcer) Plan(ctx context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	r, err := ruleOf(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	return r.plan(ctx, sys, s.ID)
}

// Apply makes s effective.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	r, err := ruleOf(s)
	if err != nil {
		return err
	}
	return r.apply(ctx, sys)
}

// Observe reads the effective rules.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	r, err := ruleOf(s)
	if err != nil {
		return nil, err
	}
	return r.observe(ctx, sys)
}

// Remove takes s back.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, removal enforce.Removal) error {
	r, err := ruleOf(removal.Setting)
	if err != nil {
		return nil //nolint:nilerr // a value that could not be read was never applied
	}
	return r.remove(ctx, sys, removal)
}
