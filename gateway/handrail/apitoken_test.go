package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"handrail/mdm"
)

// TestAPIToken is a program in CI that keeps policies as git has them, with a token of an
// administrator's.
func TestAPIToken(t *testing.T) {
	g, ada := signedIn(t)
	token := strings.TrimSpace(ada.do("api-token", "create", "policies from git", "--role", "admin", "--ttl", "24h"))
	if !strings.HasPrefix(token, "hpt_") || strings.ContainsAny(token, " \n") {
		t.Fatalf("create printed %q", token)
	}
	if out := ada.do("api-token", "list"); !strings.Contains(out, "policies from git") || strings.Contains(out, token) {
		t.Errorf("list = %s", out)
	}

	ci := newShell(t, g.URL)
	ci.env["HANDRAIL_TOKEN"] = token
	ci.write("p/lock.yaml", "name: Lock\nassignments:\n  - include: {groups: [All devices]}\n    priority: 1\nsettings:\n  screen.lock: {idle_seconds: 300}\n")
	ci.do("policy", "apply", filepath.Join(ci.dir, "p"), "--yes")
	if out := ci.do("policy", "list"); !strings.Contains(out, "Lock") {
		t.Errorf("policies = %s", out)
	}
	ada.env["HANDRAIL_TOKEN"] = ""
	if out := ada.do("audit", "--action", "policy.", "-o", "json"); !strings.Contains(out, "policies from git") || !strings.Contains(out, "Ada Admin") {
		t.Errorf("the audit log does not say which token: %s", out)
	}
	if out := ada.do("audit", "--action", "api_token."); !strings.Contains(out, "api_token.create") {
		t.Errorf("audit = %s", out)
	}
	// A token makes no tokens, no accounts, and no browser's sign-in.
	ci.env["HANDRAIL_TOKEN"] = token
	ci.fails("sign in", "api-token", "create", "another", "--role", "admin")
	ci.fails("do not allow", "api", "POST", "/api/operators", "-d", `{"name":"Eve","email":"eve@example.test","password":"long enough it is","grants":[]}`)
	ci.fails("sign in", "api", "POST", "/api/socket-ticket")
	ci.fails("sign in", "api", "POST", "/api/me/password", "-d", `{"current":"x","next":"long enough it is"}`)

	// Kept by login; refused when it is not one.
	ci.env["HANDRAIL_TOKEN"] = ""
	ci.do("login", "--token", token)
	if info, err := os.Stat(ci.env["HANDRAIL_SESSION"]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kept with %v, %v", info, err)
	}
	if out := ci.do("whoami"); !strings.Contains(out, "Ada Admin") {
		t.Errorf("whoami = %q", out)
	}
	ci.fails("does not take this token", "login", "--token", "hpt_nonsense")

	// Revoked, it is nobody's.
	ada.do("api-token", "revoke", "Policies from git")
	ada.fails("no API token", "api-token", "revoke", "policies from git")
	ci.fails("not signed in", "whoami")
	ci.do("logout")
}

// TestAPITokenOfSomeGroups: a token never goes further than who made it, nor further than
// they still may.
func TestAPITokenOfSomeGroups(t *testing.T) {
	g, ada := signedIn(t)
	north := g.Group("North")
	mine, other := g.Enroll("mine", north), g.Enroll("other", mdm.RootGroup)
	g.Operator("tech", "technician", north)
	tech := newShell(t, g.URL)
	tech.env["HANDRAIL_TOKEN"] = ""
	if status, _, errs := tech.try("pass phrase of tech 4711\n", "login", "--email", "tech@example.test", "--password-stdin"); status != 0 {
		t.Fatal(errs)
	}
	tech.fails("rights you do not hold", "api-token", "create", "too much", "--role", "admin", "--group", string(north))
	tech.fails("may not see it", "api-token", "create", "too wide", "--role", "technician")
	tech.fails("rights you do not hold", "api", "POST", "/api/me/tokens", "-d", `{"name":"too wide","role":"helpdesk","group_id":"grp_root","ttl_seconds":3600}`)
	tech.fails("no role", "api-token", "create", "nonsense", "--role", "god", "--group", string(north))
	tech.fails("ttl_seconds", "api-token", "create", "for ever", "--role", "helpdesk", "--group", string(north), "--ttl", "90000h")
	token := strings.TrimSpace(tech.do("api-token", "create", "inventory", "--role", "helpdesk", "--group", string(north)))

	bot := newShell(t, g.URL)
	bot.env["HANDRAIL_TOKEN"] = token
	if out := bot.do("device", "list"); !strings.Contains(out, "mine") || strings.Contains(out, "other") {
		t.Errorf("devices = %s", out)
	}
	bot.fails("no such device", "api", "GET", "/api/devices/"+string(other.ID))
	bot.fails("do not allow", "command", "run", "refresh_inventory", "-d", string(mine.ID)) // tech may, the token is a help desk's
	// An administrator sees it, and takes what it rests on away.
	var ops struct{ Items []struct{ ID, Email string } }
	ada.env["HANDRAIL_TOKEN"] = ""
	if err := json.Unmarshal([]byte(ada.do("api", "GET", "/api/operators")), &ops); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(ops.Items, func(o struct{ ID, Email string }) bool { return o.Email == "tech@example.test" })
	if i < 0 {
		t.Fatalf("operators: %+v", ops)
	}
	path := "/api/operators/" + ops.Items[i].ID
	if out := ada.do("api", "GET", path+"/tokens"); !strings.Contains(out, "inventory") || strings.Contains(out, token) {
		t.Errorf("an operator's tokens: %s", out)
	}
	ada.do("api", "PATCH", path, "-d", `{"grants":[]}`)
	bot.env["HANDRAIL_TOKEN"] = token
	bot.fails("do not allow", "device", "list")
	ada.env["HANDRAIL_TOKEN"] = ""
	ada.do("api", "PATCH", path, "-d", `{"disabled":true}`)
	bot.env["HANDRAIL_TOKEN"] = token
	bot.fails("not signed in", "whoami")
}

// TestCompletionInBash has bash itself complete what a person has typed so far.
func TestCompletionInBash(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "handrail")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "handrail/gateway/handrail").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// bash on a terminal, somebody who types the beginnings and presses the tabulator, and ends
	// each line so that it does nothing.
	var typed strings.Builder
	typed.WriteString("eval \"$(handrail completion)\"\n")
	want := []string{"handrail policy ", "handrail policy roll-back ", "handrail api-token create ", "handrail device list --group "}
	for _, begun := range []string{"handrail po", "handrail policy ro", "handrail api-token cr", "handrail device list --gr"} {
		typed.WriteString(begun + "\t--nonsense\n")
	}
	typed.WriteString("exit\n")
	cmd := exec.CommandContext(t.Context(), "script", "-qc", "bash --norc --noprofile -i", "/dev/null")
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "SHELL=/bin/bash", "TERM=dumb", "COLUMNS=200"}
	cmd.Stdin = strings.NewReader(typed.String())
	out, err := cmd.CombinedOutput()
	for _, w := range want {
		if !strings.Contains(string(out), w) {
			t.Errorf("no line was completed to %q (%v):\n%s", w, err, out)
		}
	}
}
