//go:build cgo && robotgo

package inject

import (
	"errors"

	"handrail/agent/internal/x11"

	"github.com/go-vgo/robotgo"
)

const (
	scrollUnit = 1
	horizontal = 1
)

// newFallback returns a back end that is robotgo's on servers which lack what ours needs.
func newFallback(x *xBackend) (backend, error) { return &fallback{backend: x, x: x}, nil }

// fallback is XTEST and XKB where the server has both, else robotgo.
type fallback struct {
	backend // the one in use
	x       *xBackend
}

// open tries ours first. robotgo talks through Xlib, which ends the process when the X
// server goes away.
func (f *fallback) open() error {
	f.backend = f.x
	err := f.x.open()
	if !errors.Is(err, x11.ErrMissing) {
		return err
	}
	f.x.log.Warn("injecting through robotgo", "reason", err)
	if f.x.display != "" {
		if err := robotgo.SetXDisplayName(f.x.display); err != nil {
			return err
		}
	}
	f.backend = &robotBackend{}
	return f.backend.open()
}
