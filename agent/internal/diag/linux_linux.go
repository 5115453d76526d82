package diag

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"handrail/mdm/inventory"
)

// Bounds on what one reading takes in.
const (
	maxFile    = 64 << 20 // bytes of a system's own file, as dpkg's status
	maxHomed   = 4 << 20  // bytes of a file that a person could have put there
	maxOutput  = 16 << 20 // bytes of what a program says
	runWithin  = 30 * time.Second
	maxEntries = 50_000 // of one directory
)

// linux reads /proc, /sys, /etc, /run, /var and the homes below root.
type linux struct {
	ctx        context.Context
	tree       string // directory of a system that does not run; "" is this machine
	root       fs.FS
	statfs     func(dir string) (size, free uint64, err error)
	interfaces func() ([]net.Interface, error)
	addresses  func(net.Interface) ([]net.Addr, error)
	hostname   func() (string, error)
	owner      func(fs.FileInfo) (uid, gid int64)
	open       func(name string) (fs.File, error)                                     // does not hang on a pipe, nor follow a link at the end
	run        func(ctx context.Context, name string, args ...string) ([]byte, error) // a program of the system, its standard output
	unsynced   func() (bool, error)                                                   // whether the kernel's clock follows no other
	nvmeLog    func(disk string) ([]byte, error)                                      // SMART / health information, 512 bytes
}

func thisMachine() machine { return newLinux() }

func newLinux() *linux {
	return &linux{
		ctx: context.Background(), root: os.DirFS("/"), statfs: statfs, interfaces: net.Interfaces, hostname: os.Hostname,
		addresses: func(i net.Interface) ([]net.Addr, error) { return i.Addrs() },
		owner:     ownerOf, open: openAt, run: runProgram, unsynced: clockUnsynced, nvmeLog: readNVMeLog,
	}
}

// readers implements machine.
func (l *linux) readers(ctx context.Context) []reader {
	at := *l
	at.ctx = ctx
	l = &at
	return slices.Concat(l.machineReaders(), l.networkReaders(), l.systemReaders(), l.securityReaders())
}

func (l *linux) machineReaders() []reader {
	return []reader{
		{name: inventory.SectionHost, read: func(*notes) any { return l.host() }},
		{name: inventory.SectionHardware, read: func(n *notes) any { return l.hardware(n) }},
		{name: inventory.SectionDisks, read: func(n *notes) any { return list(l.disks(n)) }},
		{name: inventory.SectionFilesystems, read: func(*notes) any { return list(l.filesystems()) }},
		{name: inventory.SectionEncryption, read: func(*notes) any { return l.encryption() }},
		{name: inventory.SectionMounts, read: func(*notes) any { return list(l.mounts()) }},
		{name: inventory.SectionBattery, read: func(*notes) any { return list(l.batteries()) }},
		{name: inventory.SectionGPUs, read: func(*notes) any { return list(l.gpus()) }, stamp: l.stampDirs("sys/bus/pci/devices")},
		{name: inventory.SectionDisplays, read: func(*notes) any { return list(l.displays()) }},
		{name: inventory.SectionUSB, read: func(*notes) any { return list(l.usb()) }},
		{name: inventory.SectionPCI, read: func(*notes) any { return list(l.pci()) }, stamp: l.stampDirs("sys/bus/pci/devices")},
	}
}

// read returns a file whole, nil where it cannot be read.
func (l *linux) read(name string) []byte {
	b, _ := l.readErr(name)
	return b
}

func (l *linux) readErr(name string) ([]byte, error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// homed reads a regular file in a place where people may put what they like.
func (l *linux) homed(name string) []byte {
	f, err := l.open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxHomed {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxHomed))
	if err != nil {
		return nil
	}
	return b
}

func (l *linux) text(name string) string { return strings.TrimSpace(string(l.read(name))) }

func (l *linux) number(name string) uint64 {
	n, err := strconv.ParseUint(l.text(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (l *linux) exists(name string) bool {
	_, err := fs.Stat(l.root, name)
	return err == nil
}

// dir returns the names in a directory, sorted; none where it cannot be read.
func (l *linux) dir(name string) []string {
	f, err := l.root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil
	}
	entries, _ := d.ReadDir(maxEntries) // what was read before an error counts
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.Sort(out)
	return out
}

// glob returns what matches a pattern of path.Match, sorted.
func (l *linux) glob(pattern string) []string {
	out, _ := fs.Glob(l.root, pattern) // only a bad pattern fails
	slices.Sort(out)
	return out
}

// base returns the last element of what a symbolic link points to.
func (l *linux) base(name string) string {
	target, err := fs.ReadLink(l.root, name)
	if err != nil {
		return ""
	}
	return path.Base(target)
}

// stampDirs is a stamp of when the named files and directories changed.
func (l *linux) stampDirs(names ...string) func() string {
	return func() string {
		var b strings.Builder
		for _, n := range names {
			for _, m := range l.glob(n) {
				if info, err := fs.Stat(l.root, m); err == nil {
					fmt.Fprintf(&b, "%s %d %d\n", m, info.ModTime().UnixNano(), info.Size())
				}
			}
		}
		return b.String()
	}
}

// program returns the path of a program of the system; "" where there is none. Only the
// system's own directories are looked in.
func (l *linux) program(name string) string {
	for _, dir := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
		if info, err := fs.Stat(l.root, dir+"/"+name); err == nil && info.Mode().IsRegular() {
			return "/" + dir + "/" + name
		}
	}
	return ""
}

// ask runs a program of the system that only tells, and returns what it said.
func (l *linux) ask(name string, args ...string) ([]byte, error) {
	p := l.program(name)
	if p == "" {
		return nil, fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(l.ctx, runWithin)
	defer cancel()
	b, err := l.run(ctx, p, args...)
	if err != nil {
		return b, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// reason says in few words why something could not be read.
func reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrPermission):
		return "only root may read it"
	case errors.Is(err, exec.ErrNotFound):
		return err.Error()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		first, _, _ := bytes.Cut(exit.Stderr, []byte("\n"))
		return err.Error() + ": " + string(first)
	}
	return err.Error()
}

// limited keeps what fits and drops the rest, so that a program that says too much is not
// held up.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// runProgram runs a program in the C locale, without input, and kills it when ctx ends. It ends with
// the agent in any case: one that was killed and started again would otherwise leave programs
// behind that take a while, such as apt's.
func runProgram(ctx context.Context, name string, args ...string) ([]byte, error) {
	// The kernel sends Pdeathsig when the thread ends that started the program: this one stays
	// until the program has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent", "TERM=dumb", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
	cmd.WaitDelay = time.Second
	var out, problem limited
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		exit.Stderr = problem.Bytes()[:min(problem.Len(), 300)]
	}
	return out.Bytes(), err
}
