package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/desire"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// EntryBody is a key of the catalogue with its JSON Schema.
type EntryBody struct {
	Key         string            `json:"key"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Category    string            `json:"category"`
	Platforms   []policy.Platform `json:"platforms"`
	Mechanism   string            `json:"mechanism" doc:"What it becomes on a device"`
	Merge       policy.Merge      `json:"merge" enum:"most_restrictive,priority,union,error"`
	Several     bool              `json:"several" doc:"There may be many, each with a name after a slash"`
	Instances   []string          `json:"instances,omitempty" doc:"The only names there may be"`
	Risk        policy.Risk       `json:"risk"`
	Fields      []policy.Field    `json:"fields" doc:"What the schema says, in the words and the order of a form"`
	Schema      json.RawMessage   `json:"schema" doc:"JSON Schema, draft 2020-12"`
}

// CountsBody is devices by state. A device may be in several; applied is those without any
// fault.
type CountsBody struct {
	Devices       int64 `json:"devices"`
	Applied       int64 `json:"applied"`
	Pending       int64 `json:"pending"`
	Failed        int64 `json:"failed"`
	Conflict      int64 `json:"conflict"`
	Drifted       int64 `json:"drifted"`
	NotApplicable int64 `json:"not_applicable"`
}

// PolicyStatusBody is how a policy stands.
type PolicyStatusBody struct {
	Counts   CountsBody          `json:"counts"`
	Settings []SettingStatusBody `json:"settings"`
}

// SettingStatusBody is how one setting of a policy stands.
type SettingStatusBody struct {
	ID     manifest.ID `json:"id"`
	Counts CountsBody  `json:"counts"`
}

// DeviceSettingsBody is everything about the settings of one device.
type DeviceSettingsBody struct {
	Generation         int64               `json:"generation" doc:"0: nothing was ever asked of it"`
	ReportedGeneration int64               `json:"reported_generation"`
	ReportedAt         *time.Time          `json:"reported_at,omitempty"`
	ChangedAt          *time.Time          `json:"changed_at,omitempty"`
	Current            bool                `json:"current" doc:"It reported on exactly what it must be"`
	Settings           []DeviceSettingBody `json:"settings"`
}

// DeviceSettingBody is one setting of a device: what it must be, why, and how it stands.
type DeviceSettingBody struct {
	ID         manifest.ID     `json:"id"`
	Title      string          `json:"title"`
	Value      json.RawMessage `json:"value,omitempty" doc:"Secrets are shown as markers; left out in conflict"`
	State      manifest.State  `json:"state" enum:"pending,applied,failed,conflict,not_applicable,drifted"`
	Leaving    bool            `json:"leaving,omitempty" doc:"No policy asks for it any more; the device has not said it put back what was before"`
	Message    string          `json:"message,omitempty" doc:"The device's words"`
	Observed   json.RawMessage `json:"observed,omitempty" doc:"Effective value as the device read it back"`
	Mended     int64           `json:"mended,omitempty" doc:"How often drift was mended"`
	SinceAt    *time.Time      `json:"since_at,omitempty" doc:"When the state became this one"`
	ReportedAt *time.Time      `json:"reported_at,omitempty"`
	Merge      policy.Merge    `json:"merge,omitempty"`
	Policy     *SourceBody     `json:"policy,omitempty" doc:"Whose value won; left out when several made it"`
	Conflict   string          `json:"conflict,omitempty" doc:"Why there is no value"`
	Tied       bool            `json:"tied,omitempty" doc:"Equal priority and nearness, unlike values: the lower policy id won"`
	Claims     []ClaimBody     `json:"claims" doc:"What every policy says of it, the highest rank first"`
}

// SourceBody names a version of a policy.
type SourceBody struct {
	ID      policy.ID `json:"id"`
	Name    string    `json:"name"`
	Version int64     `json:"version"`
}

// ClaimBody is what one policy says of a setting, and how it reaches the device.
type ClaimBody struct {
	Policy     SourceBody          `json:"policy"`
	Assignment policy.AssignmentID `json:"assignment"`
	Priority   int                 `json:"priority"`
	Via        ViaBody             `json:"via"`
	Value      json.RawMessage     `json:"value"`
	Won        bool                `json:"won"`
	Fields     []string            `json:"fields,omitempty" doc:"Fields it gave, in settings merged field by field"`
}

// ViaBody is the group or label by which an assignment reaches a device.
type ViaBody struct {
	Group     mdm.GroupID `json:"group,omitempty"`
	GroupPath []string    `json:"group_path,omitempty"`
	Label     mdm.LabelID `json:"label,omitempty"`
}

// PolicyFile is a policy as a file holds it: no ids, no revisions.
type PolicyFile struct {
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Assignments []AssignmentBody `json:"assignments"`
	Settings    []SettingBody    `json:"settings" doc:"In force, or the draft's when nothing is"`
}

// WhatIfInput is what a policy might become; what is left out stays. With nothing at all the
// draft is looked at.
type WhatIfInput struct {
	Settings    *[]SettingBody    `json:"settings,omitempty" maxItems:"1000"`
	Version     *int64            `json:"version,omitempty" minimum:"0" doc:"This one in force"`
	Assignments *[]AssignmentBody `json:"assignments,omitempty" maxItems:"64"`
	Delete      bool              `json:"delete,omitempty"`
	Device      string            `json:"device,omitempty" maxLength:"64" doc:"Only this one"`
}

// EffectBody is what a change would do to the devices you may see.
type EffectBody struct {
	Devices   int                    `json:"devices" doc:"Looked at"`
	Changed   int                    `json:"changed" doc:"Whose settings would change"`
	Conflicts int                    `json:"conflicts" doc:"With a setting that would newly be in conflict"`
	Settings  []policy.SettingEffect `json:"settings"`
	Cut       bool                   `json:"cut,omitempty" doc:"There are more kinds of changes than are told"`
	Sample    []NamedDevice          `json:"sample" doc:"Some of the devices that would change"`
	Changes   []policy.Change        `json:"changes,omitempty" doc:"Of given settings: how they differ from the newest version"`
}

// NamedDevice is a device by id and name.
type NamedDevice struct {
	ID   mdm.DeviceID `json:"id"`
	Name string       `json:"name"`
}

// DiffBody is how two states of a policy differ.
type DiffBody struct {
	From    string          `json:"from"`
	To      string          `json:"to"`
	Changes []policy.Change `json:"changes"`
}

func (a *API) viewer(ctx context.Context) desire.Viewer {
	var v desire.Viewer
	v.Groups, v.All = callerOf(ctx).Groups(auth.PolicyView)
	return v
}

func countsBody(c desire.Counts) CountsBody { return CountsBody(c) }

func (a *API) getCatalogue(context.Context, *empty) (*body[List[EntryBody]], error) {
	c := a.cfg.Policies.Catalogue()
	out := List[EntryBody]{Items: []EntryBody{}}
	for _, e := range c.Entries() {
		out.Items = append(out.Items, EntryBody{
			Key: e.Key, Title: e.Title, Description: e.Description, Category: e.Category, Platforms: e.Platforms, Mechanism: e.Mechanism,
			Merge: e.Merge, Several: e.Several, Instances: e.Instances, Risk: e.Risk, Fields: e.Fields, Schema: c.Schema(e.Key),
		})
	}
	return &body[List[EntryBody]]{out}, nil
}

type policyQuery struct {
	Paging
	Q     string `query:"q" maxLength:"80" doc:"Part of the name"`
	Group string `query:"group" maxLength:"64" doc:"Only those that are assigned to this very group, not to one above or below it"`
}

func (a *API) listPolicies(ctx context.Context, in *policyQuery) (*body[List[PolicyBody]], error) {
	list, next, err := a.cfg.Policies.Policies(ctx, policy.Filter{
		Query: in.Q, Group: mdm.GroupID(in.Group), Cursor: in.After, Limit: in.Limit,
		Seen: func(p policy.Policy) bool { return maySee(callerOf(ctx), p) },
	})
	if err != nil {
		return nil, err
	}
	counts, err := a.cfg.Desire.PolicyCounts(ctx, a.viewer(ctx))
	if err != nil {
		return nil, err
	}
	under, err := a.rolloutsUnderWay(ctx, "")
	if err != nil {
		return nil, err
	}
	out, names := List[PolicyBody]{Items: []PolicyBody{}, Next: next}, a.names()
	for _, p := range list {
		b := a.policyBody(ctx, p, names)
		c := countsBody(counts[p.ID])
		b.Counts = &c
		for _, r := range under {
			if r.Policy == p.ID {
				one := a.rolloutBody(ctx, r, p.Name, names)
				b.Rollout = &one
			}
		}
		out.Items = append(out.Items, b)
	}
	return &body[List[PolicyBody]]{out}, nil
}

func (a *API) getPolicy(ctx context.Context, in *IDPath) (*policyAnswer, error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	b := a.policyBody(ctx, p, a.names())
	counts, err := a.cfg.Desire.PolicyCounts(ctx, a.viewer(ctx))
	if err != nil {
		return nil, err
	}
	c := countsBody(counts[p.ID])
	b.Counts = &c
	under, err := a.rolloutsUnderWay(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range under {
		one := a.rolloutBody(ctx, r, p.Name, a.names())
		one.MayManage, b.Rollout = b.MayManage, &one
	}
	return &policyAnswer{ETag: etag(p.Revision), Body: b}, nil
}

type versionsQuery struct {
	IDPath
	Before int64 `query:"before" minimum:"0" doc:"Only versions below"`
	Limit  int   `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (a *API) listVersions(ctx context.Context, in *versionsQuery) (*body[List[VersionBody]], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.Policies.Versions(ctx, p.ID, in.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	out, names := List[VersionBody]{Items: []VersionBody{}}, a.names()
	for _, v := range list {
		out.Items = append(out.Items, VersionBody{Number: v.Number, Author: names.of(ctx, v.Author), Note: v.Note, At: v.At, Live: v.Number == p.Live})
	}
	if n := len(list); n == in.Limit && list[n-1].Number > 1 {
		out.Next = fmt.Sprint(list[n-1].Number)
	}
	return &body[List[VersionBody]]{out}, nil
}

type versionPath struct {
	IDPath
	Number int64 `path:"number" minimum:"1"`
}

func (a *API) getVersion(ctx context.Context, in *versionPath) (*body[VersionBody], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	v, err := a.cfg.Policies.Version(ctx, p.ID, in.Number)
	if err != nil {
		return nil, err
	}
	return &body[VersionBody]{VersionBody{
		Number: v.Number, Author: a.names().of(ctx, v.Author), Note: v.Note, At: v.At, Live: v.Number == p.Live, Settings: a.settingBodies(v.Settings),
	}}, nil
}

type diffQuery struct {
	IDPath
	From string `query:"from" maxLength:"20" doc:"A version's number, or draft; left out: the live one"`
	To   string `query:"to" maxLength:"20" doc:"A version's number, or draft; left out: the draft, or the newest version"`
}

func (a *API) diffPolicy(ctx context.Context, in *diffQuery) (*body[DiffBody], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	if in.From == "" {
		in.From = fmt.Sprint(p.Live)
	}
	if in.To == "" {
		if in.To = fmt.Sprint(p.Newest); p.Draft != nil {
			in.To = "draft"
		}
	}
	before, err := a.stateOf(ctx, p, in.From)
	if err != nil {
		return nil, err
	}
	after, err := a.stateOf(ctx, p, in.To)
	if err != nil {
		return nil, err
	}
	changes := a.cfg.Policies.Catalogue().DiffSettings(before, after)
	if changes == nil {
		changes = []policy.Change{}
	}
	return &body[DiffBody]{DiffBody{From: in.From, To: in.To, Changes: changes}}, nil
}

// stateOf returns the settings of a version, of the draft, or of version 0, which has none.
func (a *API) stateOf(ctx context.Context, p policy.Policy, which string) ([]policy.Setting, error) {
	if which == "draft" {
		if p.Draft == nil {
			return nil, notFound("draft")
		}
		return p.Draft.Settings, nil
	}
	var n int64
	if _, err := fmt.Sscan(which, &n); err != nil || n < 0 {
		return nil, fmt.Errorf("%q is no version: %w", mdm.Clean(which, 20), mdm.ErrInvalid)
	}
	if n == 0 {
		return nil, nil
	}
	v, err := a.cfg.Policies.Version(ctx, p.ID, n)
	return v.Settings, err
}

func (a *API) exportPolicy(ctx context.Context, in *IDPath) (*body[PolicyFile], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	which := fmt.Sprint(p.Live)
	if p.Live == 0 && p.Draft != nil {
		which = "draft"
	}
	settings, err := a.stateOf(ctx, p, which)
	if err != nil {
		return nil, err
	}
	f := PolicyFile{Name: p.Name, Description: p.Description, Assignments: assignmentBodies(p.Assignments), Settings: a.settingBodies(settings)}
	for i := range f.Assignments {
		f.Assignments[i].ID = ""
	}
	return &body[PolicyFile]{f}, nil
}

type whatIfQuery struct {
	IDPath
	Body WhatIfInput
}

func (a *API) whatIf(ctx context.Context, in *whatIfQuery) (*body[EffectBody], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	if w := in.Body; w.Settings == nil && w.Version == nil && w.Assignments == nil && !w.Delete && p.Draft != nil {
		return a.effect(ctx, desire.Proposal{Policy: p.ID, Settings: p.Draft.Settings}, in.Body)
	}
	return a.effect(ctx, desire.Proposal{Policy: p.ID}, in.Body)
}

func (a *API) whatIfNew(ctx context.Context, in *body[WhatIfInput]) (*body[EffectBody], error) {
	return a.effect(ctx, desire.Proposal{}, in.Body)
}

func (a *API) effect(ctx context.Context, p desire.Proposal, in WhatIfInput) (*body[EffectBody], error) {
	c := callerOf(ctx)
	p.Version, p.Delete = in.Version, in.Delete
	var changes []policy.Change
	if in.Settings != nil {
		stored, err := a.cfg.Policies.Preview(ctx, p.Policy, settingsOf(*in.Settings))
		if err != nil {
			return nil, err
		}
		if p.Settings = stored; stored == nil {
			p.Settings = []policy.Setting{}
		}
		if changes, err = a.newestDiff(ctx, p.Policy, stored); err != nil {
			return nil, err
		}
	}
	if in.Assignments != nil {
		list := assignmentsOf(*in.Assignments)
		if err := checkTargets(c, list); err != nil {
			return nil, err
		}
		p.Assignments = &list
	}
	var only []mdm.DeviceID
	if in.Device != "" {
		d, err := a.deviceFor(ctx, in.Device, auth.PolicyView)
		if err != nil {
			return nil, err
		}
		only = append(only, d.ID)
	}
	e, err := a.cfg.Desire.WhatIf(ctx, p, a.viewer(ctx), only...)
	if errors.Is(err, mdm.ErrNotFound) {
		return nil, fmt.Errorf("there is no such version: %w", mdm.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	out := EffectBody{Devices: e.Devices, Changed: e.Changed, Conflicts: e.Conflicts, Settings: e.Settings, Cut: e.Cut, Sample: []NamedDevice{}, Changes: changes}
	if out.Settings == nil {
		out.Settings = []policy.SettingEffect{}
	}
	for _, id := range e.Sample {
		if d, err := a.cfg.Devices.Device(ctx, id); err == nil {
			out.Sample = append(out.Sample, NamedDevice{ID: id, Name: d.Name})
		}
	}
	return &body[EffectBody]{out}, nil
}

// newestDiff is how settings differ from those of a policy's newest version.
func (a *API) newestDiff(ctx context.Context, id policy.ID, stored []policy.Setting) ([]policy.Change, error) {
	var before []policy.Setting
	if id != "" {
		p, err := a.cfg.Policies.Policy(ctx, id)
		if err != nil {
			return nil, err
		}
		if before, err = a.stateOf(ctx, p, fmt.Sprint(p.Newest)); err != nil {
			return nil, err
		}
	}
	return a.cfg.Policies.Catalogue().DiffSettings(before, stored), nil
}

func (a *API) policyStatus(ctx context.Context, in *IDPath) (*body[PolicyStatusBody], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	all, settings, err := a.cfg.Desire.PolicyStatus(ctx, p.ID, a.viewer(ctx))
	if err != nil {
		return nil, err
	}
	out := PolicyStatusBody{Counts: countsBody(all), Settings: []SettingStatusBody{}}
	for _, id := range slices.Sorted(maps.Keys(settings)) {
		out.Settings = append(out.Settings, SettingStatusBody{ID: id, Counts: countsBody(*settings[id])})
	}
	return &body[PolicyStatusBody]{out}, nil
}

type policyDevicesQuery struct {
	IDPath
	Paging
	Setting string `query:"setting" maxLength:"129" doc:"Only by this setting"`
	State   string `query:"state" enum:"applied,pending,failed,conflict,drifted,not_applicable" doc:"Left out: all devices the policy is for"`
}

func (a *API) policyDevices(ctx context.Context, in *policyDevicesQuery) (*body[List[DeviceBody]], error) {
	p, err := a.policyFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	ids, err := a.cfg.Desire.DevicesOf(ctx, p.ID, manifest.ID(in.Setting), manifest.State(in.State), a.viewer(ctx), mdm.DeviceID(in.After), in.Limit)
	if err != nil {
		return nil, err
	}
	out := List[DeviceBody]{Items: []DeviceBody{}}
	if len(ids) == 0 {
		return &body[List[DeviceBody]]{out}, nil
	}
	f := device.Filter{IDs: ids, Limit: len(ids)}
	f.Groups, f.AllGroups = callerOf(ctx).Groups(auth.DeviceView)
	page, err := a.cfg.Devices.Devices(ctx, f)
	if err != nil {
		return nil, err
	}
	online := a.cfg.Links.Online()
	for _, d := range page.Devices {
		out.Items = append(out.Items, a.deviceBody(callerOf(ctx), d, online[d.ID]))
	}
	if len(ids) == in.Limit {
		out.Next = string(ids[len(ids)-1])
	}
	return &body[List[DeviceBody]]{out}, nil
}

func (a *API) deviceSettings(ctx context.Context, in *IDPath) (*body[DeviceSettingsBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	v, err := a.cfg.Desire.Device(ctx, d.ID)
	if errors.Is(err, mdm.ErrNotFound) { // revoked: nothing is asked of it
		return &body[DeviceSettingsBody]{DeviceSettingsBody{Settings: []DeviceSettingBody{}}}, nil
	}
	if err != nil {
		return nil, err
	}
	out := DeviceSettingsBody{
		Generation: v.Standing.Generation, ReportedGeneration: v.Standing.ReportedGeneration, ReportedAt: timePtr(v.Standing.ReportedAt),
		ChangedAt: timePtr(v.Standing.ChangedAt), Current: v.Reported, Settings: []DeviceSettingBody{},
	}
	names := map[string]string{}
	for _, s := range v.Settings {
		out.Settings = append(out.Settings, a.deviceSetting(ctx, s, names))
	}
	return &body[DeviceSettingsBody]{out}, nil
}

func (a *API) source(ctx context.Context, id string, version int64, names map[string]string) SourceBody {
	name, ok := names[id]
	if !ok {
		if p, err := a.cfg.Policies.Policy(ctx, policy.ID(id)); err == nil {
			name = p.Name
		}
		names[id] = name
	}
	return SourceBody{ID: policy.ID(id), Name: name, Version: version}
}

func (a *API) deviceSetting(ctx context.Context, s desire.SettingView, names map[string]string) DeviceSettingBody {
	c := a.cfg.Policies.Catalogue()
	b := DeviceSettingBody{
		ID: s.ID, State: s.State, Leaving: s.Leaving, Merge: s.Merge, Conflict: s.Conflict, Tied: s.Tied,
		Value: c.Mask(s.ID, s.Value), Claims: []ClaimBody{},
	}
	if e, ok := c.Entry(s.ID.Key()); ok {
		b.Title = e.Title
	}
	if s.Source.Policy != "" {
		src := a.source(ctx, s.Source.Policy, s.Source.Version, names)
		b.Policy = &src
	}
	if k := s.Kept; k != nil {
		since, received := time.UnixMicro(k.SinceUS).UTC(), time.UnixMicro(k.ReceivedUS).UTC()
		b.Message, b.Mended, b.SinceAt, b.ReportedAt = k.Message, k.Mended, &since, &received
		if json.Valid(k.Observed) {
			b.Observed = k.Observed
		}
	}
	for _, one := range s.Claims {
		via := ViaBody{Group: one.Via.Group, Label: one.Via.Label}
		if via.Group != "" {
			via.GroupPath = callerOf(ctx).Tree().Path(via.Group)
		}
		b.Claims = append(b.Claims, ClaimBody{
			Policy: a.source(ctx, string(one.Policy), one.Version, names), Assignment: one.Assignment, Priority: one.Priority, Via: via,
			Value: c.Mask(s.ID, one.Value), Won: one.Won, Fields: one.Fields,
		})
	}
	return b
}
