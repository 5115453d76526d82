package command_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	agentcommand "handrail/agent/internal/command"
	"handrail/mdm/command"
)

func run(t *testing.T, params map[string]any) command.Result {
	t.Helper()
	g := newGate()
	a := start(t, g, journalDir(t), func(c *agentcommand.Config) {
		if c.Scratch = t.TempDir(); params["run_as"] != nil {
			c.Scratch = "" // others may not enter the test's
		}
	})
	id := g.add(command.RunScript, params)
	a.exec.Nudge()
	r := g.await(t, id)
	a.stop()
	return r
}

func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		params map[string]any
		state  command.State
		reason command.Reason
		output string // all of it
	}{
		{"sh", map[string]any{"interpreter": "sh", "body": "echo out; echo err >&2; pwd >/dev/null"}, command.Succeeded, "", "out\nerr\n"},
		{"bash", map[string]any{"interpreter": "bash", "body": "a=(x y); echo ${a[1]}"}, command.Succeeded, "", "y\n"},
		{"python", map[string]any{"interpreter": "python3", "body": "import os\nprint(os.environ['PARAM_N'])", "parameters": map[string]string{"n": "4 2"}}, command.Succeeded, "", "4 2\n"},
		{"code", map[string]any{"interpreter": "sh", "body": "exit 7"}, command.Failed, command.ReasonExitCode, ""},
		{"signal", map[string]any{"interpreter": "sh", "body": "kill -9 $$"}, command.Failed, command.ReasonExitCode, ""},
		{"no shell in values", map[string]any{"interpreter": "sh", "body": `echo "$PARAM_V"`, "parameters": map[string]string{"v": "$(id) `id` ; id"}}, command.Succeeded, "", "$(id) `id` ; id\n"},
		{"as another", map[string]any{"interpreter": "sh", "body": "id -un; test -r script; touch mine && echo $HOME", "run_as": "nobody"}, command.Succeeded, "", "nobody\n/nonexistent\n"},
		{"as nobody there", map[string]any{"interpreter": "sh", "body": "id", "run_as": "nobody_at_all"}, command.Failed, command.ReasonError, ""},
		{"binary output", map[string]any{"interpreter": "sh", "body": `printf 'a\000\033[31mb\377\n'`}, command.Succeeded, "", "a[31mb\ufffd\n"},
		{"no input", map[string]any{"interpreter": "sh", "body": "cat; echo over"}, command.Succeeded, "", "over\n"},
		{"little around it", map[string]any{"interpreter": "sh", "body": "env | cut -d= -f1 | sort | tr '\\n' ' '"}, command.Succeeded, "", "HANDRAIL_COMMAND HOME LANG LOGNAME PATH PWD TMPDIR USER "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, tt.params)
			if r.State != tt.state || r.Reason != tt.reason || r.Output != tt.output {
				t.Errorf("%+v, want %s %s %q", r, tt.state, tt.reason, tt.output)
			}
		})
	}
}

// TestTooMuchOutput: a gigabyte costs a bounded place, and both ends of it are kept.
func TestTooMuchOutput(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	r := run(t, map[string]any{"interpreter": "sh", "body": "echo first; head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo last", "output_bytes": 65536})
	runtime.ReadMemStats(&after)
	if r.State != command.Succeeded || r.OutputBytes != 1_000_000_012 {
		t.Errorf("%s, %d bytes written", r.State, r.OutputBytes)
	}
	if len(r.Output) > 66000 || !strings.HasPrefix(r.Output, "first\nxxx") || !strings.HasSuffix(r.Output, "xxx\nlast\n") || !strings.Contains(r.Output, " bytes left out …") {
		t.Errorf("%d bytes are kept: %.40q … %q", len(r.Output), r.Output, r.Output[max(0, len(r.Output)-40):])
	}
	if grown := int64(after.HeapSys - before.HeapSys); grown > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	t.Logf("1 GB in %v", time.Since(began).Round(time.Millisecond))
}

// TestTimeLimitEndsEverything: what a script started ends with it: in its group, out of its
// session, and without its environment.
func TestTimeLimitEndsEverything(t *testing.T) {
	// A busy machine may not start them all within the limit: then with a longer one.
	for seconds := 1; !endsEverything(t, seconds); seconds *= 4 {
		if seconds > 60 {
			t.Fatalf("they do not start within %d seconds", seconds)
		}
	}
}

