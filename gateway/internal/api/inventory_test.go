package api_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/signaling"
)

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func honest(t *testing.T, v any) signaling.Section {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return signaling.Section{Hash: hex.EncodeToString(sum[:]), Data: b}
}

// heap is a body of many times the same: compressed once, however large it is.
type heap struct {
	t    *testing.T
	body []byte
}

// add puts what there is more n times; a body may be of many gzip members.
func (h *heap) add(n int, more string) {
	h.t.Helper()
	h.body = append(h.body, bytes.Repeat(zipped(h.t, []byte(more)), n)...)
}

// TestMillionPackages sends them in one section, as no agent does, and in the right ones: each
// section that is too much is refused, and the others are taken.
func TestMillionPackages(t *testing.T) {
	g := newGateway(t, storetest.Open(t)) // only the host comes to a database
	agent := g.agent(g.admin().device("grp_root", "pc"))
	var some []string
	for i := range 1000 {
		some = append(some, fmt.Sprintf(`{"name":"package-%d","version":"1","source":"deb"}`, i))
	}
	thousand := strings.Join(some, ",")
	sections := []string{"software"}
	for n := range inventory.SoftwareBuckets {
		sections = append(sections, inventory.SoftwareSection(n))
	}
	body := heap{t: t}
	body.add(1, `{"full":true,"sections":{`)
	for _, name := range sections {
		body.add(1, `"`+name+`":{"hash":"`+strings.Repeat("0", 64)+`","data":[`+thousand)
		body.add(1000/len(sections), ","+thousand)
		body.add(1, `]},`)
	}
	last, err := json.Marshal(map[string]signaling.Section{"host": honest(t, inventory.Host{Hostname: "pc"}), "dns": {Hash: "00", Data: json.RawMessage(`"\u0000\u0001\ufffe"`)}})
	if err != nil {
		t.Fatal(err)
	}
	body.add(1, string(last[1:])+"}")
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var ans signaling.InventoryAnswer
	agent.want(http.StatusOK, http.MethodPut, "/agent/inventory", body.body, &ans)
	runtime.ReadMemStats(&after)
	if len(ans.Refused) != len(sections)+1 || len(ans.Have) != 1 {
		t.Errorf("answer = %+v", ans)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
		t.Errorf("%d MiB were allocated for it", took>>20)
	}
}

// agent is a device that sends what is compressed.
func (g *gateway) agent(id string) *client {
	token, _ := g.auth.MintAccess(mdm.DeviceID(id))
	c := g.client()
	c.head.Set("Authorization", "Bearer "+token)
	c.head.Set("Content-Encoding", "gzip")
	return c
}

func TestSoftwareOfADevice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		id := admin.device("grp_root", "pc")
		agent := g.agent(id)
		var ans signaling.InventoryAnswer
		soft := map[string]signaling.Section{}
		for n, bucket := range inventory.SplitSoftware([]inventory.Software{
			{Name: "openssl", Version: "3.0.15", Source: inventory.SourceDeb, Arch: "amd64"}, {Name: "org.gimp.GIMP", Version: "2.10", Source: inventory.SourceFlatpak, Scope: "ana\x00"},
		}) {
			soft[inventory.SoftwareSection(n)] = honest(t, bucket)
		}
		b, err := json.Marshal(signaling.InventoryUpload{Sections: soft})
		if err != nil {
			t.Fatal(err)
		}
		agent.want(http.StatusOK, http.MethodPut, "/agent/inventory", zipped(t, b), &ans)
		if len(ans.Have) != inventory.SoftwareBuckets {
			t.Errorf("%d sections are held, want %d", len(ans.Have), inventory.SoftwareBuckets)
		}
		// Another device of the same making need not send what the gateway knows.
		twin := admin.device("grp_root", "twin")
		agent = g.agent(twin)
		offer := map[string]signaling.Section{"software_00": {Hash: strings.Repeat("0", 64)}, "host": {Hash: strings.Repeat("0", 64)}}
		for name, s := range soft {
			if offer[name].Hash == "" {
				offer[name] = signaling.Section{Hash: s.Hash}
			}
		}
		b, _ = json.Marshal(signaling.InventoryUpload{Sections: offer})
		ans = signaling.InventoryAnswer{}
		agent.want(http.StatusOK, http.MethodPut, "/agent/inventory", zipped(t, b), &ans)
		if len(ans.Have) != inventory.SoftwareBuckets-1 || len(ans.Refused) != 0 {
			t.Errorf("of an offer the gateway has %d sections and refuses %v", len(ans.Have), ans.Refused)
		}
		var got api.SoftwareBody
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+twin+"/software?q=openssl", nil, &got)
		if len(got.Items) != 1 || got.Items[0].Version != "3.0.15" {
			t.Errorf("software of the twin = %+v", got)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+id+"/software?q=SSL", nil, &got)
		if got.Total != 2 || len(got.Items) != 1 || got.Items[0].Version != "3.0.15" {
			t.Errorf("software = %+v", got)
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/devices/"+id+"/software?source=flatpak", nil, &got)
		if len(got.Items) != 1 || got.Items[0].Scope != "ana" {
			t.Errorf("software = %+v", got)
		}
	})
}

func TestHostileInventoryBodies(t *testing.T) {
	g := newGateway(t, storetest.Open(t)) // none of it comes to a database
	admin := g.admin()
	much := heap{t: t}
	much.add(1, `{"x":"`)
	much.add(signaling.MaxInventoryUnpacked>>20, strings.Repeat("x", 1<<20))
	for what, tt := range map[string]struct {
		encoding string
		body     []byte
		status   int
	}{
		"not gzip":            {"gzip", []byte(`{"full":true}`), 400},
		"broken gzip":         {"gzip", zipped(t, []byte(`{"full":true,"sections":{}}`))[:20], 422},
		"another encoding":    {"br", []byte(`{}`), 415},
		"not JSON":            {"", []byte("\x00\xff\xfe"), 422},
		"a text, very long":   {"gzip", much.body, 413},
		"too much as it is":   {"", []byte(strings.Repeat(" ", signaling.MaxInventory+1)), 413},
		"a section too often": {"", []byte(`{"sections":{"host":{},"host":{}}}`), 422},
		"nothing":             {"", []byte(``), 422},
	} {
		agent := g.client()
		// Each is a device of its own: after such a body one is kept waiting.
		token, _ := g.auth.MintAccess(mdm.DeviceID(admin.device("grp_root", what)))
		agent.head.Set("Authorization", "Bearer "+token)
		if tt.encoding != "" {
			agent.head.Set("Content-Encoding", tt.encoding)
		}
		var p api.Problem
		if got := agent.do(http.MethodPut, "/agent/inventory", tt.body, &p); got != tt.status || p.Detail == "" {
			t.Errorf("%s: %d %q, want %d", what, got, p.Detail, tt.status)
		}
	}
}

// TestOneDeviceTakesNoTurnsFromOthers: a device that asks for turns without end is told to wait,
// and delays the next device by no more than a burst.
func TestOneDeviceTakesNoTurnsFromOthers(t *testing.T) {
	g := newGateway(t, storetest.Open(t)) // none of it comes to a database
	var wild time.Duration
	for range 10_000 {
		wild = g.api.InventoryTurn("dev_wild")
	}
	other := g.api.InventoryTurn("dev_other")
	if wild == 0 || other > 2*time.Second {
		t.Errorf("after 10,000 questions of one device it waits for %v, and the next device for %v", wild, other)
	}
}
