package bus_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"handrail/gateway/internal/bus"
	"handrail/gateway/internal/tlsconf"
)

func start(t *testing.T, cfg bus.Config) *bus.Bus {
	t.Helper()
	b, err := bus.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return b
}

func clusterTLS(t *testing.T) *tls.Config {
	t.Helper()
	c, err := tlsconf.Cluster([]byte("a secret that every node knows..."))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRequestWithNobodyThereFailsAtOnce(t *testing.T) {
	b := start(t, bus.Config{})
	// Waiting for an answer in vain would end with another error.
	if _, err := b.Request(t.Context(), "dev.dev_1", nil); !errors.Is(err, bus.ErrNobody) {
		t.Fatalf("Request = %v, want ErrNobody", err)
	}
}

func TestOrderAndReplyAcrossTwoNodes(t *testing.T) {
	one := start(t, bus.Config{Cluster: bus.Cluster{Listen: "127.0.0.1:0", TLS: clusterTLS(t), Secret: "s"}})
	two := start(t, bus.Config{Cluster: bus.Cluster{Listen: "127.0.0.1:0", Peers: []string{one.ClusterAddr()}, TLS: clusterTLS(t), Secret: "s"}})
	const n = 500
	got := make(chan string, n)
	sub, err := one.Subscribe("dev.dev_1", func(m bus.Message) {
		got <- string(m.Data)
		_ = m.Reply([]byte("pong"))
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := eventually(t, func(ctx context.Context) ([]byte, error) { return two.Request(ctx, "dev.dev_1", []byte("ping")) })
	if string(answer) != "pong" {
		t.Errorf("answer = %q", answer)
	}
	<-got
	for i := range n {
		if err := two.Publish("dev.dev_1", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if s := <-got; s != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, s)
		}
	}
	sub.Close()
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Request(t.Context(), "dev.dev_1", nil); !errors.Is(err, bus.ErrNobody) {
		t.Errorf("after Close, Request = %v, want ErrNobody", err)
	}
}

// eventually tries until the interest of one node has reached the other.
func eventually(t *testing.T, try func(context.Context) ([]byte, error)) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := try(ctx)
		if err == nil {
			return b
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never answered: %v", err)
		}
	}
}

func TestClusterRefusesAStranger(t *testing.T) {
	one := start(t, bus.Config{Cluster: bus.Cluster{Listen: "127.0.0.1:0", TLS: clusterTLS(t), Secret: "s"}})
	stranger, err := tlsconf.Cluster([]byte("another secret, of another fleet."))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", one.ClusterAddr(), stranger)
	if err == nil {
		_, err = conn.Read(make([]byte, 1)) // TLS 1.3: the refusal of our certificate arrives with the first read
		conn.Close()
	}
	if err == nil {
		t.Error("a node with another secret was let in")
	}
}

func TestExternalNeedsTLSOutsideLoopback(t *testing.T) {
	if _, err := bus.New(bus.Config{URL: "nats://192.0.2.1:4222"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a plain connection to another machine was accepted")
	}
}

func TestSubscriptionsCostNoGoroutines(t *testing.T) {
	b := start(t, bus.Config{})
	before := runtime.NumGoroutine()
	for i := range 1000 {
		if _, err := b.Subscribe(fmt.Sprintf("dev.dev_%d", i), func(bus.Message) {}); err != nil {
			t.Fatal(err)
		}
	}
	if n := runtime.NumGoroutine() - before; n > 10 {
		t.Errorf("1000 subscriptions made %d goroutines", n)
	}
}
