// Package dispatch gets commands to devices: it turns an operator's order into what devices
// are given, seals it at rest, nudges who is connected, and looks after what is due
// (expiry, a time that has come, an answer that never came) on whatever node is awake. The
// queue itself is package mdm/command; permissions are the API's.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"handrail/gateway/internal/secret"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/script"
	"handrail/signaling"
)

// Config names the rooms around; all are needed but Now.
type Config struct {
	Commands *command.Registry
	Scripts  *script.Registry
	Key      secret.Key
	// Online returns who is connected to any node.
	Online func() map[mdm.DeviceID]bool
	// IsOnline reports whether one is.
	IsOnline func(mdm.DeviceID) bool
	// Nudge tells a device, wherever it is, to fetch; it does not block, and may be lost.
	Nudge func(mdm.DeviceID) error
	// Changed tells the consoles what to fetch again.
	Changed func(topic signaling.Topic, ids ...string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Dispatch is the room. It is safe for concurrent use.
type Dispatch struct {
	cfg  Config
	log  *slog.Logger
	kick chan struct{} // something new is due sometime
}

// idle is how often the queue is looked at while nothing is known to be due: another node
// may have ended with something on its mind.
const idle = time.Minute

// pruneEvery is how often what is too old is removed.
const pruneEvery = 10 * time.Minute

// New returns the room; it starts nothing.
func New(cfg Config, log *slog.Logger) *Dispatch {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Dispatch{cfg: cfg, log: log, kick: make(chan struct{}, 1)}
}

func (d *Dispatch) now() time.Time { return d.cfg.Now().UTC().Truncate(time.Microsecond) }

// Order is what an operator wants done.
type Order struct {
	Kind         command.Kind
	Params       []byte // JSON as the operator gave it
	Note         string
	Target       string // whom it is for, in words
	SupersedeKey string
	Idempotency  string // "" for none
	NotBefore    time.Time
	TTL          time.Duration
	Held         bool
	By, ByName   string
	MayType      bool // may run a script that is not in the library
}

// ErrNotInLibrary says that the operator may only run scripts of the library.
var ErrNotInLibrary = errors.New("only scripts of the library may be run")

// Send stores an order and nudges the devices it is for. A database that is away leaves
// nothing behind: mdm.ErrUnavailable.
func (d *Dispatch) Send(ctx context.Context, o Order, targets []command.Target) (command.Made, error) {
	p, err := d.prepare(ctx, o)
	if err != nil {
		return command.Made{}, mdm.Below("parameters", err)
	}
	online := d.cfg.Online()
	for i := range targets {
		targets[i].Online = online[targets[i].Device]
	}
	id := command.NewBulkID()
	made, err := d.cfg.Commands.Create(ctx, command.Wanted{
		ID: id, Kind: o.Kind, Params: p.public, Payload: d.cfg.Key.Seal(label(id), p.payload), RunLimit: p.limit, Note: o.Note, Target: o.Target,
		SupersedeKey: o.SupersedeKey, Idempotency: o.Idempotency, NotBefore: o.NotBefore, TTL: o.TTL, Held: o.Held, By: o.By, ByName: o.ByName,
	}, targets, d.now())
	if err != nil || made.Existed {
		return made, err
	}
	d.wake()
	d.cfg.Changed(signaling.TopicCommands, string(made.Bulk.ID))
	if !made.Bulk.Held && made.Bulk.NotBefore.IsZero() {
		for _, t := range targets {
			if t.Online {
				d.nudge(t.Device)
			}
		}
	}
	return made, nil
}

// label binds a payload to its bulk: one sealed for another does not open.
func label(id command.BulkID) string { return "command " + string(id) }

func (d *Dispatch) nudge(id mdm.DeviceID) {
	if err := d.cfg.Nudge(id); err != nil {
		d.log.Warn("command_nudge_lost", "device", id, "error", err) // the queue nudges again
	}
}

// wake has Run look at the queue anew.
func (d *Dispatch) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// Back is told that a device has connected: it is nudged if something waits. A database
// that is away is no reason not to ask.
func (d *Dispatch) Back(ctx context.Context, id mdm.DeviceID) {
	waits, err := d.cfg.Commands.HasCommands(ctx, id, d.now())
	if err != nil {
		d.log.Warn("commands_unknown", "device", id, "error", err)
		waits = true
	}
	if waits {
		d.nudge(id)
		d.wake()
	}
}

// Claim hands a device what waits for it.
func (d *Dispatch) Claim(ctx context.Context, id mdm.DeviceID, c command.Claim) (command.ClaimAnswer, error) {
	now := d.now()
	got, err := d.cfg.Commands.Claim(ctx, id, c, now)
	if err != nil {
		return command.ClaimAnswer{}, err
	}
	a := command.ClaimAnswer{Commands: []command.Delivery{}, Cancel: got.Cancel, More: got.More}
	for _, one := range got.Commands {
		params, err := d.cfg.Key.Open(label(one.Bulk), one.Payload)
		if err != nil {
			// The secret key was changed: the device could do nothing with it. It fails at
			// the attempts it has.
			d.log.Error("command_unreadable", "command", one.ID, "error", err)
			continue
		}
		a.Commands = append(a.Commands, command.Delivery{
			ID: one.ID, Kind: one.Kind, Params: params, Attempt: one.Attempts, WithinMS: one.ExpiresAt.Sub(now).Milliseconds(),
		})
	}
	d.told(got.Bulks)
	return a, nil
}

// Finish takes a device's results.
func (d *Dispatch) Finish(ctx context.Context, id mdm.DeviceID, rs command.Results) (command.ResultsAnswer, error) {
	done, err := d.cfg.Commands.Finish(ctx, id, rs, d.now())
	bulks := []command.BulkID{}
	for _, f := range done {
		bulks = append(bulks, f.Command.Bulk)
	}
	d.told(bulks)
	if err != nil {
		return command.ResultsAnswer{}, err
	}
	a := command.ResultsAnswer{Taken: []command.ID{}}
	for _, r := range rs.Results {
		a.Taken = append(a.Taken, r.ID)
	}
	return a, nil
}

func (d *Dispatch) told(bulks []command.BulkID) {
	if len(bulks) == 0 {
		return
	}
	ids := make([]string, len(bulks))
	for i, b := range bulks {
		ids[i] = string(b)
	}
	d.cfg.Changed(signaling.TopicCommands, ids...)
}

// Cancel cancels what waits, and has devices stop what they are at.
func (d *Dispatch) Cancel(ctx context.Context, s command.Selection, bulk command.BulkID, by string) (cancelled, asked int64, err error) {
	cancelled, asked, tell, err := d.cfg.Commands.Cancel(ctx, s, by, d.now())
	if err != nil {
		return 0, 0, err
	}
	for _, id := range tell {
		d.nudge(id)
	}
	if cancelled+asked > 0 {
		d.told([]command.BulkID{bulk})
	}
	return cancelled, asked, nil
}

// Approve lets a held bulk go.
func (d *Dispatch) Approve(ctx context.Context, id command.BulkID, by, byName string) (command.Bulk, error) {
	b, tell, err := d.cfg.Commands.Approve(ctx, id, by, byName, d.now())
	if err != nil {
		return b, err
	}
	d.wake()
	d.told([]command.BulkID{id})
	if b.NotBefore.After(d.now()) {
		return b, nil
	}
	for _, dev := range tell {
		if d.cfg.IsOnline(dev) {
			d.nudge(dev)
		}
	}
	return b, nil
}

// Run looks after what is due until ctx ends. It sleeps until something is; every node may
// run one, what one has done another finds done.
func (d *Dispatch) Run(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	pruned := d.now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-d.kick:
		}
		t.Reset(d.look(ctx))
		if now := d.now(); now.Sub(pruned) >= pruneEvery {
			pruned = now
			d.prune(ctx, now)
		}
	}
}

