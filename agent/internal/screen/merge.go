package screen

import (
	"image"
	"slices"
)

// mergeUnit is the height of the bands that damage is gathered in, the height of a
// macroblock: reading less than one saves nothing further on.
const mergeUnit = 16

// maxTakeRects bounds what Take reports one by one; more is merged into rows, because
// each rectangle costs a request.
const maxTakeRects = 8

// merger turns many small rectangles into few, by bands of rows: each rectangle costs a
// request, and the rows between two near ones cost less than that.
type merger struct {
	bounds image.Rectangle
	bands  []span
	few    []image.Rectangle
}

type span struct{ x0, x1, y0, y1 int } // empty when x0 >= x1

func (m *merger) reset(bounds image.Rectangle) {
	m.bounds = bounds
	m.few = m.few[:0]
	n := (bounds.Dy() + mergeUnit - 1) / mergeUnit
	m.bands = slices.Grow(m.bands[:0], n)[:n]
	clear(m.bands)
}

func (m *merger) add(r image.Rectangle) {
	r = r.Intersect(m.bounds)
	if r.Empty() {
		return
	}
	if len(m.few) <= maxFew {
		m.few = append(m.few, r)
	}
	for b := (r.Min.Y - m.bounds.Min.Y) / mergeUnit; b <= (r.Max.Y-1-m.bounds.Min.Y)/mergeUnit; b++ {
		top := m.bounds.Min.Y + b*mergeUnit
		s := span{r.Min.X, r.Max.X, max(r.Min.Y, top), min(r.Max.Y, top+mergeUnit)}
		if o := m.bands[b]; o.x0 < o.x1 {
			s = span{min(s.x0, o.x0), max(s.x1, o.x1), min(s.y0, o.y0), max(s.y1, o.y1)}
		}
		m.bands[b] = s
	}
}

// maxFew is how many rectangles are passed on as they came.
const maxFew = 4

// appendTo appends at most about limit rectangles, disjoint, covering all that was added.
func (m *merger) appendTo(out []image.Rectangle, limit int) []image.Rectangle {
	if len(m.few) <= maxFew && disjoint(m.few) {
		return append(out, m.few...)
	}
	// Neighbouring bands are joined while that reads little more than is damaged; when
	// too many remain, more waste is allowed.
	start := len(out)
	for waste := 64 * mergeUnit; ; waste *= 4 {
		out = out[:start]
		var cur image.Rectangle
		for _, s := range m.bands {
			if s.x0 >= s.x1 {
				continue
			}
			r := image.Rect(s.x0, s.y0, s.x1, s.y1)
			if cur.Empty() {
				cur = r
				continue
			}
			u := cur.Union(r)
			if area(u)-area(cur)-area(r) <= waste {
				cur = u
				continue
			}
			out = append(out, cur)
			cur = r
		}
		if !cur.Empty() {
			out = append(out, cur)
		}
		if len(out)-start <= limit {
			return out
		}
	}
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }

func disjoint(rs []image.Rectangle) bool {
	for i, a := range rs {
		for _, b := range rs[i+1:] {
			if a.Overlaps(b) {
				return false
			}
		}
	}
	return true
}
