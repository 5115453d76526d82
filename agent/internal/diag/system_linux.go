package diag

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm/inventory"
)

func (l *linux) systemReaders() []reader {
	return []reader{
		{
			name: inventory.SectionAccounts, read: func(n *notes) any { return l.accounts(n) },
			stamp: l.stampDirs("etc/passwd", "etc/group", "etc/shadow", "etc/login.defs", "var/log/wtmp", "home", "home/*"),
		},
		{name: inventory.SectionServices, read: func(n *notes) any { return l.services(n) }},
		{
			name: inventory.SectionSoftware, read: func(n *notes) any { return list(l.software(n)) },
			stamp: l.stampDirs(softwarePlaces...),
		},
		{
			name: inventory.SectionUpdates, read: func(n *notes) any { return l.updates(n) },
			stamp: l.stampDirs("var/lib/dpkg/status", "var/lib/apt/lists", "var/lib/apt/periodic/*", "etc/apt/apt.conf.d", "etc/apt/apt.conf.d/*", "etc/apt/sources.list",
				"etc/apt/sources.list.d/*", "etc/apt/preferences.d", "run/reboot-required*", "var/run/reboot-required", "var/cache/dnf", "var/lib/rpm/*", "etc/dnf/*"),
		},
		{name: inventory.SectionCertificates, read: func(n *notes) any { return list(l.certificates(n)) }, stamp: l.stampDirs(certificatePlaces...)},
		{name: inventory.SectionTime, read: func(*notes) any { return l.clock() }},
		{name: inventory.SectionJournal, read: func(*notes) any { return l.journal() }},
	}
}

// services asks systemd; nil where another init runs, or none.
func (l *linux) services(n *notes) any {
	if !l.exists("run/systemd/system") {
		n.miss("services: systemd does not run here")
		return nil
	}
	units, err := l.ask("systemctl", "list-units", "--type=service", "--all", "--plain", "--no-legend", "--no-pager", "--full")
	if err != nil {
		n.miss("services: " + reason(err))
		return nil
	}
	files, err := l.ask("systemctl", "list-unit-files", "--type=service", "--plain", "--no-legend", "--no-pager", "--full")
	if err != nil {
		n.miss("services that are not loaded: " + reason(err))
	}
	return parseServices(units, files)
}

