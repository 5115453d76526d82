package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/device"
)

const searchHelp = `q is a search of words; every one must hold. A plain word must occur in the name, host, system, model, serial number,
user, processor, network address or asset fields. field:value compares a field; <, <=, >, >= and = compare numbers, sizes, dates, ages and
versions; a minus in front turns a term round; quotes keep spaces together. Anything else that is compared is a package:

    latitude ann    label:"Front desk"  -group:Sales    openssl < 3.0.15    software:firefox* -software:snapd
    memory<16GB  disk>=500GB  8 GB      encrypted:no  no encryption         state:online  seen>30d  enrolled<2026-01-01
    serial:5CG  model:"ThinkPad X1"  os:linux  version:"debian 12"  user:ann  mac:aa:bb  updates>0  security_updates>0  is:copied
    asset.cost_center:4711              policy:pol_…/failed  setting:ssh.server/drifted  rule:ssh-no-root-login/non_compliant

The parameters beside q say the same one by one. total counts all that match.`

// SearchParams select devices. All that are given must hold.
type SearchParams struct {
	Q               string   `query:"q" maxLength:"1024" doc:"A search; see the description"`
	Group           string   `query:"group" maxLength:"64" doc:"This group and those below"`
	State           string   `query:"state" enum:"online,offline,revoked" doc:"Left out: all that are not revoked"`
	OS              string   `query:"os" maxLength:"32"`
	Label           []string `query:"label" maxItems:"16" doc:"Id or name; every one must be carried"`
	Software        string   `query:"software" maxLength:"128" doc:"A package; * stands for anything"`
	SoftwareVersion string   `query:"software_version" maxLength:"64" doc:"Of that package: as <3.0.15, >=2 or 3.0.14"`
	SoftwareID      string   `query:"software_id" maxLength:"64" doc:"As list-software gives it; with /id of get-software's version, only that"`
	Encrypted       string   `query:"encrypted" enum:"unknown,no,partly,yes"`
	MemoryMin       string   `query:"memory_min" maxLength:"16" doc:"As 8GB"`
	MemoryMax       string   `query:"memory_max" maxLength:"16"`
	Model           string   `query:"model" maxLength:"128" doc:"Part of it"`
	Serial          string   `query:"serial" maxLength:"128" doc:"Part of it"`
	Policy          string   `query:"policy" maxLength:"64" doc:"Id of a policy the device has settings of"`
	PolicyState     string   `query:"policy_state" maxLength:"32" doc:"Of a setting of that policy"`
	Setting         string   `query:"setting" maxLength:"128"`
	SettingState    string   `query:"setting_state" maxLength:"32"`
	Rule            string   `query:"rule" maxLength:"64" doc:"Slug of a compliance rule"`
	RuleState       string   `query:"rule_state" maxLength:"32"`
	Compliance      string   `query:"compliance" maxLength:"32" doc:"As a whole: compliant, non_compliant, in_grace or unknown"`
}

type deviceQuery struct {
	Paging
	SearchParams
	Sort string `query:"sort" enum:"name,last_seen" default:"name"`
}

// terms is the search as terms.
func (p SearchParams) terms() ([]device.Term, error) {
	out, err := device.ParseQuery(p.Q)
	if err != nil {
		return nil, err
	}
	add := func(field, value string) {
		if value != "" {
			out = append(out, device.Term{Field: field, Op: device.Is, Value: value})
		}
	}
	lower := strings.ToLower
	add("state", p.State)
	add("encrypted", p.Encrypted)
	add("model", lower(p.Model))
	add("serial", lower(p.Serial))
	add("compliance", p.Compliance)
	add("software_id", p.SoftwareID)
	if p.OS != "" {
		out = append(out, device.Term{Field: "os", Op: device.Equal, Value: lower(p.OS)})
	}
	for _, l := range p.Label {
		add("label", l)
	}
	for field, v := range map[string][2]string{"policy": {p.Policy, p.PolicyState}, "setting": {p.Setting, p.SettingState}, "rule": {p.Rule, p.RuleState}} {
		if v[0] != "" && v[1] != "" {
			v[0] += "/" + v[1]
		}
		add(field, v[0])
	}
	for _, m := range []struct {
		op    device.Op
		value string
	}{{device.AtLeast, p.MemoryMin}, {device.AtMost, p.MemoryMax}} {
		if m.value == "" {
			continue
		}
		if _, err := device.ParseSize(m.value); err != nil {
			return nil, err
		}
		out = append(out, device.Term{Field: "memory", Op: m.op, Value: m.value})
	}
	if p.Software != "" {
		t := device.Term{Field: "software", Op: device.Is, Name: p.Software, Value: strings.TrimSpace(p.SoftwareVersion)}
		for _, op := range []device.Op{device.AtMost, device.AtLeast, device.Less, device.More, device.Equal} {
			if rest, ok := strings.CutPrefix(t.Value, string(op)); ok {
				t.Op, t.Value = op, strings.TrimSpace(rest)
				break
			}
		}
		out = append(out, t)
	} else if p.SoftwareVersion != "" {
		return nil, fmt.Errorf("software_version needs software: %w", mdm.ErrInvalid)
	}
	return out, nil
}

