// Package policy is what an admin says devices must be: the catalogue of settings, the
// policies made of them with their immutable versions, whom they are assigned to, and the
// resolver that turns all of it into the settings of one device, each with its provenance.
// Everything but the Registry is a pure function. It knows nothing of how settings reach a
// device (package manifest) or how a device carries them out (the agent's enforce).
package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Limits of policies. What is over them is refused with words.
const (
	MaxName        = 80      // bytes of a name
	MaxText        = 2000    // bytes of a description or a note
	MaxPolicies    = 2000    // in all
	MaxSettings    = 1000    // of one policy
	MaxBytes       = 4 << 20 // of one policy's settings in JSON
	MaxAssignments = 64      // of one policy
	MaxTargets     = 200     // groups and labels of one assignment
	MaxPriority    = 1000    // priorities go from 0 to it
	MaxProblems    = 50      // that are told at once; more is one line
)

// ID names a policy: "pol_" and 26 characters.
type ID string

// AssignmentID names an assignment: "asg_" and 26 characters.
type AssignmentID string

// Setting is one setting of a policy. In the store secrets within the value are sealed, and
// on their way out they are masked; see Secrets.
type Setting struct {
	ID    manifest.ID     `json:"id"`
	Value json.RawMessage `json:"value"`
}

// Policy is a named set of settings with a draft, numbered versions and assignments. All of
// it but the versions changes together: Revision grows with every change, and who changes it
// says which revision they saw.
type Policy struct {
	ID          ID
	Name        string // unique, whatever the case
	Description string
	Revision    int64 // from 1; grows with every change; the API's ETag
	Newest      int64 // number of the newest version; 0: never published
	Live        int64 // version that assignments without a pin give; 0: none, the policy does nothing
	Draft       *Draft
	Assignments []Assignment // by id
	CreatedBy   string       // operator id
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Draft is what the next version will be. A policy without one has nothing unpublished.
type Draft struct {
	Base     int64     `json:"base"` // version it began from; 0: from nothing
	Settings []Setting `json:"settings"`
	By       string    `json:"by"` // operator id of the last edit
	At       time.Time `json:"at"`
}

// Version is a published state of a policy. It never changes.
type Version struct {
	Policy   ID
	Number   int64 // 1, 2, 3…
	Author   string
	Note     string
	Settings []Setting // by id
	At       time.Time
}

// Assignment says which devices a policy is for.
type Assignment struct {
	ID       AssignmentID `json:"id"`
	Include  Scope        `json:"include"`           // in any of these; empty is nobody
	Exclude  Scope        `json:"exclude"`           // and in none of these
	Priority int          `json:"priority"`          // 0 to MaxPriority; the higher wins
	Version  int64        `json:"version,omitempty"` // pins a version; 0: the policy's live one
}

// Scope is a set of devices: those in any of the groups, or below one, and those that carry
// any of the labels.
type Scope struct {
	Groups []mdm.GroupID `json:"groups,omitempty"`
	Labels []mdm.LabelID `json:"labels,omitempty"`
}

// Target is what assignments look at in a device.
type Target struct {
	Groups []mdm.GroupID // from the root down to the device's own
	Labels []mdm.LabelID
}

// Via is how an assignment reaches a device: by a label, or by a group Depth steps below the
// root.
type Via struct {
	Group mdm.GroupID `json:"group,omitempty"`
	Label mdm.LabelID `json:"label,omitempty"`
	Depth int         `json:"depth"`
}

// labelDepth makes a label nearer to a device than any group.
const labelDepth = 1000

// Reaches reports whether the assignment is for a device, and by which of its groups or
// labels: the nearest, a label before any group.
func (a Assignment) Reaches(t Target) (Via, bool) {
	if _, out := a.Exclude.nearest(t); out {
		return Via{}, false
	}
	return a.Include.nearest(t)
}

func (s Scope) nearest(t Target) (Via, bool) {
	best := mdm.LabelID("")
	for _, l := range s.Labels {
		if (best == "" || l < best) && slices.Contains(t.Labels, l) {
			best = l
		}
	}
	if best != "" {
		return Via{Label: best, Depth: labelDepth}, true
	}
	for i := len(t.Groups) - 1; i >= 0; i-- {
		if slices.Contains(s.Groups, t.Groups[i]) {
			return Via{Group: t.Groups[i], Depth: i}, true
		}
	}
	return Via{}, false
}

// Normal returns the assignment with its groups and labels sorted and each there once, or
// says which rule it breaks. newest is the policy's newest version.
func (a Assignment) Normal(newest int64) (Assignment, error) {
	if !mdm.IsID("asg", string(a.ID)) {
		return a, fmt.Errorf("%q is no assignment's id: %w", mdm.Clean(string(a.ID), 64), mdm.ErrInvalid)
	}
	if a.Priority < 0 || a.Priority > MaxPriority {
		return a, fmt.Errorf("priority is %d, must be 0 to %d: %w", a.Priority, MaxPriority, mdm.ErrInvalid)
	}
	if a.Version < 0 || a.Version > newest {
		return a, fmt.Errorf("version %d is pinned, the newest is %d: %w", a.Version, newest, mdm.ErrInvalid)
	}
	for _, s := range []*Scope{&a.Include, &a.Exclude} {
		s.Groups, s.Labels = sortedSet(s.Groups), sortedSet(s.Labels)
		if n := len(s.Groups) + len(s.Labels); n > MaxTargets {
			return a, fmt.Errorf("%d groups and labels in one assignment, at most %d: %w", n, MaxTargets, mdm.ErrInvalid)
		}
		for _, g := range s.Groups {
			if !mdm.IsID("grp", string(g)) {
				return a, fmt.Errorf("%q is no group's id: %w", mdm.Clean(string(g), 64), mdm.ErrInvalid)
			}
		}
		for _, l := range s.Labels {
			if !mdm.IsID("lbl", string(l)) {
				return a, fmt.Errorf("%q is no label's id: %w", mdm.Clean(string(l), 64), mdm.ErrInvalid)
			}
		}
	}
	if len(a.Include.Groups)+len(a.Include.Labels) == 0 {
		return a, fmt.Errorf("an assignment needs a group or a label to be for: %w", mdm.ErrInvalid)
	}
	return a, nil
}

func sortedSet[T ~string](in []T) []T {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

func bySetting(a, b Setting) int { return strings.Compare(string(a.ID), string(b.ID)) }
