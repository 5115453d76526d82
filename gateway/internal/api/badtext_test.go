package api_test

import (
	"net/http"
	"testing"

	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

// TestWhatIsNoText sends zero bytes and what is not UTF-8 wherever text is expected: it is
// refused, or taken without them, and on no database a fault of the gateway.
func TestWhatIsNoText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		for want, paths := range map[int][]string{
			http.StatusUnprocessableEntity: {
				"/api/policies?q=%00", "/api/policies?q=%ff", "/api/policies?group=%00", "/api/policies?q=%zz", "/api/rollouts?policy=%00", "/api/devices?q=%00",
			},
			http.StatusNotFound: {"/api/policies/%00", "/api/policies/%ff", "/api/devices/%00", "/api/devices/%ff/compliance", "/api/compliance/rules/%00"},
		} {
			for _, path := range paths {
				if got := admin.do(http.MethodGet, path, nil, nil); got != want {
					t.Errorf("GET %s: %d, want %d", path, got, want)
				}
			}
		}
		for path, in := range map[string]object{
			"/api/labels":           {"name": "a\x00b", "expression": "device.name == '\x00'"},
			"/api/policies":         {"name": "a\x00b", "description": "\x00"},
			"/api/groups":           {"parent_id": "grp_root\x00", "name": "a\x00b"},
			"/api/compliance/rules": {"slug": "a", "title": "a\x00b", "severity": "low", "expression": "device.name == '\x00'", "enabled": true},
			"/api/views":            {"name": "a\x00b", "query": "\x00"},
		} {
			if got := admin.do(http.MethodPost, path, in, nil); got >= http.StatusInternalServerError {
				t.Errorf("POST %s: %d", path, got)
			}
		}
		admin.want(http.StatusOK, http.MethodGet, "/api/policies?q=%C3%BC+%F0%9F%98%80", nil, nil)
	})
}
