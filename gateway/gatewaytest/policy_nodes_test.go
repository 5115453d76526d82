package gatewaytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"handrail/gateway/gatewaytest"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// TestPolicyThroughTwoGateways edits at one node for devices at the other, and then lets the
// node that knows them stop.
func TestPolicyThroughTwoGateways(t *testing.T) {
	if !storetest.HasPostgres() {
		t.Log("no PostgreSQL given: `make test` runs this")
		return
	}
	one := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Postgres: true, Cluster: true})
	two := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Peer: one})
	c := console{t, one, one.Admin()}
	group := one.Group("Office")
	var devices []*managed
	for i, at := range []*gatewaytest.Gateway{one, two, two} {
		m := &managed{t: t, Device: one.Enroll("desk-"+string(rune('a'+i)), group)}
		m.connect(at)
		devices = append(devices, m)
	}
	id := c.policy("Lock", lock(300), string(group))
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	for _, m := range devices {
		c.awaitSettings(string(m.Device.ID), "applied", applied(1))
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	}
	// The edit is made at a node that stops right after; the other does what is left.
	last := console{t, two, two.SignIn(gatewaytest.AdminEmail, gatewaytest.AdminPassword)}
	devices[1].agent.Stop()
	devices[2].agent.Stop()
	last.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": lock(60)}, nil)
	last.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	two.Stop()
	for _, m := range devices[1:] {
		m.connect(one)
	}
	for _, m := range devices {
		s := c.awaitSettings(string(m.Device.ID), "applied", func(s deviceSettings) bool {
			return applied(1)(s) && strings.Contains(string(s.Settings[0].Value), `"idle_seconds":60`)
		})
		if s.Settings[0].Policy.Version != 2 {
			t.Errorf("version %d won, want 2", s.Settings[0].Policy.Version)
		}
		if n := m.fetches.Load(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	}
}

// TestGatewayRestartsWhileDevicesApply lets reports meet a gateway that is not there.
func TestGatewayRestartsWhileDevicesApply(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o gatewaytest.Options) {
		t.Helper()
		g := gatewaytest.Start(t, o)
		c := console{t, g, g.Admin()}
		group := g.Group("Office")
		m := &managed{t: t, Device: g.Enroll("desk", group)}
		hold, held := make(chan struct{}), make(chan struct{}, 8)
		m.answer = func(s manifest.Setting) manifest.Status {
			held <- struct{}{}
			<-hold
			return manifest.Status{ID: s.ID, State: manifest.Applied, Source: s.Source}
		}
		m.connect(g)
		id := c.policy("Lock", lock(300), string(group))
		c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
		<-held // it has fetched and applies
		g.Stop()
		close(hold) // the report goes nowhere, and nobody sends it again
		g.Restart()
		c.awaitSettings(string(m.Device.ID), "applied after the restart", applied(1))
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want 1: it has the manifest", n)
		}
	})
}

// TestNobodyUndoesWhatTheyHaveNotSeen lets two administrators edit at once.
func TestNobodyUndoesWhatTheyHaveNotSeen(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	c := console{t, g, g.Admin()}
	id := c.policy("Lock", lock(300))
	_, seen := c.call(http.MethodGet, "/api/policies/"+id, "", nil, nil)
	path := "/api/policies/" + id + "/draft"
	if status, _ := c.call(http.MethodPut, path, "", object{"settings": lock(60)}, nil); status != http.StatusPreconditionRequired {
		t.Errorf("an edit without If-Match: %d, want 428", status)
	}
	status, newer := c.call(http.MethodPut, path, seen, object{"settings": lock(60)}, nil)
	if status != http.StatusOK || newer == seen {
		t.Errorf("the first edit: %d, ETag %s after %s", status, newer, seen)
	}
	for what, do := range map[string]func() (int, string){
		"edit": func() (int, string) { return c.call(http.MethodPut, path, seen, object{"settings": lock(90)}, nil) },
		"publish": func() (int, string) {
			return c.call(http.MethodPost, "/api/policies/"+id+"/publish", seen, object{}, nil)
		},
		"rename": func() (int, string) {
			return c.call(http.MethodPatch, "/api/policies/"+id, seen, object{"name": "x"}, nil)
		},
		"delete": func() (int, string) { return c.call(http.MethodDelete, "/api/policies/"+id, seen, nil, nil) },
		"assign": func() (int, string) {
			return c.call(http.MethodPut, "/api/policies/"+id+"/assignments", seen, object{"assignments": []object{}}, nil)
		},
	} {
		if status, _ := do(); status != http.StatusPreconditionFailed {
			t.Errorf("%s at an old revision: %d, want 412", what, status)
		}
	}
	var p struct{ Draft struct{ Settings []object } }
	c.must(http.MethodGet, "/api/policies/"+id, nil, &p)
	if b, err := json.Marshal(p.Draft.Settings); err != nil || !strings.Contains(string(b), `"idle_seconds":60`) {
		t.Errorf("the first edit is gone: %s, %v", b, err)
	}
}

