package gatewaytest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deviceRule is one rule on a device, as the console reads it.
type deviceRule struct {
	Rule       string
	State      string
	GraceUntil *time.Time `json:"grace_until"`
	Observed   any
	Mending    *struct {
		State, Message, By string
		CommandID          string `json:"command_id"`
		PolicyID           string `json:"policy_id"`
	}
}

func (r deviceRule) String() string {
	if r.Mending == nil {
		return r.Rule + " is " + r.State + ", nothing ordered"
	}
	return fmt.Sprintf("%s is %s, mending %+v", r.Rule, r.State, *r.Mending)
}

// awaitRule asks how a device stands until ok.
func (c console) awaitRule(device, rule, what string, ok func(deviceRule) bool) deviceRule {
	c.t.Helper()
	var last deviceRule
	awaitTrue(c.t, what, func() bool {
		var of struct{ Items []deviceRule }
		c.must(http.MethodGet, "/api/devices/"+device+"/compliance", nil, &of)
		for _, i := range of.Items {
			if i.Rule == rule {
				last = i
			}
		}
		if !ok(last) {
			c.t.Logf("%s: not yet: %v", what, last)
			return false
		}
		return true
	})
	return last
}

// TestRuleIsMendedOnTheDevice: one click on a broken rule reaches the agent, which does what
// it says and reports what it came to, and the rule follows; a remedy that fails says why.
func TestRuleIsMendedOnTheDevice(t *testing.T) {
	g := startGateway(t, t.TempDir())
	c := g.admin()
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\n", "usr/sbin/sshd": "", "etc/hostname": "sample\n",
		"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
	} {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { //nolint:gosec // as on a system
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil { //nolint:gosec // as on a system
			t.Fatal(err)
		}
	}
	a := startAgentIn(t, t.TempDir(), nil, []string{"--gateway", g.url, "--token", c.token(1)}, "--root", root)
	id := string(a.id)

	const rule = "ssh-no-root-login"
	// A new device has time, and it is said until when.
	was := c.awaitRule(id, rule, "the rule is broken, in grace", func(r deviceRule) bool { return r.State == "in_grace" })
	if was.GraceUntil == nil || was.GraceUntil.Before(time.Now()) || was.Mending != nil {
		t.Errorf("in grace: %v until %v", was, was.GraceUntil)
	}
	c.must(http.MethodPut, "/api/compliance/settings", object{"new_device_grace_hours": 0}, nil)
	c.awaitRule(id, rule, "the rule is broken and counts", func(r deviceRule) bool { return r.State == "non_compliant" })
	// What a dashboard's numbers lead to.
	for _, query := range []string{"compliance=non_compliant", "rule=" + rule + "&rule_state=non_compliant", "q=rule:" + rule + "/non_compliant", "q=compliance:non_compliant"} {
		var found struct{ Items []object }
		if c.must(http.MethodGet, "/api/devices?"+query, nil, &found); len(found.Items) != 1 {
			t.Errorf("%s finds %d devices, want 1", query, len(found.Items))
		}
	}
	for _, query := range []string{"compliance=compliant", "rule=" + rule + "&rule_state=compliant", "compliance=error", "compliance=in_grace", "compliance=unknown"} {
		var found struct{ Items []object }
		if c.must(http.MethodGet, "/api/devices?"+query, nil, &found); len(found.Items) != 0 {
			t.Errorf("%s finds %d devices, want none", query, len(found.Items))
		}
	}

	c.must(http.MethodPost, "/api/compliance/remediate", object{"rule": rule, "devices": []string{id}}, nil)
	mended := c.awaitRule(id, rule, "the rule is met", func(r deviceRule) bool {
		return r.State == "compliant" && r.Mending != nil && r.Mending.State == "done"
	})
	if mended.Mending.PolicyID == "" || mended.Mending.By == "" {
		t.Errorf("mended: %v", mended)
	}
	written := ""
	files, err := filepath.Glob(filepath.Join(root, "etc/ssh/sshd_config.d/*"))
	for _, f := range files {
		b, rerr := os.ReadFile(f)
		written += string(b)
		err = rerr
	}
	if err != nil || !strings.Contains(written, "PermitRootLogin no") {
		t.Errorf("the device has %q, %v", written, err)
	}

	c.must(http.MethodPost, "/api/compliance/rules", object{
		"slug": "own", "title": "Own", "severity": "low", "enabled": true, "expression": `inventory.host.hostname == "other"`,
		"fix": object{"script": "echo it cannot be >&2\nexit 3\n", "interpreter": "sh"},
	}, nil)
	c.awaitRule(id, "own", "the own rule is broken", func(r deviceRule) bool { return r.State == "non_compliant" })
	c.must(http.MethodPost, "/api/compliance/remediate", object{"rule": "own", "devices": []string{id}}, nil)
	failed := c.awaitRule(id, "own", "the script fails", func(r deviceRule) bool { return r.Mending != nil && r.Mending.State == "failed" })
	if failed.State != "non_compliant" || !strings.Contains(failed.Mending.Message, "code 3") || failed.Mending.CommandID == "" {
		t.Errorf("failed: %v", failed)
	}

	// A device that is away: the order waits, and that is said.
	a.kill()
	c.must(http.MethodPost, "/api/compliance/remediate", object{"rule": "own", "devices": []string{id}}, nil)
	c.awaitRule(id, "own", "the order waits for the device", func(r deviceRule) bool {
		return r.Mending != nil && r.Mending.State == "pending" && strings.Contains(r.Mending.Message, "offline")
	})
	a.start()
	c.awaitRule(id, "own", "the order is carried out", func(r deviceRule) bool { return r.Mending != nil && r.Mending.State == "failed" })
}
