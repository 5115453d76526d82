package baseline_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/baseline"
	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/rule"
	"handrail/mdm/compliance"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// faults says, for each rule, what of testdata/good.json breaks it: a path of keys joined by
// "|" and the JSON to put there; numbers are places in a list. "software" and "device" are
// not of the inventory.
var faults = map[string]string{ //nolint:gochecknoglobals // a table
	"encryption-root":             `encryption|volumes|0|encrypted=false`,
	"encryption-data":             `encryption|volumes|2|encrypted=false`,
	"encryption-swap":             `encryption|swap|0|encrypted=false`,
	"updates-security":            `updates|pending|0|security=true`,
	"updates-lists-fresh":         `updates|package_lists_at_us=1790000000000000`,
	"updates-automatic":           `updates|unattended|security=false`,
	"updates-restarted":           `updates|reboot_required=true`,
	"updates-sources-signed":      `updates|unsigned_sources=["http://x"]`,
	"updates-release-supported":   `host|os_version_id="10"`,
	"firewall-on":                 `firewall|active=false`,
	"firewall-refuses":            `firewall|default_incoming="allow"`,
	"network-no-clear-text":       `listening|0|port=23`,
	"network-no-open-databases":   `listening|1|address="::"`,
	"network-no-old-servers":      `software|telnetd=["0.17"]`,
	"ssh-no-root-login":           `sshd|config|permitrootlogin="prohibit-password"`,
	"ssh-no-empty-passwords":      `sshd|config|permitemptypasswords="yes"`,
	"ssh-keys-only":               `sshd|config|passwordauthentication="yes"`,
	"ssh-max-auth-tries":          `sshd|config|maxauthtries="6"`,
	"ssh-no-x11":                  `sshd|config|x11forwarding="yes"`,
	"ssh-idle":                    `sshd|config|clientaliveinterval="0"`,
	"ssh-login-grace":             `sshd|config|logingracetime="120"`,
	"ssh-no-host-based":           `sshd|config|ignorerhosts="no"`,
	"ssh-no-user-environment":     `sshd|config|permituserenvironment="yes"`,
	"ssh-strong-ciphers":          `sshd|config|ciphers="aes256-gcm@openssh.com,aes128-cbc"`,
	"ssh-pam":                     `sshd|config|usepam="no"`,
	"ssh-host-keys":               `files|/etc/ssh/ssh_host_ed25519_key|mode="0644"`,
	"ssh-config-mode":             `files|/etc/ssh/sshd_config|mode="0664"`,
	"accounts-no-empty-password":  `accounts|users|2|password="empty"`,
	"accounts-only-root-is-root":  `accounts|users|2|uid=0`,
	"accounts-root-group":         `accounts|users|2|gid=0`,
	"accounts-unique-ids":         `accounts|users|2|uid=1`,
	"accounts-unique-names":       `accounts|users|2|name="daemon"`,
	"accounts-strong-hashes":      `accounts|users|2|hash="md5"`,
	"accounts-service-shells":     `accounts|users|1|shell="/bin/bash"`,
	"accounts-homes-private":      `accounts|users|2|home_mode="0755"`,
	"accounts-homes-owned":        `accounts|users|2|home_uid=1001`,
	"accounts-few-admins":         `accounts|users=[{"name":"a","admin":true,"person":true},{"name":"b","admin":true,"person":true},{"name":"c","admin":true,"person":true},{"name":"d","admin":true,"person":true}]`,
	"accounts-password-age":       `accounts|login_defs|PASS_MAX_DAYS="99999"`,
	"accounts-umask":              `accounts|login_defs|UMASK="022"`,
	"passcode-length":             `pam|pwquality|minlen=8`,
	"passcode-dictionary":         `pam|pwquality|dictcheck=false`,
	"passcode-lockout":            `pam|faillock|enabled=false`,
	"passcode-history":            `pam|pwhistory|remember=1`,
	"passcode-no-blank":           `pam|nullok=true`,
	"screen-lock":                 `desktop|lock|enabled=false`,
	"screen-lock-soon":            `desktop|lock|delay_seconds=3600`,
	"screen-lock-enforced":        `desktop|lock|enforced=false`,
	"desktop-no-autologin":        `desktop|autologin="ana"`,
	"desktop-no-guest":            `desktop|guest=true`,
	"desktop-no-automount":        `desktop|automount=true`,
	"sudo-asks":                   `sudo|rules|0|no_password=true`,
	"sudo-pty":                    `sudo|defaults|use_pty=false`,
	"sudo-log":                    `sudo|defaults|logfile=""`,
	"sudo-timeout":                `sudo|defaults|timestamp_timeout=-1`,
	"files-shadow":                `files|/etc/gshadow|mode="0644"`,
	"files-passwd":                `files|/etc/passwd|mode="0666"`,
	"files-sudoers":               `files|/etc/sudoers|uid=1000`,
	"files-sudoers-d":             `files|/etc/sudoers.d|mode="0777"`,
	"files-cron":                  `files|/etc/cron.d|mode="0775"`,
	"files-root-home":             `files|/root|mode="0755"`,
	"files-mounts":                `files|/etc/fstab|mode="0666"`,
	"files-shared-directories":    `files|/var/tmp|mode="0777"`,
	"files-boot-loader":           `files|/boot/grub/grub.cfg|mode="0644"`,
	"kernel-aslr":                 `sysctl|kernel.randomize_va_space="1"`,
	"kernel-dmesg-restrict":       `sysctl|kernel.dmesg_restrict="0"`,
	"kernel-kptr-restrict":        `sysctl|kernel.kptr_restrict="0"`,
	"kernel-bpf-restrict":         `sysctl|kernel.unprivileged_bpf_disabled="0"`,
	"kernel-ptrace-restrict":      `sysctl|kernel.yama.ptrace_scope="0"`,
	"kernel-no-setuid-dumps":      `sysctl|fs.suid_dumpable="1"`,
	"kernel-protected-links":      `sysctl|fs.protected_symlinks="0"`,
	"network-no-redirects":        `sysctl|net.ipv6.conf.default.accept_redirects="1"`,
	"network-no-source-route":     `sysctl|net.ipv4.conf.all.accept_source_route="1"`,
	"network-no-send-redirects":   `sysctl|net.ipv4.conf.all.send_redirects="1"`,
	"network-reverse-path":        `sysctl|net.ipv4.conf.all.rp_filter="0"`,
	"network-syncookies":          `sysctl|net.ipv4.tcp_syncookies="0"`,
	"network-no-forwarding":       `sysctl|net.ipv4.ip_forward="1"`,
	"network-no-broadcast-echo":   `sysctl|net.ipv4.icmp_echo_ignore_broadcasts="0"`,
	"apparmor-on":                 `security|apparmor|enabled=false`,
	"apparmor-enforces":           `security|apparmor|enforcing=0`,
	"secure-boot":                 `security|secure_boot=false`,
	"boot-rescue-password":        `boot|single_user_password=false`,
	"audit-on":                    `security|audit|enabled=false`,
	"audit-rules":                 `security|audit|rules=0`,
	"modules-no-rare-filesystems": `security|modules_blocked=["cramfs","usb-storage"]`,
	"usb-storage-blocked":         `security|modules_blocked=["cramfs","freevxfs","hfs","hfsplus","jffs2","udf"]`,
	"time-synchronised":           `time={"synchronised":false,"service":""}`,
	"journal-kept":                `journal|kept=false`,
	"certificates-valid":          `certificates|0|not_after_us=1795500000000000`,
	"device-seen":                 `device|last_seen_at=1790000000`,
	"disks-healthy":               `disks|0|health="failing"`,
	"disks-space":                 `filesystems|0|free_bytes=10`,
}

