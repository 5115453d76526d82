package sudo_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/sudo"
	"handrail/mdm/manifest"
)

type object = map[string]any

const (
	rule     = manifest.ID(sudo.RulesKey + "/print.team")
	defaults = manifest.ID(sudo.DefaultsKey)
)

func machine(t *testing.T, change func(*enforce.Config)) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, change, sudo.New())
	m.WriteMode("/etc/sudoers", "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n", 0o440)
	return m
}

// inRoot runs a command line with the scratch root's files as sudo's.
func inRoot(t *testing.T, root, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c",
		"mount --bind "+root+"/etc/sudoers /etc/sudoers && mount --bind "+root+"/etc/sudoers.d /etc/sudoers.d && "+line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func TestRules(t *testing.T) {
	m := machine(t, nil)
	before := m.Tree()
	m.Want(m.Set(rule, object{
		"users": []string{"daemon"}, "groups": []string{"lpadmin"}, "no_password": true, "run_as": "root",
		"commands": []string{"/usr/bin/lpadmin -p a:b=c,d", "/usr/sbin/cupsenable", "!/usr/bin/lpadmin -x *", `/bin/echo #1 \ "x"`},
	}), manifest.Applied, "")
	m.Want(m.Set(defaults, object{"timeout_minutes": 0, "passwd_tries": 2, "log_file": "/var/log/sudo.log", "require_tty": false, "use_pty": true}), manifest.Applied, "")
	out := inRoot(t, m.System.Root, "visudo -c && sudo -l -U daemon")
	for _, want := range []string{"parsed OK", "NOPASSWD: /usr/bin/lpadmin -p a\\:b\\=c\\,d", "/usr/sbin/cupsenable", "!/usr/bin/lpadmin -x *", "timestamp_timeout=0", "passwd_tries=2", "logfile=/var/log/sudo.log", "!requiretty", "use_pty"} {
		if !strings.Contains(out, want) {
			t.Errorf("sudo lacks %q:\n%s", want, out)
		}
	}
	m.WriteMode("/etc/sudoers.d/zz-handrail-rule-print%2eteam", "daemon ALL=(ALL) ALL\n", 0o440) // drift
	if st := m.Enforce()[rule]; st.State != manifest.Applied || st.Mended != 1 {
		t.Errorf("after drift: %+v", st)
	}
	m.Unset(rule)
	m.Unset(defaults)
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestWhatCannotBe(t *testing.T) {
	ok := func() object { return object{"users": []string{"anna"}, "commands": []string{"ALL"}} }
	for _, tt := range []struct {
		name   string
		change func(object)
		words  string
	}{
		{"nobody", func(o object) { delete(o, "users") }, "needs somebody"},
		{"nothing", func(o object) { delete(o, "commands") }, "needs somebody"},
		{"user", func(o object) { o["users"] = []string{"a ALL=(ALL) ALL\nb"} }, "no name of an account"},
		{"group", func(o object) { o["groups"] = []string{"%x"} }, "no name of a group"},
		{"command", func(o object) { o["commands"] = []string{"rm"} }, "absolute"},
		{"newline", func(o object) { o["commands"] = []string{"/bin/a\nmallory ALL=(ALL) ALL"} }, "absolute"},
		{"run as", func(o object) { o["run_as"] = "x) NOPASSWD" }, "no name of an account"},
		{"host", func(o object) { o["hosts"] = []string{"a = (ALL)"} }, "no name of a host"},
		{"folder with arguments", func(o object) { o["commands"] = []string{"/usr/bin/ -x"} }, "visudo"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, nil)
			before := m.Tree()
			v := ok()
			tt.change(v)
			m.Want(m.Set(rule, v), manifest.Failed, tt.words)
			if after := m.Tree(); after != before {
				t.Errorf("left:\n%s", after)
			}
		})
	}
	m := machine(t, nil)
	m.Want(m.Set(defaults, object{"log_file": "/a\"\nDefaults !authenticate"}), manifest.Failed, "plain absolute path")
	m.WriteMode("/etc/sudoers", "root ALL=(ALL) ALL\n", 0o440)
	m.Want(m.Set(rule, ok()), manifest.Conflict, "@includedir")
	m = enforcetest.New(t, nil, sudo.New())
	m.Want(m.Set(rule, ok()), manifest.NotApplicable, "no sudo")
	m = machine(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") })
	m.Want(m.Set(rule, ok()), manifest.Failed, "install the package sudo")
}

func FuzzRules(f *testing.F) {
	f.Add("anna", "/bin/ls -l", "root", "host")
	f.Add("a\\", "/x \\", "ALL", "a,b")
	visudo, err := exec.LookPath("visudo")
	if err != nil {
		f.Fatal(err)
	}
	_ = visudo
	f.Fuzz(func(t *testing.T, user, command, runAs, host string) {
		b, err := json.Marshal(object{"users": []string{user}, "commands": []string{command}, "run_as": runAs, "hosts": []string{host}})
		if err != nil {
			return
		}
		m := machine(t, nil)
		p, err := sudo.New().Plan(t.Context(), &m.System, manifest.Setting{ID: rule, Value: b})
		if err != nil {
			return
		}
		if n := strings.Count(string(p.Files[0].Content), "\n"); n != 2 {
			t.Errorf("%d lines:\n%s", n, p.Files[0].Content)
		}
	})
}
