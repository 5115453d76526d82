//go:build unix

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom a script runs as.
type account struct {
	name, home string
	cred       *syscall.Credential // nil: the agent's own
}

func accountOf(name string) (account, error) {
	if name == "" {
		u, err := user.Current()
		if err != nil {
			return account{home: "/"}, nil //nolint:nilerr // an account without a name can run scripts too
		}
		return account{name: u.Username, home: u.HomeDir}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("this device has no account %q", name)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return account{}, err
	}
	a := account{name: u.Username, home: u.HomeDir}
	if int(uid) == os.Geteuid() {
		return a, nil
	}
	if os.Geteuid() != 0 {
		return a, fmt.Errorf("the agent is not root and cannot run a script as %s: %w", name, ErrUnsupported)
	}
	a.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	ids, err := u.GroupIds()
	if err != nil {
		return a, err
	}
	for _, s := range ids {
		if n, err := strconv.ParseUint(s, 10, 32); err == nil {
			a.cred.Groups = append(a.cred.Groups, uint32(n))
		}
	}
	return a, nil
}

// own gives files to the account, in their order: what is in a directory before the directory,
// where the account could put something else in its place.
func (a account) own(paths ...string) error {
	if a.cred == nil {
		return nil
	}
	var errs []error
	for _, p := range paths {
		errs = append(errs, os.Lchown(p, int(a.cred.Uid), int(a.cred.Gid)))
	}
	return errors.Join(errs...)
}

// apart puts the program in a session of its own, as the account.
func (a account) apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: a.cred}
}

func baseEnvironment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
}

func askToEnd(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }
