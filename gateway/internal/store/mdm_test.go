package store_test

import (
	"testing"

	"handrail/gateway/internal/store/storetest"
	"handrail/mdm/mdmtest"
)

func TestManagement(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		mdmtest.Run(t, func(t *testing.T) mdmtest.Store { t.Helper(); return storetest.Open(t) })
	})
	if storetest.HasPostgres() {
		t.Run("postgres", func(t *testing.T) {
			mdmtest.Run(t, func(t *testing.T) mdmtest.Store { t.Helper(); return storetest.OpenPostgres(t) })
		})
	}
}
