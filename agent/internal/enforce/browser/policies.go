package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// raw is a value's own policies, to which the common ones are added.
func (v Value) raw() map[string]any {
	m := make(map[string]any, len(v.Managed)+8)
	for name, value := range v.Managed {
		m[name] = value
	}
	return m
}

var chromiumID = regexp.MustCompile(`^[a-p]{32}$`)

// chromium renders policies for Chrome and its relatives, which differ in the name of the
// policy about private windows.
func chromium(private string) func(Value) (map[string]any, error) {
	return func(v Value) (map[string]any, error) {
		m := v.raw()
		if len(v.URLBlock) > 0 {
			m["URLBlocklist"] = v.URLBlock
		}
		if len(v.URLAllow) > 0 {
			m["URLAllowlist"] = v.URLAllow
		}
		if v.Homepage != "" {
			m["HomepageLocation"], m["HomepageIsNewTabPage"] = v.Homepage, false
		}
		for i, e := range v.ExtensionsForced {
			id, address, has := strings.Cut(e, ";")
			if !chromiumID.MatchString(id) || (has && !isURL(address)) {
				return nil, fmt.Errorf("extensions_forced[%d] is not an extension's id (32 letters a to p), or id;address", i)
			}
		}
		for i, e := range v.ExtensionsBlocked {
			if e != "*" && !chromiumID.MatchString(e) {
				return nil, fmt.Errorf("extensions_blocked[%d] is neither * nor an extension's id (32 letters a to p)", i)
			}
		}
		if len(v.ExtensionsForced) > 0 {
			m["ExtensionInstallForcelist"] = v.ExtensionsForced
		}
		if len(v.ExtensionsBlocked) > 0 {
			m["ExtensionInstallBlocklist"] = v.ExtensionsBlocked
		}
		if v.PasswordManager != nil {
			m["PasswordManagerEnabled"] = *v.PasswordManager
		}
		if v.PrivateMode != nil {
			m[private] = map[bool]int{false: 1}[*v.PrivateMode] // 0: available, 1: not
		}
		return m, nil
	}
}

// firefox renders policies for Firefox.
func firefox(v Value) (map[string]any, error) {
	m := v.raw()
	if len(v.URLBlock)+len(v.URLAllow) > 0 {
		m["WebsiteFilter"] = map[string]any{"Block": patterns(v.URLBlock), "Exceptions": patterns(v.URLAllow)}
	}
	if v.Homepage != "" {
		m["Homepage"] = map[string]any{"URL": v.Homepage, "Locked": true, "StartPage": "homepage"}
	}
	extensions := map[string]any{}
	for _, id := range v.ExtensionsBlocked {
		extensions[id] = map[string]any{"installation_mode": "blocked"}
	}
	for i, e := range v.ExtensionsForced {
		id, address, _ := strings.Cut(e, ";")
		if id == "" || id == "*" || !isURL(address) {
			return nil, fmt.Errorf("extensions_forced[%d] is not id;address of the .xpi", i)
		}
		extensions[id] = map[string]any{"installation_mode": "force_installed", "install_url": address}
	}
	if len(extensions) > 0 {
		m["ExtensionSettings"] = maps.Clone(extensions)
	}
	if v.PasswordManager != nil {
		m["PasswordManagerEnabled"] = *v.PasswordManager
		m["OfferToSaveLogins"] = *v.PasswordManager
	}
	if v.PrivateMode != nil {
		m["DisablePrivateBrowsing"] = !*v.PrivateMode
	}
	return m, nil
}

// patterns makes match patterns of Firefox's of plain host names, and of * everything.
func patterns(list []string) []string {
	out := []string{}
	for _, e := range list {
		switch {
		case e == "*":
			e = "<all_urls>"
		case !strings.Contains(e, "://") && !strings.HasPrefix(e, "<"):
			host, rest, has := strings.Cut(e, "/")
			if !has {
				rest = "*"
			}
			e = "*://*." + strings.TrimPrefix(strings.TrimPrefix(host, "*."), ".") + "/" + rest
		}
		out = append(out, e)
	}
	return out
}

// Policies is what a setting says in the browser's own names, for systems on which these are
// not a file of JSON.
func Policies(s manifest.Setting) (map[string]any, error) {
	i := slices.IndexFunc(products, func(p product) bool { return p.name == s.ID.Instance() })
	if i < 0 {
		return nil, fmt.Errorf("%q is not a browser this agent knows", s.ID.Instance())
	}
	v, err := enforce.Decode[Value](s)
	if err == nil {
		err = v.check()
	}
	if err != nil {
		return nil, err
	}
	m, err := products[i].render(v)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	clear(m)
	return m, json.Unmarshal(b, &m) // so that all of it is of JSON's own types
}
