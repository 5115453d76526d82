package desktop

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"handrail/agent/internal/x11"
	"handrail/signaling"
)

// RandR 1.5 requests and event masks.
const (
	randrQueryVersion = 0
	randrSelectInput  = 4
	randrGetMonitors  = 42
	randrAllChanges   = 1 | 2 | 4 | 64 // screen, CRTCs, outputs, resources
)

// maxMonitors bounds what we tell; the wire holds no more.
const maxMonitors = 64

// prepareMonitors asks for changes of the screen. A server without RandR 1.5 has one
// monitor, the screen.
func (w *watcher) prepareMonitors() error {
	if err := w.c.SelectRoot(x11.StructureNotify); err != nil {
		return err
	}
	ext, err := w.c.Extension("RANDR")
	if errors.Is(err, x11.ErrMissing) {
		w.randr = x11.Extension{}
		return nil
	}
	if err != nil {
		return err
	}
	b, err := w.c.Call(x11.NewRequest(ext.Major, randrQueryVersion).U32(1, 5).Bytes())
	if err != nil {
		return fmt.Errorf("speak RandR: %w", err)
	}
	w.randr = x11.Extension{}
	if major, minor := x11.Get32(b, 8), x11.Get32(b, 12); major == 1 && minor >= 5 {
		w.randr = ext
		return w.c.Send(x11.NewRequest(ext.Major, randrSelectInput).U32(w.c.Root).U16(randrAllChanges, 0).Bytes(), 1)
	}
	return nil
}

// screenChanged looks at the monitors as soon as the change has settled.
func (w *watcher) screenChanged() {
	if w.due.monitors.IsZero() {
		w.due.monitors = time.Now().Add(monitorsRest)
	}
}

func (w *watcher) tellMonitors() error {
	list, err := w.monitors()
	if err != nil {
		return err
	}
	if w.cfg.Monitors != nil && !slices.Equal(list, w.last) {
		w.last = list
		w.cfg.Monitors(slices.Clone(list))
	}
	return nil
}

// monitors asks where the monitors are, primary first, then from left to right.
func (w *watcher) monitors() ([]signaling.Monitor, error) {
	var list []signaling.Monitor
	if w.randr.Major != 0 {
		b, err := w.c.Call(x11.NewRequest(w.randr.Major, randrGetMonitors).U32(w.c.Root).U8(1).Bytes())
		if err != nil {
			return nil, fmt.Errorf("get monitors: %w", err)
		}
		if list, err = w.parseMonitors(b); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 { // no RandR, or every output is off
		width, height, err := w.c.RootSize()
		if err != nil {
			return nil, err
		}
		list = []signaling.Monitor{{Name: "screen", Width: width, Height: height, Primary: true}}
	}
	for i := range list {
		list[i].ID = w.monitorID(list[i].Name)
	}
	slices.SortFunc(list, func(a, b signaling.Monitor) int {
		return cmp.Or(cmp.Compare(b2i(b.Primary), b2i(a.Primary)), cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parseMonitors reads the reply of GetMonitors: each 24 bytes and 4 for every output.
func (w *watcher) parseMonitors(b []byte) ([]signaling.Monitor, error) {
	n := int(x11.Get32(b, 12))
	p := b[32:]
	var list []signaling.Monitor
	for range min(n, maxMonitors) {
		if len(p) < 24 || len(p) < 24+4*int(x11.Get16(p, 6)) {
			return nil, errors.New("get monitors: short reply")
		}
		m := signaling.Monitor{
			X: int32(int16(x11.Get16(p, 8))), Y: int32(int16(x11.Get16(p, 10))), //nolint:gosec // signed on the wire
			Width: x11.Get16(p, 12), Height: x11.Get16(p, 14), Primary: p[4] != 0,
		}
		name, err := w.c.AtomName(x11.Get32(p, 0))
		if err != nil {
			return nil, err
		}
		m.Name = name
		if m.Width != 0 && m.Height != 0 {
			list = append(list, m)
		}
		p = p[24+4*int(x11.Get16(p, 6)):]
	}
	return list, nil
}

// monitorID returns the id of an output: the one it had when it was last seen, else a
// fresh one. Past 255 outputs the ids begin anew.
func (w *watcher) monitorID(name string) uint8 {
	if id, ok := w.ids[name]; ok {
		return id
	}
	if len(w.ids) == 255 {
		clear(w.ids)
	}
	id := uint8(len(w.ids) + 1) //nolint:gosec // below 256
	w.ids[name] = id
	return id
}
