package inventory

// Host is the section "host": the operating system. Times are by the device's clock, Unix
// microseconds. Shown as "System": name, version, kernel, up since.
type Host struct {
	Hostname       string `json:"hostname"`
	OS             string `json:"os" max:"64"`
	OSVersion      string `json:"os_version"`              // as people say it: "Debian GNU/Linux 12 (bookworm)"
	OSID           string `json:"os_id" max:"64"`          // of os-release: "debian"
	OSVersionID    string `json:"os_version_id" max:"64"`  // "12"
	OSCodename     string `json:"os_codename" max:"64"`    // "bookworm"
	Kernel         string `json:"kernel"`                  // the release that runs
	Arch           string `json:"arch" max:"64"`           // GOARCH
	Virtualization string `json:"virtualization" max:"64"` // "" is hardware
	BootTimeUS     int64  `json:"boot_time_us"`
	Timezone       string `json:"timezone" max:"64"`
}

// Hardware is the section "hardware".
type Hardware struct {
	Vendor        string         `json:"vendor"`
	Model         string         `json:"model"`
	SKU           string         `json:"sku"`
	Serial        string         `json:"serial"`
	Board         string         `json:"board"`
	Chassis       string         `json:"chassis" max:"64"` // "laptop", "desktop", "server", "tablet", …; "" unknown
	Firmware      string         `json:"firmware"`
	FirmwareDate  string         `json:"firmware_date" max:"64"` // as its maker wrote it
	TPM           string         `json:"tpm" max:"64"`           // "2.0", "1.2"; "" none seen
	CPU           CPU            `json:"cpu"`
	MemoryBytes   uint64         `json:"memory_bytes"`
	MemoryModules []MemoryModule `json:"memory_modules"` // empty where the firmware does not say, or only root may read it
}

// CPU is part of Hardware.
type CPU struct {
	Model   string `json:"model"`
	Cores   uint32 `json:"cores"`
	Threads uint32 `json:"threads"`
	MHz     uint32 `json:"mhz"`
}

// MemoryModule is a populated slot (SMBIOS type 17).
type MemoryModule struct {
	Slot      string `json:"slot" max:"64"`
	SizeBytes uint64 `json:"size_bytes"`
	Type      string `json:"type" max:"64"` // "DDR4"
	SpeedMTS  uint32 `json:"speed_mts"`     // million transfers a second
	Vendor    string `json:"vendor" max:"64"`
	Part      string `json:"part" max:"64"`
	Serial    string `json:"serial" max:"64"`
}

// Disk is an entry of the section "disks".
type Disk struct {
	Name       string `json:"name"`
	Model      string `json:"model"`
	Serial     string `json:"serial"`
	Firmware   string `json:"firmware" max:"64"`
	Bus        string `json:"bus" max:"64"` // "nvme", "sata", "usb", "mmc", "virtio"; "" unknown
	SizeBytes  uint64 `json:"size_bytes"`
	Rotational bool   `json:"rotational"`
	Removable  bool   `json:"removable"`

	Health        string  `json:"health" max:"64"`          // "ok", "failing"; "" not known
	WearPercent   *uint32 `json:"wear_percent,omitempty"`   // of the life its maker gives it; may pass 100
	PoweredHours  *uint64 `json:"powered_hours,omitempty"`  // rounded to 100, so that it does not change all the time
	BadSectors    *uint64 `json:"bad_sectors,omitempty"`    // reallocated, or errors of the media
	HealthMessage string  `json:"health_message,omitempty"` // what is wrong, or why health is not known
}

// Filesystem is an entry of the section "filesystems": those with a size of their own.
// FreeBytes is rounded by the agent, so that an idle device does not change it all the time.
type Filesystem struct {
	Mount     string `json:"mount" max:"1024"`
	Device    string `json:"device" max:"1024"`
	Type      string `json:"type" max:"64"`
	SizeBytes uint64 `json:"size_bytes"`
	FreeBytes uint64 `json:"free_bytes"`
}

