package service_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/service"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(service.Key + "/cups")

// systemd starts a bus of its own and python3-dbusmock's systemd on it, with what that
// lacks: unit files. It returns the bus's address and a connection.
func systemd(t *testing.T) (string, *dbus.Conn) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, []byte(`<busconfig><type>session</type><listen>unix:dir=`+t.TempDir()+`</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.CommandContext(t.Context(), "dbus-daemon", "--config-file="+config, "--nofork", "--print-address")
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	mock := exec.CommandContext(t.Context(), "/usr/bin/python3", "-m", "dbusmock", "--session", "--template", "systemd") // of the package python3-dbusmock
	mock.Env = append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS="+address)
	mock.Stdout, mock.Stderr = t.Output(), t.Output()
	if err := mock.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mock.Process.Kill(); _ = mock.Wait() })
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		var has bool
		if conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.systemd1").Store(&has) == nil && has {
			break
		}
		if i == 500 {
			t.Fatal("python3-dbusmock does not come up")
		}
		<-tick.C
	}
	for _, m := range []struct{ name, in, out, code string }{
		{"Subscribe", "", "", ""},
		{"Reload", "", "", ""},
		{"LoadUnit", "s", "o", "ret = self.units.get(str(args[0]), dbus.ObjectPath('/org/freedesktop/systemd1/unit/none'))"},
		{"GetUnitFileState", "s", "s", "self.files = getattr(self, 'files', {})\nif str(args[0]) not in self.units: raise dbus.exceptions.DBusException('no', name='org.freedesktop.DBus.Error.FileNotFound')\nret = self.files.get(str(args[0]), 'disabled')"},
		{"EnableUnitFiles", "asbb", "ba(sss)", "self.files[str(args[0][0])] = 'enabled'\nret = (True, [])"},
		{"DisableUnitFiles", "asb", "a(sss)", "self.files[str(args[0][0])] = 'disabled'\nret = []"},
		{"MaskUnitFiles", "asbb", "a(sss)", "self.files[str(args[0][0])] = 'masked'\nret = []"},
		{"UnmaskUnitFiles", "asb", "a(sss)", "self.files[str(args[0][0])] = 'disabled'\nret = []"},
	} {
		call(t, conn, "org.freedesktop.DBus.Mock.AddMethod", "org.freedesktop.systemd1.Manager", m.name, m.in, m.out, m.code)
	}
	call(t, conn, "org.freedesktop.DBus.Mock.AddMockUnit", "cups.service")
	call(t, conn, "org.freedesktop.DBus.Mock.AddObject", "/org/freedesktop/systemd1/unit/none", "org.freedesktop.systemd1.Unit", map[string]dbus.Variant{"ActiveState": dbus.MakeVariant("inactive")}, []struct{ A, B, C, D string }{})
	return address, conn
}

func call(t *testing.T, conn *dbus.Conn, method string, args ...any) *dbus.Call {
	t.Helper()
	c := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").Call(method, 0, args...)
	if c.Err != nil {
		t.Fatalf("%s%v: %v", method, args, c.Err)
	}
	return c
}

func states(t *testing.T, conn *dbus.Conn) string {
	t.Helper()
	var file string
	if err := call(t, conn, "org.freedesktop.systemd1.Manager.GetUnitFileState", "cups.service").Store(&file); err != nil {
		t.Fatal(err)
	}
	v, err := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/cups_service").GetProperty("org.freedesktop.systemd1.Unit.ActiveState")
	if err != nil {
		t.Fatal(err)
	}
	return file + " " + v.Value().(string)
}

func TestOverTheBus(t *testing.T) {
	address, conn := systemd(t)
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Bus = address }, service.New())
	before := states(t, conn)
	for _, tt := range []struct {
		value object
		want  string
	}{
		{object{"name": "cups.service", "enabled": true, "running": true}, "enabled active"},
		{object{"name": "cups.service", "running": false}, "enabled inactive"},
		{object{"name": "cups.service", "masked": true}, "masked inactive"},
		{object{"name": "cups.service", "enabled": true, "running": true, "masked": false}, "enabled active"},
	} {
		m.Want(m.Set(id, tt.value), manifest.Applied, "")
		if now := states(t, conn); now != tt.want {
			t.Errorf("%v: %s, want %s", tt.value, now, tt.want)
		}
	}
	call(t, conn, "org.freedesktop.systemd1.Manager.StopUnit", "cups.service", "replace") // drift
	if st := m.Enforce()[id]; st.State != manifest.Applied || st.Mended != 1 || states(t, conn) != "enabled active" {
		t.Errorf("after drift: %+v, %s", st, states(t, conn))
	}
	m.Unset(id)
	if now := states(t, conn); now != before {
		t.Errorf("after removal: %s, want %s", now, before)
	}
	m.Want(m.Set(id, object{"name": "no-such.service", "running": true}), manifest.NotApplicable, "no unit no-such.service")
	m.Want(m.Set(id, object{"name": "handrail-agent.service", "running": false}), manifest.Conflict, "agent itself")
	m.Want(m.Set(id, object{"name": "x; rm -rf", "running": false}), manifest.Failed, "no name of a unit")
	m.Want(m.Set(id, object{"name": "cups.service", "running": true, "masked": true}), manifest.Failed, "neither runs")
}

func TestChangesAreNoticed(t *testing.T) {
	address, conn := systemd(t)
	sys := &enforce.System{Root: t.TempDir(), Bus: address}
	e := service.New()
	if _, err := e.Plan(t.Context(), sys, manifest.Setting{ID: id, Value: []byte(`{"name":"cups.service","running":true}`)}); err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(ctx, sys, func() { seen <- struct{}{} }) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		call(t, conn, "org.freedesktop.systemd1.Manager.StartUnit", "cups.service", "replace")
		call(t, conn, "org.freedesktop.systemd1.Manager.StopUnit", "cups.service", "replace")
		select {
		case <-seen:
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Watch = %v", err)
			}
			return
		case <-tick.C:
		}
	}
	t.Error("nothing was noticed")
}

// TestOnATree has systemctl itself judge a tree that nobody runs.
func TestOnATree(t *testing.T) {
	m := enforcetest.New(t, nil, service.New())
	m.Write("/usr/lib/systemd/system/cups.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
	m.Write("/usr/lib/systemd/system/quiet.service", "[Service]\nExecStart=/bin/true\n")
	m.Write("/etc/systemd/system/.keep", "")
	enabled := func() string {
		out, _ := exec.CommandContext(t.Context(), "systemctl", "--root="+m.System.Root, "is-enabled", "cups.service").Output()
		return strings.TrimSpace(string(out))
	}
	for _, tt := range []struct {
		value object
		want  string
	}{
		{object{"name": "cups.service", "enabled": true, "running": true}, "enabled"},
		{object{"name": "cups.service", "masked": true}, "masked"},
		{object{"name": "cups.service", "enabled": false}, "disabled"},
	} {
		m.Want(m.Set(id, tt.value), manifest.Applied, "")
		if now := enabled(); now != tt.want {
			t.Errorf("%v: %s, want %s", tt.value, now, tt.want)
		}
	}
	m.Want(m.Set(id, object{"name": "cups.service", "enabled": true}), manifest.Applied, "")
	m.Unset(id)
	if now := enabled(); now != "disabled" {
		t.Errorf("after removal: %s", now)
	}
	m.Want(m.Set(id, object{"name": "quiet.service", "enabled": true}), manifest.Conflict, "cannot be enabled")
	m.Want(m.Set(id, object{"name": "none.service", "enabled": true}), manifest.NotApplicable, "no unit")
}
