package shell_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"handrail/signaling/shell"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew")

// golden is a frame as both languages must read and write it.
type golden struct {
	Name  string     `json:"name"`
	Hex   string     `json:"hex"`
	Kind  shell.Kind `json:"kind"` // 0: not a frame
	Bytes string     `json:"bytes,omitempty"`
	Shown uint64     `json:"shown,omitempty"`
}

func vectors() []golden {
	return []golden{
		{Name: "a key", Hex: "0161", Kind: shell.Input, Bytes: "a"},
		{Name: "an arrow", Hex: "011b5b41", Kind: shell.Input, Bytes: "\x1b[A"},
		{Name: "letters", Hex: "03c3a40a", Kind: shell.Output, Bytes: "ä\n"},
		{Name: "shown", Hex: "020000000000010203", Kind: shell.Shown, Shown: 66051},
		{Name: "shown much", Hex: "02001fffffffffffff", Kind: shell.Shown, Shown: 1<<53 - 1},
		{Name: "nothing", Hex: ""},
		{Name: "no bytes", Hex: "01"},
		{Name: "shown is short", Hex: "0200000000"},
		{Name: "shown is long", Hex: "02000000000001020304"},
		{Name: "no such kind", Hex: "0461"},
	}
}

func TestGolden(t *testing.T) {
	want, err := json.MarshalIndent(vectors(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("testdata/golden.json", want, 0o644); err != nil { //nolint:gosec // part of the source
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("testdata/golden.json"); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("testdata/golden.json is not of these vectors (%v); run with -update", err)
	}
	for _, g := range vectors() {
		b, err := hex.DecodeString(g.Hex)
		if err != nil {
			t.Fatal(err)
		}
		f, err := shell.Decode(b)
		if g.Kind == 0 {
			if !errors.Is(err, shell.ErrFrame) {
				t.Errorf("%s: Decode = %+v, %v, want ErrFrame", g.Name, f, err)
			}
			continue
		}
		if err != nil || f.Kind != g.Kind || string(f.Bytes) != g.Bytes || f.Shown != g.Shown {
			t.Errorf("%s: Decode = %+v, %v", g.Name, f, err)
		}
		if back, err := f.Append(nil); err != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: Append = %x, %v, want %x", g.Name, back, err, b)
		}
	}
}

func TestLimits(t *testing.T) {
	most := append([]byte{byte(shell.Output)}, make([]byte, shell.MaxBytes)...)
	if _, err := shell.Decode(most); err != nil {
		t.Errorf("the largest frame: %v", err)
	}
	if _, err := shell.Decode(append(most, 0)); !errors.Is(err, shell.ErrFrame) {
		t.Errorf("a larger one: %v", err)
	}
	for _, f := range []shell.Frame{{}, {Kind: shell.Input}, {Kind: 9, Bytes: []byte("x")}, {Kind: shell.Output, Bytes: make([]byte, shell.MaxBytes+1)}} {
		if b, err := f.Append(nil); !errors.Is(err, shell.ErrFrame) {
			t.Errorf("Append of kind %d with %d bytes = %d bytes, %v", f.Kind, len(f.Bytes), len(b), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range vectors() {
		b, err := hex.DecodeString(g.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := shell.Decode(b)
		if err != nil {
			if !errors.Is(err, shell.ErrFrame) {
				t.Errorf("Decode(%x) fails with %v", b, err)
			}
			return
		}
		if back, err := fr.Append(nil); err != nil || !bytes.Equal(back, b) {
			t.Errorf("Decode(%x) = %+v, which is %x, %v", b, fr, back, err)
		}
	})
}
