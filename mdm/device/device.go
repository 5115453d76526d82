// Package device is the registry of enrolled devices: what each is called, where it belongs,
// the key it proves itself with, and finding one among many. It does not enroll (package
// enroll does) and does not know who is connected.
package device

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
)

// Limits of what a device record holds, in bytes.
const (
	MaxName  = 128
	MaxField = 255
	MaxQuery = 256
	MaxPage  = 500 // entries
)

// Device is one enrolled device. Text in it came from the device and was cleaned, not
// believed.
type Device struct {
	ID           mdm.DeviceID
	Group        mdm.GroupID
	TokenID      string // the enrollment token it last came with
	Fingerprint  string // hash over the hardware, as the agent made it
	PublicKey    ed25519.PublicKey
	Name         string // what operators call it; the hostname until one renames it
	Hostname     string
	OS           string // GOOS
	OSVersion    string // "Debian GNU/Linux 12 (bookworm)"
	Arch         string // GOARCH
	AgentVersion string
	Model        string
	Serial       string
	SignedIn     []string // account names with a session at the device
	EnrolledAt   time.Time
	LastSeenAt   time.Time // zero: never connected
	RevokedAt    time.Time // zero: welcome
	CopiedAt     time.Time // last time its identity turned up on another machine; zero: never
	ReturnedAt   time.Time // last time the same hardware enrolled anew, as after an installation; zero: never
	Hardware     Hardware
	Asset        map[string]string // the organisation's own fields, by key; nil for none
}

// Hardware is what lists show and searches compare of a device's inventory.
type Hardware struct {
	CPU             string
	MACs            []string // lower case
	MemoryBytes     int64    // 0 unknown, as DiskBytes
	DiskBytes       int64    // of fixed disks, in all
	Encrypted       Encryption
	Updates         int64 // pending; -1 unknown
	UpdatesSecurity int64 // those of them that close a hole; -1 unknown
}

// UnknownHardware is that of a device that has not reported.
func UnknownHardware() Hardware { return Hardware{Updates: -1, UpdatesSecurity: -1} }

// Encryption says how much of a device's disks is encrypted.
type Encryption uint8

// How much is encrypted.
const (
	EncryptionUnknown Encryption = iota
	NotEncrypted
	PartlyEncrypted // some volumes are, others not
	Encrypted
)

// String returns "unknown", "no", "partly" or "yes".
func (e Encryption) String() string {
	return []string{"unknown", "no", "partly", "yes"}[min(int(e), 3)]
}

// IsRevoked reports whether the device has been cut off for good.
func (d Device) IsRevoked() bool { return !d.RevokedAt.IsZero() }

// SearchText is what a search looks through: lower case, one line.
func (d Device) SearchText() string {
	return strings.ToLower(strings.Join([]string{
		d.Name, d.Hostname, d.OS, d.OSVersion, d.Model, d.Serial, strings.Join(d.SignedIn, " "), string(d.ID),
		d.Hardware.CPU, strings.Join(d.Hardware.MACs, " "), strings.Join(slices.Sorted(maps.Values(d.Asset)), " "),
	}, " "))
}

// Facts are the parts of a record that follow the device's inventory. An empty field leaves
// what is there; SignedIn replaces, unless KeepSignedIn is set.
type Facts struct {
	Hostname     string
	OSVersion    string
	Model        string
	Serial       string
	AgentVersion string
	SignedIn     []string
	KeepSignedIn bool
	Hardware     func(*Hardware) // changes what the inventory told anew; nil for nothing
}

// Standing filters by whether devices are welcome.
type Standing uint8

// The standings.
const (
	Welcome Standing = iota // not revoked
	Revoked
	Any
)

// Order is the order of a list.
type Order uint8

// The orders.
const (
	ByName     Order = iota // A first
	ByLastSeen              // newest first
)

// Filter selects devices. The zero value selects none: Groups must be named, or AllGroups set.
type Filter struct {
	Query     string // words; every one must occur somewhere in SearchText
	Groups    []mdm.GroupID
	AllGroups bool
	OS        string // GOOS; "" is any
	Standing  Standing
	Copied    bool           // only those whose identity turned up elsewhere
	IDs       []mdm.DeviceID // when not nil, only these; at most MaxPage
	Order     Order
	After     string // Page.Next of the page before; "" is the first
	Limit     int    // 0 means 50; at most MaxPage
}

// Words splits the query as a search uses it: lower case, at most eight.
func (f Filter) Words() []string {
	w := strings.Fields(strings.ToLower(mdm.Clean(f.Query, MaxQuery)))
	return w[:min(len(w), 8)]
}

// CursorAfter is the After of a page that begins behind d in the filter's order.
func (f Filter) CursorAfter(d Device) string {
	if f.Order == ByLastSeen {
		us := int64(0)
		if !d.LastSeenAt.IsZero() {
			us = d.LastSeenAt.UnixMicro()
		}
		return mdm.EncodeCursor(strconv.FormatInt(us, 10), string(d.ID))
	}
	return mdm.EncodeCursor(strings.ToLower(d.Name), string(d.ID))
}

