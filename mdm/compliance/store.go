package compliance

import (
	"context"
	"time"

	"handrail/mdm"
)

// Kept is a rule as it is stored: the whole of an organisation's own, and of a shipped one
// the organisation's choices (Severity, Grace, Disabled) and the Digest it was last seen with.
type Kept struct {
	Rule   Rule
	Digest string
}

// Head is what holds for all rules.
type Head struct {
	Seq            int64
	NewDeviceGrace time.Duration
}

// RuleStore keeps rules.
type RuleStore interface {
	// ComplianceRules returns the head and every kept rule, by id, as of one moment.
	ComplianceRules(ctx context.Context) (Head, []Kept, error)
	// ChangeComplianceRules runs change in a transaction on what is kept; nobody else changes
	// rules meanwhile. What it returns is stored, removed or left (a rule not mentioned
	// stays) and, unless nothing is, the head's Seq grown by one; every device becomes due.
	// change may run twice.
	ChangeComplianceRules(ctx context.Context, now time.Time, change func(Head, []Kept) (RuleChange, error)) (Head, error)
}

// RuleChange is what to do about kept rules.
type RuleChange struct {
	Put            []Kept // Seq is set to the new one by the store
	Remove         []string
	NewDeviceGrace *time.Duration
}

// WaiverStore keeps waivers.
type WaiverStore interface {
	// AddComplianceWaiver stores a waiver and makes its devices due. mdm.ErrConflict when device
	// or group does not exist.
	AddComplianceWaiver(ctx context.Context, w Waiver) error
	// RevokeComplianceWaiver ends a waiver that holds and makes its devices due; it returns the
	// waiver. mdm.ErrNotFound. Revoking twice keeps the first time.
	RevokeComplianceWaiver(ctx context.Context, id, by string, at time.Time) (Waiver, error)
	// ComplianceWaivers returns those that the filter selects, newest first.
	ComplianceWaivers(ctx context.Context, f WaiverFilter) ([]Waiver, error)
}

// WaiverFilter selects waivers.
type WaiverFilter struct {
	ID        string
	Rule      string       // "" any
	Device    mdm.DeviceID // "" any
	HoldingAt time.Time    // zero: whether they hold or not
	Limit     int          // 0: all
}

// StandingStore keeps where devices stand.
type StandingStore interface {
	// ClaimComplianceDue takes up to limit devices that are due, those due last first, and
	// puts their next turn at lease. Two callers never get the same device before lease.
	ClaimComplianceDue(ctx context.Context, now, lease time.Time, limit int) ([]mdm.DeviceID, error)
	// ClaimComplianceLate is ClaimComplianceDue for devices that were due before a moment, those
	// that wait longest first.
	ClaimComplianceLate(ctx context.Context, before, lease time.Time, limit int) ([]mdm.DeviceID, error)
	// NextComplianceDue returns when the next device is due; zero for never.
	NextComplianceDue(ctx context.Context) (time.Time, error)
	// MarkComplianceDue makes devices due at a moment, all with no ids. Those that do not
	// exist are skipped.
	MarkComplianceDue(ctx context.Context, at time.Time, ids ...mdm.DeviceID) error
	// MarkComplianceMissed makes devices due whose last check cannot be relied on: it was after
	// now, by a clock that was wrong, or, with settings, before what the device last reported of
	// its settings. Whoever takes a report says so, but may die before.
	MarkComplianceMissed(ctx context.Context, now time.Time, settings bool) error
	// ComplianceStandings returns where devices stand; one never checked is absent.
	ComplianceStandings(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]Standing, error)
	// SaveCompliance stores what checking devices came to, in one transaction, and returns how
	// many were stored. One that is not made from the Standing that is kept is skipped:
	// somebody else was quicker; so is one that does not exist. A device whose turn is not at
	// lease any more was marked due meanwhile, and stays due.
	SaveCompliance(ctx context.Context, lease time.Time, changes []Change) (int, error)
}

// Subject is what rules read of a device, but for the content of its inventory.
type Subject struct {
	Device     mdm.DeviceID
	Group      mdm.GroupID
	Name       string
	Hostname   string
	OS         string
	OSVersion  string
	Arch       string
	Model      string
	Serial     string
	EnrolledAt time.Time
	LastSeenAt time.Time
	Sections   map[string]string // name to hash of its content
}

// SectionKey names one section of one device.
type SectionKey struct {
	Device  mdm.DeviceID
	Section string
}

