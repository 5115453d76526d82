package baseline

import "handrail/mdm/compliance"

func ssh() []compliance.Rule {
	const on = `inventory.sshd.installed`
	const cfg = `inventory.sshd.config`
	is := func(key, want string) string {
		return `!inventory.sshd.readable ? unknown("its configuration could not be read") : ` + cfg + `.` + key + ` == "` + want + `"`
	}
	number := func(key, test string) string {
		return `!inventory.sshd.readable || !` + cfg + `.` + key + `.matches("^[0-9]+$") ? unknown("its configuration could not be read") : ` + test
	}
	rule := func(id, title string, sev compliance.Severity, expr, description, remediation string, fix *compliance.Fix, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catSSH, Severity: sev, Applies: onLinux + " && " + on, Expression: expr, Description: description,
			Remediation: remediation, Fix: fix, Mappings: ids("4.1", nist, "A.8.5 A.8.20"),
		}
	}
	return []compliance.Rule{
		rule("ssh-no-root-login", "Root does not sign in over SSH", compliance.High, is("permitrootlogin", "no"),
			"Who signs in as themselves and then becomes root leaves a trace of who it was; and every attacker knows that root exists.",
			"Set PermitRootLogin no in /etc/ssh/sshd_config.d.", setting("ssh.server", `{"permit_root_login":"no"}`, ""), "AC-6(2) AC-17"),
		rule("ssh-no-empty-passwords", "No empty passwords over SSH", compliance.Critical, is("permitemptypasswords", "no"),
			"An account without a password is open to the whole network.",
			"Set PermitEmptyPasswords no.", setting("ssh.server", `{"permit_empty_passwords":false}`, ""), "IA-5 AC-17"),
		rule("ssh-keys-only", "SSH takes keys, not passwords", compliance.Medium, is("passwordauthentication", "no"),
			"Passwords are guessed day and night wherever an SSH server is reachable; keys are not.",
			"Give everybody who needs SSH a key, then set PasswordAuthentication no.",
			setting("ssh.server", `{"password_authentication":false}`, "Who has no key can then not sign in over SSH."), "IA-2 IA-5 AC-17"),
		rule("ssh-max-auth-tries", "Few attempts for a connection over SSH", compliance.Low, number("maxauthtries", `int(`+cfg+`.maxauthtries) <= 4`),
			"Fewer guesses for a connection make guessing slow, and show in the log sooner.",
			"Set MaxAuthTries 4 or less.", setting("ssh.server", `{"max_auth_tries":4}`, ""), "AC-7"),
		rule("ssh-no-x11", "SSH forwards no windows", compliance.Low, is("x11forwarding", "no"),
			"Through forwarded windows the device can reach into the desktop of the one who signed in.",
			"Set X11Forwarding no.", setting("ssh.server", `{"x11_forwarding":false}`, ""), "CM-7"),
		rule("ssh-idle", "Dead SSH connections are closed", compliance.Low,
			number("clientaliveinterval", `int(`+cfg+`.clientaliveinterval) > 0 && int(`+cfg+`.clientaliveinterval) * int(`+cfg+`.clientalivecountmax) <= 900`),
			"A connection whose other end is gone should not stay open for somebody else to find.",
			"Set ClientAliveInterval 300 and ClientAliveCountMax 3, or less.", setting("ssh.server", `{"idle_timeout_seconds":900}`, ""), "AC-12 SC-10"),
		rule("ssh-login-grace", "A minute is enough to sign in over SSH", compliance.Low, number("logingracetime", `int(`+cfg+`.logingracetime) > 0 && int(`+cfg+`.logingracetime) <= 60`),
			"Connections that have not signed in take the server's places.",
			"Set LoginGraceTime 60 or less.", setting("ssh.server", `{"login_grace_seconds":60}`, ""), "AC-12 SC-5"),
		rule("ssh-no-host-based", "SSH trusts people, not hosts", compliance.Medium,
			`!inventory.sshd.readable ? unknown("its configuration could not be read") : `+cfg+`.hostbasedauthentication == "no" && `+cfg+`.ignorerhosts != "no"`,
			"With host-based trust, who takes over one machine is let into the others.",
			"Set HostbasedAuthentication no and IgnoreRhosts yes.", nil, "IA-2 AC-17"),
		rule("ssh-no-user-environment", "Users do not set the environment of SSH sessions", compliance.Low, is("permituserenvironment", "no"),
			"Variables such as LD_PRELOAD go round restrictions of what an account may run.",
			"Set PermitUserEnvironment no.", nil, "CM-6"),
		rule("ssh-strong-ciphers", "SSH offers no weak ciphers", compliance.Medium,
			`!inventory.sshd.readable ? unknown("its configuration could not be read") : !("ciphers" in `+cfg+`) || `+cfg+`.ciphers.startsWith("-") || !`+cfg+`.ciphers.matches("3des|arcfour|blowfish|cast128|-cbc")`,
			"CBC modes and the ciphers of the nineties can be broken or are close to it. The server's own defaults are sound.",
			"Remove the Ciphers line from sshd_config, or the weak ones from it.", nil, "SC-8(1) SC-13"),
		rule("ssh-pam", "SSH signs in through PAM", compliance.Medium, is("usepam", "yes"),
			"Lock-out, ageing and limits of accounts are PAM's work; without it they do not hold for SSH.",
			"Set UsePAM yes.", nil, "AC-3 IA-2"),
		{
			ID: "ssh-host-keys", Title: "The SSH server's keys are root's alone", Category: catSSH, Severity: compliance.High, Applies: onLinux + " && " + on,
			Description: "Who can read them can pretend to be this device.",
			Expression:  `["rsa", "ecdsa", "ed25519", "dsa"].map(k, "/etc/ssh/ssh_host_" + k + "_key").all(p, !(p in inventory.files) || mode_within(inventory.files[p].mode, "0600") && inventory.files[p].uid == 0)`,
			Evidence:    `["rsa", "ecdsa", "ed25519", "dsa"].map(k, "/etc/ssh/ssh_host_" + k + "_key").filter(p, p in inventory.files).map(p, p + " " + inventory.files[p].mode)`,
			Remediation: "chown root:root and chmod 0600 the files /etc/ssh/ssh_host_*_key.",
			Fix:         script("set -e\nfor f in /etc/ssh/ssh_host_*_key; do\n\t[ -f \"$f\" ] || continue\n\tchown root:root \"$f\"\n\tchmod 0600 \"$f\"\ndone\n", ""),
			Mappings:    ids("3.3", "SC-12 AC-3", "A.8.3"),
		},
		{
			ID: "ssh-config-mode", Title: "Only root changes the SSH server's configuration", Category: catSSH, Severity: compliance.High, Applies: onLinux + " && " + on,
			Description: "Who can write it lets themselves in.",
			Expression:  `mode_within(inventory.files["/etc/ssh/sshd_config"].mode, "0644") && inventory.files["/etc/ssh/sshd_config"].uid == 0`,
			Remediation: "chown root:root and chmod 0644 (or 0600) /etc/ssh/sshd_config.",
			Fix:         script("set -e\nchown root:root /etc/ssh/sshd_config\nchmod go-w /etc/ssh/sshd_config\n", ""),
			Mappings:    ids("3.3", "AC-3 CM-5", "A.8.3"),
		},
	}
}

