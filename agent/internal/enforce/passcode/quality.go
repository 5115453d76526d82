package passcode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/overlay"
	"handrail/mdm/manifest"
)

// Quality is the value of passcode.quality; nil leaves the system's own.
type Quality struct {
	MinLength       *int  `json:"min_length"`
	MinClasses      *int  `json:"min_classes"`
	MaxRepeat       *int  `json:"max_repeat"`
	RejectUsername  *bool `json:"reject_username"`
	DictionaryCheck *bool `json:"dictionary_check"`
	History         *int  `json:"history"`
	EnforceRoot     *bool `json:"enforce_root"`
}

const (
	securityDir    = "/etc/security"
	qualityConf    = securityDir + "/pwquality.conf.d/90-handrail.conf"
	qualityProfile = "handrail-quality"
)

// conf is libpwquality's file.
func (q Quality) conf(id manifest.ID) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", enforce.Marker(id))
	number := func(key string, n *int) {
		if n != nil {
			fmt.Fprintf(&b, "%s = %d\n", key, *n)
		}
	}
	flag := func(key string, f *bool) {
		if f != nil {
			fmt.Fprintf(&b, "%s = %d\n", key, map[bool]int{true: 1}[*f])
		}
	}
	number("minlen", q.MinLength)
	number("minclass", q.MinClasses)
	number("maxrepeat", q.MaxRepeat)
	flag("usercheck", q.RejectUsername)
	flag("dictcheck", q.DictionaryCheck)
	if q.EnforceRoot != nil && *q.EnforceRoot {
		b.WriteString("enforce_for_root\n")
	}
	return []byte(b.String())
}

func (q Quality) check() error {
	for _, f := range []struct {
		name        string
		n           *int
		least, most int
	}{{"min_length", q.MinLength, 6, 128}, {"min_classes", q.MinClasses, 0, 4}, {"max_repeat", q.MaxRepeat, 0, 128}, {"history", q.History, 0, 400}} {
		if f.n != nil && (*f.n < f.least || *f.n > f.most) {
			return fmt.Errorf("%s is %d, must be %d to %d", f.name, *f.n, f.least, f.most)
		}
	}
	return nil
}

func (q Quality) remembers() bool { return q.History != nil && *q.History > 0 }

// usesQuality reports whether the profile that libpam-pwquality brings is in use.
func usesQuality(sys *enforce.System) bool {
	b, err := sys.ReadFile(pamState+"/password", maxPAM)
	return err == nil && strings.Contains("\n"+string(b), "\nModule: pwquality\n")
}

// profile is pam-auth-update's, for what the package's own does not do; nil where that does
// all.
func (q Quality) profile(sys *enforce.System) []byte {
	lines := func(initial bool) string {
		var b strings.Builder
		if !usesQuality(sys) {
			b.WriteString("\trequisite\tpam_pwquality.so retry=3\n")
			initial = false
		}
		if q.remembers() {
			fmt.Fprintf(&b, "\trequisite\tpam_pwhistory.so remember=%d", *q.History)
			if !initial {
				b.WriteString(" use_authtok")
			}
			if q.EnforceRoot != nil && *q.EnforceRoot {
				b.WriteString(" enforce_for_root")
			}
			b.WriteString("\n")
		}
		return b.String()
	}
	if lines(false) == "" {
		return nil
	}
	return []byte("Name: Handrail: quality of passwords\nDefault: yes\nPriority: 1000\nPassword-Type: Primary\nPassword:\n" + lines(false) + "Password-Initial:\n" + lines(true))
}

