//go:build !linux

package daemon

import "handrail/agent/internal/session"

// diagnose adds nothing: what looks into the machine knows Linux only, and a viewer that asks
// for it is told that this device does not have it.
func (d *Daemon) diagnose(map[string]session.Tool) {}