// ParseCursor reads what CursorAfter made in the filter's order: a time in Unix microseconds or a
// name in lower case, and the id; mdm.ErrInvalid.
func (f Filter) ParseCursor(cursor string) (us int64, nameKey string, id mdm.DeviceID, err error) {
	keys, err := mdm.DecodeCursor(cursor, 2)
	if err != nil {
		return 0, "", "", err
	}
	if f.Order == ByLastSeen {
		if us, err = strconv.ParseInt(keys[0], 10, 64); err != nil {
			return 0, "", "", fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
	}
	return us, keys[0], mdm.DeviceID(keys[1]), nil
}

// Page is one page of a list. Next is "" on the last.
type Page struct {
	Devices []Device
	Next    string
}

// Reader finds devices.
type Reader interface {
	// Device returns one device, revoked or not; mdm.ErrNotFound.
	Device(ctx context.Context, id mdm.DeviceID) (Device, error)
	// Devices returns a page in the filter's order; mdm.ErrInvalid for a cursor not of that order.
	Devices(ctx context.Context, f Filter) (Page, error)
	// CountDevices counts the welcome devices in the groups, or all.
	CountDevices(ctx context.Context, groups []mdm.GroupID, all bool) (int64, error)
	// CountDevicesByGroup counts the welcome devices of every group that has any, those of its
	// subgroups aside.
	CountDevicesByGroup(ctx context.Context) (map[mdm.GroupID]int64, error)
}

// Writer changes devices.
type Writer interface {
	// ChangeDevice runs change on the device in a transaction and stores it unless change
	// fails; nobody else changes the device meanwhile. change may run twice.
	ChangeDevice(ctx context.Context, id mdm.DeviceID, change func(*Device) error) (Device, error)
	// MoveDevices puts welcome devices into a group and returns those that were in another;
	// unknown ones are skipped. mdm.ErrInvalid when there is no such group. At most MaxPage.
	MoveDevices(ctx context.Context, ids []mdm.DeviceID, to mdm.GroupID) ([]mdm.DeviceID, error)
	// DeleteDevice forgets the device and its inventory; mdm.ErrNotFound.
	DeleteDevice(ctx context.Context, id mdm.DeviceID) error
	// SeenDevices sets LastSeenAt of many at once, never back; unknown ids are skipped.
	SeenDevices(ctx context.Context, seen map[mdm.DeviceID]time.Time) error
}

// Store keeps device records.
type Store interface {
	Reader
	Writer
}

// Registry applies the rules of device records over a Store. It is safe for concurrent use.
type Registry struct{ store Store }

// New returns a registry over store.
func New(store Store) *Registry { return &Registry{store: store} }

// Device returns one device, revoked or not; mdm.ErrNotFound.
func (r *Registry) Device(ctx context.Context, id mdm.DeviceID) (Device, error) {
	d, err := r.store.Device(ctx, id)
	if err != nil {
		return Device{}, fmt.Errorf("device %q: %w", mdm.Clean(string(id), 64), err)
	}
	return d, nil
}

// Devices returns one page of the devices the filter selects.
func (r *Registry) Devices(ctx context.Context, f Filter) (Page, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, MaxPage)
	if len(f.IDs) > MaxPage {
		return Page{}, fmt.Errorf("%d ids, at most %d: %w", len(f.IDs), MaxPage, mdm.ErrInvalid)
	}
	if !f.AllGroups && len(f.Groups) == 0 || f.IDs != nil && len(f.IDs) == 0 {
		return Page{Devices: []Device{}}, nil
	}
	p, err := r.store.Devices(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("list devices: %w", err)
	}
	return p, nil
}

// Count counts the welcome devices in the groups, or all.
func (r *Registry) Count(ctx context.Context, groups []mdm.GroupID, all bool) (int64, error) {
	if !all && len(groups) == 0 {
		return 0, nil
	}
	return r.store.CountDevices(ctx, groups, all)
}

// CountByGroup counts the welcome devices of every group that has any, those of its subgroups
// aside.
func (r *Registry) CountByGroup(ctx context.Context) (map[mdm.GroupID]int64, error) {
	n, err := r.store.CountDevicesByGroup(ctx)
	if err != nil {
		return nil, fmt.Errorf("devices by group: %w", err)
	}
	return n, nil
}

// Change is what an operator may change; nil leaves a field.
type Change struct {
	Name  *string
	Group *mdm.GroupID
	Asset map[string]string // checked, see CheckAsset; "" forgets a value, what is not named stays
}

