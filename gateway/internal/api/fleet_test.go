package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/inventory"
)

// reporter is a device that sends its inventory.
type reporter struct {
	c  *client
	id string
}

func (g *gateway) reporter(admin *client, group, hostname string) reporter {
	g.t.Helper()
	r := reporter{c: g.client(), id: admin.device(group, hostname)}
	token, _ := g.auth.MintAccess(mdm.DeviceID(r.id))
	r.c.head.Set("Authorization", "Bearer "+token)
	return r
}

func (r reporter) send(full bool, sections map[string]string) {
	r.c.g.t.Helper()
	r.c.want(http.StatusOK, http.MethodPut, "/agent/inventory", upload(full, sections), nil)
	if err := r.c.g.fleet.Work(r.c.g.t.Context()); err != nil {
		r.c.g.t.Fatal(err)
	}
}

// software is a device's whole list as sections.
func software(t *testing.T, sections map[string]string, list ...inventory.Software) map[string]string {
	t.Helper()
	for n, b := range inventory.SplitSoftware(list) {
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		sections[inventory.SoftwareSection(n)] = string(data)
	}
	return sections
}

func deb(name, version string) inventory.Software {
	return inventory.Software{Name: name, Version: version, Source: inventory.SourceDeb, Arch: "amd64"}
}

func names(list api.List[api.DeviceBody]) []string {
	out := []string{}
	for _, d := range list.Items {
		out = append(out, d.Name)
	}
	return out
}

// finds says which devices a search must find.
func (c *client) finds(query string, want ...string) {
	c.g.t.Helper()
	var list api.List[api.DeviceBody]
	c.want(http.StatusOK, http.MethodGet, "/api/devices?"+query, nil, &list)
	if got := names(list); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		c.g.t.Errorf("%q finds %v, want %v", query, got, want)
	}
	if list.Total == nil || *list.Total != len(want) {
		c.g.t.Errorf("%q counts %v, want %d", query, list.Total, len(want))
	}
}

func q(search string) string { return "q=" + url.QueryEscape(search) }

