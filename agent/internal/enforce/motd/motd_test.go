package motd_test

import (
	"testing"

	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/motd"
	"handrail/mdm/manifest"
)

func TestMessage(t *testing.T) {
	m := enforcetest.New(t, nil, motd.New())
	m.Write("/etc/motd", "Debian\n")
	before := m.Tree()
	m.Want(m.Set(motd.Key, map[string]string{"text": "Ours.\n  \x1b[31mKeep out\n"}), manifest.Applied, "")
	if got := m.Read("/etc/motd"); got != "Ours.\n  [31mKeep out\n" {
		t.Errorf("motd = %q", got)
	}
	m.Want(m.Set(motd.Key, map[string]string{"text": " \n"}), manifest.Failed, "no text")
	m.Unset(motd.Key)
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}
