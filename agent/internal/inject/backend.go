package inject

import (
	"time"

	"handrail/signaling/input"
)

// grip is what a back end pressed for a key, so that the same is released whatever the
// layout has become. Below 1024.
type grip uint16

// noGrip stands for a key that is held by a viewer while nothing is pressed for it.
const noGrip grip = 0

// backend drives one display. All methods but open, close and lost are called with
// Injector.mu held; after an error that ends the display, lost is closed.
type backend interface {
	// open connects; after it the other methods may be called.
	open() error
	// close gives back what was changed on the display and returns why it was lost, if it was.
	close() error
	// lost is closed when the display is gone.
	lost() <-chan struct{}
	// desktop returns the whole desktop in pixels.
	desktop() rect
	move(x, y int) error
	button(b uint8, down bool) error
	// scroll turns the wheel by whole notches, positive right and down.
	scroll(dx, dy int) error
	// press presses the physical key; noGrip when the display has no such key.
	press(code input.Code) (grip, error)
	// pressText presses a key that produces the one character r, code being the viewer's key.
	// When it returns a wait, nothing was pressed: call again after it.
	pressText(code input.Code, r rune) (grip, time.Duration, error)
	release(g grip) error
	// typeSome presses and releases keys for as much of text as it can, returns how many bytes
	// that was, and how long to wait before the rest.
	typeSome(text []byte) (n int, wait time.Duration, err error)
	setLocks(l input.Locks) error
}
