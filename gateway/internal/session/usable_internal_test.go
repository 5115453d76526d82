package session

import (
	"testing"

	"handrail/signaling"
)

// TestUsable: without the screen there are tools, and nothing that needs to see where it aims.
func TestUsable(t *testing.T) {
	set := signaling.SetOf
	for _, tt := range []struct {
		asked, want signaling.CapabilitySet
	}{
		{set(signaling.View, signaling.Control), set(signaling.View, signaling.Control)},
		{set(signaling.Diagnostics), set(signaling.Diagnostics)},
		{set(signaling.Terminal, signaling.Root, signaling.Control), set(signaling.Terminal, signaling.Root)},
		{set(signaling.Control, signaling.Clipboard), 0},
		{set(signaling.Root), 0},
		{set(signaling.Record), 0},
		{0, 0},
	} {
		if got := usable(tt.asked); got != tt.want {
			t.Errorf("of %v %v is of use, want %v", tt.asked.List(), got.List(), tt.want.List())
		}
	}
}
