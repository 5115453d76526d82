package desktop_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/desktop"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/mdm/manifest"
)

type object = map[string]any

func machine(t *testing.T, programs ...string) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, nil, desktop.New())
	m.Write("/etc/dconf/db/.keep", "")
	for _, p := range programs {
		m.WriteMode(p, "#!/bin/sh\n", 0o755)
	}
	return m
}

// session runs commands in a session of a person's own on the device's dconf.
func session(t *testing.T, m *enforcetest.Machine, profile, script string) string {
	t.Helper()
	home := t.TempDir()
	text := strings.ReplaceAll(m.Read("/etc/dconf/profile/"+profile), "system-db:", "file-db:"+m.System.Abs("/etc/dconf/db")+"/")
	if err := os.WriteFile(filepath.Join(home, "profile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-run-session", "--", "sh", "-c", script)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "DCONF_PROFILE=" + filepath.Join(home, "profile"), "XDG_RUNTIME_DIR=" + home, "GSETTINGS_BACKEND=dconf", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v (packages dbus-daemon, dconf-cli, dconf-service, dconf-gsettings-backend, libglib2.0-bin, gsettings-desktop-schemas)\n%s", err, out)
	}
	return string(out)
}

func TestScreenLockCannotBeChanged(t *testing.T) {
	m := machine(t, "/usr/bin/gnome-shell")
	before := m.Tree()
	st := m.Set("screen.lock", object{"enabled": true, "idle_seconds": 240, "lock_delay_seconds": 5, "lock_on_suspend": true})
	m.Want(st, manifest.Applied, "")
	if !strings.Contains(string(st.Observed), `"org/gnome/desktop/session/idle-delay":{"value":"uint32 240","locked":true}`) {
		t.Errorf("observed %s", st.Observed)
	}
	out := session(t, m, "user", `
gsettings get org.gnome.desktop.session idle-delay
gsettings writable org.gnome.desktop.session idle-delay
gsettings set org.gnome.desktop.session idle-delay 9 && echo CHANGED
dconf write /org/gnome/desktop/screensaver/lock-enabled false && echo CHANGED
gsettings get org.gnome.desktop.screensaver lock-enabled
gsettings get org.gnome.desktop.screensaver lock-delay
dconf write /org/gnome/desktop/interface/clock-show-date false && dconf read /org/gnome/desktop/interface/clock-show-date
`)
	for _, w := range []string{"uint32 240\nfalse\n", "The key is not writable", "non-writable keys", "\ntrue\nuint32 5\n", "\nfalse\n"} {
		if !strings.Contains(out, w) {
			t.Errorf("the session lacks %q:\n%s", w, out)
		}
	}
	if strings.Contains(out, "CHANGED") {
		t.Errorf("a locked key was changed:\n%s", out)
	}
	m.Unset("screen.lock")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestProfileOfOthersStays(t *testing.T) {
	m := machine(t, "/usr/bin/gnome-shell", "/usr/sbin/gdm3")
	m.Write("/etc/dconf/profile/user", "user-db:user\nsystem-db:site\n")
	m.Write("/etc/dconf/db/site.d/10", "[org/gnome/desktop/session]\nidle-delay=uint32 900\n\n[org/gnome/desktop/lockdown]\ndisable-printing=false\n")
	m.Write("/etc/dconf/db/site.d/locks/10", "/org/gnome/desktop/session/idle-delay\n/org/gnome/desktop/lockdown/disable-printing\n")
	m.Write("/usr/share/dconf/profile/gdm", "user-db:user\nfile-db:/usr/share/gdm/defaults\n")
	if out, err := exec.Command("dconf", "update", m.System.Abs("/etc/dconf/db")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s (package dconf-cli)", err, out)
	}
	before := m.Tree()
	m.Want(m.Set("screen.lock", object{"idle_seconds": 60}), manifest.Applied, "") // ours wins over another's lock
	m.Want(m.Set("desktop.restrictions", object{"disable_printing": true, "disable_automount": true, "disable_autorun": false, "hide_user_list": true, "banner_text": "It's ours.\nSay \"hello\" \\ goodbye \u2028x"}), manifest.Applied, "")
	out := session(t, m, "user", "gsettings get org.gnome.desktop.session idle-delay; gsettings get org.gnome.desktop.lockdown disable-printing; gsettings get org.gnome.desktop.media-handling automount; gsettings writable org.gnome.desktop.media-handling autorun-never")
	if !strings.HasSuffix(out, "uint32 60\ntrue\nfalse\ntrue\n") {
		t.Errorf("the session sees\n%s", out)
	}
	out = session(t, m, "gdm", "dconf read /org/gnome/login-screen/banner-message-text; dconf read /org/gnome/login-screen/disable-user-list; dconf write /org/gnome/login-screen/disable-user-list false || echo refused")
	if !strings.Contains(out, `It\'s ours.\nSay "hello" \\ goodbye`) && !strings.Contains(out, `It's ours.\nSay \"hello\" \\ goodbye`) || !strings.Contains(out, "true\n") || !strings.Contains(out, "refused") {
		t.Errorf("the sign-in screen sees\n%s", out)
	}
	if got := m.Read("/etc/dconf/profile/user"); got != "user-db:user\nsystem-db:site\nsystem-db:handrail\n" {
		t.Errorf("profile %q", got)
	}
	m.Restart()
	m.Unset("screen.lock")
	if !strings.Contains(m.Read("/etc/dconf/profile/user"), "handrail") {
		t.Error("the database left the profile while another setting is in it")
	}
	m.Unset("desktop.restrictions")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestDriftOfTheProfileIsMended(t *testing.T) {
	m := machine(t, "/usr/bin/gnome-shell")
	m.Set("screen.lock", object{"enabled": true})
	m.Write("/etc/dconf/profile/user", "user-db:user\n")
	st := m.Enforce()["screen.lock"]
	m.Want(st, manifest.Applied, "")
	if st.Mended != 1 || !strings.Contains(m.Read("/etc/dconf/profile/user"), "system-db:handrail") {
		t.Errorf("mended %d times: %q", st.Mended, m.Read("/etc/dconf/profile/user"))
	}
}

func TestOtherDesktops(t *testing.T) {
	m := machine(t, "/usr/bin/mate-session", "/usr/bin/cinnamon")
	m.Want(m.Set("screen.lock", object{"enabled": true, "idle_seconds": 90, "lock_delay_seconds": 0, "lock_on_suspend": true}), manifest.Applied, "")
	file := m.Read("/etc/dconf/db/handrail.d/screen-lock")
	for _, w := range []string{"[org/cinnamon/desktop/session]\nidle-delay=uint32 90\n", "[org/mate/desktop/session]\nidle-delay=1\n", "[org/mate/screensaver]\nlock-delay=0\n"} {
		if !strings.Contains(file, w) {
			t.Errorf("%q is not in\n%s", w, file)
		}
	}
	st := m.Set("desktop.restrictions", object{"disable_printing": true, "hide_user_list": true})
	m.Want(st, manifest.Applied, "")
	if !strings.Contains(string(st.Observed), `"not_on_this_device":["hide_user_list"]`) {
		t.Errorf("observed %s", st.Observed)
	}
}

func TestWhereThereIsNothingToLock(t *testing.T) {
	m := machine(t)
	m.Want(m.Set("screen.lock", object{"enabled": true}), manifest.NotApplicable, "no desktop")
	m.Want(m.Set("desktop.restrictions", object{"banner_text": "x"}), manifest.NotApplicable, "no desktop")
	m = enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, desktop.New())
	m.WriteMode("/usr/bin/gnome-shell", "", 0o755)
	m.Want(m.Set("screen.lock", object{"enabled": true}), manifest.Failed, "install the package dconf-cli")
	m.Want(m.Set("screen.lock", object{"idle_seconds": -1}), manifest.Failed, "idle_seconds")
	if strings.Contains(m.Tree(), "handrail") {
		t.Errorf("applied blind:\n%s", m.Tree())
	}
}

// TestRunningAgentNoticesTheProfile lets the engine run, as an agent at rest does, and takes
// the database out of the profile, which no plan lists.
func TestRunningAgentNoticesTheProfile(t *testing.T) {
	m := machine(t, "/usr/bin/gnome-shell")
	m.Want(m.Set("screen.lock", object{"enabled": true}), manifest.Applied, "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Engine.Run(ctx) }()
	late := time.After(30 * time.Second)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for mended := false; !mended; {
		m.Write("/etc/dconf/profile/user", "user-db:user\n")
		select {
		case <-tick.C:
			mended = strings.Contains(m.Read("/etc/dconf/profile/user"), "system-db:handrail")
		case err := <-ended:
			t.Fatal(err)
		case <-late:
			t.Fatal("nobody noticed")
		}
	}
	cancel()
	<-ended
}
