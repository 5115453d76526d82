package baseline

import (
	"strings"

	"handrail/mdm/compliance"
)

func network() []compliance.Rule {
	const f = `inventory.firewall`
	on := setting("firewall.policy", `{"enabled":true,"default_incoming":"deny","default_outgoing":"allow","rules":[]}`,
		"Connections to the device are refused from then on, remote support by this gateway excepted: the device itself opens that.")
	rule := func(id, title string, sev compliance.Severity, expr, description, remediation string, fix *compliance.Fix, cis, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catNetwork, Severity: sev, Applies: onLinux, Expression: expr, Description: description,
			Remediation: remediation, Fix: fix, Mappings: ids(cis, nist, "A.8.20"),
		}
	}
	plain := rule("network-no-clear-text", "No service listens that sends passwords in the clear", compliance.High,
		`!inventory.listening.exists(l, l.port in [21, 23, 69, 79, 512, 513, 514] && l.proto in ["tcp", "udp"] && !l.address.startsWith("127.") && l.address != "::1")`,
		"FTP, Telnet and the r-commands show everything, passwords first, to everybody on the way.",
		"Stop the service and use SSH, SFTP or HTTPS in its place.", nil, "4.8 3.10", "CM-7 SC-8")
	plain.Evidence = `inventory.listening.filter(l, l.port in [21, 23, 69, 79, 512, 513, 514]).map(l, l.proto + " " + l.address + ":" + string(l.port) + " " + l.process)`
	data := rule("network-no-open-databases", "No database listens to the network", compliance.Medium,
		`!inventory.listening.exists(l, l.proto == "tcp" && l.port in [1433, 3306, 5432, 6379, 9200, 11211, 27017] && !l.address.startsWith("127.") && l.address != "::1")`,
		"A database on a workstation is for the programs on it. Many have no password.",
		"Have it listen on 127.0.0.1 only.", nil, "4.8", "CM-7 SC-7")
	data.Evidence = `inventory.listening.filter(l, l.port in [1433, 3306, 5432, 6379, 9200, 11211, 27017]).map(l, l.address + ":" + string(l.port) + " " + l.process)`
	old := rule("network-no-old-servers", "No servers of the nineties are installed", compliance.Medium,
		`["telnetd", "inetutils-telnetd", "rsh-server", "rsh-redone-server", "nis", "tftpd", "tftpd-hpa", "xinetd", "talkd"].size() > 0`,
		"What is not there cannot be turned on by mistake.", "Remove the package with apt-get purge.", nil, "4.8", "CM-7")
	var none, found []string
	for _, p := range []string{"telnetd", "inetutils-telnetd", "rsh-server", "rsh-redone-server", "nis", "tftpd", "tftpd-hpa", "xinetd", "talkd"} {
		none = append(none, `software("`+p+`").size() == 0`)
		found = append(found, `software("`+p+`").map(v, "`+p+` " + v)`)
	}
	old.Expression, old.Evidence = strings.Join(none, " && "), strings.Join(found, " + ")
	return []compliance.Rule{
		rule("firewall-on", "A firewall is on", compliance.High, `has(`+f+`.active) ? `+f+`.active : unknown("the firewall's state could not be read")`,
			"A firewall keeps services that were never meant for the network from being reached over it.",
			"Turn on ufw, firewalld or nftables, or use the setting “Firewall”.", on, "4.5", "SC-7"),
		rule("firewall-refuses", "Connections to the device are refused by default", compliance.High,
			`has(`+f+`.active) && !`+f+`.active ? false : `+f+`.default_incoming == "" ? unknown("the firewall's rules could not be read") : `+f+`.default_incoming == "deny"`,
			"What nobody allowed should not come in.",
			"Set the default for incoming connections to deny, or use the setting “Firewall”.", on, "4.5", "SC-7(5)"),
		plain, data, old,
	}
}

