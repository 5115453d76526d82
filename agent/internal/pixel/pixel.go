// Package pixel holds a picture as encoders want it, planar YUV 4:2:0, and converts
// screen pixels into it, a damaged rectangle at a time: by libyuv where cgo is on, in
// Go otherwise. It is called by package picture; it knows nothing of where pixels come from.
package pixel

import (
	"fmt"
	"image"
)

// I420 is a picture of one luma and two chroma planes, each chroma sample standing for 2x2
// pixels; an odd last row or column has chroma of its own. Colours are BT.601 in studio
// range, what browsers assume of VP8.
type I420 struct {
	Width, Height     int // pixels, as shown
	Y, U, V           []byte
	StrideY, StrideUV int // bytes from one row to the next
}

// NewI420 makes a black picture. Strides are multiples of 32 bytes.
func NewI420(width, height int) *I420 {
	sy, suv := (width+31)&^31, ((width+1)/2+31)&^31
	ch := (height + 1) / 2
	buf := make([]byte, sy*height+2*suv*ch)
	p := &I420{
		Width: width, Height: height, StrideY: sy, StrideUV: suv,
		Y: buf[: sy*height : sy*height], U: buf[sy*height : sy*height+suv*ch : sy*height+suv*ch], V: buf[sy*height+suv*ch:],
	}
	for i := range p.Y {
		p.Y[i] = 16
	}
	for i := range p.U {
		p.U[i], p.V[i] = 128, 128
	}
	return p
}

// Bounds is the picture's rectangle, from (0, 0).
func (p *I420) Bounds() image.Rectangle { return image.Rect(0, 0, p.Width, p.Height) }

// Even returns the smallest rectangle around r whose edges lie between chroma samples of a
// picture with the given bounds: offsets from its origin are even, except at the far edges.
func Even(r, bounds image.Rectangle) image.Rectangle {
	r = r.Intersect(bounds)
	if r.Empty() {
		return image.Rectangle{}
	}
	o := bounds.Min
	r.Min.X -= (r.Min.X - o.X) & 1
	r.Min.Y -= (r.Min.Y - o.Y) & 1
	r.Max.X += (r.Max.X - o.X) & 1
	r.Max.Y += (r.Max.Y - o.Y) & 1
	return r.Intersect(bounds)
}

// FromBGRX converts rows of blue, green, red, unused bytes into the rectangle at, which
// must be Even in the picture's bounds. stride is in bytes and at least 4*at.Dx(). It
// returns an error, and changes nothing, when the rectangle or the rows do not fit.
func (p *I420) FromBGRX(at image.Rectangle, pix []byte, stride int) error {
	if at.Empty() {
		return nil
	}
	if Even(at, p.Bounds()) != at {
		return fmt.Errorf("rectangle %v is not even in a picture of %dx%d", at, p.Width, p.Height)
	}
	if stride < 4*at.Dx() || len(pix) < stride*(at.Dy()-1)+4*at.Dx() {
		return fmt.Errorf("%d bytes of stride %d for a rectangle of %dx%d", len(pix), stride, at.Dx(), at.Dy())
	}
	y := p.Y[at.Min.Y*p.StrideY+at.Min.X:]
	c := at.Min.Y/2*p.StrideUV + at.Min.X/2
	convert(y, p.StrideY, p.U[c:], p.V[c:], p.StrideUV, pix, stride, at.Dx(), at.Dy())
	return nil
}
