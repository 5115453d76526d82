// Package sysctl enforces settings of the running kernel.
package sysctl

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "kernel.sysctl"

type value struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

var (
	keyForm   = regexp.MustCompile(`^[A-Za-z0-9_-]+([./][A-Za-z0-9_:-]+)+$`)
	valueForm = regexp.MustCompile(`^[ -~]{1,128}$`)
)

// before is a kernel setting's value from before us; nil where the kernel was not ours to
// change.
type before struct {
	Value *string `json:"value"`
}

// Enforcer enforces kernel.sysctl.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// Last marks it as one to apply after everything else: it may cut the device off.
func (*Enforcer) Last() {}

func decode(s manifest.Setting) (value, error) {
	v, err := enforce.Decode[value](s)
	switch {
	case err != nil:
	case !keyForm.MatchString(v.Key):
		err = fmt.Errorf("%q is no name of a kernel setting", v.Key)
	case !valueForm.MatchString(v.Value):
		err = fmt.Errorf("%q is no value of a kernel setting", v.Value)
	}
	return v, err
}

// procPath is where a kernel setting is. In names with dots a slash stands for a dot that is
// part of a name, as sysctl(8) has it.
func procPath(key string) string {
	if first := strings.IndexAny(key, "./"); key[first] == '/' {
		return path.Join("/proc/sys", key)
	}
	swap := strings.NewReplacer(".", "/", "/", ".")
	return path.Join("/proc/sys", swap.Replace(key))
}

func fileOf(id manifest.ID) string {
	return "/etc/sysctl.d/99-zz-handrail-" + id.Instance() + ".conf"
}

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, err := decode(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	now, err := read(v.Key)
	if err != nil {
		return enforce.Plan{}, enforce.NotApplicable("this kernel has no setting %s", v.Key)
	}
	var was before
	if sys.HasKernel() {
		was.Value = &now
	}
	return enforce.Plan{
		Files:  []enforce.File{{Path: fileOf(s.ID), Content: []byte("# " + enforce.Marker(s.ID) + "\n" + v.Key + " = " + v.Value + "\n")}},
		Before: was, Confirm: true,
	}, nil
}

// read is a setting's value in the running kernel.
func read(key string) (string, error) {
	b, err := os.ReadFile(procPath(key))
	return strings.Join(strings.Fields(string(b)), " "), err
}

func write(key, v string) error {
	if now, err := read(key); err == nil && now == v {
		return nil
	}
	f, err := os.OpenFile(procPath(key), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(v + "\n")
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("the kernel does not take %s = %s: %w", key, v, err)
	}
	return nil
}

// Apply implements enforce.Enforcer.
func (*Enforcer) Apply(_ context.Context, sys *enforce.System, s manifest.Setting) error {
	v, err := decode(s)
	if err != nil || !sys.HasKernel() {
		return err
	}
	return write(v.Key, v.Value)
}

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(_ context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, err := decode(s)
	if err != nil || !sys.HasKernel() {
		return map[string]string{}, err
	}
	now, err := read(v.Key)
	if want := strings.Join(strings.Fields(v.Value), " "); err == nil && now != want {
		err = fmt.Errorf("the kernel has %s = %s", v.Key, now)
	}
	return map[string]string{v.Key: now}, err
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(_ context.Context, sys *enforce.System, r enforce.Removal) error {
	v, err := decode(r.Setting)
	var was before
	if err != nil || len(r.Before) == 0 || !sys.HasKernel() {
		return nil //nolint:nilerr // such a value was never applied
	}
	if err := json.Unmarshal(r.Before, &was); err != nil || was.Value == nil {
		return err
	}
	return write(v.Key, *was.Value)
}
