package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
)

// DuplicateBody is several devices that seem to be one machine.
type DuplicateBody struct {
	ID      string       `json:"id" doc:"Of these devices together"`
	Reason  string       `json:"reason" enum:"serial,mac" doc:"What they share"`
	Value   string       `json:"value"`
	Devices []DeviceBody `json:"devices" doc:"The one seen last first"`
}

type duplicateQuery struct {
	Kept bool `query:"kept" doc:"Those that somebody said are several machines, instead"`
}

func (a *API) registerDuplicates() {
	tags := []string{"devices"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-duplicates", Method: http.MethodGet, Path: "/api/devices/duplicates", Tags: tags,
		Summary: "Devices that seem to be one machine",
	}, a.listDuplicates)
	operation(a, auth.DeviceManage, huma.Operation{
		OperationID: "keep-duplicate", Method: http.MethodPut, Path: "/api/devices/duplicates/{id}/kept", Tags: tags,
		Summary: "Say that they are several machines", Description: "Until another device joins them.", DefaultStatus: http.StatusNoContent,
	}, a.keepDuplicate)
	operation(a, auth.DeviceManage, huma.Operation{
		OperationID: "suspect-duplicate", Method: http.MethodDelete, Path: "/api/devices/duplicates/{id}/kept", Tags: tags,
		Summary: "Take that back", DefaultStatus: http.StatusNoContent,
	}, a.suspectDuplicate)
}

func (a *API) listDuplicates(ctx context.Context, in *duplicateQuery) (*body[List[DuplicateBody]], error) {
	found, err := a.cfg.Fleet.Duplicates(ctx, visibleQuery(callerOf(ctx)), in.Kept)
	if err != nil {
		return nil, err
	}
	list := List[DuplicateBody]{Items: []DuplicateBody{}}
	for _, d := range found {
		devices, err := a.deviceBodies(ctx, d.Devices[:min(len(d.Devices), 50)])
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, DuplicateBody{ID: d.ID, Reason: d.Reason, Value: d.Value, Devices: devices})
	}
	return &body[List[DuplicateBody]]{list}, nil
}

func (a *API) keepDuplicate(ctx context.Context, in *IDPath) (*empty, error) {
	return a.judge(ctx, in.ID, "duplicate.keep", false, func() error {
		return a.cfg.Fleet.KeepApart(ctx, in.ID, string(callerOf(ctx).Operator.ID))
	})
}

func (a *API) suspectDuplicate(ctx context.Context, in *IDPath) (*empty, error) {
	return a.judge(ctx, in.ID, "duplicate.suspect", true, func() error { return a.cfg.Fleet.SuspectAgain(ctx, in.ID) })
}

// judge changes what is thought of devices that seem to be one machine, if the caller may
// manage each of them.
func (a *API) judge(ctx context.Context, id, action string, kept bool, do func() error) (*empty, error) {
	c := callerOf(ctx)
	found, err := a.cfg.Fleet.Duplicates(ctx, visibleQuery(c), kept)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found, func(d fleet.Duplicate) bool { return d.ID == id })
	if i < 0 {
		return nil, notFound("duplicate")
	}
	d, mine := found[i], everyDevice(c, auth.DeviceManage)
	mine.IDs = d.Devices
	if n, err := a.cfg.Fleet.Count(ctx, mine); err != nil {
		return nil, err
	} else if n != len(d.Devices) {
		return nil, errForbidden
	}
	if err := do(); err != nil {
		return nil, err
	}
	return nil, a.record(ctx, action, audit.Who{Kind: "duplicate", ID: d.ID, Name: mdm.Clean(d.Value, 128)}, "", map[string]string{"devices": count(len(d.Devices))})
}
