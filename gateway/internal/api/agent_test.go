package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/signaling"
)

func TestEnrollment(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		north := admin.group("North")
		tok := admin.token(north, 2)
		if !strings.Contains(tok.Command, "handrail-agent enroll --gateway "+g.server.URL+" --token "+tok.Token) {
			t.Errorf("command = %q", tok.Command)
		}
		m := newMachine(t, "fp-1", "pc-1")
		var first, again signaling.EnrollAnswer
		agent := g.client()
		agent.want(http.StatusOK, http.MethodPost, "/agent/enroll", m.request(tok.Token), &first)
		if first.Organisation != "Acme" || string(first.GatewayKey) != string(g.id.Key()) || string(first.NextKey) != string(g.id.NextKey()) {
			t.Errorf("answer = %+v", first)
		}
		agent.want(http.StatusOK, http.MethodPost, "/agent/enroll", m.request(tok.Token), &again)
		if again.DeviceID != first.DeviceID {
			t.Errorf("the same request twice made %s and %s", first.DeviceID, again.DeviceID)
		}
		m.key = newMachine(t, "", "").key // the disk was wiped
		agent.want(http.StatusOK, http.MethodPost, "/agent/enroll", m.request(tok.Token), &again)
		if again.DeviceID != first.DeviceID {
			t.Error("the same hardware became another device")
		}
		if want := string(first.DeviceID) + " unauthorized"; !slices.Contains(g.links.cut, want) {
			t.Errorf("the old key's link was not cut: %v", g.links.cut)
		}
		var p api.Problem
		agent.want(http.StatusForbidden, http.MethodPost, "/agent/enroll", newMachine(t, "fp-2", "pc-2").request(tok.Token), &p)
		if p.Code != signaling.CodeTokenSpent {
			t.Errorf("code = %s, want token_spent", p.Code)
		}
		var d api.DeviceBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+string(first.DeviceID), nil, &d)
		if d.Name != "pc-1" || d.GroupID != north || d.State != "offline" {
			t.Errorf("device = %+v", d)
		}
		var log api.List[api.AuditBody]
		admin.want(http.StatusOK, http.MethodGet, "/api/audit?action=device.", nil, &log)
		var actions []string
		for _, e := range log.Items {
			actions = append(actions, e.Action)
		}
		if want := []string{"device.enroll_refused", "device.enroll_again", "device.enroll"}; !slices.Equal(actions, want) {
			t.Errorf("audit holds %v, want %v", actions, want)
		}
	})
}

func TestEnrollmentRefusals(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	expired, revoked, good := admin.token("grp_root", 1), admin.token("grp_root", 1), admin.token("grp_root", 9)
	admin.want(http.StatusNoContent, http.MethodDelete, "/api/enrollment-tokens/"+revoked.ID, nil, nil)
	tests := []struct {
		what   string
		token  string
		change func(*signaling.EnrollRequest)
		status int
		code   signaling.Code
	}{
		{"unknown token", "het_00000000000000000000000000000000", nil, 403, signaling.CodeTokenUnknown},
		{"garbage token", "x", nil, 403, signaling.CodeTokenUnknown},
		{"revoked token", revoked.Token, nil, 403, signaling.CodeTokenRevoked},
		{"token of 10 kB", strings.Repeat("x", 10_000), nil, 422, signaling.CodeMalformed},
		{"signature of another", good.Token, func(r *signaling.EnrollRequest) { r.Signature[3] ^= 1 }, 403, signaling.CodeUnauthorized},
		{"hostname changed on the way", good.Token, func(r *signaling.EnrollRequest) { r.Hostname = "evil" }, 403, signaling.CodeUnauthorized},
		{"name of 10 kB", good.Token, func(r *signaling.EnrollRequest) { r.Hostname = strings.Repeat("n", 10_000) }, 422, signaling.CodeMalformed},
		{"control characters", good.Token, func(r *signaling.EnrollRequest) { r.Hostname = "a\x1b[2Jb" }, 422, signaling.CodeMalformed},
		{"no fingerprint", good.Token, func(r *signaling.EnrollRequest) { r.Fingerprint = "" }, 422, signaling.CodeMalformed},
		{"short key", good.Token, func(r *signaling.EnrollRequest) { r.PublicKey = r.PublicKey[:31] }, 422, signaling.CodeMalformed},
		{"no nonce", good.Token, func(r *signaling.EnrollRequest) { r.Nonce = nil }, 422, signaling.CodeMalformed},
	}
	for _, tt := range tests {
		r := newMachine(t, mdm.NewID("fp"), "pc").request(tt.token)
		if tt.change != nil {
			tt.change(&r)
		}
		var p api.Problem
		if got := g.client().do(http.MethodPost, "/agent/enroll", r, &p); got != tt.status || p.Code != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.what, got, p.Code, tt.status, tt.code)
		}
		g.mu.Lock()
		if p.ID == "" || !strings.Contains(g.log.String(), p.ID) {
			t.Errorf("%s: no line in the log under %q", tt.what, p.ID)
		}
		g.mu.Unlock()
	}
	for what, in := range map[string][]byte{"not JSON": []byte(`{"token":`), "a list": []byte(`[]`), "100 kB": []byte(`{"token":"` + strings.Repeat("x", 100_000) + `"}`)} {
		if got := g.client().do(http.MethodPost, "/agent/enroll", in, nil); got != 400 && got != 422 && got != 413 {
			t.Errorf("%s: %d", what, got)
		}
	}
	g.pass(25 * time.Hour) // also forgives the failures before
	var p api.Problem
	if g.client().do(http.MethodPost, "/agent/enroll", newMachine(t, "fp", "pc").request(expired.Token), &p); p.Code != signaling.CodeTokenExpired {
		t.Errorf("expired token: %s", p.Code)
	}
	for range 12 {
		g.client().do(http.MethodPost, "/agent/enroll", newMachine(t, "fp", "pc").request("het_00000000000000000000000000000001"), &p)
	}
	if p.Code != signaling.CodeRateLimited || p.RetryAfterMS <= 0 {
		t.Errorf("after a dozen guesses: %+v", p)
	}
}

