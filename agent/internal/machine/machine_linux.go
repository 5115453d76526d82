package machine

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Bounds of a table.
const (
	maxRows    = 300
	askWithin  = 45 * time.Second
	maxReports = 5000 // files of crash reports that are looked at
	maxAsks    = 4    // under way at a time
)

// Config says where facts come from. Lines, Users and Updates are needed.
type Config struct {
	Lines   func(context.Context, signaling.JournalOpen) ([]signaling.JournalLine, error) // of the device's logs, the newest
	Users   func() []inventory.User
	Updates func(context.Context) (*inventory.Updates, string)
	Root    string // directory that files of crash reports lie below; "" is "/"
}

// Tool is the tool. It is safe for concurrent use.
type Tool struct{ cfg Config }

// New returns the tool.
func New(cfg Config) *Tool { return &Tool{cfg: cfg} }

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	ctx, asked, stop := tool.Asked(ctx, c)
	slots := make(chan struct{}, maxAsks)
	var asks sync.WaitGroup
	defer asks.Wait()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-asked:
			b, ok := e.Body.(signaling.MachineAsk)
			if !ok {
				return tool.NotFor(e)
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			asks.Go(func() {
				defer func() { <-slots }()
				timed, cancel := context.WithTimeout(ctx, askWithin)
				defer cancel()
				_ = tool.Tell(ctx, c, signaling.TypeMachineTable, e.ID, fit(t.table(timed, b.Topic))) // an error is the channel's, which ends the tool
			})
		}
	}
}

// fit lets go of the rows that one message does not hold.
func fit(m signaling.MachineTable) signaling.MachineTable {
	if m.Rows == nil {
		m.Rows = []signaling.MachineRow{}
	}
	room := tool.Room - 4096
	for i, r := range m.Rows {
		if room -= 60 + tool.Weight(r.Cells...); room < 0 || i == maxRows {
			m.Message = strings.TrimSpace(fmt.Sprintf("%s %d more are not shown.", m.Message, len(m.Rows)-i))
			m.Rows = m.Rows[:i]
			break
		}
	}
	m.Message = mdm.Clean(m.Message, 1000)
	return m
}

func (t *Tool) table(ctx context.Context, topic signaling.MachineTopic) signaling.MachineTable {
	switch topic {
	case signaling.MachineUsers:
		return t.users()
	case signaling.MachineFaults:
		return t.faults(ctx)
	case signaling.MachineCrashes:
		return t.crashes(ctx)
	case signaling.MachineBoot:
		return boot(ctx)
	case signaling.MachineUpdates:
		return t.updates(ctx)
	}
	return signaling.MachineTable{Topic: topic, Columns: []string{}, Message: "There is no such table."}
}

