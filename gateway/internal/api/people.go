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

// timePtr is a time as bodies carry it: left out when zero.
func timePtr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// GrantBody is a role on a group.
type GrantBody struct {
	Role      string `json:"role" enum:"admin,technician,helpdesk,auditor"`
	RoleName  string `json:"role_name" readOnly:"true" required:"false"`
	GroupID   string `json:"group_id" maxLength:"64"`
	GroupName string `json:"group_name" readOnly:"true" required:"false"`
}

func grantBodies(c auth.Caller, grants []auth.Grant) []GrantBody {
	out := []GrantBody{}
	for _, g := range grants {
		b := GrantBody{Role: string(g.Role), GroupID: string(g.Group)}
		if s, ok := g.Role.Spec(); ok {
			b.RoleName = s.Name
		}
		if node, ok := c.Tree().Group(g.Group); ok {
			b.GroupName = node.Name
		}
		out = append(out, b)
	}
	return out
}

func grantsOf(bodies []GrantBody) []auth.Grant {
	out := []auth.Grant{}
	for _, b := range bodies {
		out = append(out, auth.Grant{Role: auth.Role(b.Role), Group: mdm.GroupID(b.GroupID)})
	}
	return out
}

// SetupState answers whether the gateway waits to be set up.
type SetupState struct {
	Needed bool `json:"needed"`
}

// SetupInput is what the first person to come says.
type SetupInput struct {
	Token        string `json:"token" maxLength:"200" doc:"The part of the setup link after #"`
	Organisation string `json:"organisation" minLength:"1" maxLength:"120"`
	Name         string `json:"name" minLength:"1" maxLength:"100"`
	Email        string `json:"email" minLength:"3" maxLength:"254"`
	Password     string `json:"password" minLength:"10" maxLength:"256"`
}

// SignInInput is an address and a password.
type SignInInput struct {
	Email    string `json:"email" maxLength:"254"`
	Password string `json:"password" maxLength:"1024"`
}

// Me is who is signed in and what they may do.
type Me struct {
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	Email        string      `json:"email"`
	Organisation string      `json:"organisation"`
	Permissions  []string    `json:"permissions" doc:"What this operator may do on at least one group"`
	Grants       []GrantBody `json:"grants"`
	Version      string      `json:"version" doc:"Of the gateway"`
}

// OwnPasswordInput changes one's own password.
type OwnPasswordInput struct {
	Current string `json:"current" maxLength:"1024"`
	Next    string `json:"next" minLength:"10" maxLength:"256"`
}

// TicketBody is a ticket for one browser socket.
type TicketBody struct {
	Ticket string `json:"ticket" doc:"First message on /api/socket; good once, for half a minute"`
}

type body[T any] struct{ Body T }

// cookieBody is an answer that sets the sign-in cookie.
type cookieBody[T any] struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      T
}

type cookieOnly struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (a *API) cookie(r *http.Request, value string, seconds int) http.Cookie {
	return http.Cookie{
		Name: auth.CookieName, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: a.cfg.Secure(r),
	}
}

func (a *API) registerPeople() {
	operation(a, public, huma.Operation{
		OperationID: "get-setup", Method: http.MethodGet, Path: "/api/setup", Tags: []string{"people"},
		Summary: "Whether the gateway waits to be set up; 404 once an administrator exists",
	}, a.getSetup)
	operation(a, public, huma.Operation{
		OperationID: "set-up", Method: http.MethodPost, Path: "/api/setup", Tags: []string{"people"},
		Summary: "Make the first administrator, with the token of the printed link, and sign in",
	}, a.setUp)
	operation(a, public, huma.Operation{
		OperationID: "sign-in", Method: http.MethodPost, Path: "/api/sign-in", Tags: []string{"people"},
		Summary: "Sign in for the session cookie",
	}, a.signIn)
	operation(a, signedIn, huma.Operation{
		OperationID: "sign-out", Method: http.MethodPost, Path: "/api/sign-out", Tags: []string{"people"},
		Summary: "End this sign-in", DefaultStatus: http.StatusNoContent,
	}, a.signOut)
	operation(a, signedIn, huma.Operation{
		OperationID: "get-me", Method: http.MethodGet, Path: "/api/me", Tags: []string{"people"},
		Summary: "Who is signed in, and what they may do",
	}, a.getMe)
	operation(a, signedIn, huma.Operation{
		OperationID: "change-own-password", Method: http.MethodPost, Path: "/api/me/password", Tags: []string{"people"},
		Summary: "Change one's own password; every other sign-in ends", DefaultStatus: http.StatusNoContent,
	}, a.changeOwnPassword)
	operation(a, signedIn, huma.Operation{
		OperationID: "new-socket-ticket", Method: http.MethodPost, Path: "/api/socket-ticket", Tags: []string{"people"},
		Summary: "A ticket for one browser socket",
	}, a.newTicket)
}

