package inject

import "handrail/signaling/input"

// keycodes maps a HID usage to the X keycode of the same physical key on a server with
// evdev keycodes, which is every Linux server since 2009: the kernel's KEY_ number
// (linux/input-event-codes.h) and 8. 0 is a key the kernel has no number below 248 for.
var keycodes = evdevKeycodes()

func evdevKeycodes() (t [256]byte) {
	set := func(first input.Code, evdev ...byte) {
		for i, e := range evdev {
			t[int(first)+i] = e + 8
		}
	}
	// KeyA to KeyZ, then Digit1 to Digit0.
	set(0x04, 30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44)
	set(0x1e, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	// Enter, Escape, Backspace, Tab, Space, Minus, Equal, BracketLeft, BracketRight, Backslash (two usages)
	set(0x28, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43)
	// Semicolon, Quote, Backquote, Comma, Period, Slash, CapsLock, F1 to F12
	set(0x33, 39, 40, 41, 51, 52, 53, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88)
	// PrintScreen, ScrollLock, Pause, Insert, Home, PageUp, Delete, End, PageDown
	set(0x46, 99, 70, 119, 110, 102, 104, 111, 107, 109)
	// ArrowRight, ArrowLeft, ArrowDown, ArrowUp
	set(0x4f, 106, 105, 108, 103)
	// NumLock, NumpadDivide, Multiply, Subtract, Add, Enter, Numpad1 to Numpad0, Decimal
	set(0x53, 69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83)
	// IntlBackslash, ContextMenu, Power, NumpadEqual, F13 to F24
	set(0x64, 86, 127, 116, 117, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193, 194)
	// Open, Help, Props, Select (Front), Stop, Again, Undo, Cut, Copy, Paste, Find
	set(0x74, 134, 138, 130, 132, 128, 129, 131, 137, 133, 135, 136)
	// AudioVolumeMute, Up, Down
	set(0x7f, 113, 115, 114)
	// NumpadComma; IntlRo, KanaMode, IntlYen, Convert, NonConvert; Lang1 to Lang5
	set(0x85, 121)
	set(0x87, 89, 93, 124, 92, 94)
	set(0x90, 122, 123, 90, 91, 85)
	set(0x9b, 128)
	set(0xa3, 130)
	set(0xb6, 179, 180)
	// ControlLeft, ShiftLeft, AltLeft, MetaLeft, ControlRight, ShiftRight, AltRight, MetaRight
	set(input.CodeCtrlLeft, 29, 42, 56, 125, 97, 54, 100, 126)
	return t
}

// keycodeOf returns the keycode of a physical key, 0 for none.
func keycodeOf(c input.Code) byte {
	if int(c) >= len(keycodes) {
		return 0
	}
	return keycodes[c]
}
