//go:build !cgo

package pixel

func convert(y []byte, strideY int, u, v []byte, strideUV int, pix []byte, stride, w, h int) {
	convertGo(y, strideY, u, v, strideUV, pix, stride, w, h)
}
