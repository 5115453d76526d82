package desktop

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/png"

	"handrail/agent/internal/x11"
	"handrail/signaling/input"
)

// XFIXES requests.
const (
	xfixesSelectSelection = 2
	xfixesSelectCursor    = 3
	xfixesGetCursorImage  = 4
)

// maxShapes bounds the shapes kept ready by the server's serial numbers: a busy pointer
// goes round through a few dozen.
const maxShapes = 128

// cursorCache keeps encoded shapes, and what was told last.
type cursorCache struct {
	bySerial map[uint32]Cursor
	last     uint64
	told     bool
}

func (w *watcher) selectCursor(on bool) error {
	mask := uint32(0)
	w.shown = cursorCache{bySerial: map[uint32]Cursor{}}
	if on && w.cfg.Cursor != nil {
		mask = 1 // DisplayCursorNotify
	}
	return w.c.Send(x11.NewRequest(w.xfixes.Major, xfixesSelectCursor).U32(w.c.Root, mask).Bytes(), 1)
}

// tellCursor tells the cursor's shape. serial is the server's number for it, 0 unknown.
func (w *watcher) tellCursor(serial uint32) error {
	if w.cfg.Cursor == nil || !w.watched {
		return nil
	}
	c, ok := w.shown.bySerial[serial]
	if !ok || serial == 0 {
		var err error
		if c, serial, err = w.cursor(); err != nil {
			return err
		}
		if len(w.shown.bySerial) >= maxShapes {
			clear(w.shown.bySerial)
		}
		if serial != 0 {
			w.shown.bySerial[serial] = c
		}
	}
	if w.shown.told && w.shown.last == c.Hash {
		return nil
	}
	w.shown.last, w.shown.told = c.Hash, true
	w.cfg.Cursor(c)
	return nil
}

// cursor asks for the shape that is on the screen now.
func (w *watcher) cursor() (Cursor, uint32, error) {
	b, err := w.c.Call(x11.NewRequest(w.xfixes.Major, xfixesGetCursorImage).Bytes())
	var refused *x11.ProtocolError
	if errors.As(err, &refused) {
		const badAccess = 10
		if refused.Code == badAccess {
			c, err := arrowCursor()
			return c, 0, err
		}
		return Cursor{}, 0, nil // BadCursor: there is none
	}
	if err != nil {
		return Cursor{}, 0, fmt.Errorf("get the cursor: %w", err)
	}
	c, err := parseCursor(b)
	return c, x11.Get32(b, 20), err
}

// parseCursor reads the reply of GetCursorImage: pixels are ARGB with colours multiplied
// by alpha.
func parseCursor(b []byte) (Cursor, error) {
	c := Cursor{Width: x11.Get16(b, 12), Height: x11.Get16(b, 14), HotX: x11.Get16(b, 16), HotY: x11.Get16(b, 18)}
	n := int(c.Width) * int(c.Height)
	if len(b) < 32+4*n {
		return Cursor{}, errors.New("get the cursor: short reply")
	}
	img := image.NewNRGBA(image.Rect(0, 0, int(c.Width), int(c.Height)))
	for i := range n {
		v := x11.Get32(b, 32+4*i)
		a := v >> 24
		c.Visible = c.Visible || a != 0
		for j, shift := range [...]int{16, 8, 0} {
			if a != 0 {
				img.Pix[4*i+j] = byte(min(255, (v>>shift&0xff*255+a/2)/a))
			}
		}
		img.Pix[4*i+3] = byte(a)
	}
	if !c.Visible {
		return Cursor{}, nil
	}
	h := fnv.New64a()
	_, _ = h.Write(b[12:20])
	_, _ = h.Write(b[32 : 32+4*n])
	c.Hash = h.Sum64()
	for {
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			return Cursor{}, fmt.Errorf("encode the cursor: %w", err)
		}
		if out.Len() <= input.MaxPNG {
			c.PNG = out.Bytes()
			return c, nil
		}
		img = half(img)
		c.Width, c.Height, c.HotX, c.HotY = uint16(img.Rect.Dx()), uint16(img.Rect.Dy()), c.HotX/2, c.HotY/2 //nolint:gosec // halved
	}
}

// half returns every other pixel: a cursor that large is a picture for people with low
// vision, and loses nothing they need.
func half(img *image.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, max(1, img.Rect.Dx()/2), max(1, img.Rect.Dy()/2)))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.SetNRGBA(x, y, img.NRGBAAt(2*x, 2*y))
		}
	}
	return out
}
