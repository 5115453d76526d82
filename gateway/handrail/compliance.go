package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

type complianceCmds struct {
	Status  complianceStatusCmd  `cmd:"" default:"withargs" help:"How the devices stand, in numbers (the default)."`
	Rules   complianceRulesCmd   `cmd:"" help:"Every rule with its numbers."`
	Rule    complianceRuleCmd    `cmd:"" help:"One rule, and the devices in a state under it."`
	Device  complianceDeviceCmd  `cmd:"" help:"Where one device stands, rule by rule, now or on a day."`
	Devices complianceDevicesCmd `cmd:"" help:"Devices by their worst state."`
	Fix     complianceFixCmd     `cmd:"" help:"Mend a rule on devices, where a setting or a script exists for it."`
	Waivers complianceWaiversCmd `cmd:"" help:"Waivers, newest first."`
	Waive   complianceWaiveCmd   `cmd:"" help:"Excuse a device or a group from a rule for a time."`
	Export  complianceExportCmd  `cmd:"" help:"Write the state as CSV or PDF, now or of a day."`
}

// inGroup narrows to a group.
type inGroup struct {
	Group string `short:"g" help:"Only this group and those below: name, path or id."`
}

func (i inGroup) connect(ctx context.Context, c *commands) (*client, string, error) {
	api, err := c.connect()
	if err != nil {
		return nil, "", err
	}
	group, err := (&places{api: api}).group(ctx, i.Group)
	return api, group, err
}

// moment is a time of the past: a day means its end.
type moment struct {
	AsOf string `help:"As it was on this day (2026-11-01) or at this time (2026-11-01T12:00:00Z)." placeholder:"DATE"`
}

// query is the moment as the API takes it.
func (m moment) query() (string, error) {
	if m.AsOf == "" {
		return "", nil
	}
	if day, err := time.ParseInLocation("2006-01-02", m.AsOf, time.Local); err == nil {
		end := day.AddDate(0, 0, 1).Add(-time.Second)
		if now := time.Now(); end.After(now) {
			end = now
		}
		return end.UTC().Format(time.RFC3339), nil
	}
	at, err := time.Parse(time.RFC3339, m.AsOf)
	if err != nil {
		return "", fmt.Errorf("%q is no date, as 2026-11-01 or 2026-11-01T12:00:00Z", clean(m.AsOf, 60))
	}
	return at.UTC().Format(time.RFC3339), nil
}

type complianceStatusCmd struct {
	inGroup
	moment
}

// Run shows the numbers.
func (o *complianceStatusCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, group, err := o.connect(ctx, c)
	if err != nil {
		return err
	}
	asOf, err := o.query()
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/compliance", values("group", group, "as_of", asOf))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	if err := c.showFields(s, raw, column{"Devices", "devices"}, column{"Compliant", "overall.compliant"}, column{"In grace", "overall.in_grace"},
		column{"Not compliant", "overall.non_compliant"}, column{"Unknown", "overall.unknown"}, column{"Error", "overall.error"}, column{"Checks met, percent", "score"}); err != nil {
		return err
	}
	var top struct {
		Rules []json.RawMessage `json:"top_rules"`
	}
	if err := json.Unmarshal(raw, &top); err != nil || len(top.Rules) == 0 {
		return err
	}
	fmt.Fprintln(s.out)
	return c.show(s, top.Rules, column{"RULE", "slug"}, column{"SEVERITY", "severity"}, column{"BROKEN BY", "counts.non_compliant"}, column{"IN GRACE", "counts.in_grace"}, column{"TITLE", "title"})
}

type complianceRulesCmd struct {
	inGroup
	Severity  string `help:"Only ${enum}." enum:"critical,high,medium,low," default:""`
	Framework string `help:"Only rules that are mapped to it, as iso27001."`
}

