package codec

import "image"

// BlockSide is the side of a block, VP8's macroblock, in pixels.
const BlockSide = 16

// Blocks is a set of the 16x16 blocks of a picture.
type Blocks struct {
	Cols, Rows int
	Set        []byte // Cols*Rows, row by row; 0 or 1
	n          int
}

// NewBlocks makes an empty set for a picture of so many pixels.
func NewBlocks(width, height int) *Blocks {
	cols, rows := (width+BlockSide-1)/BlockSide, (height+BlockSide-1)/BlockSide
	return &Blocks{Cols: cols, Rows: rows, Set: make([]byte, cols*rows)}
}

// Mark adds every block that r touches; r is in pixels of the picture.
func (b *Blocks) Mark(r image.Rectangle) {
	r = r.Intersect(image.Rect(0, 0, b.Cols*BlockSide, b.Rows*BlockSide))
	if r.Empty() {
		return
	}
	for y := r.Min.Y / BlockSide; y <= (r.Max.Y-1)/BlockSide; y++ {
		row := b.Set[y*b.Cols : (y+1)*b.Cols]
		for x := r.Min.X / BlockSide; x <= (r.Max.X-1)/BlockSide; x++ {
			b.n += int(1 - row[x])
			row[x] = 1
		}
	}
}

// MarkAll adds every block.
func (b *Blocks) MarkAll() {
	for i := range b.Set {
		b.Set[i] = 1
	}
	b.n = len(b.Set)
}

// Clear empties the set.
func (b *Blocks) Clear() {
	if b.n > 0 {
		clear(b.Set)
		b.n = 0
	}
}

// Count is how many blocks are in the set.
func (b *Blocks) Count() int { return b.n }
