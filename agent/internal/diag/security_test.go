//go:build linux

package diag

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"handrail/mdm/inventory"
)

func TestParseAccounts(t *testing.T) {
	facts := parseShadow([]byte("root:*:19000:0:99999:7:::\nana:$y$j9T$abc$def:20000:1:365:14:30:21000:\nbela:!$6$x$y:20000:0:99999:7:::\nchidi::20000:0:99999:7:::\ndemo:!:19000::::::\nold:aaJIJIJIJIJIx:1:::::::\nshort:x\n"))
	for name, want := range map[string]shadowFacts{
		"root":  {password: "none", days: [6]int64{19000, 0, 99999, 7, -1, -1}},
		"ana":   {password: "set", hash: "yescrypt", days: [6]int64{20000, 1, 365, 14, 30, 21000}},
		"bela":  {password: "locked", hash: "sha512", days: [6]int64{20000, 0, 99999, 7, -1, -1}},
		"chidi": {password: "empty", days: [6]int64{20000, 0, 99999, 7, -1, -1}},
		"demo":  {password: "locked", days: [6]int64{19000, -1, -1, -1, -1, -1}},
		"old":   {password: "set", hash: "des", days: [6]int64{1, -1, -1, -1, -1, -1}},
	} {
		if facts[name] != want {
			t.Errorf("%s: %+v, want %+v", name, facts[name], want)
		}
	}
	if len(facts) != 6 {
		t.Errorf("facts of %d, want 6", len(facts))
	}
	users := parsePasswd([]byte("root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000:Ana Silva,,,:/home/ana:/bin/bash\n+nis\nbad:x:one:1::/:/bin/sh\nopen::1001:1001::/home/open:/bin/sh\n"))
	if len(users) != 3 || users[1].FullName != "Ana Silva" || users[2].Password != "empty" {
		t.Errorf("users = %+v", users)
	}
	groups := parseGroups([]byte("sudo:x:27:ana,bela\nana:x:1000:\n"))
	if !isAdmin(inventory.Account{Name: "ana", GID: 1000}, groups) || isAdmin(inventory.Account{Name: "eve", GID: 1001}, groups) {
		t.Errorf("groups = %+v", groups)
	}
	for shell, want := range map[string]bool{"/bin/bash": true, "/usr/sbin/nologin": false, "/bin/false": false, "": false} {
		if mayStart(shell) != want {
			t.Errorf("mayStart(%q) = %v", shell, !want)
		}
	}
	if d := parseLoginDefs([]byte("# x\nPASS_MAX_DAYS\t90 # days\nENCRYPT_METHOD YESCRYPT\nUMASK\n")); d["PASS_MAX_DAYS"] != "90" || d["ENCRYPT_METHOD"] != "YESCRYPT" || len(d) != 2 {
		t.Errorf("login.defs = %v", d)
	}
}

// TestNoHashLeavesTheDevice looks for one in everything a device says.
func TestNoHashLeavesTheDevice(t *testing.T) {
	m := newLaptop(t)
	m.files["etc/passwd"] = &fstest.MapFile{Data: []byte("ana:x:1000:1000::/home/ana:/bin/bash\n")}
	m.files["etc/shadow"] = &fstest.MapFile{Data: []byte("ana:$y$j9T$SALTSALT$HASHHASH:20000:0:99999:7:::\n")}
	for name, s := range newCollector(m, "x").Collect(t.Context(), nil) {
		if strings.Contains(string(s.Data), "HASHHASH") || strings.Contains(string(s.Data), "SALTSALT") {
			t.Errorf("section %s holds a password's hash", name)
		}
	}
}

