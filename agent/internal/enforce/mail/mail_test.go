package mail_test

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
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/mail"
	"handrail/mdm/manifest"
)

type object = map[string]any

const file = "/etc/thunderbird/policies/policies.json"

func machine(t *testing.T) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, nil, mail.New())
	m.WriteMode("/usr/bin/thunderbird", "", 0o755)
	m.Write("/etc/thunderbird/pref/.keep", "")
	return m
}

func account(address string) object {
	return object{"name": "Alice Ünger", "address": address, "incoming": object{"host": "imap.example.com"}, "outgoing": object{"host": "smtp.example.com", "security": "starttls", "username": "alice", "authentication": "encrypted"}}
}

func TestAccountsComeAndGo(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	st := m.Set("mail.account/work", account("alice@example.com"))
	m.Want(st, manifest.Applied, "")
	if !strings.Contains(string(st.Observed), `imap://imap.example.com:993 (tls, password)`) || !strings.Contains(string(st.Observed), "smtp://smtp.example.com:587 (starttls, encrypted)") {
		t.Errorf("observed %s", st.Observed)
	}
	m.Want(m.Set("mail.account/club", account("alice@club.example.com")), manifest.Applied, "")
	m.Restart()
	m.Unset("mail.account/work")
	if text := m.Read(file); strings.Contains(text, `"alice@example.com"`) || !strings.Contains(text, "alice@club.example.com") {
		t.Errorf("after one is gone:\n%s", text)
	}
	m.Unset("mail.account/club")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestPoliciesOfOthersStay(t *testing.T) {
	m := machine(t)
	m.Write(file, `{"policies":{"DisableTelemetry":true,"Preferences":{"mail.smtpservers":{"Value":"theirs","Status":"default"}}}}`)
	before := m.Tree()
	m.Want(m.Set("mail.account/work", account("alice@example.com")), manifest.Applied, "")
	text := m.Read(file)
	if !strings.Contains(text, "DisableTelemetry") || !strings.Contains(text, `"theirs,handrail_`) {
		t.Errorf("others' policies are gone:\n%s", text)
	}
	m.Want(m.Set("mail.account/work", account("bob@example.com")), manifest.Applied, "")
	m.Unset("mail.account/work")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
	// What others change meanwhile stays too.
	m.Want(m.Set("mail.account/work", account("alice@example.com")), manifest.Applied, "")
	m.Write(file, strings.Replace(m.Read(file), `"DisableTelemetry": true`, `"DisableTelemetry": false`, 1))
	m.Unset("mail.account/work")
	if text := m.Read(file); !strings.Contains(text, `"DisableTelemetry": false`) || strings.Contains(text, "handrail") {
		t.Errorf("after another's change and removal:\n%s", text)
	}
}

func TestDriftIsMended(t *testing.T) {
	m := machine(t)
	m.Set("mail.account/work", account("alice@example.com"))
	m.Write(file, strings.Replace(m.Read(file), "imap.example.com", "evil.example.com", 1))
	st := m.Enforce()["mail.account/work"]
	m.Want(st, manifest.Applied, "")
	if st.Mended != 1 || strings.Contains(m.Read(file), "evil") {
		t.Errorf("mended %d times:\n%s", st.Mended, m.Read(file))
	}
}

func TestBadAccounts(t *testing.T) {
	change := func(path string, v any) object {
		a := account("alice@example.com")
		if in, name, ok := strings.Cut(path, "."); ok {
			a[in].(object)[name] = v
		} else {
			a[path] = v
		}
		return a
	}
	for _, tt := range []struct {
		value object
		words string
	}{
		{change("address", "alice"), "address"},
		{change("address", "a,b@example.com"), "address"},
		{change("name", "a\nb"), "name"},
		{change("incoming.host", "imap example"), "incoming.host"},
		{change("incoming.port", 70000), "incoming.port"},
		{change("incoming.protocol", "smtp"), "imap or pop3"},
		{change("incoming.protocol", "uucp"), "not known"},
		{change("outgoing.security", "ssl"), "outgoing.security"},
		{change("outgoing.authentication", "none"), "outgoing.authentication"},
		{change("outgoing.username", "a\nb"), "outgoing.username"},
		{change("password", "x"), "older than the gateway"},
	} {
		m := machine(t)
		before := m.Tree()
		m.Want(m.Set("mail.account/work", tt.value), manifest.Failed, tt.words)
		if after := m.Tree(); after != before {
			t.Errorf("%s: written all the same:\n%s", tt.words, after)
		}
	}
	m := machine(t)
	m.Write(file, "not JSON")
	m.Want(m.Set("mail.account/work", account("alice@example.com")), manifest.Conflict, "not JSON")
	m = enforcetest.New(t, nil, mail.New())
	m.Want(m.Set("mail.account/work", account("alice@example.com")), manifest.NotApplicable, "Thunderbird")
}

// TestThunderbirdHasTheAccounts starts Thunderbird for one person: at first with one
// account, then with two, and asks it what accounts there are.
func TestThunderbirdHasTheAccounts(t *testing.T) {
	m := machine(t)
	profile := t.TempDir()
	const script = `const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const out = [];
for (const a of MailServices.accounts.accounts) { const s = a.incomingServer; out.push([s.type, s.hostName ?? s.hostname, s.port, s.username, s.socketType, s.authMethod, ...a.identities.map(i => i.fullName + " " + i.email)].join(" ")); }
for (const s of (MailServices.outgoingServer ?? MailServices.smtp).servers) out.push([s.serverURI.spec, s.socketType, s.authMethod].join(" "));
return out.join("\n");`
	m.Want(m.Set("mail.account/work", account("alice@example.com")), manifest.Applied, "")
	said := marionette(t, m, profile, script)
	for _, w := range []string{" 993 alice@example.com 3 3 Alice Ünger alice@example.com\n", "smtp://alice@smtp.example.com:587/ 2 4"} {
		if !strings.Contains(said, w) {
			t.Errorf("thunderbird lacks %q:\n%s", w, said)
		}
	}
	two := account("alice@club.example.com")
	two["incoming"] = object{"host": "pop.example.com", "protocol": "pop3"}
	m.Want(m.Set("mail.account/club", two), manifest.Applied, "")
	said = marionette(t, m, profile, script)
	for _, w := range []string{" 993 alice@example.com 3 3", " 995 alice@club.example.com 3 3 Alice Ünger alice@club.example.com\n"} {
		if !strings.Contains(said, w) {
			t.Errorf("thunderbird with two accounts lacks %q:\n%s", w, said)
		}
	}
}

// marionette starts Thunderbird with the device's /etc over this machine's, and has it run a
// script of its own rights.
func marionette(t *testing.T, m *enforcetest.Machine, profile, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	active := filepath.Join(profile, "MarionetteActivePort")
	os.Remove(active)
	mine := "user_pref(\"marionette.port\", 0);\nuser_pref(\"mail.shell.checkDefaultClient\", false);\n"
	for _, name := range regexp.MustCompile(`mail\.server\.\w+\.login_at_startup`).FindAllString(m.Read(file), -1) {
		mine += "user_pref(\"" + name + "\", false);\n" // it would ask for a password before anything else
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "sh", "-c", `mount -t overlay overlay -o "lowerdir=$R/etc:/etc" /etc && exec "$@"`,
		"sh", "thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "-profile", profile)
	cmd.Env = append(os.Environ(), "R="+m.System.Abs("/"), "HOME="+t.TempDir())
	cmd.WaitDelay = 2 * time.Second
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (package thunderbird)", err)
	}
	defer func() { cancel(); cmd.Wait() }()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	port := ""
	for port == "" {
		select {
		case <-ctx.Done():
			t.Fatalf("thunderbird did not start (package thunderbird):\n%s", log.String())
		case <-ticker.C:
			b, _ := os.ReadFile(active)
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
	say := func(i int, name string, args object) {
		b, _ := json.Marshal([]any{0, i, name, args})
		fmt.Fprintf(conn, "%d:%s", len(b), b)
		if err := json.Unmarshal(read(), &last); err != nil || len(last) != 4 || string(last[2]) != "null" {
			t.Fatalf("%s: %s (%v)", name, last, err)
		}
	}
	say(1, "WebDriver:NewSession", object{})
	say(2, "Marionette:SetContext", object{"value": "chrome"})
	say(3, "WebDriver:ExecuteScript", object{"script": script, "args": []any{}})
	var value struct {
		Value string `json:"value"`
	}
	json.Unmarshal(last[3], &value)
	// It ends by itself, so that it writes down what it knows.
	cmd.Process.Signal(syscall.SIGTERM) // it writes down what it knows; without a screen it may not come to its end
	defer time.AfterFunc(5*time.Second, cancel).Stop()
	cmd.Wait()
	return value.Value + "\n"
}
