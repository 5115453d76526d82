package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"handrail/mdm"
)

// TestDiskFull fills a SQLite file to a limit it may not pass: the write fails whole, what
// was there stays, and with room again the same write goes through.
func TestDiskFull(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	limit := func(pages int) {
		if _, err := s.writer.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	put := func() error {
		return s.write(t.Context(), func(tx *sql.Tx) error {
			for n := range 50 {
				if _, err := tx.ExecContext(t.Context(), putSetting, fmt.Sprint("k", n), strings.Repeat("x", 10_000)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := s.PutSetting(t.Context(), "before", "kept"); err != nil {
		t.Fatal(err)
	}
	limit(1) // as small as the file is now
	if err := put(); !errors.Is(err, mdm.ErrFull) {
		t.Fatalf("write to a full disk = %v, want ErrFull", err)
	}
	if v, err := s.Setting(t.Context(), "before"); v != "kept" || err != nil {
		t.Errorf("Setting after a full disk = %q, %v", v, err)
	}
	if _, err := s.Setting(t.Context(), "k0"); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("half a transaction stayed: %v", err)
	}
	limit(1 << 30)
	if err := put(); err != nil {
		t.Errorf("write with room again: %v", err)
	}
}

func TestOpenRefusals(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, []byte("not a database, but long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	junk := t.TempDir()
	if err := os.WriteFile(junk+"/"+sqliteFile, []byte(strings.Repeat("junk", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"nothing":        {},
		"mysql":          {URL: "mysql://root:hunter2@localhost/x"},
		"a bad URL":      {URL: "postgres://u:hunter2@%zz/x"},
		"a file as dir":  {Dir: file},
		"not a database": {Dir: junk},
	} {
		s, err := Open(t.Context(), cfg, nil)
		if err == nil {
			s.Close()
			t.Errorf("Open of %s succeeded", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open of %s tells the password: %v", name, err)
		}
	}
}

// TestAwayAtStart: a database that is away is waited for, with lines in the log, and then
// given up with an error that names it.
func TestAwayAtStart(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s, err := Open(t.Context(), Config{URL: "postgres://handrail:hunter2@" + address + "/handrail", Wait: 600 * time.Millisecond},
		slog.New(slog.NewTextHandler(&log, nil)))
	if err == nil {
		s.Close()
		t.Fatal("Open succeeded")
	}
	if !errors.Is(err, mdm.ErrUnavailable) || !strings.Contains(err.Error(), address) {
		t.Errorf("error = %v", err)
	}
	if !strings.Contains(log.String(), "database_away") {
		t.Errorf("log = %q", log.String())
	}
	if strings.Contains(err.Error()+log.String(), "hunter2") {
		t.Error("the password is told")
	}
}

func TestClassify(t *testing.T) {
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		if got := classify(err); !errors.Is(got, err) {
			t.Errorf("classify(%v) = %v", err, got)
		}
	}
	if classify(nil) != nil {
		t.Error("classify(nil) is an error")
	}
}
