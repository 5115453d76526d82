package manifest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

func TestSumKnowsSettingsNotTheirForm(t *testing.T) {
	a := []manifest.Setting{{ID: "a", Value: json.RawMessage(`{"x": 1}`)}, {ID: "b/one", Value: json.RawMessage(`2`)}}
	b := []manifest.Setting{{ID: "b/one", Value: json.RawMessage(` 2`)}, {ID: "a", Value: json.RawMessage(`{"x":1}`), Source: manifest.Source{Policy: "pol_1", Version: 7}}}
	one, err1 := manifest.Sum(a)
	two, err2 := manifest.Sum(b)
	if err1 != nil || err2 != nil || one != two {
		t.Errorf("Sum = %q (%v) and %q (%v), want them equal", one, err1, two, err2)
	}
	b[0].Value = json.RawMessage(`3`)
	if three, _ := manifest.Sum(b); three == one {
		t.Error("another value has the same hash")
	}
	if _, err := manifest.Sum([]manifest.Setting{{ID: "a", Value: json.RawMessage(`{`)}}); err == nil {
		t.Error("a value that is no JSON has a hash")
	}
}

func TestIDs(t *testing.T) {
	for _, id := range []manifest.ID{"screen.lock", "wifi.network/Office-2.4", "a"} {
		if err := id.Check(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []manifest.ID{"", "/x", "a/", "A", "a b", "a/..", "a/.x", "a/x/y", "a/é", manifest.ID(strings.Repeat("a", 65))} {
		if err := id.Check(); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%q: %v, want %v", id, err, mdm.ErrInvalid)
		}
	}
	if id := manifest.MakeID("file", "motd"); id.Key() != "file" || id.Instance() != "motd" {
		t.Errorf("%s = %s, %s", id, id.Key(), id.Instance())
	}
}

func TestReportIsText(t *testing.T) {
	r, err := manifest.DecodeReport([]byte("{\"hash\":\"\xff\",\"statuses\":[{\"id\":\"a\",\"state\":\"applied\",\"observed\":{\"x\":\"\xff\xfe\"},\"message\":\"\xff\"}]}"))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Statuses[0]
	if !utf8.Valid(s.Observed) || !json.Valid(s.Observed) || !utf8.ValidString(s.Message) || !utf8.ValidString(r.Hash) {
		t.Errorf("taken: %q, %q, %q", s.Observed, s.Message, r.Hash)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"generation":1,"hash":"x","settings":[{"id":"a","value":1,"source":{}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := manifest.Decode(b); err == nil {
			if sum, err := manifest.Sum(m.Settings); err != nil || sum != m.Hash {
				t.Errorf("a manifest was taken whose hash is %q, want %q (%v)", m.Hash, sum, err)
			}
		}
	})
}

func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte(`{"generation":1,"statuses":[{"id":"a","state":"applied","at_us":1}],"gone":["b/c"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := manifest.DecodeReport(b)
		if err != nil && !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("error is not %v: %v", mdm.ErrInvalid, err)
		}
		for _, s := range r.Statuses {
			if err == nil && (s.ID.Check() != nil || len(s.Message) > manifest.MaxText || !utf8.Valid(s.Observed)) {
				t.Errorf("taken: %+v", s)
			}
		}
	})
}
