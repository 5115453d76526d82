package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm/compliance"
)

// Head is what every page says of a report.
type Head struct {
	Organisation string
	Title        string
	Scope        string    // which devices, in words
	At           time.Time // the moment it is about
	MadeAt       time.Time
	MadeBy       string
}

// Compliance is a report of how devices stand.
type Compliance struct {
	Head
	Devices int64
	Overall map[compliance.State]int64
	Rules   []ComplianceRule   // all in force, the worst severity first
	Faults  []ComplianceDevice // devices that need attention, those that need it most first; see Omitted
	Omitted int64              // devices that need attention beyond those
	Waivers []ComplianceWaiver // that held
}

// ComplianceRule is one rule and its numbers.
type ComplianceRule struct {
	Rule   compliance.Rule
	Counts map[compliance.State]int64
}

// ComplianceWaiver is one waiver that held.
type ComplianceWaiver struct {
	Rule, Of, Owner, Reason string
	Until                   time.Time
}

// ComplianceDevice is one device and what is wrong with it.
type ComplianceDevice struct {
	Name    string
	Group   string
	Overall compliance.State
	Lines   []ComplianceLine
}

// ComplianceLine is one rule a device does not meet.
type ComplianceLine struct {
	Title    string
	Severity compliance.Severity
	State    compliance.State
	Since    time.Time
	Until    time.Time // of a waiver or of grace; zero: none
	Evidence string
}

// words are the states as people read them.
func words(s compliance.State) string {
	switch s {
	case compliance.NonCompliant:
		return "not compliant"
	case compliance.Failed:
		return "error"
	case compliance.InGrace:
		return "in grace"
	case compliance.NotApplicable:
		return "not applicable"
	default:
		return string(s)
	}
}

// Observed puts evidence into words: {"a":1,"b":["x"]} is "a: 1, b: x".
func Observed(evidence []byte) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(compliance.Evidence(evidence)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return ""
	}
	return inWords(v)
}

// moment returns what a fact whose name ends in _us says: microseconds since 1970.
func moment(name string, v any) (string, bool) {
	n, ok := v.(json.Number)
	if !ok || !strings.HasSuffix(name, "_us") {
		return "", false
	}
	us, err := n.Int64()
	if err != nil || us <= 0 {
		return "", false
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02 15:04 UTC"), true
}

func inWords(v any) string {
	var parts []string
	switch t := v.(type) {
	case nil:
		return "not reported"
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(t)) {
			if at, ok := moment(k, t[k]); ok {
				parts = append(parts, strings.TrimSuffix(k, "_us")+": "+at)
			} else {
				parts = append(parts, k+": "+inWords(t[k]))
			}
		}
	case []any:
		for _, e := range t {
			parts = append(parts, inWords(e))
		}
	case string:
		return t
	default:
		return fmt.Sprint(t)
	}
	return strings.Join(parts, ", ")
}

// ComplianceCSV writes devices and rules, one line each. Cells that a spreadsheet would take
// for a formula are defused.
type ComplianceCSV struct{ w *csv.Writer }

// NewComplianceCSV begins the table on w with its header.
func NewComplianceCSV(w io.Writer) (*ComplianceCSV, error) {
	c := &ComplianceCSV{w: csv.NewWriter(w)}
	return c, c.w.Write([]string{"device_id", "device", "group", "rule", "title", "severity", "state", "since", "message", "evidence", "waiver_owner", "waiver_reason", "waiver_until", "as_of"})
}

// Row is a line of the table.
type Row struct {
	DeviceID, Device, Group string
	Rule                    compliance.Rule
	Interval                compliance.Interval
	Waiver                  compliance.Waiver // of a waived one
	At                      time.Time
}

// Write adds a line.
func (c *ComplianceCSV) Write(r Row) error {
	i, until := r.Interval, ""
	if !r.Waiver.ExpiresAt.IsZero() {
		until = r.Waiver.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return c.w.Write([]string{
		r.DeviceID, defuse(r.Device), defuse(r.Group), i.Rule, defuse(r.Rule.Title), string(r.Rule.Severity), string(i.State),
		i.Since.UTC().Format(time.RFC3339), defuse(i.Reason), defuse(Observed(i.Evidence)), defuse(r.Waiver.Owner), defuse(r.Waiver.Reason), until, r.At.UTC().Format(time.RFC3339),
	})
}

// Close writes what is left.
func (c *ComplianceCSV) Close() error {
	c.w.Flush()
	return c.w.Error()
}

// defuse keeps a spreadsheet from calculating what a device wrote.
func defuse(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// WriteCompliance writes the report as PDF.
func WriteCompliance(w io.Writer, r Compliance) error {
	d := newDocument(r.Head)
	d.heading("Summary")
	share := 0.0
	if r.Devices > 0 {
		share = float64(r.Overall[compliance.Compliant]) * 100 / float64(r.Devices)
	}
	d.text(fmt.Sprintf("%d devices, of which %d (%.1f %%) meet every rule that applies to them.", r.Devices, r.Overall[compliance.Compliant], share))
	rows := [][]string{}
	for _, s := range compliance.States() {
		if n := r.Overall[s]; n > 0 {
			rows = append(rows, []string{words(s), strconv.FormatInt(n, 10), fmt.Sprintf("%.1f %%", float64(n)*100/float64(max(r.Devices, 1)))})
		}
	}
	d.table([]column{{"Devices by their worst rule", 80, ""}, {"Devices", 30, "R"}, {"Share", 30, "R"}}, rows)

	d.heading("Rules")
	rows = rows[:0]
	for _, one := range r.Rules {
		n := func(s compliance.State) string { return strconv.FormatInt(one.Counts[s], 10) }
		rows = append(rows, []string{
			string(one.Rule.Severity), one.Rule.Title, n(compliance.Compliant), n(compliance.NonCompliant), n(compliance.InGrace), n(compliance.Waived),
			strconv.FormatInt(one.Counts[compliance.Unknown]+one.Counts[compliance.Failed], 10),
		})
	}
	d.table([]column{{"Severity", 18, ""}, {"Rule", 85, ""}, {"met", 15, "R"}, {"not met", 16, "R"}, {"in grace", 16, "R"}, {"waived", 15, "R"}, {"unknown", 17, "R"}}, rows)

	if len(r.Waivers) > 0 {
		d.heading("Waivers")
		rows = rows[:0]
		for _, w := range r.Waivers {
			rows = append(rows, []string{w.Rule, w.Of, w.Owner, w.Reason, w.Until.UTC().Format(time.DateOnly)})
		}
		d.table([]column{{"Rule", 45, ""}, {"Holds for", 35, ""}, {"Answers for it", 28, ""}, {"Reason", 52, ""}, {"Until", 22, ""}}, rows)
	}
	d.heading("Devices that need attention")
	if len(r.Faults) == 0 {
		d.text("None.")
	}
	for _, dev := range r.Faults {
		d.device(dev)
	}
	if r.Omitted > 0 {
		d.text(fmt.Sprintf("These are the %d that need it most; %d further devices need attention. The export as CSV lists them all.", len(r.Faults), r.Omitted))
	}
	return d.write(w)
}