// now is the moment of testdata/good.json.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant, if there were such times

func good(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/good.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := rule.DecodeSection(data)
	if err != nil {
		t.Fatal(err)
	}
	return rule.Plain(v).(map[string]any) //nolint:forcetypeassert // the file is an object
}

func facts(inventory map[string]any) rule.Facts {
	return rule.Facts{
		Device:    rule.Device{ID: "dev_1", OS: "linux", LastSeenAt: now.Add(-time.Hour), EnrolledAt: now.AddDate(0, -1, 0)},
		Inventory: inventory, Software: func(string) []string { return nil }, Now: now,
	}
}

// breakIt applies an entry of faults.
func breakIt(t *testing.T, f *rule.Facts, fault string) {
	t.Helper()
	path, value, _ := strings.Cut(fault, "=")
	v, err := rule.DecodeSection([]byte(value))
	if err != nil {
		t.Fatalf("%s: %v", fault, err)
	}
	keys := strings.Split(path, "|")
	switch keys[0] {
	case "software":
		f.Software = func(name string) []string {
			if name == keys[1] {
				return []string{"1"}
			}
			return nil
		}
		return
	case "device":
		f.Device.LastSeenAt = time.Unix(1790000000, 0)
		return
	}
	var at any = f.Inventory
	for i, k := range keys {
		last := i == len(keys)-1
		switch c := at.(type) {
		case map[string]any:
			if _, ok := c[k]; !ok && k != "ciphers" {
				t.Fatalf("%s: there is no %s in good.json", fault, k)
			}
			if last {
				c[k] = v
			}
			at = c[k]
		case []any:
			n := int(k[0] - '0')
			if last {
				c[n] = v
			}
			at = c[n]
		}
	}
}

