// Package sessiontest is what every session.Store must pass. Only tests import it.
package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/signaling"
)

// at is a time as stores keep it: to the microsecond, UTC.
func at(seconds int) time.Time {
	return time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// example is a session with every field set, asked for at the given second.
func example(d mdm.DeviceID, g mdm.GroupID, second int) session.Session {
	return session.Session{
		ID: signaling.NewSessionID(), Device: d, DeviceName: "desk <1>", Group: g, Operator: "opr_1", OperatorName: "Zoë",
		Shown: signaling.Operator{Name: "Zoë", Email: "zoe@example.test", Role: "Technician"}, Reason: "it's on fire",
		Asked: signaling.SetOf(signaling.View, signaling.Control), Consent: signaling.ConsentAsk, State: signaling.StateRequested,
		RequestedAt: at(second), Deadline: at(second + 60), Window: 15 * time.Minute,
	}
}

// RunStore runs the suite on an empty store.
func RunStore(t *testing.T, s session.Store) {
	t.Run("Change", func(t *testing.T) { testChange(t, s) })
	t.Run("Limit", func(t *testing.T) { testLimit(t, s) })
	t.Run("OnceEach", func(t *testing.T) { testOnceEach(t, s) })
	t.Run("List", func(t *testing.T) { testList(t, s) })
	t.Run("Peers", func(t *testing.T) { testPeers(t, s) })
	t.Run("InLine", func(t *testing.T) { testInLine(t, s) })
}

func create(t *testing.T, s session.Store, one session.Session) session.Session {
	t.Helper()
	first := session.Entry{At: one.RequestedAt, Kind: session.KindRequested, Actor: one.OperatorName}
	if err := s.CreateSession(t.Context(), one, first, 100); err != nil {
		t.Fatalf("CreateSession = %v", err)
	}
	return one
}

func testChange(t *testing.T, s session.Store) {
	ctx := t.Context()
	one := create(t, s, example("dev_change", "grp_change", 0))
	if got, err := s.SupportSession(ctx, one.ID); err != nil || !cmp.Equal(got, one) {
		t.Errorf("SupportSession = %v, %s", err, cmp.Diff(one, got))
	}
	want := one
	want.State, want.Granted, want.ConsentedAt, want.LiveAt = signaling.StateLive, signaling.SetOf(signaling.View), at(1), at(2)
	want.EndedAt, want.Deadline, want.LostAt, want.EndedBy, want.Message = at(3), time.Time{}, at(4), "mia", "enough"
	want.Asked |= signaling.SetOf(signaling.Files)
	got, err := s.ChangeSession(ctx, one.ID, func(have *session.Session) ([]session.Entry, error) {
		if !cmp.Equal(*have, one) {
			t.Errorf("changing %s", cmp.Diff(one, *have))
		}
		*have = want
		return []session.Entry{{At: at(1), Kind: "a", Actor: "mia", Detail: "d"}, {At: at(2), Kind: "b", Peer: "peer_1", AgentSeq: 1}}, nil
	})
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("ChangeSession = %v, %s", err, cmp.Diff(want, got))
	}
	if got, err := s.SupportSession(ctx, one.ID); err != nil || !cmp.Equal(got, want) {
		t.Errorf("afterwards: %v, %s", err, cmp.Diff(want, got))
	}
	refused := errors.New("refused")
	_, err = s.ChangeSession(ctx, one.ID, func(have *session.Session) ([]session.Entry, error) {
		have.Message = "not stored"
		return []session.Entry{{At: at(5), Kind: "not stored"}}, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("ChangeSession = %v, want the error of change", err)
	}
	line, err := s.SessionEntries(ctx, one.ID)
	wantLine := []session.Entry{
		{Seq: 1, At: at(0), Kind: session.KindRequested, Actor: "Zoë"},
		{Seq: 2, At: at(1), Kind: "a", Actor: "mia", Detail: "d"},
		{Seq: 3, At: at(2), Kind: "b", Peer: "peer_1", AgentSeq: 1},
	}
	if err != nil || !cmp.Equal(line, wantLine) {
		t.Errorf("SessionEntries = %v, %s", err, cmp.Diff(wantLine, line))
	}
	if got, err := s.SupportSession(ctx, one.ID); err != nil || got.Message != "enough" {
		t.Errorf("a refused change was stored: %+v, %v", got, err)
	}
	if _, err := s.SupportSession(ctx, "ses_none"); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("SupportSession(none) = %v, want ErrNotFound", err)
	}
	nothing := func(*session.Session) ([]session.Entry, error) { return nil, nil }
	if _, err := s.ChangeSession(ctx, "ses_none", nothing); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("ChangeSession(none) = %v, want ErrNotFound", err)
	}
}

func testLimit(t *testing.T, s session.Store) {
	ctx := t.Context()
	a := create(t, s, example("dev_limit", "grp_limit", 0))
	if err := s.CreateSession(ctx, example("dev_limit", "grp_limit", 1), session.Entry{At: at(1), Kind: "x"}, 1); !errors.Is(err, session.ErrTooMany) {
		t.Errorf("CreateSession over the limit = %v, want ErrTooMany", err)
	}
	end(t, s, a.ID)
	if err := s.CreateSession(ctx, example("dev_limit", "grp_limit", 2), session.Entry{At: at(2), Kind: "x"}, 1); err != nil {
		t.Errorf("CreateSession after the first ended = %v", err)
	}
}

