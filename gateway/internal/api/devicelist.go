package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
)

// DeviceListBody is how you have the list of devices.
type DeviceListBody struct {
	Columns []string `json:"columns" maxItems:"40" doc:"What a console shows, by its own names; empty: as it comes"`
	ViewID  string   `json:"view_id" maxLength:"64" doc:"The saved search it opens with; empty: none"`
}

func (a *API) registerDeviceList() {
	tags := []string{"views"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-device-list", Method: http.MethodGet, Path: "/api/device-list", Tags: tags,
		Summary: "How you have the list of devices",
	}, a.getDeviceList)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "put-device-list", Method: http.MethodPut, Path: "/api/device-list", Tags: tags,
		Summary: "Remember how you want the list of devices",
	}, a.putDeviceList)
}

func (a *API) getDeviceList(ctx context.Context, _ *empty) (*body[DeviceListBody], error) {
	l, err := a.cfg.Fleet.DeviceList(ctx, string(callerOf(ctx).Operator.ID))
	if err != nil {
		return nil, err
	}
	return &body[DeviceListBody]{deviceListBody(l)}, nil
}

func deviceListBody(l fleet.Layout) DeviceListBody {
	out := DeviceListBody{Columns: l.Columns, ViewID: l.View}
	if out.Columns == nil {
		out.Columns = []string{}
	}
	return out
}

func (a *API) putDeviceList(ctx context.Context, in *body[DeviceListBody]) (*body[DeviceListBody], error) {
	l, err := a.cfg.Fleet.SaveDeviceList(ctx, string(callerOf(ctx).Operator.ID), fleet.Layout{Columns: in.Body.Columns, View: in.Body.ViewID})
	if err != nil {
		return nil, err
	}
	return &body[DeviceListBody]{deviceListBody(l)}, nil
}
