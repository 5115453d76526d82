// Package file states the binary frames of the tool "files": the content of files in blocks. It
// encodes and decodes them; whose file a block belongs to, and whether it may be written, is not its
// business. What goes around the blocks is in signaling (see signaling.FilesGet and FilesPut).
//
// A block is [kind u8][job u32][offset u64] and 1 to MaxBlock bytes, big endian. Both ends keep a
// window of their own: a sender has no more than that on its way beyond the last FilesAck.
package file

import (
	"encoding/binary"
	"errors"
	"fmt"

	"handrail/signaling"
)

// KindBlock is the first byte of a block, the only kind of frame so far.
const KindBlock = 0x01

// Sizes, in bytes.
const (
	HeaderLen = 13       // kind, job and offset
	MaxBlock  = 56 << 10 // content of one block; with its header it stays under signaling.MaxChannel
	MaxOffset = 1 << 53  // what a browser's numbers count exactly
)

// MaxWindow is how many blocks may be on their way: fewer than a channel holds for a tool that does
// not read.
const MaxWindow = 32

// ErrMalformed says that a frame is not a block.
var ErrMalformed = errors.New("malformed block of a file")

// Block is a piece of a file.
type Block struct {
	Job    uint32
	Offset int64
	Data   []byte // 1 to MaxBlock bytes; of a decoded block it shares memory with the frame
}

// Append encodes the block behind dst. It returns ErrMalformed for one Decode would refuse.
func (b Block) Append(dst []byte) ([]byte, error) {
	if err := b.check(); err != nil {
		return dst, err
	}
	dst = append(dst, KindBlock)
	dst = binary.BigEndian.AppendUint32(dst, b.Job)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.Offset)) //nolint:gosec // checked
	return append(dst, b.Data...), nil
}

// Decode reads one block. Data points into frame.
func Decode(frame []byte) (Block, error) {
	if len(frame) < HeaderLen || len(frame) > signaling.MaxChannel {
		return Block{}, fmt.Errorf("%d bytes: %w", len(frame), ErrMalformed)
	}
	if frame[0] != KindBlock {
		return Block{}, fmt.Errorf("kind 0x%02x: %w", frame[0], ErrMalformed)
	}
	offset := binary.BigEndian.Uint64(frame[5:])
	if offset > MaxOffset {
		return Block{}, fmt.Errorf("offset %d: %w", offset, ErrMalformed)
	}
	b := Block{Job: binary.BigEndian.Uint32(frame[1:]), Offset: int64(offset), Data: frame[HeaderLen:]}
	return b, b.check()
}

func (b Block) check() error {
	if len(b.Data) == 0 || len(b.Data) > MaxBlock {
		return fmt.Errorf("block of %d bytes: %w", len(b.Data), ErrMalformed)
	}
	if b.Offset < 0 || b.Offset > MaxOffset-int64(len(b.Data)) {
		return fmt.Errorf("offset %d: %w", b.Offset, ErrMalformed)
	}
	return nil
}