func TestSSHD(t *testing.T) {
	c := parseSSHDTest(fixture(t, "sshd-T"))
	if c["permitrootlogin"] != "prohibit-password" || c["port"] != "22" || c["usepam"] == "" || !strings.Contains(c["listenaddress"], " ") {
		t.Errorf("sshd -T = %v", c)
	}
	files := fstest.MapFS{
		"etc/ssh/sshd_config":                {Data: []byte("Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\n#X11Forwarding no\nX11Forwarding\tyes\nMatch User git\nPasswordAuthentication no\n")},
		"etc/ssh/sshd_config.d/10-ours.conf": {Data: []byte("PermitRootLogin=no\nInclude sshd_config.d/10-ours.conf\n")},
	}
	f := &sshdFiles{config: map[string]string{}, read: func(n string) ([]byte, error) { return fs.ReadFile(files, n) }, glob: func(p string) []string { m, _ := fs.Glob(files, p); return m }}
	if err := f.load("etc/ssh/sshd_config", 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"permitrootlogin": "no", "x11forwarding": "yes"}, f.config); diff != "" {
		t.Error(diff)
	}
}

func TestSudo(t *testing.T) {
	files := fstest.MapFS{
		"etc/sudoers": {Data: fixture(t, "sudoers")},
		"etc/sudoers.d/ops": {Data: []byte("User_Alias OPS = ana, bela\nCmnd_Alias WEB = /bin/systemctl restart nginx, \\\n  /bin/systemctl reload nginx\nDefaults timestamp_timeout=5, !authenticate, passwd_tries=2, logfile=\"/var/log/sudo.log\"\n" +
			"OPS ALL=(www-data,root) NOPASSWD: WEB, PASSWD: /bin/ls\n#1000 host1=/bin/true\n# a comment\n")},
		"etc/sudoers.d/backup.old": {Data: []byte("eve ALL=(ALL) NOPASSWD: ALL\n")},
	}
	f := sudoFiles{
		aliases: map[string][]string{}, read: func(n string) ([]byte, error) { return fs.ReadFile(files, n) },
		dir: (&linux{root: files}).dir,
	}
	if err := f.load("etc/sudoers", 0); err != nil {
		t.Fatal(err)
	}
	timeout, tries := 5.0, uint32(2)
	if diff := cmp.Diff(inventory.SudoDefaults{
		UsePTY: true, EnvReset: true, NoAuthenticate: true, TimestampTimeout: &timeout, PasswdTries: &tries, Logfile: "/var/log/sudo.log",
		SecurePath: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}, f.defaults); diff != "" {
		t.Error(diff)
	}
	web := []string{"/bin/systemctl restart nginx", "/bin/systemctl reload nginx"}
	want := []inventory.SudoRule{
		{Who: "root", Hosts: "ALL", RunAs: "ALL:ALL", Authenticate: true, Commands: []string{"ALL"}, File: "/etc/sudoers"},
		{Who: "%sudo", Hosts: "ALL", RunAs: "ALL:ALL", Authenticate: true, Commands: []string{"ALL"}, File: "/etc/sudoers"},
		{Who: "ana", Hosts: "ALL", RunAs: "www-data,root", NoPassword: true, Commands: web, File: "/etc/sudoers.d/ops"},
		{Who: "bela", Hosts: "ALL", RunAs: "www-data,root", NoPassword: true, Commands: web, File: "/etc/sudoers.d/ops"},
		{Who: "ana", Hosts: "ALL", RunAs: "www-data,root", Authenticate: true, Commands: []string{"/bin/ls"}, File: "/etc/sudoers.d/ops"},
		{Who: "bela", Hosts: "ALL", RunAs: "www-data,root", Authenticate: true, Commands: []string{"/bin/ls"}, File: "/etc/sudoers.d/ops"},
		{Who: "#1000", Hosts: "host1", RunAs: "root", Authenticate: true, Commands: []string{"/bin/true"}, File: "/etc/sudoers.d/ops"},
	}
	if diff := cmp.Diff(want, f.expanded()); diff != "" {
		t.Error(diff)
	}
}

