package gatewaytest_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/mdm"
)

// inNamespace runs the test again in a network and mount namespace of its own, with the
// programs built before, and reports whether this process is that one.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("HANDRAIL_TEST_PROGRAMS") != "" {
		return true
	}
	dir := filepath.Dir(program(t, "handrail-agent"))
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "HANDRAIL_TEST_PROGRAMS="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in a namespace of its own: %v\n%s", err, out)
	}
	return false
}

func shell(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// firewallPolicy is a firewall's setting beside one that cuts nothing.
func firewallPolicy(n int, outgoing string, rules ...object) []object {
	return []object{
		{"id": "motd.banner", "value": object{"text": fmt.Sprint("version ", n)}},
		{"id": "firewall.policy", "value": object{"enabled": true, "default_incoming": "deny", "default_outgoing": outgoing, "rules": append([]object{}, rules...)}},
	}
}

// TestFirewallThatCutsTheGatewayIsUndone has the real agent, behind a wire of its own, given
// a firewall that lets nothing out. The device itself goes back, and says why.
func TestFirewallThatCutsTheGatewayIsUndone(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, line := range []string{
		"mount -t tmpfs none /run", "ip netns add device", "ip link set lo up", "ip link add gw0 type veth peer name dev0 netns device",
		"ip addr add 10.88.0.2/24 dev gw0", "ip link set gw0 up", "ip -n device addr add 10.88.0.1/24 dev dev0", "ip -n device link set dev0 up",
		"ip -n device link set lo up",
	} {
		shell(t, line)
	}
	rules := func() string { return shell(t, "ip netns exec device nft list ruleset") }
	g := startGateway(t, t.TempDir(), "--listen", "10.88.0.2:0")
	c := g.admin()
	var made struct{ Token, Command string }
	c.must(http.MethodPost, "/api/enrollment-tokens", object{"group_id": mdm.RootGroup, "uses": 1}, &made)
	enroll := []string{"--gateway", g.url, "--token", made.Token}
	if _, sum, ok := strings.Cut(made.Command, "--ca-sha256"); ok {
		enroll = append(enroll, "--ca-sha256", strings.Trim(strings.Fields(strings.TrimPrefix(sum, "="))[0], `'"`))
	} else {
		t.Fatalf("the gateway says nothing of its authority: %s", made.Command)
	}
	a := startAgentIn(t, t.TempDir(), []string{"ip", "netns", "exec", "device"}, enroll, "--kernel", "--confirm-within", "8s")
	id := c.policy("Firewall", firewallPolicy(1, "allow"), string(mdm.RootGroup))
	publish := func(n int, outgoing string, rules ...object) {
		t.Helper()
		c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": firewallPolicy(n, outgoing, rules...)}, nil)
		c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	}
	standing := func(n int, state, words string) {
		t.Helper()
		var d deviceSettings
		for end := time.Now().Add(patience); ; <-time.After(100 * time.Millisecond) {
			d = deviceSettings{}
			c.must(http.MethodGet, "/api/devices/"+string(a.id)+"/settings", nil, &d)
			well := d.Current && len(d.Settings) == 2
			for _, s := range d.Settings {
				if s.ID == "firewall.policy" {
					well = well && s.State == state && strings.Contains(s.Message, words)
				} else {
					well = well && s.State == "applied" && strings.Contains(string(s.Value), fmt.Sprintf(`version %d"`, n))
				}
			}
			if well {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the firewall is not %s (%s) but %+v", state, words, d)
			}
		}
	}
	publish(1, "allow")
	standing(1, "applied", "")
	good := rules()
	if !strings.Contains(good, "table inet handrail") {
		t.Fatalf("the device's kernel has no rules of ours:\n%s", good)
	}

	began := time.Now()
	publish(2, "deny")
	standing(2, "failed", "could not reach its gateway")
	t.Logf("cut off, back and said so in %v", time.Since(began).Round(100*time.Millisecond))
	if now := rules(); now != good {
		t.Errorf("after going back the rules are\n%s\nwant\n%s", now, good)
	}

	// Going back is a change of what the agent watches, and a manifest that changes something
	// else comes: neither makes it cut itself off again.
	c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": append(firewallPolicy(2, "deny")[1:], firewallPolicy(22, "")[0])}, nil)
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	standing(22, "failed", "could not reach its gateway")
	if now := rules(); now != good {
		t.Errorf("it cuts itself off again and again:\n%s", now)
	}

	// The agent dies while it waits whether the gateway can be reached.
	publish(3, "deny", object{"name": "mail", "action": "allow", "direction": "out", "protocol": "tcp", "ports": []string{"25"}})
	for end := time.Now().Add(patience); !strings.Contains(rules(), "tcp dport 25"); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the rules that cut never came")
		}
	}
	a.kill()
	if now := rules(); now == good {
		t.Error("the agent went back before it was killed")
	}
	a.start()
	standing(3, "failed", "could not reach its gateway")
	if now := rules(); now != good {
		t.Errorf("after a killed agent's successor went back the rules are\n%s\nwant\n%s", now, good)
	}

	// The same with the one hole it needs.
	host, port, _ := strings.Cut(strings.TrimPrefix(g.url, "https://"), ":")
	publish(4, "deny", object{"name": "gateway", "action": "allow", "direction": "out", "protocol": "tcp", "ports": []string{port}, "sources": []string{host}})
	standing(4, "applied", "")
}

