package comply

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/group"
)

// Store is what the engine reads and writes.
type Store interface {
	compliance.StandingStore
	compliance.WaiverStore
	compliance.FactStore
	ComplianceWalk(ctx context.Context, s compliance.Scope, after mdm.DeviceID, limit int) ([]compliance.Named, error)
}

// Config holds what the engine works with. Store, Rules, Compiler and Tree must be set.
type Config struct {
	Store    Store
	Rules    *compliance.Registry
	Compiler *rule.Compiler
	Tree     func(ctx context.Context) (group.Tree, error)
	// Changed is told of devices whose state changed; nil means nobody.
	Changed func(ids ...string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Workers evaluate at once; 0 means as many as there are processors, at most 4.
	Workers int
	// Batch is how many devices a worker takes at once; 0 means 250.
	Batch int
	// Lag says for how long work that can wait leaves the machine to what is more urgent; nil means
	// never.
	Lag func() time.Duration
	// Patience is how long a device may be due: whatever is more urgent, those that have waited for
	// longer are checked, some at a time. 0 means 3 minutes.
	Patience time.Duration
	// Lease is when a batch comes back that nobody saved; 0 means 1 minute.
	Lease time.Duration
}

// Engine is the room. It is safe for concurrent use.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	wake  chan struct{}
	cache recent[sectionKey, any]      // decoded sections by name and hash
	seen  recent[sectionKey, struct{}] // those decoded once: a device's own come once only

	mu     sync.Mutex
	book   *rulebook
	latest time.Time // by the clock, when it was last looked at
	warned time.Time // that devices wait for long
}

// idle is how often a node looks for due devices without being told: for those another node
// left behind.
const idle = time.Minute

// New checks the configuration and returns the engine; it starts nothing.
func New(cfg Config, log *slog.Logger) (*Engine, error) {
	if cfg.Store == nil || cfg.Rules == nil || cfg.Compiler == nil || cfg.Tree == nil {
		return nil, errors.New("comply: a room is missing from the configuration")
	}
	if cfg.Changed == nil {
		cfg.Changed = func(...string) {}
	}
	if cfg.Lag == nil {
		cfg.Lag = func() time.Duration { return 0 }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	now := cfg.Now
	cfg.Now = func() time.Time { return now().UTC().Truncate(time.Microsecond) } // as exact as it is stored
	if cfg.Workers <= 0 {
		cfg.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 250
	}
	if cfg.Lease <= 0 {
		cfg.Lease = time.Minute
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 3 * time.Minute
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Engine{cfg: cfg, log: log, wake: make(chan struct{}, cfg.Workers), cache: recent[sectionKey, any]{most: maxCached / 2}, seen: recent[sectionKey, struct{}]{most: maxSeen / 2}}, nil
}

// Nudge says that devices may have become due. It never blocks.
func (e *Engine) Nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run evaluates what is due until ctx ends. A database that is away is waited for.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.sync(ctx); err != nil {
		return err
	}
	e.missed(ctx)
	workers, ctx := errgroup.WithContext(ctx)
	workers.Go(func() error { return e.noteDays(ctx) })
	for range e.cfg.Workers {
		workers.Go(func() error { return e.work(ctx) })
	}
	return workers.Wait()
}

// sync writes the shipped rules down, for as long as it takes.
func (e *Engine) sync(ctx context.Context) error {
	for {
		changed, err := e.cfg.Rules.Sync(ctx, e.cfg.Now())
		if err == nil {
			if changed {
				e.log.Info("compliance_rules_changed")
			}
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		e.log.Warn("compliance_rules_unsynced", "error", err)
		if !e.wait(ctx, retry) {
			return nil
		}
	}
}

// retry is how long to wait after the database was away.
const retry = 2 * time.Second

func (e *Engine) work(ctx context.Context) error {
	for {
		if !e.letPass(ctx) {
			return nil
		}
		n, err := e.Round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop
		case err != nil:
			e.log.Warn("compliance_unchecked", "error", err)
			if !e.wait(ctx, retry) {
				return nil
			}
		case n == e.cfg.Batch:
			e.Nudge() // there is more than one worker's share
		case n == 0 && !e.wait(ctx, e.pause(ctx)):
			return nil
		}
	}
}

// letPass waits for what is more urgent; false when ctx ended. Meanwhile devices that have
// waited for longer than Patience are checked, a few at a time.
func (e *Engine) letPass(ctx context.Context) bool {
	for lag := e.cfg.Lag(); lag > 0; lag = e.cfg.Lag() {
		began := time.Now()
		n, err := e.lateRound(ctx)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("compliance_unchecked", "error", err)
		}
		rest := e.cfg.Patience / 10
		if n > 0 {
			rest = min(rest, yield*time.Since(began))
		}
		t := time.NewTimer(min(lag, rest))
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
	}
	return ctx.Err() == nil
}

