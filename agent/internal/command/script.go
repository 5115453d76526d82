package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"handrail/mdm/command"
)

// maxProcesses is how many processes a script may have at a time; more is a mistake, or
// worse: the kernel refuses them, or the script is ended.
const maxProcesses = 512

// Times of a script's end.
const (
	termWithin  = 3 * time.Second // from the request to end to the end by force
	drainWithin = 2 * time.Second // for output still on its way
	watchEvery  = 250 * time.Millisecond
)

// scriptDirs begins the names of the directories scripts run in.
const scriptDirs = "handrail-script-"

func isScriptDir(path string) bool {
	return filepath.IsAbs(path) && strings.HasPrefix(filepath.Base(path), scriptDirs)
}

// marker is in the environment of a script and of all it starts, so that they are found
// wherever they hide.
const marker = "HANDRAIL_COMMAND="

// runScript runs one script in a directory of its own, in a session of its own. When it is
// over, by itself or not, everything it has started is ended.
func (j *job) runScript(ctx context.Context, p command.Script) outcome {
	program, err := exec.LookPath(p.Interpreter)
	if err != nil {
		return failed(fmt.Errorf("%s is not installed: %w", p.Interpreter, ErrUnsupported))
	}
	if only := j.e.cfg.OnlyAs; only != "" {
		if p.RunAs != "" && p.RunAs != only {
			return failed(fmt.Errorf("scripts run as %s on this device, and not as %s: %w", only, p.RunAs, ErrUnsupported))
		}
		p.RunAs = only
	}
	who, err := accountOf(p.RunAs)
	if err != nil {
		return failed(err)
	}
	dir, err := os.MkdirTemp(j.e.cfg.Scratch, scriptDirs)
	if err != nil {
		return failed(fmt.Errorf("directory to run in: %w", err))
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "script")
	if err := errors.Join(os.WriteFile(file, []byte(p.Body), 0o600), who.own(file, dir)); err != nil {
		return failed(fmt.Errorf("directory to run in: %w", err))
	}
	read, write, err := os.Pipe()
	if err != nil {
		return failed(err)
	}
	defer read.Close()
	if err := j.begin(dir); err != nil {
		write.Close()
		return failed(err)
	}
	bars, unbarred := newCage(j.e.cfg.Cgroups, j.record.ID, j.e.cfg.MaxProcesses)
	start := func() (*exec.Cmd, error) {
		cmd := exec.Command(program, file) //nolint:gosec // that is what it is for; who may is the gateway's to know
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, write, write, environment(j.record.ID, dir, who, p.Parameters)
		who.apart(cmd)
		bars.enter(cmd)
		return cmd, cmd.Start()
	}
	cmd, err := start()
	if err != nil && bars != nil { // some containers forbid it
		bars.end()
		bars, unbarred = nil, fmt.Errorf("control groups: %w", err)
		cmd, err = start()
	}
	write.Close()
	if err != nil {
		return failed(fmt.Errorf("%s: %w", p.Interpreter, err))
	}
	settle(cmd.Process.Pid)
	out := newKept(p.OutputBytes)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = out.ReadFrom(read) // ends with the pipe, or its deadline
	}()
	end := j.await(ctx, cmd, bars, time.Duration(p.TimeoutSeconds)*time.Second)
	if end.message != "" {
		end.message += bars.words(unbarred, j.e.cfg.MaxProcesses)
	}
	bars.end()
	_ = read.SetReadDeadline(time.Now().Add(drainWithin)) // somebody out of our reach may hold the other end
	<-drained
	end.output, end.total = out.text()
	return end
}

// await waits for the script's end and sees to it that it comes.
func (j *job) await(ctx context.Context, cmd *exec.Cmd, bars *cage, limit time.Duration) outcome {
	id := j.record.ID
	exited := make(chan struct{})
	var err error // of the wait; read once exited is closed
	go func() {
		defer close(exited)
		err = cmd.Wait()
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-exited:
			bars.kill() // what it left behind
			endAll(id, cmd.Process.Pid)
			return ofExit(cmd, err)
		case <-late.C:
			j.stopScript(cmd, bars, exited)
			return outcome{state: command.Failed, reason: command.ReasonTimeLimit, message: fmt.Sprintf("ended after its time limit of %v", limit)}
		case <-ctx.Done():
			j.stopScript(cmd, bars, exited)
			return interrupted // or cancelled: the caller knows
		case <-watch.C:
			most := j.e.cfg.MaxProcesses
			if n := bars.count(id, cmd.Process.Pid); n > most {
				bars.kill()
				endAll(id, cmd.Process.Pid)
				<-exited
				return outcome{state: command.Failed, reason: command.ReasonProcesses, message: fmt.Sprintf("ended: it had %d processes, at most %d", n, most)}
			}
		}
	}
}

// stopScript asks the script to end, then ends it and all it started.
func (j *job) stopScript(cmd *exec.Cmd, bars *cage, exited <-chan struct{}) {
	askToEnd(cmd.Process.Pid)
	t := time.NewTimer(termWithin)
	defer t.Stop()
	select {
	case <-exited:
	case <-t.C:
	}
	bars.kill()
	endAll(j.record.ID, cmd.Process.Pid)
	<-exited
}

func ofExit(cmd *exec.Cmd, err error) outcome {
	code := cmd.ProcessState.ExitCode()
	switch {
	case err == nil:
		zero := 0
		o := done("ended with code 0")
		o.exit = &zero
		return o
	case code >= 0:
		return outcome{state: command.Failed, reason: command.ReasonExitCode, message: fmt.Sprintf("ended with code %d", code), exit: &code}
	}
	return outcome{state: command.Failed, reason: command.ReasonExitCode, message: "ended by " + cmd.ProcessState.String()}
}

// environment is the little a script can count on, and its parameters.
func environment(id command.ID, dir string, who account, parameters map[string]string) []string {
	env := append(baseEnvironment(), marker+string(id), "TMPDIR="+dir)
	if who.name != "" {
		env = append(env, "HOME="+who.home, "USER="+who.name, "LOGNAME="+who.name)
	}
	for name, v := range parameters {
		env = append(env, "PARAM_"+strings.ToUpper(name)+"="+v)
	}
	return env
}
