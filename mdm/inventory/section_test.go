package inventory_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"handrail/mdm"
	"handrail/mdm/inventory"
)

func TestDecodeCutsAndCleans(t *testing.T) {
	long := strings.Repeat("ä", 10_000)
	data, err := inventory.Decode("hardware", []byte(`{"model":"`+long+`","vendor":"a\u0000\u001b[31mb\u202ec","serial":"<script>alert(1)</script>","memory_bytes":18446744073709551615}`))
	if err != nil {
		t.Fatal(err)
	}
	var hw inventory.Hardware
	if err := json.Unmarshal(data, &hw); err != nil {
		t.Fatal(err)
	}
	if len(hw.Model) > 255 || !utf8.ValidString(hw.Model) {
		t.Errorf("model is %d bytes, valid %v", len(hw.Model), utf8.ValidString(hw.Model))
	}
	if hw.Vendor != "a[31mbc" {
		t.Errorf("vendor = %q", hw.Vendor)
	}
	if hw.Serial != "<script>alert(1)</script>" { // shown as text, not run; see the console
		t.Errorf("serial = %q", hw.Serial)
	}
	many := "[" + strings.TrimSuffix(strings.Repeat(`{"name":"u"},`, 5000), ",") + "]"
	if data, err = inventory.Decode("users", []byte(many)); err != nil {
		t.Fatal(err)
	}
	var users []inventory.User
	if err := json.Unmarshal(data, &users); err != nil || len(users) != 128 {
		t.Errorf("%d users kept, want 128 (%v)", len(users), err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ section, data string }{
		"not JSON":        {"host", `{`},
		"null":            {"host", ` null `},
		"a list":          {"host", `[]`},
		"an object":       {"disks", `{}`},
		"a wrong type":    {"host", `{"hostname":{}}`},
		"a negative size": {"disks", `[{"size_bytes":-1}]`},
		"overflow":        {"hardware", `{"memory_bytes":18446744073709551616}`},
		"too large":       {"host", `{"hostname":"` + strings.Repeat("x", inventory.MaxSection) + `"}`},
	} {
		if _, err := inventory.Decode(tt.section, []byte(tt.data)); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	sections := []string{"host", "hardware", "disks", "filesystems", "network", "monitors", "users", "agent", "of_tomorrow"}
	for i, data := range []string{
		`{"hostname":"pc","boot_time_us":1}`, `{"cpu":{"cores":8},"memory_bytes":1}`, `[{"name":"sda","size_bytes":1}]`,
		`[{"mount":"/","free_bytes":9}]`, `[{"name":"eth0","addresses":["10.0.0.1/8",""],"speed_mbps":-1}]`,
		`[{"x":-1920,"primary":true}]`, `[{"name":"\u0000\ud800"}]`, `{"version":"1","started_us":-1}`, `null`,
	} {
		f.Add(i, []byte(data))
	}
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		section := sections[((n%len(sections))+len(sections))%len(sections)]
		clean, err := inventory.Decode(section, data)
		if err != nil {
			if !errors.Is(err, mdm.ErrInvalid) {
				t.Fatalf("Decode(%s, %q) = %v, want ErrInvalid", section, data, err)
			}
			return
		}
		if len(clean) > 2*inventory.MaxSection+1000 {
			t.Fatalf("%d bytes became %d", len(data), len(clean))
		}
		var v any
		if err := json.Unmarshal(clean, &v); err != nil {
			t.Fatalf("Decode(%s, %q) gives %q: %v", section, data, clean, err)
		}
		checkText(t, v)
		// What was cleaned once stays as it is.
		again, err := inventory.Decode(section, clean)
		if section != "of_tomorrow" && (err != nil || string(again) != string(clean)) {
			t.Fatalf("Decode twice: %q then %q, %v", clean, again, err)
		}
	})
}

func checkText(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		for _, r := range v {
			if unicode.IsControl(r) || r >= 0x202a && r <= 0x202e {
				t.Fatalf("%q holds %U", v, r)
			}
		}
	case []any:
		for _, e := range v {
			checkText(t, e)
		}
	case map[string]any:
		for k, e := range v {
			checkText(t, k)
			checkText(t, e)
		}
	case float64, bool, nil:
	default:
		t.Fatalf("unexpected %T", v)
	}
}
