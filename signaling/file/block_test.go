package file_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"handrail/signaling"
	"handrail/signaling/file"
)

func TestBlock(t *testing.T) {
	b := file.Block{Job: 7, Offset: 1 << 32, Data: []byte("content")}
	frame, err := b.Append(nil)
	if want := "01000000070000000100000000636f6e74656e74"; err != nil || hex.EncodeToString(frame) != want {
		t.Fatalf("Append = %x, %v, want %s", frame, err, want)
	}
	again, err := file.Decode(frame)
	if err != nil || again.Job != 7 || again.Offset != 1<<32 || string(again.Data) != "content" {
		t.Errorf("Decode = %+v, %v", again, err)
	}
}

func TestLargestBlockFitsAMessage(t *testing.T) {
	frame, err := file.Block{Data: make([]byte, file.MaxBlock)}.Append(nil)
	if err != nil || len(frame) > signaling.MaxChannel {
		t.Errorf("Append = %d bytes, %v, want at most %d", len(frame), err, signaling.MaxChannel)
	}
}

func TestMalformed(t *testing.T) {
	for name, frame := range map[string]string{
		"empty": "", "cut off": "0100000007", "no content": "01000000070000000100000000", "other kind": "0200000007000000010000000063",
		"offset past every file": "01000000070020000000000001aa", "offset that would be negative": "0100000007ffffffffffffffffaa",
		"ends past every file": "01000000070020000000000000aa",
	} {
		b, _ := hex.DecodeString(frame)
		if got, err := file.Decode(b); !errors.Is(err, file.ErrMalformed) {
			t.Errorf("%s: Decode = %+v, %v", name, got, err)
		}
	}
	for name, b := range map[string]file.Block{
		"nothing": {}, "too much": {Data: make([]byte, file.MaxBlock+1)}, "before the file": {Offset: -1, Data: []byte{1}},
	} {
		if _, err := b.Append(nil); !errors.Is(err, file.ErrMalformed) {
			t.Errorf("%s: Append = %v", name, err)
		}
	}
}

// FuzzDecode: what is accepted encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "01000000070000000100000000636f6e74656e74", "0100000007ffffffffffffffffaa", "02"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		b, err := file.Decode(frame)
		if err != nil {
			return
		}
		again, err := b.Append(nil)
		if err != nil || !bytes.Equal(again, frame) {
			t.Errorf("Append(Decode(%x)) = %x, %v", frame, again, err)
		}
	})
}
