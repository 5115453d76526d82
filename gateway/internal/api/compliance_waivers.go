package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/signaling"
)

// WaiverBody excuses a device or a group from a rule for a time.
type WaiverBody struct {
	ID         string     `json:"id"`
	Rule       string     `json:"rule"`
	DeviceID   string     `json:"device_id,omitempty"`
	DeviceName string     `json:"device_name,omitempty"`
	GroupID    string     `json:"group_id,omitempty" doc:"The group and those below it"`
	GroupPath  []string   `json:"group_path,omitempty"`
	Owner      string     `json:"owner" doc:"Who answers for it"`
	Reason     string     `json:"reason"`
	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by" doc:"Operator id"`
	ExpiresAt  time.Time  `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	Holds      bool       `json:"holds" doc:"It excuses now"`
}

// NewWaiverInput makes a waiver: for a device or for a group.
type NewWaiverInput struct {
	Rule      string    `json:"rule" minLength:"1" maxLength:"64"`
	DeviceID  string    `json:"device_id,omitempty" maxLength:"64"`
	GroupID   string    `json:"group_id,omitempty" maxLength:"64"`
	Owner     string    `json:"owner" minLength:"1" maxLength:"128" doc:"Who answers for it"`
	Reason    string    `json:"reason" minLength:"1" maxLength:"1000"`
	ExpiresAt time.Time `json:"expires_at" doc:"Within two years"`
}

type waiverQuery struct {
	Rule   string `query:"rule" maxLength:"64"`
	Device string `query:"device" maxLength:"64"`
	Past   bool   `query:"past" doc:"Those that ended too"`
}

func (a *API) registerWaivers(tags []string) {
	operation(a, auth.ComplianceView, huma.Operation{
		OperationID: "list-waivers", Method: http.MethodGet, Path: "/api/compliance/waivers", Tags: tags, Summary: "Waivers, newest first",
	}, a.listWaivers)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "create-waiver", Method: http.MethodPost, Path: "/api/compliance/waivers", Tags: tags,
		Summary: "Excuse a device or a group from a rule for a time", DefaultStatus: http.StatusCreated,
	}, a.createWaiver)
	operation(a, auth.ComplianceManage, huma.Operation{
		OperationID: "revoke-waiver", Method: http.MethodDelete, Path: "/api/compliance/waivers/{id}", Tags: tags,
		Summary: "End a waiver now; that there was one stays known", DefaultStatus: http.StatusNoContent,
	}, a.revokeWaiver)
}

func (a *API) waiverBody(ctx context.Context, w compliance.Waiver) WaiverBody {
	b := WaiverBody{
		ID: w.ID, Rule: w.Rule, DeviceID: string(w.Device), GroupID: string(w.Group), Owner: w.Owner, Reason: w.Reason, CreatedAt: w.CreatedAt,
		CreatedBy: w.CreatedBy, ExpiresAt: w.ExpiresAt, RevokedAt: timePtr(w.RevokedAt), Holds: w.Holds(a.cfg.Now()),
	}
	if w.Group != "" {
		b.GroupPath = callerOf(ctx).Tree().Path(w.Group)
	}
	if w.Device != "" {
		if d, err := a.cfg.Devices.Device(ctx, w.Device); err == nil {
			b.DeviceName = d.Name
		}
	}
	return b
}

// waiverGroup is the group whose rights decide about a waiver.
func (a *API) waiverGroup(ctx context.Context, w compliance.Waiver) (mdm.GroupID, error) {
	if w.Group != "" {
		return w.Group, nil
	}
	d, err := a.cfg.Devices.Device(ctx, w.Device)
	return d.Group, err
}

// maxWaivers is how many a list shows; the newest.
const maxWaivers = 1000

func (a *API) listWaivers(ctx context.Context, in *waiverQuery) (*body[List[WaiverBody]], error) {
	f := compliance.WaiverFilter{Rule: in.Rule, Device: mdm.DeviceID(in.Device), Limit: maxWaivers}
	if !in.Past {
		f.HoldingAt = a.cfg.Now()
	}
	list, err := a.cfg.Compliance.Waivers(ctx, f)
	if err != nil {
		return nil, err
	}
	out := List[WaiverBody]{Items: []WaiverBody{}}
	for _, w := range list {
		g, err := a.waiverGroup(ctx, w)
		if err == nil && callerOf(ctx).May(auth.ComplianceView, g) {
			out.Items = append(out.Items, a.waiverBody(ctx, w))
		}
	}
	return &body[List[WaiverBody]]{out}, nil
}

func (a *API) createWaiver(ctx context.Context, in *body[NewWaiverInput]) (*body[WaiverBody], error) {
	w := compliance.Waiver{
		Rule: in.Body.Rule, Device: mdm.DeviceID(in.Body.DeviceID), Group: mdm.GroupID(in.Body.GroupID), Owner: in.Body.Owner, Reason: in.Body.Reason,
		ExpiresAt: in.Body.ExpiresAt.UTC().Truncate(time.Microsecond), CreatedBy: string(callerOf(ctx).Operator.ID),
	}
	if w.Device != "" {
		if _, err := a.deviceFor(ctx, string(w.Device), auth.ComplianceManage); err != nil {
			return nil, err
		}
	}
	if w.Group != "" && !callerOf(ctx).May(auth.ComplianceManage, w.Group) {
		return nil, notFound("group")
	}
	w, err := a.cfg.Compliance.Waive(ctx, w, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &body[WaiverBody]{a.waiverBody(ctx, w)}, a.waiverDone(ctx, "compliance.waive", w)
}

func (a *API) waiverDone(ctx context.Context, action string, w compliance.Waiver) error {
	a.cfg.Comply.Nudge()
	a.cfg.Changed(signaling.TopicCompliance)
	g, err := a.waiverGroup(ctx, w)
	if err != nil {
		return err
	}
	return a.record(ctx, action, auditRule(compliance.Rule{ID: w.Rule}), g, map[string]string{
		"waiver": w.ID, "device": string(w.Device), "group": string(w.Group), "owner": w.Owner, "reason": w.Reason, "expires": w.ExpiresAt.Format(time.RFC3339),
	})
}

func (a *API) revokeWaiver(ctx context.Context, in *IDPath) (*empty, error) {
	list, err := a.cfg.Compliance.Waivers(ctx, compliance.WaiverFilter{ID: in.ID})
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, notFound("waiver")
	}
	if g, err := a.waiverGroup(ctx, list[0]); err != nil || !callerOf(ctx).May(auth.ComplianceManage, g) {
		return nil, notFound("waiver")
	}
	w, err := a.cfg.Compliance.Revoke(ctx, in.ID, string(callerOf(ctx).Operator.ID), a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return nil, a.waiverDone(ctx, "compliance.waiver_revoke", w)
}
