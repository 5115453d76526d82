// Package rollout brings a version of a policy to its devices in stages: rings of devices by
// a stable hash, each left to soak, a budget of failures, and the way back by itself when
// that is spent. It decides; who counts the devices and carries the decision out is the
// gateway.
package rollout

import (
	"fmt"
	"hash/fnv"
	"time"

	"handrail/mdm"
	"handrail/mdm/policy"
)

// ID names a roll-out: "rol_" and 26 characters.
type ID string

// State is where a roll-out stands.
type State string

// The states. A roll-out that is done or returned never changes again.
const (
	Running  State = "running"
	Paused   State = "paused"   // the stages reached stay as they are
	Done     State = "done"     // the new version is in force for everyone
	Returned State = "returned" // the version before is in force for everyone again; Reason says why
)

// Limits of a plan.
const (
	MaxStages = 20
	MaxSoak   = 30 * 24 * time.Hour
)

// Stage is one step: so much of the fleet has the new version, for at least so long.
type Stage struct {
	Percent     int   `json:"percent"`      // of the devices, 1 to 100; grows from stage to stage
	SoakSeconds int64 `json:"soak_seconds"` // before the next stage
}

// Plan is how a roll-out goes. The last stage must reach 100 percent.
type Plan struct {
	Stages []Stage `json:"stages"`
	// MaxFailedPercent of the devices reached may fail; one more and the roll-out returns.
	// 0 means none may.
	MaxFailedPercent int `json:"max_failed_percent"`
	// ReportedPercent of the devices reached must have reported before the next stage; 0
	// means 50. Devices that are away do not hold the others up for ever.
	ReportedPercent int `json:"reported_percent,omitempty"`
}

// Check says what is wrong with a plan.
func (p Plan) Check() error {
	if n := len(p.Stages); n == 0 || n > MaxStages {
		return fmt.Errorf("%d stages, must be 1 to %d: %w", n, MaxStages, mdm.ErrInvalid)
	}
	before := 0
	for i, s := range p.Stages {
		if s.Percent <= before || s.Percent > 100 {
			return fmt.Errorf("stage %d reaches %d percent, must be more than %d and at most 100: %w", i+1, s.Percent, before, mdm.ErrInvalid)
		}
		if s.SoakSeconds < 0 || s.SoakSeconds > int64(MaxSoak/time.Second) {
			return fmt.Errorf("stage %d soaks for %d seconds, must be 0 to %d: %w", i+1, s.SoakSeconds, int64(MaxSoak/time.Second), mdm.ErrInvalid)
		}
		before = s.Percent
	}
	if before != 100 {
		return fmt.Errorf("the last stage reaches %d percent, must be 100: %w", before, mdm.ErrInvalid)
	}
	if p.MaxFailedPercent < 0 || p.MaxFailedPercent > 100 || p.ReportedPercent < 0 || p.ReportedPercent > 100 {
		return fmt.Errorf("percentages go from 0 to 100: %w", mdm.ErrInvalid)
	}
	return nil
}

// Progress counts the devices a roll-out has reached.
type Progress struct {
	Devices int64 `json:"devices"` // that the policy is for and whose ring has come
	Applied int64 `json:"applied"`
	Pending int64 `json:"pending"`
	Failed  int64 `json:"failed"` // failed or conflict on a setting of the policy since the roll-out began
	// Conflict is those of Failed that the new version cannot reach in full, since it contradicts
	// other policies there and the version before did not.
	Conflict int64 `json:"conflict,omitempty"`
	Total    int64 `json:"total"` // that the policy is for, whatever their ring
}

// Rollout is one. Stage is from 0 on.
type Rollout struct {
	ID       ID
	Policy   policy.ID
	From, To int64 // versions; From 0: the policy was not in force
	Plan     Plan
	State    State
	Stage    int
	StageAt  time.Time // when the stage began
	Progress Progress  // as last counted
	Reason   string    // in words, why it returned
	By       string    // operator id

	CreatedAt, UpdatedAt time.Time
}

// New returns a roll-out at its first stage; mdm.ErrInvalid.
func New(p policy.ID, from, to int64, plan Plan, by string, now time.Time) (Rollout, error) {
	if err := plan.Check(); err != nil {
		return Rollout{}, err
	}
	return Rollout{
		ID: ID(mdm.NewID("rol")), Policy: p, From: from, To: to, Plan: plan, State: Running, StageAt: now,
		By: by, CreatedAt: now, UpdatedAt: now,
	}, nil
}

// IsUnderWay reports whether devices still depend on the roll-out.
func (r Rollout) IsUnderWay() bool { return r.State == Running || r.State == Paused }

// rings is how finely devices are told apart.
const rings = 10000

