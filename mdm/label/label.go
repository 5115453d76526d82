// Package label is what devices are marked with: static labels, which people give, and smart
// labels, which an expression over a device's inventory gives and takes. Policies, commands
// and searches name them. It does not evaluate expressions; whoever does hands it the
// outcome.
package label

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// Limits of labels.
const (
	MaxName        = 64   // bytes
	MaxDescription = 500  // bytes
	MaxExpression  = 4000 // bytes
	MaxAll         = 2000 // labels
	MaxWhy         = 16   // values kept of what an expression read
	MaxAtOnce      = 500  // memberships in one call
)

// Colors are what a label may be shown in.
func Colors() []string {
	return []string{"gray", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"}
}

// Label is one label. With an Expression it is smart.
type Label struct {
	ID          mdm.LabelID
	Name        string
	Description string
	Color       string
	Expression  string   // CEL; "" is a static label
	Reads       []string // what the expression reads: sections, "device", "now"
	Revision    int64    // 1 when new
	Evaluated   bool     // the expression, as it is, has been evaluated on every device
	EvaluatedAt time.Time
	Problem     string // of the last evaluation that failed; "" for none
	CreatedBy   string // operator id
	CreatedAt   time.Time
	ChangedAt   time.Time
}

// IsSmart reports whether an expression decides who carries the label.
func (l Label) IsSmart() bool { return l.Expression != "" }

// Value is one thing an expression read, and what it found.
type Value struct {
	Path  string `json:"path"`  // as in the expression: inventory.hardware.memory_bytes
	Value string `json:"value"` // JSON, shortened
}

// Membership is that a device carries a label, and why.
type Membership struct {
	Label   mdm.LabelID
	Device  mdm.DeviceID
	Since   time.Time
	GivenBy string  // operator id; "" is the expression
	Why     []Value // of a smart label
}

// Verdict is what an expression came to on one device.
type Verdict struct {
	Device  mdm.DeviceID
	Carries bool
	Why     []Value
}

// Store keeps labels.
type Store interface {
	// Labels returns every label by name.
	Labels(ctx context.Context) ([]Label, error)
	// Label returns one; mdm.ErrNotFound.
	Label(ctx context.Context, id mdm.LabelID) (Label, error)
	// CreateLabel stores a new label; mdm.ErrAlreadyExists when the name is taken.
	CreateLabel(ctx context.Context, l Label) error
	// ChangeLabel runs change over the label as it is and stores it; nobody else changes it
	// meanwhile, change may run twice. A changed expression forgets what was evaluated.
	ChangeLabel(ctx context.Context, id mdm.LabelID, change func(*Label) error) (Label, error)
	// DeleteLabel removes a label and takes it from every device; mdm.ErrNotFound.
	DeleteLabel(ctx context.Context, id mdm.LabelID) error
	// LabelsOf returns what devices carry, of all the devices in one list.
	LabelsOf(ctx context.Context, devices []mdm.DeviceID) ([]Membership, error)
	// GiveLabel gives a static label to devices; those that have it keep it as it is, unknown
	// ones are skipped. It returns which devices are new to it.
	GiveLabel(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID, by string, at time.Time) ([]mdm.DeviceID, error)
	// TakeLabel takes a label from devices and returns which had it.
	TakeLabel(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID) ([]mdm.DeviceID, error)
	// JudgeLabel stores what the expression of that revision came to; done says that every device has
	// been evaluated, else the last one of verdicts is where to go on. It returns the
	// devices that came or went; none when the label has another revision by now.
	JudgeLabel(ctx context.Context, id mdm.LabelID, revision int64, verdicts []Verdict, sweep Sweep, at time.Time) ([]mdm.DeviceID, error)
}

// Sweep says how far the evaluation of a label on all devices has come.
type Sweep uint8

// The sweeps.
const (
	Single   Sweep = iota // no sweep: some devices, whatever was evaluated before
	Underway              // the devices up to the last one of the verdicts are done
	Done                  // all are
)

// Registry applies the rules of labels over a Store. It is safe for concurrent use.
type Registry struct{ store Store }

// New returns a registry over store.
func New(store Store) *Registry { return &Registry{store: store} }

// Labels returns every label by name.
func (r *Registry) Labels(ctx context.Context) ([]Label, error) {
	l, err := r.store.Labels(ctx)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	return l, nil
}

// Label returns one label; mdm.ErrNotFound.
func (r *Registry) Label(ctx context.Context, id mdm.LabelID) (Label, error) {
	l, err := r.store.Label(ctx, id)
	if err != nil {
		return Label{}, fmt.Errorf("label %q: %w", mdm.Clean(string(id), 64), err)
	}
	return l, nil
}

// Create makes a label. The caller has compiled the expression and says in Reads what it
// reads. Errors: mdm.ErrInvalid, mdm.ErrAlreadyExists (the name is taken).
func (r *Registry) Create(ctx context.Context, l Label, now time.Time) (Label, error) {
	l.ID, l.Revision, l.CreatedAt, l.ChangedAt = mdm.LabelID(mdm.NewID("lbl")), 1, now, now
	l.Evaluated, l.EvaluatedAt, l.Problem = false, time.Time{}, ""
	if err := l.tidy(); err != nil {
		return Label{}, err
	}
	all, err := r.store.Labels(ctx)
	if err != nil {
		return Label{}, fmt.Errorf("create label: %w", err)
	}
	if len(all) >= MaxAll {
		return Label{}, fmt.Errorf("at most %d labels: %w", MaxAll, mdm.ErrInvalid)
	}
	if err := r.store.CreateLabel(ctx, l); err != nil {
		return Label{}, fmt.Errorf("create label: %w", err)
	}
	return l, nil
}

// Change is what may change; nil leaves a field.
type Change struct {
	Name        *string
	Description *string
	Color       *string
	Expression  *string // a static label stays static and a smart one smart
	Reads       []string
	Revision    int64 // what the caller saw; 0 takes any
}

// Update changes a label. Errors: mdm.ErrNotFound, mdm.ErrInvalid, mdm.ErrAlreadyExists,
// mdm.ErrConflict when the revision is another.
func (r *Registry) Update(ctx context.Context, id mdm.LabelID, c Change, now time.Time) (Label, error) {
	l, err := r.store.ChangeLabel(ctx, id, func(l *Label) error {
		if c.Revision != 0 && c.Revision != l.Revision {
			return mdm.ErrConflict
		}
		smart := l.IsSmart()
		for to, v := range map[*string]*string{&l.Name: c.Name, &l.Description: c.Description, &l.Color: c.Color} {
			if v != nil {
				*to = *v
			}
		}
		if c.Expression != nil && *c.Expression != l.Expression {
			l.Expression, l.Reads = *c.Expression, c.Reads
			l.Evaluated, l.EvaluatedAt, l.Problem = false, time.Time{}, ""
		}
		l.Revision++
		l.ChangedAt = now
		if err := l.tidy(); err != nil {
			return err
		}
		if l.IsSmart() != smart {
			return fmt.Errorf("a static label stays static and a smart one smart: make another: %w", mdm.ErrInvalid)
		}
		return nil
	})
	if err != nil {
		return Label{}, fmt.Errorf("change label %q: %w", mdm.Clean(string(id), 64), err)
	}
	return l, nil
}

// Delete removes a label and takes it from every device; mdm.ErrNotFound.
func (r *Registry) Delete(ctx context.Context, id mdm.LabelID) error {
	if err := r.store.DeleteLabel(ctx, id); err != nil {
		return fmt.Errorf("delete label %q: %w", mdm.Clean(string(id), 64), err)
	}
	return nil
}

// Of returns what devices carry, by label name, in lists by device.
func (r *Registry) Of(ctx context.Context, devices []mdm.DeviceID) (map[mdm.DeviceID][]Membership, error) {
	out := map[mdm.DeviceID][]Membership{}
	for chunk := range slices.Chunk(devices, MaxAtOnce) {
		list, err := r.store.LabelsOf(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("labels of %d devices: %w", len(devices), err)
		}
		for _, m := range list {
			out[m.Device] = append(out[m.Device], m)
		}
	}
	return out, nil
}

// Give gives a static label to devices; unknown ones are skipped. It returns which devices
// are new to it. mdm.ErrNotFound; mdm.ErrInvalid for a smart label.
func (r *Registry) Give(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID, by string, now time.Time) ([]mdm.DeviceID, error) {
	return r.byHand(ctx, id, devices, func(some []mdm.DeviceID) ([]mdm.DeviceID, error) {
		return r.store.GiveLabel(ctx, id, some, by, now)
	})
}

// Take takes a static label from devices and returns which had it. mdm.ErrNotFound;
// mdm.ErrInvalid for a smart label.
func (r *Registry) Take(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID) ([]mdm.DeviceID, error) {
	return r.byHand(ctx, id, devices, func(some []mdm.DeviceID) ([]mdm.DeviceID, error) {
		return r.store.TakeLabel(ctx, id, some)
	})
}

func (r *Registry) byHand(ctx context.Context, id mdm.LabelID, devices []mdm.DeviceID, do func([]mdm.DeviceID) ([]mdm.DeviceID, error)) ([]mdm.DeviceID, error) {
	l, err := r.Label(ctx, id)
	if err != nil {
		return nil, err
	}
	if l.IsSmart() {
		return nil, fmt.Errorf("the label %q is given by its expression, not by hand: %w", l.Name, mdm.ErrInvalid)
	}
	changed := []mdm.DeviceID{}
	for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(devices))), MaxAtOnce) {
		done, err := do(some)
		if err != nil {
			return changed, fmt.Errorf("label %q: %w", l.Name, err)
		}
		changed = append(changed, done...)
	}
	return changed, nil
}

