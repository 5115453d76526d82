// Package x11test starts real X servers for tests: an Xvfb of the test's own on a free
// display, which goes with the test, or earlier when the test kills it.
package x11test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is an Xvfb.
type Server struct {
	Display string // ":N"

	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs Xvfb with a 1280x720 screen and the given further arguments, and waits until
// it takes connections. A missing Xvfb fails the test.
func Start(tb testing.TB, args ...string) *Server { return StartSize(tb, "1280x720", args...) }

// StartSize is Start with a screen of a size such as "1920x1080". Keys do not repeat by
// themselves, or one that a busy machine lets go late would type twice.
func StartSize(tb testing.TB, size string, args ...string) *Server {
	tb.Helper()
	s := &Server{args: append([]string{"-displayfd", "3", "-screen", "0", size + "x24", "-nolisten", "tcp", "-noreset", "-r"}, args...)}
	s.run(tb)
	tb.Cleanup(s.stop)
	return s
}

// StartAgain starts a server that Kill ended, on the same display. That display is the
// test's own only if OwnDisplay is among its arguments.
func (s *Server) StartAgain(tb testing.TB) {
	tb.Helper()
	s.Kill()
	s.run(tb)
}

// OwnDisplay is a display that no other test comes upon, for a server that is to come
// back where it was. Servers otherwise take the first that is free, of those other tests
// have killed too.
func OwnDisplay() string { return fmt.Sprintf(":%d", 1000+os.Getpid()%50_000) }

func (s *Server) run(tb testing.TB) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	s.cmd, s.exited = exec.Command("Xvfb", s.args...), make(chan struct{}) //nolint:gosec,noctx // a test's own server, ended by stop
	s.cmd.ExtraFiles = []*os.File{w}
	if err := s.cmd.Start(); err != nil {
		close(s.exited)
		tb.Fatalf("start Xvfb (Debian package xvfb): %v", err)
	}
	w.Close()
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		tb.Fatal(err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		tb.Fatalf("Xvfb %q did not come up: %v", s.args, err)
	}
	s.Display = ":" + strings.TrimSpace(line)
}

// Kill ends the server at once, as a crash would, and waits for it. The socket and lock
// it leaves behind are left there: the next server of that number may have them already.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// stop asks the server to end, so that it removes what is its own, and waits for it.
func (s *Server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		s.Kill()
	}
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Run runs a program on the display and waits for it to end well.
func (s *Server) Run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := s.Command(name, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// Command prepares a program on the display, with UTF-8 as its encoding.
func (s *Server) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // a test names it
	cmd.Env = append(os.Environ(), "DISPLAY="+s.Display, "LC_ALL=C.UTF-8", "LANG=C.UTF-8")
	return cmd
}

// Go starts a program on the display; it is killed when the test ends.
func (s *Server) Go(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := s.Command(name, args...)
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// Eventually waits until ok, looking every few milliseconds, and fails after a minute.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("waited a minute in vain: %s", what)
		}
	}
}
