package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"handrail/gateway/internal/auth"
)

const operatorColumns = "operators.id, operators.name, operators.email, operators.disabled, operators.revision, operators.created_us, operators.signed_in_us, operators.password_hash"

func scanAccount(row rowScanner, more ...any) (auth.Account, error) {
	var a auth.Account
	var created, signedIn int64
	err := row.Scan(append([]any{&a.ID, &a.Name, &a.Email, &a.Disabled, &a.Revision, &created, &signedIn, &a.PasswordHash}, more...)...)
	a.CreatedAt, a.SignedInAt = fromMicros(created), fromMicros(signedIn)
	return a, err
}

// querier is *sql.DB and *sql.Tx.
type querier interface {
	rowQuerier
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func grantsOf(ctx context.Context, q querier, ids ...auth.OperatorID) (map[auth.OperatorID][]auth.Grant, error) {
	out := map[auth.OperatorID][]auth.Grant{}
	if len(ids) == 0 {
		return out, nil
	}
	var c conditions
	in(&c, "operator_id", ids)
	rows, err := q.QueryContext(ctx, "SELECT operator_id, role, group_id FROM grants"+c.where()+" ORDER BY operator_id, role, group_id", c.args...)
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id auth.OperatorID
		var g auth.Grant
		err := row.Scan(&id, &g.Role, &g.Group)
		out[id] = append(out[id], g)
		return struct{}{}, err
	})
	return out, err
}

func (s *Store) account(ctx context.Context, where string, arg any) (auth.Account, error) {
	a, err := scanAccount(s.reader.QueryRowContext(ctx, "SELECT "+operatorColumns+" FROM operators WHERE "+where, arg))
	if err != nil {
		return a, classify(err)
	}
	grants, err := grantsOf(ctx, s.reader, a.ID)
	a.Grants = grants[a.ID]
	return a, err
}

// Account returns one operator; see auth.OperatorStore.
func (s *Store) Account(ctx context.Context, id auth.OperatorID) (auth.Account, error) {
	return s.account(ctx, "id = $1", id)
}

// AccountByEmail finds an operator by address; see auth.OperatorStore.
func (s *Store) AccountByEmail(ctx context.Context, email string) (auth.Account, error) {
	return s.account(ctx, "email_key = $1", strings.ToLower(email))
}

// Operators returns a page of operators; see auth.OperatorStore.
func (s *Store) Operators(ctx context.Context, afterEmail string, limit int) ([]auth.Operator, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+operatorColumns+" FROM operators WHERE email_key > $1 ORDER BY email_key LIMIT $2", afterEmail, limit)
	accs, err := collect(rows, err, func(row rowScanner) (auth.Account, error) { return scanAccount(row) })
	if err != nil {
		return nil, err
	}
	ids := make([]auth.OperatorID, len(accs))
	for i, a := range accs {
		ids[i] = a.ID
	}
	grants, err := grantsOf(ctx, s.reader, ids...)
	if err != nil {
		return nil, err
	}
	ops := make([]auth.Operator, len(accs))
	for i, a := range accs {
		ops[i] = a.Operator
		ops[i].Grants = grants[a.ID]
	}
	return ops, nil
}

// ChangeAccounts changes or makes an operator; see auth.OperatorStore.
func (s *Store) ChangeAccounts(ctx context.Context, id auth.OperatorID, change func(*auth.Account) error, keep func(rootAdmins int) error) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := lockGroups(ctx, tx); err != nil { // also keeps granted groups from being deleted meanwhile
			return err
		}
		var a auth.Account
		if id != "" {
			var err error
			if a, err = scanAccount(tx.QueryRowContext(ctx, "SELECT "+operatorColumns+" FROM operators WHERE id = $1", id)); err != nil {
				return err
			}
			grants, err := grantsOf(ctx, tx, id)
			if err != nil {
				return err
			}
			a.Grants = grants[id]
		}
		if err := change(&a); err != nil {
			return err
		}
		if err := putAccount(ctx, tx, a); err != nil {
			return err
		}
		if a.Disabled {
			if _, err := tx.ExecContext(ctx, "DELETE FROM sign_ins WHERE operator_id = $1", a.ID); err != nil {
				return err
			}
		}
		return keepAdmins(ctx, tx, keep)
	})
}

func keepAdmins(ctx context.Context, tx *sql.Tx, keep func(rootAdmins int) error) error {
	n, err := rootAdmins(ctx, tx)
	if err != nil {
		return err
	}
	return keep(n)
}

