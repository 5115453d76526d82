package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"handrail/mdm/command"
)

// outcome is what came of a command.
type outcome struct {
	state   command.State
	reason  command.Reason
	message string
	exit    *int
	output  string
	total   int64
	// unfinished: the agent ends while it is under way; it is taken up at the next start.
	unfinished bool
}

func done(format string, args ...any) outcome {
	return outcome{state: command.Succeeded, message: fmt.Sprintf(format, args...)}
}

// failed tells what a device cannot from what went wrong.
func failed(err error) outcome {
	o := outcome{state: command.Failed, reason: command.ReasonError, message: err.Error()}
	if errors.Is(err, ErrUnsupported) {
		o.reason = command.ReasonUnsupported
	}
	return o
}

var interrupted = outcome{
	state: command.Failed, reason: command.ReasonInterrupted,
	message: "the agent was ended while this was under way; it is not done again",
}

// job is one command being carried out.
type job struct {
	e      *Executor
	record record
}

// begin writes down that from now on something may have been done. Without it on disk
// nothing is done: it could be done twice.
func (j *job) begin(note string) error {
	if j.record.Step == begun {
		return nil
	}
	r := j.record
	r.Step, r.Note, r.BegunUS = begun, note, time.Now().UnixMicro()
	if r.Kind == command.RunScript {
		r.Params = nil // may hold secrets, and is not needed any more
	}
	if err := j.e.journal.put(r); err != nil {
		return fmt.Errorf("not done, as the journal cannot be written: %w", err)
	}
	j.record = r
	return nil
}

// do carries the command out from the beginning.
func (j *job) do(ctx context.Context) outcome {
	p, err := command.DecodeParams(j.record.Kind, j.record.Params)
	if err != nil {
		return outcome{state: command.Failed, reason: command.ReasonMalformed, message: err.Error()}
	}
	var out outcome
	switch p := p.(type) {
	case *command.Script:
		out = j.runScript(ctx, *p)
	case *command.Notice:
		out = j.notify(ctx, *p)
	case *command.Power:
		out = j.power(ctx, *p)
	case *command.SignOutOf:
		out = j.simply(func() (string, error) { return j.e.cfg.System.SignOut(ctx, p.User) })
	case *command.Service:
		out = j.simply(func() (string, error) { return j.e.cfg.System.RestartService(ctx, p.Unit) })
	case *command.Logs:
		out = j.collectLogs(ctx, *p)
	default:
		out = j.plain(ctx)
	}
	if ctx.Err() != nil && out.state != command.Succeeded && !out.unfinished {
		return j.cutShort(ctx, out)
	}
	return out
}

// cutShort is a command that was under way when it was cancelled, or when the agent ended.
func (j *job) cutShort(ctx context.Context, out outcome) outcome {
	switch {
	case errors.Is(context.Cause(ctx), errCancelled) && j.record.Step == known:
		return outcome{state: command.Cancelled, message: "cancelled before it was begun"}
	case errors.Is(context.Cause(ctx), errCancelled):
		out.state, out.reason, out.message = command.Cancelled, "", "stopped by an operator"
		return out
	case j.record.Step == known:
		return outcome{unfinished: true} // nothing was done: from the beginning, next time
	}
	cut := interrupted
	cut.output, cut.total = out.output, out.total
	return cut
}

// plain does the kinds without parameters.
func (j *job) plain(ctx context.Context) outcome {
	switch {
	case j.record.Kind == command.RefreshInventory && j.e.cfg.Refresh != nil:
		return j.simply(func() (string, error) { return "reported anew", j.e.cfg.Refresh(ctx) })
	case j.record.Kind == command.RotateKey && j.e.cfg.Rotate != nil:
		if err := j.begin(""); err != nil {
			return failed(err)
		}
		return j.rotate(ctx)
	}
	return failed(fmt.Errorf("%s: %w", j.record.Kind, ErrUnsupported))
}

// rotate is repeated until it is through: half a change of keys is none or a whole one.
func (j *job) rotate(ctx context.Context) outcome {
	if j.e.cfg.Rotate == nil {
		return failed(fmt.Errorf("%s: %w", j.record.Kind, ErrUnsupported))
	}
	err := j.e.cfg.Rotate(ctx)
	switch {
	case err == nil:
		return done("the device has a new key")
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errCancelled):
		return outcome{unfinished: true}
	}
	return failed(err)
}

