package script_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/script"
)

// shelf takes every script; what is refused never gets there.
type shelf struct{ script.Store }

func (shelf) CreateScript(context.Context, script.Script, script.Version) error { return nil }

func num(n int64) *int64 { return &n }

func TestDraftsThatAreRefused(t *testing.T) {
	good := script.Draft{Interpreter: "sh", Body: "true"}
	with := func(p script.Parameter) func(*script.Draft) {
		return func(d *script.Draft) { d.Parameters = []script.Parameter{p} }
	}
	r := script.New(shelf{})
	for name, change := range map[string]func(*script.Draft){
		"interpreter":   func(d *script.Draft) { d.Interpreter = "ruby" },
		"empty":         func(d *script.Draft) { d.Body = " \n" },
		"long":          func(d *script.Draft) { d.Body = strings.Repeat("x", script.MaxBody+1) },
		"no text":       func(d *script.Draft) { d.Body = "\xff" },
		"zero":          func(d *script.Draft) { d.Body = "a\x00" },
		"time":          func(d *script.Draft) { d.TimeoutSeconds = script.MaxTimeout + 1 },
		"output":        func(d *script.Draft) { d.OutputBytes = 10 },
		"account":       func(d *script.Draft) { d.RunAs = "-x" },
		"name":          with(script.Parameter{Name: "Path", Type: script.String}),
		"type":          with(script.Parameter{Name: "a", Type: "date"}),
		"choices":       with(script.Parameter{Name: "a", Type: script.Choice}),
		"odd choices":   with(script.Parameter{Name: "a", Type: script.Int, Choices: []string{"1"}}),
		"pattern":       with(script.Parameter{Name: "a", Type: script.String, Pattern: "("}),
		"range":         with(script.Parameter{Name: "a", Type: script.Int, Min: num(2), Max: num(1)}),
		"default":       with(script.Parameter{Name: "a", Type: script.Int, Default: "x"}),
		"known secret":  with(script.Parameter{Name: "a", Type: script.Secret, Default: "x"}),
		"out of choice": with(script.Parameter{Name: "a", Type: script.Choice, Choices: []string{"x"}, Default: "y"}),
		"twice": func(d *script.Draft) {
			d.Parameters = []script.Parameter{{Name: "a", Type: script.Bool}, {Name: "a", Type: script.Bool}}
		},
	} {
		d := good
		change(&d)
		if _, _, err := r.Create(t.Context(), "x", "", d, time.Now()); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, mdm.ErrInvalid)
		}
	}
	if _, _, err := r.Create(t.Context(), " ", "", good, time.Now()); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("no name: %v", err)
	}
	if _, _, err := r.Create(t.Context(), "x", "", good, time.Now()); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestBind(t *testing.T) {
	v := script.Version{Parameters: []script.Parameter{
		{Name: "who", Type: script.String, Required: true, Pattern: "[a-z]+"},
		{Name: "times", Type: script.Int, Default: "3", Min: num(1), Max: num(9)},
		{Name: "loud", Type: script.Bool},
		{Name: "how", Type: script.Choice, Choices: []string{"by post", "by hand"}},
		{Name: "key", Type: script.Secret},
	}}
	for _, tt := range []struct {
		in   string
		want string // JSON; or the beginning of what is wrong, after "!"
	}{
		{`{"who":"ann"}`, `{"times":"3","who":"ann"}`},
		{`{"who":"ann","times":5,"loud":true,"how":"by hand","key":"x y"}`, `{"how":"by hand","key":"x y","loud":"true","times":"5","who":"ann"}`},
		{`{"who":"ann","times":"5","loud":"false"}`, `{"loud":"false","times":"5","who":"ann"}`},
		{`{}`, `!who must be given`},
		{`{"who":""}`, `!who must not be empty`},
		{`{"who":"Ann"}`, `!who does not match`},
		{`{"who":"ann\nb"}`, `!who does not match`},
		{`{"who":["ann"]}`, `!who must be a text`},
		{`{"who":"ann","times":10}`, `!times is out of range`},
		{`{"who":"ann","times":1.5}`, `!times is not a whole number`},
		{`{"who":"ann","loud":"yes"}`, `!loud is neither`},
		{`{"who":"ann","how":"by air"}`, `!how is not one of`},
		{`{"who":"ann","x":1,"times":0}`, `!times is out of range; parameters.x is no parameter`},
		{`{"who":"ann","key":"a\u0000"}`, `!key is over`},
	} {
		var in map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tt.in), &in); err != nil {
			t.Fatal(err)
		}
		bound, _, err := v.Bind(in)
		if wrong, ok := strings.CutPrefix(tt.want, "!"); ok {
			if !errors.Is(err, mdm.ErrInvalid) || !strings.Contains(err.Error(), "parameters."+wrong) {
				t.Errorf("%s: %v, want %q", tt.in, err, wrong)
			}
			continue
		}
		if b, _ := json.Marshal(bound); err != nil || string(b) != tt.want {
			t.Errorf("%s = %s, %v, want %s", tt.in, b, err, tt.want)
		}
	}
}

func FuzzBind(f *testing.F) {
	f.Add(`{"who":"ann","n":5}`)
	v := script.Version{Parameters: []script.Parameter{{Name: "who", Type: script.String}, {Name: "n", Type: script.Int}, {Name: "k", Type: script.Secret}}}
	f.Fuzz(func(t *testing.T, in string) {
		var values map[string]json.RawMessage
		if json.Unmarshal([]byte(in), &values) != nil {
			return
		}
		bound, _, err := v.Bind(values)
		if err != nil && !errors.Is(err, mdm.ErrInvalid) {
			t.Fatal(err)
		}
		for name, s := range bound {
			if strings.ContainsRune(s, 0) || len(s) > script.MaxValue {
				t.Fatalf("%s = %q", name, s)
			}
		}
	})
}
