package gatewaytest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"handrail/signaling"
	"handrail/signaling/client"
)

// Agent is a device's link without a desktop behind it; the test plays the rest.
type Agent struct {
	g      *Gateway
	Client *client.Client
	In     chan signaling.Envelope // messages of the gateway
	States chan client.State       // changes of the link

	mu     sync.Mutex
	briefs []signaling.SessionBrief
	cancel context.CancelFunc
	done   chan struct{}
}

// DialAgent connects a device to this gateway and waits until it is online.
func (g *Gateway) DialAgent(d Device) *Agent {
	g.t.Helper()
	a := g.StartAgent(d, nil)
	a.AwaitPhase(client.Online)
	return a
}

// StartAgent starts a device's link; change may alter its configuration.
func (g *Gateway) StartAgent(d Device, change func(*client.Config)) *Agent {
	g.t.Helper()
	a := &Agent{g: g, In: make(chan signaling.Envelope, 1024), States: make(chan client.State, 1024), done: make(chan struct{})}
	cfg := client.Config{
		URL: g.URL, Device: signaling.DeviceID(d.ID), Key: d.Key, Pins: d.Pins, Fingerprint: d.Fingerprint, Version: "test",
		MinBackoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		Briefs: func() []signaling.SessionBrief {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.briefs
		},
		OnMessage: func(e signaling.Envelope) { a.In <- e },
		OnState:   func(s client.State) { a.States <- s },
	}
	if change != nil {
		change(&cfg)
	}
	c, err := client.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		g.t.Fatal(err)
	}
	a.Client = c
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	go func() {
		defer close(a.done)
		_ = c.Run(ctx)
	}()
	g.t.Cleanup(a.Stop)
	return a
}

// SetBriefs sets the sessions the agent says it still runs when it connects again.
func (a *Agent) SetBriefs(b ...signaling.SessionBrief) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.briefs = b
}

// Stop ends the link cleanly.
func (a *Agent) Stop() {
	a.cancel()
	<-a.done
}

// Send sends a message; the client queues it while offline.
func (a *Agent) Send(t signaling.Type, body any) {
	a.g.t.Helper()
	if err := a.Client.Send(signaling.Envelope{Type: t, Body: body}); err != nil {
		a.g.t.Fatal(err)
	}
}

// AwaitPhase waits until the link is in a phase.
func (a *Agent) AwaitPhase(want client.Phase) client.State {
	a.g.t.Helper()
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	var last client.State
	for {
		select {
		case s := <-a.States:
			if last = s; s.Phase == want {
				return s
			}
		case <-t.C:
			a.g.t.Fatalf("the link is not %s after a minute but %s: %v", want, last.Phase, last.Err)
		}
	}
}

// Await returns the body of the next message of type T, dropping others, and fails the
// test when none comes in a minute.
func Await[T any](a *Agent) T {
	a.g.t.Helper()
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	for {
		select {
		case e := <-a.In:
			if b, ok := e.Body.(T); ok {
				return b
			}
		case <-t.C:
			var none T
			a.g.t.Fatalf("no %T in a minute", none)
			return none
		}
	}
}
