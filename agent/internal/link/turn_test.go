package link_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"handrail/agent/internal/link"
	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/client"
	"handrail/signaling/hub"
)

// turnGate is a gateway of one device, that answers its questions as a test wants.
type turnGate struct {
	link    *link.Link
	online  chan struct{}
	asked   atomic.Int32
	uploads atomic.Int32
	refuse  atomic.Bool // the next upload, for an hour
}

func newTurnGate(t *testing.T, answer func(a *hub.Agent, e signaling.Envelope)) *turnGate {
	t.Helper()
	g := &turnGate{online: make(chan struct{}, 16)}
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	gatewayKey, gatewayPrivate, _ := ed25519.GenerateKey(rand.Reader)
	log := slog.New(slog.DiscardHandler)
	agents := hub.NewAgents(hub.AgentConfig{
		Challenge: func(h signaling.Hello, c *signaling.Challenge) error {
			c.GatewayKey = signaling.Key(gatewayKey)
			c.Signature = ed25519.Sign(gatewayPrivate, signaling.GatewayTranscript(h, *c))
			return nil
		},
		Lookup: func(context.Context, signaling.Hello) (signaling.Key, error) { return signaling.Key(public), nil },
		Admit: func(context.Context, signaling.Hello, string) (signaling.Welcome, error) {
			return signaling.Welcome{AccessToken: "hat1.x"}, nil
		},
		Connected: func(*hub.Agent, signaling.Hello) {},
		Message: func(a *hub.Agent, e signaling.Envelope) {
			g.asked.Add(1)
			answer(a, e)
		},
		Gone: func(*hub.Agent, error) {},
	}, log)
	mux := http.NewServeMux()
	mux.Handle("GET "+signaling.PathAgentSocket, agents)
	mux.HandleFunc("PUT "+signaling.PathAgentInventory, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		g.uploads.Add(1)
		if g.refuse.Swap(false) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"title":"later","code":"busy","retry_after_ms":3600000}`)
			return
		}
		fmt.Fprint(w, `{"have":{}}`)
	})
	srv := httptest.NewServer(mux)
	var err error
	g.link, err = link.New(link.Config{
		Enrollment:  state.Enrollment{Gateway: srv.URL, Device: "dev_a", Pins: []signaling.Key{signaling.Key(gatewayKey)}},
		Key:         private,
		Fingerprint: "f", Version: "1", MaxBackoff: time.Millisecond,
		OnState: func(s client.State) {
			if s.Phase == client.Online {
				g.online <- struct{}{}
			}
		},
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{}, 2)
	go func() { _ = agents.Run(ctx); ended <- struct{}{} }()
	go func() { _ = g.link.Run(ctx); ended <- struct{}{} }()
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
		srv.Close()
	})
	<-g.online
	return g
}

func (g *turnGate) put(t *testing.T) error {
	t.Helper()
	_, err := g.link.PutInventory(t.Context(), signaling.InventoryUpload{})
	return err
}

func turnIn(after time.Duration) func(*hub.Agent, signaling.Envelope) {
	return func(a *hub.Agent, e signaling.Envelope) {
		_ = a.Send(signaling.Envelope{Type: signaling.TypeInventoryTurn, Re: e.ID, Body: signaling.InventoryTurn{AfterMS: after.Milliseconds()}})
	}
}

// TestUploadsInItsTurn: a device that is told to wait opens no connection before, and asks once
// for all it has to upload.
func TestUploadsInItsTurn(t *testing.T) {
	g := newTurnGate(t, turnIn(time.Minute))
	for range 3 {
		if wait := link.RetryAfter(g.put(t)); wait <= 0 || wait > time.Minute {
			t.Errorf("the turn is in %v, want about a minute", wait)
		}
	}
	if asked, uploads := g.asked.Load(), g.uploads.Load(); asked != 1 || uploads != 0 {
		t.Errorf("asked %d times and uploaded %d times before its turn, want 1 and 0", asked, uploads)
	}

	g = newTurnGate(t, turnIn(0))
	for range 3 {
		if err := g.put(t); err != nil {
			t.Error(err)
		}
	}
	if asked, uploads := g.asked.Load(), g.uploads.Load(); asked != 1 || uploads != 3 {
		t.Errorf("asked %d times and uploaded %d times in its turn, want 1 and 3", asked, uploads)
	}
	g.refuse.Store(true)
	for range 2 {
		if wait := link.RetryAfter(g.put(t)); wait < 59*time.Minute {
			t.Errorf("sent away for an hour, it comes back in %v", wait)
		}
	}
	if n := g.uploads.Load(); n != 4 {
		t.Errorf("%d uploads reached the gateway, want 4: one was sent away, and nothing after it", n)
	}
}

// TestOddTurns: a gateway that does not know turns, or talks nonsense of them, gets uploads anyway.
func TestOddTurns(t *testing.T) {
	g := newTurnGate(t, func(a *hub.Agent, e signaling.Envelope) { a.Refuse(e, signaling.CodeUnknownType, "what is that?") })
	if err := g.put(t); err != nil {
		t.Errorf("without turns: %v", err)
	}
	g = newTurnGate(t, turnIn(-time.Hour))
	if err := g.put(t); err != nil {
		t.Errorf("with a turn that was an hour ago: %v", err)
	}
	g = newTurnGate(t, turnIn(1<<62))
	if wait := link.RetryAfter(g.put(t)); wait <= 0 || wait > time.Hour {
		t.Errorf("with a turn in centuries: %v, want an hour at most", wait)
	}
	g = newTurnGate(t, func(a *hub.Agent, e signaling.Envelope) {
		turnIn(time.Minute)(a, signaling.Envelope{ID: "somebody else's"})
		turnIn(0)(a, e)
		turnIn(time.Minute)(a, e)
	})
	if err := g.put(t); err != nil {
		t.Errorf("with answers to others: %v", err)
	}
}

// TestTurnOfALostLink: a question that died with its link is asked again over the next.
func TestTurnOfALostLink(t *testing.T) {
	var cut atomic.Bool
	g := newTurnGate(t, func(a *hub.Agent, e signaling.Envelope) {
		if !cut.Swap(true) {
			a.Close(hub.ErrClosed)
			return
		}
		turnIn(0)(a, e)
	})
	if err := g.put(t); !errors.Is(err, link.ErrOffline) {
		t.Errorf("asking over a link that is cut: %v, want ErrOffline", err)
	}
	var err error
	for {
		<-g.online
		if err = g.put(t); !errors.Is(err, link.ErrOffline) {
			break
		}
	}
	if err != nil {
		t.Errorf("over the next link: %v", err)
	}
}