// TestDeviceWithAFullDisk has the real agent apply a policy where there is no room, and then
// where there is again.
func TestDeviceWithAFullDisk(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	shell(t, "ip link set lo up")
	small := t.TempDir()
	shell(t, "mount -t tmpfs -o size=16m,mode=0755 none "+small)
	t.Cleanup(func() { _ = exec.Command("umount", small).Run() }) //nolint:noctx // the test's context is over
	g := startGateway(t, t.TempDir())
	c := g.admin()
	a := startAgentIn(t, small, nil, []string{"--gateway", g.url, "--token", c.token(1)})
	big := func(n int) []object {
		return []object{
			{"id": "motd.banner", "value": object{"text": fmt.Sprint("version ", n)}},
			{"id": "file.content/big", "value": object{"path": "/etc/big", "content": strings.Repeat(fmt.Sprint(n), 60_000), "validate": "none"}},
		}
	}
	id := c.policy("Files", big(1), string(mdm.RootGroup))
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	await := func(what string, ok func(d deviceSettings) bool) {
		t.Helper()
		var d deviceSettings
		for end := time.Now().Add(patience); ; <-time.After(100 * time.Millisecond) {
			d = deviceSettings{}
			if c.must(http.MethodGet, "/api/devices/"+string(a.id)+"/settings", nil, &d); ok(d) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("not %s but %.1000v", what, d)
			}
		}
	}
	await("applied", applied(2))
	before := a.tree()
	ballast, err := os.Create(filepath.Join(small, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1 << 20, 4096, 1} { // to the last byte
		for err = nil; err == nil; {
			_, err = ballast.Write(make([]byte, size))
		}
	}
	if err := ballast.Close(); err != nil {
		t.Fatal(err)
	}
	c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": big(2)}, nil)
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	await("failed for want of room", func(d deviceSettings) bool {
		n := 0
		for _, s := range d.Settings {
			if s.State == "failed" && strings.Contains(s.Message, "no space left") {
				n++
			}
		}
		return n == 2
	})
	if now := a.tree(); !maps.Equal(now, before) {
		t.Errorf("half of it was applied: %.500v", now)
	}
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	await("applied when there is room", applied(2))
	if now := a.tree(); now["/etc/motd"] != "version 2\n" || len(now["/etc/big"]) != 60_000 {
		t.Errorf("with room again the device has %.500v", now)
	}
}