func accounts() []compliance.Rule {
	const users = `inventory.accounts.users`
	const readable = `!inventory.accounts.shadow ? unknown("passwords' states could not be read") : `
	rule := func(id, title string, sev compliance.Severity, expr, evidence, description, remediation, cis, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catAccounts, Severity: sev, Applies: onLinux, Expression: expr, Evidence: evidence, Description: description,
			Remediation: remediation, Mappings: ids(cis, nist, "A.5.17 A.8.2"),
		}
	}
	defs := func(id, title string, sev compliance.Severity, key, test, description, remediation, nist string) compliance.Rule {
		r := rule(id, title, sev, `inventory.accounts.login_defs.`+key+`.matches("^[0-9]+$") ? `+test+` : unknown("login.defs could not be read")`, "", description, remediation, "5.2", nist)
		return r
	}
	ageing := defs("accounts-password-age", "Passwords of new accounts end after a year", compliance.Low, "PASS_MAX_DAYS", `int(inventory.accounts.login_defs.PASS_MAX_DAYS) <= 365`,
		"A password somebody else has come to know should not work for ever. Current advice prefers long passwords that are changed when there is a reason; some frameworks still ask for this.",
		"Set PASS_MAX_DAYS 365 in /etc/login.defs, or use the setting “Password ageing”.", "IA-5")
	ageing.Fix = setting("passcode.ageing", `{"max_days":365,"warn_days":14,"apply_to_existing":false}`, "For accounts made from now on; those there are keep what they have.")
	return []compliance.Rule{
		rule("accounts-no-empty-password", "No account is without a password", compliance.Critical, readable+users+`.all(u, u.password != "empty")`, users+`.filter(u, u.password == "empty").map(u, u.name)`,
			"Anybody at the keyboard, and maybe in the network, can be such a user.", "Give the account a password (passwd NAME) or lock it (passwd -l NAME).", "5.2", "IA-5"),
		rule("accounts-only-root-is-root", "Only root has root's number", compliance.Critical, users+`.all(u, u.uid != 0 || u.name == "root")`, users+`.filter(u, u.uid == 0).map(u, u.name)`,
			"Another account with number 0 is root by another name: a favourite of those who want to come back.", "Remove the account, or give it a number of its own.", "5.4", "AC-6 IA-4"),
		rule("accounts-root-group", "Only root is of root's group", compliance.Medium, users+`.all(u, u.gid != 0 || u.name == "root")`, users+`.filter(u, u.gid == 0).map(u, u.name)`,
			"Files of group root are not meant for others.", "Give the account a group of its own with usermod -g.", "5.4", "AC-6"),
		rule("accounts-unique-ids", "No two accounts share a number", compliance.High, `distinct(`+users+`.map(u, u.uid)) == `+users+`.size()`, users+`.map(u, u.uid).size()`,
			"Accounts with one number own each other's files, and the log cannot tell them apart.", "Give each account a number of its own with usermod -u.", "5.1", "IA-4 AU-3"),
		rule("accounts-unique-names", "No two accounts share a name", compliance.High, `distinct(`+users+`.map(u, u.name)) == `+users+`.size()`, users+`.map(u, u.name).size()`,
			"Which of the two is meant depends on who asks.", "Rename or remove one of them.", "5.1", "IA-4"),
		rule("accounts-strong-hashes", "Passwords are kept with a strong hash", compliance.High, readable+users+`.all(u, u.password != "set" || u.hash in ["yescrypt", "sha512", "bcrypt", "argon2"])`,
			users+`.filter(u, u.password == "set" && !(u.hash in ["yescrypt", "sha512", "bcrypt", "argon2"])).map(u, u.name + ": " + u.hash)`,
			"Who gets hold of /etc/shadow finds passwords kept with MD5 or DES within hours.", "Set ENCRYPT_METHOD YESCRYPT in /etc/login.defs and have these users change their password.", "3.11", "IA-5(1)"),
		rule("accounts-service-shells", "Accounts of services have no shell", compliance.Medium,
			users+`.all(u, u.uid == 0 || u.uid >= 1000 || u.shell.endsWith("/nologin") || u.shell.endsWith("/false") || u.shell in ["", "/bin/sync", "/sbin/halt", "/sbin/shutdown"])`,
			users+`.filter(u, u.uid > 0 && u.uid < 1000 && !(u.shell.endsWith("/nologin") || u.shell.endsWith("/false") || u.shell in ["", "/bin/sync", "/sbin/halt", "/sbin/shutdown"])).map(u, u.name + ": " + u.shell)`,
			"A service that was broken into should not offer a shell to go on with.", "usermod -s /usr/sbin/nologin NAME. Some services (as PostgreSQL) need one for their admin: waive those.", "4.7", "AC-6 CM-7"),
		rule("accounts-homes-private", "Home directories are closed to others", compliance.Medium, users+`.all(u, !u.person || u.home_mode == "" || mode_within(u.home_mode, "0750"))`,
			users+`.filter(u, u.person && u.home_mode != "" && !mode_within(u.home_mode, "0750")).map(u, u.home + " " + u.home_mode)`,
			"Keys, mail and documents of one person are not for every account of the device.", "chmod 0750 the home directories; Debian's adduser makes them so with DIR_MODE=0750.", "3.3", "AC-3 AC-6"),
		rule("accounts-homes-owned", "Home directories belong to their users", compliance.High, users+`.all(u, !u.person || u.home_uid == -1 || u.home_uid == u.uid)`,
			users+`.filter(u, u.person && u.home_uid != -1 && u.home_uid != u.uid).map(u, u.home)`,
			"Who owns a home directory decides what its user runs at the next sign-in.", "chown the directory to its user.", "3.3", "AC-3"),
		rule("accounts-few-admins", "At most three people are administrators", compliance.Medium, users+`.filter(u, u.admin && u.person).size() <= 3`, users+`.filter(u, u.admin && u.person).map(u, u.name)`,
			"Every administrator is a way to take the device over.", "Take who does not need it out of the group sudo (or admin) with gpasswd -d NAME sudo.", "5.4", "AC-6(5)"),
		ageing,
		defs("accounts-umask", "New files are not for everybody", compliance.Low, "UMASK", `mode_within("0027", inventory.accounts.login_defs.UMASK)`,
			"A umask of 027 keeps new files from those who are neither the user nor of their group.", "Set UMASK 027 in /etc/login.defs.", "AC-3 AC-6"),
	}
}

