package diag

import (
	"maps"
	"path"
	"slices"
	"strings"

	"handrail/mdm/inventory"
)

// pamLine is one line of a stack: type control module arguments.
type pamLine struct {
	kind, module string
	args         []string
}

// parsePAM reads pam.d(5). A control in brackets may hold spaces.
func parsePAM(b []byte) []pamLine {
	var out []pamLine
	for line := range strings.Lines(strings.ReplaceAll(string(b), "\\\n", " ")) {
		line, _, _ = strings.Cut(strings.ReplaceAll(line, "\t", " "), "#")
		kind, rest, ok := strings.Cut(strings.TrimLeft(strings.TrimSpace(line), "-"), " ")
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, rest, ok = strings.Cut(rest, "]")
			if !ok {
				continue
			}
		} else if f := strings.Fields(rest); len(f) > 0 {
			rest = strings.TrimPrefix(rest, f[0])
		}
		if f := strings.Fields(rest); len(f) > 0 {
			out = append(out, pamLine{kind: strings.TrimSpace(kind), module: strings.TrimSuffix(path.Base(f[0]), ".so"), args: f[1:]})
		}
	}
	return out
}

// settings reads "key = value" and bare "key" lines, later ones winning.
func settings(into map[string]string, b []byte) {
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		key, value, _ := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); key != "" {
			into[key] = strings.TrimSpace(value)
		}
	}
}

// arguments adds what a module is told on its line.
func arguments(into map[string]string, args []string) {
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		into[key] = value
	}
}

func (l *linux) pam() inventory.PAM {
	p := inventory.PAM{Modules: []string{}}
	quality, lock, history := map[string]string{}, map[string]string{}, map[string]string{}
	for _, name := range l.glob("etc/security/pwquality.conf.d/*.conf") {
		settings(quality, l.read(name)) // first, so that the main file has the last word
	}
	settings(quality, l.read("etc/security/pwquality.conf"))
	settings(lock, l.read("etc/security/faillock.conf"))
	settings(history, l.read("etc/security/pwhistory.conf"))
	modules := map[string]bool{}
	for _, stack := range []string{"common-auth", "common-account", "common-password", "common-session", "system-auth", "password-auth"} {
		for _, line := range parsePAM(l.read("etc/pam.d/" + stack)) {
			modules[line.module] = true
			switch line.module {
			case "pam_pwquality":
				p.Pwquality.Enabled = true
				arguments(quality, line.args)
			case "pam_faillock":
				p.Faillock.Enabled = true
				arguments(lock, line.args)
			case "pam_pwhistory":
				p.Pwhistory.Enabled = true
				arguments(history, line.args)
			case "pam_unix":
				p.Nullok = p.Nullok || line.kind == "auth" && (slices.Contains(line.args, "nullok") || slices.Contains(line.args, "nullok_secure"))
			}
		}
	}
	p.Modules = append(p.Modules, slices.Sorted(maps.Keys(modules))...)
	flag := func(m map[string]string, key string) bool { v, set := m[key]; return set && v != "0" }
	q := &p.Pwquality // defaults of pwquality.conf(5)
	q.Minlen, q.Minclass, q.Maxrepeat, q.Retry = atoi(quality["minlen"], 8), atoi(quality["minclass"], 0), atoi(quality["maxrepeat"], 0), atoi(quality["retry"], 1)
	q.Dcredit, q.Ucredit, q.Lcredit, q.Ocredit = atoi(quality["dcredit"], 0), atoi(quality["ucredit"], 0), atoi(quality["lcredit"], 0), atoi(quality["ocredit"], 0)
	q.Dictcheck, q.Usercheck = atoi(quality["dictcheck"], 1) != 0, atoi(quality["usercheck"], 1) != 0
	q.EnforceForRoot = flag(quality, "enforce_for_root")
	f := &p.Faillock // defaults of faillock.conf(5)
	f.Deny, f.UnlockTime, f.FailInterval, f.EvenDenyRoot = atoi(lock["deny"], 3), atoi(lock["unlock_time"], 600), atoi(lock["fail_interval"], 900), flag(lock, "even_deny_root")
	p.Pwhistory.Remember = atoi(history["remember"], 10)
	return p
}

