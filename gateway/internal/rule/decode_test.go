package rule_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"handrail/gateway/internal/rule"
)

// slowly is what encoding/json makes of a section.
func slowly(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return plain(v), nil
}

func plain(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k := range t {
			t[k] = plain(t[k])
		}
	case []any:
		for i := range t {
			t[i] = plain(t[i])
		}
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i
		}
		if f, err := t.Float64(); err == nil {
			return f
		}
		return t.String()
	}
	return v
}

func FuzzDecodeSection(f *testing.F) {
	good, err := os.ReadFile("../baseline/testdata/good.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, s := range []string{`{"a":[1,-2,3.5,1e3,01,12345678901234567890],"ü":"\u00e4\n\"x","b":{},"c":[],"d":null,"e":true}`, `[1,]`, `{"a" 1}`, `"\ud800"`, "\"a\x01\"", `-`, `{"a":1,"a":2}`, `[{"a":1,"b":"x"},{"a":1,"b":"y"},{"a":2},{"b":1,"a":1},{"a":1,"b":1,"a":3},{}]`, ` [ ] `, `1 2`, `"\`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := rule.DecodeSection(data)
		want, wantErr := slowly(data)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("DecodeSection(%q) = %v, encoding/json says %v", data, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(rule.Plain(got), want) {
			t.Fatalf("DecodeSection(%q) = %#v, want %#v", data, rule.Plain(got), want)
		}
	})
}

func BenchmarkDecodeSection(b *testing.B) {
	good, err := os.ReadFile("../baseline/testdata/good.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(good)))
	for b.Loop() {
		if _, err := rule.DecodeSection(good); err != nil {
			b.Fatal(err)
		}
	}
}
