package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
)

func newLog(s audit.Store) *audit.Log {
	return audit.New(s, time.Now, slog.New(slog.DiscardHandler))
}

func entry(action string) audit.Entry {
	return audit.Entry{
		Actor: audit.Who{Kind: audit.ByOperator, ID: "opr_1", Name: "Ada"}, Action: action,
		Target: audit.Who{Kind: "device", ID: "dev_1", Name: "pc\x00<b>"}, Group: "grp_1", Detail: map[string]string{"a": "1", "b": "2\x1b"},
	}
}

func TestChainUnderConcurrency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		const writers, each = 6, 10
		l := newLog(s)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for n := range each {
					if err := l.Record(t.Context(), entry(fmt.Sprintf("w%d.n%d", w, n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		v, err := l.Verify(t.Context())
		if err != nil || !v.OK() || v.Entries != writers*each {
			t.Errorf("Verify = %+v, %v; want %d entries", v, err, writers*each)
		}
	})
}

func TestEntries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		l := newLog(s)
		for n := range 5 {
			e := entry([]string{"device.enroll", "device.revoke", "devices.odd", "session.end", "device.revoke"}[n])
			if n == 3 {
				e.Group, e.Actor.ID = "", "opr_2"
			}
			if err := l.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			name string
			f    audit.Filter
			want string // of Seq, newest first
		}{
			{"all", audit.Filter{AllGroups: true}, "5 4 3 2 1"},
			{"none", audit.Filter{}, ""},
			{"group", audit.Filter{Groups: []mdm.GroupID{"grp_1", "grp_x"}}, "5 3 2 1"},
			{"action", audit.Filter{AllGroups: true, Action: "device.revoke"}, "5 2"},
			{"actions below", audit.Filter{AllGroups: true, Action: "device."}, "5 2 1"},
			{"actor", audit.Filter{AllGroups: true, Actor: "opr_2"}, "4"},
			{"words", audit.Filter{AllGroups: true, Query: "ADA enroll"}, "1"},
			{"before", audit.Filter{AllGroups: true, Before: 3}, "2 1"},
		} {
			es, _, err := l.Entries(t.Context(), tt.f)
			if err != nil {
				t.Error(err)
			}
			var got []string
			for _, e := range es {
				got = append(got, fmt.Sprint(e.Seq))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
			}
		}
		es, next, err := l.Entries(t.Context(), audit.Filter{AllGroups: true, Limit: 2})
		if err != nil || len(es) != 2 || next != 4 {
			t.Errorf("page = %d entries, next %d, %v", len(es), next, err)
		}
		if es[0].Target.Name != "pc<b>" || es[0].Detail["b"] != "2" {
			t.Errorf("entry = %+v", es[0])
		}
	})
}

// TestVerifyTellsTampering changes the table behind the gateway's back, as somebody with
// the database's password could.
func TestVerifyTellsTampering(t *testing.T) {
	for name, tt := range map[string]struct {
		statement string
		broken    int64
	}{
		"changed":         {"UPDATE audit_entries SET actor_name = 'Eve' WHERE seq = 2", 2},
		"detail changed":  {`UPDATE audit_entries SET detail = '{"a":"1","b":"3"}' WHERE seq = 3`, 3},
		"detail damaged":  {`UPDATE audit_entries SET detail = '{' WHERE seq = 3`, 3},
		"moved in time":   {"UPDATE audit_entries SET at_us = at_us + 1 WHERE seq = 1", 1},
		"removed":         {"DELETE FROM audit_entries WHERE seq = 2", 2},
		"first removed":   {"DELETE FROM audit_entries WHERE seq = 1", 1},
		"last removed":    {"DELETE FROM audit_entries WHERE seq = 4", 4},
		"all removed":     {"DELETE FROM audit_entries", 1},
		"slipped in":      {"INSERT INTO audit_entries SELECT 5, at_us, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, group_id, address, detail, search, hash, hash FROM audit_entries WHERE seq = 4", 5},
		"hash recomputed": {"UPDATE audit_entries SET hash = prev_hash WHERE seq = 2", 2},
	} {
		dir := t.TempDir()
		s, err := store.Open(t.Context(), store.Config{Dir: dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		l := newLog(s)
		for range 4 {
			if err := l.Record(t.Context(), entry("x")); err != nil {
				t.Fatal(err)
			}
		}
		tamper(t, dir, tt.statement)
		v, err := l.Verify(t.Context())
		if err != nil || v.OK() || v.Broken != tt.broken || v.Reason == "" {
			t.Errorf("%s: Verify = %+v, %v; want a break at %d", name, v, err, tt.broken)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func tamper(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", dir+"/handrail.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// failing is a store that cannot append.
type failing struct{ audit.Store }

func (failing) AppendAudit(context.Context, func(int64, string) (audit.Entry, error)) error {
	return mdm.ErrUnavailable
}

func TestNothingIsLostWhenItCannotBeWritten(t *testing.T) {
	var out strings.Builder
	l := audit.New(failing{}, time.Now, slog.New(slog.NewTextHandler(&out, nil)))
	if err := l.Record(t.Context(), entry("device.revoke")); !errors.Is(err, mdm.ErrUnavailable) {
		t.Errorf("Record = %v, want ErrUnavailable", err)
	}
	for _, want := range []string{"audit_not_written", "device.revoke", "opr_1", "dev_1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log lacks %s: %s", want, out.String())
		}
	}
}