// simply does what takes a moment.
func (j *job) simply(do func() (string, error)) outcome {
	if err := j.begin(""); err != nil {
		return failed(err)
	}
	words, err := do()
	if err != nil {
		return failed(err)
	}
	return done("%s", words)
}

func (j *job) notify(ctx context.Context, n command.Notice) outcome {
	if j.e.cfg.Notify == nil {
		return failed(fmt.Errorf("%s: %w", j.record.Kind, ErrUnsupported))
	}
	wait, cancel := context.WithDeadline(ctx, time.UnixMicro(j.record.UntilUS))
	defer cancel()
	who, err := j.e.cfg.Notify(wait, n, func() error { return j.begin("") })
	switch {
	case err == nil:
		return done("shown to %s", who)
	case ctx.Err() == nil && wait.Err() != nil && j.record.Step == known:
		return outcome{state: command.Expired, message: "nobody was at the device's screen in time"}
	}
	return failed(err)
}

// backWithin is how long a system may take to go down once it said that it would.
const backWithin = 10 * time.Minute

// power restarts or shuts down. A restart is over when the device is back.
func (j *job) power(ctx context.Context, p command.Power) outcome {
	boot, err := j.e.cfg.System.BootID()
	if err != nil {
		return failed(err)
	}
	restart := j.record.Kind == command.Restart
	if err := j.e.cfg.System.CanPower(); err != nil {
		return failed(err)
	}
	if p.DelaySeconds > 0 {
		if !j.waitForPeople(ctx, time.Duration(p.DelaySeconds)*time.Second, restart) {
			return outcome{state: command.Failed, reason: command.ReasonInterrupted, message: "ended before its time came"}
		}
	}
	if err := j.begin(boot); err != nil {
		return failed(err)
	}
	if restart {
		err = j.e.cfg.System.Restart(ctx)
	} else {
		err = j.e.cfg.System.Shutdown(ctx)
	}
	switch {
	case err != nil:
		return failed(err)
	case !restart:
		return done("the system is shutting down")
	}
	return j.awaitRestart(ctx)
}

// waitForPeople tells the person at the device, where there is one, and lets time pass.
func (j *job) waitForPeople(ctx context.Context, d time.Duration, restart bool) bool {
	wait, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if notify := j.e.cfg.Notify; notify != nil {
		what := "shuts down"
		if restart {
			what = "restarts"
		}
		n := command.Notice{Title: "This computer " + what + " soon", Text: fmt.Sprintf("It %s at %s. Please save your work.", what, time.Now().Add(d).Format("15:04"))}
		go func() { _, _ = notify(wait, n, func() error { return nil }) }() // whether anybody sees it changes nothing
	}
	<-wait.Done()
	return ctx.Err() == nil
}

// awaitRestart waits for the system to go down. The agent is ended in the course of it, and
// finds out at its next start.
func (j *job) awaitRestart(ctx context.Context) outcome {
	left := time.Until(time.UnixMicro(j.record.BegunUS).Add(backWithin))
	t := time.NewTimer(min(max(left, 0), backWithin))
	defer t.Stop()
	select {
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errCancelled) {
			return outcome{state: command.Failed, reason: command.ReasonError, message: "a restart under way cannot be stopped"}
		}
		return outcome{unfinished: true}
	case <-t.C:
		return outcome{state: command.Failed, reason: command.ReasonError, message: fmt.Sprintf("the system agreed to restart and did not in %v", backWithin)}
	}
}

// takeUp goes on with what was begun before the agent ended.
func (j *job) takeUp(ctx context.Context) outcome {
	switch j.record.Kind {
	case command.Restart, command.Shutdown:
		boot, err := j.e.cfg.System.BootID()
		switch {
		case err != nil:
			return failed(err)
		case boot != j.record.Note && j.record.Kind == command.Restart:
			return done("restarted")
		case boot != j.record.Note:
			return done("shut down, and started again since")
		case j.record.Kind == command.Restart:
			return j.awaitRestart(ctx)
		}
		return interrupted
	case command.RotateKey:
		return j.rotate(ctx)
	case command.RunScript:
		endCage(j.e.cfg.Cgroups, j.record.ID)
		endLeftovers(j.record.ID)
		if j.record.Note != "" && isScriptDir(j.record.Note) {
			_ = os.RemoveAll(j.record.Note) // the script's own directory
		}
		return interrupted
	default:
		return interrupted
	}
}
