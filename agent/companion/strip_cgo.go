//go:build cgo

package main

import (
	"fmt"
	"image/color"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"handrail/agent/internal/prompt"
	"handrail/signaling"
)

// Colors of the strip's light: what goes on, at a glance.
var (
	seen     = rgb(0xf5a524) // somebody looks
	used     = rgb(0xff5c5c) // somebody uses mouse and keyboard
	rest     = rgb(0x8b98ab) // paused, or nobody connected
	finished = rgb(0x4cc38a)
)

// strip is the banner that stays while there is a session.
type strip struct {
	ui      *ui
	window  fyne.Window
	pin     pin
	pinned  bool // pin has the window
	visible bool
	open    signaling.SessionID // whose details are unfolded
	drawn   string              // what is on it, so that only news is drawn
}

func newStrip(u *ui) *strip { return &strip{ui: u} }

// draw shows every session, or nothing.
func (s *strip) draw(v view) {
	if len(v.banners)+len(v.ended) == 0 {
		if s.visible {
			s.visible = false
			s.window.Hide()
		}
		return
	}
	if key := fmt.Sprintf("%+v|%+v|%s", v.banners, v.ended, s.open); key != s.drawn || !s.visible {
		s.drawn = key
		s.build(v)
	}
}

func (s *strip) build(v view) {
	list := container.New(layout.NewCustomPaddedVBoxLayout(1))
	for _, b := range v.banners {
		list.Add(s.session(b))
		if b.Session == s.open {
			list.Add(s.details(b))
		}
	}
	for _, b := range v.ended {
		list.Add(s.line(finished, name(b.Operator), "is gone. The session is over", nil))
	}
	ground := canvas.NewRectangle(rgb(0x12161c))
	ground.StrokeColor, ground.StrokeWidth = rgb(0x3a4553), 1
	content := container.NewStack(ground, container.New(layout.NewCustomPaddedLayout(5, 5, 12, 8), list))
	content2 := container.NewThemeOverride(content, newTheme("dark"))
	if s.window == nil {
		s.window = s.ui.frameless("Handrail: session")
	}
	s.window.SetPadded(false)
	s.window.SetContent(container.New(beforeShown{s}, content2))
	s.window.Resize(content.MinSize())
	if !s.visible {
		s.visible = true
		s.window.Show()
	}
	s.pin.place()
}

// beforeShown pins the strip's window between its making and its first showing: measuring
// what is in it is all that Fyne calls us for in between. It changes nothing of the layout.
type beforeShown struct{ strip *strip }

// MinSize implements fyne.Layout.
func (b beforeShown) MinSize(parts []fyne.CanvasObject) fyne.Size {
	if s := b.strip; !s.pinned {
		s.ui.native(s.window, func(id uintptr) error {
			s.pinned = true
			return s.pin.open(id)
		})
	}
	return layout.NewStackLayout().MinSize(parts)
}

// Layout implements fyne.Layout.
func (beforeShown) Layout(parts []fyne.CanvasObject, size fyne.Size) {
	layout.NewStackLayout().Layout(parts, size)
}

// line is one row: a light, who, what, and what can be done.
func (s *strip) line(lamp color.NRGBA, who, what string, actions []fyne.CanvasObject) fyne.CanvasObject {
	light := container.NewGridWrap(fyne.NewSquareSize(12), canvas.NewCircle(lamp))
	row := container.New(layout.NewCustomPaddedHBoxLayout(8), container.NewCenter(light),
		container.NewCenter(words(who, 14, dark.text, true)), container.NewCenter(words(what, 14, dark.text, false)))
	for _, a := range actions {
		row.Add(a)
	}
	return row
}

func (s *strip) session(b prompt.Banner) fyne.CanvasObject {
	lamp := seen
	switch {
	case b.Paused, len(b.Viewers) == 0:
		lamp = rest
	case b.Controlled:
		lamp = used
	}
	who := name(b.Operator) + others(b)
	if b.Organisation != "" {
		who += " (" + shorten(b.Organisation, 24) + ")"
	}
	// A running clock would be a change of the screen every second, and the screen is what
	// is being sent.
	t := words("since "+time.UnixMicro(b.SinceUS).Format("15:04"), 13, dark.muted, false)
	send := func(k prompt.Kind) func() {
		return func() {
			s.ui.say(prompt.Message{Type: prompt.TypeCommand, Command: &prompt.Command{Session: b.Session, Kind: k}})
		}
	}
	pause := newButton("Pause", widget.MediumImportance, send(prompt.Pause), nil)
	if b.Paused {
		pause = newButton("Resume", widget.HighImportance, send(prompt.Resume), nil)
	}
	stop := newButton("Stop", widget.DangerImportance, send(prompt.Stop), nil)
	icon := theme.MenuDropDownIcon()
	if b.Session == s.open {
		icon = theme.MenuDropUpIcon()
	}
	more := widget.NewButtonWithIcon("", icon, func() {
		if s.open == b.Session {
			s.open = ""
		} else {
			s.open = b.Session
		}
		s.ui.draw()
	})
	more.Importance = widget.LowImportance
	return s.line(lamp, who, doing(b), []fyne.CanvasObject{gap(1), container.NewCenter(t), pause, stop, more})
}

// details lists what the session may do, each with a switch to take it back.
func (s *strip) details(b prompt.Banner) fyne.CanvasObject {
	list := container.New(layout.NewCustomPaddedVBoxLayout(1))
	for _, k := range b.Granted.List() {
		r := newRow(k, true, dark, func(r *row) {
			r.locked = true // what was taken back has to be asked for anew
			s.ui.say(prompt.Message{Type: prompt.TypeCommand, Command: &prompt.Command{Session: b.Session, Kind: prompt.Drop, Capability: k}})
		}, nil)
		r.compact = true
		list.Add(r)
	}
	return container.New(layout.NewCustomPaddedLayout(2, 6, 16, 0), list)
}
