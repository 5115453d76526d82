package x11

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Get16 reads 2 bytes of a packet at offset i.
func Get16(b []byte, i int) uint16 { return binary.LittleEndian.Uint16(b[i:]) }

// Get32 reads 4 bytes of a packet at offset i.
func Get32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// packetReader cuts the server's stream into packets.
type packetReader struct{ r *bufio.Reader }

func newPacketReader(r io.Reader) packetReader { return packetReader{bufio.NewReaderSize(r, 16<<10)} }

// next returns the next reply, error or event, in memory of its own.
func (p packetReader) next() ([]byte, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return nil, err
	}
	if b[0] != 1 && b[0]&0x7f != 35 { // neither reply nor generic event
		return b, nil
	}
	more := 4 * int(Get32(b, 4))
	if more > maxReply {
		return nil, errors.New("the server sent an absurd length")
	}
	if more == 0 {
		return b, nil
	}
	long := make([]byte, 32+more)
	copy(long, b)
	_, err := io.ReadFull(p.r, long[32:])
	return long, err
}

// Request builds one request; the zero value is not ready, see NewRequest.
type Request struct{ b []byte }

// NewRequest begins a request: the major opcode and the byte after it (for an extension,
// its minor opcode).
func NewRequest(opcode, data byte) *Request {
	return &Request{b: append(make([]byte, 0, 64), opcode, data, 0, 0)}
}

// U8 appends single bytes.
func (r *Request) U8(vs ...byte) *Request {
	r.b = append(r.b, vs...)
	return r
}

// U16 appends 2-byte numbers.
func (r *Request) U16(vs ...uint16) *Request {
	for _, v := range vs {
		r.b = binary.LittleEndian.AppendUint16(r.b, v)
	}
	return r
}

// U32 appends 4-byte numbers.
func (r *Request) U32(vs ...uint32) *Request {
	for _, v := range vs {
		r.b = binary.LittleEndian.AppendUint32(r.b, v)
	}
	return r
}

// Text appends a string and the padding after it.
func (r *Request) Text(s string) *Request {
	r.b = pad(append(r.b, s...))
	return r
}

// Bytes returns the request with its length filled in; it must not be over
// Conn.MaxRequest.
func (r *Request) Bytes() []byte {
	r.b = pad(r.b)
	binary.LittleEndian.PutUint16(r.b[2:], uint16(len(r.b)/4)) //nolint:gosec // MaxRequest is at most 256 KiB
	return r.b
}

// pad fills b with zeros to a multiple of 4 bytes.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
