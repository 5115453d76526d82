//go:build !linux

package diag

import (
	"context"
	"errors"
)

// WatchSystem is not available here; changes are noticed by the clock.
func WatchSystem(context.Context, func()) error {
	return errors.New("this system does not say when its inventory changes")
}
