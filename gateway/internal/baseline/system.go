package baseline

import "handrail/mdm/compliance"

func encryption() []compliance.Rule {
	list := `inventory.encryption.volumes`
	return []compliance.Rule{
		{
			ID: "encryption-root", Title: "The system volume is encrypted", Category: catEncryption, Severity: compliance.Critical, Grace: 14 * day,
			Description: "Who finds or steals a device can read everything on a disk that is not encrypted, whatever the passwords on it.",
			Applies:     onLinux, Expression: list + `.exists(v, v.mount == "/") ? ` + list + `.all(v, v.mount != "/" || v.encrypted) : unknown("the system volume was not found")`,
			Evidence:    list + `.filter(v, v.mount == "/").map(v, v.device + ": " + (v.encrypted ? v.method : "not encrypted"))`,
			Remediation: "Encryption of the system volume is chosen when a device is installed: save what is on it, install it anew with an encrypted LVM, and bring the data back.",
			Mappings:    ids("3.6", "SC-28 SC-28(1)", "A.8.1 A.8.24"),
		},
		{
			ID: "encryption-data", Title: "Every data volume is encrypted", Category: catEncryption, Severity: compliance.High, Grace: 14 * day,
			Description: "Home directories and data on further volumes are as readable to a thief as those on the system's.",
			Applies:     onLinux, Expression: list + `.size() == 0 ? unknown("no volumes were found") : ` + list + `.all(v, v.encrypted || v.mount == "/" || v.mount.startsWith("/boot"))`,
			Evidence:    list + `.filter(v, !v.encrypted).map(v, v.mount)`,
			Remediation: "Make a LUKS volume with cryptsetup, move the data there, and enter it in /etc/crypttab and /etc/fstab. /boot may stay as it is.",
			Mappings:    ids("3.6", "SC-28", "A.8.24"),
		},
		{
			ID: "encryption-swap", Title: "Swap space is encrypted", Category: catEncryption, Severity: compliance.High, Grace: 14 * day,
			Description: "What programs hold in memory, keys and passwords too, is written to swap space, and stays there when the device is off.",
			Applies:     onLinux, Expression: `inventory.encryption.swap.all(s, s.encrypted)`,
			Evidence:    `inventory.encryption.swap.filter(s, !s.encrypted).map(s, s.device)`,
			Remediation: "Put swap on an encrypted volume, or let /etc/crypttab make it with a random key at each start; or use none.",
			Mappings:    ids("3.6", "SC-28", "A.8.24"),
		},
	}
}

