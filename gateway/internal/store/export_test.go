package store

import (
	"context"
	"io/fs"
	"log/slog"
	"slices"
	"testing"

	"github.com/pressly/goose/v3"

	"handrail/mdm"
)

// CountRows counts the rows of a table.
func CountRows(t *testing.T, s *Store, table string) int {
	t.Helper()
	var n int
	if err := s.reader.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Old is a database as it was before some migrations.
type Old struct {
	*Store
	t *testing.T
	p *goose.Provider
}

// OpenOld opens a database to which no migration was applied yet.
func OpenOld(t *testing.T, cfg Config) *Old {
	t.Helper()
	s := &Store{log: slog.New(slog.DiscardHandler)}
	dialect, open := goose.DialectSQLite3, s.openSQLite
	if cfg.URL != "" {
		dialect, open = goose.DialectPostgres, func(cfg Config) error { return s.openPostgres(t.Context(), cfg) }
	}
	if err := open(cfg); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(dialect, s.writer, files, goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		t.Fatal(err)
	}
	return &Old{s, t, p}
}

// Versions returns the numbers of all migrations, in order.
func (o *Old) Versions() []int64 {
	var out []int64
	for _, m := range o.p.ListSources() {
		out = append(out, m.Version)
	}
	slices.Sort(out)
	return out
}

// UpTo applies migrations as far as one.
func (o *Old) UpTo(version int64) {
	o.t.Helper()
	if _, err := o.p.UpTo(o.t.Context(), version); err != nil {
		o.t.Fatalf("migration %d: %v", version, err)
	}
}

// Exec runs a statement.
func (o *Old) Exec(query string, args ...any) {
	o.t.Helper()
	if _, err := o.writer.ExecContext(o.t.Context(), query, args...); err != nil {
		o.t.Fatalf("%s: %v", query, err)
	}
}

// Column is a column of a table, with its type in lower case.
type Column struct{ Table, Name, Kind string }

// Columns returns those of every table but the one of migrations, by table.
func (o *Old) Columns() map[string][]Column {
	o.t.Helper()
	query := `SELECT m.name, c.name, lower(c.type) FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version'`
	if o.postgres {
		query = `SELECT table_name, column_name, data_type FROM information_schema.columns
			WHERE table_schema = 'public' AND table_name <> 'goose_db_version'`
	}
	rows, err := o.reader.QueryContext(o.t.Context(), query)
	list, err := collect(rows, err, func(row rowScanner) (Column, error) {
		var c Column
		return c, row.Scan(&c.Table, &c.Name, &c.Kind)
	})
	if err != nil {
		o.t.Fatal(err)
	}
	out := map[string][]Column{}
	for _, c := range list {
		out[c.Table] = append(out[c.Table], c)
	}
	return out
}

// Unbound runs fill on one connection on which rows may refer to others that are not there yet.
func (o *Old) Unbound(fill func(exec func(query string, args ...any))) {
	o.t.Helper()
	conn, err := o.writer.Conn(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	defer conn.Close()
	exec := func(query string, args ...any) {
		o.t.Helper()
		if _, err := conn.ExecContext(context.WithoutCancel(o.t.Context()), query, args...); err != nil {
			o.t.Fatalf("%s: %v", query, err)
		}
	}
	off, on := "PRAGMA foreign_keys = 0", "PRAGMA foreign_keys = 1"
	if o.postgres {
		off, on = "SET session_replication_role = replica", "SET session_replication_role = origin"
	}
	exec(off)
	fill(exec)
	exec(on)
}

// IndexSome runs one transaction of IndexSoftware, as if the gateway were killed behind it, and
// returns the devices it was not done with.
func IndexSome(t *testing.T, s *Store, ids ...mdm.DeviceID) []mdm.DeviceID {
	t.Helper()
	left, err := s.indexSome(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// Sum adds up a column of a table.
func Sum(t *testing.T, s *Store, column, table string) int {
	t.Helper()
	var n int
	if err := s.reader.QueryRowContext(t.Context(), "SELECT CAST(coalesce(sum("+column+"), 0) AS BIGINT) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
