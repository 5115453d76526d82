package simdevice

import (
	"fmt"
	"maps"

	"handrail/mdm/inventory"
)

var usbDevices = []inventory.USBDevice{
	{Port: "1-4", VendorID: "5986", ProductID: "2145", Vendor: "SunplusIT Inc", Product: "Integrated Camera", Class: "camera"},
	{Port: "1-10", VendorID: "8087", ProductID: "0026", Vendor: "Intel Corp.", Product: "AX201 Bluetooth", Class: "wireless"},
	{Port: "3-1", VendorID: "046d", ProductID: "c52b", Vendor: "Logitech", Product: "USB Receiver", Class: "input"},
}

var pciDevices = []inventory.PCIDevice{
	{Slot: "0000:00:02.0", VendorID: "8086", DeviceID: "9a49", Vendor: "Intel Corporation", Device: "TigerLake-LP GT2 [Iris Xe Graphics]", Class: "display", Driver: "i915"},
	{Slot: "0000:00:14.0", VendorID: "8086", DeviceID: "a0ed", Vendor: "Intel Corporation", Device: "Tiger Lake-LP USB 3.2 Gen 2x1 xHCI Host Controller", Class: "serial bus", Driver: "xhci_hcd"},
	{Slot: "0000:00:14.3", VendorID: "8086", DeviceID: "a0f0", Vendor: "Intel Corporation", Device: "Wi-Fi 6 AX201", Class: "network", Driver: "iwlwifi"},
	{Slot: "0000:00:1f.3", VendorID: "8086", DeviceID: "a0c8", Vendor: "Intel Corporation", Device: "Tiger Lake-LP Smart Sound Technology Audio Controller", Class: "multimedia", Driver: "snd_hda_intel"},
	{Slot: "0000:01:00.0", VendorID: "144d", DeviceID: "a80a", Vendor: "Samsung Electronics Co Ltd", Device: "NVMe SSD Controller PM9A1/PM9A3/980PRO", Class: "storage", Driver: "nvme"},
}

var kernelModules = []string{
	"aesni_intel", "bluetooth", "btusb", "cfg80211", "coretemp", "crc32c_intel", "dm_crypt", "drm", "e1000e", "ext4", "fat", "fuse", "hid_generic", "i915", "iwlmvm", "iwlwifi",
	"kvm", "kvm_intel", "mac80211", "nf_tables", "nvme", "nvme_core", "snd_hda_intel", "thunderbolt", "tpm_crb", "uvcvideo", "vfat", "xhci_hcd", "xhci_pci",
}

var serviceNames = []string{
	"accounts-daemon", "alsa-restore", "apparmor", "apt-daily", "apt-daily-upgrade", "avahi-daemon", "bluetooth", "bolt", "colord", "console-setup", "cron", "cups", "cups-browsed",
	"dbus", "e2scrub_reap", "fstrim", "fwupd", "gdm", "getty@tty1", "keyboard-setup", "kmod-static-nodes", "logrotate", "man-db", "ModemManager", "NetworkManager",
	"networking", "packagekit", "polkit", "power-profiles-daemon", "rtkit-daemon", "smartmontools", "ssh", "sudo", "switcheroo-control", "systemd-fsck-root", "systemd-journald",
	"systemd-logind", "systemd-modules-load", "systemd-random-seed", "systemd-resolved", "systemd-sysctl", "systemd-timesyncd", "systemd-udevd", "udisks2", "unattended-upgrades",
	"upower", "wpa_supplicant",
}

func (f *facts) encryption() inventory.Encryption {
	root := inventory.Volume{Mount: "/", Device: f.rootDevice(), Encrypted: f.encrypted}
	swap := inventory.Volume{Device: "/dev/nvme0n1p3"}
	if f.encrypted {
		root.Method = "luks2"
		swap = inventory.Volume{Device: "/dev/mapper/vg-swap", Encrypted: true, Method: "luks2"}
	}
	return inventory.Encryption{Volumes: []inventory.Volume{root, {Mount: "/boot/efi", Device: "/dev/nvme0n1p1"}}, Swap: []inventory.Volume{swap}}
}

