package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/label"
	"handrail/signaling"
)

// BulkDevicesInput is one change of many devices: those named, or all that a search finds.
type BulkDevicesInput struct {
	IDs     []string `json:"ids,omitempty" maxItems:"5000" doc:"These devices"`
	Filter  *string  `json:"filter,omitempty" maxLength:"1024" doc:"All devices that this search finds, as q of list-devices; empty: every one"`
	Expect  *int     `json:"expect,omitempty" doc:"How many devices you mean; another number is a conflict and changes nothing"`
	Action  string   `json:"action" enum:"move,label,unlabel"`
	GroupID string   `json:"group_id,omitempty" maxLength:"64" doc:"Of move"`
	LabelID string   `json:"label_id,omitempty" maxLength:"64" doc:"Of label and unlabel: a static label"`
}

// BulkDevicesBody is what a change of many devices came to.
type BulkDevicesBody struct {
	Matched int `json:"matched" doc:"Devices meant that you may change"`
	Changed int `json:"changed" doc:"Those that were not that way before"`
	Skipped int `json:"skipped" doc:"Devices named that are not there, revoked, or not yours to change"`
}

// FacetBody counts devices that have something in common.
type FacetBody struct {
	Value   string `json:"value" doc:"Id of a label or group, else the text"`
	Name    string `json:"name"`
	Devices int    `json:"devices"`
}

// FacetsBody counts what a search finds by what devices have in common, most first.
type FacetsBody struct {
	Total      int         `json:"total"`
	Labels     []FacetBody `json:"labels"`
	Groups     []FacetBody `json:"groups" doc:"Each without those below"`
	Systems    []FacetBody `json:"systems"`
	Models     []FacetBody `json:"models"`
	Encryption []FacetBody `json:"encryption"`
}

// ReplaceInput names the device whose place another takes.
type ReplaceInput struct {
	OldID string `json:"old_id" maxLength:"64"`
}

func (a *API) registerManyDevices() {
	tags := []string{"devices"}
	operation(a, auth.DeviceManage, huma.Operation{
		OperationID: "change-devices", Method: http.MethodPost, Path: "/api/devices/bulk", Tags: tags,
		Summary: "Move or label many devices", MaxBodyBytes: 512 << 10,
	}, a.bulkDevices)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "count-devices", Method: http.MethodGet, Path: "/api/devices/facets", Tags: tags,
		Summary: "Count what a search finds by label, group, system, model and encryption",
	}, a.facets)
	operation(a, auth.DeviceRevoke, huma.Operation{
		OperationID: "replace-device", Method: http.MethodPost, Path: "/api/devices/{id}/replace", Tags: tags,
		Summary: "Give a device the name, group, labels and asset fields of the one it replaces, and revoke that",
	}, a.replaceDevice)
}

