// Package script enforces what only a script can say: one that checks and one that mends.
package script

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "script.check"

// maxShown is how much of a script's output is reported, in bytes: its end.
const maxShown = 2 << 10

type value struct {
	Interpreter    string `json:"interpreter"` // sh, bash, python3
	Check          string `json:"check"`
	Fix            string `json:"fix"`
	RunAs          string `json:"run_as"`
	TimeoutSeconds int    `json:"timeout_seconds"`
	EverySeconds   int    `json:"every_seconds"`
}

// packages says which package brings an interpreter.
var packages = map[string]string{"sh": "dash", "bash": "bash", "python3": "python3"}

// observed is how the check ended.
type observed struct {
	Exit   int    `json:"exit"`
	Output string `json:"output,omitempty"`
}

// Enforcer enforces script.check.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

func decode(s manifest.Setting) (value, error) {
	v, err := enforce.Decode[value](s)
	v.Interpreter, v.RunAs = cmp.Or(v.Interpreter, "sh"), cmp.Or(v.RunAs, "root")
	v.TimeoutSeconds, v.EverySeconds = cmp.Or(v.TimeoutSeconds, 60), cmp.Or(v.EverySeconds, 3600)
	switch {
	case err != nil:
	case packages[v.Interpreter] == "":
		err = fmt.Errorf("this version of the agent does not run scripts of %q", v.Interpreter)
	case v.TimeoutSeconds < 1 || v.TimeoutSeconds > 3600:
		err = fmt.Errorf("a time limit of %d seconds is not between 1 and 3600", v.TimeoutSeconds)
	case v.EverySeconds < 60:
		err = fmt.Errorf("a check every %d seconds is too often: at least 60", v.EverySeconds)
	case v.Check == "":
		err = errors.New("there is no check")
	}
	return v, err
}

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(ctx context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, err := decode(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	limit := time.Duration(v.TimeoutSeconds) * time.Second
	return enforce.Plan{
		Every: time.Duration(v.EverySeconds) * time.Second, Patience: 3*limit + time.Minute,
		Check: func(context.Context, enforce.Staged) error { return syntax(ctx, sys, v) },
	}, nil
}

// syntax has the interpreter read both scripts without running them.
func syntax(ctx context.Context, sys *enforce.System, v value) error {
	for _, text := range []string{v.Check, v.Fix} {
		if text == "" {
			continue
		}
		tool, err := sys.Tool(v.Interpreter, packages[v.Interpreter])
		if err != nil {
			return err
		}
		p := enforce.Program{Path: tool, Args: []string{"-n"}, Stdin: []byte(text)}
		if v.Interpreter == "python3" {
			p.Args = []string{"-c", "import sys; compile(sys.stdin.read(), 'script', 'exec')"}
		}
		if _, err := sys.Run(ctx, p); err != nil {
			return fmt.Errorf("the script cannot be read: %w", err)
		}
	}
	return nil
}

// run runs a script to its end.
func run(ctx context.Context, sys *enforce.System, v value, text string) (enforce.Result, error) {
	tool, err := sys.Tool(v.Interpreter, packages[v.Interpreter])
	if err != nil {
		return enforce.Result{}, err
	}
	p := enforce.Program{Path: tool, Within: time.Duration(v.TimeoutSeconds) * time.Second, MaxKeep: 64 << 10}
	if v.RunAs != "root" {
		a, err := sys.User(ctx, v.RunAs)
		if err != nil {
			return enforce.Result{}, err
		}
		if a.UID != 0 && os.Geteuid() != 0 && a.UID != os.Geteuid() {
			return enforce.Result{}, fmt.Errorf("the agent does not run as root and cannot run a script as %s", v.RunAs)
		}
		p.UID, p.GID, p.Env = a.UID, a.GID, []string{"HOME=" + a.Home, "USER=" + a.Name}
	}
	if !sys.Live() {
		p.Env = append(p.Env, "HANDRAIL_ROOT="+sys.Root)
	}
	dir, err := os.MkdirTemp("", "handrail-script-*")
	if err != nil {
		return enforce.Result{}, err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "script")
	if err := os.WriteFile(at, []byte(text), 0o500); err != nil { //nolint:gosec // for its account only, below
		return enforce.Result{}, err
	}
	if p.UID != 0 && os.Geteuid() == 0 {
		for _, f := range []string{at, dir} { // the directory last: in one of theirs the account could put another file in its place
			if err := os.Lchown(f, p.UID, p.GID); err != nil {
				return enforce.Result{}, err
			}
		}
	}
	p.Args = []string{at}
	return sys.Run(ctx, p)
}

// check runs the check and says how it ended.
func check(ctx context.Context, sys *enforce.System, v value) (observed, error) {
	r, err := run(ctx, sys, v, v.Check)
	o := observed{Exit: r.Code, Output: tail(r.Out + r.Err)}
	var exit *enforce.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("the check ended with %d: %s", r.Code, r.Words())
	} else if err != nil {
		err = fmt.Errorf("check: %w", err)
	}
	return o, err
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxShown {
		s = "…" + s[len(s)-maxShown:]
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if c := mdm.Clean(string(r), 8); c == "" && r != ' ' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Apply implements enforce.Enforcer: the fix is run where the check says so.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	v, err := decode(s)
	if err != nil {
		return err
	}
	if _, err := check(ctx, sys, v); err == nil || v.Fix == "" {
		return nil //nolint:nilerr // Observe says it
	}
	if _, err := run(ctx, sys, v, v.Fix); err != nil {
		return fmt.Errorf("fix: %w", err)
	}
	return nil
}

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, err := decode(s)
	if err != nil {
		return nil, err
	}
	return check(ctx, sys, v)
}

// Remove implements enforce.Enforcer: nobody knows what a fix did.
func (*Enforcer) Remove(context.Context, *enforce.System, enforce.Removal) error { return nil }