// upload is an inventory as an honest agent hashes it.
func upload(full bool, sections map[string]string) signaling.InventoryUpload {
	u := signaling.InventoryUpload{Full: full, Sections: map[string]signaling.Section{}}
	for name, data := range sections {
		wire, err := json.Marshal(json.RawMessage(data)) // as it will look inside the upload
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(wire)
		u.Sections[name] = signaling.Section{Hash: hex.EncodeToString(sum[:]), Data: wire}
	}
	return u
}

func TestInventory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		id := admin.device("grp_root", "pc")
		token, _ := g.auth.MintAccess(mdm.DeviceID(id))
		agent := g.client()
		agent.head.Set("Authorization", "Bearer "+token)
		script := `<script>alert(1)</script>`
		var ans signaling.InventoryAnswer
		agent.want(http.StatusOK, http.MethodPut, "/agent/inventory", upload(true, map[string]string{
			"host":     `{"hostname":"pc","os_version":"Debian 12\u0000\u202e","kernel":"` + strings.Repeat("k", 10_000) + `"}`,
			"hardware": `{"vendor":"` + script + `","model":"M","serial":"S1","cpu":{"cores":2}}`,
			"users":    `[{"name":"ann","graphical":true}]`,
			"disks":    `{"not":"a list"}`,
		}), &ans)
		if len(ans.Have) != 3 || ans.Refused["disks"] == "" {
			t.Errorf("answer = %+v", ans)
		}
		var inv api.InventoryBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+id+"/inventory", nil, &inv)
		if inv.Sections.Host.OSVersion != "Debian 12" || len(inv.Sections.Host.Kernel) != 255 || inv.Sections.Hardware.Vendor != script || inv.Sections.Disks != nil {
			t.Errorf("inventory = %+v", inv.Sections)
		}
		var list api.List[api.DeviceBody]
		for q, want := range map[string]int{"debian": 1, "ann s1": 1, "%3Cscript%3E": 1, "nothing": 0} {
			admin.want(http.StatusOK, http.MethodGet, "/api/devices?q="+strings.ReplaceAll(q, " ", "+"), nil, &list)
			if len(list.Items) != want {
				t.Errorf("search %q finds %d, want %d", q, len(list.Items), want)
			}
		}
		agent.want(http.StatusOK, http.MethodPut, "/agent/inventory", upload(false, map[string]string{"host": `{"hostname":"pc2"}`}), &ans)
		admin.want(http.StatusOK, http.MethodGet, "/api/devices?q=ann", nil, &list)
		if len(list.Items) != 1 || list.Items[0].Name != "pc2" {
			t.Errorf("after a change of the host alone: %+v", list.Items)
		}

		other := g.client()
		for what, bearer := range map[string]string{"no token": "", "garbage": "hat1.AAAA", "altered": token[:len(token)-4] + "AAAA", "of nobody": ""} {
			if what == "of nobody" {
				bearer, _ = g.auth.MintAccess("dev_none")
			}
			other.head.Set("Authorization", "Bearer "+bearer)
			if got := other.do(http.MethodPut, "/agent/inventory", upload(false, nil), nil); got != 401 && (got != 403 || what != "of nobody") {
				t.Errorf("%s: %d", what, got)
			}
		}
		admin.want(http.StatusOK, http.MethodPost, "/api/devices/"+id+"/revoke", nil, nil)
		var p api.Problem
		if got := agent.do(http.MethodPut, "/agent/inventory", upload(false, nil), &p); got != 403 || p.Code != signaling.CodeRevoked {
			t.Errorf("after revoking: %d %s", got, p.Code)
		}
		g.pass(2 * time.Hour)
		if got := agent.do(http.MethodPut, "/agent/inventory", upload(false, nil), nil); got != 401 {
			t.Errorf("an old access token: %d, want 401", got)
		}
	})
}