// parseServices joins what systemctl says of units (UNIT LOAD ACTIVE SUB DESCRIPTION) and of
// unit files (UNIT STATE PRESET). Instances of the moment, as user@1000, are left out.
func parseServices(units, files []byte) []inventory.Service {
	byName := map[string]inventory.Service{}
	for line := range strings.Lines(string(files)) {
		f := strings.Fields(line)
		if len(f) >= 2 && strings.HasSuffix(f[0], ".service") {
			byName[f[0]] = inventory.Service{Name: f[0], Enabled: f[1]}
		}
	}
	for line := range strings.Lines(string(units)) {
		f := strings.Fields(strings.TrimPrefix(line, "●"))
		if len(f) < 4 || !strings.HasSuffix(f[0], ".service") || f[1] == "not-found" {
			continue
		}
		s, known := byName[f[0]]
		if !known && strings.Contains(f[0], "@") && !strings.HasPrefix(f[0], "getty@") {
			continue
		}
		s.Name, s.Active, s.Description = f[0], steadyState(f[2], f[3]), strings.Join(f[4:], " ")
		if s.Enabled == "" && f[1] == "masked" {
			s.Enabled = "masked"
		}
		byName[f[0]] = s
	}
	out := make([]inventory.Service, 0, len(byName))
	for _, s := range byName {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b inventory.Service) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// steadyState holds still what comes and goes by itself: a service that a timer starts for
// a moment counts as inactive, and one that waits to be started again as failed.
func steadyState(active, sub string) string {
	switch {
	case active == "activating" && sub == "auto-restart":
		return "failed"
	case active == "activating" || active == "deactivating" || active == "reloading" || active == "active" && sub == "start":
		if active == "reloading" {
			return "active"
		}
		return "inactive"
	}
	return active
}

// certificatePlaces are where the organisation and programs put theirs.
var certificatePlaces = []string{
	"usr/local/share/ca-certificates", "usr/local/share/ca-certificates/*", "etc/pki/ca-trust/source/anchors", "etc/pki/ca-trust/source/anchors/*", "etc/ssl",
	"etc/ssl/private", "etc/ssl/private/*", "etc/ssl/certs/ssl-cert-*.pem", "etc/letsencrypt/live/*", "etc/letsencrypt/live/*/*", "etc/pki/tls/certs/*", "etc/nginx/ssl/*",
	"etc/apache2/ssl/*", "etc/openvpn/*", "etc/openvpn/client/*", "etc/NetworkManager/certs/*", "etc/ipsec.d/certs/*", "etc/docker/certs.d/*/*", "etc/cockpit/ws-certs.d/*",
	"etc/postgresql-common/*.crt", "etc/ca-certificates/trust-source/anchors/*",
}

func (l *linux) certificates(n *notes) []inventory.Certificate {
	const most = 500
	var out []inventory.Certificate
	seen := map[string]bool{}
	for _, pattern := range certificatePlaces {
		for _, name := range l.glob(pattern) {
			switch strings.ToLower(path.Ext(name)) {
			case ".pem", ".crt", ".cer", ".der":
			default:
				continue
			}
			b, err := l.readErr(name)
			if err != nil {
				n.miss(name + ": " + reason(err))
				continue
			}
			if len(b) > maxHomed {
				continue
			}
			for _, c := range parseCertificates(b) {
				key := name + c.SHA256
				if seen[key] || len(out) == most {
					continue
				}
				seen[key] = true
				c.Path = "/" + name
				c.Trusted = strings.Contains(name, "ca-certificates") || strings.Contains(name, "anchors")
				out = append(out, c)
			}
		}
	}
	return out
}

// parseCertificates reads a PEM file, or one certificate in DER. Keys in it are passed over.
func parseCertificates(b []byte) []inventory.Certificate {
	var out []inventory.Certificate
	add := func(der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		sum := sha256.Sum256(der)
		out = append(out, inventory.Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), SHA256: hex.EncodeToString(sum[:]), NotBeforeUS: c.NotBefore.UnixMicro(), NotAfterUS: c.NotAfter.UnixMicro(),
			Authority: c.IsCA, Key: keyKind(c.PublicKey),
		})
	}
	if len(b) > 0 && b[0] == 0x30 {
		add(b)
		return out
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return out
		}
		if block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" {
			add(block.Bytes)
		}
	}
}

func keyKind(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}

func (l *linux) clock() inventory.Clock {
	var c inventory.Clock
	if unsynced, err := l.unsynced(); err == nil {
		ok := !unsynced
		c.Synchronised = &ok
	}
	running := l.processes()
	for _, s := range []struct{ comm, name string }{{"systemd-timesyn", "systemd-timesyncd"}, {"chronyd", "chrony"}, {"ntpd", "ntpd"}, {"openntpd", "openntpd"}} {
		if running[s.comm] {
			c.Service = s.name
			break
		}
	}
	return c
}

// processes returns the names of the programs that run, as the kernel cuts them: 15 bytes.
func (l *linux) processes() map[string]bool {
	out := map[string]bool{}
	for _, pid := range l.dir("proc") {
		if pid[0] >= '0' && pid[0] <= '9' {
			out[l.text("proc/"+pid+"/comm")] = true
		}
	}
	return out
}

func (l *linux) journal() inventory.Journal {
	var j inventory.Journal
	if l.exists("run/systemd/journal") || l.exists("etc/systemd/journald.conf") {
		j.Storage = "auto"
		for _, name := range slices.Concat([]string{"etc/systemd/journald.conf"}, l.glob("usr/lib/systemd/journald.conf.d/*.conf"), l.glob("etc/systemd/journald.conf.d/*.conf")) {
			lines(l.read(name), "=", func(k, v string) {
				if k == "Storage" {
					j.Storage = v
				}
			})
		}
		j.Kept = j.Storage == "persistent" || j.Storage == "auto" && l.exists("var/log/journal")
	}
	for _, s := range []string{"rsyslog", "syslog-ng"} {
		if j.Syslog == "" && (l.program(s+"d") != "" || l.program(s) != "") {
			j.Syslog = s
		}
	}
	return j
}

