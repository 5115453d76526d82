package enforce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"handrail/mdm/manifest"
)

// Enforcer makes settings of one mechanism true. Its methods are called by one goroutine at
// a time. What they return decides a setting's state: nil is applied, an error that is
// ErrNotApplicable or ErrConflict the state of that name, any other failed.
type Enforcer interface {
	// Keys are the catalogue's keys it enforces.
	Keys() []string
	// Plan says what must be so for s. It looks and changes nothing.
	Plan(ctx context.Context, sys *System, s manifest.Setting) (Plan, error)
	// Apply makes s effective once the plan's files are in place: it loads, reloads, starts.
	// It is also called to make an older value effective again, and to mend. Where sys is
	// not live it leaves the running system alone.
	Apply(ctx context.Context, sys *System, s manifest.Setting) error
	// Observe reads the effective value with the system's own tool. It returns what it
	// found, which becomes JSON for people to read and never holds a secret, and an error
	// where that is not as s says.
	Observe(ctx context.Context, sys *System, s manifest.Setting) (any, error)
	// Remove takes back what Apply did, once what was before is in the place of the plan's
	// files again. It must succeed where there is nothing to take back.
	Remove(ctx context.Context, sys *System, r Removal) error
}

// Portable is implemented by enforcers that work on systems other than Linux; on those all
// others are not applicable.
type Portable interface{ Portable() }

// Watcher is implemented by enforcers whose mechanism can tell of changes that are not
// changes of files. Watch calls changed when any of its settings may have drifted, until ctx
// ends; it must cost nothing while nothing happens.
type Watcher interface {
	Watch(ctx context.Context, sys *System, changed func()) error
}

// Removal is a setting that goes.
type Removal struct {
	Setting manifest.Setting // as it was applied
	Before  json.RawMessage  // of the plan with which it was first applied
}

// Plan is what must be so for a setting.
type Plan struct {
	Files []File // written in this order
	// Check validates the files before anything is written, with the system's own tool. A
	// missing tool is an error: nothing is applied blind. nil where there is nothing to check.
	Check func(ctx context.Context, staged Staged) error
	// Before describes what is so now beyond files; the engine keeps that of the first time
	// and hands it to Remove. nil where files are all.
	Before any
	// Confirm is set for what can cut the network or the sign-in: it is undone unless the
	// gateway can be reached afterwards.
	Confirm bool
	// Every is how often Observe is to be called besides the engine's own period; 0 for
	// never.
	Every time.Duration
	// Patience is how long Apply and Observe may take; 0 means a minute.
	Patience time.Duration
}

// File is a file, a directory or a link, as it must be.
type File struct {
	Path      string // absolute on the device, without the root
	Content   []byte
	Mode      fs.FileMode // permission bits; 0 means 0644, or 0755 for a directory
	UID, GID  int
	Directory bool   // there must be a directory; Content is nothing
	Link      string // there must be a symbolic link with this target; Content is nothing
	Absent    bool   // there must be nothing
}

// Marker is the line, without a comment sign, that says whose a file is. Files whose form
// has comments begin with it.
func Marker(id manifest.ID) string {
	return markerText + " (setting " + string(id) + "). Changes here are undone."
}

const markerText = "Managed by Handrail"

// Staged is a scratch tree that holds a plan's files, and nothing else, at their paths.
type Staged struct{ dir string }

// Dir is the tree's root.
func (s Staged) Dir() string { return s.dir }

// Path is where the file of that path on the device is in the scratch tree.
func (s Staged) Path(p string) string { return join(s.dir, p) }

// Reasons a setting is not applied that are no failure.
var (
	ErrNotApplicable = errors.New("not applicable")
	ErrConflict      = errors.New("conflict")
)

// reason is an error in words of a kind, which the words do not repeat.
type reason struct {
	kind  error
	words string
}

func (r *reason) Error() string { return r.words }
func (r *reason) Unwrap() error { return r.kind }

// NotApplicable says, in words, why a device has nothing to apply a setting to.
func NotApplicable(format string, a ...any) error {
	return &reason{ErrNotApplicable, fmt.Sprintf(format, a...)}
}

// Conflict says, in words, what on the device forbids a setting.
func Conflict(format string, a ...any) error {
	return &reason{ErrConflict, fmt.Sprintf(format, a...)}
}

// Decode reads a setting's value into T. A field T does not have is an error: a gateway
// newer than this agent wants something the agent cannot promise.
func Decode[T any](s manifest.Setting) (T, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(s.Value))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("the value cannot be read by this version of the agent (is it older than the gateway?): %w", err)
	}
	return v, nil
}
