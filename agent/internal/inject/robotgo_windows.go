//go:build cgo

package inject

import "log/slog"

// What robotgo's Scroll counts in, for one notch, and whether it turns sideways: on
// Windows it sends a vertical turn for a horizontal one.
const (
	scrollUnit = 1
	horizontal = 0
)

func newBackend(Config, *slog.Logger) (backend, error) { return &robotBackend{}, nil }
