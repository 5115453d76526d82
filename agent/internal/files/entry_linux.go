package files

import (
	"fmt"
	"os/user"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

// accounts remembers what numbers of users and groups are called; a directory service may be slow.
type accounts struct {
	mu     sync.Mutex
	users  map[uint32]string
	groups map[uint32]string
}

// mostAccounts bounds what is remembered.
const mostAccounts = 4096

func (a *accounts) user(id uint32) string {
	return a.name(&a.users, id, func(s string) (string, error) {
		u, err := user.LookupId(s)
		if err != nil {
			return "", err
		}
		return u.Username, nil
	})
}

func (a *accounts) group(id uint32) string {
	return a.name(&a.groups, id, func(s string) (string, error) {
		g, err := user.LookupGroupId(s)
		if err != nil {
			return "", err
		}
		return g.Name, nil
	})
}

func (a *accounts) name(known *map[uint32]string, id uint32, ask func(string) (string, error)) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n, ok := (*known)[id]; ok {
		return n
	}
	number := strconv.FormatUint(uint64(id), 10)
	n, err := ask(number)
	if err != nil || n == "" || len(n) > 128 {
		n = number
	}
	n = signaling.PrintableName(n)
	if *known == nil || len(*known) > mostAccounts {
		*known = map[uint32]string{}
	}
	(*known)[id] = n
	return n
}

func kindOf(mode uint32) signaling.FileKind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return signaling.FileRegular
	case unix.S_IFDIR:
		return signaling.FileFolder
	case unix.S_IFLNK:
		return signaling.FileLink
	case unix.S_IFBLK, unix.S_IFCHR:
		return signaling.FileDevice
	case unix.S_IFSOCK:
		return signaling.FileSocket
	case unix.S_IFIFO:
		return signaling.FileFIFO
	}
	return signaling.FileOther
}

// entry describes what stands at a name in d.
func (s *server) entry(d dir, name string) (signaling.FileEntry, error) {
	st, err := d.look(name)
	if err != nil {
		return signaling.FileEntry{}, err
	}
	e := s.describe(name, &st)
	if e.Kind == signaling.FileLink {
		target, err := d.readLink(name)
		if err != nil {
			return e, err
		}
		if target != "" {
			n := signaling.NameFile(target)
			e.Target = &n
		}
		e.TargetKind = signaling.FileGone
		var at unix.Stat_t
		if err := unix.Fstatat(d.fd, name, &at, 0); err == nil { // looks at it, no more
			e.TargetKind = kindOf(at.Mode)
		}
	}
	return e, nil
}

func (s *server) describe(name string, st *unix.Stat_t) signaling.FileEntry {
	return signaling.FileEntry{
		Name: signaling.NameFile(name), Kind: kindOf(st.Mode), Size: max(st.Size, 0), ModifiedMS: bounded(st.Mtim.Nano() / 1e6),
		Mode: st.Mode & 0o7777, Owner: s.accounts.user(st.Uid), Group: s.accounts.group(st.Gid),
	}
}

// bounded keeps a time within what a calendar has: file systems hold any number.
func bounded(ms int64) int64 { return max(-8_640_000_000_000_000, min(ms, 8_640_000_000_000_000)) }

// version tells one content of a file from another.
func version(st *unix.Stat_t) string {
	return fmt.Sprintf("%x-%x-%x-%x", st.Dev, st.Ino, st.Size, st.Mtim.Nano())
}

// space returns the size of the file system that d is on, and what this user may still fill of it.
func (d dir) space() (bytes, free int64) {
	var st unix.Statfs_t
	if unix.Fstatfs(d.fd, &st) != nil {
		return 0, 0
	}
	left := st.Bavail
	if isRoot() {
		left = st.Bfree
	}
	unit := max(st.Bsize, 1)
	const most = 1 << 52                                                                                     // what a browser counts exactly
	return min(int64(min(st.Blocks, most)), most/unit) * unit, min(int64(min(left, most)), most/unit) * unit //nolint:gosec // bounded
}
