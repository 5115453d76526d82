package helper

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/pace"
	"handrail/agent/internal/picture"
	"handrail/signaling"
	"handrail/signaling/input"
)

// A frame is its kind, the number of the picture it is of (0 for none), the length of its body
// and the body, all big endian.
const headerSize = 1 + 4 + 4

// kind says what a frame is.
type kind uint8

// What the daemon says.
const (
	kindWatch    kind = iota + 1 // watchBody
	kindUnwatch                  // nothing
	kindSelect                   // a monitor
	kindTier                     // its name
	kindNetwork                  // pace.Network
	kindKeyframe                 // nothing
	kindReady                    // nothing: one more picture can be taken
	kindInput                    // a viewer and an input frame
	kindRelease                  // a viewer
	kindLeave                    // a viewer
	kindSetText                  // the clipboard's text
	kindWatching                 // 0 or 1
)

// What the helper says.
const (
	kindPicture   kind = iota + 64 // pictureHead and the picture
	kindState                      // signaling.Picture as an envelope
	kindDesktop                    // words
	kindMonitors                   // signaling.Monitors as an envelope
	kindCursor                     // cursorHead and a PNG
	kindPointer                    // x and y
	kindText                       // the clipboard's text
	kindLocal                      // nothing: the person at the device does something
	kindInjection                  // words: why input does not arrive; empty when it does again
)

// Longest bodies. A key picture of a large screen is a few MiB.
const (
	maxPicture = 32 << 20
	maxSmall   = desktop.MaxClipboard
)

// errFrame says that the other process speaks another language or is hostile.
var errFrame = errors.New("malformed frame")

// readFrame reads one frame. The body lies in buf, which grows as needed, and is valid until the
// next call.
func readFrame(r *bufio.Reader, buf *[]byte) (k kind, id uint32, body []byte, err error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, nil, err
	}
	k, id = kind(head[0]), binary.BigEndian.Uint32(head[1:])
	n, most := binary.BigEndian.Uint32(head[5:]), uint32(maxSmall)
	if k == kindPicture {
		most = maxPicture
	}
	if n > most {
		return 0, 0, nil, fmt.Errorf("%d bytes of kind %d: %w", n, k, errFrame)
	}
	// Taken as it comes, so that nobody has memory made for what never comes.
	body = (*buf)[:0]
	for uint32(len(body)) < n { //nolint:gosec // at most maxPicture
		step := int(min(n-uint32(len(body)), 1<<20)) //nolint:gosec // as above
		from := len(body)
		if cap(body)-from < step {
			body = append(body, make([]byte, step)...)
		} else {
			body = body[:from+step]
		}
		if _, err := io.ReadFull(r, body[from:]); err != nil {
			return 0, 0, nil, err
		}
	}
	*buf = body
	return k, id, body, nil
}

// appendFrame appends a frame's head for a body of n bytes.
func appendHead(b []byte, k kind, id uint32, n int) []byte {
	b = binary.BigEndian.AppendUint32(append(b, byte(k)), id)
	return binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // bounded by the callers
}

// watchBody says what a picture is to show.
type watchBody struct {
	Monitor uint8  `json:"monitor"`
	Tier    string `json:"tier"`
	Ready   bool   `json:"ready"` // the first picture can be taken
}

// pictureHead: flags, age, size, and how long it took, in microseconds.
const (
	pictureHead = 1 + 4 + 2 + 2 + 4 + 4 + 4
	flagKey     = 1
	flagSharpen = 2
)

// appendPicture appends the head and the data of a picture whose pixels were read at e.Captured. Clocks
// of two processes are compared as ages.
func appendPicture(b []byte, e picture.Encoded, now time.Time) []byte {
	flags := byte(0)
	if e.Key {
		flags |= flagKey
	}
	if e.Sharpen {
		flags |= flagSharpen
	}
	b = binary.BigEndian.AppendUint32(append(b, flags), micros(now.Sub(e.Captured)))
	b = binary.BigEndian.AppendUint16(b, clamp16(e.Width))
	b = binary.BigEndian.AppendUint16(b, clamp16(e.Height))
	b = binary.BigEndian.AppendUint32(b, micros(e.Timings.Capture))
	b = binary.BigEndian.AppendUint32(b, micros(e.Timings.Convert))
	b = binary.BigEndian.AppendUint32(b, micros(e.Timings.Encode))
	return append(b, e.Data...)
}

