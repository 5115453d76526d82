package compliance_test

import (
	"encoding/json"
	"testing"

	"handrail/mdm/compliance"
)

func TestEvidenceOfEarlierGateways(t *testing.T) {
	for kept, want := range map[string]string{
		``:                              ``,
		`{"a":1}`:                       `{"a":1}`,
		`"plain text"`:                  `"plain text"`,
		`"[not cut]"`:                   `"[not cut]"`,
		`"[\"a\",\"b\",\"c …"`:          `["a","b","and more"]`,
		`"[{\"n\":12345678901},{\"n …"`: `[{"n":12345678901},"and more"]`,
		`"{\"x\":[1,2],\"y\":{\"z …"`:   `{"x":[1,2],"…":"and more"}`,
		`"[ …"`:                         `["and more"]`,
		`"{oops …"`:                     `{"…":"and more"}`,
	} {
		if got := compliance.Evidence(json.RawMessage(kept)); string(got) != want {
			t.Errorf("%s: %s, want %s", kept, got, want)
		}
	}
}

func FuzzEvidence(f *testing.F) {
	f.Add([]byte(`"[\"a\",{\"b\":1},\"c …"`))
	f.Fuzz(func(t *testing.T, kept []byte) {
		if got := compliance.Evidence(kept); json.Valid(kept) && !json.Valid(got) {
			t.Errorf("%q becomes %q", kept, got)
		}
	})
}
