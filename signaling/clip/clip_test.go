package clip_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/signaling/clip"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// golden is one entry of testdata/frames.json, which the viewer's tests read too.
type golden struct {
	Name     string `json:"name"`
	Hex      string `json:"hex"`
	Type     uint8  `json:"type"`
	Transfer uint32 `json:"transfer"`
	Total    uint32 `json:"total,omitempty"`
	MIME     string `json:"mime,omitempty"`
	Text     string `json:"text,omitempty"` // of a chunk or a reason
}

var frames = []struct {
	name string
	enc  []byte
	dec  clip.Frame
}{
	{
		"offer",
		append([]byte{
			0x01,                   // type
			0x00, 0x00, 0x00, 0x07, // transfer
			0x00, 0x00, 0x00, 0x0b, // total
			0x18, // length of the MIME type
		}, clip.MIMEText...),
		clip.Frame{Type: clip.TypeOffer, Transfer: 7, Total: 11, MIME: clip.MIMEText},
	},
	{
		"offer_of_nothing",
		append([]byte{0x01, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x18}, clip.MIMEText...),
		clip.Frame{Type: clip.TypeOffer, Transfer: 1<<32 - 1, MIME: clip.MIMEText},
	},
	{
		"chunk",
		append([]byte{0x02, 0x00, 0x00, 0x00, 0x07}, "grüße 🙂"...),
		clip.Frame{Type: clip.TypeChunk, Transfer: 7, Chunk: []byte("grüße 🙂")},
	},
	{
		"end",
		[]byte{0x03, 0x00, 0x00, 0x00, 0x07},
		clip.Frame{Type: clip.TypeEnd, Transfer: 7},
	},
	{
		"refused",
		append([]byte{0x04, 0x00, 0x00, 0x00, 0x07}, "not granted"...),
		clip.Frame{Type: clip.TypeRefused, Transfer: 7, Reason: "not granted"},
	},
}

func TestDecode(t *testing.T) {
	for _, c := range frames {
		got, err := clip.Decode(c.enc)
		if err != nil {
			t.Errorf("%s: Decode(%x): %v", c.name, c.enc, err)
			continue
		}
		if diff := cmp.Diff(c.dec, got); diff != "" {
			t.Errorf("%s: Decode(%x) (-want +got):\n%s", c.name, c.enc, diff)
		}
	}
}

func TestAppend(t *testing.T) {
	for _, c := range frames {
		got, err := c.dec.Append([]byte("before"))
		if err != nil {
			t.Errorf("%s: Append: %v", c.name, err)
			continue
		}
		if want := "before" + string(c.enc); string(got) != want {
			t.Errorf("%s: Append = %x, want %x", c.name, got, want)
		}
	}
}

