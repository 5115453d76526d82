//go:build cgo

package codec

/*
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lvpx -lm
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

// vp8 is the VP8 encoder.
type vp8 struct {
	cfg   Config
	vpx   *C.hr_vpx
	rate  budget
	begun bool
}

// New makes a VP8 encoder. It returns an error when the size is out of range or libvpx
// refuses.
func New(cfg Config) (Encoder, error) {
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxSide || cfg.Height > MaxSide {
		return nil, fmt.Errorf("picture of %dx%d, VP8 takes 1x1 to %dx%[3]d", cfg.Width, cfg.Height, MaxSide)
	}
	if cfg.Threads == 0 {
		cfg.Threads = 1
		if cfg.Width*cfg.Height >= 1280*720 {
			cfg.Threads = min(2, runtime.NumCPU())
		}
	}
	var why *C.char
	vpx := C.hr_vpx_open(C.int(cfg.Width), C.int(cfg.Height), C.int(cfg.Threads), &why)
	if vpx == nil {
		return nil, fmt.Errorf("open libvpx for %dx%d: %s", cfg.Width, cfg.Height, C.GoString(why))
	}
	return &vp8{cfg: cfg, vpx: vpx, rate: newBudget(cfg.Rate, cfg.Style)}, nil
}

func (e *vp8) SetRate(r Rate) { e.rate.set(r) }

func (e *vp8) Encode(f *pixel.I420, damage *Blocks, r Request) (Packet, error) {
	if e.vpx == nil {
		return Packet{}, ErrClosed
	}
	if f.Width != e.cfg.Width || f.Height != e.cfg.Height {
		return Packet{}, fmt.Errorf("picture of %dx%d given to an encoder of %dx%d", f.Width, f.Height, e.cfg.Width, e.cfg.Height)
	}
	e.rate.at(r.At)
	key := r.Key || !e.begun
	n := len(damage.Set)
	if !key {
		n = damage.Count()
	}
	q := e.rate.quantizer(whole, n, key)
	var active *C.uint8_t
	if !key {
		active = (*C.uint8_t)(unsafe.Pointer(&damage.Set[0]))
	}
	var isKey C.int
	if key {
		isKey = 1
	}
	res := C.hr_vpx_encode(e.vpx, (*C.uint8_t)(unsafe.Pointer(&f.Y[0])), (*C.uint8_t)(unsafe.Pointer(&f.U[0])),
		(*C.uint8_t)(unsafe.Pointer(&f.V[0])), C.int(f.StrideY), C.int(f.StrideUV), C.int(libvpxQuantizer(q)), isKey, active)
	if res.err != nil {
		return Packet{}, errors.New(C.GoString(res.err))
	}
	e.begun = true
	damage.Clear()
	data := unsafe.Slice((*byte)(unsafe.Pointer(res.data)), int(res.size))
	e.rate.spent(whole, n, q, len(data))
	return Packet{Data: data, Key: key, Quantizer: q, Blurred: q > sharpQuantizer, Hold: e.rate.hold()}, nil
}

func (e *vp8) Close() error {
	if e.vpx != nil {
		C.hr_vpx_close(e.vpx)
		e.vpx = nil
	}
	return nil
}
