package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/fleet"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
)

// The figures of a large fleet. On SQLite, and on an empty PostgreSQL database when
// HANDRAIL_BENCH_DATABASE names one:
//
//	go test ./gateway/internal/store -run TestFleetFigures -timeout 60m -fleet 100000 -first 10000
var (
	fleetDevices = flag.Int("fleet", 0, "devices of the list figure; 0: leave it out")
	firstDevices = flag.Int("first", 0, "devices of the first inventory figure; 0: leave it out")
)

// world makes believable software: families installed from a few images, updated in waves,
// with sets by role and a few packages of each device's own.
type world struct {
	names   []string     // base packages
	base    [][]int      // family to packages
	roles   [][]string   // role to packages
	own     []string     // packages that somebody here and there has
	updates map[int]bool // base packages that change with the waves
	section map[string]int
}

const (
	families = 6
	waves    = 10
	roles    = 12
)

func newWorld() *world {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same fleet each time
	w := &world{updates: map[int]bool{}, section: map[string]int{}}
	for i := range 2200 {
		w.names = append(w.names, fmt.Sprintf("lib%s%d", []string{"ssl", "gtk-", "python3-", "perl-", "x11-", "qt5-"}[i%6], i))
	}
	w.names[7], w.names[8], w.names[9] = "openssl", "linux-image-amd64", "firefox-esr"
	for i := range 320 {
		w.updates[r.IntN(len(w.names))] = i >= 0
	}
	w.updates[7], w.updates[8], w.updates[9] = true, true, true
	for range families {
		var list []int
		for i := range w.names {
			if i < 1200 || r.IntN(1000) < 220 {
				list = append(list, i)
			}
		}
		w.base = append(w.base, list)
	}
	for role := range roles {
		var list []string
		for i := range 80 {
			list = append(list, fmt.Sprintf("role%d-tool%d", role, i))
		}
		w.roles = append(w.roles, list)
	}
	for i := range 4000 {
		w.own = append(w.own, fmt.Sprintf("own-package-%d", i))
	}
	for _, n := range slices.Concat(w.names, w.own, slices.Concat(w.roles...)) {
		w.section[n] = inventory.SoftwareBucket(n)
	}
	return w
}

// kind is what a device is installed as.
type kind struct {
	family, wave, role int
	own                []int
}

func (w *world) kind(n int) kind {
	r := rand.New(rand.NewPCG(uint64(n), 7))                                                    //nolint:gosec // the same fleet each time
	k := kind{family: r.IntN(families), wave: min(r.IntN(waves), waves-1), role: r.IntN(roles)} // most are of any wave
	for range 3 {
		k.own = append(k.own, r.IntN(len(w.own)))
	}
	return k
}

// version of a base package at a wave.
func (w *world) version(p, wave int) string {
	if !w.updates[p] {
		return fmt.Sprintf("1.%d-1", p%9)
	}
	if w.names[p] == "openssl" {
		return fmt.Sprintf("3.0.%d-1~deb12u1", 9+wave)
	}
	return fmt.Sprintf("2.%d.%d-1+deb12u%d", p%9, wave*(p%4)/3, wave/2)
}

// buckets returns a device's software by bucket, and what says which buckets are the same.
func (w *world) buckets(k kind) (lists [inventory.SoftwareBuckets]func() []inventory.Software, same [inventory.SoftwareBuckets]string) {
	var own [inventory.SoftwareBuckets][]string
	for _, o := range k.own {
		b := w.section[w.own[o]]
		own[b] = append(own[b], w.own[o])
	}
	for b := range lists {
		slices.Sort(own[b])
		own[b] = slices.Compact(own[b])
		same[b] = fmt.Sprint(b, k.family, k.wave, k.role, own[b])
		lists[b] = func() []inventory.Software { return w.list(k, b, own[b]) }
	}
	return lists, same
}