func updates() []compliance.Rule {
	apt := onLinux + ` && inventory.updates.manager == "apt"`
	auto := setting("os.update", `{"enabled":true,"origins":"security","schedule":"daily"}`, "The device then installs security updates by itself.")
	return []compliance.Rule{
		{
			ID: "updates-security", Title: "No security update is missing", Category: catUpdates, Severity: compliance.Critical, Grace: 7 * day,
			Description: "A published update tells everybody where the hole is. A week is what attackers and admins race for.",
			Applies:     apt, Expression: `!inventory.updates.pending.exists(p, p.security)`,
			Evidence:    `inventory.updates.pending.filter(p, p.security).map(p, p.name + " " + p.installed + " → " + p.candidate)`,
			Remediation: "Install the pending updates (apt-get upgrade), or let the device do it by itself with the setting “System updates”.",
			Fix: script("set -e\nexport DEBIAN_FRONTEND=noninteractive\napt-get -q update\napt-get -q -y -o Dpkg::Options::=--force-confold upgrade\n",
				"Installs every pending update now; services are restarted where needed."),
			Mappings: ids("7.3 7.4", "SI-2", "A.8.8"),
		},
		{
			ID: "updates-lists-fresh", Title: "The device has looked for updates within a week", Category: catUpdates, Severity: compliance.Medium,
			Description: "A device that does not look finds nothing missing: its other answers about updates are then old.",
			Applies:     apt, Expression: `inventory.updates.package_lists_at_us == 0 ? unknown("when it looked last is not known") : now - micros(inventory.updates.package_lists_at_us) < days(7)`,
			Remediation: "Run apt-get update, and see why the daily timer (apt-daily.timer) does not.",
			Fix:         script("exec apt-get -q update\n", "Fetches the lists of packages."),
			Mappings:    ids("7.3", "SI-2(2)", "A.8.8"),
		},
		{
			ID: "updates-automatic", Title: "Security updates install themselves", Category: catUpdates, Severity: compliance.High,
			Description: "Updates that wait for somebody to think of them come late.",
			Applies:     apt, Expression: `inventory.updates.unattended.installed && inventory.updates.unattended.enabled && inventory.updates.unattended.security`,
			Remediation: "Install unattended-upgrades and turn it on for the security archive, or use the setting “System updates”.",
			Fix:         auto, Mappings: ids("7.3", "SI-2(2)", "A.8.8"),
		},
		{
			ID: "updates-restarted", Title: "No update waits for a restart", Category: catUpdates, Severity: compliance.Medium, Grace: 7 * day,
			Description: "A new kernel or library protects only once it runs.",
			Applies:     apt, Expression: `!inventory.updates.reboot_required`, Evidence: `inventory.updates.reboot_for`,
			Remediation: "Restart the device. The setting “System updates” can do it when nobody is signed in.",
			Mappings:    ids("7.3", "SI-2", "A.8.8"),
		},
		{
			ID: "updates-sources-signed", Title: "Packages come only from signed sources", Category: catUpdates, Severity: compliance.High,
			Description: "A source whose signature is not checked lets anybody on the way put anything on the device.",
			Applies:     apt, Expression: `inventory.updates.unsigned_sources.size() == 0`, Evidence: `inventory.updates.unsigned_sources`,
			Remediation: "Remove trusted=yes and allow-insecure from the sources in /etc/apt, and give each its key with signed-by.",
			Mappings:    ids("2.5 16.5", "CM-14 SI-7", "A.8.19"),
		},
		{
			ID: "updates-release-supported", Title: "The system's release still gets security updates", Category: catUpdates, Severity: compliance.Critical, Grace: 30 * day,
			Description: "After the end of its support a release gets no more security updates, and stays as it is for attackers to study.",
			Applies:     onLinux + ` && (inventory.host.os_id == "debian" || inventory.host.os_id == "ubuntu")`,
			Expression: `now < {"debian 10": timestamp("2024-06-30T00:00:00Z"), "debian 11": timestamp("2026-08-31T00:00:00Z"), "debian 12": timestamp("2028-06-30T00:00:00Z"),
  "debian 13": timestamp("2030-06-30T00:00:00Z"), "ubuntu 20.04": timestamp("2025-05-31T00:00:00Z"), "ubuntu 22.04": timestamp("2027-06-01T00:00:00Z"),
  "ubuntu 24.04": timestamp("2029-05-31T00:00:00Z"), "ubuntu 26.04": timestamp("2031-05-31T00:00:00Z")}[inventory.host.os_id + " " + inventory.host.os_version_id]`,
			Evidence:    `inventory.host.os_version`,
			Remediation: "Upgrade the device to a supported release.",
			Mappings:    ids("2.2", "SA-22", "A.8.8"),
		},
	}
}