func (q Quality) plan(_ context.Context, sys *enforce.System, id manifest.ID) (enforce.Plan, error) {
	if err := hasPAMProfiles(sys); err != nil {
		return enforce.Plan{}, err
	}
	if err := q.check(); err != nil {
		return enforce.Plan{}, err
	}
	if !hasModule("pam_pwquality.so") {
		return enforce.Plan{}, errors.New("pam_pwquality is not on the device: install the package libpam-pwquality")
	}
	p := enforce.Plan{Files: []enforce.File{{Path: qualityConf, Content: q.conf(id)}}}
	if text := q.profile(sys); text != nil {
		p.Files = append(p.Files, enforce.File{Path: pamProfiles + "/" + qualityProfile, Content: text})
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		o, err := overlay.New(sys, &staged, securityDir)
		if err != nil {
			return err
		}
		defer o.Close()
		if _, err := q.probe(ctx, sys, o); err != nil {
			return err
		}
		if q.profile(sys) == nil {
			return nil
		}
		pam, copied, err := judgeProfiles(ctx, sys, &staged, qualityProfile)
		if err != nil {
			return err
		}
		defer pam.Close()
		_, err = q.stacked(copied)
		return errors.Join(err, modulesThere(copied))
	}
	return p, nil
}

func (q Quality) apply(ctx context.Context, sys *enforce.System) error {
	if sys.Exists(pamProfiles + "/" + qualityProfile) {
		return pamAuthUpdate(ctx, sys, rootOf(sys), qualityProfile)
	}
	return pamAuthUpdate(ctx, sys, rootOf(sys)) // it may have gone
}

func (q Quality) remove(ctx context.Context, sys *enforce.System, _ enforce.Removal) error {
	if hasPAMProfiles(sys) != nil {
		return nil
	}
	return pamAuthUpdate(ctx, sys, rootOf(sys))
}

// Strength is what pwscore and PAM say new passwords must be.
type Strength struct {
	MinLength       int   `json:"min_length,omitempty"`
	MinClasses      int   `json:"min_classes,omitempty"`
	MaxRepeat       int   `json:"max_repeat,omitempty"`
	RejectsUsername bool  `json:"rejects_username"`
	DictionaryCheck *bool `json:"dictionary_check,omitempty"` // absent where it cannot be tried
	History         int   `json:"history,omitempty"`
}

func (q Quality) observe(ctx context.Context, sys *enforce.System) (any, error) {
	var o *overlay.Overlay
	if !sys.Live() {
		var err error
		if o, err = overlay.New(sys, nil, securityDir); err != nil {
			return nil, err
		}
		defer o.Close()
	}
	seen, err := q.probe(ctx, sys, o)
	if err != nil {
		return seen, err
	}
	seen.History, err = q.stacked(sys)
	return seen, err
}

// stacked says whether PAM asks the modules when somebody changes a password, and how many old
// ones it knows.
func (q Quality) stacked(sys *enforce.System) (history int, err error) {
	lines, err := stack(sys, "common-password")
	if err != nil {
		return 0, err
	}
	if _, there := argument(lines, "pam_pwquality.so", ""); !there {
		return 0, errors.New("common-password does not ask pam_pwquality")
	}
	remember, there := argument(lines, "pam_pwhistory.so", "remember")
	if there {
		if history, err = strconv.Atoi(remember); err != nil {
			history = 10 // the module's own
		}
	}
	if q.remembers() && history < *q.History {
		return history, fmt.Errorf("common-password remembers %d old passwords, must be %d", history, *q.History)
	}
	return history, nil
}

// The probes: what pwscore says to passwords that break one rule each.
const (
	probeUser  = "handrailprobe"
	probeShort = "q7#K"
	probeLong  = "kqzxvjwphgbtyfmrnscdlaeukqzxvjwphgbtyfmrnscdlaeukqzxvjwphgbtyfmrnscdlaeukqzxvjwphgbtyfmrnscdlaeukqzxvjwphgbtyfmrnscdlaeukqzxvjwphgbtyfmrnscdlae"
	probeWord  = "Counterrevolutionaries1!"
)

var (
	saysShort   = regexp.MustCompile(`shorter than (\d+) characters`)
	saysClasses = regexp.MustCompile(`less than (\d+) character classes`)
	saysRepeat  = regexp.MustCompile(`more than (\d+) same characters`)
)

