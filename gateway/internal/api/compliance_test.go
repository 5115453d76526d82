package api_test

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
)

// workstation is the inventory of a device that meets every shipped rule, as sections.
func workstation(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../baseline/testdata/good.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, data := range all {
		out[name] = string(data)
	}
	fresh := strconv.FormatInt(time.Now().Add(-time.Hour).UnixMicro(), 10)
	out["updates"] = strings.Replace(out["updates"], "1795400000000000", fresh, 1)
	return software(t, out, deb("openssl", "3.0.14"))
}

// check has the engine look at all that is due.
func (g *gateway) check() {
	g.t.Helper()
	for {
		n, err := g.comply.Round(g.t.Context())
		if err != nil {
			g.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// matched sends a request with If-Match.
func (c *client) matched(status int, revision, method, path string, in, out any) {
	c.g.t.Helper()
	c.head.Set("If-Match", revision)
	defer c.head.Del("If-Match")
	c.want(status, method, path, in, out)
}

func fleetOfTwo(t *testing.T, g *gateway) (admin *client, good, bad reporter, sub string) {
	t.Helper()
	admin = g.admin()
	sub = admin.group("Berlin")
	if _, err := g.rules.Sync(t.Context(), g.now()); err != nil {
		t.Fatal(err)
	}
	admin.want(http.StatusOK, http.MethodPut, "/api/compliance/settings", map[string]any{"new_device_grace_hours": 0}, nil)
	good, bad = g.reporter(admin, "grp_root", "good"), g.reporter(admin, sub, "bad")
	if err := g.store.SeenDevices(t.Context(), seenNow(g, good.id, bad.id)); err != nil {
		t.Fatal(err)
	}
	good.send(true, workstation(t))
	worse := workstation(t)
	worse["sshd"] = strings.Replace(worse["sshd"], `"permitrootlogin": "no"`, `"permitrootlogin": "yes"`, 1)
	worse["files"] = strings.Replace(worse["files"], `"/root": {"mode": "0700"`, `"/root": {"mode": "0755"`, 1)
	delete(worse, "firewall")
	bad.send(true, worse)
	g.pass(time.Minute)
	g.check()
	return admin, good, bad, sub
}

func TestCompliance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		g := newGateway(t, s)
		admin, good, bad, sub := fleetOfTwo(t, g)
		var all api.ComplianceBody
		admin.want(http.StatusOK, http.MethodGet, "/api/compliance", nil, &all)
		if all.Devices != 2 || all.Overall.Compliant != 1 || all.Overall.NonCompliant != 1 || all.Checking != 0 || len(all.TopRules) != 2 || all.TopRules[0].Slug != "ssh-no-root-login" {
			t.Errorf("dashboard = %+v", all)
		}
		if all.Score <= 95 || all.Score >= 100 {
			t.Errorf("score = %v", all.Score)
		}
		var of api.DeviceComplianceBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+good.id+"/compliance", nil, &of)
		for _, i := range of.Items {
			if i.State != "compliant" && i.State != "not_applicable" {
				t.Errorf("good: %s is %s: %s %v", i.Rule, i.State, i.Message, i.Evidence)
			}
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+bad.id+"/compliance", nil, &of)
		if of.Overall != "non_compliant" || of.Counts.NonCompliant != 2 || of.Counts.Unknown != 2 {
			t.Errorf("bad = %s %+v", of.Overall, of.Counts)
		}
		var found api.List[api.StandingDevice]
		admin.want(http.StatusOK, http.MethodGet, "/api/compliance/rules/ssh-no-root-login/devices", nil, &found)
		if len(found.Items) != 1 || found.Items[0].DeviceID != bad.id || found.Items[0].Since == nil {
			t.Errorf("devices = %+v", found)
		}
		text, err := json.Marshal(found.Items[0].Evidence)
		if err != nil || !strings.Contains(string(text), `"sshd.config.permitrootlogin":"yes"`) {
			t.Errorf("evidence = %s %v", text, err)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/compliance/devices?state=compliant", nil, &found)
		if len(found.Items) != 1 || found.Items[0].DeviceID != good.id {
			t.Errorf("compliant devices = %+v", found)
		}
		// Who looks after one group sees its devices and their numbers only.
		helper := admin.operator("helper", grant("helpdesk", sub))
		helper.want(http.StatusOK, http.MethodGet, "/api/compliance", nil, &all)
		if all.Devices != 1 || all.Overall.NonCompliant != 1 {
			t.Errorf("helper's dashboard = %+v", all)
		}
		if got := helper.do(http.MethodGet, "/api/devices/"+good.id+"/compliance", nil, nil); got != http.StatusNotFound {
			t.Errorf("another group's device: %d", got)
		}
		if got := helper.do(http.MethodPost, "/api/compliance/rules", map[string]any{}, nil); got != http.StatusForbidden && got != http.StatusUnprocessableEntity {
			t.Errorf("helper makes a rule: %d", got)
		}
		complianceOverTime(t, g, admin, bad)
	})
}

