// Package fleet answers questions about all devices at once: which match a search, how many,
// who carries a smart label and why, which software is where. It keeps what searches look at
// of every device in memory, a few hundred bytes each, so that any filter and its count cost
// milliseconds whatever the database; software is found through the database's own index.
// Records stay in the store; what is here can be thrown away at any time.
//
// It also does the work that a changed inventory leaves behind: smart labels are evaluated and the
// software index follows. That work waits in the database until it is done, so that a node
// that dies leaves it to the others.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
)

// Store is what the room needs of the database.
type Store interface {
	// FleetRecords returns what searches look at of all devices (ids nil), or of those named
	// that exist.
	FleetRecords(ctx context.Context, ids []mdm.DeviceID) ([]Record, error)
	// SeenSince returns when devices were last seen that were since a time, Unix microseconds.
	SeenSince(ctx context.Context, us int64) (map[mdm.DeviceID]int64, error)

	// PendingDevices returns devices with work left behind, the longest waiting first.
	PendingDevices(ctx context.Context, limit int) ([]Pending, error)
	// PendingDone forgets those that did not change again meanwhile.
	PendingDone(ctx context.Context, done []Pending) error
	// IndexSoftware makes the software index say what the devices have, and nothing of those
	// that are gone or revoked.
	IndexSoftware(ctx context.Context, ids []mdm.DeviceID) error
	// SweepSoftware deletes some of the software that no device has any more, and returns how much.
	SweepSoftware(ctx context.Context) (int, error)
	// SoftwareSet returns the devices, by Record.N, that have software of that name (* stands for
	// anything) in a version that is wanted.
	SoftwareSet(ctx context.Context, name string, wanted func(version string) bool) (Set, error)
	// SoftwareNames returns a page of software that devices have; SoftwareName one, mdm.ErrNotFound.
	SoftwareNames(ctx context.Context, f SoftwareFilter) ([]SoftwareName, error)
	SoftwareName(ctx context.Context, id int64) (SoftwareName, error)
	// SoftwareTitles returns the versions that devices have of software, by id.
	SoftwareTitles(ctx context.Context, names []int64) ([]SoftwareTitle, error)
	// TitleSet returns the devices that have any of the titles.
	TitleSet(ctx context.Context, ids []int64) (Set, error)

	// DevicesAfter and DevicesByID return welcome devices by id.
	DevicesAfter(ctx context.Context, after mdm.DeviceID, limit int) ([]device.Device, error)
	DevicesByID(ctx context.Context, ids []mdm.DeviceID) ([]device.Device, error)
	// SectionsOf returns sections of devices, software left out; names nil is all.
	SectionsOf(ctx context.Context, ids []mdm.DeviceID, names []string) (map[mdm.DeviceID][]inventory.Row, error)
	// SoftwareVersions returns what devices have of the named packages; see store.
	SoftwareVersions(ctx context.Context, ids []mdm.DeviceID, names []string) (map[mdm.DeviceID]map[string][]string, error)

	// AssetFields returns the organisation's own fields in order; SaveAssetFields replaces them.
	AssetFields(ctx context.Context) ([]device.AssetField, error)
	SaveAssetFields(ctx context.Context, fields []device.AssetField) error
	// Views returns an operator's views and the shared ones by name; View one, mdm.ErrNotFound.
	Views(ctx context.Context, owner string) ([]View, error)
	View(ctx context.Context, id string) (View, error)
	// SaveView stores or replaces a view; DeleteView forgets one, mdm.ErrNotFound.
	SaveView(ctx context.Context, v View) error
	DeleteView(ctx context.Context, id string) error
	// DeviceList returns how an operator has the list of devices, the zero Layout if they never
	// said; SaveDeviceList remembers it.
	DeviceList(ctx context.Context, operator string) (Layout, error)
	SaveDeviceList(ctx context.Context, operator string, l Layout) error
	// FleetStandings returns where devices stand; those that are gone are left out.
	FleetStandings(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]Standing, error)
	// KeptApart returns the ids of suspected duplicates that are none; KeepApart adds one, and
	// SuspectAgain takes it back, mdm.ErrNotFound.
	KeptApart(ctx context.Context) (map[string]bool, error)
	KeepApart(ctx context.Context, id, by string, at time.Time) error
	SuspectAgain(ctx context.Context, id string) error

	// LabelsToSweep returns the labels to be evaluated on every device, and after which to go on.
	LabelsToSweep(ctx context.Context) ([]label.Label, map[mdm.LabelID]mdm.DeviceID, error)
	// SweepAgain has a label evaluated on every device once more.
	SweepAgain(ctx context.Context, id mdm.LabelID) error
	// LabelProblem remembers why an expression could not be evaluated.
	LabelProblem(ctx context.Context, id mdm.LabelID, problem string) error
}

// Pending is a device whose inventory or record changed.
type Pending struct {
	Device   mdm.DeviceID
	Sections []string // that changed; "device" is the record itself, "*" many
	Rev      int64
	At       time.Time
}