func files() []compliance.Rule {
	const f = `inventory.files`
	// each wants every one of paths that is there to grant no more than mode, and to be root's.
	each := func(id, title string, sev compliance.Severity, mode, description string, paths ...string) compliance.Rule {
		list := `["` + strings.Join(paths, `", "`) + `"]`
		good := `mode_within(` + f + `[p].mode, "` + mode + `") && ` + f + `[p].uid == 0`
		return compliance.Rule{
			ID: id, Title: title, Category: catFiles, Severity: sev, Applies: onLinux, Description: description,
			// The first must be there; else nothing was read.
			Expression:  `!("` + paths[0] + `" in ` + f + `) ? unknown("` + paths[0] + ` was not found") : ` + list + `.all(p, !(p in ` + f + `) || ` + good + `)`,
			Evidence:    list + `.filter(p, p in ` + f + ` && !(` + good + `)).map(p, p + " " + ` + f + `[p].mode + " " + ` + f + `[p].owner)`,
			Remediation: "chown to root and chmod to " + mode + " or less: " + strings.Join(paths, ", ") + ".",
			Fix: script("set -e\nfor f in "+strings.Join(paths, " ")+"; do\n\t[ -e \"$f\" ] || continue\n\tchown root \"$f\"\n\tchmod "+symbolic(mode)+" \"$f\"\ndone\n",
				"Takes rights away; grants none."),
			Mappings: ids("3.3", "AC-3 AC-6", "A.8.3"),
		}
	}
	sticky := each("files-shared-directories", "Shared directories keep their users apart", compliance.High, "1777",
		"Without the sticky bit everybody can replace the files of others in /tmp.", "/tmp", "/var/tmp", "/dev/shm")
	sticky.Expression = `!("/tmp" in ` + f + `) ? unknown("/tmp was not found") : ["/tmp", "/var/tmp", "/dev/shm"].all(p, !(p in ` + f + `) || ` + f + `[p].mode == "1777" || mode_within(` + f + `[p].mode, "0755"))`
	sticky.Evidence = `["/tmp", "/var/tmp", "/dev/shm"].filter(p, p in ` + f + `).map(p, p + " " + ` + f + `[p].mode)`
	sticky.Remediation = "chmod 1777 the directories."
	sticky.Fix = script("set -e\nchmod 1777 /tmp /var/tmp /dev/shm\n", "")
	grub := each("files-boot-loader", "Only root reads the boot loader's configuration", compliance.Low, "0600",
		"It may hold a password's hash, and says how to start the device another way.", "/boot/grub/grub.cfg")
	grub.Applies = onLinux + ` && "/boot/grub/grub.cfg" in ` + f
	return []compliance.Rule{
		each("files-shadow", "Only root reads password hashes", compliance.Critical, "0640",
			"Who reads the hashes can guess the passwords at home, as fast as the hardware goes.", "/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-"),
		each("files-passwd", "Only root changes the list of accounts", compliance.Critical, "0644",
			"Who writes it makes themselves root.", "/etc/passwd", "/etc/group", "/etc/passwd-", "/etc/group-"),
		each("files-sudoers", "Only root sees and changes who may use sudo", compliance.High, "0440",
			"Who writes it makes themselves root.", "/etc/sudoers"),
		each("files-sudoers-d", "Only root adds rules to sudo", compliance.High, "0755",
			"A file put there is a rule.", "/etc/sudoers.d"),
		each("files-cron", "Only root plans root's tasks", compliance.High, "0755",
			"What is planned there runs as root.", "/etc/cron.d", "/etc/crontab", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"),
		each("files-root-home", "Root's home is root's alone", compliance.Medium, "0700",
			"Keys and histories of root are there.", "/root"),
		each("files-mounts", "Only root says what is mounted", compliance.Medium, "0644",
			"A line there can put any file system over the system's own.", "/etc/fstab"),
		sticky, grub,
	}
}

// symbolic is a chmod argument that takes away all that an octal mode does not grant.
func symbolic(mode string) string {
	const bits = "rwx"
	var out []string
	for i, who := range []string{"u", "g", "o"} {
		n := mode[len(mode)-3+i] - '0'
		gone := ""
		for j := range 3 {
			if n&(4>>j) == 0 {
				gone += string(bits[j])
			}
		}
		if gone != "" {
			out = append(out, who+"-"+gone)
		}
	}
	return strings.Join(append(out, "u-s", "g-s"), ",")
}

func protection() []compliance.Rule {
	const s = `inventory.security`
	rule := func(id, title string, sev compliance.Severity, applies, expr, description, remediation string, fix *compliance.Fix, cis, nist, iso string) compliance.Rule {
		if applies != "" {
			applies = " && " + applies
		}
		return compliance.Rule{
			ID: id, Title: title, Category: catProtection, Severity: sev, Applies: onLinux + applies, Expression: expr, Description: description,
			Remediation: remediation, Fix: fix, Mappings: ids(cis, nist, iso),
		}
	}
	rare := `["cramfs", "freevxfs", "hfs", "hfsplus", "jffs2", "udf"]`
	files := rule("modules-no-rare-filesystems", "Rare file systems cannot be loaded", compliance.Low, "", rare+`.all(m, m in `+s+`.modules_blocked)`,
		"Drivers nobody uses are drivers nobody looks at; a stick can bring any file system.",
		"Block the modules in /etc/modprobe.d with install NAME /bin/false.",
		setting("file.content/rare-file-systems", `{"path":"/etc/modprobe.d/rare-file-systems.conf","content":"install cramfs /bin/false\ninstall freevxfs /bin/false\ninstall hfs /bin/false\ninstall hfsplus /bin/false\ninstall jffs2 /bin/false\ninstall udf /bin/false\n","mode":"0644"}`,
			"Discs with the file system UDF can then not be read."), "4.8 10.5", "CM-7", "A.8.9")
	files.Evidence = rare + `.filter(m, !(m in ` + s + `.modules_blocked))`
	usb := rule("usb-storage-blocked", "USB storage is blocked", compliance.Medium, "", `"usb-storage" in `+s+`.modules_blocked || "usb_storage" in `+s+`.modules_blocked`,
		"For places where data must not leave and nothing may come in. Off unless an organisation turns it on.",
		"Use the setting “USB storage”.", setting("usb.storage", `{"mode":"block"}`, "Sticks and USB disks stop working."), "10.3", "MP-7", "A.7.10")
	usb.Disabled = true
	usb.Evidence = `"usb-storage" in ` + s + `.modules_blocked`
	return []compliance.Rule{
		rule("apparmor-on", "AppArmor or SELinux is on", compliance.High, "", s+`.apparmor.enabled || `+s+`.selinux == "enforcing"`,
			"It confines programs that face the network to what they need, whatever a hole in them would allow.",
			"Install apparmor and start the kernel with apparmor=1 security=apparmor, as Debian and Ubuntu do by themselves.", nil, "10.5", "AC-3(3) SI-16", "A.8.9"),
		rule("apparmor-enforces", "AppArmor enforces profiles", compliance.Medium, s+`.apparmor.enabled`, `has(`+s+`.apparmor.enforcing) ? `+s+`.apparmor.enforcing > 0 : unknown("only root may read the profiles")`,
			"A profile that only complains stops nothing.", "Load profiles with aa-enforce; the packages apparmor-profiles and apparmor-utils help.", nil, "10.5", "AC-3(3)", "A.8.9"),
		rule("secure-boot", "The device starts only signed systems", compliance.Medium, `inventory.boot.efi`, `has(`+s+`.secure_boot) ? `+s+`.secure_boot : unknown("the firmware does not say")`,
			"Secure Boot keeps what starts before the system from being replaced.", "Turn on Secure Boot in the firmware's setup; Debian and Ubuntu start with it.", nil, "10.5", "SI-7(1)", "A.8.9"),
		rule("boot-rescue-password", "Rescue mode asks for root's password", compliance.Medium, "", `has(inventory.boot.single_user_password) ? inventory.boot.single_user_password : unknown("it could not be read")`,
			"Else whoever sits at the device is root after one restart.", "Do not set SYSTEMD_SULOGIN_FORCE; give root a password or lock it and rely on recovery media.", nil, "4.1", "AC-3 IA-2", "A.8.5"),
		rule("audit-on", "The kernel's audit is installed and on", compliance.Medium, "", s+`.audit.installed && `+s+`.audit.enabled`,
			"Who did what on a device is found out later only if it was written down.", "Install auditd and enable its service.",
			script("set -e\nexport DEBIAN_FRONTEND=noninteractive\napt-get -q update\napt-get -q -y install auditd\nsystemctl enable --now auditd\n", "Installs the package auditd."), "8.2 8.5", "AU-2 AU-12", "A.8.15"),
		rule("audit-rules", "The audit has rules", compliance.Low, s+`.audit.installed`, s+`.audit.rules > 0`,
			"Without rules the audit writes down sign-ins and little else.", "Put rules in /etc/audit/rules.d; those that come as examples with the package are a beginning.", nil, "8.5", "AU-2 AU-12", "A.8.15"),
		files, usb,
	}
}

func upkeep() []compliance.Rule {
	rule := func(id, title string, sev compliance.Severity, applies, expr, evidence, description, remediation, cis, nist, iso string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catUpkeep, Severity: sev, Applies: applies, Expression: expr, Evidence: evidence, Description: description,
			Remediation: remediation, Mappings: ids(cis, nist, iso),
		}
	}
	const volumes = `inventory.filesystems.filter(f, f.mount in ["/", "/boot", "/home", "/var"] && f.size_bytes > 0)`
	clock := rule("time-synchronised", "The clock is kept right", compliance.Medium, onLinux,
		`has(inventory.time.synchronised) ? inventory.time.synchronised || inventory.time.service != "" : inventory.time.service != "" ? true : unknown("the clock's state could not be read")`, "",
		"Logs of several devices fit together only by the time in them, and certificates are checked by it.",
		"Turn on systemd-timesyncd (timedatectl set-ntp true) or chrony.", "8.4", "AU-8", "A.8.17")
	clock.Fix = setting("service.state/systemd-timesyncd", `{"name":"systemd-timesyncd.service","enabled":true,"running":true}`, "")
	journal := rule("journal-kept", "The log outlives a restart", compliance.Medium, onLinux, `inventory.journal.kept || inventory.journal.syslog != ""`, "",
		"What led to a crash or a break-in is in the log of before.", "mkdir /var/log/journal, or Storage=persistent in journald.conf, or install rsyslog.", "8.2 8.3", "AU-4 AU-9", "A.8.15")
	journal.Fix = script("set -e\nmkdir -p /var/log/journal\nsystemd-tmpfiles --create --prefix /var/log/journal\nsystemctl restart systemd-journald\n", "")
	return []compliance.Rule{
		clock, journal,
		rule("certificates-valid", "No certificate has run out or will within two weeks", compliance.Medium, onLinux, `inventory.certificates.all(c, micros(c.not_after_us) - now > days(14))`,
			`inventory.certificates.filter(c, micros(c.not_after_us) - now <= days(14)).map(c, c.path)`,
			"What needs the certificate stops on that day: Wi-Fi, VPN, or trust in servers of your own.", "Renew the certificate, or take it away if nothing needs it.", "3.10", "SC-17", "A.8.24"),
		rule("device-seen", "The device was in contact within a month", compliance.Low, "", `now - device.last_seen_at < days(30)`, `string(device.last_seen_at)`,
			"What has not been heard of for long is not looked after, or not there any more.", "Find out where the device is; revoke it if it is gone.", "1.1", "CM-8", "A.5.9"),
		rule("disks-healthy", "No disk is failing", compliance.High, `inventory.disks.exists(d, d.health != "")`, `inventory.disks.all(d, d.health != "failing")`,
			`inventory.disks.filter(d, d.health == "failing").map(d, d.name + " " + d.model)`,
			"A disk that says so itself will fail soon.", "Save the data and replace the disk.", "11.1", "CP-9 MA-6", "A.7.13 A.8.13"),
		rule("disks-space", "The system's volumes have room", compliance.Low, onLinux, volumes+`.size() == 0 ? unknown("no volumes were found") : `+volumes+`.all(f, f.free_bytes * 20 >= f.size_bytes || f.free_bytes >= 10 * 1073741824)`,
			volumes+`.map(f, f.mount + " " + string(f.free_bytes * 100 / f.size_bytes) + " % free, " + string(f.free_bytes / 1073741824) + " GiB")`,
			"Updates and logs stop when a volume is full: one is short of room with less than 5 % and less than 10 GiB.", "Make room: apt-get clean, journalctl --vacuum-size=200M, or a larger volume.", "8.3", "AU-4 CP-2", "A.8.6"),
	}
}
