package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// The migrations run on both databases alike. Numbers: 1 to 99 for devices and everything
// about people, 100 and up for support sessions. One that has been released never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Several gateways may start on one PostgreSQL at
// once, or a gateway and its command line on one SQLite file: a lock lets one migrate and
// the others wait for it.
func (s *Store) migrate(ctx context.Context, cfg Config) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	opts := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithAllowOutofOrder(true), // two series of numbers
	}
	if s.postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // each second, for two minutes
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	} else {
		unlock, lerr := lockFile(ctx, filepath.Join(cfg.Dir, sqliteFile+".lock"))
		if lerr != nil {
			return fmt.Errorf("lock: %w", lerr)
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	p, err := goose.NewProvider(dialect, s.writer, files, opts...)
	if err != nil {
		return err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	for _, r := range results {
		s.log.Info("database_migrated", "migration", r.Source.Path, "ms", r.Duration.Milliseconds())
	}
	return nil
}

// lockFile holds an exclusive lock until unlock is called or the process ends. The lock is
// SQLite's own, on an empty database, because that works alike on every system; goose's
// version table cannot serve, as another process may make it in between.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_txlock=exclusive&_pragma=busy_timeout(60000)")
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}