func (f *facts) mounts() []inventory.Mount {
	tmp := []string{"nodev", "nosuid", "rw"}
	if f.careless[1] {
		tmp = []string{"rw"}
	}
	return []inventory.Mount{
		{Mount: "/", Device: f.rootDevice(), Type: "ext4", Options: []string{"errors=remount-ro", "relatime", "rw"}},
		{Mount: "/boot/efi", Device: "/dev/nvme0n1p1", Type: "vfat", Options: []string{"relatime", "rw"}},
		{Mount: "/dev/shm", Device: "tmpfs", Type: "tmpfs", Options: []string{"nodev", "nosuid", "rw"}},
		{Mount: "/tmp", Device: "tmpfs", Type: "tmpfs", Options: tmp},
	}
}

func (f *facts) battery() []inventory.Battery {
	if !f.laptop {
		return []inventory.Battery{}
	}
	return []inventory.Battery{{Name: "BAT0", Vendor: "SMP", Model: "5B10W13975", Technology: "Li-poly", HealthPercent: uint32(70 + f.level*2), Cycles: uint32(400 - f.level*20), DesignMWh: 57000}} //nolint:gosec // small
}

func (f *facts) displays() []inventory.Display {
	out := []inventory.Display{{Connector: "card0-DP-1", Vendor: "DEL", Model: "DELL U2722D", Serial: "HX2P0383", Width: 2560, Height: 1440, WidthMM: 597, HeightMM: 336, Year: 2022}}
	if f.laptop {
		out = append(out, inventory.Display{Connector: "card0-eDP-1", Vendor: "LEN", Model: "LEN4094", Width: 1920, Height: 1080, WidthMM: 309, HeightMM: 174, Year: 2020})
	}
	return out
}

func (f *facts) wifi() []inventory.WiFi {
	if !f.laptop {
		return []inventory.WiFi{}
	}
	return []inventory.WiFi{{Interface: f.net.Name, SSID: "Office", BSSID: "aa:bb:cc:dd:ee:01", FrequencyMHz: 5180, Security: "WPA2 802.1X"}}
}

func (f *facts) listening() []inventory.Listener {
	names := map[uint32]string{22: "sshd", 80: "nginx", 443: "nginx", 631: "cupsd", 5432: "postgres", 3000: "node", 8080: "java"}
	out := []inventory.Listener{{Proto: "udp", Address: "0.0.0.0", Port: 5353, Process: "avahi-daemon", User: "avahi"}}
	for _, p := range f.ports {
		out = append(out, inventory.Listener{Proto: "tcp", Address: "0.0.0.0", Port: p, Process: names[p], User: "root"})
	}
	return out
}

func (f *facts) accounts() inventory.Accounts {
	a := inventory.Accounts{
		Shadow: true, LoginDefs: map[string]string{"PASS_MAX_DAYS": "99999", "PASS_MIN_DAYS": "0", "PASS_WARN_AGE": "7", "UMASK": "022", "ENCRYPT_METHOD": "YESCRYPT", "UID_MIN": "1000"},
		Groups: []inventory.AccountGroup{{Name: "root", Members: []string{}}, {Name: "sudo", GID: 27, Members: []string{f.who}}, {Name: f.who, GID: 1000, Members: []string{}}},
	}
	maxDays := int64(365)
	if f.careless[2] {
		maxDays = 99999
	}
	for i, name := range []string{"daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "www-data", "backup", "nobody", "systemd-network", "messagebus", "avahi", "sshd", "_apt"} {
		a.Users = append(a.Users, inventory.Account{
			Name: name, UID: int64(1 + i), GID: int64(1 + i), Home: "/nonexistent", HomeUID: -1, Shell: "/usr/sbin/nologin", Password: "none", ChangedDay: 20000, MaxDays: 99999, WarnDays: 7,
			InactiveDays: -1, ExpiresDay: -1,
		})
	}
	a.Users = append(a.Users,
		inventory.Account{
			Name: "root", FullName: "root", Home: "/root", HomeMode: "0700", Shell: "/bin/bash", Password: "locked", ChangedDay: 20000, MaxDays: 99999, WarnDays: 7, InactiveDays: -1,
			ExpiresDay: -1, Admin: true,
		},
		inventory.Account{
			Name: f.who, UID: 1000, GID: 1000, Home: "/home/" + f.who, HomeMode: "0700", HomeUID: 1000, Shell: "/bin/bash", Password: "set", Hash: "yescrypt", ChangedDay: 20100,
			MaxDays: maxDays, WarnDays: 7, InactiveDays: -1, ExpiresDay: -1, Admin: true, Person: true, LastSignInUS: f.host.BootTimeUS + 300e6,
		})
	return a
}

