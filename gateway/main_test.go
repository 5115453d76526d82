package main

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// gateway runs the program with a fresh data directory unless one is given.
func gateway(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, func(string) (string, bool) { return "", false }, &o, &e)
	return code, o.String(), e.String()
}

func TestCommandsOnADatabase(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the group is made once
		code, out, errs := gateway(t, "demo-token", "--data", dir)
		if code != 0 || !strings.HasPrefix(out, "het_") || strings.Count(out, "\n") != 1 {
			t.Fatalf("demo-token = %d, %q, %q", code, out, errs)
		}
	}
	if code, out, errs := gateway(t, "enroll-token", "create", "--data", dir, "--uses", "3", "--ttl", "1h"); code != 0 || !strings.HasPrefix(out, "het_") {
		t.Errorf("enroll-token create = %d, %q, %q", code, out, errs)
	}
	if code, _, errs := gateway(t, "enroll-token", "create", "--data", dir, "--group", "grp_none"); code != 1 || !strings.HasPrefix(errs, "handrail-gateway: ") {
		t.Errorf("a token for no group = %d, %q", code, errs)
	}
	// The group, the sample policy with what it brings, and three tokens.
	if code, out, errs := gateway(t, "audit", "verify", "--data", dir); code != 0 || !strings.Contains(out, "5 entries") {
		t.Errorf("audit verify = %d, %q, %q", code, out, errs)
	}
	if code, _, errs := gateway(t, "audit", "verify", "--data", filepath.Join(dir, "none")); code != 1 || !strings.Contains(errs, "--data") {
		t.Errorf("audit verify of nothing = %d, %q", code, errs)
	}
}

func TestMistakesAreOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"port taken", "--listen", []string{"--data", dir, "--listen", taken.Addr().String()}},
		{"relay port taken", "--turn-listen", []string{"--data", dir, "--listen", "127.0.0.1:0", "--turn-listen", taken.Addr().String()}},
		{"not our address", "--listen", []string{"--data", dir, "--listen", "192.0.2.1:80"}},
		{"plain HTTP for everybody", "TLS", []string{"--data", dir, "--listen", "0.0.0.0:0", "--tls", "off"}},
		{"data in a file", "--data", []string{"--data", "/dev/null/x", "--listen", "127.0.0.1:0"}},
		{"database URL", "postgres://", []string{"--data", dir, "--listen", "127.0.0.1:0", "--database", "mysql://x"}},
		{"unknown flag", "--help", []string{"--nonsense"}},
	} {
		code, out, errs := gateway(t, tt.args...)
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		last := lines[len(lines)-1]
		if code != 1 || out != "" || !strings.HasPrefix(last, "handrail-gateway: ") || !strings.Contains(last, tt.want) {
			t.Errorf("%s: exit %d, %q, last line %q; want one with %q", tt.name, code, out, last, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"version"}} {
		if code, out, _ := gateway(t, args...); code != 0 || out != version+"\n" {
			t.Errorf("%v = %d, %q", args, code, out)
		}
	}
}
