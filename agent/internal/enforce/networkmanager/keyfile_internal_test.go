package networkmanager

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse reads key files as somebody left them. One that can be read is written so that it
// reads the same, with one line a key.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"[connection]\nid=Office\ntype=wifi\n\n[wifi]\nssid=79;102;\n", "# x\n[a]\nk= \\sb\\n\\\\c\\;d\n", "[a\nk=v", "k=v", "[a]\nk", "[a]\nk=\\", "[]\n=\n", "[a]\r\nk=v\r\n",
		"[wifi]\nssid=a\\;b;\n[wifi]\nssid=2\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parse(text)
		if err != nil {
			return
		}
		if lost := k.missing(k); len(lost) > 0 && !hasTwins(k) {
			t.Errorf("parse(%q) lacks what it has: %v", text, lost)
		}
		b, err := k.encode("comment")
		if err != nil {
			return
		}
		again, err := parse(string(b))
		if err != nil && !strings.ContainsAny(text, "\r\v\f\u0085\u00a0") {
			t.Fatalf("parse(%q), written as %q: %v", text, b, err)
		}
		if err == nil && plainKeys(k) && !reflect.DeepEqual(k, again) {
			t.Errorf("parse(%q) = %+v, written as %q and read as %+v", text, k, b, again)
		}
	})
}

// hasTwins reports whether a key is there twice: then the first counts.
func hasTwins(k *keyfile) bool {
	seen := map[string]bool{}
	for _, g := range k.groups {
		for _, p := range g.keys {
			name := g.name + "\x00" + p.key
			if seen[name] {
				return true
			}
			seen[name] = true
		}
	}
	return false
}

// plainKeys reports whether keys and groups are such as the agent writes: our own, of letters.
func plainKeys(k *keyfile) bool {
	for _, g := range k.groups {
		if strings.Trim(g.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || g.name == "" {
			return false
		}
		for _, p := range g.keys {
			if strings.Trim(p.key, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || p.key == "" || strings.Contains(p.value, `\`) {
				return false
			}
		}
	}
	return true
}

// FuzzSSID: a network's name, whatever its bytes, is read back as it is.
func FuzzSSID(f *testing.F) {
	f.Add([]byte("Office"))
	f.Add([]byte{0, 255, ';', '\\', '\n'})
	f.Fuzz(func(t *testing.T, ssid []byte) {
		if got := decodeSSID(encodeSSID(ssid)); len(ssid) > 0 && !bytes.Equal(got, ssid) {
			t.Errorf("decodeSSID(encodeSSID(%q)) = %q", ssid, got)
		}
		decodeSSID(string(ssid))
	})
}