func TestPAM(t *testing.T) {
	m := newLaptop(t)
	m.files["etc/pam.d/common-auth"] = &fstest.MapFile{Data: append([]byte("auth required pam_faillock.so preauth deny=4\n"), fixture(t, "pam-common-auth")...)}
	m.files["etc/pam.d/common-password"] = &fstest.MapFile{Data: append([]byte("password\trequisite\t\t\tpam_pwquality.so retry=3\n-password [success=1 default=ignore] pam_pwhistory.so remember=5\n"), fixture(t, "pam-common-password")...)}
	m.files["etc/security/pwquality.conf.d/a.conf"] = &fstest.MapFile{Data: []byte("minlen = 10\nminclass=3\n")}
	m.files["etc/security/pwquality.conf"] = &fstest.MapFile{Data: []byte("# minlen = 8\nminlen = 14\nenforce_for_root\n")}
	m.files["etc/security/faillock.conf"] = &fstest.MapFile{Data: []byte("unlock_time = 0\n")}
	p := m.pam()
	if !p.Pwquality.Enabled || p.Pwquality.Minlen != 14 || p.Pwquality.Minclass != 3 || p.Pwquality.Retry != 3 || !p.Pwquality.EnforceForRoot || !p.Pwquality.Dictcheck {
		t.Errorf("pwquality = %+v", p.Pwquality)
	}
	if !p.Faillock.Enabled || p.Faillock.Deny != 4 || p.Faillock.UnlockTime != 0 || !p.Pwhistory.Enabled || p.Pwhistory.Remember != 5 || !p.Nullok {
		t.Errorf("pam = %+v", p)
	}
}