func end(t *testing.T, s session.Store, id signaling.SessionID) {
	t.Helper()
	_, err := s.ChangeSession(t.Context(), id, func(one *session.Session) ([]session.Entry, error) {
		one.State = signaling.StateEnded
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testOnceEach(t *testing.T, s session.Store) {
	one := create(t, s, example("dev_once", "grp_once", 0))
	for range 3 {
		_, err := s.ChangeSession(t.Context(), one.ID, func(*session.Session) ([]session.Entry, error) {
			return []session.Entry{{At: at(1), Kind: "gateway's"}, {At: at(1), Kind: "agent's", AgentSeq: 5}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	line, err := s.SessionEntries(t.Context(), one.ID)
	if err != nil || len(line) != 1+3+1 {
		t.Errorf("SessionEntries = %+v, %v, want the agent's once", line, err)
	}
}

func testList(t *testing.T, s session.Store) {
	ctx := t.Context()
	var all []signaling.SessionID
	for i := range 7 { // newest first in all
		one := example("dev_list", mdm.GroupID(fmt.Sprint("grp_list", i%2)), i/2*2) // pairs at the same time
		one.Operator = auth.OperatorID(fmt.Sprint("opr_", i%3))
		create(t, s, one)
		all = append([]signaling.SessionID{one.ID}, all...)
		if i < 3 {
			end(t, s, one.ID)
		}
	}
	f := session.Filter{Device: "dev_list", AllGroups: true, Limit: 3}
	seen := map[signaling.SessionID]bool{}
	last := time.Now().AddDate(100, 0, 0)
	for {
		page, next, err := s.SupportSessions(ctx, f)
		if err != nil || len(page) > 3 {
			t.Fatalf("SupportSessions = %d sessions, %v", len(page), err)
		}
		for _, one := range page {
			if seen[one.ID] || one.RequestedAt.After(last) {
				t.Errorf("%s at %v twice or out of order", one.ID, one.RequestedAt)
			}
			seen[one.ID], last = true, one.RequestedAt
		}
		if f.After = next; next == "" {
			break
		}
	}
	if len(seen) != len(all) {
		t.Errorf("paging saw %d sessions, want %d", len(seen), len(all))
	}
	for _, tt := range []struct {
		name string
		f    session.Filter
		want int
	}{
		{"group", session.Filter{Groups: []mdm.GroupID{"grp_list0"}}, 4},
		{"two groups", session.Filter{Groups: []mdm.GroupID{"grp_list0", "grp_list1"}}, 7},
		{"operator", session.Filter{Device: "dev_list", AllGroups: true, Operator: "opr_1"}, 2},
		{"state", session.Filter{Device: "dev_list", AllGroups: true, States: []signaling.State{signaling.StateEnded, signaling.StateFailed}}, 3},
		{"other device", session.Filter{Device: "dev_other", AllGroups: true}, 0},
	} {
		tt.f.Limit = 50
		if page, next, err := s.SupportSessions(ctx, tt.f); err != nil || len(page) != tt.want || next != "" {
			t.Errorf("%s: %d sessions, next %q, %v; want %d", tt.name, len(page), next, err, tt.want)
		}
	}
	if _, _, err := s.SupportSessions(ctx, session.Filter{AllGroups: true, After: "nonsense", Limit: 1}); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("a damaged cursor = %v, want ErrInvalid", err)
	}
	open, err := s.OpenSessions(ctx, "dev_list")
	if err != nil || len(open) != 4 {
		t.Errorf("OpenSessions = %d, %v, want 4", len(open), err)
	}
	everywhere, err := s.OpenSessions(ctx, "")
	if err != nil || len(everywhere) < 4 {
		t.Errorf("OpenSessions of all = %d, %v", len(everywhere), err)
	}
	if c, err := s.CountSessions(ctx, []mdm.GroupID{"grp_list0", "grp_list1"}, false); err != nil || c.Waiting != 4 || c.Live != 0 {
		t.Errorf("CountSessions = %+v, %v", c, err)
	}
}

func testPeers(t *testing.T, s session.Store) {
	ctx := t.Context()
	one := create(t, s, example("dev_peers", "grp_peers", 0))
	p := session.Peer{ID: signaling.NewPeerID(), Session: one.ID, Operator: "opr_9", Name: "Noor", MadeAt: at(1)}
	if err := s.AddSessionPeer(ctx, p); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SessionPeer(ctx, p.ID); err != nil || !cmp.Equal(got, p) {
		t.Errorf("SessionPeer = %v, %s", err, cmp.Diff(p, got))
	}
	if _, err := s.SessionPeer(ctx, "peer_none"); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("SessionPeer(none) = %v, want ErrNotFound", err)
	}
	_, err := s.ChangeSession(ctx, one.ID, func(*session.Session) ([]session.Entry, error) {
		return []session.Entry{{At: at(2), Kind: "viewer_joined", Peer: p.ID, AgentSeq: 1}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	line, err := s.SessionEntries(ctx, one.ID)
	if err != nil || line[len(line)-1].Actor != "Noor" {
		t.Errorf("SessionEntries = %+v, %v, want the viewer's name", line, err)
	}
}

// testInLine has many change one session at once: none may be lost.
func testInLine(t *testing.T, s session.Store) {
	one := create(t, s, example("dev_line", "grp_line", 0))
	const n = 20
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			_, err := s.ChangeSession(context.Background(), one.ID, func(have *session.Session) ([]session.Entry, error) {
				have.Message += "x"
				return []session.Entry{{At: at(1), Kind: "x"}}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.SupportSession(t.Context(), one.ID)
	if err != nil || len(got.Message) != n {
		t.Errorf("%d changes left %q, %v", n, got.Message, err)
	}
}
