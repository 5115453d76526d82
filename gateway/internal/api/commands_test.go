package api_test

import (
	"net/http"
	"testing"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

// TestRefusedOrdersNameTheField sends orders and scripts with something wrong: the answer says
// with which field.
func TestRefusedOrdersNameTheField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		devices := []string{admin.device("grp_root", "a"), admin.device("grp_root", "b")}
		type object = map[string]any
		var library api.ScriptDetail
		admin.want(http.StatusCreated, http.MethodPost, "/api/scripts", object{
			"name": "Greet", "interpreter": "sh", "body": "echo hi",
			"parameters": []object{{"name": "who", "type": "string", "required": true, "pattern": "[a-z]+"}, {"name": "times", "type": "int"}},
		}, &library)
		order := func(kind string, parameters any) object {
			return object{"devices": devices, "kind": kind, "parameters": parameters}
		}
		for name, tt := range map[string]struct {
			path string
			in   object
			want map[string]string // location to message
		}{
			"out of range":    {"/api/commands", order("restart", object{"delay_seconds": -1}), map[string]string{"body.parameters.delay_seconds": "must be 0 to 86400"}},
			"another type":    {"/api/commands", order("restart", object{"delay_seconds": "soon"}), map[string]string{"body.parameters.delay_seconds": "must be a whole number, not string"}},
			"misspelt":        {"/api/commands", order("restart", object{"delay_second": 1}), map[string]string{"body.parameters.delay_second": `is not known here; did you mean "delay_seconds"?`}},
			"a list's member": {"/api/commands", order("collect_logs", object{"files": []string{"/var/log/syslog", "/etc/shadow"}}), map[string]string{"body.parameters.files[1]": "is not below /var/log"}},
			"no text":         {"/api/commands", order("message", object{"title": "x"}), map[string]string{"body.parameters.text": "is empty"}},
			"text of a type":  {"/api/commands", order("message", object{"text": 7}), map[string]string{"body.parameters.text": "must be text, not number"}},
			"the script's own": {
				"/api/commands", order("run_script", object{"script_id": library.ID, "parameters": object{"who": "ANN", "times": "x", "more": 1}}),
				map[string]string{
					"body.parameters.parameters.who": "does not match [a-z]+", "body.parameters.parameters.times": "is not a whole number",
					"body.parameters.parameters.more": "is no parameter of the script",
				},
			},
			"no such script": {"/api/commands", order("run_script", object{"script_id": "scr_none"}), map[string]string{"body.parameters.script_id": "names no script or version of the library"}},
			"typed":          {"/api/commands", order("run_script", object{"interpreter": "perl", "body": "1"}), map[string]string{"body.parameters.interpreter": "must be one of sh, bash, python3"}},
			"over already": {
				"/api/commands",
				object{"devices": devices, "kind": "restart", "expires_at": "2001-01-01T00:00:00Z"},
				map[string]string{"body.expires_at": "is before the command may begin"},
			},
			"a script's pattern": {
				"/api/scripts", object{
					"name": "X", "interpreter": "sh", "body": "true",
					"parameters": []object{{"name": "a", "type": "string"}, {"name": "b", "type": "string", "pattern": "("}},
				}, map[string]string{"body.parameters[1].pattern": "cannot be read: error parsing regexp: missing closing ): `^(?:()$`"},
			},
		} {
			var p api.Problem
			admin.want(http.StatusUnprocessableEntity, http.MethodPost, tt.path, tt.in, &p)
			got := map[string]string{}
			for _, one := range p.Errors {
				got[one.Location] = one.Message
			}
			if p.Code != "malformed" || len(got) != len(tt.want) {
				t.Errorf("%s: %+v", name, p)
			}
			for where, message := range tt.want {
				if got[where] != message {
					t.Errorf("%s: %s %q, want %q (%+v)", name, where, got[where], message, p)
				}
			}
		}
	})
}
