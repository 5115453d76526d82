//go:build !cgo

package codec

// New returns ErrUnavailable: this program was built without cgo.
func New(Config) (Encoder, error) { return nil, ErrUnavailable }
