package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/policy"
)

// TestGroupsAreCounted lists groups with their devices and policies: each operator's numbers are
// of what they may see.
func TestGroupsAreCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		north, south := admin.group("North"), admin.group("South")
		var city api.GroupBody
		admin.want(http.StatusCreated, http.MethodPost, "/api/groups", map[string]string{"parent_id": north, "name": "City"}, &city)
		admin.device(north, "a")
		admin.device(city.ID, "b")
		gone := admin.device(city.ID, "c")
		admin.device(south, "d")
		admin.want(http.StatusOK, http.MethodPost, "/api/devices/"+gone+"/revoke", nil, nil)
		policies := policy.New(s, policy.Standard(), secret.New())
		assigned := func(name string, groups ...mdm.GroupID) {
			t.Helper()
			by := policy.Actor{ID: "opr_test", At: g.now()}
			p, err := policies.Create(t.Context(), name, "", nil, by)
			if err == nil {
				scope := policy.Scope{Groups: groups}
				_, err = policies.Assign(t.Context(), p.ID, 0, []policy.Assignment{{Include: scope, Priority: 1}, {Include: scope, Priority: 2}}, by)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		assigned("Everywhere", mdm.RootGroup, mdm.GroupID(north))
		assigned("Here", mdm.GroupID(north), mdm.GroupID(city.ID))
		type numbers struct{ devices, below, policies int64 }
		for who, tt := range map[string]struct {
			c    *client
			want map[string]numbers
		}{
			"the administrator": {admin, map[string]numbers{"grp_root": {0, 3, 1}, north: {1, 2, 2}, city.ID: {1, 1, 1}, south: {1, 1, 0}}},
			"of North":          {admin.operator("tech", grant("technician", north)), map[string]numbers{north: {1, 2, 2}, city.ID: {1, 1, 1}}},
			"of South":          {admin.operator("south", grant("technician", south)), map[string]numbers{south: {1, 1, 0}}},
		} {
			var list api.List[api.GroupBody]
			tt.c.want(http.StatusOK, http.MethodGet, "/api/groups", nil, &list)
			got := map[string]numbers{}
			for _, one := range list.Items {
				if one.Devices == nil || one.DevicesBelow == nil || one.Policies == nil {
					t.Errorf("%s, %s: a number is missing: %+v", who, one.Name, one)
					continue
				}
				got[one.ID] = numbers{*one.Devices, *one.DevicesBelow, *one.Policies}
			}
			for id, want := range tt.want {
				if got[id] != want {
					t.Errorf("%s: %s has %+v, want %+v", who, id, got[id], want)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%s sees %v", who, got)
			}
		}
	})
}

// TestTwoAdminsEdit has two people change one group, label and operator from the same state:
// the second is told, nothing of the first is lost, and who names no revision is not held up.
func TestTwoAdminsEdit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		var made struct {
			ID       string `json:"id"`
			Revision int64  `json:"revision"`
		}
		for name, tt := range map[string]struct{ list, create string }{
			"group":    {"/api/groups", `{"parent_id": "grp_root", "name": "First"}`},
			"label":    {"/api/labels", `{"kind": "static", "name": "First"}`},
			"operator": {"/api/operators", `{"name": "First", "email": "first@example.org", "password": "` + password + `", "grants": []}`},
		} {
			admin.want(http.StatusCreated, http.MethodPost, tt.list, json.RawMessage(tt.create), &made)
			path := tt.list + "/" + made.ID
			if made.Revision != 1 {
				t.Errorf("%s: a new one has revision %d, want 1", name, made.Revision)
			}
			named := func(n string) any { return map[string]string{"name": n} }
			admin.matched(http.StatusOK, `"1"`, http.MethodPatch, path, named("Theirs"), &made)
			if made.Revision != 2 {
				t.Errorf("%s: changed once it has revision %d, want 2", name, made.Revision)
			}
			admin.matched(http.StatusPreconditionFailed, `"1"`, http.MethodPatch, path, named("Mine"), nil)
			admin.matched(http.StatusPreconditionRequired, `"new"`, http.MethodPatch, path, named("Mine"), nil)
			var list api.List[struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			}]
			admin.want(http.StatusOK, http.MethodGet, tt.list, nil, &list)
			for _, one := range list.Items {
				if one.ID == made.ID && one.Name != "Theirs" {
					t.Errorf("%s: an edit from an old state made it %q", name, one.Name)
				}
			}
			admin.matched(http.StatusOK, "*", http.MethodPatch, path, named("Whatever"), nil)
			admin.want(http.StatusOK, http.MethodPatch, path, named("Mine"), &made)
			if made.Revision != 4 {
				t.Errorf("%s: after four states it has revision %d", name, made.Revision)
			}
		}
	})
}
