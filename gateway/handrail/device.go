package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type deviceCmds struct {
	List     deviceListCmd     `cmd:"" help:"Devices, all or those of a group, a label, a state."`
	Search   deviceSearchCmd   `cmd:"" help:"Find devices by words and conditions, as: openssl < 3.0.15, encrypted:no, memory<16GB, serial:5CG."`
	Show     deviceShowCmd     `cmd:"" help:"One device."`
	Settings deviceSettingsCmd `cmd:"" help:"What a device must be, why, and how it stands."`
	Software deviceSoftwareCmd `cmd:"" help:"What is installed on a device."`
	Rename   deviceRenameCmd   `cmd:"" help:"Give a device another name."`
	Move     deviceMoveCmd     `cmd:"" help:"Move devices to another group."`
	Revoke   deviceRevokeCmd   `cmd:"" help:"Cut a device off for good."`
}

var deviceColumns = []column{
	{"NAME", "name"},
	{"STATE", "state"},
	{"GROUP", "group_path"},
	{"OS", "os_version"},
	{"MODEL", "model"},
	{"SERIAL", "serial"},
	{"LAST SEEN", "last_seen_at"},
	{"ID", "id"},
}

type deviceListCmd struct {
	Group   string   `short:"g" help:"Only this group and those below: name, path or id."`
	Label   string   `short:"l" help:"Only devices with this label: name or id."`
	State   string   `help:"Only those that are ${enum}." enum:"online,offline,revoked," default:""`
	Sort    string   `help:"By ${enum}." enum:"name,last_seen" default:"name"`
	Columns []string `help:"Fields of the API to show as columns, as name,agent_version,serial."`
	Limit   int      `help:"At most so many; 0 is all." default:"200"`
	search  string
}

// Run lists devices.
func (l *deviceListCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	p := &places{api: api}
	group, err := p.group(ctx, l.Group)
	if err != nil {
		return err
	}
	label, err := p.label(ctx, l.Label)
	if err != nil {
		return err
	}
	columns := deviceColumns
	if len(l.Columns) > 0 {
		columns = nil
		for _, name := range l.Columns {
			columns = append(columns, column{strings.ToUpper(name), name})
		}
	}
	q := values("q", l.search, "group", group, "label", label, "state", l.State, "sort", l.Sort)
	return c.showList(ctx, s, api, "/api/devices", q, l.Limit, columns...)
}

type deviceSearchCmd struct {
	deviceListCmd
	Query []string `arg:"" help:"Words and conditions; all must hold. Quote < and > from the shell."`
}

// Run finds devices.
func (d *deviceSearchCmd) Run(ctx context.Context, c *commands, s streams) error {
	d.search = strings.Join(d.Query, " ")
	return d.deviceListCmd.Run(ctx, c, s)
}

// oneDevice is the argument that names a device.
type oneDevice struct {
	Device string `arg:"" help:"Id, name, host name or serial number."`
}

func (o oneDevice) find(ctx context.Context, c *commands) (*client, deviceItem, error) {
	api, err := c.connect()
	if err != nil {
		return nil, deviceItem{}, err
	}
	d, err := api.device(ctx, o.Device)
	return api, d, err
}

type deviceShowCmd struct {
	oneDevice
	Inventory bool `help:"Everything the device reports about itself, as JSON."`
}

// Run shows a device.
func (d *deviceShowCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, found, err := d.find(ctx, c)
	if err != nil {
		return err
	}
	path := "/api/devices/" + url.PathEscape(found.ID)
	if d.Inventory {
		raw, err := api.get(ctx, path+"/inventory", nil)
		if err != nil {
			return err
		}
		return printJSON(s.out, raw)
	}
	raw, err := api.get(ctx, path, nil)
	if err != nil {
		return err
	}
	return c.showFields(s, raw, column{"Name", "name"}, column{"State", "state"}, column{"Group", "group_path"}, column{"Labels", "labels"},
		column{"Host name", "hostname"}, column{"System", "os_version"}, column{"Architecture", "arch"}, column{"Model", "model"},
		column{"Serial", "serial"}, column{"Signed in", "signed_in"}, column{"Agent", "agent_version"}, column{"Enrolled", "enrolled_at"},
		column{"Last seen", "last_seen_at"}, column{"Id", "id"})
}

type deviceSettingsCmd struct{ oneDevice }

// Run shows a device's settings.
func (d *deviceSettingsCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, found, err := d.find(ctx, c)
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/devices/"+url.PathEscape(found.ID)+"/settings", nil)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	var list struct {
		Settings []json.RawMessage `json:"settings"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	return c.show(s, list.Settings, column{"SETTING", "id"}, column{"STATE", "state"}, column{"SINCE", "since_at"}, column{"FROM", "policy.name"}, column{"MESSAGE", "message"}, column{"VALUE", "value"})
}

type deviceSoftwareCmd struct {
	oneDevice
	Query string `short:"q" help:"Part of the name."`
	Limit int    `help:"At most so many; 0 is all." default:"0"`
}

// Run lists installed software.
func (d *deviceSoftwareCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, found, err := d.find(ctx, c)
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, "/api/devices/"+url.PathEscape(found.ID)+"/software", values("q", d.Query), d.Limit,
		column{"NAME", "name"}, column{"VERSION", "version"}, column{"SOURCE", "source"})
}

type deviceRenameCmd struct {
	oneDevice
	Name string `arg:"" help:"The new name."`
}

// Run renames a device.
func (d *deviceRenameCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, found, err := d.find(ctx, c)
	if err != nil {
		return err
	}
	if err := api.do(ctx, request{method: http.MethodPatch, path: "/api/devices/" + url.PathEscape(found.ID), in: map[string]string{"name": d.Name}}, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "%s is now called %s.\n", found.ID, clean(d.Name, 128))
	return nil
}

type deviceMoveCmd struct {
	Group   string   `arg:"" help:"Where to: name, path or id."`
	Devices []string `arg:"" help:"Ids, names, host names or serial numbers."`
}

// Run moves devices; all are found before the first is moved.
func (d *deviceMoveCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	group, err := (&places{api: api}).group(ctx, d.Group)
	if err != nil {
		return err
	}
	var ids []string
	for _, what := range d.Devices {
		found, err := api.device(ctx, what)
		if err != nil {
			return err
		}
		if !slices.Contains(ids, found.ID) {
			ids = append(ids, found.ID)
		}
	}
	for _, id := range ids {
		if err := api.do(ctx, request{method: http.MethodPatch, path: "/api/devices/" + url.PathEscape(id), in: map[string]string{"group_id": group}}, nil); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		fmt.Fprintf(s.err, "Moved %s.\n", id)
	}
	return nil
}

type deviceRevokeCmd struct {
	oneDevice
	Yes bool `short:"y" help:"Do not ask."`
}

// Run revokes a device.
func (d *deviceRevokeCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, found, err := d.find(ctx, c)
	if err != nil {
		return err
	}
	if err := sure(s, d.Yes, fmt.Sprintf("Cut %s (%s) off for good?", clean(found.Name, 100), found.ID)); err != nil {
		return err
	}
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/devices/" + url.PathEscape(found.ID) + "/revoke"}, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Revoked %s.\n", found.ID)
	return nil
}
