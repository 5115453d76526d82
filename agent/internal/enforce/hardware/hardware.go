// Package hardware takes parts of a device away from everybody: its cameras, and USB
// storage, whole or for writing. The kernel's modules cannot be loaded (modprobe.d) and
// what the kernel already drives loses its driver (udev). modprobe and udev themselves judge
// and read back.
package hardware

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/overlay"
	"handrail/mdm/manifest"
)

// Keys of the catalogue that are enforced here.
const (
	KeyCamera  = "camera.disabled"
	KeyStorage = "usb.storage"
)

const (
	modprobeDir = "/etc/modprobe.d"
	udevDir     = "/etc/udev/rules.d"
)

// Camera is the value of camera.disabled.
type Camera struct {
	Disabled bool `json:"disabled"`
}

// Storage is the value of usb.storage.
type Storage struct {
	Mode string `json:"mode"` // allow, read_only, block
}

// ban is what a setting takes away.
type ban struct {
	file     string   // name of its files
	modules  []string // that cannot be loaded
	class    string   // of USB interfaces that get no driver, two hex digits
	readOnly bool     // disks at USB can only be read
}

// cameras are the modules that drive cameras: USB video, and those of notebooks that hang on the
// processor.
var cameras = []string{"uvcvideo", "gspca_main", "intel_ipu6_isys", "ipu3_cio2"}

// Enforcer enforces bans of hardware.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys are camera.disabled and usb.storage.
func (*Enforcer) Keys() []string { return []string{KeyCamera, KeyStorage} }

func banOf(s manifest.Setting) (ban, error) {
	switch s.ID.Key() {
	case KeyCamera:
		v, err := enforce.Decode[Camera](s)
		b := ban{file: "handrail-camera"}
		if v.Disabled {
			b.modules, b.class = cameras, "0e"
		}
		return b, err
	case KeyStorage:
		v, err := enforce.Decode[Storage](s)
		if err != nil {
			return ban{}, err
		}
		b := ban{file: "handrail-usb-storage"}
		switch v.Mode {
		case "allow":
		case "read_only":
			b.readOnly = true
		case "block":
			b.modules, b.class = []string{"usb_storage", "uas"}, "08"
		default:
			return ban{}, fmt.Errorf("mode %q is not known", v.Mode)
		}
		return b, nil
	}
	return ban{}, fmt.Errorf("%s is not a setting of hardware", s.ID)
}

func (b ban) modprobePath() string { return modprobeDir + "/" + b.file + ".conf" }
func (b ban) udevPath() string     { return udevDir + "/71-" + b.file + ".rules" }

// modprobeConf refuses to load the modules, by whatever way they are asked for.
func (b ban) modprobeConf(id manifest.ID) []byte {
	var t strings.Builder
	fmt.Fprintf(&t, "# %s\n", enforce.Marker(id))
	for _, m := range b.modules {
		fmt.Fprintf(&t, "blacklist %s\ninstall %s /bin/false\n", m, m)
	}
	return []byte(t.String())
}

// rules are udev's: interfaces of the class get no driver, disks at USB are read-only.
func (b ban) rules(id manifest.ID, blockdev string) []byte {
	var t strings.Builder
	fmt.Fprintf(&t, "# %s\n", enforce.Marker(id))
	if b.class != "" {
		fmt.Fprintf(&t, "ACTION==\"add|change|bind\", SUBSYSTEM==\"usb\", ENV{DEVTYPE}==\"usb_interface\", ATTR{bInterfaceClass}==\"%s\", ATTR{authorized}=\"0\"\n", b.class)
	}
	if b.readOnly {
		fmt.Fprintf(&t, "ACTION==\"add|change\", SUBSYSTEM==\"block\", SUBSYSTEMS==\"usb\", RUN+=\"%s --setro $devnode\"\n", blockdev)
	}
	return []byte(t.String())
}

// Plan writes a file for modprobe and one for udev.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	b, err := banOf(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	if (len(b.modules) > 0 || b.readOnly) && s.ID.Key() == KeyStorage {
		if at := systemOnUSB(sys); at != "" {
			return enforce.Plan{}, enforce.Conflict("the device itself runs from a USB disk (%s): it would not start again", at)
		}
	}
	var p enforce.Plan
	if len(b.modules) > 0 {
		p.Files = append(p.Files, enforce.File{Path: b.modprobePath(), Content: b.modprobeConf(s.ID)})
	}
	if b.class != "" || b.readOnly {
		blockdev, err := sys.Tool("blockdev", "util-linux")
		if err != nil {
			return p, err
		}
		p.Files = append(p.Files, enforce.File{Path: b.udevPath(), Content: b.rules(s.ID, blockdev)})
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		if len(b.modules) > 0 {
			if _, err := refusals(ctx, sys, b, staged.Path(modprobeDir)); err != nil {
				return err
			}
		}
		if b.class != "" || b.readOnly {
			return judgeRules(ctx, sys, b, &staged)
		}
		return nil
	}
	return p, nil
}

