package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/comply"
	"handrail/mdm"
	"handrail/mdm/compliance"
)

// Comply is what the API needs of the engine of compliance.
type Comply interface {
	// Observe evaluates every rule on a device now, with evidence, and stores nothing.
	Observe(ctx context.Context, id mdm.DeviceID) (map[string]compliance.Verdict, error)
	// Try evaluates a rule that need not be kept on devices of a scope.
	Try(ctx context.Context, r compliance.Rule, scope compliance.Scope, limit int) ([]comply.Trial, error)
	// Recheck makes devices due, all for none.
	Recheck(ctx context.Context, ids ...mdm.DeviceID) error
	// Nudge has what is due looked at soon.
	Nudge()
}

// StateCounts are numbers of devices by state.
type StateCounts struct {
	NonCompliant  int64 `json:"non_compliant"`
	Error         int64 `json:"error"`
	InGrace       int64 `json:"in_grace"`
	Unknown       int64 `json:"unknown"`
	Waived        int64 `json:"waived"`
	Compliant     int64 `json:"compliant"`
	NotApplicable int64 `json:"not_applicable"`
}

func stateCounts(m map[compliance.State]int64) StateCounts {
	return StateCounts{
		NonCompliant: m[compliance.NonCompliant], Error: m[compliance.Failed], InGrace: m[compliance.InGrace], Unknown: m[compliance.Unknown],
		Waived: m[compliance.Waived], Compliant: m[compliance.Compliant], NotApplicable: m[compliance.NotApplicable],
	}
}

// MappingBody names a requirement of a framework.
type MappingBody struct {
	Framework string `json:"framework" minLength:"1" maxLength:"64"`
	ID        string `json:"id" minLength:"1" maxLength:"64"`
}

// FixBody is what mends a broken rule by one click.
type FixBody struct {
	Setting     string          `json:"setting,omitempty" maxLength:"255" doc:"Of the catalogue; given to the devices by a policy of its own"`
	Value       json.RawMessage `json:"value,omitempty" doc:"Of the setting"`
	Script      string          `json:"script,omitempty" maxLength:"65536" doc:"Run once as a command"`
	Interpreter string          `json:"interpreter,omitempty" enum:"sh,bash,python3"`
	Note        string          `json:"note,omitempty" maxLength:"4000" doc:"What to know before"`
}

// RuleInput is what an admin writes of a rule. Of a shipped rule only severity, grace and
// enabled count.
type RuleInput struct {
	Title       string        `json:"title" minLength:"1" maxLength:"160"`
	Description string        `json:"description,omitempty" maxLength:"4000"`
	Category    string        `json:"category,omitempty" maxLength:"64"`
	Severity    string        `json:"severity" enum:"critical,high,medium,low"`
	Applies     string        `json:"applies,omitempty" maxLength:"8192" doc:"CEL: true where the rule makes sense; left out: everywhere"`
	Expression  string        `json:"expression" minLength:"1" maxLength:"8192" doc:"CEL: true where the device is as it should be"`
	Evidence    string        `json:"evidence,omitempty" maxLength:"8192" doc:"CEL: what to show as observed; left out: the facts the expression names"`
	Remediation string        `json:"remediation,omitempty" maxLength:"4000"`
	Fix         *FixBody      `json:"fix,omitempty"`
	Frameworks  []MappingBody `json:"frameworks,omitempty" maxItems:"32"`
	GraceHours  float64       `json:"grace_hours,omitempty" minimum:"0" maximum:"8760" doc:"How long a device may break it before it counts"`
	Enabled     bool          `json:"enabled"`
}

// NewRuleInput makes a rule.
type NewRuleInput struct {
	Slug string `json:"slug" minLength:"1" maxLength:"64" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"`
	RuleInput
}

