package daemon

import (
	"handrail/agent/internal/diag"
	"handrail/agent/internal/enforce"
	"handrail/agent/internal/finding"
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
	var (
		processes = process.New(d.person)
		logs      = journal.New(journal.Config{})
		about     = machine.New(machine.Config{Lines: logs.Lines, Users: diag.Users, Updates: diag.Updates})
		disks     = space.New()
		network   = netcheck.New(netcheck.Config{Server: d.server})
		services  = unit.New(&enforce.System{})
		wrong     = finding.New(finding.Config{
			Volumes: disks.Volumes, Walk: disks.Walk, Processes: processes.Usages, Failed: services.Failed, ServiceLog: services.Log, Faults: about.Faults,
			Servers: network.Servers, Ask: netcheck.Ask, Connected: network.Connected, Clock: network.Clock,
			Disks: diag.Disks, Certificates: diag.Certificates, Restart: diag.RestartPending,
		})
	)
	add(signaling.ToolProcess, session.Tool{Serve: processes.Serve})
	add(signaling.ToolJournal, session.Tool{Serve: logs.Serve})
	add(signaling.ToolMachine, session.Tool{Serve: about.Serve})
	add(signaling.ToolSpace, session.Tool{Serve: disks.Serve})
	add(signaling.ToolNetcheck, session.Tool{Serve: network.Serve})
	add(signaling.ToolService, session.Tool{Serve: services.Serve})
	add(signaling.ToolFindings, session.Tool{Serve: wrong.Serve})
}

// server is the gateway's address, and the authority of its certificate where that is its own.
func (d *Daemon) server() (address, authority string) {
	e, err := d.cfg.State.Enrollment()
	if err != nil {
		return "", "" // it is being enrolled anew
	}
	return e.Gateway, e.CAPEM
}
