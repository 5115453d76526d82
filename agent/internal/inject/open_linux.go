package inject

import (
	"fmt"
	"log/slog"
	"os"

	"handrail/agent/internal/x11"
)

// newBackend chooses XTEST and XKB; with cfg.Fallback, in a program built with it,
// robotgo on servers that lack XKB.
func newBackend(cfg Config, log *slog.Logger) (backend, error) {
	if cfg.Display == "" && os.Getenv("DISPLAY") == "" {
		return nil, fmt.Errorf("%w: DISPLAY is not set and no display was named", x11.ErrNoDisplay)
	}
	x := &xBackend{display: cfg.Display, log: log}
	if cfg.Fallback {
		return newFallback(x)
	}
	return x, nil
}
