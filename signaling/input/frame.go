package input

import "errors"

// Type is the first byte of a frame.
type Type uint8

// Frames from the viewer. The layout after the 5 bytes of type and sequence number is
// in each comment; numbers are bytes.
const (
	// Move moves the pointer: 1B monitor, 1B buttons held, 2B x, 2B y. The newest wins; a
	// move older than the last Button or Wheel is void. As one may get lost, a viewer sends
	// the last position once more when the pointer has come to rest.
	Move Type = 0x01 // 6 bytes after the header
	// KeyDown presses a key: 2B code, 1B mods, 1B length of text, text (UTF-8, at most
	// MaxKeyText bytes). Text is what the key produced in the browser, empty for a key
	// that produces none (arrows, shortcuts, dead keys).
	KeyDown Type = 0x10 // 4 to 36 bytes
	// KeyUp releases a key: 2B code, 1B mods. What was pressed is released, whatever the
	// modifiers have become since.
	KeyUp Type = 0x11 // 3 bytes
	// Button presses or releases a pointer button: 1B monitor, 1B button, 1B down (0 or 1),
	// 1B buttons held after it, 2B x, 2B y.
	Button Type = 0x12 // 8 bytes
	// Wheel turns the wheel: 1B monitor, 1B buttons held, 2B x, 2B y, 2B dx, 2B dy, signed,
	// in 1/120 of a notch; positive is right and down.
	Wheel Type = 0x13 // 10 bytes
	// Text types a text that no single key stands for, an IME's commit or a paste as
	// keystrokes: 2B length, text (UTF-8, at most MaxText bytes; line feed and tab are typed
	// as their keys).
	Text Type = 0x14 // 2 to 4098 bytes
	// Held lists what the viewer still holds, every 100 ms while it holds anything: 1B
	// buttons, 1B n, n times 2B code (at most MaxHeld). What it does not list is released.
	Held Type = 0x15 // 2 to 98 bytes
	// ReleaseAll lets go of everything this viewer holds: sent on blur and on hide.
	ReleaseAll Type = 0x16 // 0 bytes
	// SetLocks states the lock lights of the viewer's keyboard: 1B bits.
	SetLocks Type = 0x17 // 1 byte
)

// Frames from the agent.
const (
	// CursorShape brings a cursor the viewer has not seen: 8B hash, 2B hot spot x, 2B y, 2B
	// width, 2B height, PNG (at most MaxPNG bytes). Sizes are pixels of the device.
	CursorShape Type = 0x40 // 16 bytes and the PNG
	// CursorUse shows a shape sent before, or none: 8B hash, 1B visible (0 or 1).
	CursorUse Type = 0x41 // 9 bytes
	// CursorAt says where the pointer is, when something else than this viewer moved it:
	// 1B monitor, 2B x, 2B y.
	CursorAt Type = 0x42 // 5 bytes
	// Timing says where a picture's time went: 4B RTP timestamp, 4B sequence number of the
	// newest input frame injected before its capture (0 none), then microseconds of 4B
	// capture, 4B convert, 4B encode, 4B queue, and 1B flags.
	Timing Type = 0x43 // 25 bytes
)

// Limits of one frame, in bytes unless said otherwise.
const (
	HeaderSize = 5
	MaxKeyText = 32
	MaxText    = 4096
	MaxHeld    = 48       // keys; more is a stuck or a hostile viewer
	MaxPNG     = 56 << 10 // a frame fits one data channel message (60 KiB)
	MaxFrame   = HeaderSize + 16 + MaxPNG
)

// Buttons is a set of pointer buttons, bit b for button b: the mask of MouseEvent.buttons.
type Buttons uint8

// Pointer buttons, each the number of its bit in Buttons (MouseEvent.button numbers
// middle and right the other way round).
const (
	ButtonLeft    = 0
	ButtonRight   = 1
	ButtonMiddle  = 2
	ButtonBack    = 3
	ButtonForward = 4
)

// ButtonCount is the number of pointer buttons; they are 0 to ButtonCount-1.
const ButtonCount = 5

// Has reports whether button b (0 to ButtonCount-1) is in the set.
func (s Buttons) Has(b uint8) bool { return b < ButtonCount && s&(1<<b) != 0 }

const allButtons Buttons = 31

// Mods is the set of modifiers the browser reports with a key event: a modifier's own
// KeyDown includes it, its KeyUp does not.
type Mods uint8

// The modifiers.
const (
	Shift Mods = 1 << iota
	Ctrl
	Alt
	Meta  // Super, Windows, Command
	AltGr // getModifierState("AltGraph")
	CapsLock
	NumLock
)

const allMods Mods = 127

// Locks is the set of lock lights that are on.
type Locks uint8