func (f *facts) services() []inventory.Service {
	out := make([]inventory.Service, 0, len(serviceNames))
	for _, name := range serviceNames {
		out = append(out, inventory.Service{Name: name + ".service", Enabled: "enabled", Active: "active"})
	}
	return out
}

func (f *facts) security() inventory.Security {
	on := !f.careless[6]
	profiles, enforcing := uint32(112), uint32(41)
	return inventory.Security{
		LSM: []string{"lockdown", "capability", "landlock", "yama", "apparmor"}, AppArmor: inventory.AppArmor{Enabled: true, Profiles: &profiles, Enforcing: &enforcing}, SecureBoot: &on,
		Lockdown: "integrity", ModulesBlocked: []string{}, CorePattern: "core",
	}
}

func (f *facts) sshd() inventory.SSHD {
	c := map[string]string{
		"port": "22", "permitrootlogin": "no", "passwordauthentication": "no", "permitemptypasswords": "no", "x11forwarding": "no", "maxauthtries": "4", "clientaliveinterval": "300",
		"clientalivecountmax": "3", "logingracetime": "60", "hostbasedauthentication": "no", "ignorerhosts": "yes", "permituserenvironment": "no", "loglevel": "VERBOSE", "banner": "none",
		"allowtcpforwarding": "no", "usepam": "yes", "maxstartups": "10:30:60",
	}
	if f.careless[3] {
		c["permitrootlogin"], c["passwordauthentication"], c["x11forwarding"] = "yes", "yes", "yes"
	}
	return inventory.SSHD{Installed: true, Readable: true, Config: c}
}

