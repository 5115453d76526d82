//go:build linux

package screen

import (
	"image"
	"math/rand/v2"
	"testing"
)

func TestFindCookie(t *testing.T) {
	entry := func(family uint16, fields ...string) []byte {
		b := []byte{byte(family >> 8), byte(family)}
		for _, f := range fields {
			b = append(append(b, byte(len(f)>>8), byte(len(f))), f...)
		}
		return b
	}
	file := append(entry(256, "other", "7", "MIT-MAGIC-COOKIE-1", "no"), entry(256, "here", "7", "MIT-MAGIC-COOKIE-1", "yes")...)
	file = append(file, entry(65535, "", "", "MIT-MAGIC-COOKIE-1", "any")...)
	for _, c := range []struct{ number, want string }{{"7", "yes"}, {"8", "any"}} {
		if _, got := findCookie(file, "here", c.number); got != c.want {
			t.Errorf("cookie for display %s is %q, want %q", c.number, got, c.want)
		}
	}
	for n := range file { // a file cut off anywhere must not panic
		findCookie(file[:n], "here", "9")
	}
}

func TestMergeCoversAndIsFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	bounds := image.Rect(0, 0, 1000, 700)
	var m merger
	for range 300 {
		m.reset(bounds)
		var in []image.Rectangle
		for range 1 + rng.IntN(60) {
			p := image.Pt(rng.IntN(1000), rng.IntN(700))
			in = append(in, image.Rectangle{p, p.Add(image.Pt(1+rng.IntN(300), 1+rng.IntN(40)))})
			m.add(in[len(in)-1])
		}
		out := m.appendTo(nil, maxTakeRects)
		if len(out) > maxTakeRects {
			t.Fatalf("%d rectangles", len(out))
		}
		if !disjoint(out) {
			t.Fatalf("%v overlap", out)
		}
		for _, r := range in {
			left := area(r.Intersect(bounds))
			for _, o := range out {
				left -= area(o.Intersect(r))
			}
			if left != 0 {
				t.Fatalf("%v is not covered by %v", r, out)
			}
		}
	}
}
