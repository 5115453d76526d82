package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/gateway/gatewaytest"
	"handrail/mdm"
)

// shell runs the program as a person would, with a sign-in of its own.
type shell struct {
	t   *testing.T
	dir string
	env map[string]string
}

func newShell(t *testing.T, url string) *shell {
	t.Helper()
	dir := t.TempDir()
	return &shell{t: t, dir: dir, env: map[string]string{"HANDRAIL_URL": url, "HANDRAIL_SESSION": filepath.Join(dir, "session.json")}}
}

// try runs a command and returns its status and what it wrote.
func (s *shell) try(in string, args ...string) (status int, out, errs string) {
	s.t.Helper()
	for k, v := range s.env { // kong reads the process's environment
		s.t.Setenv(k, v)
	}
	var o, e bytes.Buffer
	status = run(args, os.LookupEnv, streams{strings.NewReader(in), &o, &e})
	return status, o.String(), e.String()
}

// do runs a command that must succeed and returns its output.
func (s *shell) do(args ...string) string {
	s.t.Helper()
	status, out, errs := s.try("", args...)
	if status != 0 {
		s.t.Fatalf("handrail %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// fails runs a command that must fail with these words.
func (s *shell) fails(words string, args ...string) {
	s.t.Helper()
	status, out, errs := s.try("", args...)
	if status != 1 || !strings.Contains(errs, words) {
		s.t.Errorf("handrail %s: status %d, want words %q\n%s%s", strings.Join(args, " "), status, words, out, errs)
	}
}

func (s *shell) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// signedIn is a gateway with an administrator who is signed in from a shell.
func signedIn(t *testing.T) (*gatewaytest.Gateway, *shell) {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	g.Admin()
	s := newShell(t, g.URL)
	status, _, errs := s.try(gatewaytest.AdminPassword+"\n", "login", "--email", gatewaytest.AdminEmail, "--password-stdin")
	if status != 0 {
		t.Fatal(errs)
	}
	return g, s
}

func TestSignIn(t *testing.T) {
	g, s := signedIn(t)
	path := s.env["HANDRAIL_SESSION"]
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the sign-in is kept with %v (%v)", info.Mode(), err)
	}
	if out := s.do("whoami"); !strings.Contains(out, "Ada Admin <admin@example.test>") || !strings.Contains(out, "of All devices") {
		t.Errorf("whoami = %q", out)
	}
	// The cookie goes to the gateway it is of, and to no other.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Error("another server got the sign-in")
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer other.Close()
	s.fails("not as a Handrail gateway does", "--url", other.URL, "whoami")
	s.fails("only for a gateway on this machine", "--url", "http://gateway.example.org", "whoami")
	s.fails("cannot reach", "--url", "http://127.0.0.1:1", "whoami")
	s.fails("is no address", "--url", "ftp://x", "whoami")

	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s.fails("may be read by others", "whoami")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s.do("logout")
	if _, err := os.Stat(path); err == nil {
		t.Error("the sign-in is still there")
	}
	s.fails("you are not signed in", "device", "list")
	status, _, errs := s.try("wrong\n", "login", "--email", gatewaytest.AdminEmail, "--password-stdin")
	if status != 1 || strings.Contains(errs, "not signed in") {
		t.Errorf("wrong password: %d %s", status, errs)
	}
	s.fails("nobody answers", "login", "--email", gatewaytest.AdminEmail)
	s.env["HANDRAIL_PASSWORD"] = gatewaytest.AdminPassword
	s.do("login", "--email", gatewaytest.AdminEmail)
	g.Stop()
	s.fails("cannot reach", "whoami")
}

func TestDevicesTokensAudit(t *testing.T) {
	g, s := signedIn(t)
	berlin := g.Group("Berlin")
	d := g.Enroll("laptop-1", mdm.RootGroup)
	g.Enroll("laptop-2", berlin)
	if out := s.do("device", "list"); !strings.Contains(out, "laptop-1") || !strings.Contains(out, "laptop-2") || !strings.Contains(out, "offline") {
		t.Errorf("list = %s", out)
	}
	if out := s.do("device", "list", "--group", "berlin", "--columns", "name,agent_version"); out != "NAME      AGENT_VERSION\nlaptop-2  test\n" {
		t.Errorf("list = %q", out)
	}
	var list []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(s.do("-o", "json", "device", "search", "laptop-1")), &list); err != nil || len(list) != 1 || list[0].ID != string(d.ID) {
		t.Errorf("search = %+v, %v", list, err)
	}
	if out := s.do("device", "show", "LAPTOP-1"); !strings.Contains(out, string(d.ID)) {
		t.Errorf("show = %s", out)
	}
	s.do("device", "move", "All devices/Berlin", "laptop-1")
	s.do("device", "rename", "laptop-1", "front-desk")
	if out := s.do("device", "show", "front-desk"); !strings.Contains(out, "All devices, Berlin") {
		t.Errorf("show = %s", out)
	}
	s.fails("there is no device", "device", "show", "nobody")
	s.fails("there is no group", "device", "list", "--group", "Paris")
	s.fails("give --yes", "device", "revoke", "front-desk")
	s.do("device", "revoke", "front-desk", "--yes")

	token := strings.TrimSpace(s.do("token", "create", "--group", "Berlin", "--uses", "3", "--note", "for the tests"))
	if len(token) < 20 || strings.ContainsAny(token, " \n") {
		t.Errorf("token = %q", token)
	}
	var tokens []struct{ ID, Note string }
	if err := json.Unmarshal([]byte(s.do("-o", "json", "token", "list")), &tokens); err != nil || tokens[0].Note != "for the tests" {
		t.Fatalf("tokens = %+v, %v", tokens, err)
	}
	s.do("token", "revoke", tokens[0].ID)
	if out := s.do("audit", "--action", "device."); !strings.Contains(out, "device.revoke") || !strings.Contains(out, "Ada Admin") {
		t.Errorf("audit = %s", out)
	}
	if out := s.do("audit", "verify"); !strings.Contains(out, "is whole") {
		t.Errorf("verify = %s", out)
	}
	if out := s.do("api", "get", "/api/me"); !strings.Contains(out, gatewaytest.AdminEmail) {
		t.Errorf("api = %s", out)
	}
	s.fails("no path of the API", "api", "GET", "https://elsewhere.example/api/me")
}

const workstations = `name: Workstations
description: What every workstation must be.
assignments:
  - include:
      groups: [Berlin]
    priority: 10
settings:
  screen.lock:
    idle_seconds: 300
  wifi.network/office:
    ssid: Office
    security: wpa-psk
    psk: !env WIFI_PSK
  file.content/motd:
    path: /etc/motd
    content: !file motd.txt
`

func TestPoliciesAsFiles(t *testing.T) {
	g, s := signedIn(t)
	g.Enroll("laptop-1", g.Group("Berlin"))
	s.write("git/motd.txt", "Ours.\n")
	file := s.write("git/workstations.yaml", workstations)
	s.fails("workstations.yaml:13: the environment has no variable WIFI_PSK", "policy", "plan", file)
	s.env["WIFI_PSK"] = "hunter2-hunter2"

	status, out, errs := s.try("", "policy", "plan", "--exit-code", filepath.Dir(file))
	if status != 2 || !strings.Contains(out, "+ Workstations: a new policy") || !strings.Contains(out, "1 devices in reach: 1 would change") {
		t.Fatalf("plan: %d\n%s%s", status, out, errs)
	}
	if out := s.do("policy", "list"); strings.Contains(out, "Workstations") {
		t.Error("a plan has changed something")
	}
	s.fails("give --yes", "policy", "apply", file)
	s.do("policy", "apply", "--yes", "-m", "first", file)
	if out := s.do("policy", "plan", "--exit-code", file); !strings.Contains(out, "= Workstations: as it is") {
		t.Errorf("applied twice it is not the same: %s", out)
	}
	if out := s.do("policy", "list", "--group", "Berlin"); !strings.Contains(out, "Workstations") {
		t.Errorf("the policies of its group: %s", out)
	}
	if out := s.do("policy", "list", "--group", string(mdm.RootGroup)); strings.Contains(out, "Workstations") {
		t.Errorf("the policies of the group above: %s", out)
	}
	settings := s.do("device", "settings", "laptop-1")
	for _, words := range []string{"screen.lock", "pending", "Workstations"} {
		if !strings.Contains(settings, words) {
			t.Errorf("the device's settings lack %q: %s", words, settings)
		}
	}
	if strings.Contains(settings, "hunter2") {
		t.Error("a device's settings show a secret")
	}
	// What was applied is what the console has, and its export applies as nothing new.
	if out := s.do("policy", "versions", "workstations"); !strings.Contains(out, "first") {
		t.Errorf("versions = %s", out)
	}
	dir := filepath.Join(s.dir, "export")
	s.do("policy", "export", "--dir", dir)
	b, err := os.ReadFile(filepath.Join(dir, "workstations.yaml"))
	if err != nil || strings.Contains(string(b), "hunter2") || !strings.Contains(string(b), "psk: !keep") || !strings.Contains(string(b), "All devices/Berlin") {
		t.Fatalf("export = %s, %v", b, err)
	}
	if out := s.do("policy", "plan", "--exit-code", dir); !strings.Contains(out, "0 of 1 policies to change") {
		t.Errorf("the export is another policy: %s", out)
	}
	// Another secret, another value, another group.
	s.env["WIFI_PSK"] = "another-one-now"
	s.write("git/workstations.yaml", strings.ReplaceAll(strings.ReplaceAll(workstations, "300", "600"), "[Berlin]", "[All devices]"))
	out = s.do("policy", "plan", file)
	for _, words := range []string{"idle_seconds: 300 -> 600", "psk: another secret", "~ whom it is for"} {
		if !strings.Contains(out, words) {
			t.Errorf("plan lacks %q: %s", words, out)
		}
	}
	if strings.Contains(out, "another-one") {
		t.Error("a plan shows a secret")
	}
	s.do("policy", "apply", "--yes", "-m", "second", file)
	var shown struct {
		Newest, Live int64
		Draft        any
	}
	if err := json.Unmarshal([]byte(s.do("-o", "json", "policy", "show", "Workstations")), &shown); err != nil || shown.Newest != 2 || shown.Live != 2 || shown.Draft != nil {
		t.Errorf("policy = %+v, %v", shown, err)
	}
	s.do("policy", "roll-back", "--yes", "Workstations", "1")
	if out := s.do("policy", "plan", file); !strings.Contains(out, "version 2 in force instead of 1") {
		t.Errorf("plan = %s", out)
	}
	if out := s.do("policy", "settings"); !strings.Contains(out, "screen.lock") {
		t.Errorf("settings = %s", out)
	}
	if out := s.do("policy", "settings", "--schema", "screen.lock"); !strings.Contains(out, "draft/2020-12") {
		t.Errorf("schema = %s", out)
	}
	s.do("policy", "delete", "--yes", "Workstations")
	s.fails("there is no policy", "policy", "show", "Workstations")
}

func TestCommandsAndCompliance(t *testing.T) {
	g, s := signedIn(t)
	g.Enroll("laptop-1", mdm.RootGroup)
	g.Enroll("laptop-2", mdm.RootGroup)
	if out := s.do("command", "kinds"); !strings.Contains(out, "run_script") {
		t.Errorf("kinds = %s", out)
	}
	s.do("command", "run", "message", "-d", "laptop-1", "-p", "text=Hello", "--note", "a test")
	var list []struct{ ID, Kind, State string }
	if err := json.Unmarshal([]byte(s.do("-o", "json", "command", "list", "-d", "laptop-1")), &list); err != nil || len(list) != 1 || list[0].State != "queued" {
		t.Fatalf("commands = %+v, %v", list, err)
	}
	if out := s.do("command", "show", list[0].ID); !strings.Contains(out, "a test") {
		t.Errorf("show = %s", out)
	}
	s.do("command", "cancel", list[0].ID)
	if out := s.do("command", "list", "--state", "cancelled"); !strings.Contains(out, list[0].ID) {
		t.Errorf("list = %s", out)
	}
	s.fails("give --yes", "command", "run", "refresh_inventory", "--group", "All devices")
	s.do("command", "run", "refresh_inventory", "--group", "All devices", "--yes")
	s.fails("write name=text", "command", "run", "message", "-d", "laptop-1", "-p", "text")
	s.fails("for which devices", "command", "run", "message", "-d", "laptop-1", "--group", "x")
	s.fails("handrail:", "command", "run", "message", "-d", "laptop-1", "-p", "delay:=1")

	if out := s.do("compliance"); !strings.Contains(out, "Devices") {
		t.Errorf("status = %s", out)
	}
	if out := s.do("compliance", "rules", "--severity", "critical"); !strings.Contains(out, "critical") || strings.Contains(out, "medium") {
		t.Errorf("rules = %s", out)
	}
	var rules []struct{ Slug string }
	if err := json.Unmarshal([]byte(s.do("-o", "json", "compliance", "rules")), &rules); err != nil || len(rules) < 40 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	if out := s.do("compliance", "rule", rules[0].Slug, "--state", "unknown"); !strings.Contains(out, "To mend it") {
		t.Errorf("rule = %s", out)
	}
	if out := s.do("compliance", "device", "laptop-1"); !strings.Contains(out, rules[0].Slug) && !strings.Contains(out, "laptop-1:") {
		t.Errorf("device = %s", out)
	}
	s.do("compliance", "devices", "--state", "unknown")
	s.do("compliance", "waive", rules[0].Slug, "-d", "laptop-1", "--owner", "Ada", "--reason", "a test", "--for", "24h")
	if out := s.do("compliance", "waivers"); !strings.Contains(out, "laptop-1") {
		t.Errorf("waivers = %s", out)
	}
	file := filepath.Join(s.dir, "report.csv")
	s.do("compliance", "export", file)
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), ",") {
		t.Errorf("export = %.200s, %v", b, err)
	}
	s.fails("is no date", "compliance", "status", "--as-of", "yesterday")
	s.do("compliance", "status", "--as-of", "2026-01-01")
	s.fails("for whom? Give --device or --group", "compliance", "waive", "x", "--owner", "a", "--reason", "b", "--for", "1h")
}

