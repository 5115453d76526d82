// Package browser gives web browsers their policies, by the files each of them reads: what
// it may open, its extensions, and whatever else the browser knows by a name of its own.
// Browsers say on a page of theirs (chrome://policy, about:policies) what they took; no
// program of theirs checks a file, so that what is written here is checked here: names,
// forms, and that no other file of the device says otherwise.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key that is enforced here.
const Key = "browser.policy"

// Value is the value of browser.policy; nil leaves the browser's own.
type Value struct {
	Managed           map[string]json.RawMessage `json:"managed"` // the browser's policies by their own names
	URLBlock          []string                   `json:"url_block"`
	URLAllow          []string                   `json:"url_allow"`
	Homepage          string                     `json:"homepage"`
	ExtensionsForced  []string                   `json:"extensions_forced"` // id, or id;address
	ExtensionsBlocked []string                   `json:"extensions_blocked"`
	PasswordManager   *bool                      `json:"password_manager"`
	PrivateMode       *bool                      `json:"private_mode"`
}

const (
	maxList = 1000
	maxText = 2048 // bytes of an entry
	maxFile = 4 << 20
)

// product is a browser and where it is and looks.
type product struct {
	name     string
	programs []string // one of which is there where the browser is
	files    []place
	render   func(Value) (map[string]any, error)
	single   bool // it reads one file, not a directory of them
}

// place is a file of policies, for the way of installing that needs it.
type place struct{ path, where string } // where is a program; "" is always

var products = []product{
	{
		name: "firefox", single: true, render: firefox,
		programs: []string{"/usr/bin/firefox", "/usr/bin/firefox-esr", "/snap/bin/firefox", "/opt/firefox/firefox", "/usr/lib/firefox/firefox", "/usr/lib64/firefox/firefox"},
		files:    []place{{"/etc/firefox/policies/policies.json", ""}},
	},
	{
		name: "chrome", render: chromium("IncognitoModeAvailability"),
		programs: []string{"/usr/bin/google-chrome", "/usr/bin/google-chrome-stable", "/opt/google/chrome/chrome"},
		files:    []place{{"/etc/opt/chrome/policies/managed/zz-handrail.json", ""}},
	},
	{
		name: "chromium", render: chromium("IncognitoModeAvailability"),
		programs: []string{"/usr/bin/chromium", "/usr/bin/chromium-browser", "/snap/bin/chromium"},
		files:    []place{{"/etc/chromium/policies/managed/zz-handrail.json", ""}, {"/etc/chromium-browser/policies/managed/zz-handrail.json", "/snap/bin/chromium"}},
	},
	{
		name: "edge", render: chromium("InPrivateModeAvailability"),
		programs: []string{"/usr/bin/microsoft-edge", "/usr/bin/microsoft-edge-stable", "/opt/microsoft/msedge/msedge"},
		files:    []place{{"/etc/opt/edge/policies/managed/zz-handrail.json", ""}},
	},
}

// Enforcer enforces policies of browsers.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys is browser.policy.
func (*Enforcer) Keys() []string { return []string{Key} }

// wanted is what a setting becomes on this device.
type wanted struct {
	product
	policies map[string]any
	content  []byte
	at       []string
}

