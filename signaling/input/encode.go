package input

import "encoding/binary"

// Append encodes f to the end of b and returns the longer slice. It returns b as it was
// and ErrType, ErrLength, ErrField or ErrText when Decode would refuse the result.
func (f *Frame) Append(b []byte) ([]byte, error) {
	n := len(b)
	out := binary.BigEndian.AppendUint32(append(b, byte(f.Type)), f.Seq)
	switch f.Type {
	case Move:
		out = append(out, f.Monitor, byte(f.Buttons))
		out = f.appendPosition(out)
	case KeyDown:
		if len(f.Text) > MaxKeyText {
			return b, ErrLength
		}
		out = binary.BigEndian.AppendUint16(out, uint16(f.Code))
		out = append(out, byte(f.Mods), byte(len(f.Text)))
		out = append(out, f.Text...)
	case KeyUp:
		out = append(binary.BigEndian.AppendUint16(out, uint16(f.Code)), byte(f.Mods))
	case Button:
		out = append(out, f.Monitor, f.Button, bit(f.Down), byte(f.Buttons))
		out = f.appendPosition(out)
	case Wheel:
		out = append(out, f.Monitor, byte(f.Buttons))
		out = f.appendPosition(out)
		out = binary.BigEndian.AppendUint16(out, uint16(f.DX)) //nolint:gosec // two's complement on the wire
		out = binary.BigEndian.AppendUint16(out, uint16(f.DY)) //nolint:gosec // two's complement on the wire
	case Text:
		if len(f.Text) > MaxText {
			return b, ErrLength
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(f.Text))) //nolint:gosec // at most MaxText
		out = append(out, f.Text...)
	case Held:
		if f.HeldCount() > MaxHeld {
			return b, ErrLength
		}
		out = append(out, byte(f.Buttons), byte(f.HeldCount())) //nolint:gosec // at most MaxHeld
		out = append(out, f.held...)
	case SetLocks:
		out = append(out, byte(f.Locks))
	default: // ReleaseAll has no body; Decode refuses the others
	}
	if _, err := Decode(out[n:]); err != nil {
		return b, err
	}
	return out, nil
}

func (f *Frame) appendPosition(b []byte) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, f.X), f.Y)
}

// Append encodes f to the end of b and returns the longer slice. It returns b as it was
// and an error when DecodeAgent would refuse the result.
func (f *AgentFrame) Append(b []byte) ([]byte, error) {
	n := len(b)
	out := binary.BigEndian.AppendUint32(append(b, byte(f.Type)), f.Seq)
	switch f.Type {
	case CursorShape:
		out = binary.BigEndian.AppendUint64(out, f.Hash)
		for _, v := range [...]uint16{f.HotX, f.HotY, f.Width, f.Height} {
			out = binary.BigEndian.AppendUint16(out, v)
		}
		out = append(out, f.PNG...)
	case CursorUse:
		out = append(binary.BigEndian.AppendUint64(out, f.Hash), bit(f.Visible))
	case CursorAt:
		out = binary.BigEndian.AppendUint16(append(out, f.Monitor), f.X)
		out = binary.BigEndian.AppendUint16(out, f.Y)
	case Timing:
		for _, v := range [...]uint32{f.RTP, f.InputSeq, f.CaptureUS, f.ConvertUS, f.EncodeUS, f.QueueUS} {
			out = binary.BigEndian.AppendUint32(out, v)
		}
		out = append(out, f.Flags)
	default: // DecodeAgent refuses it
	}
	if _, err := DecodeAgent(out[n:]); err != nil {
		return b, err
	}
	return out, nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
