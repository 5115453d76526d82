package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

// eachOld runs test over a database of each kind that has no tables yet.
func eachOld(t *testing.T, test func(t *testing.T, cfg store.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, store.Config{Dir: t.TempDir()}) })
	if storetest.HasPostgres() {
		t.Run("postgres", func(t *testing.T) { test(t, store.Config{URL: storetest.Postgres(t)}) })
	}
}

// upgraded closes an old database and opens it as the gateway does.
func upgraded(t *testing.T, o *store.Old, cfg store.Config) *store.Store {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestMigrationsOverFilledTables applies every migration to a database that has rows in each
// table there was before it: none fails for what it finds, and none loses a row.
func TestMigrationsOverFilledTables(t *testing.T) {
	eachOld(t, func(t *testing.T, cfg store.Config) {
		t.Helper()
		o := store.OpenOld(t, cfg)
		filled := map[string]int{}
		for i, version := range o.Versions() {
			o.UpTo(version)
			o.Unbound(func(exec func(string, ...any)) {
				for table, columns := range o.Columns() {
					fillTable(exec, table, columns, 3*i)
					filled[table] += 3
				}
			})
		}
		s := upgraded(t, o, cfg)
		for _, table := range slices.Sorted(maps.Keys(filled)) {
			if n := store.CountRows(t, s, table); n < filled[table] {
				t.Errorf("%s has %d rows after all migrations, %d were put there", table, n, filled[table])
			}
		}
	})
}

// fillTable adds three rows, in which every column of a kind holds the same, so that each row
// refers to rows that there are in the other tables.
func fillTable(exec func(string, ...any), table string, columns []store.Column, from int) {
	for row := from; row < from+3; row++ {
		var names, marks []string
		var args []any
		for _, c := range columns {
			names, marks = append(names, c.Name), append(marks, fmt.Sprintf("$%d", len(args)+1))
			switch c.Kind {
			case "bigint":
				args = append(args, 1000+row)
			case "boolean":
				args = append(args, row%2 == 0)
			case "blob", "bytea":
				args = append(args, []byte{0})
			case "double precision", "real":
				args = append(args, 0.5)
			default:
				args = append(args, fmt.Sprintf("x%d", row))
			}
		}
		exec("INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...)
	}
}

// TestUnsaidOfOldRows migrates what gateways before migration 300 wrote of devices that had not
// reported on everything, and asks what a person is shown: the same as of a device of today.
func TestUnsaidOfOldRows(t *testing.T) {
	eachOld(t, func(t *testing.T, cfg store.Config) {
		t.Helper()
		o := store.OpenOld(t, cfg)
		o.UpTo(280)
		devices := []mdm.DeviceID{"dev_old", "dev_new", "dev_said"}
		o.Unbound(func(exec func(string, ...any)) {
			columns := o.Columns()
			for _, id := range devices {
				for table, values := range map[string]map[string]any{
					"devices": {"id": id, "group_id": "grp_root", "fingerprint": id, "name": id, "name_key": id},
					"desired": {"device_id": id, "generation": 7, "outcome": "o", "hash": "h", "reported": "h", "reported_generation": 7, "reported_us": 5},
				} {
					insert(exec, table, columns[table], values)
				}
			}
			insert(exec, "manifests", columns["manifests"], map[string]any{"outcome": "o", "hash": "h", "body": "{}"})
			kept := `{"state":"%s","source":{"policy":"pol_1"},"since_us":3}`
			insert(exec, "device_status", columns["device_status"], map[string]any{"device_id": "dev_old", "body": fmt.Sprintf(
				`{"wifi.network/b":`+kept+`,"screen.lock":`+kept+`,"ssh.server":`+kept+`,"time.zone":`+kept+`}`, "pending", "pending", "failed", "applied",
			)})
			for setting, state := range map[string]string{"wifi.network/b": "pending", "screen.lock": "pending", "ssh.server": "failed"} {
				insert(exec, "status_faults", columns["status_faults"], map[string]any{
					"device_id": "dev_old", "setting_id": setting, "state": state, "policy_id": "pol_1", "since_us": 3,
				})
			}
		})
		s := upgraded(t, o, cfg)
		ctx, all := t.Context(), desire.Viewer{All: true}
		unsaid := desire.Unsaid([]manifest.ID{"wifi.network/b", "screen.lock"})
		// The same, as a gateway of today writes it.
		failed := desire.Kept{State: manifest.Failed, SinceUS: 3}
		failed.Source.Policy = "pol_1"
		if err := s.MergeReports(ctx, devices[1:2], func(_ context.Context, st *desire.Standing) (bool, error) {
			st.Statuses["ssh.server"], st.Unsaid = failed, unsaid
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		if st, err := s.Standing(ctx, "dev_old"); err != nil || st.Unsaid != unsaid || st.Statuses["ssh.server"].State != manifest.Failed {
			t.Errorf("the old device stands at %+v, %v", st, err)
		}
		if st, err := s.Standing(ctx, "dev_said"); err != nil || st.Unsaid != "" {
			t.Errorf("a device that has said everything stands at %+v, %v", st, err)
		}
		shown(t, s, unsaid, 2)
		// The old device reports on the rest: nothing of the old rows is left.
		if err := s.MergeReports(ctx, devices[:1], func(_ context.Context, st *desire.Standing) (bool, error) {
			for _, id := range []manifest.ID{"wifi.network/b", "screen.lock"} {
				st.Statuses[id] = desire.Kept{State: manifest.Applied, SinceUS: 9}
			}
			st.Unsaid, st.ReportedAt = "", time.UnixMicro(9)
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		shown(t, s, unsaid, 1)
		if n := store.CountRows(t, s, "status_faults"); n != 2 {
			t.Errorf("%d faults are kept, want one of each device", n)
		}
		whole, err := s.DevicesInState(ctx, desire.DeviceQuery{Viewer: all, Pairs: []desire.Pair{{Outcome: "o", Reported: "h"}}, Limit: 10})
		if err != nil || !slices.Equal(whole, []mdm.DeviceID{"dev_old", "dev_said"}) {
			t.Errorf("devices that have reported on everything: %v, %v", whole, err)
		}
	})
}

// insert adds a row: what is not given is empty.
func insert(exec func(string, ...any), table string, columns []store.Column, values map[string]any) {
	var names, marks []string
	var args []any
	for _, c := range columns {
		v, given := values[c.Name]
		switch {
		case given:
		case c.Kind == "bigint":
			v = 0
		default:
			v = ""
		}
		args = append(args, v)
		names, marks = append(names, c.Name), append(marks, fmt.Sprintf("$%d", len(args)))
	}
	exec("INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...)
}

// shown sees that so many devices are told of as having said nothing of some settings, and two as
// having failed.
func shown(t *testing.T, s *store.Store, unsaid string, devices int64) {
	t.Helper()
	ctx, all := t.Context(), desire.Viewer{All: true}
	pairs, err := s.Pairs(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	byUnsaid := map[string]int64{}
	for _, p := range pairs {
		byUnsaid[p.Unsaid] += p.Devices
	}
	if want := map[string]int64{unsaid: devices, "": 3 - devices}; !maps.Equal(byUnsaid, want) {
		t.Errorf("devices by what they have not said: %v, want %v", byUnsaid, want)
	}
	faults, err := s.FaultCounts(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, f := range faults {
		if f.Setting != "ssh.server" || f.State != manifest.Failed {
			t.Errorf("a fault is counted that is none: %+v", f)
		}
		n += f.Devices
	}
	if n != 2 {
		t.Errorf("%d devices are told of as failed, want 2", n)
	}
	counts, err := s.PolicyCounts(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Policy != "pol_1" || c.State != manifest.Failed && c.State != "" {
			t.Errorf("the policy's numbers tell of %+v", c)
		}
	}
	waiting, err := s.DevicesInState(ctx, desire.DeviceQuery{Viewer: all, Pairs: []desire.Pair{{Outcome: "o", Reported: "h", Unsaid: unsaid}}, Limit: 10})
	if err != nil || int64(len(waiting)) != devices {
		t.Errorf("devices that wait: %v, %v, want %d", waiting, err, devices)
	}
}