func signIn() []compliance.Rule {
	rule := func(id, title string, sev compliance.Severity, expr, description, remediation string, fix *compliance.Fix, cis, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catSignIn, Severity: sev, Applies: onLinux, Expression: expr, Description: description,
			Remediation: remediation, Fix: fix, Mappings: ids(cis, nist, "A.5.17 A.8.5"),
		}
	}
	return []compliance.Rule{
		rule("passcode-length", "New passwords have twelve characters or more", compliance.High, `inventory.pam.pwquality.enabled && inventory.pam.pwquality.minlen >= 12`,
			"Length is what makes a password hard to guess.", "Install libpam-pwquality and set minlen = 12, or use the setting “Password quality”.",
			setting("passcode.quality", `{"min_length":12,"dictionary_check":true,"reject_username":true}`, "Holds for passwords set from now on."), "5.2", "IA-5(1)"),
		rule("passcode-dictionary", "New passwords are no known words", compliance.Medium, `inventory.pam.pwquality.enabled && inventory.pam.pwquality.dictcheck`,
			"Words, and words with a digit behind, are guessed first.", "Set dictcheck = 1 in /etc/security/pwquality.conf.",
			setting("passcode.quality", `{"dictionary_check":true}`, ""), "5.2", "IA-5(1)"),
		rule("passcode-lockout", "Wrong passwords lock an account for a while", compliance.Medium, `inventory.pam.faillock.enabled && inventory.pam.faillock.deny > 0 && inventory.pam.faillock.deny <= 10`,
			"Guessing needs thousands of attempts; people need a few.", "Turn on pam_faillock with deny = 5, or use the setting “Lock-out after wrong passwords”.",
			setting("passcode.lockout", `{"attempts":5,"unlock_seconds":600}`, "Who guesses on purpose can lock somebody out for ten minutes."), "4.10", "AC-7"),
		rule("passcode-history", "Old passwords do not come back", compliance.Low, `inventory.pam.pwhistory.enabled && inventory.pam.pwhistory.remember >= 5`,
			"A password that had to be changed for a reason should not return at once.", "Turn on pam_pwhistory with remember=5, or use the setting “Password quality”.",
			setting("passcode.quality", `{"history":5}`, ""), "5.2", "IA-5(1)"),
		rule("passcode-no-blank", "PAM lets nobody in without a password", compliance.High, `!inventory.pam.nullok`,
			"With nullok an account with an empty password is an open door.", "Remove nullok from pam_unix in /etc/pam.d/common-auth (pam-auth-update keeps it out once edited).",
			nil, "5.2", "IA-5 AC-3"),
	}
}

