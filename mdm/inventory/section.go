package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"handrail/mdm"
)

// The sections this version knows. What each holds is said at its type.
const (
	SectionHost         = "host"         // Host
	SectionHardware     = "hardware"     // Hardware
	SectionDisks        = "disks"        // []Disk
	SectionFilesystems  = "filesystems"  // []Filesystem
	SectionEncryption   = "encryption"   // Encryption
	SectionMounts       = "mounts"       // []Mount
	SectionBattery      = "battery"      // []Battery
	SectionGPUs         = "gpus"         // []GPU
	SectionDisplays     = "displays"     // []Display
	SectionUSB          = "usb"          // []USBDevice
	SectionPCI          = "pci"          // []PCIDevice
	SectionNetwork      = "network"      // []Interface
	SectionWiFi         = "wifi"         // []WiFi
	SectionRoutes       = "routes"       // []Route
	SectionDNS          = "dns"          // DNS
	SectionListening    = "listening"    // []Listener
	SectionMonitors     = "monitors"     // []Monitor
	SectionUsers        = "users"        // []User
	SectionSignIns      = "sign_ins"     // SignIns
	SectionAccounts     = "accounts"     // Accounts
	SectionServices     = "services"     // []Service
	SectionUpdates      = "updates"      // Updates
	SectionCertificates = "certificates" // []Certificate
	SectionKernel       = "kernel"       // Kernel
	SectionSecurity     = "security"     // Security
	SectionSSHD         = "sshd"         // SSHD
	SectionSudo         = "sudo"         // Sudo
	SectionPAM          = "pam"          // PAM
	SectionFiles        = "files"        // map[string]FileFact, by path
	SectionFirewall     = "firewall"     // Firewall
	SectionSysctl       = "sysctl"       // map[string]string
	SectionTime         = "time"         // Clock
	SectionJournal      = "journal"      // Journal
	SectionDesktop      = "desktop"      // Desktop
	SectionBoot         = "boot"         // Boot
	SectionAgent        = "agent"        // Agent
	SectionUnread       = "unread"       // map[string]string: section to why it is not whole

	// SectionSoftware is what software is called as a whole. On the wire and in the store it
	// is SoftwareBuckets sections; see SoftwareSection.
	SectionSoftware = "software"
)

// MaxSection is the most one section may take, in bytes of JSON.
const MaxSection = 512 << 10

// SoftwareBuckets is into how many sections software is cut by the hash of its name, so
// that an update of one package moves a thirty-second of the list, and devices installed alike
// share most of their buckets to the byte.
const SoftwareBuckets = 32

const softwarePrefix = SectionSoftware + "_"

// SoftwareSection names the section that holds bucket n, 0 to SoftwareBuckets-1:
// "software_00" to "software_1f".
func SoftwareSection(n int) string {
	return softwarePrefix + hexDigits[n>>4:n>>4+1] + hexDigits[n&15:n&15+1]
}

const hexDigits = "0123456789abcdef"

// SoftwareBucket returns the bucket that software of this name is in: FNV-1a of the name,
// 32 bits wide, modulo SoftwareBuckets.
func SoftwareBucket(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % SoftwareBuckets)
}

// IsSoftware reports whether a section is a bucket of software.
func IsSoftware(section string) bool { return BucketOf(section) >= 0 }

// BucketOf returns the bucket of software that a section holds; -1 for other sections.
func BucketOf(section string) int {
	digits, ok := strings.CutPrefix(section, softwarePrefix)
	if !ok || len(digits) != 2 {
		return -1
	}
	n := strings.IndexByte("01", digits[0])
	m := strings.IndexByte(hexDigits, digits[1])
	if n < 0 || m < 0 {
		return -1
	}
	return 16*n + m
}

// Noun is what a section is called where software is spoken of as a whole.
func Noun(section string) string {
	if IsSoftware(section) {
		return SectionSoftware
	}
	return section
}

