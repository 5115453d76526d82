//go:build cgo

package main

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"handrail/signaling"
)

// Sizes in device-independent pixels.
const (
	knob        = 16
	trackWidth  = 38
	trackHeight = 22
	barHeight   = 6
	radius      = 10
)

func words(s string, size float32, c color.Color, bold bool) *canvas.Text {
	t := canvas.NewText(s, c)
	t.TextSize = size
	t.TextStyle.Bold = bold
	return t
}

// card puts something on a rounded ground with a line around it.
func card(p palette, o fyne.CanvasObject) fyne.CanvasObject {
	ground := canvas.NewRectangle(p.card)
	ground.CornerRadius = radius
	ground.StrokeColor, ground.StrokeWidth = p.line, 1
	return container.NewStack(ground, container.New(layout.NewCustomPaddedLayout(10, 10, 14, 14), o))
}

// gap is empty height.
func gap(h float32) fyne.CanvasObject {
	r := canvas.NewRectangle(color.Transparent)
	r.SetMinSize(fyne.NewSize(1, h))
	return r
}

// avatar is a disc with initials.
func avatar(p palette, text string, size float32) fyne.CanvasObject {
	disc := canvas.NewCircle(p.accent)
	t := words(text, size*0.38, p.onAccent, true)
	t.Alignment = fyne.TextAlignCenter
	return container.NewGridWrap(fyne.NewSquareSize(size), container.NewStack(disc, container.NewCenter(t)))
}

// button is a push button that Space presses and that lets Escape through.
type button struct {
	widget.Button
	escape func()
}

func newButton(label string, importance widget.Importance, tapped, escape func()) *button {
	b := &button{escape: escape}
	b.Text, b.Importance, b.OnTapped = label, importance, tapped
	b.ExtendBaseWidget(b)
	return b
}

// TypedKey implements fyne.Focusable. Enter does nothing: who was typing when the window
// came up has not agreed to anything.
func (b *button) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeyEscape && b.escape != nil {
		b.escape()
		return
	}
	b.Button.TypedKey(e)
}

// row is one capability with its switch; the whole row is the switch.
type row struct {
	widget.BaseWidget
	capability signaling.Capability
	on, locked bool // locked: said, not asked
	focused    bool
	compact    bool
	changed    func(*row)
	escape     func()

	ground, track *canvas.Rectangle
	knob          *canvas.Circle
	colors        palette
}

func newRow(c signaling.Capability, on bool, p palette, changed func(*row), escape func()) *row {
	r := &row{capability: c, on: on, changed: changed, escape: escape, colors: p}
	r.ExtendBaseWidget(r)
	return r
}

// CreateRenderer implements fyne.Widget.
func (r *row) CreateRenderer() fyne.WidgetRenderer {
	w := wordsFor(r.capability)
	r.ground = canvas.NewRectangle(color.Transparent)
	r.ground.CornerRadius = 6
	r.track = canvas.NewRectangle(color.Transparent)
	r.track.CornerRadius = trackHeight / 2
	r.knob = canvas.NewCircle(color.White)
	text := container.New(layout.NewCustomPaddedVBoxLayout(1), words(w.title, 14, r.colors.text, false))
	if !r.compact {
		text.Add(words(w.detail, 12, r.colors.muted, false))
	}
	slider := container.NewGridWrap(fyne.NewSize(trackWidth, trackHeight), container.New(&sliderLayout{r}, r.track, r.knob))
	body := container.NewBorder(nil, nil, nil, container.NewCenter(slider), text)
	r.paint()
	return widget.NewSimpleRenderer(container.NewStack(r.ground, container.New(layout.NewCustomPaddedLayout(4, 4, 8, 8), body)))
}

// sliderLayout puts the knob where the switch stands.
type sliderLayout struct{ r *row }

func (l *sliderLayout) MinSize([]fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(trackWidth, trackHeight)
}

func (l *sliderLayout) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Resize(size)
	const inset = (trackHeight - knob) / 2
	x := float32(inset)
	if l.r.on {
		x = size.Width - knob - inset
	}
	objects[1].Resize(fyne.NewSquareSize(knob))
	objects[1].Move(fyne.NewPos(x, inset))
}

// paint shows the switch as it stands.
func (r *row) paint() {
	if r.track == nil {
		return
	}
	r.track.FillColor = r.colors.off
	x := float32(trackHeight-knob) / 2
	if r.on {
		r.track.FillColor = r.colors.accent
		x = trackWidth - knob - x
	}
	r.knob.Move(fyne.NewPos(x, (trackHeight-knob)/2))
	r.ground.StrokeColor, r.ground.StrokeWidth = color.Transparent, 0
	if r.focused {
		r.ground.StrokeColor, r.ground.StrokeWidth = r.colors.accent, 2
	}
	r.track.Refresh()
	r.knob.Refresh()
	r.ground.Refresh()
}

func (r *row) flip() {
	if r.locked {
		return
	}
	r.on = !r.on
	r.paint()
	r.changed(r)
}

// Tapped implements fyne.Tappable.
func (r *row) Tapped(*fyne.PointEvent) { r.flip() }

// FocusGained implements fyne.Focusable.
func (r *row) FocusGained() { r.focused = true; r.paint() }

// FocusLost implements fyne.Focusable.
func (r *row) FocusLost() { r.focused = false; r.paint() }

// TypedRune implements fyne.Focusable.
func (r *row) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (r *row) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeySpace:
		r.flip()
	case fyne.KeyEscape:
		if r.escape != nil {
			r.escape()
		}
	}
}

// countdown is a bar that empties.
type countdown struct {
	widget.BaseWidget
	left   float32 // 0..1
	colors palette
	back   *canvas.Rectangle
	fill   *canvas.Rectangle
}

func newCountdown(p palette) *countdown {
	c := &countdown{left: 1, colors: p}
	c.ExtendBaseWidget(c)
	return c
}

func (c *countdown) set(left float32) {
	c.left = min(max(left, 0), 1)
	c.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (c *countdown) CreateRenderer() fyne.WidgetRenderer {
	c.back, c.fill = canvas.NewRectangle(c.colors.line), canvas.NewRectangle(c.colors.accent)
	c.back.CornerRadius, c.fill.CornerRadius = barHeight/2, barHeight/2
	return &countdownRenderer{c}
}

type countdownRenderer struct{ c *countdown }

func (r *countdownRenderer) Destroy()           {}
func (r *countdownRenderer) MinSize() fyne.Size { return fyne.NewSize(60, barHeight) }
func (r *countdownRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.c.back, r.c.fill}
}

func (r *countdownRenderer) Layout(s fyne.Size) {
	r.c.back.Resize(fyne.NewSize(s.Width, barHeight))
	r.c.fill.Resize(fyne.NewSize(max(s.Width*r.c.left, barHeight), barHeight))
}

func (r *countdownRenderer) Refresh() {
	r.Layout(r.c.Size())
	r.c.fill.FillColor = r.c.colors.accent
	if r.c.left < 0.2 {
		r.c.fill.FillColor = r.c.colors.danger
	}
	canvas.Refresh(r.c.fill)
}
