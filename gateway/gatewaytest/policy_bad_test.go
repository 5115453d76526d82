package gatewaytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"handrail/gateway/gatewaytest"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/signaling"
)

// TestBadPolicies gives the API what it must refuse, with words.
func TestBadPolicies(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	c := console{t, g, g.Admin()}
	id := c.policy("Lock", lock(300), string(mdm.RootGroup))
	draft, assignments, publish := "/api/policies/"+id+"/draft", "/api/policies/"+id+"/assignments", "/api/policies/"+id+"/publish"
	one := func(id string, value any) object { return object{"settings": []object{{"id": id, "value": value}}} }
	scope := func(include object) object {
		return object{"assignments": []object{{"include": include, "exclude": object{}, "priority": 1}}}
	}
	stages := func(s ...object) object { return object{"rollout": object{"stages": s, "max_failed_percent": 0}} }
	for _, tt := range []struct {
		what, method, path string
		in                 any
		want               int
	}{
		{"a wrong type", http.MethodPut, draft, one("screen.lock", object{"enabled": "yes"}), 422},
		{"a value out of range", http.MethodPut, draft, one("screen.lock", object{"enabled": true, "idle_seconds": -5}), 422},
		{"an unknown key", http.MethodPut, draft, one("screen.luck", object{}), 422},
		{"an unknown field", http.MethodPut, draft, one("screen.lock", object{"enabled": true, "x": 1}), 422},
		{"a setting twice", http.MethodPut, draft, object{"settings": append(lock(1), lock(2)...)}, 422},
		{"no value", http.MethodPut, draft, object{"settings": []object{{"id": "screen.lock"}}}, 422},
		{"10 MB", http.MethodPut, draft, one("motd.banner", object{"text": strings.Repeat("x", 10<<20)}), 413},
		{"a secret that is not there", http.MethodPut, draft, one("wifi.network/a", object{"ssid": "a", "security": "wpa-psk", "psk": object{"secret": true}}), 422},
		{"a group there is none of", http.MethodPut, assignments, scope(object{"groups": []string{"grp_none"}}), 422},
		{"nobody", http.MethodPut, assignments, scope(object{}), 422},
		{"no group's id", http.MethodPut, assignments, scope(object{"groups": []string{"'; DROP TABLE policies"}}), 422},
		{"a version that is not there", http.MethodPost, "/api/policies/" + id + "/activate", object{"version": 99}, 422},
		{"what if that version", http.MethodPost, "/api/policies/" + id + "/what-if", object{"version": 99}, 422},
		{"stages that go back", http.MethodPost, publish, stages(object{"percent": 50, "soak_seconds": 0}, object{"percent": 20, "soak_seconds": 0}), 422},
		{"stages that end early", http.MethodPost, publish, stages(object{"percent": 50, "soak_seconds": 0}), 422},
		{"no stages", http.MethodPost, publish, stages(), 422},
		{"a policy of no name", http.MethodPost, "/api/policies", object{"name": "\u0001"}, 422},
		{"a name that is taken", http.MethodPost, "/api/policies", object{"name": "LOCK"}, 409},
		{"a policy that is not there", http.MethodGet, "/api/policies/pol_none", nil, 404},
		{"a roll-out that is not there", http.MethodPost, "/api/rollouts/rol_none/pause", object{}, 404},
		{"a verb there is none of", http.MethodPost, "/api/rollouts/rol_none/dance", object{}, 422},
		{"a diff with nothing", http.MethodGet, "/api/policies/" + id + "/diff?from=x", nil, 422},
	} {
		if got, _ := c.call(tt.method, tt.path, "*", tt.in, nil); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, got, tt.want)
		}
	}
	// A refused publication leaves the draft where it was.
	var p struct {
		Draft  *struct{ Settings []object }
		Newest int64
	}
	c.must(http.MethodGet, "/api/policies/"+id, nil, &p)
	if p.Draft == nil || p.Newest != 0 {
		t.Errorf("after refusals the policy is %+v", p)
	}
}

