package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
)

// AssetFieldBody is one of the organisation's own fields of devices.
type AssetFieldBody struct {
	Key     string   `json:"key" minLength:"1" maxLength:"32" pattern:"^[a-z0-9_]+$"`
	Name    string   `json:"name" minLength:"1" maxLength:"128"`
	Kind    string   `json:"kind" enum:"text,number,date,choice"`
	Choices []string `json:"choices,omitempty" maxItems:"100" doc:"Of a choice"`
}

// AssetFieldsBody is all of them, in their order.
type AssetFieldsBody struct {
	Fields []AssetFieldBody `json:"fields" maxItems:"40"`
}

// AssetImportBody is what an import of asset fields came to, or would come to.
type AssetImportBody struct {
	Rows     int                  `json:"rows" doc:"Without the heading"`
	Devices  int                  `json:"devices" doc:"That were found"`
	Changed  int                  `json:"changed" doc:"Of those, with another value than before"`
	Applied  bool                 `json:"applied" doc:"Whether it was done; a file with problems changes nothing"`
	Problems []AssetImportProblem `json:"problems" doc:"At most 100"`
	Preview  []AssetImportRow     `json:"preview" doc:"Devices that change, at most 100, in the order of the file"`
}

// AssetImportRow is what a row changes.
type AssetImportRow struct {
	Row      int           `json:"row" doc:"As in the file, the heading being 1"`
	DeviceID string        `json:"device_id"`
	Name     string        `json:"name"`
	Changes  []AssetChange `json:"changes"`
}