// Run lists rules.
func (o *complianceRulesCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, group, err := o.connect(ctx, c)
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/compliance/rules", values("group", group, "severity", o.Severity, "framework", o.Framework))
	if err != nil {
		return err
	}
	items, err := itemsOf(raw)
	if err != nil {
		return err
	}
	return c.show(s, items, column{"RULE", "slug"}, column{"SEVERITY", "severity"}, column{"ON", "enabled"}, column{"BROKEN", "counts.non_compliant"}, column{"GRACE", "counts.in_grace"},
		column{"WAIVED", "counts.waived"}, column{"KEPT", "counts.compliant"}, column{"TITLE", "title"})
}

var standingColumns = []column{{"DEVICE", "name"}, {"STATE", "state"}, {"SINCE", "since"}, {"GROUP", "group_path"}, {"OBSERVED", "evidence"}, {"MESSAGE", "message"}, {"ID", "device_id"}}

type complianceRuleCmd struct {
	inGroup
	Rule  string `arg:"" help:"The rule's slug, as ssh-no-root-login."`
	State string `help:"Devices that are ${enum}." enum:"non_compliant,in_grace,waived,compliant,unknown,not_applicable,error" default:"non_compliant"`
	Limit int    `help:"At most so many; 0 is all." default:"200"`
}

// Run shows a rule and its devices.
func (o *complianceRuleCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, group, err := o.connect(ctx, c)
	if err != nil {
		return err
	}
	path := "/api/compliance/rules/" + url.PathEscape(o.Rule)
	raw, err := api.get(ctx, path, values("group", group))
	if err != nil {
		return err
	}
	if c.Output == "table" {
		if err := c.showFields(s, raw, column{"Rule", "title"}, column{"Severity", "severity"}, column{"Why", "description"}, column{"To mend it", "remediation"}, column{"Must be true", "expression"}); err != nil {
			return err
		}
		fmt.Fprintln(s.out)
	}
	return c.showList(ctx, s, api, path+"/devices", values("group", group, "state", o.State), o.Limit, standingColumns...)
}

type complianceDevicesCmd struct {
	inGroup
	State string `help:"That are ${enum}." enum:"non_compliant,in_grace,compliant,unknown,error" default:"non_compliant"`
	Limit int    `help:"At most so many; 0 is all." default:"200"`
}

// Run lists devices by how they stand.
func (o *complianceDevicesCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, group, err := o.connect(ctx, c)
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, "/api/compliance/devices", values("group", group, "state", o.State), o.Limit, standingColumns[:4]...)
}

type complianceDeviceCmd struct {
	oneDevice
	moment
	Fail bool `help:"End with status 2 when the device is not compliant; for scripts."`
}

// Run shows where a device stands.
func (o *complianceDeviceCmd) Run(ctx context.Context, c *commands, s streams) error {
	asOf, err := o.query()
	if err != nil {
		return err
	}
	api, d, err := o.find(ctx, c)
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/devices/"+url.PathEscape(d.ID)+"/compliance", values("as_of", asOf))
	if err != nil {
		return err
	}
	var b struct {
		Overall string
		Items   []json.RawMessage
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return err
	}
	if c.Output == "json" {
		err = printJSON(s.out, raw)
	} else {
		fmt.Fprintf(s.out, "%s: %s\n\n", clean(d.Name, 128), clean(b.Overall, 40))
		err = c.show(s, b.Items, column{"RULE", "rule"}, column{"STATE", "state"}, column{"SEVERITY", "severity"}, column{"SINCE", "since"}, column{"OBSERVED", "observed"}, column{"TITLE", "title"})
	}
	if err == nil && o.Fail && b.Overall == "non_compliant" {
		return statusError(2)
	}
	return err
}

type complianceFixCmd struct {
	Rule   string   `arg:"" help:"The rule's slug."`
	Device []string `arg:"" help:"Ids, names, host names or serial numbers."`
	Yes    bool     `short:"y" help:"Do not ask."`
}

