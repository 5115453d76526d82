package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/compliance"
)

// evidenceOf is what was observed, as any JSON.
func evidenceOf(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return compliance.Evidence(raw)
}

// DeviceComplianceItem is one rule on a device.
type DeviceComplianceItem struct {
	Rule        string        `json:"rule" doc:"Its slug"`
	Title       string        `json:"title"`
	Category    string        `json:"category"`
	Severity    string        `json:"severity" enum:"critical,high,medium,low"`
	State       string        `json:"state" enum:"unknown,not_applicable,compliant,in_grace,non_compliant,waived,error"`
	Since       time.Time     `json:"since"`
	BrokenSince *time.Time    `json:"broken_since,omitempty" doc:"Since when the device breaks it, whatever the state was called"`
	GraceUntil  *time.Time    `json:"grace_until,omitempty"`
	Evidence    any           `json:"evidence,omitempty" doc:"What was observed when the state began"`
	Observed    any           `json:"observed,omitempty" doc:"What is observed now"`
	Message     string        `json:"message,omitempty" doc:"Of unknown and error: why"`
	Remediation string        `json:"remediation"`
	Fix         *FixBody      `json:"fix,omitempty"`
	Waiver      *WaiverBody   `json:"waiver,omitempty"`
	Mending     *MendingBody  `json:"mending,omitempty" doc:"How the last remedy by one click goes; left out: none was ordered, or not now"`
	Frameworks  []MappingBody `json:"frameworks"`
}

// DeviceComplianceBody is where a device stands.
type DeviceComplianceBody struct {
	DeviceID  string                 `json:"device_id"`
	Overall   string                 `json:"overall" enum:"unknown,compliant,in_grace,non_compliant,error"`
	CheckedAt *time.Time             `json:"checked_at,omitempty" doc:"Left out: never"`
	AsOf      *time.Time             `json:"as_of,omitempty"`
	Counts    StateCounts            `json:"counts" doc:"Rules by state"`
	Items     []DeviceComplianceItem `json:"items"`
}

// IntervalBody is a state that held for a time.
type IntervalBody struct {
	Rule     string     `json:"rule"`
	Title    string     `json:"title"`
	Severity string     `json:"severity"`
	State    string     `json:"state" enum:"unknown,not_applicable,compliant,in_grace,non_compliant,waived,error"`
	Since    time.Time  `json:"since"`
	Until    *time.Time `json:"until,omitempty" doc:"Left out: it still holds"`
	Evidence any        `json:"evidence,omitempty"`
	Message  string     `json:"message,omitempty"`
	WaiverID string     `json:"waiver_id,omitempty"`
}

// StandingDevice is a device in a list of those that stand so.
type StandingDevice struct {
	DeviceID   string     `json:"device_id"`
	Name       string     `json:"name"`
	GroupID    string     `json:"group_id"`
	GroupPath  []string   `json:"group_path"`
	State      string     `json:"state"`
	Since      *time.Time `json:"since,omitempty"`
	GraceUntil *time.Time `json:"grace_until,omitempty" doc:"Of in_grace under a rule: from when on it counts"`
	Evidence   any        `json:"evidence,omitempty"`
	Message    string     `json:"message,omitempty"`
}

type ruleDevicesQuery struct {
	SlugPath
	InGroup
	Paging
	State string `query:"state" enum:"unknown,not_applicable,compliant,in_grace,non_compliant,waived,error" default:"non_compliant"`
}

type standingQuery struct {
	InGroup
	Paging
	State string `query:"state" enum:"unknown,compliant,in_grace,non_compliant,error" default:"non_compliant" doc:"The worst over all rules"`
}

