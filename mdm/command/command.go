// Package command is the queue of verbs for devices: what an operator tells one device or
// many to do once, how far each of them is, and what came of it. It says nothing of what a
// device must be (packages policy and manifest do) and carries nothing out: the agent
// does. It also holds the words in which gateway and agent speak about commands.
//
//	held ──approved──▶ queued ──claimed──▶ sent ──result──▶ succeeded | failed
//	  │                  │                   └─no answer──▶ failed
//	  └──────────────────┴──▶ expired | cancelled | superseded
//
// A command is delivered at least once and carried out once: the device keeps a journal.
package command

import (
	"slices"
	"time"

	"handrail/mdm"
)

// ID names one command for one device: "cmd_" and 26 characters.
type ID string

// BulkID names one order of an operator, be it for one device or many: "blk_" and 26 characters.
type BulkID string

// Kind is what a device is told to do.
type Kind string

// The kinds.
const (
	RefreshInventory Kind = "refresh_inventory" // report everything about itself anew
	Restart          Kind = "restart"
	Shutdown         Kind = "shutdown"
	SignOut          Kind = "sign_out" // end desktop sessions
	Message          Kind = "message"  // show words to the person at the device
	RunScript        Kind = "run_script"
	RestartService   Kind = "restart_service"
	RotateKey        Kind = "rotate_key"   // make a new device key, signed over by the old one
	CollectLogs      Kind = "collect_logs" // send a bundle of logs
)

// Kinds is every kind.
var Kinds = []Kind{RefreshInventory, Restart, Shutdown, SignOut, Message, RunScript, RestartService, RotateKey, CollectLogs}

// State is how far a command is.
type State string

// The states.
const (
	Held       State = "held"   // waits for a second person's approval
	Queued     State = "queued" // waits for the device to fetch it
	Sent       State = "sent"   // the device has it
	Succeeded  State = "succeeded"
	Failed     State = "failed" // Reason and Message say why
	Expired    State = "expired"
	Cancelled  State = "cancelled"
	Superseded State = "superseded" // a newer one with the same key took its place
)

// States is every state, in the order a board shows them.
var States = []State{Held, Queued, Sent, Succeeded, Failed, Expired, Cancelled, Superseded}

// IsOpen reports whether something may still come of a command.
func (s State) IsOpen() bool { return s == Held || s == Queued || s == Sent }

// Reason is why a command failed, for programs.
type Reason string

// The reasons. The first group is a device's, the second the gateway's.
const (
	ReasonError       Reason = "error"       // tried, and the system said no
	ReasonExitCode    Reason = "exit_code"   // the script ended with another code than 0
	ReasonTimeLimit   Reason = "time_limit"  // the script was ended
	ReasonProcesses   Reason = "processes"   // the script made too many processes and was ended
	ReasonInterrupted Reason = "interrupted" // the agent was ended in the middle; what was done is not known, and not done again
	ReasonUnsupported Reason = "unsupported" // the device has nothing to do it with
	ReasonMalformed   Reason = "malformed"   // the device does not understand the command

	ReasonNoAnswer Reason = "no_answer" // the device took it and never said more
	ReasonAttempts Reason = "attempts"  // it was sent as often as allowed without an answer
)

var deviceReasons = []Reason{ReasonError, ReasonExitCode, ReasonTimeLimit, ReasonProcesses, ReasonInterrupted, ReasonUnsupported, ReasonMalformed}

// Limits of the queue.
const (
	MaxOpen     = 100 // commands of one device that are not over
	KeepPerUnit = 200 // commands of one device that are over; older ones go
	MaxDevices  = 200_000
	MaxPayload  = 240 << 10 // bytes of JSON of what a device gets
	MaxOutput   = 1 << 20   // bytes of a script's output that are kept
	MaxFile     = 32 << 20  // bytes of a log bundle
	MaxPage     = 500       // entries
	MaxNote     = 500
	MaxKey      = 64
	MaxText     = 2000 // bytes of a result's message

	DefaultTTL  = 7 * 24 * time.Hour
	MaxTTL      = 30 * 24 * time.Hour
	MaxAhead    = 90 * 24 * time.Hour // how far off NotBefore may be
	MaxAttempts = 10

	// Answer is how long after its expiry a command that was sent may still be answered
	// before it counts as failed.
	Answer = 10 * time.Minute
)

