package fleet_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
	"handrail/mdm/mdmtest"
)

// node is a gateway's room over a database that others share.
type node struct {
	*fleet.Fleet
	store  *store.Store
	labels *label.Registry
	mu     sync.Mutex
	now    time.Time
}

func newNode(t *testing.T, s *store.Store) *node {
	t.Helper()
	n := &node{store: s, labels: label.New(s), now: mdmtest.Start}
	var err error
	n.Fleet, err = fleet.New(fleet.Config{Store: s, Labels: n.labels, Groups: group.New(s).Tree, Now: func() time.Time {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.now
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) finds(t *testing.T, search string, order device.Order, want ...mdm.DeviceID) {
	t.Helper()
	terms, err := device.ParseQuery(search)
	if err != nil {
		t.Fatal(err)
	}
	found, err := n.Find(t.Context(), fleet.Query{Terms: terms, AllGroups: true, Order: order})
	if err != nil || !slices.Equal(found.IDs, want) && len(found.IDs)+len(want) > 0 || found.Total != len(want) {
		t.Errorf("%q finds %v of %d, %v; want %v", search, found.IDs, found.Total, err, want)
	}
}

func report(t *testing.T, s *store.Store, id mdm.DeviceID, section, data string) {
	t.Helper()
	sum := sha256.Sum256([]byte(data))
	out, err := inventory.New(s).Apply(t.Context(), id, false, map[string]inventory.Section{section: {Hash: hex.EncodeToString(sum[:]), Data: []byte(data)}}, mdmtest.Start)
	if err != nil || len(out.Refused) > 0 {
		t.Fatal(out.Refused, err)
	}
}

func (n *node) smart(t *testing.T, name, expression string) label.Label {
	t.Helper()
	e, err := n.Compile(expression)
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.labels.Create(t.Context(), label.Label{Name: name, Expression: expression, Reads: fleet.Reads(e)}, mdmtest.Start)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func work(t *testing.T, n *node) {
	t.Helper()
	if err := n.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stopping is a database that goes away after some pages of devices.
type stopping struct {
	*store.Store
	left int
}

func (s *stopping) DevicesAfter(ctx context.Context, after mdm.DeviceID, limit int) ([]device.Device, error) {
	if s.left--; s.left < 0 {
		return nil, mdm.ErrUnavailable
	}
	return s.Store.DevicesAfter(ctx, after, min(limit, 500))
}

func TestAnotherNodeGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		var ids []mdm.DeviceID
		for i := range 3 {
			ids = append(ids, mdmtest.Join(t, s, i, mdm.RootGroup))
		}
		first, second := newNode(t, s), newNode(t, s)
		l := first.smart(t, "Little", "inventory.hardware.memory_bytes < 8000")
		work(t, first)
		second.finds(t, "label:little", device.ByName)
		// The first takes an upload and dies before it evaluates anything.
		report(t, s, ids[1], "hardware", `{"memory_bytes":4000}`)
		work(t, second)
		second.finds(t, "label:little", device.ByName, ids[1])
		first.Touch(ids[1])
		first.finds(t, "label:little", device.ByName, ids[1])

		// One that dies in the middle of evaluating a changed label.
		expression := "inventory.hardware.memory_bytes > 1"
		if _, err := first.labels.Update(t.Context(), l.ID, label.Change{Expression: &expression, Reads: []string{"hardware"}}, mdmtest.Start); err != nil {
			t.Fatal(err)
		}
		dying, err := fleet.New(fleet.Config{Store: &stopping{s, 0}, Labels: first.labels, Groups: group.New(s).Tree}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := dying.Work(t.Context()); err == nil {
			t.Error("work without a database went well")
		}
		work(t, second)
		if got, err := first.labels.Label(t.Context(), l.ID); err != nil || !got.Evaluated {
			t.Errorf("nobody went on: %+v, %v", got, err)
		}
	})
}

func TestLastSeenAndTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		a, b := mdmtest.Join(t, s, 1, mdm.RootGroup), mdmtest.Join(t, s, 2, mdm.RootGroup)
		n, devices := newNode(t, s), device.New(s)
		seen := func(id mdm.DeviceID, at time.Duration) {
			t.Helper()
			if err := devices.Seen(t.Context(), map[mdm.DeviceID]time.Time{id: mdmtest.Start.Add(at)}); err != nil {
				t.Fatal(err)
			}
		}
		n.finds(t, "is:never_seen", device.ByName, a, b)
		n.Touch()
		seen(a, -48*time.Hour)
		n.finds(t, "seen>1d", device.ByName, a, b)
		n.finds(t, "", device.ByLastSeen, a, b)
		seen(b, -time.Hour) // nobody tells of that
		n.finds(t, "", device.ByLastSeen, b, a)
		n.finds(t, "seen<1d", device.ByName, b)
		n.finds(t, "seen:2026-11-21", device.ByName, a)

		l := n.smart(t, "Lost", `device.last_seen_at < now - duration("24h")`)
		work(t, n)
		n.finds(t, "label:lost", device.ByName, a)
		n.mu.Lock()
		n.now = n.now.Add(72 * time.Hour)
		n.mu.Unlock()
		n.Tick(t.Context())
		work(t, n)
		n.finds(t, "label:lost", device.ByName, a, b)
		if got, err := n.labels.Label(t.Context(), l.ID); err != nil || !got.Evaluated || !got.EvaluatedAt.After(mdmtest.Start) {
			t.Errorf("label = %+v, %v", got, err)
		}
	})
}

