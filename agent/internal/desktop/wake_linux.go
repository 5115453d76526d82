package desktop

import (
	"errors"
	"fmt"

	"handrail/agent/internal/x11"
)

// keepAwake wakes a blank screen and keeps the server from blanking it, until it is called
// with false or the connection ends.
func (w *watcher) keepAwake(on bool) error {
	saver, err := w.c.Extension("MIT-SCREEN-SAVER")
	if err == nil {
		suspend := uint32(0)
		if on {
			suspend = 1
		}
		// QueryVersion first: Suspend came with 1.1.
		if _, err := w.c.Call(x11.NewRequest(saver.Major, 0).U8(1, 1, 0, 0).Bytes()); err != nil {
			return fmt.Errorf("speak MIT-SCREEN-SAVER: %w", err)
		}
		if err := w.c.Send(x11.NewRequest(saver.Major, 5).U32(suspend).Bytes(), 1); err != nil {
			return err
		}
	} else if !errors.Is(err, x11.ErrMissing) {
		return err
	}
	if !on {
		return nil
	}
	if err := w.c.Send(x11.NewRequest(115, 0).Bytes(), 1); err != nil { // ForceScreenSaver, reset
		return err
	}
	return w.powerOn()
}

// powerOn ends DPMS standby.
func (w *watcher) powerOn() error {
	dpms, err := w.c.Extension("DPMS")
	if errors.Is(err, x11.ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	const info, forceLevel = 7, 6
	b, err := w.c.Call(x11.NewRequest(dpms.Major, info).Bytes())
	if err != nil {
		return fmt.Errorf("ask whether the monitors sleep: %w", err)
	}
	if level, enabled := x11.Get16(b, 8), b[10]; enabled == 0 || level == 0 {
		return nil
	}
	return w.c.Send(x11.NewRequest(dpms.Major, forceLevel).U16(0, 0).Bytes(), 1)
}
