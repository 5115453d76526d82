package vitals

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"handrail/mdm"
	"handrail/signaling"
)

// Bounds and paces of reading.
const (
	maxFile      = 4 << 20          // bytes of one file of /proc
	volumesEvery = 10 * time.Second // a full disk fills slowly, and asking a network's file system may take long
	sectorBytes  = 512              // of /proc/diskstats, whatever the disk's own are
)

// reader reads /proc and /sys below a root. It is used by one goroutine.
type reader struct {
	root    string
	buf     bytes.Buffer
	volumes map[string]gauge
	asked   time.Time // when volumes were
	sensors []sensor  // found at the first reading
	looked  bool
}

type sensor struct{ name, path string }

func newReader(root string) *reader { return &reader{root: root} }

// file returns a file's contents, which are valid until the next call; nil where it cannot be
// read.
func (r *reader) file(name string) []byte {
	f, err := os.Open(filepath.Join(r.root, name))
	if err != nil {
		return nil
	}
	defer f.Close()
	r.buf.Reset()
	if _, err := r.buf.ReadFrom(io.LimitReader(f, maxFile)); err != nil {
		return nil
	}
	return r.buf.Bytes()
}

var errNoFigures = errors.New("/proc/stat tells of no processor")

func (r *reader) read() (reading, error) {
	now := reading{at: time.Now()}
	now.cores = parseStat(r.file("proc/stat"))
	if len(now.cores) == 0 {
		return now, errNoFigures
	}
	_, _ = fmt.Sscan(string(r.file("proc/loadavg")), &now.load[0], &now.load[1], &now.load[2])
	now.memory, now.swap = parseMeminfo(r.file("proc/meminfo"))
	now.pressure = r.stalls()
	now.disks = parseDiskstats(r.file("proc/diskstats"), r.isWhole)
	now.networks = parseNetDev(r.file("proc/net/dev"))
	now.sensors = r.temperatures()
	now.battery = r.battery()
	if now.at.Sub(r.asked) >= volumesEvery {
		r.volumes, r.asked = r.fill(), now.at
	}
	now.volumes = r.volumes
	return now, nil
}

// parseStat reads the processors of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal,
// in ticks. Waiting for a disk is not being busy.
func parseStat(b []byte) []ticks {
	var out []ticks
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		var t ticks
		for i, s := range f[1:min(len(f), 9)] { // guest time is in user's already
			n, _ := strconv.ParseUint(s, 10, 64)
			t.all += n
			if i != 3 && i != 4 {
				t.busy += n
			}
		}
		out = append(out, t)
	}
	return out
}

func parseMeminfo(b []byte) (memory, swap gauge) {
	kib := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) >= 2 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			kib[strings.TrimSuffix(f[0], ":")] = n
		}
	}
	available, ok := kib["MemAvailable"]
	if !ok { // before Linux 3.14
		available = kib["MemFree"] + kib["Buffers"] + kib["Cached"]
	}
	return gauge{used: (kib["MemTotal"] - available) << 10, all: kib["MemTotal"] << 10},
		gauge{used: (kib["SwapTotal"] - kib["SwapFree"]) << 10, all: kib["SwapTotal"] << 10}
}

// stalls reads what tasks waited for (Documentation/accounting/psi.rst).
func (r *reader) stalls() *stalls {
	cpu, ok := parsePressure(r.file("proc/pressure/cpu"))
	if !ok {
		return nil
	}
	memory, _ := parsePressure(r.file("proc/pressure/memory"))
	io, _ := parsePressure(r.file("proc/pressure/io"))
	return &stalls{cpu: cpu, memory: memory, io: io}
}