// search is the parameters as a search of what the caller holds a permission on.
func (a *API) search(ctx context.Context, p SearchParams, permission auth.Permission) (fleet.Query, error) {
	c := callerOf(ctx)
	terms, err := p.terms()
	if err != nil {
		return fleet.Query{}, err
	}
	q := fleet.Query{Terms: terms}
	q.Groups, q.AllGroups = c.Groups(permission)
	if p.Group != "" {
		q.Groups, q.AllGroups = nil, false
		for _, id := range c.Tree().Below(mdm.GroupID(p.Group)) {
			if c.May(permission, id) {
				q.Groups = append(q.Groups, id)
			}
		}
	}
	return q, nil
}

func (a *API) listDevices(ctx context.Context, in *deviceQuery) (*body[List[DeviceBody]], error) {
	q, err := a.search(ctx, in.SearchParams, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	q.After, q.Limit = in.After, in.Limit
	if in.Sort == "last_seen" {
		q.Order = device.ByLastSeen
	}
	found, err := a.cfg.Fleet.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	list := List[DeviceBody]{Items: []DeviceBody{}, Next: found.Next, Total: &found.Total}
	list.Items, err = a.deviceBodies(ctx, found.IDs)
	if err != nil {
		return nil, err
	}
	return &body[List[DeviceBody]]{list}, nil
}

// deviceBodies returns devices in the order of their ids; those that are gone are left out.
func (a *API) deviceBodies(ctx context.Context, ids []mdm.DeviceID) ([]DeviceBody, error) {
	out := []DeviceBody{}
	if len(ids) == 0 {
		return out, nil
	}
	page, err := a.cfg.Devices.Devices(ctx, device.Filter{AllGroups: true, IDs: ids, Standing: device.Any, Limit: device.MaxPage})
	if err != nil {
		return nil, err
	}
	labels, err := a.labelsOf(ctx, ids, false)
	if err != nil {
		return nil, err
	}
	standings, err := a.cfg.Fleet.Standings(ctx, ids)
	if err != nil {
		return nil, err
	}
	by := make(map[mdm.DeviceID]device.Device, len(ids))
	for _, d := range page.Devices {
		by[d.ID] = d
	}
	c, online := callerOf(ctx), a.cfg.Links.Online()
	for _, id := range ids {
		// The record may have moved out of sight since the search.
		if d, ok := by[id]; ok && c.May(auth.DeviceView, d.Group) {
			b := a.deviceBody(c, d, online[id])
			b.Labels = append(b.Labels, labels[id]...)
			if err := a.stands(ctx, &b, d.Group, standings[id]); err != nil {
				return nil, err
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// stands says how a device of a list stands, as far as the caller may know.
func (a *API) stands(ctx context.Context, b *DeviceBody, in mdm.GroupID, s fleet.Standing) error {
	c := callerOf(ctx)
	if c.May(auth.ComplianceView, in) {
		b.Compliance = cmp.Or(s.Compliance, string(compliance.Unknown))
	}
	if !c.May(auth.PolicyView, in) {
		return nil
	}
	has, err := a.cfg.Desire.HasSettings(ctx, s.Outcome)
	b.Settings = string(s.Settings)
	if !has {
		b.Settings = "none"
	}
	return err
}

func count(n int) string { return strconv.Itoa(n) }

// mostFirst orders counts by how many, then by name.
func mostFirst(list []FacetBody) {
	slices.SortFunc(list, func(a, b FacetBody) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), cmp.Compare(a.Name, b.Name))
	})
}