// The lock lights.
const (
	LockCaps Locks = 1 << iota
	LockNum
	LockScroll
)

const allLocks Locks = 7

// Flags of Timing.
const (
	FlagKey     = 1 // a key picture
	FlagSharpen = 2 // a late pass that sharpens a picture at rest
)

// Frame is one decoded frame of a viewer. Type says which fields mean something; the
// others are zero. Text aliases the bytes that were decoded: copy it to keep it.
type Frame struct {
	Type    Type
	Seq     uint32  // 1 and up
	Monitor uint8   // Move, Button, Wheel: 0 is the whole desktop
	Buttons Buttons // Move, Button, Wheel, Held: what is held after this frame
	X, Y    uint16  // Move, Button, Wheel: 0..65535 across the monitor
	Button  uint8   // Button: 0 to ButtonCount-1
	Down    bool    // Button
	DX, DY  int16   // Wheel: 1/120 notch, positive right and down
	Code    Code    // KeyDown, KeyUp; 0 when the browser could not name the key
	Mods    Mods    // KeyDown, KeyUp
	Locks   Locks   // SetLocks
	Text    []byte  // KeyDown, Text: valid UTF-8 without control characters but \n and \t
	held    []byte  // Held: 2 bytes a code
}

// HeldCount returns how many keys a Held frame lists.
func (f *Frame) HeldCount() int { return len(f.held) / 2 }

// HeldCode returns key i (below HeldCount) of a Held frame.
func (f *Frame) HeldCode(i int) Code { return Code(uint16(f.held[2*i])<<8 | uint16(f.held[2*i+1])) }

// SetHeld makes the keys of a Held frame; codes is copied.
func (f *Frame) SetHeld(codes []Code) {
	f.held = make([]byte, 0, 2*len(codes))
	for _, c := range codes {
		f.held = append(f.held, byte(c>>8), byte(c))
	}
}

// AgentFrame is one decoded frame of an agent. Type says which fields mean something.
// PNG aliases the bytes that were decoded.
type AgentFrame struct {
	Type          Type
	Seq           uint32 // 1 and up, the agent's own count
	Hash          uint64 // CursorShape, CursorUse
	HotX, HotY    uint16 // CursorShape: pixels from its upper left corner
	Width, Height uint16 // CursorShape: pixels
	PNG           []byte // CursorShape
	Visible       bool   // CursorUse
	Monitor       uint8  // CursorAt
	X, Y          uint16 // CursorAt: 0..65535 across the monitor
	RTP           uint32 // Timing: the picture's RTP timestamp
	InputSeq      uint32 // Timing: newest input frame injected before capture, 0 none
	CaptureUS     uint32 // Timing: microseconds, as the next three
	ConvertUS     uint32 // Timing
	EncodeUS      uint32 // Timing
	QueueUS       uint32 // Timing: from encoded to handed to the network
	Flags         uint8  // Timing: FlagKey, FlagSharpen
}

// Errors of Decode, DecodeAgent and Append. All mean that the other end is broken or
// hostile; nothing of such a frame may be acted upon.
var (
	ErrLength = errors.New("input frame has the wrong length")
	ErrType   = errors.New("input frame has an unknown type")
	ErrField  = errors.New("input frame has a field out of range")
	ErrText   = errors.New("input frame has text that is not plain UTF-8")
)

// NamedType is a frame type with the name the viewer's table gives it.
type NamedType struct {
	Name    string
	Type    Type
	Pointer bool // travels on channel "pointer", not "control"
	Agent   bool // is sent by the agent
}

// Types lists every frame type, in order of their numbers.
func Types() []NamedType {
	return []NamedType{
		{"move", Move, true, false},
		{"key_down", KeyDown, false, false},
		{"key_up", KeyUp, false, false},
		{"button", Button, false, false},
		{"wheel", Wheel, false, false},
		{"text", Text, false, false},
		{"held", Held, false, false},
		{"release_all", ReleaseAll, false, false},
		{"set_locks", SetLocks, false, false},
		{"cursor_shape", CursorShape, false, true},
		{"cursor_use", CursorUse, false, true},
		{"cursor_at", CursorAt, true, true},
		{"timing", Timing, true, true},
	}
}

// String returns the type's name, or "unknown".
func (t Type) String() string {
	for _, n := range Types() {
		if n.Type == t {
			return n.Name
		}
	}
	return "unknown"
}

// IsPointer reports whether frames of this type travel on channel "pointer"; a receiver
// refuses a frame that came on the other channel.
func (t Type) IsPointer() bool { return t == Move || t == CursorAt || t == Timing }

// IsEdge reports whether frames of this type make every earlier Move void: they carry
// their own position. Keys do not: a move they overtook still counts.
func (t Type) IsEdge() bool { return t == Button || t == Wheel }
