package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
)

// Limits of the organisation's own fields.
const (
	MaxAssetFields = 40
	MaxAsset       = 500 // bytes of one value
	maxChoices     = 100
)

// AssetKind is what an asset field holds.
type AssetKind string

// The kinds. Values are kept as text; dates as 2026-01-31, so that they order as they stand.
const (
	AssetText   AssetKind = "text"
	AssetNumber AssetKind = "number"
	AssetDate   AssetKind = "date"
	AssetChoice AssetKind = "choice"
)

// AssetField is a field the organisation keeps of its devices: owner, cost center, warranty.
type AssetField struct {
	Key     string // 1 to 32 of a-z, 0-9, _
	Name    string
	Kind    AssetKind
	Choices []string // of a choice
}

// CheckAssetFields cleans fields and says which rule they break.
func CheckAssetFields(fields []AssetField) ([]AssetField, error) {
	if len(fields) > MaxAssetFields {
		return nil, fmt.Errorf("%d asset fields, at most %d: %w", len(fields), MaxAssetFields, mdm.ErrInvalid)
	}
	out := make([]AssetField, 0, len(fields))
	seen := map[string]bool{}
	for _, f := range fields {
		if !isAssetKey(f.Key) {
			return nil, fmt.Errorf("asset field %q: a key is 1 to 32 of a-z, 0-9 and _: %w", mdm.Clean(f.Key, 64), mdm.ErrInvalid)
		}
		if f.Name = mdm.Clean(f.Name, MaxName); f.Name == "" {
			return nil, fmt.Errorf("asset field %s needs a name: %w", f.Key, mdm.ErrInvalid)
		}
		if !slices.Contains([]AssetKind{AssetText, AssetNumber, AssetDate, AssetChoice}, f.Kind) {
			return nil, fmt.Errorf("asset field %s: kind %q, want text, number, date or choice: %w", f.Key, mdm.Clean(string(f.Kind), 32), mdm.ErrInvalid)
		}
		if seen[f.Key] {
			return nil, fmt.Errorf("asset field %s is there twice: %w", f.Key, mdm.ErrInvalid)
		}
		seen[f.Key] = true
		choices := []string{}
		for _, c := range f.Choices {
			if c = mdm.Clean(c, MaxName); c != "" && !slices.Contains(choices, c) {
				choices = append(choices, c)
			}
		}
		if f.Choices = choices; f.Kind != AssetChoice {
			f.Choices = []string{}
		} else if len(choices) == 0 || len(choices) > maxChoices {
			return nil, fmt.Errorf("asset field %s: a choice has 1 to %d: %w", f.Key, maxChoices, mdm.ErrInvalid)
		}
		out = append(out, f)
	}
	return out, nil
}

func isAssetKey(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

// Check returns the value as it is kept; mdm.ErrInvalid says what the field holds instead. Empty
// is no value.
func (f AssetField) Check(value string) (string, error) {
	value = mdm.Clean(value, MaxAsset)
	if value == "" {
		return "", nil
	}
	switch f.Kind {
	case AssetNumber:
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return "", fmt.Errorf("%s: %q is no number: %w", f.Name, value, mdm.ErrInvalid)
		}
	case AssetDate:
		for _, layout := range []string{time.DateOnly, "02.01.2006", "2006/01/02", time.RFC3339} {
			if t, err := time.Parse(layout, value); err == nil {
				return t.Format(time.DateOnly), nil
			}
		}
		return "", fmt.Errorf("%s: %q is no date, as 2026-01-31: %w", f.Name, value, mdm.ErrInvalid)
	case AssetChoice:
		for _, c := range f.Choices {
			if strings.EqualFold(c, value) {
				return c, nil
			}
		}
		return "", fmt.Errorf("%s: %q is none of %s: %w", f.Name, value, strings.Join(f.Choices, ", "), mdm.ErrInvalid)
	case AssetText:
	}
	return value, nil
}

// CheckAsset returns changed values as they are kept, "" for those to forget. mdm.ErrInvalid
// for a key that is no field and values that do not fit.
func CheckAsset(fields []AssetField, values map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(values))
	for key, v := range values {
		i := slices.IndexFunc(fields, func(f AssetField) bool { return f.Key == key })
		if i < 0 {
			return nil, fmt.Errorf("there is no asset field %q: %w", mdm.Clean(key, 64), mdm.ErrInvalid)
		}
		v, err := fields[i].Check(v)
		if err != nil {
			return nil, err
		}
		out[key] = v
	}
	return out, nil
}

// SetAsset takes over checked values; "" forgets one.
func (d *Device) SetAsset(values map[string]string) {
	asset := map[string]string{}
	for k, v := range d.Asset {
		asset[k] = v
	}
	for k, v := range values {
		if v == "" {
			delete(asset, k)
		} else {
			asset[k] = v
		}
	}
	d.Asset = asset
}
