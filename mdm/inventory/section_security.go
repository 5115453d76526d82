package inventory

// Kernel is the section "kernel".
type Kernel struct {
	Release     string   `json:"release"`
	Build       string   `json:"build"` // its own line of version
	CommandLine string   `json:"command_line" max:"2048"`
	Modules     []string `json:"modules" max:"64" list:"1024"` // loaded, sorted
	Tainted     uint64   `json:"tainted"`                      // bits; 0 is clean
}

// Security is the section "security": what the kernel holds against the rest.
type Security struct {
	LSM            []string `json:"lsm" max:"64"` // in force
	AppArmor       AppArmor `json:"apparmor"`
	SELinux        string   `json:"selinux" max:"32"`      // "enforcing", "permissive", "disabled"; "" not there
	SecureBoot     *bool    `json:"secure_boot,omitempty"` // absent where there is no UEFI
	Lockdown       string   `json:"lockdown" max:"32"`     // "none", "integrity", "confidentiality"; "" unknown
	Audit          Audit    `json:"audit"`
	ModulesBlocked []string `json:"modules_blocked" max:"64" list:"512"` // by modprobe: install … /bin/false, or blacklist
	CorePattern    string   `json:"core_pattern"`
}

// AppArmor is part of Security.
type AppArmor struct {
	Enabled   bool    `json:"enabled"`
	Profiles  *uint32 `json:"profiles,omitempty"` // loaded; absent where only root may know
	Enforcing *uint32 `json:"enforcing,omitempty"`
}

// Audit is part of Security.
type Audit struct {
	Installed bool   `json:"installed"`
	Enabled   bool   `json:"enabled"` // starts with the system
	Rules     uint32 `json:"rules"`   // in the rule files
}

// Accounts is the section "accounts": who may exist on the device. Never a password or its hash.
type Accounts struct {
	Users     []Account         `json:"users" list:"1024"`
	Groups    []AccountGroup    `json:"groups" list:"1024"`
	LoginDefs map[string]string `json:"login_defs" list:"128"` // login.defs(5), keys in capitals
	Shadow    bool              `json:"shadow"`                // the password facts could be read
}

// Account is part of Accounts. Days count from 1970-01-01; -1 means that none is set.
type Account struct {
	Name         string `json:"name" max:"64"`
	UID          int64  `json:"uid"`
	GID          int64  `json:"gid"`
	FullName     string `json:"full_name,omitempty"`
	Home         string `json:"home" max:"1024"`
	HomeMode     string `json:"home_mode" max:"8"` // "0700"; "" no such directory
	HomeUID      int64  `json:"home_uid"`          // -1 no such directory
	Shell        string `json:"shell"`
	Password     string `json:"password" max:"16"` // "set", "locked", "empty", "none" (none ever set); "" not readable
	Hash         string `json:"hash" max:"16"`     // "yescrypt", "sha512", "sha256", "bcrypt", "md5", "des", "other"; "" none or not readable
	ChangedDay   int64  `json:"changed_day"`
	MinDays      int64  `json:"min_days"`
	MaxDays      int64  `json:"max_days"`
	WarnDays     int64  `json:"warn_days"`
	InactiveDays int64  `json:"inactive_days"`
	ExpiresDay   int64  `json:"expires_day"`
	Admin        bool   `json:"admin"`           // uid 0, or of a group that may do everything
	Person       bool   `json:"person"`          // not a service's: may sign in, and its number is a person's
	LastSignInUS int64  `json:"last_sign_in_us"` // 0 not seen
}

// AccountGroup is part of Accounts.
type AccountGroup struct {
	Name    string   `json:"name" max:"64"`
	GID     int64    `json:"gid"`
	Members []string `json:"members" max:"64" list:"256"`
}

// SSHD is the section "sshd": the configuration the server would take now.
type SSHD struct {
	Installed bool              `json:"installed"`
	Readable  bool              `json:"readable"`          // else Config is not to be relied on
	Config    map[string]string `json:"config" list:"128"` // lower-case key to effective value, defaults filled in; values of keys that may come often are joined by a space
}

// Sudo is the section "sudo".
type Sudo struct {
	Installed bool         `json:"installed"`
	Readable  bool         `json:"readable"` // only root may, as a rule
	Defaults  SudoDefaults `json:"defaults"`
	Rules     []SudoRule   `json:"rules" list:"256"`
}

// SudoDefaults is part of Sudo: those for everybody.
type SudoDefaults struct {
	UsePTY           bool     `json:"use_pty"`
	RequireTTY       bool     `json:"requiretty"`
	Logfile          string   `json:"logfile"`
	TimestampTimeout *float64 `json:"timestamp_timeout,omitempty"` // minutes; absent is the program's own 15
	PasswdTries      *uint32  `json:"passwd_tries,omitempty"`
	NoAuthenticate   bool     `json:"no_authenticate"` // !authenticate: nobody is asked for a password
	EnvReset         bool     `json:"env_reset"`
	SecurePath       string   `json:"secure_path" max:"1024"`
}

