package api

import (
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/inventory"
)

// deviceFacts is what a device's record takes over from an inventory.
func deviceFacts(f inventory.Facts) device.Facts {
	return device.Facts{
		Hostname: f.Hostname, OSVersion: f.OSVersion, Model: f.Model, Serial: f.Serial,
		AgentVersion: f.AgentVersion, SignedIn: f.SignedIn, KeepSignedIn: !f.HasUsers,
		Hardware: func(h *device.Hardware) {
			if f.HasHardware {
				h.CPU, h.MemoryBytes = mdm.Clean(f.CPU, device.MaxField), bounded(f.MemoryBytes)
			}
			if f.HasDisks {
				h.DiskBytes = bounded(f.DiskBytes)
			}
			if f.HasNetwork {
				h.MACs = f.MACs
			}
			if f.HasUpdates {
				h.Updates, h.UpdatesSecurity = int64(f.Updates), int64(f.SecurityUpdates)
			}
			if f.HasEncryption {
				h.Encrypted = encryption(f)
			}
		},
	}
}

func encryption(f inventory.Facts) device.Encryption {
	switch {
	case f.Volumes == 0:
		return device.EncryptionUnknown
	case f.EncryptedVolumes == 0:
		return device.NotEncrypted
	case f.EncryptedVolumes == f.Volumes:
		return device.Encrypted
	}
	return device.PartlyEncrypted
}

// bounded keeps a size that a device claims within what is stored and compared.
func bounded(n uint64) int64 { return int64(min(n, 1<<60)) } //nolint:gosec // fits