func desktop() []compliance.Rule {
	const d = `inventory.desktop`
	rule := func(id, title string, sev compliance.Severity, expr, description, remediation string, fix *compliance.Fix, cis, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catDesktop, Severity: sev, Applies: onLinux + ` && ` + d + `.manager != ""`, Expression: expr, Description: description,
			Remediation: remediation, Fix: fix, Mappings: ids(cis, nist, "A.7.7 A.8.1"),
		}
	}
	lock := setting("screen.lock", `{"enabled":true,"idle_seconds":300,"lock_delay_seconds":0,"lock_on_suspend":true}`, "People can no longer turn the lock off.")
	return []compliance.Rule{
		rule("screen-lock", "The screen locks by itself", compliance.High, `has(`+d+`.lock.enabled) ? `+d+`.lock.enabled : unknown("the desktop's setting could not be read")`,
			"An unattended open session is the simplest break-in there is.", "Turn on automatic screen lock, or use the setting “Screen lock”.", lock, "4.3", "AC-11"),
		rule("screen-lock-soon", "The screen locks within fifteen minutes", compliance.High, `has(`+d+`.lock.idle_seconds) ? `+d+`.lock.idle_seconds > 0 && `+d+`.lock.idle_seconds + (has(`+d+`.lock.delay_seconds) ? `+d+`.lock.delay_seconds : 0) <= 900 : unknown("the desktop's setting could not be read")`,
			"Long enough to read a page, short enough to be locked when one comes back from lunch.", "Set the idle delay to fifteen minutes or less, or use the setting “Screen lock”.", lock, "4.3", "AC-11"),
		rule("screen-lock-enforced", "People cannot turn the screen lock off", compliance.Medium, d+`.lock.enforced`,
			"A lock everybody can turn off is turned off.", "Lock the keys with dconf, or use the setting “Screen lock”.", lock, "4.3", "AC-11 CM-5"),
		rule("desktop-no-autologin", "Nobody is signed in without being asked", compliance.High, d+`.autologin == ""`,
			"A device that signs in by itself needs no password from a thief either.", "Turn automatic login off in the display manager's configuration.", nil, "4.7", "IA-2 AC-3"),
		rule("desktop-no-guest", "There is no guest session", compliance.Medium, `!`+d+`.guest`,
			"A guest is somebody nobody knows.", "Turn the guest session off in the display manager's configuration (allow-guest=false).", nil, "4.7", "AC-2 IA-2"),
		rule("desktop-no-automount", "Sticks are not opened by themselves", compliance.Low, `has(`+d+`.automount) ? !`+d+`.automount : unknown("the desktop's setting could not be read")`,
			"What opens by itself is looked at by programs that may have holes.", "Turn automount off with dconf, or use the setting “Desktop restrictions”.",
			setting("desktop.restrictions", `{"disable_automount":true,"disable_autorun":true}`, ""), "10.3", "MP-7 SI-3"),
	}
}

