package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"handrail/mdm"
	"handrail/mdm/script"
)

const scriptColumns = "id, name, description, newest, created_us, changed_us, archived_us"

func scanScript(row rowScanner) (script.Script, error) {
	var s script.Script
	var created, changed, archived int64
	err := row.Scan(&s.ID, &s.Name, &s.Description, &s.Newest, &created, &changed, &archived)
	s.CreatedAt, s.ChangedAt, s.ArchivedAt = fromMicros(created), fromMicros(changed), fromMicros(archived)
	return s, err
}

const scriptVersionColumns = `script_id, number, interpreter, body, parameters, run_as, timeout_seconds, output_bytes, note,
	created_by, created_name, created_us`

func scanScriptVersion(row rowScanner) (script.Version, error) {
	var v script.Version
	var parameters string
	var created int64
	err := row.Scan(&v.Script, &v.Number, &v.Interpreter, &v.Body, &parameters, &v.RunAs, &v.TimeoutSeconds, &v.OutputBytes, &v.Note,
		&v.By, &v.ByName, &created)
	if err != nil {
		return v, err
	}
	v.CreatedAt = fromMicros(created)
	if err := json.Unmarshal([]byte(parameters), &v.Parameters); err != nil {
		return v, fmt.Errorf("script %s version %d: parameters: %w", v.Script, v.Number, err)
	}
	return v, nil
}

func addScriptVersion(ctx context.Context, tx *sql.Tx, v script.Version) error {
	if v.Parameters == nil {
		v.Parameters = []script.Parameter{}
	}
	parameters, err := json.Marshal(v.Parameters)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO script_versions ("+scriptVersionColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		v.Script, v.Number, v.Interpreter, v.Body, string(parameters), v.RunAs, v.TimeoutSeconds, v.OutputBytes, v.Note, v.By, v.ByName, micros(v.CreatedAt))
	return err
}

// CreateScript stores a script with its first version; see script.Store.
func (s *Store) CreateScript(ctx context.Context, one script.Script, v script.Version) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM scripts").Scan(&n); err != nil {
			return err
		}
		if n >= script.MaxScripts {
			return fmt.Errorf("the library holds %d scripts at most: %w", script.MaxScripts, mdm.ErrInvalid)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO scripts (id, name, name_key, description, newest, created_us, changed_us, archived_us)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			one.ID, one.Name, strings.ToLower(one.Name), one.Description, one.Newest, micros(one.CreatedAt), micros(one.ChangedAt), micros(one.ArchivedAt))
		if err != nil {
			return err
		}
		return addScriptVersion(ctx, tx, v)
	})
}

// ChangeScript changes a script in a transaction; see script.Store.
func (s *Store) ChangeScript(ctx context.Context, id script.ID, change func(*script.Script) (*script.Version, error)) (script.Script, error) {
	var one script.Script
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		one, err = scanScript(tx.QueryRowContext(ctx, "UPDATE scripts SET id = id WHERE id = $1 RETURNING "+scriptColumns, id))
		if err != nil {
			return err
		}
		v, err := change(&one)
		if err != nil {
			return err
		}
		if v != nil {
			if err := addScriptVersion(ctx, tx, *v); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE scripts SET name = $2, name_key = $3, description = $4, newest = $5, changed_us = $6, archived_us = $7 WHERE id = $1`,
			id, one.Name, strings.ToLower(one.Name), one.Description, one.Newest, micros(one.ChangedAt), micros(one.ArchivedAt))
		return err
	})
	return one, err
}

// Script returns one; see script.Store.
func (s *Store) Script(ctx context.Context, id script.ID) (script.Script, error) {
	one, err := scanScript(s.reader.QueryRowContext(ctx, "SELECT "+scriptColumns+" FROM scripts WHERE id = $1", id))
	return one, classify(err)
}

// Scripts returns the library; see script.Store.
func (s *Store) Scripts(ctx context.Context) ([]script.Script, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+scriptColumns+" FROM scripts ORDER BY name_key")
	return collect(rows, err, scanScript)
}

// ScriptVersion returns one version; see script.Store.
func (s *Store) ScriptVersion(ctx context.Context, id script.ID, number int64) (script.Version, error) {
	v, err := scanScriptVersion(s.reader.QueryRowContext(ctx, "SELECT "+scriptVersionColumns+" FROM script_versions WHERE script_id = $1 AND number = $2", id, number))
	return v, classify(err)
}

// ScriptVersions returns every version of a script; see script.Store.
func (s *Store) ScriptVersions(ctx context.Context, id script.ID) ([]script.Version, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+scriptVersionColumns+" FROM script_versions WHERE script_id = $1 ORDER BY number DESC", id)
	return collect(rows, err, scanScriptVersion)
}
