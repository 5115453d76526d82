package ssh_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/ssh"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(ssh.Key)

const debian = "# comment\nInclude /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\n"

func TestServer(t *testing.T) {
	m := enforcetest.New(t, nil, ssh.New())
	m.Want(m.Set(id, object{"permit_root_login": "no"}), manifest.NotApplicable, "no SSH server")
	m.Write("/etc/ssh/sshd_config", debian)
	m.Write("/etc/ssh/sshd_config.d/50-cloud.conf", "PasswordAuthentication yes\nMaxAuthTries 4\n")
	before := m.Tree()
	st := m.Set(id, object{
		"permit_root_login": "prohibit-password", "password_authentication": false, "pubkey_authentication": true, "permit_empty_passwords": false,
		"keyboard_interactive_authentication": false, "max_auth_tries": 3, "login_grace_seconds": 30, "idle_timeout_seconds": 300,
		"allow_users": []string{"anna", "bo-b", "c.d@10.0.0.1"}, "allow_groups": []string{"staff"}, "x11_forwarding": false, "agent_forwarding": false,
		"tcp_forwarding": false, "port": 2222, "banner_text": "Ours.\nKeep out.",
	})
	m.Want(st, manifest.Applied, "")
	// The judge of the judge: the configuration as it lies there, read by sshd in a root of
	// its own.
	out := inRoot(t, m.System.Root, "sshd -T -f /etc/ssh/sshd_config")
	for _, want := range []string{"permitrootlogin without-password", "passwordauthentication no", "maxauthtries 3", "clientaliveinterval 100", "port 2222", "x11forwarding no", "banner /etc/ssh/handrail-banner", "allowusers anna"} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("sshd -T lacks %q:\n%s", want, out)
		}
	}
	m.Write("/etc/ssh/sshd_config.d/00-handrail.conf", "PasswordAuthentication yes\n") // drift
	if st = m.Enforce()[id]; st.State != manifest.Applied || st.Mended != 1 {
		t.Errorf("after drift: %+v", st)
	}
	m.Unset(id)
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

// inRoot runs a command line with the scratch root's /etc/ssh as /etc/ssh.
func inRoot(t *testing.T, root, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f "+root+"/etc/ssh/ssh_host_ed25519_key && mount --bind "+root+"/etc/ssh /etc/ssh && "+line)
	out, err := cmd.CombinedOutput()
	for _, key := range []string{"", ".pub"} {
		if err := os.Remove(root + "/etc/ssh/ssh_host_ed25519_key" + key); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestWhatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		name, main string
		value      object
		state      manifest.State
		words      string
	}{
		{"no include", "PermitRootLogin yes\n", object{"permit_root_login": "no"}, manifest.Conflict, "does not begin with Include"},
		{"include late", "PermitRootLogin yes\nInclude /etc/ssh/sshd_config.d/*.conf\n", object{"permit_root_login": "no"}, manifest.Conflict, "does not begin with Include"},
		{"another port", debian + "Port 22\n", object{"port": 2222}, manifest.Failed, "still have Port"},
		{"other users", debian + "AllowUsers mallory\n", object{"allow_users": []string{"anna"}}, manifest.Failed, "still have AllowUsers"},
		{"broken already", debian + "Nonsense 1\n", object{"port": 2222}, manifest.Failed, "Nonsense"},
		{"nobody", debian, object{"allow_users": []string{}}, manifest.Failed, "nobody could sign in"},
		{"two words", debian, object{"allow_users": []string{"a\nPermitRootLogin yes"}}, manifest.Failed, "no name of an account"},
		{"port", debian, object{"port": 70000}, manifest.Failed, "sshd does not take"},
		{"type", debian, object{"port": "22"}, manifest.Failed, "cannot be read"},
		{"field", debian, object{"unknown": true}, manifest.Failed, "older than the gateway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := enforcetest.New(t, nil, ssh.New())
			m.Write("/etc/ssh/sshd_config", tt.main)
			before := m.Tree()
			m.Want(m.Set(id, tt.value), tt.state, tt.words)
			if after := m.Tree(); after != before {
				t.Errorf("left:\n%s", after)
			}
		})
	}
}

func TestNoJudge(t *testing.T) {
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, ssh.New())
	m.Write("/etc/ssh/sshd_config", debian)
	m.Want(m.Set(id, object{"port": 2222}), manifest.Failed, "install the package openssh-server")
}
