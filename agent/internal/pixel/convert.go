package pixel

// convertGo is the conversion in Go: BT.601 studio range in 8 bit fixed point, chroma
// of the average of 2x2 pixels. It differs from libyuv by at most 2 a sample.
func convertGo(y []byte, strideY int, u, v []byte, strideUV int, pix []byte, stride, w, h int) {
	for row := range h {
		src, dst := pix[row*stride:][:4*w], y[row*strideY:][:w]
		for x := range dst {
			b, g, r := int(src[4*x]), int(src[4*x+1]), int(src[4*x+2])
			dst[x] = byte((66*r + 129*g + 25*b + 0x1080) >> 8)
		}
	}
	for row := 0; row < h; row += 2 {
		top := pix[row*stride:][:4*w]
		bottom := top
		if row+1 < h {
			bottom = pix[(row+1)*stride:][:4*w]
		}
		du, dv := u[row/2*strideUV:], v[row/2*strideUV:]
		for x := 0; x < w; x += 2 {
			i, j := 4*x, 4*x
			if x+1 < w {
				j += 4
			}
			b := (int(top[i]) + int(top[j]) + int(bottom[i]) + int(bottom[j]) + 2) >> 2
			g := (int(top[i+1]) + int(top[j+1]) + int(bottom[i+1]) + int(bottom[j+1]) + 2) >> 2
			r := (int(top[i+2]) + int(top[j+2]) + int(bottom[i+2]) + int(bottom[j+2]) + 2) >> 2
			du[x/2] = byte((112*b - 74*g - 38*r + 0x8080) >> 8)
			dv[x/2] = byte((112*r - 94*g - 18*b + 0x8080) >> 8)
		}
	}
}