func (w *world) list(k kind, b int, own []string) []inventory.Software {
	var out []inventory.Software
	add := func(name, version string) {
		out = append(out, inventory.Software{Name: name, Version: version, Source: inventory.SourceDeb, Arch: "amd64"})
	}
	for _, p := range w.base[k.family] {
		if w.section[w.names[p]] == b {
			add(w.names[p], w.version(p, k.wave))
		}
	}
	for _, n := range slices.Concat(w.roles[k.role], own) {
		if w.section[n] == b {
			add(n, "1.0-1")
		}
	}
	slices.SortFunc(out, inventory.CompareSoftware)
	return out
}

func softwareRow(tb testing.TB, b int, list []inventory.Software) inventory.Row {
	tb.Helper()
	data, err := json.Marshal(list)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return inventory.Row{Section: inventory.SoftwareSection(b), Hash: hex.EncodeToString(sum[:]), Data: data}
}

// fillSoftware gives n devices their software, the way uploads and the index do it.
func fillSoftware(tb testing.TB, s *Store, ids []mdm.DeviceID) (rows int64) {
	tb.Helper()
	ctx, w := context.Background(), newWorld()
	known := map[string]int64{}
	all := make([]held, len(ids))
	for from := 0; from < len(ids); from += 500 {
		to := min(from+500, len(ids))
		wanted := map[string]inventory.Row{}
		same := make([][inventory.SoftwareBuckets]string, to-from)
		for i := from; i < to; i++ {
			var lists [inventory.SoftwareBuckets]func() []inventory.Software
			lists, same[i-from] = w.buckets(w.kind(i))
			for b, key := range same[i-from] {
				if _, ok := known[key]; ok {
					continue
				}
				if _, ok := wanted[key]; !ok {
					wanted[key] = softwareRow(tb, b, lists[b]())
				}
			}
		}
		for _, r := range internAll(tb, s, wanted) {
			known[r.key] = r.id
		}
		for i := from; i < to; i++ {
			for b, key := range same[i-from] {
				all[i][b] = known[key]
			}
		}
	}
	for from := 0; from < len(ids); from += 2000 {
		to := min(from+2000, len(ids))
		err := s.write(ctx, func(tx *sql.Tx) error {
			ins := inserter{tx: tx, into: "device_software (device_id, n, buckets, indexed, changed_us)"}
			for i := from; i < to; i++ {
				if err := ins.add(ctx, ids[i], -1, all[i].encode(), []byte{}, 1); err != nil {
					return err
				}
			}
			return ins.flush(ctx)
		})
		if err != nil {
			tb.Fatal(err)
		}
		if err := s.IndexSoftware(ctx, ids[from:to]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.reader.QueryRowContext(ctx, "SELECT sum(devices) FROM software_titles").Scan(&rows); err != nil {
		tb.Fatal(err)
	}
	return rows
}

type interned struct {
	key string
	id  int64
}

// internAll stores buckets of many devices.
func internAll(tb testing.TB, s *Store, wanted map[string]inventory.Row) []interned {
	tb.Helper()
	ctx := context.Background()
	found, err := s.lookBuckets(ctx, slices.Collect(maps.Values(wanted)))
	ids := found.known
	if err == nil && len(found.unknown) > 0 {
		err = s.write(ctx, func(tx *sql.Tx) error {
			n := s.newSoftware(tx)
			err := n.store(ctx, found)
			maps.Copy(ids, n.buckets)
			return err
		})
	}
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]interned, 0, len(wanted))
	for key, r := range wanted {
		out = append(out, interned{key, ids[bucketName(r)]})
	}
	return out
}

// figure prints one line that `make bench` reads.
func figure(t *testing.T, name string, value, p95 float64, n int) {
	t.Helper()
	b, err := json.Marshal(map[string]any{"name": name, "value": value, "p95": p95, "n": n})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, string(b))
}

func TestFleetFigures(t *testing.T) {
	if *fleetDevices == 0 && *firstDevices == 0 {
		return // figures, not a test: see the flags
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
			if *firstDevices > 0 {
				firstInventory(t, s, *firstDevices, suffix)
			}
			if *fleetDevices > 0 {
				listFigures(t, s, *fleetDevices, suffix)
			}
		})
	}
}

