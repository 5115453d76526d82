// Package codec makes video of pictures: the Encoder interface, and VP8 behind it, tuned
// for screens (text first, little changes at a time, scrolling). It is called by package
// picture, one goroutine for each Encoder, and knows nothing of networks or displays: it
// is given a rate and keeps to it.
//
// Encoders need cgo. Without it New returns ErrUnavailable.
package codec

import (
	"errors"
	"time"

	"handrail/agent/internal/pixel"
)

var (
	// ErrUnavailable is returned by New in a program built without cgo.
	ErrUnavailable = errors.New("this build has no video encoder (it was built without cgo)")
	// ErrClosed is returned by Encode after Close.
	ErrClosed = errors.New("encoder is closed")
)

// MaxSide is the largest width and height in pixels that VP8 can say.
const MaxSide = 16383

// Config says what to encode. Width and Height are needed.
type Config struct {
	Width, Height int // pixels, 1 to MaxSide
	Threads       int // of the encoder; 0 means 2 from 1280x720 on where there are 4 processors, else 1
	Rate          Rate
	Style         Style
}

// Style leans the encoder to one side of the same budget.
type Style uint8

const (
	Balanced Style = iota // sharp when there are bits, coarser while much moves
	Sharp                 // keeps text sharp, at fewer frames
	Fast                  // keeps frames coming, coarser
)

// Rate is the budget.
type Rate struct {
	Bps int // bits a second, over about half a second; 0 means 8 million
	FPS int // frames a second that the caller aims at, at most; 0 means 30
}

// Request says what is wanted of one picture.
type Request struct {
	At      time.Time // when it was captured; only grows
	Key     bool      // it must be readable without those before it
	Sharpen bool      // nothing is damaged: improve what was sent coarsely
}

// Packet is one encoded picture.
type Packet struct {
	Data      []byte        // valid until the next Encode; empty: nothing to show that is not shown
	Key       bool          // readable without those before it
	Quantizer int           // 0 (best) to 127
	Blurred   bool          // some of the picture is coarser than it could be: Sharpen later
	Hold      time.Duration // wait so long before the next picture to keep the rate; usually 0
}

// Encoder encodes the pictures of one screen, each from the one before. It is not for
// use by two goroutines at once.
type Encoder interface {
	// Encode encodes f, of which damage tells the blocks that may differ from the last
	// picture encoded, and clears damage. The first picture is always a key picture. It
	// does not keep f. After an error nothing of damage is lost, and the next picture
	// should be a key picture.
	Encode(f *pixel.I420, damage *Blocks, r Request) (Packet, error)

	// SetRate changes the budget from the next picture on.
	SetRate(Rate)

	// Close frees the encoder. Encode returns ErrClosed afterwards; closing twice is fine.
	Close() error
}

func (r Rate) orDefault() Rate {
	if r.Bps <= 0 {
		r.Bps = 8_000_000
	}
	if r.FPS <= 0 {
		r.FPS = 30
	}
	return r
}
