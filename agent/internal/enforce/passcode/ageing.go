package passcode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Ageing is the value of passcode.ageing; nil leaves the system's own.
type Ageing struct {
	MaxDays      *int `json:"max_days"`
	MinDays      *int `json:"min_days"`
	WarnDays     *int `json:"warn_days"`
	InactiveDays *int `json:"inactive_days"`
	Existing     bool `json:"apply_to_existing"`
}

const (
	loginDefs   = "/etc/login.defs"
	useradd     = "/etc/default/useradd"
	maxShadow   = 8 << 20 // bytes
	maxAccounts = 5000
)

// before is what was so before the setting came.
type before struct {
	Defaults map[string]string `json:"defaults"` // of new accounts, by key
	Accounts map[string]ages   `json:"accounts"`
}

// ages are an account's fields in /etc/shadow, as text: "" is unset.
type ages struct {
	Min      string `json:"min"`
	Max      string `json:"max"`
	Warn     string `json:"warn"`
	Inactive string `json:"inactive"`
}

// line is a key of a file of defaults.
type line struct{ file, key, separator, value string }

// all are the keys there are.
var all = []line{{loginDefs, "PASS_MAX_DAYS", "", ""}, {loginDefs, "PASS_MIN_DAYS", "", ""}, {loginDefs, "PASS_WARN_AGE", "", ""}, {useradd, "INACTIVE", "", ""}}

// editAll sets the lines and puts back what the others were.
func (a Ageing) editAll(sys *enforce.System, lines []line) error {
	var errs error
	for _, l := range all {
		i := slices.IndexFunc(lines, func(w line) bool { return w.key == l.key })
		if i >= 0 {
			l = lines[i]
		}
		errs = errors.Join(errs, edit(sys, l, i >= 0))
	}
	return errs
}

// lines are the defaults for new accounts, as they must be.
func (a Ageing) lines() []line {
	var out []line
	add := func(file, key, separator string, n *int) {
		if n != nil {
			out = append(out, line{file, key, separator, strconv.Itoa(*n)})
		}
	}
	add(loginDefs, "PASS_MAX_DAYS", "\t", a.MaxDays)
	add(loginDefs, "PASS_MIN_DAYS", "\t", a.MinDays)
	add(loginDefs, "PASS_WARN_AGE", "\t", a.WarnDays)
	add(useradd, "INACTIVE", "=", a.InactiveDays)
	return out
}

func (a Ageing) plan(_ context.Context, sys *enforce.System, _ manifest.ID) (enforce.Plan, error) {
	for name, n := range map[string]*int{"max_days": a.MaxDays, "min_days": a.MinDays, "warn_days": a.WarnDays} {
		if n != nil && (*n < 0 || *n > 99999) {
			return enforce.Plan{}, fmt.Errorf("%s is %d, must be 0 to 99999", name, *n)
		}
	}
	if a.InactiveDays != nil && (*a.InactiveDays < -1 || *a.InactiveDays > 99999) {
		return enforce.Plan{}, fmt.Errorf("inactive_days is %d, must be -1 to 99999", *a.InactiveDays)
	}
	if a.MaxDays != nil && a.MinDays != nil && *a.MinDays >= *a.MaxDays {
		return enforce.Plan{}, errors.New("min_days is not under max_days: nobody could change a password in time")
	}
	if !sys.Exists(loginDefs) {
		return enforce.Plan{}, enforce.NotApplicable("the device has no %s", loginDefs)
	}
	if _, err := sys.Tool("chage", "passwd"); err != nil {
		return enforce.Plan{}, err
	}
	was := before{Defaults: map[string]string{}, Accounts: map[string]ages{}}
	for _, l := range all {
		text, err := sys.ReadFile(l.file, maxPAM)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return enforce.Plan{}, err
		}
		was.Defaults[l.key] = value(string(text), l.key)
	}
	accounts, err := people(sys)
	if err != nil && a.Existing {
		return enforce.Plan{}, err
	}
	was.Accounts = accounts
	return enforce.Plan{Before: was, Confirm: true}, nil
}

// isKey reports whether a line of a file of defaults sets a key.
func isKey(text, key string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), key)
	return ok && rest != "" && strings.ContainsAny(rest[:1], " \t=")
}

// value is what a file of defaults says of a key; the last line counts.
func value(text, key string) string {
	v := ""
	for l := range strings.Lines(text) {
		if isKey(l, key) {
			v = strings.Trim(strings.TrimSpace(l)[len(key):], " \t=\"'")
		}
	}
	return v
}

// The comment above a line of ours keeps what was there, in the file itself: other lines
// of it are other people's, and change meanwhile.
const (
	wasLine = "# Managed by Handrail. Before, the next line was: "
	wasNone = "# Managed by Handrail. Before, there was no line for "
)

