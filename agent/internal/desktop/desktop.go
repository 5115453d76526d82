package desktop

import (
	"errors"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"handrail/signaling"
)

// Errors of this package.
var (
	ErrUnsupported = errors.New("this system's desktop cannot be watched")
	ErrTooLarge    = errors.New("clipboard text is over 1 MiB")
	ErrText        = errors.New("clipboard text is not UTF-8")
)

// MaxClipboard is the longest clipboard text in bytes, in either direction. A longer one
// is left alone.
const MaxClipboard = 1 << 20

// Config says which desktop to watch and whom to tell. Functions may be nil. They are
// called from Run, one at a time, and must not block; those marked so are called only
// while somebody watches (see Desktop.Watch).
type Config struct {
	Display string // X display; "" is $DISPLAY

	// State tells when the display is there (nil) and when it is not, and why.
	State func(err error)
	// Monitors tells where all monitors are, at first and whenever that changes. Their ids
	// stay the same while they are plugged in, also across a restart of the X server.
	Monitors func([]signaling.Monitor)
	// Cursor tells the shape of the pointer. Watched.
	Cursor func(Cursor)
	// Pointer tells where the pointer is in the desktop's pixels, whoever moved it; at most
	// every 15 ms. Watched.
	Pointer func(x, y int)
	// Clipboard tells a text that a program on the device has put on the clipboard, and what
	// was there when watching began. Not what SetClipboard put there, not what a password
	// manager marks as secret, and at most MaxClipboard bytes. Watched.
	Clipboard func(text string)
	// LocalInput tells that the person at the device moves the pointer or presses keys or
	// buttons; at most every 100 ms. Injected input does not count. Watched.
	LocalInput func()
}

// Rates of what may come fast.
const (
	pointerEvery = 15 * time.Millisecond
	localEvery   = 100 * time.Millisecond
	monitorsRest = 20 * time.Millisecond // one change of the screen is many events
	firstRetry   = 250 * time.Millisecond
	lastRetry    = 2 * time.Second
)

// Cursor is a shape of the pointer.
type Cursor struct {
	Hash          uint64 // of the shape; the same shape has the same hash
	HotX, HotY    uint16 // pixels from its upper left corner
	Width, Height uint16 // pixels
	PNG           []byte // must not be changed; nil when not Visible
	Visible       bool   // false: the program in front hides the pointer
}

// Desktop watches one desktop. Its methods may be called from any goroutine and do not
// wait for the display.
type Desktop struct {
	cfg  Config
	log  *slog.Logger
	wake chan struct{} // tells Run of a wish

	mu   sync.Mutex
	wish wish // not yet taken by Run
}

// wish is what Run is asked for; nil is nothing. A newer wish replaces an older one, so
// that callers never wait for Run.
type wish struct {
	watch *bool
	text  *string
}

// New checks cfg and starts nothing; Run connects. It returns ErrUnsupported where there
// is no X, and an error that says what to do where no display is named.
func New(cfg Config, log *slog.Logger) (*Desktop, error) {
	if err := supported(cfg); err != nil {
		return nil, err
	}
	return &Desktop{cfg: cfg, log: log, wake: make(chan struct{}, 1)}, nil
}

// Watch begins or ends watching: call it with true when the first viewer may see the
// screen and with false when the last one has gone. Beginning wakes a blank screen, and
// it stays awake while watched.
func (d *Desktop) Watch(on bool) {
	d.mu.Lock()
	d.wish.watch = &on
	d.mu.Unlock()
	d.poke()
}

func (d *Desktop) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// takeWish returns what has been wished for since the last time.
func (d *Desktop) takeWish() (w wish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, d.wish = d.wish, w
	return w
}

// SetClipboard puts text on the clipboard, in place of what is there. An empty text
// gives the clipboard up if it is ours. It returns ErrTooLarge or ErrText and does
// nothing when the text is not fit for it.
func (d *Desktop) SetClipboard(text string) error {
	if len(text) > MaxClipboard {
		return ErrTooLarge
	}
	if !utf8.ValidString(text) {
		return ErrText
	}
	d.mu.Lock()
	d.wish.text = &text
	d.mu.Unlock()
	d.poke()
	return nil
}
