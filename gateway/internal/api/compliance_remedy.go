package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/report"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/compliance"
	"handrail/mdm/label"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/signaling"
)

// RemediateInput mends a rule on devices.
type RemediateInput struct {
	Rule    string   `json:"rule" minLength:"1" maxLength:"64"`
	Devices []string `json:"devices" minItems:"1" maxItems:"500"`
}

// RemediateBody says how it is mended.
type RemediateBody struct {
	Devices  int    `json:"devices"`
	BulkID   string `json:"bulk_id,omitempty" doc:"The order by which the script runs"`
	PolicyID string `json:"policy_id,omitempty" doc:"The policy that holds the setting"`
	LabelID  string `json:"label_id,omitempty" doc:"The label by which devices get the policy; take it off a device to take the setting back"`
}

type exportQuery struct {
	InGroup
	Moment
	Format string `query:"format" enum:"csv,pdf" default:"csv"`
	Rule   string `query:"rule" maxLength:"64" doc:"Only this rule"`
	State  string `query:"state" enum:"unknown,not_applicable,compliant,in_grace,non_compliant,waived,error" doc:"Only this state"`
}

func (a *API) registerRemedies(tags []string) {
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "remediate-compliance", Method: http.MethodPost, Path: "/api/compliance/remediate", Tags: tags,
		Summary: "Mend a rule on devices",
		Description: "A rule that is mended by a script has it run as a command. One that is mended by a setting needs policy.manage too: " +
			"the setting goes into a policy of its own, and the devices get the label that policy is for.",
	}, a.remediate)
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "export-compliance", Method: http.MethodGet, Path: "/api/compliance/export", Tags: tags,
		Summary: "Download how devices stand, now or at a moment in the past", Description: "text/csv: a line for each device and rule. application/pdf: to be read and filed.",
	}, a.exportCompliance)
}

func (a *API) remediate(ctx context.Context, in *body[RemediateInput]) (*body[RemediateBody], error) {
	r, err := a.cfg.Compliance.Rule(ctx, in.Body.Rule)
	if err != nil {
		return nil, err
	}
	if r.Fix == nil {
		return nil, fmt.Errorf("nothing mends rule %s by itself: %w", r.ID, mdm.ErrInvalid)
	}
	targets, words, err := a.targets(ctx, CommandTarget{Devices: in.Body.Devices})
	if err != nil {
		return nil, err
	}
	out := RemediateBody{Devices: len(targets)}
	if r.Fix.Script != "" {
		err = a.fixByScript(ctx, r, targets, words, &out)
	} else {
		err = a.fixBySetting(ctx, r, targets, &out)
	}
	if err == nil {
		err = a.noteRemedies(ctx, r, targets, out)
	}
	return &body[RemediateBody]{out}, err
}

func (a *API) fixByScript(ctx context.Context, r compliance.Rule, targets []command.Target, words string, out *RemediateBody) error {
	params, err := json.Marshal(map[string]any{"interpreter": r.Fix.Interpreter, "body": r.Fix.Script, "timeout_seconds": 1800})
	if err != nil {
		return err
	}
	made, err := a.cfg.Dispatch.Send(ctx, dispatch.Order{
		Kind: command.RunScript, Params: params, Note: "Mends: " + r.Title, Target: words, SupersedeKey: "mend-" + mdm.Clean(r.ID, 50),
		By: string(callerOf(ctx).Operator.ID), ByName: callerOf(ctx).Operator.Name,
		MayType: true, // the script is the rule's, written by those who may write rules
	}, targets)
	if err != nil {
		return err
	}
	out.BulkID = string(made.Bulk.ID)
	return a.recordOrder(ctx, made.Bulk, targets)
}

// remedyPriority puts a remedy before the policies of everyday.
const remedyPriority = 900

