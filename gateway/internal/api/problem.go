package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/mdm/enroll"
	"handrail/mdm/policy"
	"handrail/signaling"
)

// Codes of problems that no socket knows, beside those of package signaling.
const (
	codeConflict      signaling.Code = "conflict"       // something still hangs on it, or it changed meanwhile
	codeExists        signaling.Code = "already_exists" // the name or address is taken
	codeUnavailable   signaling.Code = "unavailable"    // the database is away; nothing was written; try again
	codeFull          signaling.Code = "storage_full"   // no space; nothing was written
	codeWrongPassword signaling.Code = "wrong_password"
	codeExceeds       signaling.Code = "exceeds_rights" // needs rights the caller does not hold
	codeLastAdmin     signaling.Code = "last_admin"
	codeSetupToken    signaling.Code = "setup_token"
)

const problemType = "application/problem+json"

// Problem is an error as the API tells it, after RFC 9457.
type Problem struct { //nolint:errname // a document that is also an error
	Title        string         `json:"title" doc:"The status in words"`
	Status       int            `json:"status" doc:"HTTP status"`
	Code         signaling.Code `json:"code" doc:"Machine-readable reason, stable for ever"`
	Detail       string         `json:"detail" doc:"What is wrong, for people"`
	ID           string         `json:"id,omitempty" doc:"Names the line in the gateway's log that holds the cause"`
	RetryAfterMS int64          `json:"retry_after_ms,omitempty" doc:"When the same request may go through; 0 means not by waiting"`
	Errors       []FieldProblem `json:"errors,omitempty" doc:"Fields that were refused"`

	quiet bool // said before: the log need not say it again
}

// FieldProblem says what is wrong with one field.
type FieldProblem struct {
	Location string `json:"location" doc:"As in body.grants[0].role"`
	Message  string `json:"message"`
}

var problemReflect = reflect.TypeFor[Problem]()

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status; huma asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// hangUp is from when on a connection is not kept for somebody who was told to wait: thousands would
// hold one each.
const hangUp = 2 * time.Second

// GetHeaders returns Retry-After where waiting helps; huma asks for it.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfterMS > 0 {
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfterMS+999)/1000, 10))
		if p.RetryAfterMS >= hangUp.Milliseconds() {
			h.Set("Connection", "close")
		}
	}
	return h
}

// ContentType is that of problems; huma asks for it.
func (p *Problem) ContentType(string) string { return problemType }

func problem(status int, code signaling.Code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

var errForbidden = problem(http.StatusForbidden, signaling.CodeForbidden, "your roles do not allow this")

// notFound hides, as forbidden would not, whether the thing exists.
func notFound(noun string) *Problem {
	return problem(http.StatusNotFound, signaling.CodeNotFound, "no such "+noun)
}

// known are the errors whose words may leave the gateway, with what they become.
var known = []struct {
	err    error
	status int
	code   signaling.Code
}{
	{mdm.ErrNotFound, http.StatusNotFound, signaling.CodeNotFound},
	{mdm.ErrInvalid, http.StatusUnprocessableEntity, signaling.CodeMalformed},
	{auth.ErrNotSignedIn, http.StatusUnauthorized, signaling.CodeUnauthorized},
	{auth.ErrAccess, http.StatusUnauthorized, signaling.CodeUnauthorized},
	{auth.ErrWrongPassword, http.StatusUnauthorized, codeWrongPassword},
	{auth.ErrExceeds, http.StatusForbidden, codeExceeds},
	{auth.ErrLastAdmin, http.StatusConflict, codeLastAdmin},
	{auth.ErrSetUp, http.StatusNotFound, signaling.CodeNotFound},
	{auth.ErrSetupToken, http.StatusForbidden, codeSetupToken},
	{enroll.ErrTokenUnknown, http.StatusForbidden, signaling.CodeTokenUnknown},
	{enroll.ErrTokenExpired, http.StatusForbidden, signaling.CodeTokenExpired},
	{enroll.ErrTokenSpent, http.StatusForbidden, signaling.CodeTokenSpent},
	{enroll.ErrTokenRevoked, http.StatusForbidden, signaling.CodeTokenRevoked},
	{dispatch.ErrNotInLibrary, http.StatusForbidden, signaling.CodeForbidden},
	{session.ErrOffline, http.StatusConflict, signaling.CodeOffline},
	{session.ErrEnded, http.StatusConflict, signaling.CodeEnded},
	{session.ErrTooMany, http.StatusConflict, signaling.CodeBusy},
	{session.ErrNotAllowed, http.StatusForbidden, signaling.CodeForbidden},
}

// retryUnavailable is when to try again after the database was away.
const retryUnavailable = 2 * time.Second

// problemOf is the one place where errors become what the sender is told.
func (a *API) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var many *auth.TooManyError
	if errors.As(err, &many) {
		p := problem(http.StatusTooManyRequests, signaling.CodeRateLimited, many.Error())
		p.RetryAfterMS = int64(math.Ceil(float64(many.RetryAfter) / float64(time.Millisecond)))
		return p
	}
	var wrong policy.Problems
	if errors.As(err, &wrong) {
		return settingProblems(wrong)
	}
	var fields mdm.FieldErrors
	if errors.As(err, &fields) {
		p := problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, mdm.Clean(err.Error(), 300))
		for _, one := range fields {
			p.Errors = append(p.Errors, FieldProblem{Location: strings.TrimSuffix("body."+one.Field, "."), Message: mdm.Clean(one.Message, 300)})
		}
		return p
	}
	var inUse *mdm.InUseError
	if errors.As(err, &inUse) {
		return problem(http.StatusConflict, codeConflict, inUse.Error())
	}
	switch {
	case errors.Is(err, mdm.ErrFull):
		return a.logged(ctx, err, problem(http.StatusInsufficientStorage, codeFull, "the gateway has no space left; nothing was stored"))
	case errors.Is(err, mdm.ErrUnavailable):
		p := problem(http.StatusServiceUnavailable, codeUnavailable, "the gateway cannot reach its database; nothing was stored")
		p.RetryAfterMS = retryUnavailable.Milliseconds()
		return a.logged(ctx, err, p)
	case errors.Is(err, mdm.ErrAlreadyExists):
		return problem(http.StatusConflict, codeExists, "that name is taken")
	case errors.Is(err, mdm.ErrConflict):
		return problem(http.StatusConflict, codeConflict, "something still hangs on it, or it changed meanwhile")
	case errors.Is(err, context.Canceled):
		return problem(499, signaling.CodeInternal, "the request was given up")
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return problem(k.status, k.code, wordsOf(err, k.err))
		}
	}
	return a.logged(ctx, err, problem(http.StatusInternalServerError, signaling.CodeInternal, "something went wrong in the gateway"))
}

