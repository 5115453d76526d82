// Package file enforces files of the admin's own: content, mode and owner at a path, or a
// directory.
package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"gopkg.in/yaml.v3"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "file.content"

// value is the setting's value.
type value struct {
	Path      string `json:"path"`
	Content   string `json:"content"`
	Mode      string `json:"mode"`  // octal; "" means 0644, of a directory 0755
	Owner     string `json:"owner"` // "" is root
	Group     string `json:"group"` // "" is the owner's, or root
	Directory bool   `json:"directory"`
	Validate  string `json:"validate"` // how content is checked: "", none, json, yaml, sudoers, shell, sshd, nftables
}

// Enforcer enforces file.content.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(ctx context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, f, err := wanted(ctx, sys, s)
	if err != nil {
		return enforce.Plan{}, err
	}
	return enforce.Plan{
		Files: []enforce.File{f},
		Check: func(ctx context.Context, staged enforce.Staged) error { return check(ctx, sys, v, staged.Path(v.Path)) },
	}, nil
}

func wanted(ctx context.Context, sys *enforce.System, s manifest.Setting) (value, enforce.File, error) {
	v, err := enforce.Decode[value](s)
	if err != nil {
		return v, enforce.File{}, err
	}
	f := enforce.File{Path: v.Path, Content: []byte(v.Content), Directory: v.Directory}
	if v.Mode != "" {
		m, err := strconv.ParseUint(v.Mode, 8, 32)
		if err != nil || m > 0o7777 || m == 0 {
			return v, f, fmt.Errorf("mode %q is not an octal mode like 0644", v.Mode)
		}
		if m > 0o777 {
			return v, f, fmt.Errorf("mode %s: set-user-id, set-group-id and sticky bits are not given to files by policy", v.Mode)
		}
		f.Mode = fs.FileMode(m)
	}
	if v.Owner != "" {
		a, err := sys.User(ctx, v.Owner)
		if err != nil {
			return v, f, err
		}
		f.UID, f.GID = a.UID, a.GID
	}
	if v.Group != "" {
		if f.GID, err = sys.Group(ctx, v.Group); err != nil {
			return v, f, err
		}
	}
	return v, f, nil
}

// check validates content by the form the setting names.
func check(ctx context.Context, sys *enforce.System, v value, at string) error {
	if v.Directory {
		return nil
	}
	var tool enforce.Program
	var err error
	switch v.Validate {
	case "", "none":
		return nil
	case "json":
		var raw json.RawMessage
		if err := json.Unmarshal([]byte(v.Content), &raw); err != nil {
			return fmt.Errorf("the content is not JSON: %w", err)
		}
		return nil
	case "yaml":
		var raw yaml.Node
		if err := yaml.Unmarshal([]byte(v.Content), &raw); err != nil {
			return fmt.Errorf("the content is not YAML: %w", err)
		}
		return nil
	case "sudoers":
		tool.Args = []string{"-c", "-q", "-f", at}
		tool.Path, err = sys.Tool("visudo", "sudo")
	case "shell":
		tool.Args = []string{"-n", at}
		tool.Path, err = sys.Tool("sh", "dash")
	case "nftables":
		tool.Args = []string{"-c", "-f", at}
		tool.Path, err = sys.Tool("nft", "nftables")
	case "sshd":
		tool.Args = []string{"-t", "-f", at}
		tool.Path, err = sys.Tool("sshd", "openssh-server")
	default:
		return fmt.Errorf("this version of the agent cannot check content as %q", v.Validate)
	}
	if err != nil {
		return err
	}
	if _, err = sys.Run(ctx, tool); err != nil {
		return fmt.Errorf("the content was checked and refused: %w", err)
	}
	return nil
}

// Apply implements enforce.Enforcer: a file is in force when it is there.
func (*Enforcer) Apply(context.Context, *enforce.System, manifest.Setting) error { return nil }

// observed is what is there, without the content, which may be private.
type observed struct {
	Path  string `json:"path"`
	Bytes int    `json:"bytes,omitempty"`
}

// Observe implements enforce.Enforcer. The engine has compared mode and owner.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, f, err := wanted(ctx, sys, s)
	if err != nil {
		return nil, err
	}
	o := observed{Path: v.Path}
	if v.Directory {
		if !sys.Exists(v.Path) {
			return o, errors.New("the directory is not there")
		}
		return o, nil
	}
	b, err := sys.ReadFile(v.Path, int64(len(f.Content)))
	if err != nil {
		return o, err
	}
	o.Bytes = len(b)
	if string(b) != v.Content {
		return o, errors.New("the file holds something else")
	}
	return o, nil
}

// Remove implements enforce.Enforcer: what was there is there again.
func (*Enforcer) Remove(context.Context, *enforce.System, enforce.Removal) error { return nil }
