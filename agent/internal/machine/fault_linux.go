package machine

import (
	"context"
	"regexp"
	"slices"

	"handrail/mdm"
	"handrail/signaling"
)

// Fault is a complaint of the kernel.
type Fault struct {
	TimeMS int64  // Unix
	Kind   string // in words, as "Memory ran out"
	Text   string // of the kernel
	What   string // what it is of, as a disk or a program; "" where the line does not tell
	Bad    bool   // something is broken or was lost; else it is worth knowing
}

// Kinds of faults.
const (
	OutOfMemory = "Memory ran out"
	DiskError   = "Disk error"
	FileSystem  = "File system damaged"
	Hardware    = "Hardware error"
	TooHot      = "Too hot"
	Hang        = "Something hangs"
	Crash       = "Program crashed"
	Bus         = "Device or cable"
)

// patterns are what drivers write, as seen in Linux 4 to 6. The first that fits counts; the first
// group is what it is of.
var patterns = []struct {
	re   *regexp.Regexp
	kind string
	bad  bool
}{
	{regexp.MustCompile(`Out of memory: Kill(?:ed)? process \d+ \(([^)]{1,64})\)`), OutOfMemory, true},
	{regexp.MustCompile(`Memory cgroup out of memory: Killed process \d+ \(([^)]{1,64})\)`), OutOfMemory, true},
	{regexp.MustCompile(`(?:I/O error|critical (?:medium|target|space allocation) error)(?:, |.*?)dev(?:ice)? ([a-z0-9-]{1,32})`), DiskError, true},
	{regexp.MustCompile(`Buffer I/O error on dev(?:ice)? ([a-z0-9-]{1,32})`), DiskError, true},
	{regexp.MustCompile(`(nvme\d+): .*(?:timeout|controller is down|Abort status|I/O Error|Device not ready)`), DiskError, true},
	{regexp.MustCompile(`(ata\d+(?:\.\d+)?): (?:exception|failed command|error: \{|status: \{ DRDY ERR|hard resetting link)`), DiskError, true},
	{regexp.MustCompile(`(?:EXT4|EXT3|EXT2)-fs (?:error|warning|\(\S+\): error)[^(]*\(?(?:device )?([a-z0-9-]{1,32})?`), FileSystem, true},
	{regexp.MustCompile(`XFS \(([^)]{1,32})\): .*(?:orruption|error|shutting down)`), FileSystem, true},
	{regexp.MustCompile(`BTRFS (?:error|critical) \(device ([^):]{1,32})`), FileSystem, true},
	{regexp.MustCompile(`Remounting filesystem read-only`), FileSystem, true},
	{regexp.MustCompile(`(?:mce|MCE): \[?Hardware Error|Machine check events logged|\[Hardware Error\]|EDAC \S+ .*(?:UE|CE) `), Hardware, true},
	{regexp.MustCompile(`(?:temperature above threshold|cpu clock throttled|critical temperature reached|thermal_zone\d+: critical)`), TooHot, true},
	{regexp.MustCompile(`INFO: task (\S{1,64}):\d+ blocked for more than`), Hang, true},
	{regexp.MustCompile(`(?:soft lockup|hard LOCKUP|rcu_\w+ (?:self-)?detected (?:expedited )?stall)`), Hang, true},
	{regexp.MustCompile(`(\S{1,64})\[\d+\](?:: segfault at| general protection| trap (?:invalid opcode|divide error|int3))`), Crash, false},
	{regexp.MustCompile(`traps: (\S{1,64})\[\d+\] (?:general protection|trap)`), Crash, false},
	{regexp.MustCompile(`(?:over-current (?:condition|change)|device descriptor read/64, error|Cannot enable\. Maybe the USB cable is bad)`), Bus, false},
	{regexp.MustCompile(`(\S{1,32}): (?:.* )?NIC Link is Down`), Bus, false},
}

// classify tells what a line of the kernel complains of.
func classify(l signaling.JournalLine) (Fault, bool) {
	for _, p := range patterns {
		m := p.re.FindStringSubmatch(l.Text)
		if m == nil {
			continue
		}
		f := Fault{TimeMS: l.TimeMS, Kind: p.kind, Text: mdm.Clean(l.Text, 400), Bad: p.bad}
		if len(m) > 1 {
			f.What = mdm.Clean(m[1], 64)
		}
		return f, true
	}
	return Fault{}, false
}

// kernelLines is how many of the newest are looked at.
const kernelLines = 1000

// Faults returns what the kernel complained of, newest first.
func (t *Tool) Faults(ctx context.Context) ([]Fault, error) {
	lines, err := t.cfg.Lines(ctx, signaling.JournalOpen{Kernel: true, Priority: 6, Count: kernelLines})
	if err != nil && len(lines) == 0 {
		return nil, err
	}
	var out []Fault
	for _, l := range lines {
		if f, ok := classify(l); ok {
			out = append(out, f)
		}
	}
	slices.Reverse(out)
	return out, nil
}
