package registry_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/registry"
	"handrail/mdm/manifest"
)

type object = map[string]any

// TestMain is reg.exe where it is called so: a registry in a file beside it, which answers as
// the one of Windows does.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "reg.exe" {
		syscall.Exit(fakeReg(os.Args[0]+".json", os.Args[1:])) // not os.Exit: the race detector would sleep a second
	}
	os.Exit(m.Run())
}

// hive is values by key and name: kind and data.
type hive map[string]map[string][2]string

func load(file string) hive {
	h := hive{}
	if b, err := os.ReadFile(file); err == nil {
		json.Unmarshal(b, &h)
	}
	return h
}

func fakeReg(file string, args []string) int {
	h := load(file)
	verb, key := args[0], args[1]
	flags := map[string]string{}
	for i := 2; i < len(args); i++ {
		if args[i] == "/f" {
			flags["/f"] = "yes"
		} else if i+1 < len(args) {
			flags[args[i]] = args[i+1]
			i++
		}
	}
	values, there := h[key]
	switch {
	case verb == "query" && !there:
		fmt.Fprintln(os.Stderr, "ERROR: The system was unable to find the specified registry key or value.")
		return 1
	case verb == "query":
		fmt.Printf("\r\n%s\r\n", strings.Replace(key, "HKLM", "HKEY_LOCAL_MACHINE", 1)) //nolint:forbidigo // it is a program of its own here
		for _, name := range slices.Sorted(maps.Keys(values)) {
			data := values[name][1]
			if values[name][0] == "REG_DWORD" {
				var n uint32
				fmt.Sscan(data, &n)
				data = fmt.Sprintf("0x%x", n)
			}
			fmt.Printf("    %s    %s    %s\r\n", name, values[name][0], data) //nolint:forbidigo // as above
		}
		return 0
	case flags["/f"] == "":
		return 1 // it would ask
	case verb == "add":
		if !there {
			h[key] = map[string][2]string{}
		}
		h[key][flags["/v"]] = [2]string{flags["/t"], flags["/d"]}
	case verb == "delete" && flags["/v"] != "":
		if _, is := values[flags["/v"]]; !is {
			return 1
		}
		delete(values, flags["/v"])
	case verb == "delete":
		delete(h, key)
	}
	b, _ := json.Marshal(h)
	if os.WriteFile(file, b, 0o600) != nil {
		return 1
	}
	return 0
}

// machine has a registry; HANDRAIL_TEST_REG may name the directory of another reg.exe, as a
// script that calls Wine's.
func machine(t *testing.T) (m *enforcetest.Machine, look func() hive) {
	t.Helper()
	dir := os.Getenv("HANDRAIL_TEST_REG")
	if dir == "" {
		dir = t.TempDir()
		me, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(me, filepath.Join(dir, "reg.exe")); err != nil {
			t.Fatal(err)
		}
	}
	m = enforcetest.New(t, func(c *enforce.Config) { c.System.Path = dir }, registry.New())
	return m, func() hive { return load(filepath.Join(dir, "reg.exe.json")) }
}

