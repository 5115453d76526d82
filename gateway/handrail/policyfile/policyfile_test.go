package policyfile_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/gateway/handrail/policyfile"
)

const workstations = `name: Workstations
description: What every workstation must be.
assignments:
  - include:
      groups: [Berlin]
    priority: 10
settings:
  screen.lock:
    idle_seconds: 300
  wifi.network/office:
    ssid: Office
    security: wpa-psk
    psk: !env WIFI_PSK
  file.content/motd:
    path: /etc/motd
    content: !file motd.txt
`

func TestLocate(t *testing.T) {
	env := func(string) (string, bool) { return "v", true }
	list, err := policyfile.Parse("f.yaml", []byte(strings.ReplaceAll(workstations, "!file motd.txt", "[a, {b: c}]")), env)
	if err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]string{
		"settings[wifi.network/office].psk":        "f.yaml:13: wifi.network/office: psk",
		"body.settings[screen.lock]":               "f.yaml:9: screen.lock",
		"settings[file.content/motd].content[1].b": "f.yaml:16: file.content/motd: content[1].b",
		"settings[file.content/motd].content[9].b": "f.yaml:16: file.content/motd: content[9].b",
		"settings[file.content/motd].nothing":      "f.yaml:15: file.content/motd: nothing",
		"settings[motd.banner].text":               "f.yaml:1: settings[motd.banner].text",
		"body.name":                                "f.yaml:1: body.name",
	} {
		if got := list[0].Locate(location); got != want {
			t.Errorf("Locate(%s) = %q, want %q", location, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(workstations))
	f.Add([]byte("name: x\nsettings:\n  a: &x [1, 2.5, 0x1f, ~, 2001-01-01, !keep '']\n  b: *x\n---\nname: y"))
	env := policyfile.Lookup(func(string) (string, bool) { return "v", true })
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := policyfile.Parse("f.yaml", b, env)
		if err != nil {
			return
		}
		for _, p := range list {
			for _, one := range p.Settings {
				if !json.Valid(one.Value) {
					t.Fatalf("%s = %s", one.ID, one.Value)
				}
			}
			out, err := p.Write()
			if err != nil {
				t.Fatal(err)
			}
			again, err := policyfile.Parse("f.yaml", out, env)
			if err != nil || len(again) != 1 || len(again[0].Settings) != len(p.Settings) {
				t.Fatalf("written and read again: %v\n%s", err, out)
			}
		}
	})
}

func TestFileMustBePlain(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", dir, large, filepath.Join(dir, "none")} {
		text := "name: x\nsettings:\n  motd.banner:\n    text: !file " + path + "\n"
		if _, err := policyfile.Parse("f.yaml", []byte(text), os.LookupEnv); err == nil || !strings.HasPrefix(err.Error(), "f.yaml:4: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
