package daemon

import (
	"os"

	"handrail/agent/internal/session"
	"handrail/agent/internal/shell"
	"handrail/signaling"
)

// newShell makes the terminals of this machine.
func (d *Daemon) newShell() *shell.Shell {
	return shell.New(shell.Config{
		Desktop: d.person, Env: d.displayEnv, Record: shell.RecordIn(d.cfg.State.Path("recordings")),
	}, d.log.With("room", "shell"))
}

// terminal is the tool; New has made its shell.
func (d *Daemon) terminal() session.Tool {
	return session.Tool{Need: signaling.Terminal, Serve: d.shell.Serve, Over: d.shell.Over}
}

// displayEnv has what is started in a terminal find the desktop of its user.
func (d *Daemon) displayEnv() []string {
	if d.cfg.Display == "" {
		return nil
	}
	env := []string{"DISPLAY=" + d.cfg.Display}
	if file := os.Getenv("XAUTHORITY"); file != "" {
		env = append(env, "XAUTHORITY="+file)
	}
	return env
}
