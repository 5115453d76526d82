package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"handrail/agent/internal/seat"
)

// ConnFile is the file descriptor a helper finds its connection at.
const ConnFile = 3

// Starter returns a RemoteConfig.Start that runs a program as whoever the desktop belongs to.
// The program finds its end of the connection at ConnFile; what it writes goes to the log.
func Starter(argv []string, log *slog.Logger) func(ctx context.Context, d seat.Desktop) (io.ReadWriteCloser, error) {
	return func(ctx context.Context, d seat.Desktop) (io.ReadWriteCloser, error) { return start(argv, d, log) }
}

// child is the daemon's end of the connection, and the helper at the other.
type child struct {
	net.Conn
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// endWithin is how long a helper has to let go of the desktop.
const endWithin = 2 * time.Second

// Close hangs up, which ends the helper, and waits for that.
func (c *child) Close() error {
	err := c.Conn.Close()
	t := time.NewTimer(endWithin)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	return err
}

func start(argv []string, d seat.Desktop, log *slog.Logger) (io.ReadWriteCloser, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a connection for the desktop helper: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "helper"), os.NewFile(uintptr(fds[1]), "daemon")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // this very program; ends with its connection
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = &lines{log: log}
	cmd.Stdout = cmd.Stderr
	cmd.WaitDelay = endWithin
	// A session of its own: a signal at the daemon's terminal is not meant for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.Enter(cmd); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start the desktop helper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start the desktop helper: %w", err)
	}
	c := &child{Conn: conn, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := cmd.Wait(); err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				log.Info("desktop helper exited", "status", exit.String())
			}
		}
	}()
	return c, nil
}

// lines puts a program's output in the log, a line an entry.
type lines struct {
	log  *slog.Logger
	line []byte
}

func (l *lines) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\n':
			l.log.Info("desktop helper says", "line", string(l.line))
			l.line = l.line[:0]
		case len(l.line) < 1024:
			l.line = append(l.line, c)
		}
	}
	return len(b), nil
}
