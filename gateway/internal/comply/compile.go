package comply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/inventory"
)

// compiled is one rule ready to run.
type compiled struct {
	rule                       compliance.Rule
	applies, expects, evidence *rule.Expr // applies and evidence may be nil
	needs                      []string   // sections without which nothing can be said
	memo                       []string   // when not nil: sections that, with the system's name, decide all
	worth                      *worth
	patience                   *patience
	broken                     string // why it does not compile; "" it does
}

// rulebook is a rule set ready to run, with what all of it reads.
type rulebook struct {
	known    *recent[memoKey, known] // what rules said of sections, by rule and hashes
	set      compliance.Set
	rules    []compiled
	sections []string // nil: all
	packages []string
	labels   bool
	settings bool
	clock    bool
}

// Check compiles a rule's expressions; it is the check of compliance.New.
func Check(c *rule.Compiler) func(compliance.Rule) error {
	return func(r compliance.Rule) error {
		_, err := compile(c, r)
		return err
	}
}

func compile(c *rule.Compiler, r compliance.Rule) (compiled, error) {
	out := compiled{rule: r, worth: &worth{}, patience: &patience{}}
	if r.Shipped {
		c = c.Trusted()
	}
	var err error
	if out.expects, err = c.Compile(r.Expression); err != nil {
		return out, fmt.Errorf("expression: %w", err)
	}
	if r.Applies != "" {
		if out.applies, err = c.Compile(r.Applies); err != nil {
			return out, fmt.Errorf("applies: %w", err)
		}
	}
	if r.Evidence != "" {
		if out.evidence, err = c.CompileValue(r.Evidence); err != nil {
			return out, fmt.Errorf("evidence: %w", err)
		}
	}
	for _, e := range out.expressions() {
		if err := e.Strange(inventory.Strange); err != nil {
			return out, fmt.Errorf("%s: %w", out.role(e), err)
		}
		reads := e.Reads()
		if slices.Contains(reads.Packages, rule.Everything) {
			return out, fmt.Errorf("software() wants the name of a package in quotes: %w", mdm.ErrInvalid)
		}
		if slices.ContainsFunc(reads.Paths, func(p string) bool { return p == "inventory.software" }) {
			return out, fmt.Errorf("a rule asks for software by name, as software(\"openssl\"): %w", mdm.ErrInvalid)
		}
	}
	for _, s := range out.expects.Reads().Sections {
		if s != rule.Everything && s != "software" {
			out.needs = append(out.needs, s)
		}
	}
	out.memo = out.decisive()
	return out, nil
}