func TestPolicyFilesThatAreWrong(t *testing.T) {
	_, s := signedIn(t)
	for _, tt := range []struct{ name, text, words string }{
		{"no YAML", "name: [", "yaml"},
		{"a list", "- 1", "a policy file is name, description"},
		{"no name", "settings: {}", "the policy has no name"},
		{"an unknown word", "name: x\nsetings: {}", `f.yaml:2: "setings" is not known here`},
		{"an unknown word in an assignment", "name: x\nassignments: [{includes: {}}]", "includes not found"},
		{"no such group", "name: x\nassignments: [{include: {groups: [Paris]}}]", `there is no group "Paris"`},
		{"no such label", "name: x\nassignments: [{include: {labels: [Paris]}}]", `there is no label "Paris"`},
		{"an unknown setting", "name: x\nsettings:\n  screen.lok: {idle_seconds: 60}", `f.yaml:3: screen.lok: there is no such setting; did you mean "screen.lock"?`},
		{"a wrong type", "name: x\nsettings:\n  screen.lock:\n    enabled: true\n    idle_seconds: soon", "f.yaml:5: screen.lock: idle_seconds: must be a whole number, not text"},
		{"out of range", "name: x\nsettings:\n  screen.lock: {idle_seconds: 1}", "must be 30 to 7200 seconds"},
		{"deep within", "name: x\nsettings:\n  firewall.policy:\n    rules:\n      - {name: a, action: allow}\n      - name: b\n        action: no", "f.yaml:7: firewall.policy: rules[1].action"},
		{"twice", "name: x\nsettings:\n  motd.banner: {text: a}\n  motd.banner: {text: b}", "motd.banner"},
		{"two policies", "name: x\n---\nname: X", "is in"},
		{"an unknown tag", "name: x\nsettings:\n  motd.banner: {text: !exec ls}", "the tag !exec is not known here"},
		{"a file that is not there", "name: x\nsettings:\n  motd.banner: {text: !file nothing}", "no such file"},
		{"a secret to keep that is not there", "name: x\nsettings:\n  wifi.network/a: {ssid: a, security: wpa-psk, psk: !keep ''}", "there is no stored secret to keep"},
		{"too big", "name: x\nsettings:\n  motd.banner: {text: " + strings.Repeat("x", 10<<20) + "}", "at most 8388608"},
		{"aliases that grow", "name: x\nsettings:\n  motd.banner: &a {text: [*b, *b]}", "unknown anchor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			s.fails(tt.words, "policy", "plan", s.write("f.yaml", tt.text))
		})
	}
}

func TestStages(t *testing.T) {
	v, err := parseStages("5%:1h, 100%", 3)
	b, _ := json.Marshal(v)
	if err != nil || string(b) != `{"max_failed_percent":3,"stages":[{"percent":5,"soak_seconds":3600},{"percent":100,"soak_seconds":0}]}` {
		t.Errorf("stages = %s, %v", b, err)
	}
	for _, bad := range []string{"x", "0%", "101%", "5%:soon", "5%:-1h"} {
		if _, err := parseStages(bad, 0); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHelpAndUsage(t *testing.T) {
	s := newShell(t, "")
	if status, out, _ := s.try("", "--help"); status != 0 || !strings.Contains(out, "policy") {
		t.Errorf("help: %d %s", status, out)
	}
	s.fails("see handrail --help", "fly")
	s.fails("for which devices", "--url", "http://localhost:1", "command", "run", "restart")
}
