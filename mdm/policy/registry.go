package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// Registry applies the rules of policies over a Store. Settings that go in are plain or hold
// markers, those that come out are as stored: see Catalogue.MaskAll for whom to show them,
// Open for what devices need. It is safe for concurrent use.
//
// Whoever changes a policy names the revision they saw; another one now is mdm.ErrConflict,
// so that nobody undoes what they have not seen. Revision 0 takes any.
type Registry struct {
	store     Store
	catalogue *Catalogue
	sealer    Sealer
}

// New returns a registry over store.
func New(store Store, catalogue *Catalogue, sealer Sealer) *Registry {
	return &Registry{store: store, catalogue: catalogue, sealer: sealer}
}

// Catalogue returns the catalogue settings are checked against.
func (r *Registry) Catalogue() *Catalogue { return r.catalogue }

// Actor is who changes a policy, and when.
type Actor struct {
	ID string // operator id
	At time.Time
}

// Create makes a policy without versions; settings, if any, become its draft. Errors:
// mdm.ErrInvalid (as Problems where settings are wrong), mdm.ErrAlreadyExists.
func (r *Registry) Create(ctx context.Context, name, description string, settings []Setting, by Actor) (Policy, error) {
	p := Policy{
		ID: ID(mdm.NewID("pol")), Name: mdm.Clean(name, MaxName), Description: mdm.Clean(description, MaxText),
		Revision: 1, CreatedBy: by.ID, CreatedAt: by.At, UpdatedAt: by.At,
	}
	if p.Name == "" {
		return p, fmt.Errorf("a policy needs a name: %w", mdm.ErrInvalid)
	}
	if len(settings) > 0 {
		stored, err := r.stored(settings)
		if err != nil {
			return p, fmt.Errorf("create policy: %w", err)
		}
		p.Draft = &Draft{Settings: stored, By: by.ID, At: by.At}
	}
	all, err := r.store.AllPolicies(ctx)
	if err != nil {
		return p, fmt.Errorf("create policy: %w", err)
	}
	if len(all) >= MaxPolicies {
		return p, fmt.Errorf("at most %d policies: %w", MaxPolicies, mdm.ErrInvalid)
	}
	if err := r.store.CreatePolicy(ctx, p); err != nil {
		return p, fmt.Errorf("create policy: %w", err)
	}
	return p, nil
}

// stored validates and seals settings.
func (r *Registry) stored(settings []Setting, kept ...[]Setting) ([]Setting, error) {
	valid, problems := r.catalogue.ValidateAll(settings)
	if err := problems.err(); err != nil {
		return nil, err
	}
	return r.catalogue.Seal(valid, r.sealer, kept...)
}

// Policy returns one policy; mdm.ErrNotFound.
func (r *Registry) Policy(ctx context.Context, id ID) (Policy, error) {
	p, err := r.store.Policy(ctx, id)
	if err != nil {
		return p, fmt.Errorf("policy %q: %w", mdm.Clean(string(id), 64), err)
	}
	return p, nil
}

// All returns every policy by id, without the settings of drafts.
func (r *Registry) All(ctx context.Context) ([]Policy, error) {
	out, err := r.store.AllPolicies(ctx)
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	return out, nil
}

// Policies returns a page of policies and the cursor of the next.
func (r *Registry) Policies(ctx context.Context, f Filter) ([]Policy, string, error) {
	out, next, err := r.store.Policies(ctx, f)
	if err != nil {
		return nil, "", fmt.Errorf("policies: %w", err)
	}
	return out, next, nil
}

// Version returns a version with its settings; mdm.ErrNotFound.
func (r *Registry) Version(ctx context.Context, id ID, number int64) (Version, error) {
	v, err := r.store.PolicyVersion(ctx, id, number)
	if err != nil {
		return v, fmt.Errorf("version %d of policy %q: %w", number, mdm.Clean(string(id), 64), err)
	}
	return v, nil
}

// Versions returns versions below before (0: all), newest first, without their settings.
func (r *Registry) Versions(ctx context.Context, id ID, before int64, limit int) ([]Version, error) {
	out, err := r.store.PolicyVersions(ctx, id, before, limit)
	if err != nil {
		return nil, fmt.Errorf("versions of policy %q: %w", mdm.Clean(string(id), 64), err)
	}
	return out, nil
}

// change runs fn over a policy under the revision rule.
func (r *Registry) change(ctx context.Context, id ID, revision int64, at time.Time, fn func(*Policy) (*Version, error)) (Policy, error) {
	p, err := r.store.ChangePolicy(ctx, id, func(p *Policy) (*Version, error) {
		if revision != 0 && p.Revision != revision {
			return nil, fmt.Errorf("it is at revision %d, not %d: %w", p.Revision, revision, mdm.ErrConflict)
		}
		v, err := fn(p)
		p.Revision++
		p.UpdatedAt = at
		return v, err
	})
	if err != nil {
		return Policy{}, fmt.Errorf("change policy %q: %w", mdm.Clean(string(id), 64), err)
	}
	return p, nil
}

// Rename changes the name and the description; nil leaves one.
func (r *Registry) Rename(ctx context.Context, id ID, revision int64, name, description *string, by Actor) (Policy, error) {
	return r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		if name != nil {
			p.Name = mdm.Clean(*name, MaxName)
		}
		if description != nil {
			p.Description = mdm.Clean(*description, MaxText)
		}
		if p.Name == "" {
			return nil, fmt.Errorf("a policy needs a name: %w", mdm.ErrInvalid)
		}
		return nil, nil
	})
}

