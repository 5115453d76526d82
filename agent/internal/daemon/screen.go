package daemon

import (
	"errors"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/helper"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/session"
	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/input"
)

// newScreen makes the way to the desktop: a helper process inside it, or where none is
// configured the same rooms in this process. What is missing is said by status and in each
// session; the agent goes on without it.
func (d *Daemon) newScreen() error {
	told := helper.Told{
		Picture: d.onPicture, Monitors: d.onMonitors, Cursor: d.onCursor,
		Pointer:    func(x, y int) { d.host.PointerAt(x, y) },
		Clipboard:  func(text string) { d.host.ClipboardChanged(text) },
		LocalInput: func() { d.host.LocalInput() },
		Desktop:    func(words string) { d.setStatus(func(st *state.Status) { st.Display = words }) },
	}
	log := d.log.With("room", "helper")
	if len(d.cfg.Helper) > 0 {
		d.screen = helper.NewRemote(helper.RemoteConfig{Seat: d.seat, Start: helper.Starter(d.cfg.Helper, log)}, told, log)
		return nil
	}
	local, err := helper.NewLocal(d.cfg.Display, told, d.log)
	if err != nil {
		return err
	}
	d.screen = local
	return nil
}

func (d *Daemon) onPicture(s picture.State) {
	d.host.PictureState(s.Picture, s.Message)
	d.setStatus(func(st *state.Status) { st.Display = s.Message })
}

func (d *Daemon) onMonitors(list []signaling.Monitor) {
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

// serveScreen gives the sessions what the desktop can do.
func (d *Daemon) serveScreen(c *session.Config) {
	c.Watch = d.watch
	c.Input = guardedInput{d}
	c.SetClipboard, c.Watching = d.screen.SetClipboard, d.screen.Watching
}

// watch starts a picture.
func (d *Daemon) watch(w session.Watch) (session.Watcher, error) {
	pw, err := d.screen.Watch(picture.WatchConfig{Monitor: w.Monitor, Tier: w.Tier, Ready: w.Ready, Sink: func(e picture.Encoded) {
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
type watcher struct{ helper.Watcher }

// SetNetwork passes on what is known of the way to the viewer.
func (w watcher) SetNetwork(n session.Network) { w.Watcher.SetNetwork(pace.Network(n)) }

// errAsking is what a viewer is told whose input is held back.
var errAsking = errors.New("a question for the person at the device is on the screen; only they may answer it")

// guardedInput keeps an operator's hands off the window that asks the person at the device:
// whoever holds control could otherwise grant themselves more.
type guardedInput struct{ d *Daemon }

var _ session.Input = guardedInput{}

// Apply injects a frame unless a question is open. What lets go is let through.
func (g guardedInput) Apply(viewer signaling.PeerID, f input.Frame) error {
	if g.d.asking.Load() > 0 && f.Type != input.KeyUp && f.Type != input.ReleaseAll {
		return errAsking
	}
	return g.d.screen.Apply(viewer, f)
}

func (g guardedInput) ReleaseAll(viewer signaling.PeerID) { g.d.screen.ReleaseAll(viewer) }

func (g guardedInput) Leave(viewer signaling.PeerID) { g.d.screen.Leave(viewer) }
