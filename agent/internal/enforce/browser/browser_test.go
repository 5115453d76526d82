package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/browser"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/mdm/manifest"
)

type object = map[string]any

const (
	chromiumAt = "/etc/chromium/policies/managed/zz-handrail.json"
	firefoxAt  = "/etc/firefox/policies/policies.json"
	extension  = "cjpalhdlnbpafiamejdnhcphjbkeiagm"
)

func machine(t *testing.T, programs ...string) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, nil, browser.New())
	m.Write("/etc/hostname", "device\n")
	for _, p := range programs {
		m.WriteMode(p, "", 0o755)
	}
	return m
}

var common = object{
	"url_block": []string{"blocked.example.com"}, "url_allow": []string{"blocked.example.com/well"}, "homepage": "https://start.example.com/<&>",
	"password_manager": false, "private_mode": false,
}

func with(more object) object {
	v := object{}
	for _, o := range []object{common, more} {
		for k, x := range o {
			v[k] = x
		}
	}
	return v
}

// inDevice is a command with the device's /etc over this machine's.
func inDevice(ctx context.Context, m *enforcetest.Machine, program string, args ...string) *exec.Cmd {
	script := `mount -t overlay overlay -o "lowerdir=$R/etc:/etc" /etc && exec "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", script, "sh", program}, args...)...)
	cmd.Env = append(os.Environ(), "R="+m.System.Abs("/"), "HOME="+m.T.TempDir())
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// TestChromiumTakesThem asks Chromium's own page.
func TestChromiumTakesThem(t *testing.T) {
	t.Parallel()
	m := machine(t, "/usr/bin/chromium")
	before := m.Tree()
	m.Want(m.Set("browser.policy/chromium", with(object{"extensions_blocked": []string{"*"}, "extensions_forced": []string{extension}, "managed": object{"BookmarkBarEnabled": true, "HomepageLocation": "https://loses.example.com/"}})), manifest.Applied, "")
	rows := policyPage(t, m)
	for name, value := range map[string]string{
		"URLBlocklist": "blocked.example.com", "URLAllowlist": "blocked.example.com/well", "HomepageLocation": "https://start.example.com/<&>",
		"PasswordManagerEnabled": "false", "IncognitoModeAvailability": "1", "ExtensionInstallBlocklist": "*", "ExtensionInstallForcelist": extension, "BookmarkBarEnabled": "true",
	} {
		r := rows[name]
		if !strings.Contains(r.Value, value) || r.Level != "Mandatory" || r.Scope != "Machine" || r.Says != "OK" {
			t.Errorf("chrome://policy says of %s: %+v, want %s", name, r, value)
		}
	}
	m.Unset("browser.policy/chromium")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

type row struct{ Name, Value, Level, Scope, Says string }

// readRows reads the page's table, through the shadow trees it is made of.
const readRows = `(async () => {
  const all = [], walk = n => { if (n.localName === "policy-row") all.push(n.shadowRoot); if (n.shadowRoot) walk(n.shadowRoot); for (const c of n.children ?? []) walk(c) };
  for (let i = 0; i < 100 && !all.length; i++) { walk(document.documentElement); await new Promise(r => setTimeout(r, 100)) }
  const text = (r, s) => r.querySelector(s)?.textContent.trim() ?? "";
  return JSON.stringify(all.map(r => ({Name: text(r, ".policy.row .name"), Value: text(r, ".policy.row .value"), Level: text(r, ".policy.row .level"), Scope: text(r, ".policy.row .scope"), Says: text(r, ".policy.row .messages")})));
})()`

// policyPage drives a headless Chromium over its debugging pipe.
func policyPage(t *testing.T, m *enforcetest.Machine) map[string]row {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	hisIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, hisOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := inDevice(ctx, m, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{hisIn, hisOut} // the descriptors 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (package chromium)", err)
	}
	hisIn.Close()
	hisOut.Close()
	defer func() { in.Close(); out.Close(); cancel(); cmd.Wait() }()
	answers := bufio.NewReader(out)
	n := 0
	call := func(session, method string, params object) map[string]json.RawMessage {
		n++
		b, _ := json.Marshal(object{"id": n, "method": method, "params": params, "sessionId": session})
		if session == "" {
			b, _ = json.Marshal(object{"id": n, "method": method, "params": params})
		}
		if _, err := in.Write(append(b, 0)); err != nil {
			t.Fatalf("chromium: %v", err)
		}
		for {
			b, err := answers.ReadBytes(0)
			if err != nil {
				t.Fatalf("chromium went away: %v", err)
			}
			var a struct {
				ID     int                        `json:"id"`
				Result map[string]json.RawMessage `json:"result"`
				Error  json.RawMessage            `json:"error"`
			}
			if err := json.Unmarshal(bytes.TrimSuffix(b, []byte{0}), &a); err != nil {
				t.Fatal(err)
			}
			if a.ID == n {
				if a.Error != nil {
					t.Fatalf("%s: %s", method, a.Error)
				}
				return a.Result
			}
		}
	}
	var target, session, table string
	json.Unmarshal(call("", "Target.createTarget", object{"url": "chrome://policy"})["targetId"], &target)
	json.Unmarshal(call("", "Target.attachToTarget", object{"targetId": target, "flatten": true})["sessionId"], &session)
	rows := map[string]row{}
	for len(rows) == 0 && ctx.Err() == nil {
		var result struct {
			Value string `json:"value"`
		}
		json.Unmarshal(call(session, "Runtime.evaluate", object{"expression": readRows, "awaitPromise": true, "returnByValue": true})["result"], &result)
		table = result.Value
		var list []row
		json.Unmarshal([]byte(table), &list)
		for _, r := range list {
			rows[r.Name] = r
		}
	}
	return rows
}

// TestFirefoxTakesThem asks Firefox itself.
func TestFirefoxTakesThem(t *testing.T) {
	t.Parallel()
	m := machine(t, "/usr/bin/firefox-esr")
	m.Write(firefoxAt, `{"policies": {"DisablePocket": true}}`)
	before := m.Tree()
	m.Want(m.Set("browser.policy/firefox", with(object{"extensions_blocked": []string{"*"}, "managed": object{"DisableTelemetry": true}})), manifest.Applied, "")
	var policies map[string]any
	said := marionette(t, m, "firefox-esr", "return JSON.stringify(Services.policies.getActivePolicies())")
	if err := json.Unmarshal([]byte(said), &policies); err != nil {
		t.Fatalf("firefox says %s: %v", said, err)
	}
	filter, _ := policies["WebsiteFilter"].(object)
	home, _ := policies["Homepage"].(object)
	if fmt.Sprint(filter["Block"]) != "[*://*.blocked.example.com/*]" || fmt.Sprint(filter["Exceptions"]) != "[*://*.blocked.example.com/well]" ||
		home["URL"] != "https://start.example.com/<&>" && home["URL"] != "https://start.example.com/%3C&%3E" || policies["DisablePrivateBrowsing"] != true ||
		policies["PasswordManagerEnabled"] != false || policies["DisableTelemetry"] != true || policies["ExtensionSettings"] == nil {
		t.Errorf("firefox took %s", said)
	}
	m.Unset("browser.policy/firefox")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

// marionette starts one of Mozilla's programs and has it run a script of its own rights.
func marionette(t *testing.T, m *enforcetest.Machine, program, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	profile := t.TempDir()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte("user_pref(\"marionette.port\", 0);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := inDevice(ctx, m, program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "-profile", profile)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (package %s)", err, program)
	}
	defer func() { cancel(); cmd.Wait() }()
	port := ""
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for port == "" {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not start (package %s):\n%s", program, program, log.String())
		case <-ticker.C:
			b, _ := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
			port = strings.TrimSpace(string(b))
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	r := bufio.NewReader(conn)
	read := func() []byte {
		size, err := r.ReadString(':')
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	read()
	var last []json.RawMessage
	for i, c := range []struct {
		name string
		args object
	}{{"WebDriver:NewSession", object{}}, {"Marionette:SetContext", object{"value": "chrome"}}, {"WebDriver:ExecuteScript", object{"script": script, "args": []any{}}}} {
		b, _ := json.Marshal([]any{0, i + 1, c.name, c.args})
		fmt.Fprintf(conn, "%d:%s", len(b), b)
		if err := json.Unmarshal(read(), &last); err != nil || len(last) != 4 || string(last[2]) != "null" {
			t.Fatalf("%s: %s (%v)", c.name, last, err)
		}
	}
	var value struct {
		Value string `json:"value"`
	}
	json.Unmarshal(last[3], &value)
	return value.Value
}

func TestNames(t *testing.T) {
	for instance, want := range map[string]string{"chrome": `"IncognitoModeAvailability": 1`, "edge": `"InPrivateModeAvailability": 1`} {
		m := machine(t, "/usr/bin/google-chrome", "/usr/bin/microsoft-edge")
		m.Want(m.Set(manifest.MakeID("browser.policy", instance), common), manifest.Applied, "")
		if got := m.Read("/etc/opt/" + instance + "/policies/managed/zz-handrail.json"); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s", instance, got)
		}
	}
	m := machine(t, "/snap/bin/chromium")
	m.Want(m.Set("browser.policy/chromium", common), manifest.Applied, "")
	if m.Read("/etc/chromium-browser/policies/managed/zz-handrail.json") != m.Read(chromiumAt) {
		t.Error("the snap of Chromium has no policies")
	}
}

func TestAnotherFileThatWins(t *testing.T) {
	m := machine(t, "/usr/bin/chromium")
	m.Write("/etc/chromium/policies/managed/aa.json", `{"PasswordManagerEnabled": true}`) // loses
	m.Want(m.Set("browser.policy/chromium", common), manifest.Applied, "")
	m.Unset("browser.policy/chromium")
	m.Write("/etc/chromium/policies/managed/zzz.json", `{"PasswordManagerEnabled": true}`)
	before := m.Tree()
	m.Want(m.Set("browser.policy/chromium", common), manifest.Conflict, "zzz.json sets PasswordManagerEnabled")
	if after := m.Tree(); after != before {
		t.Error("written all the same")
	}
}

func TestBadValues(t *testing.T) {
	many := make([]string, 1001)
	for i := range many {
		many[i] = "example.com"
	}
	for _, tt := range []struct {
		id    manifest.ID
		value object
		words string
	}{
		{"browser.policy/netscape", object{}, "not a browser"},
		{"browser.policy/chromium", object{"url_block": many}, "at most 1000"},
		{"browser.policy/chromium", object{"url_block": []string{"a\nb"}}, "url_block[0]"},
		{"browser.policy/chromium", object{"homepage": "javascript:alert(1)"}, "homepage"},
		{"browser.policy/chromium", object{"managed": object{"../x": 1}}, "name of a policy"},
		{"browser.policy/chromium", object{"managed": []string{"x"}}, "older than the gateway"},
		{"browser.policy/chromium", object{"extensions_forced": []string{"uBlock"}}, "extensions_forced[0]"},
		{"browser.policy/chromium", object{"extensions_forced": []string{extension + ";file:///x"}}, "extensions_forced[0]"},
		{"browser.policy/chromium", object{"extensions_blocked": []string{"uBlock"}}, "extensions_blocked[0]"},
		{"browser.policy/firefox", object{"extensions_forced": []string{"a@b"}}, "extensions_forced[0]"},
	} {
		m := machine(t, "/usr/bin/chromium", "/usr/bin/firefox")
		before := m.Tree()
		m.Want(m.Set(tt.id, tt.value), manifest.Failed, tt.words)
		if after := m.Tree(); after != before {
			t.Errorf("%s: written all the same", tt.words)
		}
	}
	m := enforcetest.New(t, func(*enforce.Config) {}, browser.New())
	m.Want(m.Set("browser.policy/edge", common), manifest.NotApplicable, "edge is not on the device")
}