// SaveDraft makes settings the draft. Markers keep the secrets of the draft before, of the
// newest version and of the live one.
func (r *Registry) SaveDraft(ctx context.Context, id ID, revision int64, settings []Setting, by Actor) (Policy, error) {
	valid, problems := r.catalogue.ValidateAll(settings)
	if err := problems.err(); err != nil {
		return Policy{}, fmt.Errorf("draft: %w", err)
	}
	kept, err := r.kept(ctx, id)
	if err != nil {
		return Policy{}, err
	}
	return r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		base, all := p.Newest, kept
		if p.Draft != nil {
			base, all = p.Draft.Base, append([][]Setting{p.Draft.Settings}, kept...)
		}
		stored, err := r.catalogue.Seal(valid, r.sealer, all...)
		p.Draft = &Draft{Base: base, Settings: stored, By: by.ID, At: by.At}
		return nil, err
	})
}

// kept is the settings whose secrets a marker may mean, beside the draft's: those of the
// newest and the live version. Versions never change, so they may be read beforehand.
func (r *Registry) kept(ctx context.Context, id ID) ([][]Setting, error) {
	p, err := r.Policy(ctx, id)
	if err != nil {
		return nil, err
	}
	var out [][]Setting
	for _, n := range []int64{p.Newest, p.Live} {
		if n == 0 || n == p.Newest && len(out) > 0 {
			continue
		}
		v, err := r.Version(ctx, id, n)
		if err != nil {
			return nil, err
		}
		out = append(out, v.Settings)
	}
	return out, nil
}

// DiscardDraft throws the draft away.
func (r *Registry) DiscardDraft(ctx context.Context, id ID, revision int64, by Actor) (Policy, error) {
	return r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		p.Draft = nil
		return nil, nil
	})
}

// EditVersion makes the settings of a version the draft, to go on from there.
func (r *Registry) EditVersion(ctx context.Context, id ID, revision, number int64, by Actor) (Policy, error) {
	v, err := r.Version(ctx, id, number)
	if err != nil {
		return Policy{}, err
	}
	return r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		p.Draft = &Draft{Base: number, Settings: v.Settings, By: by.ID, At: by.At}
		return nil, nil
	})
}

// Publish makes the draft the newest version and, with live, the one devices get; without,
// a staged roll-out takes it there. It returns the version too. mdm.ErrInvalid without a draft.
func (r *Registry) Publish(ctx context.Context, id ID, revision int64, note string, live bool, by Actor) (Policy, Version, error) {
	var made Version
	p, err := r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		if p.Draft == nil {
			return nil, fmt.Errorf("there is no draft to publish: %w", mdm.ErrInvalid)
		}
		// The catalogue may have become stricter since the draft was saved.
		if _, problems := r.catalogue.ValidateAll(r.catalogue.MaskAll(p.Draft.Settings)); len(problems) > 0 {
			return nil, problems
		}
		p.Newest++
		made = Version{Policy: id, Number: p.Newest, Author: by.ID, Note: mdm.Clean(note, MaxText), Settings: p.Draft.Settings, At: by.At}
		if p.Draft = nil; live {
			p.Live = made.Number
		}
		return &made, nil
	})
	return p, made, err
}

// Activate makes a version the live one: how a roll-out ends, and how to roll back to any
// version. 0 takes the policy off all devices. mdm.ErrInvalid when there is no such version.
func (r *Registry) Activate(ctx context.Context, id ID, revision, number int64, by Actor) (Policy, error) {
	return r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		if number < 0 || number > p.Newest {
			return nil, fmt.Errorf("there is no version %d, the newest is %d: %w", number, p.Newest, mdm.ErrInvalid)
		}
		p.Live = number
		return nil, nil
	})
}

// Assign replaces the assignments. Those without an id get one.
func (r *Registry) Assign(ctx context.Context, id ID, revision int64, assignments []Assignment, by Actor) (Policy, error) {
	if len(assignments) > MaxAssignments {
		return Policy{}, fmt.Errorf("%d assignments, at most %d: %w", len(assignments), MaxAssignments, mdm.ErrInvalid)
	}
	assignments = slices.Clone(assignments)
	for i := range assignments {
		if assignments[i].ID == "" {
			assignments[i].ID = AssignmentID(mdm.NewID("asg"))
		}
	}
	return r.change(ctx, id, revision, by.At, func(p *Policy) (*Version, error) {
		out := make([]Assignment, len(assignments))
		for i, a := range assignments {
			n, err := a.Normal(p.Newest)
			if err != nil {
				return nil, fmt.Errorf("assignment %d: %w", i+1, err)
			}
			out[i] = n
		}
		slices.SortFunc(out, func(a, b Assignment) int { return strings.Compare(string(a.ID), string(b.ID)) })
		for i := 1; i < len(out); i++ {
			if out[i].ID == out[i-1].ID {
				return nil, fmt.Errorf("assignment %s is there twice: %w", out[i].ID, mdm.ErrInvalid)
			}
		}
		p.Assignments = out
		return nil, nil
	})
}

// Delete removes a policy with its versions: its settings leave all devices.
func (r *Registry) Delete(ctx context.Context, id ID, revision int64, now time.Time) error {
	if err := r.store.DeletePolicy(ctx, id, revision, now); err != nil {
		return fmt.Errorf("delete policy %q: %w", mdm.Clean(string(id), 64), err)
	}
	return nil
}

// Compile readies a version for the resolver, its secrets opened. Settings this gateway does
// not know are left out.
func (r *Registry) Compile(v Version, name string) (*Compiled, error) {
	open := make([]Setting, 0, len(v.Settings))
	for _, s := range v.Settings {
		o, err := r.catalogue.Open(s, r.sealer)
		if err != nil {
			return nil, fmt.Errorf("version %d of policy %s: %w", v.Number, v.Policy, err)
		}
		open = append(open, o)
	}
	c, _ := r.catalogue.Compile(v.Policy, name, v.Number, open)
	return c, nil
}
