// Package input states the binary frames of pointer and keyboard: what a viewer sends
// to a device, and what the device says back about its cursor and about how long a
// picture took. It is used by the agent (signaling/input -> agent/internal/inject), and
// by the viewer through golden vectors (testdata/golden.json) and a generated table of
// codes. It holds no connection and injects nothing.
//
// Every frame is big endian and begins with its type (1 byte) and a sequence number
// (4 bytes). A viewer counts all its frames, on both channels, with one counter that
// starts at 1, so that a Move that was overtaken by a later button or key can be told
// and dropped; so does the device with its own. Strings and lists carry their length;
// nothing may follow the last field.
//
//	channel "pointer" (unordered, no retransmits)     viewer -> agent  Move
//	                                                  agent -> viewer  CursorAt, Timing
//	channel "control" (reliable, ordered), binary     viewer -> agent  everything else
//	                                                  agent -> viewer  CursorShape, CursorUse
//
// Positions are 0..65535 across the named monitor, 0 its first and 65535 its last
// pixel, so that a change of resolution in flight cannot move the pointer off it.
// Monitor 0 is the whole desktop. Masks of buttons are the browser's
// MouseEvent.buttons, and a button's number is that of its bit. A viewer sends no key repeats: a key that is held
// repeats by the device's own setting.
package input