// devicesMeant returns which devices a bulk change is about, of those the caller may change.
func (a *API) devicesMeant(ctx context.Context, in BulkDevicesInput) (ids []mdm.DeviceID, skipped int, err error) {
	if (in.Filter == nil) == (len(in.IDs) == 0) {
		return nil, 0, fmt.Errorf("name devices by ids or by a filter: %w", mdm.ErrInvalid)
	}
	var p SearchParams
	if in.Filter != nil {
		p.Q = *in.Filter
	}
	q, err := a.search(ctx, p, auth.DeviceManage)
	if err != nil {
		return nil, 0, err
	}
	q.Limit = -1
	for _, id := range in.IDs {
		q.IDs = append(q.IDs, mdm.DeviceID(id))
	}
	found, err := a.cfg.Fleet.Find(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	if in.Expect != nil && *in.Expect != len(found.IDs) {
		return nil, 0, problem(http.StatusConflict, codeConflict, fmt.Sprintf("%d devices are meant, but %d are found", *in.Expect, len(found.IDs)))
	}
	return found.IDs, max(len(in.IDs)-len(found.IDs), 0), nil
}

func (a *API) bulkDevices(ctx context.Context, in *body[BulkDevicesInput]) (*body[BulkDevicesBody], error) {
	b, c := in.Body, callerOf(ctx)
	var l label.Label
	var err error
	switch b.Action {
	case "move":
		if !c.May(auth.DeviceManage, mdm.GroupID(b.GroupID)) {
			return nil, notFound("group")
		}
	default:
		if l, err = a.cfg.Labels.Label(ctx, mdm.LabelID(b.LabelID)); err != nil {
			return nil, err
		}
	}
	ids, skipped, err := a.devicesMeant(ctx, b)
	if err != nil {
		return nil, err
	}
	var changed []mdm.DeviceID
	target := audit.Who{Kind: "label", ID: string(l.ID), Name: l.Name}
	switch b.Action {
	case "move":
		g, _ := c.Tree().Group(mdm.GroupID(b.GroupID))
		target = audit.Who{Kind: "group", ID: b.GroupID, Name: g.Name}
		changed, err = a.cfg.Devices.Move(ctx, ids, mdm.GroupID(b.GroupID))
	case "label":
		changed, err = a.cfg.Labels.Give(ctx, l.ID, ids, string(c.Operator.ID), a.cfg.Now())
	default:
		changed, err = a.cfg.Labels.Take(ctx, l.ID, ids)
	}
	if len(changed) > 0 { // also those before an error
		a.tellDevices(changed)
		if rerr := a.record(ctx, "device.bulk_"+b.Action, target, "", bulkDetail(b, changed)); rerr != nil && err == nil {
			err = rerr
		}
	}
	if err != nil {
		return nil, err
	}
	return &body[BulkDevicesBody]{BulkDevicesBody{Matched: len(ids), Changed: len(changed), Skipped: skipped}}, nil
}

// tellDevices tells consoles and rooms of changed devices, so that those are read anew and no
// others; of so many that reading all is the cheaper way, that any may have changed.
func (a *API) tellDevices(ids []mdm.DeviceID) {
	const named, most = 1000, 20_000
	a.cfg.Fleet.Wake()
	if len(ids) > most {
		a.cfg.Changed(signaling.TopicDevices)
		return
	}
	for some := range slices.Chunk(ids, named) {
		names := make([]string, len(some))
		for i, id := range some {
			names[i] = string(id)
		}
		a.cfg.Changed(signaling.TopicDevices, names...)
	}
}

// bulkDetail is what the audit log keeps of a change of many devices.
func bulkDetail(in BulkDevicesInput, changed []mdm.DeviceID) map[string]string {
	const listed = 100
	detail := map[string]string{"devices": count(len(changed))}
	if in.Filter != nil {
		detail["filter"] = mdm.Clean(*in.Filter, 500)
	}
	var ids []string
	for _, id := range changed[:min(len(changed), listed)] {
		ids = append(ids, string(id))
	}
	detail["ids"] = strings.Join(ids, " ")
	if len(changed) > listed {
		detail["ids"] += " …"
	}
	return detail
}

func (a *API) facets(ctx context.Context, in *SearchParams) (*body[FacetsBody], error) {
	q, err := a.search(ctx, *in, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	f, err := a.cfg.Fleet.Facets(ctx, q)
	if err != nil {
		return nil, err
	}
	labels, err := a.cfg.Labels.Labels(ctx)
	if err != nil {
		return nil, err
	}
	out := FacetsBody{Labels: []FacetBody{}, Groups: []FacetBody{}}
	for _, l := range labels {
		if n := f.Labels[l.ID]; n > 0 {
			out.Labels = append(out.Labels, FacetBody{string(l.ID), l.Name, n})
		}
	}
	tree := callerOf(ctx).Tree()
	for id, n := range f.Groups {
		g, _ := tree.Group(id)
		out.Groups = append(out.Groups, FacetBody{string(id), g.Name, n})
		out.Total += n
	}
	encryption := map[string]int{}
	for e, n := range f.Encrypted {
		encryption[e.String()] += n
	}
	out.Systems, out.Models, out.Encryption = facetsOf(f.Systems), facetsOf(f.Models), facetsOf(encryption)
	mostFirst(out.Labels)
	mostFirst(out.Groups)
	return &body[FacetsBody]{out}, nil
}

// facetsOf returns the most frequent values.
func facetsOf(counts map[string]int) []FacetBody {
	out := make([]FacetBody, 0, len(counts))
	for v, n := range counts {
		out = append(out, FacetBody{v, v, n})
	}
	mostFirst(out)
	return out[:min(len(out), 50)]
}

func (a *API) replaceDevice(ctx context.Context, in *idInput[ReplaceInput]) (*body[DeviceBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceRevoke)
	if err != nil {
		return nil, err
	}
	old, err := a.deviceFor(ctx, in.Body.OldID, auth.DeviceRevoke)
	if err != nil {
		return nil, err
	}
	if old.ID == d.ID {
		return nil, fmt.Errorf("a device does not replace itself: %w", mdm.ErrInvalid)
	}
	carried, err := a.cfg.Labels.Of(ctx, []mdm.DeviceID{old.ID})
	if err != nil {
		return nil, err
	}
	for _, m := range carried[old.ID] {
		if m.GivenBy == "" {
			continue // smart ones follow the inventory
		}
		if _, err := a.cfg.Labels.Give(ctx, m.Label, []mdm.DeviceID{d.ID}, string(callerOf(ctx).Operator.ID), a.cfg.Now()); err != nil {
			return nil, err
		}
	}
	if d, err = a.cfg.Devices.Update(ctx, d.ID, device.Change{Name: &old.Name, Group: &old.Group, Asset: old.Asset}); err != nil {
		return nil, err
	}
	if !old.IsRevoked() {
		if old, err = a.cfg.Devices.Revoke(ctx, old.ID, a.cfg.Now()); err != nil {
			return nil, err
		}
		if err := a.cutOff(ctx, old, "device.revoke"); err != nil {
			return nil, err
		}
	}
	a.tellDevices([]mdm.DeviceID{d.ID, old.ID})
	if err := a.record(ctx, "device.replace", deviceWho(d), d.Group, map[string]string{"old": string(old.ID)}); err != nil {
		return nil, err
	}
	return a.deviceAnswer(ctx, d)
}

// everyDevice is a search of all the caller holds a permission on.
func everyDevice(c auth.Caller, p auth.Permission) fleet.Query {
	q := fleet.Query{Limit: -1}
	q.Groups, q.AllGroups = c.Groups(p)
	return q
}