// many is a count with its noun.
func many(n int, one, more string) string {
	switch n {
	case 0:
		return "No " + more
	case 1:
		return "One " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func (t *Tool) users() signaling.MachineTable {
	m := signaling.MachineTable{Topic: signaling.MachineUsers, Columns: []string{"User", "At", "From", "Kind"}}
	all := t.cfg.Users()
	for _, u := range all {
		kind, from := "text", u.Host
		if u.Graphical {
			kind = "graphical"
		}
		if from == "" {
			from = "the device itself"
		}
		m.Rows = append(m.Rows, signaling.MachineRow{TimeMS: u.SinceUS / 1000, Cells: []string{mdm.Clean(u.Name, 64), mdm.Clean(u.Terminal, 64), mdm.Clean(from, 128), kind}})
	}
	m.Summary = many(len(all), "session is signed in.", "sessions are signed in.")
	return m
}

func (t *Tool) faults(ctx context.Context) signaling.MachineTable {
	m := signaling.MachineTable{Topic: signaling.MachineFaults, Columns: []string{"Kind", "Of", "What the kernel says"}}
	all, err := t.Faults(ctx)
	if err != nil {
		m.Message = "The kernel's log cannot be read: " + err.Error()
		m.Summary = "Whether the hardware complains is not known."
		return m
	}
	grave := 0
	for _, f := range all {
		if f.Bad {
			grave++
		}
		m.Rows = append(m.Rows, signaling.MachineRow{TimeMS: f.TimeMS, Bad: f.Bad, Cells: []string{f.Kind, f.What, f.Text}})
	}
	if m.Summary = "The kernel complains of nothing."; len(all) > 0 {
		m.Summary = fmt.Sprintf("%s, %d of them grave.", many(len(all), "complaint of the kernel", "complaints of the kernel"), grave)
	}
	return m
}

// coreName is how systemd-coredump names what it keeps (coredumpctl(1)): core, program, user, boot,
// process, microseconds.
var coreName = regexp.MustCompile(`^core\.(.{1,64})\.(\d+)\.[0-9a-f]{32}\.(\d+)\.(\d{10,17})(?:\.\w+)?$`)

func (t *Tool) crashes(ctx context.Context) signaling.MachineTable {
	m := signaling.MachineTable{Topic: signaling.MachineCrashes, Columns: []string{"Program", "Process", "Of user", "Seen in"}}
	read := func(dir string, take func(name string, info os.FileInfo)) {
		found, err := os.ReadDir(filepath.Join("/", t.cfg.Root, dir))
		if err != nil {
			return // there is none
		}
		for _, e := range found[:min(len(found), maxReports)] {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				take(e.Name(), info)
			}
		}
	}
	row := func(at int64, cells ...string) {
		for i := range cells {
			cells[i] = mdm.Clean(cells[i], 200)
		}
		m.Rows = append(m.Rows, signaling.MachineRow{TimeMS: at, Bad: true, Cells: cells})
	}
	read("var/lib/systemd/coredump", func(name string, info os.FileInfo) {
		if f := coreName.FindStringSubmatch(name); f != nil {
			at, err := strconv.ParseInt(f[4], 10, 64)
			if len(f[4]) > 11 {
				at /= 1e6
			}
			if err != nil || at <= 0 {
				at = info.ModTime().Unix()
			}
			row(at*1000, f[1], f[3], f[2], "/var/lib/systemd/coredump/"+name)
		}
	})
	read("var/crash", func(name string, info os.FileInfo) {
		program := strings.TrimSuffix(name, ".crash") // of Ubuntu: the path with underscores, and the user
		user := ""
		if i := strings.LastIndexByte(program, '.'); i > 0 && strings.HasSuffix(name, ".crash") {
			program, user = program[:i], program[i+1:]
		}
		row(info.ModTime().UnixMilli(), strings.ReplaceAll(program, "_", "/"), "", user, "/var/crash/"+name)
	})
	faults, err := t.Faults(ctx)
	if err != nil {
		m.Message = "The kernel's log cannot be read: " + err.Error()
	}
	for _, f := range faults {
		if f.Kind == Crash || f.Kind == OutOfMemory {
			row(f.TimeMS, f.What, "", "", f.Text)
		}
	}
	slices.SortStableFunc(m.Rows, func(a, b signaling.MachineRow) int { return cmp.Compare(b.TimeMS, a.TimeMS) })
	m.Summary = many(len(m.Rows), "crash is known.", "crashes are known.")
	return m
}

// boot tells what the last start took, where systemd did it.
func boot(ctx context.Context) signaling.MachineTable {
	m := signaling.MachineTable{Topic: signaling.MachineBoot, Columns: []string{"Took", "What"}}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err == nil {
		running := time.Duration(up.Nano())
		m.Summary = fmt.Sprintf("The device was started %s ago.", words(running))
		m.Rows = append(m.Rows, signaling.MachineRow{TimeMS: time.Now().Add(-running).UnixMilli(), Cells: []string{"", "The kernel began"}})
	}
	sys := &enforce.System{}
	path, err := sys.Tool("systemd-analyze", "systemd")
	if err != nil || !sys.Exists("/run/systemd/system") {
		m.Message = "What the start took is known only where systemd did it, which it did not here."
		return m
	}
	r, err := sys.Run(ctx, enforce.Program{Path: path, Args: []string{"--no-pager", "time"}})
	if err != nil {
		m.Message = "What the start took is not known: " + err.Error()
		return m
	}
	first, _, _ := strings.Cut(r.Out, "\n")
	m.Summary = strings.TrimSpace(m.Summary + " " + mdm.Clean(first, 300))
	if r, err = sys.Run(ctx, enforce.Program{Path: path, Args: []string{"--no-pager", "blame"}}); err == nil {
		m.Rows = append(m.Rows, parseBlame(r.Out)...)
	}
	return m
}

// parseBlame reads "1min 2.345s name".
func parseBlame(text string) []signaling.MachineRow {
	var out []signaling.MachineRow
	for line := range strings.Lines(text) {
		line = mdm.Clean(line, 300)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || len(out) == 60 {
			continue
		}
		took := line[:at]
		out = append(out, signaling.MachineRow{Bad: strings.Contains(took, "min"), Cells: []string{took, line[at+1:]}})
	}
	return out
}

// words is a time for people.
func words(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func (t *Tool) updates(ctx context.Context) signaling.MachineTable {
	m := signaling.MachineTable{Topic: signaling.MachineUpdates, Columns: []string{"Package", "Installed", "Waiting", "Kind"}}
	u, missed := t.cfg.Updates(ctx)
	m.Message = missed
	if u == nil {
		m.Summary = "Which updates wait is not known."
		return m
	}
	security := 0
	for _, p := range u.Pending {
		kind := "update"
		if p.Security {
			kind = "security"
			security++
		}
		m.Rows = append(m.Rows, signaling.MachineRow{Bad: p.Security, Cells: []string{mdm.Clean(p.Name, 128), mdm.Clean(p.Installed, 128), mdm.Clean(p.Candidate, 128), kind}})
	}
	slices.SortStableFunc(m.Rows, func(a, b signaling.MachineRow) int { // "security" before "update"
		return cmp.Compare(a.Cells[3], b.Cells[3])
	})
	m.Summary = fmt.Sprintf("%s, %d of them for security.", many(len(u.Pending), "update waits", "updates wait"), security)
	if u.RebootRequired {
		m.Summary += " A restart is needed for updates that are installed."
	}
	if u.PackageListsUS == 0 {
		m.Summary += " The lists of packages were never fetched."
	} else {
		m.Summary += fmt.Sprintf(" The lists of packages are of %s.", time.UnixMicro(u.PackageListsUS).Format(time.DateOnly))
	}
	return m
}
