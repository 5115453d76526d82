package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/script"
)

// ScriptBody is an entry of the script library.
type ScriptBody struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Newest      int64      `json:"newest" doc:"Version"`
	CreatedAt   time.Time  `json:"created_at"`
	ChangedAt   time.Time  `json:"changed_at"`
	ArchivedAt  *time.Time `json:"archived_at,omitempty" doc:"It cannot be run any more"`
	Shipped     bool       `json:"shipped,omitempty" doc:"It comes with the program: it cannot be changed, but copied"`
}

// ScriptParameterBody is one typed value a script takes.
type ScriptParameterBody struct {
	Name     string   `json:"name" maxLength:"32" doc:"Reaches the script as the environment variable PARAM_ and the name in capitals"`
	Title    string   `json:"title,omitempty" maxLength:"120"`
	Help     string   `json:"help,omitempty" maxLength:"500"`
	Type     string   `json:"type" enum:"string,int,bool,choice,secret"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty" maxLength:"4096"`
	Choices  []string `json:"choices,omitempty" maxItems:"64"`
	Pattern  string   `json:"pattern,omitempty" maxLength:"500" doc:"Regular expression the whole value must match"`
	Min      *int64   `json:"min,omitempty"`
	Max      *int64   `json:"max,omitempty"`
}

// ScriptContent is what a version is made of.
type ScriptContent struct {
	Interpreter    string                `json:"interpreter" enum:"sh,bash,python3"`
	Body           string                `json:"body" maxLength:"131072"`
	Parameters     []ScriptParameterBody `json:"parameters,omitempty" maxItems:"32"`
	RunAs          string                `json:"run_as,omitempty" maxLength:"64" doc:"Account; left out: the agent's own"`
	TimeoutSeconds int                   `json:"timeout_seconds,omitempty" minimum:"0" maximum:"86400" doc:"0: 300"`
	OutputBytes    int                   `json:"output_bytes,omitempty" minimum:"0" maximum:"1048576" doc:"Of the output that are kept; 0: 65536"`
	Note           string                `json:"note,omitempty" maxLength:"500" doc:"What is new"`
}

// ScriptVersionBody is one immutable version.
type ScriptVersionBody struct {
	ScriptContent
	Number    int64     `json:"number"`
	By        string    `json:"by" doc:"Operator id"`
	ByName    string    `json:"by_name"`
	CreatedAt time.Time `json:"created_at"`
}

// ScriptDetail is a script with its versions, newest first.
type ScriptDetail struct {
	ScriptBody
	Versions []ScriptVersionBody `json:"versions"`
}

// NewScriptInput adds a script.
type NewScriptInput struct {
	Name        string `json:"name" minLength:"1" maxLength:"120"`
	Description string `json:"description,omitempty" maxLength:"2000"`
	ScriptContent
}

