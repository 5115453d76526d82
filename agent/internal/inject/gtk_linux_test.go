package inject

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handrail/agent/internal/x11/x11test"
	"handrail/signaling/input"
)

// TestTypesIntoGTK types into an editor whose toolkit looks characters up its own way, and
// saves with a shortcut.
func TestTypesIntoGTK(t *testing.T) {
	x := x11test.Start(t)
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte{}, 0o600); err != nil {
		t.Fatal(err)
	}
	in := start(t, x.Display)
	s := &session{in: in}
	cmd := x.Command("mousepad", "--disable-server", file)
	home := t.TempDir()
	cmd.Env = append(cmd.Env, "HOME="+home, "XDG_CONFIG_HOME="+home, "GSETTINGS_BACKEND=memory", "DBUS_SESSION_BUS_ADDRESS=disabled:", "NO_AT_BRIDGE=1", "GTK_IM_MODULE=")
	if err := cmd.Start(); err != nil {
		t.Fatalf("mousepad (Debian package mousepad): %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s.apply(t, input.Frame{Type: input.Move, X: 15000, Y: 25000})
	x11test.Eventually(t, "the editor's window", func() bool {
		return x.Command("xdotool", "search", "--onlyvisible", "--class", "mousepad").Run() == nil
	})
	var many strings.Builder
	for r := rune(0x4e00); r < 0x4e00+60; r++ {
		many.WriteRune(r)
	}
	want := everything + many.String()
	save := func() bool {
		s.key(t, true, 0x16, input.Ctrl, "")
		s.key(t, false, 0x16, input.Ctrl, "")
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), "!")
	}
	x11test.Eventually(t, "the editor takes keys", func() bool {
		s.key(t, true, 0x04, 0, "!")
		s.key(t, false, 0x04, 0, "")
		return save()
	})
	s.key(t, true, 0x04, input.Ctrl, "")
	s.key(t, false, 0x04, input.Ctrl, "")
	s.key(t, true, input.CodeDelete, 0, "")
	s.key(t, false, input.CodeDelete, 0, "")
	for _, r := range everything {
		s.key(t, true, 0x05, 0, string(r))
		s.key(t, false, 0x05, 0, "")
	}
	s.apply(t, input.Frame{Type: input.Text, Text: []byte(many.String())})
	x11test.Eventually(t, "the text is saved", func() bool {
		save()
		b, _ := os.ReadFile(file)
		if strings.Count(string(b), "") >= strings.Count(want, "") && !strings.Contains(string(b), "!") {
			if got := strings.TrimSuffix(string(b), "\n"); got != want {
				t.Fatalf("saved %q, want %q", got, want)
			}
			return true
		}
		return false
	})
}
