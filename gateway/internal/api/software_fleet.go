package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
)

// SoftwareNameBody is software that devices have, in whatever version.
type SoftwareNameBody struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Source  string `json:"source" doc:"deb, rpm, flatpak, snap, …"`
	Devices int64  `json:"devices" doc:"That have any version, of those you may see; GET /api/devices?software_id=id lists them"`

	Versions *int64 `json:"versions,omitempty" doc:"Only for those who see all devices"`
}

// SoftwareVersionsBody is one software with its versions.
type SoftwareVersionsBody struct {
	ID       string                `json:"id"`
	Name     string                `json:"name"`
	Source   string                `json:"source"`
	Devices  int64                 `json:"devices"`
	Versions []SoftwareVersionBody `json:"versions" doc:"The newest first"`
}

// SoftwareVersionBody is one version that devices have.
type SoftwareVersionBody struct {
	ID        string `json:"id" doc:"GET /api/devices?software_id=software/version lists the devices"`
	Version   string `json:"version"`
	Arch      string `json:"arch,omitempty"`
	Publisher string `json:"publisher,omitempty"`
	Scope     string `json:"scope,omitempty" doc:"Account it is installed for; left out: everybody"`
	Devices   int64  `json:"devices"`
}

type fleetSoftwareQuery struct {
	Paging
	Q      string `query:"q" maxLength:"256" doc:"Words; every one must occur in the name"`
	Source string `query:"source" maxLength:"32" doc:"Only what this source installed, as deb or flatpak"`
	Sort   string `query:"sort" enum:"name,devices" default:"name" doc:"devices: what most have first"`
}

func (a *API) registerFleetSoftware() {
	tags := []string{"software"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-software", Method: http.MethodGet, Path: "/api/software", Tags: tags,
		Summary: "Software on the devices, with how many have it",
	}, a.listSoftware)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-software", Method: http.MethodGet, Path: "/api/software/{id}", Tags: tags,
		Summary: "One software and its versions",
	}, a.getSoftware)
}

// visible returns the devices the caller may see, as the software index numbers them.
func (a *API) visible(ctx context.Context) (set fleet.Set, all bool, err error) {
	groups, all := callerOf(ctx).Groups(auth.DeviceView)
	set, err = a.cfg.Fleet.Visible(ctx, groups, all)
	return set, all, err
}

func softwareName(n fleet.SoftwareName, all bool) SoftwareNameBody {
	b := SoftwareNameBody{ID: strconv.FormatInt(n.ID, 10), Name: n.Name, Source: n.Source, Devices: n.Devices}
	if all {
		b.Versions = &n.Versions
	}
	return b
}

func (a *API) listSoftware(ctx context.Context, in *fleetSoftwareQuery) (*body[List[SoftwareNameBody]], error) {
	set, all, err := a.visible(ctx)
	if err != nil {
		return nil, err
	}
	names, next, err := a.cfg.Fleet.Software(ctx, fleet.SoftwareFilter{
		Query: in.Q, Source: in.Source, ByUse: in.Sort == "devices", Limit: in.Limit,
	}, in.After, set, all)
	if err != nil {
		return nil, err
	}
	list := List[SoftwareNameBody]{Items: []SoftwareNameBody{}, Next: next}
	for _, n := range names {
		list.Items = append(list.Items, softwareName(n, all))
	}
	return &body[List[SoftwareNameBody]]{list}, nil
}

func (a *API) getSoftware(ctx context.Context, in *IDPath) (*body[SoftwareVersionsBody], error) {
	id, err := strconv.ParseInt(in.ID, 10, 64)
	if err != nil || id <= 0 {
		return nil, notFound("software")
	}
	set, all, err := a.visible(ctx)
	if err != nil {
		return nil, err
	}
	name, versions, err := a.cfg.Fleet.SoftwareVersions(ctx, id, set, all)
	if err != nil {
		return nil, err
	}
	out := SoftwareVersionsBody{ID: in.ID, Name: name.Name, Source: name.Source, Devices: name.Devices, Versions: []SoftwareVersionBody{}}
	for _, t := range versions {
		out.Versions = append(out.Versions, SoftwareVersionBody{
			ID: strconv.FormatInt(t.ID, 10), Version: t.Version, Arch: t.Arch, Publisher: t.Publisher, Scope: t.Scope, Devices: t.Devices,
		})
	}
	return &body[SoftwareVersionsBody]{out}, nil
}