func (a *API) getSetup(ctx context.Context, _ *empty) (*body[SetupState], error) {
	_, needed, err := a.cfg.Auth.SetupToken(ctx)
	if err == nil && !needed {
		err = auth.ErrSetUp
	}
	if err != nil {
		return nil, err
	}
	return &body[SetupState]{SetupState{Needed: true}}, nil
}

func (a *API) setUp(ctx context.Context, in *body[SetupInput]) (*cookieBody[Me], error) {
	rq := requestOf(ctx)
	op, cookie, err := a.cfg.Auth.SetUp(ctx, auth.Setup{
		Token: in.Body.Token, Organisation: in.Body.Organisation, Name: in.Body.Name, Email: in.Body.Email, Password: in.Body.Password,
	}, limitKey(rq.address), rq.http.UserAgent())
	if err != nil {
		return nil, err
	}
	if err := a.recordAs(ctx, operatorWho(op), "setup.done", operatorWho(op), "", map[string]string{"organisation": in.Body.Organisation}); err != nil {
		return nil, err
	}
	return a.welcome(ctx, cookie)
}

// welcome answers a sign-in.
func (a *API) welcome(ctx context.Context, cookie string) (*cookieBody[Me], error) {
	caller, err := a.cfg.Auth.Caller(ctx, cookie)
	if err != nil {
		return nil, err
	}
	me, err := a.me(ctx, caller)
	if err != nil {
		return nil, err
	}
	return &cookieBody[Me]{SetCookie: a.cookie(requestOf(ctx).http, cookie, a.cfg.Auth.Lifetime()), Body: me}, nil
}

func (a *API) signIn(ctx context.Context, in *body[SignInInput]) (*cookieBody[Me], error) {
	rq := requestOf(ctx)
	op, cookie, err := a.cfg.Auth.SignIn(ctx, in.Body.Email, in.Body.Password, limitKey(rq.address), rq.http.UserAgent())
	if errors.Is(err, auth.ErrWrongPassword) {
		who := audit.Who{Kind: audit.ByNobody, Name: in.Body.Email} // claimed
		target := audit.Who{Kind: audit.ByOperator, ID: string(op.ID), Name: op.Name}
		if rerr := a.recordAs(ctx, who, "operator.sign_in_refused", target, "", nil); rerr != nil {
			return nil, rerr
		}
	}
	if err != nil {
		return nil, err
	}
	if err := a.recordAs(ctx, operatorWho(op), "operator.sign_in", operatorWho(op), "", map[string]string{"browser": rq.http.UserAgent()}); err != nil {
		return nil, err
	}
	return a.welcome(ctx, cookie)
}

func (a *API) signOut(ctx context.Context, _ *empty) (*cookieOnly, error) {
	c := callerOf(ctx)
	if err := a.cfg.Auth.SignOut(ctx, c); err != nil {
		return nil, err
	}
	if err := a.record(ctx, "operator.sign_out", operatorWho(c.Operator), "", nil); err != nil {
		return nil, err
	}
	return &cookieOnly{SetCookie: a.cookie(requestOf(ctx).http, "", -1)}, nil
}

func (a *API) getMe(ctx context.Context, _ *empty) (*body[Me], error) {
	me, err := a.me(ctx, callerOf(ctx))
	if err != nil {
		return nil, err
	}
	return &body[Me]{me}, nil
}

func (a *API) me(ctx context.Context, c auth.Caller) (Me, error) {
	organisation, err := a.cfg.Auth.Organisation(ctx)
	if err != nil {
		return Me{}, err
	}
	me := Me{
		ID: string(c.Operator.ID), Name: c.Operator.Name, Email: c.Operator.Email, Organisation: organisation,
		Permissions: []string{}, Grants: grantBodies(c, c.Operator.Grants), Version: a.cfg.Version,
	}
	for _, p := range c.Permissions() {
		me.Permissions = append(me.Permissions, string(p))
	}
	return me, nil
}

func (a *API) changeOwnPassword(ctx context.Context, in *body[OwnPasswordInput]) (*empty, error) {
	c := callerOf(ctx)
	if err := a.cfg.Auth.ChangeOwnPassword(ctx, c, in.Body.Current, in.Body.Next); err != nil {
		if errors.Is(err, auth.ErrWrongPassword) {
			// 401 would tell the console that nobody is signed in.
			return nil, problem(http.StatusForbidden, codeWrongPassword, "the current password is wrong")
		}
		return nil, err
	}
	return nil, a.record(ctx, "operator.password", operatorWho(c.Operator), "", nil)
}

func (a *API) newTicket(ctx context.Context, _ *empty) (*body[TicketBody], error) {
	ticket, err := a.cfg.Auth.NewTicket(ctx, callerOf(ctx))
	if err != nil {
		return nil, err
	}
	return &body[TicketBody]{TicketBody{ticket}}, nil
}
