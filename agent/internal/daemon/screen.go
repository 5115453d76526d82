package daemon

import (
	"context"

	"handrail/agent/internal/session"
)

// screenRooms are the rooms that live off the display.
type screenRooms struct{}

func (d *Daemon) newScreen() error { return nil }

func (s *screenRooms) serve(*session.Config) {}

func (s *screenRooms) run(ctx context.Context) error { return nil }
