package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// RolloutStage is one step: so much of the fleet, for at least so long.
type RolloutStage struct {
	Percent     int   `json:"percent" minimum:"1" maximum:"100" doc:"Of the devices; grows from stage to stage, to 100 at last"`
	SoakSeconds int64 `json:"soak_seconds" minimum:"0" maximum:"2592000"`
}

// RolloutPlan is how a roll-out goes.
type RolloutPlan struct {
	Stages           []RolloutStage `json:"stages" minItems:"1" maxItems:"20"`
	MaxFailedPercent int            `json:"max_failed_percent" minimum:"0" maximum:"100" doc:"Of the devices reached; one more and it returns by itself"`
	ReportedPercent  int            `json:"reported_percent,omitempty" minimum:"0" maximum:"100" doc:"Must have reported before the next stage; 0 means 50"`
}

func (p RolloutPlan) plan() rollout.Plan {
	out := rollout.Plan{MaxFailedPercent: p.MaxFailedPercent, ReportedPercent: p.ReportedPercent}
	for _, s := range p.Stages {
		out.Stages = append(out.Stages, rollout.Stage(s))
	}
	return out
}

// RolloutBody is a roll-out.
type RolloutBody struct {
	ID         rollout.ID       `json:"id"`
	PolicyID   policy.ID        `json:"policy_id"`
	PolicyName string           `json:"policy_name"`
	From       int64            `json:"from" doc:"Version before; 0: none"`
	To         int64            `json:"to"`
	State      rollout.State    `json:"state" enum:"running,paused,done,returned"`
	Reason     string           `json:"reason,omitempty" doc:"Why it returned"`
	Plan       RolloutPlan      `json:"plan"`
	Stage      int              `json:"stage" doc:"From 0"`
	StageAt    time.Time        `json:"stage_at"`
	NextAt     *time.Time       `json:"next_at,omitempty" doc:"When the soak of the stage ends"`
	Progress   rollout.Progress `json:"progress"`
	By         string           `json:"by"`
	CreatedAt  time.Time        `json:"created_at"`
	UpdatedAt  time.Time        `json:"updated_at"`
	MayManage  bool             `json:"may_manage"`
}

type rolloutQuery struct {
	Paging
	Policy   string `query:"policy" maxLength:"64"`
	UnderWay bool   `query:"under_way" doc:"Only those running or paused"`
	State    string `query:"state" enum:"running,paused,done,returned" doc:"Left out: any"`
}

// RolloutDevice is a device that a roll-out has reached.
type RolloutDevice struct {
	DeviceID  string   `json:"device_id"`
	Name      string   `json:"name"`
	GroupPath []string `json:"group_path"`
	State     string   `json:"state" enum:"applied,pending,failed,conflict" doc:"Of the version rolled out; conflict: it contradicts other policies there"`
}

type rolloutDevicesQuery struct {
	IDPath
	Paging
	State string `query:"state" enum:"applied,pending,failed,conflict" doc:"Failed has those in conflict with it; left out: any"`
}

