//go:build cgo

package codectest

/*
#cgo LDFLAGS: -lvpx
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>
#include <stdlib.h>

static vpx_codec_ctx_t *hr_dec_open(int threads) {
  vpx_codec_ctx_t *c = calloc(1, sizeof *c);
  vpx_codec_dec_cfg_t cfg = {threads, 0, 0};
  if (c && vpx_codec_dec_init(c, vpx_codec_vp8_dx(), &cfg, 0)) {
    free(c);
    return NULL;
  }
  return c;
}

static vpx_image_t *hr_dec(vpx_codec_ctx_t *c, const uint8_t *data, unsigned int n) {
  if (vpx_codec_decode(c, data, n, NULL, 0)) return NULL;
  vpx_codec_iter_t it = NULL;
  return vpx_codec_get_frame(c, &it);
}

static void hr_dec_close(vpx_codec_ctx_t *c) {
  vpx_codec_destroy(c);
  free(c);
}
*/
import "C"

import (
	"testing"
	"unsafe"

	"handrail/agent/internal/pixel"
)

// Decoder is libvpx's VP8 decoder.
type Decoder struct {
	t testing.TB
	c *C.vpx_codec_ctx_t
}

// NewDecoder opens a decoder and closes it when the test ends.
func NewDecoder(t testing.TB) *Decoder {
	t.Helper()
	d := &Decoder{t: t, c: C.hr_dec_open(1)}
	if d.c == nil {
		t.Fatal("libvpx gave no decoder")
	}
	t.Cleanup(func() { C.hr_dec_close(d.c) })
	return d
}

// Decode decodes one picture; the test fails if it cannot be.
func (d *Decoder) Decode(data []byte) *pixel.I420 {
	d.t.Helper()
	img := C.hr_dec(d.c, (*C.uint8_t)(unsafe.Pointer(&data[0])), C.uint(len(data)))
	if img == nil {
		d.t.Fatalf("picture of %d bytes cannot be decoded: %s", len(data), C.GoString(C.vpx_codec_error(d.c)))
	}
	p := pixel.NewI420(int(img.d_w), int(img.d_h))
	for i, plane := range []struct {
		to           []byte
		stride, w, h int
	}{
		{p.Y, p.StrideY, p.Width, p.Height},
		{p.U, p.StrideUV, (p.Width + 1) / 2, (p.Height + 1) / 2},
		{p.V, p.StrideUV, (p.Width + 1) / 2, (p.Height + 1) / 2},
	} {
		from := unsafe.Slice((*byte)(unsafe.Pointer(img.planes[i])), int(img.stride[i])*plane.h)
		for y := range plane.h {
			copy(plane.to[y*plane.stride:][:plane.w], from[y*int(img.stride[i]):])
		}
	}
	return p
}