func TestGolden(t *testing.T) {
	file := filepath.Join("testdata", "frames.json")
	list := make([]golden, 0, len(frames))
	for _, c := range frames {
		list = append(list, golden{
			Name: c.name, Hex: hex.EncodeToString(c.enc), Type: uint8(c.dec.Type), Transfer: c.dec.Transfer,
			Total: c.dec.Total, MIME: c.dec.MIME, Text: string(c.dec.Chunk) + c.dec.Reason,
		})
	}
	want, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what the table says; run with -update if that is wanted (-want +got):\n%s", file, diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("x", clip.MaxChunk+1)
	for _, c := range []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", clip.ErrMalformed},
		{"short header", "\x03\x00\x00\x00", clip.ErrMalformed},
		{"unknown type", "\x09\x00\x00\x00\x01", clip.ErrMalformed},
		{"offer without mime", "\x01\x00\x00\x00\x01\x00\x00\x00\x01", clip.ErrMalformed},
		{"offer shorter than its mime", "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x05text", clip.ErrMalformed},
		{"offer longer than its mime", "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x03text", clip.ErrMalformed},
		{"offer with control characters", "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x01\x1b", clip.ErrMalformed},
		{"offer over the limit", "\x01\x00\x00\x00\x01\x00\x10\x00\x01\x01t", clip.ErrTooLarge},
		{"empty chunk", "\x02\x00\x00\x00\x01", clip.ErrMalformed},
		{"chunk over the limit", "\x02\x00\x00\x00\x01" + long, clip.ErrTooLarge},
		{"end with a body", "\x03\x00\x00\x00\x01x", clip.ErrMalformed},
		{"reason over the limit", "\x04\x00\x00\x00\x01" + long[:clip.MaxReason+1], clip.ErrTooLarge},
		{"reason with an escape", "\x04\x00\x00\x00\x01\x1b[2J", clip.ErrMalformed},
		{"reason not UTF-8", "\x04\x00\x00\x00\x01\xff", clip.ErrMalformed},
	} {
		if _, err := clip.Decode([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: Decode = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestSplitReceive(t *testing.T) {
	for _, text := range []string{"", "a", strings.Repeat("ü", clip.MaxChunk), strings.Repeat("x", clip.MaxTotal)} {
		parts, err := clip.Split(3, text)
		if err != nil {
			t.Fatal(err)
		}
		var r clip.Receiver
		for i, p := range parts {
			f, err := clip.Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			got, done, err := r.Receive(f)
			if err != nil {
				t.Fatal(err)
			}
			if last := i == len(parts)-1; done != last {
				t.Fatalf("frame %d of %d: done = %v", i+1, len(parts), done)
			}
			if done && got != text {
				t.Errorf("received %d bytes, want %d", len(got), len(text))
			}
		}
	}
	if _, err := clip.Split(1, strings.Repeat("x", clip.MaxTotal+1)); !errors.Is(err, clip.ErrTooLarge) {
		t.Errorf("Split over the limit = %v", err)
	}
	if _, err := clip.Split(1, "\xff"); !errors.Is(err, clip.ErrMalformed) {
		t.Errorf("Split of bytes = %v", err)
	}
}

func TestReceiveRefuses(t *testing.T) {
	offer := clip.Frame{Type: clip.TypeOffer, Transfer: 1, Total: 3, MIME: clip.MIMEText}
	chunk := func(s string) clip.Frame { return clip.Frame{Type: clip.TypeChunk, Transfer: 1, Chunk: []byte(s)} }
	end := clip.Frame{Type: clip.TypeEnd, Transfer: 1}
	for _, c := range []struct {
		name  string
		in    []clip.Frame
		fails bool
	}{
		{"longer than offered", []clip.Frame{offer, chunk("ab"), chunk("cd")}, true},
		{"shorter than offered", []clip.Frame{offer, chunk("ab"), end}, true},
		{"not UTF-8", []clip.Frame{offer, chunk("a\xffb"), end}, true},
		{"not text", []clip.Frame{{Type: clip.TypeOffer, Transfer: 1, Total: 3, MIME: "image/png"}}, true},
		{"out of nowhere", []clip.Frame{chunk("abc"), end}, false},
		{"abandoned", []clip.Frame{offer, {Type: clip.TypeOffer, Transfer: 2, Total: 1, MIME: clip.MIMEText}, chunk("abc"), end}, false},
	} {
		var r clip.Receiver
		for i, f := range c.in {
			_, done, err := r.Receive(f)
			if done {
				t.Errorf("%s: frame %d completed a transfer", c.name, i)
			}
			if last := i == len(c.in)-1; (err != nil) != (last && c.fails) {
				t.Errorf("%s: frame %d: %v", c.name, i, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range frames {
		f.Add(c.enc)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := clip.Decode(in)
		if err != nil {
			return
		}
		out, err := frame.Append(nil)
		if err != nil {
			t.Fatalf("Append(%+v): %v", frame, err)
		}
		if string(out) != string(in) {
			t.Errorf("Decode(%x) encodes as %x", in, out)
		}
		var r clip.Receiver
		if _, _, err := r.Receive(frame); err != nil && frame.Type != clip.TypeOffer {
			t.Errorf("Receive(%+v): %v", frame, err)
		}
	})
}
