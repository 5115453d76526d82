package diag

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"handrail/mdm/inventory"
	"handrail/signaling"
)

// Defaults of ReporterConfig.
const (
	DefaultInterval = 30 * time.Minute       // what nothing tells of: free space, ports, states of services
	settle          = 300 * time.Millisecond // events come in bunches
	breath          = time.Second            // between looks, while a package manager rewrites its files
	firstRetry      = 2 * time.Second
	lastRetry       = 5 * time.Minute
)

// Postponed is wrapped by an Upload that the gateway wants to see again, unchanged, after a while.
type Postponed struct {
	After time.Duration
	Err   error
}

func (p *Postponed) Error() string { return p.Err.Error() }

// Unwrap returns why.
func (p *Postponed) Unwrap() error { return p.Err }

// ErrNotNow is wrapped by an Upload that cannot work at present but is not refused: it is
// tried again when Nudge is called.
var ErrNotNow = errors.New("no link to upload over")

// ReporterConfig says what is reported where. Collect and Upload are needed.
type ReporterConfig struct {
	// Collect looks at the device. It is given what the gateway holds, section to hash; sections
	// of the same hash may come without data.
	Collect func(ctx context.Context, have map[string]string) map[string]signaling.Section
	Upload  func(context.Context, signaling.InventoryUpload) (signaling.InventoryAnswer, error)
	// Ready reports whether an upload could work now: without it no look is taken. nil means
	// always.
	Ready    func() bool
	Interval time.Duration // between looks; 0 means DefaultInterval
	// Watch calls changed when something may have changed, until ctx ends; nil means
	// WatchSystem.
	Watch func(ctx context.Context, changed func()) error
}

// Reporter keeps the gateway's copy of the inventory the same as the device. What the
// gateway holds it learns from the gateway, by an empty upload after the start, so that a
// restarted agent sends nothing twice.
type Reporter struct {
	cfg   ReporterConfig
	log   *slog.Logger
	wake  chan struct{}
	stale atomic.Bool // what the gateway holds must be learnt anew

	have    map[string]string // section to hash, as the gateway said; nil: unknown
	refused map[string]string // section to the hash that was refused
}

// NewReporter checks the configuration; it reads and sends nothing.
func NewReporter(cfg ReporterConfig, log *slog.Logger) (*Reporter, error) {
	if cfg.Collect == nil || cfg.Upload == nil {
		return nil, errors.New("reporter needs Collect and Upload")
	}
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Watch == nil {
		cfg.Watch = WatchSystem
	}
	return &Reporter{cfg: cfg, log: log, wake: make(chan struct{}, 1), refused: map[string]string{}}, nil
}

// Nudge looks now: the link came up, or something changed.
func (r *Reporter) Nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Resync looks now and asks the gateway what it holds: it said that it wants to know.
func (r *Reporter) Resync() {
	r.stale.Store(true)
	r.Nudge()
}

// Run reports until ctx ends.
func (r *Reporter) Run(ctx context.Context) error {
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := r.cfg.Watch(ctx, r.Nudge); err != nil && ctx.Err() == nil {
			r.log.Info("changes are looked for by the clock only", "err", err, "interval", r.cfg.Interval)
		}
	}()
	defer func() { <-watched }()
	failures := 0
	for {
		pause := r.cfg.Interval
		var later *Postponed
		if err := r.report(ctx); errors.As(err, &later) {
			pause = later.After + rand.N(time.Second)
		} else if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotNow) {
			pause = min(firstRetry<<min(failures, 16), lastRetry)
			pause = pause/2 + rand.N(pause)
			failures++
			r.log.Warn("inventory was not taken", "err", err, "retry_in", pause.Round(time.Second))
		} else {
			failures = 0
		}
		if !r.pause(ctx, pause) {
			return nil
		}
	}
}

// pause waits for the next look; after a nudge a moment longer, for what comes with it.
func (r *Reporter) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	since := time.Now()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-r.wake:
	}
	t.Reset(max(settle, breath-time.Since(since)))
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// report sends what differs from what the gateway holds; nothing where nothing does.
func (r *Reporter) report(ctx context.Context) error {
	if r.stale.Swap(false) {
		r.have = nil
		clear(r.refused)
	}
	if r.cfg.Ready != nil && !r.cfg.Ready() {
		return ErrNotNow // the link's return is told by Nudge
	}
	all := r.cfg.Collect(ctx, r.have)
	if ctx.Err() != nil {
		return ctx.Err() // a broken-off look is not an inventory
	}
	if r.have == nil {
		// What is held is asked for, and software offered that other devices may have, too.
		question := signaling.InventoryUpload{Sections: map[string]signaling.Section{}}
		for name, s := range all {
			if inventory.IsSoftware(name) {
				question.Sections[name] = signaling.Section{Hash: s.Hash}
			}
		}
		if err := r.upload(ctx, question); err != nil {
			return err
		}
	}
	u := signaling.InventoryUpload{Sections: map[string]signaling.Section{}}
	for name := range r.have {
		if _, ok := all[name]; !ok {
			u.Full = true // what is not named is gone
		}
	}
	news := u.Full
	for name, s := range all {
		switch {
		case r.have[name] == s.Hash:
			if u.Full {
				u.Sections[name] = signaling.Section{Hash: s.Hash} // still there, and known
			}
		case r.refused[name] == s.Hash:
			if u.Full && r.have[name] != "" {
				u.Sections[name] = signaling.Section{Hash: s.Hash} // what is known of it stays
			}
		default:
			u.Sections[name] = s
			news = true
		}
	}
	if !news {
		return nil
	}
	return r.upload(ctx, u)
}

func (r *Reporter) upload(ctx context.Context, u signaling.InventoryUpload) error {
	answer, err := r.cfg.Upload(ctx, u)
	if err != nil {
		return err
	}
	r.have = maps.Clone(answer.Have)
	if r.have == nil {
		r.have = map[string]string{}
	}
	for name, why := range answer.Refused {
		if u.Sections[name].Data == nil {
			continue
		}
		r.refused[name] = u.Sections[name].Hash
		r.log.Warn("inventory section was refused", "section", name, "reason", why)
	}
	return nil
}
