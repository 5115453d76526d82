package seat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	"handrail/agent/internal/account"
)

// logind's names on the system's bus; org.freedesktop.login1(5).
const (
	loginName    = "org.freedesktop.login1"
	loginPath    = dbus.ObjectPath("/org/freedesktop/login1")
	loginManager = loginName + ".Manager"
	loginSession = loginName + ".Session"
)

// A session is told of before its X server is there; until its display is found it is looked for
// this often, and for so long.
const (
	lookAgain = 500 * time.Millisecond
	lookFor   = time.Minute
)

// Logind is the seat as logind tells of it: the desktop that is in front, of whoever is signed in
// or is about to be. connect reaches the system's bus; nil means the usual way.
func Logind(connect func() (*dbus.Conn, error), log *slog.Logger) *Seat {
	if connect == nil {
		connect = func() (*dbus.Conn, error) { return dbus.ConnectSystemBus() }
	}
	l := &logind{connect: connect, log: log}
	return &Seat{changed: make(chan struct{}), why: whyNobody, run: l.run}
}

type logind struct {
	connect func() (*dbus.Conn, error)
	log     *slog.Logger
}

// run follows logind, and connects again when the bus went away.
func (l *logind) run(ctx context.Context, s *Seat) error {
	pause, last := time.Second, ""
	for {
		err := l.follow(ctx, s)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is the way to stop
		}
		s.set(nil, "no display was named, and who is signed in cannot be known: "+err.Error())
		if err.Error() != last {
			last = err.Error()
			l.log.WarnContext(ctx, "no word of logind", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Minute) // a system without it will hardly get it
	}
}

// errBusGone ends follow when the bus hangs up.
var errBusGone = errors.New("the system's bus hung up")

func (l *logind) follow(ctx context.Context, s *Seat) error {
	conn, err := l.connect()
	if err != nil {
		return fmt.Errorf("system bus: %w", err)
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(loginName), dbus.WithMatchInterface(loginManager)},
		{dbus.WithMatchSender(loginName), dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged")},
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("system bus: %w", err)
		}
	}
	var since time.Time // that a session without a display is looked at
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case sig := <-signals:
			if sig == nil {
				return errBusGone
			}
			since = time.Time{}
			again.Reset(50 * time.Millisecond) // signals come in crowds
			continue
		case <-again.C:
		}
		d, why, unready, err := look(ctx, conn)
		if err != nil {
			return err
		}
		s.set(d, why)
		if !unready {
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < lookFor {
			again.Reset(lookAgain)
		}
	}
}

// session is one of logind's.
type session struct {
	id, kind, class, display string
	uid                      int
	active, remote           bool
}

// look finds the desktop in front. unready says that there is one whose display is not known yet.
func look(ctx context.Context, conn *dbus.Conn) (d *Desktop, why string, unready bool, err error) {
	var list []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if err := conn.Object(loginName, loginPath).CallWithContext(ctx, loginManager+".ListSessions", 0).Store(&list); err != nil {
		return nil, "", false, fmt.Errorf("logind's sessions: %w", err)
	}
	why = whyNobody
	for _, one := range list {
		if one.Seat == "" {
			continue // over the network, or of a service
		}
		var props map[string]dbus.Variant
		err := conn.Object(loginName, one.Path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, loginSession).Store(&props)
		if err != nil {
			continue // it ended in this moment
		}
		s := session{id: one.ID, uid: int(one.UID)}
		for name, to := range map[string]any{"Type": &s.kind, "Class": &s.class, "Display": &s.display, "Active": &s.active, "Remote": &s.remote} {
			if v, ok := props[name]; ok {
				_ = v.Store(to) // what is of another type is not there
			}
		}
		switch {
		case !s.active || s.remote || s.class != "user" && s.class != "greeter":
		case s.kind == "wayland":
			why = fmt.Sprintf("the desktop of %s is a Wayland session, which cannot be shown; choose an Xorg session when signing in", nameOf(one.User))
		case s.kind == "x11":
			if env := desktopEnv(s); env != nil {
				return env, "", false, nil
			}
			unready, why = true, fmt.Sprintf("the desktop of %s is starting", nameOf(one.User))
		}
	}
	return nil, why, unready, nil
}

func nameOf(user string) string {
	if user == "" {
		return "this device"
	}
	return user
}

// wanted are the variables of a session's programs that others need to find it.
var wanted = []string{
	"DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_SESSION_ID", "XDG_CURRENT_DESKTOP", "LANG", "LANGUAGE", "XMODIFIERS",
}

// desktopEnv looks among the session's programs for its display; nil when it has none yet.
func desktopEnv(s session) *Desktop {
	who, err := account.ByUID(s.uid)
	if err != nil {
		return nil
	}
	found := map[string]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		vars := environOf(file, s.uid)
		if vars["DISPLAY"] == "" || s.display != "" && vars["DISPLAY"] != s.display {
			continue
		}
		if id := vars["XDG_SESSION_ID"]; id != s.id && (id != "" || s.display == "") {
			continue
		}
		if len(vars) > len(found) || found["XAUTHORITY"] == "" && vars["XAUTHORITY"] != "" {
			found = vars
		}
	}
	if found["DISPLAY"] == "" {
		if s.display == "" {
			return nil
		}
		found["DISPLAY"] = s.display
	}
	if found["XAUTHORITY"] == "" {
		if file := filepath.Join(who.Home, ".Xauthority"); isFile(file) {
			found["XAUTHORITY"] = file
		}
	}
	d := &Desktop{ID: s.id, UID: s.uid, User: who.Name, Display: found["DISPLAY"], Env: who.Env()}
	for _, name := range wanted {
		if v := found[name]; v != "" {
			d.Env = replace(d.Env, name+"="+v)
		}
	}
	return d
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// maxEnviron is the most that is read of a program's variables; they are its owner's to choose.
const maxEnviron = 128 << 10

// environOf reads the wanted variables of a process of an account; none of another's.
func environOf(file string, uid int) map[string]string {
	st, err := os.Stat(filepath.Dir(file))
	if err != nil {
		return nil
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || strconv.Itoa(int(sys.Uid)) != strconv.Itoa(uid) {
		return nil
	}
	b, err := os.ReadFile(file) //nolint:gosec // below /proc
	if err != nil || len(b) > maxEnviron {
		return nil
	}
	vars := map[string]string{}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		name, value, ok := strings.Cut(string(v), "=")
		if ok && slices.Contains(wanted, name) && len(value) < 4096 && !strings.ContainsAny(value, "\n\r") {
			vars[name] = value
		}
	}
	return vars
}
