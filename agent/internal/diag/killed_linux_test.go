package diag

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// killedAgent is set, to a directory, where this test is the agent that is killed.
const killedAgent = "HANDRAIL_TEST_KILLED_AGENT"

// TestProgramsEndWithTheAgent kills a process while a program of the system runs for it.
func TestProgramsEndWithTheAgent(t *testing.T) {
	if dir := os.Getenv(killedAgent); dir != "" {
		_, err := runProgram(t.Context(), "/bin/sh", "-c", `echo $$ >"$1/new" && mv "$1/new" "$1/pid" && exec sleep 600`, "sh", dir)
		t.Fatalf("the program has ended: %v", err)
	}
	dir := t.TempDir()
	agent := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$") //nolint:gosec,noctx // this test, killed below
	agent.Env = append(os.Environ(), killedAgent+"="+dir)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid string
	await(t, "started", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "pid"))
		pid = strings.TrimSpace(string(b))
		return err == nil
	})
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // killed
	await(t, "ended", func() bool {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		_, after, _ := strings.Cut(string(b), ") ")
		return errors.Is(err, fs.ErrNotExist) || strings.HasPrefix(after, "Z") // nobody may have collected it yet
	})
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the program has not %s in a minute", what)
		}
	}
}