// Bulk is one order: one kind with its parameters for one device or many.
type Bulk struct {
	ID           BulkID
	Kind         Kind
	Params       []byte // JSON, as people see it: without secrets
	Payload      string // sealed JSON, as devices get it
	Note         string // why, in the operator's words
	Target       string // whom it was meant for, in words
	SupersedeKey string // "" for none
	Idempotency  string // "" for none; the same one twice is one bulk
	By           string // operator id
	ByName       string
	CreatedAt    time.Time
	NotBefore    time.Time // zero: at once
	ExpiresAt    time.Time
	RunLimit     time.Duration // how long a device may be at it
	MaxAttempts  int
	Held         bool // needs approval
	ApprovedBy   string
	ApprovedName string
	ApprovedAt   time.Time
	Devices      int64 // commands made
	Skipped      int64 // devices that had MaxOpen already
}

// Target is a device a bulk is for.
type Target struct {
	Device mdm.DeviceID
	Name   string
	Group  mdm.GroupID
	Online bool
}

// Command is a bulk's command for one device.
type Command struct {
	ID         ID
	Bulk       BulkID
	Device     mdm.DeviceID
	DeviceName string      // when it was made
	Group      mdm.GroupID // of the device when it was made
	Kind       Kind
	State      State
	Attempts   int
	CreatedAt  time.Time
	NotBefore  time.Time // zero: at once
	ExpiresAt  time.Time
	SentAt     time.Time // last; zero: never
	FinishedAt time.Time // zero: open
	CancelBy   string    // who asked to cancel it, in words; "" for nobody

	Reason      Reason
	Message     string
	ExitCode    *int
	StartedAt   time.Time // device's clock
	EndedAt     time.Time // device's clock
	OutputBytes int64     // that were written, kept or not
	HasOutput   bool
	FileBytes   int64 // of the bundle; 0 for none
}

// Output is what a script wrote, standard output and error in the order they came. Where it
// was too much, a line in the middle says how many bytes are left out.
type Output struct {
	Text  string
	Total int64 // bytes that were written
}

// Counts is how many commands of a bulk are in each state.
type Counts map[State]int64

// Open returns how many are not over.
func (c Counts) Open() int64 { return c[Held] + c[Queued] + c[Sent] }

// Total returns how many there are.
func (c Counts) Total() int64 {
	var n int64
	for _, v := range c {
		n += v
	}
	return n
}

// Scope is the groups whose devices' commands may be seen. The zero value is none.
type Scope struct {
	Groups []mdm.GroupID
	All    bool
}

// IsEmpty reports whether nothing can be seen.
func (s Scope) IsEmpty() bool { return !s.All && len(s.Groups) == 0 }

// May reports whether a group's commands may be seen.
func (s Scope) May(g mdm.GroupID) bool { return s.All || slices.Contains(s.Groups, g) }

// Filter selects commands, newest first.
type Filter struct {
	Scope  Scope
	Device mdm.DeviceID // "" for any
	Bulk   BulkID       // "" for any
	Kind   Kind         // "" for any
	States []State      // nil for any
	After  string       // Next of the page before
	Limit  int          // 0 means 50; at most MaxPage
}

// Page is one page of commands. Next is "" on the last.
type Page struct {
	Commands []Command
	Next     string
}

// BulkFilter selects bulks, newest first.
type BulkFilter struct {
	Scope Scope
	Kind  Kind
	After string
	Limit int
}

// BulkPage is one page of bulks, each with its counts within the filter's scope.
type BulkPage struct {
	Bulks  []Bulk
	Counts map[BulkID]Counts
	Next   string
}

// CursorAfter is the After of a page that begins behind an entry.
func CursorAfter(at time.Time, id string) string {
	return mdm.EncodeCursor(at.UTC().Format(time.RFC3339Nano), id)
}

// DecodeCursor reads what CursorAfter made; "" is the beginning.
func DecodeCursor(after string) (at time.Time, id string, err error) {
	if after == "" {
		return at, "", nil
	}
	keys, err := mdm.DecodeCursor(after, 2)
	if err != nil {
		return at, "", err
	}
	at, perr := time.Parse(time.RFC3339Nano, keys[0])
	if perr != nil || at.Year() < 1970 || at.Year() > 9999 || keys[1] == "" {
		return at, "", errCursor
	}
	return at, keys[1], nil
}
