package report_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/report"
	"handrail/mdm/compliance"
)

func sample() report.Compliance {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r := report.Compliance{
		Head: report.Head{
			Organisation: "Bäckerei Müller & Söhne", Title: "Compliance of devices", Scope: "All devices", At: at,
			MadeAt: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), MadeBy: "Ada Łukasiewicz",
		},
		Devices: 120, Overall: map[compliance.State]int64{compliance.Compliant: 90, compliance.NonCompliant: 25, compliance.InGrace: 5}, Omitted: 7,
	}
	r.Waivers = []report.ComplianceWaiver{{Rule: "The screen locks by itself", Of: "All devices › Kiosks", Owner: "Grace Hopper", Reason: "until the move", Until: at.AddDate(0, 1, 0)}}
	for i := range 60 {
		r.Rules = append(r.Rules, report.ComplianceRule{
			Rule:   compliance.Rule{Title: fmt.Sprintf("Rule %d whose title is long enough to take a second line in its column of the table", i), Severity: compliance.High},
			Counts: map[compliance.State]int64{compliance.Compliant: 100, compliance.NonCompliant: 20},
		})
	}
	for i := range 30 {
		r.Faults = append(r.Faults, report.ComplianceDevice{
			Name: fmt.Sprintf("laptop-%02d 日本 😀", i), Group: "All devices › Σύνολο", Overall: compliance.NonCompliant,
			Lines: []report.ComplianceLine{
				{Title: "The system volume is encrypted", Severity: compliance.Critical, State: compliance.NonCompliant, Since: at, Evidence: strings.Repeat("/dev/mapper/vg-root ", 20)},
				{Title: "The screen locks by itself", Severity: compliance.High, State: compliance.Waived, Since: at, Until: at.AddDate(0, 1, 0)},
			},
		})
	}
	return r
}

func TestPDF(t *testing.T) {
	for _, tool := range []string{"pdftotext", "pdfinfo"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install the package poppler-utils", tool)
		}
	}
	path := filepath.Join(t.TempDir(), "r.pdf")
	if keep := os.Getenv("HANDRAIL_KEEP_REPORT"); keep != "" {
		path = keep
	}
	var b bytes.Buffer
	if err := report.WriteCompliance(&b, sample()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := exec.CommandContext(t.Context(), "pdfinfo", path).CombinedOutput()
	if err != nil {
		t.Fatalf("pdfinfo: %v\n%s", err, info)
	}
	out, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", path, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v\n%s", err, out)
	}
	text := string(out)
	pages := strings.Count(text, "\f")
	for _, want := range []string{
		"Bäckerei Müller & Söhne", "Compliance of devices", "State of 1 November 2026", "Ada Łukasiewicz", "120 devices, of which 90 (75.0 %)",
		fmt.Sprintf("Page 1 of %d", pages), fmt.Sprintf("Page %d of %d", pages, pages), "Rule 59", "laptop-29", "until 2026-12-01", "7 further devices", "Grace Hopper", "until the move", "Σύνολο",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if strings.Count(text, "Bäckerei Müller & Söhne") < pages {
		t.Errorf("the organisation is on %d of %d pages", strings.Count(text, "Bäckerei"), pages)
	}
}

func TestObserved(t *testing.T) {
	for in, want := range map[string]string{
		`{"sshd.config.port":"22","a":[1,"x"],"n":null}`:                        "a: 1, x, n: not reported, sshd.config.port: 22",
		`{"updates.package_lists_at_us":1794506400000000,"big":12345678901234}`: "big: 12345678901234, updates.package_lists_at: 2026-11-12 18:00 UTC",
		`["a b"]`: "a b", `true`: "true", ``: "", `{`: "",
	} {
		if got := report.Observed([]byte(in)); got != want {
			t.Errorf("Observed(%s) = %q, want %q", in, got, want)
		}
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	c, err := report.NewComplianceCSV(&b)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1800000000, 0)
	for _, name := range []string{`=HYPERLINK("http://x")`, "a,b\"c", "ok"} {
		if err := c.Write(report.Row{DeviceID: "dev_1", Device: name, Rule: compliance.Rule{Title: "T", Severity: compliance.Low}, Interval: compliance.Interval{Rule: "r", State: compliance.Compliant, Since: at, Evidence: []byte(`{"a":1}`)}, Waiver: compliance.Waiver{Owner: "Ana", Reason: "moves", ExpiresAt: at}, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	if rows[1][1] != `'=HYPERLINK("http://x")` || rows[2][1] != `a,b"c` || rows[3][9] != "a: 1" || rows[3][10] != "Ana" || rows[3][12] == "" {
		t.Errorf("rows = %q", rows)
	}
}
