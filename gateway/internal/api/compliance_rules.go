package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/rule"
	"handrail/mdm/compliance"
	"handrail/signaling"
)

func auditRule(r compliance.Rule) audit.Who {
	return audit.Who{Kind: "compliance_rule", ID: r.ID, Name: r.Title}
}

func (a *API) complianceChanged(ids ...string) {
	a.cfg.Changed(signaling.TopicCompliance, ids...)
	a.cfg.Comply.Nudge()
}

// SlugPath is the slug in the path.
type SlugPath struct {
	Slug string `path:"slug" maxLength:"64"`
}

type ruleAnswer struct {
	ETag string `header:"ETag"`
	Body RuleBody
}

type ruleQuery struct {
	InGroup
	Severity  string `query:"severity" enum:"critical,high,medium,low"`
	Category  string `query:"category" maxLength:"64"`
	Framework string `query:"framework" maxLength:"64" doc:"Only rules that are mapped to it"`
}

type ruleChange struct {
	SlugPath
	Match
	Body RuleInput
}

type ruleMatch struct {
	SlugPath
	Match
}

// TryInput is a rule to be tried on devices, kept or not.
type TryInput struct {
	Applies    string `json:"applies,omitempty" maxLength:"8192"`
	Expression string `json:"expression" minLength:"1" maxLength:"8192"`
	Evidence   string `json:"evidence,omitempty" maxLength:"8192"`
	Group      string `json:"group,omitempty" maxLength:"64" doc:"Devices of this group and below; left out: all you may see"`
}

// TryBody is what came of it.
type TryBody struct {
	Devices int64       `json:"devices" doc:"That were tried: at most 500"`
	Counts  StateCounts `json:"counts"`
	Sample  []TryDevice `json:"sample" doc:"At most 20, those that break the rule first"`
}

// TryDevice is one of the devices.
type TryDevice struct {
	DeviceID string `json:"device_id"`
	Name     string `json:"name"`
	State    string `json:"state" enum:"unknown,not_applicable,compliant,non_compliant,error"`
	Message  string `json:"message,omitempty"`
	Evidence any    `json:"evidence,omitempty"`
}

func (a *API) registerComplianceRules(tags []string) {
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "list-compliance-rules", Method: http.MethodGet, Path: "/api/compliance/rules", Tags: tags, Summary: "Every rule with its numbers",
	}, a.listRules)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "create-compliance-rule", Method: http.MethodPost, Path: "/api/compliance/rules", Tags: tags, Summary: "Make a rule of your own",
		DefaultStatus: http.StatusCreated, MaxBodyBytes: 256 << 10,
	}, a.createRule)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "try-compliance-rule", Method: http.MethodPost, Path: "/api/compliance/rules/try", Tags: tags,
		Summary: "What a rule would say of devices; nothing is kept",
	}, a.tryRule)
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "get-compliance-rule", Method: http.MethodGet, Path: "/api/compliance/rules/{slug}", Tags: tags, Summary: "One rule with its numbers",
	}, a.getRule)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "change-compliance-rule", Method: http.MethodPut, Path: "/api/compliance/rules/{slug}", Tags: tags,
		Summary: "Change a rule; of a shipped one severity, grace and enabled", MaxBodyBytes: 256 << 10,
	}, a.changeRule)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "delete-compliance-rule", Method: http.MethodDelete, Path: "/api/compliance/rules/{slug}", Tags: tags,
		Summary: "Remove a rule of your own", DefaultStatus: http.StatusNoContent,
	}, a.deleteRule)
}

func (a *API) listRules(ctx context.Context, in *ruleQuery) (*body[List[RuleBody]], error) {
	sum, err := a.cfg.Compliance.Summary(ctx, complianceScope(callerOf(ctx), in.Group))
	if err != nil {
		return nil, err
	}
	list := List[RuleBody]{Items: []RuleBody{}}
	for _, r := range sum.Set.Rules {
		if in.Severity != "" && in.Severity != string(r.Severity) || in.Category != "" && in.Category != r.Category || !isMapped(r, in.Framework) {
			continue
		}
		list.Items = append(list.Items, ruleBody(r, sum.Counts.Rule(r)))
	}
	return &body[List[RuleBody]]{list}, nil
}

func isMapped(r compliance.Rule, framework string) bool {
	for _, m := range r.Mappings {
		if m.Framework == framework {
			return true
		}
	}
	return framework == ""
}

func (a *API) getRule(ctx context.Context, in *SlugPath) (*ruleAnswer, error) {
	return a.ruleNow(ctx, in.Slug)
}

func (a *API) ruleNow(ctx context.Context, id string) (*ruleAnswer, error) {
	sum, err := a.cfg.Compliance.Summary(ctx, complianceScope(callerOf(ctx), ""))
	if err != nil {
		return nil, err
	}
	r, ok := sum.Set.Rule(id)
	if !ok {
		return nil, notFound("rule")
	}
	return &ruleAnswer{ETag: etag(r.Revision), Body: ruleBody(r, sum.Counts.Rule(r))}, nil
}

