package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/signaling"
)

// OperatorBody is a member of support staff.
type OperatorBody struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Email      string      `json:"email"`
	Disabled   bool        `json:"disabled"`
	Grants     []GrantBody `json:"grants"`
	Revision   int64       `json:"revision" doc:"Its ETag, for If-Match"`
	CreatedAt  time.Time   `json:"created_at"`
	SignedInAt *time.Time  `json:"signed_in_at,omitempty" doc:"Last sign-in"`
	Manageable bool        `json:"manageable" doc:"Whether you may change this account"`
}

func operatorBody(c auth.Caller, o auth.Operator) OperatorBody {
	return OperatorBody{
		ID: string(o.ID), Name: o.Name, Email: o.Email, Disabled: o.Disabled, Grants: grantBodies(c, o.Grants),
		Revision: o.Revision, CreatedAt: o.CreatedAt, SignedInAt: timePtr(o.SignedInAt), Manageable: c.MayManage(o),
	}
}

func operatorAnswer(ctx context.Context, o auth.Operator) *tagged[OperatorBody] {
	return &tagged[OperatorBody]{etag(o.Revision), operatorBody(callerOf(ctx), o)}
}

// NewOperatorInput makes an account.
type NewOperatorInput struct {
	Name     string      `json:"name" minLength:"1" maxLength:"100"`
	Email    string      `json:"email" minLength:"3" maxLength:"254"`
	Password string      `json:"password" minLength:"10" maxLength:"256"`
	Grants   []GrantBody `json:"grants" maxItems:"50"`
}

// OperatorChange changes an account; what is left out stays.
type OperatorChange struct {
	Name     *string      `json:"name,omitempty" minLength:"1" maxLength:"100"`
	Disabled *bool        `json:"disabled,omitempty"`
	Grants   *[]GrantBody `json:"grants,omitempty" maxItems:"50"`
}

// PasswordInput sets somebody's password.
type PasswordInput struct {
	Password string `json:"password" minLength:"10" maxLength:"256"`
}

// RoleBody describes a role.
type RoleBody struct {
	Role         string   `json:"role"`
	Name         string   `json:"name"`
	Summary      string   `json:"summary"`
	Permissions  []string `json:"permissions"`
	Capabilities []string `json:"capabilities" doc:"The most a session of this role may hold"`
}

// List is one page of a list.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Give it as after for the next page; left out on the last"`
	Total *int   `json:"total,omitempty" doc:"How many there are on all pages, where the list counts them"`
}

