package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/label"
)

// topicLabels is told of when labels, or who carries them, change.
const topicLabels = "labels"

// LabelBody is a label.
type LabelBody struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Color       string     `json:"color" enum:"gray,red,orange,yellow,green,teal,blue,purple,pink"`
	Kind        string     `json:"kind" enum:"static,smart" doc:"static: people give it; smart: its expression does"`
	Expression  string     `json:"expression" doc:"CEL over device and inventory; empty for a static label"`
	Reads       []string   `json:"reads" doc:"Sections of the inventory, device or now: what the expression looks at"`
	Revision    int64      `json:"revision" doc:"Its ETag, for If-Match"`
	Evaluated   bool       `json:"evaluated" doc:"Whether the expression, as it is, has been evaluated on every device"`
	EvaluatedAt *time.Time `json:"evaluated_at,omitempty"`
	Problem     string     `json:"problem,omitempty" doc:"Why it could not be evaluated on a device"`
	Devices     int        `json:"devices" doc:"That carry it, of those you may see"`
	CreatedAt   time.Time  `json:"created_at"`
	ChangedAt   time.Time  `json:"changed_at"`
}

func labelKind(l label.Label) string {
	if l.IsSmart() {
		return "smart"
	}
	return "static"
}

func labelBody(l label.Label, devices int) LabelBody {
	reads := l.Reads
	if reads == nil {
		reads = []string{}
	}
	return LabelBody{
		ID: string(l.ID), Name: l.Name, Description: l.Description, Color: l.Color, Kind: labelKind(l), Expression: l.Expression, Reads: reads,
		Revision: l.Revision, Evaluated: l.Evaluated, EvaluatedAt: timePtr(l.EvaluatedAt), Problem: l.Problem, Devices: devices,
		CreatedAt: l.CreatedAt, ChangedAt: l.ChangedAt,
	}
}

// WhyBody is a fact that an expression read, and what it found.
type WhyBody struct {
	Path  string `json:"path"`
	Value string `json:"value" doc:"JSON, shortened"`
}

func whyBody(values []label.Value) []WhyBody {
	out := []WhyBody{}
	for _, v := range values {
		out = append(out, WhyBody(v))
	}
	return out
}

// DeviceLabelBody is a label a device carries.
type DeviceLabelBody struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Color      string     `json:"color"`
	Kind       string     `json:"kind" enum:"static,smart"`
	Since      *time.Time `json:"since,omitempty"`
	GivenBy    string     `json:"given_by,omitempty" doc:"Operator id, of a static label"`
	GivenName  string     `json:"given_name,omitempty" doc:"That operator's name; of one device only"`
	Expression string     `json:"expression,omitempty" doc:"Of a smart label; of one device only"`
	Why        []WhyBody  `json:"why,omitempty" doc:"What the expression found; of one device only"`
}

// NewLabelInput makes a label.
type NewLabelInput struct {
	Name        string `json:"name" minLength:"1" maxLength:"64"`
	Description string `json:"description,omitempty" maxLength:"500"`
	Color       string `json:"color,omitempty" enum:"gray,red,orange,yellow,green,teal,blue,purple,pink"`
	Kind        string `json:"kind,omitempty" enum:"static,smart" doc:"Left out: smart when there is an expression"`
	Expression  string `json:"expression,omitempty" maxLength:"4000"`
}

