package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/session"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/signaling"
)

// TestFaultsAreToldAndLogged: each fault gives the sender a problem with a code, and an id
// under which the log has the cause, which the sender is not told.
func TestFaultsAreToldAndLogged(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	id := admin.device("grp_root", "pc")
	for _, tt := range []struct {
		err    error
		status int
		code   signaling.Code
		logged bool
	}{
		{fmt.Errorf("dial 10.1.2.3: %w", mdm.ErrUnavailable), 503, "unavailable", true},
		{fmt.Errorf("write page: %w", mdm.ErrFull), 507, "storage_full", true},
		{errors.New("secret table name"), 500, signaling.CodeInternal, true},
		{fmt.Errorf("x: %w", session.ErrOffline), 409, signaling.CodeOffline, false},
		{fmt.Errorf("x: %w", session.ErrTooMany), 409, signaling.CodeBusy, false},
		{fmt.Errorf("x: %w", session.ErrNotAllowed), 403, signaling.CodeForbidden, false},
	} {
		g.session.err = tt.err
		var p api.Problem
		status, head := admin.send(http.MethodPost, "/api/sessions", map[string]any{"device_id": id, "capabilities": []string{"view"}}, &p)
		if status != tt.status || p.Code != tt.code {
			t.Errorf("%v: %d %s, want %d %s", tt.err, status, p.Code, tt.status, tt.code)
		}
		if strings.Contains(p.Detail, "10.1.2.3") || strings.Contains(p.Detail, "secret") {
			t.Errorf("%v leaks: %q", tt.err, p.Detail)
		}
		if retry := head.Get("Retry-After"); (retry != "") != (status == 503) {
			t.Errorf("%v: Retry-After %q", tt.err, retry)
		}
		g.mu.Lock()
		found := p.ID != "" && strings.Contains(g.log.String(), p.ID) && strings.Contains(g.log.String(), tt.err.Error())
		g.mu.Unlock()
		if found != tt.logged {
			t.Errorf("%v: logged %v under %q, want %v", tt.err, found, p.ID, tt.logged)
		}
	}
}

// TestDatabaseGoesAway takes PostgreSQL away in the middle, for everybody, and gives it back.
func TestDatabaseGoesAway(t *testing.T) {
	if !storetest.HasPostgres() {
		t.Log("only SQLite here: it cannot go away")
		return
	}
	away := storetest.OpenInterruptible(t)
	g := newGateway(t, away.Store)
	admin := g.admin()
	id := admin.device("grp_root", "pc")
	away.Interrupt()
	for _, tt := range []struct {
		method, path string
		in           any
	}{
		{http.MethodGet, "/api/devices", nil},
		{http.MethodPatch, "/api/devices/" + id, map[string]string{"name": "x"}},
		{http.MethodPost, "/api/sign-in", map[string]string{"email": "ada@example.org", "password": password}},
		{http.MethodPost, "/agent/enroll", newMachine(t, "fp", "pc").request("het_00000000000000000000000000000000")},
	} {
		var p api.Problem
		status, head := admin.send(tt.method, tt.path, tt.in, &p)
		if status != http.StatusServiceUnavailable || p.Code != "unavailable" || head.Get("Retry-After") == "" || p.ID == "" {
			t.Errorf("%s %s without database: %d %+v", tt.method, tt.path, status, p)
		}
	}
	if err := g.store.Ping(t.Context()); !errors.Is(err, mdm.ErrUnavailable) {
		t.Errorf("Ping = %v, want ErrUnavailable", err)
	}
	away.Restore()
	var d api.DeviceBody
	admin.want(http.StatusOK, http.MethodPatch, "/api/devices/"+id, map[string]string{"name": "after"}, &d)
	if d.Name != "after" {
		t.Errorf("device after the database returned = %+v", d)
	}
	if v, err := g.audit.Verify(t.Context()); err != nil || !v.OK() {
		t.Errorf("audit chain: %+v, %v", v, err)
	}
}
