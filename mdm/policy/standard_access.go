package policy

import (
	"encoding/json"
	"strconv"
)

func itoa(i int) string { return strconv.Itoa(i) }

// intOf returns a whole number of a decoded value.
func intOf(v map[string]any, name string) (int64, bool) {
	switch v[name].(type) {
	case json.Number, int64:
		return number(v[name]), true
	}
	return 0, false
}

func passcodeQuality() *Entry {
	return &Entry{
		Key: "passcode.quality", Title: "Password quality", Category: categorySignIn, Platforms: []Platform{Linux}, Merge: MostRestrictive,
		Description: "What a new password must be like. Passwords there are already stay until they are changed.",
		Mechanism:   "pam_pwquality by a file in /etc/security/pwquality.conf.d, and pam_pwhistory",
		Fields: []Field{
			{Name: "min_length", Kind: Integer, Title: "Length at least", Description: "How many characters a password has at least. 12 or more is sound; length does more than kinds of characters.", Min: 6, Max: 64, Unit: "characters", Combine: Highest},
			{Name: "min_classes", Kind: Integer, Title: "Kinds of characters", Description: "Of small letters, capitals, digits and others, how many kinds there are at least.", Min: 0, Max: 4, Combine: Highest},
			{Name: "max_repeat", Kind: Integer, Title: "Same character in a row", Description: "The same character may follow itself at most this often.", Min: 1, Max: 16, Combine: Lowest},
			flag("reject_username", "Not the user's name", "A password may not hold the name of its user."),
			flag("dictionary_check", "Not a known word", "A password may not be built on a word of the system's dictionary."),
			{Name: "history", Kind: Integer, Title: "Not an earlier one", Description: "So many earlier passwords of a user may not be used again.", Min: 0, Max: 24, Unit: "passwords", Combine: Highest},
			flag("enforce_root", "For root too", "Root is refused a weak password, not only warned."),
		},
	}
}

func passcodeLockout() *Entry {
	return &Entry{
		Key: "passcode.lockout", Title: "Lock-out after wrong passwords", Category: categorySignIn, Platforms: []Platform{Linux}, Merge: MostRestrictive,
		Description: "After some wrong passwords in a row an account takes none for a while, which stops guessing.",
		Mechanism:   "pam_faillock by /etc/security/faillock.conf and a profile of pam-auth-update",
		Risk:        Risk{CutsSignIn: true, Words: "Anyone who can reach the sign-in can lock an account on purpose, root too when it is included."},
		Fields: []Field{
			{Name: "attempts", Kind: Integer, Title: "Wrong passwords", Description: "So many wrong passwords lock the account. Under 5 people lock themselves out.", Required: true, Min: 3, Max: 50, Combine: Lowest},
			{Name: "unlock_seconds", Kind: Integer, Title: "Locked for", Description: "After this time the account takes passwords again.", Default: int64(600), Min: 60, Max: 604800, Unit: "seconds", Combine: Highest},
			{Name: "window_seconds", Kind: Integer, Title: "Counted within", Description: "Only wrong passwords within this time count together.", Default: int64(900), Min: 60, Max: 86400, Unit: "seconds", Combine: Highest},
			flag("include_root", "Root too", "Root is locked as well. On a device nobody can reach otherwise this can lock everybody out.").with(false),
		},
	}
}

