package server

import (
	"context"
	"strings"
	"time"

	"handrail/gateway/internal/baseline"
	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/signaling"
)

// openCompliance makes the rooms of compliance.
func (s *Server) openCompliance() error {
	compiler, err := rule.NewCompiler()
	if err != nil {
		return err
	}
	s.Compliance = compliance.New(s.Store, baseline.Rules(), comply.Check(compiler))
	s.Comply, err = comply.New(comply.Config{
		Store:    s.Store,
		Rules:    s.Compliance,
		Compiler: compiler,
		Tree:     s.Groups.Tree,
		Changed:  func(ids ...string) { s.changed(signaling.TopicCompliance, ids...) },
		Lag:      s.Fleet.Lag,
	}, s.log)
	return err
}

// nudgeCompliance has what changed looked at soon; what is due is in the database.
func (s *Server) nudgeCompliance(topic signaling.Topic) {
	switch topic {
	case signaling.TopicDevices, signaling.TopicGroups, signaling.TopicLabels:
		if s.Comply != nil {
			s.Comply.Nudge()
		}
	default:
	}
}

// settingsReported is told of devices whose settings' states changed.
func (s *Server) settingsReported(names ...string) {
	ids := make([]mdm.DeviceID, len(names))
	for i, n := range names {
		ids[i] = mdm.DeviceID(n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Comply.SettingsChanged(ctx, ids...); err != nil {
		s.log.Warn("compliance_unmarked", "error", err)
	}
}

// complianceFields are the fields of a search about compliance: "rule" as slug or
// slug/state, and "compliance" as the overall state.
func (s *Server) complianceFields() map[string]fleet.Resolver {
	return map[string]fleet.Resolver{
		"rule": func(ctx context.Context, value string) ([]mdm.DeviceID, error) {
			id, state, ok := strings.Cut(value, "/")
			if !ok {
				state = string(compliance.NonCompliant)
			}
			return s.devicesStanding(ctx, compliance.DeviceQuery{Rule: id, State: compliance.State(state)})
		},
		"compliance": func(ctx context.Context, value string) ([]mdm.DeviceID, error) {
			return s.devicesStanding(ctx, compliance.DeviceQuery{State: compliance.State(value)})
		},
	}
}

// devicesStanding lists every device a query selects; what the operator may see of them is
// the search's part.
func (s *Server) devicesStanding(ctx context.Context, q compliance.DeviceQuery) ([]mdm.DeviceID, error) {
	q.Scope, q.Limit = compliance.Scope{All: true}, compliance.MaxPage
	out := []mdm.DeviceID{}
	for {
		page, more, err := s.Compliance.Devices(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			out = append(out, d.Device)
		}
		if !more {
			return out, nil
		}
		q.After = page[len(page)-1].Device
	}
}