func verdictOf(t *testing.T, r compliance.Rule, f rule.Facts) compliance.Verdict {
	t.Helper()
	c, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	v, err := comply.Judge(t.Context(), c, r, f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRulesKnowGoodFromBad: each rule is met by a good workstation, broken by one fault with
// evidence of it, and says unknown for each section it needs that was not reported.
func TestRulesKnowGoodFromBad(t *testing.T) {
	c, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range baseline.Rules() {
		t.Run(r.ID, func(t *testing.T) {
			if v := verdictOf(t, r, facts(good(t))); v.State != compliance.Compliant {
				t.Errorf("a good workstation is %s: %s %s", v.State, v.Reason, v.Evidence)
			}
			fault, ok := faults[r.ID]
			if !ok {
				t.Fatal("no fault is known for it")
			}
			f := facts(good(t))
			breakIt(t, &f, fault)
			v := verdictOf(t, r, f)
			if v.State != compliance.NonCompliant {
				t.Errorf("with %s it is %s: %s", fault, v.State, v.Reason)
			}
			if !json.Valid(v.Evidence) || string(v.Evidence) == "{}" || string(v.Evidence) == "null" {
				t.Errorf("with %s the evidence is %s", fault, v.Evidence)
			}
			e, err := c.Compile(r.Expression)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range e.Reads().Sections {
				f := facts(good(t))
				delete(f.Inventory, s)
				if s == "software" {
					f.Software = nil
				}
				if v := verdictOf(t, r, f); v.State != compliance.Unknown || v.Reason == "" {
					t.Errorf("without %s it is %s %q", s, v.State, v.Reason)
				}
			}
			f = facts(map[string]any{})
			f.Software = nil
			if v := verdictOf(t, r, f); v.State != compliance.Unknown && r.ID != "device-seen" {
				t.Errorf("of a device that reported nothing it says %s", v.State)
			}
		})
	}
}

// TestRulesElsewhere: what is for Linux does not apply to others.
func TestRulesElsewhere(t *testing.T) {
	for _, r := range baseline.Rules() {
		f := facts(map[string]any{})
		f.Device.OS = "windows"
		v := verdictOf(t, r, f)
		if v.State != compliance.NotApplicable && !slices.Contains([]string{"device-seen", "disks-healthy"}, r.ID) {
			t.Errorf("%s on Windows is %s", r.ID, v.State)
		}
	}
}

// TestFixesAreSettings: what a click would make policy passes the catalogue.
func TestFixesAreSettings(t *testing.T) {
	fixes := 0
	for _, r := range baseline.Rules() {
		if r.Fix == nil {
			continue
		}
		fixes++
		if r.Fix.Setting == "" {
			continue
		}
		if _, problems := policy.Standard().Validate(manifest.ID(r.Fix.Setting), r.Fix.Value); len(problems) > 0 {
			t.Errorf("%s: %s: %v", r.ID, r.Fix.Setting, problems)
		}
	}
	t.Logf("%d rules are mended by a click", fixes)
}