func kernel() []compliance.Rule {
	one := func(id, title string, sev compliance.Severity, key, want, description, cis, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catKernel, Severity: sev, Description: description, Applies: onLinux,
			Expression:  `inventory.sysctl["` + key + `"] == "` + want + `"`,
			Remediation: "Set " + key + " to " + want + " in a file of /etc/sysctl.d, and load it with sysctl --system.",
			Fix:         setting("kernel.sysctl/"+id, `{"key":"`+key+`","value":"`+want+`"}`, ""), Mappings: ids(cis, nist, "A.8.9"),
		}
	}
	all := func(id, title string, sev compliance.Severity, keys []string, want, description, nist string) compliance.Rule {
		expr, fix := "", ""
		for _, k := range keys {
			if expr != "" {
				expr += " && "
			}
			expr += `inventory.sysctl["` + k + `"] == "` + want + `"`
			fix += "sysctl -q -w " + k + "=" + want + "\necho '" + k + " = " + want + "' >>\"$f\"\n"
		}
		return compliance.Rule{
			ID: id, Title: title, Category: catKernel, Severity: sev, Description: description, Applies: onLinux, Expression: expr,
			Remediation: "Set each of the named values to " + want + " in a file of /etc/sysctl.d, and load it with sysctl --system.",
			Fix:         script("set -e\nf=/etc/sysctl.d/90-"+id+".conf\nrm -f \"$f\"\n"+fix, "Sets the values now and for every start, in /etc/sysctl.d/90-"+id+".conf."),
			Mappings:    ids("4.1", nist, "A.8.9 A.8.20"),
		}
	}
	atLeast := one("kernel-kptr-restrict", "Addresses of the kernel are hidden", compliance.Medium, "kernel.kptr_restrict", "1",
		"Where things lie in the kernel's memory is what an attack on it needs to know first.", "10.5", "SI-16")
	atLeast.Expression = `inventory.sysctl["kernel.kptr_restrict"] in ["1", "2"]`
	bpf := one("kernel-bpf-restrict", "Only root loads programs into the kernel", compliance.Medium, "kernel.unprivileged_bpf_disabled", "1",
		"BPF programs of ordinary users were the way of many attacks on the kernel.", "10.5", "SI-16 CM-7")
	bpf.Expression = `inventory.sysctl["kernel.unprivileged_bpf_disabled"] in ["1", "2"]`
	ptrace := one("kernel-ptrace-restrict", "Programs cannot look into others of the same user", compliance.Medium, "kernel.yama.ptrace_scope", "1",
		"One program taken over should not read the passwords in the memory of another.", "10.5", "SI-16")
	ptrace.Expression = `inventory.sysctl["kernel.yama.ptrace_scope"] in ["1", "2", "3"]`
	path := one("network-reverse-path", "Packets from impossible addresses are dropped", compliance.Low, "net.ipv4.conf.all.rp_filter", "1",
		"A packet that claims to come from where it cannot come from is forged.", "4.1", "SC-7")
	path.Expression = `inventory.sysctl["net.ipv4.conf.all.rp_filter"] in ["1", "2"] || inventory.sysctl["net.ipv4.conf.default.rp_filter"] in ["1", "2"]`
	return []compliance.Rule{
		one("kernel-aslr", "Memory is laid out at random", compliance.High, "kernel.randomize_va_space", "2",
			"An attack that does not know where things are mostly ends in a crash and not in a break-in.", "10.5", "SI-16"),
		one("kernel-dmesg-restrict", "The kernel's messages are for root", compliance.Low, "kernel.dmesg_restrict", "1",
			"The kernel's log tells much that helps to attack it.", "10.5", "SI-11"),
		atLeast, bpf, ptrace,
		one("kernel-no-setuid-dumps", "Programs with more rights leave no memory dumps", compliance.Medium, "fs.suid_dumpable", "0",
			"A dump of a program that runs with root's rights may hold what only root may read.", "10.5", "SI-11"),
		all("kernel-protected-links", "Links in shared directories are checked", compliance.Medium, []string{"fs.protected_hardlinks", "fs.protected_symlinks"}, "1",
			"Links laid out in /tmp by one user are an old way to make a program of another write where it should not.", "AC-6"),
		all("network-no-redirects", "Redirects from the network are not followed", compliance.Medium,
			[]string{"net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.default.accept_redirects", "net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.default.accept_redirects"}, "0",
			"By a redirect somebody in the same network can send a device's traffic through their own machine.", "SC-7"),
		all("network-no-source-route", "Packets do not choose their own way", compliance.Medium,
			[]string{"net.ipv4.conf.all.accept_source_route", "net.ipv4.conf.default.accept_source_route", "net.ipv6.conf.all.accept_source_route", "net.ipv6.conf.default.accept_source_route"}, "0",
			"Source routing lets a sender go round the network's own controls.", "SC-7"),
		all("network-no-send-redirects", "The device redirects nobody", compliance.Low, []string{"net.ipv4.conf.all.send_redirects", "net.ipv4.conf.default.send_redirects"}, "0",
			"Only routers have a reason to.", "SC-7 CM-7"),
		path,
		one("network-syncookies", "Floods of connections are withstood", compliance.Medium, "net.ipv4.tcp_syncookies", "1",
			"SYN cookies keep a device reachable while somebody opens connections by the thousand.", "4.1", "SC-5"),
		one("network-no-forwarding", "The device is no router", compliance.Low, "net.ipv4.ip_forward", "0",
			"A device that forwards packets joins networks that were meant to be apart. Hosts of containers and virtual machines do forward: give those a waiver.", "4.8", "CM-7 SC-7"),
		one("network-no-broadcast-echo", "Echo requests to all are not answered", compliance.Low, "net.ipv4.icmp_echo_ignore_broadcasts", "1",
			"Devices that answer are used to flood others.", "4.1", "SC-5"),
	}
}
