package osupdate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/osupdate"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(osupdate.Key)

const shipped = `APT::Periodic::Update-Package-Lists "7";
Unattended-Upgrade::Origins-Pattern { "origin=Elsewhere"; };
Unattended-Upgrade::Package-Blacklist { "old"; };
Unattended-Upgrade::Automatic-Reboot "false";
`

func machine(t *testing.T, change func(*enforce.Config)) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, change, osupdate.New())
	m.Write("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\n")
	m.Write("/etc/apt/apt.conf.d/50unattended-upgrades", shipped)
	return m
}

// withRoot runs a program with the scratch root's configuration of apt and this machine's
// packages.
func withRoot(t *testing.T, m *enforcetest.Machine, name string, args ...string) string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "apt.conf")
	text := "Dir::Etc::parts \"" + m.System.Abs("/etc/apt/apt.conf.d") + "\";\nDir::Log \"" + t.TempDir() + "\";\nUnattended-Upgrade::LogDir \"" + t.TempDir() + "\";\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+conf)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestUpdates(t *testing.T) {
	m := machine(t, nil)
	before := m.Tree()
	m.Want(m.Set(id, object{
		"enabled": true, "origins": "all", "schedule": "weekly", "remove_unused": true, "blocklist": []string{"linux-image-*", "libstdc++6"}, "reboot": "at", "reboot_time": "03:30",
	}), manifest.Applied, "")
	out := withRoot(t, m, "apt-config", "dump")
	for _, want := range []string{
		`APT::Periodic::Unattended-Upgrade "7"`, `Unattended-Upgrade::Package-Blacklist:: "linux-image-.*$"`, `Unattended-Upgrade::Package-Blacklist:: "libstdc[+][+]6$"`,
		`Unattended-Upgrade::Automatic-Reboot-Time "03:30"`, `Unattended-Upgrade::Automatic-Reboot "true"`, "codename=${distro_codename}-updates",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("apt lacks %s", want)
		}
	}
	if strings.Contains(out, "Elsewhere") || strings.Contains(out, `"old"`) {
		t.Error("lists of other files are still there")
	}
	// The one that reads it for real: it must see our block list and origins. A dry run would
	// fetch packages, so its own functions are asked.
	out = withRoot(t, m, "/usr/bin/python3", "-c", `
import importlib.machinery, importlib.util
loader = importlib.machinery.SourceFileLoader("uu", "/usr/bin/unattended-upgrade")
uu = importlib.util.module_from_spec(importlib.util.spec_from_loader("uu", loader))
loader.exec_module(uu)
uu.apt_pkg.init_config()
uu.DISTRO_CODENAME, uu.DISTRO_ID = "bookworm", "Debian"
print(uu.get_allowed_origins(), uu.apt_pkg.config.value_list("Unattended-Upgrade::Package-Blacklist"))
`)
	for _, want := range []string{"linux-image-.*$", "label=Debian-Security", "origin=Debian,codename=bookworm,label=Debian"} {
		if !strings.Contains(out, want) {
			t.Errorf("unattended-upgrade lacks %q:\n%.3000s", want, out)
		}
	}
	m.Want(m.Set(id, object{"enabled": false, "reboot": "never"}), manifest.Applied, "")
	m.Want(m.Set(id, object{"enabled": true, "download_only": true, "reboot": "when_idle"}), manifest.Applied, "")
	m.Write("/etc/apt/apt.conf.d/99zz-handrail-updates", "") // drift
	if st := m.Enforce()[id]; st.State != manifest.Applied || st.Mended != 1 {
		t.Errorf("after drift: %+v", st)
	}
	m.Unset(id)
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestWhatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		value object
		words string
	}{
		{object{"reboot": "at", "reboot_time": "25:00"}, "no time of day"},
		{object{"blocklist": []string{"a\";\nAPT::Update::Pre-Invoke {\"x"}}, "no name of a package"},
		{object{"origins": "some"}, "neither security nor all"},
		{object{"schedule": "hourly"}, "none of daily"},
	} {
		m := machine(t, nil)
		before := m.Tree()
		m.Want(m.Set(id, tt.value), manifest.Failed, tt.words)
		if after := m.Tree(); after != before {
			t.Errorf("left:\n%s", after)
		}
	}
	m := machine(t, nil)
	m.Write("/etc/apt/apt.conf.d/99zzz-mine", "APT::Periodic::Enable \"0\";\n")
	m.Want(m.Set(id, object{"enabled": true}), manifest.Failed, "a later file of /etc/apt says so")
	m = machine(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "apt-config") })
	m.Want(m.Set(id, object{"enabled": true}), manifest.Failed, "install the package unattended-upgrades")
	bare := enforcetest.New(t, nil, osupdate.New())
	bare.Want(bare.Set(id, object{"enabled": true}), manifest.NotApplicable, "apt")
}
