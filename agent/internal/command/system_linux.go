package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// systemd is a Linux machine with systemd as its first process.
type systemd struct{}

// NewSystem returns the running machine.
func NewSystem() System { return systemd{} }

// BootID implements System.
func (systemd) BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// isSystemd says why there is none, as sd_booted(3) finds out.
func isSystemd() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return fmt.Errorf("systemd does not run on this device: %w", ErrUnsupported)
	}
	return nil
}

// ask runs one of systemd's tools and returns what it said in a line; an error says it too.
func ask(ctx context.Context, name string, args ...string) (string, error) {
	out, err := tell(ctx, name, args...)
	words := mdm.Clean(out, 1000)
	switch {
	case err != nil && words != "" && !errors.Is(err, ErrUnsupported):
		return words, fmt.Errorf("%s: %s", name, words)
	case err != nil:
		return words, fmt.Errorf("%s: %w", name, err)
	}
	return words, nil
}

// tell runs one of systemd's tools and returns all it said.
func tell(ctx context.Context, name string, args ...string) (string, error) {
	if err := isSystemd(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var out limitedBuffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("not installed: %w", ErrUnsupported)
	}
	return out.String(), err
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := 16<<10 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// CanPower implements System.
func (systemd) CanPower() error { return isSystemd() }

// Restart implements System.
func (systemd) Restart(ctx context.Context) error {
	_, err := ask(ctx, "systemctl", "--no-block", "reboot")
	return err
}

// Shutdown implements System.
func (systemd) Shutdown(ctx context.Context) error {
	_, err := ask(ctx, "systemctl", "--no-block", "poweroff")
	return err
}

// SignOut implements System.
func (systemd) SignOut(ctx context.Context, user string) (string, error) {
	if user != "" {
		if _, err := ask(ctx, "loginctl", "terminate-user", user); err != nil {
			return "", err
		}
		return "signed out " + user, nil
	}
	list, err := tell(ctx, "loginctl", "list-sessions", "--no-legend")
	if err != nil {
		return "", fmt.Errorf("loginctl: %w", err)
	}
	var gone []string
	for _, id := range sessionIDs(list) {
		about, err := ask(ctx, "loginctl", "show-session", id, "-p", "Name", "-p", "Type", "-p", "Class")
		if err != nil {
			continue // it has ended
		}
		name, desktop := desktopOf(about)
		if !desktop {
			continue
		}
		if _, err := ask(ctx, "loginctl", "terminate-session", id); err != nil {
			return "", err
		}
		if !slices.Contains(gone, name) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return "nobody was signed in at a screen", nil
	}
	return "signed out " + strings.Join(gone, ", "), nil
}

// sessionIDs reads loginctl's list: the first word of each line.
func sessionIDs(list string) []string {
	var ids []string
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 1 && !strings.HasPrefix(f[0], "-") {
			ids = append(ids, f[0])
		}
	}
	return ids
}

// desktopOf reads loginctl show-session.
func desktopOf(about string) (name string, desktop bool) {
	var kind, class string
	for _, w := range strings.Fields(about) {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "Name":
			name = v
		case "Type":
			kind = v
		case "Class":
			class = v
		}
	}
	return name, class == "user" && (kind == "x11" || kind == "wayland" || kind == "mir")
}

// RestartService implements System.
func (systemd) RestartService(ctx context.Context, unit string) (string, error) {
	if !strings.Contains(unit, ".") {
		unit += ".service"
	}
	if _, err := ask(ctx, "systemctl", "restart", "--", unit); err != nil {
		return "", err
	}
	state, err := ask(ctx, "systemctl", "is-active", "--", unit)
	if err != nil && state == "" {
		return "", err
	}
	if state != "active" && state != "inactive" && state != "activating" { // a oneshot may be over
		return "", fmt.Errorf("%s was restarted and is %s", unit, state)
	}
	return unit + " is " + state, nil
}

// Journal implements System.
func (systemd) Journal(ctx context.Context, last time.Duration, unit string, w io.Writer) error {
	if err := isSystemd(); err != nil {
		return err
	}
	args := []string{"--no-pager", "--quiet", "--reverse", "--output=short-iso", fmt.Sprintf("--since=-%dh", int(last.Hours()))}
	if unit != "" {
		args = append(args, "--unit="+unit)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", args...)
	to := &failing{w: w}
	cmd.Stdout = to
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if to.err != nil {
		return to.err
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("journalctl is not installed: %w", ErrUnsupported)
	}
	return err
}

// failing remembers why its writer refused.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}
