package enforce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"handrail/mdm/manifest"
)

// Bounds of one setting.
const (
	defaultPatience = time.Minute
	probeWithin     = 5 * time.Second // one try to reach the gateway
	probePause      = time.Second
)

// errUnconfirmed says that a trial was taken back.
var errUnconfirmed = errors.New("taken back")

// errPostponed says that a setting waits until the gateway can be reached.
var errPostponed = errors.New("not applied yet: it could cut this device off, and the gateway cannot be reached to see that it does not")

// result is what came of a setting.
type result struct {
	observed any
	err      error
	drifted  bool // it was applied, is so no more, and could not be mended
	every    time.Duration
}

// enforce makes one setting true, or finds that it is.
func (e *Engine) enforce(ctx context.Context, s manifest.Setting) result {
	enf, err := e.enforcer(s.ID)
	if err != nil {
		return result{err: err}
	}
	rec := e.ledger.records[s.ID]
	if rec != nil && rec.Phase != phaseApplied {
		if err := e.recover(ctx, rec); err != nil {
			return result{err: err}
		}
		rec = e.ledger.records[s.ID]
	}
	plan, err := enf.Plan(ctx, &e.cfg.System, s)
	if err != nil {
		return result{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, orDuration(plan.Patience, defaultPatience)+orDuration(e.cfg.ConfirmWithin, DefaultConfirm))
	defer cancel()
	same := rec != nil && rec.Applied && sameJSON(rec.Setting.Value, s.Value)
	if same && e.inPlace(plan) {
		observed, err := enf.Observe(ctx, &e.cfg.System, s)
		if err == nil {
			e.noteSource(rec, s)
			return result{observed: observed, every: plan.Every}
		}
		if errors.Is(err, ErrNotApplicable) || errors.Is(err, ErrConflict) {
			return result{observed: observed, err: err, every: plan.Every}
		}
	}
	if same && !e.mayMend(s.ID) {
		return result{err: errors.New("something on this device keeps changing it back; it is mended again later"), drifted: true, every: plan.Every}
	}
	observed, err := e.change(ctx, enf, plan, s)
	if err == nil && same {
		if rec = e.ledger.records[s.ID]; rec != nil {
			rec.Mended++
			err = e.ledger.save(rec)
		}
	}
	return result{observed: observed, err: err, drifted: same && err != nil, every: plan.Every}
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// noteSource keeps where the value comes from now, which changes nothing else.
func (e *Engine) noteSource(rec *record, s manifest.Setting) {
	if rec.Setting.Source != s.Source {
		rec.Setting.Source = s.Source
		if err := e.ledger.save(rec); err != nil {
			e.log.Warn("journal could not be written", "setting", s.ID, "err", err)
		}
	}
}

// inPlace reports whether every file of the plan is as it must be.
func (e *Engine) inPlace(p Plan) bool {
	for _, f := range p.Files {
		at, err := e.cfg.System.place(f.Path)
		if err != nil {
			return false
		}
		if st, _, err := look(at); err != nil || st != f.wanted() {
			return false
		}
	}
	return true
}

// change validates a plan and carries it out whole, or not at all.
func (e *Engine) change(ctx context.Context, enf Enforcer, p Plan, s manifest.Setting) (any, error) {
	if err := e.mayWrite(p, s.ID); err != nil {
		return nil, err
	}
	if err := e.check(ctx, p); err != nil {
		return nil, err
	}
	guarded := p.Confirm && e.cfg.Reach != nil
	if guarded && !e.reachable(ctx) {
		return nil, errPostponed
	}
	rec, err := e.begin(p, s)
	if err != nil {
		return nil, err
	}
	if err := e.write(rec, p); err != nil {
		return nil, e.takeBack(ctx, rec, err)
	}
	if err := enf.Apply(ctx, &e.cfg.System, s); err != nil {
		return nil, e.takeBack(ctx, rec, err)
	}
	e.step("applied")
	observed, err := enf.Observe(ctx, &e.cfg.System, s)
	if err != nil {
		return observed, e.takeBack(ctx, rec, err)
	}
	if guarded {
		rec.Phase, rec.Trial = phaseTrial, after(orDuration(e.cfg.ConfirmWithin, DefaultConfirm))
		if err := e.ledger.save(rec); err != nil {
			return observed, e.takeBack(ctx, rec, err)
		}
		if err := e.confirm(ctx, rec); err != nil {
			return observed, e.takeBack(ctx, rec, err)
		}
	}
	return observed, e.commit(rec)
}

// mayWrite refuses paths that are not to be written, or are another setting's.
func (e *Engine) mayWrite(p Plan, id manifest.ID) error {
	for _, f := range p.Files {
		at, err := e.cfg.System.place(f.Path)
		if err != nil {
			return err
		}
		if other, taken := e.owner(at, id); taken {
			return Conflict("%s belongs to the setting %s", f.Path, other)
		}
		if at == e.cfg.Dir || strings.HasPrefix(at, e.cfg.Dir+"/") {
			return Conflict("%s is the agent's own", f.Path)
		}
	}
	return nil
}

// owner returns which other setting has a place, by whatever name.
func (e *Engine) owner(at string, not manifest.ID) (manifest.ID, bool) {
	for id, r := range e.ledger.records {
		if id == not {
			continue
		}
		for name := range r.Original {
			if other, err := e.cfg.System.place(name); err == nil && other == at {
				return id, true
			}
		}
	}
	return "", false
}

// check stages the plan's files and has them validated.
func (e *Engine) check(ctx context.Context, p Plan) error {
	if p.Check == nil {
		return nil
	}
	dir, err := os.MkdirTemp(e.cfg.Dir, "staged-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	staged := Staged{dir: dir}
	for _, f := range p.Files {
		at := staged.Path(f.Path)
		if f.Absent || f.Link != "" {
			continue
		}
		if f.Directory {
			err = os.MkdirAll(at, 0o700)
		} else if err = os.MkdirAll(filepath.Dir(at), 0o700); err == nil {
			err = writeNew(at, f.wanted(), f.Content)
		}
		if err != nil {
			return fmt.Errorf("stage %s: %w", f.Path, err)
		}
	}
	return p.Check(ctx, staged)
}

// begin writes down what is, before anything is changed.
func (e *Engine) begin(p Plan, s manifest.Setting) (*record, error) {
	rec := &record{ID: s.ID, Setting: s}
	if old := e.ledger.records[s.ID]; old != nil {
		c := *old
		rec = &c
	}
	rec.Phase, rec.Next, rec.Trial = phaseBegun, &s, nil
	rec.Had = rec.Wrote
	rec.Original, rec.Undo, rec.Wrote = maps.Clone(rec.Original), map[string]pathState{}, map[string]pathState{}
	if rec.Original == nil {
		rec.Original = map[string]pathState{}
	}
	if !rec.Applied && p.Before != nil && rec.Before == nil {
		b, err := json.Marshal(p.Before)
		if err != nil {
			return nil, err
		}
		rec.Before = b
	}
	paths := slices.Collect(maps.Keys(rec.Original))
	for _, f := range p.Files {
		rec.Wrote[f.Path] = f.wanted()
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	for _, name := range slices.Compact(paths) {
		if err := e.note(rec, name); err != nil {
			return nil, err
		}
	}
	if err := e.ledger.save(rec); err != nil {
		return nil, err
	}
	e.step("begun")
	return rec, nil
}

// note puts the present state of a path into the record, as what to go back to, and as what
// was there before where the path is new to the setting.
func (e *Engine) note(rec *record, name string) error {
	at, err := e.cfg.System.place(name)
	if err != nil {
		return err
	}
	sweep(at)
	st, content, err := look(at)
	if err != nil {
		return err
	}
	if want, ok := rec.Wrote[name]; ok && st.Kind == kindDir && want.Kind != kindDir {
		return Conflict("%s is a directory", name)
	}
	if st.Kind == kindFile {
		if err := e.ledger.keep(content); err != nil {
			return fmt.Errorf("keep %s as it was: %w", name, err)
		}
	}
	rec.Undo[name] = st
	if _, known := rec.Original[name]; !known {
		if st.Kind == kindFile && isOurs(content) { // of an agent whose journal is lost
			st = pathState{Kind: kindAbsent}
		}
		rec.Original[name] = st
	}
	return nil
}

// write puts the plan's files in place; those of the value before that are in no plan any
// more go back to what was there first.
func (e *Engine) write(rec *record, p Plan) error {
	for name, st := range rec.Original {
		if _, still := rec.Wrote[name]; !still {
			if err := e.restore(name, st); err != nil {
				return err
			}
		}
	}
	for _, f := range p.Files {
		at, err := e.cfg.System.place(f.Path)
		if err != nil {
			return err
		}
		if st, _, err := look(at); err == nil && st == f.wanted() {
			continue
		}
		if !f.Absent {
			if err := e.parents(rec, at); err != nil {
				return fmt.Errorf("directory of %s: %w", f.Path, err)
			}
		}
		if err := put(at, f.wanted(), f.Content); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		e.step("wrote")
	}
	return nil
}

// parents makes missing directories, after writing down that they are ours to remove.
func (e *Engine) parents(rec *record, at string) error {
	root := join(e.cfg.System.Root, "/")
	added := false
	for dir := filepath.Dir(at); dir != root && len(dir) > len(root); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		own := "/" + strings.TrimPrefix(strings.TrimPrefix(dir, root), "/")
		if !slices.Contains(rec.Made, own) {
			rec.Made, added = append(rec.Made, own), true
		}
	}
	if added {
		slices.Sort(rec.Made)
		if err := e.ledger.save(rec); err != nil {
			return err
		}
	}
	return e.cfg.System.makeParents(at)
}

// restore puts back what was at a path.
func (e *Engine) restore(name string, st pathState) error {
	at, err := e.cfg.System.place(name)
	if err != nil {
		return err
	}
	sweep(at)
	now, _, err := look(at)
	if err == nil && now == st {
		return nil
	}
	var content []byte
	if st.Kind == kindFile {
		if content, err = e.ledger.kept(st.Sum); err != nil {
			return err
		}
	}
	if st.Kind != kindAbsent {
		if err := e.cfg.System.makeParents(at); err != nil {
			return err
		}
	}
	if now.Kind == kindDir && st.Kind == kindAbsent {
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) { // others may have put files there: then it stays
			e.log.Info("directory stays: it is not empty", "path", name)
		}
		return nil
	}
	if err := put(at, st, content); err != nil {
		return fmt.Errorf("put back %s: %w", name, err)
	}
	e.step("restored")
	return nil
}

// restoreAll puts paths back, directories' content before directories, and goes on over
// failures.
func (e *Engine) restoreAll(states map[string]pathState) error {
	var errs []error
	names := slices.Sorted(maps.Keys(states))
	slices.Reverse(names)
	for _, name := range names {
		if err := e.restore(name, states[name]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeMade removes directories we made and nobody uses.
func (e *Engine) removeMade(rec *record) {
	for _, dir := range slices.Backward(rec.Made) {
		if heir := e.heir(rec.ID, dir); heir != nil {
			if !slices.Contains(heir.Made, dir) {
				heir.Made = append(heir.Made, dir)
				slices.Sort(heir.Made)
				if err := e.ledger.save(heir); err != nil {
					e.log.Warn("a directory may be left behind", "path", dir, "err", err)
				}
			}
			continue
		}
		if at, err := e.cfg.System.place(dir); err == nil {
			os.Remove(at) // fails where somebody's file is in it: then it stays
		}
	}
}

// heir is another setting with files below dir, which removes it when it goes.
func (e *Engine) heir(id manifest.ID, dir string) *record {
	for other, r := range e.ledger.records {
		for name := range r.Original {
			if other != id && strings.HasPrefix(name, dir+"/") {
				return r
			}
		}
	}
	return nil
}

// takeBack undoes a change that was begun and returns why, with what went wrong meanwhile.
func (e *Engine) takeBack(ctx context.Context, rec *record, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*defaultPatience)
	defer cancel()
	if err := e.undo(ctx, rec); err != nil {
		e.log.Error("a change could not be taken back; it is tried again", "setting", rec.ID, "err", err)
		return fmt.Errorf("%w; and going back to what was before did not work: %w", why, err)
	}
	return why
}

// undo puts files back as they were before the change and makes that effective.
func (e *Engine) undo(ctx context.Context, rec *record) error {
	errs := e.restoreAll(rec.Undo)
	enf, err := e.enforcer(rec.ID)
	if err != nil {
		return errors.Join(errs, err)
	}
	sys := &e.cfg.System
	if rec.Applied {
		err = enf.Apply(ctx, sys, rec.Setting)
	} else {
		gone := rec.Setting
		if rec.Next != nil {
			gone = *rec.Next
		}
		err = enf.Remove(ctx, sys, Removal{Setting: gone, Before: rec.Before})
	}
	if errs = errors.Join(errs, err); errs != nil {
		return errs
	}
	if !rec.Applied {
		e.removeMade(rec)
		return e.ledger.forget(rec.ID)
	}
	maps.DeleteFunc(rec.Original, func(name string, _ pathState) bool { _, had := rec.Had[name]; return !had })
	rec.Phase, rec.Next, rec.Undo, rec.Trial, rec.Wrote, rec.Had = phaseApplied, nil, nil, nil, rec.Had, nil
	return e.ledger.save(rec)
}

// commit ends a change.
func (e *Engine) commit(rec *record) error {
	e.step("committing")
	done := *rec
	done.Setting, done.Applied, done.Phase = *rec.Next, true, phaseApplied
	done.Original = maps.Clone(rec.Original)
	maps.DeleteFunc(done.Original, func(name string, _ pathState) bool { _, still := rec.Wrote[name]; return !still })
	done.Next, done.Undo, done.Trial, done.Had = nil, nil, nil, nil
	if err := e.ledger.save(&done); err != nil {
		return err // still in its old phase on disk: it is taken back and done again
	}
	e.ledger.prune()
	return nil
}

// confirm waits until the gateway can be reached, at most until the trial's time is up.
func (e *Engine) confirm(ctx context.Context, rec *record) error {
	within := orDuration(e.cfg.ConfirmWithin, DefaultConfirm)
	if rec.Trial != nil {
		within = rec.Trial.left()
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	pause := time.NewTicker(probePause)
	defer pause.Stop()
	for {
		if e.reachable(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return fmt.Errorf("%w: with this the device could not reach its gateway for %s", errUnconfirmed, orDuration(e.cfg.ConfirmWithin, DefaultConfirm))
		case <-pause.C:
		}
	}
}

func (e *Engine) reachable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	err := e.cfg.Reach(ctx)
	if err != nil {
		e.log.Info("the gateway was not reached", "err", err)
	}
	return err == nil
}

// recover finishes what a killed agent, or a failure, left: a trial that still has time goes
// on, everything else begun is taken back, a removal is done to its end.
func (e *Engine) recover(ctx context.Context, rec *record) error {
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*defaultPatience) // an agent told to stop still goes back
	defer cancel()
	switch rec.Phase {
	case phaseTrial:
		if rec.Trial.left() > 0 && e.cfg.Reach != nil && e.confirm(ctx, rec) == nil {
			return e.commit(rec)
		}
		e.log.Warn("a setting on trial was not confirmed and is taken back", "setting", rec.ID)
		return e.undo(whole, rec)
	case phaseBegun:
		e.log.Warn("a change that was not finished is taken back", "setting", rec.ID)
		return e.undo(whole, rec)
	case phaseRemoving:
		return e.remove(ctx, rec)
	}
	return nil
}

// remove puts back what was before a setting came.
func (e *Engine) remove(ctx context.Context, rec *record) error {
	enf, err := e.enforcer(rec.ID)
	if err != nil {
		return err
	}
	if rec.Phase != phaseRemoving {
		c := *rec
		c.Phase = phaseRemoving
		if err := e.ledger.save(&c); err != nil {
			return err
		}
		rec = &c
	}
	e.step("removing")
	if err := e.restoreAll(rec.Original); err != nil {
		return err
	}
	if err := enf.Remove(ctx, &e.cfg.System, Removal{Setting: rec.Setting, Before: rec.Before}); err != nil {
		return err
	}
	e.removeMade(rec)
	e.step("removed")
	return e.ledger.forget(rec.ID)
}
