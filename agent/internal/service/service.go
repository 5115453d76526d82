package service

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed handrail-agent.service
var unit string

// Unit is the text of the systemd unit, for an agent at a path.
func Unit(agent string) string { return strings.ReplaceAll(unit, "/usr/bin/handrail-agent", agent) }

// Where things go, below the root. A package has its programs in /usr/bin and its unit in
// /usr/lib/systemd; what an admin installs by hand is apart from that.
const (
	unitName   = "handrail-agent.service"
	unitFile   = "etc/systemd/system/" + unitName
	packaged   = "usr/lib/systemd/system/" + unitName
	binDir     = "usr/local/bin"
	stateDir   = "var/lib/handrail-agent"
	wantedLink = "etc/systemd/system/multi-user.target.wants/" + unitName
)

// programs are what is installed; the first must be there.
var programs = []string{"handrail-agent", "handrail-companion"}

// Config says where to install and what. It is for root.
type Config struct {
	Root string // of the system; "" means "/"
	From string // directory that holds the programs
	// Systemctl talks to the running service manager; nil means systemctl, where systemd runs and
	// Root is the running system.
	Systemctl func(ctx context.Context, args ...string) error
	Say       func(format string, args ...any) // progress, a line each; nil: nobody hears it
}

// ErrPackaged is returned where a package owns the agent, and the package manager is to be asked.
var ErrPackaged = errors.New("the agent was installed by a package")

func (c Config) withDefaults() Config {
	if c.Root == "" {
		c.Root = "/"
	}
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	if c.Systemctl == nil && filepath.Clean(c.Root) == "/" && isDir("/run/systemd/system") {
		c.Systemctl = systemctl
	}
	return c
}

// Install puts programs and unit in their place and starts the service where systemd runs; the
// unit does nothing before the device is enrolled. What is there is replaced, so that it also
// updates. It fails with ErrPackaged where a package has brought the agent.
func Install(ctx context.Context, c Config) error {
	c = c.withDefaults()
	if _, err := os.Stat(filepath.Join(c.Root, packaged)); err == nil {
		return fmt.Errorf("%w; update it with the package manager", ErrPackaged)
	}
	for i, name := range programs {
		to := filepath.Join(c.Root, binDir, name)
		err := copyProgram(filepath.Join(c.From, name), to)
		switch {
		case errors.Is(err, fs.ErrNotExist) && i > 0:
			c.Say("%s is not beside this program and is left out: without it nobody at the device can be asked", name)
		case err != nil:
			return err
		default:
			c.Say("installed %s", to)
		}
	}
	if err := os.MkdirAll(filepath.Join(c.Root, stateDir), 0o700); err != nil {
		return err
	}
	file := filepath.Join(c.Root, unitFile)
	if err := replaceFile(file, strings.NewReader(Unit("/"+binDir+"/"+programs[0])), 0o644); err != nil {
		return err
	}
	c.Say("installed %s", file)
	if c.Systemctl == nil {
		// As systemctl enable does, for the next start of the system whose root this is.
		link := filepath.Join(c.Root, wantedLink)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("/"+unitFile, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		c.Say("systemd does not run here: the service starts with the system; until then run handrail-agent run")
		return nil
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", unitName}, {"restart", unitName}} {
		if err := c.Systemctl(ctx, args...); err != nil {
			return err
		}
	}
	c.Say("the service is enabled and started")
	return nil
}

// Uninstall stops the service and removes what Install put there. The device's identity, and what
// it knows of its gateway, stay but where purge is set. What is not there is no error, so that a
// half of an installation can be removed.
func Uninstall(ctx context.Context, c Config, purge bool) error {
	c = c.withDefaults()
	if _, err := os.Stat(filepath.Join(c.Root, packaged)); err == nil {
		return fmt.Errorf("%w; remove it with the package manager: apt remove handrail-agent, dnf remove handrail-agent", ErrPackaged)
	}
	file := filepath.Join(c.Root, unitFile)
	_, err := os.Stat(file)
	if c.Systemctl != nil && err == nil {
		if err := c.Systemctl(ctx, "disable", "--now", unitName); err != nil {
			return err
		}
	}
	gone := []string{wantedLink, unitFile}
	for _, name := range programs {
		gone = append(gone, binDir+"/"+name)
	}
	for _, name := range gone {
		path := filepath.Join(c.Root, name)
		switch err := os.Remove(path); {
		case err == nil:
			c.Say("removed %s", path)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if c.Systemctl != nil {
		if err := c.Systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	state := filepath.Join(c.Root, stateDir)
	if !purge {
		c.Say("%s is kept: with it the device is the same when the agent comes back; --purge removes it", state)
		return nil
	}
	if err := os.RemoveAll(state); err != nil {
		return err
	}
	c.Say("removed %s", state)
	return nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput() //nolint:gosec // the constants above
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from) //nolint:gosec // beside this program
	if err != nil {
		return err
	}
	defer in.Close()
	if a, err := in.Stat(); err == nil {
		if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
			return nil // it is run from where it belongs
		}
	}
	return replaceFile(to, in, 0o755)
}

// replaceFile writes a file beside its place and moves it there: a program that runs cannot be
// written to, and a half of one must never be there.
func replaceFile(path string, from io.Reader, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a directory of the system's
		return err
	}
	f, err := os.CreateTemp(dir, ".handrail-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, from)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
