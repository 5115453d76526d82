package screen

import (
	"image"
	"math/rand/v2"
	"testing"
)

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