func decodePicture(b []byte, now time.Time) (picture.Encoded, error) {
	if len(b) <= pictureHead || b[0]&^(flagKey|flagSharpen) != 0 {
		return picture.Encoded{}, errFrame
	}
	d := func(at int) time.Duration {
		return time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Microsecond
	}
	e := picture.Encoded{
		Key: b[0]&flagKey != 0, Sharpen: b[0]&flagSharpen != 0, Captured: now.Add(-d(1)),
		Width: int(binary.BigEndian.Uint16(b[5:])), Height: int(binary.BigEndian.Uint16(b[7:])), Data: b[pictureHead:],
	}
	e.Timings.Capture, e.Timings.Convert, e.Timings.Encode = d(9), d(13), d(17)
	if e.Width == 0 || e.Height == 0 {
		return picture.Encoded{}, errFrame
	}
	return e, nil
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0), math.MaxUint32)) //nolint:gosec // bounded
}

func clamp16(n int) uint16 { return uint16(min(max(n, 0), math.MaxUint16)) } //nolint:gosec // bounded

const cursorHead = 1 + 8 + 4*2

func appendCursor(b []byte, c desktop.Cursor) []byte {
	visible := byte(0)
	if c.Visible {
		visible = 1
	}
	b = binary.BigEndian.AppendUint64(append(b, visible), c.Hash)
	for _, n := range []uint16{c.HotX, c.HotY, c.Width, c.Height} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, c.PNG...)
}

// decodeCursor copies the picture.
func decodeCursor(b []byte) (desktop.Cursor, error) {
	if len(b) < cursorHead || b[0] > 1 || len(b)-cursorHead > input.MaxPNG {
		return desktop.Cursor{}, errFrame
	}
	c := desktop.Cursor{
		Visible: b[0] == 1, Hash: binary.BigEndian.Uint64(b[1:]),
		HotX: binary.BigEndian.Uint16(b[9:]), HotY: binary.BigEndian.Uint16(b[11:]),
		Width: binary.BigEndian.Uint16(b[13:]), Height: binary.BigEndian.Uint16(b[15:]),
	}
	if png := b[cursorHead:]; len(png) > 0 {
		c.PNG = append([]byte(nil), png...)
	}
	return c, nil
}

// maxPoint bounds coordinates of a desktop, in pixels either way.
const maxPoint = 1 << 20

func appendPoint(b []byte, x, y int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(int32(min(max(x, -maxPoint), maxPoint))))    //nolint:gosec // bounded
	return binary.BigEndian.AppendUint32(b, uint32(int32(min(max(y, -maxPoint), maxPoint)))) //nolint:gosec // bounded
}

func decodePoint(b []byte) (x, y int, err error) {
	if len(b) != 8 {
		return 0, 0, errFrame
	}
	x, y = int(int32(binary.BigEndian.Uint32(b))), int(int32(binary.BigEndian.Uint32(b[4:]))) //nolint:gosec // two's complement
	if max(x, -x, y, -y) > maxPoint {
		return 0, 0, errFrame
	}
	return x, y, nil
}

func appendInput(b []byte, viewer signaling.PeerID, f input.Frame) ([]byte, error) {
	b = append(append(b, byte(len(viewer))), viewer...) // ids are 31 bytes
	return f.Append(b)
}

func decodeInput(b []byte) (signaling.PeerID, input.Frame, error) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return "", input.Frame{}, errFrame
	}
	viewer, rest := signaling.PeerID(b[1:1+int(b[0])]), b[1+int(b[0]):]
	f, err := input.Decode(rest)
	return viewer, f, err
}

// decodeWords takes text for people.
func decodeWords(b []byte) (string, error) {
	if len(b) > signaling.MaxText || !utf8.Valid(b) {
		return "", errFrame
	}
	return string(b), nil
}

func decodeText(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", errFrame
	}
	return string(b), nil
}

// decodeBody takes a body that is an envelope of the helper's, checked as if it came over a
// viewer's channel.
func decodeBody[T any](b []byte) (T, error) {
	var none T
	e, err := signaling.Decode(b, signaling.FromHelper)
	if err != nil {
		return none, err
	}
	body, ok := e.Body.(T)
	if !ok {
		return none, errFrame
	}
	return body, nil
}

func decodeNetwork(b []byte) (pace.Network, error) {
	var n pace.Network
	err := json.Unmarshal(b, &n)
	return n, err
}
