package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"handrail/mdm"
)

// Made is what came of storing a bulk.
type Made struct {
	Bulk       Bulk
	Superseded []mdm.DeviceID // devices that lost a waiting command to this one
	Existed    bool           // the idempotency key was known: Bulk is the one of then
}

// Claimed is what a device gets at a claim, payloads still sealed.
type Claimed struct {
	Commands []ClaimedCommand
	Cancel   []ID
	More     bool
	Bulks    []BulkID // whose counts changed
}

// ClaimedCommand is one of them.
type ClaimedCommand struct {
	Command
	Payload string
}

// Finished is what a result came to.
type Finished struct {
	Command Command
	Known   bool // there is such a command of that device
	Changed bool // it was open, or over without the device's word
}

// Selection names open commands to be cancelled or approved: one, or a bulk's.
type Selection struct {
	ID    ID     // or
	Bulk  BulkID // all of it, within Scope
	Scope Scope
}

// Woken is what was due.
type Woken struct {
	Nudge []mdm.DeviceID // have commands that wait
	Bulks []BulkID       // whose counts changed
	More  bool           // there is more that is due
}

// Queue is what the registry needs to give and take commands.
type Queue interface {
	// CreateBulk stores a bulk and a command for each target in one transaction: all of it
	// or nothing. Targets with MaxOpen open commands are skipped and counted; waiting
	// commands with the bulk's supersede key on the same device become Superseded.
	CreateBulk(ctx context.Context, b Bulk, targets []Target) (Made, error)
	// ClaimCommands marks what waits for the device as sent and returns it, oldest first, at
	// most limit; have is what the device has already.
	ClaimCommands(ctx context.Context, d mdm.DeviceID, have []ID, limit int, now time.Time) (Claimed, error)
	// FinishCommand stores a device's result. A second result changes nothing.
	FinishCommand(ctx context.Context, d mdm.DeviceID, r Result, now time.Time) (Finished, error)
	// CancelCommands cancels what waits and marks what was sent; it returns how many of each
	// and the devices that are to be told.
	CancelCommands(ctx context.Context, s Selection, by string, now time.Time) (cancelled, asked int64, tell []mdm.DeviceID, err error)
	// ApproveBulk lets a held bulk go and returns the devices that are to be told.
	// mdm.ErrConflict when it is not held.
	ApproveBulk(ctx context.Context, id BulkID, by, byName string, now time.Time) (Bulk, []mdm.DeviceID, error)
	// WakeCommands acts on what is due: commands that expire, were not answered, or whose
	// NotBefore has come. online tells who can be nudged.
	WakeCommands(ctx context.Context, now time.Time, online func(mdm.DeviceID) bool) (Woken, error)
	// NextWake returns when something is due next; zero for never.
	NextWake(ctx context.Context) (time.Time, error)
	// HasCommands reports whether something is to be fetched by the device, and has it
	// looked after again soon.
	HasCommands(ctx context.Context, d mdm.DeviceID, now time.Time) (bool, error)
	// PruneCommands removes what was over before a time, at most limit commands, and
	// bundles of before files. It returns how many went.
	PruneCommands(ctx context.Context, before, files time.Time, limit int) (int64, error)
}

// Reader finds commands.
type Reader interface {
	Command(ctx context.Context, id ID) (Command, error)
	Commands(ctx context.Context, f Filter) (Page, error)
	Output(ctx context.Context, id ID) (Output, error)
	Bulk(ctx context.Context, id BulkID) (Bulk, error)
	Bulks(ctx context.Context, f BulkFilter) (BulkPage, error)
	// Counts sums a bulk's states within a scope, without looking at its commands.
	Counts(ctx context.Context, id BulkID, s Scope) (Counts, error)
}

// Files keeps bundles in pieces.
type Files interface {
	// PutPiece stores piece seq (from 0) of a device's bundle; seq 0 removes an older bundle.
	// mdm.ErrNotFound when the device has no such command.
	PutPiece(ctx context.Context, d mdm.DeviceID, id ID, seq int, b []byte) error
	// SealFile says that the bundle is whole.
	SealFile(ctx context.Context, id ID, size int64) error
	// Piece returns one piece; mdm.ErrNotFound behind the last.
	Piece(ctx context.Context, id ID, seq int) ([]byte, error)
}

// Store keeps commands.
type Store interface {
	Queue
	Reader
	Files
}

