package store_test

import (
	"errors"
	"sync"
	"testing"

	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

func TestOpenTwice(t *testing.T) {
	cfg := store.Config{Dir: t.TempDir()}
	for range 2 {
		s, err := store.Open(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestNodesStartAtOnce: several gateways, or a gateway and its command line, open one empty
// database at the same moment; one migrates, all come up.
func TestNodesStartAtOnce(t *testing.T) {
	dbs := map[string]store.Config{"sqlite": {Dir: t.TempDir()}}
	if storetest.HasPostgres() {
		dbs["postgres"] = store.Config{URL: storetest.Postgres(t), MaxConns: 3}
	}
	for name, cfg := range dbs {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					s, err := store.Open(t.Context(), cfg, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if err := errors.Join(s.PutSetting(t.Context(), "x", "y"), s.Close()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}
