package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
)

// step is how far a command is on this device.
type step string

const (
	known  step = "known"  // taken on, nothing done
	begun  step = "begun"  // something may have been done
	over   step = "over"   // the result waits to be taken
	thanks step = "thanks" // the gateway has the result; kept to know the command again
)

// record is one command in the journal, a file of its own.
type record struct {
	ID       command.ID      `json:"id"`
	Kind     command.Kind    `json:"kind"`
	Params   json.RawMessage `json:"params,omitempty"` // until it is begun, or over for those that can be taken up again
	Step     step            `json:"step"`
	KnownUS  int64           `json:"known_us"` // this device's clock
	UntilUS  int64           `json:"until_us"` // not begun after this
	BegunUS  int64           `json:"begun_us"` //
	Note     string          `json:"note"`     // what taking it up again needs
	Result   *command.Result `json:"result,omitempty"`
	ThanksUS int64           `json:"thanks_us"` //
}

// keepThanks is how many commands that are over and done with are remembered.
const keepThanks = 500

// maxRecord bounds a file of the journal, in bytes: more was not written by us.
const maxRecord = 8 << 20

// journal keeps records on disk, each replaced as a whole: there is no half a record. It is
// safe for concurrent use.
type journal struct {
	dir string

	mu  sync.Mutex
	all map[command.ID]*record
}

// openJournal reads what there is. A file that cannot be read stands for a command of which
// nothing is known but that it was taken on.
func openJournal(dir string, log *slog.Logger) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal of commands: %w", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("journal of commands: %w", err)
	}
	j := &journal{dir: dir, all: map[command.ID]*record{}}
	for _, e := range names {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !mdm.IsID("cmd", id) {
			if strings.HasPrefix(e.Name(), ".") && e.Type().IsRegular() {
				_ = os.Remove(filepath.Join(dir, e.Name())) // of a write that was broken off
			}
			continue
		}
		r, err := readRecord(filepath.Join(dir, e.Name()))
		if err != nil || r.ID != command.ID(id) {
			log.Error("a command's record is damaged; it is not done again", "command", id, "err", err)
			r = &record{ID: command.ID(id), Step: begun}
		}
		j.all[r.ID] = r
	}
	return j, nil
}

func readRecord(path string) (*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r record
	if err := json.NewDecoder(io.LimitReader(f, maxRecord)).Decode(&r); err != nil {
		return nil, err
	}
	return &r, nil
}

// put writes a record; when it returns nil the record survives the power going.
func (j *journal) put(r record) (err error) {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	f, err := os.CreateTemp(j.dir, ".record-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), j.path(r.ID)); err != nil {
		return err
	}
	j.all[r.ID] = &r
	return syncDir(j.dir)
}

func (j *journal) path(id command.ID) string { return filepath.Join(j.dir, string(id)+".json") }

// get returns a copy.
func (j *journal) get(id command.ID) (record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.all[id]
	if !ok {
		return record{}, false
	}
	return *r, true
}

// in returns copies of the records at a step, oldest first.
func (j *journal) in(steps ...step) []record {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []record
	for _, r := range j.all {
		if slices.Contains(steps, r.Step) {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b record) int {
		if a.KnownUS != b.KnownUS {
			return int(max(-1, min(1, a.KnownUS-b.KnownUS)))
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return out
}

// thank notes that the gateway has a result, and forgets the oldest such notes.
func (j *journal) thank(id command.ID) error {
	r, ok := j.get(id)
	if !ok || r.Step != over {
		return nil
	}
	r.Step, r.Result, r.Params, r.Note, r.ThanksUS = thanks, nil, nil, "", time.Now().UnixMicro()
	if err := j.put(r); err != nil {
		return err
	}
	old := j.in(thanks)
	if len(old) <= keepThanks {
		return nil
	}
	slices.SortFunc(old, func(a, b record) int { return int(max(-1, min(1, a.ThanksUS-b.ThanksUS))) })
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range old[:len(old)-keepThanks] {
		if err := os.Remove(j.path(o.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		delete(j.all, o.ID)
	}
	return nil
}
