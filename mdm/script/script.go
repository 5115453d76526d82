// Package script is the library of scripts an organisation keeps for its devices: each with
// typed parameters and immutable versions. It runs nothing; package command carries a
// version, with its values filled in, to a device.
package script

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
)

// ID names a script: "scr_" and 26 characters.
type ID string

// Limits of a script.
const (
	MaxBody       = 128 << 10 // bytes
	MaxParameters = 32
	MaxValue      = 4096 // bytes
	MaxChoices    = 64
	MaxVersions   = 1000
	MaxScripts    = 2000
	MaxName       = 120
	MaxText       = 2000
	MaxTimeout    = 24 * 3600 // seconds
	MaxOutput     = 1 << 20   // bytes
)

// Interpreters are the programs a script may be written for.
var Interpreters = []string{"sh", "bash", "python3"}

// Type is what a parameter takes.
type Type string

// The types. A secret is a string that is sealed at rest and shown to nobody.
const (
	String Type = "string"
	Int    Type = "int"
	Bool   Type = "bool"
	Choice Type = "choice"
	Secret Type = "secret"
)

// Parameter is one typed value a script takes.
type Parameter struct {
	Name     string   `json:"name"` // a-z, 0-9, underscore; reaches the script as PARAM_<NAME>
	Title    string   `json:"title,omitempty"`
	Help     string   `json:"help,omitempty"`
	Type     Type     `json:"type"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"` // as it reaches the script; not for secrets
	Choices  []string `json:"choices,omitempty"` // of Choice
	Pattern  string   `json:"pattern,omitempty"` // of String: the whole value must match
	Min      *int64   `json:"min,omitempty"`     // of Int
	Max      *int64   `json:"max,omitempty"`
}

// Script is one entry of the library.
type Script struct {
	ID          ID
	Name        string // unique without regard to case
	Description string
	Newest      int64 // version
	CreatedAt   time.Time
	ChangedAt   time.Time
	ArchivedAt  time.Time // zero: can be run
	Shipped     bool      // comes with the program; not of the store
}

// Version is one immutable state of a script.
type Version struct {
	Script         ID
	Number         int64 // from 1
	Interpreter    string
	Body           string
	Parameters     []Parameter
	RunAs          string // account; "" is the agent's own
	TimeoutSeconds int
	OutputBytes    int
	Note           string // why, in the author's words
	By             string // operator id
	ByName         string
	CreatedAt      time.Time
}

// Draft is a version to be.
type Draft struct {
	Interpreter    string
	Body           string
	Parameters     []Parameter
	RunAs          string
	TimeoutSeconds int // 0 means 300
	OutputBytes    int // 0 means 64 KiB
	Note           string
	By, ByName     string
}

// Store keeps scripts.
type Store interface {
	// CreateScript stores a script with its first version. mdm.ErrAlreadyExists for a name
	// that is taken, mdm.ErrInvalid past MaxScripts.
	CreateScript(ctx context.Context, s Script, v Version) error
	// ChangeScript runs change on a script in a transaction; a version it returns is stored
	// as the next.
	ChangeScript(ctx context.Context, id ID, change func(*Script) (*Version, error)) (Script, error)
	Script(ctx context.Context, id ID) (Script, error)
	// Scripts returns all, by name.
	Scripts(ctx context.Context) ([]Script, error)
	ScriptVersion(ctx context.Context, id ID, number int64) (Version, error)
	// ScriptVersions returns all of a script, newest first.
	ScriptVersions(ctx context.Context, id ID) ([]Version, error)
}

// Registry applies the rules of scripts over a Store. It is safe for concurrent use.
type Registry struct {
	store   Store
	shipped []shippedOne
}

// New returns a registry over store.
func New(store Store) *Registry { return &Registry{store: store} }

// Create adds a script with its first version.
func (r *Registry) Create(ctx context.Context, name, description string, d Draft, now time.Time) (Script, Version, error) {
	s := Script{ID: ID(mdm.NewID("scr")), Name: mdm.Clean(name, MaxName), Description: mdm.Clean(description, MaxText), Newest: 1, CreatedAt: now, ChangedAt: now}
	if s.Name == "" {
		return s, Version{}, mdm.BadField("name", "is empty: a script needs one")
	}
	v, err := d.version(s.ID, 1, now)
	if err != nil {
		return s, v, err
	}
	if err := r.store.CreateScript(ctx, s, v); err != nil {
		return s, v, fmt.Errorf("create script: %w", err)
	}
	return s, v, nil
}

// Change is what may change of a script without a new version; nil leaves a field.
type Change struct {
	Name, Description *string
	Archived          *bool
}

// Update changes what is not versioned.
func (r *Registry) Update(ctx context.Context, id ID, c Change, now time.Time) (Script, error) {
	if err := r.mayChange(id); err != nil {
		return Script{}, err
	}
	return r.store.ChangeScript(ctx, id, func(s *Script) (*Version, error) {
		if c.Name != nil {
			if s.Name = mdm.Clean(*c.Name, MaxName); s.Name == "" {
				return nil, mdm.BadField("name", "is empty: a script needs one")
			}
		}
		if c.Description != nil {
			s.Description = mdm.Clean(*c.Description, MaxText)
		}
		if c.Archived != nil {
			switch {
			case !*c.Archived:
				s.ArchivedAt = time.Time{}
			case s.ArchivedAt.IsZero():
				s.ArchivedAt = now
			}
		}
		s.ChangedAt = now
		return nil, nil
	})
}

