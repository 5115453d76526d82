package session_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"handrail/agent/internal/session"
	"handrail/signaling"
)

// asked runs one request against a person who answers as told, in synthetic time.
func asked(t *testing.T, ask func(context.Context, session.Request) session.Answer) (signaling.SessionConsent, time.Duration) {
	t.Helper()
	var got []signaling.SessionConsent
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		h, err := session.New(session.Config{
			Ask: ask,
			Send: func(e signaling.Envelope) error {
				mu.Lock()
				defer mu.Unlock()
				if c, ok := e.Body.(signaling.SessionConsent); ok {
					got, took = append(got, c), time.Since(start)
				}
				return nil
			},
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := h.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		req := signaling.SessionRequest{
			Session: signaling.NewSessionID(), Operator: signaling.Operator{Name: "Ada"}, Organisation: "Acme", Reason: "printer",
			Capabilities: signaling.SetOf(signaling.View, signaling.Control), Consent: signaling.ConsentAsk, AnswerWithinMS: 30_000,
		}
		h.Handle(signaling.Envelope{Type: signaling.TypeSessionRequest, Body: req})
		h.Handle(signaling.Envelope{Type: signaling.TypeSessionRequest, Body: req}) // the link came back meanwhile
		time.Sleep(time.Minute)                                                     //nolint:forbidigo // synthetic time
		cancel()
		<-done
	})
	if len(got) == 0 {
		t.Fatal("no answer")
	}
	return got[0], took
}

func TestConsent(t *testing.T) {
	both := signaling.SetOf(signaling.View, signaling.Control)
	for _, c := range []struct {
		name    string
		ask     func(context.Context, session.Request) session.Answer
		want    signaling.Decision
		granted signaling.CapabilitySet
		within  time.Duration
	}{
		{"accepted", func(_ context.Context, r session.Request) session.Answer {
			if r.Operator.Name != "Ada" || r.Organisation != "Acme" || r.Reason != "printer" || r.Capabilities != both {
				t.Errorf("asked %+v", r)
			}
			return session.Answer{Decision: signaling.DecisionGranted, Granted: both, By: "user"}
		}, signaling.DecisionGranted, both, time.Second},
		{"accepted in part", func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionGranted, Granted: signaling.SetOf(signaling.View), By: "user"}
		}, signaling.DecisionGranted, signaling.SetOf(signaling.View), time.Second},
		{"more than was asked for", func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionGranted, Granted: all, By: "user"}
		}, signaling.DecisionGranted, both, time.Second},
		{"accepted with every switch off", func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionGranted, By: "user"}
		}, signaling.DecisionDeclined, 0, time.Second},
		{"declined", func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionDeclined, By: "user"}
		}, signaling.DecisionDeclined, 0, time.Second},
		{"an answer that says nothing", func(context.Context, session.Request) session.Answer {
			return session.Answer{}
		}, signaling.DecisionDeclined, 0, time.Second},
		{"silence", func(ctx context.Context, _ session.Request) session.Answer {
			<-ctx.Done()
			return session.Answer{Decision: signaling.DecisionTimeout}
		}, signaling.DecisionTimeout, 0, 31 * time.Second},
		{"a prompt that hangs", func(ctx context.Context, _ session.Request) session.Answer {
			<-ctx.Done()
			time.Sleep(10 * time.Second) //nolint:forbidigo // synthetic time
			return session.Answer{Decision: signaling.DecisionGranted, Granted: both}
		}, signaling.DecisionTimeout, 0, 31 * time.Second},
		{"no companion", func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionUnavailable}
		}, signaling.DecisionUnavailable, 0, time.Second},
		{"nobody to ask", nil, signaling.DecisionUnavailable, 0, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, took := asked(t, c.ask)
			if got.Decision != c.want || got.Granted != c.granted {
				t.Errorf("consent = %+v, want %s of %v", got, c.want, c.granted.List())
			}
			if took > c.within {
				t.Errorf("answered after %v, want within %v", took, c.within)
			}
			if c.want != signaling.DecisionGranted && got.Message == "" && got.By == "" {
				t.Error("a refusal without a word")
			}
		})
	}
}

func TestAskForMore(t *testing.T) {
	answers := make(chan session.Answer, 1)
	questions := make(chan session.Request, 4)
	d := newDevice(t, func(c *session.Config) {
		c.Ask = func(_ context.Context, r session.Request) session.Answer {
			questions <- r
			return <-answers
		}
	})
	view, control := signaling.SetOf(signaling.View), signaling.SetOf(signaling.Control)
	ses := signaling.NewSessionID()
	d.handle(signaling.SessionRequest{Session: ses, Capabilities: view, Consent: signaling.ConsentAsk})
	<-questions
	answers <- session.Answer{Decision: signaling.DecisionGranted, Granted: view, By: "user"}
	wait(d.gw, "consent", func(c signaling.SessionConsent) bool { return c.Granted == view })
	v := d.announce(ses, "Ada", all)
	v.connect()
	d.handle(signaling.SessionAsk{Session: ses, Capabilities: view | control})
	q := <-questions
	if q.Capabilities != control || q.Already != view {
		t.Errorf("asked for %v having %v", q.Capabilities.List(), q.Already.List())
	}
	answers <- session.Answer{Decision: signaling.DecisionDeclined, By: "user"}
	wait(d.gw, "refusal that takes nothing away", func(c signaling.SessionConsent) bool { return c.Granted == view && c.Message != "" })
	d.handle(signaling.SessionAsk{Session: ses, Capabilities: control})
	<-questions
	answers <- session.Answer{Decision: signaling.DecisionGranted, Granted: control, By: "user"}
	wait(d.gw, "more", func(c signaling.SessionConsent) bool { return c.Granted == view|control })
	v.status("control granted", func(s signaling.Status) bool { return s.May == view|control })
}

func TestNoBannerNoPicture(t *testing.T) {
	banners := make(chan session.Banner, 64)
	d := newDevice(t, func(c *session.Config) {
		c.NeedBanner = true
		c.Show = func(b session.Banner) { banners <- b }
		c.Ask = func(context.Context, session.Request) session.Answer {
			return session.Answer{Decision: signaling.DecisionGranted, Granted: all, By: "user"}
		}
	})
	ses := signaling.NewSessionID()
	d.handle(signaling.SessionRequest{Session: ses, Capabilities: all, Consent: signaling.ConsentAsk, Operator: signaling.Operator{Name: "Ada"}})
	v := d.announce(ses, "Ada", all)
	wait(d.gw, "consent", func(c signaling.SessionConsent) bool { return c.Decision == signaling.DecisionGranted })
	v.connect()
	v.moving(1)
	for b := range banners {
		if b.Session == ses && len(b.Viewers) == 1 && b.Viewers[0] == "Ada" && b.Granted == all && b.Operator.Name == "Ada" {
			break
		}
	}
	d.host.Presence(false)
	v.status("pause", func(s signaling.Status) bool { return s.Paused && s.May == 0 })
	d.host.Presence(true)
	v.status("no pause", func(s signaling.Status) bool { return !s.Paused })
	v.moving(1)
}