// refusals asks modprobe what it would do for each module. dir is where its configuration
// is; "" is where the system has it.
func refusals(ctx context.Context, sys *enforce.System, b ban, dir string) (map[string]string, error) {
	modprobe, err := sys.Tool("modprobe", "kmod")
	if err != nil {
		return nil, err
	}
	seen := map[string]string{}
	var loads []string
	for _, m := range b.modules {
		args := []string{"-n", "-v", m}
		if dir != "" {
			args = append([]string{"-C", dir}, args...)
		}
		r, err := sys.Run(ctx, enforce.Program{Path: modprobe, Args: args})
		seen[m] = strings.TrimSpace(r.Out)
		switch {
		case strings.HasPrefix(seen[m], "install /bin/false"):
		case err != nil && seen[m] == "":
			seen[m] = r.Words()
			loads = append(loads, m)
		default:
			loads = append(loads, m)
		}
	}
	if len(loads) > 0 {
		return seen, fmt.Errorf("modprobe does not refuse %s (it says %q)", strings.Join(loads, ", "), seen[loads[0]])
	}
	return seen, nil
}

// judgeRules has udev read the rules: by its verifier where it has one, else by a dry run for
// a device that does not exist, which reads all rules and then ends.
func judgeRules(ctx context.Context, sys *enforce.System, b ban, staged *enforce.Staged) error {
	udevadm, err := sys.Tool("udevadm", "udev")
	if err != nil {
		return err
	}
	at := sys.Abs(b.udevPath())
	if staged != nil {
		at = staged.Path(b.udevPath())
	}
	r, err := sys.Run(ctx, enforce.Program{Path: udevadm, Args: []string{"verify", at}})
	if err == nil {
		return nil
	}
	if !strings.Contains(r.Err, "Unknown command verb") {
		return fmt.Errorf("udev does not accept the rules: %w", err)
	}
	o, err := overlay.New(sys, staged, udevDir)
	if err != nil {
		return err
	}
	defer o.Close()
	r, err = o.Run(ctx, sys, enforce.Program{Path: udevadm, Args: []string{"test", "/sys/devices/handrail-none"}})
	read := false
	for line := range strings.Lines(r.Err + "\n" + r.Out) {
		if !strings.Contains(line, b.udevPath()) {
			continue
		}
		if !strings.Contains(line, "Reading rules file") {
			return errors.New("udev does not accept the rules: " + enforce.Result{Out: line}.Words())
		}
		read = true
	}
	if !read {
		return fmt.Errorf("udev did not read the rules: %w", errors.Join(err, errors.New(r.Words())))
	}
	return nil
}

// Apply makes udev and the kernel follow at once.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	b, err := banOf(s)
	if err != nil || !sys.Live() {
		return err
	}
	if b.class == "" && !b.readOnly {
		return b.allow(ctx, sys)
	}
	if err := trigger(ctx, sys); err != nil {
		return err
	}
	modprobe, err := sys.Tool("modprobe", "kmod")
	if err != nil {
		return err
	}
	for _, m := range loaded(sys, b.modules) {
		if _, err := sys.Run(ctx, enforce.Program{Path: modprobe, Args: []string{"-r", m}}); err != nil {
			continue // in use; Observe says whether that matters
		}
	}
	if !b.readOnly {
		return writable(ctx, sys, s.ID)
	}
	return nil
}

// Observed is what modprobe, udev and the kernel say.
type Observed struct {
	Refused map[string]string `json:"refused,omitempty"` // by module: what modprobe does instead of loading it
	Loaded  []string          `json:"loaded,omitempty"`
	Devices []Device          `json:"devices,omitempty"` // at USB, of the kind the setting is about
}

// Device is one that the setting is about.
type Device struct {
	Name       string `json:"name"`
	Authorized *bool  `json:"authorized,omitempty"`
	ReadOnly   *bool  `json:"read_only,omitempty"`
}

// Observe asks modprobe and udev as they are now and, on the running system, looks at the
// devices there are.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	b, err := banOf(s)
	if err != nil {
		return nil, err
	}
	var seen Observed
	if len(b.modules) > 0 {
		dir := ""
		if !sys.Live() {
			dir = sys.Abs(modprobeDir)
		}
		if seen.Refused, err = refusals(ctx, sys, b, dir); err != nil {
			return seen, err
		}
	}
	if b.class != "" || b.readOnly {
		if err := judgeRules(ctx, sys, b, nil); err != nil {
			return seen, err
		}
	}
	if !sys.Live() {
		return seen, nil
	}
	seen.Loaded = loaded(sys, b.modules)
	var wrong []string
	if b.class != "" {
		for _, d := range interfaces(sys, b.class) {
			seen.Devices = append(seen.Devices, d)
			if d.Authorized == nil || *d.Authorized {
				wrong = append(wrong, d.Name+" still has its driver")
			}
		}
	}
	if b.readOnly {
		for _, d := range disks(sys) {
			seen.Devices = append(seen.Devices, d)
			if !*d.ReadOnly {
				wrong = append(wrong, d.Name+" can be written")
			}
		}
	}
	if len(wrong) > 0 {
		return seen, errors.New(strings.Join(wrong, "; "))
	}
	return seen, nil
}

// Remove gives the devices back what they had.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	if !sys.Live() {
		return nil
	}
	b, err := banOf(r.Setting)
	if err != nil {
		return nil //nolint:nilerr // a value that could not be read was never applied
	}
	err = b.allow(ctx, sys)
	if b.readOnly {
		err = errors.Join(err, writable(ctx, sys, r.Setting.ID))
	}
	return err
}