type rolloutVerb struct {
	IDPath
	Verb string `path:"verb" enum:"pause,resume,next,stop"`
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"2000" doc:"Of stop"`
	}
}

func (a *API) registerRollouts() {
	tags := []string{"rollouts"}
	operation(a, auth.PolicyView, huma.Operation{
		OperationID: "list-rollouts", Method: http.MethodGet, Path: "/api/rollouts", Tags: tags, Summary: "Roll-outs, newest first",
	}, a.listRollouts)
	operation(a, auth.PolicyView, huma.Operation{
		OperationID: "get-rollout", Method: http.MethodGet, Path: "/api/rollouts/{id}", Tags: tags, Summary: "One roll-out",
	}, a.getRollout)
	operation(a, auth.PolicyView, huma.Operation{
		OperationID: "list-rollout-devices", Method: http.MethodGet, Path: "/api/rollouts/{id}/devices", Tags: tags,
		Summary: "Devices that a roll-out under way has reached, by how they stand",
	}, a.listRolloutDevices)
	operation(a, auth.PolicyManage, huma.Operation{
		OperationID: "change-rollout", Method: http.MethodPost, Path: "/api/rollouts/{id}/{verb}", Tags: tags,
		Summary: "Pause, resume, go on to the next stage now, or stop and return to the version before",
	}, a.changeRollout)
}

func (a *API) rolloutBody(ctx context.Context, r rollout.Rollout, name string, names *operatorNames) RolloutBody {
	progress, err := a.cfg.Desire.Progress(ctx, r, a.viewer(ctx))
	if err != nil {
		a.log.WarnContext(ctx, "rollout_not_counted", "rollout", string(r.ID), "error", err)
	}
	b := RolloutBody{
		ID: r.ID, PolicyID: r.Policy, PolicyName: name, From: r.From, To: r.To, State: r.State, Reason: r.Reason,
		Plan:  RolloutPlan{MaxFailedPercent: r.Plan.MaxFailedPercent, ReportedPercent: r.Plan.ReportedPercent, Stages: []RolloutStage{}},
		Stage: r.Stage, StageAt: r.StageAt, NextAt: timePtr(r.Next()), Progress: progress, By: names.of(ctx, r.By),
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	for _, s := range r.Plan.Stages {
		b.Plan.Stages = append(b.Plan.Stages, RolloutStage(s))
	}
	return b
}

func (a *API) listRollouts(ctx context.Context, in *rolloutQuery) (*body[List[RolloutBody]], error) {
	list, next, err := a.cfg.Desire.Rollouts(ctx, rollout.Filter{Policy: policy.ID(in.Policy), UnderWay: in.UnderWay, State: rollout.State(in.State), Cursor: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := List[RolloutBody]{Items: []RolloutBody{}, Next: next}
	names := a.names()
	for _, r := range list {
		p, err := a.policyFor(ctx, string(r.Policy), auth.PolicyView)
		var hidden *Problem
		if errors.As(err, &hidden) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b := a.rolloutBody(ctx, r, p.Name, names)
		b.MayManage = mayManage(callerOf(ctx), p.Assignments)
		out.Items = append(out.Items, b)
	}
	return &body[List[RolloutBody]]{out}, nil
}

func (a *API) rolloutFor(ctx context.Context, id string, p auth.Permission) (rollout.Rollout, policy.Policy, error) {
	r, err := a.cfg.Desire.Rollout(ctx, rollout.ID(id))
	if errors.Is(err, mdm.ErrNotFound) {
		return r, policy.Policy{}, notFound("roll-out")
	}
	if err != nil {
		return r, policy.Policy{}, err
	}
	of, err := a.policyFor(ctx, string(r.Policy), p)
	return r, of, err
}

func (a *API) getRollout(ctx context.Context, in *IDPath) (*body[RolloutBody], error) {
	r, p, err := a.rolloutFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	b := a.rolloutBody(ctx, r, p.Name, a.names())
	b.MayManage = mayManage(callerOf(ctx), p.Assignments)
	return &body[RolloutBody]{b}, nil
}

func (a *API) listRolloutDevices(ctx context.Context, in *rolloutDevicesQuery) (*body[List[RolloutDevice]], error) {
	r, _, err := a.rolloutFor(ctx, in.ID, auth.PolicyView)
	if err != nil {
		return nil, err
	}
	if r.State != rollout.Running && r.State != rollout.Paused {
		return nil, problem(http.StatusConflict, codeConflict, "the roll-out is over: how devices stand today is on the policy's page")
	}
	page, err := a.cfg.Desire.Reached(ctx, r, a.viewer(ctx), manifest.State(in.State), mdm.DeviceID(in.After), in.Limit)
	if err != nil {
		return nil, err
	}
	out := List[RolloutDevice]{Items: []RolloutDevice{}}
	if len(page) == 0 {
		return &body[List[RolloutDevice]]{out}, nil
	}
	if len(page) == in.Limit {
		out.Next = string(page[in.Limit-1].Device)
	}
	f := device.Filter{Standing: device.Any, Limit: len(page)}
	f.Groups, f.AllGroups = callerOf(ctx).Groups(auth.DeviceView)
	for _, d := range page {
		f.IDs = append(f.IDs, d.Device)
	}
	found, err := a.cfg.Devices.Devices(ctx, f)
	if err != nil {
		return nil, err
	}
	known := make(map[mdm.DeviceID]device.Device, len(page))
	for _, d := range found.Devices {
		known[d.ID] = d
	}
	for _, d := range page {
		is, ok := known[d.Device]
		if !ok {
			continue // deleted meanwhile, or not for the caller to see
		}
		out.Items = append(out.Items, RolloutDevice{
			DeviceID: string(d.Device), Name: is.Name, GroupPath: callerOf(ctx).Tree().Path(is.Group), State: string(d.State),
		})
	}
	return &body[List[RolloutDevice]]{out}, nil
}

func (a *API) changeRollout(ctx context.Context, in *rolloutVerb) (*body[RolloutBody], error) {
	r, p, err := a.rolloutFor(ctx, in.ID, auth.PolicyManage)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	r, err = a.cfg.Desire.ChangeRollout(ctx, r.ID, func(r rollout.Rollout) (rollout.Rollout, error) {
		switch in.Verb {
		case "pause":
			return r.Pause(now)
		case "resume":
			return r.Resume(now)
		case "next":
			return r.Skip(now)
		}
		why := in.Body.Reason
		if why == "" {
			why = "stopped by " + callerOf(ctx).Operator.Name
		}
		return r.Stop(why, now)
	})
	if errors.Is(err, mdm.ErrConflict) {
		return nil, problem(http.StatusConflict, codeConflict, "the roll-out has moved on: look at it again")
	}
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, "rollout."+in.Verb, policyWho(p), "", map[string]string{"rollout": in.ID, "reason": in.Body.Reason}); err != nil {
		return nil, err
	}
	b := a.rolloutBody(ctx, r, p.Name, a.names())
	b.MayManage = true
	return &body[RolloutBody]{b}, nil
}
