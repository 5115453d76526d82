package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"handrail/agent/internal/service"
	"handrail/agent/internal/state"
)

// rootFlag is where the system is that is worked on.
type rootFlag struct {
	Root string `help:"Root of the system, for an image that does not run." default:"/" type:"existingdir"`
}

func (f rootFlag) config(t *terminal) (service.Config, error) {
	if runtime.GOOS != "linux" {
		return service.Config{}, errors.New("the agent can be made a service on Linux only")
	}
	if f.Root == "/" && os.Geteuid() != 0 {
		return service.Config{}, errors.New("only root can change the system's services: try sudo")
	}
	self, err := os.Executable()
	if err != nil {
		return service.Config{}, err
	}
	say := func(format string, args ...any) { fmt.Fprintf(t.stdout, format+"\n", args...) }
	return service.Config{Root: f.Root, From: filepath.Dir(self), Say: say}, nil
}

type installCmd struct {
	rootFlag  `embed:""`
	Gateway   string `help:"Enroll with this gateway first: https://host[:port]." env:"HANDRAIL_GATEWAY"`
	Token     string `help:"Enrollment token from the console." env:"HANDRAIL_ENROLLMENT_TOKEN" xor:"token"`
	TokenFile string `help:"File that holds the token, so that it shows in no process list." xor:"token" type:"existingfile"`
	CASHA256  string `name:"ca-sha256" help:"SHA-256 of the gateway's own certificate authority, as the console shows it."`
}

// Run enrolls where that is asked for, and installs.
func (c *installCmd) Run(t *terminal) error {
	cfg, err := c.config(t)
	if err != nil {
		return err
	}
	at := filepath.Join(c.Root, "var/lib/handrail-agent")
	if c.Gateway != "" {
		e := enrollCmd{Gateway: c.Gateway, Token: c.Token, TokenFile: c.TokenFile, CASHA256: c.CASHA256, State: at}
		if err := e.Run(t); err != nil {
			return err
		}
	}
	if err := service.Install(t.ctx, cfg); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(at, state.EnrollmentFile)); err != nil {
		fmt.Fprintln(t.stdout, "This device is not enrolled yet: handrail-agent enroll --gateway https://… --token …, then systemctl start handrail-agent")
	}
	return nil
}

type uninstallCmd struct {
	rootFlag `embed:""`
	Purge    bool `help:"Remove the device's identity and enrollment too."`
}

// Run uninstalls.
func (c *uninstallCmd) Run(t *terminal) error {
	cfg, err := c.config(t)
	if err != nil {
		return err
	}
	return service.Uninstall(t.ctx, cfg, c.Purge)
}
