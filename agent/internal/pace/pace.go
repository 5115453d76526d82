// Package pace decides how much picture a viewer gets: from what is known of the network
// to it, how many bits and frames a second, and in which tier. It only computes: it owns no
// clock, no goroutine and no connection, and is called by package picture for each viewer.
package pace

import "time"

// Tier is one way of encoding a monitor. All viewers in a tier share one encoder, so the
// tiers keep the slow away from the fast.
type Tier uint8

const (
	Full  Tier = iota // for a network that takes what a desktop needs
	Lite              // for a few hundred kbit/s to some Mbit/s
	Saver             // for hardly anything, or by wish
	Sharp             // by wish: text first, fewer frames
	Fast              // by wish: motion first, coarser
)

// String names the tier in logs.
func (t Tier) String() string {
	switch t {
	case Full:
		return "full"
	case Lite:
		return "lite"
	case Saver:
		return "saver"
	case Sharp:
		return "sharp"
	case Fast:
		return "fast"
	}
	return "unknown"
}

// Network is what is known of the way to one viewer. Zero fields are not known yet.
type Network struct {
	EstimateBps int           // what congestion control thinks fits, bit/s
	SentBps     int           // what went out in the last second, bit/s
	RTT         time.Duration // to the viewer and back
	Loss        float64       // 0 to 1, as last reported
	Queued      int           // bytes of pictures waiting to be sent
}

// Target is what a viewer gets.
type Target struct {
	Bps  int // bits a second
	FPS  int // frames a second, at most
	Tier Tier
}

const (
	// StartBps is assumed until something is known: enough for a sharp first picture in a
	// fraction of a second, and congestion control corrects it within one.
	StartBps = 8_000_000
	minBps   = 60_000
	maxBps   = 30_000_000

	// The tiers' borders, in bit/s; a viewer goes down at once at the lower and up again
	// when the higher has held for upAfter.
	liteBelow, fullAbove  = 2_000_000, 3_000_000
	saverBelow, liteAbove = 400_000, 650_000
	upAfter               = 5 * time.Second

	// waiting is how much may wait to be sent, in the network's own time, before the network
	// and not the screen is what limits us.
	waiting = 100 * time.Millisecond

	// headroom is the part of the estimate that pictures may take; the rest is for the
	// retransmissions, the probing and the data channels beside them.
	headroom = 0.85

	// frameBits is what a frame needs to be worth showing: below it there are fewer frames,
	// not worse ones.
	frameBits = 40_000
)

// Pacer decides for one viewer. It is not for use by two goroutines at once.
type Pacer struct {
	wish    string
	bps     float64   // what we trust
	known   bool      // something was observed
	auto    Tier      // Full, Lite or Saver, by the network alone
	pressed int       // observations in a row with pictures waiting
	goodFor time.Time // since when the estimate is above the border to the next tier; zero: it is not
}

// New makes a pacer that assumes StartBps.
func New() *Pacer { return &Pacer{bps: StartBps, auto: Full} }

// Prefer sets the viewer's wish: "auto", "sharp", "fast" or "saver" (signaling.PictureTier).
// Anything else is "auto".
func (p *Pacer) Prefer(wish string) { p.wish = wish }

// Observe takes what is newly known into account and returns the target.
func (p *Pacer) Observe(now time.Time, n Network) Target {
	if n.EstimateBps > 0 {
		p.follow(n)
	}
	p.settle(now)
	return p.Target()
}

// follow moves what we trust toward the estimate.
func (p *Pacer) follow(n Network) {
	est := float64(n.EstimateBps)
	if p.pressed++; float64(n.Queued*8) < est*waiting.Seconds() {
		p.pressed = 0
	}
	// An estimate that falls while we send far less than we may, and nothing is lost or
	// keeps waiting, says nothing about the network: delay-based control cuts to a share of
	// what it received, and a still screen sends nearly nothing.
	idle := float64(n.SentBps) < p.bps/2 && n.Loss < 0.05 && p.pressed < 3
	switch {
	case !p.known && est >= p.bps/2, est > p.bps:
		p.bps = est
	case idle:
		// Even so a low estimate that stays is believed in the end, by a quarter a step at
		// a few steps a second, down to what is certainly carried.
		if floor := max(est, 4*float64(n.SentBps)); floor < p.bps {
			p.bps = max(floor, p.bps*0.97)
		}
	default:
		p.bps = est
	}
	if n.Loss > 0.10 {
		p.bps *= 1 - n.Loss/2
	}
	p.bps = min(max(p.bps, minBps), maxBps)
	p.known = true
}

// settle moves between tiers: down at once, up after the better has held.
func (p *Pacer) settle(now time.Time) {
	down := p.auto
	switch {
	case p.bps < saverBelow:
		down = Saver
	case p.bps < liteBelow && p.auto == Full:
		down = Lite
	}
	if down > p.auto {
		p.auto, p.goodFor = down, time.Time{}
		return
	}
	better := p.auto == Lite && p.bps > fullAbove || p.auto == Saver && p.bps > liteAbove
	switch {
	case !better:
		p.goodFor = time.Time{}
	case p.goodFor.IsZero():
		p.goodFor = now
	case now.Sub(p.goodFor) >= upAfter:
		p.auto--
		p.goodFor = time.Time{}
	}
}

// Target is what the viewer gets as things stand.
func (p *Pacer) Target() Target {
	t := Target{Bps: int(p.bps * headroom), Tier: p.auto}
	most := 30
	if p.auto != Saver {
		switch p.wish {
		case "sharp":
			t.Tier, most = Sharp, 20
		case "fast":
			t.Tier, most = Fast, 60
		}
	}
	if p.wish == "saver" {
		t.Tier, t.Bps = Saver, min(t.Bps, saverBelow)
	}
	if t.Tier == Saver {
		most = 10
	}
	t.FPS = min(most, max(2, t.Bps/frameBits))
	return t
}
