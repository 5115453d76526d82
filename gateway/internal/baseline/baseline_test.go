package baseline_test

import (
	"testing"

	"handrail/gateway/internal/baseline"
	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/rule"
)

func TestRulesCompile(t *testing.T) {
	c, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	check := comply.Check(c)
	rules := baseline.Rules()
	seen := map[string]bool{}
	for _, r := range rules {
		if err := r.Check(); err != nil {
			t.Error(err)
		}
		if err := check(r); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
		if seen[r.ID] {
			t.Errorf("%s: twice", r.ID)
		}
		seen[r.ID] = true
		if r.Description == "" || r.Remediation == "" || len(r.Mappings) == 0 || r.Category == "" {
			t.Errorf("%s lacks words or mappings", r.ID)
		}
	}
	t.Logf("%d rules", len(rules))
	if len(rules) < 40 {
		t.Errorf("%d rules, want 40 or more", len(rules))
	}
}