type historyQuery struct {
	IDPath
	Rule  string `query:"rule" maxLength:"64"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

func (a *API) registerComplianceDevices(tags []string) {
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "list-compliance-rule-devices", Method: http.MethodGet, Path: "/api/compliance/rules/{slug}/devices", Tags: tags,
		Summary: "Devices in a state under a rule",
	}, a.listRuleDevices)
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "list-compliance-devices", Method: http.MethodGet, Path: "/api/compliance/devices", Tags: tags,
		Summary: "Devices by their worst state over all rules",
	}, a.listStandingDevices)
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "get-device-compliance", Method: http.MethodGet, Path: "/api/devices/{id}/compliance", Tags: tags,
		Summary: "Where a device stands, now or at a moment in the past",
	}, a.getDeviceCompliance)
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "get-device-compliance-history", Method: http.MethodGet, Path: "/api/devices/{id}/compliance/history", Tags: tags,
		Summary: "A device's states over time, newest first",
	}, a.getDeviceHistory)
}

func (a *API) listRuleDevices(ctx context.Context, in *ruleDevicesQuery) (*body[List[StandingDevice]], error) {
	if _, err := a.cfg.Compliance.Rule(ctx, in.Slug); err != nil {
		return nil, err
	}
	return a.standing(ctx, compliance.DeviceQuery{Rule: in.Slug, State: compliance.State(in.State)}, in.Group, in.Paging)
}

func (a *API) listStandingDevices(ctx context.Context, in *standingQuery) (*body[List[StandingDevice]], error) {
	return a.standing(ctx, compliance.DeviceQuery{State: compliance.State(in.State)}, in.Group, in.Paging)
}

func (a *API) standing(ctx context.Context, q compliance.DeviceQuery, group string, p Paging) (*body[List[StandingDevice]], error) {
	c := callerOf(ctx)
	q.Scope, q.Limit = complianceScope(c, group), p.Limit
	if p.After != "" {
		keys, err := mdm.DecodeCursor(p.After, 1)
		if err != nil {
			return nil, err
		}
		q.After = mdm.DeviceID(keys[0])
	}
	page, more, err := a.cfg.Compliance.Devices(ctx, q)
	if err != nil {
		return nil, err
	}
	ids := make([]mdm.DeviceID, len(page))
	for i, d := range page {
		ids[i] = d.Device
	}
	standings := map[mdm.DeviceID]compliance.Standing{}
	if q.Rule != "" {
		if standings, err = a.cfg.Compliance.Standings(ctx, ids); err != nil {
			return nil, err
		}
	}
	list := List[StandingDevice]{Items: []StandingDevice{}}
	for _, d := range page {
		b := StandingDevice{DeviceID: string(d.Device), Name: d.Name, GroupID: string(d.Group), GroupPath: c.Tree().Path(d.Group), State: string(d.State), Since: timePtr(d.Since)}
		if e, ok := standings[d.Device].Entry(q.Rule); ok && e.State == d.State {
			b.Since, b.Evidence, b.Message, b.GraceUntil = timePtr(e.Since), evidenceOf(e.Evidence), e.Reason, timePtr(e.GraceUntil)
		}
		list.Items = append(list.Items, b)
	}
	if more {
		list.Next = mdm.EncodeCursor(string(page[len(page)-1].Device))
	}
	return &body[List[StandingDevice]]{list}, nil
}

func (a *API) getDeviceCompliance(ctx context.Context, in *struct {
	IDPath
	Moment
},
) (*body[DeviceComplianceBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.ComplianceView)
	if err != nil {
		return nil, err
	}
	set, err := a.cfg.Compliance.Rules(ctx)
	if err != nil {
		return nil, err
	}
	waivers, err := a.cfg.Compliance.Waivers(ctx, compliance.WaiverFilter{})
	if err != nil {
		return nil, err
	}
	b := DeviceComplianceBody{DeviceID: string(d.ID), Items: []DeviceComplianceItem{}}
	counts := map[compliance.State]int64{}
	add := func(e compliance.Entry, observed json.RawMessage) {
		r, ok := set.Rule(e.Rule)
		if !ok {
			r = compliance.Rule{ID: e.Rule, Title: e.Rule, Severity: compliance.Low} // it was removed since
		}
		item := DeviceComplianceItem{
			Rule: r.ID, Title: r.Title, Category: r.Category, Severity: string(r.Severity), State: string(e.State), Since: e.Since,
			BrokenSince: timePtr(e.BrokenSince), GraceUntil: timePtr(e.GraceUntil), Evidence: evidenceOf(e.Evidence), Observed: evidenceOf(observed),
			Message: e.Reason, Remediation: r.Remediation, Fix: fixBody(r.Fix), Frameworks: ruleBody(r, nil).Frameworks,
		}
		for _, w := range waivers {
			if w.ID == e.Waiver {
				wb := a.waiverBody(ctx, w)
				item.Waiver = &wb
			}
		}
		counts[e.State]++
		b.Items = append(b.Items, item)
	}
	if in.AsOf.IsZero() {
		err = a.standingNow(ctx, d.ID, &b, add)
	} else {
		err = a.standingThen(ctx, d.ID, in.AsOf, &b, add)
	}
	if err != nil {
		return nil, err
	}
	if in.AsOf.IsZero() {
		var checked time.Time
		if b.CheckedAt != nil {
			checked = *b.CheckedAt
		}
		mending, err := a.mending(ctx, d.ID, checked)
		if err != nil {
			return nil, err
		}
		for i := range b.Items {
			b.Items[i].Mending = mending[b.Items[i].Rule]
		}
	}
	b.Counts = stateCounts(counts)
	return &body[DeviceComplianceBody]{b}, nil
}

func (a *API) standingNow(ctx context.Context, id mdm.DeviceID, b *DeviceComplianceBody, add func(compliance.Entry, json.RawMessage)) error {
	s, err := a.cfg.Compliance.Standing(ctx, id)
	if err != nil {
		return err
	}
	now, err := a.cfg.Comply.Observe(ctx, id)
	if err != nil {
		return err
	}
	b.Overall, b.CheckedAt = string(s.Overall()), timePtr(s.CheckedAt)
	for _, e := range s.Entries {
		add(e, now[e.Rule].Evidence)
	}
	return nil
}

func (a *API) standingThen(ctx context.Context, id mdm.DeviceID, at time.Time, b *DeviceComplianceBody, add func(compliance.Entry, json.RawMessage)) error {
	list, err := a.cfg.Compliance.At(ctx, id, at)
	if err != nil {
		return err
	}
	b.AsOf = &at
	then := compliance.Standing{}
	for _, i := range list {
		e := compliance.Entry{Rule: i.Rule, State: i.State, Since: i.Since, Waiver: i.Waiver, Reason: i.Reason, Evidence: i.Evidence}
		then.Revision = 1
		then.Entries = append(then.Entries, e)
		add(e, nil)
	}
	b.Overall = string(then.Overall())
	return nil
}

func (a *API) getDeviceHistory(ctx context.Context, in *historyQuery) (*body[List[IntervalBody]], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.ComplianceView)
	if err != nil {
		return nil, err
	}
	set, err := a.cfg.Compliance.Rules(ctx)
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.Compliance.History(ctx, d.ID, in.Rule, in.Limit)
	if err != nil {
		return nil, err
	}
	out := List[IntervalBody]{Items: []IntervalBody{}}
	for _, i := range list {
		r, _ := set.Rule(i.Rule)
		out.Items = append(out.Items, IntervalBody{
			Rule: i.Rule, Title: r.Title, Severity: string(r.Severity), State: string(i.State), Since: i.Since, Until: timePtr(i.Until),
			Evidence: evidenceOf(i.Evidence), Message: i.Reason, WaiverID: i.Waiver,
		})
	}
	return &body[List[IntervalBody]]{out}, nil
}