// Of what waits for long, a share of a batch is taken at a time, and while there is more urgent
// work that has the machine for yield times as long as such a part took.
const (
	lateShare = 10
	yield     = 4
)

// lateRound is Round for a few of the devices that have waited for longer than Patience.
func (e *Engine) lateRound(ctx context.Context) (int, error) {
	now := e.cfg.Now()
	ids, err := e.claimLate(ctx, now, now.Add(e.cfg.Lease))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return len(ids), e.check(ctx, now.Add(e.cfg.Lease), ids)
}

// claimLate takes some of the devices that have waited for longer than Patience.
func (e *Engine) claimLate(ctx context.Context, now, lease time.Time) ([]mdm.DeviceID, error) {
	behind, err := e.Behind(ctx)
	if err != nil || behind <= e.cfg.Patience {
		return nil, err
	}
	e.mu.Lock()
	warn := now.Sub(e.warned) > e.cfg.Patience || now.Before(e.warned)
	if warn {
		e.warned = now
	}
	e.mu.Unlock()
	if warn {
		e.log.Warn("compliance_behind", "seconds", int64(behind.Seconds()))
	}
	return e.cfg.Store.ClaimComplianceLate(ctx, now.Add(-e.cfg.Patience), lease, max(e.cfg.Batch/lateShare, 1))
}

// Behind returns for how long the device that waits longest has been due to be checked, by any
// node; 0 when none waits.
func (e *Engine) Behind(ctx context.Context) (time.Duration, error) {
	next, err := e.cfg.Store.NextComplianceDue(ctx)
	if err != nil || next.IsZero() {
		return 0, err
	}
	return max(e.cfg.Now().Sub(next), 0), nil
}

// noteDays keeps the numbers trends are drawn from.
func (e *Engine) noteDays(ctx context.Context) error {
	t := time.NewTicker(hourly)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		e.missed(ctx)
		if err := e.cfg.Rules.NoteDay(ctx, e.cfg.Now()); err != nil && ctx.Err() == nil {
			e.log.Warn("compliance_day_unwritten", "error", err)
		}
	}
}

// missed has devices checked that a node which died, or a clock that was wrong, left behind.
func (e *Engine) missed(ctx context.Context) {
	b, err := e.rulebook(ctx)
	if err == nil {
		err = e.cfg.Store.MarkComplianceMissed(ctx, e.cfg.Now(), b.settings)
	}
	if err != nil && ctx.Err() == nil {
		e.log.Warn("compliance_unmarked", "error", err) // an hour later again
	}
}

// hourly is how often the present day's numbers are written anew, and what was missed looked for.
const hourly = time.Hour

// pause is until the next device is due by the clock.
func (e *Engine) pause(ctx context.Context) time.Duration {
	next, err := e.cfg.Store.NextComplianceDue(ctx)
	if err != nil || next.IsZero() {
		return idle
	}
	return min(max(next.Sub(e.cfg.Now()), 50*time.Millisecond), idle)
}

// wait waits for a nudge or d; false when ctx ended.
func (e *Engine) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-e.wake:
		// Changes come in crowds: what is due in a moment is taken along.
		t.Reset(gather)
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	case <-t.C:
	}
	return ctx.Err() == nil
}

// gather is how long a nudge waits for others.
const gather = 50 * time.Millisecond

// Recheck makes devices due, all for none, as if all they reported had changed.
func (e *Engine) Recheck(ctx context.Context, ids ...mdm.DeviceID) error {
	if err := e.cfg.Store.MarkComplianceDue(ctx, e.cfg.Now(), ids...); err != nil {
		return err
	}
	e.Nudge()
	return nil
}

// SettingsChanged is told of devices whose settings' states changed, none for any; they are
// checked again if a rule reads such states.
func (e *Engine) SettingsChanged(ctx context.Context, ids ...mdm.DeviceID) error {
	b, err := e.rulebook(ctx)
	if err != nil || !b.settings {
		return err
	}
	return e.Recheck(ctx, ids...)
}

// rulebook returns the rules in force, compiled once for as long as they stay the same.
func (e *Engine) rulebook(ctx context.Context) (*rulebook, error) {
	set, err := e.cfg.Rules.InForce(ctx)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.book == nil || e.book.set.Seq != set.Seq {
		book := makeBook(e.cfg.Compiler, set)
		if e.book != nil {
			book.known = e.book.known // rules that did not change still say the same
		}
		e.book = book
		for _, r := range e.book.rules {
			if r.broken != "" {
				e.log.Error("compliance_rule_broken", "rule", r.rule.ID, "error", r.broken)
			}
		}
	}
	return e.book, nil
}

