package gatewaytest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/label"
	"handrail/signaling"
)

// send does one request and decodes a good answer into out.
func send(t *testing.T, c *http.Client, method, url, bearer string, in, out any) int {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Logf("%s %s: %d %.300s", method, url, resp.StatusCode, b)
	} else if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, url, err, b)
		}
	}
	return resp.StatusCode
}

// bulk is an order as the API shows it.
type bulk struct {
	ID      string           `json:"id"`
	Devices int64            `json:"devices"`
	Counts  map[string]int64 `json:"counts"`
	Open    int64            `json:"open"`
}

func order(t *testing.T, g *gatewaytest.Gateway, c *http.Client, in map[string]any) bulk {
	t.Helper()
	var out struct{ Bulk bulk }
	if in["kind"] == nil {
		in["kind"] = command.RestartService
		in["parameters"] = map[string]string{"unit": "cups"}
	}
	if code := send(t, c, http.MethodPost, g.URL+"/api/commands", "", in, &out); code != http.StatusCreated {
		t.Fatalf("order: %d", code)
	}
	return out.Bulk
}

// fetch claims as a device does, over the link's access token, from whatever gateway.
func fetch(t *testing.T, g *gatewaytest.Gateway, a *gatewaytest.Agent, have ...command.ID) command.ClaimAnswer {
	t.Helper()
	var answer command.ClaimAnswer
	if code := send(t, http.DefaultClient, http.MethodPost, g.URL+signaling.PathAgentClaim, a.Client.State().Welcome.AccessToken, command.Claim{Have: have}, &answer); code != http.StatusOK {
		t.Fatalf("claim: %d", code)
	}
	return answer
}

func finish(t *testing.T, g *gatewaytest.Gateway, a *gatewaytest.Agent, id command.ID) {
	t.Helper()
	var answer command.ResultsAnswer
	rs := command.Results{Results: []command.Result{{ID: id, State: command.Succeeded, Message: "done"}}}
	if code := send(t, http.DefaultClient, http.MethodPost, g.URL+signaling.PathAgentResults, a.Client.State().Welcome.AccessToken, rs, &answer); code != http.StatusOK {
		t.Fatalf("results: %d", code)
	}
	if !slices.Contains(answer.Taken, id) {
		t.Errorf("taken: %v, want %s", answer.Taken, id)
	}
}

func awaitNudge(t *testing.T, a *gatewaytest.Agent) {
	t.Helper()
	for gatewaytest.Await[signaling.Nudge](a).What != signaling.NudgeCommands {
	}
}

// fetchNext claims when told to, until there is something: the same may be told twice.
func fetchNext(t *testing.T, g *gatewaytest.Gateway, a *gatewaytest.Agent) command.ClaimAnswer {
	t.Helper()
	for {
		awaitNudge(t, a)
		if got := fetch(t, g, a); len(got.Commands) > 0 {
			return got
		}
	}
}

func board(t *testing.T, g *gatewaytest.Gateway, c *http.Client, id string) bulk {
	t.Helper()
	var b bulk
	if code := send(t, c, http.MethodGet, g.URL+"/api/bulks/"+id, "", nil, &b); code != http.StatusOK {
		t.Fatalf("board: %d", code)
	}
	return b
}

// TestCommandsThroughTwoNodes: ordered at one node, told at the other, and neither the node
// that took the order nor the one that handed it out is needed for the rest.
func TestCommandsThroughTwoNodes(t *testing.T) {
	one := gatewaytest.Start(t, gatewaytest.Options{Postgres: true, Cluster: true, NoRelay: true})
	two := gatewaytest.Start(t, gatewaytest.Options{Peer: one, NoRelay: true})
	one.Admin()
	admin := two.SignIn(gatewaytest.AdminEmail, gatewaytest.AdminPassword)
	d := one.Enroll("desk-1", "")
	a := one.DialAgent(d)
	online(t, two, d.ID, true)
	console := one.DialBrowser(one.SignIn(gatewaytest.AdminEmail, gatewaytest.AdminPassword))
	console.Send(signaling.TypeSubscribe, signaling.Subscribe{Topics: []signaling.Topic{signaling.TopicCommands}})

	b := order(t, two, admin, map[string]any{"devices": []mdm.DeviceID{d.ID}})
	awaitNudge(t, a)
	if c := console.Await(signaling.TypeChanged).Body.(signaling.Changed); !slices.Contains(c.IDs, b.ID) {
		t.Errorf("the console at the other node was told of %v", c)
	}
	got := fetch(t, one, a)
	if len(got.Commands) != 1 || got.Commands[0].Kind != command.RestartService {
		t.Fatalf("claim: %+v", got)
	}
	finish(t, two, a, got.Commands[0].ID) // by way of the other node
	if b = board(t, one, one.SignIn(gatewaytest.AdminEmail, gatewaytest.AdminPassword), b.ID); b.Open != 0 || b.Counts["succeeded"] != 1 {
		t.Errorf("board: %+v", b)
	}

	// The node that took an order for later ends; the other one sees to it.
	later := order(t, two, admin, map[string]any{"devices": []mdm.DeviceID{d.ID}, "not_before": time.Now().Add(10 * time.Second)})
	// The other node hands one out and the answer is lost with it.
	lost := order(t, two, admin, map[string]any{"devices": []mdm.DeviceID{d.ID}})
	awaitNudge(t, a)
	first := fetch(t, two, a)
	two.Stop()
	a.Stop()
	a = one.DialAgent(d)
	awaitNudge(t, a) // what was sent and not answered is told of again
	again := fetch(t, one, a)
	if len(first.Commands) != 1 || len(again.Commands) != 1 || again.Commands[0].ID != first.Commands[0].ID || again.Commands[0].Attempt != 2 {
		t.Errorf("handed out %+v, then %+v", first, again)
	}
	finish(t, one, a, again.Commands[0].ID)
	got = fetchNext(t, one, a)
	if len(got.Commands) != 1 {
		t.Fatalf("the one for later: %+v", got)
	}
	finish(t, one, a, got.Commands[0].ID)
	admin = one.SignIn(gatewaytest.AdminEmail, gatewaytest.AdminPassword)
	for _, id := range []string{later.ID, lost.ID} {
		if b := board(t, one, admin, id); b.Open != 0 || b.Counts["succeeded"] != 1 {
			t.Errorf("board: %+v", b)
		}
	}
}

