// Package desktop locks settings of the desktops that keep theirs in dconf (GNOME, Budgie,
// Cinnamon, MATE): the screen lock, and what people cannot do. Keys and their locks are in a database
// of our own, which a line at the end of dconf's profile adds; of two databases that lock a
// key the last one wins. dconf itself judges, and reads back.
package desktop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Keys of the catalogue that are enforced here.
const (
	KeyLock         = "screen.lock"
	KeyRestrictions = "desktop.restrictions"
)

const (
	databases  = "/etc/dconf/db"
	profiles   = "/etc/dconf/profile"
	pkg        = "dconf-cli"
	maxProfile = 64 << 10
)

// layer is a database of ours and the profile it is added to.
type layer struct{ database, profile string }

var (
	people  = layer{"handrail", "user"}
	greeter = layer{"handrail-greeter", "gdm"}
)

// Enforcer enforces the screen lock and restrictions of desktops.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys are screen.lock and desktop.restrictions.
func (*Enforcer) Keys() []string { return []string{KeyLock, KeyRestrictions} }

// Watch notices changes of dconf's profiles and of the databases that dconf makes.
func (*Enforcer) Watch(ctx context.Context, sys *enforce.System, changed func()) error {
	return enforce.WatchPaths(ctx, sys, changed, people.path(), greeter.path(), path.Join(databases, people.database), path.Join(databases, greeter.database))
}

// wanted is what a setting becomes on this device.
type wanted struct {
	people, greeter []entry
	skipped         []string // fields there is nothing on the device for
}

func want(sys *enforce.System, s manifest.Setting) (wanted, error) {
	var w wanted
	families := present(sys)
	none := enforce.NotApplicable("no desktop that keeps its settings in dconf is on the device (GNOME, Budgie, Cinnamon, MATE)")
	switch s.ID.Key() {
	case KeyLock:
		v, err := enforce.Decode[Lock](s)
		if err != nil {
			return w, err
		}
		if len(families) == 0 {
			return w, none
		}
		for _, f := range families {
			keys, err := v.keys(f)
			if err != nil {
				return w, err
			}
			w.people = append(w.people, keys...)
		}
	case KeyRestrictions:
		v, err := enforce.Decode[Restrictions](s)
		if err != nil {
			return w, err
		}
		for _, f := range families {
			w.people = append(w.people, v.keys(f)...)
		}
		if w.greeter = v.greeter(); len(w.greeter) > 0 && !hasGDM(sys) {
			w.greeter = nil
			if v.HideUserList != nil {
				w.skipped = append(w.skipped, "hide_user_list")
			}
			if v.BannerText != nil {
				w.skipped = append(w.skipped, "banner_text")
			}
		}
		switch {
		case len(families) == 0 && len(w.greeter) == 0:
			return w, none
		case len(w.people)+len(w.greeter) == 0 && len(w.skipped) > 0:
			return w, enforce.NotApplicable("the sign-in screen is not GDM's")
		}
	default:
		return w, fmt.Errorf("%s is not a setting of desktops", s.ID)
	}
	return w, nil
}

func hasGDM(sys *enforce.System) bool {
	return sys.Exists("/usr/sbin/gdm3") || sys.Exists("/usr/sbin/gdm")
}

// share is what goes to one layer.
type share struct {
	layer
	entries []entry
}

func (w wanted) shares() []share {
	var out []share
	if len(w.people) > 0 {
		out = append(out, share{people, w.people})
	}
	if len(w.greeter) > 0 {
		out = append(out, share{greeter, w.greeter})
	}
	return out
}

func fileName(id manifest.ID) string     { return strings.ReplaceAll(string(id), ".", "-") }
func (l layer) dir() string              { return path.Join(databases, l.database+".d") }
func (l layer) at(id manifest.ID) string { return path.Join(l.dir(), fileName(id)) }
func (l layer) locks(id manifest.ID) string {
	return path.Join(l.dir(), "locks", fileName(id))
}

