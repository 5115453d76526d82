package hardware

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

const maxSysfs = 4096 // bytes of an attribute

// trigger has udev read its rules and go through what is at USB again.
func trigger(ctx context.Context, sys *enforce.System) error {
	udevadm, err := sys.Tool("udevadm", "udev")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"control", "--reload"},
		{"trigger", "--action=change", "--subsystem-match=usb"},
		{"trigger", "--action=change", "--subsystem-match=block"},
		{"settle", "--timeout=20"},
	} {
		if _, err := sys.Run(ctx, enforce.Program{Path: udevadm, Args: args}); err != nil {
			return err
		}
	}
	return nil
}

// loaded are those of the modules that the kernel has.
func loaded(sys *enforce.System, modules []string) []string {
	var out []string
	for _, m := range modules {
		if sys.Exists("/sys/module/" + m + "/initstate") {
			out = append(out, m)
		}
	}
	return out
}

// attribute reads one of a device's in sysfs; "" where there is none.
func attribute(sys *enforce.System, p string) string {
	b, err := sys.ReadFile(p, maxSysfs)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

const usbDevices = "/sys/bus/usb/devices"

// interfaces are those of USB devices of a class.
func interfaces(sys *enforce.System, class string) []Device {
	entries, err := os.ReadDir(sys.Abs(usbDevices))
	if err != nil {
		return nil
	}
	var out []Device
	for _, e := range entries {
		at := path.Join(usbDevices, e.Name())
		if attribute(sys, at+"/bInterfaceClass") != class {
			continue
		}
		device, _, _ := strings.Cut(e.Name(), ":")
		words := strings.Join(strings.Fields(attribute(sys, path.Join(usbDevices, device, "manufacturer"))+" "+attribute(sys, path.Join(usbDevices, device, "product"))), " ")
		yes := attribute(sys, at+"/authorized") == "1"
		out = append(out, Device{Name: mdm.Clean(strings.TrimSpace(e.Name()+" "+words), 128), Authorized: &yes})
	}
	return out
}

// disks are the disks at USB, and their partitions.
func disks(sys *enforce.System) []Device {
	const dir = "/sys/class/block"
	entries, err := os.ReadDir(sys.Abs(dir))
	if err != nil {
		return nil
	}
	var out []Device
	for _, e := range entries {
		target, err := os.Readlink(sys.Abs(path.Join(dir, e.Name())))
		if err != nil || !atUSB(target) {
			continue
		}
		ro := attribute(sys, path.Join(dir, e.Name(), "ro")) == "1"
		out = append(out, Device{Name: e.Name(), ReadOnly: &ro})
	}
	return out
}

// atUSB reports whether a device's path in sysfs goes through a USB bus.
func atUSB(p string) bool {
	return slices.ContainsFunc(strings.Split(filepath.ToSlash(p), "/"), func(part string) bool {
		n, ok := strings.CutPrefix(part, "usb")
		_, err := strconv.Atoi(n)
		return ok && err == nil
	})
}

// allow gives interfaces of the class, which udev does not take any more, their drivers back.
func (b ban) allow(ctx context.Context, sys *enforce.System) error {
	if _, err := sys.Tool("udevadm", "udev"); err != nil {
		return nil //nolint:nilerr // then nothing was taken
	}
	if err := trigger(ctx, sys); err != nil {
		return err
	}
	class := b.class
	if class == "" {
		class = map[string]string{"handrail-camera": "0e", "handrail-usb-storage": "08"}[b.file]
	}
	var errs error
	for _, d := range interfaces(sys, class) {
		if *d.Authorized {
			continue
		}
		name, _, _ := strings.Cut(d.Name, " ")
		err := os.WriteFile(sys.Abs(path.Join(usbDevices, name, "authorized")), []byte("1"), 0)
		if err == nil { // an interface is not offered to drivers by itself
			_ = os.WriteFile(sys.Abs("/sys/bus/usb/drivers_probe"), []byte(name), 0) // fails where no driver wants it
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// writable lets disks at USB be written that were read-only because of us.
func writable(ctx context.Context, sys *enforce.System, id manifest.ID) error {
	if id.Key() != KeyStorage {
		return nil
	}
	blockdev, err := sys.Tool("blockdev", "util-linux")
	if err != nil {
		return err
	}
	var errs error
	for _, d := range disks(sys) {
		if *d.ReadOnly {
			_, err := sys.Run(ctx, enforce.Program{Path: blockdev, Args: []string{"--setrw", "/dev/" + d.Name}})
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// systemOnUSB names the mount that the device cannot run without and that is on a USB disk;
// "" for none. Only the running system has mounts.
func systemOnUSB(sys *enforce.System) string {
	if !sys.Live() {
		return ""
	}
	b, err := sys.ReadFile("/proc/self/mountinfo", 1<<20)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		if len(w) > 4 && slices.Contains([]string{"/", "/usr", "/var", "/boot", "/boot/efi", "/home"}, w[4]) && blockAtUSB(w[2], 0) {
			return w[4]
		}
	}
	return ""
}

// blockAtUSB follows a block device, by number or by name, to what it is made of.
func blockAtUSB(device string, depth int) bool {
	at, err := filepath.EvalSymlinks("/sys/dev/block/" + device)
	if err != nil || depth > 8 {
		return false
	}
	if atUSB(at) {
		return true
	}
	slaves, err := os.ReadDir(filepath.Join(at, "slaves"))
	if err != nil {
		return false
	}
	for _, s := range slaves {
		number, err := os.ReadFile(filepath.Join(at, "slaves", s.Name(), "dev"))
		if err == nil && blockAtUSB(strings.TrimSpace(string(number)), depth+1) {
			return true
		}
	}
	return false
}
