package simdevice_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"handrail/agent/internal/simdevice"
	"handrail/gateway/gatewaytest"
	"handrail/mdm"
)

// until waits for what the fleet comes to. The limit is for a machine that is busy with
// other tests as well: how fast a fleet is, is a benchmark's matter.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(4 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("no %s within 4 min", what)
		}
	}
}

// TestFleet connects a fleet, restarts its gateway under it, and lets it go.
func TestFleet(t *testing.T) {
	const count = 25
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	f, err := simdevice.New(simdevice.Config{
		Gateway: g.URL, Token: g.Token(mdm.RootGroup, count+1, time.Hour), Count: count, MaxBackoff: 2 * time.Second,
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	until(t, "fleet with inventories", func() bool { y := f.Tally(); return y.Online == count && y.Complete == count })
	if y := f.Tally(); y.Refused != 0 {
		t.Errorf("tally = %+v, want none refused", y)
	}
	g.Restart()
	until(t, "return", func() bool { return f.Tally().Online == count })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if y := f.Tally(); y.Online != 0 {
		t.Errorf("%d devices online after the end", y.Online)
	}
}

// TestSameSeedSameDevices: a fleet that is run again is the same devices.
func TestSameSeedSameDevices(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	for range 2 {
		f, err := simdevice.New(simdevice.Config{Gateway: g.URL, Token: g.Token(mdm.RootGroup, 5, time.Hour), Count: 5, Seed: 7}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		until(t, "fleet", func() bool { return f.Tally().Complete == 5 })
		cancel()
		<-done
	}
	if n, err := g.Rooms.Devices.Count(t.Context(), nil, true); err != nil || n != 5 {
		t.Errorf("%d devices after two runs of the same five, %v", n, err)
	}
}