// Plan writes a key file and a list of locks for each database.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	w, err := want(sys, s)
	if err != nil {
		return enforce.Plan{}, err
	}
	var p enforce.Plan
	for _, l := range w.shares() {
		values, locks := keyfile(s.ID, l.entries)
		p.Files = append(p.Files, enforce.File{Path: l.at(s.ID), Content: values}, enforce.File{Path: l.locks(s.ID), Content: locks})
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		dconf, err := sys.Tool("dconf", pkg)
		if err != nil {
			return err
		}
		for _, l := range w.shares() {
			out := filepath.Join(staged.Dir(), l.database+".compiled")
			if _, err := sys.Run(ctx, enforce.Program{Path: dconf, Args: []string{"compile", out, staged.Path(l.dir())}}); err != nil {
				return fmt.Errorf("dconf does not accept the keys: %w", err)
			}
		}
		return nil
	}
	return p, nil
}

// Apply compiles the databases and adds them to dconf's profiles.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	w, err := want(sys, s)
	if err != nil {
		return err
	}
	if err := update(ctx, sys); err != nil {
		return err
	}
	for _, l := range w.shares() {
		if err := l.join(sys); err != nil {
			return err
		}
	}
	return tidy(sys)
}

// Remove compiles what is left, and takes databases that hold nothing any more out of the
// profiles.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, _ enforce.Removal) error {
	var err error
	if sys.Exists(people.dir()) || sys.Exists(greeter.dir()) {
		err = update(ctx, sys)
	}
	return errors.Join(err, tidy(sys))
}

func update(ctx context.Context, sys *enforce.System) error {
	dconf, err := sys.Tool("dconf", pkg)
	if err == nil {
		_, err = sys.Run(ctx, enforce.Program{Path: dconf, Args: []string{"update", sys.Abs(databases)}})
	}
	return err
}