// probe finds the effective rules by asking pwscore about passwords that break them. o holds the
// configuration; nil is the system's.
func (q Quality) probe(ctx context.Context, sys *enforce.System, o *overlay.Overlay) (Strength, error) {
	var seen Strength
	pwscore, err := sys.Tool("pwscore", "libpwquality-tools")
	if err != nil {
		return seen, err
	}
	score := func(password string) (string, error) {
		p := enforce.Program{Path: pwscore, Args: []string{probeUser}, Stdin: []byte(password + "\n")}
		var r enforce.Result
		var err error
		if o != nil {
			r, err = o.Run(ctx, sys, p)
		} else {
			r, err = sys.Run(ctx, p)
		}
		words := r.Err + r.Out
		if err != nil && !strings.Contains(words, "Password quality check failed") {
			return "", fmt.Errorf("libpwquality does not accept its configuration: %w", err)
		}
		if strings.Contains(words, "dictionary") && (strings.Contains(words, "load") || strings.Contains(words, "open")) {
			return "", errors.New("the dictionary cannot be read: install the package cracklib-runtime")
		}
		return words, nil
	}
	var said string
	for _, ask := range []struct {
		password string
		pattern  *regexp.Regexp
		into     *int
	}{{probeShort, saysShort, &seen.MinLength}, {probeLong, saysClasses, &seen.MinClasses}, {"K7#" + probeLong + strings.Repeat("m", 140), saysRepeat, &seen.MaxRepeat}} {
		if said, err = score(ask.password); err != nil {
			return seen, err
		}
		if m := ask.pattern.FindStringSubmatch(said); m != nil {
			*ask.into, _ = strconv.Atoi(m[1]) // digits
		}
	}
	if said, err = score("K7#" + probeLong + probeUser); err != nil {
		return seen, err
	}
	seen.RejectsUsername = strings.Contains(said, "user name")
	if said, err = score(probeWord); err != nil {
		return seen, err
	}
	if inDictionary := strings.Contains(said, "dictionary"); inDictionary || !strings.Contains(said, "failed") {
		seen.DictionaryCheck = &inDictionary
	}
	return seen, q.satisfied(sys, seen)
}

// satisfied says what of the policy is not so. Stricter is well.
func (q Quality) satisfied(sys *enforce.System, s Strength) error {
	var wrong []string
	say := func(name string, is, must any) {
		wrong = append(wrong, fmt.Sprintf("%s is %v, must be %v", name, is, must))
	}
	if q.MinLength != nil && s.MinLength < *q.MinLength {
		say("min_length", s.MinLength, *q.MinLength)
	}
	if q.MinClasses != nil && s.MinClasses < *q.MinClasses && *q.MinClasses > 1 {
		say("min_classes", s.MinClasses, *q.MinClasses)
	}
	if q.MaxRepeat != nil && *q.MaxRepeat > 0 && (s.MaxRepeat == 0 || s.MaxRepeat > *q.MaxRepeat) {
		say("max_repeat", s.MaxRepeat, *q.MaxRepeat)
	}
	if q.RejectUsername != nil && *q.RejectUsername && !s.RejectsUsername {
		say("reject_username", false, true)
	}
	if q.DictionaryCheck != nil && *q.DictionaryCheck && s.DictionaryCheck != nil && !*s.DictionaryCheck {
		say("dictionary_check", false, true)
	}
	if len(wrong) == 0 {
		return nil
	}
	const main = securityDir + "/pwquality.conf"
	if b, err := sys.ReadFile(main, maxPAM); err == nil || !errors.Is(err, os.ErrNotExist) {
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			for _, key := range []string{"minlen", "minclass", "maxrepeat", "usercheck", "dictcheck"} {
				if strings.HasPrefix(line, key) {
					return enforce.Conflict("%s: %s says %q, which goes before all else: take the line out", strings.Join(wrong, "; "), main, line)
				}
			}
		}
	}
	return errors.New(strings.Join(wrong, "; "))
}
