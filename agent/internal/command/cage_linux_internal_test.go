package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a directory that looks like a control group, for what a machine's own may not do.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCageSetsLimits: where controllers are handed down, processes and memory are limited.
func TestCageSetsLimits(t *testing.T) {
	base := tree(t, map[string]string{
		"cgroup.subtree_control":         "cpu memory pids\n",
		cagePrefix + "cmd_1/cgroup.kill": "",
	})
	c, err := newCage(base, "cmd_1", 20)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(c.dir, "pids.max")); got != "20" {
		t.Errorf("pids.max = %q", got)
	}
	if got := read(t, filepath.Join(c.dir, "memory.max")); len(got) < 8 {
		t.Errorf("memory.max = %q", got)
	}
	if w := c.words(nil, 20); w != "" {
		t.Errorf("of a script within its limits it says %q", w)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "pids.events"), []byte("max 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := c.words(nil, 20); !strings.Contains(w, "refused more than 20 processes") {
		t.Errorf("of a script that wanted more it says %q", w)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "memory.events"), []byte("low 0\noom_kill 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := c.words(nil, 20); !strings.Contains(w, "MiB of memory") {
		t.Errorf("of a script that wanted more memory it says %q", w)
	}
	c.kill()
	if got := read(t, filepath.Join(c.dir, "cgroup.kill")); got != "1" {
		t.Errorf("cgroup.kill = %q", got)
	}
}

// TestCageOfAService: controllers that are not handed down yet are asked for.
func TestCageOfAService(t *testing.T) {
	base := tree(t, map[string]string{"cgroup.subtree_control": ""})
	if err := delegate(base); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(base, "cgroup.subtree_control")); got != "+memory" { // a plain file keeps the last
		t.Errorf("cgroup.subtree_control = %q", got)
	}
	if err := os.WriteFile(filepath.Join(base, "cgroup.procs"), []byte("1\n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := moveAside(base); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(base, agentLeaf, "cgroup.procs")); got != "2" {
		t.Errorf("moved last: %q", got)
	}
}

// TestNoCage: where there are no control groups the reason is in words.
func TestNoCage(t *testing.T) {
	c, err := newCage(filepath.Join(t.TempDir(), "none"), "cmd_1", 20)
	if err == nil || c != nil {
		t.Fatalf("a cage in nothing: %v", c)
	}
	if w := c.words(err, 20); !strings.Contains(w, "were counted and not limited: control groups") {
		t.Errorf("it says %q", w)
	}
	c.kill()
	c.end()
}