// TestSecretsStayIn looks for a pre-shared key in everything the API says, and in the
// database; the device alone gets it.
func TestSecretsStayIn(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	c := console{t, g, g.Admin()}
	group := g.Group("Office")
	m := &managed{t: t, Device: g.Enroll("desk", group)}
	m.connect(g)
	const psk = "correct-horse-4711"
	wifi := func(secret any, ssid string) []object {
		return []object{{"id": "wifi.network/office", "value": object{"ssid": ssid, "security": "wpa-psk", "psk": secret}}}
	}
	id := c.policy("Wi-Fi", wifi(psk, "Office"), string(group))
	publish := func() { c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil) }
	publish()
	c.awaitSettings(string(m.Device.ID), "applied", applied(1))
	has := func() string {
		m.mu.Lock()
		defer m.mu.Unlock()
		return string(m.have.Settings[0].Value)
	}
	if !strings.Contains(has(), psk) {
		t.Errorf("the device was given %s", has())
	}
	// A marker sent back keeps the secret.
	var version struct {
		Settings []struct{ Value struct{ PSK object } }
	}
	c.must(http.MethodGet, "/api/policies/"+id+"/versions/1", nil, &version)
	c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": wifi(version.Settings[0].Value.PSK, "Office 2")}, nil)
	for _, path := range []string{
		"/api/policies", "/api/policies/" + id, "/api/policies/" + id + "/versions/1", "/api/policies/" + id + "/export",
		"/api/policies/" + id + "/diff", "/api/devices/" + string(m.Device.ID) + "/settings", "/api/audit",
	} {
		var raw json.RawMessage
		c.must(http.MethodGet, path, nil, &raw)
		if strings.Contains(string(raw), psk) || strings.Contains(string(raw), "sealed") {
			t.Errorf("%s says %s", path, raw)
		}
	}
	var raw json.RawMessage
	c.must(http.MethodPost, "/api/policies/"+id+"/what-if", object{}, &raw)
	if strings.Contains(string(raw), psk) || !strings.Contains(string(raw), "Office 2") {
		t.Errorf("what-if says %s", raw)
	}
	publish()
	c.awaitSettings(string(m.Device.ID), "applied", func(s deviceSettings) bool {
		return applied(1)(s) && strings.Contains(string(s.Settings[0].Value), "Office 2")
	})
	if !strings.Contains(has(), psk) || !strings.Contains(has(), "Office 2") {
		t.Errorf("after an edit that kept the secret the device has %s", has())
	}
	v, err := g.Rooms.Store.PolicyVersion(t.Context(), policy.ID(id), 2)
	if err != nil || strings.Contains(string(v.Settings[0].Value), psk) {
		t.Errorf("the database holds %s: %v", v.Settings[0].Value, err)
	}
	st, err := g.Rooms.Store.Desired(t.Context(), m.Device.ID)
	if err != nil {
		t.Fatal(err)
	}
	o, err := g.Rooms.Store.Outcome(t.Context(), st.Outcome)
	if err != nil || strings.Contains(o.Sealed, psk) || strings.Contains(o.Sealed, "Office") {
		t.Errorf("the database holds the manifest %s: %v", o.Sealed, err)
	}
}

