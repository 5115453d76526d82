package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"handrail/mdm"
)

// State is how a setting stands on a device.
type State string

// The states. A device reports all of them but Pending, which is the gateway's word for a
// setting that was sent and not reported yet.
const (
	Pending       State = "pending"
	Applied       State = "applied"        // read back from the system, as it must be
	Failed        State = "failed"         // Message says why, and what to do
	Conflict      State = "conflict"       // something else on the device, or in the policies, forbids it
	NotApplicable State = "not_applicable" // the device has nothing to apply it to
	Drifted       State = "drifted"        // somebody changed it, and it could not be mended yet
)

// States is every state.
var States = []State{Pending, Applied, Failed, Conflict, NotApplicable, Drifted}

// Status is one setting's state as a device found it.
type Status struct {
	ID       ID              `json:"id"`
	State    State           `json:"state"`
	Observed json.RawMessage `json:"observed,omitempty"` // the effective value, read with the system's own tool; never a secret
	Message  string          `json:"message,omitempty"`
	Mended   int64           `json:"mended,omitempty"` // how often drift was mended since it was first applied
	Source   Source          `json:"source"`           // of the value that was applied
	AtUS     int64           `json:"at_us"`            // device's clock, Unix microseconds
}

// Report is what a device says of a manifest: the settings whose state is news to the
// gateway or, with Full, all there are. Gone names settings that are no longer there and
// whose removal has put back what was before.
type Report struct {
	Generation int64    `json:"generation"`
	Hash       string   `json:"hash"`
	Full       bool     `json:"full,omitempty"`
	Statuses   []Status `json:"statuses,omitempty"`
	Gone       []ID     `json:"gone,omitempty"`
}

// DecodeReport reads a device's report: hostile until it has passed here. Texts are
// cleaned and cut, what is too large is refused.
func DecodeReport(b []byte) (Report, error) {
	var r Report
	if len(b) > MaxBytes {
		return r, fmt.Errorf("report of %d bytes, at most %d: %w", len(b), MaxBytes, mdm.ErrInvalid)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("report: %w", errors.Join(mdm.ErrInvalid, err))
	}
	if len(r.Statuses) > MaxSettings || len(r.Gone) > MaxSettings || len(r.Hash) > 64 || r.Generation < 0 {
		return r, fmt.Errorf("report is over its limits: %w", mdm.ErrInvalid)
	}
	for _, id := range r.Gone {
		if err := id.Check(); err != nil {
			return r, err
		}
	}
	for i := range r.Statuses {
		s := &r.Statuses[i]
		if err := s.ID.Check(); err != nil {
			return r, err
		}
		if s.State == Pending || !slices.Contains(States, s.State) {
			return r, fmt.Errorf("setting %s has the state %q: %w", s.ID, mdm.Clean(string(s.State), 32), mdm.ErrInvalid)
		}
		if len(s.Observed) > MaxObserved || len(s.Source.Policy) > 64 || s.Mended < 0 {
			return r, fmt.Errorf("status of %s is over its limits: %w", s.ID, mdm.ErrInvalid)
		}
		s.Message = mdm.Clean(s.Message, MaxText)
		s.Observed = bytes.ToValidUTF8(s.Observed, []byte("\uFFFD")) // JSON it is, but not every database takes what is no text
	}
	return r, nil
}
