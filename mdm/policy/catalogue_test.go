package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestStandardIsWhole: every field is described for people, every rule can be kept.
func TestStandardIsWhole(t *testing.T) {
	c := Standard()
	if len(c.Entries()) < 23 {
		t.Errorf("%d entries", len(c.Entries()))
	}
	for _, e := range c.Entries() {
		t.Run(e.Key, func(t *testing.T) {
			if e.Title == "" || !strings.HasSuffix(e.Description, ".") || e.Category == "" || e.Mechanism == "" || len(e.Platforms) == 0 || len(e.Fields) == 0 {
				t.Errorf("not described: %+v", e)
			}
			if (e.Risk.CutsNetwork || e.Risk.CutsSignIn) && e.Risk.Words == "" {
				t.Error("a risk without words")
			}
			byField := e.Merge == MostRestrictive || e.Merge == Union
			if !slices.Contains([]Merge{MostRestrictive, Union, ByRank, OrError}, e.Merge) || byField && len(e.Exclusive) > 0 {
				t.Errorf("merge %q", e.Merge)
			}
			for i := range e.Fields {
				f := &e.Fields[i]
				if byField && f.When != nil {
					t.Errorf("%s: a merge by fields knows no conditions", f.Name)
				}
				if !byField && f.Combine != ByPriority {
					// The constructors of flags give every flag one; it means nothing here.
					if f.Kind != Bool {
						t.Errorf("%s: combine %q without a merge by fields", f.Name, f.Combine)
					}
				}
			}
			checkFields(t, "", e.Fields)
			var schema map[string]any
			if err := json.Unmarshal(c.Schema(e.Key), &schema); err != nil || schema["$schema"] != schemaDialect {
				t.Errorf("schema %s: %v", c.Schema(e.Key), err)
			}
		})
	}
}

func checkFields(t *testing.T, path string, fields []Field) {
	t.Helper()
	seen := map[string]bool{}
	for i := range fields {
		f := &fields[i]
		at := join(path, f.Name)
		if seen[f.Name] || f.Name == "" {
			t.Errorf("%s is there twice or has no name", at)
		}
		seen[f.Name] = true
		if f.Title == "" || !strings.HasSuffix(f.Description, ".") && !strings.HasSuffix(f.Description, "?") {
			t.Errorf("%s is not described: %q", at, f.Description)
		}
		if f.When != nil && field(fields, f.When.Field) == nil {
			t.Errorf("%s depends on %s, which is not there", at, f.When.Field)
		}
		if f.Format != "" && formatWords[f.Format] == "" {
			t.Errorf("%s has the format %q, which has no words", at, f.Format)
		}
		if f.Default != nil {
			j := &judge{}
			v := f.Default
			if n, ok := v.(int64); ok {
				v = json.Number(itoa(int(n)))
			}
			if j.value(at, f, v); len(j.problems) > 0 {
				t.Errorf("default of %s: %v", at, j.problems)
			}
		}
		switch f.Kind {
		case Integer:
			if f.Max <= f.Min {
				t.Errorf("%s has no range", at)
			}
		case List:
			if f.Items == nil {
				t.Errorf("%s is a list of nothing", at)
			} else if f.Items.Kind == Object {
				checkFields(t, at, f.Items.Fields)
			}
		case Object:
			checkFields(t, at, f.Fields)
		case Bool, Text, Secret, JSON:
		default:
			t.Errorf("%s is of kind %q", at, f.Kind)
		}
		if strict := f.Combine == Highest || f.Combine == Lowest; strict != (f.Kind == Integer && f.Combine != ByPriority) {
			t.Errorf("%s of kind %s combines by %q", at, f.Kind, f.Combine)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, tt := range []struct{ typed, want string }{
		{"screen.lok", `; did you mean "screen.lock"?`},
		{"wifi.networks", `; did you mean "wifi.network"?`},
		{"x", ""},
		{strings.Repeat("y", 100), ""},
	} {
		if got := Standard().meant(tt.typed); got != tt.want {
			t.Errorf("meant(%.20q) = %q, want %q", tt.typed, got, tt.want)
		}
	}
}