// decisive returns the sections that decide what a rule says, nil when something else does
// too: then devices with the same sections need not come to the same.
func (c compiled) decisive() []string {
	list := []string{}
	for _, e := range c.expressions() {
		r := e.Reads()
		if r.Clock || r.Labels || r.Settings || len(r.Packages) > 0 || slices.Contains(r.Sections, rule.Everything) {
			return nil
		}
		for _, p := range r.Paths {
			if strings.HasPrefix(p, "device.") && p != "device.os" {
				return nil
			}
		}
		if r.Device && !slices.Contains(r.Paths, "device.os") {
			return nil // the device as a whole
		}
		list = append(list, r.Sections...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (c compiled) expressions() []*rule.Expr {
	list := []*rule.Expr{c.expects}
	if c.applies != nil {
		list = append(list, c.applies)
	}
	if c.evidence != nil {
		list = append(list, c.evidence)
	}
	return list
}

// role is what an expression is to the rule.
func (c compiled) role(e *rule.Expr) string {
	switch e {
	case c.applies:
		return "applies"
	case c.evidence:
		return "evidence"
	}
	return "expression"
}

func makeBook(c *rule.Compiler, set compliance.Set) *rulebook {
	b := &rulebook{set: set, sections: []string{}, known: &recent[memoKey, known]{most: maxKnown}}
	everything := false
	for _, r := range set.Rules {
		one, err := compile(c, r)
		if err != nil {
			one = compiled{rule: r, broken: mdm.Clean(err.Error(), 500)}
			b.rules = append(b.rules, one)
			continue
		}
		b.rules = append(b.rules, one)
		for _, e := range one.expressions() {
			reads := e.Reads()
			everything = everything || slices.Contains(reads.Sections, rule.Everything)
			b.sections = append(b.sections, reads.Sections...)
			b.packages = append(b.packages, reads.Packages...)
			b.labels = b.labels || reads.Labels
			b.settings = b.settings || reads.Settings
			b.clock = b.clock || reads.Clock
		}
	}
	slices.Sort(b.sections)
	b.sections = slices.DeleteFunc(slices.Compact(b.sections), func(s string) bool { return s == "software" })
	slices.Sort(b.packages)
	b.packages = slices.Compact(b.packages)
	if everything {
		b.sections = nil
	}
	return b
}

// judge evaluates one rule. Evidence is gathered when the verdict is other than before, or
// always for no before.
func (c compiled) judge(ctx context.Context, p *rule.Prepared, inventory map[string]any, before *compliance.Entry) compliance.Verdict {
	v := compliance.Verdict{Rule: c.rule.ID}
	v.State, v.Reason = c.state(ctx, p, inventory)
	if c.broken != "" || v.State == compliance.NotApplicable || before != nil && bare(before.State) == v.State {
		return v
	}
	if c.evidence != nil {
		v.Evidence, _ = c.evidence.Value(ctx, p)
	} else if v.State != compliance.Unknown {
		v.Evidence = c.expects.Evidence(p)
	}
	return v
}

// bare is a state without what grace and waivers made of it.
func bare(s compliance.State) compliance.State {
	if s.Broken() {
		return compliance.NonCompliant
	}
	return s
}

func (c compiled) state(ctx context.Context, p *rule.Prepared, inventory map[string]any) (compliance.State, string) {
	if c.broken != "" {
		return compliance.Failed, c.broken
	}
	if c.applies != nil {
		switch res := c.match(ctx, c.applies, p); res.Outcome {
		case rule.True:
		case rule.False:
			return compliance.NotApplicable, ""
		case rule.Unknown:
			return compliance.Unknown, res.Reason
		case rule.Failed:
			return compliance.Failed, res.Reason
		}
	}
	// What was not reported is never compliant, however the expression would come out.
	for _, s := range c.needs {
		if _, ok := inventory[s]; !ok {
			return compliance.Unknown, "the device has not reported " + s
		}
	}
	switch res := c.match(ctx, c.expects, p); res.Outcome {
	case rule.True:
		return compliance.Compliant, ""
	case rule.False:
		return compliance.NonCompliant, ""
	case rule.Failed:
		return compliance.Failed, res.Reason
	default:
		return compliance.Unknown, res.Reason
	}
}

// match evaluates an expression, unless it was too costly on so many devices that it will be here.
func (c compiled) match(ctx context.Context, e *rule.Expr, p *rule.Prepared) rule.Result {
	if why := c.patience.lost(); why != "" {
		return rule.Result{Outcome: rule.Failed, Reason: why, Costly: true}
	}
	res := e.MatchPrepared(ctx, p)
	if ctx.Err() == nil {
		c.patience.note(res)
	}
	return res
}

// patience keeps a rule that is too costly from taking the whole engine's time: once it failed
// so on a number of devices, one after the other, it is tried on few of the others only.
type patience struct {
	mu      sync.Mutex
	why     string
	failed  int // one after the other
	skipped int
}

// maxCostly is after how many devices patience is lost, costlyShare of how many one is tried then.
const (
	maxCostly   = 50
	costlyShare = 25
)

func (p *patience) lost() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed < maxCostly {
		return ""
	}
	if p.skipped++; p.skipped%costlyShare == 0 {
		return ""
	}
	return p.why
}

func (p *patience) note(res rule.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !res.Costly {
		p.failed = 0
		return
	}
	p.failed++
	p.why = res.Reason
}

// recheck is how often a device is looked at again when a rule reads the clock; spread over
// the day by the device's id.
const recheck = 24 * time.Hour

// Judge evaluates one rule over facts as the engine does, with evidence: for tests of rules.
func Judge(ctx context.Context, c *rule.Compiler, r compliance.Rule, f rule.Facts) (compliance.Verdict, error) {
	one, err := compile(c, r)
	if err != nil {
		return compliance.Verdict{}, err
	}
	return one.judge(ctx, rule.Prepare(f), f.Inventory, nil), nil
}
