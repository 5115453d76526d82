package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/script"
)

// prepared is an order ready to be stored.
type prepared struct {
	public  []byte // JSON for people
	payload []byte // JSON for devices
	limit   time.Duration
}

// prepare checks an order's parameters and makes of them what people and devices get.
func (d *Dispatch) prepare(ctx context.Context, o Order) (prepared, error) {
	raw := o.Params
	var public []byte
	var err error
	switch o.Kind {
	case command.RunScript:
		if raw, public, err = d.scriptParams(ctx, o); err != nil {
			return prepared{}, err
		}
	case command.Message:
		if raw, err = withSender(raw, o.ByName); err != nil {
			return prepared{}, err
		}
	}
	p, err := command.DecodeParams(o.Kind, raw)
	if err != nil {
		return prepared{}, err
	}
	out := prepared{public: public, limit: command.RunLimit(p)}
	if out.payload, err = json.Marshal(p); err != nil {
		return prepared{}, err
	}
	if len(out.payload) > command.MaxPayload {
		return prepared{}, mdm.BadField("", "are %d bytes with the script, at most %d", len(out.payload), command.MaxPayload)
	}
	if out.public == nil {
		out.public = out.payload
	}
	return out, nil
}

// withSender puts the operator's name on a message: nobody speaks in another's.
func withSender(raw []byte, name string) ([]byte, error) {
	var n command.Notice
	if err := strictly(raw, &n); err != nil {
		return nil, err
	}
	n.From = name
	return json.Marshal(n)
}

// ScriptOrder is the parameters of run_script as an operator gives them: a script of the
// library with its values, or one typed for the occasion.
type ScriptOrder struct {
	ScriptID       script.ID                  `json:"script_id,omitempty"`
	Version        int64                      `json:"version,omitempty"` // 0: the newest
	Parameters     map[string]json.RawMessage `json:"parameters,omitempty"`
	Interpreter    string                     `json:"interpreter,omitempty"`
	Body           string                     `json:"body,omitempty"`
	RunAs          string                     `json:"run_as,omitempty"`
	TimeoutSeconds int                        `json:"timeout_seconds,omitempty"`
	OutputBytes    int                        `json:"output_bytes,omitempty"`
}

// ScriptShown is the parameters of run_script as people see them afterwards.
type ScriptShown struct {
	ScriptID       script.ID      `json:"script_id,omitempty"`
	Name           string         `json:"name,omitempty"`
	Version        int64          `json:"version,omitempty"`
	Parameters     map[string]any `json:"parameters,omitempty"` // {"secret":true} in the place of a secret
	Interpreter    string         `json:"interpreter"`
	Body           string         `json:"body,omitempty"` // of one typed for the occasion
	RunAs          string         `json:"run_as,omitempty"`
	TimeoutSeconds int            `json:"timeout_seconds"`
	OutputBytes    int            `json:"output_bytes"`
}

func strictly(raw []byte, v any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return mdm.BadJSON(err, v)
	}
	return nil
}

// scriptParams turns a ScriptOrder into what a device gets and what people see.
func (d *Dispatch) scriptParams(ctx context.Context, o Order) (payload, public []byte, err error) {
	var in ScriptOrder
	if err := strictly(o.Params, &in); err != nil {
		return nil, nil, err
	}
	var p command.Script
	var secrets []string
	switch {
	case in.ScriptID != "" && in.Body == "" && in.Interpreter == "" && in.RunAs == "":
		if p, secrets, err = d.fromLibrary(ctx, in); err != nil {
			return nil, nil, err
		}
	case in.ScriptID == "" && in.Version == 0 && in.Body != "":
		if !o.MayType {
			return nil, nil, ErrNotInLibrary
		}
		p = command.Script{Interpreter: in.Interpreter, Body: in.Body, RunAs: in.RunAs, Parameters: map[string]string{}}
		for name, raw := range in.Parameters {
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, nil, mdm.BadField("parameters."+mdm.Clean(name, 40), "must be text")
			}
			p.Parameters[name] = s
		}
	default:
		return nil, nil, mdm.BadField("", "want script_id with its parameters, or interpreter and body")
	}
	if in.TimeoutSeconds != 0 {
		p.TimeoutSeconds = in.TimeoutSeconds
	}
	if in.OutputBytes != 0 {
		p.OutputBytes = in.OutputBytes
	}
	shown := ScriptShown{
		ScriptID: in.ScriptID, Name: p.Name, Version: p.Version, Interpreter: p.Interpreter, RunAs: p.RunAs,
		TimeoutSeconds: p.TimeoutSeconds, OutputBytes: p.OutputBytes, Parameters: map[string]any{}, Body: in.Body,
	}
	for name, v := range p.Parameters {
		shown.Parameters[name] = v
	}
	for _, name := range secrets {
		shown.Parameters[name] = map[string]bool{"secret": true}
	}
	if payload, err = json.Marshal(p); err != nil {
		return nil, nil, err
	}
	public, err = json.Marshal(shown)
	return payload, public, err
}

func (d *Dispatch) fromLibrary(ctx context.Context, in ScriptOrder) (command.Script, []string, error) {
	s, v, err := d.cfg.Scripts.Version(ctx, in.ScriptID, in.Version)
	if errors.Is(err, mdm.ErrNotFound) {
		return command.Script{}, nil, mdm.BadField("script_id", "names no script or version of the library")
	}
	if err != nil {
		return command.Script{}, nil, err
	}
	if !s.ArchivedAt.IsZero() {
		return command.Script{}, nil, mdm.BadField("script_id", "is of the script %s, which is archived", s.Name)
	}
	bound, secrets, err := v.Bind(in.Parameters)
	if err != nil {
		return command.Script{}, nil, err
	}
	return command.Script{
		ScriptID: string(s.ID), Name: s.Name, Version: v.Number, Interpreter: v.Interpreter, Body: v.Body, Parameters: bound,
		RunAs: v.RunAs, TimeoutSeconds: v.TimeoutSeconds, OutputBytes: v.OutputBytes,
	}, secrets, nil
}
