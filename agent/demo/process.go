//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopGrace is how long a process has between being asked to stop and being killed.
const stopGrace = 8 * time.Second

// runner starts the demo's processes: each in a group of its own, so that Ctrl-C reaches
// only us and we stop things in order, and each ended by the kernel if we die first.
type runner struct {
	logs string // directory; each process writes <name>.log
	env  []string
	dir  string // working directory; "" is ours
}

// process is a started program.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read after done
}

// start runs argv with output appended to <name>.log. prepare, if not nil, may change the command first.
func (r *runner) start(name string, argv []string, prepare func(*exec.Cmd)) (*process, error) {
	log, err := os.OpenFile(filepath.Join(r.logs, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// The context is not the program's life: stop decides the order in which things end.
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = append(os.Environ(), r.env...), r.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if prepare != nil {
		prepare(cmd)
	}
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	// Pdeathsig follows the thread that started the process; startLocked keeps that thread alive.
	if err := startLocked(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process and its children to end, and kills them after stopGrace.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// supervise starts a process again whenever it ends, waiting a second between starts,
// until ctx ends; then it stops it. It is what systemd does for a real device.
func (r *runner) supervise(ctx context.Context, name string, argv []string) error {
	for {
		p, err := r.start(name, argv, nil)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			p.stop()
			return nil
		case <-p.done:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