func TestExpressionsThatCannotBe(t *testing.T) {
	s := storetest.Open(t)
	id := mdmtest.Join(t, s, 1, mdm.RootGroup)
	n := newNode(t, s)
	report(t, s, id, "hardware", `{"vendor":"V","memory_bytes":1}`)
	l := n.smart(t, "Never ends", `[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a+b+c+d+e+f > 0))))))`)
	wrong := n.smart(t, "Wrong type", `inventory.hardware.vendor > 5`)
	began := time.Now()
	work(t, n)
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("evaluating took %v", took)
	}
	for _, id := range []mdm.LabelID{l.ID, wrong.ID} {
		if got, err := n.labels.Label(t.Context(), id); err != nil || !got.Evaluated || got.Problem == "" {
			t.Errorf("label = %+v, %v", got, err)
		}
	}
	n.finds(t, `label:"never ends"`, device.ByName)
	for _, text := range []string{`labels.exists(l, l == "x")`, `settings["x"] == "applied"`, "1 +", "nothing.x"} {
		if _, err := n.Compile(text); err == nil {
			t.Errorf("%q compiles", text)
		}
	}
}

// TestSearchWhileEverythingChanges is for the race detector.
func TestSearchWhileEverythingChanges(t *testing.T) {
	s := storetest.Open(t)
	n, devices := newNode(t, s), device.New(s)
	var ids []mdm.DeviceID
	for i := range 30 {
		ids = append(ids, mdmtest.Join(t, s, i, mdm.RootGroup))
	}
	n.smart(t, "Odd", `device.name.endsWith("odd")`)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var changes sync.WaitGroup
	for k := range 3 {
		changes.Go(func() {
			for i, id := range ids {
				name := fmt.Sprintf("pc-%d-%d%s", k, i, []string{"even", "odd"}[i%2])
				if _, err := devices.Update(t.Context(), id, device.Change{Name: &name}); err != nil {
					t.Error(err)
				}
				n.Touch(id)
				n.Wake()
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				found, err := n.Find(t.Context(), fleet.Query{AllGroups: true, Limit: 10, Order: device.Order(k % 2)}) //nolint:gosec // 0 or 1
				if err != nil || found.Total != len(ids) || len(found.IDs) != 10 {
					t.Errorf("%d of %d, %v", len(found.IDs), found.Total, err)
					return
				}
			}
		})
	}
	changes.Wait()
	cancel()
	wg.Wait()
	work(t, n)
	var odd []mdm.DeviceID
	page, err := devices.Devices(t.Context(), device.Filter{AllGroups: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range page.Devices {
		if strings.HasSuffix(d.Name, "odd") {
			odd = append(odd, d.ID)
		}
	}
	n.finds(t, "label:odd", device.ByName, odd...)
}
