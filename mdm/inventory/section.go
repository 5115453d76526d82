package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"

	"handrail/mdm"
)

// The sections this version knows.
const (
	SectionHost        = "host"
	SectionHardware    = "hardware"
	SectionDisks       = "disks"
	SectionFilesystems = "filesystems"
	SectionNetwork     = "network"
	SectionMonitors    = "monitors"
	SectionUsers       = "users"
	SectionAgent       = "agent"
)

// MaxSection is the most one section may take, in bytes of JSON.
const MaxSection = 256 << 10

// Entries kept of each list; a device with more is kept to these, not refused.
const (
	maxDisks       = 128
	maxFilesystems = 256
	maxInterfaces  = 256
	maxAddresses   = 32 // of one interface
	maxMonitors    = 16
	maxUsers       = 128
)

// Lengths of text in bytes.
const (
	short  = 64
	medium = 255
	long   = 1024 // paths
)

// Host is the section "host". Times are by the device's clock, Unix microseconds.
type Host struct {
	Hostname       string `json:"hostname"`
	OS             string `json:"os"`
	OSVersion      string `json:"os_version"`
	Kernel         string `json:"kernel"`
	Arch           string `json:"arch"`
	Virtualization string `json:"virtualization"`
	BootTimeUS     int64  `json:"boot_time_us"`
	Timezone       string `json:"timezone"`
}

// Hardware is the section "hardware".
type Hardware struct {
	Vendor      string `json:"vendor"`
	Model       string `json:"model"`
	Serial      string `json:"serial"`
	Firmware    string `json:"firmware"`
	CPU         CPU    `json:"cpu"`
	MemoryBytes uint64 `json:"memory_bytes"`
}

// CPU is part of Hardware.
type CPU struct {
	Model   string `json:"model"`
	Cores   uint32 `json:"cores"`
	Threads uint32 `json:"threads"`
	MHz     uint32 `json:"mhz"`
}

// Disk is an entry of the section "disks".
type Disk struct {
	Name       string `json:"name"`
	Model      string `json:"model"`
	Serial     string `json:"serial"`
	SizeBytes  uint64 `json:"size_bytes"`
	Rotational bool   `json:"rotational"`
	Removable  bool   `json:"removable"`
}

// Filesystem is an entry of the section "filesystems". FreeBytes is rounded by the agent, so
// that an idle device does not change it all the time.
type Filesystem struct {
	Mount     string `json:"mount"`
	Device    string `json:"device"`
	Type      string `json:"type"`
	SizeBytes uint64 `json:"size_bytes"`
	FreeBytes uint64 `json:"free_bytes"`
}

// Interface is an entry of the section "network".
type Interface struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses"` // with prefix length
	Up        bool     `json:"up"`
	SpeedMbps int64    `json:"speed_mbps"` // 0 or less: unknown
}

// Monitor is an entry of the section "monitors", in the desktop's pixels.
type Monitor struct {
	Name    string `json:"name"`
	Width   uint32 `json:"width"`
	Height  uint32 `json:"height"`
	X       int32  `json:"x"`
	Y       int32  `json:"y"`
	Primary bool   `json:"primary"`
}

// User is an entry of the section "users": a session at the device.
type User struct {
	Name      string `json:"name"`
	Terminal  string `json:"terminal"`
	Host      string `json:"host"` // where from; "" is the device itself
	SinceUS   int64  `json:"since_us"`
	Graphical bool   `json:"graphical"`
}

// Agent is the section "agent".
type Agent struct {
	Version   string `json:"version"`
	Go        string `json:"go"`
	StartedUS int64  `json:"started_us"`
}

// Decode reads one section as a device sent it and returns it cut to its limits, cleaned and
// encoded anew. Unknown fields are dropped; a section this version does not know becomes
// null. mdm.ErrInvalid, with a reason fit to send back, for anything that is not the section.
func Decode(name string, data []byte) ([]byte, error) {
	if len(data) > MaxSection {
		return nil, fmt.Errorf("section is %d bytes, at most %d: %w", len(data), MaxSection, mdm.ErrInvalid)
	}
	switch name {
	case SectionHost:
		return decodeAs(data, (*Host).clean)
	case SectionHardware:
		return decodeAs(data, (*Hardware).clean)
	case SectionDisks:
		return decodeList(data, maxDisks, (*Disk).clean)
	case SectionFilesystems:
		return decodeList(data, maxFilesystems, (*Filesystem).clean)
	case SectionNetwork:
		return decodeList(data, maxInterfaces, (*Interface).clean)
	case SectionMonitors:
		return decodeList(data, maxMonitors, (*Monitor).clean)
	case SectionUsers:
		return decodeList(data, maxUsers, (*User).clean)
	case SectionAgent:
		return decodeAs(data, (*Agent).clean)
	}
	return []byte("null"), nil
}

func decodeAs[T any](data []byte, clean func(*T)) ([]byte, error) {
	var v T
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil, fmt.Errorf("section is null: %w", mdm.ErrInvalid)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("%w: %s", mdm.ErrInvalid, mdm.Clean(err.Error(), 200))
	}
	clean(&v)
	return json.Marshal(v)
}

func decodeList[T any](data []byte, limit int, clean func(*T)) ([]byte, error) {
	var raw []T
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%w: %s", mdm.ErrInvalid, mdm.Clean(err.Error(), 200))
	}
	list := append([]T{}, raw[:min(len(raw), limit)]...)
	for i := range list {
		clean(&list[i])
	}
	return json.Marshal(list)
}

func cut(limit int, fields ...*string) {
	for _, f := range fields {
		*f = mdm.Clean(*f, limit)
	}
}

func (h *Host) clean() {
	cut(medium, &h.Hostname, &h.OSVersion, &h.Kernel)
	cut(short, &h.OS, &h.Arch, &h.Virtualization, &h.Timezone)
	h.BootTimeUS = max(h.BootTimeUS, 0)
}

func (h *Hardware) clean() {
	cut(medium, &h.Vendor, &h.Model, &h.Serial, &h.Firmware, &h.CPU.Model)
}

func (d *Disk) clean() { cut(medium, &d.Name, &d.Model, &d.Serial) }

func (f *Filesystem) clean() {
	cut(long, &f.Mount, &f.Device)
	cut(short, &f.Type)
	f.FreeBytes = min(f.FreeBytes, f.SizeBytes)
}

func (i *Interface) clean() {
	cut(short, &i.Name, &i.MAC)
	addresses := []string{}
	for _, a := range i.Addresses[:min(len(i.Addresses), maxAddresses)] {
		if a = mdm.Clean(a, short); a != "" {
			addresses = append(addresses, a)
		}
	}
	i.Addresses = addresses
}

func (m *Monitor) clean() { cut(medium, &m.Name) }

func (u *User) clean() {
	cut(short, &u.Name, &u.Terminal)
	cut(medium, &u.Host)
	u.SinceUS = max(u.SinceUS, 0)
}

func (a *Agent) clean() {
	cut(short, &a.Version, &a.Go)
	a.StartedUS = max(a.StartedUS, 0)
}
