package desire

import (
	"context"
	"errors"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// resolveAll does the work there is, and waits for more.
func (e *Engine) resolveAll(ctx context.Context) {
	retry := time.Second
	for ctx.Err() == nil {
		err := e.resolveDue(ctx)
		wait := e.cfg.Again
		switch {
		case err == nil:
			retry = time.Second
			if next, err := e.cfg.Store.NextWork(ctx); err == nil && !next.IsZero() {
				wait = min(wait, max(time.Until(next), 50*time.Millisecond)) // whoever is at it may die
			}
		case ctx.Err() != nil:
			return
		default:
			// Devices keep what they have: a policy that cannot be read is not one that is gone.
			e.log.Error("resolve_failed", "retry_ms", retry.Milliseconds(), "error", err)
			wait = retry
			retry = min(2*retry, time.Minute)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// resolveDue works until there is nothing left that nobody else is at.
func (e *Engine) resolveDue(ctx context.Context) error {
	for {
		if err := e.resolveDirty(ctx); err != nil {
			return err
		}
		w, err := e.cfg.Store.ClaimWork(ctx, e.self, now(), e.cfg.Lease)
		if errors.Is(err, mdm.ErrNotFound) {
			return nil
		}
		if err == nil {
			err = e.resolveScope(ctx, w)
		}
		if err != nil && !errors.Is(err, mdm.ErrConflict) {
			return err
		}
	}
}

// resolveScope resolves the devices of one piece of work, page by page. The cursor is moved
// only after the nudges of a page, so that who takes over after a kill nudges them again.
func (e *Engine) resolveScope(ctx context.Context, w Work) error {
	began, devices, changed := time.Now(), 0, 0
	for {
		page, err := e.cfg.Store.ResolvePage(ctx, e.self, w, e.cfg.Page, now(), e.cfg.Lease, e.resolveMembers)
		if err != nil {
			return err
		}
		e.Stale()
		devices += len(page.Members)
		changed += page.Changed
		e.nudge(ctx, page.Members)
		if page.Over {
			break
		}
		w.Cursor = page.Next
		if err := e.resolveDirty(ctx); err != nil { // somebody waits for these
			return err
		}
	}
	e.log.Info("policies_resolved", "kind", string(w.Kind), "target", w.Target, "devices", devices, "changed", changed,
		"ms", time.Since(began).Milliseconds())
	return e.cfg.Store.FinishWork(ctx, w)
}

func (e *Engine) resolveDirty(ctx context.Context) error {
	for {
		page, err := e.cfg.Store.ResolveDirty(ctx, e.cfg.Page, now(), e.resolveMembers)
		if err != nil || page.Over {
			return err
		}
		e.Stale()
		e.nudge(ctx, page.Members)
		if err := e.cfg.Store.FinishDirty(ctx, page); err != nil {
			return err
		}
	}
}

// resolveMembers is the Resolve of pages. The store calls it from one transaction at a time.
func (e *Engine) resolveMembers(ctx context.Context, rev int64, members []Member) ([]Outcome, error) {
	in, err := e.current(ctx, rev)
	if err != nil {
		return nil, err
	}
	labels, err := e.labelsOf(ctx, in, members)
	if err != nil {
		return nil, err
	}
	var fresh []Outcome
	stored := map[string]bool{}
	for i := range members {
		m := &members[i]
		o, err := e.resolve(in, *m, labels[m.Device], true)
		if errors.Is(err, errTooLarge) {
			e.log.Error("manifest_too_large", "device", m.Device, "error", err)
			continue // what it had stays
		}
		if err != nil {
			return nil, err
		}
		if m.Generation == 0 && len(o.says) == 0 || m.Outcome == o.key {
			continue
		}
		if !stored[o.key] {
			// Every page stores what its devices need: whether the transaction of the page before
			// came through is not known here, and twice is no harm.
			out, err := e.seal(o)
			if err != nil {
				return nil, err
			}
			stored[o.key] = true
			fresh = append(fresh, out)
			e.remember(o)
		}
		m.Outcome, m.Hash = o.key, o.hash
	}
	return fresh, nil
}

func (e *Engine) labelsOf(ctx context.Context, in *inputs, members []Member) (map[mdm.DeviceID][]mdm.LabelID, error) {
	if len(in.labels) == 0 || len(members) == 0 {
		return nil, nil
	}
	ids := make([]mdm.DeviceID, len(members))
	for i, m := range members {
		ids[i] = m.Device
	}
	return e.cfg.Store.DeviceLabels(ctx, ids)
}

// nudge tells the devices that are online and have not reported on what they must be.
func (e *Engine) nudge(ctx context.Context, members []Member) {
	var online map[mdm.DeviceID]bool
	nudged := 0
	for _, m := range members {
		if m.Hash == m.Reported || m.Generation == 0 {
			continue
		}
		e.tell(m.Device)
		if online == nil {
			online = e.cfg.Online()
		}
		if !online[m.Device] {
			continue // it is asked when it comes
		}
		o, err := e.read(ctx, m.Outcome, "")
		if err != nil {
			e.log.Warn("device_not_nudged", "device", m.Device, "error", err)
			continue
		}
		e.cfg.Nudge(m.Device, m.Generation, o.sum)
		nudged++
	}
	if nudged > 0 {
		e.cfg.Stir(nudged)
	}
}

// remind nudges devices that owe a report for long: a nudge or a report was lost.
func (e *Engine) remind(ctx context.Context) {
	var forgot time.Time
	for pause(ctx, e.cfg.Again) {
		online := e.cfg.Online()
		after := mdm.DeviceID("")
		for len(online) > 0 {
			list, err := e.cfg.Store.Unreported(ctx, after, time.Now().Add(-e.cfg.Owe), e.cfg.Page)
			if err != nil {
				e.log.Warn("reminder_failed", "error", err)
				break
			}
			e.nudge(ctx, list)
			if len(list) < e.cfg.Page {
				break
			}
			after = list[len(list)-1].Device
		}
		if time.Since(forgot) < time.Hour {
			continue
		}
		forgot = time.Now()
		if n, err := e.cfg.Store.ForgetOutcomes(ctx, time.Now().Add(-24*time.Hour)); err != nil {
			e.log.Warn("manifests_not_forgotten", "error", err)
		} else if n > 0 {
			e.log.Info("manifests_forgotten", "manifests", n)
		}
	}
}

// Greet compares what a device that connects has with what it must be, and nudges it when
// they differ: however often that changed while it was away, it fetches once.
func (e *Engine) Greet(ctx context.Context, d mdm.DeviceID, sum string) error {
	st, err := e.cfg.Store.Desired(ctx, d)
	if errors.Is(err, mdm.ErrNotFound) {
		if sum == "" {
			return nil
		}
		o, err := empty()
		if err == nil && o.sum != sum {
			e.cfg.Nudge(d, 0, o.sum)
		}
		return err
	}
	if err != nil {
		return err
	}
	if e.hashOf(sum) == st.Hash && st.Reported == st.Hash {
		return nil
	}
	o, err := e.read(ctx, st.Outcome, "")
	if err != nil {
		return err
	}
	if sum == "" && len(o.settings) == 0 {
		return nil // it never had any
	}
	e.cfg.Nudge(d, st.Generation, o.sum)
	return nil
}

// Manifest returns what a device must be.
func (e *Engine) Manifest(ctx context.Context, d mdm.DeviceID) (manifest.Manifest, error) {
	st, err := e.cfg.Store.Desired(ctx, d)
	var o *outcome
	switch {
	case errors.Is(err, mdm.ErrNotFound):
		o, err = empty()
	case err == nil:
		o, err = e.read(ctx, st.Outcome, "")
	}
	if err != nil {
		return manifest.Manifest{}, err
	}
	return manifest.Manifest{Generation: st.Generation, Hash: o.sum, Settings: o.settings}, nil
}

// tell notes a device for the consoles.
func (e *Engine) tell(d mdm.DeviceID) {
	e.mu.Lock()
	e.told[string(d)] = true
	e.mu.Unlock()
}

// tellConsoles tells of devices some at a time: a fleet that reports is not a storm.
func (e *Engine) tellConsoles(ctx context.Context) {
	for pause(ctx, time.Second) {
		e.mu.Lock()
		ids := make([]string, 0, min(len(e.told), 100))
		for id := range e.told {
			if len(ids) < cap(ids) {
				ids = append(ids, id)
			}
		}
		clear(e.told)
		e.mu.Unlock()
		if len(ids) > 0 {
			e.cfg.Changed(ids...)
		}
	}
}