// AssetChange is another value of an asset field.
type AssetChange struct {
	Field string `json:"field" doc:"Its key"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// AssetImportProblem is what is wrong with a row.
type AssetImportProblem struct {
	Row     int    `json:"row" doc:"As in the file, the heading being 1"`
	Message string `json:"message"`
}

type assetImportInput struct {
	DryRun  bool   `query:"dry_run" doc:"Only say what would happen"`
	RawBody []byte `contentType:"text/csv"`
}

// maxImport bounds an import: 100,000 rows of a few fields.
const maxImport = 16 << 20

func (a *API) registerAssets() {
	tags := []string{"assets"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-asset-fields", Method: http.MethodGet, Path: "/api/asset-fields", Tags: tags,
		Summary: "The organisation's own fields of devices",
	}, a.getAssetFields)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "put-asset-fields", Method: http.MethodPut, Path: "/api/asset-fields", Tags: tags,
		Summary: "Replace the organisation's own fields",
	}, a.putAssetFields)
	operation(a, auth.DeviceManage, huma.Operation{
		OperationID: "import-assets", Method: http.MethodPost, Path: "/api/assets/import", Tags: tags, MaxBodyBytes: maxImport,
		Summary: "Set asset fields from CSV",
		Description: "The heading names a column id, serial or name, by which devices are found, and the keys or names of asset fields; other columns are left alone. " +
			"An empty cell forgets the value. All or nothing: with a problem in any row nothing is changed.",
	}, a.importAssets)
}

func (a *API) getAssetFields(ctx context.Context, _ *empty) (*body[AssetFieldsBody], error) {
	fields, err := a.cfg.Fleet.AssetFields(ctx)
	if err != nil {
		return nil, err
	}
	return &body[AssetFieldsBody]{assetFieldsBody(fields)}, nil
}

func assetFieldsBody(fields []device.AssetField) AssetFieldsBody {
	out := AssetFieldsBody{Fields: []AssetFieldBody{}}
	for _, f := range fields {
		out.Fields = append(out.Fields, AssetFieldBody{Key: f.Key, Name: f.Name, Kind: string(f.Kind), Choices: f.Choices})
	}
	return out
}

func (a *API) putAssetFields(ctx context.Context, in *body[AssetFieldsBody]) (*body[AssetFieldsBody], error) {
	if err := mayShapeLabels(ctx); err != nil {
		return nil, err
	}
	var fields []device.AssetField
	for _, f := range in.Body.Fields {
		fields = append(fields, device.AssetField{Key: f.Key, Name: f.Name, Kind: device.AssetKind(f.Kind), Choices: f.Choices})
	}
	fields, err := a.cfg.Fleet.SaveAssetFields(ctx, fields)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.Key)
	}
	if err := a.record(ctx, "asset_fields.change", audit.Who{}, "", map[string]string{"fields": strings.Join(keys, ", ")}); err != nil {
		return nil, err
	}
	return &body[AssetFieldsBody]{assetFieldsBody(fields)}, nil
}

// checkedAsset checks changed asset values of a device.
func (a *API) checkedAsset(ctx context.Context, values map[string]string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	fields, err := a.cfg.Fleet.AssetFields(ctx)
	if err != nil {
		return nil, err
	}
	return device.CheckAsset(fields, values)
}

// assetImport is a file being read.
type assetImport struct {
	a      *API
	fields map[int]device.AssetField // by column
	by     string                    // id, serial or name
	column int
	find   map[string][]mdm.DeviceID
	out    AssetImportBody
	values map[mdm.DeviceID]map[string]string
	rows   map[mdm.DeviceID]int
	order  []mdm.DeviceID
}

// maxImportShown is how many problems and changes of an import are told one by one.
const maxImportShown = 100

func (i *assetImport) problem(row int, format string, args ...any) {
	if len(i.out.Problems) < maxImportShown {
		i.out.Problems = append(i.out.Problems, AssetImportProblem{row, mdm.Clean(fmt.Sprintf(format, args...), 300)})
	}
}

func (a *API) importAssets(ctx context.Context, in *assetImportInput) (*body[AssetImportBody], error) {
	i := &assetImport{
		a: a, out: AssetImportBody{Problems: []AssetImportProblem{}, Preview: []AssetImportRow{}},
		values: map[mdm.DeviceID]map[string]string{}, rows: map[mdm.DeviceID]int{},
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(in.RawBody, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	if line, _, _ := bytes.Cut(in.RawBody, []byte("\n")); bytes.Count(line, []byte(";")) > bytes.Count(line, []byte(",")) {
		r.Comma = ';' // as spreadsheets write where the comma is in numbers
	}
	if err := i.heading(ctx, r); err != nil {
		return nil, err
	}
	if err := i.index(ctx); err != nil {
		return nil, err
	}
	for row := 2; ; row++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			i.problem(row, "this is no CSV: %v", err)
			break
		}
		i.row(row, record)
	}
	err := i.apply(ctx, in.DryRun || len(i.out.Problems) > 0)
	return &body[AssetImportBody]{i.out}, err
}

func (i *assetImport) heading(ctx context.Context, r *csv.Reader) error {
	fields, err := i.a.cfg.Fleet.AssetFields(ctx)
	if err != nil {
		return err
	}
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("the file has no heading: %w", mdm.ErrInvalid)
	}
	i.fields = map[int]device.AssetField{}
	for c, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if n := slices.IndexFunc(fields, func(f device.AssetField) bool { return f.Key == name || strings.EqualFold(f.Name, name) }); n >= 0 {
			i.fields[c] = fields[n]
		}
	}
	for _, by := range []string{"id", "serial", "name"} {
		if c := slices.IndexFunc(head, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), by) }); c >= 0 {
			i.by, i.column = by, c
			break
		}
	}
	if i.by == "" {
		return fmt.Errorf("no column is called id, serial or name: %w", mdm.ErrInvalid)
	}
	if len(i.fields) == 0 {
		return fmt.Errorf("no column is an asset field: %w", mdm.ErrInvalid)
	}
	return nil
}

// index remembers the devices that may be changed by what rows name them.
func (i *assetImport) index(ctx context.Context) error {
	i.find = map[string][]mdm.DeviceID{}
	return i.a.cfg.Fleet.Each(ctx, everyDevice(callerOf(ctx), auth.DeviceManage), func(r *fleet.Record) {
		key := string(r.ID)
		switch i.by {
		case "serial":
			key = strings.ToLower(r.Serial)
		case "name":
			key = r.NameKey
		}
		i.find[key] = append(i.find[key], r.ID)
	})
}

// unfound says why a row is no device's.
func (i *assetImport) unfound(row int, key string, found int) {
	switch {
	case key == "":
		i.problem(row, "the column %s is empty", i.by)
	case found == 0:
		i.problem(row, "no device of yours has the %s %q", i.by, key)
	default:
		i.problem(row, "%d devices have the %s %q; name them by id", found, i.by, key)
	}
}

func (i *assetImport) row(row int, record []string) {
	i.out.Rows++
	key := ""
	if i.column < len(record) {
		key = strings.TrimSpace(strings.TrimPrefix(record[i.column], "'"))
	}
	if i.by != "id" {
		key = strings.ToLower(key)
	}
	found := i.find[key]
	if key == "" || len(found) != 1 {
		i.unfound(row, key, len(found))
		return
	}
	values := map[string]string{}
	for c, f := range i.fields {
		if c >= len(record) {
			continue
		}
		v, err := f.Check(strings.TrimPrefix(record[c], "'"))
		if err != nil {
			i.problem(row, "%v", err)
			continue
		}
		values[f.Key] = v
	}
	if i.values[found[0]] != nil {
		i.problem(row, "the device is there twice")
		return
	}
	i.values[found[0]], i.rows[found[0]] = values, row
	i.order = append(i.order, found[0])
}

// differs reports whether the file says something else of a device, and remembers what.
func (i *assetImport) differs(d device.Device) bool {
	row := AssetImportRow{Row: i.rows[d.ID], DeviceID: string(d.ID), Name: d.Name, Changes: []AssetChange{}}
	for _, key := range slices.Sorted(maps.Keys(i.values[d.ID])) {
		if v := i.values[d.ID][key]; v != d.Asset[key] {
			row.Changes = append(row.Changes, AssetChange{key, d.Asset[key], v})
		}
	}
	if len(row.Changes) > 0 && len(i.out.Preview) < maxImportShown {
		i.out.Preview = append(i.out.Preview, row)
	}
	return len(row.Changes) > 0
}

// apply writes what differs.
func (i *assetImport) apply(ctx context.Context, dry bool) error {
	i.out.Devices = len(i.order)
	var changed []mdm.DeviceID
	for some := range slices.Chunk(i.order, exportPage) {
		page, err := i.a.cfg.Devices.Devices(ctx, device.Filter{AllGroups: true, IDs: some, Standing: device.Any, Limit: device.MaxPage})
		if err != nil {
			return err
		}
		by := make(map[mdm.DeviceID]device.Device, len(page.Devices))
		for _, d := range page.Devices {
			by[d.ID] = d
		}
		for _, id := range some {
			d, ok := by[id]
			if !ok || !i.differs(d) {
				continue
			}
			changed = append(changed, id)
			if dry {
				continue
			}
			if _, err := i.a.cfg.Devices.Update(ctx, id, device.Change{Asset: i.values[id]}); err != nil {
				return err
			}
		}
	}
	i.out.Changed, i.out.Applied = len(changed), !dry
	if dry || len(changed) == 0 {
		return nil
	}
	i.a.tellDevices(changed)
	return i.a.record(ctx, "assets.import", audit.Who{}, "", map[string]string{"devices": count(len(changed)), "rows": count(i.out.Rows)})
}