func putAccount(ctx context.Context, tx *sql.Tx, a auth.Account) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO operators (id, name, email, email_key, password_hash, disabled, revision, created_us, signed_in_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, email_key = excluded.email_key,
			password_hash = excluded.password_hash, disabled = excluded.disabled,
			revision = excluded.revision`,
		a.ID, a.Name, a.Email, strings.ToLower(a.Email), a.PasswordHash, a.Disabled, a.Revision, micros(a.CreatedAt), micros(a.SignedInAt))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM grants WHERE operator_id = $1", a.ID); err != nil {
		return err
	}
	for _, g := range a.Grants {
		if _, err := tx.ExecContext(ctx, "INSERT INTO grants (operator_id, role, group_id) VALUES ($1, $2, $3)", a.ID, g.Role, g.Group); err != nil {
			return err
		}
	}
	return nil
}

// DeleteAccount removes an operator; see auth.OperatorStore.
func (s *Store) DeleteAccount(ctx context.Context, id auth.OperatorID, keep func(rootAdmins int) error) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := lockGroups(ctx, tx); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM operators WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return sql.ErrNoRows
		}
		return keepAdmins(ctx, tx, keep)
	})
}

// CreateSignIn stores a sign-in; see auth.SignInStore.
func (s *Store) CreateSignIn(ctx context.Context, in auth.SignIn) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sign_ins (hash, operator_id, address, browser, created_us, seen_us, expires_us)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			in.Hash, in.Operator, in.Address, in.Browser, micros(in.CreatedAt), micros(in.SeenAt), micros(in.ExpiresAt)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE operators SET signed_in_us = $1 WHERE id = $2", micros(in.CreatedAt), in.Operator)
		return err
	})
}

// SignIn finds a sign-in; see auth.SignInStore.
func (s *Store) SignIn(ctx context.Context, hash string) (auth.SignIn, auth.Operator, error) {
	in := auth.SignIn{Hash: hash}
	var created, seen, expires int64
	a, err := scanAccount(s.reader.QueryRowContext(ctx, "SELECT "+operatorColumns+`, sign_ins.address, sign_ins.browser,
			sign_ins.created_us, sign_ins.seen_us, sign_ins.expires_us
		FROM sign_ins JOIN operators ON operators.id = sign_ins.operator_id WHERE sign_ins.hash = $1`, hash),
		&in.Address, &in.Browser, &created, &seen, &expires)
	if err != nil {
		return in, auth.Operator{}, classify(err)
	}
	in.Operator = a.ID
	in.CreatedAt, in.SeenAt, in.ExpiresAt = fromMicros(created), fromMicros(seen), fromMicros(expires)
	grants, err := grantsOf(ctx, s.reader, a.ID)
	a.Grants = grants[a.ID]
	return in, a.Operator, err
}

// TouchSignIn dates a sign-in's last use; see auth.SignInStore.
func (s *Store) TouchSignIn(ctx context.Context, hash string, at time.Time) error {
	_, err := s.exec(ctx, "UPDATE sign_ins SET seen_us = $1 WHERE hash = $2 AND seen_us < $1", micros(at), hash)
	return err
}

// EndSignIns ends sign-ins; see auth.SignInStore.
func (s *Store) EndSignIns(ctx context.Context, operator auth.OperatorID, hash string) error {
	if operator == "" {
		_, err := s.exec(ctx, "DELETE FROM sign_ins WHERE hash = $1", hash)
		return err
	}
	_, err := s.exec(ctx, "DELETE FROM sign_ins WHERE operator_id = $1 AND hash <> $2", operator, hash)
	return err
}

// CreateTicket stores a socket ticket; see auth.SignInStore.
func (s *Store) CreateTicket(ctx context.Context, hash, signIn string, expires time.Time) error {
	_, err := s.exec(ctx, "INSERT INTO socket_tickets (hash, sign_in_hash, expires_us) VALUES ($1, $2, $3)", hash, signIn, micros(expires))
	return err
}

// TakeTicket takes a socket ticket; see auth.SignInStore.
func (s *Store) TakeTicket(ctx context.Context, hash string) (signIn string, expires time.Time, err error) {
	var us int64
	err = s.writer.QueryRowContext(ctx, "DELETE FROM socket_tickets WHERE hash = $1 RETURNING sign_in_hash, expires_us", hash).Scan(&signIn, &us)
	return signIn, fromMicros(us), classify(err)
}

// PurgeSignIns removes what has expired; see auth.SignInStore.
func (s *Store) PurgeSignIns(ctx context.Context, now time.Time) error {
	if err := s.purge(ctx, "socket_tickets", now); err != nil {
		return err
	}
	return s.purge(ctx, "sign_ins", now)
}

// purge removes the rows of a table that expired before now. Mostly there are none: no write
// then, as gateways look for them around the clock.
func (s *Store) purge(ctx context.Context, table string, now time.Time) error {
	due, err := s.isAny(ctx, "SELECT 1 FROM "+table+" WHERE expires_us < $1 LIMIT 1", micros(now))
	if err != nil || !due {
		return err
	}
	_, err = s.exec(ctx, "DELETE FROM "+table+" WHERE expires_us < $1", micros(now))
	return err
}
