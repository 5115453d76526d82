package compliance

import (
	"fmt"
	"time"

	"handrail/mdm"
)

// MaxWaiver is how long a waiver may last: an exception nobody looks at again is a rule nobody has.
const MaxWaiver = 2 * 366 * 24 * time.Hour

// Waiver excuses a device, or a group and those below it, from a rule for a time. Somebody
// answers for it.
type Waiver struct {
	ID        string // "wvr_…"
	Rule      string
	Device    mdm.DeviceID // "" when it is for a group
	Group     mdm.GroupID  // "" when it is for a device
	Owner     string       // who answers for it, in words
	Reason    string
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time
	RevokedAt time.Time // zero: it was not
	RevokedBy string
}

// Holds reports whether the waiver excuses at a moment.
func (w Waiver) Holds(at time.Time) bool {
	return !at.Before(w.CreatedAt) && at.Before(w.ExpiresAt) && (w.RevokedAt.IsZero() || at.Before(w.RevokedAt))
}

// Covers reports whether it is about a device that is in the groups, from the root to its own.
func (w Waiver) Covers(d mdm.DeviceID, groups []mdm.GroupID) bool {
	if w.Device != "" {
		return w.Device == d
	}
	for _, g := range groups {
		if g == w.Group {
			return true
		}
	}
	return false
}

// check cleans the waiver and returns mdm.ErrInvalid with what is wrong.
func (w *Waiver) check(now time.Time) error {
	w.Owner, w.Reason = mdm.Clean(w.Owner, 128), mdm.Clean(w.Reason, 1000)
	switch {
	case (w.Device == "") == (w.Group == ""):
		return fmt.Errorf("a waiver is for a device or for a group: %w", mdm.ErrInvalid)
	case w.Owner == "":
		return fmt.Errorf("a waiver needs an owner who answers for it: %w", mdm.ErrInvalid)
	case w.Reason == "":
		return fmt.Errorf("a waiver needs a reason: %w", mdm.ErrInvalid)
	case !w.ExpiresAt.After(now):
		return fmt.Errorf("a waiver ends in the future: %w", mdm.ErrInvalid)
	case w.ExpiresAt.Sub(now) > MaxWaiver:
		return fmt.Errorf("a waiver lasts two years at most: %w", mdm.ErrInvalid)
	}
	return nil
}