// Paging holds the parameters of every list.
type Paging struct {
	After string `query:"after" maxLength:"4096" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// IDPath is the id in the path.
type IDPath struct {
	ID string `path:"id" maxLength:"64"`
}

type idInput[T any] struct {
	IDPath
	Body T
}

func (a *API) registerOperators() {
	tags := []string{"operators"}
	operation(a, auth.OperatorView, huma.Operation{
		OperationID: "list-operators", Method: http.MethodGet, Path: "/api/operators", Tags: tags, Summary: "Operators by address",
	}, a.listOperators)
	operation(a, auth.OperatorManage, huma.Operation{
		OperationID: "create-operator", Method: http.MethodPost, Path: "/api/operators", Tags: tags,
		Summary: "Make an account; nobody can give rights they do not hold", DefaultStatus: http.StatusCreated,
	}, a.createOperator)
	operation(a, auth.OperatorView, huma.Operation{
		OperationID: "get-operator", Method: http.MethodGet, Path: "/api/operators/{id}", Tags: tags, Summary: "One operator",
	}, a.getOperator)
	operation(a, auth.OperatorManage, huma.Operation{
		OperationID: "change-operator", Method: http.MethodPatch, Path: "/api/operators/{id}", Tags: tags,
		Summary: "Change name, grants, or whether the account may sign in",
	}, a.changeOperator)
	operation(a, auth.OperatorManage, huma.Operation{
		OperationID: "delete-operator", Method: http.MethodDelete, Path: "/api/operators/{id}", Tags: tags,
		Summary: "Remove an account; what it did stays in the audit log", DefaultStatus: http.StatusNoContent,
	}, a.deleteOperator)
	operation(a, auth.OperatorManage, huma.Operation{
		OperationID: "set-operator-password", Method: http.MethodPost, Path: "/api/operators/{id}/password", Tags: tags,
		Summary: "Give an operator a new password; their sign-ins end", DefaultStatus: http.StatusNoContent,
	}, a.setPassword)
	operation(a, auth.OperatorView, huma.Operation{
		OperationID: "list-roles", Method: http.MethodGet, Path: "/api/roles", Tags: tags, Summary: "The roles and what they allow",
	}, a.listRoles)
}

func (a *API) listOperators(ctx context.Context, in *Paging) (*body[List[OperatorBody]], error) {
	ops, next, err := a.cfg.Auth.Operators(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	list := List[OperatorBody]{Items: []OperatorBody{}, Next: next}
	for _, o := range ops {
		list.Items = append(list.Items, operatorBody(callerOf(ctx), o))
	}
	return &body[List[OperatorBody]]{list}, nil
}

func (a *API) getOperator(ctx context.Context, in *IDPath) (*tagged[OperatorBody], error) {
	o, err := a.cfg.Auth.Operator(ctx, auth.OperatorID(in.ID))
	if err != nil {
		return nil, err
	}
	return operatorAnswer(ctx, o), nil
}

func (a *API) createOperator(ctx context.Context, in *body[NewOperatorInput]) (*tagged[OperatorBody], error) {
	o, err := a.cfg.Auth.CreateOperator(ctx, callerOf(ctx), auth.NewOperator{
		Name: in.Body.Name, Email: in.Body.Email, Password: in.Body.Password, Grants: grantsOf(in.Body.Grants),
	})
	if err != nil {
		return nil, err
	}
	if err := a.operatorDone(ctx, "operator.create", o, map[string]string{"grants": grantWords(o.Grants)}); err != nil {
		return nil, err
	}
	return operatorAnswer(ctx, o), nil
}

func (a *API) operatorDone(ctx context.Context, action string, o auth.Operator, detail map[string]string) error {
	a.cfg.Changed(signaling.TopicOperators, string(o.ID))
	return a.record(ctx, action, operatorWho(o), "", detail)
}

// grantWords is grants as the audit log names them.
func grantWords(grants []auth.Grant) string {
	words := make([]string, len(grants))
	for i, g := range grants {
		words[i] = string(g.Role) + " on " + string(g.Group)
	}
	return strings.Join(words, ", ")
}

func (a *API) changeOperator(ctx context.Context, in *matchInput[OperatorChange]) (*tagged[OperatorBody], error) {
	seen, err := in.revision()
	if err != nil {
		return nil, err
	}
	c := auth.Change{Name: in.Body.Name, Disabled: in.Body.Disabled, Revision: seen}
	detail := map[string]string{}
	if in.Body.Grants != nil {
		grants := grantsOf(*in.Body.Grants)
		c.Grants = &grants
		detail["grants"] = grantWords(grants)
	}
	if c.Name != nil {
		detail["name"] = *c.Name
	}
	if c.Disabled != nil {
		detail["disabled"] = map[bool]string{true: "yes", false: "no"}[*c.Disabled]
	}
	o, err := a.cfg.Auth.ChangeOperator(ctx, callerOf(ctx), auth.OperatorID(in.ID), c)
	if err != nil {
		return nil, stale(err)
	}
	if err := a.operatorDone(ctx, "operator.change", o, detail); err != nil {
		return nil, err
	}
	return operatorAnswer(ctx, o), nil
}

func (a *API) deleteOperator(ctx context.Context, in *IDPath) (*empty, error) {
	o, err := a.cfg.Auth.Operator(ctx, auth.OperatorID(in.ID))
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Auth.DeleteOperator(ctx, callerOf(ctx), o.ID); err != nil {
		return nil, err
	}
	return nil, a.operatorDone(ctx, "operator.delete", o, nil)
}

func (a *API) setPassword(ctx context.Context, in *idInput[PasswordInput]) (*empty, error) {
	o, err := a.cfg.Auth.Operator(ctx, auth.OperatorID(in.ID))
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Auth.SetPassword(ctx, callerOf(ctx), o.ID, in.Body.Password); err != nil {
		return nil, err
	}
	return nil, a.operatorDone(ctx, "operator.password", o, nil)
}

func (a *API) listRoles(context.Context, *empty) (*body[List[RoleBody]], error) {
	list := List[RoleBody]{Items: []RoleBody{}}
	for _, s := range auth.Roles() {
		b := RoleBody{Role: string(s.Role), Name: s.Name, Summary: s.Summary, Permissions: []string{}, Capabilities: capabilityNames(s.Capabilities)}
		for _, p := range s.Permissions {
			b.Permissions = append(b.Permissions, string(p))
		}
		list.Items = append(list.Items, b)
	}
	return &body[List[RoleBody]]{list}, nil
}

func capabilityNames(s signaling.CapabilitySet) []string {
	out := []string{}
	for _, c := range s.List() {
		out = append(out, string(c))
	}
	return out
}

func capabilitySet(names []string) signaling.CapabilitySet {
	var s signaling.CapabilitySet
	for _, n := range names {
		s |= signaling.SetOf(signaling.Capability(n))
	}
	return s
}
