//go:build !linux

package screen

import (
	"errors"
	"log/slog"
)

// openFast has no fast way on this system yet: the portable capture is used.
func openFast(Config, *slog.Logger) (Source, error) { return nil, errors.ErrUnsupported }
