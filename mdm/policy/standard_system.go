package policy

import (
	"strings"
)

func kernelSysctl() *Entry {
	return &Entry{
		Key: "kernel.sysctl", Title: "Kernel setting", Category: categorySecurity, Platforms: []Platform{Linux}, Merge: ByRank, Several: true, Exclusive: []string{"key"},
		Description: "A setting of the running kernel, as those that harden the network.",
		Mechanism:   "A file in /etc/sysctl.d, read back from /proc/sys",
		Risk:        Risk{CutsNetwork: true, Words: "Some of these change the network or take memory away. The device takes the change back by itself when it cannot reach the gateway afterwards."},
		Fields: []Field{
			{Name: "key", Kind: Text, Title: "Name", Description: "As net.ipv4.conf.all.rp_filter.", Required: true, MinLen: 3, MaxLen: 128, Format: FormatSysctl},
			{Name: "value", Kind: Text, Title: "Value", Description: "As the kernel takes it: mostly a number.", Required: true, MinLen: 1, MaxLen: 128},
		},
	}
}

func serviceState() *Entry {
	return &Entry{
		Key: "service.state", Title: "Service", Category: categorySystem, Platforms: []Platform{Linux}, Merge: ByRank, Several: true, Exclusive: []string{"name"},
		Description: "Whether a service of the system runs. What is left out stays as it is.",
		Mechanism:   "systemd over D-Bus",
		Risk:        Risk{CutsNetwork: true, CutsSignIn: true, Words: "Without its network or sign-in services a device cannot be reached. It takes the change back by itself when it cannot reach the gateway afterwards."},
		Fields: []Field{
			{Name: "name", Kind: Text, Title: "Unit", Description: "As ssh.service or cups.socket.", Required: true, MinLen: 3, MaxLen: 200, Format: FormatUnit},
			{Name: "enabled", Kind: Bool, Title: "Starts with the device", Description: "The service starts when the device does."},
			{Name: "running", Kind: Bool, Title: "Runs now", Description: "The service runs, and is started again when somebody stops it; or it is stopped."},
			{Name: "masked", Kind: Bool, Title: "Cannot be started", Description: "Nothing and nobody can start the service.", Default: false},
		},
		check: func(v map[string]any, say func(path, message string)) {
			_, enabled := v["enabled"]
			_, running := v["running"]
			switch {
			case v["masked"] == true && (v["enabled"] == true || v["running"] == true):
				say("masked", "a service that cannot be started neither runs nor starts with the device")
			case !enabled && !running && v["masked"] != true:
				say("enabled", "say whether the service is to be enabled, running or masked")
			}
		},
	}
}

// ownedPaths are places the device refuses to write as plain files, with what is for them.
var ownedPaths = []struct{ path, use string }{
	{"/etc/passwd", "accounts are not files to be replaced whole"},
	{"/etc/shadow", "accounts are not files to be replaced whole"},
	{"/etc/group", "accounts are not files to be replaced whole"},
	{"/etc/gshadow", "accounts are not files to be replaced whole"},
	{"/etc/sudoers", "use sudo.rules and sudo.defaults"},
	{"/etc/sudoers.d", "use sudo.rules and sudo.defaults"},
	{"/etc/ssh/sshd_config", "use ssh.server"},
	{"/etc/ssh/sshd_config.d", "use ssh.server"},
	{"/etc/pam.d", "use passcode.quality and passcode.lockout"},
	{"/proc", "use kernel.sysctl"},
	{"/sys", "it is no place for files"},
	{"/dev", "it is no place for files"},
	{"/run", "it is empty after a restart"},
	{"/var/lib/handrail", "it is the agent's own"},
	{"/var/lib/handrail-agent", "it is the agent's own"},
}