// decoders read each section; software is read by decodeSoftware.
var decoders = map[string]func([]byte) ([]byte, error){
	SectionHost:         decode[Host](),
	SectionHardware:     decode[Hardware](),
	SectionDisks:        decodeList[Disk](128),
	SectionFilesystems:  decodeList[Filesystem](256),
	SectionEncryption:   decode[Encryption](),
	SectionMounts:       decodeList[Mount](512),
	SectionBattery:      decodeList[Battery](16),
	SectionGPUs:         decodeList[GPU](16),
	SectionDisplays:     decodeList[Display](16),
	SectionUSB:          decodeList[USBDevice](256),
	SectionPCI:          decodeList[PCIDevice](512),
	SectionNetwork:      decodeList[Interface](256),
	SectionWiFi:         decodeList[WiFi](16),
	SectionRoutes:       decodeList[Route](1024),
	SectionDNS:          decode[DNS](),
	SectionListening:    decodeList[Listener](1024),
	SectionMonitors:     decodeList[Monitor](16),
	SectionUsers:        decodeList[User](128),
	SectionSignIns:      decode[SignIns](),
	SectionAccounts:     decode[Accounts](),
	SectionServices:     decodeList[Service](2048),
	SectionUpdates:      decode[Updates](),
	SectionCertificates: decodeList[Certificate](512),
	SectionKernel:       decode[Kernel](),
	SectionSecurity:     decode[Security](),
	SectionSSHD:         decode[SSHD](),
	SectionSudo:         decode[Sudo](),
	SectionPAM:          decode[PAM](),
	SectionFiles:        decodeMap[FileFact](256),
	SectionFirewall:     decode[Firewall](),
	SectionSysctl:       decodeMap[string](256),
	SectionTime:         decode[Clock](),
	SectionJournal:      decode[Journal](),
	SectionDesktop:      decode[Desktop](),
	SectionBoot:         decode[Boot](),
	SectionAgent:        decode[Agent](),
	SectionUnread:       decodeMap[string](MaxSections),
}

// Known returns the name of every section this version understands, sorted; software once.
func Known() []string {
	names := append(slices.Collect(maps.Keys(decoders)), SectionSoftware)
	slices.Sort(names)
	return names
}

// Decode reads one section as a device sent it and returns it cut to its limits, cleaned and
// encoded anew. Unknown fields are dropped; a section this version does not know becomes
// null. mdm.ErrInvalid, with a reason fit to send back, for anything that is not the section.
func Decode(name string, data []byte) ([]byte, error) {
	if len(data) > MaxSection {
		return nil, fmt.Errorf("section is %d bytes, at most %d: %w", len(data), MaxSection, mdm.ErrInvalid)
	}
	if n := BucketOf(name); n >= 0 {
		return decodeSoftware(n, data)
	}
	if name == SectionSoftware {
		return nil, fmt.Errorf("software is sent in its buckets: %w", mdm.ErrInvalid)
	}
	if d := decoders[name]; d != nil {
		return d(data)
	}
	return []byte("null"), nil
}

// parse reads data into v, which is a pointer.
func parse(data []byte, v any) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return fmt.Errorf("section is null: %w", mdm.ErrInvalid)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %s", mdm.ErrInvalid, mdm.Clean(err.Error(), 200))
	}
	return nil
}

func decode[T any]() func([]byte) ([]byte, error) {
	within := boundsFor[T]()
	return func(data []byte) ([]byte, error) {
		var v T
		if err := parse(data, &v); err != nil {
			return nil, err
		}
		within.clean(&v)
		return json.Marshal(v)
	}
}

// decodeList keeps the first limit entries; a device with more is not refused.
func decodeList[T any](limit int) func([]byte) ([]byte, error) {
	within := boundsFor[T]()
	return func(data []byte) ([]byte, error) {
		var raw []T
		if err := parse(data, &raw); err != nil {
			return nil, err
		}
		list := append([]T{}, raw[:min(len(raw), limit)]...)
		for i := range list {
			within.clean(&list[i])
		}
		return json.Marshal(list)
	}
}

// decodeMap keeps the first limit entries in order of their keys.
func decodeMap[T any](limit int) func([]byte) ([]byte, error) {
	within := boundsFor[T]()
	return func(data []byte) ([]byte, error) {
		var raw map[string]T
		if err := parse(data, &raw); err != nil {
			return nil, err
		}
		return json.Marshal(cleanMap(raw, limit, &within))
	}
}
