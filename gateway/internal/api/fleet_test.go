package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

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
		for _, path := range []string{"/api/labels", "/api/labels/preview"} {
			var refused api.Problem
			wrong := map[string]string{"name": "Typo", "expression": "inventory.hardwear.memory_bytes < 1"}
			if path == "/api/labels/preview" {
				delete(wrong, "name")
				var p api.LabelPreviewBody
				admin.want(http.StatusOK, http.MethodPost, path, wrong, &p)
				if p.Error == nil || p.Error.Column != 10 || !strings.Contains(p.Error.Message, `did you mean "hardware"?`) {
					t.Errorf("preview of a misspelt section: %+v", p.Error)
				}
				continue
			}
			if got := admin.do(http.MethodPost, path, wrong, &refused); got != http.StatusUnprocessableEntity || len(refused.Errors) != 1 ||
				!strings.Contains(refused.Errors[0].Message, `line 1, column 10: inventory has no section "hardwear"; did you mean "hardware"?`) {
				t.Errorf("a label of a misspelt section: %d, %+v", got, refused)
			}
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

func TestSoftwareOfTheFleet(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		sales := admin.group("Sales")
		a, b := g.reporter(admin, "grp_root", "pc-a"), g.reporter(admin, sales, "pc-b")
		a.send(true, software(t, map[string]string{}, deb("openssl", "3.0.14"), deb("bash", "5.2"), deb("bash", "5.3"), deb("only-a", "1")))
		b.send(true, software(t, map[string]string{}, deb("openssl", "3.0.15"), deb("bash", "5.2")))
		list := func(c *client, query string) (out []string) {
			for after := ""; ; {
				var l api.List[api.SoftwareNameBody]
				c.want(http.StatusOK, http.MethodGet, "/api/software?limit=1&"+query+"&after="+after, nil, &l)
				for _, n := range l.Items {
					out = append(out, fmt.Sprint(n.Name, n.Devices))
				}
				if after = l.Next; after == "" {
					return out
				}
			}
		}
		if got := list(admin, ""); !slices.Equal(got, []string{"bash2", "only-a1", "openssl2"}) {
			t.Errorf("software = %v", got)
		}
		if got := list(admin, "sort=devices&q=S"); !slices.Equal(got, []string{"bash2", "openssl2"}) && !slices.Equal(got, []string{"openssl2", "bash2"}) {
			t.Errorf("by use = %v", got)
		}
		helper := admin.operator("helper", grant("helpdesk", sales))
		if got := list(helper, ""); !slices.Equal(got, []string{"bash1", "openssl1"}) {
			t.Errorf("software of sales = %v", got)
		}
		var l api.List[api.SoftwareNameBody]
		admin.want(http.StatusOK, http.MethodGet, "/api/software?q=openssl", nil, &l)
		var one api.SoftwareVersionsBody
		admin.want(http.StatusOK, http.MethodGet, "/api/software/"+l.Items[0].ID, nil, &one)
		if len(one.Versions) != 2 || one.Versions[0].Version != "3.0.15" || one.Versions[0].Devices != 1 {
			t.Errorf("versions = %+v", one.Versions)
		}
		if v := l.Items[0].Versions; v == nil || *v != 2 {
			t.Errorf("openssl has versions: %v, want 2", v)
		}
		admin.finds("software_id="+one.ID, "pc-a", "pc-b")
		admin.finds("q=software_id:"+one.ID+"/"+one.Versions[0].ID, "pc-b")
		helper.finds("software_id="+one.ID, "pc-b")
		for _, bad := range []string{"x", "1/x", "1/"} {
			if got := admin.do(http.MethodGet, "/api/devices?software_id="+bad, nil, nil); got != http.StatusUnprocessableEntity {
				t.Errorf("software_id=%s: %d", bad, got)
			}
		}
		helper.want(http.StatusOK, http.MethodGet, "/api/software/"+l.Items[0].ID, nil, &one)
		if len(one.Versions) != 1 || one.Devices != 1 {
			t.Errorf("versions of sales = %+v", one.Versions)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/software?q=only-a", nil, &l)
		if got := helper.do(http.MethodGet, "/api/software/"+l.Items[0].ID, nil, nil); got != http.StatusNotFound {
			t.Errorf("software of others: %d", got)
		}
		admin.want(http.StatusNoContent, http.MethodDelete, "/api/devices/"+a.id, nil, nil)
		if err := g.fleet.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := list(admin, ""); !slices.Equal(got, []string{"bash1", "openssl1"}) {
			t.Errorf("after a device was deleted = %v", got)
		}
		var body api.SoftwareBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+b.id+"/software", nil, &body)
		if body.Total != 2 || body.Items[0] != deb("bash", "5.2") {
			t.Errorf("software of a device = %+v", body)
		}
	})
}

func TestHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		r := g.reporter(admin, "grp_root", "pc")
		r.send(true, software(t, map[string]string{"hardware": `{"vendor":"V","model":"M","memory_bytes":8}`}, deb("openssl", "3.0.14"), deb("bash", "5.2")))
		g.pass(5 * time.Minute)
		day1 := g.now()
		g.pass(5 * time.Minute)
		r.send(false, map[string]string{"hardware": `{"vendor":"V","model":"M","memory_bytes":16}`})
		g.pass(5 * time.Minute)
		r.send(false, map[string]string{inventory.SoftwareSection(inventory.SoftwareBucket("openssl")): `[{"name":"openssl","version":"3.0.15","source":"deb","arch":"amd64"}]`})
		g.pass(5 * time.Minute)
		r.send(false, map[string]string{"disks": `[{"name":"sda","size_bytes":5}]`})
		var l api.List[api.ChapterBody]
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+r.id+"/history?limit=2", nil, &l)
		if len(l.Items) != 2 || l.Items[0].Section != "disks" || !l.Items[0].First || l.Items[1].Section != "software" || len(l.Items[1].Changes) != 1 || l.Next == "" {
			t.Fatalf("history = %+v", l)
		}
		if c := l.Items[1].Changes[0]; !slices.Equal(c.Path, []string{"openssl deb amd64", "version"}) || c.From != "3.0.14" || c.To != "3.0.15" {
			t.Errorf("change = %+v", c)
		}
		after := l.Next
		l = api.List[api.ChapterBody]{}
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+r.id+"/history?limit=50&after="+after, nil, &l)
		if len(l.Items) != 3 || l.Items[0].Section != "hardware" || l.Items[0].First || l.Next != "" {
			t.Errorf("the page after = %+v", l)
		}
		var d api.InventoryDiffBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+r.id+"/diff?from="+url.QueryEscape(day1.Format(time.RFC3339Nano)), nil, &d)
		if len(d.Sections) != 3 || d.Sections[0].Section != "disks" || !d.Sections[0].First || d.Sections[1].Changes[0].To != float64(16) || len(d.Sections[2].Changes) != 1 {
			t.Errorf("difference = %+v", d)
		}
		var at api.InventoryAtBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+r.id+"/inventory/at?at="+url.QueryEscape(day1.Format(time.RFC3339Nano)), nil, &at)
		if h, _ := at.Sections["hardware"].(map[string]any); h["memory_bytes"] != float64(8) || at.Sections["disks"] != nil {
			t.Errorf("inventory of then = %+v", at.Sections)
		}
		if list, _ := at.Sections["software"].([]any); len(list) != 2 || !strings.Contains(fmt.Sprint(list), "3.0.14") {
			t.Errorf("software of then = %v", at.Sections["software"])
		}
		if got := admin.do(http.MethodGet, "/api/devices/"+r.id+"/diff?from=2027-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", nil, nil); got != http.StatusUnprocessableEntity {
			t.Errorf("a difference backwards: %d", got)
		}
	})
}

