package diag

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

// adminGroups may do everything on one system or another.
var adminGroups = []string{"sudo", "wheel", "admin"}

// noShells are shells that let nobody in.
var noShells = []string{"nologin", "false", "sync", "shutdown", "halt", ""}

func (l *linux) accounts(n *notes) inventory.Accounts {
	a := inventory.Accounts{Groups: parseGroups(l.read("etc/group")), LoginDefs: parseLoginDefs(l.read("etc/login.defs"))}
	a.Users = parsePasswd(l.read("etc/passwd"))
	shadow, err := l.readErr("etc/shadow")
	a.Shadow = err == nil
	if err != nil {
		n.miss("passwords' states: " + reason(err))
	}
	facts := parseShadow(shadow)
	last := map[string]int64{}
	for _, u := range parseUtmp(l.read("var/log/wtmp"), wideUtmp) {
		last[u.Name] = max(last[u.Name], u.SinceUS)
	}
	lowest := int64(1000)
	if v, err := strconv.ParseInt(a.LoginDefs["UID_MIN"], 10, 64); err == nil {
		lowest = v
	}
	for i := range a.Users {
		u := &a.Users[i]
		if s, ok := facts[u.Name]; ok {
			u.Password, u.Hash, u.ChangedDay, u.MinDays, u.MaxDays = s.password, s.hash, s.days[0], s.days[1], s.days[2]
			u.WarnDays, u.InactiveDays, u.ExpiresDay = s.days[3], s.days[4], s.days[5]
		}
		u.Admin = u.UID == 0 || isAdmin(*u, a.Groups)
		u.Person = u.UID >= lowest && u.UID < 65534 && mayStart(u.Shell)
		u.LastSignInUS = last[u.Name]
		u.HomeUID = -1
		if home := strings.Trim(u.Home, "/"); home != "" && fs.ValidPath(home) {
			if info, err := fs.Stat(l.root, home); err == nil && info.IsDir() {
				u.HomeMode = mode(info)
				u.HomeUID, _ = l.owner(info)
			}
		}
	}
	return a
}

// mayStart reports whether a shell lets its user in.
func mayStart(shell string) bool {
	return !slices.Contains(noShells, shell[strings.LastIndexByte(shell, '/')+1:])
}

func isAdmin(u inventory.Account, groups []inventory.AccountGroup) bool {
	for _, g := range groups {
		if slices.Contains(adminGroups, g.Name) && (g.GID == u.GID || slices.Contains(g.Members, u.Name)) {
			return true
		}
	}
	return false
}

// mode writes permissions as chmod(1) takes them: four octal digits.
func mode(info fs.FileInfo) string {
	m := info.Mode()
	n := uint32(m.Perm())
	for _, b := range []struct {
		bit   fs.FileMode
		octal uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.bit != 0 {
			n |= b.octal
		}
	}
	return fmt.Sprintf("%04o", n)
}

// userNames maps user numbers to names.
func (l *linux) userNames() map[int64]string {
	out := map[int64]string{}
	for _, u := range parsePasswd(l.read("etc/passwd")) {
		if out[u.UID] == "" {
			out[u.UID] = u.Name
		}
	}
	return out
}

// parsePasswd reads passwd(5). What shadow(5) would say is left as not set.
func parsePasswd(b []byte) []inventory.Account {
	out := []inventory.Account{}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 7 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		uid, err1 := strconv.ParseInt(f[2], 10, 64)
		gid, err2 := strconv.ParseInt(f[3], 10, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		full, _, _ := strings.Cut(f[4], ",")
		u := inventory.Account{
			Name: f[0], UID: uid, GID: gid, FullName: full, Home: f[5], Shell: f[6],
			ChangedDay: -1, MinDays: -1, MaxDays: -1, WarnDays: -1, InactiveDays: -1, ExpiresDay: -1,
		}
		if f[1] == "" {
			u.Password = "empty"
		}
		out = append(out, u)
	}
	return out
}

// parseGroups reads group(5).
func parseGroups(b []byte) []inventory.AccountGroup {
	out := []inventory.AccountGroup{}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 4 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		gid, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			continue
		}
		g := inventory.AccountGroup{Name: f[0], GID: gid, Members: []string{}}
		for _, m := range strings.Split(f[3], ",") {
			if m != "" {
				g.Members = append(g.Members, m)
			}
		}
		out = append(out, g)
	}
	return out
}

// shadowFacts are what shadow(5) says of an account, without the hash. days are last
// change, minimum, maximum, warning, inactivity and expiry; -1 where nothing is set.
type shadowFacts struct {
	password, hash string
	days           [6]int64
}

// parseShadow reads shadow(5). No hash leaves this function.
func parseShadow(b []byte) map[string]shadowFacts {
	out := map[string]shadowFacts{}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 8 || f[0] == "" {
			continue
		}
		var s shadowFacts
		s.password, s.hash = passwordState(f[1])
		for i := range s.days {
			s.days[i] = -1
			if v, err := strconv.ParseInt(f[i+2], 10, 64); err == nil {
				s.days[i] = v
			}
		}
		out[f[0]] = s
	}
	return out
}

// passwordState says what a password field holds: crypt(5) hashes by their kind only.
func passwordState(field string) (state, hash string) {
	rest := strings.TrimLeft(field, "!")
	locked := rest != field
	switch {
	case field == "":
		return "empty", ""
	case rest == "" || rest == "*" || rest == "x":
		if locked {
			return "locked", ""
		}
		return "none", ""
	}
	hash = "other"
	for _, k := range []struct{ prefix, name string }{
		{"$y$", "yescrypt"}, {"$gy$", "yescrypt"}, {"$6$", "sha512"}, {"$5$", "sha256"}, {"$2", "bcrypt"}, {"$7$", "scrypt"}, {"$1$", "md5"},
	} {
		if strings.HasPrefix(rest, k.prefix) {
			hash = k.name
		}
	}
	if hash == "other" && len(rest) == 13 && rest[0] != '$' {
		hash = "des"
	}
	if locked {
		return "locked", hash
	}
	return "set", hash
}

// parseLoginDefs reads login.defs(5).
func parseLoginDefs(b []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) >= 2 {
			out[f[0]] = strings.Trim(strings.Join(f[1:], " "), `"`)
		}
	}
	return out
}
