package desktop

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Lock is the value of screen.lock.
type Lock struct {
	Enabled          *bool `json:"enabled"`
	IdleSeconds      *int  `json:"idle_seconds"`
	LockDelaySeconds *int  `json:"lock_delay_seconds"`
	LockOnSuspend    *bool `json:"lock_on_suspend"`
}

// Restrictions is the value of desktop.restrictions.
type Restrictions struct {
	CommandLine   *bool   `json:"lock_down_command_line"`
	UserSwitching *bool   `json:"disable_user_switching"`
	Printing      *bool   `json:"disable_printing"`
	PrintSetup    *bool   `json:"disable_print_setup"`
	SaveToDisk    *bool   `json:"disable_save_to_disk"`
	Automount     *bool   `json:"disable_automount"`
	Autorun       *bool   `json:"disable_autorun"`
	Handlers      *bool   `json:"disable_application_handlers"`
	HideUserList  *bool   `json:"hide_user_list"`
	BannerText    *string `json:"banner_text"`
}

// entry is one key of dconf as it must be.
type entry struct {
	path   string // without the first slash
	value  string // in GVariant's text form
	locked bool
}

// family is a desktop that keeps its settings in dconf, and where.
type family struct {
	program string // whose presence says that the desktop is on the device
	prefix  string
}

var families = []family{
	{"/usr/bin/gnome-shell", "org/gnome"},
	{"/usr/bin/cinnamon", "org/cinnamon"},
	{"/usr/bin/mate-session", "org/mate"},
}

// present are the desktops on the device. Budgie keeps GNOME's keys.
func present(sys *enforce.System) []family {
	var out []family
	for _, f := range families {
		if sys.Exists(f.program) || (f.prefix == "org/gnome" && sys.Exists("/usr/bin/budgie-wm")) {
			out = append(out, f)
		}
	}
	return out
}

func flag(b bool) string   { return strconv.FormatBool(b) }
func seconds(n int) string { return "uint32 " + strconv.Itoa(n) }
func minutes(n int) string { return strconv.Itoa(max(1, n/60)) }
func isTrue(b *bool) bool  { return b != nil && *b }
func inRange(n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("%d seconds is not within 0 and %d", n, most)
	}
	return nil
}

// keys are the keys of a family for a lock, all locked.
func (l Lock) keys(f family) ([]entry, error) {
	var out []entry
	put := func(path, value string) { out = append(out, entry{f.prefix + path, value, true}) }
	saver, session := "/desktop/screensaver/", "/desktop/session/"
	if f.prefix == "org/mate" {
		saver = "/screensaver/"
	}
	if l.Enabled != nil {
		put(saver+"lock-enabled", flag(*l.Enabled))
		if f.prefix != "org/cinnamon" {
			put(saver+"idle-activation-enabled", flag(*l.Enabled))
		}
		put("/desktop/lockdown/disable-lock-screen", flag(!*l.Enabled))
	}
	if l.IdleSeconds != nil {
		if err := inRange(*l.IdleSeconds, 86400); err != nil {
			return nil, fmt.Errorf("idle_seconds: %w", err)
		}
		if f.prefix == "org/mate" {
			put(session+"idle-delay", minutes(*l.IdleSeconds))
		} else {
			put(session+"idle-delay", seconds(*l.IdleSeconds))
		}
	}
	if l.LockDelaySeconds != nil {
		if err := inRange(*l.LockDelaySeconds, 86400); err != nil {
			return nil, fmt.Errorf("lock_delay_seconds: %w", err)
		}
		if f.prefix == "org/mate" {
			put(saver+"lock-delay", strconv.Itoa(*l.LockDelaySeconds/60))
		} else {
			put(saver+"lock-delay", seconds(*l.LockDelaySeconds))
		}
	}
	if l.LockOnSuspend != nil {
		switch f.prefix {
		case "org/gnome": // GNOME itself follows lock-enabled; Ubuntu has a key of its own
			put(saver+"ubuntu-lock-on-suspend", flag(*l.LockOnSuspend))
		case "org/cinnamon":
			put("/settings-daemon/plugins/power/lock-on-suspend", flag(*l.LockOnSuspend))
		case "org/mate":
			put("/power-manager/lock-suspend", flag(*l.LockOnSuspend))
		}
	}
	return out, nil
}

// keys are the keys of a family for restrictions. What is restricted is locked; what is
// explicitly not is only the default, which people may make stricter.
func (r Restrictions) keys(f family) []entry {
	var out []entry
	put := func(b *bool, path string, inverted bool) {
		if b != nil {
			out = append(out, entry{f.prefix + path, flag(*b != inverted), *b})
		}
	}
	const down, media = "/desktop/lockdown/", "/desktop/media-handling/"
	put(r.CommandLine, down+"disable-command-line", false)
	put(r.UserSwitching, down+"disable-user-switching", false)
	put(r.Printing, down+"disable-printing", false)
	put(r.PrintSetup, down+"disable-print-setup", false)
	put(r.SaveToDisk, down+"disable-save-to-disk", false)
	put(r.Handlers, down+"disable-application-handlers", false)
	put(r.Automount, media+"automount", true)
	put(r.Automount, media+"automount-open", true)
	put(r.Autorun, media+"autorun-never", false)
	return out
}

// greeter are the keys of GDM's sign-in screen.
func (r Restrictions) greeter() []entry {
	var out []entry
	if r.HideUserList != nil {
		out = append(out, entry{"org/gnome/login-screen/disable-user-list", flag(*r.HideUserList), isTrue(r.HideUserList)})
	}
	if r.BannerText != nil {
		out = append(out,
			entry{"org/gnome/login-screen/banner-message-enable", flag(*r.BannerText != ""), true},
			entry{"org/gnome/login-screen/banner-message-text", quote(*r.BannerText), true})
	}
	return out
}

// quote writes a text as GVariant reads it, on one line whatever it holds.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range strings.ToValidUTF8(s, string(utf8.RuneError)) {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + "'"
}

// keyfile writes entries in dconf's form, and the list of those that are locked.
func keyfile(id manifest.ID, entries []entry) (values, locks []byte) {
	var v, l strings.Builder
	fmt.Fprintf(&v, "# %s\n", enforce.Marker(id))
	fmt.Fprintf(&l, "# %s\n", enforce.Marker(id))
	at := ""
	for _, e := range entries {
		i := strings.LastIndexByte(e.path, '/')
		if dir := e.path[:i]; dir != at {
			at = dir
			fmt.Fprintf(&v, "\n[%s]\n", dir)
		}
		fmt.Fprintf(&v, "%s=%s\n", e.path[i+1:], e.value)
		if e.locked {
			fmt.Fprintf(&l, "/%s\n", e.path)
		}
	}
	return []byte(v.String()), []byte(l.String())
}