// Update changes a device. A name that is empty once cleaned, or a group that does not
// exist, is mdm.ErrInvalid.
func (r *Registry) Update(ctx context.Context, id mdm.DeviceID, c Change) (Device, error) {
	return r.change(ctx, id, func(d *Device) error {
		if c.Name != nil {
			name := mdm.Clean(*c.Name, MaxName)
			if name == "" {
				return fmt.Errorf("a device needs a name: %w", mdm.ErrInvalid)
			}
			d.Name = name
		}
		if c.Group != nil {
			d.Group = *c.Group
		}
		if len(c.Asset) > 0 {
			d.SetAsset(c.Asset)
		}
		return nil
	})
}

// Move puts devices into a group and returns those that were in another; unknown and revoked
// ones are skipped. mdm.ErrInvalid when there is no such group. An error leaves those moved
// that are returned with it.
func (r *Registry) Move(ctx context.Context, ids []mdm.DeviceID, to mdm.GroupID) ([]mdm.DeviceID, error) {
	moved := []mdm.DeviceID{}
	for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), MaxPage) {
		done, err := r.store.MoveDevices(ctx, some, to)
		if err != nil {
			return moved, fmt.Errorf("move %d devices: %w", len(ids), err)
		}
		moved = append(moved, done...)
	}
	return moved, nil
}

// Revoke cuts the device off for good; its key is never accepted again. Revoking twice keeps
// the first time. Cutting a live link is the caller's part.
func (r *Registry) Revoke(ctx context.Context, id mdm.DeviceID, now time.Time) (Device, error) {
	return r.change(ctx, id, func(d *Device) error {
		if d.RevokedAt.IsZero() {
			d.RevokedAt = now
		}
		return nil
	})
}

// MarkCopied remembers that the device's identity turned up on another machine.
func (r *Registry) MarkCopied(ctx context.Context, id mdm.DeviceID, now time.Time) (Device, error) {
	return r.change(ctx, id, func(d *Device) error {
		d.CopiedAt = now
		return nil
	})
}

// Learn takes facts from an inventory or a handshake into the record. A name that still is
// the old hostname follows the new one.
func (r *Registry) Learn(ctx context.Context, id mdm.DeviceID, f Facts) (Device, error) {
	return r.change(ctx, id, func(d *Device) error {
		set := func(to *string, v string) {
			if v = mdm.Clean(v, MaxField); v != "" {
				*to = v
			}
		}
		followed := d.Name == d.Hostname
		set(&d.Hostname, f.Hostname)
		set(&d.OSVersion, f.OSVersion)
		set(&d.Model, f.Model)
		set(&d.Serial, f.Serial)
		set(&d.AgentVersion, f.AgentVersion)
		if followed {
			d.Name = mdm.Clean(d.Hostname, MaxName)
		}
		if f.Hardware != nil {
			f.Hardware(&d.Hardware)
		}
		if f.KeepSignedIn {
			return nil
		}
		d.SignedIn = nil
		for _, u := range f.SignedIn[:min(len(f.SignedIn), 16)] {
			// The list is stored comma separated.
			if u = mdm.Clean(strings.ReplaceAll(u, ",", " "), 64); u != "" {
				d.SignedIn = append(d.SignedIn, u)
			}
		}
		return nil
	})
}

// ErrKey says that the key named as the old one is not the device's.
var ErrKey = errors.New("not the device's key")

// Rekey puts a new key in the place of the old one, which is never accepted again. The
// caller has verified the signatures. Where the new key is in force already nothing
// changes; ErrKey where old is not the one in force.
func (r *Registry) Rekey(ctx context.Context, id mdm.DeviceID, old, next ed25519.PublicKey) (d Device, changed bool, err error) {
	d, err = r.change(ctx, id, func(d *Device) error {
		changed = false // it may run twice
		switch {
		case d.PublicKey.Equal(next):
		case d.PublicKey.Equal(old):
			d.PublicKey, changed = next, true
		default:
			return ErrKey
		}
		return nil
	})
	return d, changed && err == nil, err
}

// Delete forgets the device and everything known about it; mdm.ErrNotFound.
func (r *Registry) Delete(ctx context.Context, id mdm.DeviceID) error {
	if err := r.store.DeleteDevice(ctx, id); err != nil {
		return fmt.Errorf("delete device %q: %w", mdm.Clean(string(id), 64), err)
	}
	return nil
}

// Seen sets when devices were last connected; never back. One call for many is one
// statement or a few.
func (r *Registry) Seen(ctx context.Context, seen map[mdm.DeviceID]time.Time) error {
	if len(seen) == 0 {
		return nil
	}
	if err := r.store.SeenDevices(ctx, seen); err != nil {
		return fmt.Errorf("last seen of %d devices: %w", len(seen), err)
	}
	return nil
}

func (r *Registry) change(ctx context.Context, id mdm.DeviceID, change func(*Device) error) (Device, error) {
	d, err := r.store.ChangeDevice(ctx, id, change)
	if err != nil {
		return Device{}, fmt.Errorf("change device %q: %w", mdm.Clean(string(id), 64), err)
	}
	return d, nil
}
