package store_test

import (
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
