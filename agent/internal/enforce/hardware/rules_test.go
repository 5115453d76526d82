package hardware

import (
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
)

// TestUdevRefusesBadRules lets the judge read rules it must not accept.
func TestUdevRefusesBadRules(t *testing.T) {
	sys := &enforce.System{Root: t.TempDir()}
	b := ban{file: "handrail-camera", class: "0e"}
	put := func(text string) {
		if err := sys.Put(enforce.File{Path: b.udevPath(), Content: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	put(string(b.rules("camera.disabled", "/sbin/blockdev")))
	if err := judgeRules(t.Context(), sys, b, nil); err != nil {
		t.Errorf("our own rules: %v", err)
	}
	put("BOGUS==\"x\", FOO=1\n")
	if err := judgeRules(t.Context(), sys, b, nil); err == nil || !strings.Contains(err.Error(), "does not accept") {
		t.Errorf("bad rules: %v", err)
	}
}

func TestAtUSB(t *testing.T) {
	for p, want := range map[string]bool{
		"../../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb": true,
		"../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda":             false,
		"../../devices/usbish/block/sdc": false,
	} {
		if atUSB(p) != want {
			t.Errorf("atUSB(%s) = %t", p, !want)
		}
	}
}
