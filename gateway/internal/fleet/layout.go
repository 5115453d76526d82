package fleet

import (
	"context"
	"fmt"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Layout is how an operator has the list of devices.
type Layout struct {
	Columns []string // a console's own names, in order; none: as it comes
	View    string   // the saved search it opens with; "": none
}

// Standing is where a device stands, in short.
type Standing struct {
	Compliance string // the overall state; "" where it was never checked
	Outcome    string // names its settings; see desire.Engine
	// Settings is the worst of its settings: failed, conflict, drifted, pending or applied.
	Settings manifest.State
}

// DeviceList returns how an operator has the list of devices.
func (f *Fleet) DeviceList(ctx context.Context, operator string) (Layout, error) {
	l, err := f.cfg.Store.DeviceList(ctx, operator)
	if err != nil {
		return l, fmt.Errorf("list of %s: %w", operator, err)
	}
	if l.View == "" {
		return l, nil
	}
	// The view may be gone, or not shared any more.
	if _, err := f.View(ctx, l.View, operator); err != nil {
		l.View = ""
	}
	return l, nil
}

// SaveDeviceList remembers it. mdm.ErrInvalid for too many columns, mdm.ErrNotFound for a view
// that the operator may not use.
func (f *Fleet) SaveDeviceList(ctx context.Context, operator string, l Layout) (Layout, error) {
	if l.View != "" {
		if _, err := f.View(ctx, l.View, operator); err != nil {
			return l, err
		}
	}
	var err error
	if l.Columns, err = cleanColumns(l.Columns); err != nil {
		return l, err
	}
	if err := f.cfg.Store.SaveDeviceList(ctx, operator, l); err != nil {
		return l, fmt.Errorf("list of %s: %w", operator, err)
	}
	return l, nil
}

func cleanColumns(columns []string) ([]string, error) {
	if len(columns) > maxColumns {
		return nil, fmt.Errorf("%d columns, at most %d: %w", len(columns), maxColumns, mdm.ErrInvalid)
	}
	out := []string{}
	for _, c := range columns {
		if c = mdm.Clean(c, 64); c != "" {
			out = append(out, c)
		}
	}
	return out, nil
}

// Standings returns where devices stand; those that are gone are left out.
func (f *Fleet) Standings(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]Standing, error) {
	out, err := f.cfg.Store.FleetStandings(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("where %d devices stand: %w", len(ids), err)
	}
	return out, nil
}
