// Package enforcetest runs the real engine over a scratch root, for tests of enforcers.
package enforcetest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Machine is a scratch root with an engine. Paths are those on the device.
type Machine struct {
	T      *testing.T
	System enforce.System
	State  string // the engine's directory
	Engine *enforce.Engine

	cfg        enforce.Config
	generation int64
	settings   []manifest.Setting
}

// New makes an empty scratch root and an engine with the enforcers. Change may be nil; it
// alters the configuration before the engine is made.
func New(t *testing.T, change func(*enforce.Config), enforcers ...enforce.Enforcer) *Machine {
	t.Helper()
	dir := t.TempDir()
	m := &Machine{T: t, State: filepath.Join(dir, "state")}
	m.cfg = enforce.Config{Dir: m.State, System: enforce.System{Root: filepath.Join(dir, "root")}, Enforcers: enforcers}
	if change != nil {
		change(&m.cfg)
	}
	if err := os.MkdirAll(m.cfg.System.Root, 0o755); err != nil { //nolint:gosec // as "/" is
		t.Fatal(err)
	}
	m.System = m.cfg.System
	m.Restart()
	return m
}

// Restart makes a new engine over what is on disk, as a restarted agent does.
func (m *Machine) Restart() {
	m.T.Helper()
	var err error
	if m.Engine, err = enforce.New(m.cfg, slog.New(slog.NewTextHandler(m.T.Output(), nil))); err != nil {
		m.T.Fatal(err)
	}
}

// Write puts a file on the device, of root's and mode 0644, making directories.
func (m *Machine) Write(p, content string) {
	m.T.Helper()
	m.WriteMode(p, content, 0o644)
}

// WriteMode puts a file of a mode on the device.
func (m *Machine) WriteMode(p, content string, mode fs.FileMode) {
	m.T.Helper()
	at := m.System.Abs(p)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { //nolint:gosec // as on a system
		m.T.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), mode); err != nil {
		m.T.Fatal(err)
	}
	if err := os.Chmod(at, mode); err != nil {
		m.T.Fatal(err)
	}
}

// Read returns a file's content; "" where there is none.
func (m *Machine) Read(p string) string {
	m.T.Helper()
	b, err := os.ReadFile(m.System.Abs(p))
	if err != nil && !os.IsNotExist(err) {
		m.T.Fatal(err)
	}
	return string(b)
}

// Set adds or changes a setting and has the whole manifest enforced; it returns how the
// setting stands.
func (m *Machine) Set(id manifest.ID, value any) manifest.Status {
	m.T.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		m.T.Fatal(err)
	}
	s := manifest.Setting{ID: id, Value: b, Source: manifest.Source{Policy: "pol_test", Version: 1}}
	m.settings = slices.DeleteFunc(m.settings, func(o manifest.Setting) bool { return o.ID == id })
	m.settings = append(m.settings, s)
	return m.Enforce()[id]
}

// Unset takes a setting out of the manifest and has the rest enforced.
func (m *Machine) Unset(id manifest.ID) {
	m.T.Helper()
	m.settings = slices.DeleteFunc(m.settings, func(o manifest.Setting) bool { return o.ID == id })
	if st, still := m.Enforce()[id]; still {
		m.T.Errorf("%s is not removed: %s: %s", id, st.State, st.Message)
	}
}

// Manifest is what the device must be by now.
func (m *Machine) Manifest() manifest.Manifest {
	m.T.Helper()
	slices.SortFunc(m.settings, func(a, b manifest.Setting) int { return strings.Compare(string(a.ID), string(b.ID)) })
	sum, err := manifest.Sum(m.settings)
	if err != nil {
		m.T.Fatal(err)
	}
	m.generation++
	return manifest.Manifest{Generation: m.generation, Hash: sum, Settings: slices.Clone(m.settings)}
}

// Enforce has the manifest enforced again, as a look by the clock does.
func (m *Machine) Enforce() map[manifest.ID]manifest.Status {
	m.T.Helper()
	list, err := m.Engine.Enforce(m.T.Context(), m.Manifest())
	if err != nil {
		m.T.Fatal(err)
	}
	out := map[manifest.ID]manifest.Status{}
	for _, st := range list {
		out[st.ID] = st
	}
	return out
}

// Want fails the test unless a setting stands as it must, its message holding words.
func (m *Machine) Want(st manifest.Status, state manifest.State, words string) {
	m.T.Helper()
	if st.State != state || !strings.Contains(st.Message, words) {
		m.T.Errorf("%s is %s: %q (observed %s), want %s with %q", st.ID, st.State, st.Message, st.Observed, state, words)
	}
}

// Tree is every file of the root with its mode and content, to compare before and after.
func (m *Machine) Tree() string {
	m.T.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(m.System.Root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(m.System.Root, p)
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b.WriteString(name + " " + info.Mode().String() + "\n" + string(content) + "\n")
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			b.WriteString(name + " -> " + target + "\n")
		default:
			b.WriteString(name + "/ " + info.Mode().String() + "\n")
		}
		return nil
	})
	if err != nil {
		m.T.Fatal(err)
	}
	return b.String()
}

// Tools returns a directory, to be System.Path, that holds only the named programs of this
// machine: what is left out is missing.
func Tools(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	var all enforce.System
	for _, n := range names {
		p, err := all.Tool(n, n)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p, filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