func TestValuesComeAndGo(t *testing.T) {
	m, look := machine(t)
	st := m.Set("browser.policy/edge", object{"url_block": []string{"a.example.com", "b.example.com"}, "homepage": "https://start.example.com/", "private_mode": false, "managed": object{"ProxySettings": object{"ProxyMode": "system"}, "MaxConnectionsPerProxy": 40}})
	m.Want(st, manifest.Applied, "")
	for _, w := range []string{`Edge\\URLBlocklist\\2":"b.example.com"`, `"HKLM\\SOFTWARE\\Policies\\Microsoft\\Edge\\InPrivateModeAvailability":"1"`, `ProxySettings":"{\"ProxyMode\":\"system\"}"`, `MaxConnectionsPerProxy":"40"`} {
		if !strings.Contains(string(st.Observed), w) {
			t.Errorf("observed %s, want %s", st.Observed, w)
		}
	}
	m.Want(m.Set("browser.policy/firefox", object{"url_block": []string{"a.example.com"}, "extensions_blocked": []string{"*"}}), manifest.Applied, "")
	m.Want(m.Set("camera.disabled", object{"disabled": true}), manifest.Applied, "")
	m.Want(m.Set("usb.storage", object{"mode": "block"}), manifest.Applied, "")
	m.Want(m.Set("screen.lock", object{"enabled": true, "idle_seconds": 300, "lock_delay_seconds": 60, "lock_on_suspend": true}), manifest.Applied, "")
	m.Want(m.Set("desktop.restrictions", object{"banner_text": "Ours.\nHands off.", "hide_user_list": true, "disable_printing": true}), manifest.Applied, "")
	m.Want(m.Set("browser.policy/edge", object{"url_block": []string{"a.example.com"}}), manifest.Applied, "") // the list became shorter
	st = m.Set("usb.storage", object{"mode": "read_only"})
	m.Want(st, manifest.Applied, "")
	if strings.Contains(string(st.Observed), "Deny_Read") {
		t.Errorf("observed %s", st.Observed)
	}
	if os.Getenv("HANDRAIL_TEST_REG") == "" {
		h := look()
		if v := h[`HKLM\SOFTWARE\Policies\Microsoft\Edge\URLBlocklist`]; len(v) != 1 {
			t.Errorf("the list is %v", v)
		}
		if v := h[`HKLM\SOFTWARE\Policies\Mozilla\Firefox\WebsiteFilter\Block`]["1"]; v[1] != "*://*.a.example.com/*" {
			t.Errorf("firefox blocks %v", v)
		}
	}
	for _, id := range []manifest.ID{"browser.policy/edge", "browser.policy/firefox", "camera.disabled", "usb.storage", "screen.lock", "desktop.restrictions"} {
		m.Unset(id)
	}
	for key, values := range look() {
		if len(values) > 0 || strings.Contains(key, "Handrail") {
			t.Errorf("left behind: %s %v", key, values)
		}
	}
}

func TestWhatWasThereComesBack(t *testing.T) {
	m, look := machine(t)
	if os.Getenv("HANDRAIL_TEST_REG") != "" {
		return // it looks into the file
	}
	const key = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`
	if code := fakeReg(filepath.Join(m.System.Path, "reg.exe.json"), []string{"add", key, "/v", "InactivityTimeoutSecs", "/t", "REG_DWORD", "/d", "900", "/f"}); code != 0 {
		t.Fatal(code)
	}
	m.Want(m.Set("screen.lock", object{"idle_seconds": 60}), manifest.Applied, "")
	m.Restart()
	m.Want(m.Set("screen.lock", object{"idle_seconds": 120}), manifest.Applied, "")
	// Somebody changes it: it is mended.
	fakeReg(filepath.Join(m.System.Path, "reg.exe.json"), []string{"add", key, "/v", "InactivityTimeoutSecs", "/t", "REG_DWORD", "/d", "5", "/f"})
	st := m.Enforce()["screen.lock"]
	m.Want(st, manifest.Applied, "")
	if v := look()[key]["InactivityTimeoutSecs"]; v[1] != "120" || st.Mended != 1 {
		t.Errorf("mended %d times: %v", st.Mended, v)
	}
	m.Unset("screen.lock")
	if v := look()[key]["InactivityTimeoutSecs"]; v != [2]string{"REG_DWORD", "900"} {
		t.Errorf("after removal: %v", v)
	}
}

func TestBadValues(t *testing.T) {
	for _, tt := range []struct {
		id    manifest.ID
		value object
		state manifest.State
		words string
	}{
		{"browser.policy/edge", object{"managed": object{"X": -1}}, manifest.Failed, "not a number of the registry"},
		{"browser.policy/edge", object{"managed": object{"X": "a\r\nb"}}, manifest.Failed, "one line"},
		{"browser.policy/edge", object{"managed": object{`X\Y`: true}}, manifest.Failed, "name of a policy"},
		{"browser.policy/firefox", object{"managed": object{"X": object{`a\b`: true}}}, manifest.Failed, "name in the registry"},
		{"screen.lock", object{"idle_seconds": 10000000}, manifest.Failed, "599940"},
		{"desktop.restrictions", object{"disable_printing": true}, manifest.NotApplicable, "registry"},
	} {
		m, look := machine(t)
		m.Want(m.Set(tt.id, tt.value), tt.state, tt.words)
		if h := look(); len(h) > 0 && os.Getenv("HANDRAIL_TEST_REG") == "" {
			t.Errorf("%s: written all the same: %v", tt.words, h)
		}
	}
}
