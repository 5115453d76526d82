package device_test

import (
	"errors"
	"slices"
	"testing"

	"handrail/mdm"
	"handrail/mdm/device"
)

func TestParseQuery(t *testing.T) {
	term := func(field string, op device.Op, value string) device.Term {
		return device.Term{Field: field, Op: op, Value: value}
	}
	software := func(name string, op device.Op, value string) device.Term {
		return device.Term{Field: "software", Name: name, Op: op, Value: value}
	}
	not := func(t device.Term) device.Term { t.Not = true; return t }
	word := func(s string) device.Term { return term("", device.Is, s) }
	for _, tt := range []struct {
		text string
		want []device.Term
	}{
		{"", nil},
		{"Latitude  ann", []device.Term{word("latitude"), word("ann")}},
		{`"two words" -other`, []device.Term{word("two words"), not(word("other"))}},
		{"openssl < 3.0.15", []device.Term{software("openssl", "<", "3.0.15")}},
		{"openssl<3.0.15-1~deb12u1 x", []device.Term{software("openssl", "<", "3.0.15-1~deb12u1"), word("x")}},
		{"openssl>=1:3.0", []device.Term{software("openssl", ">=", "1:3.0")}},
		{"software:firefox* -software:snapd", []device.Term{software("firefox*", ":", ""), not(software("snapd", ":", ""))}},
		{"software:openssl<3 y", []device.Term{software("openssl", "<", "3"), word("y")}},
		{"no encryption", []device.Term{term("encrypted", ":", "no")}},
		{"unencrypted", []device.Term{not(term("encrypted", ":", "yes"))}},
		{"8 GB", []device.Term{term("memory", ":", "8gb")}},
		{"16GiB laptop", []device.Term{term("memory", ":", "16gib"), word("laptop")}},
		{"memory<16GB disk >= 500gb", []device.Term{term("memory", "<", "16gb"), term("disk", ">=", "500gb")}},
		{`label:"Front Desk" -group:Sales`, []device.Term{term("label", ":", "Front Desk"), not(term("group", ":", "Sales"))}},
		{"aa:bb:cc:dd:ee:ff", []device.Term{word("aa:bb:cc:dd:ee:ff")}},
		{"mac:aa:bb seen>30d", []device.Term{term("mac", ":", "aa:bb"), term("seen", ">", "30d")}},
		{"asset.cost_center:4711", []device.Term{term("asset.cost_center", ":", "4711")}},
		{"<script>a</script> b", []device.Term{word("<script>a</script>"), word("b")}},
		{"8", []device.Term{word("8")}},
		{"serial:5CG rule:ssh-no-root-login/non_compliant", []device.Term{term("serial", ":", "5cg"), term("rule", ":", "ssh-no-root-login/non_compliant")}},
	} {
		got, err := device.ParseQuery(tt.text)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"< 3", "memory<", "memory<big", "openssl <", "state:asleep", "seen>soon", "encrypted:maybe", "updates>x", "a = = b"} {
		if got, err := device.ParseQuery(text); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%q: %+v, %v; want ErrInvalid", text, got, err)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"openssl < 3.0.15", `label:"x" -a`, "8 GB", "mac:aa:bb", "\x00\"", "-", "::", "a:b:c<d", "no encryption ="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		terms, err := device.ParseQuery(s)
		if err != nil && !errors.Is(err, mdm.ErrInvalid) {
			t.Fatal(err)
		}
		for _, term := range terms {
			if term.Op == "" {
				t.Errorf("%q: %+v has no comparison", s, term)
			}
		}
	})
}
