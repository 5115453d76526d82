package fleet

import (
	"strings"
	"testing"

	"handrail/mdm/device"
)

func TestContainsLower(t *testing.T) {
	for _, text := range []string{"", "a", "SN0012", "Dell Inc. Latitude", "ÄPFEL und Öl", "aaab", "İstanbul"} {
		for _, word := range []string{"", "a", "sn00", "latitude", "äpfel", "öl", "aab", "x", "latitudes"} {
			if got, want := containsLower(text, word), strings.Contains(strings.ToLower(text), word); got != want {
				t.Errorf("%q in %q: %t, want %t", word, text, got, want)
			}
		}
	}
}

// TestAlike says of every text what comparing it says, in whatever order they come.
func TestAlike(t *testing.T) {
	term := device.Term{Field: "model", Op: device.Is, Value: "lat"}
	p := alike(term, func(r *Record) string { return r.Model })
	for _, model := range []string{"Latitude", "Latitude", "", "OptiPlex", "Latitude", "OptiPlex", ""} {
		if got, want := p(&Record{Model: model}), compareText(term, model); got != want {
			t.Errorf("%q: %t, want %t", model, got, want)
		}
	}
}
