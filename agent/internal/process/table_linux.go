package process

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"handrail/mdm"
	"handrail/signaling"
)

// Bounds of what is kept of one process.
const (
	maxCommand = 400 // bytes
	maxName    = 64
	// A process whose memory changed by less than this is not told anew.
	memoryStep = 256 << 10
	kernelPID  = 2 // parent of all threads of the kernel
)

// tick is the unit of times in /proc: USER_HZ, a hundredth of a second on every Linux.
const tick = 10 * time.Millisecond

// entry is one process in the table.
type entry struct {
	row   signaling.ProcessRow
	name  string // as the kernel has it
	ticks int64  // of processor time so far
	seen  uint64
}

// table is what runs, as it was at the last reading. It is used by one goroutine.
type table struct {
	dir     int // of /proc
	who     *owner
	uid     int64 // of who sat at the device then; -1 is nobody
	buf     []byte
	page    int64
	boot    time.Time
	entries map[int64]*entry
	users   map[uint32]string
	round   uint64
	at      time.Time // of the last reading
}

func newTable(who *owner) (*table, error) {
	dir, err := unix.Open("/proc", unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	t := &table{dir: dir, who: who, buf: make([]byte, 8<<10), page: int64(os.Getpagesize()), entries: map[int64]*entry{}, users: usersOf("/etc/passwd")}
	if t.boot, err = bootTime(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *table) close() { _ = unix.Close(t.dir) }

// bootTime is when the counting of /proc/*/stat began, by today's clock.
func bootTime() (time.Time, error) {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(-time.Duration(up.Nano())), nil
}

// usersOf reads who has which number. A machine with a directory of people has more of them;
// those are told by number.
func usersOf(file string) map[uint32]string {
	out := map[uint32]string{}
	b, err := os.ReadFile(file)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(line, ":")
		if len(f) < 3 {
			continue
		}
		if n, err := strconv.ParseUint(f[2], 10, 32); err == nil && out[uint32(n)] == "" {
			out[uint32(n)] = mdm.Clean(f[0], maxName)
		}
	}
	return out
}

// file reads a file of /proc into the table's buffer, which the next call writes over. Of a
// longer one the beginning is read.
func (t *table) file(name string) ([]byte, error) {
	fd, err := unix.Openat(t.dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, t.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return t.buf[:max(n, 0)], err
	}
}

// numbers lists the processes' numbers.
func numbers() ([]int64, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out := make([]int64, 0, len(names))
	for _, name := range names {
		if n, err := strconv.ParseInt(name, 10, 32); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// what of a process a reading found.
type change int

const (
	same  change = iota
	moved        // its figures did
	fresh        // it is new, or another program now
)

// read looks at every process; each is told to the function as it is read, so that the first
// are seen before the last are read. What has gone is returned.
func (t *table) read(tell func(change, *entry) error) (gone []int64, err error) {
	pids, err := numbers()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	since := now.Sub(t.at)
	if t.at.IsZero() {
		since = 0
	}
	t.at = now
	t.round++
	if uid := t.who.uid(); uid != t.uid { // whose each process is, is another matter now
		t.uid = uid
		for _, e := range t.entries {
			e.name = ""
		}
	}
	for _, pid := range pids {
		kind, e := t.look(pid, now, since)
		if e == nil {
			continue // it ended meanwhile
		}
		if err := tell(kind, e); err != nil {
			return nil, err
		}
	}
	for pid, e := range t.entries {
		if e.seen != t.round {
			delete(t.entries, pid)
			gone = append(gone, pid)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

// look reads one process; nil where it is no more.
func (t *table) look(pid int64, now time.Time, since time.Duration) (change, *entry) {
	dir := strconv.FormatInt(pid, 10)
	b, err := t.file(dir + "/stat")
	if err != nil {
		return same, nil
	}
	st, ok := parseStat(b)
	if !ok {
		return same, nil
	}
	figures := signaling.ProcessFigures{State: st.state, Memory: st.pages * t.page, Nice: st.nice, Threads: st.threads}
	e := t.entries[pid]
	if e != nil && e.row.Birth == st.birth && string(st.name) == e.name {
		e.seen = t.round
		figures.CPU = share(st.ticks-e.ticks, since)
		e.ticks = st.ticks
		was := e.row.Now
		if step := figures.Memory - was.Memory; step < memoryStep && step > -memoryStep {
			figures.Memory = was.Memory
		}
		e.row.Now = figures
		if e.row.Parent != st.parent {
			e.row.Parent = st.parent
			return fresh, e
		}
		if figures == was {
			return same, e
		}
		return moved, e
	}
	began := t.boot.Add(time.Duration(st.birth) * tick)
	next := &entry{seen: t.round, ticks: st.ticks, name: string(st.name), row: signaling.ProcessRow{
		PID: pid, Birth: st.birth, Parent: st.parent, Name: nameOf(st.name), StartMS: began.UnixMilli(), Now: figures,
	}}
	if e != nil && e.row.Birth == st.birth {
		next.row.Now.CPU = share(st.ticks-e.ticks, since)
	} else {
		next.row.Now.CPU = share(st.ticks, now.Sub(began)) // what it took on the average: there is no other figure yet
	}
	t.introduce(dir, next, st)
	t.entries[pid] = next
	return fresh, next
}

// nameOf is a name for people; the kernel takes any, none too.
func nameOf(b []byte) string {
	if s := mdm.Clean(string(b), maxName); s != "" {
		return s
	}
	return "(no name)"
}

// introduce fills in what seldom changes.
func (t *table) introduce(dir string, e *entry, st stat) {
	if st.parent == kernelPID || e.row.PID == kernelPID && st.parent == 0 {
		e.row.Kind, e.row.User = signaling.ProcessKernel, "root"
		return
	}
	e.row.Kind = signaling.ProcessSystem
	if b, err := t.file(dir + "/status"); err == nil {
		if ids, ok := parseIDs(b); ok {
			e.row.User = t.user(ids.real)
			e.row.Kind = t.who.kind(e.row.PID, e.row.Name, ids, t.uid)
		}
	}
	if b, err := t.file(dir + "/cmdline"); err == nil {
		b = bytes.TrimRight(b, "\x00")
		b = bytes.ReplaceAll(b[:min(len(b), 2*maxCommand)], []byte{0}, []byte{' '})
		e.row.Command = mdm.Clean(string(b), maxCommand)
	}
}

func (t *table) user(uid uint32) string {
	if name := t.users[uid]; name != "" {
		return name
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// share is thousandths of one processor.
func share(ticks int64, over time.Duration) int64 {
	if over < tick || ticks <= 0 {
		return 0
	}
	return int64(float64(ticks) * float64(tick) / float64(over) * 1000)
}

// stat is /proc/PID/stat (proc(5)).
type stat struct {
	name    []byte // in the buffer it was read from
	state   string
	parent  int64
	ticks   int64 // of user and system
	nice    int64
	threads int64
	birth   int64
	pages   int64
}

// parseStat reads what comes after the name, which may hold anything, brackets too.
func parseStat(b []byte) (s stat, ok bool) {
	open, shut := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || shut < open {
		return s, false
	}
	s.name = b[open+1 : shut]
	n := 0
	for rest := b[shut+1:]; len(rest) > 0; {
		rest = bytes.TrimLeft(rest, " \n")
		end := bytes.IndexAny(rest, " \n")
		if end < 0 {
			end = len(rest)
		}
		word := rest[:end]
		rest = rest[end:]
		if len(word) == 0 {
			break
		}
		switch n { // fields of proc(5), less 3
		case 0:
			s.state = stateOf(word)
		case 1:
			s.parent = digits(word)
		case 11, 12:
			s.ticks += digits(word)
		case 16:
			s.nice = digits(word)
		case 17:
			s.threads = digits(word)
		case 19:
			s.birth = digits(word)
		case 21:
			s.pages = digits(word)
			return s, true
		}
		n++
	}
	return s, false
}

// stateOf gives the letters that are known without allocating.
func stateOf(b []byte) string {
	const known = "RSDTtZXI"
	if len(b) == 1 {
		if i := strings.IndexByte(known, b[0]); i >= 0 {
			return known[i : i+1]
		}
	}
	return "?"
}

// digits reads a number; what is none is 0.
func digits(b []byte) int64 {
	n, err := strconv.ParseInt(string(b), 10, 64) // the compiler makes no copy
	if err != nil {
		return 0
	}
	return n
}

// ids are a process's users.
type ids struct{ real, effective, saved uint32 }

// parseIDs reads "Uid:" of /proc/PID/status.
func parseIDs(b []byte) (ids, bool) {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("Uid:"))
		if !ok {
			continue
		}
		f := bytes.Fields(rest)
		if len(f) < 3 {
			return ids{}, false
		}
		var n [3]uint32
		for i := range n {
			v, err := strconv.ParseUint(string(f[i]), 10, 32)
			if err != nil {
				return ids{}, false
			}
			n[i] = uint32(v)
		}
		return ids{n[0], n[1], n[2]}, true
	}
	return ids{}, false
}
