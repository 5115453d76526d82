package diag

import (
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

func (l *linux) securityReaders() []reader {
	return []reader{
		{name: inventory.SectionKernel, read: func(*notes) any { return l.kernel() }},
		{name: inventory.SectionSecurity, read: func(n *notes) any { return l.security(n) }},
		{
			name: inventory.SectionSSHD, read: func(n *notes) any { return l.sshd(n) },
			stamp: l.stampDirs("etc/ssh", "etc/ssh/*", "etc/ssh/sshd_config.d/*", "usr/sbin/sshd"),
		},
		{name: inventory.SectionSudo, read: func(n *notes) any { return l.sudo(n) }, stamp: l.stampDirs("etc/sudoers", "etc/sudoers.d", "etc/sudoers.d/*", "usr/bin/sudo")},
		{name: inventory.SectionPAM, read: func(*notes) any { return l.pam() }, stamp: l.stampDirs("etc/pam.d/*", "etc/security/*.conf", "etc/security/pwquality.conf.d/*")},
		{name: inventory.SectionFiles, read: func(*notes) any { return l.files() }},
		{name: inventory.SectionFirewall, read: func(n *notes) any { return l.firewall(n) }},
		{name: inventory.SectionSysctl, read: func(*notes) any { return l.sysctl() }},
		{name: inventory.SectionDesktop, read: func(*notes) any { return l.desktop() }},
		{name: inventory.SectionBoot, read: func(*notes) any { return l.boot() }},
	}
}

func (l *linux) kernel() inventory.Kernel {
	k := inventory.Kernel{
		Release: l.text("proc/sys/kernel/osrelease"), Build: l.text("proc/sys/kernel/version"), CommandLine: l.text("proc/cmdline"), Tainted: l.number("proc/sys/kernel/tainted"),
		Modules: []string{},
	}
	for line := range strings.Lines(string(l.read("proc/modules"))) {
		if name, _, ok := strings.Cut(line, " "); ok {
			k.Modules = append(k.Modules, name)
		}
	}
	slices.Sort(k.Modules)
	return k
}

func (l *linux) security(n *notes) inventory.Security {
	s := inventory.Security{
		LSM: []string{}, ModulesBlocked: l.blockedModules(), CorePattern: l.text("proc/sys/kernel/core_pattern"), SELinux: l.selinux(),
		Lockdown: chosen(l.text("sys/kernel/security/lockdown")),
	}
	if names := l.text("sys/kernel/security/lsm"); names != "" {
		s.LSM = strings.Split(names, ",")
	}
	s.AppArmor.Enabled = l.text("sys/module/apparmor/parameters/enabled") == "Y"
	if s.AppArmor.Enabled {
		b, err := l.readErr("sys/kernel/security/apparmor/profiles")
		if err != nil {
			n.miss("AppArmor's profiles: " + reason(err))
		} else {
			all, enforcing := parseAppArmor(b)
			s.AppArmor.Profiles, s.AppArmor.Enforcing = &all, &enforcing
		}
	}
	if b := l.read("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"); len(b) == 5 { // 4 bytes of attributes
		on := b[4] == 1
		s.SecureBoot = &on
	}
	s.Audit.Installed = l.program("auditd") != "" || l.program("auditctl") != ""
	s.Audit.Enabled = s.Audit.Installed && len(l.glob("etc/systemd/system/*.wants/auditd.service")) > 0
	for line := range strings.Lines(string(l.read("etc/audit/audit.rules"))) {
		if strings.HasPrefix(line, "-a") || strings.HasPrefix(line, "-A") || strings.HasPrefix(line, "-w") {
			s.Audit.Rules++
		}
	}
	return s
}

func (l *linux) selinux() string {
	switch l.text("sys/fs/selinux/enforce") {
	case "1":
		return "enforcing"
	case "0":
		return "permissive"
	}
	if l.exists("etc/selinux/config") {
		return "disabled"
	}
	return ""
}

// chosen returns the word in brackets: "none [integrity] confidentiality".
func chosen(s string) string {
	_, rest, _ := strings.Cut(s, "[")
	word, _, _ := strings.Cut(rest, "]")
	return word
}

// parseAppArmor counts profiles: "name (enforce)".
func parseAppArmor(b []byte) (all, enforcing uint32) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, ")") {
			all++
			if strings.HasSuffix(line, "(enforce)") {
				enforcing++
			}
		}
	}
	return all, enforcing
}