// Resolver finds the devices of a field that another room knows about, as "policy" or "rule".
type Resolver func(ctx context.Context, value string) ([]mdm.DeviceID, error)

// Config holds what the room is told. Store, Labels and Groups must be set.
type Config struct {
	Store  Store
	Labels *label.Registry
	Groups func(context.Context) (group.Tree, error)
	// Online returns a fresh set of every device that is connected; nil means none.
	Online func() map[mdm.DeviceID]bool
	// Fields answers terms of a search that other rooms know about, by field.
	Fields map[string]Resolver
	// Relabeled is told of devices that came to carry a label or no longer do; nil: nobody.
	Relabeled func(ids []mdm.DeviceID)
	// Rush is told when devices are told to come later, and when they have come; nil: nobody.
	Rush func(on bool)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Fleet is the room. It is safe for concurrent use.
type Fleet struct {
	cfg      Config
	log      *slog.Logger
	compiler *rule.Compiler
	wake     chan struct{}
	index    index
	storm    storm

	mu    sync.Mutex
	exprs map[string]*rule.Expr // by text
}

// New checks the configuration and returns the room; it starts nothing. Searches work without
// Run; labels and software follow changes only while it runs.
func New(cfg Config, log *slog.Logger) (*Fleet, error) {
	if cfg.Store == nil || cfg.Labels == nil || cfg.Groups == nil {
		return nil, errors.New("fleet: a room is missing from the configuration")
	}
	if cfg.Online == nil {
		cfg.Online = func() map[mdm.DeviceID]bool { return nil }
	}
	if cfg.Relabeled == nil {
		cfg.Relabeled = func([]mdm.DeviceID) {}
	}
	if cfg.Rush == nil {
		cfg.Rush = func(bool) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c, err := rule.NewCompiler()
	if err != nil {
		return nil, err
	}
	return &Fleet{cfg: cfg, log: log, compiler: c, wake: make(chan struct{}, 1), exprs: map[string]*rule.Expr{}}, nil
}

// Wake has work looked for now. It does not block.
func (f *Fleet) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Touch says that devices changed, so that the next search reads them anew; none named: any
// may have. It does not block.
func (f *Fleet) Touch(ids ...mdm.DeviceID) { f.index.touch(ids) }

// How often things are looked at that nobody tells of.
const (
	lookEvery   = 30 * time.Second       // work that a node left behind when it died
	clockEvery  = time.Hour              // labels whose expression reads the clock
	gatherFor   = 150 * time.Millisecond // uploads come in storms; a batch costs little more than one
	gatherMost  = 10 * time.Second
	batch       = 1000 // devices of one turn
	sweepEvery  = 6 * time.Hour
	reloadEvery = time.Hour // everything anew, should a message have been lost
)

// Run does what changes leave behind until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	hourly := time.NewTicker(clockEvery)
	defer hourly.Stop()
	sweeping := time.NewTicker(sweepEvery)
	defer sweeping.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		if err := f.Work(ctx); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "fleet_work_failed", "error", err)
		}
		// The more there is to do at once, the less each costs: work takes a seventh of the time.
		gather := min(max(gatherFor, 6*time.Since(began)), gatherMost)
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-hourly.C:
			f.Tick(ctx)
			f.index.touch(nil)
		case <-sweeping.C:
			if n, err := f.cfg.Store.SweepSoftware(ctx); err != nil && ctx.Err() == nil {
				f.log.WarnContext(ctx, "software_unswept", "error", err)
			} else if n > 0 {
				f.log.InfoContext(ctx, "software_swept", "rows", n)
			}
		case <-f.wake:
			pause := time.NewTimer(gather)
			select {
			case <-ctx.Done():
				pause.Stop()
				return nil
			case <-pause.C:
			}
		}
	}
	return nil
}

// Work does everything there is to do now and returns when none is left. Between batches it
// lets uploads pass.
func (f *Fleet) Work(ctx context.Context) error {
	for f.letPass(ctx) {
		pending, err := f.cfg.Store.PendingDevices(ctx, batch)
		if err != nil {
			return fmt.Errorf("pending devices: %w", err)
		}
		if len(pending) == 0 {
			break
		}
		if err := f.follow(ctx, pending); err != nil {
			return err
		}
	}
	return f.sweep(ctx)
}

// follow evaluates labels and indexes software of changed devices.
func (f *Fleet) follow(ctx context.Context, pending []Pending) error {
	ids := make([]mdm.DeviceID, len(pending))
	var software []mdm.DeviceID
	for i, p := range pending {
		ids[i] = p.Device
		if touches(p.Sections, inventory.SectionSoftware) {
			software = append(software, p.Device)
		}
	}
	if len(software) > 0 {
		if err := f.cfg.Store.IndexSoftware(ctx, software); err != nil {
			return fmt.Errorf("software of %d devices: %w", len(software), err)
		}
	}
	if err := f.relabel(ctx, pending, ids); err != nil {
		return err
	}
	f.index.touch(ids)
	if err := f.cfg.Store.PendingDone(ctx, pending); err != nil {
		return fmt.Errorf("pending devices: %w", err)
	}
	return nil
}