// TestWhoMayCommand: what operators order and see ends where their groups do.
func TestWhoMayCommand(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	admin := g.Admin()
	mine, theirs := g.Group("mine"), g.Group("theirs")
	d1, d2 := g.Enroll("mine-1", mine), g.Enroll("theirs-1", theirs)
	tech, desk, other := g.Operator("tech", "technician", mine), g.Operator("desk", "helpdesk", mine), g.Operator("other", "technician", theirs)
	console := g.DialBrowser(tech)
	console.Send(signaling.TypeSubscribe, signaling.Subscribe{Topics: []signaling.Topic{signaling.TopicCommands}})
	all := order(t, g, admin, map[string]any{"group": mdm.RootGroup})
	if all.Counts["queued"] != 2 || all.Devices != 2 {
		t.Errorf("all: %+v", all)
	}
	if b := board(t, g, tech, all.ID); b.Counts["queued"] != 1 || b.Devices != 1 {
		t.Errorf("a technician of one group counts %+v", b)
	}
	post := func(c *http.Client, path string, in any) int {
		t.Helper()
		return send(t, c, http.MethodPost, g.URL+path, "", in, nil)
	}
	service := func(more map[string]any) map[string]any {
		in := map[string]any{"kind": command.RestartService, "parameters": map[string]string{"unit": "cups"}}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	typed := map[string]any{"devices": []mdm.DeviceID{d1.ID}, "kind": command.RunScript, "parameters": map[string]string{"interpreter": "sh", "body": "id"}}
	for name, tt := range map[string]struct {
		got, want int
	}{
		"help desk orders":          {post(desk, "/api/commands", service(map[string]any{"devices": []mdm.DeviceID{d1.ID}})), http.StatusForbidden},
		"another group's device":    {post(tech, "/api/commands", service(map[string]any{"devices": []mdm.DeviceID{d2.ID}})), http.StatusNotFound},
		"another group":             {post(tech, "/api/commands", service(map[string]any{"group": theirs})), http.StatusNotFound},
		"nobody at all":             {post(tech, "/api/commands", service(nil)), http.StatusUnprocessableEntity},
		"two ways at once":          {post(tech, "/api/commands", service(map[string]any{"group": mine, "devices": []mdm.DeviceID{d1.ID}})), http.StatusUnprocessableEntity},
		"technician types a script": {post(tech, "/api/commands", typed), http.StatusForbidden},
		"administrator does":        {post(admin, "/api/commands", typed), http.StatusCreated},
		"technician adds a script":  {post(tech, "/api/scripts", map[string]any{"name": "x", "interpreter": "sh", "body": "id"}), http.StatusForbidden},
		"other number meant":        {post(admin, "/api/commands", service(map[string]any{"group": mine, "expect_devices": 7})), http.StatusConflict},
		"over before it begins":     {post(admin, "/api/commands", service(map[string]any{"group": mine, "expires_at": time.Now().Add(-time.Hour)})), http.StatusUnprocessableEntity},
		"technician of one cancels": {post(other, "/api/bulks/"+all.ID+"/cancel", nil), http.StatusOK},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", name, tt.got, tt.want)
		}
	}
	if b := board(t, g, admin, all.ID); b.Counts["queued"] != 1 || b.Counts["cancelled"] != 1 {
		t.Errorf("after one half was cancelled: %+v", b)
	}
	var list struct {
		Items []struct{ ID, DeviceID string }
	}
	send(t, desk, http.MethodGet, g.URL+"/api/commands?bulk="+all.ID, "", nil, &list)
	if len(list.Items) != 1 {
		t.Errorf("the help desk of one group sees %d of the order's commands", len(list.Items))
	}
	if code := send(t, desk, http.MethodGet, g.URL+"/api/commands?device="+string(d2.ID), "", nil, nil); code != http.StatusNotFound {
		t.Errorf("another group's device's commands: %d", code)
	}

	// Approval by somebody else.
	held := order(t, g, admin, map[string]any{"devices": []mdm.DeviceID{d1.ID}, "approval": true})
	if code := post(admin, "/api/bulks/"+held.ID+"/approve", nil); code != http.StatusConflict {
		t.Errorf("one's own approval: %d", code)
	}
	if code := post(other, "/api/bulks/"+held.ID+"/approve", nil); code != http.StatusNotFound {
		t.Errorf("approval by who cannot see it: %d", code)
	}
	if code := post(tech, "/api/bulks/"+held.ID+"/approve", nil); code != http.StatusOK {
		t.Errorf("approval: %d", code)
	}
	// A label reaches those of its devices one may command.
	l, err := g.Rooms.Labels.Create(t.Context(), label.Label{Name: "printers"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Rooms.Labels.Give(t.Context(), l.ID, []mdm.DeviceID{d1.ID, d2.ID}, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	if b := order(t, g, tech, map[string]any{"label": l.ID}); b.Counts["queued"] != 1 {
		t.Errorf("a label, by a technician of one group: %+v", b)
	}
	if b := order(t, g, admin, map[string]any{"label": l.ID, "expect_devices": 2}); b.Counts["queued"] != 2 {
		t.Errorf("a label: %+v", b)
	}
	if code := post(admin, "/api/commands", service(map[string]any{"label": "lbl_none"})); code != http.StatusNotFound {
		t.Errorf("no such label: %d", code)
	}
	// Which orders there is news of is told to who sees all of them.
	if c := console.Await(signaling.TypeChanged).Body.(signaling.Changed); len(c.IDs) != 0 {
		t.Errorf("the technician of one group is told of %v", c.IDs)
	}
	// A device that is revoked has nothing to wait for.
	g.Revoke(d1.ID)
	if b := board(t, g, admin, held.ID); b.Open != 0 || b.Counts["cancelled"] != 1 {
		t.Errorf("after the device was revoked: %+v", b)
	}
}

// TestHostileDevice: what a device says of commands is checked as everything it says.
func TestHostileDevice(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	admin := g.Admin()
	victim, thief := g.Enroll("victim", ""), g.Enroll("thief", "")
	a := g.DialAgent(thief)
	b := order(t, g, admin, map[string]any{"devices": []mdm.DeviceID{victim.ID}, "kind": command.CollectLogs})
	var list struct{ Items []struct{ ID command.ID } }
	send(t, admin, http.MethodGet, g.URL+"/api/commands?bulk="+b.ID, "", nil, &list)
	id, token := list.Items[0].ID, a.Client.State().Welcome.AccessToken
	if got := fetch(t, g, a); len(got.Commands) != 0 {
		t.Errorf("another device's commands: %+v", got)
	}
	finish(t, g, a, id) // is told that it was taken, so that it stops asking, and changes nothing
	if got := board(t, g, admin, b.ID); got.Counts["queued"] != 1 {
		t.Errorf("another device's result counts: %+v", got)
	}
	to := g.URL + "/agent/commands/" + string(id) + "/bundle"
	if code := send(t, http.DefaultClient, http.MethodPut, to, token, "logs", nil); code != http.StatusNotFound {
		t.Errorf("another device's bundle: %d", code)
	}
	for name, body := range map[string]any{
		"no results":  "x",
		"wrong state": command.Results{Results: []command.Result{{ID: id, State: command.Queued}}},
		"wrong id":    command.Results{Results: []command.Result{{ID: "../x", State: command.Succeeded}}},
		"too many":    command.Results{Results: make([]command.Result, command.MaxResults+1)},
	} {
		if code := send(t, http.DefaultClient, http.MethodPost, g.URL+signaling.PathAgentResults, token, body, nil); code/100 != 4 {
			t.Errorf("%s: %d", name, code)
		}
	}
	change := signaling.KeyChange{Old: make([]byte, 32), New: make([]byte, 32), OldSignature: make([]byte, 64), NewSignature: make([]byte, 64)}
	if code := send(t, http.DefaultClient, http.MethodPost, g.URL+signaling.PathAgentKey, token, change, nil); code != http.StatusForbidden {
		t.Errorf("a key nobody signed: %d", code)
	}
	if code := send(t, http.DefaultClient, http.MethodPost, g.URL+signaling.PathAgentClaim, "", command.Claim{}, nil); code != http.StatusUnauthorized {
		t.Errorf("a claim of nobody: %d", code)
	}
}
