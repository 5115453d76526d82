package library_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/library"
	"handrail/mdm/script"
)

func shipped(t *testing.T) *script.Registry {
	t.Helper()
	list, err := library.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	r := script.New(nil)
	if err := r.Ship(list); err != nil {
		t.Fatal(err)
	}
	return r
}

// run carries a script out as an agent does: with its parameters in the environment. A tools
// directory stands for programs that would change this machine.
func run(t *testing.T, id script.ID, tools string, values map[string]any) (out string, code int) {
	t.Helper()
	_, v, err := shipped(t).Version(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw := map[string]json.RawMessage{}
	for k, x := range values {
		if raw[k], err = json.Marshal(x); err != nil {
			t.Fatal(err)
		}
	}
	bound, _, err := v.Bind(raw)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(v.Body), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, v.Interpreter, file)
	cmd.Env = []string{"PATH=" + tools + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TOOLS=" + tools}
	for k, x := range bound {
		cmd.Env = append(cmd.Env, "PARAM_"+strings.ToUpper(k)+"="+x)
	}
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, b)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// tool puts a program in a directory that writes down what it was told, then does body.
func tool(t *testing.T, dir, name, body string) {
	t.Helper()
	text := "#!/bin/sh\necho \"" + name + " $*\" >> \"$TOOLS/told\"\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
}

func told(t *testing.T, dir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "told"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// TestEveryScriptIsWhole: each can be kept, has words, and its interpreter can read it.
func TestEveryScriptIsWhole(t *testing.T) {
	list, err := shippedList(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		_, v, err := shipped(t).Version(t.Context(), s.ID, 0)
		if err != nil || !s.Shipped || s.Description == "" || v.ByName != "Handrail" {
			t.Errorf("%s: %+v %v", s.ID, s, err)
		}
		check := exec.CommandContext(t.Context(), v.Interpreter, "-n")
		if v.Interpreter == "python3" {
			check = exec.CommandContext(t.Context(), v.Interpreter, "-c", "import ast, sys; ast.parse(sys.stdin.read())")
		}
		check.Stdin = strings.NewReader(v.Body)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", s.ID, err, out)
		}
	}
	if len(list) < 10 {
		t.Errorf("%d scripts", len(list))
	}
}

func shippedList(t *testing.T) ([]script.Script, error) {
	t.Helper()
	list, err := library.Scripts()
	var out []script.Script
	for _, s := range list {
		one, err := shipped(t).Script(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	return out, err
}

// TestLookersLook runs, for real, the scripts that change nothing.
func TestLookersLook(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener
	if out, code := run(t, "scr_diskusage", "", map[string]any{"path": dir}); code != 0 || !strings.Contains(out, dir) {
		t.Errorf("disk usage: %d\n%s", code, out)
	}
	if out, code := run(t, "scr_diskusage", "", map[string]any{"path": dir + "/none"}); code != 1 || !strings.Contains(out, "There is no directory") {
		t.Errorf("disk usage of nothing: %d\n%s", code, out)
	}
	if out, code := run(t, "scr_largestfiles", "", map[string]any{"path": dir, "min_mib": 2}); code != 0 || !strings.Contains(out, "3.0 MiB  "+dir+"/large") {
		t.Errorf("largest files: %d\n%s", code, out)
	}
	if out, code := run(t, "scr_listeningports", "", nil); code != 0 || !strings.Contains(out, l.Addr().String()) {
		t.Errorf("listening ports: %d\n%s", code, out)
	}
	if out, code := run(t, "scr_listeningports", "", map[string]any{"outside_only": true}); code != 0 || strings.Contains(out, l.Addr().String()) {
		t.Errorf("ports to be reached from outside: %d\n%s", code, out)
	}
	if out, code := run(t, "scr_reach", "", map[string]any{"host": "127.0.0.1", "port": port, "tries": 1}); code != 0 || !strings.Contains(out, "connected in") {
		t.Errorf("reach: %d\n%s", code, out)
	}
	if out, code := run(t, "scr_certificate", "", map[string]any{"host": "127.0.0.1", "port": 1}); code != 1 || !strings.Contains(out, "could not be reached") {
		t.Errorf("certificate of nobody: %d\n%s", code, out)
	}
}

// TestChangersSayIt runs the others with programs of their own in the place of the system's.
func TestChangersSayIt(t *testing.T) {
	tools := t.TempDir()
	tool(t, tools, "apt-get", "")
	tool(t, tools, "journalctl", "echo Archived and active journals take up 8.0M")
	tool(t, tools, "nmcli", `[ "$1" = -t ] && echo running; exit 0`)
	tool(t, tools, "resolvectl", "")
	tool(t, tools, "nscd", "")
	tool(t, tools, "pidof", "exit 1")
	tool(t, tools, "lpstat", `[ "$1" = -o ] && echo "office-12 ana 1024"; exit 0`)
	tool(t, tools, "cancel", "")
	tool(t, tools, "smartctl", `case "$*" in *--scan*) echo '{"devices":[{"name":"/dev/sdx","type":"sat"}]}';; *) echo '{"model_name":"Disk","smart_status":{"passed":false},"power_on_time":{"hours":7}}';; esac`)
	for _, c := range []struct {
		id     script.ID
		values map[string]any
		code   int
		says   string
		told   string
	}{
		{"scr_cleanpackages", map[string]any{"autoremove": true}, 0, "MiB more are free", "apt-get -q -y -o DPkg::Lock::Timeout=120 autoremove"},
		{"scr_vacuumjournal", map[string]any{"days": 7}, 0, "journals take up", "journalctl --vacuum-size=200M --vacuum-time=7d"},
		{"scr_restartnetwork", map[string]any{"interface": "lo"}, 0, "Done.", "nmcli device disconnect lo"},
		{"scr_restartnetwork", nil, 0, "Done.", "nmcli networking on"},
		{"scr_restartnetwork", map[string]any{"interface": "none0"}, 1, "There is no interface none0", ""},
		{"scr_flushdns", map[string]any{"name": "localhost"}, 0, "127.0.0.1", "nscd --invalidate=hosts"},
		{"scr_printerstate", map[string]any{"cancel": true}, 0, "office-12", "cancel -a"},
		{"scr_smarthealth", nil, 1, "FAILING", "smartctl --json -H -A -i -d sat /dev/sdx"},
	} {
		out, code := run(t, c.id, tools, c.values)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d\n%s", c.id, code, out)
		}
		if c.told != "" && !slices.Contains(told(t, tools), c.told) {
			t.Errorf("%s told %q, want %q", c.id, told(t, tools), c.told)
		}
	}
	if out, code := run(t, "scr_failedservices", "", nil); code > 1 || out == "" {
		t.Errorf("failed services: %d\n%s", code, out)
	}
}

// TestShippedStay: nobody changes them, and nothing but their one version is there.
func TestShippedStay(t *testing.T) {
	r := shipped(t)
	name := "other"
	if _, err := r.Update(t.Context(), "scr_reach", script.Change{Name: &name}, time.Now()); err == nil {
		t.Error("a shipped script was renamed")
	}
	if _, _, err := r.Publish(t.Context(), "scr_reach", 1, script.Draft{Interpreter: "sh", Body: "x"}, time.Now()); err == nil {
		t.Error("a shipped script has another version")
	}
	if _, _, err := r.Version(t.Context(), "scr_reach", 2); err == nil {
		t.Error("version 2 of a shipped script is there")
	}
	if list, err := r.Versions(t.Context(), "scr_reach"); err != nil || len(list) != 1 {
		t.Errorf("versions: %v %v", list, err)
	}
}
