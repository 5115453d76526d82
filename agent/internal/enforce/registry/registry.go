// Package registry enforces, on Windows, the settings that need no more than values of the
// registry: browsers, cameras, removable disks, the screen lock and the sign-in screen. What
// was there before each value is kept in a key of our own, which also says whose they are.
// reg.exe writes and reads back.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/browser"
	"handrail/agent/internal/enforce/desktop"
	"handrail/agent/internal/enforce/hardware"
	"handrail/mdm/manifest"
)

// own is where what was before is kept, one key for each setting.
const own = `HKLM\SOFTWARE\Handrail\Before\`

// Kinds of values.
const (
	dword = "REG_DWORD"
	text  = "REG_SZ"
)

// value is one of the registry's.
type value struct{ key, name, kind, data string }

// place is what a value is known by.
func (v value) place() string { return v.key + "|" + v.name }

// Enforcer enforces settings by values of the registry.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Portable says that it works on systems other than Linux.
func (*Enforcer) Portable() {}

// Keys are those of the enforcers for Linux that it stands in for.
func (*Enforcer) Keys() []string {
	return []string{browser.Key, hardware.KeyCamera, hardware.KeyStorage, desktop.KeyLock, desktop.KeyRestrictions}
}

const (
	policies  = `HKLM\SOFTWARE\Policies\`
	signIn    = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`
	explorer  = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer`
	removable = policies + `Microsoft\Windows\RemovableStorageDevices\{53f5630d-b6bf-11d0-94f2-00a0c91efb8b}` // disks
)

// browsers are the keys their policies are in.
var browsers = map[string]string{"firefox": `Mozilla\Firefox`, "chrome": `Google\Chrome`, "chromium": "Chromium", "edge": `Microsoft\Edge`}

// values are what a setting becomes, in order.
func values(s manifest.Setting) ([]value, error) {
	var out []value
	number := func(key, name string, n int) { out = append(out, value{key, name, dword, strconv.Itoa(n)}) }
	switch s.ID.Key() {
	case browser.Key:
		m, err := browser.Policies(s)
		if err != nil {
			return nil, err
		}
		return tree(policies+browsers[s.ID.Instance()], m, s.ID.Instance() == "firefox")
	case hardware.KeyCamera:
		v, err := enforce.Decode[hardware.Camera](s)
		if v.Disabled {
			number(policies+`Microsoft\Camera`, "AllowCamera", 0)
		}
		return out, err
	case hardware.KeyStorage:
		v, err := enforce.Decode[hardware.Storage](s)
		switch v.Mode {
		case "block":
			number(removable, "Deny_Read", 1)
			number(removable, "Deny_Execute", 1)
			number(removable, "Deny_Write", 1)
		case "read_only":
			number(removable, "Deny_Write", 1)
		}
		return out, err
	case desktop.KeyLock:
		v, err := enforce.Decode[desktop.Lock](s)
		if err != nil || v.IdleSeconds == nil || (v.Enabled != nil && !*v.Enabled) {
			return nil, err
		}
		idle := *v.IdleSeconds
		if v.LockDelaySeconds != nil {
			idle += *v.LockDelaySeconds
		}
		if idle < 1 || idle > 599940 {
			return nil, fmt.Errorf("idle_seconds and lock_delay_seconds are %d together, must be 1 to 599940", idle)
		}
		number(signIn, "InactivityTimeoutSecs", idle)
		return out, nil
	case desktop.KeyRestrictions:
		v, err := enforce.Decode[desktop.Restrictions](s)
		if err != nil {
			return nil, err
		}
		return restrictions(v)
	}
	return nil, fmt.Errorf("%s is not a setting of the registry", s.ID)
}

func restrictions(v desktop.Restrictions) ([]value, error) {
	var out []value
	flag := func(b *bool, key, name string, n int) {
		if b != nil && *b {
			out = append(out, value{key, name, dword, strconv.Itoa(n)})
		}
	}
	flag(v.HideUserList, signIn, "DontDisplayLastUserName", 1)
	flag(v.UserSwitching, signIn, "HideFastUserSwitching", 1)
	flag(v.Autorun, explorer, "NoAutorun", 1)
	flag(v.Autorun, explorer, "NoDriveTypeAutoRun", 255)
	if v.BannerText != nil {
		out = append(out, value{signIn, "LegalNoticeText", text, strings.Join(strings.Fields(*v.BannerText), " ")})
	}
	if len(out) == 0 {
		return nil, enforce.NotApplicable("none of these restrictions is a value of the registry")
	}
	return out, nil
}

// tree writes policies as values: lists as values named by numbers in a key of their own,
// objects as keys where the browser reads such (deep), else as JSON.
func tree(key string, m map[string]any, deep bool) ([]value, error) {
	var out []value
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.ContainsAny(name, "\\\r\n\x00") || name == "" {
			return nil, fmt.Errorf("%.40q cannot be a name in the registry", name)
		}
		switch v := m[name].(type) {
		case bool:
			out = append(out, value{key, name, dword, map[bool]string{true: "1", false: "0"}[v]})
		case float64:
			if v != float64(uint32(v)) {
				return nil, fmt.Errorf("%s is %v, which is not a number of the registry (0 to 4294967295)", name, v)
			}
			out = append(out, value{key, name, dword, strconv.FormatUint(uint64(v), 10)})
		case string:
			out = append(out, value{key, name, text, v})
		case []any:
			for i, e := range v {
				if t, ok := e.(string); ok {
					out = append(out, value{key + `\` + name, strconv.Itoa(i + 1), text, t})
					continue
				}
				b, err := json.Marshal(e)
				if err != nil {
					return nil, err
				}
				out = append(out, value{key + `\` + name, strconv.Itoa(i + 1), text, string(b)})
			}
		case map[string]any:
			if deep && name != "ExtensionSettings" { // which Firefox wants as JSON
				below, err := tree(key+`\`+name, v, deep)
				if err != nil {
					return nil, err
				}
				out = append(out, below...)
				continue
			}
			b, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			out = append(out, value{key, name, text, string(b)})
		}
	}
	return out, nil
}

// Plan checks the value; there are no files.
func (*Enforcer) Plan(ctx context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	want, err := values(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	if _, err := tool(sys); err != nil {
		return enforce.Plan{}, err
	}
	for _, v := range want {
		if strings.ContainsAny(v.data, "\r\n\x00") || len(v.data) > 16<<10 {
			return enforce.Plan{}, fmt.Errorf("%s is not one line of at most 16 KiB", v.name)
		}
	}
	return enforce.Plan{}, nil
}

// Apply writes the values, and puts back what was in the place of those that are not wanted
// any more.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	want, err := values(s)
	if err != nil {
		return err
	}
	return settle(ctx, sys, s.ID, want)
}

// Remove puts back what was there before.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	return settle(ctx, sys, r.Setting.ID, nil)
}

func ownKey(id manifest.ID) string { return own + strings.ReplaceAll(string(id), "/", "_") }

// settle makes exactly the values of want ours.
func settle(ctx context.Context, sys *enforce.System, id manifest.ID, want []value) error {
	before, err := query(ctx, sys, ownKey(id))
	if err != nil {
		return err
	}
	for place, was := range before {
		if slices.ContainsFunc(want, func(v value) bool { return strings.EqualFold(v.place(), place) }) {
			continue
		}
		key, name, _ := strings.Cut(place, "|")
		kind, data, there := strings.Cut(was.data, ":")
		if there {
			err = reg(ctx, sys, "add", key, "/v", name, "/t", kind, "/d", data, "/f")
		} else {
			err = remove(ctx, sys, key, name)
		}
		if err == nil {
			err = remove(ctx, sys, ownKey(id), place)
		}
		if err != nil {
			return err
		}
	}
	now := map[string]map[string]value{}
	for _, v := range want {
		if now[v.key] == nil {
			if now[v.key], err = query(ctx, sys, v.key); err != nil {
				return err
			}
		}
		if _, kept := before[v.place()]; !kept {
			was := "none"
			if old, there := now[v.key][v.name]; there {
				was = old.kind + ":" + old.data
			}
			if err := reg(ctx, sys, "add", ownKey(id), "/v", v.place(), "/t", text, "/d", was, "/f"); err != nil {
				return err
			}
		}
		if old := now[v.key][v.name]; old.kind != v.kind || old.data != v.data {
			if err := reg(ctx, sys, "add", v.key, "/v", v.name, "/t", v.kind, "/d", v.data, "/f"); err != nil {
				return err
			}
		}
	}
	if len(want) == 0 {
		if left, err := query(ctx, sys, ownKey(id)); err != nil || left == nil {
			return err
		}
		return reg(ctx, sys, "delete", ownKey(id), "/f")
	}
	return nil
}

// Observe reads the values back.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	want, err := values(s)
	if err != nil {
		return nil, err
	}
	seen := map[string]string{}
	now := map[string]map[string]value{}
	var wrong []string
	for _, v := range want {
		if now[v.key] == nil {
			if now[v.key], err = query(ctx, sys, v.key); err != nil {
				return nil, err
			}
		}
		is := now[v.key][v.name]
		seen[v.key+`\`+v.name] = is.data
		if is.kind != v.kind || is.data != v.data {
			wrong = append(wrong, fmt.Sprintf(`%s\%s is %q, must be %q`, v.key, v.name, is.data, v.data))
		}
	}
	if len(wrong) > 0 {
		return seen, errors.New(strings.Join(wrong, "; "))
	}
	return seen, nil
}

// tool is reg.exe, which every Windows has.
func tool(sys *enforce.System) (string, error) {
	if root := os.Getenv("SystemRoot"); sys.Path == "" && root != "" {
		return filepath.Join(root, "System32", "reg.exe"), nil
	}
	return sys.Tool("reg.exe", "Windows")
}

func reg(ctx context.Context, sys *enforce.System, args ...string) error {
	p, err := tool(sys)
	if err == nil {
		_, err = sys.Run(ctx, enforce.Program{Path: p, Args: args})
	}
	return err
}

// remove deletes a value, which may be gone already.
func remove(ctx context.Context, sys *enforce.System, key, name string) error {
	values, err := query(ctx, sys, key)
	if _, there := values[name]; err != nil || !there {
		return err
	}
	return reg(ctx, sys, "delete", key, "/v", name, "/f")
}

// query returns the values of a key by name; nil where there is no such key.
func query(ctx context.Context, sys *enforce.System, key string) (map[string]value, error) {
	p, err := tool(sys)
	if err != nil {
		return nil, err
	}
	r, err := sys.Run(ctx, enforce.Program{Path: p, Args: []string{"query", key}})
	if err != nil {
		if r.Code == 1 {
			return nil, nil // it says so in the language of the device
		}
		return nil, err
	}
	return parse(key, r.Out), nil
}

// parse reads what reg.exe prints: four blanks, the name, the kind and the data, each four
// blanks apart.
func parse(key, out string) map[string]value {
	m := map[string]value{}
	for line := range strings.Lines(out) {
		line, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "    ")
		if !ok {
			continue
		}
		at := strings.Index(line, "    REG_")
		if at < 0 {
			continue
		}
		kind, data, _ := strings.Cut(line[at+4:], "    ")
		if n, err := strconv.ParseUint(strings.TrimPrefix(data, "0x"), 16, 32); kind == dword && err == nil {
			data = strconv.FormatUint(n, 10)
		}
		m[line[:at]] = value{key, line[:at], kind, data}
	}
	return m
}
