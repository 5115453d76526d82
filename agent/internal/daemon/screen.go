package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/inject"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/screen"
	"handrail/agent/internal/session"
	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/input"
)

// screenRooms are the rooms that live off the display. Each comes back by itself when the
// display does. One that this system does not have is nil.
type screenRooms struct {
	log     *slog.Logger
	picture *picture.Picture
	input   *inject.Injector
	desktop *desktop.Desktop
}

// newScreen makes the rooms of the display. What is missing is said by status and in each
// session; the agent goes on without it.
func (d *Daemon) newScreen() error {
	s := &screenRooms{log: d.log}
	var err error
	s.picture, err = picture.New(picture.Config{Screen: screen.Config{Display: d.cfg.Display}, OnState: d.onPicture}, d.log.With("room", "picture"))
	if err != nil {
		return err
	}
	if s.input, err = inject.New(inject.Config{Display: d.cfg.Display}, d.log.With("room", "inject")); err != nil {
		d.log.Warn("sessions are view only", "err", err)
	}
	s.desktop, err = desktop.New(desktop.Config{
		Display: d.cfg.Display, Monitors: d.onMonitors, Cursor: d.onCursor,
		Pointer:    func(x, y int) { d.host.PointerAt(x, y) },
		Clipboard:  func(text string) { d.host.ClipboardChanged(text) },
		LocalInput: func() { d.host.LocalInput() },
		State:      d.onDesktop,
	}, d.log.With("room", "desktop"))
	if err != nil {
		d.log.Warn("cursor, clipboard and monitors are not available", "err", err)
		d.status.Display = err.Error()
	}
	d.screen = s
	return nil
}

func (d *Daemon) onPicture(s picture.State) {
	d.host.PictureState(s.Picture, s.Message)
	d.setStatus(func(st *state.Status) { st.Display = s.Message })
}

func (d *Daemon) onDesktop(err error) {
	words := ""
	if err != nil {
		words = fmt.Sprintf("the display cannot be reached: %v", err)
	}
	d.setStatus(func(st *state.Status) { st.Display = words })
}

func (d *Daemon) onMonitors(list []signaling.Monitor) {
	d.screen.picture.SetMonitors(list)
	if d.screen.input != nil {
		d.screen.input.SetMonitors(list)
	}
	d.host.Monitors(list)
	if d.collect.SetMonitors(list) {
		d.reporter.Nudge()
	}
}

func (d *Daemon) onCursor(c desktop.Cursor) {
	d.host.Cursor(session.Cursor{
		Hash: c.Hash, HotX: c.HotX, HotY: c.HotY, Width: c.Width, Height: c.Height, PNG: c.PNG, Visible: c.Visible,
	})
}

// serve gives the sessions what the rooms can do.
func (s *screenRooms) serve(c *session.Config, asking *atomic.Int32) {
	c.Watch = s.watch
	if s.input != nil {
		c.Input = guardedInput{Injector: s.input, asking: asking}
	}
	if s.desktop != nil {
		c.SetClipboard, c.Watching = s.desktop.SetClipboard, s.desktop.Watch
	}
}

func (s *screenRooms) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.picture.Run(ctx) })
	if s.input != nil {
		g.Go(func() error { return s.input.Run(ctx) })
	}
	if s.desktop != nil {
		g.Go(func() error { return s.desktop.Run(ctx) })
	}
	return g.Wait()
}

// watch starts a picture.
func (s *screenRooms) watch(w session.Watch) (session.Watcher, error) {
	pw, err := s.picture.Watch(picture.WatchConfig{Monitor: w.Monitor, Tier: w.Tier, Ready: w.Ready, Sink: func(e picture.Encoded) {
		w.Sink(session.Encoded{
			Data: e.Data, Key: e.Key, Sharpen: e.Sharpen, Captured: e.Captured, Width: e.Width, Height: e.Height,
			Capture: e.Timings.Capture, Convert: e.Timings.Convert, Encode: e.Timings.Encode,
		})
	}})
	if err != nil {
		return nil, err
	}
	return watcher{pw}, nil
}

// watcher is a picture as the session room knows it.
type watcher struct{ *picture.Watcher }

// SetNetwork passes on what is known of the way to the viewer.
func (w watcher) SetNetwork(n session.Network) { w.Watcher.SetNetwork(pace.Network(n)) }

// errAsking is what a viewer is told whose input is held back.
var errAsking = errors.New("a question for the person at the device is on the screen; only they may answer it")

// guardedInput keeps an operator's hands off the window that asks the person at the device:
// whoever holds control could otherwise grant themselves more.
type guardedInput struct {
	*inject.Injector
	asking *atomic.Int32
}

// Apply injects a frame unless a question is open. What lets go is let through.
func (g guardedInput) Apply(viewer signaling.PeerID, f input.Frame) error {
	if g.asking.Load() > 0 && f.Type != input.KeyUp && f.Type != input.ReleaseAll {
		return errAsking
	}
	return g.Injector.Apply(viewer, f)
}
