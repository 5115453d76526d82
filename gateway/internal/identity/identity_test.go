package identity_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"testing"

	"handrail/gateway/internal/identity"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/signaling"
)

func TestNodesShareOneIdentity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		key := secret.New()
		keys := make([]string, 4)
		var wg sync.WaitGroup
		for n := range keys {
			wg.Go(func() {
				i, err := identity.Load(t.Context(), s, key)
				if err != nil {
					t.Error(err)
					return
				}
				keys[n] = string(i.Key()) + string(i.NextKey())
			})
		}
		wg.Wait()
		for _, k := range keys {
			if k != keys[0] {
				t.Error("two nodes that start at once differ")
			}
		}
		if _, err := identity.Load(t.Context(), s, secret.New()); !errors.Is(err, secret.ErrSealBroken) {
			t.Errorf("with another secret key: %v, want ErrSealBroken", err)
		}
		sealed, err := s.Setting(t.Context(), "identity")
		if err != nil || !strings.HasPrefix(sealed, "v1.") {
			t.Errorf("kept as %.10q, %v", sealed, err)
		}
	})
}

func TestRotate(t *testing.T) {
	s, key := storetest.Open(t), secret.New()
	old, err := identity.Load(t.Context(), s, key)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(ed25519.PublicKey(old.Key()), signaling.NextKeyTranscript(old.Key(), old.NextKey()), old.NextSignature()) {
		t.Error("the announcement of the next key does not verify")
	}
	next, err := identity.Rotate(t.Context(), s, key)
	if err != nil {
		t.Fatal(err)
	}
	if string(next.Key()) != string(old.NextKey()) || string(next.NextKey()) == string(old.NextKey()) {
		t.Error("after a rotation the next key is not the current one")
	}
	if !ed25519.Verify(ed25519.PublicKey(next.Key()), []byte("x"), next.Sign([]byte("x"))) {
		t.Error("signature does not verify")
	}
}
