//go:build cgo

package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/driver"
	"fyne.io/fyne/v2/driver/desktop"
	"github.com/go-gl/glfw/v3.3/glfw"

	"handrail/agent/internal/prompt"
)

// tick is how often the countdown moves. A banner that stands draws nothing.
const tick = 250 * time.Millisecond

// ui is the windows. Everything in it belongs to the window system's goroutine.
type ui struct {
	board *board
	log   *slog.Logger
	app   fyne.App

	consent *consent
	notice  *notice
	strip   *strip
}

// show runs the windows until ctx ends or there has been nothing to show for a while. It
// must be called on the process's first goroutine.
func show(ctx context.Context, b *board, themeName string) {
	a := app.NewWithID("handrail.companion")
	a.Settings().SetTheme(newTheme(themeName))
	u := &ui{board: b, log: slog.New(slog.NewTextHandler(os.Stderr, nil)), app: a}
	u.consent = newConsent(u)
	u.notice = &notice{ui: u}
	u.strip = newStrip(u)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.Lifecycle().SetOnStarted(func() {
		b.onChange(func() { fyne.Do(u.draw) })
		go u.keepTime(ctx)
	})
	a.Run()
}

// keepTime redraws what moves with time, and ends the windows when they are idle or ctx ends.
func (u *ui) keepTime(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	moving := false
	for {
		select {
		case <-ctx.Done():
			fyne.Do(u.app.Quit)
			return
		case <-t.C:
		}
		v := u.board.look()
		was := moving
		if moving = v.ask != nil || len(v.ended) > 0; moving || was {
			fyne.Do(u.draw)
		}
		if v.idle > idleAfter {
			fyne.Do(u.app.Quit)
			return
		}
	}
}

func (u *ui) draw() {
	v := u.board.look()
	now := time.Now()
	u.consent.draw(v, now)
	u.notice.draw(v)
	u.strip.draw(v)
}

// say sends a person's word; one that cannot be sent is lost with the daemon it was for.
func (u *ui) say(m prompt.Message) {
	if err := u.board.say(m); err != nil {
		u.log.Warn("the agent did not take a message", "type", m.Type, "err", err)
	}
}

// native calls f with the window's X11 id, where it has one.
func (u *ui) native(w fyne.Window, f func(id uintptr) error) {
	n, ok := w.(driver.NativeWindow)
	if !ok {
		return
	}
	n.RunNative(func(c any) {
		x, ok := c.(driver.X11WindowContext)
		if !ok || x.WindowHandle == 0 {
			return
		}
		if err := f(x.WindowHandle); err != nil {
			u.log.Warn("a window could not be placed", "err", err)
		}
	})
}

// frameless returns a window without a frame.
func (u *ui) frameless(title string) fyne.Window {
	if d, ok := u.app.Driver().(desktop.Driver); ok {
		w := d.CreateSplashWindow()
		w.SetTitle(title)
		// Without a window manager GLFW would take the keyboard itself.
		glfw.WindowHint(glfw.FocusOnShow, glfw.False)
		return w
	}
	return u.app.NewWindow(title)
}
