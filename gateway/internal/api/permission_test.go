package api_test

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

// described is one operation of the OpenAPI document.
type described struct {
	method, path string
	id           string
	permission   string
}

func describedOperations(t *testing.T) []described {
	t.Helper()
	text, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
			Permission  string `yaml:"x-permission"`
		} `yaml:"paths"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var ops []described
	for path, item := range doc.Paths {
		for method, op := range item {
			ops = append(ops, described{strings.ToUpper(method), path, op.OperationID, op.Permission})
		}
	}
	slices.SortFunc(ops, func(a, b described) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	if len(ops) < 30 {
		t.Fatalf("only %d operations in the document", len(ops))
	}
	return ops
}

// TestEveryOperationNeedsItsPermission walks the OpenAPI document: an operation without a
// known permission fails, and so does one that answers somebody who lacks it.
func TestEveryOperationNeedsItsPermission(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	nobody, nothing := g.client(), admin.operator("nothing")
	roles := map[auth.Role]*client{}
	for _, r := range auth.Roles() {
		roles[r.Role] = admin.operator(string(r.Role), grant(string(r.Role), "grp_root"))
	}
	for _, op := range describedOperations(t) {
		path := strings.ReplaceAll(op.path, "{id}", "dev_none")
		name := op.method + " " + op.path
		switch op.permission {
		case "public":
			if !slices.Contains([]string{"get-setup", "set-up", "sign-in", "enroll-device"}, op.id) {
				t.Errorf("%s is public: is that meant?", name)
			}
			continue
		case "device":
			for who, c := range map[string]*client{"nobody": nobody, "an administrator": admin} {
				if got := c.do(op.method, path, map[string]any{}, nil); got != http.StatusUnauthorized {
					t.Errorf("%s answers %s with %d, want 401", name, who, got)
				}
			}
			continue
		}
		if got := nobody.do(op.method, path, map[string]any{}, nil); got != http.StatusUnauthorized {
			t.Errorf("%s answers nobody with %d, want 401", name, got)
		}
		if op.permission == "signed_in" {
			continue
		}
		if !slices.Contains(auth.Permissions(), auth.Permission(op.permission)) {
			t.Errorf("%s has x-permission %q, which is none", name, op.permission)
			continue
		}
		if got := nothing.do(op.method, path, map[string]any{}, nil); got != http.StatusForbidden {
			t.Errorf("%s answers an operator without roles with %d, want 403", name, got)
		}
		for _, r := range auth.Roles() {
			allowed := slices.Contains(r.Permissions, auth.Permission(op.permission))
			got := roles[r.Role].do(op.method, path, map[string]any{}, nil)
			if refused := got == http.StatusForbidden || got == http.StatusUnauthorized; refused == allowed {
				t.Errorf("%s (%s) answers %s with %d", name, op.permission, r.Role, got)
			}
		}
	}
}

func TestRolesActOnTheirGroups(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		north, south := admin.group("North"), admin.group("South")
		here, there := admin.device(north, "here"), admin.device(south, "there")
		tech := admin.operator("tech", grant("technician", north))
		help := admin.operator("help", grant("helpdesk", north))
		sub := admin.operator("sub", grant("admin", north), grant("auditor", north))

		var list api.List[api.DeviceBody]
		tech.want(http.StatusOK, http.MethodGet, "/api/devices", nil, &list)
		if len(list.Items) != 1 || list.Items[0].ID != here {
			t.Errorf("technician of North sees %+v", list.Items)
		}
		tech.want(http.StatusOK, http.MethodGet, "/api/devices?group="+south, nil, &list)
		if len(list.Items) != 0 {
			t.Error("asking for a group by name shows what is not granted")
		}
		ask := func(c *client, device string, caps ...string) int {
			return c.do(http.MethodPost, "/api/sessions", map[string]any{"device_id": device, "capabilities": caps}, nil)
		}
		for _, tt := range []struct {
			what string
			got  int
			want int
		}{
			{"own device", tech.do(http.MethodGet, "/api/devices/"+here, nil, nil), 200},
			{"other device", tech.do(http.MethodGet, "/api/devices/"+there, nil, nil), 404},
			{"other inventory", tech.do(http.MethodGet, "/api/devices/"+there+"/inventory", nil, nil), 404},
			{"rename other", tech.do(http.MethodPatch, "/api/devices/"+there, map[string]string{"name": "x"}, nil), 404},
			{"move out", tech.do(http.MethodPatch, "/api/devices/"+here, map[string]string{"group_id": south}, nil), 404},
			{"revoke without right", tech.do(http.MethodPost, "/api/devices/"+here+"/revoke", nil, nil), 403},
			{"session on own", ask(tech, here, "view", "control"), 201},
			{"session on other", ask(tech, there, "view"), 404},
			{"help desk views", ask(help, here, "view"), 201},
			{"help desk controls", ask(help, here, "view", "control"), 403},
			{"tools without a screen", ask(tech, here, "diagnostics"), 201},
			{"help desk's tools", ask(help, here, "diagnostics"), 403},
			{"token elsewhere", sub.do(http.MethodPost, "/api/enrollment-tokens", map[string]string{"group_id": south}, nil), 404},
			{"token at home", sub.do(http.MethodPost, "/api/enrollment-tokens", map[string]string{"group_id": north}, nil), 201},
			{"group elsewhere", sub.do(http.MethodPost, "/api/groups", map[string]string{"parent_id": south, "name": "x"}, nil), 404},
			{"change of a group elsewhere", sub.do(http.MethodPatch, "/api/groups/"+south, map[string]string{"name": "x"}, nil), 404},
			{"moving its group up", sub.do(http.MethodPatch, "/api/groups/"+north, map[string]string{"parent_id": south}, nil), 404},
			{"whole audit log", sub.do(http.MethodGet, "/api/audit/verify", nil, nil), 403},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %d, want %d", tt.what, tt.got, tt.want)
			}
		}
		var log api.List[api.AuditBody]
		sub.want(http.StatusOK, http.MethodGet, "/api/audit?limit=500", nil, &log)
		for _, e := range log.Items {
			if e.GroupID != north {
				t.Errorf("auditor of North reads about %q: %s", e.GroupID, e.Action)
			}
		}
		if len(log.Items) == 0 {
			t.Error("auditor of North reads nothing")
		}
	})
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	north := admin.group("North")
	var me api.Me
	admin.want(http.StatusOK, http.MethodGet, "/api/me", nil, &me)
	sub := admin.operator("sub", grant("admin", north))
	create := func(c *client, email string, grants ...map[string]string) int {
		if grants == nil {
			grants = []map[string]string{}
		}
		return c.do(http.MethodPost, "/api/operators", map[string]any{"name": "x", "email": email, "password": password, "grants": grants}, nil)
	}
	for _, tt := range []struct {
		what string
		got  int
		want int
	}{
		{"a technician of all", create(sub, "a@example.org", grant("technician", "grp_root")), 403},
		{"an auditor of all", create(sub, "b@example.org", grant("auditor", "grp_root")), 403},
		{"a technician of its own", create(sub, "c@example.org", grant("technician", north)), 201},
		{"a taken address", create(sub, "C@Example.org"), 409},
		{"no such role", create(sub, "d@example.org", grant("root", north)), 422},
		{"no such group", create(sub, "d@example.org", grant("admin", "grp_none")), 422},
		{"the first administrator's password", sub.do(http.MethodPost, "/api/operators/"+me.ID+"/password", map[string]string{"password": password + "!"}, nil), 403},
		{"the first administrator disabled", sub.do(http.MethodPatch, "/api/operators/"+me.ID, map[string]bool{"disabled": true}, nil), 403},
		{"the first administrator deleted", sub.do(http.MethodDelete, "/api/operators/"+me.ID, nil, nil), 403},
		{"the last administrator disabled", admin.do(http.MethodPatch, "/api/operators/"+me.ID, map[string]bool{"disabled": true}, nil), 409},
		{"the last administrator without rights", admin.do(http.MethodPatch, "/api/operators/"+me.ID, map[string]any{"grants": []any{}}, nil), 409},
		{"the last administrator deleted", admin.do(http.MethodDelete, "/api/operators/"+me.ID, nil, nil), 409},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, tt.got, tt.want)
		}
	}
	admin.want(http.StatusOK, http.MethodGet, "/api/me", nil, &me)
	if !slices.Contains(me.Permissions, "operator.manage") {
		t.Error("the refused changes left their mark")
	}
}

func TestDocumentIsCommitted(t *testing.T) {
	const path = "../../../web/openapi.yaml"
	want, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("web/openapi.yaml differs from the code: run `make gen`")
	}
}
