package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
)

type deviceExportQuery struct {
	SearchParams
	Sort    string   `query:"sort" enum:"name,last_seen" default:"name"`
	Columns []string `query:"columns" maxItems:"60" doc:"What to write and in which order, after the id: the names of the heading, and asset.key for an asset field. Left out: all but compliance and settings"`
}

func (a *API) registerExport() {
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "export-devices", Method: http.MethodGet, Path: "/api/devices/export", Tags: []string{"assets"},
		Summary: "Devices with their asset fields as CSV", Description: "Takes the parameters of list-devices and writes every device they find. The file can be changed and imported.",
	}, a.exportDevices)
}

// exportPage is how many devices an export reads at once.
const exportPage = 500

// exportColumn is a column of the file.
type exportColumn struct {
	name string
	cell func(DeviceBody) string
}

// assetPrefix stands before the key of an asset field in the name of a column.
const assetPrefix = "asset."

func exportColumns() []exportColumn {
	at := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.DateTime)
	}
	number := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	size := func(bytes int64) string {
		if bytes == 0 {
			return ""
		}
		return strconv.FormatInt(bytes>>20, 10)
	}
	return []exportColumn{
		{"name", func(d DeviceBody) string { return d.Name }},
		{"state", func(d DeviceBody) string { return d.State }},
		{"group", func(d DeviceBody) string { return strings.Join(d.GroupPath, "/") }},
		{"hostname", func(d DeviceBody) string { return d.Hostname }},
		{"os", func(d DeviceBody) string { return d.OS }},
		{"os_version", func(d DeviceBody) string { return d.OSVersion }},
		{"model", func(d DeviceBody) string { return d.Model }},
		{"serial", func(d DeviceBody) string { return d.Serial }},
		{"cpu", func(d DeviceBody) string { return d.CPU }},
		{"memory_mib", func(d DeviceBody) string { return size(d.MemoryBytes) }},
		{"disk_mib", func(d DeviceBody) string { return size(d.DiskBytes) }},
		{"encrypted", func(d DeviceBody) string { return d.Encrypted }},
		{"users", func(d DeviceBody) string { return strings.Join(d.SignedIn, " ") }},
		{"labels", func(d DeviceBody) string {
			var names []string
			for _, l := range d.Labels {
				names = append(names, l.Name)
			}
			return strings.Join(names, ", ")
		}},
		{"enrolled", func(d DeviceBody) string { return at(&d.EnrolledAt) }},
		{"last_seen", func(d DeviceBody) string { return at(d.LastSeenAt) }},
		{"updates", func(d DeviceBody) string { return number(d.Updates) }},
		{"security_updates", func(d DeviceBody) string { return number(d.SecurityUpdates) }},
		{"agent_version", func(d DeviceBody) string { return d.AgentVersion }},
		{"compliance", func(d DeviceBody) string { return d.Compliance }},
		{"settings", func(d DeviceBody) string { return d.Settings }},
	}
}

// chosenColumns are the columns of an export by their names; none named: the usual ones.
func chosenColumns(names []string, fields []device.AssetField) ([]exportColumn, error) {
	all := exportColumns()
	asset := func(f device.AssetField) exportColumn {
		return exportColumn{f.Key, func(d DeviceBody) string { return d.Assets[f.Key] }}
	}
	var out []exportColumn
	if len(names) == 0 {
		out = slices.DeleteFunc(all, func(c exportColumn) bool { return c.name == "compliance" || c.name == "settings" })
		for _, f := range fields {
			out = append(out, asset(f))
		}
		return out, nil
	}
	for _, name := range names {
		if key, ok := strings.CutPrefix(name, assetPrefix); ok {
			// A field that is gone is left out: a console may still name it.
			if i := slices.IndexFunc(fields, func(f device.AssetField) bool { return f.Key == key }); i >= 0 {
				out = append(out, asset(fields[i]))
			}
			continue
		}
		i := slices.IndexFunc(all, func(c exportColumn) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no column %q: %w", mdm.Clean(name, 64), mdm.ErrInvalid)
		}
		out = append(out, all[i])
	}
	return out, nil
}

func (a *API) exportDevices(ctx context.Context, in *deviceExportQuery) (*huma.StreamResponse, error) {
	q, err := a.search(ctx, in.SearchParams, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	if in.Sort == "last_seen" {
		q.Order = device.ByLastSeen
	}
	fields, err := a.cfg.Fleet.AssetFields(ctx)
	if err != nil {
		return nil, err
	}
	columns, err := chosenColumns(in.Columns, fields)
	if err != nil {
		return nil, err
	}
	q.Limit = exportPage
	first, err := a.cfg.Fleet.Find(ctx, q) // a search that cannot be is refused before the file begins
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, "device.export", audit.Who{}, "", map[string]string{"devices": count(first.Total), "filter": mdm.Clean(in.Q, 500)}); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "text/csv; charset=utf-8")
		hc.SetHeader("Content-Disposition", `attachment; filename="devices.csv"`)
		if err := a.writeDevices(ctx, hc.BodyWriter(), columns, q, first); err != nil {
			a.log.WarnContext(ctx, "export_not_sent", "error", err)
			panic(http.ErrAbortHandler) // the client must not take a part for the whole
		}
	}}, nil
}

// writeDevices writes a page at a time, so that a fleet of any size costs the memory of one.
func (a *API) writeDevices(ctx context.Context, to io.Writer, columns []exportColumn, q fleet.Query, found fleet.Found) error {
	w := csv.NewWriter(to)
	row := []string{"id"}
	for _, c := range columns {
		row = append(row, c.name)
	}
	if err := w.Write(row); err != nil {
		return err
	}
	for {
		devices, err := a.deviceBodies(ctx, found.IDs)
		if err != nil {
			return err
		}
		for _, d := range devices {
			row = append(row[:0], d.ID)
			for _, c := range columns {
				row = append(row, csvCell(c.cell(d)))
			}
			if err := w.Write(row); err != nil {
				return err
			}
		}
		w.Flush()
		if err := w.Error(); err != nil || found.Next == "" {
			return err
		}
		q.After = found.Next
		if found, err = a.cfg.Fleet.Find(ctx, q); err != nil {
			return err
		}
	}
}

// csvCell keeps a spreadsheet from running text of a device as a formula.
func csvCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
