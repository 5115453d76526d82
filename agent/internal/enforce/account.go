package enforce

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Account is a user of the device.
type Account struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
}

// accountLimit bounds the user database's size in bytes.
const accountLimit = 16 << 20

// User returns an account by name: of the root's own database and, on the running system,
// of the directories it is joined to.
func (s *System) User(ctx context.Context, name string) (Account, error) {
	f, err := s.entry(ctx, "passwd", name)
	if err != nil {
		return Account{}, err
	}
	if len(f) < 7 {
		return Account{}, fmt.Errorf("the account %s is not written as accounts are", name)
	}
	a := Account{Name: name, Home: f[5], Shell: f[6]}
	if a.UID, err = strconv.Atoi(f[2]); err != nil {
		return Account{}, fmt.Errorf("the account %s has no number", name)
	}
	if a.GID, err = strconv.Atoi(f[3]); err != nil {
		return Account{}, fmt.Errorf("the account %s has no group", name)
	}
	return a, nil
}

// Group returns a group's number.
func (s *System) Group(ctx context.Context, name string) (int, error) {
	f, err := s.entry(ctx, "group", name)
	if err != nil {
		return 0, err
	}
	if len(f) < 3 {
		return 0, fmt.Errorf("the group %s is not written as groups are", name)
	}
	return strconv.Atoi(f[2])
}

func (s *System) entry(ctx context.Context, database, name string) ([]string, error) {
	if name == "" || strings.ContainsAny(name, ":\n") || name[0] == '-' {
		return nil, fmt.Errorf("%q is no name of an account or group", name)
	}
	if b, err := s.ReadFile("/etc/"+database, accountLimit); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Split(strings.TrimSpace(line), ":"); f[0] == name {
				return f, nil
			}
		}
	}
	if name == "root" { // a scratch tree need not name it
		return map[string][]string{"passwd": {"root", "x", "0", "0", "root", "/root", "/bin/sh"}, "group": {"root", "x", "0"}}[database], nil
	}
	if s.Live() {
		if getent, err := s.Tool("getent", "libc-bin"); err == nil {
			if r, err := s.Run(ctx, Program{Path: getent, Args: []string{database, name}}); err == nil {
				return strings.Split(strings.TrimSpace(r.Out), ":"), nil
			}
		}
	}
	if database == "passwd" {
		return nil, fmt.Errorf("there is no account %s on the device", name)
	}
	return nil, fmt.Errorf("there is no group %s on the device", name)
}
