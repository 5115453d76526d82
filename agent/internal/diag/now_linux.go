package diag

import (
	"context"

	"handrail/mdm/inventory"
)

// Parts of the inventory as they are at this moment, for whoever looks into a device while it is
// being helped. Missed says what could not be read; "" is that all could.

// Users returns who is signed in.
func Users() []inventory.User { return newLinux().users() }

// Updates returns what the package manager has waiting; nil where none is known. It takes some seconds.
func Updates(ctx context.Context) (u *inventory.Updates, missed string) {
	l, n := newLinux(), &notes{}
	l.ctx = ctx
	if got, ok := l.updates(n).(inventory.Updates); ok {
		u = &got
	}
	return u, n.why
}

// Disks returns the disks with their health, as far as they tell it.
func Disks(ctx context.Context) (disks []inventory.Disk, missed string) {
	l, n := newLinux(), &notes{}
	l.ctx = ctx
	return l.disks(n), n.why
}

// Certificates returns those that the organisation or a program put on the device.
func Certificates(ctx context.Context) (all []inventory.Certificate, missed string) {
	l, n := newLinux(), &notes{}
	l.ctx = ctx
	return l.certificates(n), n.why
}

// RestartPending reports whether an update waits for a restart, and of which packages.
func RestartPending() (pending bool, packages string) {
	l := newLinux()
	return l.exists("run/reboot-required") || l.exists("var/run/reboot-required"), l.text("run/reboot-required.pkgs")
}
