package diag

import (
	"io/fs"
	"os"
	"slices"
	"strings"
)

// traits of this machine. In a container the firmware and the cards are the host's, so only
// the system's own id tells it from its neighbours.
func traits() []trait {
	l := &linux{root: os.DirFS("/")}
	system := trait{from: FromSystem, parts: nonEmpty(l.text("etc/machine-id"))}
	if l.container() != "" {
		return []trait{system, l.firmwareTrait(), l.networkTrait()}
	}
	return []trait{l.firmwareTrait(), l.networkTrait(), system}
}

func (l *linux) firmwareTrait() trait {
	t := trait{from: FromFirmware}
	for _, name := range []string{"sys/class/dmi/id/product_uuid", "sys/class/dmi/id/product_serial", "proc/device-tree/serial-number"} {
		b, err := fs.ReadFile(l.root, name)
		if err != nil && l.exists(name) {
			return trait{from: FromFirmware, err: err} // half of it would be another fingerprint
		}
		t.parts = append(t.parts, nonEmpty(meaningful(strings.ToLower(string(b))))...)
	}
	return t
}

// networkTrait takes the permanent addresses of cards that hang on a bus.
func (l *linux) networkTrait() trait {
	t := trait{from: FromNetwork}
	entries, err := fs.ReadDir(l.root, "sys/class/net")
	if err != nil {
		return t
	}
	for _, e := range entries {
		dir := "sys/class/net/" + e.Name()
		if !l.exists(dir+"/device") || l.text(dir+"/addr_assign_type") != "0" {
			continue
		}
		t.parts = append(t.parts, nonEmpty(l.text(dir+"/address"))...)
	}
	slices.Sort(t.parts)
	return t
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
