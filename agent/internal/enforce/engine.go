package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"handrail/mdm/manifest"
)

// Defaults of Config.
const (
	DefaultConfirm = time.Minute
	DefaultPeriod  = 4 * time.Hour
)

// Files in the engine's directory.
const (
	manifestFile = "manifest.json"
	statusFile   = "status.json"
)

// ErrNotNow is wrapped by Fetch and Report where there is no link at present: they are
// called again once Online is.
var ErrNotNow = errors.New("no link to the gateway")

// Config says what is enforced where. Dir and Enforcers are needed; without Fetch and
// Report the engine only enforces what it has on disk.
type Config struct {
	Dir       string // the engine's own, mode 0700: manifest, journal, what was before
	System    System
	Enforcers []Enforcer
	// Fetch returns the device's manifest; same is set where it is still the one of that
	// hash.
	Fetch func(ctx context.Context, hash string) (m manifest.Manifest, same bool, err error)
	// Report hands a report to the gateway; nil means it has it.
	Report func(ctx context.Context, r manifest.Report) error
	// Reach makes a new connection to the gateway, which tells whether this device still
	// can. nil confirms nothing.
	Reach         func(ctx context.Context) error
	ConfirmWithin time.Duration // what cuts the device off is undone after this; 0 means DefaultConfirm
	Period        time.Duration // between looks at everything; 0 means DefaultPeriod
}

// Engine enforces the newest manifest. Its methods are safe for concurrent use.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	byKey  map[string]Enforcer
	ledger *ledger
	step   func(string) // told of each step; tests end the process in it
	wake   chan struct{}

	mu       sync.Mutex
	manifest manifest.Manifest
	wanted   signals

	// Of the goroutine in Run, or the caller of Enforce.
	statuses  *statuses
	mends     map[manifest.ID]*mends
	due       map[manifest.ID]time.Time // next look of those that ask for one
	retry     map[manifest.ID]*backoff
	waiting   map[manifest.ID]bool // for the gateway to be reached
	mustFetch bool                 // a nudge was not followed yet
	unkept    string               // hash of a manifest that could not be written down, once the gateway knows
	watch     *watch
}

// signals is what Run is to do next.
type signals struct {
	fetch bool                 // the gateway may have another manifest
	all   bool                 // look at every setting
	send  bool                 // report what the gateway does not have
	tell  bool                 // report everything
	look  map[manifest.ID]bool // settings to look at
}

