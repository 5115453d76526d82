package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
)

type commandCmds struct {
	Kinds  commandKindsCmd  `cmd:"" help:"What devices can be told to do, with the parameters."`
	Run    commandRunCmd    `cmd:"" help:"Tell devices to do something once."`
	List   commandListCmd   `cmd:"" help:"Commands, newest first."`
	Show   commandShowCmd   `cmd:"" help:"One command with its output."`
	Cancel commandCancelCmd `cmd:"" help:"Cancel a command, or all of a bulk."`
	Logs   commandLogsCmd   `cmd:"" help:"Download the logs a device collected."`
}

type commandKindsCmd struct{}

// Run lists the kinds.
func (commandKindsCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/command-kinds", nil)
	if err != nil {
		return err
	}
	items, err := itemsOf(raw)
	if err != nil {
		return err
	}
	return c.show(s, items, column{"KIND", "kind"}, column{"WHAT IT DOES", "description"}, column{"PARAMETERS", "parameters"}, column{"RISK", "risk"})
}

// itemsOf is the list in an answer.
func itemsOf(raw json.RawMessage) ([]json.RawMessage, error) {
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	err := json.Unmarshal(raw, &list)
	return list.Items, err
}

type commandRunCmd struct {
	Kind      string        `arg:"" help:"As restart or run_script; see handrail command kinds."`
	Device    []string      `short:"d" help:"A device: id, name, host name or serial number. May be given several times." sep:"none"`
	Group     string        `short:"g" help:"All devices of a group and those below: name, path or id."`
	Label     string        `short:"l" help:"All devices with a label: name or id."`
	Param     []string      `short:"p" help:"A parameter, as text=Hello; name:=5 is JSON; name=@FILE is a file's content." sep:"none"`
	Note      string        `help:"Why."`
	NotBefore time.Time     `help:"Not before this time, as 2026-12-01T22:00:00Z." format:"2006-01-02T15:04:05Z07:00"`
	TTL       time.Duration `name:"ttl" help:"Give up after so long; without it a week."`
	Supersede string        `help:"Takes the place of what still waits on a device under the same key."`
	Approval  bool          `help:"Hold it until somebody else approves."`
	Yes       bool          `short:"y" help:"Do not ask when it reaches many devices."`
	Wait      bool          `short:"w" help:"Wait until it is over on all devices; a failure on any is a failure."`
}

// Run orders a command.
func (r *commandRunCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	target, err := r.target(ctx, api)
	if err != nil {
		return err
	}
	parameters, err := parameters(s, r.Param)
	if err != nil {
		return err
	}
	var reach struct{ Devices, Online int64 }
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/commands/preview", in: target}, &reach); err != nil {
		return err
	}
	if reach.Devices == 0 {
		return errors.New("that reaches no device")
	}
	if reach.Devices > 1 {
		if err := sure(s, r.Yes, fmt.Sprintf("%s on %d devices, %d of them online?", clean(r.Kind, 40), reach.Devices, reach.Online)); err != nil {
			return err
		}
	}
	in := map[string]any{"kind": r.Kind, "parameters": parameters, "expect_devices": reach.Devices, "idempotency_key": mdm.NewID("cli")}
	for k, v := range target {
		in[k] = v
	}
	for k, v := range map[string]string{"note": r.Note, "supersede_key": r.Supersede} {
		if v != "" {
			in[k] = v
		}
	}
	if r.Approval {
		in["approval"] = true
	}
	from := time.Now()
	if !r.NotBefore.IsZero() {
		in["not_before"], from = r.NotBefore, r.NotBefore
	}
	if r.TTL > 0 {
		in["expires_at"] = from.Add(r.TTL)
	}
	var made json.RawMessage
	if err := api.do(ctx, request{method: http.MethodPost, path: "/api/commands", in: in}, &made); err != nil {
		return err
	}
	var order struct {
		BulkID string `json:"bulk_id"`
	}
	if err := json.Unmarshal(made, &order); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Ordered for %d devices as %s.\n", reach.Devices, order.BulkID)
	if r.Wait {
		if err := awaitBulk(ctx, api, order.BulkID); err != nil {
			return err
		}
	}
	return showBulk(ctx, c, s, api, order.BulkID, r.Wait)
}

func (r *commandRunCmd) target(ctx context.Context, api *client) (map[string]any, error) {
	p := &places{api: api}
	switch {
	case len(r.Device) > 0 && r.Group == "" && r.Label == "":
		var ids []string
		for _, what := range r.Device {
			d, err := api.device(ctx, what)
			if err != nil {
				return nil, err
			}
			ids = append(ids, d.ID)
		}
		return map[string]any{"devices": ids}, nil
	case r.Group != "" && len(r.Device) == 0 && r.Label == "":
		id, err := p.group(ctx, r.Group)
		return map[string]any{"group": id}, err
	case r.Label != "" && len(r.Device) == 0 && r.Group == "":
		id, err := p.label(ctx, r.Label)
		return map[string]any{"label": id}, err
	}
	return nil, errors.New("for which devices? Give --device (once or several times), or --group, or --label")
}

