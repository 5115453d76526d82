package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/inventory"
	"handrail/signaling"
)

// DeviceBody is an enrolled device. Text in it came from the device: show it, never run it.
type DeviceBody struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	State        string     `json:"state" enum:"online,offline,revoked"`
	GroupID      string     `json:"group_id"`
	GroupPath    []string   `json:"group_path" doc:"Names from the root down"`
	Hostname     string     `json:"hostname"`
	OS           string     `json:"os" doc:"linux, windows, darwin"`
	OSVersion    string     `json:"os_version"`
	Arch         string     `json:"arch"`
	AgentVersion string     `json:"agent_version"`
	Model        string     `json:"model"`
	Serial       string     `json:"serial"`
	SignedIn     []string   `json:"signed_in" doc:"Accounts with a session at the device"`
	EnrolledAt   time.Time  `json:"enrolled_at"`
	LastSeenAt   *time.Time `json:"last_seen_at,omitempty" doc:"Left out: never connected"`
	RevokedAt    *time.Time `json:"revoked_at,omitempty"`
	CopiedAt     *time.Time `json:"copied_at,omitempty" doc:"Last time its identity turned up on another machine"`
	Unattended   bool       `json:"unattended" doc:"Whether a policy grants sessions unasked"`
	May          []string   `json:"may" doc:"Permissions you hold on it"`
	Capabilities []string   `json:"capabilities" doc:"The most a session of yours may hold on it"`
}

func (a *API) deviceBody(c auth.Caller, d device.Device, online bool) DeviceBody {
	state := "offline"
	switch {
	case d.IsRevoked():
		state = "revoked"
	case online:
		state = "online"
	}
	users := d.SignedIn
	if users == nil {
		users = []string{}
	}
	return DeviceBody{
		ID: string(d.ID), Name: d.Name, State: state, GroupID: string(d.Group), GroupPath: c.Tree().Path(d.Group), Hostname: d.Hostname,
		OS: d.OS, OSVersion: d.OSVersion, Arch: d.Arch, AgentVersion: d.AgentVersion, Model: d.Model, Serial: d.Serial, SignedIn: users,
		EnrolledAt: d.EnrolledAt, LastSeenAt: timePtr(d.LastSeenAt), RevokedAt: timePtr(d.RevokedAt), CopiedAt: timePtr(d.CopiedAt),
		Unattended: c.Tree().Unattended(d.Group).Enabled, May: may(c, d.Group), Capabilities: capabilityNames(c.Capabilities(d.Group)),
	}
}

// DeviceChange changes a device; what is left out stays.
type DeviceChange struct {
	Name    *string `json:"name,omitempty" minLength:"1" maxLength:"128"`
	GroupID *string `json:"group_id,omitempty" maxLength:"64"`
}

// InventoryBody is what a device reports about itself. A section left out was never reported.
type InventoryBody struct {
	Sections  InventorySections    `json:"sections"`
	ChangedAt map[string]time.Time `json:"changed_at" doc:"By section: when it last changed, by the gateway's clock"`
}

// InventorySections are the sections by name.
type InventorySections inventory.Sections

type deviceQuery struct {
	Paging
	Q     string `query:"q" maxLength:"256" doc:"Words; every one must occur in name, host, system, model, serial or user"`
	Group string `query:"group" maxLength:"64" doc:"This group and those below"`
	State string `query:"state" enum:"online,offline,revoked" doc:"Left out: all that are not revoked"`
	OS    string `query:"os" maxLength:"32"`
	Sort  string `query:"sort" enum:"name,last_seen" default:"name"`
}

func (a *API) registerDevices() {
	tags := []string{"devices"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-devices", Method: http.MethodGet, Path: "/api/devices", Tags: tags, Summary: "Find devices",
	}, a.listDevices)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-device", Method: http.MethodGet, Path: "/api/devices/{id}", Tags: tags, Summary: "One device",
	}, a.getDevice)
	operation(a, auth.DeviceManage, huma.Operation{
		OperationID: "change-device", Method: http.MethodPatch, Path: "/api/devices/{id}", Tags: tags, Summary: "Rename or move a device",
	}, a.changeDevice)
	operation(a, auth.DeviceRevoke, huma.Operation{
		OperationID: "delete-device", Method: http.MethodDelete, Path: "/api/devices/{id}", Tags: tags,
		Summary: "Cut a device off and forget it", DefaultStatus: http.StatusNoContent,
	}, a.deleteDevice)
	operation(a, auth.DeviceRevoke, huma.Operation{
		OperationID: "revoke-device", Method: http.MethodPost, Path: "/api/devices/{id}/revoke", Tags: tags,
		Summary: "Cut a device off at once and for good",
	}, a.revokeDevice)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-device-inventory", Method: http.MethodGet, Path: "/api/devices/{id}/inventory", Tags: tags,
		Summary: "What the device reports about itself",
	}, a.getInventory)
}

func (a *API) listDevices(ctx context.Context, in *deviceQuery) (*body[List[DeviceBody]], error) {
	c := callerOf(ctx)
	f := device.Filter{Query: in.Q, OS: in.OS, After: in.After, Limit: in.Limit}
	f.Groups, f.AllGroups = c.Groups(auth.DeviceView)
	if in.Group != "" {
		f.Groups, f.AllGroups = nil, false
		for _, id := range c.Tree().Below(mdm.GroupID(in.Group)) {
			if c.May(auth.DeviceView, id) {
				f.Groups = append(f.Groups, id)
			}
		}
	}
	if in.Sort == "last_seen" {
		f.Order = device.ByLastSeen
	}
	if in.State == "revoked" {
		f.Standing = device.Revoked
	}
	online := a.cfg.Links.Online()
	page, err := a.devicesInState(ctx, f, in.State, online)
	if err != nil {
		return nil, err
	}
	list := List[DeviceBody]{Items: []DeviceBody{}, Next: page.Next}
	for _, d := range page.Devices {
		list.Items = append(list.Items, a.deviceBody(c, d, online[d.ID]))
	}
	return &body[List[DeviceBody]]{list}, nil
}