func (f *Filesystem) bound() { f.FreeBytes = min(f.FreeBytes, f.SizeBytes) }

// Mount is an entry of the section "mounts": every mount of a place people write to, whatever
// it is on, with its options.
type Mount struct {
	Mount   string   `json:"mount" max:"1024"`
	Device  string   `json:"device" max:"1024"`
	Type    string   `json:"type" max:"64"`
	Options []string `json:"options"`
}

// Encryption is the section "encryption": for each volume in use whether what is written to it
// is encrypted on the way to the disk.
type Encryption struct {
	Volumes []Volume `json:"volumes" list:"256"`
	Swap    []Volume `json:"swap"`
}

// Volume is part of Encryption.
type Volume struct {
	Mount     string `json:"mount" max:"1024"` // "" for swap
	Device    string `json:"device" max:"1024"`
	Encrypted bool   `json:"encrypted"`
	Method    string `json:"method" max:"64"` // "luks1", "luks2", "plain", "zfs", "zram" (memory only); "" not encrypted
}

// Battery is an entry of the section "battery". How full it is moves all the time and is
// not part of it.
type Battery struct {
	Name          string `json:"name" max:"64"`
	Vendor        string `json:"vendor"`
	Model         string `json:"model"`
	Serial        string `json:"serial"`
	Technology    string `json:"technology" max:"64"`
	HealthPercent uint32 `json:"health_percent"` // what it holds full, of what it held when new; 0 unknown
	Cycles        uint32 `json:"cycles"`         // 0 unknown
	DesignMWh     uint32 `json:"design_mwh"`     // milliwatt hours when new; 0 unknown
}

// GPU is an entry of the section "gpus".
type GPU struct {
	Vendor      string `json:"vendor"`
	Model       string `json:"model"`
	Driver      string `json:"driver" max:"64"` // of the kernel; "" none
	Slot        string `json:"slot" max:"64"`   // on the PCI bus
	MemoryBytes uint64 `json:"memory_bytes"`    // its own; 0 unknown or shared
}

// Display is an entry of the section "displays": a monitor as it says itself (EDID).
// What the desktop makes of it is in "monitors".
type Display struct {
	Connector string `json:"connector" max:"64"` // "card0-DP-1"
	Vendor    string `json:"vendor" max:"64"`    // three letters: "DEL"
	Model     string `json:"model" max:"64"`
	Serial    string `json:"serial" max:"64"`
	Width     uint32 `json:"width"` // of its preferred mode, pixels
	Height    uint32 `json:"height"`
	WidthMM   uint32 `json:"width_mm"`
	HeightMM  uint32 `json:"height_mm"`
	Year      uint32 `json:"year"` // of manufacture; 0 unknown
}

// USBDevice is an entry of the section "usb"; hubs are left out.
type USBDevice struct {
	Port      string `json:"port" max:"64"` // "1-4.2": where it is plugged in
	VendorID  string `json:"vendor_id" max:"16"`
	ProductID string `json:"product_id" max:"16"`
	Vendor    string `json:"vendor"`
	Product   string `json:"product"`
	Serial    string `json:"serial"`
	Class     string `json:"class" max:"64"` // "storage", "camera", "audio", "input", "printer", "wireless", …; "" other
}

// PCIDevice is an entry of the section "pci".
type PCIDevice struct {
	Slot     string `json:"slot" max:"64"`
	VendorID string `json:"vendor_id" max:"16"`
	DeviceID string `json:"device_id" max:"16"`
	Vendor   string `json:"vendor"` // "" where the device has no list of names
	Device   string `json:"device"`
	Class    string `json:"class" max:"64"` // "network", "display", …
	Driver   string `json:"driver" max:"64"`
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

// Agent is the section "agent".
type Agent struct {
	Version   string `json:"version" max:"64"`
	Go        string `json:"go" max:"64"`
	Root      bool   `json:"root"` // whether it may read what only root may
	StartedUS int64  `json:"started_us"`
}