// TestRolloutByAPI goes from publication in stages over an empty label to the end.
func TestRolloutByAPI(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	c := console{t, g, g.Admin()}
	var label struct{ ID string }
	c.must(http.MethodPost, "/api/labels", object{"name": "Nobody yet"}, &label)
	id := c.policy("Lock", lock(300))
	c.must(http.MethodPut, "/api/policies/"+id+"/assignments", object{"assignments": []object{
		{"include": object{"labels": []string{label.ID}}, "exclude": object{}, "priority": 1},
	}}, nil)
	var p struct {
		Live    int64
		Rollout *struct{ ID, State string }
	}
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{"rollout": object{"max_failed_percent": 0, "stages": []object{
		{"percent": 5, "soak_seconds": 3600}, {"percent": 100, "soak_seconds": 3600},
	}}}, &p)
	if p.Live != 0 || p.Rollout == nil {
		t.Fatalf("published in stages: %+v", p)
	}
	rolloutID := p.Rollout.ID
	var r struct{ State, Reason string }
	awaitTrue(t, "done: there is nobody to wait for", func() bool {
		c.must(http.MethodGet, "/api/rollouts/"+rolloutID, nil, &r)
		return r.State == "done"
	})
	c.must(http.MethodGet, "/api/policies/"+id, nil, &p)
	if p.Live != 1 {
		t.Errorf("version %d is in force after the roll-out, want 1", p.Live)
	}
	// Somebody gets the label: now the policy is for them. Another roll-out is stopped by hand.
	m := &managed{t: t, Device: g.Enroll("desk", "")}
	m.connect(g)
	c.must(http.MethodPost, "/api/devices/bulk", object{"ids": []string{string(m.Device.ID)}, "action": "label", "label_id": label.ID}, nil)
	c.awaitSettings(string(m.Device.ID), "applied", applied(1))
	c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": lock(60)}, nil)
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{"rollout": object{"max_failed_percent": 0, "stages": []object{{"percent": 100, "soak_seconds": 3600}}}}, &p)
	c.awaitSettings(string(m.Device.ID), "at version 2", func(s deviceSettings) bool { return applied(1)(s) && s.Settings[0].Policy.Version == 2 })
	if got, _ := c.call(http.MethodPost, "/api/policies/"+id+"/publish", "*", object{}, nil); got != http.StatusConflict {
		t.Errorf("publishing under a roll-out: %d, want 409", got)
	}
	c.must(http.MethodPost, "/api/rollouts/"+p.Rollout.ID+"/pause", object{}, &r)
	c.must(http.MethodPost, "/api/rollouts/"+p.Rollout.ID+"/resume", object{}, &r)
	c.must(http.MethodPost, "/api/rollouts/"+p.Rollout.ID+"/stop", object{"reason": "too early"}, &r)
	if r.State != "returned" || r.Reason != "too early" {
		t.Errorf("stopped: %+v", r)
	}
	c.awaitSettings(string(m.Device.ID), "back at version 1", func(s deviceSettings) bool { return applied(1)(s) && s.Settings[0].Policy.Version == 1 })
	if got, _ := c.call(http.MethodPost, "/api/rollouts/"+p.Rollout.ID+"/resume", "", object{}, nil); got != http.StatusConflict {
		t.Errorf("resuming one that is over: %d, want 409", got)
	}
}

// TestHostileReports lets a device say what it should not.
func TestHostileReports(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	c := console{t, g, g.Admin()}
	m := &managed{t: t, Device: g.Enroll("desk", "")}
	m.connect(g)
	id := c.policy("Lock", lock(300), string(mdm.RootGroup))
	c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
	c.awaitSettings(string(m.Device.ID), "applied", applied(1))
	m.mu.Lock()
	have := m.have
	m.mu.Unlock()
	say := func(r any) int {
		t.Helper()
		b, ok := r.([]byte)
		if !ok {
			var err error
			if b, err = json.Marshal(r); err != nil {
				t.Fatal(err)
			}
		}
		status, _ := m.ask(http.MethodPost, signaling.PathAgentStatus, b)
		return status
	}
	big := json.RawMessage(`"` + strings.Repeat("x", manifest.MaxObserved-2) + `"`)
	many := manifest.Report{Generation: have.Generation, Hash: have.Hash}
	for i := range 100 {
		many.Statuses = append(many.Statuses, manifest.Status{ID: manifest.MakeID("file.content", "x"+strings.Repeat("y", i%60)), State: manifest.Applied, Observed: big})
	}
	for what, tt := range map[string]struct {
		r    any
		want int
	}{
		"no JSON":                     {[]byte("{"), 422},
		"settings it was never given": {many, 204},
		"a state of its own making":   {manifest.Report{Hash: have.Hash, Statuses: []manifest.Status{{ID: "screen.lock", State: "great"}}}, 422},
		"pending":                     {manifest.Report{Hash: have.Hash, Statuses: []manifest.Status{{ID: "screen.lock", State: manifest.Pending}}}, 422},
		"an id with a path in it":     {manifest.Report{Hash: have.Hash, Statuses: []manifest.Status{{ID: "screen.lock/../x", State: manifest.Applied}}}, 422},
		"a generation below zero":     {manifest.Report{Generation: -1}, 422},
		"9 MB":                        {[]byte(`{"hash":"` + strings.Repeat("x", 9<<20) + `"}`), 413},
		"gone, though it must be":     {manifest.Report{Generation: have.Generation, Hash: have.Hash, Gone: []manifest.ID{"screen.lock"}}, 204},
		"a manifest nobody made":      {manifest.Report{Generation: 0, Hash: strings.Repeat("a", 64)}, 204},
	} {
		if got := say(tt.r); got != tt.want {
			t.Errorf("%s: %d, want %d", what, got, tt.want)
		}
	}
	s := c.awaitSettings(string(m.Device.ID), "as before", applied(1))
	if len(s.Settings) != 1 || s.Settings[0].State != "applied" {
		t.Errorf("after all that: %+v", s)
	}
}
