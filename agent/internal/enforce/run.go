package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Pauses before something that failed is tried again.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 30 * time.Minute
	firstCall  = 2 * time.Second // to the gateway
	lastCall   = 5 * time.Minute
)

// What is mended more than mendsAllowed times in mendsWindow is somebody else's wish as
// well, and a fight is no state to be in: it rests for mendsRest.
const (
	mendsAllowed = 10
	mendsWindow  = time.Minute
	mendsRest    = 10 * time.Minute
)

// settle is how long changes of files are gathered before they are looked at.
const settle = 200 * time.Millisecond

// backoff is when something is tried again.
type backoff struct {
	tries int
	at    time.Time
	// cut is the value that cut the device off and was taken back. Until at, nothing tries it
	// again, neither its own going back, which is a change of what is watched, nor a manifest
	// that changes something else: each try takes the device away from its gateway.
	cut json.RawMessage
}

// rests reports whether a setting is the one that cut the device off a while ago.
func (e *Engine) rests(s manifest.Setting) bool {
	b := e.retry[s.ID]
	return b != nil && b.cut != nil && time.Now().Before(b.at) && sameJSON(b.cut, s.Value)
}

// mends counts how often a setting was mended lately.
type mends struct {
	since time.Time
	n     int
	rest  time.Time
}

// again plans another try of a setting that is not applied; cut is its value where that cut
// the device off, else nil.
func (e *Engine) again(id manifest.ID, cut json.RawMessage) {
	b := e.retry[id]
	if b == nil {
		b = &backoff{}
		e.retry[id] = b
	}
	b.cut = cut
	pause := min(firstRetry<<min(b.tries, 16), lastRetry)
	if b.cut != nil {
		pause = lastRetry
	}
	b.tries++
	b.at = time.Now().Add(pause/2 + rand.N(pause))
}

// mayMend reports whether a setting that drifted may be mended now.
func (e *Engine) mayMend(id manifest.ID) bool {
	m, now := e.mends[id], time.Now()
	if m == nil || now.Sub(m.since) > mendsWindow && now.After(m.rest) {
		m = &mends{since: now}
		e.mends[id] = m
	}
	if now.Before(m.rest) {
		return false
	}
	if m.n++; m.n > mendsAllowed {
		m.rest = now.Add(mendsRest)
		return false
	}
	return true
}

// Run keeps the device as the newest manifest says until ctx ends. At rest it waits for
// the gateway's nudge, for a change of what it watches, and for the period.
func (e *Engine) Run(ctx context.Context) error {
	e.watch = newWatch(ctx, e)
	defer e.watch.wait()
	e.recoverAll(ctx)
	e.signal(func(s *signals) { s.all = true })
	period := orDuration(e.cfg.Period, DefaultPeriod)
	next := time.Now().Add(period + rand.N(period/4+1))
	var call backoff
	for {
		wait := time.NewTimer(time.Until(e.nextDue(next, call)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		case <-e.wake:
			wait.Stop()
		}
		todo := e.take()
		if now := time.Now(); !now.Before(next) {
			todo.all, next = true, now.Add(period+rand.N(period/4+1))
		}
		if err := e.round(ctx, todo); err != nil && ctx.Err() == nil {
			e.callFailed(&call, err)
		} else {
			call = backoff{}
		}
	}
}

// callFailed plans the next call of the gateway; where there is no link, Online does.
func (e *Engine) callFailed(call *backoff, err error) {
	if errors.Is(err, ErrNotNow) {
		*call = backoff{}
		return
	}
	pause := min(firstCall<<min(call.tries, 16), lastCall)
	call.tries++
	call.at = time.Now().Add(pause/2 + rand.N(pause))
	e.log.Warn("the gateway did not take or give", "err", err, "retry_in", pause.Round(time.Second))
}

// nextDue is when Run must wake by itself.
func (e *Engine) nextDue(next time.Time, call backoff) time.Time {
	if !call.at.IsZero() && call.at.Before(next) {
		next = call.at
	}
	for _, at := range e.due {
		if at.Before(next) {
			next = at
		}
	}
	for _, b := range e.retry {
		if b.at.Before(next) {
			next = b.at
		}
	}
	return next
}

// round does what is to be done now. A fetch that fails is remembered.
func (e *Engine) round(ctx context.Context, todo signals) error {
	var failed error
	fetch := todo.fetch || e.mustFetch
	if todo.send {
		for id := range e.waiting {
			todo.look[id] = true
		}
	}
	if fetch && e.cfg.Fetch != nil {
		changed, err := e.fetch(ctx)
		e.mustFetch, failed = err != nil, err
		todo.all = todo.all || changed
	}
	now := time.Now()
	for id, at := range e.due {
		if !now.Before(at) {
			todo.look[id] = true
		}
	}
	for id, b := range e.retry {
		if !now.Before(b.at) {
			todo.look[id] = true
			if e.ledger.records[id] != nil && !e.inManifest(id) {
				todo.all = true // a removal that did not work
			}
		}
	}
	if todo.all {
		e.pass(ctx, nil)
	} else if len(todo.look) > 0 {
		e.pass(ctx, todo.look)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if todo.tell {
		e.statuses.forgetAcked()
	}
	if err := e.report(ctx); err != nil {
		failed = errors.Join(failed, err)
	}
	return failed
}

func (e *Engine) inManifest(id manifest.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.manifest.Settings {
		if s.ID == id {
			return true
		}
	}
	return false
}

// fetch gets the manifest and adopts it; changed is set where it is another one.
func (e *Engine) fetch(ctx context.Context) (changed bool, err error) {
	m, same, err := e.cfg.Fetch(ctx, e.Hash())
	if err != nil || same {
		return false, err
	}
	if err := e.adopt(m); err != nil {
		e.tellUnkept(ctx, m, err)
		return false, err
	}
	e.unkept = ""
	return true, nil
}

// tellUnkept says, once, that a manifest cannot be enforced because it cannot be written
// down: what is not on disk would be lost with the power.
func (e *Engine) tellUnkept(ctx context.Context, m manifest.Manifest, why error) {
	if e.cfg.Report == nil || e.unkept == m.Hash {
		return
	}
	r := manifest.Report{Generation: m.Generation, Hash: m.Hash}
	for _, s := range m.Settings {
		st := manifest.Status{ID: s.ID, State: manifest.Failed, Source: s.Source, AtUS: time.Now().UnixMicro(), Message: mdm.Clean(why.Error(), manifest.MaxText)}
		r.Statuses = append(r.Statuses, st)
		e.statuses.unsay(s.ID)
	}
	if e.cfg.Report(ctx, r) == nil {
		e.unkept = m.Hash
	}
}

// recoverAll takes back, or ends, what the last run of the agent left unfinished.
func (e *Engine) recoverAll(ctx context.Context) {
	for _, id := range e.ledger.ids() {
		if rec := e.ledger.records[id]; rec.Phase != phaseApplied {
			if err := e.recover(ctx, rec); err != nil {
				e.log.Error("what the last run left could not be put right; it is tried again", "setting", id, "err", err)
			}
		}
	}
}
