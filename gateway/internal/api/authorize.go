package api

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/signaling"
)

// What an operation may need beside the permissions of package auth.
const (
	public   auth.Permission = "public"    // anybody who reaches the gateway
	signedIn auth.Permission = "signed_in" // any operator; about the operator only
	byDevice auth.Permission = "device"    // a device with an access token
)

const permissionKey = "permission"

// request is what the authorization found out, for the operation.
type request struct {
	operation string
	caller    auth.Caller   // of operations for operators
	device    mdm.DeviceID  // of operations for devices
	http      *http.Request // for addresses and the like; for the body only where an operation streams it
	cookie    string
	address   string
	leave     func() // ends the device's request; nil for operators
}

type requestKey struct{}

// requestOf returns what authorize left in the context; never nil.
func requestOf(ctx context.Context) *request {
	if rq, ok := ctx.Value(requestKey{}).(*request); ok {
		return rq
	}
	return &request{}
}

// callerOf returns the operator an operation acts for. Outside of operators' operations it
// is the zero caller, who may do nothing.
func callerOf(ctx context.Context) auth.Caller { return requestOf(ctx).caller }

// authorize lets a request through to its operation only if the permission the operation
// was registered with is held: anywhere, where it is one on groups; the operation then
// checks the group it acts on. An operation without permission is refused to everybody.
func (a *API) authorize(hc huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(hc)
	rq := &request{operation: hc.Operation().OperationID, http: r, address: a.cfg.Address(r)}
	ctx := context.WithValue(r.Context(), requestKey{}, rq)
	permission, _ := hc.Operation().Metadata[permissionKey].(auth.Permission)
	if err := a.admit(ctx, permission, rq); err != nil {
		a.writeProblem(w, a.refused(ctx, a.problemOf(ctx, err)))
		return
	}
	if rq.leave != nil {
		defer rq.leave()
	}
	next(huma.WithContext(hc, ctx))
}

func (a *API) admit(ctx context.Context, p auth.Permission, rq *request) error {
	switch p {
	case "":
		return errForbidden
	case public:
		return nil
	case byDevice:
		return a.admitDevice(ctx, rq)
	default:
		return a.admitOperator(ctx, p, rq)
	}
}

func (a *API) admitOperator(ctx context.Context, p auth.Permission, rq *request) error {
	if c, err := rq.http.Cookie(auth.CookieName); err == nil {
		rq.cookie = c.Value
	}
	caller, err := a.callerWith(ctx, rq)
	if err != nil {
		return err
	}
	rq.caller = caller
	if p == signedIn && caller.Token != nil && rq.http.Method != http.MethodGet {
		return errOfTokens
	}
	if p != signedIn && !caller.MayAnywhere(p) {
		return errForbidden
	}
	return nil
}

// errOfTokens keeps what is a person's own, as passwords and tokens, from tokens.
var errOfTokens = problem(http.StatusForbidden, signaling.CodeForbidden, "an API token cannot do this: sign in")

// callerWith is who a cookie or, without one, an API token belongs to.
func (a *API) callerWith(ctx context.Context, rq *request) (auth.Caller, error) {
	token, ok := strings.CutPrefix(rq.http.Header.Get("Authorization"), "Bearer ")
	if rq.cookie == "" && ok {
		return a.cfg.Auth.TokenCaller(ctx, token)
	}
	return a.cfg.Auth.Caller(ctx, rq.cookie)
}

func (a *API) admitDevice(ctx context.Context, rq *request) error {
	token, ok := strings.CutPrefix(rq.http.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return auth.ErrAccess
	}
	id, err := a.cfg.Auth.VerifyAccess(token)
	if err != nil {
		return err
	}
	rq.device = id
	leave, err := a.pacer.enter(id, rq.operation)
	if err != nil {
		return err
	}
	if rq.operation == opInventory {
		if leave, err = a.takeTurn(leave); err != nil {
			return err
		}
	}
	d, err := a.cfg.Devices.Device(ctx, id)
	if err == nil && d.IsRevoked() {
		err = errRevoked
	}
	if err != nil {
		leave()
		return unknownDevice(err)
	}
	rq.leave = leave
	return nil
}

// record writes to the audit log who did what. The operation fails when it cannot: what
// was done stands, and is in the program's log.
func (a *API) record(ctx context.Context, action string, target audit.Who, group mdm.GroupID, detail map[string]string) error {
	rq := requestOf(ctx)
	actor := audit.Who{Kind: audit.ByNobody}
	switch {
	case rq.caller.Operator.ID != "":
		actor = operatorWho(rq.caller.Operator)
		if t := rq.caller.Token; t != nil {
			if detail = maps.Clone(detail); detail == nil {
				detail = map[string]string{}
			}
			detail["api_token"] = t.Name + " (" + string(t.ID) + ")"
		}
	case rq.device != "":
		actor = audit.Who{Kind: audit.ByDevice, ID: string(rq.device)}
	}
	return a.recordAs(ctx, actor, action, target, group, detail)
}

func (a *API) recordAs(ctx context.Context, actor audit.Who, action string, target audit.Who, group mdm.GroupID, detail map[string]string) error {
	err := a.cfg.Audit.Record(ctx, audit.Entry{
		Actor: actor, Action: action, Target: target, Group: group, Address: requestOf(ctx).address, Detail: detail,
	})
	if err == nil {
		a.cfg.Changed("audit")
	}
	return err
}

func operatorWho(o auth.Operator) audit.Who {
	return audit.Who{Kind: audit.ByOperator, ID: string(o.ID), Name: o.Name + " <" + o.Email + ">"}
}