func openFleet(t *testing.T, s *Store) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(fleet.Config{Store: s, Labels: label.New(s), Groups: group.New(s).Tree}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// populate makes n devices as a fleet of several models, memory sizes and users.
func populate(t *testing.T, s *Store, n int) []mdm.DeviceID {
	t.Helper()
	began := time.Now()
	fillFleet(t, s, n)
	var ids []mdm.DeviceID
	rows, err := s.reader.QueryContext(t.Context(), "SELECT id FROM devices WHERE fingerprint LIKE 'fp%' ORDER BY id")
	if ids, err = collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
		var id mdm.DeviceID
		return id, row.Scan(&id)
	}); err != nil {
		t.Fatal(err)
	}
	models := []string{"Dell Inc. Latitude 7440", "LENOVO ThinkPad X1 Carbon", "HP EliteBook 840 G9", "Framework Laptop 13", "Dell Inc. OptiPlex 7090"}
	for some := range slices.Chunk(ids, 1000) {
		err := s.write(t.Context(), func(tx *sql.Tx) error {
			for i, id := range some {
				if _, err := tx.ExecContext(t.Context(), "UPDATE devices SET model = $2, search = replace(search, 'dell inc. latitude 7440', $3), memory_bytes = $4, encrypted = $5 WHERE id = $1",
					id, models[i%5], strings.ToLower(models[i%5]), int64([]int{8, 16, 32, 64}[i%4])<<30, []int{3, 3, 3, 1, 2}[i%5]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d devices in %v", len(ids), time.Since(began))
	return ids
}

func listFigures(t *testing.T, s *Store, n int, suffix string) {
	t.Helper()
	ids := populate(t, s, n)
	began := time.Now()
	rows := fillSoftware(t, s, ids)
	t.Logf("%d software rows' worth in %v", rows, time.Since(began))
	if _, err := s.writer.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	labels := label.New(s)
	l, err := labels.Create(t.Context(), label.Label{Name: "Some"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := labels.Give(t.Context(), l.ID, ids[:n/3], "", time.Now()); err != nil {
		t.Fatal(err)
	}
	f := openFleet(t, s)
	began = time.Now()
	if _, err := f.Find(t.Context(), fleet.Query{AllGroups: true}); err != nil {
		t.Fatal(err)
	}
	t.Logf("read into memory in %v", time.Since(began))
	var all []float64
	for _, q := range []string{
		"", "latitude", "sn0012345", "no-such-text", "user77", "thinkpad -latitude user1", "serial:sn00", "model:framework memory>16GB",
		"encrypted:no", "no encryption 8 GB", "label:some", "-label:some encrypted:partly", "seen>30d", "os:linux version:debian", "group:g3",
		"openssl < 3.0.15", "openssl < 3.0.10", "software:openssl", "software:own-package-17", "software:no-such-thing", "software:role3*", "linux-image-amd64 >= 2 -software:role4-tool1",
		"openssl<3.0.12 encrypted:no label:some memory<32GB latitude",
	} {
		terms, err := device.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		var times []float64
		total, after := 0, ""
		for i := range 40 {
			order := device.Order(i % 2) //nolint:gosec // 0 or 1
			if i%4 < 2 {
				after = ""
			}
			began := time.Now()
			found, err := f.Find(t.Context(), fleet.Query{Terms: terms, AllGroups: true, Order: order, After: after})
			if err != nil {
				t.Fatal(err)
			}
			if len(found.IDs) > 0 {
				if _, err := s.Devices(t.Context(), device.Filter{AllGroups: true, IDs: found.IDs, Standing: device.Any, Limit: device.MaxPage}); err != nil {
					t.Fatal(err)
				}
				if _, err := labels.Of(t.Context(), found.IDs); err != nil {
					t.Fatal(err)
				}
			}
			times = append(times, float64(time.Since(began).Microseconds())/1000)
			total = found.Total
			if i%2 == 1 {
				after = found.Next
			} else {
				after = ""
			}
		}
		slices.Sort(times)
		t.Logf("%-70q %7d devices, median %6.1f ms, p95 %6.1f ms", q, total, times[len(times)/2], times[len(times)*95/100])
		all = append(all, times...)
	}
	slices.Sort(all)
	figure(t, "device_list_ms_"+suffix, all[len(all)/2], all[len(all)*95/100], len(all))
}

// firstInventory sends the first inventory of n devices by eight at a time, through the rules of
// the rooms, and waits for labels and index.
func firstInventory(t *testing.T, s *Store, n int, suffix string) {
	t.Helper()
	ids := populate(t, s, n)
	f, devices, reg, w := openFleet(t, s), device.New(s), inventory.New(s), newWorld()
	if _, err := label.New(s).Create(t.Context(), label.Label{
		Name: "Old OpenSSL", Expression: `software("openssl").exists(v, version_less(v, "3.0.15"))`, Reads: []string{"software"},
	}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var times []float64
	work := make(chan int)
	var wg sync.WaitGroup
	began := time.Now()
	for range 8 {
		wg.Go(func() {
			for i := range work {
				sections := firstSections(t, w, i)
				from := time.Now()
				out, err := reg.Apply(t.Context(), ids[i], true, sections, time.Now())
				if err == nil && len(out.Refused) > 0 {
					err = fmt.Errorf("refused: %v", out.Refused)
				}
				if err == nil {
					_, err = devices.Learn(t.Context(), ids[i], device.Facts{Hostname: out.Facts.Hostname, Serial: out.Facts.Serial, Model: out.Facts.Model})
				}
				if err != nil {
					t.Error(err)
				}
				f.Wake()
				mu.Lock()
				times = append(times, time.Since(from).Seconds())
				mu.Unlock()
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	for i := range ids {
		work <- i
	}
	close(work)
	wg.Wait()
	uploads := time.Since(began)
	cancel()
	<-done
	if err := f.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(times)
	t.Logf("%d uploads in %v, slowest %.2f s; %v with labels and index", n, uploads, times[len(times)-1], time.Since(began))
	figure(t, "first_inventory_s_"+suffix, time.Since(began).Seconds(), times[len(times)-1], n)
	for _, table := range []string{"devices", "groups WHERE parent_id IS NOT NULL", "device_software", "title_devices", "fleet_pending", "labels"} {
		if _, err := s.exec(context.Background(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}

func firstSections(t *testing.T, w *world, i int) map[string]inventory.Section {
	t.Helper()
	out := map[string]inventory.Section{}
	put := func(name string, data []byte) {
		sum := sha256.Sum256(data)
		out[name] = inventory.Section{Hash: hex.EncodeToString(sum[:]), Data: data}
	}
	lists, _ := w.buckets(w.kind(i))
	for b, list := range lists {
		r := softwareRow(t, b, list())
		put(r.Section, r.Data)
	}
	put("host", fmt.Appendf(nil, `{"hostname":"pc-%05d","os_version":"Debian GNU/Linux 12 (bookworm)","kernel":"6.1.0-18-amd64","boot_time_us":%d}`, i, i))
	put("hardware", fmt.Appendf(nil, `{"vendor":"Dell Inc.","model":"Latitude 7440","serial":"SN%07d","memory_bytes":17179869184}`, i))
	put("disks", fmt.Appendf(nil, `[{"name":"nvme0n1","serial":"D%d","size_bytes":512110190592}]`, i))
	put("network", fmt.Appendf(nil, `[{"name":"eth0","mac":"ac:de:48:00:%02x:%02x","addresses":["10.%d.%d.7/24"]}]`, i/256%256, i%256, i/250%250, i%250))
	for _, name := range []string{"services", "mounts", "listening", "pci", "usb"} {
		var list []string
		for k := range 60 {
			list = append(list, fmt.Sprintf(`{"name":"%s-%d","device":"/dev/%d","path":"/p/%d","description":"some words of it"}`, name, k, k, k))
		}
		put(name, []byte("["+strings.Join(list, ",")+"]"))
	}
	return out
}
