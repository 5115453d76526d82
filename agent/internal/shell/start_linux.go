package shell

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"handrail/agent/internal/account"
)

// politeFor is how long programs have to end by themselves once they are told to.
const politeFor = 2 * time.Second

// process is a shell in a pseudoterminal. The shell leads a session of the kernel (setsid), by
// which everything it starts is found again, whatever it does with its groups.
type process struct {
	master *os.File
	cmd    *exec.Cmd
	exited chan struct{} // closed once the shell has ended, though it is not collected yet
	ending sync.Mutex    // held by End and Close: not collected, so that its number is nobody else's
	gone   bool          // collected
}

// start starts the account's own shell, as after signing in.
func start(as account.Account, env []string, s size) (program, error) {
	master, slave, err := open(as, s)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	p := &process{master: master, exited: make(chan struct{})}
	for _, dir := range []string{as.Home, "/"} { // a home that is not there, or not its own
		p.cmd = &exec.Cmd{
			Path: as.Shell, Args: []string{"-" + filepath.Base(as.Shell)}, Dir: dir,
			Env:   append(append(as.Env(), "TERM="+termName, "COLORTERM=truecolor", "TERM_PROGRAM=handrail"), env...),
			Stdin: slave, Stdout: slave, Stderr: slave,
			SysProcAttr: &syscall.SysProcAttr{Setsid: true, Setctty: true, Credential: as.Credential()},
		}
		if err = p.cmd.Start(); err == nil {
			break
		}
	}
	if err != nil {
		_ = master.Close()
		return nil, fmt.Errorf("start %s: %w", as.Shell, err)
	}
	go p.await()
	return p, nil
}

// open makes a pseudoterminal that belongs to the account, as sshd does: mesg and other users must
// not write to it, programs of the account must be able to open it by name.
func open(as account.Account, s size) (master, slave *os.File, err error) {
	m, slave, err := pty.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("no pseudoterminal can be had: %w", err)
	}
	defer m.Close()
	if master, err = pollable(m); err == nil {
		err = resize(master, s)
	}
	if err == nil && !as.IsOwn() {
		err = errors.Join(slave.Chown(as.UID, ttyGroup(as.GID)), slave.Chmod(0o620))
	}
	if err != nil {
		if master != nil {
			_ = master.Close()
		}
		_ = slave.Close()
		return nil, nil, fmt.Errorf("pseudoterminal: %w", err)
	}
	return master, slave, nil
}

// pollable is the same file for Go's poller: closing it then ends a read that waits.
func pollable(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func ttyGroup(otherwise int) int {
	if g, err := user.LookupGroup("tty"); err == nil {
		if n, err := strconv.Atoi(g.Gid); err == nil {
			return n
		}
	}
	return otherwise
}

func resize(f *os.File, s size) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	w := &unix.Winsize{Row: uint16(s.rows), Col: uint16(s.cols)} //nolint:gosec // bounded by the wire
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, w) }); err != nil { //nolint:gosec // a descriptor
		return err
	}
	return failed
}

// await notices the shell's end without collecting it: until then nobody else has its number.
func (p *process) await() {
	defer close(p.exited)
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func (p *process) Read(b []byte) (int, error)  { return p.master.Read(b) }
func (p *process) Write(b []byte) (int, error) { return p.master.Write(b) }
func (p *process) Resize(s size) error         { return resize(p.master, s) }
func (p *process) Wait()                       { <-p.exited }

func (p *process) Close() (code int, words string) {
	p.ending.Lock()
	defer p.ending.Unlock()
	_ = p.master.Close()
	err := p.cmd.Wait()
	p.gone = true
	state := p.cmd.ProcessState
	if state == nil {
		return -1, fmt.Sprintf("The shell ended: %v.", err)
	}
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return -1, fmt.Sprintf("The shell was ended by signal %d (%s).", int(s.Signal()), s.Signal())
	}
	if state.ExitCode() == 0 {
		return 0, "The shell exited."
	}
	return state.ExitCode(), fmt.Sprintf("The shell exited with status %d.", state.ExitCode())
}

func (p *process) End() {
	p.ending.Lock()
	defer p.ending.Unlock()
	if p.gone {
		return
	}
	sid := p.cmd.Process.Pid
	polite := time.Now().Add(politeFor)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	signalAll(sid, unix.SIGHUP)
	signalAll(sid, unix.SIGCONT) // what is stopped hears nothing else
	for signalAll(sid, 0) > 0 {
		if time.Now().After(polite) {
			signalAll(sid, unix.SIGKILL)
		}
		if time.Now().After(polite.Add(politeFor)) {
			return // in the kernel, as for a file server that is gone: it ends when that lets it
		}
		<-tick.C
	}
}
