package clip

import (
	"fmt"
	"unicode/utf8"
)

// Split returns the frames that carry text, in the order to send them: offer, chunks, end.
// It returns ErrTooLarge for a text over MaxTotal bytes and ErrMalformed for one that is
// not UTF-8.
func Split(transfer uint32, text string) ([][]byte, error) {
	if len(text) > MaxTotal {
		return nil, fmt.Errorf("text of %d bytes: %w", len(text), ErrTooLarge)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("text is not UTF-8: %w", ErrMalformed)
	}
	frames := make([]Frame, 0, 2+len(text)/MaxChunk+1)
	frames = append(frames, Frame{Type: TypeOffer, Transfer: transfer, Total: uint32(len(text)), MIME: MIMEText})
	for rest := []byte(text); len(rest) > 0; {
		n := min(len(rest), MaxChunk)
		frames = append(frames, Frame{Type: TypeChunk, Transfer: transfer, Chunk: rest[:n]})
		rest = rest[n:]
	}
	frames = append(frames, Frame{Type: TypeEnd, Transfer: transfer})
	out := make([][]byte, 0, len(frames))
	for _, f := range frames {
		b, err := f.Append(nil)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// Receiver puts the frames of one sender together. The zero value is ready; it is not safe
// for concurrent use and never holds more than MaxTotal bytes.
type Receiver struct {
	open     bool
	transfer uint32
	total    uint32
	got      []byte
}

// Receive takes one frame. done is true when a transfer is complete, and text is then its
// content. After an error the transfer it belonged to is dropped and the sender should be
// told by Refused; what is left of it is then ignored without an error.
func (r *Receiver) Receive(f Frame) (text string, done bool, err error) {
	switch f.Type {
	case TypeOffer:
		r.Drop()
		if f.MIME != MIMEText {
			return "", false, fmt.Errorf("mime type %q: %w", f.MIME, ErrMalformed)
		}
		r.open, r.transfer, r.total = true, f.Transfer, f.Total
	case TypeChunk:
		if !r.open || f.Transfer != r.transfer {
			return "", false, nil
		}
		if len(r.got)+len(f.Chunk) > int(r.total) {
			r.Drop()
			return "", false, fmt.Errorf("transfer %d is longer than offered: %w", f.Transfer, ErrMalformed)
		}
		r.got = append(r.got, f.Chunk...)
	case TypeEnd:
		return r.end(f)
	case TypeRefused:
		// The other end's answer to what we sent; nothing of ours to keep.
	}
	return "", false, nil
}

func (r *Receiver) end(f Frame) (text string, done bool, err error) {
	if !r.open || f.Transfer != r.transfer {
		return "", false, nil
	}
	got, total := r.got, r.total
	r.Drop()
	if len(got) != int(total) {
		return "", false, fmt.Errorf("transfer %d ended after %d of %d bytes: %w", f.Transfer, len(got), total, ErrMalformed)
	}
	if !utf8.Valid(got) {
		return "", false, fmt.Errorf("transfer %d is not UTF-8: %w", f.Transfer, ErrMalformed)
	}
	return string(got), true, nil
}

// Drop forgets an unfinished transfer.
func (r *Receiver) Drop() { *r = Receiver{} }
