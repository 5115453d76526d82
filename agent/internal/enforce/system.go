package enforce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"handrail/mdm"
)

// System is the machine, or the scratch tree, that settings are applied to.
type System struct {
	Root string // directory all paths are below; "" means "/"
	// Kernel allows settings of the running kernel (packet filter, sysctl) to be changed
	// although Root is a scratch tree, as in a namespace of a test's own.
	Kernel bool
	Bus    string // D-Bus address for services; "" means the system's, and none on a scratch tree
	Path   string // directories of programs, as $PATH; "" means the system's own
}

// systemPath is where programs of the system are, whatever the environment says.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// maxOutput bounds what is kept of a program's output, in bytes.
const maxOutput = 1 << 20

// Live reports whether this is the running system, whose services may be told.
func (s *System) Live() bool { return s.Root == "" || s.Root == "/" }

// HasKernel reports whether the running kernel may be changed.
func (s *System) HasKernel() bool { return s.Live() || s.Kernel }

// Abs is where the path of the device is on this machine's disk. Links on the way are not
// looked at; what is opened by it is read only.
func (s *System) Abs(p string) string { return join(s.Root, p) }

// ReadFile reads a file of the device of at most limit bytes, following links inside the
// root.
func (s *System) ReadFile(p string, limit int64) ([]byte, error) {
	at, err := s.follow(p)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(at, os.O_RDONLY|noWait, 0) // a named pipe would keep us waiting
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a plain file", p))
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is over %d bytes", p, limit)
	}
	return b, err
}

// Exists reports whether something is at the path, links inside the root followed.
func (s *System) Exists(p string) bool {
	at, err := s.follow(p)
	if err == nil {
		_, err = os.Stat(at)
	}
	return err == nil
}

// Tool returns where a program of the system is. Where it is missing the error says which
// package brings it.
func (s *System) Tool(name, pkg string) (string, error) {
	for _, dir := range filepath.SplitList(s.searchPath()) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("the program %s, needed to check and apply this, is not on the device: install the package %s: %w", name, pkg, exec.ErrNotFound)
}

func (s *System) searchPath() string {
	if s.Path != "" {
		return s.Path
	}
	return systemPath
}

// Program is a program of the system to run.
type Program struct {
	Path    string // as Tool returned it
	Args    []string
	Env     []string // besides a plain PATH and LC_ALL=C
	Dir     string
	Stdin   []byte
	UID     int           // to run as; 0 stays who we are
	GID     int           // to run as, with UID
	Within  time.Duration // it is killed, with all it started, after this; 0 means 30 s
	MaxKeep int           // bytes kept of each output; 0 means 1 MiB
}

// Result is how a program ended.
type Result struct {
	Out, Err string // what it wrote, cut at MaxKeep
	Code     int    // exit status; -1 where it was killed
	TimedOut bool
	Cut      bool // there was more output than is kept
}

// Words is what the program had to say, for a person: the end of its error output, or of
// its output, on one line.
func (r Result) Words() string {
	said := strings.TrimSpace(r.Err)
	if said == "" {
		said = strings.TrimSpace(r.Out)
	}
	if len(said) > 1000 {
		said = "… " + strings.ToValidUTF8(said[len(said)-1000:], "")
	}
	return mdm.Clean(strings.Join(strings.Fields(said), " "), 1024)
}

// Run runs a program to its end. The error says that it could not be run, or ended with a
// status other than 0 and what it said; the result is then there too.
func (s *System) Run(ctx context.Context, p Program) (Result, error) {
	within := p.Within
	if within <= 0 {
		within = 30 * time.Second
	}
	timed, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(timed, p.Path, p.Args...) //nolint:gosec // programs of the system, found by Tool
	cmd.Env = append([]string{"PATH=" + s.searchPath(), "LC_ALL=C", "HOME=/root"}, p.Env...)
	cmd.Dir = p.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	keep := p.MaxKeep
	if keep <= 0 {
		keep = maxOutput
	}
	out, errs := &keeper{left: keep}, &keeper{left: keep}
	cmd.Stdout, cmd.Stderr = out, errs
	if p.Stdin != nil {
		cmd.Stdin = bytes.NewReader(p.Stdin)
	}
	ownGroup(cmd, p.UID, p.GID)
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errs.String(), Code: -1, Cut: out.cut || errs.cut, TimedOut: errors.Is(timed.Err(), context.DeadlineExceeded) && ctx.Err() == nil}
	if cmd.ProcessState != nil {
		r.Code = cmd.ProcessState.ExitCode()
	}
	name := filepath.Base(p.Path)
	switch {
	case r.TimedOut:
		return r, fmt.Errorf("%s took longer than %s and was stopped", name, within)
	case ctx.Err() != nil:
		return r, ctx.Err()
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return r, nil
	case cmd.ProcessState == nil:
		return r, fmt.Errorf("run %s: %w", name, err)
	}
	return r, &ExitError{Program: name, Result: r}
}

// ExitError is a program that did not end well.
type ExitError struct {
	Program string
	Result  Result
}

func (e *ExitError) Error() string {
	if w := e.Result.Words(); w != "" {
		return e.Program + ": " + w
	}
	return fmt.Sprintf("%s ended with status %d", e.Program, e.Result.Code)
}

// keeper keeps the first bytes of a stream and swallows the rest.
type keeper struct {
	bytes.Buffer
	left int
	cut  bool
}

func (k *keeper) Write(b []byte) (int, error) {
	n := len(b)
	if n > k.left {
		b, k.cut = b[:k.left], true
	}
	k.left -= len(b)
	k.Buffer.Write(b)
	return n, nil
}

// IsDiskFull reports whether err says that there is no room left.
func IsDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC)
}
