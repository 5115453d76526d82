// Package desire turns policies into what each device must be, and keeps account of what
// devices say of it. Work to resolve devices again is durable: it is noted in the transaction
// of the change that causes it, any node takes it, and one that dies leaves it to the others.
// Devices are told by a nudge and fetch their manifest once; what they report comes back in
// batches. It does not know how a setting is carried out, nor how messages travel.
//
// Locks: Engine.mu guards the caches only and is never held while the store is called; each
// counted has one of its own, which is, and which is never taken under Engine.mu.
package desire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"handrail/mdm"
	"handrail/mdm/policy"
)

// Config names the rooms around. Everything but the durations is needed.
type Config struct {
	Store    Store
	Policies *policy.Registry
	// Sealer keeps manifests, which hold secrets, unreadable in the database; Key keys the
	// hashes of them, so that a secret cannot be guessed from there either.
	Sealer policy.Sealer
	Key    []byte
	// Online returns the devices connected to any node.
	Online func() map[mdm.DeviceID]bool
	// Nudge tells a device of its manifest, on whatever node it is. It may be lost.
	Nudge func(d mdm.DeviceID, generation int64, hash string)
	// Stir is told how many devices were nudged at once, and will soon fetch and report; nil: nobody.
	Stir func(devices int)
	// Tell wakes the engines of the other nodes.
	Tell func()
	// Changed is told of devices whose settings or states are news to a console, some at a time.
	Changed func(ids ...string)
	// Rolled is told of roll-outs that moved, by themselves or by somebody.
	Rolled func(ids ...string)
	// Note records what the engine did by itself: a roll-out that returned.
	Note func(ctx context.Context, action string, p policy.ID, detail map[string]string)

	// Alone says that no other node works on the store: what a killed run was at is nobody's.
	Alone bool

	Page   int           // devices resolved in one transaction; 0 means 1000
	Lease  time.Duration // after which another node takes over work; 0 means 15 s
	Again  time.Duration // between looks for devices that owe a report and for work left behind; 0 means 30 s
	Settle time.Duration // how long news of devices gathers before roll-outs are counted again; 0 means 1 s
	Owe    time.Duration // how long a device may owe a report before it is nudged again; 0 means 1 min
}

// Engine is the room. Its methods are safe for concurrent use.
type Engine struct {
	cfg  Config
	log  *slog.Logger
	self string // names this node in leases

	wake    chan struct{} // there may be work
	recount chan struct{} // roll-outs may have moved
	reports chan report

	changes atomic.Int64 // of what is counted; grows after each

	mu       sync.Mutex
	counts   map[string]*counted // by viewer
	inputs   *inputs
	compiled map[versionKey]*policy.Compiled
	outcomes map[string]*outcome // by key
	byHash   map[string]*outcome // by keyed hash
	size     int                 // of the outcomes, in bytes
	told     map[string]bool     // devices the consoles have not been told of yet
}

// New checks the configuration and returns the room; it starts nothing.
func New(cfg Config, log *slog.Logger) (*Engine, error) {
	if cfg.Stir == nil {
		cfg.Stir = func(int) {}
	}
	if cfg.Store == nil || cfg.Policies == nil || cfg.Sealer == nil || len(cfg.Key) < 16 || cfg.Online == nil || cfg.Nudge == nil {
		return nil, errors.New("desire: a room is missing from the configuration")
	}
	if cfg.Tell == nil {
		cfg.Tell = func() {}
	}
	if cfg.Changed == nil {
		cfg.Changed = func(...string) {}
	}
	if cfg.Rolled == nil {
		cfg.Rolled = func(...string) {}
	}
	if cfg.Note == nil {
		cfg.Note = func(context.Context, string, policy.ID, map[string]string) {}
	}
	for d, other := range map[*time.Duration]time.Duration{&cfg.Lease: 15 * time.Second, &cfg.Again: 30 * time.Second, &cfg.Owe: time.Minute, &cfg.Settle: time.Second} {
		if *d <= 0 {
			*d = other
		}
	}
	if cfg.Page <= 0 {
		cfg.Page = 1000
	}
	return &Engine{
		cfg: cfg, log: log, self: mdm.NewID("node"),
		wake: make(chan struct{}, 1), recount: make(chan struct{}, 1), reports: make(chan report, maxBatch),
		compiled: map[versionKey]*policy.Compiled{}, outcomes: map[string]*outcome{}, byHash: map[string]*outcome{}, told: map[string]bool{}, counts: map[string]*counted{},
	}, nil
}

// Run resolves, counts and takes in reports until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	if e.cfg.Alone {
		if err := e.cfg.Store.ReleaseWork(ctx, ""); err != nil && ctx.Err() == nil {
			e.log.Warn("work_not_released", "error", err) // its lease ends by itself
		}
	}
	if err := e.renew(ctx); err != nil && ctx.Err() == nil {
		e.log.Warn("catalogue_not_compared", "error", err) // the next start does
	}
	var wg sync.WaitGroup
	for _, run := range []func(context.Context){e.resolveAll, e.takeReports, e.advanceAll, e.remind, e.tellConsoles} {
		wg.Go(func() { run(ctx) })
	}
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.cfg.Store.ReleaseWork(last, e.self); err != nil {
		e.log.Warn("work_not_released", "error", err) // its lease ends by itself
	}
	return nil
}

// renew has every device resolved again when the catalogue is another than at the last start,
// as after an upgrade, or the key is: then what devices must be may be another, or be named
// otherwise.
func (e *Engine) renew(ctx context.Context) error {
	const name = "desire_catalogue"
	c := e.cfg.Policies.Catalogue()
	var parts []string
	for _, one := range c.Entries() {
		parts = append(parts, one.Key, string(one.Merge), string(c.Schema(one.Key)))
	}
	is := e.keyed("catalogue", parts...)
	was, err := e.cfg.Store.Setting(ctx, name)
	if err != nil && !errors.Is(err, mdm.ErrNotFound) || was == is {
		return err
	}
	if err := e.cfg.Store.ResolveFleet(ctx, now()); err != nil {
		return err
	}
	return e.cfg.Store.PutSetting(ctx, name, is)
}

// Wake has this node and the others look for work. It does not block.
func (e *Engine) Wake() {
	e.Woken()
	e.cfg.Tell()
}

// Woken is Wake said by another node.
func (e *Engine) Woken() {
	e.Stale()
	signal(e.wake)
	signal(e.recount)
}

// Look has this node look for work. It does not block and costs two small reads.
func (e *Engine) Look() {
	e.Stale()
	signal(e.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is going to look anyway
	}
}

// keyed is a hash that says nothing to who does not have the key.
func (e *Engine) keyed(label string, parts ...string) string {
	h := hmac.New(sha256.New, e.cfg.Key)
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write([]byte{0})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// hashOf is how the store knows a manifest's hash; "" for none.
func (e *Engine) hashOf(sum string) string {
	if sum == "" {
		return ""
	}
	return e.keyed("manifest", sum)
}

// pause waits, and reports whether ctx is still on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
