package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/enroll"
	"handrail/signaling"
)

func joinWords(words []string) string { return strings.Join(words, ", ") }

// TokenBody is an enrollment token without its secret.
type TokenBody struct {
	ID          string     `json:"id"`
	GroupID     string     `json:"group_id"`
	Note        string     `json:"note"`
	State       string     `json:"state" enum:"usable,spent,expired,revoked"`
	UsesAllowed int64      `json:"uses_allowed"`
	UsesSpent   int64      `json:"uses_spent"`
	CreatedBy   string     `json:"created_by" doc:"Operator id"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
}

// NewTokenBody is the answer that shows a token, once.
type NewTokenBody struct {
	TokenBody
	Token   string `json:"token" doc:"Shown this once; only its hash is kept"`
	Command string `json:"command" doc:"To run on the device, as an administrator of it"`
}

// NewTokenInput makes an enrollment token.
type NewTokenInput struct {
	GroupID    string `json:"group_id" maxLength:"64"`
	Uses       int64  `json:"uses,omitempty" minimum:"1" maximum:"100000" default:"1"`
	TTLSeconds int64  `json:"ttl_seconds,omitempty" minimum:"60" maximum:"31622400" default:"86400"`
	Note       string `json:"note,omitempty" maxLength:"200"`
}

func (a *API) tokenBody(t enroll.Token) TokenBody {
	state := "usable"
	switch err := t.Check(a.cfg.Now()); {
	case errors.Is(err, enroll.ErrTokenRevoked):
		state = "revoked"
	case errors.Is(err, enroll.ErrTokenExpired):
		state = "expired"
	case errors.Is(err, enroll.ErrTokenSpent):
		state = "spent"
	}
	return TokenBody{
		ID: t.ID, GroupID: string(t.Group), Note: t.Note, State: state, UsesAllowed: t.UsesAllowed, UsesSpent: t.UsesSpent,
		CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, RevokedAt: timePtr(t.RevokedAt),
	}
}

func (a *API) registerTokens() {
	tags := []string{"enrollment"}
	operation(a, auth.DeviceEnroll, huma.Operation{
		OperationID: "list-enrollment-tokens", Method: http.MethodGet, Path: "/api/enrollment-tokens", Tags: tags,
		Summary: "Enrollment tokens, newest first",
	}, a.listTokens)
	operation(a, auth.DeviceEnroll, huma.Operation{
		OperationID: "create-enrollment-token", Method: http.MethodPost, Path: "/api/enrollment-tokens", Tags: tags,
		Summary: "Make an enrollment token; this answer alone shows it", DefaultStatus: http.StatusCreated,
	}, a.createToken)
	operation(a, auth.DeviceEnroll, huma.Operation{
		OperationID: "revoke-enrollment-token", Method: http.MethodDelete, Path: "/api/enrollment-tokens/{id}", Tags: tags,
		Summary: "Make a token useless; devices that came with it stay", DefaultStatus: http.StatusNoContent,
	}, a.revokeToken)
}

func (a *API) listTokens(ctx context.Context, in *Paging) (*body[List[TokenBody]], error) {
	groups, all := callerOf(ctx).Groups(auth.DeviceEnroll)
	ts, next, err := a.cfg.Enroll.Tokens(ctx, groups, all, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	list := List[TokenBody]{Items: []TokenBody{}, Next: next}
	for _, t := range ts {
		list.Items = append(list.Items, a.tokenBody(t))
	}
	return &body[List[TokenBody]]{list}, nil
}

func (a *API) createToken(ctx context.Context, in *body[NewTokenInput]) (*body[NewTokenBody], error) {
	c := callerOf(ctx)
	if !c.May(auth.DeviceEnroll, mdm.GroupID(in.Body.GroupID)) {
		return nil, notFound("group")
	}
	t, text, err := a.cfg.Enroll.Create(ctx, enroll.Wanted{
		Group: mdm.GroupID(in.Body.GroupID), Note: in.Body.Note, Uses: in.Body.Uses,
		TTL: time.Duration(in.Body.TTLSeconds) * time.Second, By: string(c.Operator.ID),
	}, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	a.cfg.Changed(signaling.TopicTokens, t.ID)
	if err := a.record(ctx, "token.create", tokenWho(t), t.Group, map[string]string{
		"uses": strconv.FormatInt(t.UsesAllowed, 10), "expires": t.ExpiresAt.UTC().Format(time.RFC3339),
	}); err != nil {
		return nil, err
	}
	return &body[NewTokenBody]{NewTokenBody{TokenBody: a.tokenBody(t), Token: text, Command: a.command(requestOf(ctx).http, text)}}, nil
}

func tokenWho(t enroll.Token) audit.Who { return audit.Who{Kind: "token", ID: t.ID, Name: t.Note} }

// command is what enrolls a device with the token.
func (a *API) command(r *http.Request, token string) string {
	base := a.cfg.URL
	if base == "" {
		u := url.URL{Scheme: "http", Host: r.Host}
		if a.cfg.Secure(r) {
			u.Scheme = "https"
		}
		base = u.String()
	}
	cmd := "handrail-agent enroll --gateway " + base + " --token " + token
	if a.cfg.CASHA256 != "" {
		cmd += " --ca-sha256 " + a.cfg.CASHA256
	}
	return cmd
}

func (a *API) revokeToken(ctx context.Context, in *IDPath) (*empty, error) {
	t, err := a.cfg.Enroll.Token(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !callerOf(ctx).May(auth.DeviceEnroll, t.Group) {
		return nil, notFound("enrollment token")
	}
	if err := a.cfg.Enroll.Revoke(ctx, t.ID, a.cfg.Now()); err != nil {
		return nil, err
	}
	a.cfg.Changed(signaling.TopicTokens, t.ID)
	return nil, a.record(ctx, "token.revoke", tokenWho(t), t.Group, nil)
}