func TestLabels(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		a, b := g.reporter(admin, "grp_root", "pc-a"), g.reporter(admin, "grp_root", "pc-b")
		var static, smart api.LabelBody
		admin.want(http.StatusCreated, http.MethodPost, "/api/labels", map[string]string{"name": "Front desk", "color": "blue"}, &static)
		admin.want(http.StatusCreated, http.MethodPost, "/api/labels", map[string]string{
			"name": "Little memory", "expression": "inventory.hardware.memory_bytes < 8000000000",
		}, &smart)
		if static.Kind != "static" || smart.Kind != "smart" || !slices.Equal(smart.Reads, []string{"hardware"}) {
			t.Fatalf("labels = %+v, %+v", static, smart)
		}
		a.send(true, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"S1","memory_bytes":4000000000}`})
		b.send(true, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"S2","memory_bytes":16000000000}`})
		var d api.DeviceBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+a.id, nil, &d)
		if len(d.Labels) != 1 || d.Labels[0].ID != smart.ID || d.Labels[0].Expression != smart.Expression || len(d.Labels[0].Why) != 1 ||
			d.Labels[0].Why[0] != (api.WhyBody{Path: "hardware.memory_bytes", Value: "4000000000"}) {
			t.Errorf("the device carries %+v", d.Labels)
		}
		admin.finds("label="+smart.ID, "pc-a")
		admin.finds(q(`label:"little memory"`), "pc-a")
		admin.finds(q(`-label:"little memory"`), "pc-b")
		a.send(false, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"S1","memory_bytes":12000000000}`})
		admin.finds("label=" + smart.ID)

		var one api.LabelBody
		admin.want(http.StatusOK, http.MethodPatch, "/api/labels/"+smart.ID, map[string]any{"expression": `device.name == "pc-b"`, "revision": 1}, &one)
		if err := g.fleet.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/labels/"+smart.ID, nil, &one)
		if !one.Evaluated || one.Devices != 1 || one.Revision != 2 {
			t.Errorf("after a change: %+v", one)
		}
		admin.finds("label="+smart.ID, "pc-b")
		var p api.Problem
		if got := admin.do(http.MethodPatch, "/api/labels/"+smart.ID, map[string]any{"name": "x", "revision": 1}, &p); got != http.StatusConflict {
			t.Errorf("a change of what was changed meanwhile: %d", got)
		}

		var preview api.LabelPreviewBody
		admin.want(http.StatusOK, http.MethodPost, "/api/labels/preview", map[string]string{"expression": `inventory.hardware.serial == "S2"`}, &preview)
		if preview.Matches != 1 || preview.Looked != 2 || len(preview.Sample) != 1 || preview.Sample[0].Name != "pc-b" || len(preview.Sample[0].Why) != 1 {
			t.Errorf("preview = %+v", preview)
		}
		admin.want(http.StatusOK, http.MethodPost, "/api/labels/preview", map[string]string{"expression": "inventory.hardware.serial ==\n nonsense("}, &preview)
		if preview.Error == nil || preview.Error.Line < 1 || preview.Error.Message == "" {
			t.Errorf("preview of nonsense = %+v", preview.Error)
		}
		for what, in := range map[string]map[string]string{
			"does not compile": {"name": "a", "expression": "1 +"}, "says neither yes nor no": {"name": "b", "expression": "1 + 1"},
			"reads labels": {"name": "c", "expression": `"x" in labels`}, "no name": {"name": "\u202e"}, "no expression": {"name": "d", "kind": "smart"},
			"static with one": {"name": "e", "kind": "static", "expression": "true"}, "another color": {"name": "f", "color": "#ff0000"},
		} {
			if got := admin.do(http.MethodPost, "/api/labels", in, nil); got != http.StatusUnprocessableEntity {
				t.Errorf("a label that %s: %d", what, got)
			}
		}
		if got := admin.do(http.MethodPost, "/api/labels", map[string]string{"name": "FRONT desk"}, nil); got != http.StatusConflict {
			t.Errorf("a name twice: %d", got)
		}
		admin.want(http.StatusNoContent, http.MethodDelete, "/api/labels/"+smart.ID, nil, nil)
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+b.id, nil, &d)
		if len(d.Labels) != 0 {
			t.Errorf("after the label was deleted: %+v", d.Labels)
		}
	})
}

func TestSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		sales := admin.group("Sales")
		a, b := g.reporter(admin, "grp_root", "pc-a"), g.reporter(admin, sales, "pc-b")
		g.reporter(admin, sales, "pc-c")
		const disks = `[{"name":"sda","size_bytes":512110190592},{"name":"sdb","size_bytes":4000000000000,"removable":true}]`
		a.send(true, software(t, map[string]string{
			"hardware": `{"vendor":"Dell","model":"Latitude 7440","serial":"5CG1","memory_bytes":8139276288,"cpu":{"model":"Intel i5"}}`, "disks": disks,
			"encryption": `{"volumes":[{"mount":"/","encrypted":true},{"mount":"/boot"}],"swap":[{"method":"zram"}]}`,
			"updates":    `{"pending":[{"name":"x","security":true},{"name":"y"}]}`,
			"network":    `[{"name":"eth0","mac":"AC:DE:48:00:11:22"}]`,
		}, deb("openssl", "3.0.14-1~deb12u1"), deb("libc6", "2.36"), deb("bash", "5.2")))
		b.send(true, software(t, map[string]string{
			"hardware":   `{"vendor":"Lenovo","model":"X1","serial":"PF2","memory_bytes":33000000000}`,
			"encryption": `{"volumes":[{"mount":"/"}]}`,
		}, deb("openssl", "3.0.15-1~deb12u1"), deb("libc6", "2.36")))
		for query, want := range map[string][]string{
			q("openssl < 3.0.15"):                    {"pc-a"},
			q("openssl>=3.0.15"):                     {"pc-b"},
			q("openssl=3.0.15"):                      {"pc-b"},
			q("software:openssl"):                    {"pc-a", "pc-b"},
			q("-software:bash"):                      {"pc-b", "pc-c"},
			q("software:LIB*"):                       {"pc-a", "pc-b"},
			q("software:nothing"):                    {},
			q("no encryption"):                       {"pc-b"},
			q("encrypted:unknown"):                   {"pc-c"},
			q("8 GB"):                                {"pc-a"},
			q("memory>16GB"):                         {"pc-b"},
			q("disk<1TB"):                            {"pc-a"},
			q("5cg"):                                 {"pc-a"},
			q("serial:pf"):                           {"pc-b"},
			q("latitude -lenovo"):                    {"pc-a"},
			q("ac:de:48"):                            {"pc-a"},
			q("security_updates>0"):                  {"pc-a"},
			q("group:sales"):                         {"pc-b", "pc-c"},
			q("is:never_seen"):                       {"pc-a", "pc-b", "pc-c"},
			q("enrolled:1d"):                         {"pc-a", "pc-b", "pc-c"},
			q("enrolled>1d"):                         {},
			q("i5"):                                  {"pc-a"},
			"software=openssl&software_version=<3.1": {"pc-a", "pc-b"},
			"encrypted=yes&memory_max=8GB":           {"pc-a"},
			"model=latitude":                         {"pc-a"},
			"group=" + sales:                         {"pc-b", "pc-c"},
		} {
			admin.finds(query, want...)
		}
		helper := admin.operator("helper", grant("helpdesk", sales))
		helper.finds(q("software:openssl"), "pc-b")
		helper.finds("group=grp_root", "pc-b", "pc-c")
		for _, bad := range []string{"memory<x", "label:none", "group:none", "<", "openssl <", "rule:x"} {
			if got := admin.do(http.MethodGet, "/api/devices?"+q(bad), nil, nil); got != http.StatusUnprocessableEntity {
				t.Errorf("%q: %d, want 422", bad, got)
			}
		}
		// An update of one package, and a device that goes.
		b.send(false, map[string]string{inventory.SoftwareSection(inventory.SoftwareBucket("openssl")): `[]`})
		admin.finds(q("software:openssl"), "pc-a")
		admin.want(http.StatusOK, http.MethodPost, "/api/devices/"+a.id+"/revoke", nil, nil)
		if err := g.fleet.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		admin.finds(q("software:openssl"))
		admin.finds("state=revoked", "pc-a")
	})
}
