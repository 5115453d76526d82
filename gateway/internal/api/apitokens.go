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
)

// APITokenBody is an API token as people see it: never the token itself.
type APITokenBody struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	RoleName  string     `json:"role_name"`
	GroupID   string     `json:"group_id"`
	GroupName string     `json:"group_name"`
	Expired   bool       `json:"expired"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	UsedAt    *time.Time `json:"used_at,omitempty" doc:"To the minute; left out while it was never used"`
}

// NewAPITokenInput makes an API token.
type NewAPITokenInput struct {
	Name       string `json:"name" minLength:"1" maxLength:"100" doc:"What it is for"`
	Role       string `json:"role" maxLength:"32" doc:"The most it may do; one the caller holds"`
	GroupID    string `json:"group_id,omitempty" maxLength:"64" default:"grp_root" doc:"On which devices: those of this group and below"`
	TTLSeconds int64  `json:"ttl_seconds" minimum:"60" maximum:"31622400"`
}

// NewAPITokenBody is the answer that shows a token, once.
type NewAPITokenBody struct {
	APITokenBody
	Token string `json:"token" doc:"Shown this once; only its hash is kept. Sent as Authorization: Bearer"`
}

type tokenPath struct {
	IDPath
	Token string `path:"token" maxLength:"64"`
}

func (a *API) registerAPITokens() {
	tags := []string{"people"}
	operation(a, signedIn, huma.Operation{
		OperationID: "list-own-api-tokens", Method: http.MethodGet, Path: "/api/me/tokens", Tags: tags,
		Summary: "One's own API tokens, newest first",
	}, a.listOwnTokens)
	operation(a, signedIn, huma.Operation{
		OperationID: "create-api-token", Method: http.MethodPost, Path: "/api/me/tokens", Tags: tags,
		Summary: "Make an API token for a program that acts for oneself; this answer alone shows it", DefaultStatus: http.StatusCreated,
	}, a.createAPIToken)
	operation(a, signedIn, huma.Operation{
		OperationID: "revoke-own-api-token", Method: http.MethodDelete, Path: "/api/me/tokens/{id}", Tags: tags,
		Summary: "Make one of one's own API tokens useless", DefaultStatus: http.StatusNoContent,
	}, a.revokeOwnToken)
	operation(a, auth.OperatorView, huma.Operation{
		OperationID: "list-api-tokens", Method: http.MethodGet, Path: "/api/operators/{id}/tokens", Tags: []string{"operators"},
		Summary: "An operator's API tokens, newest first",
	}, a.listTokensOf)
	operation(a, auth.OperatorManage, huma.Operation{
		OperationID: "revoke-api-token", Method: http.MethodDelete, Path: "/api/operators/{id}/tokens/{token}", Tags: []string{"operators"},
		Summary: "Make an API token of an operator useless", DefaultStatus: http.StatusNoContent,
	}, a.revokeTokenOf)
}

func (a *API) apiTokenBody(c auth.Caller, t auth.APIToken) APITokenBody {
	b := APITokenBody{
		ID: string(t.ID), Name: t.Name, Role: string(t.Grant.Role), RoleName: string(t.Grant.Role), GroupID: string(t.Grant.Group),
		Expired: !a.cfg.Now().Before(t.ExpiresAt), CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt,
	}
	if s, ok := t.Grant.Role.Spec(); ok {
		b.RoleName = s.Name
	}
	if g, ok := c.Tree().Group(t.Grant.Group); ok {
		b.GroupName = g.Name
	}
	if !t.UsedAt.IsZero() {
		b.UsedAt = &t.UsedAt
	}
	return b
}

func (a *API) tokensOf(ctx context.Context, id auth.OperatorID) (*body[List[APITokenBody]], error) {
	list, err := a.cfg.Auth.Tokens(ctx, id)
	if err != nil {
		return nil, err
	}
	out := List[APITokenBody]{Items: []APITokenBody{}}
	for _, t := range list {
		out.Items = append(out.Items, a.apiTokenBody(callerOf(ctx), t))
	}
	return &body[List[APITokenBody]]{out}, nil
}

func (a *API) listOwnTokens(ctx context.Context, _ *empty) (*body[List[APITokenBody]], error) {
	return a.tokensOf(ctx, callerOf(ctx).Operator.ID)
}

func (a *API) listTokensOf(ctx context.Context, in *IDPath) (*body[List[APITokenBody]], error) {
	op, err := a.cfg.Auth.Operator(ctx, auth.OperatorID(in.ID))
	if err != nil {
		return nil, err
	}
	return a.tokensOf(ctx, op.ID)
}

func (a *API) createAPIToken(ctx context.Context, in *body[NewAPITokenInput]) (*body[NewAPITokenBody], error) {
	c := callerOf(ctx)
	t, secret, err := a.cfg.Auth.CreateToken(ctx, c, auth.NewToken{
		Name: in.Body.Name, Grant: auth.Grant{Role: auth.Role(in.Body.Role), Group: mdm.GroupID(in.Body.GroupID)},
		TTL: time.Duration(in.Body.TTLSeconds) * time.Second,
	})
	if errors.Is(err, mdm.ErrConflict) {
		return nil, problem(http.StatusConflict, codeConflict, "you have too many API tokens: revoke some first")
	}
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"role": string(t.Grant.Role), "group": string(t.Grant.Group), "expires_at": t.ExpiresAt.Format(time.RFC3339)}
	if err := a.record(ctx, "api_token.create", audit.Who{Kind: "api_token", ID: string(t.ID), Name: t.Name}, t.Grant.Group, detail); err != nil {
		return nil, err
	}
	return &body[NewAPITokenBody]{NewAPITokenBody{APITokenBody: a.apiTokenBody(c, t), Token: secret}}, nil
}

func (a *API) revokeOwnToken(ctx context.Context, in *IDPath) (*empty, error) {
	return a.revokeAPIToken(ctx, callerOf(ctx).Operator.ID, auth.TokenID(in.ID))
}

func (a *API) revokeTokenOf(ctx context.Context, in *tokenPath) (*empty, error) {
	return a.revokeAPIToken(ctx, auth.OperatorID(in.ID), auth.TokenID(in.Token))
}

func (a *API) revokeAPIToken(ctx context.Context, of auth.OperatorID, id auth.TokenID) (*empty, error) {
	if err := a.cfg.Auth.RevokeToken(ctx, callerOf(ctx), of, id); err != nil {
		return nil, err
	}
	return nil, a.record(ctx, "api_token.revoke", audit.Who{Kind: "api_token", ID: mdm.Clean(string(id), 64)}, "", map[string]string{"operator": string(of)})
}
