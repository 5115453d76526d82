//go:build cgo && (windows || darwin || (linux && robotgo))

package inject

import (
	"errors"
	"time"
	"unicode/utf8"

	"handrail/signaling/input"

	"github.com/go-vgo/robotgo"
)

// robotBackend injects through robotgo: SendInput on Windows, Quartz events on macOS.
// Texts go as Unicode whatever the layout is, so that a key held for its text does not
// repeat; buttons back and forward, lock lights, and on Windows the horizontal wheel are
// not to be had through robotgo.
type robotBackend struct{ gone chan struct{} }

// open makes robotgo quick: it pauses after each key by default.
func (r *robotBackend) open() error {
	robotgo.KeySleep, robotgo.MouseSleep = 0, 0
	r.gone = make(chan struct{}) // never closed: these desktops do not go away under us
	if robotgo.DisplaysNum() == 0 {
		return errors.New("robotgo finds no display")
	}
	return nil
}

func (r *robotBackend) close() error          { return nil }
func (r *robotBackend) lost() <-chan struct{} { return r.gone }

// desktop returns the smallest rectangle around all displays.
func (r *robotBackend) desktop() rect {
	var all rect
	for i, m := range r.displays() {
		if i == 0 {
			all = m
			continue
		}
		right, bottom := max(all.x+all.w, m.x+m.w), max(all.y+all.h, m.y+m.h)
		all.x, all.y = min(all.x, m.x), min(all.y, m.y)
		all.w, all.h = right-all.x, bottom-all.y
	}
	return all
}

// displays tells where the monitors are while nobody else does (see Injector.monitor).
func (r *robotBackend) displays() []rect {
	out := make([]rect, 0, 4)
	for i := range robotgo.DisplaysNum() {
		x, y, w, h := robotgo.GetDisplayBounds(i)
		out = append(out, rect{x, y, w, h})
	}
	return out
}

func (r *robotBackend) move(x, y int) error {
	robotgo.Move(x, y)
	return nil
}

func (r *robotBackend) button(b uint8, down bool) error {
	name := map[uint8]string{input.ButtonLeft: "left", input.ButtonRight: "right", input.ButtonMiddle: "center"}[b]
	if name == "" {
		return nil
	}
	return robotgo.Toggle(name, direction(down))
}

func direction(down bool) string {
	if down {
		return "down"
	}
	return "up"
}

func (r *robotBackend) scroll(dx, dy int) error {
	robotgo.Scroll(-dx*scrollUnit*horizontal, -dy*scrollUnit, 0)
	return nil
}

func (r *robotBackend) press(code input.Code) (grip, error) {
	name := robotKey(code)
	if name == "" {
		return noGrip, nil
	}
	return grip(code), robotgo.KeyToggle(name, "down")
}

func (r *robotBackend) release(g grip) error { return robotgo.KeyToggle(robotKey(input.Code(g)), "up") }

func (r *robotBackend) pressText(_ input.Code, c rune) (grip, time.Duration, error) {
	robotgo.UnicodeType(uint32(c)) //nolint:gosec // a character
	return noGrip, 0, nil
}

func (r *robotBackend) typeSome(text []byte) (int, time.Duration, error) {
	for n := 0; n < len(text); {
		c, size := utf8.DecodeRune(text[n:])
		n += size
		var err error
		switch c {
		case '\n':
			err = robotgo.KeyTap("enter")
		case '\t':
			err = robotgo.KeyTap("tab")
		default:
			robotgo.UnicodeType(uint32(c)) //nolint:gosec // a character
		}
		if err != nil {
			return n, 0, err
		}
	}
	return len(text), 0, nil
}

// setLocks does nothing: robotgo can neither read nor set the lock lights, and texts go
// as Unicode whatever they are.
func (r *robotBackend) setLocks(input.Locks) error { return nil }

// robotKey returns robotgo's name for a physical key, "" for none. Keys that type are
// named by what they type on a US keyboard.
func robotKey(c input.Code) string {
	const letters, digits = "abcdefghijklmnopqrstuvwxyz", "1234567890"
	switch {
	case c >= 0x04 && c < 0x04+26:
		return letters[c-0x04 : c-0x03]
	case c >= 0x1e && c < 0x1e+10:
		return digits[c-0x1e : c-0x1d]
	}
	return robotKeys[c]
}

var robotKeys = map[input.Code]string{
	0x28: "enter", 0x29: "escape", 0x2a: "backspace", 0x2b: "tab", 0x2c: "space", 0x2d: "-", 0x2e: "=", 0x2f: "[",
	0x30: "]", 0x31: "\\", 0x33: ";", 0x34: "'", 0x35: "`", 0x36: ",", 0x37: ".", 0x38: "/", 0x39: "capslock",
	0x3a: "f1", 0x3b: "f2", 0x3c: "f3", 0x3d: "f4", 0x3e: "f5", 0x3f: "f6", 0x40: "f7", 0x41: "f8", 0x42: "f9",
	0x43: "f10", 0x44: "f11", 0x45: "f12", 0x46: "printscreen", 0x49: "insert", 0x4a: "home", 0x4b: "pageup",
	0x4c: "delete", 0x4d: "end", 0x4e: "pagedown", 0x4f: "right", 0x50: "left", 0x51: "down", 0x52: "up",
	0x53: "num_lock", 0x54: "num/", 0x55: "num*", 0x56: "num-", 0x57: "num+", 0x58: "num_enter", 0x59: "num1",
	0x5a: "num2", 0x5b: "num3", 0x5c: "num4", 0x5d: "num5", 0x5e: "num6", 0x5f: "num7", 0x60: "num8", 0x61: "num9",
	0x62: "num0", 0x63: "num.", 0x65: "menu", 0x67: "num_equal", 0x68: "f13", 0x69: "f14", 0x6a: "f15", 0x6b: "f16",
	0x6c: "f17", 0x6d: "f18", 0x6e: "f19", 0x6f: "f20", 0x70: "f21", 0x71: "f22", 0x72: "f23", 0x73: "f24",
	0x7f: "audio_mute", 0x80: "audio_vol_up", 0x81: "audio_vol_down",
	0xe0: "lctrl", 0xe1: "lshift", 0xe2: "lalt", 0xe3: "lcmd", 0xe4: "rctrl", 0xe5: "rshift", 0xe6: "ralt", 0xe7: "rcmd",
}
