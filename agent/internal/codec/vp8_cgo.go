//go:build cgo

package codec

/*
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lvpx -lm
#include "delta.h"
#include "vpx.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"handrail/agent/internal/pixel"
)

// wholeShare is the share of a picture's blocks from which libvpx codes it: below, delta.c
// is as quick or quicker, and a picture that large moves in ways that libvpx can follow.
const wholeShare = 0.25

// vp8 is the VP8 encoder: libvpx for key pictures and for pictures that change as a whole,
// delta.c for small changes and scrolls. Both write one stream: each refers only to the
// picture before, and the other is told what decoders have after it.
type vp8 struct {
	cfg     Config
	vpx     *C.hr_vpx
	delta   *C.hr_delta
	rate    budget
	begun   bool // a key picture was made
	ahead   bool // delta.c made pictures that libvpx does not know
	blurred int  // blocks coarser than they could be
	sharpen []byte
}

// New makes a VP8 encoder. It returns an error when the size is out of range or libvpx
// refuses.
func New(cfg Config) (Encoder, error) {
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxSide || cfg.Height > MaxSide {
		return nil, fmt.Errorf("picture of %dx%d, VP8 takes 1x1 to %dx%[3]d", cfg.Width, cfg.Height, MaxSide)
	}
	if cfg.Threads == 0 {
		cfg.Threads = 1
		// libvpx's threads wait for each other by spinning: with other work on the machine
		// two of them took 500 ms for a key picture that one makes in 70 (2 busy cores, 2026-11).
		if cfg.Width*cfg.Height >= 1280*720 && runtime.NumCPU() >= 4 {
			cfg.Threads = 2
		}
	}
	var why *C.char
	vpx := C.hr_vpx_open(C.int(cfg.Width), C.int(cfg.Height), C.int(cfg.Threads), &why)
	if vpx == nil {
		return nil, fmt.Errorf("open libvpx for %dx%d: %s", cfg.Width, cfg.Height, C.GoString(why))
	}
	delta := C.hr_delta_open(C.int(cfg.Width), C.int(cfg.Height))
	if delta == nil {
		C.hr_vpx_close(vpx)
		return nil, fmt.Errorf("no memory for a picture of %dx%d", cfg.Width, cfg.Height)
	}
	blocks := NewBlocks(cfg.Width, cfg.Height)
	return &vp8{cfg: cfg, vpx: vpx, delta: delta, rate: newBudget(cfg.Rate, cfg.Style), sharpen: blocks.Set}, nil
}

func (e *vp8) SetRate(r Rate) { e.rate.set(r) }

func (e *vp8) Close() error {
	if e.vpx != nil {
		C.hr_vpx_close(e.vpx)
		C.hr_delta_close(e.delta)
		e.vpx, e.delta = nil, nil
	}
	return nil
}

func (e *vp8) Encode(f *pixel.I420, damage *Blocks, r Request) (Packet, error) {
	if e.vpx == nil {
		return Packet{}, ErrClosed
	}
	if f.Width != e.cfg.Width || f.Height != e.cfg.Height || len(damage.Set) != len(e.sharpen) {
		return Packet{}, fmt.Errorf("picture of %dx%d with %d blocks given to an encoder of %dx%d",
			f.Width, f.Height, len(damage.Set), e.cfg.Width, e.cfg.Height)
	}
	e.rate.at(r.At)
	pkt, err := e.encode(f, damage, r)
	if err != nil {
		e.begun = false
		damage.MarkAll()
		return Packet{}, err
	}
	damage.Clear()
	e.blurred = int(C.hr_delta_blurred(e.delta, sharpQuantizer, nil, 0))
	pkt.Blurred = e.blurred > 0
	pkt.Hold = e.rate.hold()
	return pkt, nil
}

// encode chooses who codes the picture.
func (e *vp8) encode(f *pixel.I420, damage *Blocks, r Request) (Packet, error) {
	if r.Key || !e.begun {
		return e.whole(f, nil, int(C.hr_delta_busy(e.delta, ptr(f.Y), C.int(f.StrideY))))
	}
	n := 0
	if damage.Count() > 0 {
		n = int(C.hr_delta_compare(e.delta, ptr(f.Y), ptr(f.U), ptr(f.V), C.int(f.StrideY), C.int(f.StrideUV), ptr(damage.Set)))
	}
	if n == 0 {
		if r.Sharpen && e.blurred > 0 {
			return e.sharpenSome()
		}
		return Packet{}, nil
	}
	left := int(C.hr_delta_scroll(e.delta, ptr(f.Y), ptr(f.U), ptr(f.V), C.int(f.StrideY), C.int(f.StrideUV), ptr(damage.Set)))
	if float64(left) > wholeShare*float64(len(damage.Set)) {
		for i, b := range damage.Set {
			damage.Set[i] = min(b, 1)
		}
		return e.whole(f, damage.Set, n)
	}
	q := e.rate.quantizer(parts, left, false)
	C.hr_delta_take(e.delta, ptr(f.Y), ptr(f.U), ptr(f.V), C.int(f.StrideY), C.int(f.StrideUV), ptr(damage.Set))
	return e.part(damage.Set, q, left)
}

// part has delta.c code the blocks of set, n of them anew.
func (e *vp8) part(set []byte, q, n int) (Packet, error) {
	res := C.hr_delta_encode(e.delta, ptr(set), C.int(q))
	if res.err != nil {
		return Packet{}, errors.New(C.GoString(res.err))
	}
	e.ahead = true
	data := unsafe.Slice((*byte)(unsafe.Pointer(res.data)), int(res.size))
	e.rate.spent(parts, n, q, len(data))
	return Packet{Data: data, Quantizer: q}, nil
}

// sharpenSome codes again what was coded coarsely, as much as the budget takes.
func (e *vp8) sharpenSome() (Packet, error) {
	n := min(e.rate.affords(parts, sharpQuantizer), e.blurred)
	C.hr_delta_blurred(e.delta, sharpQuantizer, ptr(e.sharpen), C.int(n))
	return e.part(e.sharpen, sharpQuantizer, n)
}

// whole has libvpx code the picture: a key picture with set nil, else the blocks of set.
// n of them cost something.
func (e *vp8) whole(f *pixel.I420, set []byte, n int) (Packet, error) {
	key := set == nil
	q := libvpxQuantizer(e.rate.quantizer(whole, n, key))
	var active *C.uint8_t
	isKey := C.int(1)
	if !key {
		active, isKey = ptr(set), 0
		if e.ahead && C.hr_delta_to_vpx(e.delta, e.vpx) != 0 {
			return Packet{}, errors.New("libvpx refused the last picture")
		}
	}
	C.hr_delta_take(e.delta, ptr(f.Y), ptr(f.U), ptr(f.V), C.int(f.StrideY), C.int(f.StrideUV), active)
	res := C.hr_vpx_encode(e.vpx, ptr(f.Y), ptr(f.U), ptr(f.V), C.int(f.StrideY), C.int(f.StrideUV), C.int(q), isKey, active)
	if res.err != nil {
		return Packet{}, errors.New(C.GoString(res.err))
	}
	index := int(libvpxScale[q])
	if C.hr_delta_from_vpx(e.delta, e.vpx, active, C.int(index)) != 0 {
		return Packet{}, errors.New("libvpx keeps its last picture to itself")
	}
	e.begun, e.ahead = true, false
	data := unsafe.Slice((*byte)(unsafe.Pointer(res.data)), int(res.size))
	k := whole
	if key {
		k = intra
	}
	e.rate.spent(k, n, index, len(data))
	return Packet{Data: data, Key: key, Quantizer: index}, nil
}

func ptr(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(&b[0])) }