// TestComplianceSaysWhatIsBehind has devices report what nobody has looked at yet.
func TestComplianceSaysWhatIsBehind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin, good, bad, sub := fleetOfTwo(t, g)
		helper := admin.operator("helper", grant("helpdesk", sub)) // looks after the bad one
		waiting := func(c *client, query string) *api.WaitingBody {
			t.Helper()
			var all api.ComplianceBody
			c.want(http.StatusOK, http.MethodGet, "/api/compliance"+query, nil, &all)
			if all.CountedAt.IsZero() {
				t.Error("it does not say of when the numbers are")
			}
			return all.Waiting
		}
		if got := waiting(admin, ""); got != nil {
			t.Errorf("all is checked, and it says %+v", got)
		}
		past := "?as_of=" + url.QueryEscape(g.now().Format(time.RFC3339))
		g.pass(time.Minute)
		good.send(false, map[string]string{"time": `{"synchronised":false,"service":"timesyncd"}`})
		g.pass(30 * time.Second)
		bad.send(false, map[string]string{"time": `{"synchronised":false,"service":"timesyncd"}`})
		g.pass(10 * time.Second)
		if got := waiting(admin, ""); got == nil || got.Devices != 2 || got.BehindSeconds != 40 {
			t.Errorf("two devices wait, and it says %+v", got)
		}
		if got := waiting(helper, ""); got == nil || got.Devices != 1 || got.BehindSeconds != 10 {
			t.Errorf("one device of the group waits, and its helper is told %+v", got)
		}
		if got := waiting(admin, past); got != nil {
			t.Errorf("of the past it says %+v", got)
		}
		g.check()
		for _, c := range []*client{admin, helper} {
			if got := waiting(c, ""); got != nil {
				t.Errorf("all is checked again, and it says %+v", got)
			}
		}
	})
}

// complianceOverTime mends the device and asks what was when.
func complianceOverTime(t *testing.T, g *gateway, admin *client, bad reporter) {
	t.Helper()
	before := g.now().Add(30 * time.Minute)
	g.pass(2 * time.Hour)
	if err := g.store.SeenDevices(t.Context(), seenNow(g, bad.id)); err != nil {
		t.Fatal(err)
	}
	token, _ := g.auth.MintAccess(mdm.DeviceID(bad.id))
	bad.c.head.Set("Authorization", "Bearer "+token)
	bad.send(true, workstation(t))
	g.check()
	var of api.DeviceComplianceBody
	admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+bad.id+"/compliance", nil, &of)
	if of.Counts.NonCompliant != 0 {
		t.Errorf("mended = %+v", of.Counts)
	}
	admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+bad.id+"/compliance?as_of="+before.Format(time.RFC3339), nil, &of)
	if of.Overall != "non_compliant" || of.Counts.NonCompliant != 2 {
		t.Errorf("a day ago = %s %+v", of.Overall, of.Counts)
	}
	var all api.ComplianceBody
	admin.want(http.StatusOK, http.MethodGet, "/api/compliance?as_of="+before.Format(time.RFC3339), nil, &all)
	if all.Overall.NonCompliant != 1 || all.AsOf == nil {
		t.Errorf("a day ago = %+v", all)
	}
	// Before any rule was looked at, nothing was met.
	admin.want(http.StatusOK, http.MethodGet, "/api/compliance?as_of="+before.Add(-30*time.Minute-2*time.Second).Format(time.RFC3339), nil, &all)
	if all.Overall.Compliant != 0 || all.Score != 0 {
		t.Errorf("before the first check = %+v", all)
	}
	var h api.List[api.IntervalBody]
	admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+bad.id+"/compliance/history?rule=ssh-no-root-login", nil, &h)
	if len(h.Items) != 2 || h.Items[0].State != "compliant" || h.Items[1].State != "non_compliant" || h.Items[1].Until == nil {
		t.Errorf("history = %+v", h.Items)
	}
	for _, tt := range []struct{ query, kind, want string }{
		{"format=csv&rule=ssh-no-root-login&as_of=" + before.Format(time.RFC3339), "text/csv", bad.id},
		{"format=csv&state=not_applicable", "text/csv", "device_id"},
		{"format=pdf", "application/pdf", "%PDF-"},
	} {
		status, head, body := admin.download("/api/compliance/export?" + tt.query)
		if status != http.StatusOK || !strings.HasPrefix(head.Get("Content-Type"), tt.kind) || !strings.Contains(body, tt.want) || !strings.Contains(head.Get("Content-Disposition"), "compliance-") {
			t.Errorf("%s: %d %v %.200s", tt.query, status, head, body)
		}
		if tt.kind == "text/csv" {
			if _, err := csv.NewReader(strings.NewReader(body)).ReadAll(); err != nil {
				t.Errorf("%s: %v", tt.query, err)
			}
		}
	}
}

