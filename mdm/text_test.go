package mdm_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"handrail/mdm"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"  a \t\n b  ", 10, "a b"},
		{"a\x00b\x1b[31m\x7f\u0085c", 20, "ab[31m c"},
		{"\u202eevil\u2066\ufeff", 20, "evil"},
		{"ääää", 5, "ää"},
		{"ab cd", 3, "ab"},
		{"\xff\xfe", 10, "\ufffd\ufffd"},
		{"می\u200cخواهم", 40, "می\u200cخواهم"},
		{strings.Repeat("x", 10_000), 4, "xxxx"},
		{"<b>&", 10, "<b>&"},
		{"", 5, ""},
	} {
		if got := mdm.Clean(tt.in, tt.limit); got != tt.want {
			t.Errorf("Clean(%.40q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a \x00\u202e b", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1<<16 {
			return
		}
		got := mdm.Clean(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || mdm.Clean(got, limit) != got {
			t.Fatalf("Clean(%q, %d) = %q, again %q", s, limit, got, mdm.Clean(got, limit))
		}
	})
}

func FuzzDecodeCursor(f *testing.F) {
	f.Add(mdm.EncodeCursor("a", "b"))
	f.Fuzz(func(t *testing.T, s string) {
		keys, err := mdm.DecodeCursor(s, 2)
		if err != nil && !errors.Is(err, mdm.ErrInvalid) || err == nil && len(keys) != 2 {
			t.Fatalf("DecodeCursor(%q) = %q, %v", s, keys, err)
		}
	})
}
