package rule

import (
	"fmt"
	"reflect"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Device is the variable "device".
type Device struct {
	ID         string
	Name       string
	Hostname   string
	OS         string // GOOS
	OSVersion  string
	Arch       string // GOARCH
	Model      string
	Serial     string
	Group      string   // id
	Groups     []string // ids from the root to its own
	EnrolledAt time.Time
	LastSeenAt time.Time // zero: never
}

// Facts is what an expression may read of one device. The maps are only read, so devices may
// share them.
type Facts struct {
	Device Device

	// Inventory maps a section's name to what DecodeSection made of it. A section that was
	// never reported is absent.
	Inventory map[string]any

	// Labels are the names of the device's labels; nil: not known.
	Labels []string

	// Settings maps a setting's id to its state; nil: not known.
	Settings map[string]string

	// Software returns the installed versions of a package, none when it is not installed;
	// nil: not known.
	Software func(name string) []string

	Now time.Time
}

// activation resolves the variables of an expression. The wrapped maps are made once a
// device, not once a rule.
type activation struct {
	device, inventory, labels, settings, software, now any
}

// Prepared are facts made ready; several expressions are matched against it without doing
// the work again. Safe for concurrent use.
type Prepared struct {
	vars  activation
	facts Facts
}

// Prepare makes facts ready. The facts must not change afterwards.
func Prepare(f Facts) *Prepared {
	d := f.Device
	if d.LastSeenAt.IsZero() {
		d.LastSeenAt = d.EnrolledAt // it was in contact then; and the zero time is too far away to reckon with
	}
	p := &Prepared{facts: f}
	p.vars.device = types.NewStringInterfaceMap(types.DefaultTypeAdapter, map[string]any{
		"id": d.ID, "name": d.Name, "hostname": d.Hostname, "os": d.OS, "os_version": d.OSVersion, "arch": d.Arch,
		"model": d.Model, "serial": d.Serial, "group": d.Group, "groups": d.Groups,
		"enrolled_at": d.EnrolledAt, "last_seen_at": d.LastSeenAt,
	})
	p.vars.inventory = types.NewStringInterfaceMap(types.DefaultTypeAdapter, f.Inventory)
	if f.Labels != nil {
		p.vars.labels = types.NewStringList(types.DefaultTypeAdapter, f.Labels)
	}
	if f.Settings != nil {
		p.vars.settings = types.NewStringStringMap(types.DefaultTypeAdapter, f.Settings)
	}
	p.vars.software = packages{find: f.Software}
	p.vars.now = types.Timestamp{Time: f.Now}
	return p
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	var v any
	switch name {
	case "device":
		v = a.device
	case "inventory":
		v = a.inventory
	case "labels":
		v = a.labels
	case "settings":
		v = a.settings
	case softwareVar:
		v = a.software
	case "now":
		v = a.now
	}
	return v, v != nil
}

// Parent implements cel.Activation.
func (*activation) Parent() cel.Activation { return nil }

// packages carries Facts.Software to the function software, as a value no expression can name.
type packages struct{ find func(string) []string }

var packagesType = types.NewOpaqueType("packages")

func (packages) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("packages cannot become %v", t)
}

func (packages) ConvertToType(ref.Type) ref.Val { return types.NewErr("packages cannot be converted") }
func (packages) Equal(ref.Val) ref.Val          { return types.False }
func (packages) Type() ref.Type                 { return packagesType }
func (p packages) Value() any                   { return p }
