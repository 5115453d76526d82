package server

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/internal/browser"
	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/label"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/signaling"
)

// openFleet makes the rooms of labels and searches.
func (s *Server) openFleet() error {
	s.Labels = label.New(s.Store)
	atRest := 0
	var err error
	s.Fleet, err = fleet.New(fleet.Config{
		Store:  s.Store,
		Labels: s.Labels,
		Groups: s.Groups.Tree,
		Online: func() map[mdm.DeviceID]bool { return s.Links.Online() },
		Fields: s.searchFields(),
		Relabeled: func(ids []mdm.DeviceID) {
			names := make([]string, len(ids))
			for i, id := range ids {
				names[i] = string(id)
			}
			s.changed(signaling.TopicDevices, names...)
		},
		Rush: func(on bool) {
			// A gateway at rest is small; one that takes in a whole fleet is quick.
			if on {
				atRest = debug.SetGCPercent(gcInARush)
			} else {
				debug.SetGCPercent(atRest)
			}
		},
	}, s.log)
	return err
}

// gcInARush trades memory for speed: a fleet's first inventories make much garbage for a minute.
const gcInARush = 250

// runFleet follows what changes on every node, and does what changes leave behind.
func (s *Server) runFleet(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Fleet.Run(ctx) })
	g.Go(func() error { return browser.FollowChanges(ctx, s.Bus, s.touchFleet) })
	g.Go(func() error { return browser.FollowChanges(ctx, s.Bus, s.countAgain) })
	return g.Wait()
}

// touchFleet has the next search read anew what changed.
func (s *Server) touchFleet(topic signaling.Topic, ids []string) {
	if topic != signaling.TopicDevices || s.Fleet == nil {
		return
	}
	devices := make([]mdm.DeviceID, len(ids))
	for i, id := range ids {
		devices[i] = mdm.DeviceID(id)
	}
	s.Fleet.Touch(devices...)
}

// searchFields are the fields of a search that other rooms know about.
func (s *Server) searchFields() map[string]fleet.Resolver {
	fields := s.complianceFields()
	fields["policy"] = s.devicesOfPolicy
	fields["setting"] = s.devicesOfSetting
	return fields
}

// devicesOfPolicy finds devices by how a policy stands on them: "pol_…/failed", or without a
// state all it is for.
func (s *Server) devicesOfPolicy(ctx context.Context, value string) ([]mdm.DeviceID, error) {
	id, state, _ := strings.Cut(value, "/")
	return s.Desire.DevicesOf(ctx, policy.ID(id), "", manifest.State(state), desire.Viewer{All: true}, "", everyDevice)
}

// devicesOfSetting finds devices on which a setting is not as it must be: "ssh.server/drifted",
// or without a state any of them.
func (s *Server) devicesOfSetting(ctx context.Context, value string) ([]mdm.DeviceID, error) {
	at := strings.LastIndexByte(value, '/')
	states := []manifest.State{manifest.Failed, manifest.Conflict, manifest.Drifted, manifest.NotApplicable}
	if at >= 0 && slices.Contains(states, manifest.State(value[at+1:])) {
		return s.Store.SettingFaults(ctx, value[:at], value[at+1:])
	}
	return s.Store.SettingFaults(ctx, value, "")
}

// everyDevice is a limit that no fleet reaches.
const everyDevice = 10_000_000