func want(sys *enforce.System, s manifest.Setting) (wanted, error) {
	i := slices.IndexFunc(products, func(p product) bool { return p.name == s.ID.Instance() })
	if i < 0 {
		return wanted{}, fmt.Errorf("%q is not a browser this agent knows", s.ID.Instance())
	}
	w := wanted{product: products[i]}
	v, err := enforce.Decode[Value](s)
	if err != nil {
		return w, err
	}
	if err := v.check(); err != nil {
		return w, err
	}
	if !slices.ContainsFunc(w.programs, sys.Exists) {
		return w, enforce.NotApplicable("the browser %s is not on the device", w.name)
	}
	if w.policies, err = w.render(v); err != nil {
		return w, err
	}
	for _, f := range w.files {
		if f.where == "" || sys.Exists(f.where) {
			w.at = append(w.at, f.path)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	var whole any = w.policies
	if w.single {
		whole = map[string]any{"policies": w.policies}
	}
	err = e.Encode(whole)
	w.content = b.Bytes()
	return w, err
}

var policyName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,127}$`)

// check says what is wrong with a value, whatever the browser.
func (v Value) check() error {
	for name, list := range map[string][]string{"url_block": v.URLBlock, "url_allow": v.URLAllow, "extensions_forced": v.ExtensionsForced, "extensions_blocked": v.ExtensionsBlocked} {
		if len(list) > maxList {
			return fmt.Errorf("%s has %d entries, at most %d", name, len(list), maxList)
		}
		for i, e := range list {
			if e == "" || len(e) > maxText || strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
				return fmt.Errorf("%s[%d] is empty, too long, or has blanks in it", name, i)
			}
		}
	}
	if v.Homepage != "" && (len(v.Homepage) > maxText || !isURL(v.Homepage)) {
		return errors.New("homepage is not an address that begins with http:// or https://")
	}
	for name := range v.Managed {
		if !policyName.MatchString(name) {
			return fmt.Errorf("managed: %.40q cannot be the name of a policy", name)
		}
	}
	return nil
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") || s == "about:blank"
}

// Plan writes the browser's file.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	w, err := want(sys, s)
	if err != nil {
		return enforce.Plan{}, err
	}
	var p enforce.Plan
	for _, at := range w.at {
		p.Files = append(p.Files, enforce.File{Path: at, Content: w.content})
	}
	p.Check = func(_ context.Context, staged enforce.Staged) error {
		for _, at := range w.at {
			if !w.single {
				if err := w.overruled(sys, at); err != nil {
					return err
				}
			}
			b, err := os.ReadFile(staged.Path(at))
			if err != nil {
				return err
			}
			if _, err := w.read(b); err != nil {
				return err
			}
		}
		return nil
	}
	return p, nil
}

// Apply has nothing to do: browsers notice the file, or read it when they start.
func (*Enforcer) Apply(context.Context, *enforce.System, manifest.Setting) error { return nil }

// Remove has nothing to do either.
func (*Enforcer) Remove(context.Context, *enforce.System, enforce.Removal) error { return nil }

// Observed is what a browser that starts now is told.
type Observed struct {
	Files    []string                   `json:"files"`
	Policies map[string]json.RawMessage `json:"policies"`
}

// Observe reads the file as the browser does, and the others beside it.
func (*Enforcer) Observe(_ context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	w, err := want(sys, s)
	if err != nil {
		return nil, err
	}
	seen := Observed{Files: w.at}
	for _, at := range w.at {
		b, err := sys.ReadFile(at, maxFile)
		if err != nil {
			return seen, err
		}
		if seen.Policies, err = w.read(b); err != nil {
			return seen, err
		}
		for name := range w.policies {
			if _, there := seen.Policies[name]; !there {
				return seen, fmt.Errorf("%s is not in %s", name, at)
			}
		}
		if !w.single {
			if err := w.overruled(sys, at); err != nil {
				return seen, err
			}
		}
	}
	return seen, nil
}

// read reads a file of policies.
func (w wanted) read(b []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if w.single {
		var whole struct {
			Policies map[string]json.RawMessage `json:"policies"`
		}
		err := json.Unmarshal(b, &whole)
		return whole.Policies, err
	}
	err := json.Unmarshal(b, &m)
	return m, err
}

// overruled says which other file of the directory sets a policy of ours to something else:
// of several the browser takes that of the last file by name.
func (w wanted) overruled(sys *enforce.System, at string) error {
	dir, ours := path.Split(at)
	entries, err := os.ReadDir(sys.Abs(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() <= ours || !e.Type().IsRegular() {
			continue
		}
		b, err := sys.ReadFile(path.Join(dir, e.Name()), maxFile)
		if err != nil {
			return err
		}
		other, err := w.read(b)
		if err != nil {
			continue // the browser passes it over as well
		}
		for name := range w.policies {
			if _, both := other[name]; both {
				return enforce.Conflict("%s sets %s too, and the browser takes that of the last file: take it out there", path.Join(dir, e.Name()), name)
			}
		}
	}
	return nil
}