// parameters reads name=text, name:=json and name=@file.
func parameters(s streams, pairs []string) (map[string]any, error) {
	out := map[string]any{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || strings.Trim(name, ":") == "" {
			return nil, fmt.Errorf("parameter %q: write name=text, name:=json or name=@file", clean(pair, 100))
		}
		if plain, is := strings.CutSuffix(name, ":"); is {
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return nil, fmt.Errorf("parameter %s: %w", clean(plain, 60), err)
			}
			out[plain] = v
			continue
		}
		if file, is := strings.CutPrefix(value, "@"); is {
			b, err := readFile(s, file)
			if err != nil {
				return nil, err
			}
			value = string(b)
		}
		out[name] = value
	}
	return out, nil
}

// bulkItem is an order with how many of its commands are in which state.
type bulkItem struct {
	Counts map[string]int64 `json:"counts"`
}

var openStates = []string{"held", "queued", "sent"}

// awaitBulk asks until no command of the bulk is open.
func awaitBulk(ctx context.Context, api *client, id string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var b bulkItem
		if err := api.do(ctx, request{method: http.MethodGet, path: "/api/bulks/" + url.PathEscape(id)}, &b); err != nil {
			return err
		}
		open := int64(0)
		for _, state := range openStates {
			open += b.Counts[state]
		}
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted; it goes on: handrail command list --bulk %s", id)
		case <-tick.C:
		}
	}
}

var commandColumns = []column{
	{"ID", "id"},
	{"KIND", "kind"},
	{"DEVICE", "device_name"},
	{"STATE", "state"},
	{"EXIT", "exit_code"},
	{"ORDERED", "created_at"},
	{"MESSAGE", "message"},
}

// showBulk lists the commands of a bulk; over means that a failure of any is an error.
func showBulk(ctx context.Context, c *commands, s streams, api *client, id string, over bool) error {
	var items []json.RawMessage
	failed := 0
	_, err := api.each(ctx, "/api/commands", values("bulk", id), 0, func(raw json.RawMessage) error {
		var one struct{ State string }
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		if one.State != "succeeded" && !slices.Contains(openStates, one.State) {
			failed++
		}
		items = append(items, raw)
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.show(s, items, commandColumns...); err != nil {
		return err
	}
	if over && failed > 0 {
		return fmt.Errorf("%d of %d did not succeed", failed, len(items))
	}
	return nil
}

type commandListCmd struct {
	Device string `short:"d" help:"Only of this device: id, name, host name or serial number."`
	Bulk   string `help:"Only of this bulk: id."`
	Kind   string `help:"Only of this kind."`
	State  string `help:"Only in this state; open is all that are not over."`
	Limit  int    `help:"At most so many; 0 is all." default:"50"`
}

// Run lists commands.
func (l *commandListCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	if l.Device != "" {
		d, err := api.device(ctx, l.Device)
		if err != nil {
			return err
		}
		l.Device = d.ID
	}
	return c.showList(ctx, s, api, "/api/commands", values("device", l.Device, "bulk", l.Bulk, "kind", l.Kind, "state", l.State), l.Limit, commandColumns...)
}

type commandShowCmd struct {
	ID string `arg:"" help:"The command's id, as cmd_…"`
}

// Run shows a command and its output.
func (o *commandShowCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/commands/"+url.PathEscape(o.ID), nil)
	if err != nil {
		return err
	}
	if err := c.showFields(s, raw, column{"Command", "kind"}, column{"Device", "device_name"}, column{"State", "state"}, column{"Exit code", "exit_code"}, column{"Message", "message"},
		column{"Ordered", "created_at"}, column{"By", "bulk.by_name"}, column{"Why", "bulk.note"}, column{"Attempts", "attempts"}, column{"Finished", "finished_at"}); err != nil {
		return err
	}
	var out struct{ Output string }
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	if c.Output == "table" && out.Output != "" {
		fmt.Fprintf(s.out, "\n%s\n", strings.TrimRight(printable(out.Output), "\n"))
	}
	return nil
}

// printable keeps a device's text from steering the terminal: lines and tabs stay, other
// control characters are shown as escapes.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' || strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

type commandCancelCmd struct {
	ID string `arg:"" help:"Of a command (cmd_…) or of a bulk."`
}

// Run cancels.
func (o *commandCancelCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	list := "/api/bulks/"
	if strings.HasPrefix(o.ID, "cmd_") {
		list = "/api/commands/"
	}
	var done struct{ Cancelled, Asked int64 }
	if err := api.do(ctx, request{method: http.MethodPost, path: list + url.PathEscape(o.ID) + "/cancel"}, &done); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "%d cancelled; %d were under way and are asked to stop.\n", done.Cancelled, done.Asked)
	return nil
}

type commandLogsCmd struct {
	ID   string `arg:"" help:"Of the command that collected them."`
	File string `arg:"" optional:"" help:"Where to; - is standard output." type:"path" default:"logs.tar.gz"`
}

// Run downloads a log bundle.
func (o *commandLogsCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	b, _, err := api.raw(ctx, request{method: http.MethodGet, path: "/api/commands/" + url.PathEscape(o.ID) + "/bundle"})
	if err != nil {
		return err
	}
	if o.File == "-" {
		_, err = s.out.Write(b)
		return err
	}
	if err := os.WriteFile(o.File, b, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Wrote %d bytes to %s.\n", len(b), o.File)
	return nil
}
