package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/signaling"
)

// WhoBody is who acted, or what was acted upon, as named at the time.
type WhoBody struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// AuditBody is one entry of the audit log.
type AuditBody struct {
	Seq     int64             `json:"seq"`
	At      time.Time         `json:"at"`
	Actor   WhoBody           `json:"actor"`
	Action  string            `json:"action"`
	Target  WhoBody           `json:"target"`
	GroupID string            `json:"group_id,omitempty"`
	Address string            `json:"address"`
	Detail  map[string]string `json:"detail"`
	Hash    string            `json:"hash"`
}

// VerdictBody is the outcome of checking the audit log's chain.
type VerdictBody struct {
	OK      bool   `json:"ok"`
	Entries int64  `json:"entries" doc:"That follow each other without a fault"`
	Head    string `json:"head" doc:"Hash of the last of them"`
	Broken  int64  `json:"broken,omitempty" doc:"Entry at which the chain breaks"`
	Reason  string `json:"reason,omitempty"`
}

// OverviewBody is the state of everything the operator may see.
type OverviewBody struct {
	Devices   OverviewDevices  `json:"devices"`
	Sessions  OverviewSessions `json:"sessions"`
	Attention []AttentionBody  `json:"attention" doc:"What someone should look at, most urgent first"`
}

// OverviewDevices counts devices that are not revoked.
type OverviewDevices struct {
	Total  int64 `json:"total"`
	Online int64 `json:"online"`
}

// OverviewSessions counts open sessions.
type OverviewSessions struct {
	Live    int64 `json:"live"`
	Waiting int64 `json:"waiting" doc:"For an answer at the device"`
}

// AttentionBody is one thing to look at.
type AttentionBody struct {
	Kind       string    `json:"kind" enum:"session_waiting,identity_copied"`
	DeviceID   string    `json:"device_id"`
	DeviceName string    `json:"device_name"`
	SessionID  string    `json:"session_id,omitempty"`
	Message    string    `json:"message"`
	At         time.Time `json:"at"`
}

// SettingsBody is what the gateway is set to.
type SettingsBody struct {
	Organisation string        `json:"organisation"`
	Version      string        `json:"version"`
	GatewayKey   signaling.Key `json:"gateway_key" doc:"Ed25519, pinned by devices"`
	NextKey      signaling.Key `json:"next_key" doc:"Will replace gateway_key"`
	CASHA256     string        `json:"ca_sha256,omitempty" doc:"Of the gateway's own certificate authority, where it made one"`
}

type auditQuery struct {
	Paging
	Q      string `query:"q" maxLength:"256" doc:"Words; every one must occur"`
	Actor  string `query:"actor" maxLength:"64" doc:"Operator or device id"`
	Action string `query:"action" maxLength:"64" doc:"device.revoke; or device. for all about devices"`
}

func (a *API) registerRecords() {
	operation(a, auth.AuditView, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/api/audit", Tags: []string{"records"},
		Summary: "The audit log, newest first",
	}, a.listAudit)
	operation(a, auth.AuditView, huma.Operation{
		OperationID: "verify-audit", Method: http.MethodGet, Path: "/api/audit/verify", Tags: []string{"records"},
		Summary: "Check the audit log's chain from the first entry to the last",
	}, a.verifyAudit)
	operation(a, auth.OverviewView, huma.Operation{
		OperationID: "get-overview", Method: http.MethodGet, Path: "/api/overview", Tags: []string{"records"},
		Summary: "Counts, and what needs attention",
	}, a.getOverview)
	operation(a, auth.SettingsView, huma.Operation{
		OperationID: "get-settings", Method: http.MethodGet, Path: "/api/settings", Tags: []string{"records"},
		Summary: "What the gateway is set to",
	}, a.getSettings)
}

