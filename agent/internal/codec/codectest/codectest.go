// Package codectest holds what every codec.Encoder must do, as a suite, with a decoder to
// see what a viewer would. It is imported by tests only.
package codectest

import (
	"image"
	"math"
	"math/rand/v2"

	"handrail/agent/internal/pixel"
)

// Screen is a drawn desktop: text, areas, noise, things that move.
type Screen struct {
	*pixel.I420
	rng *rand.Rand
}

// NewScreen makes a screen full of text; the same seed makes the same.
func NewScreen(width, height int, seed uint64) *Screen {
	s := &Screen{pixel.NewI420(width, height), rand.New(rand.NewPCG(seed, 7))}
	s.Text(s.Bounds())
	return s
}

// Fill paints a rectangle in one colour.
func (s *Screen) Fill(r image.Rectangle, y, u, v byte) {
	s.each(r, func(x, yy int) (byte, byte, byte) { return y, u, v })
}

// Text paints lines of made-up letters, 8x16 pixels each, dark on light, some in colour.
func (s *Screen) Text(r image.Rectangle) {
	r = r.Intersect(s.Bounds())
	s.Fill(r, 235, 128, 128)
	for y := r.Min.Y; y+12 <= r.Max.Y; y += 16 {
		u, v := byte(128), byte(128)
		if s.rng.IntN(6) == 0 {
			u, v = byte(60+s.rng.IntN(130)), byte(60+s.rng.IntN(130))
		}
		for x := r.Min.X; x+8 <= r.Max.X; x += 8 {
			if s.rng.IntN(6) == 0 {
				continue
			}
			letter := s.rng.Uint64()
			for i := range 48 { // 6 x 8 dots, each two rows high
				if letter>>i&1 == 0 {
					continue
				}
				px, py := x+i%6, y+i/6*3/2
				if px < r.Max.X && py < r.Max.Y {
					s.Y[py*s.StrideY+px] = 40
					s.U[py/2*s.StrideUV+px/2], s.V[py/2*s.StrideUV+px/2] = u, v
				}
			}
		}
	}
}

// Noise paints what no encoder can guess.
func (s *Screen) Noise(r image.Rectangle) {
	s.each(r, func(int, int) (byte, byte, byte) {
		n := s.rng.Uint32()
		return byte(16 + n%220), byte(90 + n>>8%70), byte(90 + n>>16%70)
	})
}

// Scroll moves the contents of r up by dy pixels, down if negative, and paints new text
// where nothing came from. An even dy is exact in chroma too; with an odd one chroma is
// taken from the next row, as converting a scrolled screen nearly does.
func (s *Screen) Scroll(r image.Rectangle, dy int) {
	old := &Screen{pixel.NewI420(s.Width, s.Height), s.rng}
	copy(old.Y, s.Y)
	copy(old.U, s.U)
	copy(old.V, s.V)
	r = r.Intersect(s.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		if from := y + dy; from >= r.Min.Y && from < r.Max.Y {
			copy(s.Y[y*s.StrideY+r.Min.X:y*s.StrideY+r.Max.X], old.Y[from*s.StrideY+r.Min.X:])
			if y%2 == 0 {
				c, d := y/2*s.StrideUV, from/2*s.StrideUV
				copy(s.U[c+r.Min.X/2:c+(r.Max.X+1)/2], old.U[d+r.Min.X/2:])
				copy(s.V[c+r.Min.X/2:c+(r.Max.X+1)/2], old.V[d+r.Min.X/2:])
			}
		}
	}
	if dy > 0 {
		s.Text(image.Rect(r.Min.X, r.Max.Y-dy, r.Max.X, r.Max.Y))
	} else {
		s.Text(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y-dy))
	}
}

// Rect is a random rectangle of at most the given size.
func (s *Screen) Rect(w, h int) image.Rectangle {
	x, y := s.rng.IntN(s.Width), s.rng.IntN(s.Height)
	return image.Rect(x, y, x+1+s.rng.IntN(w), y+1+s.rng.IntN(h)).Intersect(s.Bounds())
}

func (s *Screen) each(r image.Rectangle, colour func(x, y int) (byte, byte, byte)) {
	r = r.Intersect(s.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			yy, u, v := colour(x, y)
			s.Y[y*s.StrideY+x] = yy
			s.U[y/2*s.StrideUV+x/2], s.V[y/2*s.StrideUV+x/2] = u, v
		}
	}
}

// PSNR is how near two luma planes are, in dB: 30 is rough, 40 is good, +Inf is the same.
func PSNR(a, b *pixel.I420) float64 {
	return psnr(a.Y, a.StrideY, b.Y, b.StrideY, a.Width, a.Height)
}

// ChromaPSNR is PSNR of the worse chroma plane.
func ChromaPSNR(a, b *pixel.I420) float64 {
	w, h := (a.Width+1)/2, (a.Height+1)/2
	return min(psnr(a.U, a.StrideUV, b.U, b.StrideUV, w, h), psnr(a.V, a.StrideUV, b.V, b.StrideUV, w, h))
}

func psnr(a []byte, sa int, b []byte, sb, w, h int) float64 {
	var sum float64
	for y := range h {
		for x := range w {
			d := float64(a[y*sa+x]) - float64(b[y*sb+x])
			sum += d * d
		}
	}
	return 10 * math.Log10(255*255*float64(w*h)/sum)
}
