//go:build cgo

package main

import (
	"fmt"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"handrail/agent/internal/prompt"
	"handrail/signaling"
)

// settle is how long Accept stays dead after the window came up: a click meant for what was
// there before is no consent.
const settle = 700 * time.Millisecond

const consentWidth = 460

// consent is the window that asks.
type consent struct {
	ui     *ui
	window fyne.Window
	id     string // of the question on it; "" while hidden
	born   time.Time

	already signaling.CapabilitySet // granted before, and not asked again

	rows   []*row
	bar    *countdown
	left   *canvas.Text
	accept *button
}

func newConsent(u *ui) *consent { return &consent{ui: u} }

// draw puts the question on the screen, moves its countdown, or takes it off.
func (c *consent) draw(v view, now time.Time) {
	if v.ask == nil {
		if c.id != "" {
			c.id = ""
			c.window.Hide()
		}
		return
	}
	if v.ask.ID != c.id {
		c.open(*v.ask, now)
	}
	of := time.Duration(v.ask.OfMS) * time.Millisecond
	rest := max(v.ask.until.Sub(now), 0)
	if of > 0 {
		c.bar.set(float32(rest) / float32(of))
	}
	more := ""
	if v.waiting > 0 {
		more = fmt.Sprintf(" %d more waiting.", v.waiting)
	}
	if text := fmt.Sprintf("Without an answer this is declined in %s.%s", clock(rest+time.Second-1), more); text != c.left.Text {
		c.left.Text = text
		c.left.Refresh()
	}
	c.judge(now)
}

func (c *consent) open(q question, now time.Time) {
	if c.window == nil {
		c.window = c.ui.app.NewWindow("Handrail: request for help")
		c.window.SetFixedSize(true)
		c.window.SetCloseIntercept(c.decline)
	}
	c.id, c.born, c.rows = q.ID, now, nil
	c.window.SetContent(c.content(q))
	c.window.Canvas().SetOnTypedKey(func(e *fyne.KeyEvent) {
		if e.Name == fyne.KeyEscape {
			c.decline()
		}
	})
	c.window.Resize(fyne.NewSize(consentWidth, 100))
	c.window.CenterOnScreen()
	c.window.Show()
	c.window.Canvas().Unfocus() // nothing that Space or Enter could press
	c.ui.native(c.window, keepAbove)
	c.ui.say(prompt.Message{Type: prompt.TypeShown, ID: q.ID})
}

func (c *consent) content(q question) fyne.CanvasObject {
	p := colors()
	title, verb := "wants to help you", "may"
	if q.Already != 0 {
		title, verb = "asks for more", "would also"
	}
	who := container.New(layout.NewCustomPaddedVBoxLayout(3),
		words(name(q.Operator), 20, p.text, true),
		words(title, 16, p.text, false),
		words(affiliation(q.Operator, q.Organisation), 13, p.muted, false),
	)
	if q.Operator.Email != "" {
		who.Add(words(shorten(q.Operator.Email, 48), 13, p.muted, false))
	}
	head := container.New(layout.NewCustomPaddedHBoxLayout(16), container.NewCenter(avatar(p, initials(q.Operator), 60)), container.NewCenter(who))

	body := container.New(layout.NewCustomPaddedVBoxLayout(0), head)
	if q.Reason != "" {
		reason := widget.NewLabel("“" + shorten(q.Reason, 280) + "”")
		reason.Wrapping = fyne.TextWrapWord
		body.Add(gap(14))
		body.Add(card(p, reason))
	}
	body.Add(gap(16))
	body.Add(words(fmt.Sprintf("%s %s:", name(q.Operator), verb), 13, p.muted, true))
	body.Add(gap(6))
	list := container.New(layout.NewCustomPaddedVBoxLayout(2))
	c.already = q.Already
	for _, k := range (q.Capabilities &^ q.Already).List() {
		r := newRow(k, true, p, func(*row) { c.judge(time.Now()) }, c.decline)
		c.rows = append(c.rows, r)
		list.Add(r)
	}
	body.Add(card(p, list))
	body.Add(gap(16))
	c.bar = newCountdown(p)
	c.left = words("", 12, p.muted, false)
	body.Add(c.bar)
	body.Add(gap(6))
	body.Add(c.left)
	body.Add(gap(14))
	c.accept = newButton("Accept", widget.HighImportance, c.agree, c.decline)
	c.accept.Disable()
	no := newButton("Decline", widget.MediumImportance, c.decline, c.decline)
	body.Add(container.NewGridWithColumns(2, no, c.accept))
	body.Add(gap(8))
	hint := words("You can pause or stop at any time. Esc declines.", 12, p.muted, false)
	hint.Alignment = fyne.TextAlignCenter
	body.Add(hint)
	width := gap(1)
	width.Resize(fyne.NewSize(consentWidth, 1))
	return container.New(layout.NewCustomPaddedLayout(20, 16, 22, 22), container.New(&fixedWidth{consentWidth - 44}, body))
}

// judge lets Accept be pressed when the window has settled and something is granted.
func (c *consent) judge(now time.Time) {
	if c.accept == nil {
		return
	}
	may := now.Sub(c.born) >= settle && c.granted() != 0
	if may == c.accept.Disabled() {
		if may {
			c.accept.Enable()
		} else {
			c.accept.Disable()
		}
	}
}

func (c *consent) granted() signaling.CapabilitySet {
	var s signaling.CapabilitySet
	for _, r := range c.rows {
		if r.on {
			s |= signaling.SetOf(r.capability)
		}
	}
	if s != 0 {
		s |= c.already
	}
	return s
}

func (c *consent) agree() { c.reply(prompt.Reply{ID: c.id, Accepted: true, Granted: c.granted()}) }

func (c *consent) decline() { c.reply(prompt.Reply{ID: c.id}) }

func (c *consent) reply(r prompt.Reply) {
	if r.ID == "" {
		return
	}
	if err := c.ui.board.answer(r); err != nil {
		c.ui.log.Warn("the agent did not take the answer", "err", err)
	}
}

// fixedWidth gives its one object a width and as much height as it needs.
type fixedWidth struct{ width float32 }

func (l *fixedWidth) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(l.width, o[0].MinSize().Height)
}

func (l *fixedWidth) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(fyne.NewSize(l.width, size.Height))
}
