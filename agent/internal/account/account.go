// Package account says who an account of this machine is, and how a program is started as it: for the
// tools of a session that work as the person who is signed in, or as root.
package account

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Account is an account of this machine.
type Account struct {
	Name   string
	UID    int
	GID    int
	Groups []int  // all it is in, the first group included
	Home   string // absolute; "/" where it has none
	Shell  string // absolute
}

// ErrCannotBecome is returned by Account.Check where this process may not start programs as it.
var ErrCannotBecome = errors.New("the agent does not run as root, so it can start programs as its own account only")

// errNoSignIn is for accounts that may not sign in.
var errNoSignIn = errors.New("the account may not sign in: its shell refuses to")

// Check reports why no program can be started as the account by this process: ErrCannotBecome, or
// that it may not sign in.
func (a Account) Check() error {
	switch {
	case !a.IsOwn() && os.Geteuid() != 0:
		return ErrCannotBecome
	case refuses(a.Shell):
		return fmt.Errorf("%w (%s)", errNoSignIn, a.Shell)
	}
	return nil
}

// IsOwn reports whether this process runs as the account.
func (a Account) IsOwn() bool { return a.UID == os.Geteuid() }

// refuses reports whether a shell is one of those that end at once.
func refuses(shell string) bool {
	switch filepath.Base(shell) {
	case "nologin", "false", "true", "sync", "halt", "shutdown":
		return true
	}
	return false
}

// Env is the environment a program of the account starts with, as after signing in: nothing of this
// process's own but the language.
func (a Account) Env() []string {
	path := "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
	if a.UID == 0 {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	env := []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell, "PATH=" + path, "LANG=" + language()}
	if run := "/run/user/" + strconv.Itoa(a.UID); isDir(run) {
		env = append(env, "XDG_RUNTIME_DIR="+run)
		if _, err := os.Stat(run + "/bus"); err == nil {
			env = append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+run+"/bus")
		}
	}
	return env
}

func isDir(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.IsDir()
}

// language is the system's: of the file where Debian and Fedora keep it, or this process's. Text is
// UTF-8 in any case.
func language() string {
	for _, file := range []string{"/etc/default/locale", "/etc/locale.conf"} {
		if v := variable(file, "LANG"); v != "" {
			return v
		}
	}
	if v := os.Getenv("LANG"); v != "" && v != "C" && v != "POSIX" {
		return v
	}
	return "C.UTF-8"
}

// variable reads NAME=value of a file of such lines; "" where there is none.
func variable(file, name string) string {
	f, err := os.Open(file) //nolint:gosec // one of the two above
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(strings.TrimSpace(s.Text()), name+"="); ok {
			if v = strings.Trim(v, `"'`); !strings.ContainsAny(v, "\x00 \t$`\\") {
				return v
			}
		}
	}
	return ""
}
