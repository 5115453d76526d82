package daemon_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/mdm"
)

type object = map[string]any

// desk is an administrator who writes policies.
type desk struct {
	t    *testing.T
	g    *gatewaytest.Gateway
	http *http.Client
}

// must asks and decodes the answer into out; any refusal fails the test.
func (c desk) must(method, path string, in, out any) {
	c.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	rq, err := http.NewRequestWithContext(c.t.Context(), method, c.g.URL+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/json")
	rq.Header.Set("If-Match", "*")
	resp, err := c.http.Do(rq)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
}

// policy makes a policy for a group and publishes it.
func (c desk) policy(name string, group mdm.GroupID, settings ...object) string {
	c.t.Helper()
	var made struct{ ID string }
	c.must(http.MethodPost, "/api/policies", object{"name": name, "settings": settings}, &made)
	c.must(http.MethodPut, "/api/policies/"+made.ID+"/assignments", object{"assignments": []object{
		{"include": object{"groups": []string{string(group)}}, "exclude": object{}, "priority": 10},
	}}, nil)
	c.must(http.MethodPost, "/api/policies/"+made.ID+"/publish", object{"note": ""}, nil)
	return made.ID
}

// edit publishes another version.
func (c desk) edit(policy string, settings ...object) {
	c.t.Helper()
	c.must(http.MethodPut, "/api/policies/"+policy+"/draft", object{"settings": settings}, nil)
	c.must(http.MethodPost, "/api/policies/"+policy+"/publish", object{"note": ""}, nil)
}

// states is how a device's settings stand, as the console shows it.
func (c desk) states(id mdm.DeviceID) map[string]string {
	c.t.Helper()
	var s struct {
		Current  bool
		Settings []struct {
			ID, State, Message string
			Mended             int64
		}
	}
	c.must(http.MethodGet, "/api/devices/"+string(id)+"/settings", nil, &s)
	out := map[string]string{}
	for _, one := range s.Settings {
		out[one.ID] = one.State
		if one.Mended > 0 {
			out[one.ID] += " mended"
		}
	}
	if !s.Current {
		out["not current"] = ""
	}
	return out
}

func motd(text string) object { return object{"id": "motd.banner", "value": object{"text": text}} }

func etcFile(path, content string) object {
	return object{"id": "file.content/one", "value": object{"path": path, "content": content, "validate": "none"}}
}

// TestPolicyOnARealDevice has the real gateway and the real agent agree.
func TestPolicyOnARealDevice(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	group := g.Group("Office")
	c := desk{t, g, g.Admin()}
	d := newDevice(t, g, group)
	root := d.cfg.State.Path("root")
	read := func(p string) string {
		b, _ := os.ReadFile(root + p)
		return string(b)
	}
	if err := os.WriteFile(root+"/etc/motd", []byte("Debian\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	id := c.policy("Words", group, motd("Ours."), etcFile("/etc/made/x", "one"))
	d.until("the first policy", func() bool {
		s := c.states(d.id)
		return len(s) == 2 && s["motd.banner"] == "applied" && s["file.content/one"] == "applied"
	})
	t.Logf("published, applied and reported in %s", time.Since(began).Round(time.Millisecond))
	if read("/etc/motd") != "Ours.\n" || read("/etc/made/x") != "one" {
		t.Errorf("motd %q, x %q", read("/etc/motd"), read("/etc/made/x"))
	}

	// Drift is mended, and the console hears of it.
	if err := os.WriteFile(root+"/etc/motd", []byte("Theirs.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.until("mending", func() bool { return c.states(d.id)["motd.banner"] == "applied mended" })

	// The agent is away while the policy is edited and the gateway restarts; both come back.
	d.stop()
	for _, text := range []string{"one", "two", "three"} {
		c.edit(id, motd(text), etcFile("/etc/made/x", text), object{"id": "ssh.server", "value": object{"permit_root_login": "no"}})
	}
	g.Restart()
	c = desk{t, g, g.Admin()}
	d.start()
	d.until("the newest version", func() bool {
		s := c.states(d.id)
		return len(s) == 3 && s["ssh.server"] == "not_applicable" && read("/etc/motd") == "three\n" && s["file.content/one"] == "applied"
	})

	// The gateway goes away in the middle of a change.
	c.edit(id, motd("four"))
	g.Restart()
	c = desk{t, g, g.Admin()}
	d.until("what was published just before the restart", func() bool {
		s := c.states(d.id)
		return len(s) == 1 && s["motd.banner"] == "applied mended" && read("/etc/motd") == "four\n"
	})
	if _, err := os.Stat(root + "/etc/made"); !os.IsNotExist(err) {
		t.Errorf("a directory of a removed setting is left (%v)", err)
	}

	c.must(http.MethodPost, "/api/policies/"+id+"/activate", object{"version": 0}, nil)
	d.until("removal", func() bool { return len(c.states(d.id)) == 0 })
	if read("/etc/motd") != "Debian\n" {
		t.Errorf("after removal motd = %q", read("/etc/motd"))
	}
}
