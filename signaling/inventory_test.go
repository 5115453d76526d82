package signaling_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"handrail/signaling"
)

func TestReadInventoryIsWhatEncodingJSONReads(t *testing.T) {
	want := signaling.InventoryUpload{Full: true, Sections: map[string]signaling.Section{
		"host": {Hash: "ab", Data: json.RawMessage(`{"a":"}\"]\\","b":[1,{"c":null}]}`)}, "kept": {Hash: "cd"}, "number": {Hash: "", Data: json.RawMessage(`12.5e3`)},
	}}
	b, err := json.MarshalIndent(want, " ", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{string(b), `{"later":[{"x":"]"}],"sections":{},"full":false}`, `{}`, ` { "sections" : { } } `} {
		var whole signaling.InventoryUpload
		if err := json.Unmarshal([]byte(in), &whole); err != nil {
			t.Fatal(err)
		}
		got, refused, err := signaling.ReadInventory(strings.NewReader(in), 1000)
		if err != nil || len(refused) != 0 || got.Full != whole.Full || len(got.Sections) != len(whole.Sections) {
			t.Errorf("ReadInventory(%s) = %+v, %v, %v", in, got, refused, err)
		}
		for name, s := range whole.Sections {
			if diff := cmp.Diff(string(s.Data), string(got.Sections[name].Data)); diff != "" {
				t.Errorf("section %s: %s", name, diff)
			}
		}
	}
}

func TestReadInventoryRefusesSectionBySection(t *testing.T) {
	big := `"` + strings.Repeat(`x\"`, 5000) + `"`
	got, refused, err := signaling.ReadInventory(strings.NewReader(`{"sections":{"big":{"data":`+big+`,"hash":"1"},"host":{"hash":"2","data":{}}}}`), 1000)
	if err != nil || refused["big"] == "" || string(got.Sections["host"].Data) != "{}" || len(got.Sections) != 1 {
		t.Errorf("ReadInventory = %+v, %v, %v; want host alone, and big refused", got, refused, err)
	}
}

func TestReadInventoryRefusesWhole(t *testing.T) {
	many := strings.Builder{}
	for i := range 200 {
		fmt.Fprintf(&many, `"s%d":{},`, i)
	}
	for _, in := range []string{
		``, `null`, `[]`, `{"sections":`, `{"sections":{"a":{"hash":"1"`, `{"full":1}`, `{"full":true} x`, `{"sections":{"a":{},"a":{}}}`, `{"sections":{"a":]}}`,
		`{"sections":{"a":{"hash":5}}}`, `{,}`, `{"sections":{` + many.String() + `"z":{}}}`,
		`{"sections":{"` + strings.Repeat("n", 70) + `":{}}}`, `{"sections":{"a":{"hash":"` + strings.Repeat("n", 70) + `"}}}`, `{"a"}`, `{"a":}`,
	} {
		if _, _, err := signaling.ReadInventory(strings.NewReader(in), 1000); err == nil {
			t.Errorf("ReadInventory took %.80s", in)
		}
	}
}

// endless says the same for ever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) && n < 16<<10 {
		n += copy(p[n:], e)
	}
	return n, nil
}

// TestReadInventoryOfAnySizeTakesLittle sends what has no end: it is refused where the limit
// is, and was not held. The limit is an eighth of the real one, for the race detector's sake.
func TestReadInventoryOfAnySizeTakesLittle(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, in := range map[string]io.Reader{
		"one section": io.MultiReader(strings.NewReader(`{"sections":{"software":{"hash":"1","data":[`), endless(`{"name":"x"},`)),
		"a text":      io.MultiReader(strings.NewReader(`{"sections":{"software":{"hash":"`), endless(`x`)),
		"a key":       io.MultiReader(strings.NewReader(`{"`), endless(`x`)),
		"nesting":     io.MultiReader(strings.NewReader(`{"x":`), endless(`[`)),
		"white space": endless(` `),
	} {
		if _, _, err := signaling.ReadInventoryUpTo(in, 1<<20, 16<<20); !errors.Is(err, signaling.ErrInventoryTooLarge) {
			t.Errorf("%s: %v, want ErrInventoryTooLarge", name, err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 12<<20 {
		t.Errorf("%d MiB were allocated", took>>20)
	}
}

func FuzzReadInventory(f *testing.F) {
	for _, s := range []string{
		`{"full":true,"sections":{"host":{"hash":"ab","data":{"a":"}\"]\\"}}}}`, `{"sections":{"a":{"data":12}}}`, `{"x":[[{}]]}`, `{"sections":{"a":{"data":"`, `{"a":tru`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, _, err := signaling.ReadInventory(strings.NewReader(string(b)), 100)
		if err != nil {
			return
		}
		for name, s := range u.Sections {
			if len(s.Data) > 100 || len(name) > 64 || len(s.Hash) > 64 {
				t.Errorf("taken: %q %q", name, s.Data)
			}
		}
	})
}
