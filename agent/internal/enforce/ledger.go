package enforce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"handrail/mdm/manifest"
)

// Phases of a record. Begun and trial are work that was not finished: it is taken back
// where the agent finds it at its start, but for a trial whose time is not up.
const (
	phaseBegun    = "begun"    // files and system are being changed
	phaseTrial    = "trial"    // changed, and waits for word that the gateway can be reached
	phaseApplied  = "applied"  // done
	phaseRemoving = "removing" // what was before is being put back
)

// record is what the journal knows of one setting.
type record struct {
	ID       manifest.ID          `json:"id"`
	Phase    string               `json:"phase"`
	Setting  manifest.Setting     `json:"setting"`          // as it is applied, or was before the change that is under way
	Applied  bool                 `json:"applied"`          // whether Setting was ever applied
	Next     *manifest.Setting    `json:"next,omitempty"`   // what is being applied
	Before   json.RawMessage      `json:"before,omitempty"` // beyond files, from before the first apply
	Original map[string]pathState `json:"original"`         // path on the device to what was there before we came
	Undo     map[string]pathState `json:"undo,omitempty"`   // path to what was there before the change under way
	Made     []string             `json:"made,omitempty"`   // directories made on the way, outermost first, on the device
	Trial    *moment              `json:"trial,omitempty"`  // when the trial ends
	Mended   int64                `json:"mended,omitempty"`
	Wrote    map[string]pathState `json:"wrote,omitempty"` // path to what we put there, or are putting there
	Had      map[string]pathState `json:"had,omitempty"`   // Wrote as it was before the change under way
}

// ledger is the journal's directory: a file for each setting, and the content of every file
// that may have to be put back, by its SHA-256.
type ledger struct {
	dir     string
	records map[manifest.ID]*record
	hold    bool // nothing kept is thrown away: records that were set aside may speak of it
}

// damagedSuffix ends the name of a record that could not be read and was set aside.
const damagedSuffix = ".damaged"

// openLedger reads the journal. A record that cannot be read is set aside for people to look
// at, and named: a device without its agent would be the greater damage. Its setting is
// applied as if it were new; what was before it is known no more.
func openLedger(dir string) (l *ledger, damaged []string, err error) {
	l = &ledger{dir: dir, records: map[manifest.ID]*record{}}
	for _, d := range []string{l.path(), l.path("journal"), l.path("kept")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, nil, fmt.Errorf("journal of settings: %w", err)
		}
	}
	entries, err := os.ReadDir(l.path("journal"))
	if err != nil {
		return nil, nil, fmt.Errorf("journal of settings: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), damagedSuffix) {
			l.hold = true
			continue
		}
		if strings.HasPrefix(e.Name(), ".") {
			os.Remove(l.path("journal", e.Name())) // left by a kill in the middle of a write
			continue
		}
		at := l.path("journal", e.Name())
		b, err := os.ReadFile(at)
		if err != nil {
			return nil, nil, fmt.Errorf("journal of settings: %w", err)
		}
		r := &record{}
		if err := json.Unmarshal(b, r); err != nil || r.ID.Check() != nil || l.file(r.ID) != at {
			if err := os.Rename(at, at+damagedSuffix); err != nil {
				return nil, nil, fmt.Errorf("journal of settings: %w", err)
			}
			damaged, l.hold = append(damaged, at+damagedSuffix), true
			continue
		}
		l.records[r.ID] = r
	}
	return l, damaged, nil
}

func (l *ledger) path(name ...string) string {
	return filepath.Join(append([]string{l.dir}, name...)...)
}

func (l *ledger) file(id manifest.ID) string {
	return l.path("journal", strings.ReplaceAll(string(id), "/", "@")+".json")
}

// save puts a record on disk; when it returns nil the record survives a power cut.
func (l *ledger) save(r *record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	st := pathState{Kind: kindFile, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
	if err := put(l.file(r.ID), st, b); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	l.records[r.ID] = r
	return nil
}

func (l *ledger) forget(id manifest.ID) error {
	if err := os.Remove(l.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	delete(l.records, id)
	l.prune()
	return nil
}

// keep stores a file's content to be put back later.
func (l *ledger) keep(content []byte) error {
	at := l.path("kept", sum(content))
	if _, err := os.Stat(at); err == nil {
		return nil
	}
	return put(at, pathState{Kind: kindFile, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}, content)
}

// kept returns content by its sum.
func (l *ledger) kept(want string) ([]byte, error) {
	b, err := os.ReadFile(l.path("kept", want))
	if err != nil {
		return nil, fmt.Errorf("what was there before was kept and is gone: %w", err)
	}
	if sum(b) != want {
		return nil, fmt.Errorf("what was there before was kept and is damaged: %s", l.path("kept", want))
	}
	return b, nil
}

// prune removes kept content that no record speaks of.
func (l *ledger) prune() {
	if l.hold {
		return
	}
	used := map[string]bool{}
	for _, r := range l.records {
		for _, m := range []map[string]pathState{r.Original, r.Undo} {
			for st := range maps.Values(m) {
				used[st.Sum] = true
			}
		}
	}
	entries, err := os.ReadDir(l.path("kept"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if !used[e.Name()] {
			os.Remove(l.path("kept", e.Name()))
		}
	}
}

// ids are the settings the journal knows, in order.
func (l *ledger) ids() []manifest.ID {
	return slices.Sorted(maps.Keys(l.records))
}