func TestComplianceRules(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin, good, bad, _ := fleetOfTwo(t, g)
	own := map[string]any{
		"slug": "old-openssl", "title": "OpenSSL is new", "severity": "high", "enabled": true,
		"expression": `!software("openssl").exists(v, version_less(v, "3.0.15"))`, "evidence": `software("openssl")`,
	}
	var r api.RuleBody
	admin.want(http.StatusCreated, http.MethodPost, "/api/compliance/rules", own, &r)
	g.check()
	admin.want(http.StatusOK, http.MethodGet, "/api/compliance/rules/old-openssl", nil, &r)
	if r.Counts.NonCompliant != 2 || r.Revision != 1 || r.Shipped {
		t.Errorf("own rule = %+v", r)
	}
	for _, tt := range []struct{ field, value, where string }{
		{"expression", "device.os == ", "body.expression[1:14]"},
		{"expression", "inventroy.x", "body.expression[1:1]"},
		{"applies", "1 + 1", "body.applies[1:1]"},
		{"evidence", "foo()", "body.evidence[1:4]"},
		{"applies", "inventory.tim.synchronised", "body.applies[1:10]"},
		{"evidence", "inventory.time.synchronized", "body.evidence[1:15]"},
		{"expression", "inventory.software.size() > 0", ""},
	} {
		in := map[string]any{"slug": "x", "title": "X", "severity": "low", "expression": "true", "enabled": true}
		in[tt.field] = tt.value
		var p api.Problem
		admin.want(http.StatusUnprocessableEntity, http.MethodPost, "/api/compliance/rules", in, &p)
		if tt.where != "" && (len(p.Errors) == 0 || p.Errors[0].Location != tt.where) {
			t.Errorf("%s: %+v, want %s", tt.value, p, tt.where)
		}
	}
	admin.want(http.StatusConflict, http.MethodPost, "/api/compliance/rules", own, nil)
	delete(own, "slug")
	admin.want(http.StatusPreconditionRequired, http.MethodPut, "/api/compliance/rules/old-openssl", own, nil)
	own["severity"] = "low"
	admin.matched(http.StatusOK, `"1"`, http.MethodPut, "/api/compliance/rules/old-openssl", own, &r)
	admin.matched(http.StatusPreconditionFailed, `"1"`, http.MethodPut, "/api/compliance/rules/old-openssl", own, nil)
	admin.matched(http.StatusUnprocessableEntity, "*", http.MethodDelete, "/api/compliance/rules/ssh-pam", nil, nil)
	admin.matched(http.StatusNoContent, `"2"`, http.MethodDelete, "/api/compliance/rules/old-openssl", nil, nil)
	// Of a shipped rule what the organisation may choose.
	admin.matched(http.StatusOK, "*", http.MethodPut, "/api/compliance/rules/ssh-no-root-login",
		map[string]any{"title": "x", "severity": "low", "expression": "false", "enabled": false}, &r)
	if r.Title == "x" || r.Severity != "low" || r.Enabled || !r.Shipped {
		t.Errorf("shipped rule = %+v", r)
	}
	g.check()
	var try api.TryBody
	admin.want(http.StatusOK, http.MethodPost, "/api/compliance/rules/try", map[string]any{"expression": `inventory.firewall.active`}, &try)
	if try.Devices != 2 || try.Counts.Compliant != 1 || try.Counts.Unknown != 1 || try.Sample[0].DeviceID != bad.id {
		t.Errorf("try = %+v", try)
	}
	admin.want(http.StatusUnprocessableEntity, http.MethodPost, "/api/compliance/rules/try", map[string]any{"expression": `1 +`}, nil)
	admin.want(http.StatusAccepted, http.MethodPost, "/api/compliance/recheck", map[string]any{"devices": []string{good.id}}, nil)
	admin.want(http.StatusNotFound, http.MethodGet, "/api/compliance/rules/none/devices", nil, nil)
	admin.want(http.StatusNotFound, http.MethodGet, "/api/compliance/rules/none", nil, nil)
}

