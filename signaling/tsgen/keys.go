package main

import (
	"bytes"
	"fmt"

	"handrail/signaling/input"
)

// keys writes the frame numbers, limits and key codes of signaling/input.
func keys(string) ([]byte, error) {
	var w bytes.Buffer
	w.WriteString(banner)
	w.WriteString("/** The first byte of every frame; signaling/input says the layouts. */\nexport const frameType = {\n")
	for _, t := range input.Types() {
		fmt.Fprintf(&w, "  %s: 0x%02x,\n", t.Name, uint8(t.Type))
	}
	w.WriteString("} as const;\n\n")
	for _, l := range []struct {
		name, doc string
		value     int
	}{
		{"headerSize", "Bytes of type and sequence number before every frame's body.", input.HeaderSize},
		{"maxKeyText", "The most text one key may carry, in bytes.", input.MaxKeyText},
		{"maxText", "The most text one Text frame may carry, in bytes.", input.MaxText},
		{"maxHeld", "The most keys a Held frame lists.", input.MaxHeld},
		{"maxPNG", "The most a cursor's picture may take, in bytes.", input.MaxPNG},
		{"buttonCount", "Pointer buttons are numbered from 0 to one less than this.", input.ButtonCount},
	} {
		fmt.Fprintf(&w, "/** %s */\nexport const %s = %d;\n", l.doc, l.name, l.value)
	}
	w.WriteString("\n/** KeyboardEvent.code to its usage on page 7 of the USB HID tables. */\n")
	w.WriteString("export const keyCodes: Readonly<Record<string, number>> = {\n")
	for _, c := range input.Codes() {
		fmt.Fprintf(&w, "  %s: 0x%02x,\n", c.Name, uint16(c.Code))
	}
	w.WriteString("};\n")
	return w.Bytes(), nil
}
