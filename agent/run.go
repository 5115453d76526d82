package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"handrail/agent/internal/daemon"
	"handrail/agent/internal/state"
)

type runCmd struct {
	State       string `help:"State directory." default:"${state}" env:"HANDRAIL_STATE"`
	Socket      string `help:"Local socket for the companion and for status; in the state directory by default." env:"HANDRAIL_SOCKET"`
	Display     string `help:"X display to show; $$DISPLAY by default, and without that, for a root agent, the desktop of whoever is signed in."`
	Xauthority  string `help:"Xauthority file of the display; $$XAUTHORITY by default." type:"existingfile"`
	Companion   string `help:"Companion program to keep running: auto (handrail-companion beside this program), off, or a path." default:"auto" env:"HANDRAIL_COMPANION"`
	DesktopUser string `help:"Account besides root whose companion may speak for the person at the device." env:"HANDRAIL_DESKTOP_USER"`
	Fingerprint string `hidden:"" help:"As given to enroll."`
	Root        string `help:"Tree that settings of policies are applied to: / for this system, which is the default of a root agent with the default state directory; others try things out and get a tree in their state directory. With another tree the agent speaks for the system whose files are there, its inventory included, and leaves this machine alone." env:"HANDRAIL_ROOT"`

	ConfirmWithin time.Duration `help:"A setting that may cut this device off is undone when the gateway cannot be reached with it for so long." default:"1m" env:"HANDRAIL_CONFIRM_WITHIN"`
	Helper        string        `help:"Show and control the desktop from a process of its own, with the rights of whoever it belongs to: on, off, or auto (where it belongs to another account than the agent's)." enum:"auto,on,off" default:"auto" env:"HANDRAIL_HELPER"`
	Kernel        bool          `hidden:"" help:"Settings of the running kernel are applied although --root is another tree; for tests in a namespace."`

	logFlags `embed:""`
}

// Run runs the agent until the process is told to stop.
func (c *runCmd) Run(t *terminal) error {
	dir, err := state.Open(c.State)
	if err != nil {
		return err
	}
	if c.Xauthority != "" {
		if err := os.Setenv("XAUTHORITY", c.Xauthority); err != nil {
			return err
		}
	}
	cfg := daemon.Config{
		State: dir, Version: versionText(), Socket: c.Socket, Display: c.Display, DesktopUID: -1, Fingerprint: c.Fingerprint,
		ConfirmWithin: c.ConfirmWithin, Kernel: c.Kernel,
	}
	if cfg.Root = c.Root; cfg.Root == "" && os.Geteuid() == 0 && filepath.Clean(c.State) == filepath.Clean(defaultState()) {
		cfg.Root = "/"
	}
	cfg.Sample = cfg.Root != "" && filepath.Clean(cfg.Root) != "/"
	if cfg.Companion, err = c.companion(); err != nil {
		return err
	}
	if c.DesktopUser != "" {
		if cfg.DesktopUID, err = uidOf(c.DesktopUser); err != nil {
			return err
		}
	}
	if cfg.Helper, err = c.helper(cfg.DesktopUID); err != nil {
		return err
	}
	cfg.FollowSeat = c.followsSeat() && len(cfg.Helper) > 0
	d, err := daemon.New(cfg, c.logger(t.stderr))
	if errors.Is(err, state.ErrNotEnrolled) {
		return fmt.Errorf("%w; enroll it first: handrail-agent enroll --gateway https://… --token … --state %s", err, dir.Path())
	}
	if err != nil {
		return err
	}
	return d.Run(t.ctx)
}

// companion returns the path of the companion program; "" starts none.
func (c *runCmd) companion() (string, error) {
	switch c.Companion {
	case "off", "":
		return "", nil
	case "auto":
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		return filepath.Join(filepath.Dir(self), "handrail-companion"), nil
	}
	if _, err := os.Stat(c.Companion); err != nil {
		return "", fmt.Errorf("companion program: %w", err)
	}
	return filepath.Abs(c.Companion)
}

// helper returns how the desktop helper is started: this program in its other role.
func (c *runCmd) helper(desktopUID int) ([]string, error) {
	foreign := desktopUID >= 0 && desktopUID != os.Geteuid() || c.followsSeat()
	if runtime.GOOS != "linux" || c.Helper == "off" || c.Helper == "auto" && !foreign {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := []string{self, "desktop", "--log-format", c.LogFormat}
	if c.Verbose {
		argv = append(argv, "--verbose")
	}
	return argv, nil
}

// followsSeat reports whether this agent is for whoever is signed in at the device.
func (c *runCmd) followsSeat() bool {
	return runtime.GOOS == "linux" && os.Geteuid() == 0 && c.DesktopUser == "" && c.Display == "" && os.Getenv("DISPLAY") == ""
}

func uidOf(name string) (int, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("desktop user: %w", err)
	}
	return strconv.Atoi(u.Uid)
}
