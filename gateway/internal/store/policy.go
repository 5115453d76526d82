package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/policy"
)

const (
	policyColumns = "id, name, description, revision, newest, live, draft_base, draft_settings, draft_by, draft_us, assignments, created_by, created_us, updated_us"
	// policyBrief is policyColumns without the settings of the draft.
	policyBrief = "id, name, description, revision, newest, live, draft_base, CASE draft_settings WHEN '' THEN '' ELSE 'null' END, draft_by, draft_us, assignments, created_by, created_us, updated_us"
)

func scanPolicy(row rowScanner) (policy.Policy, error) {
	var p policy.Policy
	var d policy.Draft
	var settings, assignments string
	var drafted, created, updated int64
	err := row.Scan(&p.ID, &p.Name, &p.Description, &p.Revision, &p.Newest, &p.Live, &d.Base, &settings, &d.By, &drafted,
		&assignments, &p.CreatedBy, &created, &updated)
	if err != nil {
		return p, err
	}
	if settings != "" {
		d.At = fromMicros(drafted)
		if err := json.Unmarshal([]byte(settings), &d.Settings); err != nil {
			return p, fmt.Errorf("policy %s: draft: %w", p.ID, err)
		}
		p.Draft = &d
	}
	if err := json.Unmarshal([]byte(assignments), &p.Assignments); err != nil {
		return p, fmt.Errorf("policy %s: assignments: %w", p.ID, err)
	}
	p.CreatedAt, p.UpdatedAt = fromMicros(created), fromMicros(updated)
	return p, nil
}

// putPolicy inserts a policy, or with replace updates it.
func putPolicy(ctx context.Context, tx *sql.Tx, p policy.Policy, replace bool) error {
	var d policy.Draft
	settings := ""
	if p.Draft != nil {
		d = *p.Draft
		if d.Settings == nil {
			d.Settings = []policy.Setting{}
		}
		b, err := json.Marshal(d.Settings)
		if err != nil {
			return err
		}
		settings = string(b)
	}
	if p.Assignments == nil {
		p.Assignments = []policy.Assignment{}
	}
	assignments, err := json.Marshal(p.Assignments)
	if err != nil {
		return err
	}
	query := "INSERT INTO policies (" + policyColumns + ", name_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
	if replace {
		query = `UPDATE policies SET name = $2, description = $3, revision = $4, newest = $5, live = $6, draft_base = $7, draft_settings = $8,
			draft_by = $9, draft_us = $10, assignments = $11, created_by = $12, created_us = $13, updated_us = $14, name_key = $15 WHERE id = $1`
	}
	_, err = tx.ExecContext(ctx, query, p.ID, p.Name, p.Description, p.Revision, p.Newest, p.Live, d.Base, settings, d.By, micros(d.At),
		string(assignments), p.CreatedBy, micros(p.CreatedAt), micros(p.UpdatedAt), strings.ToLower(p.Name))
	return err
}

// CreatePolicy stores a new policy; see policy.Store.
func (s *Store) CreatePolicy(ctx context.Context, p policy.Policy) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := putPolicy(ctx, tx, p, false); err != nil {
			return err
		}
		return resolveAgain(ctx, tx, p.CreatedAt, policyScopes(policy.Policy{}, p)...)
	})
}

// Policy returns one policy; see policy.Store.
func (s *Store) Policy(ctx context.Context, id policy.ID) (policy.Policy, error) {
	p, err := scanPolicy(s.reader.QueryRowContext(ctx, "SELECT "+policyColumns+" FROM policies WHERE id = $1", id))
	return p, classify(err)
}

// Policies returns a page of policies by name; see policy.Store.
func (s *Store) Policies(ctx context.Context, f policy.Filter) ([]policy.Policy, string, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	var after []string
	if f.Cursor != "" {
		var err error
		if after, err = mdm.DecodeCursor(f.Cursor, 2); err != nil {
			return nil, "", err
		}
	}
	out := []policy.Policy{}
	for {
		page, err := s.policiesAfter(ctx, f, after)
		if err != nil {
			return nil, "", err
		}
		for _, p := range page {
			if !f.Admits(p) {
				continue
			}
			if len(out) == f.Limit { // there is one more: the page ends before it
				last := out[f.Limit-1]
				return out, mdm.EncodeCursor(strings.ToLower(last.Name), string(last.ID)), nil
			}
			out = append(out, p)
		}
		if len(page) <= f.Limit {
			return out, "", nil
		}
		last := page[len(page)-1]
		after = []string{strings.ToLower(last.Name), string(last.ID)}
	}
}

// policiesAfter returns the next policies by name, one more than the limit if there are so many.
// A group is looked for in the text of the assignments, as the databases have no words in common
// for what is in them: some may be there that only exclude it.
func (s *Store) policiesAfter(ctx context.Context, f policy.Filter, after []string) ([]policy.Policy, error) {
	var c conditions
	if f.Query != "" {
		c.contains("name_key", strings.ToLower(f.Query))
	}
	if f.Group != "" {
		c.contains("assignments", string(f.Group))
	}
	if len(after) == 2 {
		c.add("(name_key, id) > (?, ?)", after[0], after[1])
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+policyBrief+" FROM policies"+c.where()+" ORDER BY name_key, id LIMIT "+strconv.Itoa(f.Limit+1), c.args...)
	return collect(rows, err, scanPolicy)
}

