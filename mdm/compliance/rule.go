package compliance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"handrail/mdm"
)

// Severity says how much a broken rule matters.
type Severity string

// The severities.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Severities lists every severity, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// Limits of a rule, in bytes unless said.
const (
	MaxRules       = 500 // the shipped ones and an organisation's own
	maxID          = 64
	maxTitle       = 160
	maxText        = 4000
	maxExpression  = 8 << 10
	maxMappings    = 32
	maxFix         = 64 << 10
	MaxGrace       = 365 * 24 * time.Hour
	maxMappingText = 64
)

// Mapping says which requirement of a framework a rule helps to meet.
type Mapping struct {
	Framework string `json:"framework"` // "CIS Controls v8"
	ID        string `json:"id"`        // "4.1"
}

// Fix is what mends a broken rule by one click: a setting to be made policy, or a script to
// be run once. Exactly one of Setting and Script is set.
type Fix struct {
	Setting     string          `json:"setting,omitempty"` // key of the catalogue, with "/instance" where it has several
	Value       json.RawMessage `json:"value,omitempty"`   // of the setting
	Script      string          `json:"script,omitempty"`  // the program itself
	Interpreter string          `json:"interpreter,omitempty"`
	Note        string          `json:"note,omitempty"` // what to know before: "restarts sshd"
}

// Rule is one rule. Expressions are of package rule of the gateway.
type Rule struct {
	ID          string        `json:"id"` // a slug: "ssh-no-root-login"
	Title       string        `json:"title"`
	Description string        `json:"description"`
	Category    string        `json:"category"`
	Severity    Severity      `json:"severity"`
	Applies     string        `json:"applies"`    // true where the rule makes sense; "" everywhere
	Expression  string        `json:"expression"` // true where the device is as it should be
	Evidence    string        `json:"evidence"`   // what to show as observed; "" the facts the expression names
	Remediation string        `json:"remediation"`
	Fix         *Fix          `json:"fix,omitempty"`
	Mappings    []Mapping     `json:"mappings"`
	Grace       time.Duration `json:"grace"` // how long a device may break it before it counts
	Disabled    bool          `json:"disabled"`

	Shipped   bool      `json:"-"` // one of ours, of which only Severity, Grace and Disabled are the organisation's
	Seq       int64     `json:"-"` // of the rule set in which it last changed
	Revision  int64     `json:"-"` // counts its changes; for If-Match
	ChangedAt time.Time `json:"-"`
	ChangedBy string    `json:"-"`
}

// Check returns mdm.ErrInvalid with what is wrong. Expressions are checked by who compiles them.
func (r *Rule) Check() error {
	if !isSlug(r.ID) {
		return fmt.Errorf("rule id %q is not a slug of a-z, 0-9 and -: %w", mdm.Clean(r.ID, maxID), mdm.ErrInvalid)
	}
	r.Title = mdm.Clean(r.Title, maxTitle)
	r.Category = mdm.Clean(r.Category, maxMappingText)
	switch {
	case r.Title == "":
		return fmt.Errorf("rule %s needs a title: %w", r.ID, mdm.ErrInvalid)
	case !slices.Contains(Severities(), r.Severity):
		return fmt.Errorf("rule %s has the severity %q: %w", r.ID, mdm.Clean(string(r.Severity), 32), mdm.ErrInvalid)
	case strings.TrimSpace(r.Expression) == "":
		return fmt.Errorf("rule %s needs an expression: %w", r.ID, mdm.ErrInvalid)
	case len(r.Description) > maxText || len(r.Remediation) > maxText || len(r.Expression) > maxExpression || len(r.Applies) > maxExpression || len(r.Evidence) > maxExpression:
		return fmt.Errorf("rule %s: a text is too long: %w", r.ID, mdm.ErrInvalid)
	case r.Grace < 0 || r.Grace > MaxGrace:
		return fmt.Errorf("rule %s: grace is 0 to 365 days: %w", r.ID, mdm.ErrInvalid)
	case len(r.Mappings) > maxMappings:
		return fmt.Errorf("rule %s: %d mappings, at most %d: %w", r.ID, len(r.Mappings), maxMappings, mdm.ErrInvalid)
	}
	for i := range r.Mappings {
		m := &r.Mappings[i]
		m.Framework, m.ID = mdm.Clean(m.Framework, maxMappingText), mdm.Clean(m.ID, maxMappingText)
		if m.Framework == "" || m.ID == "" {
			return fmt.Errorf("rule %s: a mapping names a framework and an id: %w", r.ID, mdm.ErrInvalid)
		}
	}
	return r.Fix.check(r.ID)
}

func (f *Fix) check(id string) error {
	switch {
	case f == nil:
		return nil
	case (f.Setting == "") == (f.Script == ""):
		return fmt.Errorf("rule %s: a fix is either a setting or a script: %w", id, mdm.ErrInvalid)
	case len(f.Value)+len(f.Script) > maxFix || len(f.Note) > maxText || len(f.Setting) > 255:
		return fmt.Errorf("rule %s: the fix is too long: %w", id, mdm.ErrInvalid)
	case f.Setting != "" && !(json.Valid(f.Value) && utf8.Valid(f.Value)):
		return fmt.Errorf("rule %s: the fix's value is no JSON: %w", id, mdm.ErrInvalid)
	case f.Script != "" && !slices.Contains([]string{"sh", "bash", "python3"}, f.Interpreter):
		return fmt.Errorf("rule %s: the fix's interpreter is sh, bash or python3: %w", id, mdm.ErrInvalid)
	}
	return nil
}

func isSlug(s string) bool {
	if s == "" || len(s) > maxID || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Set is the rules in force at one moment. Seq grows with every change of a rule.
type Set struct {
	Seq            int64
	Rules          []Rule        // by id
	NewDeviceGrace time.Duration // how long a device may break any rule after it was enrolled
}

// Rule returns one rule of the set.
func (s Set) Rule(id string) (Rule, bool) {
	i, ok := slices.BinarySearchFunc(s.Rules, id, func(r Rule, id string) int { return strings.Compare(r.ID, id) })
	if !ok {
		return Rule{}, false
	}
	return s.Rules[i], true
}
