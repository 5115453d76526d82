// Package shell is the binary frames of a terminal's channel: what was typed, what was shown, and
// how far a viewer's page has come with showing it. Each frame begins with a byte that says which.
// The page acknowledges what it has shown, and no more than Window is on its way beyond that, so
// that a flood of output waits in the program that makes it and a key gets past.
package shell

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind says what a frame is.
type Kind byte

// The kinds of frames.
const (
	Input  Kind = 1 // viewer to agent: bytes typed or pasted
	Shown  Kind = 2 // viewer to agent: 8B, bytes of Output that this channel's page has shown, since the channel became the terminal's; big endian
	Output Kind = 3 // agent to viewer: bytes for the terminal
)

// Limits of both ends.
const (
	MaxBytes = 16 << 10  // of an Input's or Output's bytes
	Window   = 128 << 10 // bytes of Output that were sent and not shown yet
)

// ErrFrame is returned for what is not a frame.
var ErrFrame = errors.New("not a frame of a terminal")

// Frame is one of them.
type Frame struct {
	Kind  Kind
	Bytes []byte // of Input and Output; in Decode part of what was decoded
	Shown uint64 // of Shown
}

// Decode reads a frame. It fails with ErrFrame.
func Decode(b []byte) (Frame, error) {
	if len(b) < 2 {
		return Frame{}, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	f := Frame{Kind: Kind(b[0])}
	switch f.Kind {
	case Input, Output:
		if f.Bytes = b[1:]; len(f.Bytes) > MaxBytes {
			return Frame{}, fmt.Errorf("%w: %d bytes, at most %d", ErrFrame, len(f.Bytes), MaxBytes)
		}
		return f, nil
	case Shown:
		if len(b) != 9 {
			return Frame{}, fmt.Errorf("%w: %d bytes, want 9", ErrFrame, len(b))
		}
		f.Shown = binary.BigEndian.Uint64(b[1:])
		return f, nil
	}
	return Frame{}, fmt.Errorf("%w: kind %d", ErrFrame, b[0])
}

// Append appends the frame to b. It fails where Decode would.
func (f Frame) Append(b []byte) ([]byte, error) {
	switch f.Kind {
	case Input, Output:
		if len(f.Bytes) == 0 || len(f.Bytes) > MaxBytes {
			return nil, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrFrame, len(f.Bytes), MaxBytes)
		}
		return append(append(b, byte(f.Kind)), f.Bytes...), nil
	case Shown:
		return binary.BigEndian.AppendUint64(append(b, byte(f.Kind)), f.Shown), nil
	}
	return nil, fmt.Errorf("%w: kind %d", ErrFrame, f.Kind)
}
