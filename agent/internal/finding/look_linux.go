package finding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"handrail/agent/internal/machine"
	"handrail/agent/internal/process"
	"handrail/mdm/inventory"
	"handrail/signaling"
)

// From when on something is worth telling.
const (
	fullPercent   = 95      // of a file system, bad
	fillPercent   = 90      // of a file system, soon bad
	fullFree      = 5 << 30 // bytes; with more than this free a large disk is not full, whatever the share
	fillFree      = 20 << 30
	busyCPU       = 800             // thousandths of a core
	busySpent     = 5 * time.Second // of processor time: what has only begun is no runaway
	busyFor       = time.Second     // it is looked at
	scarcePercent = 8               // of memory that is available, bad below
	swapPercent   = 50
	waitPercent   = 40 // of time that programs wait for disks
	dnsWithin     = 3 * time.Second
	clockBad      = 2 * time.Minute
	clockOdd      = 20 * time.Second
	lately        = 7 * 24 * time.Hour
	expiresSoon   = 14 * 24 * time.Hour
	longExpired   = 60 * 24 * time.Hour
)

// size is bytes for people.
func size(n int64) string {
	switch {
	case n >= 10e9:
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}

// span is a time for people.
func span(d time.Duration) string {
	d = max(d, -d)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// volumes finds file systems that are full, and what fills them.
func (t *Tool) volumes(ctx context.Context, tell func([]signaling.Finding)) error {
	all, err := t.cfg.Volumes(ctx)
	if err != nil {
		return err
	}
	var found []signaling.Finding
	var full []int
	for _, v := range all {
		free := v.Bytes - v.Used
		percent := int64(0)
		if v.Bytes > 0 {
			percent = v.Used * 100 / v.Bytes
		}
		f := signaling.Finding{ID: "disk:" + v.Mount, Tool: signaling.ToolSpace, Target: v.Mount, Title: fmt.Sprintf("%s is %d %% full", v.Mount, percent)}
		f.Evidence = []string{fmt.Sprintf("%s of %s are left on %s", size(free), size(v.Bytes), v.Device)}
		f.Advice = "Look at what fills it, and delete or move what nobody needs. Programs fail in odd ways once nothing is left."
		switch {
		case v.Stuck:
			f.Severity, f.Title = signaling.SeverityBad, v.Mount+" does not answer"
			f.Evidence = []string{fmt.Sprintf("%s is on %s, and asking for its size gets no answer", v.Mount, v.Device)}
			f.Advice = "Programs that touch it hang. Mend the connection to its server, or unmount it (umount -l)."
		case v.ReadOnly:
			continue
		case percent >= fullPercent && free < fullFree:
			f.Severity = signaling.SeverityBad
			full = append(full, len(found))
		case percent >= fillPercent && free < fillFree:
			f.Severity = signaling.SeverityWarn
			full = append(full, len(found))
		case v.Files > 0 && v.FilesUsed*100/v.Files >= fullPercent:
			f.Severity, f.Title = signaling.SeverityBad, fmt.Sprintf("%s can hold hardly any more files", v.Mount)
			f.Evidence = []string{fmt.Sprintf("%d of %d files are there; their size does not matter", v.FilesUsed, v.Files)}
			f.Advice = "Look for a directory of very many small files, as of a cache or of mail that was never delivered."
		default:
			continue
		}
		found = append(found, f)
	}
	tell(slices.Clone(found))
	if t.cfg.Walk == nil {
		return nil
	}
	for _, i := range full[:min(len(full), 3)] {
		tree := t.cfg.Walk(ctx, found[i].Target, 3*time.Second)
		if most := fillers(tree); len(most) > 0 {
			found[i].Evidence = append(slices.Clone(found[i].Evidence), most...)
			if hint := hintFor(most[0]); hint != "" {
				found[i].Advice = hint
			}
			tell(slices.Clone(found))
		}
	}
	return nil
}

// fillers names the directories that hold the most: each the deepest of which that can be said.
func fillers(m signaling.SpaceTree) []string {
	if len(m.Nodes) == 0 {
		return nil
	}
	paths, largest := make([]string, len(m.Nodes)), make([]int64, len(m.Nodes))
	for i, n := range m.Nodes {
		if paths[i] = n.Name; n.Parent >= 0 {
			paths[i] = strings.TrimSuffix(paths[n.Parent], "/") + "/" + n.Name
			if n.Name != "" {
				largest[n.Parent] = max(largest[n.Parent], n.Bytes)
			}
		}
	}
	type filler struct {
		path  string
		bytes int64
	}
	var list []filler
	for i, n := range m.Nodes {
		isMost := n.Bytes*10 >= m.Nodes[0].Bytes && n.Bytes >= 64<<10
		if i > 0 && n.Name != "" && isMost && largest[i]*2 < n.Bytes {
			list = append(list, filler{paths[i], n.Bytes})
		}
	}
	slices.SortFunc(list, func(a, b filler) int { return cmp.Compare(b.bytes, a.bytes) })
	var out []string
	for _, f := range list[:min(len(list), 3)] {
		words := fmt.Sprintf("%s of it in %s", size(f.bytes), f.path)
		if !m.Whole {
			words = fmt.Sprintf("at least %s of it in %s", size(f.bytes), f.path)
		}
		out = append(out, words)
	}
	return out
}

// hintFor knows what to do about the usual fillers.
func hintFor(filler string) string {
	for _, h := range []struct{ part, hint string }{
		{"/var/log/journal", "The system's journal grew. In a terminal, “journalctl --vacuum-size=500M” cuts it, and SystemMaxUse= in /etc/systemd/journald.conf keeps it small."},
		{"/var/cache/apt", "Packages that were fetched are kept. In a terminal, “apt-get clean” deletes them; nothing needs them."},
		{"/var/lib/docker", "Containers and their images fill it. In a terminal, “docker system prune” deletes those that nothing uses."},
		{"/var/lib/systemd/coredump", "Memory of crashed programs is kept there. It can be deleted once nobody wants to look at the crashes."},
		{"/.cache/", "Caches of programs fill it. They can be deleted while the programs do not run, and come back smaller."},
		{"Trash/", "What was deleted is still in the wastebasket. Empty it."},
	} {
		if strings.Contains(filler+"/", h.part) {
			return h.hint
		}
	}
	return ""
}

// memory finds memory, swap and disks that are short.
func (t *Tool) memory(_ context.Context, tell func([]signaling.Finding)) error {
	kib := map[string]int64{}
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 {
			kib[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	tell(memoryFindings(kib, stall("memory"), stall("io"), load(), runtime.NumCPU()))
	return nil
}

func load() float64 {
	var one float64
	b, _ := os.ReadFile("/proc/loadavg") // without it there is no load to speak of
	_, _ = fmt.Sscan(string(b), &one)
	return one
}

// stall is the share of the last minute in which something waited, in percent; 0 where the
// kernel does not tell.
func stall(of string) float64 {
	f, err := os.Open("/proc/pressure/" + of)
	if err != nil {
		return 0
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 4096)) // as above
	_, rest, ok := strings.Cut(string(b), "avg60=")
	if !ok {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return n
}

func memoryFindings(kib map[string]int64, memoryStall, ioStall, load float64, cores int) []signaling.Finding {
	var out []signaling.Finding
	total, free := kib["MemTotal"], kib["MemAvailable"]
	swap, swapFree := kib["SwapTotal"], kib["SwapFree"]
	if total > 0 && free*100/total < scarcePercent {
		out = append(out, signaling.Finding{
			ID: "memory", Severity: signaling.SeverityBad, Title: fmt.Sprintf("Memory is nearly used up: %d %% is left", free*100/total), Tool: signaling.ToolProcess, Target: "memory",
			Evidence: []string{fmt.Sprintf("%s of %s are available", size(free<<10), size(total<<10))},
			Advice:   "Sort the processes by memory, and end or restart what takes too much. Soon the kernel will end something by itself.",
		})
	}
	if swap > 0 && (swap-swapFree)*100/swap >= swapPercent && (memoryStall >= 5 || free*100/max(total, 1) < 20) {
		out = append(out, signaling.Finding{
			ID: "swap", Severity: signaling.SeverityWarn, Title: "Swap is in heavy use", Tool: signaling.ToolProcess, Target: "memory",
			Evidence: []string{fmt.Sprintf("%s of %s of swap are used", size((swap-swapFree)<<10), size(swap<<10)), fmt.Sprintf("programs waited for memory in %.0f %% of the last minute", memoryStall)},
			Advice:   "The device has less memory than its programs want, which makes everything slow. End what takes the most, or give the device more.",
		})
	}
	if ioStall >= waitPercent {
		out = append(out, signaling.Finding{
			ID: "io", Severity: signaling.SeverityWarn, Title: "Programs wait for disks", Tool: signaling.ToolVitals, Target: "disks",
			Evidence: []string{fmt.Sprintf("in %.0f %% of the last minute something waited for a disk", ioStall)},
			Advice:   "Look at which disk is busy, and at which process reads and writes the most. A disk that is dying is slow too.",
		})
	}
	if cores > 0 && load > 4*float64(cores) {
		out = append(out, signaling.Finding{
			ID: "load", Severity: signaling.SeverityWarn, Title: fmt.Sprintf("More is running than the device can do: a load of %.0f on %d cores", load, cores), Tool: signaling.ToolProcess, Target: "cpu",
			Evidence: []string{fmt.Sprintf("on the average of the last minute %.1f tasks ran or waited", load)},
			Advice:   "Sort the processes by processor time, and end or hold what nobody needs now.",
		})
	}
	return out
}

// processes finds those that run away.
func (t *Tool) processes(ctx context.Context, tell func([]signaling.Finding)) error {
	all, err := t.cfg.Processes(ctx, busyFor)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b process.Usage) int { return cmp.Compare(b.CPU, a.CPU) })
	var out []signaling.Finding
	waiting := []string{}
	for _, u := range all {
		if u.Waiting {
			waiting = append(waiting, fmt.Sprintf("%s (%d)", u.Name, u.PID))
		}
		if u.CPU < busyCPU || u.Spent < busySpent || u.Kind == signaling.ProcessKernel || len(out) == 5 {
			continue
		}
		out = append(out, signaling.Finding{
			ID: fmt.Sprintf("cpu:%d", u.PID), Severity: signaling.SeverityWarn, Title: fmt.Sprintf("%s uses %d %% of a core", u.Name, u.CPU/10), Tool: signaling.ToolProcess, Target: strconv.FormatInt(u.PID, 10),
			Evidence: []string{
				fmt.Sprintf("process %d of %s began %s ago and has used %s of processor time since", u.PID, u.User, span(u.Age), span(u.Spent)),
				fmt.Sprintf("it takes %s of memory", size(u.Memory)),
			},
			Advice: "Ask whether that is meant, as when something is computed. If it is not, end the process; if it comes back, restart its service.",
		})
	}
	if len(waiting) > 2 {
		out = append(out, signaling.Finding{
			ID: "waiting", Severity: signaling.SeverityWarn, Title: fmt.Sprintf("%d processes wait for a disk or a server", len(waiting)), Tool: signaling.ToolProcess, Target: "D",
			Evidence: []string{strings.Join(waiting[:min(len(waiting), 10)], ", ")},
			Advice:   "Look at the disks, and at file systems of other machines: one of them does not answer.",
		})
	}
	tell(out)
	return nil
}

// services finds those that failed.
func (t *Tool) services(ctx context.Context, tell func([]signaling.Finding)) error {
	failed, _, err := t.cfg.Failed(ctx)
	if err != nil {
		return err
	}
	out := make([]signaling.Finding, 0, len(failed))
	for _, s := range failed[:min(len(failed), 10)] {
		f := signaling.Finding{
			ID: "service:" + s.Name, Severity: signaling.SeverityBad, Title: s.Name + " has failed", Tool: signaling.ToolService, Target: s.Name,
			Advice: "Read its last lines for the reason, mend that, and start the service again.",
		}
		if s.Description != "" {
			f.Title = fmt.Sprintf("%s (%s) has failed", s.Description, s.Name)
		}
		f.Evidence = []string{strings.TrimSpace("its state is failed, " + s.Sub)}
		if t.cfg.ServiceLog != nil {
			lines := t.cfg.ServiceLog(ctx, s.Name)
			f.Evidence = append(f.Evidence, lines[max(0, len(lines)-3):]...)
		}
		out = append(out, f)
	}
	tell(out)
	return nil
}

// names asks every DNS server: one that is dead makes everything slow, though the others answer.
func (t *Tool) names(ctx context.Context, tell func([]signaling.Finding)) error {
	if t.cfg.Connected != nil && !t.cfg.Connected() {
		tell([]signaling.Finding{{
			ID: "network", Severity: signaling.SeverityBad, Title: "No network is connected", Evidence: []string{"no interface has an address"}, Tool: signaling.ToolNetcheck,
			Advice: "Look at the cable, the wireless network, and DHCP.",
		}})
		return nil
	}
	servers := t.cfg.Servers()
	if len(servers) == 0 {
		tell([]signaling.Finding{{
			ID: "dns", Severity: signaling.SeverityBad, Title: "The device has no DNS server", Evidence: []string{"/etc/resolv.conf names none"}, Tool: signaling.ToolNetcheck, Target: "problem",
			Advice: "No names are found, so hardly anything works. Look at DHCP, or at the fixed settings of the network.",
		}})
		return nil
	}
	found := make([]*signaling.Finding, len(servers))
	var asks sync.WaitGroup
	for i, s := range servers {
		asks.Go(func() { found[i] = t.nameserver(ctx, s) })
	}
	asks.Wait()
	var out []signaling.Finding
	for _, f := range found {
		if f != nil {
			out = append(out, *f)
		}
	}
	tell(out)
	return nil
}

func (t *Tool) nameserver(ctx context.Context, server netip.Addr) *signaling.Finding {
	ctx, cancel := context.WithTimeout(ctx, dnsWithin)
	defer cancel()
	// Any answer will do, so it matters little what is asked for.
	took, err := t.cfg.Ask(ctx, server, "example.com")
	f := &signaling.Finding{ID: "dns:" + server.String(), Severity: signaling.SeverityBad, Tool: signaling.ToolNetcheck, Target: server.String()}
	switch {
	case err != nil:
		f.Title = fmt.Sprintf("DNS server %s does not answer", server)
		f.Evidence = []string{fmt.Sprintf("it was asked for example.com: %v", err)}
		f.Advice = "Take it out of the device's network settings (or out of DHCP), or mend it. Until then everything that uses a name is slow, or fails."
	case took > time.Second:
		f.Severity, f.Title = signaling.SeverityWarn, fmt.Sprintf("DNS server %s is slow", server)
		f.Evidence = []string{fmt.Sprintf("it took %d ms to answer", took.Milliseconds())}
		f.Advice = "Everything that uses a name waits for it. Try another server."
	default:
		return nil
	}
	return f
}

// faults finds what the kernel complained of lately.
func (t *Tool) faults(ctx context.Context, tell func([]signaling.Finding)) error {
	all, err := t.cfg.Faults(ctx)
	if err != nil {
		return err
	}
	tell(faultFindings(all, time.Now()))
	return nil
}

// faultWords says for each kind what to do.
var faultWords = map[string]string{
	machine.OutOfMemory: "Look at which programs take the most memory. What was killed lost its unsaved work.",
	machine.DiskError:   "Save what is on the disk now, and replace it; look at its cable first.",
	machine.FileSystem:  "Save what is on it, and have it checked (fsck) at the next start.",
	machine.Hardware:    "A processor, memory module or board has a fault. Test the memory, and have the device looked at.",
	machine.TooHot:      "Clean the fans, and see that air can pass. The device slows down to save itself.",
	machine.Hang:        "Something waits for a disk, a server or a driver without end. Look at file systems of other machines, and at the disks.",
}

func faultFindings(all []machine.Fault, now time.Time) []signaling.Finding {
	var out []signaling.Finding
	at := map[string]int{}
	count := map[string]int{}
	for _, f := range all { // newest first
		advice, known := faultWords[f.Kind]
		when := time.UnixMilli(f.TimeMS)
		if !known || f.TimeMS > 0 && now.Sub(when) > lately {
			continue
		}
		severity := signaling.SeverityBad
		if f.Kind == machine.Hang { // often over by itself, and of many programs for one reason
			f.What, severity = "", signaling.SeverityWarn
		}
		id := "kernel:" + f.Kind + ":" + f.What
		count[id]++
		if i, seen := at[id]; seen {
			if len(out[i].Evidence) < 4 {
				out[i].Evidence = append(out[i].Evidence, f.Text)
			}
			continue
		}
		at[id] = len(out)
		title := f.Kind
		if f.What != "" {
			title += ": " + f.What
		}
		out = append(out, signaling.Finding{
			ID: id, Severity: severity, Title: title, Tool: signaling.ToolMachine, Target: string(signaling.MachineFaults), Advice: advice,
			Evidence: []string{fmt.Sprintf("last %s ago: %s", span(now.Sub(when)), f.Text)},
		})
	}
	for id, i := range at {
		if n := count[id]; n > 1 {
			out[i].Title += fmt.Sprintf(" (%d times)", n)
		}
	}
	return out
}

// disks finds those that say of themselves that they fail.
func (t *Tool) disks(ctx context.Context, tell func([]signaling.Finding)) error {
	all, _ := t.cfg.Disks(ctx) // which disks do not tell, the inventory says
	var out []signaling.Finding
	for _, d := range all {
		f := signaling.Finding{ID: "health:" + d.Name, Tool: signaling.ToolMachine, Target: string(signaling.MachineFaults), Advice: "Save what is on it, and replace it."}
		switch {
		case d.Health == "failing":
			f.Severity, f.Title, f.Evidence = signaling.SeverityBad, fmt.Sprintf("Disk %s says that it fails", d.Name), []string{strings.TrimSpace(d.Model + " " + d.HealthMessage)}
		case d.WearPercent != nil && *d.WearPercent >= 90:
			f.Severity, f.Title, f.Evidence = signaling.SeverityWarn, fmt.Sprintf("Disk %s is nearly worn out", d.Name), []string{fmt.Sprintf("%s has used %d %% of the life its maker gives it", d.Model, *d.WearPercent)}
		case d.BadSectors != nil && *d.BadSectors > 0:
			f.Severity, f.Title, f.Evidence = signaling.SeverityWarn, fmt.Sprintf("Disk %s has bad sectors", d.Name), []string{fmt.Sprintf("%s tells of %d", d.Model, *d.BadSectors)}
		default:
			continue
		}
		out = append(out, f)
	}
	tell(out)
	return nil
}

// clock compares the device's with the server's.
func (t *Tool) clock(ctx context.Context, tell func([]signaling.Finding)) error {
	off, err := t.cfg.Clock(ctx)
	if err != nil {
		return err
	}
	way := "ahead"
	if off < 0 {
		way = "behind"
	}
	f := signaling.Finding{
		ID: "clock", Severity: signaling.SeverityBad, Title: fmt.Sprintf("The clock is %s %s", span(off), way), Evidence: []string{fmt.Sprintf("compared with this installation's server, at %s by the device's clock", time.Now().Format(time.DateTime))},
		Advice: "Have the device set its clock from the network (timedatectl set-ntp true). Certificates and sign-ins fail by a wrong clock.", Tool: signaling.ToolService, Target: "systemd-timesyncd.service",
	}
	switch {
	case off > clockBad || off < -clockBad:
	case off > clockOdd || off < -clockOdd:
		f.Severity = signaling.SeverityWarn
	default:
		tell(nil)
		return nil
	}
	tell([]signaling.Finding{f})
	return nil
}

// certificates finds those that expire.
func (t *Tool) certificates(ctx context.Context, tell func([]signaling.Finding)) error {
	all, missed := t.cfg.Certificates(ctx)
	tell(certificateFindings(all, time.Now()))
	if missed != "" && len(all) == 0 {
		return errors.New(missed)
	}
	return nil
}

func certificateFindings(all []inventory.Certificate, now time.Time) []signaling.Finding {
	var out []signaling.Finding
	for _, c := range all {
		left := time.UnixMicro(c.NotAfterUS).Sub(now)
		if left > expiresSoon || left < -longExpired {
			continue // what expired long ago is missed by nobody
		}
		f := signaling.Finding{
			ID: "certificate:" + c.SHA256, Severity: signaling.SeverityWarn, Title: fmt.Sprintf("The certificate of %s expires in %s", c.Subject, span(left)), Evidence: []string{c.Path, "issued by " + c.Issuer},
			Advice: "Renew it, and restart the service that uses it.",
		}
		if left < 0 {
			f.Severity, f.Title = signaling.SeverityBad, fmt.Sprintf("The certificate of %s expired %s ago", c.Subject, span(left))
		}
		out = append(out, f)
	}
	return out
}

// restart tells that an update waits for one.
func (t *Tool) restart(_ context.Context, tell func([]signaling.Finding)) error {
	pending, packages := t.cfg.Restart()
	if !pending {
		tell(nil)
		return nil
	}
	f := signaling.Finding{
		ID: "restart", Severity: signaling.SeverityNote, Title: "A restart is needed", Evidence: []string{"updates are installed that work only after it"}, Tool: signaling.ToolMachine, Target: string(signaling.MachineUpdates),
		Advice: "Ask the person at the device when it suits, and restart.",
	}
	if packages != "" {
		f.Evidence = append(f.Evidence, "for "+strings.Join(strings.Fields(packages), ", "))
	}
	tell([]signaling.Finding{f})
	return nil
}
