package command

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrUnsupported says that the device has nothing to do it with.
var ErrUnsupported = errors.New("this device cannot do that")

// System is the machine, as far as commands touch it. Tests have one of their own, so that
// none ever restarts the machine it runs on. Methods that cannot return ErrUnsupported
// wrapped in words that say why.
type System interface {
	// BootID changes with every start of the system.
	BootID() (string, error)
	// CanPower reports why the system can be neither restarted nor shut down.
	CanPower() error
	// Restart and Shutdown return once the system has agreed.
	Restart(ctx context.Context) error
	Shutdown(ctx context.Context) error
	// SignOut ends the desktop sessions of an account, or of everybody; it says what it did.
	SignOut(ctx context.Context, user string) (string, error)
	// RestartService restarts a unit and says how it is now.
	RestartService(ctx context.Context, unit string) (string, error)
	// Journal writes the system's log of the last while, the newest line first. unit may be "".
	// An error of w ends it, and is returned.
	Journal(ctx context.Context, last time.Duration, unit string, w io.Writer) error
}