func (l *linux) sudo(n *notes) inventory.Sudo {
	s := inventory.Sudo{Installed: l.program("sudo") != "", Rules: []inventory.SudoRule{}}
	if !s.Installed {
		return s
	}
	files := sudoFiles{read: l.readErr, dir: l.dir, aliases: map[string][]string{}}
	if err := files.load("etc/sudoers", 0); err != nil {
		n.miss("sudo's rules: " + reason(err))
		return s
	}
	s.Readable = true
	s.Defaults, s.Rules = files.defaults, append(s.Rules, files.expanded()...)
	return s
}

// sudoFiles reads sudoers(5), as far as saying who may do what needs it.
type sudoFiles struct {
	read     func(string) ([]byte, error)
	dir      func(string) []string
	aliases  map[string][]string
	defaults inventory.SudoDefaults
	rules    []inventory.SudoRule
}

func (f *sudoFiles) load(name string, depth int) error {
	b, err := f.read(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(strings.ReplaceAll(string(b), "\\\n", " ")) {
		line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case word == "@include" || word == "#include":
			f.include(rest, depth)
		case word == "@includedir" || word == "#includedir":
			dir := strings.Trim(strings.Trim(rest, `"`), "/")
			for _, e := range f.dir(dir) {
				if !strings.Contains(e, ".") && !strings.HasSuffix(e, "~") {
					f.include("/"+dir+"/"+e, depth)
				}
			}
		case line == "" || line[0] == '#' && (len(line) < 2 || line[1] < '0' || line[1] > '9'): // #1000 is a user
		case strings.HasSuffix(word, "_Alias"):
			for _, def := range strings.Split(rest, " : ") {
				if key, list, ok := strings.Cut(def, "="); ok {
					f.aliases[strings.TrimSpace(key)] = splitList(list)
				}
			}
		case word == "Defaults":
			f.takeDefaults(rest)
		case strings.HasPrefix(word, "Defaults"): // for some user, host or command
		default:
			f.takeRule(line, name)
		}
	}
	return nil
}

func (f *sudoFiles) include(name string, depth int) {
	name = strings.Trim(strings.Trim(name, `"`), "/")
	if depth < 16 {
		_ = f.load(name, depth+1) // sudo, too, goes on without it
	}
}

// splitList takes a list apart at its commas, but not at those behind a backslash.
func splitList(s string) []string {
	var out []string
	for _, e := range strings.Split(strings.ReplaceAll(s, `\,`, "\x00"), ",") {
		if e = strings.TrimSpace(strings.ReplaceAll(e, "\x00", ",")); e != "" {
			out = append(out, e)
		}
	}
	return out
}

func (f *sudoFiles) takeDefaults(rest string) {
	d := &f.defaults
	for _, o := range splitList(rest) {
		key, value, has := strings.Cut(o, "=")
		key, value = strings.TrimRight(strings.TrimSpace(key), "+-"), strings.Trim(strings.TrimSpace(value), `"`)
		on := !strings.HasPrefix(key, "!")
		switch strings.TrimLeft(key, "! ") {
		case "use_pty":
			d.UsePTY = on
		case "requiretty":
			d.RequireTTY = on
		case "env_reset":
			d.EnvReset = on
		case "authenticate":
			d.NoAuthenticate = !on
		case "logfile":
			d.Logfile = value
		case "secure_path":
			d.SecurePath = value
		case "timestamp_timeout":
			if v, ok := number(value); has && ok {
				d.TimestampTimeout = &v
			}
		case "passwd_tries":
			if v, ok := number(value); has && ok && v >= 0 && v < 1e6 {
				n := uint32(v)
				d.PasswdTries = &n
			}
		}
	}
}

