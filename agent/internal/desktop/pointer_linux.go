package desktop

import (
	"fmt"
	"strings"
	"time"

	"handrail/agent/internal/x11"
)

// XInput 2 requests, devices and events.
const (
	xiSelectEvents = 46
	xiQueryVersion = 47
	xiQueryDevice  = 48
	xiAllDevices   = 0
	xiAllMasters   = 1
	xiHierarchy    = 11
	xiRawKeyPress  = 13 // to RawMotion 17; press and release of keys, then of buttons
	xiRawMotion    = 17
)

// prepareRaw looks whether the server tells raw events that name the device they come
// from (XInput 2.1).
func (w *watcher) prepareRaw() error {
	w.xinput = x11.Extension{}
	ext, err := w.c.Extension("XInputExtension")
	if err != nil {
		return err
	}
	b, err := w.c.Call(x11.NewRequest(ext.Major, xiQueryVersion).U16(2, 2).Bytes())
	if err != nil {
		return fmt.Errorf("speak XInput 2: %w", err)
	}
	if major, minor := x11.Get16(b, 8), x11.Get16(b, 10); major > 2 || major == 2 && minor >= 1 {
		w.xinput = ext
		return w.learnDevices()
	}
	return nil
}

// learnDevices notes which devices are XTEST's, whose events are injected.
func (w *watcher) learnDevices() error {
	b, err := w.c.Call(x11.NewRequest(w.xinput.Major, xiQueryDevice).U16(xiAllDevices, 0).Bytes())
	if err != nil {
		return fmt.Errorf("query input devices: %w", err)
	}
	w.injected = map[uint16]bool{}
	n, p := int(x11.Get16(b, 8)), b[32:]
	for range n {
		// id, use, attachment, number of classes, length of name, enabled; then name and classes.
		if len(p) < 12 || len(p) < 12+int(x11.Get16(p, 8)) {
			return fmt.Errorf("query input devices: short reply")
		}
		id, classes, nameLen := x11.Get16(p, 0), int(x11.Get16(p, 6)), int(x11.Get16(p, 8))
		if strings.Contains(string(p[12:12+nameLen]), "XTEST") {
			w.injected[id] = true
		}
		p = p[min(len(p), 12+(nameLen+3)&^3):]
		for range classes {
			if len(p) < 8 || len(p) < 4*int(x11.Get16(p, 2)) {
				return fmt.Errorf("query input devices: short reply")
			}
			p = p[4*int(x11.Get16(p, 2)):]
		}
	}
	return nil
}

func (w *watcher) selectRaw(on bool) error {
	if w.xinput.Major == 0 {
		return nil
	}
	devices, raw := uint32(0), uint32(0)
	if on {
		devices, raw = 1<<xiHierarchy, 0x1f<<xiRawKeyPress
	}
	if on {
		if err := w.learnDevices(); err != nil {
			return err
		}
	}
	r := x11.NewRequest(w.xinput.Major, xiSelectEvents).U32(w.c.Root).U16(2, 0)
	r.U16(xiAllDevices, 1).U32(devices).U16(xiAllMasters, 1).U32(raw)
	return w.c.Send(r.Bytes(), 1)
}

// raw handles an XInput 2 event: its type is at 8, for raw events the device it came from
// at 20.
func (w *watcher) raw(ev []byte) error {
	typ := x11.Get16(ev, 8)
	if typ == xiHierarchy {
		return w.learnDevices()
	}
	if typ < xiRawKeyPress || typ > xiRawMotion || !w.watched {
		return nil
	}
	now := time.Now()
	if !w.injected[x11.Get16(ev, 20)] && w.cfg.LocalInput != nil && now.Sub(w.lastLocal) >= localEvery {
		w.lastLocal = now
		w.cfg.LocalInput()
	}
	if typ != xiRawMotion || w.cfg.Pointer == nil || !w.due.pointer.IsZero() {
		return nil
	}
	if next := w.lastQuery.Add(pointerEvery); now.Before(next) {
		w.due.pointer = next
		return nil
	}
	return w.tellPointer()
}

// tellPointer asks for the pointer's position: raw events tell only how far a device has
// moved.
func (w *watcher) tellPointer() error {
	if w.cfg.Pointer == nil || !w.watched {
		return nil
	}
	w.lastQuery = time.Now()
	x, y, _, err := w.c.Pointer()
	if err != nil {
		return err
	}
	w.cfg.Pointer(x, y)
	return nil
}