// edit makes the line of a file that sets a key be l's; keep false puts back what was there
// before the first time.
func edit(sys *enforce.System, l line, keep bool) error {
	b, err := sys.ReadFile(l.file, maxPAM)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var out []string
	at, was, noted := -1, "", false
	for text := range strings.Lines(string(b)) {
		old, isWas := strings.CutPrefix(text, wasLine)
		switch {
		case isWas && isKey(old, l.key):
			at, was, noted = len(out), old, true
		case strings.TrimSpace(text) == wasNone+l.key:
			at, was, noted = len(out), "", true
		case isKey(text, l.key):
			if at < 0 {
				at = len(out)
			}
			if !noted {
				was = text
			}
		default:
			out = append(out, text)
		}
	}
	if !keep && !noted {
		return nil // not ours
	}
	if at < 0 {
		at = len(out)
	}
	if at > 0 && !strings.HasSuffix(out[at-1], "\n") {
		out[at-1] += "\n"
	}
	ours := []string{was}
	if keep {
		ours = []string{wasNone + l.key + "\n", l.key + l.separator + l.value + "\n"}
		if was != "" {
			ours[0] = wasLine + strings.TrimRight(was, "\n") + "\n"
		}
	}
	text := strings.Join(slices.Insert(out, at, ours...), "")
	if text == string(b) {
		return nil
	}
	f := enforce.File{Path: l.file, Content: []byte(text)}
	if info, err := os.Stat(sys.Abs(l.file)); err == nil {
		f.Mode = info.Mode().Perm()
	}
	return sys.Put(f)
}

