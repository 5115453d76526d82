package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/state"
)

func TestStatusWords(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)
	us := func(ago time.Duration) int64 { return now.Add(-ago).UnixMicro() }
	e := state.Enrollment{Gateway: "https://g", Device: "dev_a", DeviceName: "desk", Organisation: "Acme"}
	for _, tc := range []struct {
		name string
		r    report
		want []string
	}{
		{"not enrolled", report{Problem: "not enrolled"}, []string{"Problem     not enrolled"}},
		{
			"clock behind",
			report{Enrolled: true, Running: true, Online: true, Enrollment: e, Status: state.Status{Link: "online", SinceUS: us(time.Minute), SkewMS: (3*time.Hour + time.Minute).Milliseconds()}},
			[]string{"Link        online since 2026-11-23 11:59:00 (1m0s ago)", "Clock       wrong: this device is 3h1m0s behind the gateway"},
		},
		{
			"clock ahead",
			report{Enrolled: true, Running: true, Online: true, Enrollment: e, Status: state.Status{Link: "online", SkewMS: -time.Hour.Milliseconds()}},
			[]string{"Clock       wrong: this device is 1h0m0s ahead of the gateway"},
		},
		{
			"unreachable",
			report{Enrolled: true, Running: true, Enrollment: e, Problem: "nothing answers", Status: state.Status{Link: "waiting", OnlineUS: us(time.Hour)}},
			[]string{"Link        down; it was last up 2026-11-23 11:00:00 (1h0m0s ago)", "Problem     nothing answers"},
		},
		{
			"not running",
			report{Enrolled: true, Enrollment: e, Problem: "not running", Status: state.Status{Link: "off", SinceUS: us(time.Hour), WrittenUS: us(time.Hour)}},
			[]string{"Link        off since 2026-11-23 11:00:00", "Problem     not running"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			tc.r.print(&b, now)
			for _, w := range tc.want {
				if !strings.Contains(b.String(), w) {
					t.Errorf("status says\n%s\nwant %q in it", b.String(), w)
				}
			}
		})
	}
}