// New checks the configuration and reads what is on disk; it changes nothing of the device.
func New(cfg Config, log *slog.Logger) (*Engine, error) {
	if cfg.Dir == "" {
		return nil, errors.New("enforce needs a directory of its own")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	if cfg.System.Root != "" {
		if cfg.System.Root, err = filepath.Abs(cfg.System.Root); err != nil {
			return nil, err
		}
	}
	e := &Engine{
		cfg: cfg, log: log, byKey: map[string]Enforcer{}, step: func(string) {}, wake: make(chan struct{}, 1),
		mends: map[manifest.ID]*mends{}, due: map[manifest.ID]time.Time{}, retry: map[manifest.ID]*backoff{}, waiting: map[manifest.ID]bool{},
	}
	e.wanted.look = map[manifest.ID]bool{}
	for _, enf := range cfg.Enforcers {
		for _, k := range enf.Keys() {
			if _, twice := e.byKey[k]; twice {
				return nil, fmt.Errorf("two enforcers for %s", k)
			}
			e.byKey[k] = enf
		}
	}
	var damaged []string
	if e.ledger, damaged, err = openLedger(dir); err != nil {
		return nil, err
	}
	for _, at := range damaged {
		log.Error("a record of the journal is damaged and was set aside: what was before its setting is not known", "path", at)
	}
	if e.statuses, err = openStatuses(filepath.Join(dir, statusFile)); err != nil {
		log.Warn("states of settings are reported anew", "err", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err == nil {
		e.manifest, err = manifest.Decode(b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the manifest on disk cannot be used and is fetched anew", "err", err)
		e.manifest = manifest.Manifest{}
	}
	return e, nil
}

// Hash is that of the newest manifest on disk; "" where there is none.
func (e *Engine) Hash() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.manifest.Hash
}

// Nudge says that the gateway has a manifest of that generation and hash; "" is any. One
// that the engine has already is a question: the gateway lacks a report on it.
func (e *Engine) Nudge(generation int64, hash string) {
	e.signal(func(s *signals) {
		if hash == "" || hash != e.manifest.Hash {
			s.fetch = true
			return
		}
		e.manifest.Generation = max(e.manifest.Generation, generation)
		s.tell = true
	})
}

// Online says that the link came up: what waits for it is done.
func (e *Engine) Online() {
	e.signal(func(s *signals) { s.send = true })
}

// signal changes what is to be done; Run wakes where there is something.
func (e *Engine) signal(change func(*signals)) {
	e.mu.Lock()
	change(&e.wanted)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) take() signals {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.wanted
	e.wanted = signals{look: map[manifest.ID]bool{}}
	return s
}

// hasNews reports whether another manifest waits: then the rest of this one may too.
func (e *Engine) hasNews() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wanted.fetch
}

// enforcer returns who enforces a setting.
func (e *Engine) enforcer(id manifest.ID) (Enforcer, error) {
	enf := e.byKey[id.Key()]
	if enf == nil {
		return nil, NotApplicable("this version of the agent does not know the setting %s", id.Key())
	}
	if _, ok := enf.(Portable); !ok && runtime.GOOS != "linux" {
		return nil, NotApplicable("%s is not enforced on %s", id.Key(), runtime.GOOS)
	}
	return enf, nil
}

// adopt makes m the manifest to enforce, on disk first.
func (e *Engine) adopt(m manifest.Manifest) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	st := pathState{Kind: kindFile, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
	if err := put(filepath.Join(e.cfg.Dir, manifestFile), st, b); err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	e.mu.Lock()
	if m.Generation < e.manifest.Generation { // the gateway went back to a backup: it may know nothing
		e.statuses.forgetAcked()
	}
	e.manifest = m
	e.mu.Unlock()
	e.log.Info("new manifest", "generation", m.Generation, "settings", len(m.Settings))
	return nil
}

// Enforce makes the device what m says, once, and returns the state of each setting; it is
// what Run does for a fetched manifest. Not to be called while Run runs.
func (e *Engine) Enforce(ctx context.Context, m manifest.Manifest) ([]manifest.Status, error) {
	if err := e.adopt(m); err != nil {
		return nil, err
	}
	e.pass(ctx, nil)
	return e.statuses.all(), ctx.Err()
}

// pass looks at the settings that which allows, nil being all, removes those that are gone,
// and notes each state.
func (e *Engine) pass(ctx context.Context, which map[manifest.ID]bool) {
	e.mu.Lock()
	m := e.manifest
	e.mu.Unlock()
	there := map[manifest.ID]bool{}
	for _, s := range m.Settings {
		there[s.ID] = true
	}
	if which == nil {
		e.removeGone(ctx, there)
	}
	began := time.Now()
	for _, s := range e.inOrder(m.Settings) {
		if which != nil && !which[s.ID] || e.rests(s) {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if e.hasNews() { // a newer manifest may not want the rest; if it is the same, all is looked at
			e.signal(func(s *signals) { s.all = true })
			return
		}
		r := e.enforce(ctx, s)
		if ctx.Err() != nil {
			return // half a look is no state
		}
		e.noteResult(s, r)
		if time.Since(began) > reportAfter { // a slow one does not hold back the news of the quick
			began = time.Now()
			if e.statuses.kept.Full { // everything is told when everything was looked at
				_ = e.report(ctx) // tried again at the end
			}
		}
	}
	e.watchPaths()
}

// inOrder puts what may cut the device off last.
func (e *Engine) inOrder(settings []manifest.Setting) []manifest.Setting {
	out := slices.Clone(settings)
	slices.SortStableFunc(out, func(a, b manifest.Setting) int { return e.rank(a.ID) - e.rank(b.ID) })
	return out
}

// rank is 1 for settings whose enforcer says that they can cut the network.
func (e *Engine) rank(id manifest.ID) int {
	if _, ok := e.byKey[id.Key()].(interface{ Last() }); ok {
		return 1
	}
	return 0
}

// removeGone takes back what is in the journal and not in the manifest any more.
func (e *Engine) removeGone(ctx context.Context, there map[manifest.ID]bool) {
	for _, id := range e.ledger.ids() {
		if there[id] || ctx.Err() != nil {
			continue
		}
		rec := e.ledger.records[id]
		var err error
		if rec.Phase == phaseBegun || rec.Phase == phaseTrial {
			if err = e.undo(ctx, rec); err == nil {
				rec = e.ledger.records[id]
			}
		}
		if err == nil && rec != nil {
			err = e.remove(ctx, rec)
		}
		if err != nil {
			e.log.Warn("a setting could not be removed; it is tried again", "setting", id, "err", err)
			e.statuses.set(manifest.Status{
				ID: id, State: manifest.Failed, Source: rec.Setting.Source,
				Message: "it is in no policy any more, but what was before could not be put back yet: " + err.Error(),
			}, rec.Setting.Value)
			e.again(id, nil)
			continue
		}
		e.forget(id)
	}
	for _, id := range e.statuses.ids() {
		if !there[id] && e.ledger.records[id] == nil {
			e.forget(id)
		}
	}
}

func (e *Engine) forget(id manifest.ID) {
	e.statuses.gone(id)
	delete(e.mends, id)
	delete(e.due, id)
	delete(e.retry, id)
	delete(e.waiting, id)
}
