package helper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/inject"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/screen"
	"handrail/signaling"
	"handrail/signaling/input"
)

// Told is who hears what the desktop does. All must be set. They are called from several
// goroutines and must not block.
type Told struct {
	Picture    func(picture.State)
	Desktop    func(words string) // why cursor, clipboard and monitors cannot be known; "" when they can
	Monitors   func([]signaling.Monitor)
	Cursor     func(desktop.Cursor)
	Pointer    func(x, y int)
	Clipboard  func(text string)
	LocalInput func()
}

// Screen is a desktop to look at and work on, in this process (Local) or in another (Remote).
// Its methods may be called from any goroutine and, but Run, do not wait for the display.
type Screen interface {
	// Watch starts a picture; see picture.Picture. InputSeq is not asked.
	Watch(c picture.WatchConfig) (Watcher, error)
	// Apply, ReleaseAll and Leave are inject.Injector's. The error of another process's Apply is
	// of a frame before.
	Apply(viewer signaling.PeerID, f input.Frame) error
	ReleaseAll(viewer signaling.PeerID)
	Leave(viewer signaling.PeerID)
	// SetClipboard and Watching are desktop.Desktop's SetClipboard and Watch.
	SetClipboard(text string) error
	Watching(on bool)
	// Run works until ctx ends, then returns nil.
	Run(ctx context.Context) error
}

// Watcher is one viewer's picture; see picture.Watcher.
type Watcher interface {
	SelectMonitor(monitor uint8)
	SetTier(tier string)
	SetNetwork(n pace.Network)
	RequestKeyframe()
	Wake()
	Close()
}

// errViewOnly says that input has nowhere to go.
var errViewOnly = errors.New("this device's pointer and keyboard cannot be used")

// Local is a Screen in this process. Its rooms come back by themselves when the display does.
type Local struct {
	log     *slog.Logger
	told    Told
	picture *picture.Picture
	input   *inject.Injector // nil where this system has none
	desktop *desktop.Desktop // nil where this system has none
}

// NewLocal makes the rooms of a display, "" for $DISPLAY. What this system does not have is told
// and done without.
func NewLocal(display string, told Told, log *slog.Logger) (*Local, error) {
	l := &Local{log: log, told: told}
	var err error
	l.picture, err = picture.New(picture.Config{Screen: screen.Config{Display: display}, OnState: told.Picture}, log.With("room", "picture"))
	if err != nil {
		return nil, err
	}
	if l.input, err = inject.New(inject.Config{Display: display}, log.With("room", "inject")); err != nil {
		log.Warn("sessions are view only", "err", err)
	}
	l.desktop, err = desktop.New(desktop.Config{
		Display: display, Monitors: l.onMonitors, Cursor: told.Cursor, Pointer: told.Pointer, Clipboard: told.Clipboard,
		LocalInput: told.LocalInput, State: l.onDesktop,
	}, log.With("room", "desktop"))
	if err != nil {
		log.Warn("cursor, clipboard and monitors are not available", "err", err)
		told.Desktop(err.Error())
	}
	return l, nil
}

func (l *Local) onMonitors(list []signaling.Monitor) {
	l.picture.SetMonitors(list)
	if l.input != nil {
		l.input.SetMonitors(list)
	}
	l.told.Monitors(list)
}

func (l *Local) onDesktop(err error) {
	words := ""
	if err != nil {
		words = fmt.Sprintf("the display cannot be reached: %v", err)
	}
	l.told.Desktop(words)
}

// Run runs the rooms.
func (l *Local) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.picture.Run(ctx) })
	if l.input != nil {
		g.Go(func() error { return l.input.Run(ctx) })
	}
	if l.desktop != nil {
		g.Go(func() error { return l.desktop.Run(ctx) })
	}
	return g.Wait()
}

// Watch starts a picture.
func (l *Local) Watch(c picture.WatchConfig) (Watcher, error) {
	w, err := l.picture.Watch(c)
	if err != nil {
		return nil, err // and no Watcher, not one that is nil
	}
	return w, nil
}

// Apply injects a frame.
func (l *Local) Apply(viewer signaling.PeerID, f input.Frame) error {
	if l.input == nil {
		return errViewOnly
	}
	return l.input.Apply(viewer, f)
}

// ReleaseAll lets go of what a viewer holds.
func (l *Local) ReleaseAll(viewer signaling.PeerID) {
	if l.input != nil {
		l.input.ReleaseAll(viewer)
	}
}

// Leave forgets a viewer.
func (l *Local) Leave(viewer signaling.PeerID) {
	if l.input != nil {
		l.input.Leave(viewer)
	}
}

// SetClipboard puts a text on the clipboard.
func (l *Local) SetClipboard(text string) error {
	if l.desktop == nil {
		return desktop.ErrUnsupported
	}
	return l.desktop.SetClipboard(text)
}

// Watching says whether anybody may see the desktop.
func (l *Local) Watching(on bool) {
	if l.desktop != nil {
		l.desktop.Watch(on)
	}
}