func passcodeAgeing() *Entry {
	return &Entry{
		Key: "passcode.ageing", Title: "Password ageing", Category: categorySignIn, Platforms: []Platform{Linux}, Merge: MostRestrictive,
		Description: "How long passwords live. Today's advice is to change a password when it may be known to others, not by the calendar; some regulations still ask for it.",
		Mechanism:   "/etc/login.defs for new accounts, chage for those there are",
		Risk:        Risk{CutsSignIn: true, Words: "Applied to existing accounts, whose password is older must change it at the next sign-in; after the days of grace the account takes none."},
		Fields: []Field{
			{Name: "max_days", Kind: Integer, Title: "Change after", Description: "A password must be changed after this time.", Min: 1, Max: 3650, Unit: "days", Combine: Lowest},
			{Name: "min_days", Kind: Integer, Title: "Not before", Description: "A password may not be changed again sooner, so that nobody walks through the history to an old one.", Min: 0, Max: 365, Unit: "days", Combine: Highest},
			{Name: "warn_days", Kind: Integer, Title: "Warn", Description: "People are told so long before.", Min: 0, Max: 60, Unit: "days", Combine: Highest},
			{Name: "inactive_days", Kind: Integer, Title: "Grace", Description: "So long after its end a password still lets its user in to change it.", Min: 0, Max: 365, Unit: "days", Combine: Lowest},
			flag("apply_to_existing", "Existing accounts too", "Not only accounts made from now on.").with(false),
		},
		check: func(v map[string]any, say func(path, message string)) {
			least, ok := intOf(v, "min_days")
			most, both := intOf(v, "max_days")
			if ok && both && least >= most {
				say("min_days", "is "+strconv.FormatInt(least, 10)+", must be under max_days ("+strconv.FormatInt(most, 10)+"): nobody could ever change a password in time")
			}
		},
	}
}

func sshServer() *Entry {
	names := func(name, title, description string) Field {
		f := texts(name, title, description, FormatAccount)
		f.Combine, f.MinItems = InAll, 1
		return f
	}
	return &Entry{
		Key: "ssh.server", Title: "SSH server", Category: categorySignIn, Platforms: []Platform{Linux}, Merge: MostRestrictive,
		Description: "Who may sign in over SSH and how. Fields that are left out stay as the device has them. Where there is no SSH server, there is nothing to do.",
		Mechanism:   "A file in /etc/ssh/sshd_config.d, checked with sshd -t and read back with sshd -T",
		Risk:        Risk{CutsSignIn: true, Words: "Administrators who work over SSH can lock themselves out. Remote support and this gateway do not need SSH."},
		Fields: []Field{
			{Name: "permit_root_login", Kind: Text, Title: "Root may sign in", Description: "Whether root may sign in directly.", Combine: Strictest, Choices: choices("no", "Never", "prohibit-password", "With a key only", "yes", "With a password too")},
			permit("password_authentication", "Sign-in with a password", "People may sign in with a password. Keys are much safer."),
			permit("keyboard_interactive_authentication", "Sign-in by questions", "People may sign in by answering questions of PAM, which may be a password again."),
			{Name: "pubkey_authentication", Kind: Bool, Title: "Sign-in with a key", Description: "People may sign in with a key."},
			permit("permit_empty_passwords", "Empty passwords", "Accounts without a password may sign in."),
			{Name: "max_auth_tries", Kind: Integer, Title: "Attempts", Description: "After so many failures the connection is closed.", Min: 1, Max: 10, Combine: Lowest},
			{Name: "login_grace_seconds", Kind: Integer, Title: "Time to sign in", Description: "A connection that has not signed in by then is closed.", Min: 5, Max: 600, Unit: "seconds", Combine: Lowest},
			{Name: "idle_timeout_seconds", Kind: Integer, Title: "Dead connections", Description: "A connection whose other end has not answered for so long is closed.", Min: 30, Max: 86400, Unit: "seconds", Combine: Lowest},
			names("allow_users", "Only these users", "Nobody else may sign in. Of several policies, users in all of the lists."),
			names("allow_groups", "Only these groups", "Only members may sign in. Of several policies, groups in all of the lists."),
			permit("x11_forwarding", "Forward X11", "Windows of the device may be shown at the other end."),
			permit("agent_forwarding", "Forward keys", "The other end's keys may be used from the device on. Root of the device can use them too."),
			permit("tcp_forwarding", "Forward ports", "Connections may be tunnelled through the device."),
			{Name: "port", Kind: Integer, Title: "Port", Description: "Where the server listens. It is 22 if nobody changed it.", Min: 1, Max: 65535},
			{Name: "banner_text", Kind: Text, Title: "Banner", Description: "Shown before sign-in.", Multiline: true, MaxLen: 4096},
		},
		check: func(v map[string]any, say func(path, message string)) {
			if v["password_authentication"] == false && v["pubkey_authentication"] == false && v["keyboard_interactive_authentication"] == false {
				say("pubkey_authentication", "with keys, passwords and questions all off nobody can sign in")
			}
			for _, name := range []string{"allow_users", "allow_groups"} {
				if list, ok := v[name].([]any); ok && len(list) == 0 {
					say(name, "the policies' lists have nobody in common: nobody could sign in")
				}
			}
		},
	}
}