// fixBySetting puts devices under the policy that holds the rule's setting, made when it is
// not there yet. Policy and label are ordinary ones, to be seen and taken away as others.
func (a *API) fixBySetting(ctx context.Context, r compliance.Rule, targets []command.Target, out *RemediateBody) error {
	c := callerOf(ctx)
	for _, t := range targets {
		if !c.May(auth.PolicyManage, t.Group) {
			return errForbidden
		}
	}
	l, err := a.remedyLabel(ctx, r)
	if err != nil {
		return err
	}
	p, err := a.remedyPolicy(ctx, r, l)
	if err != nil {
		return err
	}
	ids := make([]mdm.DeviceID, len(targets))
	for i, t := range targets {
		ids[i] = t.Device
	}
	for some := range slices.Chunk(ids, label.MaxAtOnce) {
		if _, err := a.cfg.Labels.Give(ctx, l.ID, some, string(c.Operator.ID), a.cfg.Now()); err != nil {
			return err
		}
	}
	a.cfg.Desire.Wake()
	out.PolicyID, out.LabelID = string(p.ID), string(l.ID)
	a.cfg.Changed(signaling.TopicLabels, string(l.ID))
	a.cfg.Changed(signaling.TopicPolicies, string(p.ID))
	for _, t := range targets {
		if err := a.record(ctx, "compliance.remediate", audit.Who{Kind: "device", ID: string(t.Device), Name: t.Name}, t.Group,
			map[string]string{"rule": r.ID, "setting": r.Fix.Setting, "policy": string(p.ID)}); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) remedyLabel(ctx context.Context, r compliance.Rule) (label.Label, error) {
	name := mdm.Clean("Mend "+r.ID, label.MaxName)
	all, err := a.cfg.Labels.Labels(ctx)
	if err != nil {
		return label.Label{}, err
	}
	for _, l := range all {
		if l.Name == name && !l.IsSmart() {
			return l, nil
		}
	}
	return a.cfg.Labels.Create(ctx, label.Label{
		Name: name, Color: "teal", Description: mdm.Clean("Devices on which the compliance rule “"+r.Title+"” is mended by a policy.", label.MaxDescription),
		CreatedBy: string(callerOf(ctx).Operator.ID),
	}, a.cfg.Now())
}

func (a *API) remedyPolicy(ctx context.Context, r compliance.Rule, l label.Label) (policy.Policy, error) {
	name := mdm.Clean("Mend "+r.ID, policy.MaxName)
	page, _, err := a.cfg.Policies.Policies(ctx, policy.Filter{Query: name, Limit: 100})
	if err != nil {
		return policy.Policy{}, err
	}
	for _, p := range page {
		if p.Name != name {
			continue
		}
		if p.Live == 0 && p.Newest > 0 {
			return a.cfg.Policies.Activate(ctx, p.ID, p.Revision, p.Newest, a.actor(ctx))
		}
		if p.Newest > 0 {
			return p, nil
		}
		return a.inForce(ctx, p, l, r) // a remedy that was cut short
	}
	p, err := a.cfg.Policies.Create(ctx, name, "Mends the compliance rule “"+r.Title+"” on devices that carry its label.",
		[]policy.Setting{{ID: manifest.ID(r.Fix.Setting), Value: r.Fix.Value}}, a.actor(ctx))
	if err != nil {
		return p, err
	}
	return a.inForce(ctx, p, l, r)
}

func (a *API) inForce(ctx context.Context, p policy.Policy, l label.Label, r compliance.Rule) (policy.Policy, error) {
	p, err := a.cfg.Policies.Assign(ctx, p.ID, p.Revision, []policy.Assignment{{Include: policy.Scope{Labels: []mdm.LabelID{l.ID}}, Priority: remedyPriority}}, a.actor(ctx))
	if err != nil {
		return p, err
	}
	p, v, err := a.cfg.Policies.Publish(ctx, p.ID, p.Revision, "Mends "+r.ID, true, a.actor(ctx))
	if err != nil {
		return p, err
	}
	return p, a.record(ctx, "policy.publish", policyWho(p), "", map[string]string{"version": strconv.FormatInt(v.Number, 10), "rule": r.ID})
}

// maxFaults is how many devices a PDF names; nobody reads more.
const maxFaults = 200

func (a *API) exportCompliance(ctx context.Context, in *exportQuery) (*huma.StreamResponse, error) {
	set, err := a.cfg.Compliance.Rules(ctx)
	if err != nil {
		return nil, err
	}
	organisation, err := a.cfg.Auth.Organisation(ctx)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	at := now
	if !in.AsOf.IsZero() && in.AsOf.Before(now) {
		at = in.AsOf.UTC()
	}
	detail := map[string]string{"format": in.Format, "as_of": at.Format(time.RFC3339), "group": in.Group}
	if err := a.record(ctx, "compliance.export", audit.Who{Kind: "compliance"}, mdm.GroupID(in.Group), detail); err != nil {
		return nil, err
	}
	e := export{a: a, caller: callerOf(ctx), in: *in, set: set, at: at, scope: complianceScope(callerOf(ctx), in.Group)}
	e.head = report.Head{Organisation: organisation, Title: "Compliance of devices", Scope: e.scopeWords(), At: at, MadeAt: now, MadeBy: e.caller.Operator.Name}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="compliance-%s.%s"`, at.Format(time.DateOnly), in.Format))
		write, kind := e.csv, "text/csv; charset=utf-8"
		if in.Format == "pdf" {
			write, kind = e.pdf, "application/pdf"
		}
		hc.SetHeader("Content-Type", kind)
		if err := write(hc); err != nil {
			a.log.Warn("export_not_sent", "error", err)
			panic(http.ErrAbortHandler) // the client must not take a part for the whole
		}
	}}, nil
}

// export is one download under way.
type export struct {
	a      *API
	caller auth.Caller
	in     exportQuery
	set    compliance.Set
	scope  compliance.Scope
	at     time.Time
	head   report.Head
}

func (e *export) scopeWords() string {
	if e.in.Group == "" {
		return "All devices " + e.caller.Operator.Name + " may see"
	}
	path := e.caller.Tree().Path(mdm.GroupID(e.in.Group))
	return "Group " + joinPath(path)
}

func joinPath(path []string) string {
	out := ""
	for i, p := range path {
		if i > 0 {
			out += " › "
		}
		out += p
	}
	return out
}

func (e *export) wanted(i compliance.Interval) bool {
	return (e.in.Rule == "" || e.in.Rule == i.Rule) && (e.in.State == "" || e.in.State == string(i.State))
}

func (e *export) csv(hc huma.Context) error {
	waivers, err := e.waivers(hc.Context())
	if err != nil {
		return err
	}
	w, err := report.NewComplianceCSV(hc.BodyWriter())
	if err != nil {
		return err
	}
	err = e.a.cfg.Compliance.Walk(hc.Context(), e.scope, e.at, func(s compliance.Snapshot) error {
		group := joinPath(e.caller.Tree().Path(s.Group))
		for _, i := range s.Intervals {
			if !e.wanted(i) {
				continue
			}
			rule, _ := e.set.Rule(i.Rule)
			if err := w.Write(report.Row{DeviceID: string(s.Device), Device: s.Name, Group: group, Rule: rule, Interval: i, Waiver: waivers[i.Waiver], At: e.at}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func (e *export) pdf(hc huma.Context) error {
	r := report.Compliance{Head: e.head, Overall: map[compliance.State]int64{}}
	counts := map[string]map[compliance.State]int64{}
	waivers, err := e.waivers(hc.Context())
	if err != nil {
		return err
	}
	if r.Waivers, err = e.held(hc.Context(), waivers); err != nil {
		return err
	}
	err = e.a.cfg.Compliance.Walk(hc.Context(), e.scope, e.at, func(s compliance.Snapshot) error {
		r.Devices++
		r.Overall[s.Overall]++
		dev := report.ComplianceDevice{Name: s.Name, Group: joinPath(e.caller.Tree().Path(s.Group)), Overall: s.Overall}
		for _, i := range s.Intervals {
			if !e.wanted(i) {
				continue
			}
			if counts[i.Rule] == nil {
				counts[i.Rule] = map[compliance.State]int64{}
			}
			counts[i.Rule][i.State]++
			if i.State.Broken() || i.State == compliance.Failed {
				dev.Lines = append(dev.Lines, e.line(i, waivers))
			}
		}
		if len(dev.Lines) > 0 {
			r.Faults = append(r.Faults, dev)
		}
		if len(r.Faults) >= 4*maxFaults {
			r.Omitted += int64(neediest(&r.Faults))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, n := range counts {
		rule, ok := e.set.Rule(id)
		if !ok {
			rule = compliance.Rule{ID: id, Title: id + " (removed since)", Severity: compliance.Low}
		}
		r.Rules = append(r.Rules, report.ComplianceRule{Rule: rule, Counts: n})
	}
	worst := func(s compliance.Severity) int { return slices.Index(compliance.Severities(), s) }
	slices.SortFunc(r.Rules, func(x, y report.ComplianceRule) int {
		return cmp.Or(worst(x.Rule.Severity)-worst(y.Rule.Severity), cmp.Compare(x.Rule.Title, y.Rule.Title))
	})
	r.Omitted += int64(neediest(&r.Faults))
	for _, d := range r.Faults {
		slices.SortStableFunc(d.Lines, func(x, y report.ComplianceLine) int { return worst(x.Severity) - worst(y.Severity) })
	}
	return report.WriteCompliance(hc.BodyWriter(), r)
}

// neediest keeps the devices that need attention most, those first, and returns how many it left out.
func neediest(list *[]report.ComplianceDevice) int {
	need := func(d report.ComplianceDevice) int {
		sum := 0
		for _, l := range d.Lines {
			n := 100
			switch l.State {
			case compliance.Waived:
				n = 0
			case compliance.InGrace:
				n = 50
			default:
			}
			for range len(compliance.Severities()) - 1 - slices.Index(compliance.Severities(), l.Severity) {
				n *= 4
			}
			sum += n
		}
		return sum
	}
	slices.SortStableFunc(*list, func(x, y report.ComplianceDevice) int { return cmp.Or(need(y)-need(x), cmp.Compare(x.Name, y.Name)) })
	out := max(0, len(*list)-maxFaults)
	*list = (*list)[:len(*list)-out]
	return out
}

// waivers returns every waiver there was, by id.
func (e *export) waivers(ctx context.Context) (map[string]compliance.Waiver, error) {
	list, err := e.a.cfg.Compliance.Waivers(ctx, compliance.WaiverFilter{})
	out := make(map[string]compliance.Waiver, len(list))
	for _, w := range list {
		out[w.ID] = w
	}
	return out, err
}

// held lists the waivers that held at the moment, of what the caller may see.
func (e *export) held(ctx context.Context, all map[string]compliance.Waiver) ([]report.ComplianceWaiver, error) {
	out := []report.ComplianceWaiver{}
	for _, w := range all {
		if e.in.Rule != "" && w.Rule != e.in.Rule || w.CreatedAt.After(e.at) || !w.Holds(e.at) {
			continue
		}
		g, err := e.a.waiverGroup(ctx, w)
		if errors.Is(err, mdm.ErrNotFound) || err == nil && !e.caller.May(auth.ComplianceView, g) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rule, ok := e.set.Rule(w.Rule)
		if !ok {
			rule.Title = w.Rule
		}
		b := e.a.waiverBody(ctx, w)
		of := joinPath(b.GroupPath)
		if b.DeviceName != "" {
			of = b.DeviceName
		}
		out = append(out, report.ComplianceWaiver{Rule: rule.Title, Of: of, Owner: w.Owner, Reason: w.Reason, Until: w.ExpiresAt})
	}
	slices.SortFunc(out, func(x, y report.ComplianceWaiver) int {
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Of, y.Of), x.Until.Compare(y.Until))
	})
	return out, nil
}

func (e *export) line(i compliance.Interval, waivers map[string]compliance.Waiver) report.ComplianceLine {
	rule, ok := e.set.Rule(i.Rule)
	if !ok {
		rule = compliance.Rule{Title: i.Rule, Severity: compliance.Low}
	}
	l := report.ComplianceLine{Title: rule.Title, Severity: rule.Severity, State: i.State, Since: i.Since, Evidence: mdm.Clean(report.Observed(i.Evidence), 400)}
	if i.State == compliance.Failed {
		l.Evidence = i.Reason
	}
	if w, ok := waivers[i.Waiver]; ok {
		l.Until = w.ExpiresAt
	}
	return l
}