func (a Ageing) apply(ctx context.Context, sys *enforce.System) error {
	if err := a.editAll(sys, a.lines()); err != nil {
		return err
	}
	if !a.Existing {
		return nil
	}
	accounts, err := people(sys)
	if err != nil {
		return err
	}
	want := a.ages()
	for _, name := range sorted(accounts) {
		if now := accounts[name]; now.with(want) != now {
			if err := chage(ctx, sys, name, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// ages are the fields that the setting is about.
func (a Ageing) ages() ages {
	text := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	return ages{text(a.MinDays), text(a.MaxDays), text(a.WarnDays), text(a.InactiveDays)}
}

// with is a with the fields of b that are set. -1 is how chage unsets one.
func (a ages) with(b ages) ages {
	set := func(into *string, v string) {
		if v == "-1" {
			*into = ""
		} else if v != "" {
			*into = v
		}
	}
	set(&a.Min, b.Min)
	set(&a.Max, b.Max)
	set(&a.Warn, b.Warn)
	set(&a.Inactive, b.Inactive)
	return a
}

// chage gives an account ages; fields that are "" stay.
func chage(ctx context.Context, sys *enforce.System, name string, a ages) error {
	tool, err := sys.Tool("chage", "passwd")
	if err != nil {
		return err
	}
	var args []string
	if !sys.Live() {
		args = append(args, "-R", sys.Abs("/"))
	}
	for _, f := range [][2]string{{"-m", a.Min}, {"-M", a.Max}, {"-W", a.Warn}, {"-I", a.Inactive}} {
		if f[1] != "" {
			args = append(args, f[0], f[1])
		}
	}
	_, err = sys.Run(ctx, enforce.Program{Path: tool, Args: append(args, "--", name)})
	return err
}

// people are the accounts of people that sign in with a password, and their ages.
func people(sys *enforce.System) (map[string]ages, error) {
	defs, err := sys.ReadFile(loginDefs, maxPAM)
	if err != nil {
		return nil, err
	}
	bound := func(key string, otherwise int) int {
		if n, err := strconv.Atoi(value(string(defs), key)); err == nil {
			return n
		}
		return otherwise
	}
	least, most := bound("UID_MIN", 1000), bound("UID_MAX", 60000)
	passwd, err := sys.ReadFile("/etc/passwd", maxShadow)
	if err != nil {
		return nil, err
	}
	shadow, err := sys.ReadFile("/etc/shadow", maxShadow)
	if err != nil {
		return nil, err
	}
	person := map[string]bool{}
	for l := range strings.Lines(string(passwd)) {
		f := strings.Split(strings.TrimSpace(l), ":")
		if len(f) < 7 {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && uid >= least && uid <= most {
			person[f[0]] = true
		}
	}
	out := map[string]ages{}
	for l := range strings.Lines(string(shadow)) {
		f := strings.Split(strings.TrimSpace(l), ":")
		if len(f) < 7 || !person[f[0]] || f[1] == "" || strings.ContainsAny(f[1][:1], "!*") || strings.HasPrefix(f[0], "-") {
			continue
		}
		if out[f[0]] = (ages{f[3], f[4], f[5], f[6]}); len(out) > maxAccounts {
			return nil, fmt.Errorf("more than %d accounts have a password on the device", maxAccounts)
		}
	}
	return out, nil
}

func sorted(m map[string]ages) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Ages is what new accounts get, and how many of those there are comply.
type Ages struct {
	MaxDays      string   `json:"max_days"`
	MinDays      string   `json:"min_days"`
	WarnDays     string   `json:"warn_days"`
	InactiveDays string   `json:"inactive_days,omitempty"`
	Accounts     int      `json:"accounts,omitempty"` // of people with a password, looked at
	Other        []string `json:"other,omitempty"`    // of these, those that are not so
}

func (a Ageing) observe(ctx context.Context, sys *enforce.System) (any, error) {
	defs, err := sys.ReadFile(loginDefs, maxPAM)
	if err != nil {
		return nil, err
	}
	seen := Ages{MaxDays: value(string(defs), "PASS_MAX_DAYS"), MinDays: value(string(defs), "PASS_MIN_DAYS"), WarnDays: value(string(defs), "PASS_WARN_AGE")}
	if b, err := sys.ReadFile(useradd, maxPAM); err == nil {
		seen.InactiveDays = value(string(b), "INACTIVE")
	}
	want := a.ages()
	for _, f := range [][3]string{{"max_days", seen.MaxDays, want.Max}, {"min_days", seen.MinDays, want.Min}, {"warn_days", seen.WarnDays, want.Warn}, {"inactive_days", seen.InactiveDays, want.Inactive}} {
		if f[2] != "" && f[1] != f[2] {
			err = errors.Join(err, fmt.Errorf("%s for new accounts is %q, must be %s", f[0], f[1], f[2]))
		}
	}
	if err != nil || !a.Existing {
		return seen, err
	}
	accounts, err := people(sys)
	if err != nil {
		return seen, err
	}
	for _, name := range sorted(accounts) {
		seen.Accounts++
		same, err := told(ctx, sys, name, want)
		if err != nil {
			return seen, err
		}
		if !same && len(seen.Other) < 20 {
			seen.Other = append(seen.Other, name)
		}
	}
	if len(seen.Other) > 0 {
		return seen, fmt.Errorf("passwords of %s end otherwise", strings.Join(seen.Other, ", "))
	}
	return seen, nil
}

// told asks chage whether an account's password ends as it must.
func told(ctx context.Context, sys *enforce.System, name string, want ages) (bool, error) {
	tool, err := sys.Tool("chage", "passwd")
	if err != nil {
		return false, err
	}
	args := []string{"-l", "--", name}
	if !sys.Live() {
		args = append([]string{"-R", sys.Abs("/")}, args...)
	}
	r, err := sys.Run(ctx, enforce.Program{Path: tool, Args: args})
	if err != nil {
		return false, err
	}
	says := map[string]string{}
	for l := range strings.Lines(r.Out) {
		k, v, _ := strings.Cut(l, ":")
		says[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	for k, v := range map[string]string{
		"Minimum number of days between password change": want.Min, "Maximum number of days between password change": want.Max,
		"Number of days of warning before password expires": want.Warn,
	} {
		if v != "" && says[k] != v {
			return false, nil
		}
	}
	if want.Inactive == "" {
		return true, nil
	}
	accounts, err := people(sys) // chage says a date here, which depends on the last change
	return err == nil && accounts[name].with(ages{Inactive: want.Inactive}) == accounts[name], err
}

func (a Ageing) remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	var was before
	if len(r.Before) == 0 {
		return nil // it was never applied
	}
	if err := json.Unmarshal(r.Before, &was); err != nil {
		return fmt.Errorf("what was before: %w", err)
	}
	errs := a.editAll(sys, nil)
	if !a.Existing || errs != nil {
		return errs
	}
	accounts, err := people(sys)
	if err != nil {
		return err
	}
	want := a.ages()
	for _, name := range sorted(accounts) {
		old, known := was.Accounts[name]
		if !known { // made meanwhile: as new accounts are now
			old = ages{was.Defaults["PASS_MIN_DAYS"], was.Defaults["PASS_MAX_DAYS"], was.Defaults["PASS_WARN_AGE"], was.Defaults["INACTIVE"]}
		}
		back := ages{}
		for _, f := range []struct {
			into      *string
			want, old string
		}{{&back.Min, want.Min, old.Min}, {&back.Max, want.Max, old.Max}, {&back.Warn, want.Warn, old.Warn}, {&back.Inactive, want.Inactive, old.Inactive}} {
			if f.want == "" {
				continue // not ours
			}
			if *f.into = f.old; f.old == "" {
				*f.into = "-1"
			}
		}
		if accounts[name].with(back) != accounts[name] {
			errs = errors.Join(errs, chage(ctx, sys, name, back))
		}
	}
	return errs
}