// LabelChange changes a label; what is left out stays.
type LabelChange struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"64"`
	Description *string `json:"description,omitempty" maxLength:"500"`
	Color       *string `json:"color,omitempty" enum:"gray,red,orange,yellow,green,teal,blue,purple,pink"`
	Expression  *string `json:"expression,omitempty" minLength:"1" maxLength:"4000"`
	Revision    int64   `json:"revision,omitempty" doc:"As If-Match, for who cannot send that"`
}

// ExpressionInput is an expression to try.
type ExpressionInput struct {
	Expression string `json:"expression" maxLength:"4000"`
}

// ExpressionProblem says where an expression cannot be read.
type ExpressionProblem struct {
	Message string `json:"message"`
	Line    int    `json:"line" doc:"From 1"`
	Column  int    `json:"column" doc:"From 1, in characters"`
}

// LabelPreviewBody is who would carry a smart label.
type LabelPreviewBody struct {
	Matches   int                `json:"matches"`
	Looked    int                `json:"looked" doc:"Devices looked at: those you may see"`
	Unknown   int                `json:"unknown" doc:"That did not report what the expression reads"`
	Failed    int                `json:"failed" doc:"On which it cannot be evaluated"`
	Problem   string             `json:"problem,omitempty" doc:"Of one of those"`
	Partial   bool               `json:"partial" doc:"Time ran out before all were looked at"`
	Reads     []string           `json:"reads"`
	Sample    []PreviewMatchBody `json:"sample"`
	Error     *ExpressionProblem `json:"error,omitempty" doc:"The expression cannot be read; nothing was looked at"`
	AllErrors []string           `json:"all_errors,omitempty"`
}

// PreviewMatchBody is one device that an expression matches.
type PreviewMatchBody struct {
	DeviceID string    `json:"device_id"`
	Name     string    `json:"name"`
	Why      []WhyBody `json:"why"`
}

func (a *API) registerLabels() {
	tags := []string{"labels"}
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "list-labels", Method: http.MethodGet, Path: "/api/labels", Tags: tags, Summary: "Every label, by name",
	}, a.listLabels)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "create-label", Method: http.MethodPost, Path: "/api/labels", Tags: tags, Summary: "Make a label",
		DefaultStatus: http.StatusCreated,
	}, a.createLabel)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "preview-label", Method: http.MethodPost, Path: "/api/labels/preview", Tags: tags,
		Summary: "Who would carry a smart label, and why",
	}, a.previewLabel)
	operation(a, auth.DeviceView, huma.Operation{
		OperationID: "get-label", Method: http.MethodGet, Path: "/api/labels/{id}", Tags: tags, Summary: "One label",
	}, a.getLabel)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "change-label", Method: http.MethodPatch, Path: "/api/labels/{id}", Tags: tags, Summary: "Change a label",
	}, a.changeLabel)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "delete-label", Method: http.MethodDelete, Path: "/api/labels/{id}", Tags: tags,
		Summary: "Remove a label and take it from every device", DefaultStatus: http.StatusNoContent,
	}, a.deleteLabel)
}

// mayShapeLabels: labels belong to the whole organisation, and policies follow them
// everywhere, so only who manages the root group shapes them.
func mayShapeLabels(ctx context.Context) error {
	if !callerOf(ctx).May(auth.GroupManage, mdm.RootGroup) {
		return errForbidden
	}
	return nil
}

// visibleQuery is a search of everything the caller may see.
func visibleQuery(c auth.Caller) fleet.Query {
	var q fleet.Query
	q.Groups, q.AllGroups = c.Groups(auth.DeviceView)
	return q
}

func (a *API) listLabels(ctx context.Context, _ *empty) (*body[List[LabelBody]], error) {
	labels, err := a.cfg.Labels.Labels(ctx)
	if err != nil {
		return nil, err
	}
	facets, err := a.cfg.Fleet.Facets(ctx, visibleQuery(callerOf(ctx)))
	if err != nil {
		return nil, err
	}
	list := List[LabelBody]{Items: []LabelBody{}}
	for _, l := range labels {
		list.Items = append(list.Items, labelBody(l, facets.Labels[l.ID]))
	}
	return &body[List[LabelBody]]{list}, nil
}

func (a *API) labelAnswer(ctx context.Context, l label.Label) (*tagged[LabelBody], error) {
	q := visibleQuery(callerOf(ctx))
	q.Terms = []device.Term{{Field: "label", Op: device.Is, Value: string(l.ID)}}
	n, err := a.cfg.Fleet.Count(ctx, q)
	if err != nil {
		return nil, err
	}
	return &tagged[LabelBody]{etag(l.Revision), labelBody(l, n)}, nil
}

func (a *API) getLabel(ctx context.Context, in *IDPath) (*tagged[LabelBody], error) {
	l, err := a.cfg.Labels.Label(ctx, mdm.LabelID(in.ID))
	if err != nil {
		return nil, err
	}
	return a.labelAnswer(ctx, l)
}

func (a *API) createLabel(ctx context.Context, in *body[NewLabelInput]) (*tagged[LabelBody], error) {
	if err := mayShapeLabels(ctx); err != nil {
		return nil, err
	}
	b := in.Body
	l := label.Label{Name: b.Name, Description: b.Description, Color: b.Color, Expression: b.Expression, CreatedBy: string(callerOf(ctx).Operator.ID)}
	if b.Kind == "smart" || b.Kind == "" && b.Expression != "" {
		e, err := a.cfg.Fleet.Compile(b.Expression)
		if err != nil {
			return nil, expressionProblem(err)
		}
		l.Reads = fleet.Reads(e)
	} else if b.Expression != "" {
		return nil, problem(http.StatusUnprocessableEntity, "malformed", "a static label has no expression")
	}
	l, err := a.cfg.Labels.Create(ctx, l, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.labelDone(ctx, "label.create", l)
}

// labelDone tells of a label that was made or changed, and writes it down.
func (a *API) labelDone(ctx context.Context, action string, l label.Label) (*tagged[LabelBody], error) {
	a.cfg.Changed(topicLabels, string(l.ID))
	a.cfg.Fleet.Wake()
	detail := map[string]string{"kind": labelKind(l)}
	if l.IsSmart() {
		detail["expression"] = l.Expression
	}
	if err := a.record(ctx, action, audit.Who{Kind: "label", ID: string(l.ID), Name: l.Name}, "", detail); err != nil {
		return nil, err
	}
	return a.labelAnswer(ctx, l)
}

func (a *API) changeLabel(ctx context.Context, in *matchInput[LabelChange]) (*tagged[LabelBody], error) {
	if err := mayShapeLabels(ctx); err != nil {
		return nil, err
	}
	b := in.Body
	seen, err := in.revision()
	if err != nil {
		return nil, err
	}
	if seen == 0 {
		seen = b.Revision
	}
	c := label.Change{Name: b.Name, Description: b.Description, Color: b.Color, Expression: b.Expression, Revision: seen}
	if b.Expression != nil {
		e, err := a.cfg.Fleet.Compile(*b.Expression)
		if err != nil {
			return nil, expressionProblem(err)
		}
		c.Reads = fleet.Reads(e)
	}
	l, err := a.cfg.Labels.Update(ctx, mdm.LabelID(in.ID), c, a.cfg.Now())
	if in.IfMatch != "" {
		err = stale(err)
	}
	if err != nil {
		return nil, err
	}
	return a.labelDone(ctx, "label.change", l)
}

func (a *API) deleteLabel(ctx context.Context, in *IDPath) (*empty, error) {
	if err := mayShapeLabels(ctx); err != nil {
		return nil, err
	}
	l, err := a.cfg.Labels.Label(ctx, mdm.LabelID(in.ID))
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Labels.Delete(ctx, l.ID); err != nil {
		return nil, err
	}
	a.cfg.Fleet.Touch()
	a.cfg.Changed(topicLabels, in.ID)
	return nil, a.record(ctx, "label.delete", audit.Who{Kind: "label", ID: in.ID, Name: l.Name}, "", nil)
}

// expressionProblem tells each fault of an expression as a field.
func expressionProblem(err error) error {
	var e *rule.Error
	if !errors.As(err, &e) {
		return err
	}
	p := problem(http.StatusUnprocessableEntity, "malformed", "the expression cannot be used: "+e.Error())
	for _, one := range e.Problems {
		p.Errors = append(p.Errors, FieldProblem{Location: "body.expression", Message: one.String()})
	}
	return p
}

// previewFor is how long a preview looks at devices before it answers with what it has.
const previewFor = 3 * time.Second

func (a *API) previewLabel(ctx context.Context, in *body[ExpressionInput]) (*body[LabelPreviewBody], error) {
	out := LabelPreviewBody{Sample: []PreviewMatchBody{}, Reads: []string{}}
	e, err := a.cfg.Fleet.Compile(in.Body.Expression)
	var wrong *rule.Error
	if errors.As(err, &wrong) && len(wrong.Problems) > 0 {
		one := wrong.Problems[0]
		out.Error = &ExpressionProblem{Message: one.Message, Line: one.Line, Column: one.Column}
		for _, p := range wrong.Problems {
			out.AllErrors = append(out.AllErrors, p.String())
		}
		return &body[LabelPreviewBody]{out}, nil
	}
	if err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	p, err := a.cfg.Fleet.Preview(ctx, e, func(d device.Device) bool { return c.May(auth.DeviceView, d.Group) }, previewFor)
	if err != nil {
		return nil, err
	}
	out.Matches, out.Looked, out.Unknown, out.Failed, out.Problem, out.Partial = p.Matches, p.Looked, p.Unknown, p.Failed, p.Problem, p.Truncated
	out.Reads = append(out.Reads, fleet.Reads(e)...)
	for _, m := range p.Sample {
		out.Sample = append(out.Sample, PreviewMatchBody{DeviceID: string(m.Device.ID), Name: m.Device.Name, Why: whyBody(m.Why)})
	}
	return &body[LabelPreviewBody]{out}, nil
}

// labelsOf returns what devices carry, by device, each list by name; with why set, also why.
func (a *API) labelsOf(ctx context.Context, ids []mdm.DeviceID, why bool) (map[mdm.DeviceID][]DeviceLabelBody, error) {
	out := map[mdm.DeviceID][]DeviceLabelBody{}
	carried, err := a.cfg.Labels.Of(ctx, ids)
	if err != nil || len(carried) == 0 {
		return out, err
	}
	all, err := a.cfg.Labels.Labels(ctx)
	if err != nil {
		return nil, err
	}
	by := make(map[mdm.LabelID]label.Label, len(all))
	for _, l := range all {
		by[l.ID] = l
	}
	names := a.names()
	for id, list := range carried {
		for _, m := range list {
			l, ok := by[m.Label]
			if !ok {
				continue // deleted in between
			}
			b := DeviceLabelBody{ID: string(l.ID), Name: l.Name, Color: l.Color, Kind: labelKind(l)}
			if why {
				b.Since, b.GivenBy, b.Expression, b.Why = timePtr(m.Since), m.GivenBy, l.Expression, whyBody(m.Why)
				if m.GivenBy != "" {
					b.GivenName = names.of(ctx, m.GivenBy)
				}
			}
			out[id] = append(out[id], b)
		}
	}
	return out, nil
}
