package plist_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/plist"
	"handrail/mdm/manifest"
)

type object = map[string]any

const chromeAt = "/Library/Managed Preferences/com.google.Chrome.plist"

// plutil is macOS's, done by a reader of property lists that is not ours: Python's.
const plutil = `#!/usr/bin/env python3
import json, plistlib, sys
with open(sys.argv[-1], "rb") as f:
    value = plistlib.load(f)
if sys.argv[1] == "-convert":
    print(json.dumps(value))
`

func machine(t *testing.T) *enforcetest.Machine {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plutil"), []byte(plutil), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = dir + ":/usr/bin:/bin" }, plist.New())
	m.Write("/Applications/Google Chrome.app/Contents/Info.plist", "")
	m.Write("/Applications/Firefox.app/Contents/Info.plist", "")
	return m
}

func TestPoliciesComeAndGo(t *testing.T) {
	m := machine(t)
	m.Write("/Library/Preferences/org.mozilla.firefox.plist", "theirs")
	before := m.Tree()
	st := m.Set("browser.policy/chrome", object{"url_block": []string{"a&b.example.com", "<x>"}, "password_manager": false, "managed": object{"A": 1.5, "B": object{"c": []any{1, true, "d\ne"}}}})
	m.Want(st, manifest.Applied, "")
	var seen object
	if err := json.Unmarshal(st.Observed, &seen); err != nil || seen["A"] != 1.5 || seen["PasswordManagerEnabled"] != false || !strings.Contains(string(st.Observed), `["a\u0026b.example.com","\u003cx\u003e"]`) {
		t.Errorf("observed %s (%v)", st.Observed, err)
	}
	m.Want(m.Set("browser.policy/firefox", object{"private_mode": false}), manifest.Applied, "")
	if text := m.Read("/Library/Preferences/org.mozilla.firefox.plist"); !strings.Contains(text, "<key>EnterprisePoliciesEnabled</key>\n<true/>") {
		t.Errorf("firefox:\n%s", text)
	}
	m.Unset("browser.policy/chrome")
	m.Unset("browser.policy/firefox")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestBadPolicies(t *testing.T) {
	for words, managed := range map[string]object{"no null": {"A": nil}, "control characters": {"A": "\u0001"}} {
		m := machine(t)
		m.Want(m.Set("browser.policy/chrome", object{"managed": managed}), manifest.Failed, words)
		if m.Read(chromeAt) != "" {
			t.Error("written all the same")
		}
	}
	m := machine(t)
	m.Want(m.Set("browser.policy/edge", object{}), manifest.NotApplicable, "Edge.app is not on the device")
	m = enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, plist.New())
	m.Write("/Applications/Google Chrome.app/x", "")
	m.Want(m.Set("browser.policy/chrome", object{}), manifest.Failed, "plutil")
}
