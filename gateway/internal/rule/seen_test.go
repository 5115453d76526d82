package rule_test

import (
	"testing"
	"time"

	"handrail/gateway/internal/rule"
)

// TestNeverSeenIsSinceEnrollment: a device whose first contact is not written down yet can
// be reckoned with.
func TestNeverSeenIsSinceEnrollment(t *testing.T) {
	e, err := compiler(t).Compile(`now - device.last_seen_at < duration("1h")`)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := e.Match(t.Context(), rule.Facts{Now: now, Device: rule.Device{EnrolledAt: now.Add(-time.Minute)}})
	if r.Outcome != rule.True {
		t.Errorf("Match = %+v", r)
	}
}
