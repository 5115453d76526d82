//go:build cgo

package codectest

import (
	"errors"
	"fmt"
	"image"
	"testing"
	"time"

	"handrail/agent/internal/codec"
	"handrail/agent/internal/pixel"
)

// session encodes a screen picture by picture and watches it as a viewer would.
type session struct {
	t    *testing.T
	s    *Screen
	enc  codec.Encoder
	dec  *Decoder
	seen *pixel.I420
	now  time.Time
	dmg  *codec.Blocks
}

func begin(t *testing.T, w, h int, open func(codec.Config) (codec.Encoder, error)) *session {
	t.Helper()
	enc, err := open(codec.Config{Width: w, Height: h, Rate: codec.Rate{Bps: 40_000_000, FPS: 30}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	return &session{t: t, s: NewScreen(w, h, uint64(w*h)), enc: enc, dec: NewDecoder(t), now: time.Unix(1000, 0), dmg: codec.NewBlocks(w, h)}
}

func (s *session) encode(r codec.Request) codec.Packet {
	s.t.Helper()
	s.now = s.now.Add(time.Second / 30)
	r.At = s.now
	p, err := s.enc.Encode(s.s.I420, s.dmg, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.dmg.Count() != 0 {
		s.t.Fatal("damage is not cleared")
	}
	if len(p.Data) > 0 {
		s.seen = s.dec.Decode(p.Data)
		if key := p.Data[0]&1 == 0; key != p.Key {
			s.t.Fatalf("Key is %v, the picture says %v", p.Key, key)
		}
	}
	return p
}

// settle sharpens until there is nothing left to.
func (s *session) settle() {
	s.t.Helper()
	for range 2000 {
		if p := s.encode(codec.Request{Sharpen: true}); !p.Blurred {
			return
		}
	}
	s.t.Fatal("sharpening does not end")
}

func (s *session) near(what string, db float64) {
	s.t.Helper()
	if y, c := PSNR(s.s.I420, s.seen), ChromaPSNR(s.s.I420, s.seen); y < db || c < db {
		s.t.Errorf("%s: luma %.1f dB, chroma %.1f dB, want %.0f", what, y, c, db)
	}
}

// RunEncoder checks that open's encoders keep the contract of codec.Encoder.
func RunEncoder(t *testing.T, open func(codec.Config) (codec.Encoder, error)) {
	for _, size := range []image.Point{{320, 240}, {333, 251}, {1, 1}, {17, 16}, {640, 33}} {
		t.Run(fmt.Sprintf("whatever is drawn/%dx%d", size.X, size.Y), func(t *testing.T) { drawn(t, size, open) })
	}
	t.Run("first is key, later on demand", func(t *testing.T) { keys(t, open) })
	t.Run("nothing for nothing", func(t *testing.T) { nothing(t, open) })
	t.Run("rate", func(t *testing.T) { rate(t, open) })
	t.Run("no allocation", func(t *testing.T) { allocations(t, open) })
	t.Run("wrong sizes", func(t *testing.T) { wrong(t, open) })
}

// drawn draws at random and compares what is seen after every picture, and when it rests.
func drawn(t *testing.T, size image.Point, open func(codec.Config) (codec.Encoder, error)) {
	s := begin(t, size.X, size.Y, open)
	s.encode(codec.Request{})
	for i := range 120 {
		area := s.s.Bounds()
		var what string
		switch n := s.s.rng.IntN(12); {
		case n < 3:
			area, what = s.s.Rect(80, 40), "text"
			s.s.Text(area)
		case n < 5:
			area, what = s.s.Rect(100, 100), "area"
			s.s.Fill(area, byte(16+s.s.rng.IntN(200)), byte(s.s.rng.IntN(256)), byte(s.s.rng.IntN(256)))
		case n == 5:
			area, what = s.s.Rect(40, 40), "noise"
			s.s.Noise(area)
		case n == 6:
			what = "everything"
			s.s.Text(area)
		default:
			dy := []int{16, -16, 13, -13, 2, 3, -1, 40, 101}[s.s.rng.IntN(9)]
			if dy < size.Y && -dy < size.Y {
				s.s.Scroll(area, dy)
			}
			what = fmt.Sprintf("scroll by %d", dy)
		}
		s.dmg.Mark(image.Rect(area.Min.X&^1, area.Min.Y&^1, area.Max.X+1, area.Max.Y+1))
		p := s.encode(codec.Request{Key: i == 60})
		s.near(fmt.Sprintf("picture %d (%s, quantizer %d)", i, what, p.Quantizer), 22)
		if i%30 == 29 {
			s.settle()
			s.near(fmt.Sprintf("at rest after picture %d (%s)", i, what), 36)
		}
		if t.Failed() {
			return
		}
	}
}

func keys(t *testing.T, open func(codec.Config) (codec.Encoder, error)) {
	s := begin(t, 320, 240, open)
	if p := s.encode(codec.Request{}); !p.Key {
		t.Error("the first picture is no key picture")
	}
	r := image.Rect(0, 0, 50, 50)
	s.s.Text(r)
	s.dmg.Mark(r)
	if p := s.encode(codec.Request{}); p.Key {
		t.Error("a key picture nobody asked for")
	}
	if p := s.encode(codec.Request{Key: true}); !p.Key || len(p.Data) == 0 {
		t.Error("no key picture on demand")
	}
	// Somebody who comes now sees it all.
	s.dec = NewDecoder(t)
	s.encode(codec.Request{Key: true})
	s.near("key picture", 28)
}

func nothing(t *testing.T, open func(codec.Config) (codec.Encoder, error)) {
	s := begin(t, 320, 240, open)
	s.encode(codec.Request{})
	s.settle()
	s.dmg.MarkAll() // drawn again, the same
	if p := s.encode(codec.Request{}); len(p.Data) != 0 || p.Blurred {
		t.Errorf("%d bytes for an unchanged picture, blurred %v", len(p.Data), p.Blurred)
	}
	if p := s.encode(codec.Request{Sharpen: true}); len(p.Data) != 0 {
		t.Errorf("%d bytes to sharpen a sharp picture", len(p.Data))
	}
}

// rate scrolls text it can never send in full, waiting as it is told to.
func rate(t *testing.T, open func(codec.Config) (codec.Encoder, error)) {
	for _, bps := range []int{300_000, 2_000_000} {
		s := begin(t, 640, 480, open)
		s.enc.SetRate(codec.Rate{Bps: bps, FPS: 30})
		s.encode(codec.Request{})
		start, bytes := s.now.Add(2*time.Second), 0
		for s.now.Before(start.Add(8 * time.Second)) {
			s.s.Text(s.s.Bounds())
			s.dmg.MarkAll()
			p := s.encode(codec.Request{})
			if s.now.After(start) {
				bytes += len(p.Data)
			}
			s.now = s.now.Add(p.Hold)
		}
		got := float64(bytes*8) / s.now.Sub(start).Seconds()
		if got > 1.25*float64(bps) {
			t.Errorf("%.0f bit/s for a rate of %d", got, bps)
		}
	}
}

func allocations(t *testing.T, open func(codec.Config) (codec.Encoder, error)) {
	s := begin(t, 640, 480, open)
	s.encode(codec.Request{})
	r := image.Rect(32, 32, 332, 232)
	draw := func() {
		s.now = s.now.Add(time.Second)
		s.s.Noise(image.Rect(40, 40, 60, 60))
		s.s.Y[100*s.s.StrideY+100]++
		s.dmg.Mark(r)
		if _, err := s.enc.Encode(s.s.I420, s.dmg, codec.Request{At: s.now}); err != nil {
			t.Fatal(err)
		}
	}
	draw()
	if n := testing.AllocsPerRun(50, draw); n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
}

func wrong(t *testing.T, open func(codec.Config) (codec.Encoder, error)) {
	for _, c := range []codec.Config{{}, {Width: -1, Height: 5}, {Width: 5, Height: codec.MaxSide + 1}} {
		if e, err := open(c); err == nil {
			e.Close()
			t.Errorf("an encoder of %dx%d", c.Width, c.Height)
		}
	}
	s := begin(t, 64, 64, open)
	other := pixel.NewI420(80, 64)
	if _, err := s.enc.Encode(other, s.dmg, codec.Request{At: s.now}); err == nil {
		t.Error("a picture of another size was encoded")
	}
	for range 2 {
		if err := s.enc.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.enc.Encode(s.s.I420, s.dmg, codec.Request{At: s.now}); !errors.Is(err, codec.ErrClosed) {
		t.Errorf("Encode after Close = %v, want ErrClosed", err)
	}
}
