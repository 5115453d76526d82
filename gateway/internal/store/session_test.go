package store_test

import (
	"testing"

	"handrail/gateway/internal/session/sessiontest"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

func TestSessionStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) { sessiontest.RunStore(t, s) })
}