func fileContent() *Entry {
	return &Entry{
		Key: "file.content", Title: "File", Category: categorySystem, Platforms: []Platform{Linux, MacOS}, Merge: ByRank, Several: true, Exclusive: []string{"path"},
		Description: "A file with exactly this content and these permissions, or a directory. When the setting goes, what was there before comes back.",
		Mechanism:   "Written whole at once, watched, and mended when somebody changes it",
		Risk:        Risk{CutsNetwork: true, CutsSignIn: true, Words: "A file in the wrong place can stop anything. For what has a setting of its own, use that: it is checked before it is written. The content is not secret to those who see the policy."},
		Fields: []Field{
			{Name: "path", Kind: Text, Title: "Path", Description: "Where the file is.", Required: true, MinLen: 2, MaxLen: 1024, Format: FormatPath},
			{Name: "directory", Kind: Bool, Title: "A directory", Description: "It is a directory. What is in it is left alone.", Default: false},
			{Name: "content", Kind: Text, Title: "Content", Description: "All of the file, as text.", Required: true, When: &When{Field: "directory", In: []string{"false"}}, Multiline: true, MaxLen: 256 << 10},
			{Name: "mode", Kind: Text, Title: "Permissions", Description: "In octal, as 0644; a directory of 0755 can be entered by all.", Default: "0644", MinLen: 3, MaxLen: 4, Format: FormatMode},
			{Name: "owner", Kind: Text, Title: "Owner", Description: "The user it belongs to. It must exist on the device.", Default: "root", MinLen: 1, Format: FormatAccount},
			{Name: "group", Kind: Text, Title: "Group", Description: "The group it belongs to. It must exist on the device.", Default: "root", MinLen: 1, Format: FormatAccount},
			{Name: "validate", Kind: Text, Title: "Check before writing", Description: "What the content must be; the device does not write what is not.", Default: "none", When: &When{Field: "directory", In: []string{"false"}}, Choices: choices(
				"none", "Nothing", "json", "JSON", "yaml", "YAML", "sudoers", "A sudoers file", "sshd", "An SSH server's configuration", "nftables", "Rules of nftables")},
		},
		check: func(v map[string]any, say func(path, message string)) {
			p, _ := v["path"].(string)
			for _, owned := range ownedPaths {
				if p == owned.path || strings.HasPrefix(p, owned.path+"/") {
					say("path", owned.path+" may not be written as a file: "+owned.use)
					return
				}
			}
		},
	}
}

func scriptCheck() *Entry {
	return &Entry{
		Key: "script.check", Title: "Script with a check and a fix", Category: categorySystem, Platforms: []Platform{Linux, MacOS}, Merge: OrError, Several: true,
		Description: "For what no other setting says: a script that checks (it ends with 0 when all is well) and one that mends. After the fix the check must be well. Removing the setting takes nothing back.",
		Mechanism:   "Run by the agent with a time limit, its output kept",
		Risk:        Risk{CutsNetwork: true, CutsSignIn: true, Words: "It runs with the rights of the account you name, on every device the policy is for. Try it on one first."},
		Fields: []Field{
			{Name: "interpreter", Kind: Text, Title: "Language", Description: "What runs the scripts.", Default: "sh", Choices: choices("sh", "sh", "bash", "bash", "python3", "Python 3")},
			{Name: "check", Kind: Text, Title: "Check", Description: "Ends with 0 when the device is as it must be. It must change nothing.", Required: true, Multiline: true, MinLen: 1, MaxLen: 64 << 10},
			{Name: "fix", Kind: Text, Title: "Fix", Description: "Makes the device as it must be; run when the check fails. Without one the setting only reports.", Multiline: true, MaxLen: 64 << 10},
			{Name: "run_as", Kind: Text, Title: "As", Description: "The account that runs both.", Default: "root", MinLen: 1, Format: FormatAccount},
			{Name: "timeout_seconds", Kind: Integer, Title: "Time limit", Description: "A script that runs longer is ended and has failed.", Default: int64(60), Min: 1, Max: 3600, Unit: "seconds"},
			{Name: "every_seconds", Kind: Integer, Title: "Check every", Description: "How often the check runs.", Default: int64(3600), Min: 60, Max: 604800, Unit: "seconds"},
		},
	}
}

func motdBanner() *Entry {
	return &Entry{
		Key: "motd.banner", Title: "Message of the day", Category: categorySystem, Platforms: []Platform{Linux}, Merge: ByRank,
		Description: "Shown to everybody who signs in on a terminal.",
		Mechanism:   "/etc/motd",
		Fields: []Field{
			{Name: "text", Kind: Text, Title: "Text", Description: "As whose device this is and what is not allowed on it.", Required: true, Multiline: true, MinLen: 1, MaxLen: 4096},
		},
	}
}