func sudoRules() *Entry {
	return &Entry{
		Key: "sudo.rules", Title: "Sudo rule", Category: categorySignIn, Platforms: []Platform{Linux}, Merge: OrError, Several: true,
		Description: "Who may run what with the rights of another account. Rules of different names add up.",
		Mechanism:   "A file in /etc/sudoers.d, checked with visudo -c and read back with sudo -l",
		Risk:        Risk{CutsSignIn: true, Words: "A rule gives rights away. ALL, an editor, an interpreter or a pattern in the arguments is as good as root."},
		Fields: []Field{
			texts("users", "Users", "Whom the rule is for.", FormatAccount),
			texts("groups", "Groups", "Members of these too.", FormatAccount),
			{Name: "hosts", Kind: List, Title: "Hosts", Description: "On which hosts the rule holds; none is all.", Items: &Field{Kind: Text, MinLen: 1, Format: FormatHost}},
			{Name: "commands", Kind: List, Title: "Commands", Description: "What may be run: absolute paths with their arguments, or ALL. A path alone takes any arguments; ! before it forbids.", Required: true, MinItems: 1, Items: &Field{Kind: Text, MinLen: 1, MaxLen: 512, Format: FormatCommand}},
			{Name: "no_password", Kind: Bool, Title: "Without a password", Description: "People are not asked for their password.", Default: false},
			{Name: "run_as", Kind: Text, Title: "As", Description: "The account whose rights are given; ALL is any.", Default: "root", MinLen: 1, Format: FormatAccount},
		},
		check: func(v map[string]any, say func(path, message string)) {
			users, _ := v["users"].([]any)
			if groups, _ := v["groups"].([]any); len(users)+len(groups) == 0 {
				say("users", "a rule needs a user or a group")
			}
		},
	}
}

func sudoDefaults() *Entry {
	return &Entry{
		Key: "sudo.defaults", Title: "Sudo options", Category: categorySignIn, Platforms: []Platform{Linux}, Merge: MostRestrictive,
		Description: "How sudo behaves for everybody.",
		Mechanism:   "A file in /etc/sudoers.d, checked with visudo -c",
		Risk:        Risk{CutsSignIn: true, Words: "Scripts that call sudo without a terminal stop working when one is required."},
		Fields: []Field{
			{Name: "timeout_minutes", Kind: Integer, Title: "Remember the password", Description: "For so long the password is not asked for again; 0 asks every time.", Min: 0, Max: 1440, Unit: "minutes", Combine: Lowest},
			{Name: "passwd_tries", Kind: Integer, Title: "Attempts", Description: "How often a password may be tried.", Min: 1, Max: 10, Combine: Lowest},
			{Name: "log_file", Kind: Text, Title: "Log file", Description: "Every command is written there, as /var/log/sudo.log.", MinLen: 1, Format: FormatPath},
			flag("require_tty", "Only from a terminal", "Sudo runs only where somebody sits at a terminal."),
			flag("use_pty", "In a terminal of its own", "What is run cannot reach the caller's terminal afterwards."),
		},
	}
}