// ruleProblem tells where in which expression something is wrong.
func ruleProblem(err error) error {
	var e *rule.Error
	if !errors.As(err, &e) {
		return err
	}
	p := problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, err.Error())
	for _, one := range e.Problems {
		p.Errors = append(p.Errors, FieldProblem{Location: fmt.Sprintf("body.%s[%d:%d]", fieldOf(err), one.Line, one.Column), Message: one.Message})
	}
	return p
}

// fieldOf names the expression an error of package comply is about.
func fieldOf(err error) string {
	for _, f := range []string{"applies", "evidence"} {
		for e := err; e != nil; e = errors.Unwrap(e) {
			if len(e.Error()) > len(f) && e.Error()[:len(f)+1] == f+":" {
				return f
			}
		}
	}
	return "expression"
}

func (a *API) createRule(ctx context.Context, in *body[NewRuleInput]) (*ruleAnswer, error) {
	if err := mayRuleAll(ctx); err != nil {
		return nil, err
	}
	r, err := a.cfg.Compliance.Put(ctx, ruleOf(in.Body.Slug, in.Body.RuleInput), 0, string(callerOf(ctx).Operator.ID), a.cfg.Now())
	if err != nil {
		return nil, ruleProblem(err)
	}
	return a.ruleDone(ctx, "compliance.rule_create", r)
}

func (a *API) ruleDone(ctx context.Context, action string, r compliance.Rule) (*ruleAnswer, error) {
	a.complianceChanged()
	detail := map[string]string{"severity": string(r.Severity), "enabled": strconv.FormatBool(!r.Disabled), "grace": r.Grace.String(), "revision": strconv.FormatInt(r.Revision, 10)}
	if !r.Shipped {
		detail["expression"] = r.Expression
	}
	if err := a.record(ctx, action, auditRule(r), "", detail); err != nil {
		return nil, err
	}
	return a.ruleNow(ctx, r.ID)
}

// ruleAt checks that the caller may change a rule and returns the revision meant.
func (a *API) ruleAt(ctx context.Context, id string, m Match) (compliance.Rule, int64, error) {
	if err := mayRuleAll(ctx); err != nil {
		return compliance.Rule{}, 0, err
	}
	r, err := a.cfg.Compliance.Rule(ctx, id)
	if err != nil {
		return r, 0, err
	}
	rev, err := m.revision()
	if err == nil && rev == 0 {
		rev = r.Revision
	}
	return r, rev, err
}

func (a *API) changeRule(ctx context.Context, in *ruleChange) (*ruleAnswer, error) {
	_, rev, err := a.ruleAt(ctx, in.Slug, in.Match)
	if err != nil {
		return nil, err
	}
	r, err := a.cfg.Compliance.Put(ctx, ruleOf(in.Slug, in.Body), rev, string(callerOf(ctx).Operator.ID), a.cfg.Now())
	if err != nil {
		return nil, stale(ruleProblem(err))
	}
	return a.ruleDone(ctx, "compliance.rule_change", r)
}

func (a *API) deleteRule(ctx context.Context, in *ruleMatch) (*empty, error) {
	r, rev, err := a.ruleAt(ctx, in.Slug, in.Match)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Compliance.Delete(ctx, in.Slug, rev, a.cfg.Now()); err != nil {
		return nil, stale(err)
	}
	a.complianceChanged()
	return nil, a.record(ctx, "compliance.rule_delete", auditRule(r), "", map[string]string{"expression": r.Expression})
}

// tried bounds how many devices a rule is tried on.
const tried = 500

func (a *API) tryRule(ctx context.Context, in *body[TryInput]) (*body[TryBody], error) {
	r := compliance.Rule{ID: "try", Title: "try", Severity: compliance.Low, Applies: in.Body.Applies, Expression: in.Body.Expression, Evidence: in.Body.Evidence}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	list, err := a.cfg.Comply.Try(ctx, r, complianceScope(callerOf(ctx), in.Body.Group), tried)
	if err != nil {
		return nil, ruleProblem(err)
	}
	counts := map[compliance.State]int64{}
	out := TryBody{Devices: int64(len(list)), Sample: []TryDevice{}}
	for _, s := range []compliance.State{compliance.NonCompliant, compliance.Failed, compliance.Unknown, compliance.Compliant, compliance.NotApplicable} {
		for _, t := range list {
			v := t.Verdict
			if v.State != s {
				continue
			}
			counts[s]++
			if len(out.Sample) < 20 {
				out.Sample = append(out.Sample, TryDevice{DeviceID: string(t.Device), Name: t.Name, State: string(v.State), Message: v.Reason, Evidence: evidenceOf(v.Evidence)})
			}
		}
	}
	out.Counts = stateCounts(counts)
	return &body[TryBody]{out}, nil
}
