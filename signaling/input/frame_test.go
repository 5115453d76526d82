package input_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strconv"
	"testing"

	"handrail/signaling/input"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew from the vectors' fields")

// vector is one entry of testdata/golden.json, which viewer tests read as well. Hash is
// a decimal string because a JavaScript number holds only 53 bits.
type vector struct {
	Name    string         `json:"name"`
	From    string         `json:"from"`              // "viewer" or "helper" (the agent)
	Channel string         `json:"channel,omitempty"` // "pointer" or "control"
	Hex     string         `json:"hex"`
	Frame   map[string]any `json:"frame,omitempty"`
	Error   string         `json:"error,omitempty"` // "length", "type", "field" or "text"
}

const goldenFile = "testdata/golden.json"

func readGolden(tb testing.TB) []vector {
	tb.Helper()
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		tb.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		tb.Fatal(err)
	}
	return vs
}

// viewerFields gives the golden form of a decoded frame: only the fields its type has.
func viewerFields(f input.Frame) map[string]any {
	m := map[string]any{"type": f.Type.String(), "seq": float64(f.Seq)}
	position := func() {
		m["monitor"], m["buttons"], m["x"], m["y"] = float64(f.Monitor), float64(f.Buttons), float64(f.X), float64(f.Y)
	}
	switch f.Type {
	case input.Move:
		position()
	case input.KeyDown:
		m["code"], m["mods"], m["text"] = float64(f.Code), float64(f.Mods), string(f.Text)
	case input.KeyUp:
		m["code"], m["mods"] = float64(f.Code), float64(f.Mods)
	case input.Button:
		position()
		m["button"], m["down"] = float64(f.Button), f.Down
	case input.Wheel:
		position()
		m["dx"], m["dy"] = float64(f.DX), float64(f.DY)
	case input.Text:
		m["text"] = string(f.Text)
	case input.Held:
		codes := []any{}
		for i := range f.HeldCount() {
			codes = append(codes, float64(f.HeldCode(i)))
		}
		m["buttons"], m["codes"] = float64(f.Buttons), codes
	case input.SetLocks:
		m["locks"] = float64(f.Locks)
	default:
	}
	return m
}

func agentFields(f input.AgentFrame) map[string]any {
	m := map[string]any{"type": f.Type.String(), "seq": float64(f.Seq)}
	hash := strconv.FormatUint(f.Hash, 10)
	switch f.Type {
	case input.CursorShape:
		m["hash"], m["hot_x"], m["hot_y"] = hash, float64(f.HotX), float64(f.HotY)
		m["width"], m["height"], m["png"] = float64(f.Width), float64(f.Height), hex.EncodeToString(f.PNG)
	case input.CursorUse:
		m["hash"], m["visible"] = hash, f.Visible
	case input.CursorAt:
		m["monitor"], m["x"], m["y"] = float64(f.Monitor), float64(f.X), float64(f.Y)
	case input.Timing:
		m["rtp"], m["input_seq"], m["flags"] = float64(f.RTP), float64(f.InputSeq), float64(f.Flags)
		m["capture_us"], m["convert_us"] = float64(f.CaptureUS), float64(f.ConvertUS)
		m["encode_us"], m["queue_us"] = float64(f.EncodeUS), float64(f.QueueUS)
	default:
	}
	return m
}

func channelOf(t input.Type) string {
	if t.IsPointer() {
		return "pointer"
	}
	return "control"
}

func decodeVector(v vector, b []byte) (fields map[string]any, again []byte, err error) {
	if v.From == "helper" {
		f, err := input.DecodeAgent(b)
		if err != nil {
			return nil, nil, err
		}
		again, err = f.Append(nil)
		return agentFields(f), again, err
	}
	f, err := input.Decode(b)
	if err != nil {
		return nil, nil, err
	}
	again, err = f.Append(nil)
	return viewerFields(f), again, err
}

func errorName(err error) string {
	switch {
	case errors.Is(err, input.ErrLength):
		return "length"
	case errors.Is(err, input.ErrType):
		return "type"
	case errors.Is(err, input.ErrField):
		return "field"
	case errors.Is(err, input.ErrText):
		return "text"
	}
	return ""
}

func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	seen := map[string]bool{}
	for _, v := range readGolden(t) {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		fields, again, err := decodeVector(v, b)
		if got := errorName(err); got != v.Error {
			t.Errorf("%s: Decode(%x) error = %v, want %q", v.Name, b, err, v.Error)
			continue
		}
		if err != nil {
			continue
		}
		if d := cmp.Diff(v.Frame, fields); d != "" {
			t.Errorf("%s: Decode(%x) (-want +got):\n%s", v.Name, b, d)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%s: Append = %x, want %x", v.Name, again, b)
		}
		typ := input.Type(b[0])
		if want := channelOf(typ); v.Channel != want {
			t.Errorf("%s: channel %q, want %q", v.Name, v.Channel, want)
		}
		seen[fields["type"].(string)] = true //nolint:forcetypeassert // set a few lines up
	}
	for _, n := range input.Types() {
		if !seen[n.Name] {
			t.Errorf("no golden vector for %s", n.Name)
		}
	}
}

