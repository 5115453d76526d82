package input

import (
	"encoding/binary"
	"unicode/utf8"
)

// Decode reads one frame of a viewer, without allocating. The frame's Text and held
// keys alias b. It returns ErrLength, ErrType, ErrField or ErrText and a zero frame
// when b is not exactly one well-formed frame.
func Decode(b []byte) (Frame, error) {
	if len(b) < HeaderSize {
		return Frame{}, ErrLength
	}
	f := Frame{Type: Type(b[0]), Seq: binary.BigEndian.Uint32(b[1:])}
	p := b[HeaderSize:]
	shortest, longest, ok := viewerSize(f.Type)
	if !ok {
		return Frame{}, ErrType
	}
	if len(p) < shortest || len(p) > longest {
		return Frame{}, ErrLength
	}
	if f.Seq == 0 {
		return Frame{}, ErrField
	}
	if err := f.decodeBody(p); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// viewerSize returns the bounds of what follows the header; Decode checks them once, so
// that decodeBody may index the fixed part.
func viewerSize(t Type) (shortest, longest int, ok bool) {
	switch t {
	case Move:
		return 6, 6, true
	case KeyDown:
		return 4, 4 + MaxKeyText, true
	case KeyUp:
		return 3, 3, true
	case Button:
		return 8, 8, true
	case Wheel:
		return 10, 10, true
	case Text:
		return 2, 2 + MaxText, true
	case Held:
		return 2, 2 + 2*MaxHeld, true
	case ReleaseAll:
		return 0, 0, true
	case SetLocks:
		return 1, 1, true
	default:
		return 0, 0, false
	}
}

func (f *Frame) decodeBody(p []byte) error {
	switch f.Type {
	case Move:
		f.Monitor, f.Buttons = p[0], Buttons(p[1])&allButtons
		f.X, f.Y = binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint16(p[4:])
	case KeyDown:
		f.Code, f.Mods, f.Text = Code(binary.BigEndian.Uint16(p)), Mods(p[2])&allMods, p[4:]
		if int(p[3]) != len(f.Text) {
			return ErrLength
		}
		return checkText(f.Text)
	case KeyUp:
		f.Code, f.Mods = Code(binary.BigEndian.Uint16(p)), Mods(p[2])&allMods
	case Button:
		f.Monitor, f.Button, f.Down, f.Buttons = p[0], p[1], p[2] == 1, Buttons(p[3])&allButtons
		f.X, f.Y = binary.BigEndian.Uint16(p[4:]), binary.BigEndian.Uint16(p[6:])
		if f.Button >= ButtonCount || p[2] > 1 {
			return ErrField
		}
	case Wheel:
		f.Monitor, f.Buttons = p[0], Buttons(p[1])&allButtons
		f.X, f.Y = binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint16(p[4:])
		f.DX, f.DY = int16(binary.BigEndian.Uint16(p[6:])), int16(binary.BigEndian.Uint16(p[8:])) //nolint:gosec // two's complement on the wire
	case Text:
		f.Text = p[2:]
		if int(binary.BigEndian.Uint16(p)) != len(f.Text) {
			return ErrLength
		}
		return checkText(f.Text)
	case Held:
		f.Buttons, f.held = Buttons(p[0])&allButtons, p[2:]
		if 2*int(p[1]) != len(f.held) {
			return ErrLength
		}
	case SetLocks:
		f.Locks = Locks(p[0]) & allLocks
	default: // ReleaseAll has no body
	}
	return nil
}

// DecodeAgent reads one frame of an agent, without allocating. PNG aliases b. Errors are
// those of Decode.
func DecodeAgent(b []byte) (AgentFrame, error) {
	if len(b) < HeaderSize {
		return AgentFrame{}, ErrLength
	}
	f := AgentFrame{Type: Type(b[0]), Seq: binary.BigEndian.Uint32(b[1:])}
	p := b[HeaderSize:]
	shortest, longest, ok := agentSize(f.Type)
	if !ok {
		return AgentFrame{}, ErrType
	}
	if len(p) < shortest || len(p) > longest {
		return AgentFrame{}, ErrLength
	}
	if f.Seq == 0 {
		return AgentFrame{}, ErrField
	}
	switch f.Type {
	case CursorShape:
		f.Hash = binary.BigEndian.Uint64(p)
		f.HotX, f.HotY = binary.BigEndian.Uint16(p[8:]), binary.BigEndian.Uint16(p[10:])
		f.Width, f.Height, f.PNG = binary.BigEndian.Uint16(p[12:]), binary.BigEndian.Uint16(p[14:]), p[16:]
	case CursorUse:
		f.Hash, f.Visible = binary.BigEndian.Uint64(p), p[8] == 1
		if p[8] > 1 {
			return AgentFrame{}, ErrField
		}
	case CursorAt:
		f.Monitor, f.X, f.Y = p[0], binary.BigEndian.Uint16(p[1:]), binary.BigEndian.Uint16(p[3:])
	default: // Timing
		f.RTP, f.InputSeq = binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
		f.CaptureUS, f.ConvertUS = binary.BigEndian.Uint32(p[8:]), binary.BigEndian.Uint32(p[12:])
		f.EncodeUS, f.QueueUS = binary.BigEndian.Uint32(p[16:]), binary.BigEndian.Uint32(p[20:])
		f.Flags = p[24]
	}
	return f, nil
}

func agentSize(t Type) (shortest, longest int, ok bool) {
	switch t {
	case CursorShape:
		return 16, 16 + MaxPNG, true
	case CursorUse:
		return 9, 9, true
	case CursorAt:
		return 5, 5, true
	case Timing:
		return 25, 25, true
	default:
		return 0, 0, false
	}
}

// checkText refuses what cannot be typed: bytes that are not UTF-8, and control characters
// (escape sequences for a terminal) other than line feed and tab.
func checkText(b []byte) error {
	if !utf8.Valid(b) {
		return ErrText
	}
	for i, c := range b {
		// U+0080..U+009F, the C1 controls, are C2 80..C2 9F in UTF-8.
		c1 := c == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0
		if c1 || c == 0x7f || c < 0x20 && c != '\n' && c != '\t' {
			return ErrText
		}
	}
	return nil
}
