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
	ReturnedAt   *time.Time `json:"returned_at,omitempty" doc:"Last time the same hardware enrolled anew, as after an installation"`

	CPU             string            `json:"cpu"`
	MemoryBytes     int64             `json:"memory_bytes" doc:"0: unknown"`
	DiskBytes       int64             `json:"disk_bytes" doc:"Of fixed disks, in all; 0: unknown"`
	Encrypted       string            `json:"encrypted" enum:"unknown,no,partly,yes"`
	Updates         *int64            `json:"updates,omitempty" doc:"Pending; left out: unknown"`
	SecurityUpdates *int64            `json:"security_updates,omitempty" doc:"Those of them that close a hole; left out: unknown"`
	Labels          []DeviceLabelBody `json:"labels"`
	Assets          map[string]string `json:"assets" doc:"The organisation's own fields, by key"`

	Compliance string `json:"compliance,omitempty" enum:"compliant,in_grace,non_compliant,waived,not_applicable,error,unknown" doc:"As a whole; only in lists, for those with compliance.view"`
	Settings   string `json:"settings,omitempty" enum:"applied,pending,drifted,conflict,failed,none" doc:"The worst of its settings; none: no policy is for it. Only in lists, for those with policy.view"`
}

func known64(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// deviceBody is a device without its labels; see deviceBodies.
func (a *API) deviceBody(c auth.Caller, d device.Device, online bool) DeviceBody {
	state := "offline"
	switch {
	case d.IsRevoked():
		state = "revoked"
	case online:
		state = "online"
	}
	users, assets := d.SignedIn, d.Asset
	if users == nil {
		users = []string{}
	}
	if assets == nil {
		assets = map[string]string{}
	}
	return DeviceBody{
		ID: string(d.ID), Name: d.Name, State: state, GroupID: string(d.Group), GroupPath: c.Tree().Path(d.Group), Hostname: d.Hostname,
		OS: d.OS, OSVersion: d.OSVersion, Arch: d.Arch, AgentVersion: d.AgentVersion, Model: d.Model, Serial: d.Serial, SignedIn: users,
		EnrolledAt: d.EnrolledAt, LastSeenAt: timePtr(d.LastSeenAt), RevokedAt: timePtr(d.RevokedAt), CopiedAt: timePtr(d.CopiedAt),
		Unattended: c.Tree().Unattended(d.Group).Enabled, May: may(c, d.Group), Capabilities: capabilityNames(c.Capabilities(d.Group)),
		ReturnedAt: timePtr(d.ReturnedAt), CPU: d.Hardware.CPU, MemoryBytes: d.Hardware.MemoryBytes, DiskBytes: d.Hardware.DiskBytes,
		Encrypted: d.Hardware.Encrypted.String(), Updates: known64(d.Hardware.Updates), SecurityUpdates: known64(d.Hardware.UpdatesSecurity),
		Labels: []DeviceLabelBody{}, Assets: assets,
	}
}

// DeviceChange changes a device; what is left out stays.
type DeviceChange struct {
	Name    *string `json:"name,omitempty" minLength:"1" maxLength:"128"`
	GroupID *string `json:"group_id,omitempty" maxLength:"64"`

	Assets map[string]string `json:"assets,omitempty" doc:"Values of asset fields by key; an empty one forgets it, what is not named stays"`
}

// InventoryBody is what a device reports about itself. A section left out was never reported.
type InventoryBody struct {
	Sections  InventorySections    `json:"sections"`
	ChangedAt map[string]time.Time `json:"changed_at" doc:"By section: when it last changed, by the gateway's clock"`
}

// InventorySections are the sections by name.
type InventorySections inventory.Sections

func (a *API) registerDevices() {
	tags := []string{"devices"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-devices", Method: http.MethodGet, Path: "/api/devices", Tags: tags, Summary: "Find devices", Description: searchHelp,
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
	return a.deviceAnswer(ctx, d)
}

func (a *API) deviceAnswer(ctx context.Context, d device.Device) (*body[DeviceBody], error) {
	labels, err := a.labelsOf(ctx, []mdm.DeviceID{d.ID}, true)
	if err != nil {
		return nil, err
	}
	b := a.deviceBody(callerOf(ctx), d, a.cfg.Links.IsOnline(d.ID))
	b.Labels = append(b.Labels, labels[d.ID]...)
	return &body[DeviceBody]{b}, nil
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
	if change.Asset, err = a.checkedAsset(ctx, in.Body.Assets); err != nil {
		return nil, err
	}
	for key, v := range change.Asset {
		detail["asset_"+key] = v
	}
	d, err := a.cfg.Devices.Update(ctx, before.ID, change)
	if err != nil {
		return nil, err
	}
	a.cfg.Changed(signaling.TopicDevices, in.ID)
	if err := a.record(ctx, "device.change", deviceWho(d), d.Group, detail); err != nil {
		return nil, err
	}
	return a.deviceAnswer(ctx, d)
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
	return a.deviceAnswer(ctx, d)
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
