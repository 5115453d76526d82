// Package screen reads the pixels of this machine's display: which monitors there
// are, what changed since the last look, and the changed pixels themselves. On X11 it
// speaks the protocol itself over one kept connection (XDamage, MIT-SHM, RandR), so that
// only what was drawn is read and a still screen costs nothing; elsewhere it falls back
// to github.com/kbinani/screenshot and compares.
//
// It knows nothing of codecs or viewers, never draws the cursor into the picture, and is
// called by package picture only. A Source belongs to one goroutine at a time, except
// Changed, which may be selected on from anywhere.
package screen

import (
	"errors"
	"fmt"
	"image"
	"log/slog"
	"time"
)

var (
	// ErrNoDisplay is returned by Open when there is no display to look at: nothing
	// listens, or access is refused. Trying again later is right.
	ErrNoDisplay = errors.New("no display")
	// ErrLost is returned by Take and Grab when the display went away. The Source is of
	// no more use: Close it and Open another.
	ErrLost = errors.New("display lost")
	// ErrLayoutChanged is returned by Take and Grab when the desktop or its monitors
	// changed. Layout already tells the new ones; everything counts as damaged.
	ErrLayoutChanged = errors.New("display layout changed")
)

// Config says which display to read. The zero value is $DISPLAY, or the only display of
// an operating system that has one.
type Config struct {
	Display  string        // X11 only, such as ":0"; "" means $DISPLAY
	Portable bool          // use the portable capture even where a faster one works
	Poll     time.Duration // how often the portable capture looks; 0 means 100 ms
}

// Monitor is one output. Rect is in the desktop's pixels; its origin may be negative
// on systems that count from the primary monitor.
type Monitor struct {
	Name    string
	Rect    image.Rectangle
	Primary bool
}

// Layout is the desktop and the monitors on it, in the display's own order. There may be
// no monitor at all; the desktop is never empty.
type Layout struct {
	Desktop  image.Rectangle
	Monitors []Monitor
}

// Equal reports whether nothing differs between two layouts.
func (l Layout) Equal(o Layout) bool {
	if l.Desktop != o.Desktop || len(l.Monitors) != len(o.Monitors) {
		return false
	}
	for i, m := range l.Monitors {
		if m != o.Monitors[i] {
			return false
		}
	}
	return true
}

// Pixels are rows of 4 bytes a pixel in the order blue, green, red, unused: libyuv's
// ARGB. They are only valid until the function they were handed to returns.
type Pixels struct {
	Pix    []byte
	Stride int // bytes from one row to the next
}

// Source is a display being read.
type Source interface {
	// Layout returns the desktop and its monitors as last seen by Take.
	Layout() Layout

	// Changed has a value whenever something may have been drawn, the layout may have
	// changed, or the display went away, since the last Take. It stays silent on a still
	// screen: nothing wakes up.
	Changed() <-chan struct{}

	// Take appends to damage the rectangles drawn on since the last Take, in desktop
	// coordinates and inside the desktop, and arms Changed again. What is drawn after
	// Take began is in the next Take. The first Take reports the whole desktop.
	// It returns ErrLayoutChanged or ErrLost.
	Take(damage []image.Rectangle) ([]image.Rectangle, error)

	// Grab reads the rectangles, which must lie in the desktop, and hands each to into,
	// in order. It returns ErrLayoutChanged when the desktop shrank meanwhile, or
	// ErrLost.
	Grab(rects []image.Rectangle, into func(image.Rectangle, Pixels)) error

	// Close lets go of the display. Take and Grab return ErrLost afterwards.
	Close() error
}

// Open opens the display by the fastest way that works here. It returns an error that
// is ErrNoDisplay when there is none.
func Open(cfg Config, log *slog.Logger) (Source, error) {
	if cfg.Poll == 0 {
		cfg.Poll = 100 * time.Millisecond
	}
	if !cfg.Portable {
		src, err := openFast(cfg, log)
		if err == nil || errors.Is(err, ErrNoDisplay) {
			return src, err
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, fmt.Errorf("open display: %w", err)
		}
		log.Info("fast capture not possible here, using the portable one", "reason", err.Error())
	}
	return openPortable(cfg)
}