// prune removes what is too old, a little at a time so that nobody waits for it.
func (d *Dispatch) prune(ctx context.Context, now time.Time) {
	var all int64
	for range 100 {
		n, err := d.cfg.Commands.Prune(ctx, now)
		if err != nil {
			d.log.Warn("commands_not_pruned", "error", err)
			return
		}
		if all += n; n == 0 || ctx.Err() != nil {
			break
		}
	}
	if all > 0 {
		d.log.Info("commands_pruned", "count", all)
	}
}

// look acts on what is due and returns how long nothing will be.
func (d *Dispatch) look(ctx context.Context) time.Duration {
	for {
		next, err := d.cfg.Commands.NextWake(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Warn("commands_unknown", "error", err)
			}
			return 5 * time.Second
		}
		if next.IsZero() {
			return idle
		}
		if wait := next.Sub(d.now()); wait > 0 {
			return min(wait, idle)
		}
		w, err := d.cfg.Commands.Wake(ctx, d.now(), d.cfg.IsOnline)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Warn("commands_not_looked_after", "error", err)
			}
			return 5 * time.Second
		}
		for _, id := range w.Nudge {
			d.nudge(id)
		}
		d.told(w.Bulks)
	}
}

// ForgetDevice ends what waits for a device that is revoked or deleted.
func (d *Dispatch) ForgetDevice(ctx context.Context, id mdm.DeviceID) error {
	f := command.Filter{Scope: command.Scope{All: true}, Device: id, States: []command.State{command.Held, command.Queued, command.Sent}, Limit: command.MaxPage}
	page, err := d.cfg.Commands.Commands(ctx, f)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range page.Commands {
		_, asked, err := d.Cancel(ctx, command.Selection{ID: c.ID, Scope: f.Scope}, c.Bulk, "the removal of the device")
		if err == nil && asked > 0 { // it will not answer any more
			r := command.Result{ID: c.ID, State: command.Cancelled, Message: "the device was removed while it had the command"}
			_, err = d.cfg.Commands.Finish(ctx, id, command.Results{Results: []command.Result{r}}, d.now())
			d.told([]command.BulkID{c.Bulk})
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("commands of %s: %w", id, err)
	}
	return nil
}