func TestManyDevices(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		sales := admin.group("Sales")
		for n := range 5 {
			admin.device("grp_root", fmt.Sprintf("pc-%d", n))
		}
		other := admin.device(sales, "other")
		var l api.LabelBody
		admin.want(http.StatusCreated, http.MethodPost, "/api/labels", map[string]string{"name": "Loan"}, &l)
		var out api.BulkDevicesBody
		bulk := func(c *client, in map[string]any) int { return c.do(http.MethodPost, "/api/devices/bulk", in, &out) }
		if got := bulk(admin, map[string]any{"filter": "pc-", "expect": 4, "action": "label", "label_id": l.ID}); got != http.StatusConflict {
			t.Errorf("another number than expected: %d", got)
		}
		if got := bulk(admin, map[string]any{"filter": "pc-", "expect": 5, "action": "label", "label_id": l.ID}); got != http.StatusOK || out != (api.BulkDevicesBody{Matched: 5, Changed: 5}) {
			t.Errorf("label: %d %+v", got, out)
		}
		if got := bulk(admin, map[string]any{"filter": "", "action": "label", "label_id": l.ID}); got != http.StatusOK || out != (api.BulkDevicesBody{Matched: 6, Changed: 1}) {
			t.Errorf("label again: %d %+v", got, out)
		}
		if got := bulk(admin, map[string]any{"ids": []string{other, "dev_none"}, "action": "unlabel", "label_id": l.ID}); got != http.StatusOK || out != (api.BulkDevicesBody{Matched: 1, Changed: 1, Skipped: 1}) {
			t.Errorf("unlabel: %d %+v", got, out)
		}
		technician := admin.operator("technician", grant("technician", sales))
		if got := bulk(technician, map[string]any{"filter": "", "action": "label", "label_id": l.ID}); got != http.StatusOK || out.Matched != 1 {
			t.Errorf("of one group only: %d %+v", got, out)
		}
		if got := bulk(technician, map[string]any{"filter": "", "action": "move", "group_id": "grp_root"}); got != http.StatusNotFound {
			t.Errorf("to a group of others: %d", got)
		}
		if got := bulk(admin, map[string]any{"filter": "label:loan pc-", "action": "move", "group_id": sales}); got != http.StatusOK || out.Changed != 5 {
			t.Errorf("move: %d %+v", got, out)
		}
		admin.finds("group="+sales, "other", "pc-0", "pc-1", "pc-2", "pc-3", "pc-4")
		for _, bad := range []map[string]any{
			{"action": "move", "group_id": sales},
			{"filter": "", "ids": []string{other}, "action": "label", "label_id": l.ID},
			{"filter": "memory<x", "action": "label", "label_id": l.ID},
			{"filter": "", "action": "paint"},
		} {
			if got := bulk(admin, bad); got != http.StatusUnprocessableEntity {
				t.Errorf("%v: %d", bad, got)
			}
		}
		var f api.FacetsBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/facets?q=pc-", nil, &f)
		if f.Total != 5 || len(f.Labels) != 1 || f.Labels[0].Devices != 5 || len(f.Groups) != 1 || f.Groups[0].Value != sales {
			t.Errorf("facets = %+v", f)
		}
	})
}

