package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"handrail/mdm/command"
)

// cage is a control group (cgroups(7), version 2) of a script's own. What the script starts is
// in it wherever it hides, and ends with it. Where the controllers can be had the kernel
// itself refuses more processes and memory than a script may have.
type cage struct {
	dir     string
	entry   *os.File
	limited bool
}

const (
	cagePrefix = "handrail-script-"
	agentLeaf  = "handrail-agent" // where the agent goes: a group with controllers has no processes of its own
	emptySoon  = 5 * time.Second  // what was killed is gone after this, or hangs in the kernel
)

// newCage makes one in the control group base; "" is the agent's own. It fails, with a reason for
// people, where there is none to be had.
func newCage(base string, id command.ID, processes int) (*cage, error) {
	if base == "" {
		var err error
		if base, err = ownGroup(); err != nil {
			return nil, err
		}
	}
	unlimited := delegate(base)
	c := &cage{dir: filepath.Join(base, cagePrefix+string(id))}
	if err := os.Mkdir(c.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // as the kernel's own
		return nil, fmt.Errorf("control groups: %w", err)
	}
	var err error
	if c.entry, err = os.Open(c.dir); err == nil {
		_, err = os.Stat(filepath.Join(c.dir, "cgroup.kill")) // Linux 5.14
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("control groups: %w", err)
	}
	if unlimited == nil {
		c.limited = c.set("pids.max", strconv.Itoa(processes)) == nil
		if half := memory() / 2; half > 0 && c.limited && c.set("memory.max", strconv.FormatUint(half, 10)) == nil {
			_ = c.set("memory.oom.group", "1") // a script of which a part is missing is no script
		}
	}
	return c, nil
}

// ownGroup is the agent's own control group.
func ownGroup() (string, error) {
	mount := ""
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			mount = f[1]
			break
		}
	}
	if b, err = os.ReadFile("/proc/self/cgroup"); err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if at, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok && mount != "" {
			if filepath.Base(at) == agentLeaf { // moved there for an earlier script
				at = filepath.Dir(at)
			}
			return filepath.Join(mount, at), nil
		}
	}
	return "", errors.New("this kernel has no control groups of version 2")
}

// delegate has base hand its controllers of processes and memory down to the groups in it. A
// service's group is the agent's: its processes move aside for that. Others keep theirs.
func delegate(base string) error {
	on := filepath.Join(base, "cgroup.subtree_control")
	has := func() bool {
		b, err := os.ReadFile(on)
		return err == nil && strings.Contains(" "+strings.TrimSpace(string(b))+" ", " pids ")
	}
	if has() {
		return nil
	}
	enable := func() error {
		err := os.WriteFile(on, []byte("+pids"), 0o600)
		if err == nil {
			_ = os.WriteFile(on, []byte("+memory"), 0o600) // a limit less where it is not there
		}
		return err
	}
	err := enable()
	if errors.Is(err, syscall.EBUSY) && strings.HasSuffix(base, ".service") {
		if err = moveAside(base); err == nil {
			err = enable()
		}
	}
	return err
}

// moveAside moves the processes of a group to one in it.
func moveAside(base string) error {
	leaf := filepath.Join(base, agentLeaf)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // as the kernel's own
		return err
	}
	for _, pid := range pidsOf(base) {
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

func pidsOf(dir string) []int {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var out []int
	for w := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(w); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// memory is the machine's, in bytes; 0 where it is not known.
func memory() uint64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}

func (c *cage) set(file, value string) error {
	return os.WriteFile(filepath.Join(c.dir, file), []byte(value), 0o600)
}

// enter has a program begin its life in the cage.
func (c *cage) enter(cmd *exec.Cmd) {
	if c != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(c.entry.Fd())
	}
}

// count is how many processes are in it; without a cage those of the script are looked for.
func (c *cage) count(id command.ID, session int) int {
	if c == nil {
		return count(id, session)
	}
	return len(pidsOf(c.dir))
}

// event reads a counter of a file such as pids.events.
func (c *cage) event(file, name string) int {
	b, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, _ := strconv.Atoi(value) // the kernel's own number
			return n
		}
	}
	return 0
}

// kill ends all that is in the cage, at once: no fork outruns it.
func (c *cage) kill() {
	if c != nil {
		_ = c.set("cgroup.kill", "1")
	}
}

// end is kill, and takes the cage away.
func (c *cage) end() {
	if c == nil {
		return
	}
	c.kill()
	for until := time.Now().Add(emptySoon); c.event("cgroup.events", "populated") > 0 && time.Now().Before(until); {
		pause(5 * time.Millisecond)
	}
	c.close()
}

func (c *cage) close() {
	if c.entry != nil {
		_ = c.entry.Close()
	}
	_ = os.Remove(c.dir) // not where something hangs in the kernel: it is empty one day
}

// endCage ends what a script of an agent that was killed left in its cage.
func endCage(base string, id command.ID) {
	if base == "" {
		var err error
		if base, err = ownGroup(); err != nil {
			return
		}
	}
	c := &cage{dir: filepath.Join(base, cagePrefix+string(id))}
	if _, err := os.Stat(c.dir); err == nil {
		c.end()
	}
}

// words says what the limits did, or why there were none.
func (c *cage) words(why error, processes int) string {
	switch {
	case c == nil:
		return "; its processes were counted and not limited: " + why.Error()
	case !c.limited:
		return "; its processes were counted and not limited: the agent's control group may not hand limits down"
	case c.event("memory.events", "oom_kill") > 0:
		return fmt.Sprintf("; it wanted more than %d MiB of memory", memory()/2>>20)
	case c.event("pids.events", "max") > 0:
		return fmt.Sprintf("; it was refused more than %d processes at a time", processes)
	}
	return ""
}
