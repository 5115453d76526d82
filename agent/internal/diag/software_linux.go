package diag

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"handrail/mdm/inventory"
)

// softwarePlaces change when something is installed or removed. Deeper changes of the same
// directories are noticed with the next change of these.
var softwarePlaces = []string{
	"var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite*", "usr/lib/sysimage/rpm/rpmdb.sqlite*", "var/lib/rpm/Packages", "var/lib/flatpak/app", "var/lib/flatpak/.changed",
	"var/lib/snapd/snaps", "snap", "opt", "opt/*", "usr/local/bin", "home/*/Applications", "home/*/.local/bin", "home/*/.config/google-chrome/*/Extensions",
	"home/*/.config/chromium/*/Extensions", "home/*/.config/microsoft-edge/*/Extensions", "home/*/.mozilla/firefox/*/extensions.json", "usr/local/lib/python3*/*-packages",
	"home/*/.local/lib/python3*/site-packages", "usr/local/lib/node_modules", "usr/lib/node_modules", "home/*/.local/share/flatpak/app",
}

// software reads every source. One that cannot be read does not hold up the others.
func (l *linux) software(n *notes) []inventory.Software {
	var out []inventory.Software
	if f, err := l.root.Open("var/lib/dpkg/status"); err == nil {
		out = append(out, parseDpkg(f)...)
		f.Close()
	}
	out = append(out, l.rpms(n)...)
	out = append(out, l.flatpaks()...)
	out = append(out, l.snaps()...)
	out = append(out, l.appImages()...)
	out = append(out, l.extensions()...)
	out = append(out, l.pythons()...)
	out = append(out, l.nodes()...)
	return out
}

// parseDpkg reads /var/lib/dpkg/status (deb822 stanzas) and returns what is installed.
func parseDpkg(r io.Reader) []inventory.Software {
	var out []inventory.Software
	in := bufio.NewReaderSize(r, 64<<10)
	var s inventory.Software
	installed := false
	flush := func() {
		if installed && s.Name != "" && s.Version != "" {
			s.Source = inventory.SourceDeb
			if s.Package == s.Name {
				s.Package = ""
			}
			out = append(out, s)
		}
		s, installed = inventory.Software{}, false
	}
	for {
		line, err := in.ReadSlice('\n')
		for err == bufio.ErrBufferFull { //nolint:errorlint // ReadSlice returns it as it is
			_, err = in.ReadSlice('\n') // the rest of a line nobody needs
		}
		line = bytes.TrimRight(line, "\n")
		switch {
		case len(line) == 0:
			flush()
		case line[0] == ' ' || line[0] == '\t':
		default:
			key, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimSpace(value)
			switch string(key) {
			case "Package":
				s.Name = string(value)
			case "Version":
				s.Version = string(value)
			case "Architecture":
				if s.Arch = string(value); s.Arch == "all" {
					s.Arch = ""
				}
			case "Source":
				name, _, _ := strings.Cut(string(value), " ")
				s.Package = name
			case "Status":
				installed = bytes.HasSuffix(value, []byte(" installed"))
			}
		}
		if err != nil {
			flush()
			return out
		}
	}
}

// rpmFormat is what rpm is asked for: tabs cannot be in any of it.
const rpmFormat = `%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{VENDOR}\n`

func (l *linux) rpms(n *notes) []inventory.Software {
	if len(l.glob("var/lib/rpm/rpmdb.sqlite"))+len(l.glob("usr/lib/sysimage/rpm/rpmdb.sqlite"))+len(l.glob("var/lib/rpm/Packages")) == 0 {
		return nil
	}
	b, err := l.ask("rpm", "--query", "--all", "--queryformat", rpmFormat)
	if err != nil {
		n.miss("rpm packages: " + reason(err))
	}
	return parseRPM(b)
}

// parseRPM reads what rpm says in rpmFormat.
func parseRPM(b []byte) []inventory.Software {
	var out []inventory.Software
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 5 || f[0] == "" || f[0] == "gpg-pubkey" {
			continue
		}
		s := inventory.Software{Name: f[0], Version: strings.TrimPrefix(f[1], "0:"), Source: inventory.SourceRPM, Arch: f[2]}
		if s.Arch == "noarch" || s.Arch == "(none)" {
			s.Arch = ""
		}
		if f[4] != "(none)" {
			s.Publisher = f[4]
		}
		if from, ok := strings.CutSuffix(f[3], ".src.rpm"); ok { // name-version-release
			for range 2 {
				from = from[:max(strings.LastIndexByte(from, '-'), 0)]
			}
			if from != s.Name {
				s.Package = from
			}
		}
		out = append(out, s)
	}
	return out
}

// homes returns the home directories of persons, by account.
func (l *linux) homes() map[string]string {
	out := map[string]string{}
	for _, u := range parsePasswd(l.read("etc/passwd")) {
		home := strings.Trim(u.Home, "/")
		if (u.UID >= 1000 && u.UID < 65534 || u.UID == 0) && home != "" && fs.ValidPath(home) {
			out[u.Name] = home
		}
	}
	return out
}

