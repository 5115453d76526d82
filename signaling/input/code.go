package input

// Code names a physical key: its usage on page 7 (Keyboard/Keypad) of the USB HID Usage
// Tables 1.21, the same on every platform and in every layout. 0 is a key the browser
// could not name.
type Code uint16

// Keys that the agent or the viewer treats by name.
const (
	CodeEnter       Code = 0x28
	CodeEscape      Code = 0x29
	CodeTab         Code = 0x2b
	CodeSpace       Code = 0x2c
	CodeCapsLock    Code = 0x39
	CodePrintScreen Code = 0x46
	CodeScrollLock  Code = 0x47
	CodeDelete      Code = 0x4c
	CodeNumLock     Code = 0x53
	CodeCtrlLeft    Code = 0xe0
	CodeShiftLeft   Code = 0xe1
	CodeAltLeft     Code = 0xe2
	CodeMetaLeft    Code = 0xe3
	CodeCtrlRight   Code = 0xe4
	CodeShiftRight  Code = 0xe5
	CodeAltRight    Code = 0xe6
	CodeMetaRight   Code = 0xe7
)

// IsModifier reports whether the key is one of the eight modifiers.
func (c Code) IsModifier() bool { return c >= CodeCtrlLeft && c <= CodeMetaRight }

// NamedCode pairs a KeyboardEvent.code value with its HID usage.
type NamedCode struct {
	Name string // as in W3C UI Events KeyboardEvent code Values
	Code Code
}

// Codes lists every key the wire can name, by rising usage. Two usages that browsers give
// the same name (0x31 and 0x32 are both Backslash) appear once.
func Codes() []NamedCode {
	list := make([]NamedCode, 0, 160)
	for c := range Code(26) {
		list = append(list, NamedCode{"Key" + string(rune('A'+c)), 0x04 + c})
	}
	for c := range Code(10) {
		list = append(list, NamedCode{"Digit" + string(rune('0'+(c+1)%10)), 0x1e + c})
	}
	for i, name := range [...]string{
		"Enter", "Escape", "Backspace", "Tab", "Space", "Minus", "Equal", "BracketLeft", "BracketRight", "Backslash",
	} {
		list = append(list, NamedCode{name, 0x28 + Code(i)}) //nolint:gosec // a short table
	}
	for i, name := range [...]string{
		"Semicolon", "Quote", "Backquote", "Comma", "Period", "Slash", "CapsLock",
		"F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12",
		"PrintScreen", "ScrollLock", "Pause", "Insert", "Home", "PageUp", "Delete", "End", "PageDown",
		"ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp",
		"NumLock", "NumpadDivide", "NumpadMultiply", "NumpadSubtract", "NumpadAdd", "NumpadEnter",
		"Numpad1", "Numpad2", "Numpad3", "Numpad4", "Numpad5", "Numpad6", "Numpad7", "Numpad8", "Numpad9", "Numpad0",
		"NumpadDecimal", "IntlBackslash", "ContextMenu", "Power", "NumpadEqual",
		"F13", "F14", "F15", "F16", "F17", "F18", "F19", "F20", "F21", "F22", "F23", "F24", "Open", "Help",
	} {
		list = append(list, NamedCode{name, 0x33 + Code(i)}) //nolint:gosec // a short table
	}
	return append(list, []NamedCode{
		{"Select", 0x77},
		{"Again", 0x79},
		{"Undo", 0x7a},
		{"Cut", 0x7b},
		{"Copy", 0x7c},
		{"Paste", 0x7d},
		{"Find", 0x7e},
		{"AudioVolumeMute", 0x7f},
		{"AudioVolumeUp", 0x80},
		{"AudioVolumeDown", 0x81},
		{"NumpadComma", 0x85},
		{"IntlRo", 0x87},
		{"KanaMode", 0x88},
		{"IntlYen", 0x89},
		{"Convert", 0x8a},
		{"NonConvert", 0x8b},
		{"Lang1", 0x90},
		{"Lang2", 0x91},
		{"Lang3", 0x92},
		{"Lang4", 0x93},
		{"Lang5", 0x94},
		{"Abort", 0x9b},
		{"Props", 0xa3},
		{"NumpadParenLeft", 0xb6},
		{"NumpadParenRight", 0xb7},
		{"NumpadBackspace", 0xbb},
		{"NumpadMemoryStore", 0xd0},
		{"NumpadMemoryRecall", 0xd1},
		{"NumpadMemoryClear", 0xd2},
		{"NumpadMemoryAdd", 0xd3},
		{"NumpadMemorySubtract", 0xd4},
		{"NumpadClear", 0xd8},
		{"NumpadClearEntry", 0xd9},
		{"ControlLeft", CodeCtrlLeft},
		{"ShiftLeft", CodeShiftLeft},
		{"AltLeft", CodeAltLeft},
		{"MetaLeft", CodeMetaLeft},
		{"ControlRight", CodeCtrlRight},
		{"ShiftRight", CodeShiftRight},
		{"AltRight", CodeAltRight},
		{"MetaRight", CodeMetaRight},
	}...)
}
