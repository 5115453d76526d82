package input_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"handrail/signaling/input"
)

// writeGolden makes testdata/golden.json from these frames and broken byte strings.
func writeGolden(t *testing.T) {
	t.Helper()
	held := input.Frame{Type: input.Held, Seq: 12, Buttons: 1}
	held.SetHeld([]input.Code{input.CodeShiftLeft, 0x04})
	none := input.Frame{Type: input.Held, Seq: 13}
	var out []vector
	for _, v := range []struct {
		name string
		f    input.Frame
	}{
		{"move to the upper left corner", input.Frame{Type: input.Move, Seq: 1}},
		{"move with two buttons", input.Frame{Type: input.Move, Seq: 0xfffffffe, Monitor: 2, Buttons: 5, X: 65535, Y: 32768}},
		{"key a", input.Frame{Type: input.KeyDown, Seq: 2, Code: 0x04, Text: []byte("a")}},
		{"key with AltGr, text of three bytes", input.Frame{Type: input.KeyDown, Seq: 3, Code: 0x08, Mods: input.AltGr, Text: []byte("€")}},
		{"key of a shortcut, no text", input.Frame{Type: input.KeyDown, Seq: 4, Code: 0x06, Mods: input.Ctrl | input.Shift | input.NumLock}},
		{"key without a name, an emoji", input.Frame{Type: input.KeyDown, Seq: 5, Text: []byte("🙂")}},
		{"key up", input.Frame{Type: input.KeyUp, Seq: 6, Code: 0xe6, Mods: input.CapsLock}},
		{"button left down", input.Frame{Type: input.Button, Seq: 7, Monitor: 1, Down: true, Buttons: 1, X: 256, Y: 255}},
		{"button right up", input.Frame{Type: input.Button, Seq: 8, Monitor: 1, Button: input.ButtonRight, Buttons: 16, X: 1, Y: 2}},
		{"wheel one notch down", input.Frame{Type: input.Wheel, Seq: 9, X: 3, Y: 4, DY: 120}},
		{"wheel left and up, fractions", input.Frame{Type: input.Wheel, Seq: 10, Buttons: 4, X: 3, Y: 4, DX: -1, DY: -32768}},
		{"text", input.Frame{Type: input.Text, Seq: 11, Text: []byte("Grüße, 世界\n\t🙂")}},
		{"empty text", input.Frame{Type: input.Text, Seq: 11}},
		{"held", held},
		{"nothing held", none},
		{"release all", input.Frame{Type: input.ReleaseAll, Seq: 14}},
		{"locks", input.Frame{Type: input.SetLocks, Seq: 15, Locks: input.LockCaps | input.LockNum}},
	} {
		b, err := v.f.Append(nil)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		back, err := input.Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		out = append(out, vector{Name: v.name, From: "viewer", Channel: channelOf(back.Type), Hex: hex.EncodeToString(b), Frame: viewerFields(back)})
	}
	for _, v := range []struct {
		name string
		f    input.AgentFrame
	}{
		{"cursor shape", input.AgentFrame{
			Type: input.CursorShape, Seq: 1, Hash: 0x0123456789abcdef, HotX: 1, HotY: 2, Width: 24, Height: 32,
			PNG: []byte("\x89PNG\r\n\x1a\n"),
		}},
		{"cursor shown", input.AgentFrame{Type: input.CursorUse, Seq: 2, Hash: 0xfedcba9876543210, Visible: true}},
		{"cursor hidden", input.AgentFrame{Type: input.CursorUse, Seq: 3}},
		{"cursor position", input.AgentFrame{Type: input.CursorAt, Seq: 4, Monitor: 1, X: 65535, Y: 1}},
		{"timing", input.AgentFrame{
			Type: input.Timing, Seq: 5, RTP: 0xdeadbeef, InputSeq: 77, CaptureUS: 1100, ConvertUS: 1200, EncodeUS: 10000,
			QueueUS: 300, Flags: input.FlagKey,
		}},
	} {
		b, err := v.f.Append(nil)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		out = append(out, vector{Name: v.name, From: "helper", Channel: channelOf(v.f.Type), Hex: hex.EncodeToString(b), Frame: agentFields(v.f)})
	}
	out = append(out, []vector{
		{Name: "empty", From: "viewer", Error: "length"},
		{Name: "header cut", From: "viewer", Hex: "01000000", Error: "length"},
		{Name: "move cut", From: "viewer", Hex: "0100000001000000ffff", Error: "length"},
		{Name: "move too long", From: "viewer", Hex: "010000000100000000000000", Error: "length"},
		{Name: "unknown type", From: "viewer", Hex: "7f00000001", Error: "type"},
		{Name: "type of the other side", From: "viewer", Hex: "4200000001000000ffff", Error: "type"},
		{Name: "sequence number 0", From: "viewer", Hex: "1600000000", Error: "field"},
		{Name: "button 5", From: "viewer", Hex: "1200000001000501000000ffff", Error: "field"},
		{Name: "button neither down nor up", From: "viewer", Hex: "1200000001000002000000ffff", Error: "field"},
		{Name: "key text shorter than it says", From: "viewer", Hex: "100000000100040002" + "61", Error: "length"},
		{Name: "key text not UTF-8", From: "viewer", Hex: "100000000100040001" + "ff", Error: "text"},
		{Name: "key text an escape", From: "viewer", Hex: "100000000100290001" + "1b", Error: "text"},
		{Name: "text with a C1 control", From: "viewer", Hex: "14000000010002" + "c29b", Error: "text"},
		{Name: "held list shorter than it says", From: "viewer", Hex: "15000000010002" + "0004", Error: "length"},
		{Name: "cursor use neither shown nor hidden", From: "helper", Hex: "4100000001000000000000000002", Error: "field"},
		{Name: "cursor shape cut", From: "helper", Hex: "4000000001" + "0000", Error: "length"},
		{Name: "type of the viewer", From: "helper", Hex: "1600000001", Error: "type"},
	}...)
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, append(b, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}
