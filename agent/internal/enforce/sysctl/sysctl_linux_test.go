package sysctl_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/sysctl"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(sysctl.Key + "/filter")

// TestInANamespace changes the network settings of a network of the test's own.
func TestInANamespace(t *testing.T) {
	if os.Getenv("HANDRAIL_TEST_NAMESPACE") == "" {
		cmd := exec.CommandContext(t.Context(), "unshare", "--net", os.Args[0], "-test.run=^TestInANamespace$")
		cmd.Env = append(os.Environ(), "HANDRAIL_TEST_NAMESPACE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	read := func() string {
		out, err := exec.CommandContext(t.Context(), "sysctl", "-n", "net.ipv4.conf.lo.rp_filter").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Kernel = true }, sysctl.New())
	before, tree := read(), m.Tree()
	want := map[bool]string{true: "2", false: "1"}[before == "1"]
	m.Want(m.Set(id, object{"key": "net.ipv4.conf.lo.rp_filter", "value": want}), manifest.Applied, "")
	if read() != want {
		t.Errorf("the kernel has %s, want %s", read(), want)
	}
	if err := exec.CommandContext(t.Context(), "sysctl", "-w", "net.ipv4.conf.lo.rp_filter="+before).Run(); err != nil { // drift
		t.Fatal(err)
	}
	if st := m.Enforce()[id]; st.State != manifest.Applied || st.Mended != 1 || read() != want {
		t.Errorf("after drift: %+v, %s", st, read())
	}
	m.Want(m.Set(id, object{"key": "net.ipv4.conf.lo.rp_filter", "value": "many"}), manifest.Failed, "does not take")
	if read() != want {
		t.Errorf("after a failure the kernel has %s, want %s", read(), want)
	}
	m.Want(m.Set("kernel.sysctl/none", object{"key": "net.no.such", "value": "1"}), manifest.NotApplicable, "no setting")
	m.Want(m.Set("kernel.sysctl/none", object{"key": "../../etc/passwd", "value": "1"}), manifest.Failed, "no name")
	m.Unset("kernel.sysctl/none")
	m.Unset(id)
	if read() != before || m.Tree() != tree {
		t.Errorf("after removal %s, want %s\n%s", read(), before, m.Tree())
	}
}
