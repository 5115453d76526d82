// Package storetest opens real databases for tests: SQLite in a temporary directory always,
// and a fresh PostgreSQL database when HANDRAIL_TEST_POSTGRES holds a DSN that may CREATE
// DATABASE. Only tests import it.
package storetest

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"handrail/gateway/internal/store"
	"handrail/mdm"
)

// Open returns an empty SQLite store that is closed when the test ends.
func Open(tb testing.TB) *store.Store {
	tb.Helper()
	return open(tb, store.Config{Dir: tb.TempDir()})
}

// OpenPostgres returns an empty PostgreSQL store that is closed when the test ends; see
// Postgres.
func OpenPostgres(tb testing.TB) *store.Store {
	tb.Helper()
	return open(tb, store.Config{URL: Postgres(tb)})
}

// Interruptible is a PostgreSQL store whose database can be taken away and given back.
type Interruptible struct {
	*store.Store
	tb           testing.TB
	server, name string
}

// OpenInterruptible is OpenPostgres with a switch.
func OpenInterruptible(tb testing.TB) *Interruptible {
	tb.Helper()
	u := Postgres(tb)
	s, err := store.Open(tb.Context(), store.Config{URL: u}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	i := &Interruptible{Store: s, tb: tb, server: os.Getenv("HANDRAIL_TEST_POSTGRES"), name: u[strings.LastIndexByte(u, '/')+1:]}
	if n := strings.IndexByte(i.name, '?'); n >= 0 {
		i.name = i.name[:n]
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return i
}

// Interrupt ends every connection to the database and lets no new one in.
func (i *Interruptible) Interrupt() {
	i.tb.Helper()
	onServer(i.tb, i.server, "ALTER DATABASE "+i.name+" ALLOW_CONNECTIONS false")
	onServer(i.tb, i.server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+i.name+"'")
}

// Restore lets connections in again.
func (i *Interruptible) Restore() {
	i.tb.Helper()
	onServer(i.tb, i.server, "ALTER DATABASE "+i.name+" ALLOW_CONNECTIONS true")
}

// HasPostgres reports whether a server was given.
func HasPostgres() bool { return os.Getenv("HANDRAIL_TEST_POSTGRES") != "" }

// Each runs test once a database: "sqlite", and "postgres" where a server was given.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, Open(t)) })
	if HasPostgres() {
		t.Run("postgres", func(t *testing.T) { test(t, OpenPostgres(t)) })
	}
}

// Postgres makes an empty database on the server of HANDRAIL_TEST_POSTGRES, drops it when the
// test ends, and returns its URL. It fails the test where no server was given.
func Postgres(tb testing.TB) string {
	tb.Helper()
	server := os.Getenv("HANDRAIL_TEST_POSTGRES")
	if server == "" {
		tb.Fatal("HANDRAIL_TEST_POSTGRES is not set: `make test` starts a server and sets it")
	}
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	name := strings.ReplaceAll(mdm.NewID("hr"), "-", "")
	onServer(tb, server, "CREATE DATABASE "+name)
	tb.Cleanup(func() { onServer(tb, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

func onServer(tb testing.TB, server, statement string) {
	tb.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = c.Exec(ctx, statement)
	if err = errors.Join(err, c.Close(ctx)); err != nil {
		tb.Fatal(err)
	}
}

func open(tb testing.TB, cfg store.Config) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
