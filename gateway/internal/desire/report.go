package desire

import (
	"bytes"
	"context"
	"errors"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// maxBatch is how many reports are stored in one transaction.
const maxBatch = 200

// maxKept bounds what is kept of one device's observed values, in bytes; beyond it the
// larger ones are dropped.
const maxKept = 1 << 20

type report struct {
	device mdm.DeviceID
	manifest.Report
	at   time.Time
	done chan error
}

// Report takes in what a device says of its settings. It returns when that is stored, which
// happens together with the reports of others. Settings the device never was given are left
// out. Unlike Run's other parts it needs Run to be running.
func (e *Engine) Report(ctx context.Context, d mdm.DeviceID, r manifest.Report) error {
	one := report{device: d, Report: r, at: now(), done: make(chan error, 1)}
	select {
	case e.reports <- one:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-one.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeReports stores reports in batches: while one is written the next gathers.
func (e *Engine) takeReports(ctx context.Context) {
	for {
		var batch []report
		select {
		case <-ctx.Done():
			return
		case one := <-e.reports:
			batch = append(batch, one)
		}
	gather:
		for len(batch) < maxBatch {
			select {
			case one := <-e.reports:
				batch = append(batch, one)
			default:
				break gather
			}
		}
		if e.storeAll(ctx, batch) {
			signal(e.recount)
		}
	}
}

// alone bounds the time that reports of a batch that could not be stored get one by one.
const alone = 10 * time.Second

// storeAll stores a batch and answers its reports; stored says whether one was stored. One that
// the database does not take must not take the others along.
func (e *Engine) storeAll(ctx context.Context, batch []report) (stored bool) {
	ctx = context.WithoutCancel(ctx)
	err := e.store(ctx, batch)
	if err == nil || len(batch) == 1 || errors.Is(err, mdm.ErrUnavailable) || errors.Is(err, mdm.ErrFull) {
		for _, one := range batch {
			one.done <- err
		}
		return err == nil
	}
	ctx, cancel := context.WithTimeout(ctx, alone)
	defer cancel()
	for _, one := range batch {
		err := e.store(ctx, []report{one})
		if err != nil {
			e.log.Warn("report_not_stored", "device", string(one.device), "error", err)
		}
		one.done <- err
		stored = stored || err == nil
	}
	return stored
}

func (e *Engine) store(ctx context.Context, batch []report) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ids := make([]mdm.DeviceID, 0, len(batch))
	of := map[mdm.DeviceID][]report{}
	for _, one := range batch {
		ids = append(ids, one.device)
		of[one.device] = append(of[one.device], one)
	}
	err := e.cfg.Store.MergeReports(ctx, ids, func(ctx context.Context, st *Standing) (bool, error) {
		changed := false
		for _, one := range of[st.Device] {
			did, err := e.merge(ctx, st, one)
			if err != nil {
				return false, err
			}
			changed = changed || did
		}
		return changed, nil
	})
	if err == nil {
		e.Stale()
		for _, id := range ids {
			e.tell(id)
		}
	}
	return err
}

// merge takes one report into what is known, and reports whether anything is news.
func (e *Engine) merge(ctx context.Context, st *Standing, r report) (bool, error) {
	hash := e.hashOf(r.Hash)
	if r.Generation < st.ReportedGeneration && hash != st.Hash {
		return false, nil // overtaken by a later one
	}
	about, err := e.settingsOf(ctx, hash)
	if err != nil {
		return false, err
	}
	if hash != st.Reported {
		before, err := e.settingsOf(ctx, st.Reported)
		if err != nil {
			return false, err
		}
		for id, s := range about { // another value's state says nothing of this one's
			if was, ok := before[id]; !ok || !bytes.Equal(was.Value, s.Value) {
				delete(st.Statuses, id)
			}
		}
	}
	said := map[manifest.ID]bool{}
	strange := 0
	for _, s := range r.Statuses {
		given, now := about[s.ID]
		_, once := st.Statuses[s.ID]
		if !now && !once {
			strange++
			continue
		}
		said[s.ID] = true
		k := Kept{
			State: s.State, Observed: s.Observed, Message: s.Message, Mended: s.Mended, Source: s.Source,
			AtUS: s.AtUS, ReceivedUS: r.at.UnixMicro(), SinceUS: r.at.UnixMicro(),
		}
		if now {
			k.Source = given.Source
		} else {
			k.Source = st.Statuses[s.ID].Source
		}
		if was, ok := st.Statuses[s.ID]; ok && was.State == k.State {
			k.SinceUS = was.SinceUS
		}
		st.Statuses[s.ID] = k
	}
	if strange > 0 {
		e.log.Info("status_of_unknown_setting", "device", string(r.device), "count", strange)
	}
	for _, id := range r.Gone {
		if _, now := about[id]; !now {
			delete(st.Statuses, id)
		}
	}
	for id := range st.Statuses {
		if r.Full && !said[id] {
			delete(st.Statuses, id)
		}
	}
	for id, k := range st.Statuses {
		if k.State == manifest.Pending { // an earlier gateway's word for what is unsaid
			delete(st.Statuses, id)
		}
	}
	var unsaid []manifest.ID
	for id := range about {
		if _, ok := st.Statuses[id]; !ok {
			unsaid = append(unsaid, id)
		}
	}
	st.Unsaid = Unsaid(unsaid)
	bound(st.Statuses)
	st.Reported, st.ReportedGeneration, st.ReportedAt = hash, r.Generation, r.at
	return true, nil
}

// settingsOf returns the settings of a manifest by its keyed hash; none when it is unknown.
func (e *Engine) settingsOf(ctx context.Context, hash string) (map[manifest.ID]manifest.Setting, error) {
	if hash == "" {
		return nil, nil
	}
	o, err := e.read(ctx, "", hash)
	if errors.Is(err, mdm.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make(map[manifest.ID]manifest.Setting, len(o.settings))
	for _, s := range o.settings {
		out[s.ID] = s
	}
	return out, nil
}

// bound drops large observed values of a device that sends too many.
func bound(all map[manifest.ID]Kept) {
	size := 0
	for _, k := range all {
		size += len(k.Observed) + len(k.Message)
	}
	if size <= maxKept {
		return
	}
	for id, k := range all {
		if len(k.Observed) > 256 {
			k.Observed = nil
		}
		k.Message = mdm.Clean(k.Message, 200)
		all[id] = k
	}
}
