//go:build !linux

package seat

import "log/slog"

// Logind is the seat of a system that has no logind: nobody's.
func Logind(_ any, _ *slog.Logger) *Seat { return Fixed("", -1) }
