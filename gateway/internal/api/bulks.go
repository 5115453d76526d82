package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/command"
)

// BulkBody is one order with how far its devices are: the line of a progress board.
type BulkBody struct {
	ID           string           `json:"id"`
	Kind         string           `json:"kind"`
	Parameters   json.RawMessage  `json:"parameters" doc:"Without secrets"`
	Note         string           `json:"note"`
	Target       string           `json:"target" doc:"Whom it was for, in words"`
	SupersedeKey string           `json:"supersede_key,omitempty"`
	By           string           `json:"by" doc:"Operator id"`
	ByName       string           `json:"by_name"`
	CreatedAt    time.Time        `json:"created_at"`
	NotBefore    *time.Time       `json:"not_before,omitempty"`
	ExpiresAt    time.Time        `json:"expires_at"`
	Approval     string           `json:"approval" enum:"none,needed,given"`
	ApprovedBy   string           `json:"approved_by,omitempty"`
	ApprovedAt   *time.Time       `json:"approved_at,omitempty"`
	Devices      int64            `json:"devices"`
	Skipped      int64            `json:"skipped" doc:"Devices that had 100 open commands already"`
	Counts       map[string]int64 `json:"counts" doc:"Commands by state, of devices you may see"`
	Open         int64            `json:"open" doc:"Commands that are not over, of devices you may see"`
}

func (a *API) bulkBody(ctx context.Context, b command.Bulk, counts command.Counts) BulkBody {
	if !a.scopeOf(ctx, auth.DeviceView).All {
		b.Devices, b.Skipped = counts.Total(), 0
	}
	out := BulkBody{
		ID: string(b.ID), Kind: string(b.Kind), Parameters: b.Params, Note: b.Note, Target: b.Target, SupersedeKey: b.SupersedeKey, By: b.By, ByName: b.ByName,
		CreatedAt: b.CreatedAt, NotBefore: timePtr(b.NotBefore), ExpiresAt: b.ExpiresAt, Approval: "none", ApprovedBy: b.ApprovedName,
		ApprovedAt: timePtr(b.ApprovedAt), Devices: b.Devices, Skipped: b.Skipped, Counts: map[string]int64{}, Open: counts.Open(),
	}
	switch {
	case b.Held && b.ApprovedAt.IsZero():
		out.Approval = "needed"
	case b.Held:
		out.Approval = "given"
	}
	for _, s := range command.States {
		out.Counts[string(s)] = counts[s]
	}
	return out
}

type bulkQuery struct {
	Paging
	Kind string `query:"kind" maxLength:"32"`
}

func (a *API) registerBulks() {
	tags := []string{"commands"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-bulks", Method: http.MethodGet, Path: "/api/bulks", Tags: tags, Summary: "Orders with their progress, newest first",
	}, a.listBulks)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-bulk", Method: http.MethodGet, Path: "/api/bulks/{id}", Tags: tags, Summary: "One order with its progress",
		Description: "Its commands are list-commands with bulk.",
	}, a.getBulk)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "cancel-bulk", Method: http.MethodPost, Path: "/api/bulks/{id}/cancel", Tags: tags, Summary: "Cancel what is not over of an order",
	}, a.cancelBulk)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "approve-bulk", Method: http.MethodPost, Path: "/api/bulks/{id}/approve", Tags: tags,
		Summary: "Let an order go that waits for approval", Description: "Not one's own; command.run is needed on every device's group.",
	}, a.approveBulk)
}

func (a *API) listBulks(ctx context.Context, in *bulkQuery) (*body[List[BulkBody]], error) {
	page, err := a.cfg.Commands.Bulks(ctx, command.BulkFilter{
		Scope: a.scopeOf(ctx, auth.DeviceView), Kind: command.Kind(in.Kind), After: in.After, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	list := List[BulkBody]{Items: []BulkBody{}, Next: page.Next}
	for _, b := range page.Bulks {
		list.Items = append(list.Items, a.bulkBody(ctx, b, page.Counts[b.ID]))
	}
	return &body[List[BulkBody]]{list}, nil
}

// bulkFor returns an order of which the caller may see some, with what may be seen counted.
func (a *API) bulkFor(ctx context.Context, id string, p auth.Permission) (command.Bulk, command.Counts, error) {
	b, err := a.cfg.Commands.Bulk(ctx, command.BulkID(id))
	if errors.Is(err, mdm.ErrNotFound) {
		return b, nil, notFound("order")
	}
	if err != nil {
		return b, nil, err
	}
	seen, err := a.cfg.Commands.Counts(ctx, b.ID, a.scopeOf(ctx, auth.DeviceView))
	if err != nil {
		return b, nil, err
	}
	if seen.Total() == 0 && !a.scopeOf(ctx, auth.DeviceView).All {
		return b, nil, notFound("order")
	}
	counts, err := a.cfg.Commands.Counts(ctx, b.ID, a.scopeOf(ctx, p))
	return b, counts, err
}

func (a *API) getBulk(ctx context.Context, in *IDPath) (*body[BulkBody], error) {
	b, counts, err := a.bulkFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	return &body[BulkBody]{a.bulkBody(ctx, b, counts)}, nil
}

func bulkWho(b command.Bulk) audit.Who {
	return audit.Who{Kind: "bulk", ID: string(b.ID), Name: string(b.Kind) + " for " + b.Target}
}

func (a *API) cancelBulk(ctx context.Context, in *IDPath) (*body[CancelledBody], error) {
	b, may, err := a.bulkFor(ctx, in.ID, auth.CommandRun)
	if err != nil {
		return nil, err
	}
	if may.Total() == 0 {
		return nil, errForbidden
	}
	cancelled, asked, err := a.cfg.Dispatch.Cancel(ctx, command.Selection{Bulk: b.ID, Scope: a.scopeOf(ctx, auth.CommandRun)}, b.ID, callerOf(ctx).Operator.Name)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, "command.cancel", bulkWho(b), "", map[string]string{"kind": string(b.Kind)}); err != nil {
		return nil, err
	}
	return &body[CancelledBody]{CancelledBody{Cancelled: cancelled, Asked: asked}}, nil
}

func (a *API) approveBulk(ctx context.Context, in *IDPath) (*body[BulkBody], error) {
	b, may, err := a.bulkFor(ctx, in.ID, auth.CommandRun)
	if err != nil {
		return nil, err
	}
	if may.Total() < b.Devices {
		return nil, errForbidden // some are out of reach
	}
	o := callerOf(ctx).Operator
	if b, err = a.cfg.Dispatch.Approve(ctx, b.ID, string(o.ID), o.Name); err != nil {
		return nil, err
	}
	if err := a.record(ctx, "command.approve", bulkWho(b), "", map[string]string{"kind": string(b.Kind)}); err != nil {
		return nil, err
	}
	return a.getBulk(ctx, in)
}
