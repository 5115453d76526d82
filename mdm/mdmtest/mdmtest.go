// Package mdmtest holds the conformance suites of every Store that package mdm's rooms
// declare, and machines to enroll. A database passes when every suite does, through the
// rooms' own rules. Only tests import it.
package mdmtest

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
	"handrail/mdm/script"
)

// Store is the sum of what the suites need; the rooms need less each.
type Store interface {
	device.Store
	enroll.Store
	group.Store
	inventory.Store
	label.Store
	command.Store
	script.Store
}

// Run runs every suite, each on a store of its own that open gives empty.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	t.Run("device", func(t *testing.T) { RunDeviceStore(t, open) })
	t.Run("group", func(t *testing.T) { RunGroupStore(t, open) })
	t.Run("enroll", func(t *testing.T) { RunEnrollStore(t, open) })
	t.Run("inventory", func(t *testing.T) { RunInventoryStore(t, open) })
	t.Run("label", func(t *testing.T) { RunLabelStore(t, open) })
	t.Run("command", func(t *testing.T) { RunCommandStore(t, open) })
	t.Run("script", func(t *testing.T) { RunScriptStore(t, open) })
}

// Start is the time at which tests begin; exact to the microsecond, as stores are.
var Start = time.Date(2026, 11, 23, 10, 0, 0, 123000, time.UTC)

// Machine returns the n-th machine: the same n is the same hardware with the same key.
func Machine(n int) enroll.Machine {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, fmt.Sprintf("machine %d", n))
	key := ed25519.NewKeyFromSeed(seed)
	return enroll.Machine{
		PublicKey: key.Public().(ed25519.PublicKey), Fingerprint: fmt.Sprintf("fp-%d", n), //nolint:forcetypeassert // crypto/ed25519 says so
		Hostname: fmt.Sprintf("host-%03d", n), OS: "linux", Arch: "amd64", AgentVersion: "1.0",
	}
}

// Join enrolls machine n into a group and returns the device.
func Join(t *testing.T, s Store, n int, g mdm.GroupID) mdm.DeviceID {
	t.Helper()
	r := enroll.New(s)
	_, token, err := r.Create(t.Context(), enroll.Wanted{Group: g}, Start)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := r.Redeem(t.Context(), token, Machine(n), Start)
	if err != nil {
		t.Fatal(err)
	}
	return e.Device
}

// must returns v and fails the test on an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