// takeRule reads "who hosts = (run as) TAG: command, command : hosts = …".
func (f *sudoFiles) takeRule(line, file string) {
	left, right, ok := strings.Cut(line, "=")
	fields := strings.Fields(left)
	if !ok || len(fields) < 2 {
		return
	}
	hosts := fields[len(fields)-1]
	who := strings.Join(fields[:len(fields)-1], " ")
	for _, w := range splitList(who) {
		f.rules = append(f.rules, parseSudoSpec(w, hosts, right, "/"+file)...)
	}
}

// parseSudoSpec reads what follows the equals sign. Tags and the run-as list hold for the
// commands behind them; a change of one of them begins another rule.
func parseSudoSpec(who, hosts, spec, file string) []inventory.SudoRule {
	rule := inventory.SudoRule{Who: who, Hosts: hosts, RunAs: "root", Authenticate: true, File: file}
	var out []inventory.SudoRule
	for _, part := range splitList(guardParens(spec)) {
		part = strings.ReplaceAll(part, "\x01", ",")
		next := rule
		next.Commands = nil
		if rest, ok := strings.CutPrefix(part, "("); ok {
			next.RunAs, rest, _ = strings.Cut(rest, ")")
			part = strings.TrimSpace(rest)
		}
		for {
			tag, rest, ok := strings.Cut(part, ":")
			if !ok || strings.ToUpper(tag) != tag || strings.ContainsAny(tag, "/ ") {
				break
			}
			switch tag {
			case "NOPASSWD":
				next.NoPassword, next.Authenticate = true, false
			case "PASSWD":
				next.NoPassword, next.Authenticate = false, true
			}
			part = strings.TrimSpace(rest)
		}
		same := len(out) > 0 && next.RunAs == rule.RunAs && next.NoPassword == rule.NoPassword
		rule = next
		if same {
			out[len(out)-1].Commands = append(out[len(out)-1].Commands, part)
			continue
		}
		next.Commands = []string{part}
		out = append(out, next)
	}
	return out
}

// guardParens hides the commas of a run-as list from splitList.
func guardParens(s string) string {
	b := []byte(s)
	depth := 0
	for i, c := range b {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth > 0:
			b[i] = 1
		}
	}
	return string(b)
}

// expanded puts what aliases stand for in their place.
func (f *sudoFiles) expanded() []inventory.SudoRule {
	const most = 256
	var out []inventory.SudoRule
	for _, r := range f.rules {
		var commands []string
		for _, c := range r.Commands {
			if list := f.aliases[c]; list != nil {
				commands = append(commands, list...)
			} else {
				commands = append(commands, c)
			}
		}
		r.Commands = commands
		whos := f.aliases[r.Who]
		if whos == nil {
			whos = []string{r.Who}
		}
		for _, w := range whos {
			r.Who = w
			if len(out) < most {
				out = append(out, r)
			}
		}
	}
	return out
}

