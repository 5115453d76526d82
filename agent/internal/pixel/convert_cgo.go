//go:build cgo

package pixel

/*
#cgo LDFLAGS: -lyuv
#include <stdint.h>
#include <libyuv/convert.h>
*/
import "C"

import "unsafe"

// convert writes w x h pixels. The caller has checked every length.
func convert(y []byte, strideY int, u, v []byte, strideUV int, pix []byte, stride, w, h int) {
	C.ARGBToI420((*C.uint8_t)(unsafe.Pointer(&pix[0])), C.int(stride),
		(*C.uint8_t)(unsafe.Pointer(&y[0])), C.int(strideY),
		(*C.uint8_t)(unsafe.Pointer(&u[0])), C.int(strideUV),
		(*C.uint8_t)(unsafe.Pointer(&v[0])), C.int(strideUV), C.int(w), C.int(h))
}
