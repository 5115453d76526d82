package hardware_test

import (
	"os/exec"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/hardware"
	"handrail/mdm/manifest"
)

type object = map[string]any

func machine(t *testing.T) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, nil, hardware.New())
	m.Write("/etc/modprobe.d/local.conf", "options snd_hda_intel power_save=1\n")
	m.Write("/etc/udev/rules.d/99-local.rules", "# nothing\n")
	return m
}

func modprobe(t *testing.T, m *enforcetest.Machine, module string) string {
	t.Helper()
	out, _ := exec.Command("modprobe", "-n", "-v", "-C", m.System.Abs("/etc/modprobe.d"), module).Output() // package kmod
	return strings.TrimSpace(string(out))
}

func TestCameraComesAndGoes(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	st := m.Set("camera.disabled", object{"disabled": true})
	m.Want(st, manifest.Applied, "")
	if got := modprobe(t, m, "uvcvideo"); got != "install /bin/false" {
		t.Errorf("modprobe says %q", got)
	}
	if !strings.Contains(string(st.Observed), `"uvcvideo":"install /bin/false"`) {
		t.Errorf("observed %s", st.Observed)
	}
	m.Want(m.Set("camera.disabled", object{"disabled": false}), manifest.Applied, "")
	if got := modprobe(t, m, "uvcvideo"); got != "" {
		t.Errorf("allowed, modprobe says %q", got)
	}
	m.Unset("camera.disabled")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestStorage(t *testing.T) {
	m := machine(t)
	before := m.Tree()
	m.Want(m.Set("camera.disabled", object{"disabled": true}), manifest.Applied, "")
	m.Want(m.Set("usb.storage", object{"mode": "block"}), manifest.Applied, "")
	for _, module := range []string{"usb_storage", "usb-storage", "uas"} {
		if got := modprobe(t, m, module); got != "install /bin/false" {
			t.Errorf("%s: modprobe says %q", module, got)
		}
	}
	m.Want(m.Set("usb.storage", object{"mode": "read_only"}), manifest.Applied, "")
	if got := modprobe(t, m, "uas"); got != "" {
		t.Errorf("read-only, modprobe says %q", got)
	}
	if rules := m.Read("/etc/udev/rules.d/71-handrail-usb-storage.rules"); !strings.Contains(rules, "--setro $devnode") {
		t.Errorf("rules:\n%s", rules)
	}
	m.Want(m.Set("usb.storage", object{"mode": "allow"}), manifest.Applied, "")
	m.Want(m.Set("usb.storage", object{"mode": "eat"}), manifest.Failed, "not known")
	m.Unset("usb.storage")
	m.Unset("camera.disabled")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestDriftIsMended(t *testing.T) {
	m := machine(t)
	m.Set("usb.storage", object{"mode": "block"})
	m.Write("/etc/modprobe.d/handrail-usb-storage.conf", "# nothing here\n")
	st := m.Enforce()["usb.storage"]
	m.Want(st, manifest.Applied, "")
	if st.Mended != 1 || modprobe(t, m, "uas") != "install /bin/false" {
		t.Errorf("mended %d times", st.Mended)
	}
}

func TestAnotherFileThatWins(t *testing.T) {
	m := machine(t)
	m.Write("/etc/modprobe.d/aaa.conf", "install uvcvideo /sbin/modprobe --ignore-install uvcvideo\n")
	before := m.Tree()
	st := m.Set("camera.disabled", object{"disabled": true})
	if modprobe(t, m, "uvcvideo") != "install /bin/false" { // whatever modprobe prefers, the state must say so
		m.Want(st, manifest.Failed, "does not refuse uvcvideo")
		if after := m.Tree(); after != before {
			t.Errorf("what does not work stayed:\n%s", after)
		}
	}
}

func TestWithoutJudges(t *testing.T) {
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "blockdev", "udevadm") }, hardware.New())
	m.Want(m.Set("camera.disabled", object{"disabled": true}), manifest.Failed, "install the package kmod")
	m = enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "blockdev", "modprobe") }, hardware.New())
	m.Want(m.Set("usb.storage", object{"mode": "read_only"}), manifest.Failed, "install the package udev")
	if strings.Contains(m.Tree(), "handrail") {
		t.Errorf("applied blind:\n%s", m.Tree())
	}
}
