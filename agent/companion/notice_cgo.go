//go:build cgo

package main

import (
	"fmt"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"handrail/agent/internal/prompt"
)

const noticeWidth = 420

// notice is the window with an operator's words. It asks nothing.
type notice struct {
	ui     *ui
	window fyne.Window
	id     string // of the notice on it; "" while hidden
	more   *canvas.Text
}

// draw puts the oldest notice on the screen, or takes the window off.
func (n *notice) draw(v view) {
	if v.notice == nil {
		if n.id != "" {
			n.id = ""
			n.window.Hide()
		}
		return
	}
	if v.notice.ID != n.id {
		n.open(*v.notice)
	}
	text := ""
	if v.unread > 0 {
		text = fmt.Sprintf("%d more", v.unread)
	}
	if n.more.Text != text {
		n.more.Text = text
		n.more.Refresh()
	}
}

func (n *notice) open(one prompt.Notice) {
	if n.window == nil {
		n.window = n.ui.app.NewWindow("Handrail: message")
		n.window.SetFixedSize(true)
		n.window.SetCloseIntercept(n.close)
	}
	n.id = one.ID
	n.window.SetContent(n.content(one))
	n.window.Canvas().SetOnTypedKey(func(e *fyne.KeyEvent) {
		if e.Name == fyne.KeyEscape {
			n.close()
		}
	})
	n.window.Resize(fyne.NewSize(noticeWidth, 100))
	n.window.CenterOnScreen()
	n.window.Show()
	n.window.Canvas().Unfocus() // nothing that Space or Enter could press
	n.ui.native(n.window, keepAbove)
	n.ui.say(prompt.Message{Type: prompt.TypeShown, ID: one.ID})
}

func (n *notice) content(one prompt.Notice) fyne.CanvasObject {
	p := colors()
	body := container.New(layout.NewCustomPaddedVBoxLayout(0))
	title := shorten(one.Title, 60)
	if title == "" {
		title = "A message for you"
	}
	body.Add(words(title, 18, p.text, true))
	if from := sender(one); from != "" {
		body.Add(gap(3))
		body.Add(words(from, 13, p.muted, false))
	}
	body.Add(gap(12))
	text := widget.NewLabel(one.Text)
	text.Wrapping = fyne.TextWrapWord
	body.Add(card(p, text))
	body.Add(gap(14))
	n.more = words("", 12, p.muted, false)
	body.Add(container.NewBorder(nil, nil, container.NewCenter(n.more), newButton("Close", widget.MediumImportance, n.close, n.close)))
	return container.New(layout.NewCustomPaddedLayout(20, 16, 22, 22), container.New(&fixedWidth{noticeWidth - 44}, body))
}

// sender names who wrote: an operator, an organisation, or both.
func sender(one prompt.Notice) string {
	var parts []string
	for _, s := range []string{one.From, one.Organisation} {
		if s = shorten(s, 40); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

func (n *notice) close() { n.ui.board.read(n.id) }
