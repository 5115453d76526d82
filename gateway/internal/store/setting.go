package store

import (
	"context"
	"database/sql"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
)

// Setting returns a setting; see auth.SettingStore.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	var v string
	err := s.reader.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = $1", name).Scan(&v)
	return v, classify(err)
}

// SettingOr returns a setting, storing it first when there is none; see auth.SettingStore.
func (s *Store) SettingOr(ctx context.Context, name, value string) (string, error) {
	err := s.writer.QueryRowContext(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING value`, name, value).Scan(&value)
	return value, classify(err)
}

// PutSetting stores a setting; see auth.SettingStore.
func (s *Store) PutSetting(ctx context.Context, name, value string) error {
	_, err := s.exec(ctx, putSetting, name, value)
	return err
}

const putSetting = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

// SetUp stores the first administrator; see auth.SettingStore.
func (s *Store) SetUp(ctx context.Context, first auth.Account, settings map[string]string) (bool, error) {
	done := false
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := lockGroups(ctx, tx); err != nil {
			return err
		}
		n, err := rootAdmins(ctx, tx)
		if err != nil || n > 0 {
			done = n > 0
			return err
		}
		for name, value := range settings {
			if _, err := tx.ExecContext(ctx, putSetting, name, value); err != nil {
				return err
			}
		}
		return putAccount(ctx, tx, first)
	})
	return err == nil && !done, err
}

// HasRootAdmin reports whether setup is over; see auth.SettingStore.
func (s *Store) HasRootAdmin(ctx context.Context) (bool, error) {
	n, err := rootAdmins(ctx, s.reader)
	return n > 0, classify(err)
}

// rowQuerier is *sql.DB and *sql.Tx.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func rootAdmins(ctx context.Context, q rowQuerier) (int, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM operators JOIN grants ON grants.operator_id = operators.id
		WHERE grants.group_id = $1 AND grants.role = $2 AND NOT operators.disabled`, mdm.RootGroup, auth.Admin).Scan(&n)
	return n, err
}
