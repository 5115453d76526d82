package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/mdm/inventory"
)

type softwareQuery struct {
	ID     string `path:"id"`
	Q      string `query:"q" maxLength:"256" doc:"Part of the name, in any case"`
	Source string `query:"source" maxLength:"32" doc:"Only what this source installed, as deb or flatpak"`
}

// SoftwareBody is what is installed on a device.
type SoftwareBody struct {
	Items []inventory.Software `json:"items"`
	Total int                  `json:"total" doc:"Without q and source"`
}

func (a *API) registerSoftware() {
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-device-software", Method: http.MethodGet, Path: "/api/devices/{id}/software", Tags: []string{"devices"},
		Summary: "What is installed on a device, by name",
	}, a.listDeviceSoftware)
}

func (a *API) listDeviceSoftware(ctx context.Context, in *softwareQuery) (*body[SoftwareBody], error) {
	d, err := a.deviceFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	r, err := a.cfg.Inventory.Report(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	out := SoftwareBody{Items: []inventory.Software{}, Total: len(r.Software)}
	q := strings.ToLower(in.Q)
	for _, s := range r.Software {
		if (in.Source == "" || string(s.Source) == in.Source) && strings.Contains(strings.ToLower(s.Name), q) {
			out.Items = append(out.Items, s)
		}
	}
	return &body[SoftwareBody]{out}, nil
}
