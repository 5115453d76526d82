package policy_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// judge is an independent validator of JSON Schema: it checks the schemas themselves, then
// prints for each case whether the schema takes the value.
const judge = `
import json, sys, warnings
warnings.simplefilter("ignore")
from jsonschema import Draft202012Validator as V
d = json.load(sys.stdin)
for s in d["schemas"].values():
    V.check_schema(s)
print(json.dumps([not list(V(d["schemas"][c["key"]]).iter_errors(c["value"])) for c in d["cases"]]))
`

// TestSchemasAgree: what Validate takes the schema takes, and what is wrong with a value's
// form, which is all a schema can know, it refuses too.
func TestSchemasAgree(t *testing.T) {
	type one struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	c := policy.Standard()
	schemas := map[string]json.RawMessage{}
	for _, e := range c.Entries() {
		schemas[e.Key] = c.Schema(e.Key)
	}
	var cases []one
	for _, g := range good {
		cases = append(cases, one{g.id.Key(), json.RawMessage(g.value)})
	}
	for id, value := range map[string]string{
		"screen.lock/1": `{"idle_seconds":"60"}`, "screen.lock/2": `{"idle_second":60}`, "screen.lock/3": `{"idle_seconds":29}`, "screen.lock/4": `[]`,
		"wifi.network/1": `{"ssid":"a","security":"wpa-psk"}`, "wifi.network/2": `{"ssid":"a","security":"open","psk":"long enough"}`,
		"wifi.network/3": `{"ssid":"a","security":"wep"}`, "wifi.network/4": `{"ssid":"a","security":"open","phase2":"pap"}`,
		"wifi.network/5": `{"ssid":"a","security":"802.1x","eap":"tls","identity":"x","ca_certificate":"-----BEGIN CERTIFICATE-----"}`,
		"wifi.network/6": `{"ssid":"a","security":"wpa-psk","psk":{"sealed":"x"}}`, "os.update/1": `{"reboot":"at"}`, "os.update/2": `{"reboot_time":"03:30"}`,
		"file.content/1": `{"path":"/x"}`, "file.content/2": `{"path":"/x","directory":true,"content":""}`,
		"vpn.wireguard/1": `{"addresses":["10.0.0.2/24"],"peers":[]}`, "sudo.rules/1": `{"users":["a"],"commands":["apt"]}`,
	} {
		cases = append(cases, one{manifest.ID(id).Key(), json.RawMessage(value)})
	}
	in, err := json.Marshal(map[string]any{"schemas": schemas, "cases": cases})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", judge)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the judge (apt-get install python3-jsonschema): %v\n%s", err, stderr(err))
	}
	var taken []bool
	if err := json.Unmarshal(out, &taken); err != nil || len(taken) != len(cases) {
		t.Fatalf("the judge said %q", out)
	}
	for i, ok := range taken {
		if want := i < len(good); ok != want {
			t.Errorf("the schema of %s takes %s: %v, want %v", cases[i].Key, cases[i].Value, ok, want)
		}
	}
}

func stderr(err error) string {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return string(e.Stderr)
	}
	return ""
}
