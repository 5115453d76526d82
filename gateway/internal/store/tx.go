package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"handrail/mdm"
)

// maxTries bounds how often a transaction is run again after a deadlock or serialization
// failure; under a load that loses five in a row the caller should back off.
const maxTries = 5

// write runs fn in one writing transaction and commits it when fn returns nil. fn may run
// more than once (PostgreSQL deadlocks), so it must not touch anything outside tx that a
// second run would spoil, and must not wait for the network. The error is classified.
func (s *Store) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	for try := 1; ; try++ {
		s.writes.Add(1)
		err := runTx(ctx, s.writer, nil, fn)
		if err == nil || try == maxTries || !isRetryable(err) {
			return classify(err)
		}
	}
}

// read runs fn over one consistent picture of the database: several statements that must
// agree with each other. A single statement needs no transaction; use s.reader. The error
// is classified.
func (s *Store) read(ctx context.Context, fn func(tx *sql.Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.postgres {
		opts.Isolation = sql.LevelRepeatableRead
	} else {
		opts = nil // a deferred transaction of SQLite already reads one picture; the connection is query_only
	}
	return classify(runTx(ctx, s.reader, opts, fn))
}

func runTx(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		if rb := tx.Rollback(); rb != nil && !errors.Is(rb, sql.ErrTxDone) {
			return errors.Join(err, rb)
		}
		return err
	}
	return tx.Commit()
}

// askOften is s.reader.QueryContext for a constant query that nearly each request asks. SQLite compiles
// a statement each time, unless it is kept; pgx keeps its own.
func (s *Store) askOften(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.postgres {
		return s.reader.QueryContext(ctx, query, args...)
	}
	return s.often.query(ctx, s.reader, query, args...)
}

// statements are those that are kept compiled, by their text. They end with the database.
type statements struct {
	mu  sync.Mutex
	all map[string]*sql.Stmt
}

func (s *statements) query(ctx context.Context, db *sql.DB, query string, args ...any) (*sql.Rows, error) {
	s.mu.Lock()
	stmt := s.all[query]
	if stmt == nil {
		var err error
		if stmt, err = db.PrepareContext(ctx, query); err != nil {
			s.mu.Unlock()
			return nil, err
		}
		if s.all == nil {
			s.all = map[string]*sql.Stmt{}
		}
		s.all[query] = stmt
	}
	s.mu.Unlock()
	return stmt.QueryContext(ctx, args...)
}

// askOftenRow is askOften for one row, read with scan; sql.ErrNoRows for none.
func (s *Store) askOftenRow(ctx context.Context, scan func(row rowScanner) error, query string, args ...any) error {
	rows, err := s.askOften(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return scan(rows)
}

// isAny reports whether a query finds a row: asked before what is mostly nothing is written.
func (s *Store) isAny(ctx context.Context, query string, args ...any) (bool, error) {
	var one int
	err := s.reader.QueryRowContext(ctx, query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, classify(err)
}

// exec runs one writing statement and returns how many rows it touched.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s.writes.Add(1)
	res, err := s.writer.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, classify(err)
	}
	n, err := res.RowsAffected()
	return n, classify(err)
}

// execOne is exec for a statement that must touch a row; none is mdm.ErrNotFound.
func (s *Store) execOne(ctx context.Context, query string, args ...any) error {
	n, err := s.exec(ctx, query, args...)
	if err == nil && n == 0 {
		return mdm.ErrNotFound
	}
	return err
}

// collect reads every row of a query with scan; it closes the rows. Never nil on success.
func collect[T any](rows *sql.Rows, err error, scan func(row rowScanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, v)
	}
	return out, classify(rows.Err())
}

// rowScanner is *sql.Row and *sql.Rows.
type rowScanner interface{ Scan(dest ...any) error }

// micros is a time as it is stored: Unix microseconds, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros, in UTC.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// classify gives the driver's error the sentinel callers decide on; the driver's words stay.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return mdm.ErrNotFound
	case isUnique(err):
		return fmt.Errorf("%w: %w", mdm.ErrAlreadyExists, err)
	case isForeignKey(err):
		return fmt.Errorf("%w: %w", mdm.ErrConflict, err)
	case isNoText(err):
		return fmt.Errorf("a text has a character that may not be there: %w", mdm.ErrInvalid)
	case isFull(err):
		return fmt.Errorf("%w: %w", mdm.ErrFull, err)
	case isAway(err):
		return fmt.Errorf("%w: %w", mdm.ErrUnavailable, err)
	}
	return err
}

func pgCode(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

// sqliteCode returns SQLite's extended result code; 0 for other errors.
func sqliteCode(err error) int {
	var se *sqlite.Error
	if errors.As(err, &se) {
		return se.Code()
	}
	return 0
}

// isNoText reports what PostgreSQL says of a text with a zero byte, or that is not UTF-8.
func isNoText(err error) bool {
	code := pgCode(err)
	return code == "22021" || code == "22P05"
}

func isUnique(err error) bool {
	c := sqliteCode(err)
	return pgCode(err) == "23505" || c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

func isForeignKey(err error) bool {
	return pgCode(err) == "23503" || sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

func isFull(err error) bool {
	return pgCode(err) == "53100" || sqliteCode(err)&0xff == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC)
}

// isRetryable: a deadlock or serialization failure, which running again may well get past.
func isRetryable(err error) bool {
	c := pgCode(err)
	return c == "40001" || c == "40P01"
}

// isAway: no answer, no connection, shutting down, starting up, too many connections, busy.
func isAway(err error) bool {
	var ce *pgconn.ConnectError
	if c := pgCode(err); c == "55000" && errors.As(err, &ce) {
		return true // connections to this database are not allowed for now
	} else if c != "" {
		return c[:2] == "08" || c == "57P01" || c == "57P02" || c == "57P03" || c == "53300" || isRetryable(err)
	}
	switch sqliteCode(err) & 0xff {
	case 0:
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return true
	default:
		return false
	}
	var ne net.Error
	var oe *net.OpError
	return errors.As(err, &ne) || errors.As(err, &oe) || errors.As(err, &ce) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ENOENT)
}