// devicesInState is Devices with presence, which the store does not know: a few that are
// online are asked for by id; otherwise pages are read until one is full.
func (a *API) devicesInState(ctx context.Context, f device.Filter, state string, online map[mdm.DeviceID]bool) (device.Page, error) {
	if state != "online" && state != "offline" {
		return a.cfg.Devices.Devices(ctx, f)
	}
	want := state == "online"
	if want && len(online) <= device.MaxPage {
		f.IDs = make([]mdm.DeviceID, 0, len(online))
		for id := range online {
			f.IDs = append(f.IDs, id)
		}
		return a.cfg.Devices.Devices(ctx, f)
	}
	limit := f.Limit
	f.Limit = device.MaxPage
	out := device.Page{}
	for {
		page, err := a.cfg.Devices.Devices(ctx, f)
		if err != nil {
			return page, err
		}
		for _, d := range page.Devices {
			if online[d.ID] != want {
				continue
			}
			if len(out.Devices) == limit {
				out.Next = f.CursorAfter(out.Devices[limit-1])
				return out, nil
			}
			out.Devices = append(out.Devices, d)
		}
		if page.Next == "" {
			return out, nil
		}
		f.After = page.Next
	}
}

// deviceFor returns a device if the caller holds p on its group, else says there is none.
func (a *API) deviceFor(ctx context.Context, id string, p auth.Permission) (device.Device, error) {
	d, err := a.cfg.Devices.Device(ctx, mdm.DeviceID(id))
	if errors.Is(err, mdm.ErrNotFound) || err == nil && !callerOf(ctx).May(auth.DeviceView, d.Group) {
		return device.Device{}, notFound("device")
	}
	if err == nil && !callerOf(ctx).May(p, d.Group) {
		return device.Device{}, errForbidden
	}
	return d, err
}

func (a *API) getDevice(ctx context.Context, in *IDPath) (*body[DeviceBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	return a.deviceAnswer(ctx, d), nil
}

func (a *API) deviceAnswer(ctx context.Context, d device.Device) *body[DeviceBody] {
	return &body[DeviceBody]{a.deviceBody(callerOf(ctx), d, a.cfg.Links.IsOnline(d.ID))}
}

func deviceWho(d device.Device) audit.Who {
	return audit.Who{Kind: "device", ID: string(d.ID), Name: d.Name}
}

func (a *API) changeDevice(ctx context.Context, in *idInput[DeviceChange]) (*body[DeviceBody], error) {
	before, err := a.deviceFor(ctx, in.ID, auth.DeviceManage)
	if err != nil {
		return nil, err
	}
	change := device.Change{Name: in.Body.Name}
	detail := map[string]string{}
	if in.Body.GroupID != nil && mdm.GroupID(*in.Body.GroupID) != before.Group {
		to := mdm.GroupID(*in.Body.GroupID)
		if !callerOf(ctx).May(auth.DeviceManage, to) {
			return nil, notFound("group")
		}
		change.Group = &to
		detail["from_group"], detail["to_group"] = string(before.Group), string(to)
	}
	if change.Name != nil {
		detail["from_name"], detail["to_name"] = before.Name, *change.Name
	}
	d, err := a.cfg.Devices.Update(ctx, before.ID, change)
	if err != nil {
		return nil, err
	}
	a.cfg.Changed(signaling.TopicDevices, in.ID)
	if err := a.record(ctx, "device.change", deviceWho(d), d.Group, detail); err != nil {
		return nil, err
	}
	return a.deviceAnswer(ctx, d), nil
}

func (a *API) revokeDevice(ctx context.Context, in *IDPath) (*body[DeviceBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceRevoke)
	if err != nil {
		return nil, err
	}
	if d, err = a.cfg.Devices.Revoke(ctx, d.ID, a.cfg.Now()); err != nil {
		return nil, err
	}
	if err := a.cutOff(ctx, d, "device.revoke"); err != nil {
		return nil, err
	}
	return a.deviceAnswer(ctx, d), nil
}

// cutOff closes a device's link and writes down who did it. The record is made even when
// the link could not be told: the device is refused at its next word anyway.
func (a *API) cutOff(ctx context.Context, d device.Device, action string) error {
	cut := a.cfg.Links.Cut(ctx, d.ID, signaling.CodeRevoked, "an administrator revoked this device")
	a.cfg.Changed(signaling.TopicDevices, string(d.ID))
	return errors.Join(a.record(ctx, action, deviceWho(d), d.Group, nil), cut)
}

func (a *API) deleteDevice(ctx context.Context, in *IDPath) (*empty, error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceRevoke)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Devices.Delete(ctx, d.ID); err != nil {
		return nil, err
	}
	return nil, a.cutOff(ctx, d, "device.delete")
}

func (a *API) getInventory(ctx context.Context, in *IDPath) (*body[InventoryBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	r, err := a.cfg.Inventory.Report(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	r.Software = nil // a long list of its own; see list-device-software
	return &body[InventoryBody]{InventoryBody{ChangedAt: r.ChangedAt, Sections: InventorySections(r.Sections)}}, nil
}
