package store_test

import (
	"testing"

	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm/mdmtest"
)

func TestPolicies(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		mdmtest.RunPolicyStore(t, func(t *testing.T) mdmtest.PolicyStore { t.Helper(); return storetest.Open(t) })
	})
	if storetest.HasPostgres() {
		t.Run("postgres", func(t *testing.T) {
			mdmtest.RunPolicyStore(t, func(t *testing.T) mdmtest.PolicyStore { t.Helper(); return storetest.OpenPostgres(t) })
		})
	}
}

var _ mdmtest.PolicyStore = (*store.Store)(nil)
