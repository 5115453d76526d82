package server

import (
	"context"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/internal/browser"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/label"
	"handrail/signaling"
)

// openFleet makes the rooms of labels and searches.
func (s *Server) openFleet() error {
	s.Labels = label.New(s.Store)
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
	}, s.log)
	return err
}

// runFleet follows what changes on every node, and does what changes leave behind.
func (s *Server) runFleet(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Fleet.Run(ctx) })
	g.Go(func() error { return browser.FollowChanges(ctx, s.Bus, s.touchFleet) })
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
	return s.complianceFields()
}
