package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// rot is a Sealer whose seals differ each time, as real ones do.
type rot struct{ n *int }

func (r rot) Seal(label string, plain []byte) string {
	*r.n++
	b := slices.Clone(plain)
	for i := range b {
		b[i] ^= 0x55
	}
	return label + strings.Repeat("+", *r.n) + ":" + string(b)
}

func (r rot) Open(label, sealed string) ([]byte, error) {
	head, text, ok := strings.Cut(sealed, ":")
	if !ok || !strings.HasPrefix(head, label) {
		return nil, errors.New("broken")
	}
	b := []byte(text)
	for i := range b {
		b[i] ^= 0x55
	}
	return b, nil
}

func settings(t *testing.T, c *policy.Catalogue, pairs ...string) []policy.Setting {
	t.Helper()
	var out []policy.Setting
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, setting(pairs[i], pairs[i+1]))
	}
	valid, problems := c.ValidateAll(out)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return valid
}

func TestSecretsAreSealedMaskedAndKept(t *testing.T) {
	c, sealer := policy.Standard(), rot{new(int)}
	plain := settings(t, c,
		"wifi.network/a", `{"ssid":"a","security":"wpa-psk","psk":"hunter2-hunter2"}`,
		"vpn.wireguard/v", `{"addresses":["10.0.0.2/24"],"peers":[{"public_key":"`+wireGuardKey+`","allowed_ips":["::/0"],"preshared_key":"`+wireGuardKey+`"}]}`,
		"motd.banner", `{"text":"x"}`)
	stored, err := c.Seal(plain, sealer)
	if err != nil {
		t.Fatal(err)
	}
	shown := c.MaskAll(stored)
	for _, s := range append(append([]policy.Setting{}, stored...), shown...) {
		if strings.Contains(string(s.Value), "hunter2") || strings.Contains(string(s.Value), `preshared_key":"`) {
			t.Errorf("%s shows its secret: %s", s.ID, s.Value)
		}
	}
	// Sent back as shown, with another field changed, the secrets stay to the byte.
	for i := range shown {
		shown[i].Value = []byte(strings.Replace(string(shown[i].Value), `"ssid":"a"`, `"ssid":"b"`, 1))
	}
	shown, problems := c.ValidateAll(shown)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	again, err := c.Seal(shown, sealer, stored)
	if err != nil {
		t.Fatal(err)
	}
	changes := c.DiffSettings(stored, again)
	if len(changes) != 1 || changes[0].ID != "wifi.network/a" || len(changes[0].Fields) != 1 || changes[0].Fields[0].Path != "ssid" {
		t.Errorf("changes = %+v", changes)
	}
	for i, s := range again {
		open, err := c.Open(s, sealer)
		want := strings.Replace(string(plain[i].Value), `"ssid":"a"`, `"ssid":"b"`, 1)
		if err != nil || string(open.Value) != want {
			t.Errorf("opened %s = %s (%v), want %s", s.ID, open.Value, err, want)
		}
	}
	// The same secret given again is no change.
	if same, err := c.Seal(plain, sealer, stored); err != nil || len(c.DiffSettings(stored, same)) > 0 {
		t.Errorf("the same secrets again: %+v, %v", c.DiffSettings(stored, same), err)
	}
	// A marker without a ref means the secret at the same place.
	bare := settings(t, c, "wifi.network/a", `{"ssid":"a","security":"wpa-psk","psk":{"secret":true}}`)
	if out, err := c.Seal(bare, sealer, nil, stored); err != nil || len(c.DiffSettings(only(stored, "wifi.network/a"), out)) > 0 {
		t.Errorf("Seal = %+v, %v", out, err)
	}
	// One that means nothing is a problem, not an empty password; so is one of another setting.
	for _, value := range []string{`{"ssid":"a","security":"wpa-psk","psk":{"secret":true,"ref":"00"}}`, `{"ssid":"a","security":"wpa-psk","psk":{"secret":true}}`} {
		_, err := c.Seal(settings(t, c, "wifi.network/other", value), sealer, stored)
		var p policy.Problems
		if !errors.As(err, &p) || p[0].Path != "psk" || !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%s: %v", value, err)
		}
	}
	// Another secret is told as changed, and neither is shown.
	fresh, err := c.Seal(settings(t, c, "wifi.network/a", `{"ssid":"a","security":"wpa-psk","psk":"another-one"}`), sealer, stored)
	if err != nil {
		t.Fatal(err)
	}
	changes = c.DiffSettings(only(stored, "wifi.network/a"), fresh)
	if len(changes) != 1 || len(changes[0].Fields) != 1 || !changes[0].Fields[0].Secret || changes[0].Fields[0].Before != nil {
		t.Errorf("changes = %+v", changes)
	}
	if got := c.Mask("wifi.network/a", plain[2].Value); strings.Contains(string(got), "hunter2") {
		t.Errorf("Mask = %s", got)
	}
}

func setting(id, value string) policy.Setting {
	return policy.Setting{ID: manifest.ID(id), Value: []byte(value)}
}

func only(all []policy.Setting, id string) []policy.Setting {
	for _, s := range all {
		if string(s.ID) == id {
			return []policy.Setting{s}
		}
	}
	return nil
}

func TestWhatIf(t *testing.T) {
	c := policy.Standard()
	a := in(t, c, "a", 1, 0, "motd.banner", `{"text":"a"}`, "screen.lock", `{"idle_seconds":60}`)
	b := in(t, c, "b", 2, 0, "motd.banner", `{"text":"b"}`, "sudo.rules/x", `{"users":["a"],"commands":["ALL"]}`)
	other := in(t, c, "c", 2, 0, "sudo.rules/x", `{"users":["c"],"commands":["ALL"]}`)
	w := policy.WhatIf{Catalogue: c}
	w.Add(10, c.Resolve([]policy.Input{a}), c.Resolve([]policy.Input{a, b}))    // banner changed, rule added
	w.Add(5, c.Resolve([]policy.Input{b}), c.Resolve([]policy.Input{b, other})) // rule in conflict
	w.Add(3, c.Resolve([]policy.Input{a}), c.Resolve([]policy.Input{a}))        // nothing
	w.Add(2, c.Resolve([]policy.Input{a, b}), c.Resolve([]policy.Input{b}))     // lock removed
	got := w.Effect()
	if got.Devices != 20 || got.Changed != 17 || got.Conflicts != 5 || len(got.Settings) != 4 {
		t.Fatalf("effect = %+v", got)
	}
	var words []string
	for _, s := range got.Settings {
		words = append(words, strings.Join([]string{string(s.ID), string(s.Kind)}, " "))
	}
	if want := "motd.banner changed, screen.lock removed, sudo.rules/x added, sudo.rules/x conflicted"; strings.Join(words, ", ") != want {
		t.Errorf("settings = %q", words)
	}
	if f := got.Settings[0].Fields; len(f) != 1 || f[0].Path != "text" || string(f[0].Before) != `"a"` || string(f[0].After) != `"b"` || got.Settings[0].Devices != 10 {
		t.Errorf("banner = %+v", got.Settings[0])
	}
}
