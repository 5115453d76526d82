package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// reportAfter is how long news waits for the rest of a pass.
const reportAfter = 2 * time.Second

// maxPerReport bounds one report; more follow it.
const maxPerReport = 500

// statuses is how each setting stands, and what of it the gateway has.
type statuses struct {
	path string
	kept struct {
		Generation int64                           `json:"generation"` // the newest the gateway has a report of
		Hash       string                          `json:"hash"`
		Full       bool                            `json:"full"` // the gateway ever got all there is
		Now        map[manifest.ID]manifest.Status `json:"now"`
		Of         map[manifest.ID]string          `json:"of"`    // digest of the value each state is of
		Acked      map[manifest.ID]string          `json:"acked"` // digest of what the gateway has; "gone" while a removal waits to be reported
	}
	changed bool
}

func openStatuses(path string) (*statuses, error) {
	s := &statuses{path: path}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &s.kept)
	}
	if err != nil {
		s.kept.Full = false
	}
	if s.kept.Now == nil {
		s.kept.Now = map[manifest.ID]manifest.Status{}
	}
	if s.kept.Of == nil {
		s.kept.Of = map[manifest.ID]string{}
	}
	if s.kept.Acked == nil {
		s.kept.Acked = map[manifest.ID]string{}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}

func (s *statuses) save() error {
	if !s.changed {
		return nil
	}
	b, err := json.Marshal(s.kept)
	if err != nil {
		return err
	}
	st := pathState{Kind: kindFile, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
	if err := put(s.path, st, b); err != nil {
		return fmt.Errorf("keep states of settings: %w", err)
	}
	s.changed = false
	return nil
}

func (s *statuses) ids() []manifest.ID { return slices.Sorted(maps.Keys(s.kept.Now)) }

func (s *statuses) all() []manifest.Status {
	var out []manifest.Status
	for _, id := range s.ids() {
		out = append(out, s.kept.Now[id])
	}
	return out
}

// digest tells two states apart; when they were found is no difference, of which value they
// are is: the gateway forgets the state of a value that changed.
func digest(st manifest.Status, of string) string {
	st.AtUS = 0
	b, _ := json.Marshal(st) // plain fields and JSON that was encoded here
	return sum(append(b, of...))
}

// set notes how a setting of a value stands.
func (s *statuses) set(st manifest.Status, value json.RawMessage) {
	of := sum(value)
	old, ok := s.kept.Now[st.ID]
	if ok && digest(old, s.kept.Of[st.ID]) == digest(st, of) {
		return
	}
	st.AtUS = time.Now().UnixMicro()
	s.kept.Now[st.ID], s.kept.Of[st.ID], s.changed = st, of, true
}

func (s *statuses) gone(id manifest.ID) {
	if _, ok := s.kept.Now[id]; ok {
		delete(s.kept.Now, id)
		delete(s.kept.Of, id)
		s.changed = true
	}
}

// forgetAcked makes the next report hold everything.
func (s *statuses) forgetAcked() {
	s.kept.Full, s.kept.Generation, s.kept.Hash, s.changed = false, 0, "", true
	clear(s.kept.Acked)
}

// unsay has a setting's state reported again: the gateway was told something else.
func (s *statuses) unsay(id manifest.ID) {
	if _, ok := s.kept.Now[id]; ok {
		s.kept.Acked[id], s.changed = "", true
	}
}

// news is what the gateway does not have yet, at most maxPerReport settings of it; more is
// set where there is more, and ok where there is anything to say.
func (s *statuses) news(generation int64, hash string) (r manifest.Report, more, ok bool) {
	r = manifest.Report{Generation: generation, Hash: hash, Full: !s.kept.Full && len(s.kept.Now) <= maxPerReport}
	for _, id := range s.ids() {
		if s.kept.Acked[id] == digest(s.kept.Now[id], s.kept.Of[id]) {
			continue
		}
		if len(r.Statuses) == maxPerReport {
			more = true
			break
		}
		r.Statuses = append(r.Statuses, s.kept.Now[id])
	}
	for _, id := range slices.Sorted(maps.Keys(s.kept.Acked)) {
		if _, there := s.kept.Now[id]; !there && len(r.Gone) < maxPerReport {
			r.Gone = append(r.Gone, id)
		}
	}
	ok = r.Full && len(s.kept.Now) > 0 || len(r.Statuses)+len(r.Gone) > 0 || hash != "" && (s.kept.Generation != generation || s.kept.Hash != hash)
	return r, more, ok
}

// acked notes that the gateway has r.
func (s *statuses) acked(r manifest.Report) {
	for _, st := range r.Statuses {
		s.kept.Acked[st.ID] = digest(st, s.kept.Of[st.ID])
	}
	for _, id := range r.Gone {
		delete(s.kept.Acked, id)
	}
	s.kept.Generation, s.kept.Hash, s.kept.Full, s.changed = r.Generation, r.Hash, true, true
}

// noteResult turns what came of a setting into its state.
func (e *Engine) noteResult(s manifest.Setting, r result) {
	st := manifest.Status{ID: s.ID, State: manifest.Applied, Source: s.Source}
	if rec := e.ledger.records[s.ID]; rec != nil {
		st.Mended = rec.Mended
	}
	if r.observed != nil {
		b, err := json.Marshal(r.observed)
		switch {
		case err != nil:
			r.err = errors.Join(r.err, err)
		case len(b) > manifest.MaxObserved:
			b, _ = json.Marshal(map[string]any{"too_large_bytes": len(b)})
			fallthrough
		default:
			st.Observed = b
		}
	}
	delete(e.due, s.ID)
	delete(e.waiting, s.ID)
	if errors.Is(r.err, errPostponed) {
		e.waiting[s.ID] = true
	}
	if r.every > 0 {
		e.due[s.ID] = time.Now().Add(r.every)
	}
	if r.err == nil {
		delete(e.retry, s.ID)
		e.statuses.set(st, s.Value)
		return
	}
	st.Message = mdm.Clean(r.err.Error(), manifest.MaxText)
	switch {
	case errors.Is(r.err, ErrNotApplicable):
		st.State = manifest.NotApplicable
	case errors.Is(r.err, ErrConflict):
		st.State = manifest.Conflict
	case r.drifted:
		st.State = manifest.Drifted
	default:
		st.State = manifest.Failed
	}
	var cut json.RawMessage
	if errors.Is(r.err, errUnconfirmed) {
		cut = s.Value
	}
	if st.State != manifest.NotApplicable {
		e.again(s.ID, cut)
	}
	if was, ok := e.statuses.kept.Now[s.ID]; !ok || was.State != st.State || was.Message != st.Message {
		e.log.Warn("setting is not applied", "setting", s.ID, "state", st.State, "reason", st.Message)
	}
	e.statuses.set(st, s.Value)
}

// report sends the gateway what it does not have. Nothing is sent where that is nothing.
func (e *Engine) report(ctx context.Context) error {
	defer func() {
		if err := e.statuses.save(); err != nil {
			e.log.Warn("states of settings could not be kept", "err", err)
		}
	}()
	if e.cfg.Report == nil {
		return nil
	}
	e.mu.Lock()
	generation, hash := e.manifest.Generation, e.manifest.Hash
	e.mu.Unlock()
	for {
		r, more, ok := e.statuses.news(generation, hash)
		if !ok {
			return nil
		}
		if err := e.cfg.Report(ctx, r); err != nil {
			return err
		}
		e.statuses.acked(r)
		if !more {
			return nil
		}
	}
}
