// Package service makes the agent a service of the system, and takes it away again: programs in their
// place, a systemd unit, the unit enabled. Packages bring the same unit.
package service