// tidy takes away what is ours of databases without keys.
func tidy(sys *enforce.System) error {
	for _, l := range []layer{people, greeter} {
		entries, err := os.ReadDir(sys.Abs(l.dir()))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		holds := false
		for _, e := range entries {
			holds = holds || !e.IsDir()
		}
		if holds {
			continue
		}
		os.Remove(sys.Abs(path.Join(l.dir(), "locks"))) // both stay where others are in them
		os.Remove(sys.Abs(l.dir()))
		if err := l.leave(sys); err != nil {
			return err
		}
		if sys.Exists(path.Join(databases, l.database)) {
			if err := sys.Put(enforce.File{Path: path.Join(databases, l.database), Absent: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// madeHere begins a profile that was not there before.
const madeHere = "# Managed by Handrail (dconf's profile with a database of its own). Changes here are undone.\n"

// shipped is the profile dconf takes where /etc has none.
func (l layer) shipped(sys *enforce.System) string {
	for _, dir := range []string{"/usr/local/share", "/usr/share"} {
		if b, err := sys.ReadFile(path.Join(dir, "dconf/profile", l.profile), maxProfile); err == nil {
			return string(b)
		}
	}
	return "user-db:user\n"
}

func (l layer) path() string { return path.Join(profiles, l.profile) }
func (l layer) line() string { return "system-db:" + l.database }

// profile returns the profile in /etc, or else the one dconf takes instead.
func (l layer) read(sys *enforce.System) (text string, there bool, err error) {
	b, err := sys.ReadFile(l.path(), maxProfile)
	switch {
	case err == nil:
		return string(b), true, nil
	case errors.Is(err, os.ErrNotExist):
		return l.shipped(sys), false, nil
	}
	return "", false, err
}

// joined reports whether the database is the profile's last.
func (l layer) joined(text string) bool {
	lines := strings.Split(strings.TrimRight(text, "\n "), "\n")
	return strings.TrimSpace(lines[len(lines)-1]) == l.line()
}

// without is a profile without the database.
func (l layer) without(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != l.line() {
			b.WriteString(line)
		}
	}
	return b.String()
}

// join adds the database at the profile's end.
func (l layer) join(sys *enforce.System) error {
	text, there, err := l.read(sys)
	if err != nil || (there && l.joined(text)) {
		return err
	}
	if !there {
		text = madeHere + text
	}
	text = strings.TrimRight(l.without(text), "\n") + "\n" + l.line() + "\n"
	return sys.Put(enforce.File{Path: l.path(), Content: []byte(text)})
}

// leave takes the database out of the profile, and a profile away that is ours alone.
func (l layer) leave(sys *enforce.System) error {
	text, there, err := l.read(sys)
	if err != nil || !there || !strings.Contains(text, l.line()) {
		return err
	}
	text = l.without(text)
	if rest, ours := strings.CutPrefix(text, madeHere); ours && strings.TrimSpace(rest) == strings.TrimSpace(l.shipped(sys)) {
		if err := sys.Put(enforce.File{Path: l.path(), Absent: true}); err != nil {
			return err
		}
		os.Remove(sys.Abs(profiles)) // stays where others are in it
		return nil
	}
	return sys.Put(enforce.File{Path: l.path(), Content: []byte(text)})
}

// Observed is what dconf says, by key.
type Observed struct {
	Keys    map[string]Key `json:"keys"`
	Skipped []string       `json:"not_on_this_device,omitempty"` // fields there is nothing on the device for
}

// Key is a key's effective value and whether people can change it.
type Key struct {
	Value  string `json:"value"`
	Locked bool   `json:"locked"`
}

// Observe reads each key through dconf with the profile as it is, and tries whether it can be
// written.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	w, err := want(sys, s)
	if err != nil {
		return nil, err
	}
	dconf, err := sys.Tool("dconf", pkg)
	if err != nil {
		return nil, err
	}
	seen := Observed{Keys: map[string]Key{}, Skipped: w.skipped}
	var wrong []string
	for _, l := range w.shares() {
		text, _, err := l.read(sys)
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "handrail-dconf-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		profile := filepath.Join(dir, "profile")
		if err := os.WriteFile(profile, []byte(rooted(sys, text)), 0o600); err != nil {
			return nil, err
		}
		for _, e := range l.entries {
			k, err := ask(ctx, sys, dconf, profile, e)
			if err != nil {
				return nil, err
			}
			seen.Keys[e.path] = k
			if !same(k.Value, e.value) || (e.locked && !k.Locked) {
				wrong = append(wrong, fmt.Sprintf("%s is %s (locked: %t)", e.path, k.Value, k.Locked))
			}
		}
	}
	if len(wrong) > 0 {
		return seen, errors.New(strings.Join(wrong, "; "))
	}
	return seen, nil
}

// rooted names the databases of a profile by their files, where the tree is not the system's.
func rooted(sys *enforce.System, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "system-db:"); ok {
			line = "file-db:" + sys.Abs(path.Join(databases, name)) + "\n"
		} else if file, ok := strings.CutPrefix(strings.TrimSpace(line), "file-db:"); ok {
			line = "file-db:" + sys.Abs(file) + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// ask reads a key, and whether it is locked: dconf refuses to write those before it calls
// anybody, and there is nobody it could call.
func ask(ctx context.Context, sys *enforce.System, dconf, profile string, e entry) (Key, error) {
	env := []string{"DCONF_PROFILE=" + profile, "DBUS_SESSION_BUS_ADDRESS=unix:path=" + profile + ".none", "XDG_RUNTIME_DIR=" + filepath.Dir(profile), "XDG_CONFIG_HOME=" + filepath.Dir(profile)}
	r, err := sys.Run(ctx, enforce.Program{Path: dconf, Args: []string{"read", "/" + e.path}, Env: env})
	if err != nil {
		return Key{}, err
	}
	k := Key{Value: strings.TrimSpace(r.Out)}
	r, err = sys.Run(ctx, enforce.Program{Path: dconf, Args: []string{"write", "/" + e.path, e.value}, Env: env})
	k.Locked = err != nil && strings.Contains(r.Err, "non-writable")
	return k, nil
}

// same compares values in GVariant's text form, which may quote a text either way.
func same(a, b string) bool {
	return a == b || plain(a) == plain(b)
}

// plain is a text value without its quotes and escapes; other values stay.
func plain(v string) string {
	if len(v) < 2 || v[0] != v[len(v)-1] || (v[0] != '\'' && v[0] != '"') {
		return v
	}
	v = v[1 : len(v)-1]
	v = strings.ReplaceAll(v, `\'`, `'`)
	var out string
	if json.Unmarshal([]byte(`"`+strings.ReplaceAll(strings.ReplaceAll(v, `\"`, `"`), `"`, `\"`)+`"`), &out) == nil {
		return out
	}
	return v
}
