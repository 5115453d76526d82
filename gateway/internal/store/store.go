package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// Config says where the records are. Dir or URL must be set.
type Config struct {
	URL      string        // "" means a SQLite file handrail.db in Dir; else postgres://user@host/name
	Dir      string        // data directory, made when missing; used by SQLite only
	MaxConns int           // 0 means 4 readers beside the one writer (SQLite), 16 in all (PostgreSQL)
	Wait     time.Duration // how long Open tries to reach a PostgreSQL that is away; 0 means 30 s
}

// Store is an open database with every migration applied. It is safe for concurrent use.
type Store struct {
	log      *slog.Logger
	writer   *sql.DB // SQLite: one connection, transactions begin immediate
	reader   *sql.DB // SQLite: several connections, query_only; PostgreSQL: the same as writer
	pool     *pgxpool.Pool
	postgres bool
	titles   *titles
	uploads  *together[*upload]
	changes  *together[*deviceChange]
	often    statements // see askOften
	writes   atomic.Int64
}

// Writes returns how many writing transactions were begun since Open, those included that
// found nothing to write.
func (s *Store) Writes() int64 { return s.writes.Load() }

// Open connects and migrates. With PostgreSQL away it retries for cfg.Wait, logging each
// try; a refusal by the server (wrong password, no such database) ends it at once. The
// error names the database without its password.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: log, titles: newTitles()}
	s.uploads = newTogether(uploadsTogether, s.saveUploads)
	s.changes = newTogether(uploadsTogether, s.changeDevices)
	var err error
	switch {
	case cfg.URL == "":
		err = s.openSQLite(cfg)
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		err = s.openPostgres(ctx, cfg)
	default:
		err = errors.New("want postgres://…, or nothing for SQLite in the data directory")
	}
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", cfg.name(), classify(err))
	}
	if err := s.migrate(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate database %s: %w", cfg.name(), classify(err)), s.Close())
	}
	return s, nil
}

// name is what to call the database in an error or a log line: never with a password.
func (c Config) name() string {
	if c.URL == "" {
		return filepath.Join(c.Dir, sqliteFile)
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return "with a URL that cannot be read"
	}
	u.RawQuery = ""
	return u.Redacted()
}

const sqliteFile = "handrail.db"

func (s *Store) openSQLite(cfg Config) error {
	if cfg.Dir == "" {
		return errors.New("no data directory given")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(cfg.Dir, sqliteFile)
	// The file is made here so that its permissions never depend on the umask.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	readers := cfg.MaxConns
	if readers <= 0 {
		readers = 4
	}
	if s.writer, err = sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate")); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	s.writer.SetConnMaxIdleTime(0)
	if s.reader, err = sql.Open("sqlite", sqliteDSN(path, "_pragma=query_only(1)")); err != nil {
		return errors.Join(err, s.writer.Close())
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	return nil
}

func sqliteDSN(path, more string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)" + // ms; a backup tool may hold the file for a moment
		"&_pragma=journal_mode(WAL)" + // readers go on while the writer writes
		"&_pragma=synchronous(FULL)" + // a commit survives the power going: an agent is told it is enrolled only once
		"&_pragma=wal_autocheckpoint(8000)" + // pages, 32 MB: what is written again and again is moved into the file once
		"&_pragma=foreign_keys(1)" +
		"&_pragma=cache_size(-8000)" + // KiB per connection
		"&" + more
}

func (s *Store) openPostgres(ctx context.Context, cfg Config) error {
	s.postgres = true
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return errors.New("the URL cannot be read") // pgx would repeat it, password and all
	}
	pc.MaxConns = int32(min(max(cfg.MaxConns, 0), 1000))
	if pc.MaxConns == 0 {
		pc.MaxConns = 16
	}
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pc.ConnConfig.RuntimeParams["application_name"] = "handrail-gateway"
	if s.pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return err
	}
	s.writer = stdlib.OpenDBFromPool(s.pool)
	s.reader = s.writer
	wait := cfg.Wait
	if wait == 0 {
		wait = 30 * time.Second
	}
	if err := s.awaitPostgres(ctx, cfg.name(), wait); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// awaitPostgres pings until the server answers, refuses for a reason of its own, or wait is over.
func (s *Store) awaitPostgres(ctx context.Context, name string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	pause := 250 * time.Millisecond
	for {
		err := s.pool.Ping(ctx)
		if err == nil || !isAway(err) {
			return err
		}
		if ctx.Err() == nil {
			s.log.Warn("database_away", "database", name, "retry_ms", pause.Milliseconds(), "error", err)
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
		pause = min(2*pause, 4*time.Second)
	}
}

// Close releases every connection. Calls after it fail.
func (s *Store) Close() error {
	var errs []error
	if s.reader != nil && s.reader != s.writer {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers; for /readyz.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return classify(s.reader.QueryRowContext(ctx, "SELECT 1").Scan(&one))
}