// Ring is a device's place in every roll-out: 0 is among the first, 9999 among the last. It
// never changes.
func Ring(d mdm.DeviceID) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(d)) // never fails
	// The low bits of FNV move little for ids that differ in their last characters only.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd // the finalizer of MurmurHash3
	x ^= x >> 33
	return int(x % rings) //nolint:gosec // below rings
}

// Reaches reports whether a device is to have the new version now.
func (r Rollout) Reaches(d mdm.DeviceID) bool {
	switch r.State {
	case Done:
		return true
	case Returned:
		return false
	case Running, Paused:
	}
	return r.Stage < len(r.Plan.Stages) && Ring(d) < r.Plan.Stages[r.Stage].Percent*rings/100
}

// Version is the one a device is to have.
func (r Rollout) Version(d mdm.DeviceID) int64 {
	if r.Reaches(d) {
		return r.To
	}
	return r.From
}

// Next is when Advance may have something to do without news of devices; zero when waiting
// alone changes nothing.
func (r Rollout) Next() time.Time {
	if r.State != Running {
		return time.Time{}
	}
	return r.StageAt.Add(time.Duration(r.Plan.Stages[r.Stage].SoakSeconds) * time.Second)
}

// Advance returns the roll-out as it must stand with the devices as counted. live is the
// version the policy has in force: another one than From means that somebody put one there
// by hand, which ends the roll-out.
func (r Rollout) Advance(p Progress, live int64, now time.Time) Rollout {
	if !r.IsUnderWay() {
		return r
	}
	if p != r.Progress {
		r.Progress, r.UpdatedAt = p, now
	}
	if live != r.From {
		return r.end(Returned, fmt.Sprintf("version %d was put in force by hand", live), now)
	}
	if p.Failed > 0 && p.Failed*100 > int64(r.Plan.MaxFailedPercent)*p.Devices {
		return r.end(Returned, fmt.Sprintf("%d of %d devices failed%s; %d percent may", p.Failed, p.Devices, p.clash(), r.Plan.MaxFailedPercent), now)
	}
	if r.State == Paused || !r.stageOver(p, now) {
		return r
	}
	if r.Stage++; r.Stage == len(r.Plan.Stages) {
		r.Stage--
		return r.end(Done, "", now)
	}
	r.StageAt, r.UpdatedAt = now, now
	return r
}

// clash says in words how many failed because policies contradict each other.
func (p Progress) clash() string {
	switch p.Conflict {
	case 0:
		return ""
	case p.Failed:
		return ", where the new version contradicts other policies"
	}
	return fmt.Sprintf(", on %d of them because the new version contradicts other policies", p.Conflict)
}

func (r Rollout) stageOver(p Progress, now time.Time) bool {
	if p.Total == 0 {
		return true // nobody to wait for
	}
	need := int64(r.Plan.ReportedPercent)
	if need == 0 {
		need = 50
	}
	return !now.Before(r.Next()) && (p.Applied+p.Failed)*100 >= need*p.Devices
}

func (r Rollout) end(s State, reason string, now time.Time) Rollout {
	r.State, r.Reason, r.UpdatedAt = s, reason, now
	return r
}

// Pause holds a running roll-out at its stage; mdm.ErrConflict when it does not run.
func (r Rollout) Pause(now time.Time) (Rollout, error) {
	if r.State != Running {
		return r, fmt.Errorf("the roll-out is %s: %w", r.State, mdm.ErrConflict)
	}
	return r.end(Paused, "", now), nil
}

// Resume goes on where it was paused, soaking the stage anew; mdm.ErrConflict when it was not.
func (r Rollout) Resume(now time.Time) (Rollout, error) {
	if r.State != Paused {
		return r, fmt.Errorf("the roll-out is %s: %w", r.State, mdm.ErrConflict)
	}
	r.StageAt = now
	return r.end(Running, "", now), nil
}

// Stop returns every device to the version before; mdm.ErrConflict when it is over.
func (r Rollout) Stop(why string, now time.Time) (Rollout, error) {
	if !r.IsUnderWay() {
		return r, fmt.Errorf("the roll-out is %s: %w", r.State, mdm.ErrConflict)
	}
	return r.end(Returned, mdm.Clean(why, policy.MaxText), now), nil
}

// Skip ends the soak of a stage at once; mdm.ErrConflict when it does not run.
func (r Rollout) Skip(now time.Time) (Rollout, error) {
	if r.State != Running {
		return r, fmt.Errorf("the roll-out is %s: %w", r.State, mdm.ErrConflict)
	}
	if r.Stage++; r.Stage == len(r.Plan.Stages) {
		r.Stage--
		return r.end(Done, "", now), nil
	}
	r.StageAt, r.UpdatedAt = now, now
	return r, nil
}
