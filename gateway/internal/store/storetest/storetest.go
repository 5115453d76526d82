// Package storetest opens real databases for tests: SQLite in a temporary directory always,
// and a fresh PostgreSQL database when HANDRAIL_TEST_POSTGRES holds a DSN that may CREATE
// DATABASE. Only tests import it.
package storetest

import (
	"context"
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
func Open(t testing.TB) *store.Store {
	t.Helper()
	return open(t, store.Config{Dir: t.TempDir()})
}

// OpenPostgres returns an empty PostgreSQL store that is closed when the test ends; see
// Postgres.
func OpenPostgres(t testing.TB) *store.Store {
	t.Helper()
	return open(t, store.Config{URL: Postgres(t)})
}

// Interruptible is a PostgreSQL store whose database can be taken away and given back.
type Interruptible struct {
	*store.Store
	t            testing.TB
	server, name string
}

// OpenInterruptible is OpenPostgres with a switch.
func OpenInterruptible(t testing.TB) *Interruptible {
	t.Helper()
	u := Postgres(t)
	s, err := store.Open(t.Context(), store.Config{URL: u}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	i := &Interruptible{Store: s, t: t, server: os.Getenv("HANDRAIL_TEST_POSTGRES"), name: u[strings.LastIndexByte(u, '/')+1:]}
	if n := strings.IndexByte(i.name, '?'); n >= 0 {
		i.name = i.name[:n]
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// Interrupt ends every connection to the database and lets no new one in.
func (i *Interruptible) Interrupt() {
	i.t.Helper()
	onServer(i.t, i.server, "ALTER DATABASE "+i.name+" ALLOW_CONNECTIONS false")
	onServer(i.t, i.server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+i.name+"'")
}

// Restore lets connections in again.
func (i *Interruptible) Restore() {
	i.t.Helper()
	onServer(i.t, i.server, "ALTER DATABASE "+i.name+" ALLOW_CONNECTIONS true")
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
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("HANDRAIL_TEST_POSTGRES")
	if server == "" {
		t.Fatal("HANDRAIL_TEST_POSTGRES is not set: `make test` starts a server and sets it")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(mdm.NewID("hr"), "-", "")
	onServer(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { onServer(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

func onServer(t testing.TB, server, statement string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
