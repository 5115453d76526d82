package seat_test

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"handrail/agent/internal/seat"
	"handrail/agent/internal/x11/x11test"
)

func TestMain(m *testing.M) { x11test.Main(m) }

// bus starts a message bus of the test's own and returns its address.
func bus(t *testing.T) string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "bus.conf")
	err := os.WriteFile(conf, []byte(`<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
		<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow own="*"/><allow receive_sender="*"/></policy></busconfig>`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (package dbus-daemon)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// login is logind as far as its bus shows it: its sessions and its signals.
type login struct {
	conn *dbus.Conn

	mu   sync.Mutex
	rows []row
}

type row struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// ListSessions is the manager's method.
func (l *login) ListSessions() ([]row, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.rows), nil
}

type props map[string]any

// GetAll is a session's.
func (p props) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	out := map[string]dbus.Variant{}
	for k, v := range p {
		out[k] = dbus.MakeVariant(v)
	}
	return out, nil
}

func startLogin(t *testing.T, address string) *login {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l := &login{conn: conn}
	if err := conn.Export(l, "/org/freedesktop/login1", "org.freedesktop.login1.Manager"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.login1", 0); err != nil {
		t.Fatal(err)
	}
	return l
}

// sessions makes these the sessions there are, and tells so.
func (l *login) sessions(t *testing.T, all map[string]props) {
	t.Helper()
	var rows []row
	for id, p := range all {
		path := dbus.ObjectPath("/org/freedesktop/login1/session/" + id)
		if err := l.conn.Export(p, path, "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{id, uint32(os.Geteuid()), "ada", "seat0", path}) //nolint:gosec // a uid
	}
	l.mu.Lock()
	l.rows = rows
	l.mu.Unlock()
	if err := l.conn.Emit("/org/freedesktop/login1", "org.freedesktop.login1.Manager.SessionNew", "x", dbus.ObjectPath("/x")); err != nil {
		t.Fatal(err)
	}
}

func x11Session(display string, active bool) props {
	return props{"Type": "x11", "Class": "user", "Display": display, "Active": active, "Remote": false}
}

// program starts one that has variables of a session.
func program(t *testing.T, env ...string) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// TestSeatFollows signs people in and out, switches between them, and takes the bus away.
func TestSeatFollows(t *testing.T) {
	address := bus(t)
	l := startLogin(t, address)
	s := seat.Logind(func() (*dbus.Conn, error) { return dbus.Connect(address) }, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	until := func(what string, ok func(*seat.Desktop) bool) {
		t.Helper()
		limit := time.NewTimer(time.Minute)
		defer limit.Stop()
		for {
			d, changed := s.Now()
			if ok(d) {
				return
			}
			select {
			case <-changed:
			case <-limit.C:
				t.Fatalf("waited in vain for %s; it is %+v, %s", what, d, s.Why())
			}
		}
	}
	program(t, "DISPLAY=:41", "XAUTHORITY=/run/one", "XDG_SESSION_ID=c1", "LD_PRELOAD=evil.so")
	l.sessions(t, map[string]props{"c1": x11Session(":41", true), "c2": x11Session(":42", false)})
	until("the first desktop", func(d *seat.Desktop) bool { return d != nil && d.ID == "c1" })
	d, _ := s.Now()
	if d.Display != ":41" || d.UID != os.Geteuid() || !slices.Contains(d.Env, "XAUTHORITY=/run/one") || !slices.Contains(d.Env, "DISPLAY=:41") {
		t.Errorf("the desktop is %+v", d)
	}
	if slices.ContainsFunc(d.Env, func(v string) bool { return strings.HasPrefix(v, "LD_PRELOAD=") }) {
		t.Error("a variable was taken that says what to run")
	}

	l.sessions(t, map[string]props{"c1": x11Session(":41", false), "c2": x11Session(":42", true)})
	until("the other desktop", func(d *seat.Desktop) bool { return d != nil && d.ID == "c2" && d.Display == ":42" })

	l.sessions(t, map[string]props{"c3": {"Type": "wayland", "Class": "user", "Display": "", "Active": true, "Remote": false}})
	until("no desktop that can be shown", func(d *seat.Desktop) bool { return d == nil && strings.Contains(s.Why(), "Wayland") })

	// Signed in, its X server not there yet: told of before it has a display.
	l.sessions(t, map[string]props{"c4": x11Session("", true)})
	until("a desktop that starts", func(d *seat.Desktop) bool { return d == nil && strings.Contains(s.Why(), "starting") })
	program(t, "DISPLAY=:44", "XDG_SESSION_ID=c4")
	until("its display", func(d *seat.Desktop) bool { return d != nil && d.Display == ":44" })

	l.sessions(t, nil)
	until("nobody", func(d *seat.Desktop) bool { return d == nil && strings.Contains(s.Why(), "nobody") })
	l.conn.Close()
	l = startLogin(t, address)
	l.sessions(t, map[string]props{"c5": x11Session(":45", true)})
	until("a desktop after logind came back", func(d *seat.Desktop) bool { return d != nil && d.ID == "c5" })
}

// TestGivenDisplay is what an agent without logind has.
func TestGivenDisplay(t *testing.T) {
	d, _ := seat.Fixed(":7", -1).Now()
	if d == nil || d.UID != os.Geteuid() || !slices.Contains(d.Env, "DISPLAY=:7") {
		t.Errorf("the desktop is %+v", d)
	}
	s := seat.Fixed("", -1)
	if d, _ := s.Now(); d != nil || s.Why() == "" {
		t.Errorf("without a display it is %+v, %q", d, s.Why())
	}
}