func TestWaiversAndRemedies(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin, _, bad, sub := fleetOfTwo(t, g)
	w := map[string]any{"rule": "ssh-no-root-login", "device_id": bad.id, "owner": "Ana", "reason": "until the move", "expires_at": g.now().Add(48 * time.Hour)}
	var made api.WaiverBody
	admin.want(http.StatusCreated, http.MethodPost, "/api/compliance/waivers", w, &made)
	g.pass(time.Second)
	g.check()
	var of api.DeviceComplianceBody
	admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+bad.id+"/compliance", nil, &of)
	if of.Counts.Waived != 1 {
		t.Errorf("waived = %+v", of.Counts)
	}
	status, _, lines := admin.download("/api/compliance/export?format=csv&state=waived")
	if status != http.StatusOK || !strings.Contains(lines, ",Ana,until the move,") {
		t.Errorf("export of the waived: %d\n%s", status, lines)
	}
	if status, _, pdf := admin.download("/api/compliance/export?format=pdf"); status != http.StatusOK || !strings.HasPrefix(pdf, "%PDF-") {
		t.Errorf("report with a waiver: %d", status)
	}
	tech := admin.operator("tech", grant("technician", sub))
	if got := tech.do(http.MethodPost, "/api/compliance/waivers", w, nil); got != http.StatusForbidden {
		t.Errorf("a technician waives: %d", got)
	}
	other := admin.operator("other", grant("admin", admin.group("Paris")))
	if got := other.do(http.MethodDelete, "/api/compliance/waivers/"+made.ID, nil, nil); got != http.StatusNotFound {
		t.Errorf("another group's admin revokes: %d", got)
	}
	admin.want(http.StatusNoContent, http.MethodDelete, "/api/compliance/waivers/"+made.ID, nil, nil)
	var list api.List[api.WaiverBody]
	admin.want(http.StatusOK, http.MethodGet, "/api/compliance/waivers", nil, &list)
	if len(list.Items) != 0 {
		t.Errorf("waivers that hold = %+v", list.Items)
	}
	admin.want(http.StatusOK, http.MethodGet, "/api/compliance/waivers?past=true", nil, &list)
	if len(list.Items) != 1 || list.Items[0].Holds {
		t.Errorf("waivers = %+v", list.Items)
	}

	var done api.RemediateBody
	tech.want(http.StatusOK, http.MethodPost, "/api/compliance/remediate", map[string]any{"rule": "files-root-home", "devices": []string{bad.id}}, &done)
	if done.BulkID == "" || done.Devices != 1 {
		t.Errorf("mended by a script: %+v", done)
	}
	setting := map[string]any{"rule": "ssh-no-root-login", "devices": []string{bad.id}}
	if got := tech.do(http.MethodPost, "/api/compliance/remediate", setting, nil); got != http.StatusForbidden {
		t.Errorf("a technician mends by a policy: %d", got)
	}
	admin.want(http.StatusOK, http.MethodPost, "/api/compliance/remediate", setting, &done)
	first := done
	admin.want(http.StatusOK, http.MethodPost, "/api/compliance/remediate", setting, &done)
	if done.PolicyID == "" || done != first {
		t.Errorf("mended by a setting: %+v, then %+v", first, done)
	}
	var p api.PolicyBody
	admin.want(http.StatusOK, http.MethodGet, "/api/policies/"+done.PolicyID, nil, &p)
	if p.Live != 1 || len(p.Assignments) != 1 {
		t.Errorf("policy = %+v", p)
	}
	admin.want(http.StatusUnprocessableEntity, http.MethodPost, "/api/compliance/remediate", map[string]any{"rule": "encryption-root", "devices": []string{bad.id}}, nil)
}

func seenNow(g *gateway, ids ...string) map[mdm.DeviceID]time.Time {
	out := map[mdm.DeviceID]time.Time{}
	for _, id := range ids {
		out[mdm.DeviceID(id)] = g.now()
	}
	return out
}

