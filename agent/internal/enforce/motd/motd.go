// Package motd enforces what people read when they sign in on a terminal.
package motd

import (
	"context"
	"errors"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "motd.banner"

// file is what pam_motd(8) shows.
const file = "/etc/motd"

type value struct {
	Text string `json:"text"`
}

// Enforcer enforces motd.banner.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// text is the message, each line fit for a terminal.
func text(s manifest.Setting) (string, error) {
	v, err := enforce.Decode[value](s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for l := range strings.Lines(v.Text) {
		indent := l[:len(l)-len(strings.TrimLeft(l, " "))]
		b.WriteString(indent + mdm.Clean(l, 1024) + "\n")
	}
	if strings.TrimSpace(b.String()) == "" {
		return "", errors.New("there is no text")
	}
	return b.String(), nil
}

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(_ context.Context, _ *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	t, err := text(s)
	return enforce.Plan{Files: []enforce.File{{Path: file, Content: []byte(t)}}}, err
}

// Apply implements enforce.Enforcer.
func (*Enforcer) Apply(context.Context, *enforce.System, manifest.Setting) error { return nil }

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(_ context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	want, err := text(s)
	if err != nil {
		return nil, err
	}
	b, err := sys.ReadFile(file, 1<<20)
	if err == nil && string(b) != want {
		err = errors.New(file + " says something else")
	}
	return map[string]string{"text": string(b)}, err
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(context.Context, *enforce.System, enforce.Removal) error { return nil }
