package server

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"handrail/gateway/handrail/policyfile"
	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/baseline"
	"handrail/gateway/internal/config"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/store"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/group"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// samplePolicy is the policy file that demo devices are under.
//
//go:embed sample/workstation.yaml
var samplePolicy []byte

// sampleNote is the note of the version that is published.
const sampleNote = "The sample that comes with Handrail"

// applySample puts the sample policy in force, as `handrail policy apply` would, and has broken
// rules count at once. It is for a gateway that is new: what somebody chose is not asked.
func applySample(ctx context.Context, p config.Place, st *store.Store, tree group.Tree) error {
	key, err := secret.Load(p.SecretFile())
	if err != nil {
		return err
	}
	files, err := policyfile.Parse("workstation.yaml", samplePolicy, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	// A new device would have days before a broken rule counts, and the sample has nothing to show.
	if err := compliance.New(st, baseline.Rules(), nil).SetNewDeviceGrace(ctx, 0, time.Now()); err != nil {
		return err
	}
	reg := policy.New(st, policy.Standard(), key)
	for _, f := range files {
		if err := applyFile(ctx, st, reg, tree, f); err != nil {
			return fmt.Errorf("sample policy %s: %w", f.Name, err)
		}
	}
	return nil
}

func applyFile(ctx context.Context, st *store.Store, reg *policy.Registry, tree group.Tree, f *policyfile.Policy) error {
	by := policy.Actor{At: time.Now()}
	settings := make([]policy.Setting, len(f.Settings))
	for i, s := range f.Settings {
		settings[i] = policy.Setting{ID: manifest.ID(s.ID), Value: s.Value}
	}
	var assignments []policy.Assignment
	for _, a := range f.Assignments {
		include, err := groupsOf(tree, a.Include.Groups)
		if err != nil {
			return err
		}
		assignments = append(assignments, policy.Assignment{Include: policy.Scope{Groups: include}, Priority: a.Priority})
	}
	p, err := reg.Create(ctx, f.Name, f.Description, settings, by)
	if errors.Is(err, mdm.ErrAlreadyExists) {
		return nil
	}
	if err == nil {
		p, err = reg.Assign(ctx, p.ID, p.Revision, assignments, by)
	}
	var v policy.Version
	if err == nil {
		p, v, err = reg.Publish(ctx, p.ID, p.Revision, sampleNote, true, by)
	}
	if err != nil {
		return err
	}
	return audit.New(st, time.Now, slog.New(slog.DiscardHandler)).Record(ctx, audit.Entry{
		Actor:  audit.Who{Kind: audit.BySystem, Name: "command line"},
		Action: "policy.publish", Target: audit.Who{Kind: "policy", ID: string(p.ID), Name: p.Name},
		Detail: map[string]string{"version": fmt.Sprint(v.Number)},
	})
}

// groupsOf finds groups by their paths of names from the root.
func groupsOf(tree group.Tree, paths []string) ([]mdm.GroupID, error) {
	var out []mdm.GroupID
	for _, path := range paths {
		found := false
		for _, g := range tree.All() {
			if strings.Join(tree.Path(g.ID), "/") == path {
				out, found = append(out, g.ID), true
			}
		}
		if !found {
			return nil, fmt.Errorf("group %q: %w", path, mdm.ErrNotFound)
		}
	}
	return out, nil
}