// RuleBody is a rule with its numbers.
type RuleBody struct {
	Slug        string        `json:"slug"`
	Title       string        `json:"title"`
	Description string        `json:"description"`
	Category    string        `json:"category"`
	Severity    string        `json:"severity" enum:"critical,high,medium,low"`
	Applies     string        `json:"applies"`
	Expression  string        `json:"expression"`
	Evidence    string        `json:"evidence"`
	Remediation string        `json:"remediation"`
	Fix         *FixBody      `json:"fix,omitempty" doc:"Left out: nothing mends it by one click"`
	Frameworks  []MappingBody `json:"frameworks"`
	GraceHours  float64       `json:"grace_hours"`
	Enabled     bool          `json:"enabled"`
	Shipped     bool          `json:"shipped" doc:"Came with the program"`
	Revision    int64         `json:"revision" doc:"Its ETag, for If-Match"`
	ChangedAt   time.Time     `json:"changed_at"`
	Counts      StateCounts   `json:"counts" doc:"Devices by state; list-devices with rule and rule_state finds them"`
}

func ruleBody(r compliance.Rule, counts map[compliance.State]int64) RuleBody {
	b := RuleBody{
		Slug: r.ID, Title: r.Title, Description: r.Description, Category: r.Category, Severity: string(r.Severity), Applies: r.Applies,
		Expression: r.Expression, Evidence: r.Evidence, Remediation: r.Remediation, Fix: fixBody(r.Fix), Frameworks: []MappingBody{},
		GraceHours: r.Grace.Hours(), Enabled: !r.Disabled, Shipped: r.Shipped, Revision: r.Revision, ChangedAt: r.ChangedAt, Counts: stateCounts(counts),
	}
	for _, m := range r.Mappings {
		b.Frameworks = append(b.Frameworks, MappingBody(m))
	}
	return b
}

func fixBody(f *compliance.Fix) *FixBody {
	if f == nil {
		return nil
	}
	return &FixBody{Setting: f.Setting, Value: f.Value, Script: f.Script, Interpreter: f.Interpreter, Note: f.Note}
}

func ruleOf(id string, in RuleInput) compliance.Rule {
	r := compliance.Rule{
		ID: id, Title: in.Title, Description: in.Description, Category: in.Category, Severity: compliance.Severity(in.Severity), Applies: in.Applies,
		Expression: in.Expression, Evidence: in.Evidence, Remediation: in.Remediation, Disabled: !in.Enabled,
		Grace: time.Duration(in.GraceHours * float64(time.Hour)).Truncate(time.Second), Mappings: []compliance.Mapping{},
	}
	for _, m := range in.Frameworks {
		r.Mappings = append(r.Mappings, compliance.Mapping(m))
	}
	if f := in.Fix; f != nil {
		r.Fix = &compliance.Fix{Setting: f.Setting, Value: f.Value, Script: f.Script, Interpreter: f.Interpreter, Note: f.Note}
	}
	return r
}

// ComplianceBody is the dashboard.
type ComplianceBody struct {
	Devices    int64            `json:"devices"`
	Overall    StateCounts      `json:"overall" doc:"Devices by their worst state over all rules; list-devices with compliance finds them"`
	Score      float64          `json:"score" doc:"Of all checks that apply, the percentage that is met; one decimal"`
	Severities []SeverityCounts `json:"severities" doc:"The worst first"`
	TopRules   []RuleCounts     `json:"top_rules" doc:"Broken by most devices, the worst severity first; at most 10"`
	Trend      []TrendDay       `json:"trend" doc:"The last 30 days, oldest first, as far as they were written down"`
	Checking   int64            `json:"checking" doc:"Devices not yet checked under the rules as they are now"`
	AsOf       *time.Time       `json:"as_of,omitempty" doc:"The moment the numbers are of; left out: now"`
	CountedAt  time.Time        `json:"counted_at" doc:"The moment the numbers are of: as_of, or now; of a large fleet a moment ago"`
	Waiting    *WaitingBody     `json:"waiting,omitempty" doc:"What the numbers do not know of yet; left out: they are up to date, or of the past"`
}

// WaitingBody is how far compliance is behind what devices have reported.
type WaitingBody struct {
	Devices       int64   `json:"devices" doc:"Changed, and not checked since"`
	BehindSeconds float64 `json:"behind_seconds" doc:"Age of the oldest of those changes"`
}

// SeverityCounts sums up the rules of one severity.
type SeverityCounts struct {
	Severity     string `json:"severity" enum:"critical,high,medium,low"`
	Rules        int    `json:"rules" doc:"Broken by at least one device"`
	NonCompliant int64  `json:"non_compliant" doc:"Devices times rules"`
	InGrace      int64  `json:"in_grace"`
	Waived       int64  `json:"waived"`
}

