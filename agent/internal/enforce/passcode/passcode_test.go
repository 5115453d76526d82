package passcode_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/passcode"
	"handrail/mdm/manifest"
)

type object = map[string]any

// machine is a device whose PAM is this machine's, as Debian sets it up.
func machine(t *testing.T, change func(*enforce.Config)) *enforcetest.Machine {
	t.Helper()
	m := enforcetest.New(t, change, passcode.New())
	for _, dir := range []string{"/etc/pam.d", "/var/lib/pam", "/usr/share/pam-configs", "/etc/security"} {
		if err := os.CopyFS(m.System.Abs(dir), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"/etc/login.defs", "/etc/default/useradd"} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m.Write(f, string(b))
	}
	m.Write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\ndaemon:x:2:2::/:/bin/false\n")
	m.Write("/etc/group", "root:x:0:\nalice:x:1000:\nbob:x:1001:\nshadow:x:42:\n")
	m.WriteMode("/etc/shadow", "root:!:20000:0:99999:7:::\nalice:"+opensslHash(t)+":20000:0:99999:7:::\nbob:!:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n", 0o640)
	return m
}

func opensslHash(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("openssl", "passwd", "-6", "-salt", "handrail", "Correct-Horse-7").Output()
	if err != nil {
		t.Fatalf("%v (package openssl)", err)
	}
	return strings.TrimSpace(string(out))
}