func (f *facts) sudo() inventory.Sudo {
	return inventory.Sudo{
		Installed: true, Readable: true, Defaults: inventory.SudoDefaults{UsePTY: true, EnvReset: true, SecurePath: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Rules: []inventory.SudoRule{{Who: "%sudo", Hosts: "ALL", RunAs: "ALL:ALL", NoPassword: f.careless[4], Authenticate: !f.careless[4], Commands: []string{"ALL"}, File: "/etc/sudoers"}},
	}
}

func (f *facts) pam() inventory.PAM {
	p := inventory.PAM{
		Pwquality: inventory.Pwquality{Enabled: true, Minlen: 14, Minclass: 3, Retry: 3, Dictcheck: true, Usercheck: true},
		Faillock:  inventory.Faillock{Enabled: true, Deny: 5, UnlockTime: 600, FailInterval: 900}, Pwhistory: inventory.Pwhistory{Enabled: true, Remember: 5},
		Modules: []string{"pam_deny", "pam_faillock", "pam_permit", "pam_pwquality", "pam_systemd", "pam_unix"},
	}
	if f.careless[2] {
		p.Pwquality.Minlen, p.Faillock.Enabled = 8, false
	}
	return p
}

func (f *facts) files() map[string]inventory.FileFact {
	root := func(mode string) inventory.FileFact {
		return inventory.FileFact{Mode: mode, Owner: "root", Group: "root"}
	}
	out := map[string]inventory.FileFact{
		"/etc/passwd": root("0644"), "/etc/group": root("0644"), "/etc/sudoers": root("0440"), "/etc/ssh/sshd_config": root("0600"), "/etc/crontab": root("0600"), "/etc/cron.d": root("0700"),
		"/etc/cron.daily": root("0700"), "/etc/cron.hourly": root("0700"), "/etc/cron.weekly": root("0700"), "/etc/cron.monthly": root("0700"), "/tmp": root("1777"), "/root": root("0700"),
		"/boot/grub/grub.cfg": root("0600"), "/etc/issue": root("0644"), "/etc/ssh/ssh_host_ed25519_key": root("0600"),
		"/etc/shadow": {Mode: "0640", GID: 42, Owner: "root", Group: "shadow"}, "/etc/gshadow": {Mode: "0640", GID: 42, Owner: "root", Group: "shadow"},
	}
	if f.careless[7] {
		out["/etc/crontab"], out["/boot/grub/grub.cfg"] = root("0644"), root("0644")
	}
	return out
}

func (f *facts) firewall() inventory.Firewall {
	active := !f.careless[5]
	if !active {
		return inventory.Firewall{Manager: "none", Active: &active, DefaultIncoming: "allow", DefaultOutgoing: "allow"}
	}
	return inventory.Firewall{Manager: "ufw", Active: &active, DefaultIncoming: "deny", DefaultOutgoing: "allow", Rules: 23}
}

var goodSysctl = map[string]string{
	"kernel.randomize_va_space": "2", "kernel.kptr_restrict": "1", "kernel.dmesg_restrict": "1", "kernel.yama.ptrace_scope": "1", "kernel.unprivileged_bpf_disabled": "2", "kernel.sysrq": "0",
	"fs.suid_dumpable": "0", "fs.protected_hardlinks": "1", "fs.protected_symlinks": "1", "fs.protected_fifos": "1", "fs.protected_regular": "2", "net.ipv4.ip_forward": "0",
	"net.ipv4.conf.all.accept_redirects": "0", "net.ipv4.conf.all.secure_redirects": "0", "net.ipv4.conf.all.send_redirects": "0", "net.ipv4.conf.all.accept_source_route": "0",
	"net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.all.log_martians": "1", "net.ipv4.conf.default.accept_redirects": "0", "net.ipv4.conf.default.send_redirects": "0",
	"net.ipv4.tcp_syncookies": "1", "net.ipv4.icmp_echo_ignore_broadcasts": "1", "net.ipv6.conf.all.accept_redirects": "0", "net.ipv6.conf.all.accept_source_route": "0",
	"net.ipv6.conf.all.forwarding": "0",
}

func (f *facts) sysctl() map[string]string {
	if !f.careless[1] {
		return goodSysctl
	}
	out := maps.Clone(goodSysctl)
	out["kernel.dmesg_restrict"], out["net.ipv4.conf.all.accept_redirects"], out["net.ipv4.conf.all.send_redirects"] = "0", "1", "1"
	return out
}

func (f *facts) desktop() inventory.Desktop {
	if roles[f.role] == "s" {
		return inventory.Desktop{}
	}
	on, off, idle, delay := true, false, int64(300), int64(0)
	d := inventory.Desktop{Manager: "gdm3", Session: "gnome", Lock: inventory.ScreenLock{Enabled: &on, IdleSeconds: &idle, DelaySeconds: &delay, Enforced: true}, Automount: &off}
	if f.careless[2] {
		never := int64(0)
		d.Lock = inventory.ScreenLock{Enabled: &off, IdleSeconds: &never, DelaySeconds: &delay}
	}
	return d
}

// updates are the packages that the device's level is behind in.
func (d *device) updates() inventory.Updates {
	f := &d.facts
	u := inventory.Updates{
		Manager: "apt", PackageListsUS: f.host.BootTimeUS / 3600e6 * 3600e6, RebootFor: []string{}, Unsigned: []string{},
		Unattended: inventory.Unattended{Installed: true, Enabled: !f.careless[6], Security: true, EveryDays: 1},
	}
	if distributions[f.distribution].source == inventory.SourceRPM {
		u.Manager = "dnf"
	}
	u.Pending = d.f.wares.behind(f.distribution, f.level)
	u.RebootRequired = f.level < levels-4
	if u.RebootRequired {
		u.RebootFor = append(u.RebootFor, fmt.Sprintf("linux-image-%s", f.host.Kernel))
	}
	return u
}
