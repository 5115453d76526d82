package gatewaytest_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/gatewaytest"
	"handrail/signaling"
	"handrail/signaling/client"
)

// TestAgentsReturnAfterARestart: every agent comes back. How soon is a benchmark:
// restart_return_s.
func TestAgentsReturnAfterARestart(t *testing.T) {
	const n = 200
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var agents errgroup.Group
	defer func() {
		cancel()
		_ = agents.Wait()
	}()
	for i := range n {
		d := g.Enroll("desk-"+strconv.Itoa(i), "")
		c, err := client.New(client.Config{URL: g.URL, Device: signaling.DeviceID(d.ID), Key: d.Key, Pins: d.Pins, Fingerprint: d.Fingerprint}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		agents.Go(func() error { return c.Run(ctx) })
	}
	await(t, g, n)
	g.Restart()
	t.Logf("%d agents were back in %v", n, await(t, g, n))
}

// await waits until n agents are connected and returns how long that took.
func await(t *testing.T, g *gatewaytest.Gateway, n int) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if g.Rooms.Links.Len() == n {
			break
		}
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("%d of %d agents connected after 2 min", g.Rooms.Links.Len(), n)
		}
	}
	return time.Since(began)
}
