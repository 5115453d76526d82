package api_test

import (
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
