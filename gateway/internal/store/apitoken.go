package store

import (
	"context"
	"database/sql"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/mdm"
)

const apiTokenColumns = `api_tokens.id, api_tokens.operator_id, api_tokens.name, api_tokens.hash, api_tokens.role, api_tokens.group_id,
	api_tokens.created_us, api_tokens.expires_us, api_tokens.used_us`

// tokenRow reads apiTokenColumns.
type tokenRow struct {
	t                      auth.APIToken
	created, expires, used int64
}

func (r *tokenRow) places() []any {
	return []any{&r.t.ID, &r.t.Operator, &r.t.Name, &r.t.Hash, &r.t.Grant.Role, &r.t.Grant.Group, &r.created, &r.expires, &r.used}
}

func (r *tokenRow) token() auth.APIToken {
	r.t.CreatedAt, r.t.ExpiresAt, r.t.UsedAt = fromMicros(r.created), fromMicros(r.expires), fromMicros(r.used)
	return r.t
}

// CreateAPIToken stores a token; see auth.TokenStore.
func (s *Store) CreateAPIToken(ctx context.Context, t auth.APIToken, limit int) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		// The update that changes nothing lets one token of an operator be made at a time.
		if _, err := tx.ExecContext(ctx, "UPDATE operators SET id = id WHERE id = $1", t.Operator); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM api_tokens WHERE operator_id = $1", t.Operator).Scan(&n); err != nil {
			return err
		}
		if n >= limit {
			return mdm.ErrConflict
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO api_tokens (id, operator_id, name, hash, role, group_id, created_us, expires_us, used_us)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
			t.ID, t.Operator, t.Name, t.Hash, t.Grant.Role, t.Grant.Group, micros(t.CreatedAt), micros(t.ExpiresAt))
		return err
	})
}

// APIToken finds a token; see auth.TokenStore.
func (s *Store) APIToken(ctx context.Context, hash string) (auth.APIToken, auth.Operator, error) {
	var r tokenRow
	a, err := scanAccount(s.reader.QueryRowContext(ctx, "SELECT "+operatorColumns+", "+apiTokenColumns+
		" FROM api_tokens JOIN operators ON operators.id = api_tokens.operator_id WHERE api_tokens.hash = $1", hash), r.places()...)
	if err != nil {
		return auth.APIToken{}, auth.Operator{}, classify(err)
	}
	grants, err := grantsOf(ctx, s.reader, a.ID)
	a.Grants = grants[a.ID]
	return r.token(), a.Operator, err
}

// APITokens lists an operator's tokens; see auth.TokenStore.
func (s *Store) APITokens(ctx context.Context, id auth.OperatorID) ([]auth.APIToken, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+apiTokenColumns+" FROM api_tokens WHERE operator_id = $1 ORDER BY created_us DESC, id", id)
	return collect(rows, err, func(row rowScanner) (auth.APIToken, error) {
		var r tokenRow
		err := row.Scan(r.places()...)
		return r.token(), err
	})
}

// TouchAPIToken dates a token's last use; see auth.TokenStore.
func (s *Store) TouchAPIToken(ctx context.Context, id auth.TokenID, at time.Time) error {
	_, err := s.exec(ctx, "UPDATE api_tokens SET used_us = $1 WHERE id = $2 AND used_us < $1", micros(at), id)
	return err
}

// DeleteAPIToken removes a token; see auth.TokenStore.
func (s *Store) DeleteAPIToken(ctx context.Context, id auth.OperatorID, token auth.TokenID) error {
	return s.execOne(ctx, "DELETE FROM api_tokens WHERE id = $1 AND operator_id = $2", token, id)
}

// PurgeAPITokens removes tokens that expired long ago; see auth.TokenStore.
func (s *Store) PurgeAPITokens(ctx context.Context, before time.Time) error {
	return s.purge(ctx, "api_tokens", before)
}