// download fetches what is no JSON.
func (c *client) download(path string) (int, http.Header, string) {
	c.g.t.Helper()
	req, err := http.NewRequestWithContext(c.g.t.Context(), http.MethodGet, c.g.server.URL+path, nil)
	if err != nil {
		c.g.t.Fatal(err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.g.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.g.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// TestNumbersAreTheLists: every number of compliance is as long as the list behind it, for who
// sees all and for who sees a group.
func TestNumbersAreTheLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		g := newGateway(t, s)
		admin, _, bad, sub := fleetOfTwo(t, g)
		g.reporter(admin, sub, "silent") // enrolled, and never a word since
		other := workstation(t)
		other["sysctl"] = "{}"
		g.reporter(admin, "grp_root", "other").send(true, other)
		waived := map[string]any{"rule": "files-root-home", "device_id": bad.id, "owner": "Ana", "reason": "moves", "expires_at": g.now().Add(48 * time.Hour)}
		admin.want(http.StatusCreated, http.MethodPost, "/api/compliance/waivers", waived, nil)
		g.pass(time.Minute)
		g.check()
		gone := g.reporter(admin, "grp_root", "gone")
		gone.send(true, other)
		g.pass(time.Minute)
		g.check()
		admin.want(http.StatusOK, http.MethodPost, "/api/devices/"+gone.id+"/revoke", nil, nil)
		g.pass(time.Minute)
		g.check()
		helper := admin.operator("helper", grant("helpdesk", sub))
		for name, c := range map[string]*client{"admin": admin, "helper": helper} {
			for _, group := range []string{"", sub} {
				numbersAreLists(t, c, name, group)
			}
		}
	})
}