func parsePressure(b []byte) (total uint64, ok bool) {
	for line := range strings.Lines(string(b)) {
		if rest, found := strings.CutPrefix(line, "some "); found {
			_, text, _ := strings.Cut(rest, "total=")
			n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// isWhole reports whether a block device is a disk rather than a part of one, and is of use:
// loops and RAM disks say nothing that their files' disk does not.
func (r *reader) isWhole(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	_, err := os.Stat(filepath.Join(r.root, "sys/block", name))
	return err == nil
}

// parseDiskstats reads /proc/diskstats (Documentation/admin-guide/iostats.rst).
func parseDiskstats(b []byte, isWhole func(string) bool) map[string]disk {
	out := map[string]disk{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 14 || !isWhole(f[2]) {
			continue
		}
		n := make([]uint64, 11)
		for i := range n {
			n[i], _ = strconv.ParseUint(f[3+i], 10, 64)
		}
		out[f[2]] = disk{
			read: n[2] * sectorBytes, written: n[6] * sectorBytes, requests: n[0] + n[4], waited: n[3] + n[7], busy: n[9],
		}
	}
	return out
}

// parseNetDev reads /proc/net/dev.
func parseNetDev(b []byte) map[string]network {
	out := map[string]network{}
	for line := range strings.Lines(string(b)) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || len(f) < 9 || name == "lo" {
			continue
		}
		in, _ := strconv.ParseUint(f[0], 10, 64)
		sent, _ := strconv.ParseUint(f[8], 10, 64)
		out[name] = network{in: in, out: sent}
	}
	return out
}

// temperatures reads the sensors of hwmon, or the thermal zones where there are none.
func (r *reader) temperatures() map[string]float64 {
	if !r.looked {
		r.looked = true
		r.sensors = r.find("sys/class/hwmon/hwmon*/temp*_input", func(path string) string {
			chip := r.word(filepath.Join(filepath.Dir(path), "name"))
			label := r.word(strings.TrimSuffix(path, "_input") + "_label")
			if label == "" {
				label = strings.TrimSuffix(filepath.Base(path), "_input")
			}
			return strings.TrimSpace(chip + " " + label)
		})
		if len(r.sensors) == 0 {
			r.sensors = r.find("sys/class/thermal/thermal_zone*/temp", func(path string) string {
				return r.word(filepath.Join(filepath.Dir(path), "type"))
			})
		}
	}
	out := map[string]float64{}
	for _, s := range r.sensors {
		if n, err := strconv.ParseFloat(r.word(s.path), 64); err == nil {
			out[s.name] = n / 1000
		}
	}
	return out
}

func (r *reader) find(pattern string, name func(path string) string) []sensor {
	found, _ := filepath.Glob(filepath.Join(r.root, pattern))
	var out []sensor
	for _, full := range found[:min(len(found), mostParts)] {
		path, err := filepath.Rel(r.root, full)
		if err != nil {
			continue
		}
		s := sensor{name: mdm.Clean(name(path), 128), path: path}
		if s.name != "" {
			out = append(out, s)
		}
	}
	return out
}

// word is a file of one line.
func (r *reader) word(name string) string { return strings.TrimSpace(string(r.file(name))) }

func (r *reader) battery() *signaling.VitalBattery {
	found, _ := filepath.Glob(filepath.Join(r.root, "sys/class/power_supply/BAT*"))
	for _, full := range found {
		path, err := filepath.Rel(r.root, full)
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(r.word(path + "/capacity")); err == nil {
			status := r.word(path + "/status")
			return &signaling.VitalBattery{Charge: min(max(n, 0), 100), Charging: status == "Charging" || status == "Full"}
		}
	}
	return nil
}

// deviceless are file systems on disks that no device below /dev stands for.
var deviceless = []string{"zfs", "9p", "virtiofs"}

// mountEscapes undoes what proc(5) does to names.
var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// fill asks how full the file systems on disks are.
func (r *reader) fill() map[string]gauge {
	out := map[string]gauge{}
	seen := map[string]bool{}
	for line := range strings.Lines(string(r.file("proc/self/mounts"))) {
		f := strings.Fields(line)
		if len(f) < 3 || seen[f[0]] {
			continue
		}
		dir := mountEscapes.Replace(f[1])
		if dir != "/" && !strings.HasPrefix(f[0], "/dev/") && !slices.Contains(deviceless, f[2]) {
			continue
		}
		var s unix.Statfs_t
		if err := unix.Statfs(filepath.Join(r.root, dir), &s); err != nil || s.Blocks == 0 {
			continue
		}
		seen[f[0]] = true
		// As df does: what is kept for root counts as neither used nor free.
		used, free := int64(s.Blocks-s.Bfree), int64(s.Bavail) //nolint:gosec // blocks of one disk
		out[dir] = gauge{used: used * s.Bsize, all: (used + free) * s.Bsize}
	}
	return out
}