// RuleCounts is a rule and its numbers, in short.
type RuleCounts struct {
	Slug     string      `json:"slug"`
	Title    string      `json:"title"`
	Severity string      `json:"severity" enum:"critical,high,medium,low"`
	HasFix   bool        `json:"has_fix"`
	Counts   StateCounts `json:"counts"`
}

// TrendDay is the numbers of one day.
type TrendDay struct {
	Day    string      `json:"day" doc:"As 2026-11-23, UTC"`
	Counts StateCounts `json:"counts"`
}

// ComplianceSettings hold for all rules.
type ComplianceSettings struct {
	NewDeviceGraceHours float64 `json:"new_device_grace_hours" minimum:"0" maximum:"8760" doc:"How long a new device may break any rule"`
}

// InGroup limits to a group.
type InGroup struct {
	Group string `query:"group" maxLength:"64" doc:"This group and those below; left out: all you may see"`
}

// Moment asks for how it was then.
type Moment struct {
	AsOf time.Time `query:"as_of" doc:"A moment in the past; left out: now"`
}

func (a *API) registerCompliance() {
	tags := []string{"compliance"}
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "get-compliance", Method: http.MethodGet, Path: "/api/compliance", Tags: tags, Summary: "How the devices stand, in numbers",
	}, a.getCompliance)
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "get-compliance-settings", Method: http.MethodGet, Path: "/api/compliance/settings", Tags: tags, Summary: "What holds for all rules",
	}, a.getComplianceSettings)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "set-compliance-settings", Method: http.MethodPut, Path: "/api/compliance/settings", Tags: tags, Summary: "Change what holds for all rules",
	}, a.setComplianceSettings)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "recheck-compliance", Method: http.MethodPost, Path: "/api/compliance/recheck", Tags: tags,
		Summary: "Check devices anew, from what they reported last", DefaultStatus: http.StatusAccepted,
	}, a.recheckCompliance)
	a.registerComplianceRules(tags)
	a.registerComplianceDevices(tags)
	a.registerWaivers(tags)
	a.registerRemedies(tags)
}

// complianceScope is the devices a caller may see the compliance of, in a group or all.
func complianceScope(c auth.Caller, group string) compliance.Scope {
	if group == "" {
		ids, all := c.Groups(auth.ComplianceView)
		return compliance.Scope{All: all, Groups: ids}
	}
	s := compliance.Scope{}
	for _, id := range c.Tree().Below(mdm.GroupID(group)) {
		if c.May(auth.ComplianceView, id) {
			s.Groups = append(s.Groups, id)
		}
	}
	return s
}

func (a *API) getCompliance(ctx context.Context, in *struct {
	InGroup
	Moment
},
) (*body[ComplianceBody], error) {
	scope := complianceScope(callerOf(ctx), in.Group)
	b := ComplianceBody{TopRules: []RuleCounts{}, Severities: []SeverityCounts{}, Trend: []TrendDay{}}
	var sum compliance.Summary
	var err error
	if in.AsOf.IsZero() {
		sum, err = a.cfg.Compliance.Summary(ctx, scope)
	} else {
		b.AsOf = &in.AsOf
		sum, err = a.cfg.Compliance.SummaryAt(ctx, scope, in.AsOf)
	}
	if err != nil {
		return nil, err
	}
	b.Devices, b.Overall, b.CountedAt = sum.Counts.Devices, stateCounts(sum.Counts.Overall), sum.At.UTC()
	if in.AsOf.IsZero() {
		if b.Waiting, err = a.waiting(ctx, scope); err != nil {
			return nil, err
		}
	}
	for seq, n := range sum.Counts.BySeq {
		if seq < sum.Set.Seq {
			b.Checking += n
		}
	}
	sumRules(&b, sum)
	days, err := a.cfg.Compliance.Trend(ctx, scope, 30, a.cfg.Now())
	for _, d := range days {
		b.Trend = append(b.Trend, TrendDay{Day: d.Day.Format(time.DateOnly), Counts: stateCounts(d.Overall)})
	}
	return &body[ComplianceBody]{b}, err
}

