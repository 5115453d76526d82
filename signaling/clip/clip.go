// Package clip states the frames of the data channel "clipboard": one clipboard text as an
// offer, its bytes in chunks, and an end; or a refusal. It encodes, decodes and puts a
// transfer together within its limits. It does not touch a clipboard and does not know who
// may read one: the agent's session checks the grant before it hands a frame here.
//
// Every frame is [type u8][transfer u32] and a body, big endian. The flow, either way:
//
//	sender   -> Offer    total bytes, MIME type
//	sender   -> Chunk    at most MaxChunk bytes, as often as needed
//	sender   -> End      after exactly total bytes
//	receiver -> Refused  at any point; the sender stops
//
// A transfer number is the sender's, and an Offer abandons whatever that sender had not
// ended: only the newest clipboard is of use. Both ends put MIMEText through unchanged; line
// ends are line feeds.
package clip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Type is the first byte of a frame.
type Type uint8

// The frames.
const (
	TypeOffer   Type = 0x01 // 4B total bytes + 1B length of the MIME type + MIME type
	TypeChunk   Type = 0x02 // 1 to MaxChunk bytes of content
	TypeEnd     Type = 0x03 // nothing
	TypeRefused Type = 0x04 // reason for people, UTF-8, at most MaxReason bytes
)

// Limits, in bytes.
const (
	MaxTotal  = 1 << 20  // of one transfer
	MaxChunk  = 16 << 10 // content of one Chunk
	MaxReason = 256      // reason of Refused
	MaxMIME   = 64       // MIME type of Offer
	HeaderLen = 5        // type and transfer number
)

// MIMEText is the only content carried so far.
const MIMEText = "text/plain;charset=utf-8"

// ErrMalformed says that a frame is not one of ours; ErrTooLarge that it, or what it
// announces, is over a limit.
var (
	ErrMalformed = errors.New("malformed clipboard frame")
	ErrTooLarge  = errors.New("clipboard content over the size limit")
)

// Frame is one decoded frame. Which fields count depends on Type.
type Frame struct {
	Type     Type
	Transfer uint32
	Total    uint32 // Offer: bytes that will follow, at most MaxTotal
	MIME     string // Offer: printable ASCII
	Chunk    []byte // Chunk: 1 to MaxChunk bytes; shares memory with the frame decoded
	Reason   string // Refused
}

// Append encodes the frame behind dst. It returns ErrMalformed or ErrTooLarge for a frame
// Decode would refuse.
func (f Frame) Append(dst []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, byte(f.Type))
	dst = binary.BigEndian.AppendUint32(dst, f.Transfer)
	switch f.Type {
	case TypeOffer:
		if len(f.MIME) > MaxMIME {
			return dst[:start], fmt.Errorf("mime type of %d bytes: %w", len(f.MIME), ErrMalformed)
		}
		dst = binary.BigEndian.AppendUint32(dst, f.Total)
		dst = append(dst, byte(len(f.MIME)))
		dst = append(dst, f.MIME...)
	case TypeChunk:
		dst = append(dst, f.Chunk...)
	case TypeEnd:
	case TypeRefused:
		dst = append(dst, f.Reason...)
	}
	if _, err := Decode(dst[start:]); err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// Decode reads one frame. Chunk points into b.
func Decode(b []byte) (Frame, error) {
	if len(b) < HeaderLen {
		return Frame{}, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	f := Frame{Type: Type(b[0]), Transfer: binary.BigEndian.Uint32(b[1:])}
	body := b[HeaderLen:]
	switch f.Type {
	case TypeOffer:
		return decodeOffer(f, body)
	case TypeChunk:
		if len(body) == 0 {
			return Frame{}, fmt.Errorf("empty chunk: %w", ErrMalformed)
		}
		if len(body) > MaxChunk {
			return Frame{}, fmt.Errorf("chunk of %d bytes: %w", len(body), ErrTooLarge)
		}
		f.Chunk = body
		return f, nil
	case TypeEnd:
		if len(body) != 0 {
			return Frame{}, fmt.Errorf("%d bytes after end: %w", len(body), ErrMalformed)
		}
		return f, nil
	case TypeRefused:
		if len(body) > MaxReason {
			return Frame{}, fmt.Errorf("reason of %d bytes: %w", len(body), ErrTooLarge)
		}
		if !isPrintable(body) {
			return Frame{}, fmt.Errorf("reason is not printable text: %w", ErrMalformed)
		}
		f.Reason = string(body)
		return f, nil
	}
	return Frame{}, fmt.Errorf("type 0x%02x: %w", b[0], ErrMalformed)
}

func decodeOffer(f Frame, body []byte) (Frame, error) {
	if len(body) < 5 || len(body) != 5+int(body[4]) {
		return Frame{}, fmt.Errorf("offer of %d bytes: %w", len(body), ErrMalformed)
	}
	f.Total = binary.BigEndian.Uint32(body)
	if f.Total > MaxTotal {
		return Frame{}, fmt.Errorf("offer of %d bytes of content: %w", f.Total, ErrTooLarge)
	}
	mime := body[5:]
	if len(mime) > MaxMIME {
		return Frame{}, fmt.Errorf("mime type of %d bytes: %w", len(mime), ErrMalformed)
	}
	for _, c := range mime {
		if c < 0x20 || c > 0x7e {
			return Frame{}, fmt.Errorf("mime type is not ASCII: %w", ErrMalformed)
		}
	}
	f.MIME = string(mime)
	return f, nil
}

// isPrintable reports whether b is UTF-8 without control characters, so that a reason can
// go to a log line or a page as it is.
func isPrintable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return false
		}
	}
	return true
}