// wordsOf is what to tell people: for a broken rule the whole text, which names the rule;
// else only the sentinel, as what wraps it names places in the gateway.
func wordsOf(err, sentinel error) string {
	if !errors.Is(sentinel, mdm.ErrInvalid) {
		return sentinel.Error()
	}
	return mdm.Clean(strings.TrimSuffix(err.Error(), ": "+sentinel.Error()), 300)
}

// logged gives the problem an id and writes the cause to the log under it.
func (a *API) logged(ctx context.Context, err error, p *Problem) *Problem {
	p.ID = mdm.NewID("err")
	rq := requestOf(ctx)
	a.log.ErrorContext(ctx, "request_failed", "id", p.ID, "operation", rq.operation, "operator", string(rq.caller.Operator.ID),
		"device", string(rq.device), "error", err)
	p.Detail += " (" + p.ID + ")"
	return p
}

// refused gives a refusal that somebody may have to look into an id and a line in the log. Not
// being signed in and asking for what is not there are everyday.
func (a *API) refused(ctx context.Context, p *Problem) *Problem {
	if p.ID != "" || p.quiet || p.Status == http.StatusUnauthorized && p.Code == signaling.CodeUnauthorized || p.Status == http.StatusNotFound {
		return p
	}
	c := *p // some are shared
	c.ID = mdm.NewID("err")
	rq := requestOf(ctx)
	a.log.InfoContext(ctx, "request_refused", "id", c.ID, "operation", rq.operation, "operator", string(rq.caller.Operator.ID),
		"device", string(rq.device), "address", rq.address, "code", string(c.Code), "detail", c.Detail)
	return &c
}

// problemOfHuma turns huma's own refusals into problems. The values it would echo stay
// here: one of them may be a password.
func (a *API) problemOfHuma(hc huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := signaling.CodeMalformed
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		code = signaling.CodeTooLarge
	case http.StatusInternalServerError:
		code = signaling.CodeInternal
	}
	p := problem(e.Status, code, e.Detail)
	for _, d := range e.Errors[:min(len(e.Errors), 20)] {
		p.Errors = append(p.Errors, FieldProblem{Location: mdm.Clean(d.Location, 100), Message: mdm.Clean(d.Message, 200)})
	}
	return a.refused(hc.Context(), p), nil
}

func (a *API) writeProblem(w http.ResponseWriter, p *Problem) {
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		a.log.Debug("problem_not_sent", "error", err)
	}
}

// recover answers a panic of an operation as any other fault of ours.
func (a *API) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
				a.writeProblem(w, a.logged(r.Context(), err, problem(http.StatusInternalServerError, signaling.CodeInternal, "something went wrong in the gateway")))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
