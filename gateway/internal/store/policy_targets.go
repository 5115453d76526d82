package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"handrail/mdm"
	"handrail/mdm/policy"
)

// Assignments name groups and labels in JSON, where no foreign key holds them: checkTargets
// and refuseUsed do, both behind lockInputs, so that neither misses what the other is at.

// checkTargets refuses assignments that name a group or a label there is none of.
func checkTargets(ctx context.Context, tx *sql.Tx, list []policy.Assignment) error {
	var groups, labels []string
	for _, a := range list {
		for _, s := range []policy.Scope{a.Include, a.Exclude} {
			for _, g := range s.Groups {
				groups = append(groups, string(g))
			}
			for _, l := range s.Labels {
				labels = append(labels, string(l))
			}
		}
	}
	if len(groups)+len(labels) == 0 {
		return nil
	}
	if _, err := lockInputs(ctx, tx, false); err != nil {
		return err
	}
	for _, of := range []struct {
		noun, table string
		ids         []string
	}{{"group", "groups", groups}, {"label", "labels", labels}} {
		missing, err := missingIn(ctx, tx, of.table, of.ids)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return fmt.Errorf("there is no %s %s: %w", of.noun, strings.Join(missing, ", "), mdm.ErrInvalid)
		}
	}
	return nil
}

// missingIn returns those of the ids a table has no row of.
func missingIn(ctx context.Context, tx *sql.Tx, table string, ids []string) ([]string, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var missing []string
	for batch := range slices.Chunk(ids, seenBatch) {
		var c conditions
		in(&c, "id", batch)
		rows, err := tx.QueryContext(ctx, "SELECT id FROM "+table+c.where(), c.args...)
		there, err := collect(rows, err, func(row rowScanner) (string, error) {
			var id string
			return id, row.Scan(&id)
		})
		if err != nil {
			return nil, err
		}
		for _, id := range batch {
			if !slices.Contains(there, id) {
				missing = append(missing, id)
			}
		}
	}
	return missing, nil
}

// maxUsers is how many of those that refer to something are named.
const maxUsers = 5

// refuseUsed fails with a mdm.InUseError while assignments of policies name what is to go.
func refuseUsed(ctx context.Context, tx *sql.Tx, names func(policy.Scope) bool, id string) error {
	if _, err := lockInputs(ctx, tx, true); err != nil {
		return err
	}
	var c conditions
	c.contains("assignments", id)
	rows, err := tx.QueryContext(ctx, "SELECT name, assignments FROM policies"+c.where()+" ORDER BY name_key", c.args...)
	type one struct {
		name string
		list []policy.Assignment
	}
	found, err := collect(rows, err, func(row rowScanner) (one, error) {
		var o one
		var text string
		if err := row.Scan(&o.name, &text); err != nil {
			return o, err
		}
		return o, json.Unmarshal([]byte(text), &o.list)
	})
	if err != nil {
		return err
	}
	var by []string
	for _, o := range found {
		if slices.ContainsFunc(o.list, func(a policy.Assignment) bool { return names(a.Include) || names(a.Exclude) }) {
			by = append(by, fmt.Sprintf("policy %q", o.name))
		}
	}
	if len(by) > maxUsers {
		by = append(by[:maxUsers], fmt.Sprintf("%d more", len(by)-maxUsers))
	}
	if len(by) > 0 {
		return &mdm.InUseError{By: by}
	}
	return nil
}
