package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
)

// ViewBody is a search that somebody keeps.
type ViewBody struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Filter    string    `json:"filter" doc:"As q of list-devices"`
	Sort      string    `json:"sort"`
	Columns   []string  `json:"columns" doc:"What a console shows, by its own names"`
	Shared    bool      `json:"shared" doc:"Everybody may use it"`
	Mine      bool      `json:"mine" doc:"You may change it"`
	CreatedAt time.Time `json:"created_at"`
}

// ViewInput makes or replaces a view.
type ViewInput struct {
	Name    string   `json:"name" minLength:"1" maxLength:"128"`
	Filter  string   `json:"filter" maxLength:"1024"`
	Sort    string   `json:"sort,omitempty" maxLength:"32"`
	Columns []string `json:"columns,omitempty" maxItems:"40"`
	Shared  bool     `json:"shared,omitempty"`
}

func (a *API) registerViews() {
	tags := []string{"views"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-views", Method: http.MethodGet, Path: "/api/views", Tags: tags, Summary: "Saved searches: yours and the shared",
	}, a.listViews)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "create-view", Method: http.MethodPost, Path: "/api/views", Tags: tags, Summary: "Keep a search",
		DefaultStatus: http.StatusCreated,
	}, a.createView)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "replace-view", Method: http.MethodPut, Path: "/api/views/{id}", Tags: tags, Summary: "Change a saved search of yours",
	}, a.replaceView)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "delete-view", Method: http.MethodDelete, Path: "/api/views/{id}", Tags: tags, Summary: "Forget a saved search of yours",
		DefaultStatus: http.StatusNoContent,
	}, a.deleteView)
}

func viewBody(c auth.Caller, v fleet.View) ViewBody {
	return ViewBody{
		ID: v.ID, Name: v.Name, Filter: v.Query, Sort: v.Sort, Columns: v.Columns, Shared: v.Shared,
		Mine: v.Owner == string(c.Operator.ID), CreatedAt: v.CreatedAt,
	}
}

func (a *API) listViews(ctx context.Context, _ *empty) (*body[List[ViewBody]], error) {
	c := callerOf(ctx)
	views, err := a.cfg.Fleet.Views(ctx, string(c.Operator.ID))
	if err != nil {
		return nil, err
	}
	list := List[ViewBody]{Items: []ViewBody{}}
	for _, v := range views {
		list.Items = append(list.Items, viewBody(c, v))
	}
	return &body[List[ViewBody]]{list}, nil
}

func (a *API) createView(ctx context.Context, in *body[ViewInput]) (*body[ViewBody], error) {
	return a.saveView(ctx, "view.create", "", in.Body)
}

func (a *API) replaceView(ctx context.Context, in *idInput[ViewInput]) (*body[ViewBody], error) {
	if in.ID == "" {
		return nil, notFound("view")
	}
	return a.saveView(ctx, "view.change", in.ID, in.Body)
}

func (a *API) saveView(ctx context.Context, action, id string, in ViewInput) (*body[ViewBody], error) {
	c := callerOf(ctx)
	v, err := a.cfg.Fleet.SaveView(ctx, fleet.View{
		ID: id, Owner: string(c.Operator.ID), Name: in.Name, Shared: in.Shared, Query: in.Filter, Sort: in.Sort, Columns: in.Columns,
	})
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, action, audit.Who{Kind: "view", ID: v.ID, Name: v.Name}, "", map[string]string{"filter": v.Query}); err != nil {
		return nil, err
	}
	return &body[ViewBody]{viewBody(c, v)}, nil
}

func (a *API) deleteView(ctx context.Context, in *IDPath) (*empty, error) {
	v, err := a.cfg.Fleet.DeleteView(ctx, in.ID, string(callerOf(ctx).Operator.ID))
	if err != nil {
		return nil, err
	}
	return nil, a.record(ctx, "view.delete", audit.Who{Kind: "view", ID: v.ID, Name: v.Name}, "", nil)
}
