package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/dispatch"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/device"
	"handrail/signaling"
)

// CommandBody is one command for one device.
type CommandBody struct {
	ID          string     `json:"id"`
	BulkID      string     `json:"bulk_id" doc:"The order it belongs to, which may be for many devices"`
	DeviceID    string     `json:"device_id"`
	DeviceName  string     `json:"device_name" doc:"When it was ordered"`
	GroupID     string     `json:"group_id" doc:"Of the device when it was ordered"`
	Kind        string     `json:"kind"`
	State       string     `json:"state" enum:"held,queued,sent,succeeded,failed,expired,cancelled,superseded"`
	Reason      string     `json:"reason,omitempty" doc:"Of a failure, for programs"`
	Message     string     `json:"message,omitempty" doc:"What came of it, in words"`
	ExitCode    *int       `json:"exit_code,omitempty"`
	Attempts    int        `json:"attempts" doc:"How often it was sent"`
	CancelBy    string     `json:"cancel_by,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	ExpiresAt   time.Time  `json:"expires_at"`
	SentAt      *time.Time `json:"sent_at,omitempty"`
	StartedAt   *time.Time `json:"started_at,omitempty" doc:"By the device's clock"`
	EndedAt     *time.Time `json:"ended_at,omitempty" doc:"By the device's clock"`
	FinishedAt  *time.Time `json:"finished_at,omitempty" doc:"When the gateway knew"`
	OutputBytes int64      `json:"output_bytes" doc:"That were written, kept or not"`
	HasOutput   bool       `json:"has_output"`
	BundleBytes int64      `json:"bundle_bytes" doc:"Of the log bundle; 0: none"`
}

func commandBody(c command.Command) CommandBody {
	return CommandBody{
		ID: string(c.ID), BulkID: string(c.Bulk), DeviceID: string(c.Device), DeviceName: c.DeviceName, GroupID: string(c.Group), Kind: string(c.Kind),
		State: string(c.State), Reason: string(c.Reason), Message: c.Message, ExitCode: c.ExitCode, Attempts: c.Attempts, CancelBy: c.CancelBy,
		CreatedAt: c.CreatedAt, NotBefore: timePtr(c.NotBefore), ExpiresAt: c.ExpiresAt, SentAt: timePtr(c.SentAt), StartedAt: timePtr(c.StartedAt),
		EndedAt: timePtr(c.EndedAt), FinishedAt: timePtr(c.FinishedAt), OutputBytes: c.OutputBytes, HasOutput: c.HasOutput, BundleBytes: c.FileBytes,
	}
}

// CommandDetail is a command with its order and the kept part of its output.
type CommandDetail struct {
	CommandBody
	Bulk   BulkBody `json:"bulk"`
	Output string   `json:"output" doc:"Standard output and error in their order; the middle is left out where it was too much. Needs command.run"`
}

// CommandOrder says what is to be done.
type CommandOrder struct {
	Kind         string          `json:"kind" enum:"refresh_inventory,restart,shutdown,sign_out,message,run_script,restart_service,rotate_key,collect_logs"`
	Parameters   json.RawMessage `json:"parameters,omitempty" doc:"As get-command-kinds describes them"`
	Note         string          `json:"note,omitempty" maxLength:"500" doc:"Why"`
	NotBefore    *time.Time      `json:"not_before,omitempty" doc:"Left out: at once"`
	ExpiresAt    *time.Time      `json:"expires_at,omitempty" doc:"Left out: a week after it may begin"`
	SupersedeKey string          `json:"supersede_key,omitempty" maxLength:"64" doc:"Takes the place of what still waits on a device with the same key"`
	Idempotency  string          `json:"idempotency_key,omitempty" maxLength:"64" doc:"The same key twice is one order"`
	Approval     bool            `json:"approval,omitempty" doc:"Hold it until somebody else approves"`
}

// CommandTarget names devices: by id, or all of a group and those below it, or of a label.
type CommandTarget struct {
	Devices []string `json:"devices,omitempty" maxItems:"5000"`
	Group   string   `json:"group,omitempty" maxLength:"64"`
	Label   string   `json:"label,omitempty" maxLength:"64"`
}

// NewCommandInput orders something of one device or many.
type NewCommandInput struct {
	CommandTarget
	CommandOrder
	ExpectDevices *int64 `json:"expect_devices,omitempty" doc:"How many devices you mean. Needed beyond 20, and refused with code confirm where it is another number: what reaches many is said twice"`
}

// OrderedBody is what came of an order.
type OrderedBody struct {
	BulkID   string        `json:"bulk_id"`
	Bulk     BulkBody      `json:"bulk"`
	Commands []CommandBody `json:"commands" doc:"At most 50 of them"`
	Existed  bool          `json:"existed" doc:"The idempotency key was known: this is the order of then"`
}

// PreviewBody says whom an order would reach.
type PreviewBody struct {
	Devices int64         `json:"devices"`
	Online  int64         `json:"online"`
	Sample  []DeviceBrief `json:"sample" doc:"At most 20 of them"`
}

// DeviceBrief names a device.
type DeviceBrief struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CancelledBody is what came of a cancellation.
type CancelledBody struct {
	Cancelled int64 `json:"cancelled" doc:"That had not been sent"`
	Asked     int64 `json:"asked" doc:"Devices that were asked to stop; what they say counts"`
}

type commandQuery struct {
	Paging
	Device string `query:"device" maxLength:"64"`
	Bulk   string `query:"bulk" maxLength:"64"`
	Kind   string `query:"kind" maxLength:"32"`
	State  string `query:"state" enum:"open,held,queued,sent,succeeded,failed,expired,cancelled,superseded" doc:"open: all that are not over"`
}

const codeConfirm signaling.Code = "confirm" // the number of devices must be given, or is another

// confirmAbove is how many devices an order may reach without its number being said.
const confirmAbove = 20

func (a *API) registerCommands() {
	tags := []string{"commands"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-commands", Method: http.MethodGet, Path: "/api/commands", Tags: tags, Summary: "Commands, newest first",
	}, a.listCommands)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "order-commands", Method: http.MethodPost, Path: "/api/commands", Tags: tags, Summary: "Tell devices to do something once",
		Description:   "A script that is not in the library needs script.manage too. Devices that have 100 open commands are skipped and counted.",
		DefaultStatus: http.StatusCreated, MaxBodyBytes: 512 << 10,
	}, a.orderCommands)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "preview-commands", Method: http.MethodPost, Path: "/api/commands/preview", Tags: tags, Summary: "Whom an order would reach",
		MaxBodyBytes: 512 << 10,
	}, a.previewCommands)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-command", Method: http.MethodGet, Path: "/api/commands/{id}", Tags: tags, Summary: "One command with its output",
	}, a.getCommand)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "cancel-command", Method: http.MethodPost, Path: "/api/commands/{id}/cancel", Tags: tags, Summary: "Cancel a command",
	}, a.cancelCommand)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "get-command-bundle", Method: http.MethodGet, Path: "/api/commands/{id}/bundle", Tags: tags,
		Summary: "Download the logs a device collected", Description: "application/gzip: a tar archive.",
	}, a.getBundle)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-command-kinds", Method: http.MethodGet, Path: "/api/command-kinds", Tags: tags, Summary: "What devices can be told to do",
	}, a.getCommandKinds)
}

func (a *API) scopeOf(ctx context.Context, p auth.Permission) command.Scope {
	ids, all := callerOf(ctx).Groups(p)
	return command.Scope{Groups: ids, All: all}
}

var openStates = []command.State{command.Held, command.Queued, command.Sent}

func (a *API) listCommands(ctx context.Context, in *commandQuery) (*body[List[CommandBody]], error) {
	f := command.Filter{
		Scope: a.scopeOf(ctx, auth.DeviceView), Device: mdm.DeviceID(in.Device), Bulk: command.BulkID(in.Bulk), Kind: command.Kind(in.Kind),
		After: in.After, Limit: in.Limit,
	}
	if in.Device != "" {
		// A device that moved takes its past along to those who look after it now.
		if _, err := a.deviceFor(ctx, in.Device, auth.DeviceView); err != nil {
			return nil, err
		}
		f.Scope = command.Scope{All: true}
	}
	switch in.State {
	case "":
	case "open":
		f.States = openStates
	default:
		f.States = []command.State{command.State(in.State)}
	}
	page, err := a.cfg.Commands.Commands(ctx, f)
	if err != nil {
		return nil, err
	}
	list := List[CommandBody]{Items: []CommandBody{}, Next: page.Next}
	for _, c := range page.Commands {
		list.Items = append(list.Items, commandBody(c))
	}
	return &body[List[CommandBody]]{list}, nil
}

// commandFor returns a command if the caller holds p on the group of its device, of now or of
// then.
func (a *API) commandFor(ctx context.Context, id string, p auth.Permission) (command.Command, error) {
	c, err := a.cfg.Commands.Command(ctx, command.ID(id))
	if errors.Is(err, mdm.ErrNotFound) {
		return c, notFound("command")
	}
	if err != nil {
		return c, err
	}
	groups := []mdm.GroupID{c.Group}
	d, err := a.cfg.Devices.Device(ctx, c.Device)
	switch {
	case err == nil:
		groups = []mdm.GroupID{d.Group}
	case !errors.Is(err, mdm.ErrNotFound):
		return c, err
	}
	caller := callerOf(ctx)
	may := func(p auth.Permission) bool {
		return slices.ContainsFunc(groups, func(g mdm.GroupID) bool { return caller.May(p, g) })
	}
	switch {
	case !may(auth.DeviceView):
		return c, notFound("command")
	case !may(p):
		return c, errForbidden
	}
	return c, nil
}

func (a *API) getCommand(ctx context.Context, in *IDPath) (*body[CommandDetail], error) {
	c, err := a.commandFor(ctx, in.ID, auth.DeviceView)
	if err != nil {
		return nil, err
	}
	b, err := a.cfg.Commands.Bulk(ctx, c.Bulk)
	if err != nil {
		return nil, err
	}
	counts, err := a.cfg.Commands.Counts(ctx, c.Bulk, a.scopeOf(ctx, auth.DeviceView))
	if err != nil {
		return nil, err
	}
	out := CommandDetail{CommandBody: commandBody(c), Bulk: a.bulkBody(ctx, b, counts)}
	if _, err := a.commandFor(ctx, in.ID, auth.CommandRun); c.HasOutput && err == nil {
		o, err := a.cfg.Commands.Output(ctx, c.ID)
		if err != nil && !errors.Is(err, mdm.ErrNotFound) {
			return nil, err
		}
		out.Output = o.Text
	}
	return &body[CommandDetail]{out}, nil
}

func (a *API) cancelCommand(ctx context.Context, in *IDPath) (*body[CancelledBody], error) {
	c, err := a.commandFor(ctx, in.ID, auth.CommandRun)
	if err != nil {
		return nil, err
	}
	cancelled, asked, err := a.cfg.Dispatch.Cancel(ctx, command.Selection{ID: c.ID, Scope: command.Scope{All: true}}, c.Bulk, callerOf(ctx).Operator.Name)
	if err != nil {
		return nil, err
	}
	target := audit.Who{Kind: "device", ID: string(c.Device), Name: c.DeviceName}
	if err := a.record(ctx, "command.cancel", target, c.Group, map[string]string{"command": in.ID, "kind": string(c.Kind)}); err != nil {
		return nil, err
	}
	return &body[CancelledBody]{CancelledBody{Cancelled: cancelled, Asked: asked}}, nil
}

func (a *API) previewCommands(ctx context.Context, in *body[CommandTarget]) (*body[PreviewBody], error) {
	targets, _, err := a.targets(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	out := PreviewBody{Devices: int64(len(targets)), Sample: []DeviceBrief{}}
	for _, t := range targets {
		if a.cfg.Links.IsOnline(t.Device) {
			out.Online++
		}
		if len(out.Sample) < 20 {
			out.Sample = append(out.Sample, DeviceBrief{ID: string(t.Device), Name: t.Name})
		}
	}
	return &body[PreviewBody]{out}, nil
}

func (a *API) orderCommands(ctx context.Context, in *body[NewCommandInput]) (*body[OrderedBody], error) {
	targets, words, err := a.targets(ctx, in.Body.CommandTarget)
	if err != nil {
		return nil, err
	}
	if n := int64(len(targets)); in.Body.ExpectDevices != nil && *in.Body.ExpectDevices != n || in.Body.ExpectDevices == nil && n > confirmAbove {
		return nil, problem(http.StatusConflict, codeConfirm, fmt.Sprintf("this reaches %d devices; say so with expect_devices", n))
	}
	o := dispatch.Order{
		Kind: command.Kind(in.Body.Kind), Params: in.Body.Parameters, Note: in.Body.Note, Target: words, SupersedeKey: in.Body.SupersedeKey,
		Held: in.Body.Approval, By: string(callerOf(ctx).Operator.ID), ByName: callerOf(ctx).Operator.Name, MayType: a.mayType(ctx, targets),
	}
	if in.Body.Idempotency != "" {
		o.Idempotency = o.By + " " + in.Body.Idempotency
	}
	now := a.cfg.Now()
	from := now
	if in.Body.NotBefore != nil {
		o.NotBefore = in.Body.NotBefore.UTC().Truncate(time.Microsecond)
		from = later(now, o.NotBefore)
	}
	if in.Body.ExpiresAt != nil {
		if o.TTL = in.Body.ExpiresAt.Sub(from); o.TTL <= 0 {
			return nil, mdm.BadField("expires_at", "is before the command may begin")
		}
	}
	made, err := a.cfg.Dispatch.Send(ctx, o, targets)
	if err != nil {
		return nil, err
	}
	if !made.Existed {
		if err := a.recordOrder(ctx, made.Bulk, targets); err != nil {
			return nil, err
		}
	}
	return a.ordered(ctx, made)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (a *API) ordered(ctx context.Context, made command.Made) (*body[OrderedBody], error) {
	scope := a.scopeOf(ctx, auth.DeviceView)
	page, err := a.cfg.Commands.Commands(ctx, command.Filter{Scope: scope, Bulk: made.Bulk.ID, Limit: 50})
	if err != nil {
		return nil, err
	}
	counts, err := a.cfg.Commands.Counts(ctx, made.Bulk.ID, scope)
	if err != nil {
		return nil, err
	}
	out := OrderedBody{BulkID: string(made.Bulk.ID), Bulk: a.bulkBody(ctx, made.Bulk, counts), Commands: []CommandBody{}, Existed: made.Existed}
	for _, c := range page.Commands {
		out.Commands = append(out.Commands, commandBody(c))
	}
	return &body[OrderedBody]{out}, nil
}

// mayType reports whether the caller may run scripts of their own on all targets.
func (a *API) mayType(ctx context.Context, targets []command.Target) bool {
	c := callerOf(ctx)
	return !slices.ContainsFunc(targets, func(t command.Target) bool { return !c.May(auth.ScriptManage, t.Group) })
}

// recordOrder writes who ordered what of whom: one device by name, many as a bulk.
func (a *API) recordOrder(ctx context.Context, b command.Bulk, targets []command.Target) error {
	detail := map[string]string{"kind": string(b.Kind), "bulk": string(b.ID), "devices": strconv.FormatInt(b.Devices, 10)}
	if b.Note != "" {
		detail["note"] = b.Note
	}
	if b.Held {
		detail["approval"] = "needed"
	}
	if b.Kind == command.RunScript {
		var shown dispatch.ScriptShown
		if err := json.Unmarshal(b.Params, &shown); err == nil && shown.ScriptID != "" {
			detail["script"] = fmt.Sprintf("%s (%s, version %d)", shown.Name, shown.ScriptID, shown.Version)
		} else {
			detail["script"] = "typed: " + mdm.Clean(shown.Body, 500)
		}
	}
	if len(targets) == 1 {
		t := targets[0]
		return a.record(ctx, "command.order", audit.Who{Kind: "device", ID: string(t.Device), Name: t.Name}, t.Group, detail)
	}
	group := targets[0].Group
	for _, t := range targets {
		if t.Group != group {
			group = mdm.RootGroup
			break
		}
	}
	return a.record(ctx, "command.order", audit.Who{Kind: "bulk", ID: string(b.ID), Name: b.Target}, group, detail)
}

// targets finds the devices an order is for, and says in words who they are. Only those the
// caller may command are among a group's or a label's; one named by id that is not fails.
func (a *API) targets(ctx context.Context, in CommandTarget) ([]command.Target, string, error) {
	ways := 0
	for _, given := range []bool{len(in.Devices) > 0, in.Group != "", in.Label != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, "", fmt.Errorf("name devices, or a group, or a label: %w", mdm.ErrInvalid)
	}
	switch {
	case in.Group != "":
		return a.targetsOfGroup(ctx, mdm.GroupID(in.Group))
	case in.Label != "":
		return a.targetsOfLabel(ctx, mdm.LabelID(in.Label))
	}
	ids := make([]mdm.DeviceID, 0, len(in.Devices))
	seen := map[string]bool{}
	for _, id := range in.Devices {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, mdm.DeviceID(id))
		}
	}
	list, err := a.targetsByID(ctx, ids, true)
	if err != nil {
		return nil, "", err
	}
	if len(list) == 1 {
		return list, list[0].Name, nil
	}
	return list, fmt.Sprintf("%d devices", len(list)), nil
}

func (a *API) targetsOfGroup(ctx context.Context, id mdm.GroupID) ([]command.Target, string, error) {
	c := callerOf(ctx)
	g, ok := c.Tree().Group(id)
	if !ok || !c.May(auth.DeviceView, id) {
		return nil, "", notFound("group")
	}
	f := device.Filter{Limit: device.MaxPage}
	for _, below := range c.Tree().Below(id) {
		if c.May(auth.CommandRun, below) {
			f.Groups = append(f.Groups, below)
		}
	}
	if len(f.Groups) == 0 {
		return nil, "", errForbidden
	}
	var list []command.Target
	for {
		page, err := a.cfg.Devices.Devices(ctx, f)
		if err != nil {
			return nil, "", err
		}
		list = appendTargets(list, page.Devices)
		if len(list) > command.MaxDevices {
			return nil, "", fmt.Errorf("more than %d devices: %w", command.MaxDevices, mdm.ErrInvalid)
		}
		if f.After = page.Next; f.After == "" {
			return list, "group " + g.Name, nil
		}
	}
}

func appendTargets(list []command.Target, devices []device.Device) []command.Target {
	for _, d := range devices {
		list = append(list, command.Target{Device: d.ID, Name: d.Name, Group: d.Group})
	}
	return list
}

func (a *API) targetsOfLabel(ctx context.Context, id mdm.LabelID) ([]command.Target, string, error) {
	name, err := a.cfg.LabelName(ctx, id)
	if err != nil {
		return nil, "", err
	}
	var list []command.Target
	after := mdm.DeviceID("")
	for {
		ids, err := a.cfg.LabelDevices(ctx, id, after, device.MaxPage)
		if err != nil {
			return nil, "", err
		}
		part, err := a.targetsByID(ctx, ids, false)
		if err != nil {
			return nil, "", err
		}
		list = append(list, part...)
		if len(list) > command.MaxDevices {
			return nil, "", fmt.Errorf("more than %d devices: %w", command.MaxDevices, mdm.ErrInvalid)
		}
		if len(ids) < device.MaxPage {
			return list, "label " + name, nil
		}
		after = ids[len(ids)-1]
	}
}

// targetsByID reads devices by id. With all set, one that is missing or may not be commanded
// fails; else it is left out.
func (a *API) targetsByID(ctx context.Context, ids []mdm.DeviceID, all bool) ([]command.Target, error) {
	c := callerOf(ctx)
	var list []command.Target
	for rest := ids; len(rest) > 0; {
		part := rest[:min(len(rest), device.MaxPage)]
		rest = rest[len(part):]
		page, err := a.cfg.Devices.Devices(ctx, device.Filter{AllGroups: true, IDs: part, Limit: device.MaxPage})
		if err != nil {
			return nil, err
		}
		for _, d := range page.Devices {
			switch {
			case c.May(auth.CommandRun, d.Group):
				list = appendTargets(list, []device.Device{d})
			case all && c.May(auth.DeviceView, d.Group):
				return nil, errForbidden
			}
		}
	}
	if all && len(list) < len(ids) {
		return nil, notFound("device")
	}
	return list, nil
}