// inside runs a script on the device: its /etc in the place of this machine's, in a mount
// namespace.
func inside(t *testing.T, m *enforcetest.Machine, script string) (string, error) {
	t.Helper()
	const mounts = `set -e
mount --bind "$R/etc" /etc
mount -t tmpfs none /run
`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", mounts+"set +e\n"+script)
	cmd.Env = []string{"R=" + m.System.Abs("/"), "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func TestQuality(t *testing.T) {
	t.Parallel()
	m := machine(t, nil)
	before := m.Tree()
	st := m.Set("passcode.quality", object{"min_length": 14, "min_classes": 3, "max_repeat": 2, "reject_username": true, "dictionary_check": true, "history": 5, "enforce_root": true})
	m.Want(st, manifest.Applied, "")
	for _, w := range []string{`"min_length":14`, `"min_classes":3`, `"max_repeat":2`, `"rejects_username":true`, `"dictionary_check":true`, `"history":5`} {
		if !strings.Contains(string(st.Observed), w) {
			t.Errorf("observed %s, want %s", st.Observed, w)
		}
	}
	out, _ := inside(t, m, `echo 'kR7#vQ2m' | pwscore alice; echo 'kR7#vQ2m-pTx9wLz' | pwscore alice`)
	if !strings.Contains(out, "shorter than 14") || strings.Count(out, "failed") != 1 {
		t.Errorf("pwscore says %q", out)
	}
	// Changing a password goes through PAM for real: a weak one is refused, an old one too.
	out, _ = inside(t, m, `printf 'short1A\nshort1A\n' | pamtester passwd alice chauthtok; echo weak $?
printf 'kR7#vQ2m-pTx9wLz\nkR7#vQ2m-pTx9wLz\n' | pamtester passwd alice chauthtok; echo good $?
printf 'zW4!nB8k-yUe3hJd\nzW4!nB8k-yUe3hJd\n' | pamtester passwd alice chauthtok; echo other $?
printf 'kR7#vQ2m-pTx9wLz\nkR7#vQ2m-pTx9wLz\n' | pamtester passwd alice chauthtok; echo again $?`)
	for _, w := range []string{"weak 1", "good 0", "other 0", "again 1"} {
		if !strings.Contains(out, w+"\n") {
			t.Errorf("pamtester lacks %q (package pamtester):\n%s", w, out)
		}
	}
	m.Unset("passcode.quality")
	if now, was := parts(m.Tree()), parts(before); now != was {
		t.Errorf("after removal:\n%s\nwant\n%s", now, was)
	}
}

// parts is a tree without what programs that change passwords leave.
func parts(tree string) string {
	var out []string
	for l := range strings.Lines(tree) {
		if !strings.Contains(l, "shadow") && !strings.Contains(l, "opasswd") && !strings.HasPrefix(l, "alice:") && !strings.Contains(l, ":20000:") && !strings.Contains(l, ".pwd.lock") && strings.TrimSpace(l) != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

func TestQualityThatAnotherFileOverrules(t *testing.T) {
	m := machine(t, nil)
	m.Write("/etc/security/pwquality.conf", "minlen = 7\n")
	before := m.Tree()
	m.Want(m.Set("passcode.quality", object{"min_length": 14}), manifest.Conflict, "take the line out")
	if after := m.Tree(); after != before {
		t.Error("written all the same")
	}
	m.Write("/etc/security/pwquality.conf", "minlen = 20\n") // stricter is well
	m.Want(m.Set("passcode.quality", object{"min_length": 14}), manifest.Applied, "")
}

func TestBadQuality(t *testing.T) {
	for words, v := range map[string]object{
		"min_length is 3":     {"min_length": 3},
		"min_classes is 9":    {"min_classes": 9},
		"history is -1":       {"history": -1},
		"older than the gate": {"min_length": "long"},
	} {
		m := machine(t, nil)
		m.Want(m.Set("passcode.quality", v), manifest.Failed, words)
	}
	m := machine(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh", "mount", "unshare") })
	before := m.Tree()
	m.Want(m.Set("passcode.quality", object{"min_length": 12}), manifest.Failed, "install the package libpwquality-tools")
	if m.Tree() != before {
		t.Error("applied blind")
	}
	m = enforcetest.New(t, nil, passcode.New())
	m.Want(m.Set("passcode.quality", object{"min_length": 12}), manifest.NotApplicable, "pam-auth-update")
	m.Want(m.Set("passcode.lockout", object{"attempts": 5}), manifest.NotApplicable, "pam-auth-update")
	m.Want(m.Set("passcode.ageing", object{"max_days": 5}), manifest.NotApplicable, "login.defs")
}

func TestEditedPAMIsLeftAlone(t *testing.T) {
	m := machine(t, nil)
	m.Write("/etc/pam.d/common-auth", "auth required pam_unix.so\n")
	before := m.Tree()
	m.Want(m.Set("passcode.lockout", object{"attempts": 5}), manifest.Failed, "somebody has edited")
	if after := m.Tree(); after != before {
		t.Errorf("written all the same")
	}
}

func TestLockout(t *testing.T) {
	t.Parallel() // wrong passwords take their time
	m := machine(t, nil)
	before := m.Tree()
	st := m.Set("passcode.lockout", object{"attempts": 3, "unlock_seconds": 600, "window_seconds": 900})
	m.Want(st, manifest.Applied, "")
	script := `printf 'auth include common-auth\naccount include common-account\n' > /etc/pam.d/handrail-test
try() { echo "$1" | pamtester handrail-test alice authenticate acct_mgmt >/dev/null 2>&1; echo "$2 $?"; }
try Correct-Horse-7 first
try wrong one; try wrong two
try Correct-Horse-7 resets
try wrong one; try wrong two; try wrong three
try Correct-Horse-7 locked
faillock --user alice
faillock --user alice --reset
try Correct-Horse-7 unlocked
rm /etc/pam.d/handrail-test`
	out, err := inside(t, m, script)
	for _, w := range []string{"first 0\n", "one 1\ntwo 1\nresets 0\n", "three 1\nlocked 1\n", "unlocked 0\n"} {
		if !strings.Contains(out, w) {
			t.Fatalf("the device lacks %q (packages pamtester, libpam-modules-bin): %v\n%s", w, err, out)
		}
	}
	if strings.Count(out, " V\n") != 3 {
		t.Errorf("faillock does not list three failures:\n%s", out)
	}
	m.Want(m.Set("passcode.lockout", object{"attempts": 1, "include_root": true}), manifest.Applied, "")
	m.Want(m.Set("passcode.quality", object{"history": 3}), manifest.Applied, "")
	m.Unset("passcode.lockout")
	m.Unset("passcode.quality")
	if after := m.Tree(); after != before {
		t.Errorf("after removal:\n%s\nwant\n%s", after, before)
	}
}

func TestDriftOfPAMIsMended(t *testing.T) {
	m := machine(t, nil)
	m.Want(m.Set("passcode.lockout", object{"attempts": 3}), manifest.Applied, "")
	was := m.Read("/etc/pam.d/common-auth")
	for _, f := range []string{"/usr/share/pam-configs/handrail-lockout", "/usr/share/pam-configs/handrail-lockout-count"} {
		if err := os.Remove(m.System.Abs(f)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("pam-auth-update", "--root", m.System.Abs("/"), "--package").CombinedOutput(); err != nil {
		t.Logf("%v %s", err, out)
	}
	st := m.Enforce()["passcode.lockout"]
	m.Want(st, manifest.Applied, "")
	if m.Read("/etc/pam.d/common-auth") != was {
		t.Errorf("not mended:\n%s", m.Read("/etc/pam.d/common-auth"))
	}
}

func TestFaillockOfOthers(t *testing.T) {
	m := machine(t, nil)
	m.Write("/etc/pam.d/common-auth", "auth required pam_faillock.so preauth\nauth required pam_unix.so\n")
	m.Want(m.Set("passcode.lockout", object{"attempts": 3}), manifest.Conflict, "somebody else")
}

func chageSays(t *testing.T, m *enforcetest.Machine, user string) string {
	t.Helper()
	out, err := exec.Command("chage", "-R", m.System.Abs("/"), "-l", user).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestAgeing(t *testing.T) {
	m := machine(t, nil)
	m.Write("/etc/default/useradd", "SHELL=/bin/sh") // no line end, and no INACTIVE
	defs, defaults := m.Read("/etc/login.defs"), m.Read("/etc/default/useradd")
	st := m.Set("passcode.ageing", object{"max_days": 90, "min_days": 1, "warn_days": 14, "inactive_days": 30, "apply_to_existing": true})
	m.Want(st, manifest.Applied, "")
	if says := chageSays(t, m, "alice"); !strings.Contains(says, "Maximum number of days between password change		: 90") || !strings.Contains(says, "warning before password expires	: 14") {
		t.Errorf("chage says of alice\n%s", says)
	}
	if says := chageSays(t, m, "bob"); !strings.Contains(says, "99999") {
		t.Errorf("chage says of bob, who has no password\n%s", says)
	}
	if !strings.Contains(string(st.Observed), `"accounts":1`) {
		t.Errorf("observed %s", st.Observed)
	}
	if out, err := exec.Command("useradd", "-R", m.System.Abs("/"), "-M", "carol").CombinedOutput(); err != nil || strings.Contains(string(out), "configuration error") {
		t.Errorf("useradd: %v %s", err, out)
	}
	if shadow := m.Read("/etc/shadow"); !strings.Contains(shadow, ":1:90:14:30::\n") || !strings.Contains(shadow, "\ncarol:") {
		t.Errorf("a new account is\n%s", shadow)
	}
	// Another's change of the file stays, and what is no longer ours goes back.
	m.Write("/etc/login.defs", m.Read("/etc/login.defs")+"# another's\n")
	m.Want(m.Set("passcode.ageing", object{"max_days": 60, "apply_to_existing": true}), manifest.Applied, "")
	if defs := m.Read("/etc/login.defs"); !strings.Contains(defs, "\nPASS_WARN_AGE\t7\n") || !strings.Contains(defs, "\nPASS_MAX_DAYS\t60\n") || !strings.HasSuffix(defs, "# another's\n") {
		t.Errorf("login.defs:\n%s", defs)
	}
	m.Write("/etc/login.defs", strings.TrimSuffix(m.Read("/etc/login.defs"), "# another's\n"))
	m.Unset("passcode.ageing")
	if m.Read("/etc/login.defs") != defs || strings.TrimSpace(m.Read("/etc/default/useradd")) != defaults {
		t.Errorf("after removal:\n%s%s", m.Read("/etc/login.defs"), m.Read("/etc/default/useradd"))
	}
	if says := chageSays(t, m, "alice"); !strings.Contains(says, "Maximum number of days between password change		: 99999") {
		t.Errorf("after removal chage says of alice\n%s", says)
	}
}

func TestBadAgeing(t *testing.T) {
	m := machine(t, nil)
	before := m.Tree()
	m.Want(m.Set("passcode.ageing", object{"max_days": 5, "min_days": 5}), manifest.Failed, "min_days")
	m.Want(m.Set("passcode.ageing", object{"max_days": -1}), manifest.Failed, "max_days")
	m.Want(m.Set("passcode.ageing", object{"inactive_days": 1000000}), manifest.Failed, "inactive_days")
	if after := m.Tree(); after != before {
		t.Error("written all the same")
	}
}
