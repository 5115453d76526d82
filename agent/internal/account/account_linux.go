package account

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// passwdFile is where accounts of the machine itself are; others come from a directory service.
const passwdFile = "/etc/passwd"

// ByUID returns the account with that number. It fails where there is none, and may ask a directory
// service over the network, for ten seconds at most.
func ByUID(uid int) (Account, error) {
	id := strconv.Itoa(uid)
	line := entry(id)
	if line == "" {
		return Account{}, fmt.Errorf("this machine has no account with the number %d", uid)
	}
	f := strings.Split(line, ":") // name, password, uid, gid, comment, home, shell
	a := Account{Name: f[0], UID: uid, Home: f[5], Shell: f[6]}
	var err error
	if a.GID, err = strconv.Atoi(f[3]); err != nil {
		return Account{}, fmt.Errorf("account %s: group %q: %w", a.Name, f[3], err)
	}
	if !strings.HasPrefix(a.Home, "/") {
		a.Home = "/"
	}
	if !strings.HasPrefix(a.Shell, "/") {
		a.Shell = "/bin/sh"
	}
	u := &user.User{Username: a.Name, Uid: id, Gid: f[3]}
	groups, err := u.GroupIds()
	if err != nil {
		return Account{}, fmt.Errorf("groups of account %s: %w", a.Name, err)
	}
	for _, g := range groups {
		n, err := strconv.Atoi(g)
		if err != nil {
			return Account{}, fmt.Errorf("groups of account %s: %q: %w", a.Name, g, err)
		}
		a.Groups = append(a.Groups, n)
	}
	if !slices.Contains(a.Groups, a.GID) {
		a.Groups = append([]int{a.GID}, a.Groups...)
	}
	return a, nil
}

// entry is the line of the account database for a number; "" where there is none.
func entry(id string) string {
	if b, err := os.ReadFile(passwdFile); err == nil {
		if line := find(string(b), id); line != "" {
			return line
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	b, err := exec.CommandContext(ctx, "getent", "passwd", id).Output()
	if err != nil {
		return ""
	}
	return find(string(b), id)
}

func find(passwd, id string) string {
	for line := range strings.Lines(passwd) {
		line = strings.TrimRight(line, "\n")
		if f := strings.Split(line, ":"); len(f) == 7 && f[2] == id && f[0] != "" {
			return line
		}
	}
	return ""
}

// Credential has a program started as the account; nil where this process is it already.
func (a Account) Credential() *syscall.Credential {
	if a.IsOwn() {
		return nil
	}
	c := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)} //nolint:gosec // of the account database
	for _, g := range a.Groups {
		c.Groups = append(c.Groups, uint32(g)) //nolint:gosec // as above
	}
	return c
}