// Round claims one batch of due devices, evaluates and saves it, and returns how many it
// was. Run calls it; tests and benchmarks may.
func (e *Engine) Round(ctx context.Context) (int, error) {
	now := e.cfg.Now()
	if e.wentBack(now) {
		// What was put on the list by the wrong clock may be due in years.
		if err := e.cfg.Store.MarkComplianceDue(ctx, now); err != nil {
			return 0, err
		}
		e.log.Warn("clock_went_back", "now", now)
	}
	if next, err := e.cfg.Store.NextComplianceDue(ctx); err != nil || next.IsZero() || next.After(now) {
		return 0, err // looking costs no write
	}
	lease := now.Add(e.cfg.Lease)
	// What changed last goes first, since somebody may be looking at it; under endless load what
	// changed before would never have its turn.
	ids, err := e.claimLate(ctx, now, lease)
	if err != nil {
		return 0, err
	}
	newest, err := e.cfg.Store.ClaimComplianceDue(ctx, now, lease, e.cfg.Batch-len(ids))
	if err != nil {
		return 0, err
	}
	if ids = append(ids, newest...); len(ids) == 0 {
		return 0, nil
	}
	return len(ids), e.check(ctx, lease, ids)
}

// check evaluates and saves devices that were claimed until lease.
func (e *Engine) check(ctx context.Context, lease time.Time, ids []mdm.DeviceID) error {
	slices.Sort(ids)
	changes, err := e.evaluate(ctx, ids)
	if err != nil {
		return err
	}
	if _, err := e.cfg.Store.SaveCompliance(ctx, lease, changes); err != nil {
		return err
	}
	var told []string
	for _, c := range changes {
		if c.Changed() {
			told = append(told, string(c.Standing.Device))
		}
	}
	if len(told) > maxTold {
		e.cfg.Changed()
	} else if len(told) > 0 {
		e.cfg.Changed(told...)
	}
	return nil
}

// wentBack reports, once, that the clock was set back by more than nodes differ anyway.
func (e *Engine) wentBack(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.latest
	e.latest = now
	return now.Before(before.Add(-time.Minute))
}

// maxTold is how many devices a message names; beyond it says "anything".
const maxTold = 20

func (e *Engine) evaluate(ctx context.Context, ids []mdm.DeviceID) ([]compliance.Change, error) {
	b, err := e.rulebook(ctx)
	if err != nil {
		return nil, err
	}
	tree, err := e.cfg.Tree(ctx)
	if err != nil {
		return nil, err
	}
	list, err := e.subjects(ctx, b, tree, ids)
	if err != nil {
		return nil, err
	}
	standings, err := e.cfg.Store.ComplianceStandings(ctx, ids)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Now()
	waivers, err := e.cfg.Store.ComplianceWaivers(ctx, compliance.WaiverFilter{HoldingAt: now})
	if err != nil {
		return nil, err
	}
	seen := map[mdm.DeviceID]bool{}
	out := make([]compliance.Change, 0, len(list))
	for _, s := range list {
		seen[s.Device] = true
		before := standings[s.Device]
		before.Device = s.Device
		c := compliance.Circumstances{Set: b.set, EnrolledAt: s.EnrolledAt, Now: now}
		for _, w := range waivers {
			if w.Covers(s.Device, s.groups) {
				c.Waivers = append(c.Waivers, w)
			}
		}
		change := compliance.Advance(before, b.verdicts(ctx, s, &before), c)
		if b.clock {
			change.Standing.DueAt = earlier(change.Standing.DueAt, now.Add(recheck-spread(s.Device)))
		}
		out = append(out, change)
	}
	for _, id := range ids {
		if st, ok := standings[id]; ok && !seen[id] { // revoked: it is under no rule any more
			out = append(out, compliance.Advance(st, nil, compliance.Circumstances{Set: b.set, Now: now}))
		} else if !seen[id] {
			out = append(out, compliance.Advance(compliance.Standing{Device: id}, nil, compliance.Circumstances{Set: b.set, Now: now}))
		}
	}
	return out, ctx.Err()
}

func (b *rulebook) verdicts(ctx context.Context, s subject, before *compliance.Standing) []compliance.Verdict {
	out := make([]compliance.Verdict, len(b.rules))
	for i, r := range b.rules {
		var old *compliance.Entry
		if before != nil {
			if e, ok := before.Entry(r.rule.ID); ok {
				old = &e
			}
		}
		out[i] = b.verdict(ctx, r, s, old)
	}
	return out
}

