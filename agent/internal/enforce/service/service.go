// Package service enforces whether services of systemd run, start with the device, or
// cannot be started at all. It speaks D-Bus to systemd; a scratch tree, which nobody runs,
// is changed by systemctl --root.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "service.state"

// ownUnit is the agent's, which a policy does not end.
const ownUnit = "handrail-agent.service"

type value struct {
	Name    string `json:"name"`
	Enabled *bool  `json:"enabled"` // nil leaves it as it is
	Running *bool  `json:"running"`
	Masked  bool   `json:"masked"`
}

// state is how a unit is: the words of systemd.
type state struct {
	File   string `json:"unit_file_state"`        // enabled, disabled, static, masked, ...; "" where there is no such unit
	Active string `json:"active_state,omitempty"` // active, inactive, failed, ...; "" where nobody runs units
}

// manager is whoever can change units.
type manager interface {
	state(ctx context.Context, name string) (state, error)
	enable(ctx context.Context, name string) error
	disable(ctx context.Context, name string) error
	mask(ctx context.Context, name string) error
	unmask(ctx context.Context, name string) error
	start(ctx context.Context, name string) error
	stop(ctx context.Context, name string) error
	close()
}

// Enforcer enforces service.state.
type Enforcer struct {
	mu    sync.Mutex
	names map[string]bool // units that are looked after
	more  chan struct{}   // a name came
}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{names: map[string]bool{}, more: make(chan struct{}, 1)} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// Last marks it as one to apply after everything else: its files are there by then, and it
// may cut the device off.
func (*Enforcer) Last() {}

var unitForm = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,190}\.(service|socket|timer|path|target|mount|automount|swap|slice)$`)

func decode(s manifest.Setting) (value, error) {
	v, err := enforce.Decode[value](s)
	switch {
	case err != nil:
	case !unitForm.MatchString(v.Name):
		err = fmt.Errorf("%q is no name of a unit", v.Name)
	case v.Masked && (isTrue(v.Enabled) || isTrue(v.Running)):
		err = errors.New("a service that cannot be started neither runs nor starts with the device")
	case v.Name == ownUnit && (v.Masked || isFalse(v.Enabled) || isFalse(v.Running)):
		err = enforce.Conflict("%s is the agent itself", ownUnit)
	}
	return v, err
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }

// open returns who changes units on the system.
func open(ctx context.Context, sys *enforce.System) (manager, error) {
	if sys.Bus == "" && !sys.Live() {
		return newOffline(sys)
	}
	if sys.Bus == "" {
		if _, err := os.Stat("/run/systemd/system"); err != nil {
			return nil, enforce.NotApplicable("the device is not run by systemd")
		}
	}
	return dial(ctx, sys.Bus)
}

// Plan implements enforce.Enforcer.
func (e *Enforcer) Plan(ctx context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, err := decode(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	m, err := open(ctx, sys)
	if err != nil {
		return enforce.Plan{}, err
	}
	defer m.close()
	now, err := m.state(ctx, v.Name)
	if err != nil {
		return enforce.Plan{}, err
	}
	e.note(v.Name)
	if now.File == "" && now.Active != "active" {
		if !isTrue(v.Enabled) && !isTrue(v.Running) {
			return enforce.Plan{}, enforce.NotApplicable("the device has no unit %s", v.Name)
		}
		return enforce.Plan{}, enforce.NotApplicable("the device has no unit %s: install what brings it", v.Name)
	}
	if isTrue(v.Enabled) && slices.Contains([]string{"static", "indirect", "generated", "transient"}, now.File) {
		return enforce.Plan{}, enforce.Conflict("%s is %s: it starts when others ask for it and cannot be enabled", v.Name, now.File)
	}
	return enforce.Plan{Before: now, Confirm: true}, nil
}

func (e *Enforcer) note(name string) {
	e.mu.Lock()
	e.names[name] = true
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// Apply implements enforce.Enforcer.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	v, err := decode(s)
	if err != nil {
		return err
	}
	m, err := open(ctx, sys)
	if err != nil {
		return err
	}
	defer m.close()
	return change(ctx, m, v)
}

// change brings a unit to where v wants it, by as few steps as there are.
func change(ctx context.Context, m manager, v value) error {
	now, err := m.state(ctx, v.Name)
	if err != nil {
		return err
	}
	masked := isMasked(now.File)
	if !v.Masked && masked {
		if err := m.unmask(ctx, v.Name); err != nil {
			return err
		}
		if now, err = m.state(ctx, v.Name); err != nil {
			return err
		}
	}
	if (v.Masked || isFalse(v.Running)) && isUp(now.Active) {
		if err := m.stop(ctx, v.Name); err != nil {
			return err
		}
	}
	switch {
	case v.Masked && !masked:
		return m.mask(ctx, v.Name)
	case v.Masked:
		return nil
	case isTrue(v.Enabled) && !isEnabled(now.File):
		err = m.enable(ctx, v.Name)
	case isFalse(v.Enabled) && isEnabled(now.File):
		err = m.disable(ctx, v.Name)
	}
	if err == nil && isTrue(v.Running) && now.Active != "active" && now.Active != "" {
		err = m.start(ctx, v.Name)
	}
	return err
}

func isMasked(file string) bool  { return file == "masked" || file == "masked-runtime" }
func isEnabled(file string) bool { return file == "enabled" || file == "enabled-runtime" }

func isUp(active string) bool {
	return active == "active" || active == "activating" || active == "reloading" || active == "refreshing"
}

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, err := decode(s)
	if err != nil {
		return nil, err
	}
	m, err := open(ctx, sys)
	if err != nil {
		return nil, err
	}
	defer m.close()
	now, err := m.state(ctx, v.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case v.Masked != isMasked(now.File):
		err = fmt.Errorf("%s is %s", v.Name, now.File)
	case isTrue(v.Enabled) && !isEnabled(now.File) && now.File != "alias", isFalse(v.Enabled) && isEnabled(now.File):
		err = fmt.Errorf("%s is %s", v.Name, now.File)
	case now.Active == "": // nobody runs units
	case isTrue(v.Running) && now.Active != "active", isFalse(v.Running) && isUp(now.Active), v.Masked && isUp(now.Active):
		err = fmt.Errorf("%s is %s", v.Name, now.Active)
	}
	return now, err
}

// Remove implements enforce.Enforcer.
func (e *Enforcer) Remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	v, err := decode(r.Setting)
	if err != nil || len(r.Before) == 0 {
		return nil //nolint:nilerr // such a value was never applied
	}
	var was state
	if err := json.Unmarshal(r.Before, &was); err != nil {
		return err
	}
	m, err := open(ctx, sys)
	if errors.Is(err, enforce.ErrNotApplicable) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.close()
	now, err := m.state(ctx, v.Name)
	if err != nil {
		return err
	}
	if now.File == "" { // it was uninstalled meanwhile
		return nil
	}
	back := value{Name: v.Name, Masked: isMasked(was.File)}
	if enabled := isEnabled(was.File); v.Enabled != nil && !back.Masked {
		back.Enabled = &enabled
	}
	if running := isUp(was.Active); (v.Running != nil || v.Masked) && was.Active != "" && !back.Masked {
		back.Running = &running
	}
	return change(ctx, m, back)
}
