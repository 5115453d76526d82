package inventory

import (
	"slices"
	"strings"

	"handrail/mdm"
)

// Facts are what a device list shows and searches of an inventory.
type Facts struct {
	Hostname     string
	OSVersion    string
	Model        string
	Serial       string
	AgentVersion string
	SignedIn     []string // account names
	HasUsers     bool     // SignedIn was part of it

	CPU         string
	MemoryBytes uint64
	HasHardware bool // CPU and MemoryBytes were part of it

	DiskBytes uint64 // of disks that stay in the machine
	HasDisks  bool

	Volumes, EncryptedVolumes int // swap counts, unless it is in memory
	HasEncryption             bool

	MACs       []string // lower case, of interfaces with a driver of their own
	HasNetwork bool

	Updates, SecurityUpdates int
	HasUpdates               bool
}

// take reads the facts out of an accepted row; false when it has none.
func (f *Facts) take(row Row) bool {
	if !slices.Contains([]string{
		SectionHost, SectionHardware, SectionAgent, SectionUsers, SectionDisks, SectionEncryption, SectionNetwork, SectionUpdates,
	}, row.Section) {
		return false
	}
	var rep Report
	if err := rep.take(row); err != nil { // accepted rows decode; Decode made them
		return false
	}
	switch row.Section {
	case SectionHost:
		f.Hostname = rep.Host.Hostname
		f.OSVersion = rep.Host.OSVersion
	case SectionHardware:
		f.HasHardware = true
		f.Model = mdm.Clean(rep.Hardware.Vendor+" "+rep.Hardware.Model, 255)
		f.Serial = rep.Hardware.Serial
		f.CPU, f.MemoryBytes = rep.Hardware.CPU.Model, rep.Hardware.MemoryBytes
	case SectionAgent:
		f.AgentVersion = rep.Agent.Version
	case SectionUsers:
		f.HasUsers = true
		for _, u := range rep.Users {
			if !slices.Contains(f.SignedIn, u.Name) {
				f.SignedIn = append(f.SignedIn, u.Name)
			}
		}
	case SectionDisks:
		f.HasDisks = true
		for _, d := range rep.Disks {
			if !d.Removable {
				f.DiskBytes += d.SizeBytes
			}
		}
	case SectionEncryption:
		f.takeVolumes(*rep.Encryption)
	case SectionNetwork:
		f.takeNetwork(rep.Network)
	case SectionUpdates:
		f.HasUpdates = true
		f.Updates = len(rep.Updates.Pending)
		for _, u := range rep.Updates.Pending {
			if u.Security {
				f.SecurityUpdates++
			}
		}
	}
	return true
}

func (f *Facts) takeVolumes(e Encryption) {
	f.HasEncryption = true
	for _, v := range append(append([]Volume{}, e.Volumes...), e.Swap...) {
		if v.Method == "zram" || v.Mount == "/boot" || strings.HasPrefix(v.Mount, "/boot/") {
			continue // in memory; and what starts the machine cannot be
		}
		f.Volumes++
		if v.Encrypted {
			f.EncryptedVolumes++
		}
	}
}

// maxMACs is how many addresses of a device are kept for searching.
const maxMACs = 8

func (f *Facts) takeNetwork(list []Interface) {
	f.HasNetwork = true
	for _, i := range list {
		mac := strings.ToLower(i.MAC)
		// The second lowest bit of the first byte says that the address was made up, as bridges
		// and containers do; it says nothing of the machine.
		if len(mac) != 17 || mac == "00:00:00:00:00:00" || strings.ContainsRune("2367abef", rune(mac[1])) || strings.Contains(mac, ",") {
			continue
		}
		if !slices.Contains(f.MACs, mac) && len(f.MACs) < maxMACs {
			f.MACs = append(f.MACs, mac)
		}
	}
	slices.Sort(f.MACs)
}
