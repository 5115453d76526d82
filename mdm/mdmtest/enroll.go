package mdmtest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
)

// RunEnrollStore is the suite of enroll.Store.
func RunEnrollStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	t.Run("refusals", func(t *testing.T) { enrollRefusals(t, open(t)) })
	t.Run("same hardware", func(t *testing.T) { enrollAgain(t, open(t)) })
	t.Run("uses are counted at once", func(t *testing.T) { enrollRace(t, open(t)) })
	t.Run("same hardware at once", func(t *testing.T) { enrollTwin(t, open(t)) })
	t.Run("list", func(t *testing.T) { enrollList(t, open(t)) })
}

func enrollRefusals(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), enroll.New(s)
	newToken := func(w enroll.Wanted) (enroll.Token, string) {
		t.Helper()
		w.Group = mdm.RootGroup
		tok, text, err := r.Create(ctx, w, Start)
		if err != nil {
			t.Fatal(err)
		}
		return tok, text
	}
	_, old := newToken(enroll.Wanted{TTL: time.Minute})
	revoked, gone := newToken(enroll.Wanted{})
	if err := r.Revoke(ctx, revoked.ID, Start); err != nil {
		t.Fatal(err)
	}
	_, once := newToken(enroll.Wanted{Uses: 1})
	if _, _, err := r.Redeem(ctx, once, Machine(1), Start); err != nil {
		t.Fatal(err)
	}
	late := Start.Add(time.Minute) // the first moment at which it is too old
	for _, tt := range []struct {
		what, token string
		want        error
	}{
		{"unknown", "het_" + "00000000000000000000000000000000", enroll.ErrTokenUnknown},
		{"malformed", "x", enroll.ErrTokenUnknown},
		{"empty", "", enroll.ErrTokenUnknown},
		{"expired", old, enroll.ErrTokenExpired},
		{"revoked", gone, enroll.ErrTokenRevoked},
		{"spent", once, enroll.ErrTokenSpent},
	} {
		if _, _, err := r.Redeem(ctx, tt.token, Machine(2), late); !errors.Is(err, tt.want) {
			t.Errorf("%s token: %v, want %v", tt.what, err, tt.want)
		}
	}
	if n := must(device.New(s).Count(ctx, nil, true))(t); n != 1 {
		t.Errorf("%d devices after refusals, want 1", n)
	}
	for what, w := range map[string]enroll.Wanted{
		"no such group": {Group: "grp_none"}, "too many uses": {Group: mdm.RootGroup, Uses: enroll.MaxUses + 1},
		"negative uses": {Group: mdm.RootGroup, Uses: -1}, "too long": {Group: mdm.RootGroup, TTL: enroll.MaxTTL + 1},
		"too short": {Group: mdm.RootGroup, TTL: 1},
	} {
		if _, _, err := r.Create(ctx, w, Start); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("token with %s: %v, want ErrInvalid", what, err)
		}
	}
	if err := r.Revoke(ctx, "enr_none", Start); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("revoke nothing: %v, want ErrNotFound", err)
	}
}

func enrollAgain(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), enroll.New(s)
	tok, text, err := r.Create(ctx, enroll.Wanted{Group: mdm.RootGroup, Uses: 3}, Start)
	if err != nil {
		t.Fatal(err)
	}
	redeem := func(m enroll.Machine, want enroll.Outcome) enroll.Enrolled {
		t.Helper()
		e, out, err := r.Redeem(ctx, text, m, Start.Add(time.Hour))
		if err != nil || out != want {
			t.Fatalf("redeem = %v, %v, want outcome %v", out, err, want)
		}
		return e
	}
	m := Machine(1)
	first := redeem(m, enroll.Created)
	redeem(m, enroll.Repeated) // the answer was lost
	if got := must(r.Token(ctx, tok.ID))(t); got.UsesSpent != 1 {
		t.Errorf("%d uses spent after a repeated request, want 1", got.UsesSpent)
	}
	m.PublicKey, m.Hostname = Machine(2).PublicKey, "renamed"
	again := redeem(m, enroll.Returned)
	if again.Device != first.Device || again.Name != "renamed" {
		t.Errorf("same hardware became %s %q, want %s renamed", again.Device, again.Name, first.Device)
	}
	d := must(device.New(s).Device(ctx, first.Device))(t)
	if !d.PublicKey.Equal(m.PublicKey) || d.TokenID != tok.ID {
		t.Error("the new key was not stored")
	}
	name := "Reception"
	must(device.New(s).Update(ctx, d.ID, device.Change{Name: &name}))(t)
	m.PublicKey = Machine(3).PublicKey
	if kept := redeem(m, enroll.Returned); kept.Name != name {
		t.Errorf("name after enrolling again = %q, want %q", kept.Name, name)
	}
	must(device.New(s).Revoke(ctx, d.ID, Start))(t)
	_, text, err = r.Create(ctx, enroll.Wanted{Group: mdm.RootGroup}, Start)
	if err != nil {
		t.Fatal(err)
	}
	if fresh := redeem(m, enroll.Created); fresh.Device == first.Device {
		t.Error("a revoked device came back")
	}
}

func enrollRace(t *testing.T, s Store) {
	t.Helper()
	const uses, machines = 3, 12
	ctx, r := t.Context(), enroll.New(s)
	_, text, err := r.Create(ctx, enroll.Wanted{Group: mdm.RootGroup, Uses: uses}, Start)
	if err != nil {
		t.Fatal(err)
	}
	var ok, spent atomic.Int64
	var wg sync.WaitGroup
	for n := range machines {
		wg.Go(func() {
			switch _, _, err := r.Redeem(ctx, text, Machine(n), Start); {
			case err == nil:
				ok.Add(1)
			case errors.Is(err, enroll.ErrTokenSpent):
				spent.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := must(device.New(s).Count(ctx, nil, true))(t); ok.Load() != uses || spent.Load() != machines-uses || n != uses {
		t.Errorf("%d enrolled, %d refused, %d devices; want %d, %d, %d", ok.Load(), spent.Load(), n, uses, machines-uses, uses)
	}
}

func enrollTwin(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), enroll.New(s)
	var wg sync.WaitGroup
	for range 4 {
		_, text, err := r.Create(ctx, enroll.Wanted{Group: mdm.RootGroup}, Start)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if _, _, err := r.Redeem(ctx, text, Machine(1), Start); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := must(device.New(s).Count(ctx, nil, true))(t); n != 1 {
		t.Errorf("one machine became %d devices", n)
	}
}

func enrollList(t *testing.T, s Store) {
	t.Helper()
	ctx, r := t.Context(), enroll.New(s)
	a := must(group.New(s).Create(ctx, mdm.RootGroup, "A", nil, Start))(t)
	for n := range 5 {
		g := mdm.RootGroup
		if n%2 == 0 {
			g = a.ID
		}
		if _, _, err := r.Create(ctx, enroll.Wanted{Group: g, Note: "n\x00ote"}, Start.Add(time.Duration(n/2)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	count, after := 0, ""
	for range 5 {
		ts, next, err := r.Tokens(ctx, nil, true, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		count += len(ts)
		if after = next; next == "" {
			break
		}
	}
	if count != 5 {
		t.Errorf("pages hold %d tokens, want 5", count)
	}
	if ts, _, err := r.Tokens(ctx, []mdm.GroupID{a.ID}, false, "", 0); err != nil || len(ts) != 3 || ts[0].Note != "note" {
		t.Errorf("tokens of A = %v, %v", ts, err)
	}
	if _, _, err := r.Tokens(ctx, nil, true, "%", 0); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("bad cursor: %v, want ErrInvalid", err)
	}
}