// FactStore reads what rules are about. It is other rooms' data.
type FactStore interface {
	// ComplianceSubjects returns welcome devices with the hashes of the named sections, all
	// for nil, never those of software. Devices that do not exist are left out.
	ComplianceSubjects(ctx context.Context, ids []mdm.DeviceID, sections []string) ([]Subject, error)
	// ComplianceSections returns the content of sections.
	ComplianceSections(ctx context.Context, keys []SectionKey) (map[SectionKey][]byte, error)
	// SettingStates returns the state of every setting a device reported of.
	SettingStates(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]map[string]string, error)
	// DeviceLabelNames returns the names of devices' labels.
	DeviceLabelNames(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID][]string, error)
	// SoftwareVersions returns the installed versions of packages; a device that never
	// reported its software is left out.
	SoftwareVersions(ctx context.Context, ids []mdm.DeviceID, names []string) (map[mdm.DeviceID]map[string][]string, error)
}

// Scope is the devices an operator may see. The zero value is none.
type Scope struct {
	All    bool
	Groups []mdm.GroupID
}

// Reader answers questions about many devices.
type Reader interface {
	// ComplianceCounts counts devices by overall state, and findings by rule and state, in a
	// scope: of welcome devices only. Compliant is not among the findings; see Counts.Rule.
	ComplianceCounts(ctx context.Context, s Scope) (Counts, error)
	// ComplianceDevices returns a page of the devices in a state under a rule, or with that
	// overall state for no rule, by device id.
	ComplianceDevices(ctx context.Context, q DeviceQuery) ([]Found, error)
	// ComplianceAt returns the intervals that held at a moment for devices, in no order.
	ComplianceAt(ctx context.Context, ids []mdm.DeviceID, at time.Time) ([]Interval, error)
	// ComplianceCountsAt counts the welcome devices of a scope that were enrolled by a moment,
	// as they stood then.
	ComplianceCountsAt(ctx context.Context, s Scope, at time.Time) (CountsAt, error)
	// ComplianceHistory returns the intervals of a device, newest first, those that still
	// hold included; rule "" is all rules.
	ComplianceHistory(ctx context.Context, device mdm.DeviceID, rule string, limit int) ([]Interval, error)
	// ComplianceDays returns the numbers of the days since from that were written down, oldest first.
	ComplianceDays(ctx context.Context, s Scope, from time.Time) ([]Day, error)
	// SaveComplianceDay writes down how devices stand now as the numbers of a day, over what
	// was written before.
	SaveComplianceDay(ctx context.Context, day time.Time) error
	// ComplianceWaiting counts the devices of a scope that are due to be checked and that nobody
	// is at, and says since when the first of them is; the zero time for none.
	ComplianceWaiting(ctx context.Context, s Scope, now time.Time) (Waiting, error)
	// ComplianceWalk returns a page of the welcome devices of a scope, by id.
	ComplianceWalk(ctx context.Context, s Scope, after mdm.DeviceID, limit int) ([]Named, error)
}

// Day is the numbers of one day: devices by overall state at its end, or as yet.
type Day struct {
	Day     time.Time // its midnight, UTC
	Overall map[State]int64
}

// DeviceQuery selects devices by their state.
type DeviceQuery struct {
	Scope Scope
	Rule  string // "": State is the overall one
	Seq   int64  // of the rule: devices last checked before it are unknown
	State State
	After mdm.DeviceID
	Limit int
}

// Named is a device by id and what people call it.
type Named struct {
	Device     mdm.DeviceID
	Name       string
	Group      mdm.GroupID
	EnrolledAt time.Time
}

// Found is a device with its state.
type Found struct {
	Named
	State State
	Since time.Time // zero where it is not kept: compliant, never checked
}

// Waiting is how far the numbers are behind what devices have reported.
type Waiting struct {
	Devices int64
	Since   time.Time // the oldest change that is not worked out; zero: none
}

// CountsAt are numbers of a moment.
type CountsAt struct {
	Devices int64
	Overall map[State]int64            // adds up to Devices
	Rules   map[string]map[State]int64 // of devices that were looked at by then
}

// Counts are numbers over a scope.
type Counts struct {
	Devices  int64
	Overall  map[State]int64 // adds up to Devices
	Findings map[string]map[State]int64
	BySeq    map[int64]int64 // devices by the rule set they were last checked under; 0 never
}

// Rule returns the numbers of one rule; they add up to Devices. Devices that were last
// checked before the rule became what it is count as unknown, never as compliant.
func (c Counts) Rule(r Rule) map[State]int64 {
	out := map[State]int64{}
	if r.Disabled {
		return out
	}
	left := c.Devices
	for s, n := range c.Findings[r.ID] {
		out[s] = n
		left -= n
	}
	behind := int64(0)
	for seq, n := range c.BySeq {
		if seq < r.Seq {
			behind += n
		}
	}
	behind = min(behind, max(left, 0))
	out[Unknown] += behind
	out[Compliant] = max(left-behind, 0)
	return out
}

// Store keeps everything of compliance.
type Store interface {
	RuleStore
	WaiverStore
	StandingStore
	RemedyStore
	Reader
}
