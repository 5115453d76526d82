package diag

import (
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

// notDisks begin the names of block devices that are made of others, or of memory.
var notDisks = []string{"loop", "ram", "zram", "dm-", "md", "nbd"}

func (l *linux) disks(n *notes) []inventory.Disk {
	var out []inventory.Disk
	for _, name := range l.dir("sys/block") {
		dir := path.Join("sys/block", name)
		d := inventory.Disk{
			Name: name, SizeBytes: l.number(dir+"/size") * 512, // sectors are 512 bytes whatever the disk says
			Model: meaningful(l.text(dir + "/device/model")), Serial: meaningful(l.text(dir + "/device/serial")),
			Rotational: l.text(dir+"/queue/rotational") == "1", Removable: l.text(dir+"/removable") == "1",
			Firmware: meaningful(l.text(dir + "/device/firmware_rev")), Bus: l.bus(dir, name),
		}
		if d.Serial == "" {
			d.Serial = meaningful(vpdSerial(l.read(dir + "/device/vpd_pg80")))
		}
		if d.Firmware == "" {
			d.Firmware = meaningful(l.text(dir + "/device/rev"))
		}
		if d.SizeBytes == 0 || slices.ContainsFunc(notDisks, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		l.health(&d, n)
		out = append(out, d)
	}
	return out
}

// bus names what a disk hangs on, from the path of its device.
func (l *linux) bus(dir, name string) string {
	target, _ := fs.ReadLink(l.root, dir) // a directory in tests: the name must do
	for _, b := range []struct{ part, bus string }{
		{"/usb", "usb"}, {"/nvme", "nvme"}, {"/ata", "sata"}, {"/virtio", "virtio"}, {"/mmc", "mmc"}, {"/host", "scsi"},
	} {
		if strings.Contains(target, b.part) {
			return b.bus
		}
	}
	for _, b := range []struct{ prefix, bus string }{{"nvme", "nvme"}, {"mmcblk", "mmc"}, {"vd", "virtio"}, {"xvd", "xen"}} {
		if strings.HasPrefix(name, b.prefix) {
			return b.bus
		}
	}
	return ""
}

// health asks the disk itself: an NVMe disk through the kernel, others through smartctl
// where that is installed.
func (l *linux) health(d *inventory.Disk, n *notes) {
	switch d.Bus {
	case "virtio", "xen":
		return // the machine below knows
	case "mmc":
		parseMMCLife(d, l.text("sys/block/"+d.Name+"/device/life_time"), l.text("sys/block/"+d.Name+"/device/pre_eol_info"))
		return
	case "nvme":
		page, err := l.nvmeLog(d.Name)
		if err != nil {
			n.miss("health of " + d.Name + ": " + reason(err))
			return
		}
		parseNVMeLog(d, page)
		return
	}
	if d.Removable {
		return
	}
	b, err := l.ask("smartctl", "--json", "--health", "--attributes", "--nocheck=standby", "/dev/"+d.Name)
	if err != nil && len(b) == 0 {
		n.miss("health of " + d.Name + ": " + reason(err))
		return
	}
	parseSmartctl(d, b) // it exits with bits set where it has something to tell
}

// smartLogSize is the size of NVMe log page 2 in bytes (NVM Express 2.0, figure 207).
const smartLogSize = 512

// parseNVMeLog reads the SMART / health information page.
func parseNVMeLog(d *inventory.Disk, b []byte) {
	if len(b) < smartLogSize {
		return
	}
	wear := uint32(b[5])
	hours := binary.LittleEndian.Uint64(b[128:]) / 100 * 100
	bad := binary.LittleEndian.Uint64(b[160:])
	d.Health, d.WearPercent, d.PoweredHours, d.BadSectors = "ok", &wear, &hours, &bad
	for bit, words := range []string{"spare blocks run out", "too hot", "reliability is degraded", "it has become read-only", "its backup of volatile memory failed"} {
		if b[0]&(1<<bit) != 0 {
			d.Health, d.HealthMessage = "failing", words
		}
	}
}

// parseMMCLife reads JESD84-B51's life time estimates, in steps of a tenth: "0x02 0x01".
func parseMMCLife(d *inventory.Disk, life, end string) {
	var worst uint32
	for _, f := range strings.Fields(life) {
		if v, err := strconv.ParseUint(f, 0, 8); err == nil && v > 0 && v <= 11 {
			worst = max(worst, uint32(v)*10)
		}
	}
	if worst > 0 {
		d.Health, d.WearPercent = "ok", &worst
	}
	if v, err := strconv.ParseUint(end, 0, 8); err == nil && v > 1 {
		d.Health, d.HealthMessage = "failing", "its spare blocks run out"
	}
}

// parseSmartctl reads what smartctl --json says.
func parseSmartctl(d *inventory.Disk, b []byte) {
	var s struct {
		Status *struct {
			Passed bool `json:"passed"`
		} `json:"smart_status"`
		PowerOn struct {
			Hours uint64 `json:"hours"`
		} `json:"power_on_time"`
		Attributes struct {
			Table []struct {
				ID         int    `json:"id"`
				Value      uint32 `json:"value"`
				WhenFailed string `json:"when_failed"`
				Name       string `json:"name"`
				Raw        struct {
					Value uint64 `json:"value"`
				} `json:"raw"`
			} `json:"table"`
		} `json:"ata_smart_attributes"`
	}
	if json.Unmarshal(b, &s) != nil || s.Status == nil {
		return
	}
	d.Health = "ok"
	if !s.Status.Passed {
		d.Health, d.HealthMessage = "failing", "the disk says of itself that it fails"
	}
	if s.PowerOn.Hours > 0 {
		h := s.PowerOn.Hours / 100 * 100
		d.PoweredHours = &h
	}
	for _, a := range s.Attributes.Table {
		switch a.ID {
		case 5: // reallocated sectors
			bad := a.Raw.Value
			d.BadSectors = &bad
		case 177, 231, 233: // wear levelling, life left: a percentage that counts down
			wear := 100 - min(a.Value, 100)
			d.WearPercent = &wear
		}
		if a.WhenFailed == "now" {
			d.Health, d.HealthMessage = "failing", a.Name+" is past its threshold"
		}
	}
}

// vpdSerial reads the unit serial number page of a SCSI disk (SPC-4, 7.8.18).
func vpdSerial(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	return string(b[4:min(4+n, len(b))])
}

func (l *linux) filesystems() []inventory.Filesystem {
	var out []inventory.Filesystem
	for _, m := range parseMounts(l.read("proc/self/mounts")) {
		size, free, err := l.statfs(m.dir)
		if err != nil || size == 0 {
			continue
		}
		out = append(out, inventory.Filesystem{Mount: m.dir, Device: m.device, Type: m.kind, SizeBytes: size, FreeBytes: free})
	}
	return out
}

// encryption follows every volume in use down to what it lies on.
func (l *linux) encryption() inventory.Encryption {
	e := inventory.Encryption{Volumes: []inventory.Volume{}, Swap: []inventory.Volume{}}
	for _, m := range parseMounts(l.read("proc/self/mounts")) {
		v := inventory.Volume{Mount: m.dir, Device: m.device}
		v.Method = l.method(m.device)
		v.Encrypted = v.Method != ""
		e.Volumes = append(e.Volumes, v)
	}
	for _, device := range parseSwaps(l.read("proc/swaps")) {
		v := inventory.Volume{Device: device}
		v.Method = l.method(device)
		if v.Method == "" && !strings.HasPrefix(device, "/dev/") { // a file: as the file system it is in
			best := ""
			for _, o := range e.Volumes {
				if strings.HasPrefix(device, strings.TrimSuffix(o.Mount, "/")+"/") && len(o.Mount) > len(best) {
					best, v.Method = o.Mount, o.Method
				}
			}
		}
		v.Encrypted = v.Method != ""
		e.Swap = append(e.Swap, v)
	}
	return e
}

// method returns how a block device is encrypted; "" where it, or one of what it lies on,
// is not.
func (l *linux) method(device string) string {
	name := path.Base(device)
	if strings.HasPrefix(device, "/dev/mapper/") || !l.exists("sys/class/block/"+name) {
		name = l.mapped(name)
	}
	return l.methodOf(name, 8)
}

// mapped finds the dm-N that carries a device-mapper name.
func (l *linux) mapped(name string) string {
	for _, d := range l.dir("sys/class/block") {
		if strings.HasPrefix(d, "dm-") && l.text("sys/class/block/"+d+"/dm/name") == name {
			return d
		}
	}
	return name
}

func (l *linux) methodOf(name string, depth int) string {
	if name == "" || depth == 0 {
		return ""
	}
	if strings.HasPrefix(name, "zram") {
		return "zram" // memory: nothing of it outlives the power
	}
	dir := "sys/class/block/" + name
	if kind, ok := strings.CutPrefix(l.text(dir+"/dm/uuid"), "CRYPT-"); ok {
		kind, _, _ = strings.Cut(kind, "-")
		return strings.ToLower(kind) // LUKS2, LUKS1, PLAIN, BITLK, …
	}
	method := ""
	for i, below := range l.dir(dir + "/slaves") {
		m := l.methodOf(below, depth-1)
		if m == "" || i > 0 && m != method {
			return m
		}
		method = m
	}
	return method
}

// parseSwaps returns what /proc/swaps names.
func parseSwaps(b []byte) []string {
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) >= 5 && strings.HasPrefix(f[0], "/") {
			out = append(out, unescape(f[0]))
		}
	}
	return out
}

