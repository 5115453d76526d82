package diag

import (
	"bufio"
	"encoding/binary"
	"path"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

// chassis names SMBIOS's types of enclosure (DSP0134 7.4.1) as people do.
func chassis(kind uint64) string {
	switch kind & 0x7f {
	case 3, 4, 5, 6, 7, 15, 16:
		return "desktop"
	case 35, 36:
		return "mini"
	case 13:
		return "all-in-one"
	case 8, 9, 10, 14:
		return "laptop"
	case 31, 32:
		return "convertible"
	case 30:
		return "tablet"
	case 11:
		return "handheld"
	case 17, 23, 25, 28, 29:
		return "server"
	}
	return ""
}

// memoryTypes of SMBIOS (DSP0134 7.18.2) that are still in use.
var memoryTypes = map[byte]string{
	0x12: "DDR", 0x13: "DDR2", 0x18: "DDR3", 0x1a: "DDR4", 0x1b: "LPDDR", 0x1c: "LPDDR2", 0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x20: "HBM", 0x22: "DDR5", 0x23: "LPDDR5",
}

// parseMemoryModule reads one SMBIOS structure of type 17; ok is false for an empty slot.
func parseMemoryModule(b []byte) (m inventory.MemoryModule, ok bool) {
	if len(b) < 0x1b || b[0] != 17 || int(b[1]) > len(b) || b[1] < 0x1b {
		return m, false
	}
	text := smbiosStrings(b[b[1]:])
	size := uint64(binary.LittleEndian.Uint16(b[0x0c:]))
	switch {
	case size == 0 || size == 0xffff:
		return m, false
	case size == 0x7fff && b[1] >= 0x20:
		m.SizeBytes = uint64(binary.LittleEndian.Uint32(b[0x1c:])&0x7fffffff) << 20
	case size&0x8000 != 0:
		m.SizeBytes = (size & 0x7fff) << 10
	default:
		m.SizeBytes = size << 20
	}
	m.Slot, m.Type, m.SpeedMTS = text(b[0x10]), memoryTypes[b[0x12]], uint32(binary.LittleEndian.Uint16(b[0x15:]))
	m.Vendor, m.Serial, m.Part = text(b[0x17]), text(b[0x18]), text(b[0x1a])
	return m, true
}

// smbiosStrings returns the lookup of the texts that follow a structure; they count from 1.
func smbiosStrings(b []byte) func(byte) string {
	all := strings.Split(string(b), "\x00")
	return func(i byte) string {
		if i == 0 || int(i) > len(all) {
			return ""
		}
		return meaningful(all[i-1])
	}
}

func (l *linux) batteries() []inventory.Battery {
	var out []inventory.Battery
	for _, name := range l.dir("sys/class/power_supply") {
		dir := path.Join("sys/class/power_supply", name)
		if l.text(dir+"/type") != "Battery" || l.text(dir+"/scope") == "Device" { // a mouse's is not the machine's
			continue
		}
		b := inventory.Battery{
			Name: name, Vendor: meaningful(l.text(dir + "/manufacturer")), Model: meaningful(l.text(dir + "/model_name")),
			Serial: meaningful(l.text(dir + "/serial_number")), Technology: meaningful(l.text(dir + "/technology")),
			Cycles: uint32(min(l.number(dir+"/cycle_count"), 1e6)),
		}
		full, design := l.number(dir+"/energy_full"), l.number(dir+"/energy_full_design") // µWh
		b.DesignMWh = uint32(min(design/1000, 1e9))
		if design == 0 { // some count charge instead: µAh
			full, design = l.number(dir+"/charge_full"), l.number(dir+"/charge_full_design")
			b.DesignMWh = uint32(min(design*l.number(dir+"/voltage_min_design")/1e9, 1e9))
		}
		if design > 0 {
			b.HealthPercent = uint32(min(full*100/design, 1000))
		}
		out = append(out, b)
	}
	return out
}

func (l *linux) displays() []inventory.Display {
	var out []inventory.Display
	for _, name := range l.dir("sys/class/drm") {
		dir := path.Join("sys/class/drm", name)
		if !strings.Contains(name, "-") || l.text(dir+"/status") != "connected" {
			continue
		}
		d, ok := parseEDID(l.read(dir + "/edid"))
		if !ok {
			d = inventory.Display{}
		}
		d.Connector = name
		out = append(out, d)
	}
	return out
}

// parseEDID reads a monitor's base block (VESA E-EDID 1.4).
func parseEDID(b []byte) (d inventory.Display, ok bool) {
	if len(b) < 128 || string(b[:8]) != "\x00\xff\xff\xff\xff\xff\xff\x00" {
		return d, false
	}
	var sum byte
	for _, c := range b[:128] {
		sum += c
	}
	if sum != 0 {
		return d, false
	}
	id := binary.BigEndian.Uint16(b[8:])
	for shift := 10; shift >= 0; shift -= 5 {
		if c := id >> shift & 31; c >= 1 && c <= 26 {
			d.Vendor += string(rune('A' + c - 1))
		}
	}
	if n := binary.LittleEndian.Uint32(b[12:]); n != 0 {
		d.Serial = strconv.FormatUint(uint64(n), 10)
	}
	if b[17] > 0 {
		d.Year = 1990 + uint32(b[17])
	}
	d.WidthMM, d.HeightMM = uint32(b[21])*10, uint32(b[22])*10
	for at := 54; at <= 108; at += 18 {
		block := b[at : at+18]
		switch {
		case block[0] != 0 || block[1] != 0: // a timing; the first is the preferred one
			if d.Width == 0 {
				d.Width = uint32(block[2]) | uint32(block[4]&0xf0)<<4
				d.Height = uint32(block[5]) | uint32(block[7]&0xf0)<<4
				if w, h := uint32(block[12])|uint32(block[14]&0xf0)<<4, uint32(block[13])|uint32(block[14]&0x0f)<<8; w > 0 && h > 0 {
					d.WidthMM, d.HeightMM = w, h
				}
			}
		case block[3] == 0xfc:
			d.Model = edidText(block[5:])
		case block[3] == 0xff:
			d.Serial = edidText(block[5:])
		}
	}
	return d, true
}

// edidText is what stands before the line feed that ends it.
func edidText(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(text)
}

// usbClasses of the USB-IF that people know.
var usbClasses = map[string]string{
	"01": "audio", "02": "modem", "03": "input", "06": "camera", "07": "printer", "08": "storage", "0a": "modem", "0b": "smart card", "0e": "camera",
	"dc": "diagnostic", "e0": "wireless",
}

func (l *linux) usb() []inventory.USBDevice {
	var out []inventory.USBDevice
	for _, name := range l.dir("sys/bus/usb/devices") {
		dir := path.Join("sys/bus/usb/devices", name)
		class := l.text(dir + "/bDeviceClass")
		if strings.Contains(name, ":") || class == "" || class == "09" { // interfaces and hubs
			continue
		}
		d := inventory.USBDevice{
			Port: name, VendorID: l.text(dir + "/idVendor"), ProductID: l.text(dir + "/idProduct"), Vendor: l.text(dir + "/manufacturer"),
			Product: l.text(dir + "/product"), Serial: meaningful(l.text(dir + "/serial")), Class: usbClasses[class],
		}
		for _, i := range l.dir(dir) { // most devices say what they are interface by interface
			if strings.Contains(i, ":") && d.Class == "" {
				d.Class = usbClasses[l.text(path.Join(dir, i, "bInterfaceClass"))]
			}
		}
		out = append(out, d)
	}
	return out
}

// pciClasses of the PCI-SIG, by the first byte of the class.
var pciClasses = map[string]string{
	"01": "storage", "02": "network", "03": "display", "04": "multimedia", "05": "memory", "06": "bridge", "07": "communication", "08": "system",
	"09": "input", "0b": "processor", "0c": "serial bus", "0d": "wireless", "10": "encryption", "11": "signal processing", "12": "accelerator",
}

func (l *linux) pci() []inventory.PCIDevice {
	var out []inventory.PCIDevice
	for _, slot := range l.dir("sys/bus/pci/devices") {
		dir := path.Join("sys/bus/pci/devices", slot)
		hex := func(name string) string { return strings.TrimPrefix(l.text(dir+"/"+name), "0x") }
		d := inventory.PCIDevice{Slot: slot, VendorID: hex("vendor"), DeviceID: hex("device"), Driver: l.base(dir + "/driver")}
		if class := hex("class"); len(class) >= 2 {
			d.Class = pciClasses[class[:2]]
		}
		out = append(out, d)
	}
	l.namePCI(out)
	return out
}

// namePCI looks the names up in the list that pciutils and hwdata install.
func (l *linux) namePCI(devices []inventory.PCIDevice) {
	for _, name := range []string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"} {
		f, err := l.root.Open(name)
		if err != nil {
			continue
		}
		parsePCIIDs(bufio.NewScanner(f), devices)
		f.Close()
		return
	}
}

