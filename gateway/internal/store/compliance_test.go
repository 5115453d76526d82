package store_test

import (
	"testing"

	"handrail/gateway/internal/store/storetest"
	"handrail/mdm/mdmtest"
)

func TestCompliance(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		mdmtest.RunComplianceStore(t, func(t *testing.T) mdmtest.ComplianceStore { t.Helper(); return storetest.Open(t) })
	})
	if storetest.HasPostgres() {
		t.Run("postgres", func(t *testing.T) {
			mdmtest.RunComplianceStore(t, func(t *testing.T) mdmtest.ComplianceStore { t.Helper(); return storetest.OpenPostgres(t) })
		})
	}
}
