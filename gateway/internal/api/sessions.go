package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/signaling"
)

// SessionBody is a support session.
type SessionBody struct {
	ID           string     `json:"id"`
	DeviceID     string     `json:"device_id"`
	DeviceName   string     `json:"device_name" doc:"When the session was asked for"`
	GroupID      string     `json:"group_id"`
	OperatorID   string     `json:"operator_id"`
	OperatorName string     `json:"operator_name"`
	Reason       string     `json:"reason"`
	Asked        []string   `json:"asked" doc:"Capabilities"`
	Granted      []string   `json:"granted" doc:"Capabilities"`
	Consent      string     `json:"consent" enum:"ask,unattended"`
	State        string     `json:"state" enum:"requested,consented,live,ended,declined,expired,failed"`
	RequestedAt  time.Time  `json:"requested_at"`
	ConsentedAt  *time.Time `json:"consented_at,omitempty"`
	LiveAt       *time.Time `json:"live_at,omitempty"`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
	Deadline     *time.Time `json:"deadline,omitempty" doc:"While requested: when silence becomes a refusal"`
	EndedBy      string     `json:"ended_by,omitempty"`
	Message      string     `json:"message,omitempty" doc:"Why it ended, in words"`
}

// SessionDetail is a session with what happened in it.
type SessionDetail struct {
	SessionBody
	DeviceOnline bool           `json:"device_online"`
	Timeline     []TimelineBody `json:"timeline" doc:"Oldest first"`
}

// TimelineBody is one line of a session's timeline.
type TimelineBody struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Actor  string    `json:"actor"`
	Detail string    `json:"detail"`
}

func sessionBody(s session.Session) SessionBody {
	return SessionBody{
		ID: string(s.ID), DeviceID: string(s.Device), DeviceName: s.DeviceName, GroupID: string(s.Group), OperatorID: string(s.Operator),
		OperatorName: s.OperatorName, Reason: s.Reason, Asked: capabilityNames(s.Asked), Granted: capabilityNames(s.Granted),
		Consent: string(s.Consent), State: string(s.State), RequestedAt: s.RequestedAt, ConsentedAt: timePtr(s.ConsentedAt),
		LiveAt: timePtr(s.LiveAt), EndedAt: timePtr(s.EndedAt), Deadline: timePtr(s.Deadline), EndedBy: s.EndedBy, Message: s.Message,
	}
}

// NewSessionInput asks for a session.
type NewSessionInput struct {
	DeviceID     string   `json:"device_id" maxLength:"64"`
	Reason       string   `json:"reason,omitempty" maxLength:"500" doc:"Shown to the person at the device"`
	Capabilities []string `json:"capabilities" minItems:"1" maxItems:"16" enum:"view,control,clipboard,files,terminal,root,diagnostics,power,record"`
}

// AskInput asks for capabilities in a session that lives.
type AskInput struct {
	Capabilities []string `json:"capabilities" minItems:"1" maxItems:"16" enum:"view,control,clipboard,files,terminal,root,diagnostics,power,record" doc:"Those wanted in all"`
}

// EndInput ends a session.
type EndInput struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

type sessionQuery struct {
	Paging
	Device   string `query:"device" maxLength:"64"`
	Operator string `query:"operator" maxLength:"64"`
	State    string `query:"state" enum:"open,requested,consented,live,ended,declined,expired,failed" doc:"open: all that are not over"`
}

func (a *API) registerSessions() {
	tags := []string{"sessions"}
	operation(a, auth.SessionList, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/api/sessions", Tags: tags, Summary: "Sessions, newest first",
	}, a.listSessions)
	operation(a, auth.SessionView, huma.Operation{
		OperationID: "request-session", Method: http.MethodPost, Path: "/api/sessions", Tags: tags,
		Summary:     "Ask for a session on a device",
		Description: "Capabilities beyond view need session.control on the device's group.", DefaultStatus: http.StatusCreated,
	}, a.requestSession)
	operation(a, auth.SessionList, huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: "/api/sessions/{id}", Tags: tags, Summary: "One session with its timeline",
	}, a.getSession)
	operation(a, auth.SessionView, huma.Operation{
		OperationID: "end-session", Method: http.MethodPost, Path: "/api/sessions/{id}/end", Tags: tags,
		Summary:     "End a session for everybody in it",
		Description: "One's own; somebody else's needs session.control on the device's group.", DefaultStatus: http.StatusNoContent,
	}, a.endSession)
	operation(a, auth.SessionControl, huma.Operation{
		OperationID: "ask-session", Method: http.MethodPost, Path: "/api/sessions/{id}/ask", Tags: tags,
		Summary: "Ask the person at the device for more capabilities", DefaultStatus: http.StatusAccepted,
	}, a.askSession)
}

