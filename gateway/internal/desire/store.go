package desire

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// WorkKind says whom work is about.
type WorkKind string

// The kinds of work.
const (
	WorkGroup WorkKind = "group" // devices in a group or below it
	WorkLabel WorkKind = "label" // devices that carry a label
)

// Work is an order to resolve devices again. It outlives whoever is at it.
type Work struct {
	Kind   WorkKind
	Target string
	Rev    int64  // grows when it is asked for again while somebody is at it
	Cursor string // devices up to here are done
}

// Member is a device as resolving sees it: where it belongs, and what it is to be so far.
type Member struct {
	Device     mdm.DeviceID
	Group      mdm.GroupID
	Generation int64  // 0: never resolved
	Outcome    string // names a manifest and the policies it comes from
	Hash       string // keyed hash of the manifest's hash
	Reported   string // keyed hash of the manifest the device last reported on
	Unsaid     string // see Standing
	rev        int64  // of single devices that are to be resolved again
}

// SetRev and Rev carry the store's mark of a single device.
func (m *Member) SetRev(rev int64) { m.rev = rev }

// Rev is the mark of SetRev.
func (m *Member) Rev() int64 { return m.rev }

// Outcome is what some devices must be, as it is kept.
type Outcome struct {
	Key    string
	Hash   string
	Sealed string
}

// Page is devices that are resolved together.
type Page struct {
	Members []Member
	Next    string // cursor
	Over    bool   // nothing is behind it
	Changed int    // how many rows were written
}

// Resolve sets Outcome and Hash of members to what they must be, and returns the outcomes
// that are not kept yet. rev is the revision of the inputs.
type Resolve func(ctx context.Context, rev int64, members []Member) ([]Outcome, error)

// Standing is all that is known of one device's settings.
type Standing struct {
	Device             mdm.DeviceID
	Generation         int64 // 0: never resolved, nothing is asked of it
	Outcome            string
	Hash               string
	ChangedAt          time.Time
	Reported           string
	ReportedGeneration int64
	ReportedAt         time.Time
	Unsaid             string // settings of Reported that the device has said nothing of yet; see Unsaid
	Statuses           map[manifest.ID]Kept
}

// Kept is a setting's state as last reported.
type Kept struct {
	State      manifest.State  `json:"state"`
	Observed   json.RawMessage `json:"observed,omitempty"`
	Message    string          `json:"message,omitempty"`
	Mended     int64           `json:"mended,omitempty"`
	Source     manifest.Source `json:"source"`
	AtUS       int64           `json:"at_us"`       // device's clock
	ReceivedUS int64           `json:"received_us"` // gateway's clock
	SinceUS    int64           `json:"since_us"`    // gateway's clock: when the state became this one
}

// Viewer limits what is listed and counted to devices of some groups.
type Viewer struct {
	Groups []mdm.GroupID
	All    bool
}

// Unsaid is settings, in order, as they are kept: joined by spaces, "" being none. A device that
// is slow reports on some settings before the others.
func Unsaid(ids []manifest.ID) string {
	words := make([]string, len(ids))
	for i, id := range slices.Sorted(slices.Values(ids)) {
		words[i] = string(id)
	}
	return strings.Join(words, " ")
}

// isUnsaid reports whether a setting is among those.
func isUnsaid(all string, id manifest.ID) bool {
	return all != "" && slices.Contains(strings.Fields(all), string(id))
}

// Pair is how many devices must be Outcome and last reported on the manifest Reported, all of
// it but the settings Unsaid.
type Pair struct {
	Outcome  string
	Hash     string
	Reported string
	Unsaid   string
	Devices  int64
}

// FaultCount is how many devices of a Pair reported a state other than applied.
type FaultCount struct {
	Setting  manifest.ID
	State    manifest.State
	Outcome  string
	Reported string
	Unsaid   string
	Devices  int64
}

// DeviceQuery selects devices by how a setting stands on them.
type DeviceQuery struct {
	Viewer
	Pairs []Pair           // devices of any of these
	Any   []manifest.State // that reported any of these states; empty for all devices
	None  bool             // instead: that reported none of Any
	// Settings the state is about. Of none, no device reported any state.
	Settings []manifest.ID
	After    mdm.DeviceID
	Limit    int
}

// Failure is a setting that a device could not be given.
type Failure struct {
	Setting manifest.ID
	At      time.Time // since when
}

// PolicyCount is how many devices of a Pair reported a state on any setting of a policy.
// State "" counts those with any state of Bad.
type PolicyCount struct {
	Policy   policy.ID
	State    manifest.State
	Outcome  string
	Reported string
	Unsaid   string
	Devices  int64
}

// Bad are the states that somebody should look into.
var Bad = []manifest.State{manifest.Failed, manifest.Conflict, manifest.Drifted}