func TestFirewall(t *testing.T) {
	for name, want := range map[string]nftFacts{
		"nft-drop.json":     {rules: 3, filters: true, inDeny: true},
		"nft-reject.json":   {rules: 2, filters: true, inDeny: true},
		"nft-empty.json":    {},
		"nft-iptables.json": {rules: 1, filters: true, inDeny: true, iptables: true},
	} {
		if got := parseNft(fixture(t, name)); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := parseIptables(fixture(t, "iptables-save")); got != (nftFacts{rules: 1, filters: true, inDeny: true, iptables: true}) {
		t.Errorf("iptables-save: %+v", got)
	}
}

func TestDesktop(t *testing.T) {
	m := newLaptop(t)
	m.files["usr/share/xsessions/gnome.desktop"] = &fstest.MapFile{}
	m.files["etc/X11/default-display-manager"] = &fstest.MapFile{Data: []byte("/usr/sbin/gdm3\n")}
	d := m.desktop()
	if d.Manager != "gdm3" || d.Session != "gnome" || !*d.Lock.Enabled || *d.Lock.IdleSeconds != 300 || d.Lock.Enforced {
		t.Errorf("as installed: %+v", d)
	}
	m.files["etc/dconf/profile/user"] = &fstest.MapFile{Data: []byte("user-db:user\nsystem-db:handrail\nsystem-db:site\n")}
	m.files["etc/dconf/db/site.d/00"] = &fstest.MapFile{Data: []byte("[org/gnome/desktop/session]\nidle-delay=uint32 600\n")}
	m.files["etc/dconf/db/handrail.d/00"] = &fstest.MapFile{Data: []byte("[org/gnome/desktop/session]\nidle-delay=uint32 120\n[org/gnome/desktop/screensaver]\nlock-delay=uint32 5\n")}
	m.files["etc/dconf/db/handrail.d/locks/00"] = &fstest.MapFile{Data: []byte("/org/gnome/desktop/session/idle-delay\n/org/gnome/desktop/screensaver/lock-enabled\n")}
	m.files["etc/gdm3/daemon.conf"] = &fstest.MapFile{Data: []byte("[daemon]\nAutomaticLoginEnable = true\nAutomaticLogin = ana\n")}
	d = m.desktop()
	if *d.Lock.IdleSeconds != 120 || *d.Lock.DelaySeconds != 5 || !d.Lock.Enforced || d.AutoLogin != "ana" {
		t.Errorf("as ordered: %+v %d", d, *d.Lock.IdleSeconds)
	}
}

func TestEncryption(t *testing.T) {
	m := newLaptop(t)
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	m.files["proc/self/mounts"] = text("/dev/mapper/vg-root / ext4 rw 0 0\n/dev/nvme0n1p1 /boot ext4 rw 0 0")
	m.files["proc/swaps"] = text("Filename Type Size Used Priority\n/swapfile file 1 0 -2\n/dev/zram0 partition 1 0 100")
	m.files["sys/class/block/dm-1/dm/name"] = text("vg-root")
	m.files["sys/class/block/dm-1/dm/uuid"] = text("LVM-xyz")
	m.files["sys/class/block/dm-1/slaves/dm-0/x"] = text("")
	m.files["sys/class/block/dm-0/dm/uuid"] = text("CRYPT-LUKS2-0123-crypt")
	m.files["sys/class/block/nvme0n1p1/size"] = text("1")
	m.files["sys/class/block/zram0/size"] = text("1")
	want := inventory.Encryption{
		Volumes: []inventory.Volume{{Mount: "/", Device: "/dev/mapper/vg-root", Encrypted: true, Method: "luks2"}, {Mount: "/boot", Device: "/dev/nvme0n1p1"}},
		Swap:    []inventory.Volume{{Device: "/swapfile", Encrypted: true, Method: "luks2"}, {Device: "/dev/zram0", Encrypted: true, Method: "zram"}},
	}
	if diff := cmp.Diff(want, m.encryption()); diff != "" {
		t.Error(diff)
	}
}

func TestParseSecurity(t *testing.T) {
	if all, enforcing := parseAppArmor([]byte("/usr/bin/man (enforce)\nnvidia (unconfined)\nlsb_release (complain)\ngarbage\n")); all != 3 || enforcing != 1 {
		t.Errorf("apparmor = %d, %d", all, enforcing)
	}
	if got := parseModprobe([]byte("# x\ninstall usb_storage /bin/false\nblacklist pcspkr\ninstall snd /sbin/modprobe snd-real\noptions x y=1\n")); !cmp.Equal(got, []string{"usb-storage", "pcspkr"}) {
		t.Errorf("blocked = %q", got)
	}
	if got := chosen("none [integrity] confidentiality"); got != "integrity" {
		t.Errorf("chosen = %q", got)
	}
	k := map[string]string{}
	parseKeyfile(k, []byte("# c\n[a/b]\nx=uint32 5\n\n[c]\ny = 'z'\n"))
	if !cmp.Equal(k, map[string]string{"a/b/x": "uint32 5", "c/y": "'z'"}) {
		t.Errorf("keyfile = %v", k)
	}
}

func FuzzParseSystem(f *testing.F) {
	for _, name := range []string{
		"dpkg-status", "apt-simulate", "apt-config", "sshd-T", "sudoers", "pam-common-auth", "nft-drop.json", "iptables-save", "route4", "route6", "tcp4",
	} {
		f.Add(fixtureOf(f, name))
	}
	f.Add([]byte("a:$6$x:1:2:3:4:5:6:7\n"))
	f.Add([]byte("who ALL=(a,b) NOPASSWD: X, (c) /bin/ls\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		parseDpkg(strings.NewReader(string(b)))
		parseRPM(b)
		parseAptSimulation(b)
		parseAptConfig(&inventory.Unattended{}, b)
		parseDnfList(b, b)
		parseServices(b, b)
		parseSSHDTest(b)
		parseShadow(b)
		parsePasswd(b)
		parseGroups(b)
		parsePAM(b)
		parseNft(b)
		parseIptables(b)
		parseRoutes4(b)
		parseRoutes6(b)
		parseSockets(b, false)
		parseSockets(b, true)
		parseEDID(b)
		parseMemoryModule(b)
		parseNVMeLog(&inventory.Disk{}, b)
		parseSmartctl(&inventory.Disk{}, b)
		parseCertificates(b)
		parseAppImage(string(b))
		parseFirefoxExtensions(b)
		parseModprobe(b)
		parseMountOptions(b)
		parseSwaps(b)
		parseNmcliWifi([]inventory.WiFi{{}}, b)
		s := sudoFiles{aliases: map[string][]string{}, read: func(string) ([]byte, error) { return b, nil }, dir: func(string) []string { return []string{"x"} }}
		s.load("etc/sudoers", 15)
		s.expanded()
		c := sshdFiles{config: map[string]string{}, read: func(string) ([]byte, error) { return b, nil }, glob: func(string) []string { return []string{"x"} }}
		c.load("x", 7)
	})
}