func (a *API) listAudit(ctx context.Context, in *auditQuery) (*body[List[AuditBody]], error) {
	f := audit.Filter{Query: in.Q, Actor: in.Actor, Action: in.Action, Limit: in.Limit}
	f.Groups, f.AllGroups = callerOf(ctx).Groups(auth.AuditView)
	if in.After != "" {
		var err error
		if f.Before, err = strconv.ParseInt(in.After, 10, 64); err != nil || f.Before <= 0 {
			return nil, fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
	}
	es, next, err := a.cfg.Audit.Entries(ctx, f)
	if err != nil {
		return nil, err
	}
	list := List[AuditBody]{Items: []AuditBody{}}
	if next > 0 {
		list.Next = strconv.FormatInt(next, 10)
	}
	for _, e := range es {
		list.Items = append(list.Items, AuditBody{
			Seq: e.Seq, At: e.At, Actor: WhoBody(e.Actor), Action: e.Action, Target: WhoBody(e.Target), GroupID: string(e.Group),
			Address: e.Address, Detail: e.Detail, Hash: e.Hash,
		})
	}
	return &body[List[AuditBody]]{list}, nil
}

func (a *API) verifyAudit(ctx context.Context, _ *empty) (*body[VerdictBody], error) {
	if _, all := callerOf(ctx).Groups(auth.AuditView); !all {
		return nil, problem(http.StatusForbidden, signaling.CodeForbidden, "the whole log is for auditors of all devices")
	}
	v, err := a.cfg.Audit.Verify(ctx)
	if err != nil {
		return nil, err
	}
	if !v.OK() {
		a.log.ErrorContext(ctx, "audit_chain_broken", "entry", v.Broken, "reason", v.Reason)
	}
	return &body[VerdictBody]{VerdictBody{OK: v.OK(), Entries: v.Entries, Head: v.Head, Broken: v.Broken, Reason: v.Reason}}, nil
}

func (a *API) getOverview(ctx context.Context, _ *empty) (*body[OverviewBody], error) {
	groups, all := callerOf(ctx).Groups(auth.OverviewView)
	total, online, err := a.countDevices(ctx, groups, all)
	if err != nil {
		return nil, err
	}
	counts, err := a.cfg.Sessions.Counts(ctx, groups, all)
	if err != nil {
		return nil, err
	}
	attention, err := a.attention(ctx, groups, all)
	if err != nil {
		return nil, err
	}
	return &body[OverviewBody]{OverviewBody{
		Devices: OverviewDevices{Total: total, Online: online}, Sessions: OverviewSessions{Live: counts.Live, Waiting: counts.Waiting},
		Attention: attention,
	}}, nil
}

// countOnline counts the connected devices of the groups. Of all groups they are counted
// without the database.
// countDevices counts devices of groups that are welcome, and those of them that are connected.
func (a *API) countDevices(ctx context.Context, groups []mdm.GroupID, all bool) (total, online int64, err error) {
	q := fleet.Query{Groups: groups, AllGroups: all}
	n, err := a.cfg.Fleet.Count(ctx, q)
	if err != nil {
		return 0, 0, err
	}
	q.Terms = []device.Term{{Field: "state", Op: device.Is, Value: "online"}}
	on, err := a.cfg.Fleet.Count(ctx, q)
	return int64(n), int64(on), err
}

// maxAttention bounds each kind of thing to look at.
const maxAttention = 20

func (a *API) attention(ctx context.Context, groups []mdm.GroupID, all bool) ([]AttentionBody, error) {
	out := []AttentionBody{}
	waiting, _, err := a.cfg.Sessions.Sessions(ctx, session.Filter{
		States: []signaling.State{signaling.StateRequested}, Groups: groups, AllGroups: all, Limit: maxAttention,
	})
	if err != nil {
		return nil, err
	}
	for _, s := range waiting {
		out = append(out, AttentionBody{
			Kind: "session_waiting", DeviceID: string(s.Device), DeviceName: s.DeviceName, SessionID: string(s.ID),
			Message: s.OperatorName + " waits for an answer at the device", At: s.RequestedAt,
		})
	}
	copied, err := a.cfg.Devices.Devices(ctx, device.Filter{Copied: true, Groups: groups, AllGroups: all, Limit: maxAttention})
	if err != nil {
		return nil, err
	}
	for _, d := range copied.Devices {
		out = append(out, AttentionBody{
			Kind: "identity_copied", DeviceID: string(d.ID), DeviceName: d.Name, At: d.CopiedAt,
			Message: "another machine tried to connect with this device's identity and was refused",
		})
	}
	return out, nil
}

func (a *API) getSettings(ctx context.Context, _ *empty) (*body[SettingsBody], error) {
	organisation, err := a.cfg.Auth.Organisation(ctx)
	if err != nil {
		return nil, err
	}
	return &body[SettingsBody]{SettingsBody{
		Organisation: organisation, Version: a.cfg.Version, GatewayKey: a.cfg.Identity.Key(), NextKey: a.cfg.Identity.NextKey(),
		CASHA256: a.cfg.CASHA256,
	}}, nil
}
