//go:build !linux

package command

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"time"
)

// foreign is a machine of which only what every system has is used.
type foreign struct{}

// NewSystem returns the running machine.
func NewSystem() System {
	return foreign{}
}

func unsupported(what string) error {
	return fmt.Errorf("%s on %s: %w", what, runtime.GOOS, ErrUnsupported)
}

// BootID implements System.
func (foreign) BootID() (string, error) {
	out, err := exec.Command(bootProgram[0], bootProgram[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("when the system began is not known: %w", err)
	}
	return string(out), nil
}

// CanPower implements System.
func (foreign) CanPower() error {
	if _, err := exec.LookPath("shutdown"); err != nil {
		return unsupported("shutting down")
	}
	return nil
}

// Restart implements System.
func (foreign) Restart(ctx context.Context) error {
	return exec.CommandContext(ctx, "shutdown", restartArgs...).Run()
}

// Shutdown implements System.
func (foreign) Shutdown(ctx context.Context) error {
	return exec.CommandContext(ctx, "shutdown", shutdownArgs...).Run()
}

// SignOut implements System.
func (foreign) SignOut(context.Context, string) (string, error) {
	return "", unsupported("signing people out")
}

// RestartService implements System.
func (foreign) RestartService(context.Context, string) (string, error) {
	return "", unsupported("restarting a service")
}

// Journal implements System.
func (foreign) Journal(context.Context, time.Duration, string, io.Writer) error {
	return unsupported("reading the system's log")
}