// Registry applies the rules of commands over a Store. It is safe for concurrent use.
type Registry struct{ store Store }

// New returns a registry over store.
func New(store Store) *Registry { return &Registry{store: store} }

// Wanted is an order to be stored.
type Wanted struct {
	ID           BulkID // "" makes one; the payload may be sealed for it
	Kind         Kind
	Params       []byte // JSON for people
	Payload      string
	RunLimit     time.Duration
	Note         string
	Target       string
	SupersedeKey string
	Idempotency  string
	NotBefore    time.Time
	TTL          time.Duration // from NotBefore, or now; 0 means DefaultTTL
	Held         bool
	By, ByName   string
}

// Create checks and stores an order. Rules that are broken are mdm.ErrInvalid.
func (r *Registry) Create(ctx context.Context, w Wanted, targets []Target, now time.Time) (Made, error) {
	b := Bulk{
		ID: w.ID, Kind: w.Kind, Params: w.Params, Payload: w.Payload, Note: mdm.Clean(w.Note, MaxNote), Target: mdm.Clean(w.Target, 300),
		SupersedeKey: w.SupersedeKey, Idempotency: w.Idempotency, By: w.By, ByName: w.ByName, CreatedAt: now, NotBefore: w.NotBefore,
		RunLimit: w.RunLimit, MaxAttempts: MaxAttempts, Held: w.Held,
	}
	if b.ID == "" {
		b.ID = NewBulkID()
	}
	if w.TTL == 0 {
		w.TTL = DefaultTTL
	}
	if !b.NotBefore.After(now) {
		b.NotBefore = time.Time{}
	}
	from := now
	if !b.NotBefore.IsZero() {
		from = b.NotBefore
	}
	b.ExpiresAt = from.Add(w.TTL)
	switch {
	case !slices.Contains(Kinds, w.Kind):
		return Made{}, fmt.Errorf("no kind of command %q: %w", mdm.Clean(string(w.Kind), 40), mdm.ErrInvalid)
	case len(targets) == 0:
		return Made{}, fmt.Errorf("no device to send it to: %w", mdm.ErrInvalid)
	case len(targets) > MaxDevices:
		return Made{}, fmt.Errorf("%d devices, at most %d: %w", len(targets), MaxDevices, mdm.ErrInvalid)
	case w.TTL < time.Minute || w.TTL > MaxTTL:
		return Made{}, mdm.BadField("expires_at", "must be a minute after the beginning at the earliest and %d days at the latest", int(MaxTTL.Hours()/24))
	case from.Sub(now) > MaxAhead:
		return Made{}, mdm.BadField("not_before", "may be %d days ahead at most", int(MaxAhead.Hours()/24))
	case len(w.SupersedeKey) > MaxKey || mdm.Clean(w.SupersedeKey, MaxKey) != w.SupersedeKey:
		return Made{}, mdm.BadField("supersede_key", "is over %d bytes or no plain text", MaxKey)
	case !json.Valid(w.Params):
		return Made{}, fmt.Errorf("parameters are not JSON: %w", mdm.ErrInvalid)
	}
	made, err := r.store.CreateBulk(ctx, b, targets)
	if err != nil {
		return Made{}, fmt.Errorf("create commands: %w", err)
	}
	return made, nil
}

// NewBulkID returns a fresh bulk id.
func NewBulkID() BulkID { return BulkID(mdm.NewID("blk")) }

// Claim hands a device what waits for it.
func (r *Registry) Claim(ctx context.Context, d mdm.DeviceID, c Claim, now time.Time) (Claimed, error) {
	if err := c.Validate(); err != nil {
		return Claimed{}, err
	}
	out, err := r.store.ClaimCommands(ctx, d, c.Have, MaxClaim, now)
	if err != nil {
		return Claimed{}, fmt.Errorf("claim of %s: %w", d, err)
	}
	return out, nil
}

// Finish takes a device's results, which have been validated. It returns those that changed
// something; what is unknown is forgotten, so that no device sends it for ever.
func (r *Registry) Finish(ctx context.Context, d mdm.DeviceID, rs Results, now time.Time) ([]Finished, error) {
	var out []Finished
	for _, one := range rs.Results {
		f, err := r.store.FinishCommand(ctx, d, one, now)
		if err != nil {
			return out, fmt.Errorf("result of %s: %w", one.ID, err)
		}
		if f.Changed {
			out = append(out, f)
		}
	}
	return out, nil
}