// blockedModules reads what modprobe.d(5) keeps from being loaded.
func (l *linux) blockedModules() []string {
	out := []string{}
	seen := map[string]bool{} // a file of the same name in an earlier directory hides the others
	for _, dir := range []string{"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"} {
		for _, name := range l.dir(dir) {
			if strings.HasSuffix(name, ".conf") && !seen[name] {
				seen[name] = true
				out = append(out, parseModprobe(l.read(path.Join(dir, name)))...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func parseModprobe(b []byte) []string {
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 2 && f[0] == "blacklist",
			len(f) >= 3 && f[0] == "install" && slices.Contains([]string{"false", "true", ":"}, path.Base(f[2])):
			out = append(out, strings.ReplaceAll(f[1], "_", "-"))
		}
	}
	return out
}

// sshd asks the server what it would do; where only root may, its files are read in its way.
func (l *linux) sshd(n *notes) inventory.SSHD {
	s := inventory.SSHD{Installed: l.program("sshd") != "", Config: map[string]string{}}
	if !s.Installed {
		return s
	}
	b, err := l.ask("sshd", "-T")
	if err == nil {
		s.Config, s.Readable = parseSSHDTest(b), true
		return s
	}
	files := &sshdFiles{read: l.readErr, glob: l.glob, config: map[string]string{}}
	if ferr := files.load("etc/ssh/sshd_config", 0); ferr != nil {
		n.miss("SSH server: " + reason(err) + "; its configuration: " + reason(ferr))
		return s
	}
	for k, v := range sshdDefaults {
		if _, set := files.config[k]; !set {
			files.config[k] = v
		}
	}
	s.Config, s.Readable = files.config, true
	return s
}

// parseSSHDTest reads `sshd -T`. Keys that come often are joined.
func parseSSHDTest(b []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		key = strings.ToLower(key)
		if was, twice := out[key]; twice {
			value = was + " " + value
		}
		if key == "permitrootlogin" && value == "without-password" {
			value = "prohibit-password" // its name since 7.0, which the program itself does not use
		}
		out[key] = value
	}
	return out
}

// sshdDefaults are OpenSSH's own (sshd_config(5) of 9.2) of what rules look at.
var sshdDefaults = map[string]string{
	"port": "22", "permitrootlogin": "prohibit-password", "passwordauthentication": "yes", "permitemptypasswords": "no", "x11forwarding": "no", "maxauthtries": "6",
	"clientaliveinterval": "0", "clientalivecountmax": "3", "logingracetime": "120", "hostbasedauthentication": "no", "ignorerhosts": "yes", "permituserenvironment": "no",
	"loglevel": "INFO", "banner": "none", "allowtcpforwarding": "yes", "usepam": "no", "maxstartups": "10:30:100", "maxsessions": "10", "strictmodes": "yes",
	"kbdinteractiveauthentication": "yes", "pubkeyauthentication": "yes", "gssapiauthentication": "no", "allowagentforwarding": "yes", "compression": "yes",
}

// sshdFiles reads sshd_config(5): the first value of a key wins, Include is followed where it
// stands, and what is under Match is not for everybody.
type sshdFiles struct {
	read   func(string) ([]byte, error)
	glob   func(string) []string
	config map[string]string
}

func (f *sshdFiles) load(name string, depth int) error {
	b, err := f.read(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(strings.Replace(line, "=", " ", 1), " ")
		key, value = strings.ToLower(key), strings.Trim(strings.TrimSpace(value), `"`)
		switch key {
		case "match":
			return nil // to the end of the file, as a rule
		case "include":
			for pattern := range strings.FieldsSeq(value) {
				if !strings.HasPrefix(pattern, "/") {
					pattern = "/etc/ssh/" + pattern
				}
				for _, m := range f.glob(strings.TrimPrefix(pattern, "/")) {
					if depth < 8 { // a file that includes itself
						if err := f.load(m, depth+1); err != nil {
							return err
						}
					}
				}
			}
		default:
			if _, set := f.config[key]; !set {
				f.config[key] = value
			}
		}
	}
	return nil
}

// sensitive are the paths whose permissions rules look at.
var sensitive = []string{
	"/etc/passwd", "/etc/passwd-", "/etc/shadow", "/etc/shadow-", "/etc/group", "/etc/group-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
	"/etc/ssh/sshd_config", "/etc/ssh/ssh_host_*_key", "/etc/crontab", "/etc/cron.d", "/etc/cron.daily", "/etc/cron.hourly", "/etc/cron.weekly", "/etc/cron.monthly",
	"/etc/cron.allow", "/etc/cron.deny", "/etc/at.allow", "/boot/grub/grub.cfg", "/boot/grub/user.cfg", "/etc/issue", "/etc/issue.net", "/etc/motd", "/tmp", "/var/tmp", "/dev/shm",
	"/root", "/etc/security/opasswd", "/var/log", "/etc/hosts.allow", "/etc/hosts.deny", "/usr/bin/sudo", "/usr/bin/pkexec", "/etc/fstab", "/etc/NetworkManager/system-connections",
}

func (l *linux) files() map[string]inventory.FileFact {
	out := map[string]inventory.FileFact{}
	users, groups := l.userNames(), map[int64]string{}
	for _, g := range parseGroups(l.read("etc/group")) {
		groups[g.GID] = g.Name
	}
	for _, pattern := range sensitive {
		for _, name := range l.glob(strings.TrimPrefix(pattern, "/")) {
			info, err := fs.Stat(l.root, name)
			if err != nil {
				continue
			}
			f := inventory.FileFact{Mode: mode(info)}
			f.UID, f.GID = l.owner(info)
			f.Owner, f.Group = users[f.UID], groups[f.GID]
			out["/"+name] = f
		}
	}
	return out
}

// sysctls are the keys rules look at.
var sysctls = []string{
	"kernel.randomize_va_space", "kernel.kptr_restrict", "kernel.dmesg_restrict", "kernel.yama.ptrace_scope", "kernel.unprivileged_bpf_disabled", "kernel.sysrq",
	"kernel.kexec_load_disabled", "kernel.perf_event_paranoid", "kernel.core_uses_pid", "kernel.modules_disabled", "net.core.bpf_jit_harden", "user.max_user_namespaces",
	"fs.suid_dumpable", "fs.protected_hardlinks", "fs.protected_symlinks", "fs.protected_fifos", "fs.protected_regular",
	"net.ipv4.ip_forward", "net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.all.secure_redirects", "net.ipv4.conf.all.send_redirects",
	"net.ipv4.conf.all.accept_source_route", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.log_martians", "net.ipv4.conf.default.accept_redirects",
	"net.ipv4.conf.default.secure_redirects", "net.ipv4.conf.default.send_redirects", "net.ipv4.conf.default.accept_source_route", "net.ipv4.conf.default.rp_filter",
	"net.ipv4.conf.default.log_martians", "net.ipv4.tcp_syncookies", "net.ipv4.icmp_echo_ignore_broadcasts", "net.ipv4.icmp_ignore_bogus_error_responses",
	"net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.all.accept_source_route", "net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.all.forwarding",
	"net.ipv6.conf.all.accept_ra", "net.ipv6.conf.default.accept_redirects", "net.ipv6.conf.default.accept_source_route",
}

func (l *linux) sysctl() map[string]string {
	out := map[string]string{}
	for _, key := range sysctls {
		if b, err := l.readErr("proc/sys/" + strings.ReplaceAll(key, ".", "/")); err == nil {
			out[key] = strings.Join(strings.Fields(string(b)), " ")
		}
	}
	if l.tree != "" {
		l.atStart(out)
	}
	return out
}

// firewall finds who owns the packet filter, and what it does with what nobody allowed.
func (l *linux) firewall(n *notes) inventory.Firewall {
	var f inventory.Firewall
	ruleset, err := l.ask("nft", "--json", "list", "ruleset")
	rules := nftFacts{}
	if err == nil {
		rules = parseNft(ruleset)
	}
	known := err == nil
	if legacy, lerr := l.ask("iptables-legacy-save"); lerr == nil {
		rules = rules.or(parseIptables(legacy))
		known = true
	} else if !known {
		if saved, serr := l.ask("iptables-save"); serr == nil {
			rules, known = rules.or(parseIptables(saved)), true
		}
	}
	running := l.processes()
	ufw := map[string]string{}
	lines(l.read("etc/ufw/ufw.conf"), "=", func(k, v string) { ufw[k] = strings.Trim(v, `"`) })
	active := rules.filters
	switch {
	case running["firewalld"]:
		f.Manager, active = "firewalld", true
		f.DefaultIncoming, f.DefaultOutgoing = l.firewalldTarget(), "allow"
	case strings.EqualFold(ufw["ENABLED"], "yes"):
		f.Manager = "ufw"
		active = !known || rules.filters // enabled, and really there where that can be seen
		lines(l.read("etc/default/ufw"), "=", func(k, v string) {
			switch k {
			case "DEFAULT_INPUT_POLICY":
				f.DefaultIncoming = verdict(strings.Trim(v, `"`))
			case "DEFAULT_OUTPUT_POLICY":
				f.DefaultOutgoing = verdict(strings.Trim(v, `"`))
			}
		})
	case !known:
		if l.program("nft") == "" && l.program("iptables-save") == "" {
			f.Manager, active = "none", false
			break
		}
		n.miss("firewall: " + reason(err))
		return f
	case rules.rules == 0 && !rules.filters:
		f.Manager = "none"
	case rules.iptables:
		f.Manager = "iptables"
	default:
		f.Manager = "nftables"
	}
	if f.DefaultIncoming == "" {
		f.DefaultIncoming, f.DefaultOutgoing = rules.policies()
	}
	f.Active, f.Rules = &active, rules.rules
	return f
}

// verdict turns a policy's word into ours.
func verdict(policy string) string {
	switch strings.ToUpper(policy) {
	case "DROP", "REJECT":
		return "deny"
	case "ACCEPT":
		return "allow"
	}
	return ""
}

// firewalldTarget reads what its default zone does with the rest.
func (l *linux) firewalldTarget() string {
	zone := "public"
	lines(l.read("etc/firewalld/firewalld.conf"), "=", func(k, v string) {
		if k == "DefaultZone" {
			zone = v
		}
	})
	for _, dir := range []string{"etc/firewalld/zones/", "usr/lib/firewalld/zones/"} {
		b := string(l.read(dir + path.Base(zone) + ".xml"))
		if b == "" {
			continue
		}
		if _, rest, ok := strings.Cut(b, `target="`); ok {
			target, _, _ := strings.Cut(rest, `"`)
			if target == "ACCEPT" {
				return "allow"
			}
		}
		return "deny"
	}
	return "deny" // of every zone but trusted
}

// nftFacts are what a ruleset does to packets for, and from, this machine.
type nftFacts struct {
	rules    uint32
	filters  bool // some base chain drops, or some rule is in one
	iptables bool // made by iptables
	inDeny   bool
	outDeny  bool
}

func (a nftFacts) or(b nftFacts) nftFacts {
	a.rules += b.rules
	a.filters, a.inDeny, a.outDeny = a.filters || b.filters, a.inDeny || b.inDeny, a.outDeny || b.outDeny
	a.iptables = a.iptables || b.iptables && b.rules > 0
	return a
}

func (a nftFacts) policies() (incoming, outgoing string) {
	incoming, outgoing = "allow", "allow"
	if a.inDeny {
		incoming = "deny"
	}
	if a.outDeny {
		outgoing = "deny"
	}
	return incoming, outgoing
}

// parseNft reads `nft --json list ruleset` (libnftables-json(5)). A base chain denies by its
// policy, or by a last rule that drops or rejects whatever comes.
func parseNft(b []byte) nftFacts {
	var doc struct {
		Items []struct {
			Chain *struct {
				Family, Table, Name, Type, Hook, Policy string
			} `json:"chain"`
			Rule *struct {
				Family, Table, Chain string
				Expr                 []map[string]json.RawMessage
			} `json:"rule"`
		} `json:"nftables"`
	}
	var f nftFacts
	if json.Unmarshal(b, &doc) != nil {
		return f
	}
	hooks := map[string]string{}
	last := map[string]bool{} // the chain's last rule denies all
	for _, i := range doc.Items {
		if c := i.Chain; c != nil && c.Type == "filter" && (c.Hook == "input" || c.Hook == "output") {
			hooks[c.Family+" "+c.Table+" "+c.Name] = c.Hook
			if c.Policy == "drop" {
				f.filters = true
				f.deny(c.Hook)
			}
			f.iptables = f.iptables || c.Table == "filter" && c.Name == strings.ToUpper(c.Hook)
		}
		if r := i.Rule; r != nil {
			f.rules++
			key := r.Family + " " + r.Table + " " + r.Chain
			f.filters = f.filters || hooks[key] != ""
			last[key] = deniesAll(r.Expr)
		}
	}
	for key, denies := range last {
		if denies && hooks[key] != "" {
			f.deny(hooks[key])
		}
	}
	return f
}

func (a *nftFacts) deny(hook string) {
	if hook == "input" {
		a.inDeny = true
	} else {
		a.outDeny = true
	}
}

// deniesAll reports whether a rule drops or rejects without asking anything.
func deniesAll(expr []map[string]json.RawMessage) bool {
	denies := false
	for _, e := range expr {
		for kind := range e {
			switch kind {
			case "drop", "reject":
				denies = true
			case "counter", "log", "comment":
			default:
				return false
			}
		}
	}
	return denies
}

// parseIptables reads iptables-save(8).
func parseIptables(b []byte) nftFacts {
	f := nftFacts{iptables: true}
	filter := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			filter = line == "*filter"
		case !filter:
		case strings.HasPrefix(line, ":INPUT DROP"):
			f.inDeny, f.filters = true, true
		case strings.HasPrefix(line, ":OUTPUT DROP"):
			f.outDeny, f.filters = true, true
		case strings.HasPrefix(line, "-A "):
			f.rules++
			f.filters = f.filters || strings.HasPrefix(line, "-A INPUT") || strings.HasPrefix(line, "-A OUTPUT")
			if line == "-A INPUT -j DROP" || strings.HasPrefix(line, "-A INPUT -j REJECT") {
				f.inDeny = true
			}
		}
	}
	return f
}

func (l *linux) boot() inventory.Boot {
	b := inventory.Boot{EFI: l.exists("sys/firmware/efi")}
	for _, name := range []string{"boot/grub/grub.cfg", "boot/grub2/grub.cfg"} {
		cfg, err := l.readErr(name)
		if err != nil {
			continue
		}
		user := l.read(path.Dir(name) + "/user.cfg")
		has := strings.Contains(string(cfg), "password_pbkdf2 ") && !strings.Contains(string(cfg), "${GRUB2_PASSWORD}") || strings.Contains(string(user), "GRUB2_PASSWORD=")
		b.GRUBPassword = &has
	}
	if shadow, err := l.readErr("etc/shadow"); err == nil {
		asked := parseShadow(shadow)["root"].password != "empty"
		for _, name := range slices.Concat(l.glob("etc/systemd/system/rescue.service.d/*.conf"), l.glob("etc/systemd/system/emergency.service.d/*.conf")) {
			if strings.Contains(string(l.read(name)), "SYSTEMD_SULOGIN_FORCE=1") {
				asked = false
			}
		}
		b.SingleUserPassword = &asked
	}
	return b
}

func atoi(s string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// number reads a decimal number.
func number(s string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil
}
