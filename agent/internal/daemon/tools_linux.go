package daemon

import (
	"handrail/agent/internal/diag"
	"handrail/agent/internal/enforce"
	"handrail/agent/internal/journal"
	"handrail/agent/internal/machine"
	"handrail/agent/internal/netcheck"
	"handrail/agent/internal/process"
	"handrail/agent/internal/session"
	"handrail/agent/internal/space"
	"handrail/agent/internal/unit"
	"handrail/signaling"
)

// diagnose adds the tools that look into the machine itself, also where what is managed is a
// tree of its own.
func (d *Daemon) diagnose(tools map[string]session.Tool) {
	add := func(name string, t session.Tool) {
		t.Need = signaling.Diagnostics
		tools[name] = t
	}
	add(signaling.ToolProcess, session.Tool{Serve: process.New(d.person).Serve})
	logs := journal.New(journal.Config{})
	add(signaling.ToolJournal, session.Tool{Serve: logs.Serve})
	about := machine.New(machine.Config{Lines: logs.Lines, Users: diag.Users, Updates: diag.Updates})
	add(signaling.ToolMachine, session.Tool{Serve: about.Serve})
	add(signaling.ToolSpace, session.Tool{Serve: space.New().Serve})
	add(signaling.ToolNetcheck, session.Tool{Serve: netcheck.New(netcheck.Config{Server: d.server}).Serve})
	add(signaling.ToolService, session.Tool{Serve: unit.New(&enforce.System{}).Serve})
}

// server is the gateway's address, and the authority of its certificate where that is its own.
func (d *Daemon) server() (address, authority string) {
	e, err := d.cfg.State.Enrollment()
	if err != nil {
		return "", "" // it is being enrolled anew
	}
	return e.Gateway, e.CAPEM
}
