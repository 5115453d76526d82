package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"handrail/agent/internal/pace"
)

// feed observes the same network four times a second for a while.
func feed(p *pace.Pacer, n pace.Network, d time.Duration) pace.Target {
	var t pace.Target
	for end := time.Now().Add(d); time.Now().Before(end); {
		tick := time.NewTimer(250 * time.Millisecond)
		<-tick.C
		t = p.Observe(time.Now(), n)
	}
	return t
}

// busy is a network that is full: we send what it takes, and more is waiting.
func busy(bps int) pace.Network {
	return pace.Network{EstimateBps: bps, SentBps: bps * 9 / 10, Queued: bps / 8 / 4}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name string
		wish string
		net  pace.Network
		want pace.Target
	}{
		{"fast network", "auto", busy(20_000_000), pace.Target{Bps: 17_000_000, FPS: 30, Tier: pace.Full}},
		{"more than can be used", "auto", busy(500_000_000), pace.Target{Bps: 25_500_000, FPS: 30, Tier: pace.Full}},
		{"some Mbit/s", "auto", busy(1_500_000), pace.Target{Bps: 1_275_000, FPS: 30, Tier: pace.Lite}},
		{"fewer frames before worse ones", "auto", busy(700_000), pace.Target{Bps: 595_000, FPS: 14, Tier: pace.Lite}},
		{"hardly anything", "auto", busy(100_000), pace.Target{Bps: 85_000, FPS: 2, Tier: pace.Saver}},
		{"nothing at all", "auto", busy(1_000), pace.Target{Bps: 51_000, FPS: 2, Tier: pace.Saver}},
		{"sharp by wish", "sharp", busy(20_000_000), pace.Target{Bps: 17_000_000, FPS: 20, Tier: pace.Sharp}},
		{"fast by wish", "fast", busy(20_000_000), pace.Target{Bps: 17_000_000, FPS: 60, Tier: pace.Fast}},
		{"saver by wish", "saver", busy(20_000_000), pace.Target{Bps: 400_000, FPS: 10, Tier: pace.Saver}},
		{"a wish the network cannot pay for", "fast", busy(100_000), pace.Target{Bps: 85_000, FPS: 2, Tier: pace.Saver}},
		{"an unknown wish", "loud", busy(20_000_000), pace.Target{Bps: 17_000_000, FPS: 30, Tier: pace.Full}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pace.New()
				p.Prefer(c.wish)
				if got := feed(p, c.net, 30*time.Second); got != c.want {
					t.Errorf("target is %+v, want %+v", got, c.want)
				}
			})
		})
	}
}

func TestDownAtOnceUpWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New()
		feed(p, busy(10_000_000), 5*time.Second)
		if got := p.Observe(time.Now(), pace.Network{EstimateBps: 900_000, SentBps: 8_000_000, Loss: 0.02}); got.Tier != pace.Lite {
			t.Fatalf("one bad report: tier %v, want lite", got.Tier)
		}
		if got := feed(p, busy(2_500_000), 30*time.Second); got.Tier != pace.Lite {
			t.Errorf("between the borders: tier %v, want lite", got.Tier)
		}
		if got := feed(p, busy(10_000_000), 4*time.Second); got.Tier != pace.Lite {
			t.Errorf("good for 4 s: tier %v, want lite still", got.Tier)
		}
		// A dip begins the wait anew.
		feed(p, busy(2_500_000), time.Second)
		if got := feed(p, busy(10_000_000), 4*time.Second); got.Tier != pace.Lite {
			t.Errorf("good for 4 s after a dip: tier %v, want lite still", got.Tier)
		}
		if got := feed(p, busy(10_000_000), 3*time.Second); got.Tier != pace.Full {
			t.Errorf("good for 7 s: tier %v, want full", got.Tier)
		}
	})
}

func TestStillScreenIsNoBadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New()
		feed(p, busy(10_000_000), 5*time.Second)
		// Congestion control cut to a share of nearly nothing.
		if got := p.Observe(time.Now(), pace.Network{EstimateBps: 30_000, SentBps: 2_000}); got.Tier != pace.Full || got.Bps < 7_000_000 {
			t.Errorf("one low estimate while idle: %+v", got)
		}
		// A burst that waits for a moment changes nothing, either.
		if got := p.Observe(time.Now(), pace.Network{EstimateBps: 30_000, SentBps: 2_000, Queued: 20_000}); got.Tier != pace.Full {
			t.Errorf("a burst after idling: %+v", got)
		}
		// The same with loss is a bad network.
		if got := p.Observe(time.Now(), pace.Network{EstimateBps: 30_000, SentBps: 2_000, Loss: 0.3}); got.Tier != pace.Saver {
			t.Errorf("low estimate with loss: %+v", got)
		}
	})
}

func TestNothingKnownYet(t *testing.T) {
	want := pace.Target{Bps: pace.StartBps * 85 / 100, FPS: 30, Tier: pace.Full}
	if got := pace.New().Target(); got != want {
		t.Errorf("target is %+v, want %+v", got, want)
	}
	if got := pace.New().Observe(time.Now(), pace.Network{RTT: time.Second}); got != want {
		t.Errorf("target without an estimate is %+v, want %+v", got, want)
	}
}
