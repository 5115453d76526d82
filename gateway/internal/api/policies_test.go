package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

// object is a JSON object as a test writes it.
type object = map[string]any

// policy makes a policy for groups, or for a label; without settings it could not be published.
func (c *client) policy(name string, include object) string {
	c.g.t.Helper()
	var p api.PolicyBody
	c.want(http.StatusCreated, http.MethodPost, "/api/policies", object{"name": name, "settings": []object{
		{"id": "screen.lock", "value": object{"enabled": true, "idle_seconds": 300}},
	}}, &p)
	c.matched(http.StatusOK, "*", http.MethodPut, "/api/policies/"+string(p.ID)+"/assignments",
		object{"assignments": []object{{"include": include, "priority": 1}}}, nil)
	return string(p.ID)
}

// policyNames walks over a list, so many a page: the pages are full but for the last.
func (c *client) policyNames(query string, limit int) []string {
	c.g.t.Helper()
	names := []string{}
	for after := ""; ; {
		var page api.List[api.PolicyBody]
		c.want(http.StatusOK, http.MethodGet, fmt.Sprintf("/api/policies?%s&limit=%d&after=%s", query, limit, after), nil, &page)
		for _, p := range page.Items {
			names = append(names, p.Name)
		}
		if after = page.Next; after == "" {
			return names
		}
		if len(page.Items) != limit {
			c.g.t.Errorf("%s: a page of %d, want %d", query, len(page.Items), limit)
		}
	}
}

// TestPoliciesOfAGroup lists policies by the group they are assigned to, for who sees all and
// for who sees one group.
func TestPoliciesOfAGroup(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		north, south := admin.group("North"), admin.group("South")
		for i := range 4 {
			admin.policy(fmt.Sprintf("n%d", i), object{"groups": []string{north}})
			admin.policy(fmt.Sprintf("m%d", i), object{"groups": []string{south}})
		}
		admin.policy("both", object{"groups": []string{north, south}})
		admin.policy("all", object{"groups": []string{"grp_root"}})
		nora := admin.operator("Nora", grant("admin", north))
		for _, tt := range []struct {
			what, query string
			by          *client
			want        []string
		}{
			{"of North", "group=" + north, admin, []string{"both", "n0", "n1", "n2", "n3"}},
			{"of South", "group=" + south, admin, []string{"both", "m0", "m1", "m2", "m3"}},
			{"of the root itself", "group=grp_root", admin, []string{"all"}},
			{"of no group", "group=grp_none", admin, []string{}},
			{"of North and by name", "q=N1&group=" + north, admin, []string{"n1"}},
			{"whom North's administrator sees", "", nora, []string{"all", "both", "n0", "n1", "n2", "n3"}},
			{"of North, to its administrator", "group=" + north, nora, []string{"both", "n0", "n1", "n2", "n3"}},
			{"of South, to North's administrator", "group=" + south, nora, []string{"both"}},
		} {
			for limit := 1; limit <= 4; limit++ {
				if got := tt.by.policyNames(tt.query, limit); !slices.Equal(got, tt.want) {
					t.Errorf("%s, %d a page: %v, want %v", tt.what, limit, got, tt.want)
				}
			}
		}
	})
}

// TestRolloutsByState lists roll-outs by what became of them.
func TestRolloutsByState(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		office := admin.group("Office")
		admin.device(office, "desk") // it never reports: what is for it goes on and on
		other := admin.group("Other")
		begin := func(name, to string) (policyID, rolloutID string) {
			g.pass(time.Second) // the newest comes first
			policyID = admin.policy(name, object{"groups": []string{to}})
			var p api.PolicyBody
			admin.matched(http.StatusOK, "*", http.MethodPost, "/api/policies/"+policyID+"/publish", object{
				"rollout": object{"max_failed_percent": 0, "stages": []object{{"percent": 100, "soak_seconds": 86400}}},
			}, &p)
			if p.Rollout == nil {
				t.Fatalf("%s is published without a roll-out", name)
			}
			return policyID, string(p.Rollout.ID)
		}
		_, paused := begin("Paused", office)
		begin("Running", office)
		_, stopped := begin("Stopped", office)
		admin.want(http.StatusOK, http.MethodPost, "/api/rollouts/"+paused+"/pause", object{}, nil)
		admin.want(http.StatusOK, http.MethodPost, "/api/rollouts/"+stopped+"/stop", object{"reason": "too early"}, nil)
		_, done := begin("Done", other)
		for deadline := time.Now().Add(2 * time.Minute); ; {
			var r api.RolloutBody
			admin.want(http.StatusOK, http.MethodGet, "/api/rollouts/"+done, nil, &r)
			if r.State == "done" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("a roll-out to nobody is %s", r.State)
			}
		}
		sub := admin.operator("Otto", grant("admin", other))
		for _, tt := range []struct {
			by    *client
			query string
			want  []string
		}{
			{admin, "state=running", []string{"Running"}},
			{admin, "state=paused", []string{"Paused"}},
			{admin, "state=returned", []string{"Stopped"}},
			{admin, "state=done", []string{"Done"}},
			{admin, "", []string{"Done", "Stopped", "Running", "Paused"}},
			{admin, "under_way=true", []string{"Running", "Paused"}},
			{admin, "under_way=true&state=paused", []string{"Paused"}},
			{admin, "under_way=true&state=done", []string{}},
			{sub, "state=running", []string{}},
			{sub, "state=done", []string{"Done"}},
		} {
			got := []string{}
			for after, more := "", true; more; more = after != "" {
				var page api.List[api.RolloutBody]
				tt.by.want(http.StatusOK, http.MethodGet, "/api/rollouts?limit=1&"+tt.query+"&after="+after, nil, &page)
				for _, r := range page.Items {
					got = append(got, r.PolicyName)
				}
				after = page.Next
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q: %v, want %v", tt.query, got, tt.want)
			}
		}
		admin.want(http.StatusUnprocessableEntity, http.MethodGet, "/api/rollouts?state=lost", nil, nil)
		for query, want := range map[string][]string{"": {"desk"}, "?state=pending": {"desk"}, "?state=applied": {}, "?state=failed": {}} {
			var page api.List[api.RolloutDevice]
			admin.want(http.StatusOK, http.MethodGet, "/api/rollouts/"+paused+"/devices"+query, nil, &page)
			got := []string{}
			for _, d := range page.Items {
				got = append(got, d.Name)
			}
			if !slices.Equal(got, want) || page.Next != "" {
				t.Errorf("devices %q: %v, want %v", query, got, want)
			}
		}
		admin.want(http.StatusConflict, http.MethodGet, "/api/rollouts/"+stopped+"/devices", nil, nil)
		sub.want(http.StatusNotFound, http.MethodGet, "/api/rollouts/"+paused+"/devices", nil, nil)
	})
}