func sudo() []compliance.Rule {
	const s = `inventory.sudo`
	rule := func(id, title string, sev compliance.Severity, expr, evidence, description, remediation string, fix *compliance.Fix, nist string) compliance.Rule {
		return compliance.Rule{
			ID: id, Title: title, Category: catSudo, Severity: sev, Applies: onLinux + ` && ` + s + `.installed`, Evidence: evidence,
			Expression:  `!` + s + `.readable ? unknown("its configuration could not be read") : ` + expr,
			Description: description, Remediation: remediation, Fix: fix, Mappings: ids("5.4", nist, "A.8.2 A.8.18"),
		}
	}
	return []compliance.Rule{
		rule("sudo-asks", "Sudo asks for a password", compliance.High, s+`.rules.all(r, r.who == "root" || !r.no_password) && !`+s+`.defaults.no_authenticate`,
			s+`.rules.filter(r, r.no_password).map(r, r.who + " in " + r.file)`,
			"Without the question, a program that runs as the user is as good as root.", "Remove NOPASSWD and !authenticate from /etc/sudoers and /etc/sudoers.d.", nil, "IA-11 AC-6"),
		rule("sudo-pty", "Sudo runs commands in a terminal of their own", compliance.Low, s+`.defaults.use_pty`, "",
			"Else what was run as root can type into the user's terminal later, and the other way round.", "Add Defaults use_pty, or use the setting “Sudo options”.",
			setting("sudo.defaults", `{"use_pty":true}`, ""), "AC-6"),
		rule("sudo-log", "Sudo keeps a log of its own", compliance.Low, s+`.defaults.logfile != ""`, s+`.defaults.logfile`,
			"What administrators did should be found in one place.", "Add Defaults logfile=/var/log/sudo.log, or use the setting “Sudo options”.",
			setting("sudo.defaults", `{"log_file":"/var/log/sudo.log"}`, ""), "AC-6(9) AU-2"),
		rule("sudo-timeout", "Sudo asks again after a quarter of an hour", compliance.Low,
			`!has(`+s+`.defaults.timestamp_timeout) || `+s+`.defaults.timestamp_timeout >= 0 && `+s+`.defaults.timestamp_timeout <= 15`, "",
			"A terminal left open should not stay root's.", "Set Defaults timestamp_timeout=15 or less, or use the setting “Sudo options”.",
			setting("sudo.defaults", `{"timeout_minutes":15}`, ""), "IA-11"),
	}
}