// Cancel cancels commands that wait and asks the devices that have them to stop.
func (r *Registry) Cancel(ctx context.Context, s Selection, by string, now time.Time) (cancelled, asked int64, tell []mdm.DeviceID, err error) {
	return r.store.CancelCommands(ctx, s, mdm.Clean(by, 200), now)
}

// Approve lets a held bulk go. Who asked for it cannot approve it: mdm.ErrConflict.
func (r *Registry) Approve(ctx context.Context, id BulkID, by, byName string, now time.Time) (Bulk, []mdm.DeviceID, error) {
	return r.store.ApproveBulk(ctx, id, by, byName, now)
}

// Wake acts on what is due.
func (r *Registry) Wake(ctx context.Context, now time.Time, online func(mdm.DeviceID) bool) (Woken, error) {
	return r.store.WakeCommands(ctx, now, online)
}

// NextWake returns when something is due next; zero for never.
func (r *Registry) NextWake(ctx context.Context) (time.Time, error) { return r.store.NextWake(ctx) }

// HasCommands reports whether something is to be fetched by the device.
func (r *Registry) HasCommands(ctx context.Context, d mdm.DeviceID, now time.Time) (bool, error) {
	return r.store.HasCommands(ctx, d, now)
}

// How long what is over is kept.
const (
	KeepCommands = 90 * 24 * time.Hour
	KeepFiles    = 7 * 24 * time.Hour
)

// Prune removes what is too old, a bounded number at a time; it returns how many went.
func (r *Registry) Prune(ctx context.Context, now time.Time) (int64, error) {
	return r.store.PruneCommands(ctx, now.Add(-KeepCommands), now.Add(-KeepFiles), 1000)
}

// Command returns one; mdm.ErrNotFound.
func (r *Registry) Command(ctx context.Context, id ID) (Command, error) {
	c, err := r.store.Command(ctx, id)
	if err != nil {
		return c, fmt.Errorf("command %q: %w", mdm.Clean(string(id), 40), err)
	}
	return c, nil
}

// Commands returns a page, newest first.
func (r *Registry) Commands(ctx context.Context, f Filter) (Page, error) {
	f.Limit = pageSize(f.Limit)
	if f.Scope.IsEmpty() {
		return Page{Commands: []Command{}}, nil
	}
	return r.store.Commands(ctx, f)
}

func pageSize(n int) int {
	if n <= 0 {
		n = 50
	}
	return min(n, MaxPage)
}

// Output returns what a script wrote; mdm.ErrNotFound.
func (r *Registry) Output(ctx context.Context, id ID) (Output, error) { return r.store.Output(ctx, id) }

// Bulk returns one; mdm.ErrNotFound.
func (r *Registry) Bulk(ctx context.Context, id BulkID) (Bulk, error) {
	b, err := r.store.Bulk(ctx, id)
	if err != nil {
		return b, fmt.Errorf("bulk %q: %w", mdm.Clean(string(id), 40), err)
	}
	return b, nil
}

// Bulks returns a page, newest first, with what the scope may count.
func (r *Registry) Bulks(ctx context.Context, f BulkFilter) (BulkPage, error) {
	f.Limit = pageSize(f.Limit)
	if f.Scope.IsEmpty() {
		return BulkPage{Bulks: []Bulk{}}, nil
	}
	return r.store.Bulks(ctx, f)
}

// Counts sums a bulk's states within a scope.
func (r *Registry) Counts(ctx context.Context, id BulkID, s Scope) (Counts, error) {
	if s.IsEmpty() {
		return Counts{}, nil
	}
	return r.store.Counts(ctx, id, s)
}

// PutPiece stores a piece of a device's bundle; see Files.
func (r *Registry) PutPiece(ctx context.Context, d mdm.DeviceID, id ID, seq int, b []byte) error {
	return r.store.PutPiece(ctx, d, id, seq, b)
}

// SealFile says that a bundle is whole.
func (r *Registry) SealFile(ctx context.Context, id ID, size int64) error {
	return r.store.SealFile(ctx, id, size)
}

// Piece returns a piece of a bundle; mdm.ErrNotFound behind the last.
func (r *Registry) Piece(ctx context.Context, id ID, seq int) ([]byte, error) {
	return r.store.Piece(ctx, id, seq)
}
