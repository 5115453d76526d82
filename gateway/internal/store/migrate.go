package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// The migrations run on both databases alike. Numbers: 1 to 99 for devices and everything
// about people, 100 and up for support sessions. One that has been released never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Several gateways may start on one PostgreSQL at
// once: the session lock lets one migrate and the others wait for it.
func (s *Store) migrate(ctx context.Context) error {
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
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
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