// flatpaks reads the deployed applications of the system's installation and of each person's:
// app/ID/current/active/metadata says which it is, and files/manifest or the appdata its version.
func (l *linux) flatpaks() []inventory.Software {
	out := l.flatpaksAt("var/lib/flatpak/app", "")
	for who, home := range l.homes() {
		out = append(out, l.flatpaksAt(home+"/.local/share/flatpak/app", who)...)
	}
	return out
}

func (l *linux) flatpaksAt(dir, who string) []inventory.Software {
	var out []inventory.Software
	for _, id := range l.dir(dir) {
		for _, arch := range l.dir(path.Join(dir, id)) {
			if arch == "current" {
				continue
			}
			for _, branch := range l.dir(path.Join(dir, id, arch)) {
				active := path.Join(dir, id, arch, branch, "active")
				if !l.exists(active + "/metadata") {
					continue
				}
				s := inventory.Software{Name: id, Version: branch, Source: inventory.SourceFlatpak, Arch: arch, Scope: who}
				for _, share := range []string{"metainfo", "appdata"} {
					for _, suffix := range []string{".metainfo.xml", ".appdata.xml"} {
						if v := parseAppdataVersion(l.homed(path.Join(active, "files/share", share, id+suffix))); v != "" {
							s.Version = v
						}
					}
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// parseAppdataVersion returns the newest release an AppStream file names: its first.
func parseAppdataVersion(b []byte) string {
	_, rest, ok := bytes.Cut(b, []byte("<release "))
	if !ok {
		return ""
	}
	tag, _, _ := bytes.Cut(rest, []byte(">"))
	for _, quote := range []string{`"`, `'`} {
		if _, v, ok := bytes.Cut(tag, []byte("version="+quote)); ok {
			v, _, _ = bytes.Cut(v, []byte(quote))
			return string(v)
		}
	}
	return ""
}

// snaps reads /snap/NAME/current/meta/snap.yaml.
func (l *linux) snaps() []inventory.Software {
	var out []inventory.Software
	for _, dir := range []string{"snap", "var/lib/snapd/snap"} {
		for _, name := range l.dir(dir) {
			b := l.read(path.Join(dir, name, "current/meta/snap.yaml"))
			if len(b) == 0 {
				continue
			}
			s := inventory.Software{Name: name, Source: inventory.SourceSnap}
			for line := range strings.Lines(string(b)) {
				if v, ok := strings.CutPrefix(line, "version:"); ok {
					s.Version = strings.Trim(strings.TrimSpace(v), `"'`)
				}
			}
			out = append(out, s)
		}
		if len(out) > 0 {
			break // the second is the same in distributions that have both
		}
	}
	return out
}

// appImages finds them by name where people keep them; their version is in the name, if anywhere.
func (l *linux) appImages() []inventory.Software {
	var out []inventory.Software
	look := func(dir, who string) {
		for _, name := range l.dir(dir) {
			if base, ok := strings.CutSuffix(strings.ToLower(name), ".appimage"); ok {
				s := parseAppImage(name[:len(base)])
				s.Scope = who
				out = append(out, s)
			}
		}
	}
	for _, dir := range []string{"opt", "usr/local/bin", "Applications"} {
		look(dir, "")
	}
	for who, home := range l.homes() {
		for _, dir := range []string{"Applications", ".local/bin", "bin", "Downloads", "Desktop"} {
			look(home+"/"+dir, who)
		}
	}
	return out
}

// parseAppImage takes "Name-1.2.3-x86_64" apart.
func parseAppImage(base string) inventory.Software {
	s := inventory.Software{Source: inventory.SourceAppImage}
	var name []string
	for _, part := range strings.FieldsFunc(base, func(r rune) bool { return r == '-' || r == '_' && !strings.Contains(base, "x86_64") }) {
		switch digit := strings.TrimLeft(part, "vV"); {
		case slices.Contains([]string{"x86_64", "x86", "amd64", "aarch64", "arm64", "armhf", "i386", "i686"}, part):
			s.Arch = part
		case s.Version == "" && len(name) > 0 && digit != "" && digit[0] >= '0' && digit[0] <= '9':
			s.Version = digit
		default:
			name = append(name, part)
		}
	}
	s.Name = strings.Join(name, "-")
	return s
}

// chromes are the directories of browsers of Chromium's kind below a home, by what they are called.
var chromes = []struct{ dir, browser string }{
	{".config/google-chrome", "Chrome"},
	{".config/chromium", "Chromium"},
	{".config/microsoft-edge", "Edge"},
	{".config/BraveSoftware/Brave-Browser", "Brave"},
	{".config/vivaldi", "Vivaldi"},
	{"snap/chromium/common/chromium", "Chromium"},
}

// extensions reads what persons' browsers have installed; parts of the browsers themselves
// are left out.
func (l *linux) extensions() []inventory.Software {
	var out []inventory.Software
	for who, home := range l.homes() {
		for _, c := range chromes {
			for _, manifest := range l.glob(path.Join(home, c.dir, "*/Extensions/*/*/manifest.json")) {
				dir := path.Dir(manifest)
				s, ok := parseChromeExtension(l.homed(manifest), func(locale string) []byte { return l.homed(path.Join(dir, "_locales", locale, "messages.json")) })
				if !ok {
					continue
				}
				s.Package, s.Scope = path.Base(path.Dir(dir)), c.browser+", "+who
				out = append(out, s)
			}
		}
		for _, profiles := range []string{".mozilla/firefox", "snap/firefox/common/.mozilla/firefox", ".thunderbird"} {
			browser := "Firefox"
			if profiles == ".thunderbird" {
				browser = "Thunderbird"
			}
			for _, name := range l.glob(path.Join(home, profiles, "*/extensions.json")) {
				for _, s := range parseFirefoxExtensions(l.homed(name)) {
					s.Scope = browser + ", " + who
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// parseChromeExtension reads a manifest.json; names of the form __MSG_x__ are looked up in the
// texts of its default locale.
func parseChromeExtension(b []byte, messages func(locale string) []byte) (s inventory.Software, ok bool) {
	var m struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Locale  string `json:"default_locale"`
		Author  any    `json:"author"`
	}
	if json.Unmarshal(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), &m) != nil || m.Name == "" || m.Version == "" {
		return s, false
	}
	if key, is := strings.CutPrefix(m.Name, "__MSG_"); is && m.Locale != "" && !strings.ContainsAny(m.Locale, "/.") {
		var texts map[string]struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(bytes.TrimPrefix(messages(m.Locale), []byte("\xef\xbb\xbf")), &texts) == nil {
			for k, t := range texts {
				if strings.EqualFold(k, strings.TrimSuffix(key, "__")) {
					m.Name = t.Message
				}
			}
		}
	}
	return inventory.Software{Name: m.Name, Version: m.Version, Source: inventory.SourceBrowser}, true
}

// parseFirefoxExtensions reads a profile's extensions.json.
func parseFirefoxExtensions(b []byte) []inventory.Software {
	var list struct {
		Addons []struct {
			ID       string `json:"id"`
			Version  string `json:"version"`
			Type     string `json:"type"`
			Location string `json:"location"`
			Locale   struct {
				Name    string `json:"name"`
				Creator string `json:"creator"`
			} `json:"defaultLocale"`
		} `json:"addons"`
	}
	if json.Unmarshal(b, &list) != nil {
		return nil
	}
	var out []inventory.Software
	for _, a := range list.Addons {
		if a.Type != "extension" || strings.HasPrefix(a.Location, "app-builtin") || strings.HasPrefix(a.Location, "app-system") {
			continue
		}
		s := inventory.Software{Name: a.Locale.Name, Version: a.Version, Source: inventory.SourceBrowser, Package: a.ID, Publisher: a.Locale.Creator}
		if s.Name == "" {
			s.Name = a.ID
		}
		out = append(out, s)
	}
	return out
}

// pythons reads the *.dist-info directories that pip leaves, not those of the
// distribution's own packages.
func (l *linux) pythons() []inventory.Software {
	var out []inventory.Software
	look := func(pattern, who string) {
		for _, dir := range l.glob(pattern) {
			if s, ok := parseDistInfo(path.Base(dir)); ok {
				s.Scope = who
				out = append(out, s)
			}
		}
	}
	look("usr/local/lib/python3*/*-packages/*.dist-info", "")
	look("opt/pipx/venvs/*/lib/python3*/site-packages/*.dist-info", "")
	for who, home := range l.homes() {
		look(home+"/.local/lib/python3*/site-packages/*.dist-info", who)
		look(home+"/.local/share/pipx/venvs/*/lib/python3*/site-packages/*.dist-info", who)
	}
	return out
}

// parseDistInfo reads the name of a directory as PyPA's specification of recorded projects has it:
// "name-version.dist-info".
func parseDistInfo(base string) (s inventory.Software, ok bool) {
	base, ok = strings.CutSuffix(base, ".dist-info")
	name, version, cut := strings.Cut(base, "-")
	if !ok || !cut || name == "" {
		return s, false
	}
	return inventory.Software{Name: strings.ReplaceAll(name, "_", "-"), Version: version, Source: inventory.SourcePip}, true
}

// nodes reads npm's global packages.
func (l *linux) nodes() []inventory.Software {
	var out []inventory.Software
	look := func(dir, who string) {
		for _, pattern := range []string{"/*/package.json", "/@*/*/package.json"} {
			for _, name := range l.glob(dir + pattern) {
				if s, ok := parsePackageJSON(l.homed(name)); ok {
					s.Scope = who
					out = append(out, s)
				}
			}
		}
	}
	look("usr/local/lib/node_modules", "")
	look("usr/lib/node_modules", "")
	for who, home := range l.homes() {
		look(home+"/.npm-global/lib/node_modules", who)
		look(home+"/.nvm/versions/node/*/lib/node_modules", who)
	}
	return out
}

func parsePackageJSON(b []byte) (s inventory.Software, ok bool) {
	var p struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if json.Unmarshal(b, &p) != nil || p.Name == "" {
		return s, false
	}
	return inventory.Software{Name: p.Name, Version: p.Version, Source: inventory.SourceNpm}, true
}
