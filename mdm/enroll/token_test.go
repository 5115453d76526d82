package enroll_test

import (
	"errors"
	"strings"
	"testing"

	"handrail/mdm"
	"handrail/mdm/enroll"
)

const good = "het_0123456789abcdefghjkmnpqrstvwxyz"

func TestParseToken(t *testing.T) {
	want, err := enroll.ParseToken(good)
	if err != nil || len(want) != 64 {
		t.Fatalf("ParseToken(%q) = %q, %v", good, want, err)
	}
	for _, same := range []string{" " + good + "\r\n", strings.ToUpper(good)} {
		if got, err := enroll.ParseToken(same); got != want || err != nil {
			t.Errorf("ParseToken(%q) = %q, %v, want the same hash", same, got, err)
		}
	}
	for _, bad := range []string{
		"", "het_", good[4:], good + "0", good[:len(good)-1], "het_" + strings.Repeat("i", 32), "hat1." + good[4:],
		strings.Repeat("x", 10_000), good[:10] + "\x00" + good[11:], good[:10] + "ä" + good[12:], "' OR 1=1 --",
	} {
		if _, err := enroll.ParseToken(bad); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("ParseToken(%.40q) = %v, want ErrInvalid", bad, err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(good)
	f.Add(" HET_0123456789ABCDEFGHJKMNPQRSTVWXYZ\n")
	f.Add("het_\u0130123456789abcdefghjkmnpqrstvwxyz")
	f.Fuzz(func(t *testing.T, text string) {
		hash, err := enroll.ParseToken(text)
		if (err == nil) != (len(hash) == 64) {
			t.Fatalf("ParseToken(%q) = %q, %v", text, hash, err)
		}
		if err != nil && !errors.Is(err, mdm.ErrInvalid) {
			t.Fatalf("ParseToken(%q) = %v, want ErrInvalid", text, err)
		}
	})
}