// AllPolicies returns every policy by id; see policy.Store.
func (s *Store) AllPolicies(ctx context.Context) ([]policy.Policy, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+policyBrief+" FROM policies ORDER BY id")
	return collect(rows, err, scanPolicy)
}

// ChangePolicy changes one policy in a transaction, and has the devices resolved again whose
// settings may follow from the change; see policy.Store.
func (s *Store) ChangePolicy(ctx context.Context, id policy.ID, change func(*policy.Policy) (*policy.Version, error)) (policy.Policy, error) {
	var p policy.Policy
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		p, err = changePolicy(ctx, tx, id, change)
		return err
	})
	return p, err
}

func changePolicy(ctx context.Context, tx *sql.Tx, id policy.ID, change func(*policy.Policy) (*policy.Version, error)) (policy.Policy, error) {
	// The update that changes nothing locks the row, on both databases alike.
	p, err := scanPolicy(tx.QueryRowContext(ctx, "UPDATE policies SET id = id WHERE id = $1 RETURNING "+policyColumns, id))
	if err != nil {
		return p, err
	}
	before := p
	before.Assignments = slices.Clone(p.Assignments)
	for i := range before.Assignments {
		a := &before.Assignments[i] // change may alter what it was given
		a.Include.Groups, a.Include.Labels = slices.Clone(a.Include.Groups), slices.Clone(a.Include.Labels)
		a.Exclude.Groups, a.Exclude.Labels = slices.Clone(a.Exclude.Groups), slices.Clone(a.Exclude.Labels)
	}
	v, err := change(&p)
	if err != nil {
		return p, err
	}
	if v != nil {
		settings, err := json.Marshal(v.Settings)
		if err != nil {
			return p, err
		}
		if v.Settings == nil {
			settings = []byte("[]")
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO policy_versions (policy_id, number, author, note, settings, at_us) VALUES ($1, $2, $3, $4, $5, $6)",
			id, v.Number, v.Author, v.Note, string(settings), micros(v.At)); err != nil {
			return p, err
		}
	}
	if err := putPolicy(ctx, tx, p, true); err != nil {
		return p, err
	}
	if !reflect.DeepEqual(before.Assignments, p.Assignments) {
		if err := checkTargets(ctx, tx, p.Assignments); err != nil {
			return p, err
		}
	}
	return p, resolveAgain(ctx, tx, p.UpdatedAt, policyScopes(before, p)...)
}

// policyScopes is whom a change of a policy may concern.
func policyScopes(before, after policy.Policy) []scope {
	if before.Live == after.Live && reflect.DeepEqual(before.Assignments, after.Assignments) {
		return nil
	}
	var out []scope
	for _, p := range []policy.Policy{before, after} {
		for _, a := range p.Assignments {
			if before.Live == 0 && after.Live == 0 && a.Version == 0 {
				continue // gives nothing, before and after
			}
			for _, g := range a.Include.Groups {
				out = append(out, scope{scopeGroup, string(g)})
			}
			for _, l := range a.Include.Labels {
				out = append(out, scope{scopeLabel, string(l)})
			}
		}
	}
	return out
}

// DeletePolicy removes a policy; see policy.Store.
func (s *Store) DeletePolicy(ctx context.Context, id policy.ID, revision int64, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		p, err := scanPolicy(tx.QueryRowContext(ctx, "DELETE FROM policies WHERE id = $1 RETURNING "+policyColumns, id))
		if err != nil {
			return err
		}
		if revision != 0 && revision != p.Revision {
			return mdm.ErrConflict
		}
		if p.Live == 0 { // a roll-out of its first version may be under way
			p.Live = p.Newest
		}
		return resolveAgain(ctx, tx, now, policyScopes(p, policy.Policy{})...)
	})
}

// PolicyVersion returns one version; see policy.Store.
func (s *Store) PolicyVersion(ctx context.Context, id policy.ID, number int64) (policy.Version, error) {
	v, err := scanVersion(s.reader.QueryRowContext(ctx,
		"SELECT policy_id, number, author, note, settings, at_us FROM policy_versions WHERE policy_id = $1 AND number = $2", id, number))
	return v, classify(err)
}

// PolicyVersions returns versions, newest first; see policy.Store.
func (s *Store) PolicyVersions(ctx context.Context, id policy.ID, before int64, limit int) ([]policy.Version, error) {
	var c conditions
	c.add("policy_id = ?", id)
	if before > 0 {
		c.add("number < ?", before)
	}
	if limit <= 0 {
		limit = 100
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT policy_id, number, author, note, 'null', at_us FROM policy_versions"+c.where()+
		" ORDER BY number DESC LIMIT "+strconv.Itoa(limit), c.args...)
	return collect(rows, err, scanVersion)
}

func scanVersion(row rowScanner) (policy.Version, error) {
	var v policy.Version
	var settings string
	var at int64
	if err := row.Scan(&v.Policy, &v.Number, &v.Author, &v.Note, &settings, &at); err != nil {
		return v, err
	}
	v.At = fromMicros(at)
	if err := json.Unmarshal([]byte(settings), &v.Settings); err != nil {
		return v, fmt.Errorf("policy %s version %d: %w", v.Policy, v.Number, err)
	}
	return v, nil
}
