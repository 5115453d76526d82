package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
)

// View is a search that somebody keeps.
type View struct {
	ID        string
	Owner     string // operator id
	Name      string
	Shared    bool   // everybody sees it; only its owner changes it
	Query     string // see device.ParseQuery
	Sort      string
	Columns   []string // what a console shows, its own names
	CreatedAt time.Time
}

// Limits of views.
const (
	maxViews   = 100 // of one owner
	maxColumns = 40
)

// Views returns what an operator may use: their own and the shared, by name.
func (f *Fleet) Views(ctx context.Context, owner string) ([]View, error) {
	v, err := f.cfg.Store.Views(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("views: %w", err)
	}
	return v, nil
}

// View returns one that an operator may use; mdm.ErrNotFound.
func (f *Fleet) View(ctx context.Context, id, owner string) (View, error) {
	v, err := f.cfg.Store.View(ctx, id)
	if err == nil && v.Owner != owner && !v.Shared {
		err = mdm.ErrNotFound
	}
	if err != nil {
		return View{}, fmt.Errorf("view %q: %w", mdm.Clean(id, 64), err)
	}
	return v, nil
}

// SaveView stores a view: a new one when it has no id. Errors: mdm.ErrInvalid, mdm.ErrNotFound
// for a view of somebody else.
func (f *Fleet) SaveView(ctx context.Context, v View) (View, error) {
	if v.Name = mdm.Clean(v.Name, device.MaxName); v.Name == "" {
		return v, fmt.Errorf("a view needs a name: %w", mdm.ErrInvalid)
	}
	if _, err := device.ParseQuery(v.Query); err != nil {
		return v, err
	}
	columns, err := cleanColumns(v.Columns)
	if err != nil {
		return v, err
	}
	v.Query, v.Sort, v.Columns = mdm.Clean(v.Query, 4*device.MaxQuery), mdm.Clean(v.Sort, 32), columns
	have, err := f.cfg.Store.Views(ctx, v.Owner)
	if err != nil {
		return v, fmt.Errorf("views: %w", err)
	}
	own := slices.DeleteFunc(have, func(o View) bool { return o.Owner != v.Owner })
	if v.ID == "" {
		if len(own) >= maxViews {
			return v, fmt.Errorf("at most %d views: %w", maxViews, mdm.ErrInvalid)
		}
		v.ID, v.CreatedAt = mdm.NewID("view"), f.cfg.Now()
	} else if i := slices.IndexFunc(own, func(o View) bool { return o.ID == v.ID }); i < 0 {
		return v, fmt.Errorf("view %q: %w", mdm.Clean(v.ID, 64), mdm.ErrNotFound)
	} else {
		v.CreatedAt = own[i].CreatedAt
	}
	if err := f.cfg.Store.SaveView(ctx, v); err != nil {
		return v, fmt.Errorf("view %q: %w", v.Name, err)
	}
	return v, nil
}

// DeleteView forgets a view of an owner; mdm.ErrNotFound for others.
func (f *Fleet) DeleteView(ctx context.Context, id, owner string) (View, error) {
	v, err := f.View(ctx, id, owner)
	if err == nil && v.Owner != owner {
		err = fmt.Errorf("view %q: %w", mdm.Clean(id, 64), mdm.ErrNotFound)
	}
	if err != nil {
		return v, err
	}
	if err := f.cfg.Store.DeleteView(ctx, id); err != nil {
		return v, fmt.Errorf("view %q: %w", v.Name, err)
	}
	return v, nil
}

// AssetFields returns the organisation's own fields of devices in their order.
func (f *Fleet) AssetFields(ctx context.Context) ([]device.AssetField, error) {
	fields, err := f.cfg.Store.AssetFields(ctx)
	if err != nil {
		return nil, fmt.Errorf("asset fields: %w", err)
	}
	return fields, nil
}

// SaveAssetFields replaces the organisation's own fields; mdm.ErrInvalid.
func (f *Fleet) SaveAssetFields(ctx context.Context, fields []device.AssetField) ([]device.AssetField, error) {
	fields, err := device.CheckAssetFields(fields)
	if err != nil {
		return nil, err
	}
	if err := f.cfg.Store.SaveAssetFields(ctx, fields); err != nil {
		return nil, fmt.Errorf("asset fields: %w", err)
	}
	return fields, nil
}
