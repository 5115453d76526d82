package diag

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

// lines calls f with each line of b, cut at sep and trimmed.
func lines(b []byte, sep string, f func(key, value string)) {
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		key, value, ok := strings.Cut(s.Text(), sep)
		if ok {
			f(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
}

// parseOSRelease returns what os-release(5) says.
func parseOSRelease(b []byte) map[string]string {
	out := map[string]string{}
	lines(b, "=", func(k, v string) { out[k] = strings.Trim(v, `"'`) })
	return out
}

// parseBootTime returns btime of /proc/stat in Unix microseconds, 0 where there is none.
func parseBootTime(b []byte) int64 {
	var us int64
	lines(b, " ", func(k, v string) {
		if k == "btime" {
			s, err := strconv.ParseInt(v, 10, 64)
			if err == nil {
				us = s * 1e6
			}
		}
	})
	return us
}

// parseMemTotal returns MemTotal of /proc/meminfo in bytes.
func parseMemTotal(b []byte) uint64 {
	var total uint64
	lines(b, ":", func(k, v string) {
		if k == "MemTotal" {
			kb, err := strconv.ParseUint(strings.TrimSuffix(v, " kB"), 10, 64)
			if err == nil {
				total = kb << 10
			}
		}
	})
	return total
}

// parseCPU reads /proc/cpuinfo of any architecture; virtual says that a hypervisor is seen.
func parseCPU(b []byte) (cpu inventory.CPU, virtual bool) {
	cores := map[string]bool{}
	var physical string
	lines(b, ":", func(k, v string) {
		switch k {
		case "processor":
			cpu.Threads++
		case "model name", "Model", "cpu model", "uarch":
			if cpu.Model == "" || k == "model name" {
				cpu.Model = strings.Join(strings.Fields(v), " ")
			}
		case "physical id":
			physical = v
		case "core id":
			cores[physical+"/"+v] = true
		case "cpu MHz":
			if f, err := strconv.ParseFloat(v, 64); err == nil && cpu.MHz == 0 {
				cpu.MHz = uint32(f)
			}
		case "flags":
			virtual = virtual || slices.Contains(strings.Fields(v), "hypervisor")
		}
	})
	cpu.Cores = uint32(len(cores))
	if cpu.Cores == 0 {
		cpu.Cores = cpu.Threads
	}
	return cpu, virtual
}

// mount is one line of /proc/self/mounts.
type mount struct{ device, dir, kind string }

// localKinds are file systems with a size of their own on this machine.
var localKinds = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "jfs", "reiserfs", "bcachefs", "apfs", "9p", "virtiofs",
}

// parseMounts returns the mounted file systems worth reporting: those on disks, each device
// once by its shortest directory, and whatever the root is on.
func parseMounts(b []byte) []mount {
	var out []mount
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		m := mount{device: unescape(f[0]), dir: unescape(f[1]), kind: f[2]}
		if m.dir != "/" && !slices.Contains(localKinds, m.kind) {
			continue
		}
		i := slices.IndexFunc(out, func(o mount) bool { return o.dir == m.dir || o.device == m.device && m.kind != "9p" })
		switch {
		case i < 0:
			out = append(out, m)
		case out[i].dir == m.dir || len(m.dir) < len(out[i].dir):
			out[i] = m // mounted over, or a shorter way to the same
		}
	}
	return out
}

// unescape undoes the octal escapes of fstab(5): \040 is a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Offsets and sizes of struct utmp of glibc (utmp(5)). On arm64 and riscv64 the session
// and the time are 64 bits wide.
const (
	utmpLine, utmpUser, utmpHost = 8, 44, 76
	utmpSize32, utmpTime32       = 384, 340
	utmpSize64, utmpTime64       = 400, 344
	utmpUserProcess              = 7
	utmpLoginProcess             = 6 // what a failed sign-in is written down as
)

// parseUtmp returns who is signed in. wide says that times are 64 bits wide.
func parseUtmp(b []byte, wide bool) []inventory.User {
	return parseUtmpOf(b, wide, utmpUserProcess)
}

// parseUtmpOf returns the records of the given kinds, in the file's order.
func parseUtmpOf(b []byte, wide bool, kinds ...uint16) []inventory.User {
	size := utmpSize32
	if wide {
		size = utmpSize64
	}
	var out []inventory.User
	for ; len(b) >= size; b = b[size:] {
		if !slices.Contains(kinds, binary.NativeEndian.Uint16(b)) {
			continue
		}
		u := inventory.User{Name: cString(b[utmpUser:utmpHost]), Terminal: cString(b[utmpLine : utmpLine+32]), Host: cString(b[utmpHost : utmpHost+256])}
		if wide {
			u.SinceUS = int64(binary.NativeEndian.Uint64(b[utmpTime64:])) * 1e6
		} else {
			u.SinceUS = int64(int32(binary.NativeEndian.Uint32(b[utmpTime32:]))) * 1e6
		}
		if strings.HasPrefix(u.Host, ":") || strings.HasPrefix(u.Terminal, ":") {
			u.Graphical, u.Host = true, ""
		}
		if u.Name != "" {
			out = append(out, u)
		}
	}
	return out
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// parseLogindSession reads one file of /run/systemd/sessions; ok is false where it is no
// person's session.
func parseLogindSession(b []byte) (u inventory.User, ok bool) {
	class := ""
	lines(b, "=", func(k, v string) {
		switch k {
		case "USER":
			u.Name = v
		case "TTY":
			u.Terminal = v
		case "DISPLAY":
			if u.Terminal == "" {
				u.Terminal = v
			}
		case "REMOTE_HOST":
			u.Host = v
		case "REALTIME":
			if us, err := strconv.ParseInt(v, 10, 64); err == nil {
				u.SinceUS = us
			}
		case "TYPE":
			u.Graphical = v == "x11" || v == "wayland" || v == "mir"
		case "CLASS":
			class = v
		}
	})
	return u, u.Name != "" && class == "user"
}

// virtualization names what the machine runs in from its vendor's words; "" is hardware.
func virtualization(vendor, model string, hypervisor bool) string {
	words := strings.ToLower(vendor + " " + model)
	for _, v := range []struct{ word, name string }{
		{"qemu", "kvm"},
		{"kvm", "kvm"},
		{"vmware", "vmware"},
		{"innotek", "virtualbox"},
		{"virtualbox", "virtualbox"},
		{"xen", "xen"},
		{"parallels", "parallels"},
		{"google compute", "google"},
		{"amazon ec2", "amazon"},
		{"bochs", "bochs"},
		{"microsoft corporation virtual machine", "hyper-v"},
	} {
		if strings.Contains(words, v.word) {
			return v.name
		}
	}
	if hypervisor {
		return "vm"
	}
	return ""
}

// placeholder serials and ids that makers leave in their firmware.
var placeholders = []string{
	"", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified", "not applicable", "n/a", "0", "123456789",
	"0123456789", "invalid", "unknown", "oem", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
	"03000200-0400-0500-0006-000700080009",
}

// meaningful returns s trimmed, or "" where it is what makers leave when they forget.
func meaningful(s string) string {
	s = strings.TrimSpace(strings.Trim(s, "\x00"))
	if slices.Contains(placeholders, strings.ToLower(s)) {
		return ""
	}
	return s
}