// known is what a rule said of sections before.
type known struct {
	verdict  compliance.Verdict
	evidence bool // it was looked for
}

// maxKnown is how many are kept.
const maxKnown = 20_000

// verdict judges, or knows from a device with the same sections.
func (b *rulebook) verdict(ctx context.Context, r compiled, s subject, old *compliance.Entry) compliance.Verdict {
	key, ok := r.memoKey(s)
	if !ok {
		return r.judge(ctx, s.prepared, s.inventory, old)
	}
	k, ok := b.known.get(key)
	if ok {
		r.worth.found.Add(1)
	}
	if ok && (k.evidence || old != nil && bare(old.State) == k.verdict.State) {
		return k.verdict
	}
	v := r.judge(ctx, s.prepared, s.inventory, old)
	if ctx.Err() == nil && v.State != compliance.Failed {
		b.known.put(key, known{verdict: v, evidence: old == nil || bare(old.State) != v.State}, 1)
	}
	return v
}

// worth tells whether remembering what a rule said is worth it: where sections are each
// device's own, nobody ever asks again.
type worth struct{ asked, found atomic.Int64 }

// trying counts a question; where fewer than one in twenty was known, it tries one in sixteen.
func (w *worth) trying() bool {
	n := w.asked.Add(1)
	return n < 500 || w.found.Load()*20 > n || n%16 == 0
}

// memoKey is all that decides what a rule says of a device.
type memoKey struct {
	rule     string
	seq      int64
	os       string
	sections [maxDecisive]string // their hashes
}

// maxDecisive is of how many sections at most a rule is remembered by; more are rare.
const maxDecisive = 4

// memoKey returns the key; false when more decides than it holds.
func (c compiled) memoKey(s subject) (memoKey, bool) {
	k := memoKey{rule: c.rule.ID, seq: c.rule.Seq, os: s.OS}
	if c.memo == nil || len(c.memo) > maxDecisive || !c.worth.trying() {
		return k, false
	}
	for i, name := range c.memo {
		hash, reported := s.Sections[name]
		if _, loaded := s.inventory[name]; loaded != reported {
			return k, false
		}
		k.sections[i] = hash
	}
	return k, true
}

// spread is up to an hour, always the same for a device.
func spread(id mdm.DeviceID) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(id))
	return time.Duration(h.Sum32()%3600) * time.Second
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// Observe evaluates every rule in force on a device now, with evidence for each, and stores
// nothing: what a device's page shows beside the states that are kept. It is empty for a
// device that does not exist or is revoked.
func (e *Engine) Observe(ctx context.Context, id mdm.DeviceID) (map[string]compliance.Verdict, error) {
	b, err := e.rulebook(ctx)
	if err != nil {
		return nil, err
	}
	list, err := e.observe(ctx, b, []mdm.DeviceID{id})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	out := make(map[string]compliance.Verdict, len(b.rules))
	for _, v := range b.verdicts(ctx, list[0], nil) {
		out[v.Rule] = v
	}
	return out, nil
}

func (e *Engine) observe(ctx context.Context, b *rulebook, ids []mdm.DeviceID) ([]subject, error) {
	tree, err := e.cfg.Tree(ctx)
	if err != nil {
		return nil, err
	}
	return e.subjects(ctx, b, tree, ids)
}

// Trial is one device of a Try.
type Trial struct {
	compliance.Named
	Verdict compliance.Verdict
}

// Try evaluates a rule that need not be kept on the devices of a scope, at most limit of
// them, and stores nothing. The error of a rule that does not compile is mdm.ErrInvalid.
func (e *Engine) Try(ctx context.Context, r compliance.Rule, scope compliance.Scope, limit int) ([]Trial, error) {
	if _, err := compile(e.cfg.Compiler, r); err != nil {
		return nil, err
	}
	b := makeBook(e.cfg.Compiler, compliance.Set{Rules: []compliance.Rule{r}})
	page, err := e.cfg.Store.ComplianceWalk(ctx, scope, "", limit)
	if err != nil || len(page) == 0 {
		return []Trial{}, err
	}
	ids := make([]mdm.DeviceID, len(page))
	at := map[mdm.DeviceID]compliance.Named{}
	for i, d := range page {
		ids[i] = d.Device
		at[d.Device] = d
	}
	list, err := e.observe(ctx, b, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Trial, len(list))
	for i, s := range list {
		out[i] = Trial{Named: at[s.Device], Verdict: b.verdicts(ctx, s, nil)[0]}
	}
	return out, ctx.Err()
}
