package auth_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/signaling"
)

// room is auth over a real store with a clock of the test.
type room struct {
	*auth.Auth
	clock time.Time
}

func newRoom(tb testing.TB, s *store.Store, key secret.Key) *room {
	tb.Helper()
	r := &room{clock: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	a, err := auth.New(auth.Config{Key: key, Now: func() time.Time { return r.clock }}, s, group.New(s).Tree, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	r.Auth = a
	return r
}

func TestAccessTokens(t *testing.T) {
	s, key := storetest.Open(t), secret.New()
	a, node2, stranger := newRoom(t, s, key), newRoom(t, s, key), newRoom(t, s, secret.New())
	token, ttl := a.MintAccess("dev_1")
	if ttl != time.Hour {
		t.Errorf("ttl = %v", ttl)
	}
	if id, err := node2.VerifyAccess(token); id != "dev_1" || err != nil {
		t.Errorf("on another node: %q, %v", id, err)
	}
	if _, err := stranger.VerifyAccess(token); !errors.Is(err, auth.ErrAccess) {
		t.Errorf("with another key: %v", err)
	}
	for i := len("hat1."); i < len(token)-1; i++ { // the last character holds unused bits
		bad := token[:i] + string(token[i]^1) + token[i+1:]
		if _, err := a.VerifyAccess(bad); !errors.Is(err, auth.ErrAccess) {
			t.Errorf("altered at %d: %v", i, err)
		}
	}
	a.clock = a.clock.Add(ttl)
	if _, err := a.VerifyAccess(token); !errors.Is(err, auth.ErrAccess) {
		t.Errorf("after its time: %v", err)
	}
}

func FuzzVerifyAccess(f *testing.F) {
	a := newRoom(f, storetest.Open(f), secret.New())
	token, _ := a.MintAccess("dev_1")
	f.Add(token)
	f.Add("hat1.")
	f.Add(strings.Repeat("A", 5000))
	f.Fuzz(func(t *testing.T, text string) {
		id, err := a.VerifyAccess(text)
		if err == nil && (id != "dev_1" || !strings.HasPrefix(text, "hat1.")) {
			t.Fatalf("VerifyAccess(%q) = %q", text, id)
		}
	})
}

// TestFailuresDoNotTell: unknown address, wrong password and disabled account look alike.
func TestFailuresDoNotTell(t *testing.T) {
	s := storetest.Open(t)
	a := newRoom(t, s, secret.New())
	token, _, err := a.SetupToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, in := range map[string]auth.Setup{
		"a short password":       {Organisation: "O", Name: "A", Email: "a@b.c", Password: "short"},
		"an address as password": {Organisation: "O", Name: "A", Email: "someone@example.org", Password: "Someone@example.org"},
		"no address":             {Organisation: "O", Name: "A", Email: "nobody", Password: "long enough it is"},
		"a name in the address":  {Organisation: "O", Name: "A", Email: "A <a@b.c>", Password: "long enough it is"},
		"no organisation":        {Organisation: " \x00", Name: "A", Email: "a@b.c", Password: "long enough it is"},
		"no name":                {Organisation: "O", Name: "\u202e", Email: "a@b.c", Password: "long enough it is"},
		"a huge password":        {Organisation: "O", Name: "A", Email: "a@b.c", Password: strings.Repeat("ab", 500)},
	} {
		in.Token = token
		if _, _, err := a.SetUp(t.Context(), in, "x", ""); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("setup with %s: %v, want ErrInvalid", what, err)
		}
	}
	if _, _, err := a.SetUp(t.Context(), auth.Setup{Token: token, Organisation: "O", Name: "A", Email: "a@b.c", Password: "long enough it is"}, "x", ""); err != nil {
		t.Fatal(err)
	}
	for _, in := range [][2]string{{"nobody@b.c", "long enough it is"}, {"a@b.c", "long enough it is not"}, {"", ""}, {strings.Repeat("x", 5000), "x"}, {"a@b.c\x00", "x"}} {
		if _, _, err := a.SignIn(t.Context(), in[0], in[1], "x", ""); !errors.Is(err, auth.ErrWrongPassword) {
			t.Errorf("SignIn(%.20q) = %v, want ErrWrongPassword", in[0], err)
		}
	}
	if _, _, err := a.SignIn(t.Context(), "A@B.C", "long enough it is", "x", "browser\x00"); err != nil {
		t.Errorf("the right password: %v", err)
	}
}

func TestBackOffGrowsAndEnds(t *testing.T) {
	a := newRoom(t, storetest.Open(t), secret.New())
	from := 0
	wait := func() time.Duration {
		from++ // many machines, one account
		_, _, err := a.SignIn(t.Context(), "nobody@b.c", "x", fmt.Sprint("10.0.0.", from), "")
		var many *auth.TooManyError
		if errors.As(err, &many) {
			return many.RetryAfter
		}
		return 0
	}
	for n := range 5 {
		if w := wait(); w != 0 {
			t.Fatalf("attempt %d has to wait %v", n, w)
		}
	}
	last := time.Duration(0)
	for range 9 {
		w := wait()
		if w < last || w > time.Minute {
			t.Fatalf("wait %v after %v", w, last)
		}
		last = w
		a.clock = a.clock.Add(w)
		if again := wait(); again != 0 {
			t.Fatalf("still has to wait %v when the time is over", again)
		}
	}
	if last != time.Minute {
		t.Errorf("longest wait %v, want 1m", last)
	}
	a.clock = a.clock.Add(31 * time.Minute)
	for range 5 {
		if w := wait(); w != 0 {
			t.Errorf("after half an hour: wait %v", w)
		}
	}
	for n := range 30 { // one machine, many accounts
		_, _, err := a.SignIn(t.Context(), fmt.Sprintf("%d@b.c", n), "x", "1.2.3.4", "")
		var many *auth.TooManyError
		if errors.As(err, &many) != (n >= 20) {
			t.Errorf("attempt %d from one address: %v", n, err)
		}
	}
	if err := a.EnrollAllowed("1.2.3.4"); err != nil {
		t.Errorf("enrollment suffers from sign-ins: %v", err)
	}
}

func TestCaller(t *testing.T) {
	tree := group.NewTree([]group.Group{
		{ID: mdm.RootGroup, Name: "All"},
		{ID: "grp_a", Parent: mdm.RootGroup, Name: "A"},
		{ID: "grp_b", Parent: "grp_a", Name: "B"},
		{ID: "grp_c", Parent: mdm.RootGroup, Name: "C"},
	})
	c := auth.NewCaller(auth.Operator{Grants: []auth.Grant{{Role: auth.HelpDesk, Group: "grp_a"}, {Role: auth.Technician, Group: "grp_b"}}}, tree)
	for _, tt := range []struct {
		p    auth.Permission
		g    mdm.GroupID
		want bool
	}{
		{auth.SessionView, "grp_a", true},
		{auth.SessionView, "grp_b", true},
		{auth.SessionView, "grp_c", false},
		{auth.SessionView, mdm.RootGroup, false},
		{auth.SessionControl, "grp_a", false},
		{auth.SessionControl, "grp_b", true},
		{auth.SessionView, "grp_none", false},
		{auth.SessionView, "", false},
		{"", "grp_a", false},
		{"no.such", "grp_a", false},
	} {
		if got := c.May(tt.p, tt.g); got != tt.want {
			t.Errorf("May(%s, %s) = %v", tt.p, tt.g, got)
		}
	}
	if got := c.Capabilities("grp_a"); got != signaling.SetOf(signaling.View) {
		t.Errorf("capabilities on A: %v", got.List())
	}
	if !c.Capabilities("grp_b").Has(signaling.Control) || c.Capabilities("grp_c") != 0 {
		t.Error("capabilities on B or C are wrong")
	}
	if c.RoleName("grp_a") != "Help desk" || c.RoleName("grp_b") != "Technician" || c.RoleName("grp_c") != "" {
		t.Error("role names are wrong")
	}
	off := c.Operator
	off.Disabled = true
	if d := auth.NewCaller(off, tree); d.May(auth.SessionView, "grp_a") || d.MayAnywhere(auth.SessionView) || d.Capabilities("grp_a") != 0 {
		t.Error("a disabled operator may something")
	}
	if (auth.Caller{}).MayAnywhere(auth.DeviceView) {
		t.Error("nobody may something")
	}
	if ids, all := c.Groups(auth.SessionView); all || len(ids) != 2 {
		t.Errorf("Groups = %v, %v", ids, all)
	}
}
