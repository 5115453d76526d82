// Package x11test starts real X servers for tests: an Xvfb of the test's own on a free
// display, which goes with the test, or earlier when the test kills it.
package x11test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Server is a running Xvfb.
type Server struct {
	Display string // ":N"
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start runs Xvfb with a 1280x720 screen and the given further arguments, and waits until
// it takes connections. A missing Xvfb fails the test.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return start(tb, append([]string{"-displayfd", "3"}, args...))
}

// StartAt is Start on a display that was free a moment ago, as after Kill.
func StartAt(tb testing.TB, display string, args ...string) *Server {
	tb.Helper()
	return start(tb, append([]string{display, "-displayfd", "3"}, args...))
}

func start(tb testing.TB, args []string) *Server {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	args = append(args, "-screen", "0", "1280x720x24", "-nolisten", "tcp", "-noreset")
	s := &Server{cmd: exec.Command("Xvfb", args...), exited: make(chan struct{})} //nolint:gosec,noctx // a test's own server, killed below
	s.cmd.ExtraFiles = []*os.File{w}
	if err := s.cmd.Start(); err != nil {
		tb.Fatalf("start Xvfb (Debian package xvfb): %v", err)
	}
	w.Close()
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	tb.Cleanup(s.Kill)
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		tb.Fatal(err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		tb.Fatalf("Xvfb %q did not come up: %v", args, err)
	}
	s.Display = ":" + strings.TrimSpace(line)
	return s
}

// Kill ends the server at once and waits for it.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
	// A killed server leaves its lock and its socket behind.
	n := strings.TrimPrefix(s.Display, ":")
	_ = os.Remove("/tmp/.X" + n + "-lock")
	_ = os.Remove("/tmp/.X11-unix/X" + n)
}

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