// endsEverything runs a script that starts others, and reports whether it came to that.
func endsEverything(t *testing.T, seconds int) bool {
	t.Helper()
	pids := filepath.Join(t.TempDir(), "pids")
	body := `trap '' TERM
		sleep 1000 & echo $! >> ` + pids + `
		setsid sh -c 'echo $$ >> ` + pids + `; trap "" TERM; sleep 1001; true' &
		setsid setsid sh -c 'echo $$ >> ` + pids + `; exec sleep 1002' </dev/null >/dev/null 2>&1 &
		env -i sh -c 'echo $$ >> ` + pids + `; exec sleep 1003' &
		echo $$ >> ` + pids + `
		while :; do :; done`
	began := time.Now()
	r := run(t, map[string]any{"interpreter": "sh", "body": body, "timeout_seconds": seconds})
	if r.State != command.Failed || r.Reason != command.ReasonTimeLimit {
		t.Errorf("%+v", r)
	}
	if d := time.Since(began); d > time.Duration(seconds)*time.Second+time.Minute {
		t.Errorf("it took %v", d)
	}
	alive(t, pids, 0)
	b, _ := os.ReadFile(pids)
	return len(strings.Fields(string(b))) >= 5
}

// alive fails for each process named in a file that still runs.
func alive(t *testing.T, file string, want int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && want > 0 {
		t.Fatal(err)
	}
	list := strings.Fields(string(b))
	if len(list) < want {
		t.Errorf("%d processes were started, want %d", len(list), want)
	}
	for _, pid := range list {
		if _, err := strconv.Atoi(pid); err != nil {
			t.Fatal(err)
		}
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %s still runs: %s", pid, stat)
		}
	}
}

// TestLeftBehind: what goes on after the script's own end is ended too.
func TestLeftBehind(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	began := time.Now()
	r := run(t, map[string]any{"interpreter": "sh", "body": `setsid sleep 1000 & echo $! > ` + pids + `; echo over`})
	if r.State != command.Succeeded || r.Output != "over\n" {
		t.Errorf("%+v", r)
	}
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %v", d)
	}
	alive(t, pids, 1)
}

// TestForks: a script that makes processes without end is ended, with all of them.
func TestForks(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	body := `n=0; while [ $n -lt 900 ]; do sleep 100 & echo $! >> ` + pids + `; n=$((n+1)); done; wait`
	r := run(t, map[string]any{"interpreter": "sh", "body": body})
	if r.State != command.Failed || r.Reason != command.ReasonProcesses {
		t.Errorf("%+v", r)
	}
	alive(t, pids, 512)
}

// TestProcessLimit: a script that wants 40 processes where 20 are allowed is refused them by
// the kernel, or ended; it says which, and nothing of it is left.
func TestProcessLimit(t *testing.T) {
	for _, groups := range []string{"", filepath.Join(t.TempDir(), "none")} {
		g := newGate()
		a := start(t, g, journalDir(t), func(c *agentcommand.Config) {
			c.Scratch, c.Cgroups, c.MaxProcesses = t.TempDir(), groups, 20
		})
		pids := filepath.Join(t.TempDir(), "pids")
		id := g.add(command.RunScript, map[string]any{
			"interpreter": "bash", "timeout_seconds": 120,
			"body": `trap "exit 9" TERM; n=0; while [ $n -lt 40 ]; do sleep 100 & echo $! >> ` + pids + `; n=$((n+1)); done; wait`,
		})
		a.exec.Nudge()
		r := g.await(t, id)
		a.stop()
		counted := r.Reason == command.ReasonProcesses && strings.Contains(r.Message, "at most 20")
		refused := strings.Contains(r.Message, "refused more than 20 processes")
		if r.State != command.Failed || !counted && !refused {
			t.Errorf("groups %q: %s %s %q", groups, r.State, r.Reason, r.Message)
		}
		if groups != "" && !strings.Contains(r.Message, "were counted and not limited") {
			t.Errorf("without control groups it says %q", r.Message)
		}
		alive(t, pids, 10)
	}
}
