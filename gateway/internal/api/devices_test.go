package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/signaling"
)

func TestDeviceList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		for n := range 7 {
			id := admin.device("grp_root", fmt.Sprintf("pc-%d", n))
			if n%2 == 0 {
				g.links.online[mdm.DeviceID(id)] = true
			}
		}
		for _, tt := range []struct {
			query string
			want  []string
		}{
			{"", []string{"pc-0", "pc-1", "pc-2", "pc-3", "pc-4", "pc-5", "pc-6"}},
			{"state=online", []string{"pc-0", "pc-2", "pc-4", "pc-6"}},
			{"state=offline", []string{"pc-1", "pc-3", "pc-5"}},
			{"state=revoked", nil},
			{"state=online&q=PC-4", []string{"pc-4"}},
			{"os=windows", nil},
		} {
			var got []string
			after := ""
			for range 10 {
				var list api.List[api.DeviceBody]
				admin.want(http.StatusOK, http.MethodGet, "/api/devices?limit=2&"+tt.query+"&after="+after, nil, &list)
				for _, d := range list.Items {
					got = append(got, d.Name)
				}
				if after = list.Next; after == "" {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q lists %v, want %v", tt.query, got, tt.want)
			}
		}
		var o api.OverviewBody
		admin.want(http.StatusOK, http.MethodGet, "/api/overview", nil, &o)
		if o.Devices.Total != 7 || o.Devices.Online != 4 || o.Sessions.Waiting != 2 {
			t.Errorf("overview = %+v", o)
		}
		for _, bad := range []string{"state=asleep", "limit=0", "limit=501", "limit=x", "sort=size", "after=%00", "after=!!", "q=" + strings.Repeat("x", 1100)} {
			if got := admin.do(http.MethodGet, "/api/devices?"+bad, nil, nil); got != http.StatusUnprocessableEntity {
				t.Errorf("%.40s: %d, want 422", bad, got)
			}
		}
	})
}

func TestDeviceChanges(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	north := admin.group("North")
	id := admin.device("grp_root", "pc")
	path := "/api/devices/" + id
	g.links.online[mdm.DeviceID(id)] = true
	var d api.DeviceBody
	admin.want(http.StatusOK, http.MethodPatch, path, map[string]string{"name": "Front\u202e desk\x00", "group_id": north}, &d)
	if d.Name != "Front desk" || d.GroupID != north || d.State != "online" || !slices.Equal(d.GroupPath, []string{"All devices", "North"}) {
		t.Errorf("changed device = %+v", d)
	}
	for what, in := range map[string]any{
		"name of 10 kB": map[string]string{"name": strings.Repeat("n", 10_000)}, "empty name": map[string]string{"name": ""},
		"only control characters": map[string]string{"name": "\x01\x02"}, "a number": map[string]int{"name": 5}, "unknown field": map[string]string{"colour": "x"},
	} {
		if got := admin.do(http.MethodPatch, path, in, nil); got != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d, want 422", what, got)
		}
	}
	admin.want(http.StatusOK, http.MethodPost, path+"/revoke", nil, &d)
	if d.State != "revoked" || !slices.Equal(g.links.cut, []string{id + " revoked"}) {
		t.Errorf("revoked device = %+v, links cut %v", d, g.links.cut)
	}
	var p api.Problem
	if got := admin.do(http.MethodPost, "/api/sessions", map[string]any{"device_id": id, "capabilities": []string{"view"}}, &p); got != 403 || p.Code != signaling.CodeRevoked {
		t.Errorf("session on a revoked device: %d %s", got, p.Code)
	}
	admin.want(http.StatusNoContent, http.MethodDelete, path, nil, nil)
	admin.want(http.StatusNotFound, http.MethodGet, path, nil, nil)
	for _, want := range []string{"devices[" + id + "]", "groups[" + north + "]", "audit[]"} {
		if !slices.Contains(g.changed, want) {
			t.Errorf("consoles were not told of %s: %v", want, g.changed)
		}
	}
	for _, odd := range []string{"dev_%00", "..%2f..", "%F0%9F%92%A9", "'%20OR%201=1", strings.Repeat("d", 64)} {
		if got := admin.do(http.MethodGet, "/api/devices/"+odd, nil, nil); got != 404 && got != 422 {
			t.Errorf("device %.20q: %d", odd, got)
		}
	}
}

func TestSessions(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	id := admin.device("grp_root", "pc")
	tech, help := admin.operator("tech", grant("technician", "grp_root")), admin.operator("help", grant("helpdesk", "grp_root"))
	var s api.SessionBody
	tech.want(http.StatusCreated, http.MethodPost, "/api/sessions", map[string]any{
		"device_id": id, "reason": "no \x1b[31msound", "capabilities": []string{"control", "view"},
	}, &s)
	if s.Reason != "no [31msound" || !slices.Equal(s.Asked, []string{"view", "control"}) {
		t.Errorf("session = %+v", s)
	}
	var d api.SessionDetail
	help.want(http.StatusOK, http.MethodGet, "/api/sessions/"+s.ID, nil, &d)
	if len(d.Timeline) != 1 || d.ID != s.ID {
		t.Errorf("detail = %+v", d)
	}
	help.want(http.StatusForbidden, http.MethodPost, "/api/sessions/"+s.ID+"/end", map[string]string{}, nil)
	help.want(http.StatusForbidden, http.MethodPost, "/api/sessions/"+s.ID+"/ask", map[string]any{"capabilities": []string{"control"}}, nil)
	tech.want(http.StatusAccepted, http.MethodPost, "/api/sessions/"+s.ID+"/ask", map[string]any{"capabilities": []string{"clipboard"}}, nil)
	tech.want(http.StatusUnprocessableEntity, http.MethodPost, "/api/sessions/"+s.ID+"/ask", map[string]any{"capabilities": []string{"everything"}}, nil)
	tech.want(http.StatusNoContent, http.MethodPost, "/api/sessions/"+s.ID+"/end", map[string]string{"reason": "done"}, nil)
	var p api.Problem
	if got := tech.do(http.MethodPost, "/api/sessions/"+s.ID+"/end", map[string]string{}, &p); got != http.StatusConflict || p.Code != signaling.CodeEnded {
		t.Errorf("second end: %d %s", got, p.Code)
	}
	tech.want(http.StatusNotFound, http.MethodGet, "/api/sessions/ses_none", nil, nil)
	tech.want(http.StatusNotFound, http.MethodGet, "/api/sessions/x", nil, nil)
}
