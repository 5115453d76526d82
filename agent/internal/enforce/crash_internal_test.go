package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"handrail/mdm/manifest"
)

// lamp is a mechanism with files and a state of the system beyond them, which is a file no
// plan speaks of.
type lamp struct{ fail string }

type lampValue struct {
	Colour string   `json:"colour"`
	Files  []string `json:"files"`
}

func (*lamp) Keys() []string { return []string{"lamp"} }

func (l *lamp) Plan(_ context.Context, sys *System, s manifest.Setting) (Plan, error) {
	v, err := Decode[lampValue](s)
	p := Plan{Before: l.shines(sys)}
	for _, f := range v.Files {
		p.Files = append(p.Files, File{Path: f, Content: []byte(v.Colour), Mode: 0o600})
	}
	return p, err
}

func (*lamp) shines(sys *System) string {
	b, _ := os.ReadFile(sys.Abs("/run/lamp"))
	return string(b)
}

func (l *lamp) Apply(_ context.Context, sys *System, s manifest.Setting) error {
	v, err := Decode[lampValue](s)
	if err != nil {
		return err
	}
	if l.fail != "" && strings.Contains(v.Colour, l.fail) {
		return errors.New("the bulb is broken")
	}
	return os.WriteFile(sys.Abs("/run/lamp"), []byte(v.Colour), 0o600)
}

func (l *lamp) Observe(_ context.Context, sys *System, s manifest.Setting) (any, error) {
	v, err := Decode[lampValue](s)
	if now := l.shines(sys); err == nil && now != v.Colour {
		err = fmt.Errorf("it shines %s", now)
	}
	return v.Colour, err
}

func (*lamp) Remove(_ context.Context, sys *System, r Removal) error {
	was := ""
	if len(r.Before) > 0 {
		if err := json.Unmarshal(r.Before, &was); err != nil {
			return err
		}
	}
	return os.WriteFile(sys.Abs("/run/lamp"), []byte(was), 0o600)
}

func lampManifest(t *testing.T, settings ...manifest.Setting) manifest.Manifest {
	t.Helper()
	hash, err := manifest.Sum(settings)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifest{Generation: 1, Hash: hash, Settings: settings}
}

func lampSetting(t *testing.T, colour string, files ...string) manifest.Setting {
	t.Helper()
	b, err := json.Marshal(lampValue{colour, files})
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Setting{ID: "lamp", Value: b}
}