// updates looks at what the package manager has on its lists; it fetches nothing.
func (l *linux) updates(n *notes) any {
	u := inventory.Updates{Pending: []inventory.PendingUpdate{}, RebootFor: []string{}, Unsigned: []string{}}
	switch {
	case l.exists("var/lib/dpkg/status") && l.program("apt-get") != "":
		u.Manager = "apt"
		l.aptUpdates(&u, n)
	case l.program("dnf") != "":
		u.Manager = "dnf"
		l.dnfUpdates(&u, n)
	default:
		n.miss("updates: no package manager known here")
		return nil
	}
	return u
}

func (l *linux) aptUpdates(u *inventory.Updates, n *notes) {
	for _, name := range []string{"var/lib/apt/periodic/update-success-stamp", "var/lib/apt/lists/partial", "var/lib/apt/lists"} {
		if info, err := fs.Stat(l.root, name); err == nil {
			u.PackageListsUS = info.ModTime().Truncate(3600e9).UnixMicro() // to the hour: a fetch that brought nothing is no news
			break
		}
	}
	b, err := l.ask("apt-get", "--simulate", "-o", "Debug::NoLocking=1", "-o", "APT::Get::Show-User-Simulation-Note=0", "dist-upgrade")
	if err != nil {
		n.miss("pending updates: " + reason(err))
	}
	u.Pending = append(u.Pending, parseAptSimulation(b)...)
	u.RebootRequired = l.exists("run/reboot-required") || l.exists("var/run/reboot-required")
	for p := range strings.Lines(string(l.read("run/reboot-required.pkgs"))) {
		if p = strings.TrimSpace(p); p != "" && !slices.Contains(u.RebootFor, p) {
			u.RebootFor = append(u.RebootFor, p)
		}
	}
	u.Unattended.Installed = l.program("unattended-upgrade") != "" || l.program("unattended-upgrades") != ""
	if b, err := l.ask("apt-config", "dump"); err == nil {
		parseAptConfig(&u.Unattended, b)
	} else {
		n.miss("update settings: " + reason(err))
	}
	u.Unattended.Enabled = u.Unattended.Enabled && u.Unattended.Installed
	u.Unsigned = append(u.Unsigned, l.unsignedSources()...)
}

// parseAptSimulation reads `apt-get --simulate`:
//
//	Inst name [installed] (candidate Origin:release/suite, … [arch]) …
func parseAptSimulation(b []byte) []inventory.PendingUpdate {
	var out []inventory.PendingUpdate
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Inst ")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		p := inventory.PendingUpdate{Name: name}
		if r, ok := strings.CutPrefix(rest, "["); ok {
			p.Installed, rest, _ = strings.Cut(r, "] ")
		} else {
			continue // new, not an update
		}
		r, ok := strings.CutPrefix(rest, "(")
		if !ok {
			continue
		}
		inner, _, _ := strings.Cut(r, ")")
		var origins string
		p.Candidate, origins, _ = strings.Cut(inner, " ")
		p.Security = strings.Contains(origins, "-security") || strings.Contains(origins, "-Security") || strings.Contains(origins, "-apps-security")
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b inventory.PendingUpdate) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// parseAptConfig reads `apt-config dump`: `Name "value";`.
func parseAptConfig(u *inventory.Unattended, b []byte) {
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSuffix(value, ";"), `"`)
		switch key {
		case "APT::Periodic::Unattended-Upgrade":
			days, err := strconv.ParseUint(strings.TrimRight(value, "dhms"), 10, 32)
			u.Enabled = value == "always" || err == nil && days > 0
			u.EveryDays = max(uint32(days), 1)
			if !u.Enabled {
				u.EveryDays = 0
			}
		case "Unattended-Upgrade::Origins-Pattern::", "Unattended-Upgrade::Allowed-Origins::":
			low := strings.ToLower(value)
			if strings.Contains(low, "security") {
				u.Security = true
			} else if !strings.Contains(low, "esm") {
				u.All = true
			}
		case "Unattended-Upgrade::Automatic-Reboot":
			u.Reboot = value == "true" || value == "1"
		}
	}
}