func (a *API) listSessions(ctx context.Context, in *sessionQuery) (*body[List[SessionBody]], error) {
	f := session.Filter{Device: mdm.DeviceID(in.Device), Operator: auth.OperatorID(in.Operator), After: in.After, Limit: in.Limit}
	f.Groups, f.AllGroups = callerOf(ctx).Groups(auth.SessionList)
	switch in.State {
	case "":
	case "open":
		f.States = []signaling.State{signaling.StateRequested, signaling.StateConsented, signaling.StateLive}
	default:
		f.States = []signaling.State{signaling.State(in.State)}
	}
	page, next, err := a.cfg.Sessions.Sessions(ctx, f)
	if err != nil {
		return nil, err
	}
	list := List[SessionBody]{Items: []SessionBody{}, Next: next}
	for _, s := range page {
		list.Items = append(list.Items, sessionBody(s))
	}
	return &body[List[SessionBody]]{list}, nil
}

func (a *API) requestSession(ctx context.Context, in *body[NewSessionInput]) (*body[SessionBody], error) {
	c, caps := callerOf(ctx), capabilitySet(in.Body.Capabilities)
	need := auth.SessionView
	if caps&^signaling.SetOf(signaling.View) != 0 {
		need = auth.SessionControl
	}
	d, err := a.deviceFor(ctx, in.Body.DeviceID, need)
	if err != nil {
		return nil, err
	}
	if d.IsRevoked() {
		return nil, errRevoked
	}
	s, err := a.cfg.Sessions.Request(ctx, c, d, mdm.Clean(in.Body.Reason, 500), caps)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, "session.request", deviceWho(d), d.Group, map[string]string{
		"session": string(s.ID), "capabilities": joinWords(capabilityNames(caps)), "reason": s.Reason, "consent": string(s.Consent),
	}); err != nil {
		// Nobody may look at a screen without a record of it.
		return nil, errors.Join(err, a.cfg.Sessions.End(ctx, c, s.ID, "the audit log could not be written"))
	}
	return &body[SessionBody]{sessionBody(s)}, nil
}

// sessionFor returns a session if the caller holds p on its group, else says there is none.
func (a *API) sessionFor(ctx context.Context, id string, p auth.Permission) (session.Session, error) {
	c := callerOf(ctx)
	if signaling.CheckID("ses", id) != nil {
		return session.Session{}, notFound("session")
	}
	s, err := a.cfg.Sessions.Session(ctx, signaling.SessionID(id))
	if errors.Is(err, mdm.ErrNotFound) || err == nil && !c.May(auth.SessionList, s.Group) && !c.May(p, s.Group) {
		return session.Session{}, notFound("session")
	}
	if err == nil && !c.May(p, s.Group) {
		return session.Session{}, errForbidden
	}
	return s, err
}

func (a *API) getSession(ctx context.Context, in *IDPath) (*body[SessionDetail], error) {
	s, err := a.sessionFor(ctx, in.ID, auth.SessionList)
	if err != nil {
		return nil, err
	}
	entries, err := a.cfg.Sessions.Timeline(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	d := SessionDetail{SessionBody: sessionBody(s), DeviceOnline: a.cfg.Links.IsOnline(s.Device), Timeline: []TimelineBody{}}
	for _, e := range entries {
		d.Timeline = append(d.Timeline, TimelineBody{Seq: e.Seq, At: e.At, Kind: e.Kind, Actor: e.Actor, Detail: e.Detail})
	}
	return &body[SessionDetail]{d}, nil
}

func sessionWho(s session.Session) audit.Who {
	return audit.Who{Kind: "session", ID: string(s.ID), Name: s.DeviceName}
}

func (a *API) endSession(ctx context.Context, in *idInput[EndInput]) (*empty, error) {
	s, err := a.sessionFor(ctx, in.ID, auth.SessionView)
	if err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	if s.Operator != c.Operator.ID && !c.May(auth.SessionControl, s.Group) {
		return nil, errForbidden
	}
	reason := mdm.Clean(in.Body.Reason, 500)
	if err := a.cfg.Sessions.End(ctx, c, s.ID, reason); err != nil {
		return nil, err
	}
	return nil, a.record(ctx, "session.end", sessionWho(s), s.Group, map[string]string{"reason": reason})
}

func (a *API) askSession(ctx context.Context, in *idInput[AskInput]) (*empty, error) {
	s, err := a.sessionFor(ctx, in.ID, auth.SessionControl)
	if err != nil {
		return nil, err
	}
	caps := capabilitySet(in.Body.Capabilities)
	if err := a.cfg.Sessions.Ask(ctx, callerOf(ctx), s.ID, caps); err != nil {
		return nil, err
	}
	return nil, a.record(ctx, "session.ask", sessionWho(s), s.Group, map[string]string{"capabilities": strings.Join(capabilityNames(caps), ", ")})
}
