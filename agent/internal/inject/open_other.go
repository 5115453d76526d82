//go:build !linux && (!cgo || !(windows || darwin))

package inject

import (
	"errors"
	"log/slog"
)

// newBackend refuses: on this system input needs cgo.
func newBackend(Config, *slog.Logger) (backend, error) {
	return nil, errors.New("this agent cannot inject input: built without cgo, or for a system it does not know")
}
