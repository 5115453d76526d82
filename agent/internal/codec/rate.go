package codec

import "time"

const (
	// sharpQuantizer is the quantizer at which text cannot be told from the original; what
	// was sent coarser is sharpened when the screen rests.
	sharpQuantizer = 8
	// burst is how much of a second's budget one picture may take when nothing is owed:
	// longer and it delays the next on the wire.
	burst = 120 * time.Millisecond
	// keyBurst is the same for a key picture, which somebody is waiting for.
	keyBurst = 400 * time.Millisecond
)

// kind is a way of coding, with its own price of a block.
type kind uint8

const (
	whole  kind = iota // libvpx, the whole picture
	parts              // delta.c, only what changed
	intra              // libvpx, a key picture
	nkinds             // how many kinds there are
)

// budget is the rate control: a bucket that leaks at the rate set, and a price of a block
// at each quantizer, learned from what pictures cost. It chooses quantizers, and pauses
// when even the coarsest costs too much: frames are given up before sharpness is.
type budget struct {
	rate   Rate
	style  Style
	last   time.Time
	owed   float64         // bits sent and not yet covered by the rate
	price  [nkinds]float64 // bits of a block times the quantizer's step
	motion float64         // blocks changed a second, over the last half
}

func newBudget(r Rate, s Style) budget {
	return budget{rate: r.orDefault(), style: s, price: [nkinds]float64{8000, 9000, 20000}}
}

func (b *budget) set(r Rate) { b.rate = r.orDefault() }

// step is about the size of quantizer q's step for the finer coefficients.
func step(q int) float64 {
	if q <= 57 {
		return float64(4 + q)
	}
	return 61 + float64(q-57)*3.2
}

// at lets the time pass.
func (b *budget) at(now time.Time) {
	if b.last.IsZero() || now.Before(b.last) {
		b.last = now
		return
	}
	dt := now.Sub(b.last).Seconds()
	b.last = now
	b.owed = max(0, b.owed-dt*float64(b.rate.Bps))
	b.motion *= 1 / (1 + dt/0.5)
}

// bounds are the finest and coarsest quantizer worth using now for n blocks. What is typed
// is sharp at once. Larger changes are sent sooner than sharp, and much motion is gone before
// it is read; what stays of them is sharpened.
func (b *budget) bounds(n int) (fine, coarse int) {
	fine, coarse = sharpQuantizer, 96
	if n > 64 {
		fine = min(28, sharpQuantizer+(n-64)/30)
	}
	switch m := b.motion; {
	case m > 2500:
		fine = 68
	case m > 1000:
		fine = max(fine, sharpQuantizer+int((m-1000)/1500*60))
	}
	switch b.style {
	case Sharp:
		return sharpQuantizer + (fine-sharpQuantizer)/2, 60
	case Fast:
		return fine + 6, 110
	case Balanced:
	}
	return fine, coarse
}

// quantizer chooses for a picture of n blocks to code.
func (b *budget) quantizer(k kind, n int, key bool) int {
	window := burst
	if key {
		k, window = intra, keyBurst
	} else {
		b.motion += float64(n) / 0.5
	}
	fine, coarse := b.bounds(n)
	if key {
		fine = 32 // the rest comes with the sharpening; fewer bytes are shown sooner
	}
	may := max(float64(b.rate.Bps)*window.Seconds()-b.owed, float64(b.rate.Bps)/float64(b.rate.FPS)/2)
	for q := fine; q < coarse; q += 2 {
		if float64(n)*b.price[k]/step(q) <= may {
			return q
		}
	}
	return coarse
}

// affords is how many blocks may be coded with quantizer q now; at least a few, so that
// sharpening ends.
func (b *budget) affords(k kind, q int) int {
	may := max(float64(b.rate.Bps)*burst.Seconds()-b.owed, float64(b.rate.Bps)/float64(b.rate.FPS)/2)
	return max(16, int(may*step(q)/b.price[k]))
}

// spent learns what a picture of n blocks cost.
func (b *budget) spent(k kind, n, q, bytes int) {
	bits := float64(bytes * 8)
	b.owed += bits
	if n >= 8 {
		b.price[k] += (bits*step(q)/float64(n) - b.price[k]) * 0.3
	}
}

// hold is how long to wait before the next picture so that what is owed stays within a
// burst.
func (b *budget) hold() time.Duration {
	over := b.owed/float64(b.rate.Bps) - burst.Seconds()
	return max(0, min(3*time.Second, time.Duration(over*float64(time.Second))))
}

// libvpxScale is libvpx's table from its 0..63 scale to quantizer indices.
var libvpxScale = [64]uint8{
	0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33, 35, 37, 39, 41,
	43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 64, 67, 70, 73, 76, 79, 82, 85, 88, 91, 94, 97, 100, 103, 106, 109, 112, 115,
	118, 121, 124, 127,
}

// libvpxQuantizer is the place on libvpx's scale nearest above q.
func libvpxQuantizer(q int) int {
	for i, v := range libvpxScale {
		if int(v) >= q {
			return i
		}
	}
	return len(libvpxScale) - 1
}