func lampEngine(t *testing.T, dir string, l *lamp) *Engine {
	t.Helper()
	for _, d := range []string{"root/run", "root/etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Config{Dir: filepath.Join(dir, "state"), System: System{Root: filepath.Join(dir, "root")}, Enforcers: []Enforcer{l}}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// lampRoot is the whole tree of the device.
func lampRoot(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(dir, "root"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == filepath.Join(dir, "root") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(p, dir) + " " + info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += " " + string(b)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// Stages of the life that TestKilledAnywhere cuts off: nothing, red, blue in other places,
// nothing again.
func lampLife(t *testing.T, e *Engine, from int) {
	t.Helper()
	for i := from; i < 3; i++ {
		if _, err := e.Enforce(t.Context(), lampStage(t, i)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(e.cfg.Dir, "..", "stage"), []byte(strconv.Itoa(i+1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func lampStage(t *testing.T, i int) manifest.Manifest {
	t.Helper()
	switch i {
	case 0:
		return lampManifest(t, lampSetting(t, "red", "/etc/lamp", "/etc/made/by/us"))
	case 1:
		return lampManifest(t, lampSetting(t, "blue", "/etc/made/by/us", "/etc/made/other"))
	}
	return lampManifest(t)
}

// TestKilledAnywhere ends the agent with SIGKILL at each step in turn. The next agent, told
// nothing new, must first leave nothing half done, and then come to the same end.
func TestKilledAnywhere(t *testing.T) {
	if at := os.Getenv("HANDRAIL_TEST_KILL_AT"); at != "" {
		e := lampEngine(t, os.Getenv("HANDRAIL_TEST_DIR"), &lamp{})
		left, err := strconv.Atoi(at)
		if err != nil {
			t.Fatal(err)
		}
		e.step = func(string) {
			if left--; left < 0 {
				p, _ := os.FindProcess(os.Getpid())
				_ = p.Kill()
				select {}
			}
		}
		lampLife(t, e, 0)
		return
	}
	whole := t.TempDir()
	prepare(t, whole)
	begin := lampRoot(t, whole)
	var states []string // after each stage, in a life without accidents
	e := lampEngine(t, whole, &lamp{})
	for i := range 3 {
		if _, err := e.Enforce(t.Context(), lampStage(t, i)); err != nil {
			t.Fatal(err)
		}
		states = append(states, lampRoot(t, whole))
	}
	if states[2] != begin {
		t.Fatalf("after removal:\n%s\nwant\n%s", states[2], begin)
	}
	states = append([]string{begin}, states...)
	for at := 0; ; at++ {
		dir := t.TempDir()
		prepare(t, dir)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledAnywhere$")
		cmd.Env = append(os.Environ(), "HANDRAIL_TEST_DIR="+dir, "HANDRAIL_TEST_KILL_AT="+strconv.Itoa(at))
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Logf("killed at each of %d steps", at)
			if at < 10 {
				t.Errorf("only %d steps", at)
			}
			return
		}
		if cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("step %d: %v\n%s", at, err, out)
		}
		stage := 0
		if b, err := os.ReadFile(filepath.Join(dir, "stage")); err == nil {
			stage, _ = strconv.Atoi(string(b))
		}
		e := lampEngine(t, dir, &lamp{})
		e.recoverAll(t.Context())
		if now := lampRoot(t, dir); !slices.Contains(states[stage:stage+2], now) {
			t.Errorf("step %d (stage %d): half done:\n%s", at, stage, now)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "root", "etc", "*", tempPrefix+"*")); len(left) > 0 {
			t.Errorf("step %d: left: %s", at, left)
		}
		lampLife(t, e, stage)
		if now := lampRoot(t, dir); now != begin {
			t.Errorf("step %d (stage %d): at the end:\n%s\nwant\n%s", at, stage, now, begin)
		}
		if kept, _ := os.ReadDir(filepath.Join(dir, "state", "kept")); len(kept) > 0 {
			t.Errorf("step %d: %d kept files are left", at, len(kept))
		}
	}
}

func prepare(t *testing.T, dir string) {
	t.Helper()
	lampEngine(t, dir, &lamp{})
	for p, content := range map[string]string{"root/run/lamp": "green", "root/etc/lamp": "as it was"} {
		if err := os.WriteFile(filepath.Join(dir, p), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFailureGoesBack has the second value fail: the first stays, whole.
func TestFailureGoesBack(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir)
	begin := lampRoot(t, dir)
	e := lampEngine(t, dir, &lamp{fail: "black"})
	for _, tt := range []struct {
		colour string
		state  manifest.State
	}{{"black", manifest.Failed}, {"red", manifest.Applied}, {"black and blue", manifest.Failed}, {"red", manifest.Applied}} {
		before := lampRoot(t, dir)
		list, err := e.Enforce(t.Context(), lampManifest(t, lampSetting(t, tt.colour, "/etc/lamp", "/etc/"+tt.colour)))
		if err != nil || len(list) != 1 || list[0].State != tt.state {
			t.Errorf("%s: %+v, %v, want %s", tt.colour, list, err, tt.state)
		}
		if now := lampRoot(t, dir); tt.state == manifest.Failed && now != before {
			t.Errorf("%s failed and left\n%s\nwant\n%s", tt.colour, now, before)
		}
	}
	if _, err := e.Enforce(t.Context(), lampManifest(t)); err != nil {
		t.Fatal(err)
	}
	if now := lampRoot(t, dir); now != begin {
		t.Errorf("at the end:\n%s\nwant\n%s", now, begin)
	}
}

// TestDamagedRecord: the agent starts with a record of the journal that cannot be read, sets
// it aside, applies the setting, and throws nothing away that the record may have spoken of.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	e := lampEngine(t, dir, &lamp{})
	before := filepath.Join(dir, "root/etc/lamp")
	if err := os.WriteFile(before, []byte("as the distribution has it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Enforce(t.Context(), lampManifest(t, lampSetting(t, "red", "/etc/lamp"))); err != nil {
		t.Fatal(err)
	}
	record := e.ledger.file("lamp")
	if err := os.WriteFile(record, []byte(`{"id":"lamp","pha`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start finds it set aside
		e = lampEngine(t, dir, &lamp{})
		got, err := e.Enforce(t.Context(), lampManifest(t, lampSetting(t, "blue", "/etc/lamp")))
		if err != nil || len(got) != 1 || got[0].State != manifest.Applied {
			t.Fatalf("with a damaged record: %+v, %v", got, err)
		}
	}
	if _, err := os.Stat(record + damagedSuffix); err != nil {
		t.Errorf("the damaged record: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state/kept", sum([]byte("as the distribution has it")))); err != nil {
		t.Errorf("what was there before: %v", err)
	}
}
