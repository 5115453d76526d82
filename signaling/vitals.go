package signaling

import "fmt"

// Messages of the tool "vitals": what the device's parts are doing, second by second. They go over
// the tool's channel (see ChannelTool) as envelopes in text frames. VitalsParts comes first and
// again when a part comes or goes; the figures of Vitals are in its order.
const (
	TypeVitalsWatch Type = "vitals.watch"
	TypeVitalsParts Type = "vitals.parts"
	TypeVitals      Type = "vitals"
	TypeVitalsKeep  Type = "vitals.keep"
)

// ToolVitals names the tool.
const ToolVitals = "vitals"

// VitalsWatch asks for figures; without it none come. It may be sent again.
type VitalsWatch struct {
	EveryMS int64 `json:"every_ms"` // between figures; 1000 to 60000
}

func (w VitalsWatch) validate() error {
	if w.EveryMS < 1000 || w.EveryMS > 60_000 {
		return fmt.Errorf("every_ms is %d, want 1000 to 60000", w.EveryMS)
	}
	return nil
}

// VitalsKeep writes the figures of this moment, in a few words, into the session's record. At most one
// a second is.
type VitalsKeep struct{}

// VitalsParts names what figures are of.
type VitalsParts struct {
	Cores       int           `json:"cores"`
	MemoryBytes int64         `json:"memory_bytes"`
	SwapBytes   int64         `json:"swap_bytes"`
	Disks       []string      `json:"disks"`   // block devices, as "sda"
	Volumes     []VitalVolume `json:"volumes"` // mounted file systems
	Networks    []string      `json:"networks"`
	Sensors     []string      `json:"sensors"` // of temperature
	Pressure    bool          `json:"pressure"`
	Battery     bool          `json:"battery"`
}

// VitalVolume is a mounted file system.
type VitalVolume struct {
	Mount string `json:"mount"`
	Bytes int64  `json:"bytes"`
}

// maxVitals is how many parts of a kind are told.
const maxVitals = 256

func (p VitalsParts) validate() error {
	if p.Cores < 0 || p.Cores > 4096 || max(len(p.Disks), len(p.Volumes), len(p.Networks), len(p.Sensors)) > maxVitals {
		return fmt.Errorf("too many parts")
	}
	for _, list := range [][]string{p.Disks, p.Networks, p.Sensors} {
		for _, name := range list {
			if err := checkText("name", name, 128); err != nil {
				return err
			}
		}
	}
	for _, v := range p.Volumes {
		if err := checkText("mount", v.Mount, 4096); err != nil {
			return err
		}
	}
	return nil
}

// Vitals is how the device was between the figures before and these. Shares are in thousandths.
type Vitals struct {
	TimeMS     int64         `json:"time_ms"`            // the device's clock, Unix
	Cores      []int         `json:"cores"`              // busy
	Load       []float64     `json:"load"`               // over 1, 5 and 15 minutes
	MemoryUsed int64         `json:"memory"`             // bytes that are not available
	SwapUsed   int64         `json:"swap"`               // bytes
	Pressure   *VitalsStall  `json:"pressure,omitempty"` // nil where the system does not tell
	Disks      []VitalsDisk  `json:"disks"`
	Volumes    []int64       `json:"volumes"` // bytes used
	Networks   []VitalsNet   `json:"networks"`
	Sensors    []float64     `json:"sensors"`           // °C
	Battery    *VitalBattery `json:"battery,omitempty"` // nil where there is none
}

// VitalsStall is the time in which tasks waited for want of something (Linux PSI: some).
type VitalsStall struct {
	CPU    int `json:"cpu"`
	Memory int `json:"memory"`
	IO     int `json:"io"`
}

// VitalsDisk is what went through a block device.
type VitalsDisk struct {
	Read  int64   `json:"read"`  // bytes a second
	Write int64   `json:"write"` // bytes a second
	Busy  int     `json:"busy"`
	Wait  float64 `json:"wait"` // milliseconds that a request took on the average
}

// VitalsNet is what went through a network interface, in bytes a second.
type VitalsNet struct {
	In  int64 `json:"in"`
	Out int64 `json:"out"`
}

// VitalBattery is a battery's charge.
type VitalBattery struct {
	Charge   int  `json:"charge"`
	Charging bool `json:"charging"`
}
