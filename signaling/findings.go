package signaling

// Messages of the tool "findings": what is wrong with a device, worst first. FindingsAsk is answered
// by Findings: at once with what is known quickly, and again, each time the whole list, as slower looks end.
const (
	TypeFindingsAsk Type = "findings.ask"
	TypeFindings    Type = "findings"
)

// ToolFindings names the tool.
const ToolFindings = "findings"

// FindingsAsk asks for a look at the device.
type FindingsAsk struct{}

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	SeverityBad  Severity = "bad"  // something does not work, or soon will not
	SeverityWarn Severity = "warn" // something will want attention
	SeverityNote Severity = "note" // worth knowing
)

// Finding is one thing that is wrong.
type Finding struct {
	ID       string   `json:"id"` // the same for the same fault, as "disk:/var"
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`    // as "/var is 97 % full"
	Evidence []string `json:"evidence"` // what it was seen by, worst first
	Advice   string   `json:"advice"`   // what to do next
	Tool     string   `json:"tool"`     // that shows more of it, as ToolSpace; "" is none
	Target   string   `json:"target"`   // in that tool: a mount, a process's number, a service, a server
}

// Findings answers FindingsAsk.
type Findings struct {
	Done     bool      `json:"done"`
	Summary  string    `json:"summary"`  // in one sentence
	Findings []Finding `json:"findings"` // worst first
	Looked   []string  `json:"looked"`   // what was looked at, in words
	Missed   []string  `json:"missed"`   // what could not be looked at, and why
	TookMS   int64     `json:"took_ms"`
}
