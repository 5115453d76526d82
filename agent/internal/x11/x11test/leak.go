package x11test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs a package's tests and fails when goroutines of ours outlive them. Call it from
// TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines of ours that do not end within 30 s, but for the
// caller's.
func leaked() (stacks string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		buf := make([]byte, 1<<20)
		stacks = ""
		for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(s, "handrail/") && !strings.Contains(s, "x11test.leaked") {
				stacks += s + "\n\n"
			}
		}
		if stacks == "" {
			return ""
		}
	}
	return stacks
}