func TestAssets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		a := g.reporter(admin, "grp_root", "pc-a")
		g.reporter(admin, "grp_root", "=pc-b")
		a.send(true, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"5CG1"}`})
		fields := map[string]any{"fields": []map[string]any{
			{"key": "owner", "name": "Owner", "kind": "text"},
			{"key": "warranty_until", "name": "Warranty until", "kind": "date"},
			{"key": "use", "name": "Use", "kind": "choice", "choices": []string{"Office", "Lab"}},
		}}
		admin.want(http.StatusOK, http.MethodPut, "/api/asset-fields", fields, nil)
		var d api.DeviceBody
		admin.want(http.StatusOK, http.MethodPatch, "/api/devices/"+a.id, map[string]any{"assets": map[string]string{"owner": "Ann Example", "use": "lab"}}, &d)
		if d.Assets["owner"] != "Ann Example" || d.Assets["use"] != "Lab" {
			t.Errorf("assets = %v", d.Assets)
		}
		admin.finds(q("ann example"), "pc-a")
		admin.finds(q("asset.use:lab"), "pc-a")
		for _, bad := range []map[string]string{{"nothing": "x"}, {"use": "Home"}, {"warranty_until": "soon"}} {
			if got := admin.do(http.MethodPatch, "/api/devices/"+a.id, map[string]any{"assets": bad}, nil); got != http.StatusUnprocessableEntity {
				t.Errorf("%v: %d", bad, got)
			}
		}
		upload := func(query, text string) (out api.AssetImportBody, status int) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.server.URL+"/api/assets/import"+query, strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "text/csv")
			res, err := admin.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
				t.Fatal(err)
			}
			return out, res.StatusCode
		}
		mixed := "serial,owner\n5cg1,Cid\nnone,x\n"
		if out, status := upload("?dry_run=true", mixed); status != http.StatusOK || out.Applied || len(out.Problems) != 1 || out.Problems[0].Row != 3 ||
			len(out.Preview) != 1 || out.Preview[0].Name != "pc-a" || out.Preview[0].Row != 2 || out.Preview[0].Changes[0] != (api.AssetChange{Field: "owner", From: "Ann Example", To: "Cid"}) {
			t.Errorf("preview of a file with a problem: %d %+v", status, out)
		}
		if out, _ := upload("", mixed); out.Applied {
			t.Errorf("a file with a problem was applied: %+v", out)
		}
		good := "\ufeffSerial;Owner;Warranty until;Other\n5cg1;\"Bob; Example\";31.12.2027;x\n"
		if out, status := upload("?dry_run=true", good); status != http.StatusOK || out.Changed != 1 || out.Applied {
			t.Errorf("dry run: %d %+v", status, out)
		}
		if out, status := upload("", good); status != http.StatusOK || out.Changed != 1 || !out.Applied {
			t.Errorf("import: %d %+v", status, out)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+a.id, nil, &d)
		if d.Assets["owner"] != "Bob; Example" || d.Assets["warranty_until"] != "2027-12-31" || d.Assets["use"] != "Lab" {
			t.Errorf("after the import: %v", d.Assets)
		}
		admin.finds(q("asset.warranty_until<2028-01-01"), "pc-a")
		for what, text := range map[string]string{"an unknown device": "id,owner\ndev_none,x\n", "no date": "name,warranty_until\npc-a,never\n", "twice": "name,owner\npc-a,x\npc-a,y\n", "broken": "name,owner\n\"pc-a,x\n"} {
			if out, status := upload("", text); status != http.StatusOK || out.Applied || len(out.Problems) != 1 {
				t.Errorf("%s: %d %+v", what, status, out)
			}
		}
		for what, text := range map[string]string{"nothing": "", "no key": "owner\nx\n", "no field": "name,x\npc-a,1\n"} {
			if _, status := upload("", text); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
				t.Errorf("%s: %d", what, status)
			}
		}
		res, err := admin.http.Get(g.server.URL + "/api/devices/export") //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		rows, err := csv.NewReader(res.Body).ReadAll()
		if err != nil || len(rows) != 3 || rows[1][1] != "'=pc-b" || rows[2][len(rows[2])-3] != "Bob; Example" {
			t.Errorf("export = %q, %v", rows, err)
		}
		chosen, err := admin.http.Get(g.server.URL + "/api/devices/export?q=pc-a&columns=serial,asset.owner,compliance,settings,asset.gone") //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		defer chosen.Body.Close()
		rows, err = csv.NewReader(chosen.Body).ReadAll()
		if want := [][]string{{"id", "serial", "owner", "compliance", "settings"}, {a.id, "5CG1", "Bob; Example", "unknown", "none"}}; err != nil || !slices.EqualFunc(rows, want, slices.Equal[[]string]) {
			t.Errorf("chosen columns = %q, %v", rows, err)
		}
		for _, bad := range []string{"columns=password", "q=memory%3Cx", "q=label:none"} {
			if got := admin.do(http.MethodGet, "/api/devices/export?"+bad, nil, nil); got != http.StatusUnprocessableEntity {
				t.Errorf("export with %s: %d", bad, got)
			}
		}
	})
}

func TestViewsAndDuplicates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		helper := admin.operator("helper", grant("helpdesk", "grp_root"))
		var v api.ViewBody
		admin.want(http.StatusCreated, http.MethodPost, "/api/views", map[string]any{"name": "Old", "filter": "openssl < 3.0.15", "columns": []string{"name", "os"}}, &v)
		var l api.List[api.ViewBody]
		helper.want(http.StatusOK, http.MethodGet, "/api/views", nil, &l)
		if len(l.Items) != 0 {
			t.Errorf("views of others: %+v", l.Items)
		}
		admin.want(http.StatusOK, http.MethodPut, "/api/views/"+v.ID, map[string]any{"name": "Old OpenSSL", "filter": "openssl < 3.0.16", "shared": true}, &v)
		helper.want(http.StatusOK, http.MethodGet, "/api/views", nil, &l)
		if len(l.Items) != 1 || l.Items[0].Mine || l.Items[0].Filter != "openssl < 3.0.16" {
			t.Errorf("shared views: %+v", l.Items)
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete} {
			if got := helper.do(method, "/api/views/"+v.ID, map[string]any{"name": "x", "filter": ""}, nil); got != http.StatusNotFound {
				t.Errorf("%s of another's view: %d", method, got)
			}
		}
		if got := admin.do(http.MethodPost, "/api/views", map[string]any{"name": "x", "filter": "memory<x"}, nil); got != http.StatusUnprocessableEntity {
			t.Errorf("a view that cannot be searched: %d", got)
		}
		var have api.DeviceListBody
		layout := map[string]any{"columns": []string{"name", "asset.owner"}, "view_id": v.ID}
		helper.want(http.StatusOK, http.MethodPut, "/api/device-list", layout, nil)
		helper.want(http.StatusOK, http.MethodGet, "/api/device-list", nil, &have)
		if have.ViewID != v.ID || !slices.Equal(have.Columns, []string{"name", "asset.owner"}) {
			t.Errorf("the helper's list = %+v", have)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/device-list", nil, &have)
		if have.ViewID != "" || len(have.Columns) != 0 {
			t.Errorf("the admin's list = %+v", have)
		}
		admin.want(http.StatusOK, http.MethodPut, "/api/views/"+v.ID, map[string]any{"name": "Old OpenSSL", "filter": "openssl < 3.0.16"}, &v)
		helper.want(http.StatusOK, http.MethodGet, "/api/device-list", nil, &have)
		if have.ViewID != "" {
			t.Errorf("a view that is no longer shared opens still: %+v", have)
		}
		if got := helper.do(http.MethodPut, "/api/device-list", layout, nil); got != http.StatusNotFound {
			t.Errorf("the view of another: %d", got)
		}
		admin.want(http.StatusNoContent, http.MethodDelete, "/api/views/"+v.ID, nil, nil)

		a, b, c := g.reporter(admin, "grp_root", "old"), g.reporter(admin, "grp_root", "new"), g.reporter(admin, "grp_root", "junk")
		a.send(true, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"5CG1"}`})
		b.send(true, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"5CG1"}`})
		c.send(true, map[string]string{"hardware": `{"vendor":"V","model":"M","serial":"Default string"}`})
		var d api.List[api.DuplicateBody]
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/duplicates", nil, &d)
		if len(d.Items) != 1 || d.Items[0].Reason != "serial" || len(d.Items[0].Devices) != 2 {
			t.Fatalf("duplicates = %+v", d.Items)
		}
		apart := "/api/devices/duplicates/" + d.Items[0].ID + "/kept"
		admin.want(http.StatusNoContent, http.MethodPut, apart, nil, nil)
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/duplicates", nil, &d)
		if len(d.Items) != 0 {
			t.Errorf("kept apart, but = %+v", d.Items)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/duplicates?kept=true", nil, &d)
		if len(d.Items) != 1 {
			t.Errorf("kept apart = %+v", d.Items)
		}
		admin.want(http.StatusNoContent, http.MethodDelete, apart, nil, nil)
		if got := admin.do(http.MethodDelete, apart, nil, nil); got != http.StatusNotFound {
			t.Errorf("suspected twice: %d", got)
		}
		var one api.DeviceBody
		admin.want(http.StatusOK, http.MethodPost, "/api/devices/"+b.id+"/replace", map[string]string{"old_id": a.id}, &one)
		admin.finds("", "junk", "old")
		admin.finds("state=revoked", "old")
		if one.ID != b.id || one.Name != "old" {
			t.Errorf("the one that replaces = %+v", one)
		}
		if got := admin.do(http.MethodPost, "/api/devices/"+b.id+"/replace", map[string]string{"old_id": b.id}, nil); got != http.StatusUnprocessableEntity {
			t.Errorf("a device replaces itself: %d", got)
		}
	})
}
