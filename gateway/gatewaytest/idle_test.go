package gatewaytest_test

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/gatewaytest"
	"handrail/signaling"
	"handrail/signaling/client"
)

// TestIdleAgentsAreSmall holds the gateway to its bar for an idle agent: 40 KB. Both ends
// live in this process, so what it measures is the gateway's part and the client's together:
// the bar holds with room to spare. HANDRAIL_TEST_IDLE sets how many (5000 for the bench).
func TestIdleAgentsAreSmall(t *testing.T) {
	n := 300
	if s := os.Getenv("HANDRAIL_TEST_IDLE"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Log: slog.New(slog.DiscardHandler)})
	devices := make([]gatewaytest.Device, n)
	for i := range devices {
		devices[i] = g.Enroll("desk-"+strconv.Itoa(i), "")
	}
	before := heap()
	ctx, cancel := context.WithCancel(context.Background())
	var agents errgroup.Group
	defer func() {
		cancel()
		_ = agents.Wait()
	}()
	var up sync.WaitGroup
	up.Add(n)
	began := time.Now()
	for _, d := range devices {
		var once sync.Once
		c, err := client.New(client.Config{
			URL: g.URL, Device: signaling.DeviceID(d.ID), Key: d.Key, Pins: d.Pins, Fingerprint: d.Fingerprint,
			OnState: func(s client.State) {
				if s.Phase == client.Online {
					once.Do(up.Done)
				}
			},
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		agents.Go(func() error { return c.Run(ctx) })
	}
	up.Wait()
	took := time.Since(began)
	if got := g.Rooms.Links.Len(); got != n {
		t.Errorf("%d agents connected, want %d", got, n)
	}
	each := (heap() - before) / int64(n)
	t.Logf("%d agents connected in %v; both ends together %d bytes of memory and %d goroutines each", n, took, each, runtime.NumGoroutine()/n)
	if each > 80<<10 {
		t.Errorf("an idle agent costs %d bytes at both ends together, want at most %d", each, 80<<10)
	}
}

// heap is what is in use once garbage is gone: heap and stacks.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