// Judge stores what the expression of l came to on devices and returns those that came or
// went. Nothing happens when the label was changed or deleted meanwhile.
func (r *Registry) Judge(ctx context.Context, l Label, verdicts []Verdict, sweep Sweep, now time.Time) ([]mdm.DeviceID, error) {
	for i := range verdicts {
		verdicts[i].Why = verdicts[i].Why[:min(len(verdicts[i].Why), MaxWhy)]
	}
	changed, err := r.store.JudgeLabel(ctx, l.ID, l.Revision, verdicts, sweep, now)
	if err != nil {
		return nil, fmt.Errorf("label %q: %w", l.Name, err)
	}
	return changed, nil
}

// tidy cleans what people wrote and says which rule it breaks.
func (l *Label) tidy() error {
	l.Name = mdm.Clean(l.Name, MaxName)
	l.Description = mdm.Clean(l.Description, MaxDescription)
	if l.Name == "" {
		return fmt.Errorf("a label needs a name: %w", mdm.ErrInvalid)
	}
	if strings.ContainsAny(l.Name, `",`) {
		return fmt.Errorf("the name of a label holds no quotes or commas: %w", mdm.ErrInvalid)
	}
	if l.Color == "" {
		l.Color = "gray"
	}
	if !slices.Contains(Colors(), l.Color) {
		return fmt.Errorf("color %q, want one of %s: %w", mdm.Clean(l.Color, 32), strings.Join(Colors(), ", "), mdm.ErrInvalid)
	}
	if len(l.Expression) > MaxExpression {
		return fmt.Errorf("the expression is %d bytes, at most %d: %w", len(l.Expression), MaxExpression, mdm.ErrInvalid)
	}
	l.Expression = strings.TrimSpace(l.Expression)
	return nil
}