// ScriptChange changes what is not versioned; what is left out stays.
type ScriptChange struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"120"`
	Description *string `json:"description,omitempty" maxLength:"2000"`
	Archived    *bool   `json:"archived,omitempty"`
}

// NewVersionInput adds a version.
type NewVersionInput struct {
	Base int64 `json:"base" doc:"The version this one was made from; 409 when it is not the newest any more"`
	ScriptContent
}

func scriptBody(s script.Script) ScriptBody {
	return ScriptBody{
		ID: string(s.ID), Name: s.Name, Description: s.Description, Newest: s.Newest, CreatedAt: s.CreatedAt, ChangedAt: s.ChangedAt,
		ArchivedAt: timePtr(s.ArchivedAt), Shipped: s.Shipped,
	}
}

func versionBody(v script.Version) ScriptVersionBody {
	b := ScriptVersionBody{
		Number: v.Number, By: v.By, ByName: v.ByName, CreatedAt: v.CreatedAt,
		ScriptContent: ScriptContent{
			Interpreter: v.Interpreter, Body: v.Body, RunAs: v.RunAs, TimeoutSeconds: v.TimeoutSeconds, OutputBytes: v.OutputBytes, Note: v.Note,
			Parameters: []ScriptParameterBody{},
		},
	}
	for _, p := range v.Parameters {
		b.Parameters = append(b.Parameters, ScriptParameterBody{
			Name: p.Name, Title: p.Title, Help: p.Help, Type: string(p.Type), Required: p.Required, Default: p.Default, Choices: p.Choices,
			Pattern: p.Pattern, Min: p.Min, Max: p.Max,
		})
	}
	return b
}

func (a *API) draftOf(ctx context.Context, c ScriptContent) script.Draft {
	o := callerOf(ctx).Operator
	d := script.Draft{
		Interpreter: c.Interpreter, Body: c.Body, RunAs: c.RunAs, TimeoutSeconds: c.TimeoutSeconds, OutputBytes: c.OutputBytes, Note: c.Note,
		By: string(o.ID), ByName: o.Name,
	}
	for _, p := range c.Parameters {
		d.Parameters = append(d.Parameters, script.Parameter{
			Name: p.Name, Title: p.Title, Help: p.Help, Type: script.Type(p.Type), Required: p.Required, Default: p.Default, Choices: p.Choices,
			Pattern: p.Pattern, Min: p.Min, Max: p.Max,
		})
	}
	return d
}

type scriptQuery struct {
	Q        string `query:"q" maxLength:"120" doc:"Occurs in the name or the description"`
	Archived bool   `query:"archived" doc:"Those that are archived too"`
}

func (a *API) registerScripts() {
	tags := []string{"scripts"}
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "list-scripts", Method: http.MethodGet, Path: "/api/scripts", Tags: tags, Summary: "The script library, by name",
	}, a.listScripts)
	operation(a, auth.ScriptManage, huma.Operation{
		OperationID: "create-script", Method: http.MethodPost, Path: "/api/scripts", Tags: tags, Summary: "Add a script with its first version",
		DefaultStatus: http.StatusCreated, MaxBodyBytes: 512 << 10,
	}, a.createScript)
	operation(a, auth.CommandRun, huma.Operation{
		OperationID: "get-script", Method: http.MethodGet, Path: "/api/scripts/{id}", Tags: tags, Summary: "A script with its versions",
	}, a.getScript)
	operation(a, auth.ScriptManage, huma.Operation{
		OperationID: "change-script", Method: http.MethodPatch, Path: "/api/scripts/{id}", Tags: tags, Summary: "Rename, describe, archive",
	}, a.changeScript)
	operation(a, auth.ScriptManage, huma.Operation{
		OperationID: "publish-script", Method: http.MethodPut, Path: "/api/scripts/{id}", Tags: tags, Summary: "Add a version",
		Description: "Versions never change; commands that were ordered keep the one they were ordered with.", MaxBodyBytes: 512 << 10,
	}, a.publishScript)
}

func (a *API) listScripts(ctx context.Context, in *scriptQuery) (*body[List[ScriptBody]], error) {
	all, err := a.cfg.Scripts.Scripts(ctx)
	if err != nil {
		return nil, err
	}
	list := List[ScriptBody]{Items: []ScriptBody{}}
	q := strings.ToLower(in.Q)
	for _, s := range all {
		if (in.Archived || s.ArchivedAt.IsZero()) && strings.Contains(strings.ToLower(s.Name+" "+s.Description), q) {
			list.Items = append(list.Items, scriptBody(s))
		}
	}
	return &body[List[ScriptBody]]{list}, nil
}

// scriptDone records a change and answers with the script as it is now. The library is the
// whole organisation's: only who manages scripts everywhere may change it.
func (a *API) scriptDone(ctx context.Context, action string, s script.Script) (*body[ScriptDetail], error) {
	target := audit.Who{Kind: "script", ID: string(s.ID), Name: s.Name}
	if err := a.record(ctx, action, target, "", map[string]string{"version": strconv.FormatInt(s.Newest, 10)}); err != nil {
		return nil, err
	}
	return a.scriptAnswer(ctx, s)
}

func (a *API) scriptAnswer(ctx context.Context, s script.Script) (*body[ScriptDetail], error) {
	versions, err := a.cfg.Scripts.Versions(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	out := ScriptDetail{ScriptBody: scriptBody(s), Versions: []ScriptVersionBody{}}
	for _, v := range versions {
		out.Versions = append(out.Versions, versionBody(v))
	}
	return &body[ScriptDetail]{out}, nil
}

// mayManageScripts: a script of the library may be run anywhere, so who changes it must hold
// the permission on everything.
func mayManageScripts(ctx context.Context) error {
	if !callerOf(ctx).May(auth.ScriptManage, mdm.RootGroup) {
		return errForbidden
	}
	return nil
}

func (a *API) createScript(ctx context.Context, in *body[NewScriptInput]) (*body[ScriptDetail], error) {
	if err := mayManageScripts(ctx); err != nil {
		return nil, err
	}
	s, _, err := a.cfg.Scripts.Create(ctx, in.Body.Name, in.Body.Description, a.draftOf(ctx, in.Body.ScriptContent), a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.scriptDone(ctx, "script.create", s)
}

func (a *API) getScript(ctx context.Context, in *IDPath) (*body[ScriptDetail], error) {
	s, err := a.cfg.Scripts.Script(ctx, script.ID(in.ID))
	if errors.Is(err, mdm.ErrNotFound) {
		return nil, notFound("script")
	}
	if err != nil {
		return nil, err
	}
	return a.scriptAnswer(ctx, s)
}

func (a *API) changeScript(ctx context.Context, in *idInput[ScriptChange]) (*body[ScriptDetail], error) {
	if err := mayManageScripts(ctx); err != nil {
		return nil, err
	}
	s, err := a.cfg.Scripts.Update(ctx, script.ID(in.ID), script.Change{
		Name: in.Body.Name, Description: in.Body.Description, Archived: in.Body.Archived,
	}, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.scriptDone(ctx, "script.change", s)
}

func (a *API) publishScript(ctx context.Context, in *idInput[NewVersionInput]) (*body[ScriptDetail], error) {
	if err := mayManageScripts(ctx); err != nil {
		return nil, err
	}
	s, _, err := a.cfg.Scripts.Publish(ctx, script.ID(in.ID), in.Body.Base, a.draftOf(ctx, in.Body.ScriptContent), a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.scriptDone(ctx, "script.publish", s)
}
