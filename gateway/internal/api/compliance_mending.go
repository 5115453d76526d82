package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"handrail/gateway/internal/desire"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/compliance"
	"handrail/mdm/manifest"
)

// MendingBody is how the last remedy of a rule on a device goes.
type MendingBody struct {
	State     string    `json:"state" enum:"pending,done,failed" doc:"done: the device did what the remedy says; whether the rule is met is for the rule to say"`
	At        time.Time `json:"at" doc:"When it was ordered"`
	By        string    `json:"by" doc:"Name of the operator"`
	Message   string    `json:"message" doc:"What it waits for, or why it failed"`
	BulkID    string    `json:"bulk_id,omitempty" doc:"The order that has the script run"`
	CommandID string    `json:"command_id,omitempty" doc:"The device's command of it"`
	PolicyID  string    `json:"policy_id,omitempty" doc:"The policy that gives the setting"`
	Setting   string    `json:"setting,omitempty"`
}

// noteRemedies writes down what was ordered, so that a device's page can tell how it goes.
func (a *API) noteRemedies(ctx context.Context, r compliance.Rule, targets []command.Target, done RemediateBody) error {
	list := make([]compliance.Remedy, len(targets))
	for i, t := range targets {
		list[i] = compliance.Remedy{
			Device: t.Device, Rule: r.ID, At: a.cfg.Now(), By: callerOf(ctx).Operator.Name,
			Bulk: done.BulkID, Policy: done.PolicyID, Setting: r.Fix.Setting,
		}
	}
	return a.cfg.Compliance.Remedied(ctx, list)
}

// mending tells how the last remedies of a device go, by rule. checked is when the rules were
// last looked at.
func (a *API) mending(ctx context.Context, id mdm.DeviceID, checked time.Time) (map[string]*MendingBody, error) {
	list, err := a.cfg.Compliance.Remedies(ctx, []mdm.DeviceID{id}, "")
	if err != nil || len(list) == 0 {
		return nil, err
	}
	online := a.cfg.Links.Online()[id]
	var settings *desire.DeviceView
	out := make(map[string]*MendingBody, len(list))
	for _, r := range list {
		m := &MendingBody{State: "pending", At: r.At, By: r.By, BulkID: r.Bulk, PolicyID: r.Policy, Setting: r.Setting}
		if r.Bulk != "" {
			err = a.mendingByScript(ctx, r, online, checked, m)
		} else {
			if settings == nil {
				v, verr := a.cfg.Desire.Device(ctx, id)
				if verr != nil && !errors.Is(verr, mdm.ErrNotFound) {
					return nil, verr
				}
				settings = &v
			}
			a.mendingBySetting(settings, online, checked, m)
		}
		if err != nil {
			return nil, err
		}
		out[r.Rule] = m
	}
	return out, nil
}

func waitingFor(online bool, what string) string {
	if !online {
		return "The device is offline; it gets the " + what + " when it is back."
	}
	return "The " + what + " is on its way to the device."
}

func (a *API) mendingByScript(ctx context.Context, r compliance.Remedy, online bool, checked time.Time, m *MendingBody) error {
	page, err := a.cfg.Commands.Commands(ctx, command.Filter{Scope: command.Scope{All: true}, Device: r.Device, Bulk: command.BulkID(r.Bulk), Limit: 1})
	if err != nil {
		return err
	}
	if len(page.Commands) == 0 {
		m.State, m.Message = "failed", "The command is not kept any more."
		return nil
	}
	c := page.Commands[0]
	m.CommandID = string(c.ID)
	switch c.State {
	case command.Held:
		m.Message = "It waits for a second person's approval."
	case command.Queued:
		m.Message = waitingFor(online, "script")
	case command.Sent:
		m.Message = "The script runs on the device."
	case command.Succeeded:
		if m.State = "done"; a.maybeUnseen(checked, c.FinishedAt) {
			m.State, m.Message = "pending", "The script ran; the device has not reported since."
		}
	default:
		m.State, m.Message = "failed", scriptFailure(c)
	}
	return nil
}

func scriptFailure(c command.Command) string {
	switch {
	case c.State == command.Expired:
		return "The device did not fetch the script in time."
	case c.State == command.Cancelled:
		return "Cancelled by " + c.CancelBy + "."
	case c.State == command.Superseded:
		return "A newer order took its place."
	case c.ExitCode != nil && c.Reason == command.ReasonExitCode:
		return fmt.Sprintf("The script ended with code %d; its output is with the command.", *c.ExitCode)
	case c.Message != "":
		return c.Message
	}
	return "The script failed: " + string(c.Reason)
}

// reportWithin is how long a device may take to report what a remedy changed; one that changed
// nothing has nothing to report.
const reportWithin = time.Minute

// maybeUnseen reports whether what was done may be still to be looked at by the rules.
func (a *API) maybeUnseen(checked, done time.Time) bool {
	return checked.Before(done) && a.cfg.Now().Sub(done) < reportWithin
}

// mendingBySetting takes the state of the setting.
func (a *API) mendingBySetting(v *desire.DeviceView, online bool, checked time.Time, m *MendingBody) {
	for _, s := range v.Settings {
		if s.ID != manifest.ID(m.Setting) || s.Leaving {
			continue
		}
		switch s.State {
		case manifest.Applied:
			m.State, m.Message = "done", ""
			if s.Kept != nil && a.maybeUnseen(checked, time.UnixMicro(s.Kept.SinceUS)) {
				m.State, m.Message = "pending", "The setting is applied; the device has not reported since."
			} else if s.Source.Policy != m.PolicyID && s.Source.Policy != "" {
				m.Message = "Another policy decides this setting on the device."
			}
		case manifest.Pending:
			m.Message = waitingFor(online, "setting")
		case manifest.Conflict:
			m.State, m.Message = "failed", "Policies contradict each other: "+s.Conflict
		default:
			m.State, m.Message = "failed", "The device says: "+string(s.State)
			if s.Kept != nil && s.Kept.Message != "" {
				m.Message = s.Kept.Message
			}
		}
		return
	}
	if a.cfg.Now().Sub(m.At) > time.Minute {
		m.State, m.Message = "failed", "The device does not get this setting any more: the label or the policy was taken away."
		return
	}
	m.Message = waitingFor(online, "setting")
}
