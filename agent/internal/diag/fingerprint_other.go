//go:build !linux

package diag

import "github.com/shirou/gopsutil/v4/host"

// traits takes the system's own machine id, which on these systems is made from the
// hardware (IOPlatformUUID) or at installation (MachineGuid).
func traits() []trait {
	id, err := host.HostID()
	if err != nil || id == "" {
		return []trait{{from: FromSystem, err: err}}
	}
	return []trait{{from: FromSystem, parts: []string{id}}}
}
