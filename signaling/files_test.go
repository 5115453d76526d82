package signaling_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"handrail/signaling"
)

func TestFileNames(t *testing.T) {
	for b, text := range map[string]string{
		"plain.txt":           "plain.txt",
		"Grüße 日本 👩‍💻.txt":    "Grüße 日本 👩‍💻.txt",
		"two\nlines\t\x1b[2J": `two\x0alines\x09\x1b[2J`,
		"latin\xfc":           `latin\xfc`,
		"txt.\u202eexe":       `txt.\u202eexe`,
		"tag\U000e0001":       `tag\U000e0001`,
		`back\x0aslash`:       `back\x0aslash`,
		strings.Repeat("\xff", signaling.MaxFileName): strings.Repeat(`\xff`, signaling.MaxFileName),
	} {
		n := signaling.NameFile(b)
		if n.Text != text || n.Bytes() != b {
			t.Errorf("NameFile(%q) = %q for %q, want %q", b, n.Text, n.Bytes(), text)
		}
		wire, err := signaling.Encode(signaling.Envelope{Type: signaling.TypeFilesPage, Body: signaling.FilesPage{
			Path: signaling.NameFile("/"), Entries: []signaling.FileEntry{{Name: n, Kind: signaling.FileRegular}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := signaling.Decode(wire, signaling.FromHelper)
		if err != nil {
			t.Fatalf("Decode(%s) = %v", wire, err)
		}
		if got := e.Body.(signaling.FilesPage).Entries[0].Name.Bytes(); got != b {
			t.Errorf("%q comes as %q", b, got)
		}
	}
}

func TestFileNamesThatAreRefused(t *testing.T) {
	for name, path := range map[string]string{
		"none": `{"text":""}`, "too long": `{"text":"` + strings.Repeat("x", 17<<10) + `"}`, "NUL": `{"text":"x","raw":"AGE="}`,
		"control character": `{"text":"\u001b"}`, "not base64": `{"text":"x","raw":"*"}`,
	} {
		frame := `{"v":1,"type":"files.make","body":{"job":1,"path":` + path + `}}`
		if e, err := signaling.Decode([]byte(frame), signaling.FromViewer); err == nil {
			t.Errorf("%s: Decode = %+v", name, e.Body)
		}
	}
}

// FuzzFileName: a name of any bytes can be shown, sent and taken for the same again.
func FuzzFileName(f *testing.F) {
	for _, s := range []string{"a", "two\nlines", "\xff\xfe", "\u202e", `\x0a`, "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b string) {
		n := signaling.NameFile(b)
		if n.Bytes() != b || !utf8.ValidString(n.Text) || strings.ContainsFunc(n.Text, unicode.IsControl) {
			t.Fatalf("NameFile(%q) = %q for %q", b, n.Text, n.Bytes())
		}
		wire, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var back signaling.FileName
		if err := json.Unmarshal(wire, &back); err != nil || back.Bytes() != b {
			t.Fatalf("%q comes as %q, %v", b, back.Bytes(), err)
		}
	})
}
