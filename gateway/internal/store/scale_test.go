package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
)

// fillFleet fills a store with n devices in 10 groups.
func fillFleet(tb testing.TB, s *Store, n int) []mdm.GroupID {
	tb.Helper()
	groups := make([]mdm.GroupID, 10)
	err := s.write(context.Background(), func(tx *sql.Tx) error {
		for i := range groups {
			groups[i] = mdm.NewGroupID()
			if _, err := tx.Exec("INSERT INTO groups (id, parent_id, name, name_key, unattended, created_us) VALUES ($1, 'grp_root', $2, $2, '', 0)", //nolint:noctx // a test
				groups[i], fmt.Sprint("g", i)); err != nil {
				return err
			}
		}
		for i := range n {
			d := device.Device{
				ID: mdm.NewDeviceID(), Group: groups[i%10], Fingerprint: fmt.Sprint("fp", i), PublicKey: make([]byte, 32),
				Name: fmt.Sprintf("pc-%05d", (i*7919)%n), Hostname: fmt.Sprintf("pc-%05d", i), OS: "linux", OSVersion: "Debian GNU/Linux 12 (bookworm)",
				Arch: "amd64", Model: "Dell Inc. Latitude 7440", Serial: fmt.Sprintf("SN%07d", i), SignedIn: []string{fmt.Sprint("user", i)},
				EnrolledAt: time.UnixMicro(int64(i + 1)), LastSeenAt: time.UnixMicro(int64(i + 1)),
			}
			if err := putDevice(context.Background(), tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.writer.Exec("ANALYZE"); err != nil { //nolint:noctx // a test
		tb.Fatal(err)
	}
	return groups
}

// TestListsFollowIndexes asks SQLite how it would run the hot statements: in the order of
// an index, so that a page costs a page, never sorting or reading the whole table.
func TestListsFollowIndexes(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fillFleet(t, s, 500)
	for _, tt := range []struct{ name, query, index string }{
		{"devices by name", "SELECT name FROM devices WHERE revoked_us = 0 AND (name_key, id) > ('a', 'b') ORDER BY name_key, id LIMIT 50", "devices_by_name"},
		{"devices by last seen", "SELECT name FROM devices WHERE revoked_us = 0 AND (last_seen_us, id) < (5, 'b') ORDER BY last_seen_us DESC, id DESC LIMIT 50", "devices_by_last_seen"},
		{"device of a fingerprint", "SELECT name FROM devices WHERE fingerprint = 'fp1' AND revoked_us = 0", "devices_by_fingerprint"},
		{"devices of a group", "SELECT name FROM devices WHERE group_id = 'g' ORDER BY name_key, id LIMIT 50", "devices_by_group"},
		{"audit", "SELECT action FROM audit_entries WHERE seq < 100 ORDER BY seq DESC LIMIT 50", "sqlite_autoindex_audit_entries"},
		{"audit of an actor", "SELECT action FROM audit_entries WHERE actor_id = 'x' ORDER BY seq DESC LIMIT 50", "audit_entries_by_actor"},
		{"tokens", "SELECT note FROM enrollment_tokens ORDER BY created_us DESC, id DESC LIMIT 50", "enrollment_tokens_newest"},
		{"sign-in", "SELECT address FROM sign_ins WHERE hash = 'x'", "sqlite_autoindex_sign_ins"},
		{"inventory", "SELECT data FROM inventory_sections WHERE device_id = 'x' ORDER BY section", "sqlite_autoindex_inventory_sections"},
	} {
		rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+tt.query)
		plan, err := collect(rows, err, func(row rowScanner) (string, error) {
			var a, b, c int
			var line string
			return line, row.Scan(&a, &b, &c, &line)
		})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "; ")
		if !strings.Contains(text, tt.index) || strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%s: %q, want it to follow %s", tt.name, text, tt.index)
		}
	}
}

// BenchmarkFleet measures what a console asks of a fleet of 20,000 devices; with
// HANDRAIL_BENCH_DATABASE set, on that (empty) PostgreSQL database.
func BenchmarkFleet(b *testing.B) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Dir: b.TempDir(), URL: os.Getenv("HANDRAIL_BENCH_DATABASE")}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	groups := fillFleet(b, s, 20_000)
	page, err := s.Devices(ctx, device.Filter{AllGroups: true, Limit: 500})
	if err != nil {
		b.Fatal(err)
	}
	some := map[mdm.DeviceID]time.Time{}
	for _, d := range page.Devices {
		some[d.ID] = time.Now()
	}
	for _, bm := range []struct {
		name string
		run  func() error
	}{
		{"first_page", func() error { _, err := s.Devices(ctx, device.Filter{AllGroups: true, Limit: 50}); return err }},
		{"next_page", func() error {
			_, err := s.Devices(ctx, device.Filter{AllGroups: true, Limit: 50, After: mdm.EncodeCursor("pc-15000", "dev_")})
			return err
		}},
		{"by_last_seen", func() error {
			_, err := s.Devices(ctx, device.Filter{AllGroups: true, Order: device.ByLastSeen, Limit: 50})
			return err
		}},
		{"in_3_groups", func() error { _, err := s.Devices(ctx, device.Filter{Groups: groups[:3], Limit: 50}); return err }},
		{"search_one", func() error {
			_, err := s.Devices(ctx, device.Filter{AllGroups: true, Query: "sn0012345", Limit: 50})
			return err
		}},
		{"search_none", func() error {
			_, err := s.Devices(ctx, device.Filter{AllGroups: true, Query: "optiplex", Limit: 50})
			return err
		}},
		{"search_many", func() error {
			_, err := s.Devices(ctx, device.Filter{AllGroups: true, Query: "latitude", Limit: 50})
			return err
		}},
		{"count", func() error { _, err := s.CountDevices(ctx, nil, true); return err }},
		{"seen_500", func() error {
			for id := range some {
				some[id] = some[id].Add(time.Second)
			}
			return s.SeenDevices(ctx, some)
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				if err := bm.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
