package file_test

import (
	"os"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/file"
	"handrail/mdm/manifest"
)

type object = map[string]any

func TestFileComesAndGoes(t *testing.T) {
	m := enforcetest.New(t, nil, file.New())
	m.WriteMode("/etc/motd", "as it was\n", 0o640)
	before := m.Tree()
	m.Want(m.Set("file.content/motd", object{"path": "/etc/motd", "content": "ours\n"}), manifest.Applied, "")
	m.Want(m.Set("file.content/new", object{"path": "/opt/a/b/c.json", "content": "{}", "mode": "0600", "validate": "json"}), manifest.Applied, "")
	if got := m.Read("/etc/motd"); got != "ours\n" {
		t.Errorf("motd = %q", got)
	}
	if info, err := os.Stat(m.System.Abs("/opt/a/b/c.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("c.json: %v, %v", info, err)
	}
	m.Want(m.Set("file.content/motd", object{"path": "/etc/issue", "content": "moved\n"}), manifest.Applied, "")
	if got := m.Read("/etc/motd"); got != "as it was\n" {
		t.Errorf("motd after the setting moved on = %q", got)
	}
	m.Restart()
	m.Unset("file.content/motd")
	m.Unset("file.content/new")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestBadContentIsNotWritten(t *testing.T) {
	for _, tt := range []struct{ name, validate, content, words string }{
		{"json", "json", "{", "not JSON"},
		{"yaml", "yaml", "a: [", "not YAML"},
		{"sudoers", "sudoers", "this is no rule\n", "refused"},
		{"shell", "shell", "if then\n", "refused"},
		{"nftables", "nftables", "table inet x {", "refused"},
		{"unknown", "toml", "", "cannot check"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := enforcetest.New(t, nil, file.New())
			before := m.Tree()
			m.Want(m.Set("file.content/x", object{"path": "/etc/x", "content": tt.content, "validate": tt.validate}), manifest.Failed, tt.words)
			if after := m.Tree(); after != before {
				t.Errorf("written all the same:\n%s", after)
			}
		})
	}
}

func TestMissingValidatorIsNotPassedOver(t *testing.T) {
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, file.New())
	m.Want(m.Set("file.content/x", object{"path": "/etc/sudoers.d/x", "content": "", "validate": "sudoers"}), manifest.Failed, "install the package sudo")
	if m.Read("/etc/sudoers.d/x") != "" {
		t.Error("applied blind")
	}
}

func TestHostilePaths(t *testing.T) {
	m := enforcetest.New(t, nil, file.New())
	outside := t.TempDir()
	m.Write("/etc/keep", "")
	if err := os.Symlink(outside, m.System.Abs("/etc/out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../../../../..", m.System.Abs("/etc/up")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path  string
		state manifest.State
		words string
	}{
		{"etc/x", manifest.Failed, "absolute"},
		{"/etc/../x", manifest.Failed, "absolute"},
		{"/", manifest.Failed, "absolute"},
		{"/proc/sys/kernel/hostname", manifest.Failed, "kernel"},
		{"/etc", manifest.Conflict, "directory"},
	} {
		m.Want(m.Set("file.content/x", object{"path": tt.path, "content": "x"}), tt.state, tt.words)
	}
	m.Want(m.Set("file.content/x", object{"path": "/etc/out/x", "content": "x"}), manifest.Applied, "")
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Error("a link led out of the root")
	}
	m.Want(m.Set("file.content/y", object{"path": "/etc/up/y", "content": "x"}), manifest.Applied, "")
	if m.Read("/y") != "x" {
		t.Error("a link upwards does not end at the root")
	}
	m.Want(m.Set("file.content/z", object{"path": "/y", "content": "z"}), manifest.Conflict, "belongs to the setting file.content/y")
}
