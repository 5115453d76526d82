package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"

	"handrail/agent/internal/enforce"
)

// Names of systemd on the bus (org.freedesktop.systemd1(5)).
const (
	busName      = "org.freedesktop.systemd1"
	managerPath  = dbus.ObjectPath("/org/freedesktop/systemd1")
	managerIface = busName + ".Manager."
	unitIface    = busName + ".Unit."
	propsIface   = "org.freedesktop.DBus.Properties"
)

// jobWithin is how long a service may take to start or stop.
const jobWithin = 45 * time.Second

// bus is systemd over D-Bus.
type bus struct {
	conn *dbus.Conn
	obj  dbus.BusObject
}

// dial connects to the bus at address; "" is the system's.
func dial(ctx context.Context, address string) (*bus, error) {
	var conn *dbus.Conn
	var err error
	if address == "" {
		conn, err = dbus.ConnectSystemBus(dbus.WithContext(ctx))
	} else {
		conn, err = dbus.Connect(address, dbus.WithContext(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("systemd cannot be spoken to: %w", err)
	}
	return &bus{conn, conn.Object(busName, managerPath)}, nil
}

func (b *bus) close() { b.conn.Close() }

func (b *bus) call(ctx context.Context, method string, args ...any) *dbus.Call {
	return b.obj.CallWithContext(ctx, managerIface+method, dbus.FlagNoAutoStart, args...)
}

// isNoUnit reports whether systemd says that there is no such unit, or no file of one.
func isNoUnit(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && (e.Name == busName+".NoSuchUnit" || e.Name == "org.freedesktop.DBus.Error.FileNotFound")
}

func (b *bus) state(ctx context.Context, name string) (state, error) {
	var s state
	if err := b.call(ctx, "GetUnitFileState", name).Store(&s.File); err != nil && !isNoUnit(err) {
		return s, fmt.Errorf("unit file of %s: %w", name, err)
	}
	var path dbus.ObjectPath
	if err := b.call(ctx, "LoadUnit", name).Store(&path); err != nil {
		return s, fmt.Errorf("unit %s: %w", name, err)
	}
	v, err := b.conn.Object(busName, path).GetProperty(unitIface + "ActiveState")
	if err != nil {
		return s, fmt.Errorf("state of %s: %w", name, err)
	}
	s.Active, _ = v.Value().(string)
	return s, nil
}

func (b *bus) enable(ctx context.Context, name string) error {
	if err := b.call(ctx, "EnableUnitFiles", []string{name}, false, true).Err; err != nil {
		return fmt.Errorf("enable %s: %w", name, err)
	}
	return b.reload(ctx)
}

func (b *bus) disable(ctx context.Context, name string) error {
	if err := b.call(ctx, "DisableUnitFiles", []string{name}, false).Err; err != nil {
		return fmt.Errorf("disable %s: %w", name, err)
	}
	return b.reload(ctx)
}

func (b *bus) mask(ctx context.Context, name string) error {
	if err := b.call(ctx, "MaskUnitFiles", []string{name}, false, true).Err; err != nil {
		return fmt.Errorf("mask %s: %w", name, err)
	}
	return b.reload(ctx)
}

func (b *bus) unmask(ctx context.Context, name string) error {
	if err := b.call(ctx, "UnmaskUnitFiles", []string{name}, false).Err; err != nil {
		return fmt.Errorf("unmask %s: %w", name, err)
	}
	return b.reload(ctx)
}

func (b *bus) reload(ctx context.Context) error { return b.call(ctx, "Reload").Err }

func (b *bus) start(ctx context.Context, name string) error { return b.job(ctx, "StartUnit", name) }

func (b *bus) stop(ctx context.Context, name string) error { return b.job(ctx, "StopUnit", name) }

// job asks for a job and waits for its end, of which systemd tells.
func (b *bus) job(ctx context.Context, method, name string) error {
	ctx, cancel := context.WithTimeout(ctx, jobWithin)
	defer cancel()
	ended := make(chan *dbus.Signal, 64)
	b.conn.Signal(ended)
	defer b.conn.RemoveSignal(ended)
	match := []dbus.MatchOption{dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName + ".Manager"), dbus.WithMatchMember("JobRemoved")}
	if err := b.conn.AddMatchSignalContext(ctx, match...); err != nil {
		return err
	}
	if err := b.call(ctx, "Subscribe").Err; err != nil {
		return err
	}
	var job dbus.ObjectPath
	if err := b.call(ctx, method, name, "replace").Store(&job); err != nil {
		return fmt.Errorf("%s %s: %w", method, name, err)
	}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: not done within %s", method, name, jobWithin)
		case s, ok := <-ended:
			if !ok {
				return fmt.Errorf("%s %s: systemd went away", method, name)
			}
			var id uint32
			var path dbus.ObjectPath
			var unit, result string
			if s.Name != managerIface+"JobRemoved" || dbus.Store(s.Body, &id, &path, &unit, &result) != nil || path != job {
				continue
			}
			if result != "done" && result != "skipped" {
				return fmt.Errorf("%s %s: %s; see journalctl -u %s", method, name, result, name)
			}
			return nil
		}
	}
}

// Watch implements enforce.Watcher: systemd says when one of the units changes.
func (e *Enforcer) Watch(ctx context.Context, sys *enforce.System, changed func()) error {
	if sys.Bus == "" && !sys.Live() {
		return nil
	}
	b, err := dial(ctx, sys.Bus)
	if err != nil {
		return err
	}
	defer b.close()
	signals := make(chan *dbus.Signal, 64)
	b.conn.Signal(signals)
	if err := b.conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName+".Manager"), dbus.WithMatchMember("UnitFilesChanged")); err != nil {
		return err
	}
	if err := b.call(ctx, "Subscribe").Err; err != nil {
		return err
	}
	watched := map[string]bool{}
	for {
		e.mu.Lock()
		var fresh []string
		for name := range e.names {
			if !watched[name] {
				watched[name] = true
				fresh = append(fresh, name)
			}
		}
		e.mu.Unlock()
		for _, name := range fresh {
			var path dbus.ObjectPath
			if err := b.call(ctx, "LoadUnit", name).Store(&path); err != nil {
				continue // the clock is left
			}
			if err := b.conn.AddMatchSignalContext(ctx, dbus.WithMatchObjectPath(path), dbus.WithMatchInterface(propsIface), dbus.WithMatchMember("PropertiesChanged")); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.more:
		case s, ok := <-signals:
			if !ok {
				return errors.New("the bus went away")
			}
			if s.Name == managerIface+"UnitFilesChanged" || s.Name == propsIface+".PropertiesChanged" {
				changed()
			}
		}
	}
}
