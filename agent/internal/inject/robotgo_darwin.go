//go:build cgo

package inject

import "log/slog"

// What robotgo's Scroll counts in, for one notch: on macOS pixels.
const (
	scrollUnit = 40
	horizontal = 1
)

func newBackend(Config, *slog.Logger) (backend, error) { return &robotBackend{}, nil }