// unsignedSources names apt sources whose signature nobody checks.
func (l *linux) unsignedSources() []string {
	var out []string
	for _, name := range slices.Concat([]string{"etc/apt/sources.list"}, l.glob("etc/apt/sources.list.d/*.list")) {
		out = append(out, parseUnsignedList(l.read(name))...)
	}
	for _, name := range l.glob("etc/apt/sources.list.d/*.sources") {
		out = append(out, parseUnsignedDeb822(l.read(name))...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// parseUnsignedList reads sources.list(5) in one line style.
func parseUnsignedList(b []byte) []string {
	var out []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "deb") {
			continue
		}
		_, options, ok := strings.Cut(line, "[")
		options, rest, closed := strings.Cut(options, "]")
		if ok && closed && (strings.Contains(options, "trusted=yes") || strings.Contains(options, "allow-insecure=yes")) {
			if f := strings.Fields(rest); len(f) > 0 {
				out = append(out, f[0])
			}
		}
	}
	return out
}

// parseUnsignedDeb822 reads sources.list(5) in stanzas.
func parseUnsignedDeb822(b []byte) []string {
	var out []string
	for stanza := range strings.SplitSeq(string(b), "\n\n") {
		insecure, uris := false, []string(nil)
		lines([]byte(stanza), ":", func(k, v string) {
			switch strings.ToLower(k) {
			case "trusted", "allow-insecure":
				insecure = insecure || strings.EqualFold(v, "yes")
			case "uris":
				uris = strings.Fields(v)
			}
		})
		if insecure {
			out = append(out, uris...)
		}
	}
	return out
}

func (l *linux) dnfUpdates(u *inventory.Updates, n *notes) {
	if info, err := fs.Stat(l.root, "var/cache/dnf"); err == nil {
		u.PackageListsUS = info.ModTime().Truncate(3600e9).UnixMicro()
	}
	b, err := l.ask("dnf", "--quiet", "--cacheonly", "list", "--upgrades") // exits with 0; check-update would with 100
	if err != nil {
		n.miss("pending updates: " + reason(err))
	}
	security, _ := l.ask("dnf", "--quiet", "--cacheonly", "updateinfo", "list", "--security") // without it nothing is marked
	u.Pending = append(u.Pending, parseDnfList(b, security)...)
	for _, name := range []string{"etc/dnf/automatic.conf", "etc/dnf/dnf5-plugins/automatic.conf"} {
		conf := l.read(name)
		lines(conf, "=", func(k, v string) {
			switch k {
			case "apply_updates":
				u.Unattended.Enabled = v == "yes" || v == "true"
			case "upgrade_type":
				u.Unattended.Security, u.Unattended.All = true, v == "default"
			case "reboot":
				u.Unattended.Reboot = v != "never"
			}
		})
		u.Unattended.Installed = u.Unattended.Installed || len(conf) > 0
	}
}

// parseDnfList reads `dnf list --upgrades` (name.arch version repository) and marks what
// `dnf updateinfo list --security` (id severity package) names.
func parseDnfList(b, security []byte) []inventory.PendingUpdate {
	var out []inventory.PendingUpdate
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 || !strings.Contains(f[0], ".") {
			continue
		}
		name := f[0][:strings.LastIndexByte(f[0], '.')]
		_, version, ok := strings.Cut(f[1], ":")
		if !ok {
			version = f[1]
		}
		out = append(out, inventory.PendingUpdate{Name: name, Candidate: f[1], Security: strings.Contains(string(security), name+"-"+version)})
	}
	slices.SortFunc(out, func(a, b inventory.PendingUpdate) int { return strings.Compare(a.Name, b.Name) })
	return out
}
