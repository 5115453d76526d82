package store

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/secret"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

var policyDevices = flag.Int("policies.devices", 0, "measure how long a policy change takes to reach so many devices' rows")

// TestPolicyFigures measures the resolver over a fleet: 60 policies with 800 settings in all,
// one of them edited. With HANDRAIL_BENCH_DATABASE set, on that (empty) PostgreSQL too.
func TestPolicyFigures(t *testing.T) {
	n := *policyDevices
	if n == 0 {
		n = 2000 // small, as a test that nothing but what changes is written
	}
	for suffix, cfg := range map[string]Config{"sqlite": {Dir: t.TempDir()}, "pg": {URL: os.Getenv("HANDRAIL_BENCH_DATABASE")}} {
		if suffix == "pg" && cfg.URL == "" {
			continue
		}
		t.Run(suffix, func(t *testing.T) {
			s, err := Open(t.Context(), cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			resolveFleet(t, s, n, suffix)
		})
	}
}

func resolveFleet(t *testing.T, s *Store, n int, suffix string) {
	t.Helper()
	ctx := t.Context()
	key := secret.New()
	policies := policy.New(s, policy.Standard(), key)
	engine, err := desire.New(desire.Config{
		Store: s, Policies: policies, Sealer: key, Key: key.Derive("desire"), Online: func() map[mdm.DeviceID]bool { return nil },
		Nudge: func(mdm.DeviceID, int64, string) {},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	groups := fillFleet(t, s, n)
	by := policy.Actor{ID: "opr_a", At: time.Now().UTC()}
	file := func(p, i int, text string) policy.Setting {
		id := manifest.ID(fmt.Sprintf("file.content/p%d-%d", p, i))
		return policy.Setting{ID: id, Value: json.RawMessage(fmt.Sprintf(`{"path":"/etc/handrail-test/%d-%d","content":%q}`, p, i, text))}
	}
	var ids []policy.ID
	for p := range 60 {
		var settings []policy.Setting
		for i := range 13 + min(p, 20)/20 {
			settings = append(settings, file(p, i, "as it was"))
		}
		made, err := policies.Create(ctx, fmt.Sprint("policy ", p), "", settings, by)
		to := policy.Scope{Groups: []mdm.GroupID{mdm.RootGroup}}
		if p%2 == 1 {
			to = policy.Scope{Groups: groups[p%10 : p%10+1]}
		}
		if err == nil {
			_, err = policies.Assign(ctx, made.ID, 0, []policy.Assignment{{Include: to, Priority: p}}, by)
		}
		if err == nil {
			_, _, err = policies.Publish(ctx, made.ID, 0, "", true, by)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, made.ID)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = engine.Run(run)
	}()
	defer func() {
		stop()
		<-done
	}()
	settle := func() time.Duration {
		t.Helper()
		began := time.Now()
		engine.Wake()
		for {
			busy, err := s.HasWork(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !busy {
				return time.Since(began)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	t.Logf("first resolution of %d devices: %v", n, settle())
	edit := func(p int, text string) (time.Duration, int64) {
		t.Helper()
		if _, err := policies.SaveDraft(ctx, ids[p], 0, []policy.Setting{file(p, 0, text)}, by); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		if _, _, err := policies.Publish(ctx, ids[p], 0, "", true, by); err != nil {
			t.Fatal(err)
		}
		took := settle()
		var changed int64
		if err := s.reader.QueryRowContext(ctx, "SELECT count(*) FROM desired WHERE changed_us >= $1", micros(at)).Scan(&changed); err != nil {
			t.Fatal(err)
		}
		return took, changed
	}
	all, changed := edit(0, "another")
	if changed != int64(n) {
		t.Errorf("an edit for all devices wrote %d of %d", changed, n)
	}
	tenth, changed := edit(1, "another")
	if changed != int64(n/10) {
		t.Errorf("an edit for a tenth wrote %d of %d", changed, n)
	}
	none, changed := edit(0, "another")
	if changed != 0 {
		t.Errorf("a version that changes nothing wrote %d rows", changed)
	}
	t.Logf("%d devices: all change %v, a tenth %v, none %v", n, all, tenth, none)
	if *policyDevices > 0 {
		figure(t, "resolve_fleet_s_"+suffix, all.Seconds(), all.Seconds(), 1)
	}
}