// parsePCIIDs fills in the names of devices from a pci.ids file: vendors at the margin,
// devices behind one tab, subsystems behind two.
func parsePCIIDs(s *bufio.Scanner, devices []inventory.PCIDevice) {
	vendor := ""
	for s.Scan() {
		line := s.Text()
		switch {
		case line == "" || line[0] == '#' || strings.HasPrefix(line, "\t\t"):
		case line[0] == 'C':
			return // classes follow: no more devices
		case line[0] == '\t':
			if len(line) < 7 {
				continue
			}
			for i := range devices {
				if devices[i].VendorID == vendor && devices[i].DeviceID == line[1:5] {
					devices[i].Device = strings.TrimSpace(line[5:])
				}
			}
		case len(line) > 6:
			vendor = line[:4]
			for i := range devices {
				if devices[i].VendorID == vendor {
					devices[i].Vendor = strings.TrimSpace(line[4:])
				}
			}
		}
	}
}

func (l *linux) gpus() []inventory.GPU {
	var out []inventory.GPU
	for _, p := range l.pci() {
		if p.Class != "display" {
			continue
		}
		g := inventory.GPU{Vendor: p.Vendor, Model: p.Device, Driver: p.Driver, Slot: p.Slot}
		if g.Vendor == "" {
			g.Vendor = p.VendorID
		}
		if g.Model == "" {
			g.Model = p.DeviceID
		}
		g.MemoryBytes = l.number("sys/bus/pci/devices/" + p.Slot + "/mem_info_vram_total") // amdgpu says it
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b inventory.GPU) int { return strings.Compare(a.Slot, b.Slot) })
	return out
}
