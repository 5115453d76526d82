package store_test

import (
	"testing"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm/mdmtest"
)

// TestPurge removes what has expired, and writes nothing when nothing has: a gateway at rest
// leaves its database alone.
func TestPurge(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		ctx := t.Context()
		now := mdmtest.Start
		ada := auth.Account{Operator: auth.Operator{ID: "opr_ada", Name: "Ada", Email: "ada@example.com", Revision: 1, CreatedAt: now}}
		if _, err := s.SetUp(ctx, ada, nil); err != nil {
			t.Fatal(err)
		}
		for hash, expires := range map[string]time.Time{"old": now.Add(-time.Hour), "new": now.Add(time.Hour)} {
			in := auth.SignIn{Hash: hash, Operator: ada.ID, CreatedAt: now.Add(-2 * time.Hour), SeenAt: now, ExpiresAt: expires}
			if err := s.CreateSignIn(ctx, in); err != nil {
				t.Fatal(err)
			}
			if err := s.CreateTicket(ctx, hash, hash, expires); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.PurgeSignIns(ctx, now); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"socket_tickets", "sign_ins"} {
			if n := store.CountRows(t, s, table); n != 1 {
				t.Errorf("%d %s are left, want the one that has not expired", n, table)
			}
		}
		before := s.Writes()
		if err := s.PurgeSignIns(ctx, now); err != nil {
			t.Fatal(err)
		}
		if err := s.PurgeAPITokens(ctx, now); err != nil {
			t.Fatal(err)
		}
		if n, err := s.PruneCommands(ctx, now, now, 100); err != nil || n != 0 {
			t.Fatalf("pruned %d commands of none: %v", n, err)
		}
		if n := s.Writes() - before; n != 0 {
			t.Errorf("%d writes with nothing to remove", n)
		}
	})
}
