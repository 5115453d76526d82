package finding

import (
	"strings"
	"testing"
	"time"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

func ids(list []signaling.Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, f.ID)
	}
	return strings.Join(out, " ")
}

// TestMemory: memory, swap, disks and processors that are short are found, and those that are not are not.
func TestMemory(t *testing.T) {
	for want, c := range map[string]struct {
		kib           map[string]int64
		mem, io, load float64
	}{
		"":       {kib: map[string]int64{"MemTotal": 8 << 20, "MemAvailable": 4 << 20, "SwapTotal": 1 << 20, "SwapFree": 1 << 18}, load: 3},
		"memory": {kib: map[string]int64{"MemTotal": 8 << 20, "MemAvailable": 1 << 18}},
		"swap":   {kib: map[string]int64{"MemTotal": 8 << 20, "MemAvailable": 1 << 20, "SwapTotal": 2 << 20, "SwapFree": 1 << 19}, mem: 20},
		"io":     {kib: map[string]int64{"MemTotal": 8 << 20, "MemAvailable": 4 << 20}, io: 60},
		"load":   {kib: map[string]int64{"MemTotal": 8 << 20, "MemAvailable": 4 << 20}, load: 40},
	} {
		if got := ids(memoryFindings(c.kib, c.mem, c.io, c.load, 2)); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	at := func(days int) int64 { return now.AddDate(0, 0, days).UnixMicro() }
	got := certificateFindings([]inventory.Certificate{
		{Subject: "good", SHA256: "a", NotAfterUS: at(90)}, {Subject: "soon", SHA256: "b", NotAfterUS: at(5)}, {Subject: "over", SHA256: "c", NotAfterUS: at(-3)}, {Subject: "old", SHA256: "d", NotAfterUS: at(-900)},
	}, now)
	if ids(got) != "certificate:b certificate:c" || got[0].Title != "The certificate of soon expires in 5 days" || got[1].Title != "The certificate of over expired 3 days ago" {
		t.Errorf("%+v", got)
	}
}