// Run mends a rule.
func (o *complianceFixCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	var ids []string
	for _, what := range o.Device {
		d, err := api.device(ctx, what)
		if err != nil {
			return err
		}
		ids = append(ids, d.ID)
	}
	if err := sure(s, o.Yes, fmt.Sprintf("Mend %s on %d devices?", clean(o.Rule, 64), len(ids))); err != nil {
		return err
	}
	var done struct {
		Devices  int
		BulkID   string `json:"bulk_id"`
		PolicyID string `json:"policy_id"`
	}
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/compliance/remediate", in: map[string]any{"rule": o.Rule, "devices": ids}}, &done); err != nil {
		return err
	}
	if done.BulkID != "" {
		fmt.Fprintf(s.err, "A script runs on %d devices: handrail command list --bulk %s\n", done.Devices, done.BulkID)
	}
	if done.PolicyID != "" {
		fmt.Fprintf(s.err, "%d devices get the setting by a policy: handrail policy show %s\n", done.Devices, done.PolicyID)
	}
	return nil
}

type complianceWaiversCmd struct {
	Rule string `help:"Only of this rule."`
	Past bool   `help:"Those that ended too."`
}

// Run lists waivers.
func (o *complianceWaiversCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	past := ""
	if o.Past {
		past = "true"
	}
	raw, err := api.get(ctx, "/api/compliance/waivers", values("rule", o.Rule, "past", past))
	if err != nil {
		return err
	}
	items, err := itemsOf(raw)
	if err != nil {
		return err
	}
	return c.show(s, items, column{"ID", "id"}, column{"RULE", "rule"}, column{"DEVICE", "device_name"}, column{"GROUP", "group_path"}, column{"OWNER", "owner"}, column{"UNTIL", "expires_at"}, column{"REASON", "reason"})
}

type complianceWaiveCmd struct {
	inGroup
	Rule   string        `arg:"" help:"The rule's slug."`
	Device string        `short:"d" help:"The device: id, name, host name or serial number; or give --group."`
	Owner  string        `required:"" help:"Who answers for it."`
	Reason string        `required:"" help:"Why."`
	For    time.Duration `required:"" help:"How long, as 720h; two years at most."`
}

// Run makes a waiver.
func (o *complianceWaiveCmd) Run(ctx context.Context, c *commands, s streams) error {
	if (o.Device == "") == (o.Group == "") {
		return errors.New("for whom? Give --device or --group")
	}
	api, group, err := o.connect(ctx, c)
	if err != nil {
		return err
	}
	in := map[string]any{"rule": o.Rule, "owner": o.Owner, "reason": o.Reason, "expires_at": time.Now().Add(o.For).UTC()}
	if o.Device != "" {
		d, err := api.device(ctx, o.Device)
		if err != nil {
			return err
		}
		in["device_id"] = d.ID
	} else {
		in["group_id"] = group
	}
	var raw json.RawMessage
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/compliance/waivers", in: in}, &raw); err != nil {
		return err
	}
	return c.showFields(s, raw, column{"Waiver", "id"}, column{"Until", "expires_at"})
}

type complianceExportCmd struct {
	inGroup
	moment
	Format string `short:"f" help:"As ${enum}." enum:"csv,pdf" default:"csv"`
	Rule   string `help:"Only this rule."`
	State  string `help:"Only this state, as non_compliant."`
	File   string `arg:"" optional:"" help:"Where to; without it, standard output." type:"path"`
}

// Run writes a report.
func (o *complianceExportCmd) Run(ctx context.Context, c *commands, s streams) error {
	asOf, err := o.query()
	if err != nil {
		return err
	}
	api, group, err := o.connect(ctx, c)
	if err != nil {
		return err
	}
	b, _, err := api.raw(ctx, request{method: http.MethodGet, path: "/api/compliance/export", query: values("group", group, "as_of", asOf, "format", o.Format, "rule", o.Rule, "state", o.State)})
	if err != nil {
		return err
	}
	if o.File == "" || o.File == "-" {
		_, err = s.out.Write(b)
		return err
	}
	if err := os.WriteFile(o.File, b, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Wrote %d bytes to %s.\n", len(b), o.File)
	return nil
}