// Store is what the room needs kept.
type Store interface {
	policies
	labels
	rollout.Store

	// Setting returns one of the gateway's own settings; mdm.ErrNotFound.
	Setting(ctx context.Context, name string) (string, error)
	// PutSetting sets one.
	PutSetting(ctx context.Context, name, value string) error
	// ResolveFleet has every device resolved again, in time.
	ResolveFleet(ctx context.Context, now time.Time) error
	// ClaimWork takes the oldest work that nobody holds, until the lease is over;
	// mdm.ErrNotFound when there is none. It writes only when there is some.
	ClaimWork(ctx context.Context, owner string, now time.Time, lease time.Duration) (Work, error)
	// NextWork returns when the lease of some work ends; zero when there is none.
	NextWork(ctx context.Context) (time.Time, error)
	// HasWork reports whether devices are still to be resolved.
	HasWork(ctx context.Context) (bool, error)
	// ReleaseWork gives back what owner holds, "" being everybody.
	ReleaseWork(ctx context.Context, owner string) error
	// ResolvePage notes that w is done up to its cursor, renews the lease and resolves the
	// next devices, in one transaction during which nothing that settings follow from
	// changes. mdm.ErrConflict when the work was asked for again or taken by somebody else.
	ResolvePage(ctx context.Context, owner string, w Work, limit int, now time.Time, lease time.Duration, resolve Resolve) (Page, error)
	// FinishWork forgets work unless it was asked for again.
	FinishWork(ctx context.Context, w Work) error
	// ResolveDirty is ResolvePage for single devices; the page is over when there are none.
	ResolveDirty(ctx context.Context, limit int, now time.Time, resolve Resolve) (Page, error)
	// FinishDirty forgets the page's devices, but those that were asked for again.
	FinishDirty(ctx context.Context, p Page) error
	// InputsRev is the revision of all that settings follow from but the devices' own places.
	InputsRev(ctx context.Context) (int64, error)

	// Members returns those of the devices that exist and are welcome.
	Members(ctx context.Context, ids []mdm.DeviceID) ([]Member, error)
	// ScopeMembers returns the devices of a scope after a cursor, as ResolvePage does.
	ScopeMembers(ctx context.Context, w Work, limit int) (Page, error)
	// Unreported returns devices after a cursor that have not reported on what they must be,
	// though it has been so since before.
	Unreported(ctx context.Context, after mdm.DeviceID, before time.Time, limit int) ([]Member, error)
	// Outcome returns what is kept under a key; mdm.ErrNotFound.
	Outcome(ctx context.Context, key string) (Outcome, error)
	// OutcomeOf returns an outcome of a manifest's keyed hash; mdm.ErrNotFound.
	OutcomeOf(ctx context.Context, hash string) (Outcome, error)
	// ForgetOutcomes removes those made before that no device needs.
	ForgetOutcomes(ctx context.Context, before time.Time) (int64, error)

	// Standing returns one device's, with all its statuses; mdm.ErrNotFound when nothing was
	// ever asked of it.
	Standing(ctx context.Context, id mdm.DeviceID) (Standing, error)
	// Desired is Standing without statuses.
	Desired(ctx context.Context, id mdm.DeviceID) (Standing, error)
	// MergeReports runs merge over the standings of devices and stores those it returns true
	// for; nobody else changes them meanwhile. Unknown devices are skipped.
	MergeReports(ctx context.Context, ids []mdm.DeviceID, merge func(ctx context.Context, s *Standing) (bool, error)) error

	// Pairs counts devices by what they must be and what they reported on.
	Pairs(ctx context.Context, v Viewer) ([]Pair, error)
	// FaultCounts counts what is not applied.
	FaultCounts(ctx context.Context, v Viewer) ([]FaultCount, error)
	// DevicesInState returns devices by id.
	DevicesInState(ctx context.Context, q DeviceQuery) ([]mdm.DeviceID, error)
	// Failures returns the devices that reported any of some settings as failed or in conflict.
	Failures(ctx context.Context, settings []manifest.ID) (map[mdm.DeviceID][]Failure, error)
	// PolicyCounts counts devices by policy and state, each device once a state, and once more
	// under state "" for any fault. Settings made of several policies are in none.
	PolicyCounts(ctx context.Context, v Viewer) ([]PolicyCount, error)
	// FaultsOn counts devices of a pair in the same way, by state on any of some settings.
	FaultsOn(ctx context.Context, v Viewer, p Pair, settings []manifest.ID) ([]PolicyCount, error)
}

type policies interface {
	Groups(ctx context.Context) ([]group.Group, error)
	AllPolicies(ctx context.Context) ([]policy.Policy, error)
	Policy(ctx context.Context, id policy.ID) (policy.Policy, error)
	PolicyVersion(ctx context.Context, id policy.ID, number int64) (policy.Version, error)
}

type labels interface {
	// DeviceLabels returns the labels of devices.
	DeviceLabels(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID][]mdm.LabelID, error)
	// LabelDevices returns devices that carry a label, by id.
	LabelDevices(ctx context.Context, label mdm.LabelID, after mdm.DeviceID, limit int) ([]mdm.DeviceID, error)
}