// SudoRule is part of Sudo: one line of who may do what.
type SudoRule struct {
	Who          string   `json:"who"` // "ana", "%sudo"
	Hosts        string   `json:"hosts"`
	RunAs        string   `json:"run_as"`
	NoPassword   bool     `json:"no_password"`
	Authenticate bool     `json:"authenticate"` // the opposite, as some rules read better
	Commands     []string `json:"commands" max:"512"`
	File         string   `json:"file" max:"1024"`
}

// PAM is the section "pam": what signing in asks for.
type PAM struct {
	Pwquality Pwquality `json:"pwquality"`
	Faillock  Faillock  `json:"faillock"`
	Pwhistory Pwhistory `json:"pwhistory"`
	Nullok    bool      `json:"nullok"`           // an empty password opens
	Modules   []string  `json:"modules" max:"64"` // of the stacks every service shares
}

// Pwquality is part of PAM; the numbers are in force where Enabled.
type Pwquality struct {
	Enabled        bool  `json:"enabled"`
	Minlen         int64 `json:"minlen"`
	Minclass       int64 `json:"minclass"`
	Maxrepeat      int64 `json:"maxrepeat"`
	Retry          int64 `json:"retry"`
	Dcredit        int64 `json:"dcredit"`
	Ucredit        int64 `json:"ucredit"`
	Lcredit        int64 `json:"lcredit"`
	Ocredit        int64 `json:"ocredit"`
	Dictcheck      bool  `json:"dictcheck"`
	Usercheck      bool  `json:"usercheck"`
	EnforceForRoot bool  `json:"enforce_for_root"`
}

// Faillock is part of PAM; the numbers are in force where Enabled. Seconds.
type Faillock struct {
	Enabled      bool  `json:"enabled"`
	Deny         int64 `json:"deny"`
	UnlockTime   int64 `json:"unlock_time"` // 0 only an admin unlocks
	FailInterval int64 `json:"fail_interval"`
	EvenDenyRoot bool  `json:"even_deny_root"`
}

// Pwhistory is part of PAM.
type Pwhistory struct {
	Enabled  bool  `json:"enabled"`
	Remember int64 `json:"remember"`
}

// FileFact is an entry of the section "files", by path: who may do what with it. A path that is
// not there has no entry.
type FileFact struct {
	Mode  string `json:"mode" max:"8"` // "0640": four octal digits, special bits first
	UID   int64  `json:"uid"`
	GID   int64  `json:"gid"`
	Owner string `json:"owner" max:"64"`
	Group string `json:"group" max:"64"`
}

// Firewall is the section "firewall".
type Firewall struct {
	Manager         string `json:"manager" max:"32"` // "ufw", "firewalld", "nftables", "iptables", "none"; "" could not be read
	Active          *bool  `json:"active,omitempty"`
	DefaultIncoming string `json:"default_incoming" max:"16"` // "deny", "allow"; "" unknown
	DefaultOutgoing string `json:"default_outgoing" max:"16"`
	Rules           uint32 `json:"rules"` // in force, of whoever made them
}

// Clock is the section "time".
type Clock struct {
	Synchronised *bool  `json:"synchronised,omitempty"` // the kernel's own word; absent unknown
	Service      string `json:"service" max:"64"`       // "systemd-timesyncd", "chrony", "ntpd"; "" none
}

// Journal is the section "journal".
type Journal struct {
	Storage string `json:"storage" max:"32"` // "persistent", "volatile", "auto", "none"; "" no journal
	Kept    bool   `json:"kept"`             // it is on disk: outlives a restart
	Syslog  string `json:"syslog" max:"64"`  // "rsyslog", "syslog-ng"; "" none
}

// Desktop is the section "desktop".
type Desktop struct {
	Manager        string     `json:"manager" max:"64"` // "gdm3", "lightdm", "sddm"; "" none
	Session        string     `json:"session" max:"64"` // "gnome", "xfce", "kde"; "" none
	Lock           ScreenLock `json:"lock"`
	Automount      *bool      `json:"automount,omitempty"`
	AutoLogin      string     `json:"autologin" max:"64"` // who is signed in without being asked; "" nobody
	Guest          bool       `json:"guest"`
	UserListHidden bool       `json:"user_list_hidden"`
}

// ScreenLock is part of Desktop: the system's setting, before a person's own where those are
// not locked.
type ScreenLock struct {
	Enabled      *bool  `json:"enabled,omitempty"`
	IdleSeconds  *int64 `json:"idle_seconds,omitempty"` // 0 never
	DelaySeconds *int64 `json:"delay_seconds,omitempty"`
	Enforced     bool   `json:"enforced"` // a person cannot change it
}

// Boot is the section "boot".
type Boot struct {
	EFI                bool  `json:"efi"`
	GRUBPassword       *bool `json:"grub_password,omitempty"` // absent where it could not be read
	SingleUserPassword *bool `json:"single_user_password,omitempty"`
}