// TestPoliciesOfSomeGroups gives an administrator of one group what concerns it, and no more.
func TestPoliciesOfSomeGroups(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	root := console{t, g, g.Admin()}
	north, south := g.Group("North"), g.Group("South")
	here, there := &managed{t: t, Device: g.Enroll("here", north)}, &managed{t: t, Device: g.Enroll("there", south)}
	here.connect(g)
	there.connect(g)
	mine := root.policy("North lock", lock(300), string(north))
	other := root.policy("South lock", lock(300), string(south))
	both := root.policy("All", []object{{"id": "motd.banner", "value": object{"text": "hello"}}}, string(mdm.RootGroup))
	for _, id := range []string{mine, other, both} {
		root.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	}
	root.awaitSettings(string(here.Device.ID), "applied", applied(2))
	root.awaitSettings(string(there.Device.ID), "applied", applied(2))
	sub := console{t, g, g.Operator("nora", "admin", north)}
	var list struct {
		Items []struct {
			ID        string
			MayManage bool `json:"may_manage"`
			Counts    struct{ Devices, Applied int64 }
		}
	}
	sub.must(http.MethodGet, "/api/policies", nil, &list)
	for _, p := range list.Items {
		if p.ID == other || p.MayManage != (p.ID == mine) || p.Counts.Devices != 1 || p.Counts.Applied != 1 {
			t.Errorf("an administrator of North sees %+v", p)
		}
	}
	if len(list.Items) != 2 {
		t.Errorf("an administrator of North sees %d policies, want 2", len(list.Items))
	}
	for path, want := range map[string]int{
		"/api/policies/" + other + "/draft": http.StatusNotFound,
		"/api/policies/" + both + "/draft":  http.StatusForbidden,
		"/api/policies/" + mine + "/draft":  http.StatusOK,
	} {
		if got, _ := sub.call(http.MethodPut, path, "*", object{"settings": lock(60)}, nil); got != want {
			t.Errorf("PUT %s: %d, want %d", path, got, want)
		}
	}
	if got, _ := sub.call(http.MethodPut, "/api/policies/"+mine+"/assignments", "*", object{"assignments": []object{
		{"include": object{"groups": []string{string(south)}}, "exclude": object{}, "priority": 1},
	}}, nil); got != http.StatusForbidden {
		t.Errorf("assigning to another's group: %d, want 403", got)
	}
	if got, _ := sub.call(http.MethodGet, "/api/devices/"+string(there.Device.ID)+"/settings", "", nil, nil); got != http.StatusNotFound {
		t.Errorf("another's device: %d, want 404", got)
	}
	var found struct{ Items []struct{ ID string } }
	root.must(http.MethodGet, "/api/policies/"+both+"/devices?state=applied", nil, &found)
	if len(found.Items) != 2 {
		t.Errorf("devices of the policy for all: %+v", found)
	}
	sub.must(http.MethodGet, "/api/policies/"+both+"/devices", nil, &found)
	if len(found.Items) != 1 || found.Items[0].ID != string(here.Device.ID) {
		t.Errorf("the administrator of North sees the devices %+v", found)
	}
	// A roll-out to both groups counts, for each, the devices they see.
	root.must(http.MethodPut, "/api/policies/"+both+"/draft", object{"settings": []object{{"id": "motd.banner", "value": object{"text": "news"}}}}, nil)
	root.must(http.MethodPost, "/api/policies/"+both+"/publish", object{"rollout": object{"max_failed_percent": 0, "stages": []object{
		{"percent": 100, "soak_seconds": 3600},
	}}}, nil)
	for c, want := range map[console]int64{root: 2, sub: 1} {
		awaitTrue(t, "counted", func() bool {
			var list struct {
				Items []struct {
					Progress struct{ Total, Applied int64 }
				}
			}
			c.must(http.MethodGet, "/api/rollouts", nil, &list)
			if len(list.Items) == 1 && list.Items[0].Progress.Total > want {
				t.Errorf("who sees %d devices is told of %d", want, list.Items[0].Progress.Total)
			}
			return len(list.Items) == 1 && list.Items[0].Progress.Total == want && list.Items[0].Progress.Applied == want
		})
	}
}

// TestFaultsAreCounted follows the numbers to the devices behind them.
func TestFaultsAreCounted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o gatewaytest.Options) {
		t.Helper()
		g := gatewaytest.Start(t, o)
		c := console{t, g, g.Admin()}
		group := g.Group("Office")
		id := c.policy("Lock", lock(300), string(group))
		c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
		states := []manifest.State{manifest.Applied, manifest.Applied, manifest.Failed, manifest.Drifted, manifest.NotApplicable}
		for i, state := range states {
			m := &managed{t: t, Device: g.Enroll("desk-"+string(rune('a'+i)), group)}
			m.answer = func(s manifest.Setting) manifest.Status {
				return manifest.Status{ID: s.ID, State: state, Message: "because\x00 of this", Observed: json.RawMessage(`1`)}
			}
			m.connect(g)
			c.awaitSettings(string(m.Device.ID), "reported", func(s deviceSettings) bool {
				return s.Current && len(s.Settings) == 1 && s.Settings[0].State == string(state)
			})
		}
		g.Enroll("away", group)
		var status struct {
			Counts   map[string]int64
			Settings []struct {
				ID     string
				Counts map[string]int64
			}
		}
		want := map[string]int64{"devices": 6, "applied": 3, "failed": 1, "drifted": 1, "not_applicable": 1, "pending": 1, "conflict": 0}
		awaitTrue(t, "counted", func() bool {
			c.must(http.MethodGet, "/api/policies/"+id+"/status", nil, &status)
			return status.Counts["devices"] == 6
		})
		for state, n := range want {
			if got := status.Counts[state]; got != n {
				t.Errorf("%s: %d devices, want %d", state, got, n)
			}
			path := "/api/policies/" + id + "/devices?state=" + state
			if state == "devices" {
				path = "/api/policies/" + id + "/devices"
			}
			var list struct{ Items []struct{ ID string } }
			c.must(http.MethodGet, path, nil, &list)
			if int64(len(list.Items)) != n {
				t.Errorf("%s links to %d devices, says %d", state, len(list.Items), n)
			}
		}
		if len(status.Settings) != 1 || status.Settings[0].Counts["applied"] != 2 || status.Settings[0].Counts["not_applicable"] != 1 {
			t.Errorf("by setting: %+v", status.Settings)
		}
	})
}
