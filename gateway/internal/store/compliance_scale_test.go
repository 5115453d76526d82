package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/internal/baseline"
	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/compliance"
	"handrail/mdm/group"
)

var complianceDevices = flag.Int("compliance.devices", 0, "measure how long the rules take over so many devices")

// TestComplianceFigures measures 60 rules over a fleet: devices nobody has checked; all of them
// again after one rule was added, by the engine that remembers what the others said; and again
// by an engine that remembers nothing, so that every rule is evaluated anew. With HANDRAIL_BENCH_DATABASE set, on that
// (empty) PostgreSQL too.
func TestComplianceFigures(t *testing.T) {
	n := *complianceDevices
	if n == 0 {
		n = 600 // a few batches, as a test that all are checked and only what changes is written
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
			checkFleet(t, s, n, suffix)
		})
	}
}

func checkFleet(t *testing.T, s *Store, n int, suffix string) {
	t.Helper()
	ctx := t.Context()
	fillSections(t, s, n)
	compiler, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	all := baseline.Rules()
	rules := append(all[:36:36], all[len(all)-24:]...) // the costliest, of accounts, among them
	for i := range rules {
		rules[i].Disabled = false
	}
	reg := compliance.New(s, rules, comply.Check(compiler))
	if _, err := reg.Sync(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	newEngine := func() *comply.Engine {
		engine, err := comply.New(comply.Config{
			Store: s, Rules: reg, Compiler: compiler, Tree: group.New(s).Tree,
			Lease: time.Hour, Patience: time.Hour, // none comes back because a machine was slow
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return engine
	}
	engine := newEngine()
	first := drain(t, engine, n)
	t.Logf(`{"name":"compliance_first_%s","value":%.1f,"unit":"s","devices":%d,"rules":%d}`, suffix, first.Seconds(), n, len(rules))
	past := time.Now() // how it was then is asked below, when every device was checked twice more
	sum, err := reg.Summary(ctx, compliance.Scope{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Counts.Devices != int64(n) || sum.Counts.BySeq[sum.Set.Seq] != int64(n) {
		t.Errorf("checked %v of %d devices", sum.Counts.BySeq, n)
	}
	r, _ := sum.Set.Rule("ssh-no-root-login")
	broken := sum.Counts.Rule(r)[compliance.NonCompliant] + sum.Counts.Rule(r)[compliance.InGrace]
	if want := int64(n / 10); broken != want {
		t.Errorf("%d devices let root sign in, want %d", broken, want)
	}
	// A rule of the organisation's own that a tenth breaks: every device is checked again.
	own := compliance.Rule{ID: "own", Title: "Own", Severity: compliance.High, Expression: `inventory.accounts.users.exists(u, u.person && u.changed_day % 10 != 3)`}
	if _, err := reg.Put(ctx, own, 0, "op", time.Now()); err != nil {
		t.Fatal(err)
	}
	added := drain(t, engine, n)
	t.Logf(`{"name":"compliance_new_rule_s_%s","value":%.1f,"unit":"s","devices":%d,"rules":%d}`, suffix, added.Seconds(), n, len(rules)+1)
	if err := s.MarkComplianceDue(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	again := drain(t, newEngine(), n)
	t.Logf(`{"name":"compliance_fleet_s_%s","value":%.1f,"unit":"s","bar":60,"devices":%d,"rules":%d}`, suffix, again.Seconds(), n, len(rules)+1)
	begin := time.Now()
	if sum, err = reg.Summary(ctx, compliance.Scope{All: true}); err != nil {
		t.Fatal(err)
	}
	t.Logf(`{"name":"compliance_dashboard_ms_%s","value":%d,"unit":"ms"}`, suffix, time.Since(begin).Milliseconds())
	pastFigures(t, reg, past, n, suffix)
	r, _ = sum.Set.Rule("own")
	if got := sum.Counts.Rule(r); got[compliance.Unknown] != 0 || got[compliance.Compliant]+got[compliance.NonCompliant]+got[compliance.InGrace] != int64(n) {
		t.Errorf("own rule: %v", got)
	}
}

// pastFigures measures numbers and the walk of an export of a moment that is over, and sees that
// one counts as the other lists.
func pastFigures(t *testing.T, reg *compliance.Registry, past time.Time, n int, suffix string) {
	t.Helper()
	ctx, all := t.Context(), compliance.Scope{All: true}
	begin := time.Now()
	then, err := reg.SummaryAt(ctx, all, past)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf(`{"name":"compliance_as_of_ms_%s","value":%d,"unit":"ms","devices":%d}`, suffix, time.Since(begin).Milliseconds(), n)
	begin = time.Now()
	listed, overall := map[string]map[compliance.State]int64{}, map[compliance.State]int64{}
	err = reg.Walk(ctx, all, past, func(s compliance.Snapshot) error {
		overall[s.Overall]++
		for _, i := range s.Intervals {
			if listed[i.Rule] == nil {
				listed[i.Rule] = map[compliance.State]int64{}
			}
			listed[i.Rule][i.State]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf(`{"name":"compliance_export_s_%s","value":%.2f,"unit":"s","devices":%d}`, suffix, time.Since(begin).Seconds(), n)
	for _, r := range then.Set.Rules {
		got := then.Counts.Rule(r)
		if r.ID == "own" && got[compliance.Unknown] != int64(n) {
			t.Errorf("a rule that was none yet: %v", got)
		}
		for _, state := range compliance.States() {
			if state != compliance.Unknown && got[state] != listed[r.ID][state] {
				t.Errorf("%s: %d are counted as %s, %d are listed", r.ID, got[state], state, listed[r.ID][state])
			}
		}
	}
	if !maps.Equal(overall, then.Counts.Overall) {
		t.Errorf("overall %v are counted, %v are listed", then.Counts.Overall, overall)
	}
}

// drain runs the engine's rounds on two workers until nothing is due.
func drain(t *testing.T, e *comply.Engine, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	g, ctx := errgroup.WithContext(t.Context())
	done := make([]int, 2)
	for w := range done {
		g.Go(func() error {
			for {
				k, err := e.Round(ctx)
				if err != nil || k == 0 {
					return err
				}
				done[w] += k
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if done[0]+done[1] != n {
		t.Errorf("checked %d, want %d", done[0]+done[1], n)
	}
	return time.Since(begin)
}

// fillSections makes devices as a fleet has them: most sections are like those of many
// others, some are each device's own. A tenth lets root sign in over SSH.
func fillSections(t *testing.T, s *Store, n int) {
	t.Helper()
	text, err := os.ReadFile("../baseline/testdata/good.json")
	if err != nil {
		t.Fatal(err)
	}
	var good map[string]json.RawMessage
	if err := json.Unmarshal(text, &good); err != nil {
		t.Fatal(err)
	}
	var users strings.Builder
	for i := range 40 {
		fmt.Fprintf(&users, `,{"name":"service%d","uid":%d,"gid":%d,"full_name":"","home":"/var/lib/service%d","home_mode":"0755","home_uid":0,"shell":"/usr/sbin/nologin","password":"none","hash":"","changed_day":20228,"min_days":0,"max_days":99999,"warn_days":7,"inactive_days":-1,"expires_day":-1,"admin":false,"person":false,"last_sign_in_us":0}`, i, 100+i, 100+i, i)
	}
	for from := 0; from < n; from += 1000 {
		err := s.write(t.Context(), func(tx *sql.Tx) error {
			return fillDevices(t.Context(), s, tx, good, users.String(), from, min(from+1000, n))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func fillDevices(ctx context.Context, s *Store, tx *sql.Tx, good map[string]json.RawMessage, users string, from, to int) error {
	var devices, sections [][]any
	now := time.Now().UnixMicro()
	for i := from; i < to; i++ {
		id := fmt.Sprintf("dev_%06d", i)
		name := fmt.Sprintf("pc-%06d", i)
		devices = append(devices, []any{id, mdm.RootGroup, "tok", id, "", name, name, name, "linux", "Debian GNU/Linux 12 (bookworm)", "amd64", "1.0", "Model", id, "", name, now - 86400e6*30, now, 0, 0})
		own := map[string]string{
			"accounts": fmt.Sprintf(`{"shadow":true,"groups":[],"login_defs":{"PASS_MAX_DAYS":"365","UMASK":"027"},"users":[{"name":"root","uid":0,"gid":0,"home":"/root","home_mode":"0700","home_uid":0,"shell":"/bin/bash","password":"locked","hash":"","admin":true,"person":false},`+
				`{"name":"ana%[1]d","uid":1000,"gid":1000,"home":"/home/ana%[1]d","home_mode":"0700","home_uid":1000,"shell":"/bin/bash","password":"set","hash":"yescrypt","admin":true,"person":true,"changed_day":%[1]d}%[2]s]}`, i, users),
			"updates":     strings.Replace(string(good["updates"]), "1795400000000000", fmt.Sprint(now-int64(i)*1000), 1),
			"filesystems": fmt.Sprintf(`[{"mount":"/","size_bytes":256000000000,"free_bytes":%d}]`, 100000000000+i),
			"disks":       fmt.Sprintf(`[{"name":"sda","model":"SSD","serial":"%d","health":"ok"}]`, i),
		}
		for section, data := range good {
			text := string(data)
			if o, ok := own[section]; ok {
				text = o
			} else if section == "sshd" && i%10 == 0 {
				text = strings.Replace(text, `"permitrootlogin": "no"`, `"permitrootlogin": "yes"`, 1)
			} else {
				text += strings.Repeat(" ", i%20) // twenty kinds of devices
			}
			sum := sha256.Sum256([]byte(text))
			sections = append(sections, []any{id, section, hex.EncodeToString(sum[:]), text, now})
		}
	}
	if err := s.insertRows(ctx, tx, `INSERT INTO devices (id, group_id, token_id, fingerprint, public_key, name, name_key, hostname, os, os_version, arch, agent_version, model, serial,
		signed_in, search, enrolled_us, last_seen_us, revoked_us, copied_us) VALUES `, "", devices); err != nil {
		return err
	}
	return s.insertRows(ctx, tx, "INSERT INTO inventory_sections (device_id, section, hash, data, changed_us) VALUES ", "", sections)
}
