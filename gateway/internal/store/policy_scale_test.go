package store

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
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
		n = 600 // small, as a test that nothing but what changes is written
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

func fileSetting(p, i int, text string) policy.Setting {
	return policy.Setting{
		ID:    manifest.ID(fmt.Sprintf("file.content/p%d-%d", p, i)),
		Value: json.RawMessage(fmt.Sprintf(`{"path":"/etc/handrail-test/%d-%d","content":%q}`, p, i, text)),
	}
}

// startEngine runs a node that resolves; nobody is online.
func startEngine(t *testing.T, s *Store) (*desire.Engine, *policy.Registry, func()) {
	t.Helper()
	key := secret.New()
	policies := policy.New(s, policy.Standard(), key)
	engine, err := desire.New(desire.Config{
		Store: s, Policies: policies, Sealer: key, Key: key.Derive("desire"), Online: func() map[mdm.DeviceID]bool { return nil },
		Nudge: func(mdm.DeviceID, int64, string) {},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = engine.Run(ctx)
	}()
	return engine, policies, func() {
		stop()
		<-done
	}
}

// settle waits until nothing is left to resolve, and returns how long that took.
func settle(t *testing.T, s *Store, engine *desire.Engine) time.Duration {
	t.Helper()
	began := time.Now()
	engine.Wake()
	for {
		busy, err := s.HasWork(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !busy {
			return time.Since(began)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func resolveFleet(t *testing.T, s *Store, n int, suffix string) {
	t.Helper()
	ctx := t.Context()
	groups := fillFleet(t, s, n)
	engine, policies, stop := startEngine(t, s)
	defer stop()
	by := policy.Actor{ID: "opr_a", At: time.Now().UTC()}
	var ids []policy.ID
	for p := range 60 {
		var settings []policy.Setting
		for i := range 13 + min(p, 20)/20 {
			settings = append(settings, fileSetting(p, i, "as it was"))
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
	t.Logf("first resolution of %d devices: %v", n, settle(t, s, engine))
	edit := func(p int, text string) (time.Duration, int64) {
		t.Helper()
		if _, err := policies.SaveDraft(ctx, ids[p], 0, []policy.Setting{fileSetting(p, 0, text)}, by); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		if _, _, err := policies.Publish(ctx, ids[p], 0, "", true, by); err != nil {
			t.Fatal(err)
		}
		took := settle(t, s, engine)
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

// TestReportFigures lets up to 10,000 devices fetch a manifest of ten settings and report on
// it at once: the gateway's part of a policy change.
func TestReportFigures(t *testing.T) {
	n := min(max(*policyDevices, 500), 10_000)
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
			reports(t, s, n)
		})
	}
}

func reports(t *testing.T, s *Store, n int) {
	t.Helper()
	ctx := t.Context()
	fillFleet(t, s, n)
	engine, policies, stop := startEngine(t, s)
	defer stop()
	by := policy.Actor{ID: "opr_a", At: time.Now().UTC()}
	var settings []policy.Setting
	for i := range 10 {
		settings = append(settings, fileSetting(0, i, "text"))
	}
	p, err := policies.Create(ctx, "all", "", settings, by)
	if err == nil {
		_, err = policies.Assign(ctx, p.ID, 0, []policy.Assignment{{Include: policy.Scope{Groups: []mdm.GroupID{mdm.RootGroup}}}}, by)
	}
	if err == nil {
		_, _, err = policies.Publish(ctx, p.ID, 0, "", true, by)
	}
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, engine)
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id FROM desired ORDER BY device_id")
	ids, err := collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
		var id mdm.DeviceID
		return id, row.Scan(&id)
	})
	if err != nil || len(ids) != n {
		t.Fatalf("%d devices are resolved: %v", len(ids), err)
	}
	began := time.Now()
	next := make(chan mdm.DeviceID)
	var devices sync.WaitGroup
	for range 100 {
		devices.Go(func() {
			for id := range next {
				report(t, engine, id)
			}
		})
	}
	for _, id := range ids {
		next <- id
	}
	close(next)
	devices.Wait()
	t.Logf("%d devices fetched and reported in %v", n, time.Since(began))
	began = time.Now()
	counts, err := engine.PolicyCounts(ctx, desire.Viewer{All: true})
	if err != nil || counts[p.ID] != (desire.Counts{Devices: int64(n), Applied: int64(n)}) {
		t.Errorf("counted %+v: %v", counts, err)
	}
	t.Logf("the policy counted on %d devices in %v", n, time.Since(began))
}

// report fetches what a device must be and says that it is.
func report(t *testing.T, engine *desire.Engine, id mdm.DeviceID) {
	t.Helper()
	m, err := engine.Manifest(t.Context(), id)
	if err != nil {
		t.Error(err)
		return
	}
	r := manifest.Report{Generation: m.Generation, Hash: m.Hash, Full: true}
	for _, one := range m.Settings {
		r.Statuses = append(r.Statuses, manifest.Status{ID: one.ID, State: manifest.Applied, Source: one.Source, Observed: json.RawMessage(`{"path":"/etc/x"}`)})
	}
	if err := engine.Report(t.Context(), id, r); err != nil {
		t.Error(err)
	}
}