func numbersAreLists(t *testing.T, c *client, name, group string) {
	t.Helper()
	same := func(what string, want int64, path string) {
		t.Helper()
		n, after := int64(0), ""
		for {
			var page api.List[api.StandingDevice]
			c.want(http.StatusOK, http.MethodGet, path+"&limit=3&group="+group+"&after="+after, nil, &page)
			n += int64(len(page.Items))
			if after = page.Next; after == "" {
				break
			}
		}
		if n != want {
			t.Errorf("%s in %q: %s is %d, but the list has %d", name, group, what, want, n)
		}
	}
	byState := func(counts api.StateCounts) map[string]int64 {
		text, err := json.Marshal(counts)
		out := map[string]int64{}
		if err == nil {
			err = json.Unmarshal(text, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var all api.ComplianceBody
	c.want(http.StatusOK, http.MethodGet, "/api/compliance?group="+group, nil, &all)
	sum := int64(0)
	for state, n := range byState(all.Overall) {
		sum += n
		if state == "waived" || state == "not_applicable" {
			if n != 0 {
				t.Errorf("%s: %d devices are %s as a whole", name, n, state)
			}
			continue
		}
		same("devices "+state, n, "/api/compliance/devices?state="+state)
	}
	if sum != all.Devices {
		t.Errorf("%s in %q: states add up to %d of %d", name, group, sum, all.Devices)
	}
	var rules api.List[api.RuleBody]
	c.want(http.StatusOK, http.MethodGet, "/api/compliance/rules?group="+group, nil, &rules)
	for _, r := range rules.Items {
		if !r.Enabled || r.Counts.Compliant == all.Devices-1 && !strings.HasPrefix(r.Slug, "ssh") {
			continue // the one that never said a word is all there is: the others are alike
		}
		sum = 0
		for state, n := range byState(r.Counts) {
			sum += n
			same(r.Slug+" "+state, n, "/api/compliance/rules/"+r.Slug+"/devices?state="+state)
		}
		if sum != all.Devices {
			t.Errorf("%s in %q: %s adds up to %d of %d", name, group, r.Slug, sum, all.Devices)
		}
	}
}

// TestBadRules: whatever an admin writes, it is refused in words, or a device's state says in
// words why nothing can be said; and the engine goes on.
func TestBadRules(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin, good, _, _ := fleetOfTwo(t, g)
	const digits = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
	endless := "true"
	for _, v := range strings.Fields("a b c d e f g h i") {
		endless = digits + ".all(" + v + ", " + endless + ")"
	}
	for name, tt := range map[string]struct {
		expression string
		status     int
		says       string
	}{
		"no expression":  {`device.os ==`, http.StatusUnprocessableEntity, "not expected here"},
		"wrong type":     {`device.os + 1 == "x"`, http.StatusUnprocessableEntity, ""},
		"no such name":   {`inventroy.sshd.installed`, http.StatusUnprocessableEntity, "inventroy"},
		"no such part":   {`inventory.firewal.active`, http.StatusUnprocessableEntity, `no section "firewal"`},
		"not a question": {`"yes"`, http.StatusUnprocessableEntity, "true or false"},
		"broken pattern": {`device.name.matches("(")`, http.StatusUnprocessableEntity, "regex"},
		"huge pattern":   {`device.name.matches("((a{100}){100}){100}")`, http.StatusUnprocessableEntity, "regex"},
		"long":           {"true || " + strings.Repeat(" ", 9000) + "true", http.StatusUnprocessableEntity, "8192"},
		"very long":      {strings.Repeat("x", 1<<20), http.StatusRequestEntityTooLarge, ""},
		"deep":           {strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500), http.StatusUnprocessableEntity, ""},
	} {
		in := map[string]any{"slug": "bad", "title": "Bad", "severity": "low", "enabled": true, "expression": tt.expression}
		for _, path := range []string{"/api/compliance/rules", "/api/compliance/rules/try"} {
			if path == "/api/compliance/rules/try" {
				in = map[string]any{"expression": tt.expression}
			}
			var p api.Problem
			admin.want(tt.status, http.MethodPost, path, in, &p)
			text, err := json.Marshal(p)
			if err != nil || !strings.Contains(strings.ToLower(strings.ReplaceAll(string(text), `\"`, `"`)), strings.ToLower(tt.says)) {
				t.Errorf("%s: %s says %s, want %q in it", name, path, text, tt.says)
			}
			if len(text) > 4000 {
				t.Errorf("%s: %s answers with %d bytes", name, path, len(text))
			}
		}
	}
	// What shows only once it runs.
	for slug, tt := range map[string]struct{ expression, state, says string }{
		"never-ends": {endless, "error", "the expression takes too"},
		"slow":       {`inventory.files.exists(f, inventory.files.exists(g, inventory.files.exists(h, inventory.files.exists(i, inventory.files.exists(j, f + g + h + i + j == "")))))`, "error", "the expression takes too"},
		"grows":      {`cel.bind(a, "0123456789abcdef0123456789abcdef", cel.bind(b, a+a+a+a+a+a+a+a, cel.bind(c, b+b+b+b+b+b+b+b, cel.bind(d, c+c+c+c+c+c+c+c, cel.bind(e, d+d+d+d+d+d+d+d, cel.bind(f, e+e+e+e+e+e+e+e, cel.bind(g, f+f+f+f+f+f+f+f, g.size() > 0)))))))`, "error", "the expression takes too"},
		"absent":     {`inventory.battery[0].wear_percent < 50`, "unknown", "battery"},
		"odd-type":   {`inventory.sshd.installed > 3`, "error", ""},
		"divides":    {`1 / (inventory.host.hostname.size() - inventory.host.hostname.size()) == 0`, "error", "divi"},
		"made-up":    {`device.name.matches("(" + device.name)`, "error", "regex"},
	} {
		in := map[string]any{"slug": slug, "title": slug, "severity": "low", "enabled": true, "expression": tt.expression}
		admin.want(http.StatusCreated, http.MethodPost, "/api/compliance/rules", in, nil)
		g.pass(time.Second)
		g.check()
		var of api.DeviceComplianceBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+good.id+"/compliance", nil, &of)
		for _, i := range of.Items {
			switch {
			case i.Rule == slug:
				if i.State != tt.state || !strings.Contains(i.Message, tt.says) || i.Message == "" {
					t.Errorf("%s: %s, %q, want %s, %q", slug, i.State, i.Message, tt.state, tt.says)
				}
			case i.Rule == "ssh-no-root-login" && i.State != "compliant":
				t.Errorf("beside %s: %s is %s", slug, i.Rule, i.State)
			}
		}
		var try api.TryBody
		admin.want(http.StatusOK, http.MethodPost, "/api/compliance/rules/try", map[string]any{"expression": tt.expression}, &try)
		if try.Sample[0].State != tt.state && try.Sample[1].State != tt.state {
			t.Errorf("%s tried: %+v", slug, try)
		}
		admin.matched(http.StatusNoContent, "*", http.MethodDelete, "/api/compliance/rules/"+slug, nil, nil)
	}
}
