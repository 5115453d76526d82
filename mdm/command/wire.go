package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"handrail/mdm"
)

// Limits of what a device sends.
const (
	MaxClaim       = 4       // commands in one answer; more are fetched at once
	MaxResults     = 16      // in one request
	MaxResultBytes = 8 << 20 // of a request
	maxHave        = MaxOpen + 100
)

var errCursor = fmt.Errorf("cursor: %w", mdm.ErrInvalid)

// Claim is a device's question for what waits for it. Have names what it has taken on and
// not been thanked for: those are not sent again.
type Claim struct {
	Have []ID `json:"have,omitempty"`
}

// Delivery is one command on its way to a device.
type Delivery struct {
	ID       ID              `json:"id"`
	Kind     Kind            `json:"kind"`
	Params   json.RawMessage `json:"params"`
	Attempt  int             `json:"attempt"`   // 1 for the first
	WithinMS int64           `json:"within_ms"` // left until it expires; not begun by then it must not be
}

// ClaimAnswer is what waits. Cancel names commands of Have that should be stopped.
type ClaimAnswer struct {
	Commands []Delivery `json:"commands"`
	Cancel   []ID       `json:"cancel,omitempty"`
	More     bool       `json:"more,omitempty"` // ask again once these are taken on
}

// Result is what came of one command.
type Result struct {
	ID          ID     `json:"id"`
	State       State  `json:"state"` // Succeeded, Failed, Cancelled, Expired
	Reason      Reason `json:"reason,omitempty"`
	Message     string `json:"message,omitempty"`
	ExitCode    *int   `json:"exit_code,omitempty"`
	StartedUS   int64  `json:"started_us,omitempty"` // device's clock
	EndedUS     int64  `json:"ended_us,omitempty"`
	Output      string `json:"output,omitempty"`
	OutputBytes int64  `json:"output_bytes,omitempty"` // that were written, kept or not
}

// Results is a device's report.
type Results struct {
	Results []Result `json:"results"`
}

// ResultsAnswer names the results that are kept now; the device may forget them.
type ResultsAnswer struct {
	Taken []ID `json:"taken"`
}

// Decode checks a claim.
func (c Claim) Validate() error {
	if len(c.Have) > maxHave {
		return fmt.Errorf("%d commands, at most %d: %w", len(c.Have), maxHave, mdm.ErrInvalid)
	}
	return checkIDs(c.Have)
}

func checkIDs(ids []ID) error {
	for _, id := range ids {
		if !mdm.IsID("cmd", string(id)) {
			return fmt.Errorf("%q is not the id of a command: %w", mdm.Clean(string(id), 40), mdm.ErrInvalid)
		}
	}
	return nil
}

// DecodeResults reads a device's report: hostile until it has passed here. Texts are
// cleaned and cut; what is out of range is refused.
func DecodeResults(b []byte) (Results, error) {
	var rs Results
	if len(b) > MaxResultBytes {
		return rs, fmt.Errorf("results of %d bytes, at most %d: %w", len(b), MaxResultBytes, mdm.ErrInvalid)
	}
	if err := json.Unmarshal(b, &rs); err != nil {
		return rs, fmt.Errorf("results: %w", errors.Join(mdm.ErrInvalid, err))
	}
	return rs, rs.Validate()
}

// Validate cleans and checks a report in place.
func (rs Results) Validate() error {
	if len(rs.Results) > MaxResults {
		return fmt.Errorf("%d results, at most %d: %w", len(rs.Results), MaxResults, mdm.ErrInvalid)
	}
	for i := range rs.Results {
		r := &rs.Results[i]
		if err := checkIDs([]ID{r.ID}); err != nil {
			return err
		}
		switch r.State {
		case Succeeded, Cancelled, Expired:
			r.Reason = ""
		case Failed:
			if !slices.Contains(deviceReasons, r.Reason) {
				r.Reason = ReasonError
			}
		default:
			return fmt.Errorf("command %s has the state %q: %w", r.ID, mdm.Clean(string(r.State), 32), mdm.ErrInvalid)
		}
		r.Message = mdm.Clean(r.Message, MaxText)
		r.Output = CleanOutput(r.Output, MaxOutput)
		r.StartedUS, r.EndedUS = inYears(r.StartedUS), inYears(r.EndedUS)
		r.OutputBytes = max(r.OutputBytes, int64(len(r.Output)))
	}
	return nil
}

// inYears drops times no clock shows.
func inYears(us int64) int64 {
	if us < 0 || us > time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() {
		return 0
	}
	return us
}

// CleanOutput makes a program's output fit to keep and show: valid UTF-8, no control
// characters but line feeds and tabs, at most limit bytes of what is left.
func CleanOutput(s string, limit int) string {
	var b strings.Builder
	b.Grow(min(len(s), limit))
	for _, r := range s {
		if r == '\r' || r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// DecodeAnswer reads what a gateway answers to a claim. A device believes its gateway, but
// what cannot be right it does not act on.
func DecodeAnswer(b []byte) (ClaimAnswer, error) {
	var a ClaimAnswer
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&a); err != nil {
		return a, fmt.Errorf("claim: %w", errors.Join(mdm.ErrInvalid, err))
	}
	return a, a.Validate()
}

// Validate checks an answer.
func (a ClaimAnswer) Validate() error {
	if len(a.Commands) > 64 || len(a.Cancel) > maxHave {
		return fmt.Errorf("%d commands: %w", len(a.Commands), mdm.ErrInvalid)
	}
	for _, d := range a.Commands {
		if err := checkIDs([]ID{d.ID}); err != nil {
			return err
		}
	}
	return checkIDs(a.Cancel)
}
