//go:build cgo && robotgo

package inject

import (
	"log/slog"
	"testing"

	"handrail/agent/internal/x11/x11test"
	"handrail/signaling/input"
)

// TestRobotgo drives the back end of Windows and macOS on X, as far as that tells
// anything about it. Run it by itself: Xlib ends the process when its server goes away.
func TestRobotgo(t *testing.T) {
	x := x11test.Start(t)
	t.Setenv("DISPLAY", x.Display)
	in := newInjector(defaultSilence, &robotBackend{}, slog.New(slog.DiscardHandler))
	run(t, in)
	r := newRecorder(t, x.Display)
	s := &session{in: in}
	s.apply(t, input.Frame{Type: input.Move, X: 65535, Y: 65535})
	r.wants(t, "move 1279,719")
	s.apply(t, input.Frame{Type: input.Button, Monitor: 1, Button: input.ButtonRight, Down: true, Buttons: 2})
	s.apply(t, input.Frame{Type: input.Button, Monitor: 1, Button: input.ButtonRight})
	r.wants(t, "move 0,0", "button+3 0,0", "move 0,0", "button-3 0,0")
	s.apply(t, input.Frame{Type: input.Wheel, DX: 120, DY: 120})
	r.wants(t, "move 0,0", "button+7 0,0", "button-7 0,0", "button+5 0,0", "button-5 0,0")
	s.key(t, true, 0x3a, 0, "") // F1
	s.key(t, false, 0x3a, 0, "")
	r.wants(t, "key+67", "key-67")
}