func TestTypesAgree(t *testing.T) {
	for _, n := range input.Types() {
		if n.Type.String() != n.Name || n.Type.IsPointer() != n.Pointer {
			t.Errorf("%+v: String %q, IsPointer %v", n, n.Type, n.Type.IsPointer())
		}
	}
}

func TestCodes(t *testing.T) {
	names, codes := map[string]bool{}, map[input.Code]bool{}
	last := input.Code(0)
	for _, c := range input.Codes() {
		if names[c.Name] || codes[c.Code] || c.Code <= last {
			t.Errorf("%s %#x: twice, or out of order", c.Name, c.Code)
		}
		names[c.Name], codes[c.Code], last = true, true, c.Code
	}
	for name, want := range map[string]input.Code{
		"KeyA": 0x04, "KeyZ": 0x1d, "Digit1": 0x1e, "Digit0": 0x27, "Backslash": 0x31, "Semicolon": 0x33,
		"CapsLock": 0x39, "F1": 0x3a, "F12": 0x45, "PrintScreen": 0x46, "ArrowRight": 0x4f, "ArrowUp": 0x52,
		"NumLock": 0x53, "Numpad0": 0x62, "NumpadDecimal": 0x63, "IntlBackslash": 0x64, "ContextMenu": 0x65,
		"NumpadEqual": 0x67, "F13": 0x68, "F24": 0x73, "Open": 0x74, "Help": 0x75, "MetaRight": 0xe7,
	} {
		found := input.Code(0)
		for _, c := range input.Codes() {
			if c.Name == name {
				found = c.Code
			}
		}
		if found != want {
			t.Errorf("%s = %#x, want %#x", name, found, want)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	for _, v := range readGolden(t) {
		b, _ := hex.DecodeString(v.Hex)
		n := testing.AllocsPerRun(100, func() {
			if v.From == "helper" {
				_, _ = input.DecodeAgent(b)
			} else {
				_, _ = input.Decode(b)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", v.Name, n)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	prefix := []byte("kept")
	tooMany := input.Frame{Type: input.Held, Seq: 1}
	tooMany.SetHeld(make([]input.Code, input.MaxHeld+1))
	for _, tc := range []struct {
		name string
		f    input.Frame
		want error
	}{
		{"no sequence number", input.Frame{Type: input.Move}, input.ErrField},
		{"no such type", input.Frame{Type: 0x7f, Seq: 1}, input.ErrType},
		{"an agent's type", input.Frame{Type: input.Timing, Seq: 1}, input.ErrType},
		{"long key text", input.Frame{Type: input.KeyDown, Seq: 1, Text: make([]byte, input.MaxKeyText+1)}, input.ErrLength},
		{"long text", input.Frame{Type: input.Text, Seq: 1, Text: bytes.Repeat([]byte("a"), input.MaxText+1)}, input.ErrLength},
		{"escape", input.Frame{Type: input.Text, Seq: 1, Text: []byte("\x1b[2J")}, input.ErrText},
		{"too many keys", tooMany, input.ErrLength},
		{"button", input.Frame{Type: input.Button, Seq: 1, Button: input.ButtonCount}, input.ErrField},
	} {
		got, err := tc.f.Append(prefix)
		if !errors.Is(err, tc.want) || string(got) != "kept" {
			t.Errorf("%s: Append = %q, %v, want %v", tc.name, got, err, tc.want)
		}
	}
	big := input.AgentFrame{Type: input.CursorShape, Seq: 1, PNG: make([]byte, input.MaxPNG+1)}
	if _, err := big.Append(nil); !errors.Is(err, input.ErrLength) {
		t.Errorf("big cursor: %v", err)
	}
}

func TestButtonsHas(t *testing.T) {
	for b := range uint8(10) {
		if got := input.Buttons(1 << b).Has(b); got != (b < input.ButtonCount) {
			t.Errorf("Has(%d) = %v", b, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range readGolden(f) {
		b, _ := hex.DecodeString(v.Hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if fr, err := input.Decode(b); err == nil {
			checkAgain(t, b, fr.Append)
		}
		if fr, err := input.DecodeAgent(b); err == nil {
			checkAgain(t, b, fr.Append)
		}
	})
}

// checkAgain encodes a decoded frame: it must be as long as it came, and decode again to
// the same bytes (unknown bits of bitmaps are dropped the first time).
func checkAgain(t *testing.T, b []byte, appendTo func([]byte) ([]byte, error)) {
	t.Helper()
	again, err := appendTo(nil)
	if err != nil || len(again) != len(b) {
		t.Fatalf("Append after Decode(%x) = %x, %v", b, again, err)
	}
}

func BenchmarkDecodeMove(b *testing.B) {
	fr := input.Frame{Type: input.Move, Seq: 7, Monitor: 1, X: 1234, Y: 4321}
	buf, err := fr.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := input.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