// Publish adds a version. base is the newest the author has seen: another one meanwhile is
// mdm.ErrConflict, so that no change is lost.
func (r *Registry) Publish(ctx context.Context, id ID, base int64, d Draft, now time.Time) (Script, Version, error) {
	if err := r.mayChange(id); err != nil {
		return Script{}, Version{}, err
	}
	var made Version
	s, err := r.store.ChangeScript(ctx, id, func(s *Script) (*Version, error) {
		if s.Newest != base {
			return nil, fmt.Errorf("version %d is the newest, not %d: %w", s.Newest, base, mdm.ErrConflict)
		}
		if s.Newest >= MaxVersions {
			return nil, fmt.Errorf("a script has %d versions at most: %w", MaxVersions, mdm.ErrInvalid)
		}
		v, err := d.version(id, s.Newest+1, now)
		if err != nil {
			return nil, err
		}
		s.Newest, s.ChangedAt, made = v.Number, now, v
		return &v, nil
	})
	return s, made, err
}

// Script returns one; mdm.ErrNotFound.
func (r *Registry) Script(ctx context.Context, id ID) (Script, error) {
	if s, ok := r.shippedBy(id); ok {
		return s.script, nil
	}
	s, err := r.store.Script(ctx, id)
	if err != nil {
		return s, fmt.Errorf("script %q: %w", mdm.Clean(string(id), 40), err)
	}
	return s, nil
}

// Scripts returns all, by name.
func (r *Registry) Scripts(ctx context.Context) ([]Script, error) {
	list, err := r.store.Scripts(ctx)
	if err != nil {
		return nil, err
	}
	return r.withShipped(list), nil
}

// Version returns one version; 0 is the newest. mdm.ErrNotFound.
func (r *Registry) Version(ctx context.Context, id ID, number int64) (Script, Version, error) {
	s, err := r.Script(ctx, id)
	if err != nil {
		return s, Version{}, err
	}
	if number == 0 {
		number = s.Newest
	}
	if one, ok := r.shippedBy(id); ok {
		if number != one.version.Number {
			return s, Version{}, fmt.Errorf("script %s version %d: %w", id, number, mdm.ErrNotFound)
		}
		return s, one.version, nil
	}
	v, err := r.store.ScriptVersion(ctx, id, number)
	if err != nil {
		return s, v, fmt.Errorf("script %s version %d: %w", id, number, err)
	}
	return s, v, nil
}

// Versions returns all of a script, newest first.
func (r *Registry) Versions(ctx context.Context, id ID) ([]Version, error) {
	if one, ok := r.shippedBy(id); ok {
		return []Version{one.version}, nil
	}
	return r.store.ScriptVersions(ctx, id)
}

func (d Draft) version(id ID, number int64, now time.Time) (Version, error) {
	v := Version{
		Script: id, Number: number, Interpreter: d.Interpreter, Body: d.Body, Parameters: slices.Clone(d.Parameters), RunAs: d.RunAs,
		TimeoutSeconds: d.TimeoutSeconds, OutputBytes: d.OutputBytes, Note: mdm.Clean(d.Note, 500), By: d.By, ByName: d.ByName, CreatedAt: now,
	}
	if v.TimeoutSeconds == 0 {
		v.TimeoutSeconds = 300
	}
	if v.OutputBytes == 0 {
		v.OutputBytes = 64 << 10
	}
	bad := func(field, format string, args ...any) (Version, error) {
		return v, mdm.BadField(field, format, args...)
	}
	switch {
	case !slices.Contains(Interpreters, v.Interpreter):
		return bad("interpreter", "must be one of %s", strings.Join(Interpreters, ", "))
	case strings.TrimSpace(v.Body) == "":
		return bad("body", "is empty")
	case len(v.Body) > MaxBody:
		return bad("body", "is %d bytes, at most %d", len(v.Body), MaxBody)
	case strings.ContainsRune(v.Body, 0) || v.Body != strings.ToValidUTF8(v.Body, ""):
		return bad("body", "is not text")
	case v.RunAs != mdm.Clean(v.RunAs, 64) || strings.HasPrefix(v.RunAs, "-"):
		return bad("run_as", "is not an account name")
	case v.TimeoutSeconds < 1 || v.TimeoutSeconds > MaxTimeout:
		return bad("timeout_seconds", "must be 1 to %d", MaxTimeout)
	case v.OutputBytes < 1024 || v.OutputBytes > MaxOutput:
		return bad("output_bytes", "must be 1024 to %d", MaxOutput)
	case len(v.Parameters) > MaxParameters:
		return bad("parameters", "are %d, at most %d", len(v.Parameters), MaxParameters)
	}
	seen := map[string]bool{}
	for i := range v.Parameters {
		p := &v.Parameters[i]
		if err := p.check(); err != nil {
			return v, mdm.Below(fmt.Sprintf("parameters[%d]", i), err)
		}
		if seen[p.Name] {
			return bad(fmt.Sprintf("parameters[%d].name", i), "is there twice: %s", p.Name)
		}
		seen[p.Name] = true
	}
	return v, nil
}

var parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

func (p *Parameter) check() error {
	bad := func(field, format string, args ...any) error { return mdm.BadField(field, format, args...) }
	if !parameterName.MatchString(p.Name) {
		return bad("name", "must be 1 to 32 of a-z, 0-9 and underscore, a letter first")
	}
	p.Title, p.Help = mdm.Clean(p.Title, 120), mdm.Clean(p.Help, 500)
	if !slices.Contains([]Type{String, Int, Bool, Choice, Secret}, p.Type) {
		return bad("type", "is none: %q", mdm.Clean(string(p.Type), 20))
	}
	if len(p.Choices) > MaxChoices || p.Type == Choice && len(p.Choices) == 0 || p.Type != Choice && len(p.Choices) > 0 {
		return bad("choices", "are for the type choice, 1 to %d", MaxChoices)
	}
	for _, c := range p.Choices {
		if c == "" || c != mdm.Clean(c, 200) {
			return bad("choices", "hold one that is empty, over 200 bytes or no plain text")
		}
	}
	if p.Pattern != "" {
		if p.Type != String || len(p.Pattern) > 500 {
			return bad("pattern", "is for the type string, at most 500 bytes")
		}
		if _, err := regexp.Compile(whole(p.Pattern)); err != nil {
			return bad("pattern", "cannot be read: %v", err)
		}
	}
	if p.Type != Int && (p.Min != nil || p.Max != nil) || p.Min != nil && p.Max != nil && *p.Min > *p.Max {
		return bad("min", "and max are for the type int, min first")
	}
	if p.Default != "" {
		if p.Type == Secret {
			return bad("default", "must be left out of a secret: it would be no secret")
		}
		if _, err := p.text(p.Default); err != nil {
			return bad("default", "%v", err)
		}
	}
	return nil
}

func whole(pattern string) string { return `^(?:` + pattern + `)$` }

// text checks a value given as text and returns it as it reaches the script.
func (p *Parameter) text(s string) (string, error) {
	if len(s) > MaxValue || strings.ContainsRune(s, 0) || s != strings.ToValidUTF8(s, "") {
		return "", fmt.Errorf("is over %d bytes, or no text", MaxValue)
	}
	switch p.Type {
	case Int:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return "", fmt.Errorf("is not a whole number")
		}
		if p.Min != nil && n < *p.Min || p.Max != nil && n > *p.Max {
			return "", fmt.Errorf("is out of range")
		}
		return strconv.FormatInt(n, 10), nil
	case Bool:
		if s != "true" && s != "false" {
			return "", fmt.Errorf("is neither true nor false")
		}
	case Choice:
		if !slices.Contains(p.Choices, s) {
			return "", fmt.Errorf("is not one of the choices")
		}
	case String, Secret:
		if p.Pattern != "" {
			re, err := regexp.Compile(whole(p.Pattern))
			if err != nil || !re.MatchString(s) {
				return "", fmt.Errorf("does not match %s", p.Pattern)
			}
		}
	}
	return s, nil
}

// Bind checks values against a version's parameters, fills in defaults, and returns what
// reaches the script, and which of it is secret. All that is wrong is in the error.
func (v Version) Bind(values map[string]json.RawMessage) (bound map[string]string, secret []string, err error) {
	bound = map[string]string{}
	var wrong mdm.FieldErrors
	say := func(name, message string) {
		wrong = append(wrong, mdm.FieldError{Field: "parameters." + mdm.Clean(name, 40), Message: message})
	}
	known := map[string]bool{}
	for _, p := range v.Parameters {
		known[p.Name] = true
		raw, given := values[p.Name]
		s := p.Default
		if given {
			if s, err = asText(raw); err != nil {
				say(p.Name, err.Error())
				continue
			}
		}
		if s == "" && (!given || p.Type != String && p.Type != Secret) {
			if p.Required {
				say(p.Name, "must be given")
			}
			continue
		}
		if s == "" && p.Required {
			say(p.Name, "must not be empty")
			continue
		}
		if s, err = p.text(s); err != nil {
			say(p.Name, err.Error())
			continue
		}
		bound[p.Name] = s
		if p.Type == Secret {
			secret = append(secret, p.Name)
		}
	}
	for name := range values {
		if !known[name] {
			say(name, "is no parameter of the script")
		}
	}
	if len(wrong) > 0 {
		slices.SortFunc(wrong, func(a, b mdm.FieldError) int { return strings.Compare(a.Field, b.Field) })
		return nil, nil, wrong
	}
	return bound, secret, nil
}

// asText takes a JSON string, number or boolean.
func asText(raw json.RawMessage) (string, error) {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", fmt.Errorf("is not JSON")
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("must be a text, a number, true or false")
}
