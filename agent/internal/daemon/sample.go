package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"handrail/agent/internal/command"
	"handrail/agent/internal/diag"
)

// newCollector is that of the machine, or of the tree that a sample device is.
func newCollector(cfg Config) (*diag.Collector, error) {
	if !cfg.Sample {
		return diag.NewCollector(cfg.Version), nil
	}
	if cfg.Root == "" || cfg.Root == "/" {
		return nil, errors.New("a sample device is a tree of files: name its root")
	}
	return diag.NewTreeCollector(cfg.Root, cfg.Version)
}

// sampleSystem is the machine under a sample device, which commands do not touch.
type sampleSystem struct{ command.System }

func notHere(what string) error {
	return fmt.Errorf("this is a sample device, a tree of files: %s would be this machine's, and is left alone: %w", what, command.ErrUnsupported)
}

func (sampleSystem) CanPower() error                { return notHere("a restart or shutdown") }
func (sampleSystem) Restart(context.Context) error  { return notHere("a restart") }
func (sampleSystem) Shutdown(context.Context) error { return notHere("a shutdown") }

func (sampleSystem) SignOut(context.Context, string) (string, error) {
	return "", notHere("who is signed in")
}

func (sampleSystem) RestartService(context.Context, string) (string, error) {
	return "", notHere("a service")
}

func (sampleSystem) Journal(context.Context, time.Duration, string, io.Writer) error {
	return notHere("the journal")
}

// sampleAccount is whom scripts run as on a sample device where the agent is root: nobody, who
// may look and change nothing.
const sampleAccount = "nobody"

// sampled makes of what commands are carried out with what a sample device may.
func sampled(cfg Config, c command.Config) command.Config {
	if !cfg.Sample {
		return c
	}
	if c.System == nil {
		c.System = sampleSystem{command.NewSystem()}
	}
	c.LogRoot = filepath.Join(cfg.Root, "var/log")
	if os.Geteuid() == 0 {
		c.OnlyAs = sampleAccount
	}
	return c
}