func (l *linux) mounts() []inventory.Mount { return parseMountOptions(l.read("proc/self/mounts")) }

// parseMountOptions returns the mounts of places people or services write to: the kernel's
// own trees, containers' layers and images of programs are left out. What is mounted over
// is not seen.
func parseMountOptions(b []byte) []inventory.Mount {
	var out []inventory.Mount
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		m := inventory.Mount{Device: unescape(f[0]), Mount: unescape(f[1]), Type: f[2], Options: strings.Split(unescape(f[3]), ",")}
		slices.Sort(m.Options)
		memory := m.Type == "tmpfs" && slices.Contains([]string{"/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/run/shm", "/home"}, m.Mount)
		far := slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs", "afs", "ecryptfs"}, m.Type)
		inside := strings.HasPrefix(m.Mount, "/var/lib/docker/") || strings.HasPrefix(m.Mount, "/var/lib/containers/") || strings.HasPrefix(m.Mount, "/snap/")
		if m.Mount != "/" && !memory && !far && !slices.Contains(localKinds, m.Type) || inside {
			continue
		}
		if i := slices.IndexFunc(out, func(o inventory.Mount) bool { return o.Mount == m.Mount }); i >= 0 {
			out[i] = m
			continue
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b inventory.Mount) int { return strings.Compare(a.Mount, b.Mount) })
	return out
}
