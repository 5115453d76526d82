package pixel

import (
	"image"
	"math/rand/v2"
	"testing"
)

func noise(w, h int) ([]byte, int) {
	rng := rand.New(rand.NewPCG(1, 2))
	pix := make([]byte, 4*w*h)
	for i := range pix {
		pix[i] = byte(rng.Uint32())
	}
	return pix, 4 * w
}

func TestEven(t *testing.T) {
	bounds := image.Rect(-7, 3, 92, 60) // odd origin, 99x57
	for _, c := range []struct{ in, want image.Rectangle }{
		{image.Rect(-7, 3, -6, 4), image.Rect(-7, 3, -5, 5)},
		{image.Rect(-6, 4, -5, 5), image.Rect(-7, 3, -5, 5)},
		{image.Rect(90, 59, 500, 500), image.Rect(89, 59, 92, 60)},
		{image.Rect(200, 200, 300, 300), image.Rectangle{}},
	} {
		if got := Even(c.in, bounds); got != c.want {
			t.Errorf("Even(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestConvertByPartsIsConvertWhole(t *testing.T) {
	const w, h = 101, 67
	pix, stride := noise(w, h)
	whole, parts := NewI420(w, h), NewI420(w, h)
	if err := whole.FromBGRX(whole.Bounds(), pix, stride); err != nil {
		t.Fatal(err)
	}
	for _, r := range []image.Rectangle{image.Rect(0, 0, 33, 21), image.Rect(33, 0, 101, 21), image.Rect(0, 21, 101, 67)} {
		e := Even(r, parts.Bounds())
		if err := parts.FromBGRX(e, pix[e.Min.Y*stride+4*e.Min.X:], stride); err != nil {
			t.Fatal(err)
		}
	}
	for name, pair := range map[string][2][]byte{"y": {whole.Y, parts.Y}, "u": {whole.U, parts.U}, "v": {whole.V, parts.V}} {
		for i := range pair[0] {
			if pair[0][i] != pair[1][i] {
				t.Fatalf("%s differs at %d: %d, %d", name, i, pair[0][i], pair[1][i])
			}
		}
	}
}

func TestGoMatchesNative(t *testing.T) {
	const w, h = 63, 41
	pix, stride := noise(w, h)
	native, plain := NewI420(w, h), NewI420(w, h)
	if err := native.FromBGRX(native.Bounds(), pix, stride); err != nil {
		t.Fatal(err)
	}
	convertGo(plain.Y, plain.StrideY, plain.U, plain.V, plain.StrideUV, pix, stride, w, h)
	for name, pair := range map[string][2][]byte{"y": {native.Y, plain.Y}, "u": {native.U, plain.U}, "v": {native.V, plain.V}} {
		for i := range pair[0] {
			if d := int(pair[0][i]) - int(pair[1][i]); d < -2 || d > 2 {
				t.Fatalf("%s[%d] = %d natively, %d in Go", name, i, pair[0][i], pair[1][i])
			}
		}
	}
}

func TestFromBGRXRefusesWhatDoesNotFit(t *testing.T) {
	p := NewI420(64, 64)
	for name, c := range map[string]struct {
		at     image.Rectangle
		n      int
		stride int
	}{
		"odd origin":   {image.Rect(1, 0, 9, 8), 4096, 32},
		"outside":      {image.Rect(60, 60, 70, 70), 4096, 40},
		"short rows":   {image.Rect(0, 0, 8, 8), 100, 32},
		"short stride": {image.Rect(0, 0, 8, 8), 4096, 16},
	} {
		if err := p.FromBGRX(c.at, make([]byte, c.n), c.stride); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkFromBGRX(b *testing.B) {
	const w, h = 1920, 1080
	pix, stride := noise(w, h)
	p := NewI420(w, h)
	b.SetBytes(int64(len(pix)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.FromBGRX(p.Bounds(), pix, stride); err != nil {
			b.Fatal(err)
		}
	}
}