// waiting says how far a scope is behind; nil when it is not.
func (a *API) waiting(ctx context.Context, scope compliance.Scope) (*WaitingBody, error) {
	now := a.cfg.Now()
	w, err := a.cfg.Compliance.Waiting(ctx, scope, now)
	if err != nil || w.Devices == 0 {
		return nil, err
	}
	return &WaitingBody{Devices: w.Devices, BehindSeconds: now.Sub(w.Since).Seconds()}, nil
}

// sumRules fills in score, severities and the rules that need attention first.
func sumRules(b *ComplianceBody, sum compliance.Summary) {
	met, applied := int64(0), int64(0)
	by := map[compliance.Severity]*SeverityCounts{}
	for _, s := range compliance.Severities() {
		by[s] = &SeverityCounts{Severity: string(s)}
	}
	for _, r := range sum.Set.Rules {
		if r.Disabled {
			continue
		}
		c := sum.Counts.Rule(r)
		broken := c[compliance.NonCompliant] + c[compliance.InGrace]
		met += c[compliance.Compliant] + c[compliance.Waived]
		applied += c[compliance.Compliant] + c[compliance.Waived] + broken
		s := by[r.Severity]
		s.NonCompliant += c[compliance.NonCompliant]
		s.InGrace += c[compliance.InGrace]
		s.Waived += c[compliance.Waived]
		if broken > 0 {
			s.Rules++
			b.TopRules = append(b.TopRules, RuleCounts{Slug: r.ID, Title: r.Title, Severity: string(r.Severity), HasFix: r.Fix != nil, Counts: stateCounts(c)})
		}
	}
	if applied > 0 {
		b.Score = float64(met*1000/applied) / 10
	}
	weight := map[string]int64{"critical": 8, "high": 4, "medium": 2, "low": 1}
	slices.SortStableFunc(b.TopRules, func(x, y RuleCounts) int {
		wx := weight[x.Severity] * (2*x.Counts.NonCompliant + x.Counts.InGrace)
		wy := weight[y.Severity] * (2*y.Counts.NonCompliant + y.Counts.InGrace)
		return int(min(max(wy-wx, -1), 1))
	})
	b.TopRules = b.TopRules[:min(len(b.TopRules), 10)]
	for _, s := range compliance.Severities() {
		b.Severities = append(b.Severities, *by[s])
	}
}

func (a *API) getComplianceSettings(ctx context.Context, _ *empty) (*body[ComplianceSettings], error) {
	set, err := a.cfg.Compliance.Rules(ctx)
	return &body[ComplianceSettings]{ComplianceSettings{NewDeviceGraceHours: set.NewDeviceGrace.Hours()}}, err
}

// mayRuleAll is for what holds for the whole organisation.
func mayRuleAll(ctx context.Context) error {
	if !callerOf(ctx).May(auth.ComplianceManage, mdm.RootGroup) {
		return errForbidden
	}
	return nil
}

func (a *API) setComplianceSettings(ctx context.Context, in *body[ComplianceSettings]) (*body[ComplianceSettings], error) {
	if err := mayRuleAll(ctx); err != nil {
		return nil, err
	}
	grace := time.Duration(in.Body.NewDeviceGraceHours * float64(time.Hour)).Truncate(time.Second)
	if err := a.cfg.Compliance.SetNewDeviceGrace(ctx, grace, a.cfg.Now()); err != nil {
		return nil, err
	}
	a.complianceChanged()
	if err := a.record(ctx, "compliance.settings", auditRule(compliance.Rule{}), "", map[string]string{"new_device_grace": grace.String()}); err != nil {
		return nil, err
	}
	return a.getComplianceSettings(ctx, nil)
}

// RecheckInput names devices; none are all the caller may manage.
type RecheckInput struct {
	Devices []string `json:"devices,omitempty" maxItems:"500"`
}

func (a *API) recheckCompliance(ctx context.Context, in *body[RecheckInput]) (*empty, error) {
	if len(in.Body.Devices) == 0 {
		if err := mayRuleAll(ctx); err != nil {
			return nil, err
		}
		return nil, a.cfg.Comply.Recheck(ctx)
	}
	ids := make([]mdm.DeviceID, 0, len(in.Body.Devices))
	for _, id := range in.Body.Devices {
		d, err := a.deviceFor(ctx, id, auth.ComplianceManage)
		if err != nil {
			return nil, err
		}
		ids = append(ids, d.ID)
	}
	return nil, a.cfg.Comply.Recheck(ctx, ids...)
}
