package main

import (
	"fmt"
	"time"

	"handrail/agent/internal/simdevice"
)

type simulateCmd struct {
	Gateway  string        `required:"" help:"Address of the gateway."`
	Token    string        `required:"" help:"Enrollment token with enough uses."`
	CASHA256 string        `name:"ca-sha256" help:"As for enroll."`
	Count    int           `help:"How many devices." default:"100"`
	Seed     uint64        `help:"Chooses the fleet: the same seed is the same devices." default:"1"`
	Workers  int           `help:"Enrollments under way at a time." default:"16"`
	Every    time.Duration `help:"Between lines of the tally." default:"5s"`

	logFlags `embed:""`
}

// Run connects the devices and prints a tally until the process is told to stop.
func (c *simulateCmd) Run(t *terminal) error {
	fleet, err := simdevice.New(simdevice.Config{
		Gateway: c.Gateway, Token: c.Token, CASHA256: c.CASHA256, Count: c.Count, Seed: c.Seed, Workers: c.Workers, Version: versionText(),
		Tally: c.Every, OnTally: func(y simdevice.Tally) {
			fmt.Fprintf(t.stdout, "enrolled %d online %d refused %d uploads %d\n", y.Enrolled, y.Online, y.Refused, y.Uploads)
		},
	}, c.logger(t.stderr))
	if err != nil {
		return err
	}
	return fleet.Run(t.ctx)
}
