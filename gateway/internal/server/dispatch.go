package server

import (
	"context"
	"fmt"

	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/library"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/label"
	"handrail/mdm/script"
	"handrail/signaling"
)

// furnishCommands makes the rooms that get commands to devices. It goes by s for the links,
// which are made later.
func (s *Server) furnishCommands() error {
	s.Commands = command.New(s.Store)
	s.Scripts = script.New(s.Store)
	shipped, err := library.Scripts()
	if err == nil {
		err = s.Scripts.Ship(shipped)
	}
	if err != nil {
		return err
	}
	s.Dispatch = dispatch.New(dispatch.Config{
		Commands: s.Commands,
		Scripts:  s.Scripts,
		Key:      s.key,
		Online:   func() map[mdm.DeviceID]bool { return s.Links.Online() },
		IsOnline: func(d mdm.DeviceID) bool { return s.Links.IsOnline(d) },
		Nudge: func(d mdm.DeviceID) error {
			return s.Links.Post(d, signaling.Envelope{Type: signaling.TypeNudge, Body: signaling.Nudge{What: signaling.NudgeCommands}})
		},
		Changed: s.changed,
	}, s.log)
	return nil
}

// deviceBack is told that a device has connected: its sessions are put together again, and
// it hears of commands that wait.
func (s *Server) deviceBack(ctx context.Context, d mdm.DeviceID, briefs []signaling.SessionBrief) error {
	if err := s.Sessions.DeviceBack(ctx, d, briefs); err != nil {
		return err
	}
	s.Dispatch.Back(ctx, d)
	return nil
}

// deviceCut is told of a device that was sent away for good.
func (s *Server) deviceCut(ctx context.Context, d mdm.DeviceID, why string) error {
	if err := s.Sessions.DeviceCut(ctx, d, why); err != nil {
		return err
	}
	dev, err := s.Devices.Device(ctx, d)
	if err == nil && !dev.IsRevoked() {
		return nil // it comes back under another key: what waits for it still does
	}
	if err := s.Dispatch.ForgetDevice(ctx, d); err != nil {
		return fmt.Errorf("cancel what waits: %w", err)
	}
	return nil
}

func (s *Server) labelName(ctx context.Context, id mdm.LabelID) (string, error) {
	l, err := label.New(s.Store).Label(ctx, id)
	return l.Name, err
}