// desktop reads what the system sets for everybody's desktop.
func (l *linux) desktop() inventory.Desktop {
	d := inventory.Desktop{Manager: path.Base(l.text("etc/X11/default-display-manager"))}
	if d.Manager == "." {
		d.Manager = strings.TrimSuffix(l.base("etc/systemd/system/display-manager.service"), ".service")
	}
	for _, s := range append(l.dir("usr/share/wayland-sessions"), l.dir("usr/share/xsessions")...) {
		for _, k := range []struct{ prefix, name string }{{"gnome", "gnome"}, {"ubuntu", "gnome"}, {"plasma", "kde"}, {"xfce", "xfce"}, {"cinnamon", "cinnamon"}, {"mate", "mate"}, {"lxqt", "lxqt"}} {
			if d.Session == "" && strings.HasPrefix(s, k.prefix) {
				d.Session = k.name
			}
		}
	}
	keys, locked := l.dconf("user")
	if d.Session == "gnome" || len(keys) > 0 {
		gnomeDesktop(&d, keys, locked)
	}
	greeter, _ := l.dconf("gdm")
	d.UserListHidden = greeter["org/gnome/login-screen/disable-user-list"] == "true"
	for _, name := range []string{"etc/gdm3/daemon.conf", "etc/gdm3/custom.conf", "etc/gdm/custom.conf"} {
		c := map[string]string{}
		settings(c, l.read(name))
		if c["AutomaticLoginEnable"] == "true" || c["AutomaticLoginEnable"] == "True" {
			d.AutoLogin = c["AutomaticLogin"]
		}
	}
	for _, name := range slices.Concat([]string{"etc/lightdm/lightdm.conf"}, l.glob("etc/lightdm/lightdm.conf.d/*.conf")) {
		c := map[string]string{}
		settings(c, l.read(name))
		if v := c["autologin-user"]; v != "" {
			d.AutoLogin = v
		}
		d.Guest = d.Guest || c["allow-guest"] == "true"
		d.UserListHidden = d.UserListHidden || c["greeter-hide-users"] == "true"
	}
	for _, name := range slices.Concat([]string{"etc/sddm.conf"}, l.glob("etc/sddm.conf.d/*.conf")) {
		c := map[string]string{}
		settings(c, l.read(name))
		if v := c["User"]; v != "" {
			d.AutoLogin = v
		}
	}
	return d
}

// gnomeDesktop applies the system's values over those the schemas come with.
func gnomeDesktop(d *inventory.Desktop, keys map[string]string, locked map[string]bool) {
	const lock, delay, idle, mount = "org/gnome/desktop/screensaver/lock-enabled", "org/gnome/desktop/screensaver/lock-delay",
		"org/gnome/desktop/session/idle-delay", "org/gnome/desktop/media-handling/automount"
	enabled, idleS, delayS, automount := keys[lock] != "false", int64(300), int64(0), keys[mount] != "false"
	if v, ok := keys[idle]; ok {
		idleS = atoi(strings.TrimPrefix(v, "uint32 "), idleS)
	}
	if v, ok := keys[delay]; ok {
		delayS = atoi(strings.TrimPrefix(v, "uint32 "), delayS)
	}
	d.Lock = inventory.ScreenLock{Enabled: &enabled, IdleSeconds: &idleS, DelaySeconds: &delayS, Enforced: locked[lock] && locked[idle]}
	d.Automount = &automount
}

// dconf reads the keyfiles behind a profile (dconf(7)): the first database named has the
// last word. locked are the keys nobody may set for themselves.
func (l *linux) dconf(profile string) (keys map[string]string, locked map[string]bool) {
	keys, locked = map[string]string{}, map[string]bool{}
	var dbs []string
	for line := range strings.Lines(string(l.read("etc/dconf/profile/" + profile))) {
		if db, ok := strings.CutPrefix(strings.TrimSpace(line), "system-db:"); ok && !strings.ContainsAny(db, "/*?[") {
			dbs = append(dbs, db)
		}
	}
	slices.Reverse(dbs)
	for _, db := range dbs {
		dir := "etc/dconf/db/" + db + ".d"
		for _, name := range l.dir(dir) {
			if name != "locks" {
				parseKeyfile(keys, l.read(dir+"/"+name))
			}
		}
		for _, name := range l.dir(dir + "/locks") {
			for line := range strings.Lines(string(l.read(dir + "/locks/" + name))) {
				if line = strings.Trim(strings.TrimSpace(line), "/"); line != "" && line[0] != '#' {
					locked[line] = true
				}
			}
		}
	}
	return keys, locked
}

// parseKeyfile adds group/key=value of a keyfile.
func parseKeyfile(into map[string]string, b []byte) {
	group := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			group = strings.Trim(line, "[]")
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && line[0] != '#' {
			into[path.Join(group, strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
}
