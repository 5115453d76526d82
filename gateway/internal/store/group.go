package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/mdm/policy"
)

func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

const groupColumns = "id, parent_id, name, unattended, revision, created_us"

func scanGroup(row rowScanner) (group.Group, error) {
	var g group.Group
	var parent sql.NullString
	var unattended string
	var created int64
	if err := row.Scan(&g.ID, &parent, &g.Name, &unattended, &g.Revision, &created); err != nil {
		return g, err
	}
	g.Parent, g.CreatedAt = mdm.GroupID(parent.String), fromMicros(created)
	if unattended != "" {
		if err := json.Unmarshal([]byte(unattended), &g.Unattended); err != nil {
			return g, fmt.Errorf("group %s: unattended policy: %w", g.ID, err)
		}
	}
	return g, nil
}

// Groups returns every group; see group.Store.
func (s *Store) Groups(ctx context.Context) ([]group.Group, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+groupColumns+" FROM groups")
	return collect(rows, err, scanGroup)
}

// ChangeGroups changes the tree; see group.Store.
func (s *Store) ChangeGroups(ctx context.Context, change func(group.Tree) (group.Group, error)) (group.Group, error) {
	var g group.Group
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := lockGroups(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+groupColumns+" FROM groups")
		all, err := collect(rows, err, scanGroup)
		if err != nil {
			return err
		}
		tree := group.NewTree(all)
		if g, err = change(tree); err != nil {
			return err
		}
		unattended := ""
		if g.Unattended != nil {
			b, err := json.Marshal(g.Unattended)
			if err != nil {
				return err
			}
			unattended = string(b)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO groups (id, parent_id, name, name_key, unattended, revision, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name, name_key = excluded.name_key, unattended = excluded.unattended,
				revision = excluded.revision`,
			g.ID, sql.NullString{String: string(g.Parent), Valid: g.Parent != ""}, g.Name, strings.ToLower(g.Name), unattended, g.Revision, micros(g.CreatedAt))
		if err != nil {
			return err
		}
		if before, ok := tree.Group(g.ID); !ok {
			_, err = lockInputs(ctx, tx, true) // another tree, though nobody is in the group yet
		} else if before.Parent != g.Parent {
			err = resolveAgain(ctx, tx, time.Now(), scope{scopeGroup, string(g.ID)})
		}
		return err
	})
	return g, err
}

// lockGroups lets one transaction at a time change the tree.
func lockGroups(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "UPDATE groups SET id = id WHERE id = $1", mdm.RootGroup)
	return err
}

// DeleteGroup removes a group nothing hangs on; see group.Store.
func (s *Store) DeleteGroup(ctx context.Context, id mdm.GroupID, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := lockGroups(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM enrollment_tokens
			WHERE group_id = $1 AND (revoked_us > 0 OR uses_spent >= uses_allowed OR expires_us <= $2)`, id, micros(now)); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM groups WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return mdm.ErrNotFound
		}
		return refuseUsed(ctx, tx, func(s policy.Scope) bool { return slices.Contains(s.Groups, id) }, string(id))
	})
}
