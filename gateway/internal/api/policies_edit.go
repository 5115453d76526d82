package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
	"handrail/signaling"
)

// NewPolicyInput makes a policy.
type NewPolicyInput struct {
	Name        string        `json:"name" minLength:"1" maxLength:"80"`
	Description string        `json:"description,omitempty" maxLength:"2000"`
	Settings    []SettingBody `json:"settings,omitempty" maxItems:"1000" doc:"Become the draft"`
}

// PolicyChange changes what people call a policy; what is left out stays.
type PolicyChange struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"80"`
	Description *string `json:"description,omitempty" maxLength:"2000"`
}

// DraftInput is the whole draft.
type DraftInput struct {
	Settings []SettingBody `json:"settings" maxItems:"1000"`
}

// PublishInput makes the draft a version.
type PublishInput struct {
	Note    string       `json:"note,omitempty" maxLength:"2000" doc:"What changed, for those who read the versions"`
	Rollout *RolloutPlan `json:"rollout,omitempty" doc:"In stages; left out: at once"`
}

// ActivateInput puts a version in force.
type ActivateInput struct {
	Version int64        `json:"version" minimum:"0" doc:"0 takes the policy off all devices"`
	Rollout *RolloutPlan `json:"rollout,omitempty" doc:"In stages; left out: at once"`
}

// AssignInput replaces the assignments.
type AssignInput struct {
	Assignments []AssignmentBody `json:"assignments" maxItems:"64"`
}

type policyInput[T any] struct {
	IDPath
	Match
	Body T
}

// PolicyMatch is a policy, at a revision.
type PolicyMatch struct {
	IDPath
	Match
}

type versionMatch struct {
	PolicyMatch
	Number int64 `path:"number" minimum:"1"`
}

func (a *API) createPolicy(ctx context.Context, in *body[NewPolicyInput]) (*policyAnswer, error) {
	p, err := a.cfg.Policies.Create(ctx, in.Body.Name, in.Body.Description, settingsOf(in.Body.Settings), a.actor(ctx))
	if err != nil {
		return nil, err
	}
	return a.policyDone(ctx, "policy.create", p, nil)
}

// changing is a change of a policy under If-Match, by somebody who may.
func (a *API) changing(ctx context.Context, id string, m Match) (policy.Policy, int64, error) {
	p, err := a.policyFor(ctx, id, auth.PolicyManage)
	if err != nil {
		return p, 0, err
	}
	rev, err := m.revision()
	if err == nil && rev == 0 {
		rev = p.Revision // what was checked is what is changed
	}
	return p, rev, err
}

func (a *API) changePolicy(ctx context.Context, in *policyInput[PolicyChange]) (*policyAnswer, error) {
	_, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	p, err := a.cfg.Policies.Rename(ctx, policy.ID(in.ID), rev, in.Body.Name, in.Body.Description, a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	return a.policyDone(ctx, "policy.change", p, nil)
}

func (a *API) deletePolicy(ctx context.Context, in *PolicyMatch) (*empty, error) {
	p, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Policies.Delete(ctx, p.ID, rev, a.cfg.Now()); err != nil {
		return nil, stale(err)
	}
	a.cfg.Desire.Wake()
	a.cfg.Changed(signaling.TopicPolicies, in.ID)
	return nil, a.record(ctx, "policy.delete", policyWho(p), "", map[string]string{"version": strconv.FormatInt(p.Live, 10)})
}

func (a *API) saveDraft(ctx context.Context, in *policyInput[DraftInput]) (*policyAnswer, error) {
	_, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	p, err := a.cfg.Policies.SaveDraft(ctx, policy.ID(in.ID), rev, settingsOf(in.Body.Settings), a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	return a.policyDone(ctx, "policy.draft", p, map[string]string{"settings": strconv.Itoa(len(in.Body.Settings))})
}

func (a *API) discardDraft(ctx context.Context, in *PolicyMatch) (*policyAnswer, error) {
	_, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	p, err := a.cfg.Policies.DiscardDraft(ctx, policy.ID(in.ID), rev, a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	return a.policyDone(ctx, "policy.draft_discard", p, nil)
}

func (a *API) editVersion(ctx context.Context, in *versionMatch) (*policyAnswer, error) {
	_, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	p, err := a.cfg.Policies.EditVersion(ctx, policy.ID(in.ID), rev, in.Number, a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	return a.policyDone(ctx, "policy.draft", p, map[string]string{"from": strconv.FormatInt(in.Number, 10)})
}

// noRollout refuses to change what is in force under a roll-out.
func (a *API) noRollout(ctx context.Context, id policy.ID) error {
	under, err := a.rolloutsUnderWay(ctx, id)
	if err == nil && len(under) > 0 {
		return problem(http.StatusConflict, codeConflict, "a roll-out of this policy is under way: wait for it, or stop it first")
	}
	return err
}

func (a *API) publishPolicy(ctx context.Context, in *policyInput[PublishInput]) (*policyAnswer, error) {
	before, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	if err := a.noRollout(ctx, before.ID); err != nil {
		return nil, err
	}
	if in.Body.Rollout != nil {
		if err := in.Body.Rollout.plan().Check(); err != nil {
			return nil, err
		}
	}
	p, v, err := a.cfg.Policies.Publish(ctx, before.ID, rev, in.Body.Note, in.Body.Rollout == nil, a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	detail := map[string]string{"version": strconv.FormatInt(v.Number, 10), "note": v.Note}
	if in.Body.Rollout != nil {
		if detail["rollout"], err = a.startRollout(ctx, p, v.Number, *in.Body.Rollout); err != nil {
			return nil, err
		}
	}
	return a.policyDone(ctx, "policy.publish", p, detail)
}

func (a *API) startRollout(ctx context.Context, p policy.Policy, to int64, plan RolloutPlan) (string, error) {
	r, err := rollout.New(p.ID, p.Live, to, plan.plan(), string(callerOf(ctx).Operator.ID), a.cfg.Now())
	if err != nil {
		return "", err
	}
	return string(r.ID), a.cfg.Desire.StartRollout(ctx, r)
}

func (a *API) activatePolicy(ctx context.Context, in *policyInput[ActivateInput]) (*policyAnswer, error) {
	before, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"version": strconv.FormatInt(in.Body.Version, 10), "before": strconv.FormatInt(before.Live, 10)}
	if in.Body.Rollout != nil {
		if in.Body.Version == 0 {
			return nil, fmt.Errorf("a policy is taken off at once, not in stages: %w", mdm.ErrInvalid)
		}
		if err := a.noRollout(ctx, before.ID); err != nil {
			return nil, err
		}
		if rev != before.Revision {
			return nil, stale(mdm.ErrConflict)
		}
		if detail["rollout"], err = a.startRollout(ctx, before, in.Body.Version, *in.Body.Rollout); err != nil {
			return nil, err
		}
		return a.policyDone(ctx, "policy.activate", before, detail)
	}
	p, err := a.cfg.Policies.Activate(ctx, before.ID, rev, in.Body.Version, a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	// A roll-out under way sees another version than the one it began from, and ends.
	return a.policyDone(ctx, "policy.activate", p, detail)
}

// checkTargets refuses assignments to groups there are none of.
func checkTargets(c auth.Caller, list []policy.Assignment) error {
	for i, one := range list {
		for _, s := range []policy.Scope{one.Include, one.Exclude} {
			for _, g := range s.Groups {
				if _, ok := c.Tree().Group(g); !ok {
					return fmt.Errorf("assignment %d: no group %q: %w", i+1, mdm.Clean(string(g), 64), mdm.ErrInvalid)
				}
			}
		}
	}
	return nil
}

func (a *API) assignPolicy(ctx context.Context, in *policyInput[AssignInput]) (*policyAnswer, error) {
	before, rev, err := a.changing(ctx, in.ID, in.Match)
	if err != nil {
		return nil, err
	}
	list := assignmentsOf(in.Body.Assignments)
	if err := checkTargets(callerOf(ctx), list); err != nil {
		return nil, err
	}
	if !mayManage(callerOf(ctx), list) {
		return nil, errForbidden
	}
	p, err := a.cfg.Policies.Assign(ctx, before.ID, rev, list, a.actor(ctx))
	if err != nil {
		return nil, stale(err)
	}
	var to []string
	for _, one := range p.Assignments {
		for _, g := range one.Include.Groups {
			to = append(to, strings.Join(callerOf(ctx).Tree().Path(g), " / "))
		}
		for _, l := range one.Include.Labels {
			to = append(to, string(l))
		}
	}
	return a.policyDone(ctx, "policy.assign", p, map[string]string{"to": strings.Join(to, ", ")})
}
