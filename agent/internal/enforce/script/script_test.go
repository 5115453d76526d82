package script_test

import (
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/script"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(script.Key + "/one")

func TestCheckAndFix(t *testing.T) {
	m := enforcetest.New(t, nil, script.New())
	m.Write("/etc/passwd", "nobody:x:65534:65534::/:/bin/sh\n")
	m.Write("/count", "")
	v := object{"check": `test -e "$HANDRAIL_ROOT/done"`, "fix": `echo x >>"$HANDRAIL_ROOT/count"; touch "$HANDRAIL_ROOT/done"`}
	m.Want(m.Set(id, v), manifest.Applied, "")
	m.Want(m.Enforce()[id], manifest.Applied, "")
	if m.Read("/count") != "x\n" {
		t.Errorf("the fix ran for %q, want once", m.Read("/count"))
	}
	m.Want(m.Set(id, object{"check": "true", "fix": `touch "$HANDRAIL_ROOT/never"`}), manifest.Applied, "")
	if m.System.Exists("/never") {
		t.Error("the fix ran although all was well")
	}
	m.Want(m.Set(id, object{"interpreter": "python3", "check": "import os\nassert os.getuid() == 65534, os.getuid()", "run_as": "nobody"}), manifest.Applied, "")
	m.Want(m.Set(id, object{"interpreter": "bash", "check": "[[ $(id -u):$(id -g):$(id -G) == 65534:65534:65534 ]]", "run_as": "nobody"}), manifest.Applied, "")
	m.Unset(id)
}

func TestBadScripts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value object
		words string
	}{
		{"check says no", object{"check": "echo 'the disk is red'; exit 3"}, "ended with 3: the disk is red"},
		{"fix does not help", object{"check": "false", "fix": "true"}, "ended with 1"},
		{"fix fails", object{"check": "false", "fix": "echo cannot >&2; exit 9"}, "fix: sh: cannot"},
		{"syntax", object{"check": "if then"}, "cannot be read"},
		{"syntax of python", object{"interpreter": "python3", "check": "def"}, "cannot be read"},
		{"nothing", object{"check": ""}, "no check"},
		{"other language", object{"interpreter": "perl", "check": "1"}, "does not run scripts"},
		{"nobody there", object{"check": "true", "run_as": "mallory"}, "no account mallory"},
		{"too often", object{"check": "true", "every_seconds": 1}, "too often"},
		{"runs on", object{"check": "sleep 100 & sleep 100", "timeout_seconds": 1}, "longer than 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			m := enforcetest.New(t, nil, script.New())
			m.Want(m.Set(id, tt.value), manifest.Failed, tt.words)
			if d := time.Since(began); d > 80*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

// TestEndlessOutput keeps what is shown of it, and no more in memory.
func TestEndlessOutput(t *testing.T) {
	m := enforcetest.New(t, nil, script.New())
	st := m.Set(id, object{"check": "head -c 268435456 /dev/zero; printf '\\033[31m\\377 end' ; exit 0"})
	m.Want(st, manifest.Applied, "")
	if len(st.Observed) > 4<<10 || strings.Contains(string(st.Observed), `\u001b`) || strings.Contains(string(st.Observed), `\u0000`) {
		t.Errorf("observed %d bytes: %.200s", len(st.Observed), st.Observed)
	}
}

func TestNoInterpreter(t *testing.T) {
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, script.New())
	m.Want(m.Set(id, object{"interpreter": "python3", "check": "1"}), manifest.Failed, "install the package python3")
}
