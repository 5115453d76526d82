package main

import (
	"fmt"
	"runtime/debug"
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
	Twins    int           `help:"How many pairs of devices have one serial number, as after a repair."`
	Every    time.Duration `help:"Between lines of the tally." default:"5s"`
	Hold     bool          `help:"Send inventories only once every device is connected: all at once."`
	Drift    time.Duration `help:"Between changes of each device's inventory, on average; 0 for none."`
	Flap     time.Duration `help:"Between losses of each device's connection, on average; 0 for none."`
	Fail     float64       `help:"Share of settings that cannot be applied, and of commands that fail: 0 to 1."`
	Apply    time.Duration `help:"That applying settings takes at most."`

	logFlags `embed:""`
}

// Run connects the devices and prints a tally until the process is told to stop.
func (c *simulateCmd) Run(t *terminal) error {
	debug.SetGCPercent(300) // thousands of devices' stacks are long to look through
	fleet, err := simdevice.New(simdevice.Config{
		Gateway: c.Gateway, Token: c.Token, CASHA256: c.CASHA256, Count: c.Count, Seed: c.Seed, Twins: c.Twins, Workers: c.Workers, Version: versionText(),
		Hold: c.Hold, Drift: c.Drift, Flap: c.Flap, Fail: c.Fail, Apply: c.Apply,
		Tally: c.Every, OnTally: func(y simdevice.Tally) {
			fmt.Fprintf(t.stdout, "enrolled %d online %d refused %d complete %d uploads %d fetches %d reports %d settled %d commands %d later %d slowest_ms %d\n",
				y.Enrolled, y.Online, y.Refused, y.Complete, y.Uploads, y.Fetches, y.Reports, y.Settled, y.Commands, y.Waited, y.Slowest.Milliseconds())
		},
	}, c.logger(t.stderr))
	if err != nil {
		return err
	}
	return fleet.Run(t.ctx)
}
